"""Does what a guide says, as written: try.py GUIDE..

Runs the shell blocks of a guide in order, in one shell, and compares what each prints with the text block
behind it; a line of dots, or dots at the ends of a line, stand for anything. `run` makes a machine around it.
"""

import re
import subprocess
import sys
import tempfile

MARK = "--- guide: block %d ends ---"


def blocks(text):
    """[(shell, expected text or None)]"""
    found = []
    for kind, body in re.findall(r"^```(sh|text)\n(.*?)^```$", text, re.M | re.S):
        if kind == "sh":
            found.append([body, None])
        else:
            found[-1][1] = body
    return found


def pattern(expected):
    parts = []
    for line in expected.splitlines():
        if line == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            middle = re.escape(line.removeprefix("...").removesuffix("..."))
            before, after = (r".*" if it else "" for it in (line.startswith("..."), line.endswith("...")))
            parts.append(f"{before}{middle}{after}\n?")
    return "".join(parts)


for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        guide = blocks(file.read())
    script = "set -euo pipefail\n" + "".join(f"{shell}\necho '{MARK % n}'\n" for n, (shell, _) in enumerate(guide))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["chmod", "711", folder], check=True)
        ran = subprocess.run(["bash", "-c", script + "kill $(jobs -p) 2>/dev/null || true\n"], cwd=folder, text=True,
                             capture_output=True, timeout=300)
    said, compared = ran.stdout, 0
    for n, (shell, expected) in enumerate(guide):
        printed, ended, said = said.partition(MARK % n + "\n")
        if not ended:
            sys.exit(f"{path}: this block failed:\n{shell}\nit printed:\n{printed}\n{ran.stderr[-2000:]}")
        if expected is not None:
            compared += 1
            if not re.fullmatch(pattern(expected), printed):
                sys.exit(f"{path}: this block:\n{shell}\nprinted:\n{printed}\nand not:\n{expected}\n{ran.stderr[-2000:]}")
    if not compared:
        sys.exit(f"{path}: no block says what it prints")
    print(f"{path}: {len(guide)} blocks run, {compared} printed what they say")

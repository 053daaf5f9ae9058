"""Fails when the hot path takes more instructions than what was committed, by more than 10 %.

Runs each case of gce-auth/benches/instructions.rs under callgrind and compares it with
gce-auth/benches/instructions.toml. `--update` writes the counts into that file instead. What the
instructions are depends on the compiler, so the file says which one counted.

Needs valgrind. Counts are of x86_64.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path("gce-auth/benches")
FILE = FOLDER / "instructions.toml"
CALLS = 1000  # of each case, in instructions.rs
MAY_GROW = 1.10

HEADER = """\
# Instructions of one call with a valid token in hand, clock included, counted by callgrind, which
# does not see the vDSO: a read of the clock counts for less than it takes.
# Written by `python3 .ci/instructions.py --update`; compared by `.ci/run`.
"""


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def build():
    bench = "cargo bench --locked -p gce-auth --bench instructions --features test-util --no-run"
    messages = output(*bench.split(), "--message-format=json").splitlines()
    for message in map(json.loads, messages):
        if message.get("executable") and message["target"]["name"] == "instructions":
            return message["executable"]
    sys.exit("cargo built no bench")


def count(program, case):
    with tempfile.NamedTemporaryFile() as out:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--toggle-collect=*counted*"]
            + [f"--callgrind-out-file={out.name}", program, case],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not collected or int(collected[1]) < CALLS:
        sys.exit(f"callgrind counted nothing for {case}:\n{done.stderr}")
    return round(int(collected[1]) / CALLS)


def committed():
    lines = FILE.read_text().splitlines()
    pairs = dict(line.split(" = ") for line in lines if " = " in line and line[0] != "#")
    return pairs.pop("rustc").strip('"'), {case: int(count) for case, count in pairs.items()}


def main():
    rustc = output("rustc", "--version").split()[1]
    program = build()
    counts = {case: count(program, case) for case in output(program).split()}
    if sys.argv[1:] == ["--update"]:
        lines = [f"{case} = {number}" for case, number in counts.items()]
        FILE.write_text("\n".join([HEADER + f'rustc = "{rustc}"', *lines, ""]))
        print(f"wrote {FILE}")
        return
    theirs, before = committed()
    if theirs != rustc:
        print(f"committed with rustc {theirs}, counted with {rustc}: compared all the same")
    if before.keys() != counts.keys():
        sys.exit(f"the cases are not those of {FILE}: run this with --update")
    grown = []
    for case, number in counts.items():
        change = number / before[case] - 1
        print(f"{case:>26} {number:6} instructions, {before[case]:6} committed, {change:+7.1%}")
        if number > before[case] * MAY_GROW:
            grown.append(case)
    if grown:
        sys.exit(
            f"the hot path has grown by more than 10 %: {', '.join(grown)}\n"
            "where it has to be, run python3 .ci/instructions.py --update and commit the file"
        )


main()

"""Prints every command of gce-auth, and every command of a command, as its help lists them: commands.py GCE-AUTH.."""

import re
import subprocess
import sys


def below(*path):
    text = subprocess.check_output([*sys.argv[1:], *path, "--help"], text=True)
    listed = re.search(r"^Commands:\n((?:  .*\n)+)", text, re.M)
    names = re.findall(r"^  ([a-z][a-z-]*)(?: |$)", listed[1], re.M) if listed else []
    for name in names:
        if name != "help":
            print(*path, name)
            below(*path, name)


below()

"""Prints the rules that a manifest's ConfigMap holds: rules.py FILE."""

import sys

lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
start = lines.index("  agent.toml: |") + 1
for line in lines[start:]:
    if line and not line.startswith("    "):
        break
    print(line[4:])

"""Checks in every Rust file what the stable rustfmt leaves alone: the form of imports, and the width of comments.

Each block of imports names a crate once: `use std::{io, thread};`, not two lines. Comments end by column 100, but for
what cannot be wrapped: a row of a table, a link, code.
"""

import re
import subprocess
import sys

WIDTH = 100
COMMAND = (
    "rustfmt +nightly --edition 2024 --config "
    "imports_granularity=Crate,group_imports=StdExternalCrate,wrap_comments=true,comment_width=100"
)
IMPORT = re.compile(r"(\s*(?:pub(?:\([^)]*\))? )?use )(?:::)?(\w+)")


def imports(lines):
    """The lines of imports from a crate that the block imported from before."""
    block, open_until = set(), None
    for number, line in enumerate(lines, 1):
        if open_until is not None:
            if line == open_until:
                open_until = None
            continue
        found = IMPORT.match(line)
        if not found:
            # An attribute is of the next import alone.
            block = set() if not line.strip().startswith("#[") else block
            continue
        attributed = number > 1 and lines[number - 2].strip().startswith("#[")
        if not attributed:
            if found.groups() in block:
                yield number
            block.add(found.groups())
        if not line.rstrip().endswith(";"):
            open_until = re.match(r"\s*", line)[0] + "};"


def comments(lines):
    """The lines of comments that are too wide, and could be wrapped."""
    fenced = False
    for number, line in enumerate(lines, 1):
        comment = re.match(r"\s*//[/!]?\s?", line)
        if not comment:
            fenced = False
            continue
        text = line[comment.end():]
        if text.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and len(line) > WIDTH and not text.startswith(("|", "    ")) and " " in line[comment.end():WIDTH]:
            yield number


def main():
    files = subprocess.run(["git", "ls-files", "*.rs"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    wrong = 0
    for name in files:
        with open(name, encoding="utf-8") as file:
            lines = file.read().split("\n")
        for number in imports(lines):
            print(f"{name}:{number}: the block imports from this crate twice: join the two")
            wrong += 1
        for number in comments(lines):
            print(f"{name}:{number}: the comment is wider than {WIDTH} columns")
            wrong += 1
    if wrong:
        sys.exit(f"{wrong} lines; write them so: {COMMAND}")
    print(f"{len(files)} files have their imports in one form and comments within {WIDTH} columns")


main()

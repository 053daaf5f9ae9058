"""Fails when SECURITY.md names a test that does not exist, or a claim without a test."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEST = re.compile(r"#\[(?:tokio::)?test(?:\([^)]*\))?\]\s*(?:#\[[^\n]*\n\s*)*(?:async )?fn (\w+)")


def claims(text):
    """[(claim, [(file, test or None)])], of the tables whose second column is `test`."""
    found, inside = [], False
    for line in text.split("\n"):
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| claim | test |"):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("| --- "):
            named, file = [], None
            for word in re.findall(r"`([^`]+)`", cells[1]):
                if "/" in word:
                    file = word
                    if not word.endswith(".rs"):
                        named.append((file, None))
                else:
                    named.append((file, word))
            found.append((cells[0], named))
    return found


def faults(found, read):
    """`read` gives the text of a file, or None."""
    for claim, named in found:
        if not named:
            yield f"no test: {claim}"
        for file, test in named:
            text = read(file) if file else None
            if text is None:
                yield f"{file} does not exist: {claim}"
            elif test and test not in TEST.findall(text):
                yield f"{file} has no test {test}: {claim}"


def self_test():
    table = "| claim | test |\n| --- | --- |\n| One | `a/b.rs`: `holds`, `too`; with a browser: `c/run` |\n| Two | none |\n"
    found = claims(table)
    assert found == [("One", [("a/b.rs", "holds"), ("a/b.rs", "too"), ("c/run", None)]), ("Two", [])], found
    files = {"a/b.rs": "#[test]\nfn holds() {}\n    #[test]\n    #[ignore]\n    fn too() {}\nfn other() {}", "c/run": ""}
    assert list(faults(found, files.get)) == ["no test: Two"]
    assert list(faults([("x", [("a/b.rs", "other")])], files.get)) == ["a/b.rs has no test other: x"]
    assert list(faults([("x", [("gone.rs", "holds")])], files.get)) == ["gone.rs does not exist: x"]


def read(name):
    path = ROOT / name
    return path.read_text(encoding="utf-8") if path.exists() else None


self_test()
found = claims(read("SECURITY.md"))
wrong = list(faults(found, read))
for line in wrong:
    print(line)
if wrong or len(found) < 30:
    sys.exit(f"{len(wrong)} claims of SECURITY.md are not held by a test; {len(found)} claims")
print(f"{len(found)} claims of SECURITY.md, each with a test that exists")

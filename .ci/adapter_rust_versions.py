"""usage: adapter_rust_versions.py

Checks the column "oldest Rust" in the README of the adapters: for each adapter the newest that one of its
dependencies asks for, by the lock file.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ADAPTERS = Path("gce-auth-adapters")


def cargo(command, *arguments):
    manifest = ("--locked", "--manifest-path", str(ADAPTERS / "Cargo.toml"))
    return subprocess.check_output(["cargo", command, *manifest, *arguments], text=True)


packages = json.loads(cargo("metadata", "--format-version", "1"))["packages"]
[adapters] = [package for package in packages if package["name"] == "gce-auth-adapters"]
asked = {(package["name"], package["version"]): package["rust_version"] for package in packages}
readme = (ADAPTERS / "README.md").read_text()


def oldest(feature):
    tree = cargo(
        *("tree", "-e", "normal", "--prefix", "none", "--no-default-features", "--features", feature),
    )
    versions = (asked.get(found) for found in re.findall(r"^(\S+) v(\S+)", tree, re.MULTILINE))
    return max(tuple(int(part) for part in version.split(".")[:2]) for version in versions if version)


wrong = 0
for feature in sorted(set(adapters["features"]) - {"default"}):
    row = re.search(rf"^\| `{re.escape(feature)}` \|.*\| (\S+) \|$", readme, re.MULTILINE)
    stated, needed = row and row[1], "{}.{}".format(*oldest(feature))
    print(f"{feature:24} {needed}")
    if stated != needed:
        print(f"{feature}: the README says {stated}", file=sys.stderr)
        wrong += 1
sys.exit(1 if wrong else 0)

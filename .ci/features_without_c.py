"""usage: features_without_c.py TARGET

Prints the features of the library, separated by commas, that compile no C for TARGET: those whose
dependencies have no use for the crate `cc`.
"""

import json
import subprocess
import sys


def cargo(*arguments):
    return subprocess.check_output(["cargo", *arguments], text=True)


def compiles_c(feature, target):
    tree = cargo(
        *("tree", "--locked", "-p", "gce-auth", "-e", "normal,build", "--prefix", "none"),
        *("--features", feature, "--target", target),
    )
    return any(line.startswith("cc v") for line in tree.splitlines())


metadata = json.loads(
    cargo("metadata", "--locked", "--no-deps", "--format-version", "1")
)
[library] = [package for package in metadata["packages"] if package["name"] == "gce-auth"]
print(
    ",".join(
        feature
        for feature in sorted(library["features"])
        if not compiles_c(feature, sys.argv[1])
    )
)

"""Prints the features of the library, separated by commas, that compile no C."""

import json
import subprocess

NEEDS_C = "aws-lc"

metadata = json.loads(
    subprocess.check_output(
        ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"]
    )
)
[library] = [package for package in metadata["packages"] if package["name"] == "gce-auth"]
features = library["features"]


def enables(feature, seen):
    """Everything that a feature turns on, itself included, as far as this manifest tells."""
    if feature not in seen:
        seen.add(feature)
        for part in features.get(feature, []):
            enables(part, seen)
    return seen


print(
    ",".join(
        sorted(
            feature
            for feature in features
            if not any(NEEDS_C in part or "aws_lc" in part for part in enables(feature, set()))
        )
    )
)

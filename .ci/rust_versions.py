"""Fails when a crate of the workspace promises an older Rust than one of its dependencies needs.

Development dependencies do not count: users of a crate never compile them.
"""

import json
import subprocess
import sys

metadata = json.loads(
    subprocess.check_output(
        ["cargo", "metadata", "--locked", "--all-features", "--format-version", "1"]
    )
)
packages = {package["id"]: package for package in metadata["packages"]}
edges = {
    node["id"]: [
        dependency["pkg"]
        for dependency in node["deps"]
        if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
    ]
    for node in metadata["resolve"]["nodes"]
}


def number(version):
    parts = [int(part) for part in (version or "0").split(".")]
    return parts + [0] * (3 - len(parts))


def reachable(start):
    seen, pending = set(), [start]
    while pending:
        package = pending.pop()
        if package not in seen:
            seen.add(package)
            pending += edges[package]
    return seen - {start}


broken = False
for member in metadata["workspace_members"]:
    crate = packages[member]
    promised = crate["rust_version"]
    if promised is None:
        print(f"{crate['name']}: states no rust-version")
        broken = True
        continue
    newest = "0"
    for dependency in map(packages.get, sorted(reachable(member))):
        needed = dependency["rust_version"]
        if number(needed) > number(promised):
            print(
                f"{crate['name']}: promises Rust {promised}, but {dependency['name']}"
                f" {dependency['version']} needs {needed}"
            )
            broken = True
        newest = max(newest, needed or "0", key=number)
    print(f"{crate['name']}: promises Rust {promised}, its dependencies need {newest}")

sys.exit(broken)

"""Prints what a crate is made of for a target, as CycloneDX 1.5: sbom.py CRATE TARGET

From `cargo metadata` and Cargo.lock, without time and serial number, so that the same sources give the same list.
"""

import json
import pathlib
import subprocess
import sys
import tomllib

crate, target = sys.argv[1:]
root = pathlib.Path(__file__).resolve().parent.parent
metadata = json.loads(
    subprocess.check_output(
        ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target], cwd=root
    )
)
lock = tomllib.loads((root / "Cargo.lock").read_text(encoding="utf-8"))
checksums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in lock["package"]}
packages = {package["id"]: package for package in metadata["packages"]}
# What only tests need is not in the binary. What only builds need is: it may write code.
edges = {
    node["id"]: sorted(
        dependency["pkg"]
        for dependency in node["deps"]
        if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
    )
    for node in metadata["resolve"]["nodes"]
}
[start] = [identity for identity, package in packages.items() if package["name"] == crate]
found, pending = set(), [start]
while pending:
    identity = pending.pop()
    if identity not in found:
        found.add(identity)
        pending += edges[identity]


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, kind):
    described = {
        "type": kind,
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
    }
    if package["license"]:
        described["licenses"] = [{"expression": " OR ".join(part.strip() for part in package["license"].split("/"))}]
    checksum = checksums.get((package["name"], package["version"]))
    if checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return described


ordered = sorted(found, key=lambda identity: purl(packages[identity]))
json.dump(
    {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": component(packages[start], "application"),
            "properties": [{"name": "cargo:target", "value": target}],
        },
        "components": [component(packages[identity], "library") for identity in ordered if identity != start],
        "dependencies": [
            {"ref": purl(packages[identity]), "dependsOn": sorted(purl(packages[other]) for other in edges[identity])}
            for identity in ordered
        ],
    },
    sys.stdout,
    indent=1,
)
print()

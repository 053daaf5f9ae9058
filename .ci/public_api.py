"""Fails when the public API of the library names a type of a crate that it should not.

    public_api.py           checks
    public_api.py --list [CRATE..]
                            prints the API of these crates, else of the library, an item a line, to be read

From rustdoc's JSON, which only a nightly prints openly; the variable lets the stable compiler print it, too.
"""

import json
import os
import subprocess
import sys

# http's types are the API's own vocabulary. The crates of tower come with the feature of that name.
ALLOWED = {"std", "core", "alloc", "http", "http_body", "tower_layer", "tower_service"}
TARGET = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "public-api")


def document(crate):
    subprocess.run(
        ["cargo", "rustdoc", "--locked", "--quiet", "-p", crate, "--all-features", "--lib", "--target-dir", TARGET]
        + ["--", "-Zunstable-options", "--output-format", "json", "--cap-lints", "allow", "--cfg", "docsrs"],
        env={**os.environ, "RUSTC_BOOTSTRAP": "1"},
        check=True,
    )
    with open(os.path.join(TARGET, "doc", crate.replace("-", "_") + ".json"), encoding="utf-8") as file:
        return json.load(file)


def named(value):
    """The ids of the types and traits that a part of an item names."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "resolved_path" or key == "trait":
                if isinstance(part, dict) and "id" in part:
                    yield part["id"]
            yield from named(part)
    elif isinstance(value, list):
        for part in value:
            yield from named(part)


def is_own(item):
    """Whether the crate says it itself: not what the compiler or a foreign crate implements for every type."""
    implementation = item["inner"].get("impl")
    if implementation:
        return not implementation.get("is_synthetic") and not implementation.get("blanket_impl")
    return True


def foreign(api):
    crates = {int(number): crate["name"] for number, crate in api["external_crates"].items()}
    paths = api["paths"]
    blanket = set()
    for item in api["index"].values():
        if not is_own(item):
            blanket.update(str(member) for member in item["inner"]["impl"]["items"])
    found = {}
    for identity, item in api["index"].items():
        if item["crate_id"] != 0 or identity in blanket or not is_own(item) or "use" in item["inner"]:
            continue
        for other in named(item["inner"]):
            path = paths.get(str(other))
            if path and path["crate_id"] != 0:
                crate = crates[path["crate_id"]]
                # What pin-project-lite writes into `impl Unpin`, which has no name for anyone.
                if crate not in ALLOWED and path["path"][:2] != ["pin_project_lite", "__private"]:
                    found.setdefault(f"{crate}: {'::'.join(path['path'])}", item.get("name") or "an implementation")
    return found


def self_test():
    used = {"inner": {"function": {"sig": {"inputs": [["a", {"resolved_path": {"id": 7}}]]}}}, "name": "f", "crate_id": 0}
    api = {
        "external_crates": {"3": {"name": "hyper"}, "4": {"name": "http"}},
        "paths": {"7": {"crate_id": 3, "path": ["hyper", "Body"]}, "8": {"crate_id": 4, "path": ["http", "Uri"]}},
        "index": {"1": used},
    }
    assert foreign(api) == {"hyper: hyper::Body": "f"}, foreign(api)
    used["inner"]["function"]["sig"]["inputs"][0][1]["resolved_path"]["id"] = 8
    assert foreign(api) == {}


def text(value):
    """A type, in short."""
    if value is None:
        return "()"
    if not isinstance(value, dict):
        return str(value)
    [(kind, part)] = list(value.items())[:1]
    if kind == "resolved_path":
        arguments = (part.get("args") or {}).get("angle_bracketed", {}).get("args", [])
        inner = ", ".join(text(argument.get("type", argument)) for argument in arguments if isinstance(argument, dict))
        return part["path"].split("::")[-1] + (f"<{inner}>" if inner else "")
    if kind == "primitive" or kind == "generic":
        return part
    if kind == "borrowed_ref":
        return "&" + ("mut " if part.get("is_mutable") else "") + text(part["type"])
    if kind == "tuple":
        return "(" + ", ".join(map(text, part)) + ")"
    if kind == "slice":
        return f"[{text(part)}]"
    if kind == "impl_trait":
        return "impl " + " + ".join(
            bound["trait_bound"]["trait"]["path"].split("::")[-1] for bound in part if "trait_bound" in bound
        )
    if kind == "qualified_path":
        return part["name"]
    return kind


def listing(api):
    index = api["index"]

    def lines(identity, prefix):
        item = index.get(str(identity))
        if not item or item["crate_id"] != 0:
            return
        [(kind, inner)] = item["inner"].items()
        name = f"{prefix}::{item['name']}" if item["name"] else prefix
        if kind == "module":
            for member in inner["items"]:
                yield from lines(member, name)
        elif kind == "use":
            if inner.get("id") is not None:
                yield from lines(inner["id"], prefix)
        elif kind == "function":
            inputs = ", ".join(text(value) if argument == "self" else f"{argument}: {text(value)}" for argument, value in inner["sig"]["inputs"])
            how = "async " if inner["header"]["is_async"] else ""
            yield f"{how}fn {name}({inputs}) -> {text(inner['sig']['output'])}"
        elif kind in ("struct", "enum", "trait"):
            yield f"{kind} {name}"
            for member in inner.get("variants", []) + (inner.get("items", []) if kind == "trait" else []):
                yield from lines(member, name)
            if kind == "struct" and isinstance(inner["kind"], dict) and "plain" in inner["kind"]:
                for member in inner["kind"]["plain"]["fields"]:
                    yield from lines(member, name)
            for implementation in inner.get("impls", []) + inner.get("implementations", []):
                block = index.get(str(implementation))
                if block and "impl" in block["inner"] and block["inner"]["impl"]["trait"] is None:
                    for member in block["inner"]["impl"]["items"]:
                        yield from lines(member, name)
        else:
            yield f"{kind} {name}"

    seen = dict.fromkeys(lines(api["root"], ""))
    return [line.replace(" ::", " ", 1) for line in seen]


self_test()
crate = "gce-auth"
if sys.argv[1:2] == ["--list"]:
    for listed in sys.argv[2:] or [crate]:
        print("\n".join(listing(document(listed))))
    sys.exit()
api = document(crate)
own = sum(item["crate_id"] == 0 for item in api["index"].values())
found = foreign(api)
for name, where in sorted(found.items()):
    print(f"{name}, in {where}")
if found or own < 300:
    sys.exit(f"{len(found)} foreign types in the public API, of {own} items")
print(f"{own} items of {crate} name no type but those of {', '.join(sorted(ALLOWED))}")

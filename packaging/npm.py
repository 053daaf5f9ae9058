"""Makes npm packages that carry the command: npm.py COMMAND TARGET VERSION OUT, and npm.py --parent VERSION OUT

One package for each platform holds the binary. The parent has them as optional dependencies, of which npm
installs the one that fits, and starts it. No script runs at installation. The same input makes the same bytes.
"""

import gzip
import io
import json
import os
import pathlib
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLATFORMS = {"x86_64": "x64", "aarch64": "arm64"}
LICENCES = {name: (ROOT / name).read_bytes() for name in ("LICENSE-MIT", "LICENSE-APACHE")}
START = """#!/usr/bin/env node
// Starts the command of the package for this platform, and ends as it ends.
const { spawnSync } = require("node:child_process");

const name = `gce-auth-cli-${process.platform}-${process.arch}`;
let command;
try {
  command = require.resolve(`${name}/bin/gce-auth`);
} catch {
  console.error(`gce-auth: there is no ${name}; gce-auth runs on linux-x64 and linux-arm64`);
  process.exit(1);
}
const ran = spawnSync(command, process.argv.slice(2), { stdio: "inherit" });
if (ran.error) {
  console.error(`gce-auth: cannot run ${command}: ${ran.error.message}`);
  process.exit(126);
}
if (ran.signal) process.kill(process.pid, ran.signal);
process.exit(ran.status ?? 1);
"""


def manifest(name, version, **more):
    document = {
        "name": name,
        "version": version,
        "description": "Identity for programs on Google Cloud: tokens, credential helpers, a guarding agent, an emulator",
        "license": "MIT OR Apache-2.0",
        **more,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def pack(path, files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content, mode in files:
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size, entry.mode, entry.mtime = len(content), mode, int(os.environ["SOURCE_DATE_EPOCH"])
            archive.addfile(entry, io.BytesIO(content))
    path.write_bytes(gzip.compress(buffer.getvalue(), 9, mtime=0))


def licences():
    return [(name, content, 0o644) for name, content in LICENCES.items()]


if sys.argv[1] == "--parent":
    version, out = sys.argv[2:]
    children = {f"gce-auth-cli-linux-{cpu}": version for cpu in PLATFORMS.values()}
    document = manifest("gce-auth-cli", version, bin={"gce-auth": "start.js"}, optionalDependencies=children, engines={"node": ">=14.16"})
    readme = (ROOT / "gce-auth-cli/README.md").read_bytes()
    files = [("package.json", document, 0o644), ("start.js", START.encode(), 0o755), ("README.md", readme, 0o644)]
    pack(pathlib.Path(out) / f"gce-auth-cli-{version}.tgz", files + licences())
else:
    command, target, version, out = sys.argv[1:]
    cpu = PLATFORMS[target.split("-")[0]]
    name = f"gce-auth-cli-linux-{cpu}"
    document = manifest(name, version, os=["linux"], cpu=[cpu])
    files = [("package.json", document, 0o644), ("bin/gce-auth", pathlib.Path(command).read_bytes(), 0o755)]
    pack(pathlib.Path(out) / f"{name}-{version}.tgz", files + licences())

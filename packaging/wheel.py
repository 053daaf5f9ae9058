"""Makes a wheel that carries the command, for `pip install` and `uv tool install`: wheel.py COMMAND TARGET VERSION OUT

The wheel holds no Python: it puts the static command among the scripts of the environment. The same input
makes the same bytes.
"""

import base64
import hashlib
import os
import pathlib
import sys
import time
import zipfile

command, target, version, out = sys.argv[1:]
cpu = target.split("-")[0]
# Static, so it runs with either C library.
tag = f"py3-none-manylinux_2_17_{cpu}.manylinux2014_{cpu}.musllinux_1_1_{cpu}"
info = f"gce_auth_cli-{version}.dist-info"
root = pathlib.Path(__file__).resolve().parent.parent
when = time.gmtime(max(int(os.environ["SOURCE_DATE_EPOCH"]), 315619200))[:6]  # a zip archive begins in 1980

files = [
    (f"gce_auth_cli-{version}.data/scripts/gce-auth", pathlib.Path(command).read_bytes(), 0o755),
    (
        f"{info}/METADATA",
        f"Metadata-Version: 2.4\nName: gce-auth-cli\nVersion: {version}\n"
        "Summary: Identity for programs on Google Cloud: tokens, credential helpers, a guarding agent, an emulator\n"
        "License-Expression: MIT OR Apache-2.0\nLicense-File: LICENSE-MIT\nLicense-File: LICENSE-APACHE\n"
        "Requires-Python: >=3.7\nDescription-Content-Type: text/markdown\n\n".encode()
        + (root / "gce-auth-cli/README.md").read_bytes(),
        0o644,
    ),
    (
        f"{info}/WHEEL",
        "Wheel-Version: 1.0\nGenerator: gce-auth packaging\nRoot-Is-Purelib: false\n".encode()
        + "".join(f"Tag: py3-none-{platform}\n" for platform in tag.split("-")[2].split(".")).encode(),
        0o644,
    ),
]
files += [(f"{info}/licenses/{name}", (root / name).read_bytes(), 0o644) for name in ("LICENSE-MIT", "LICENSE-APACHE")]


def digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


record = "".join(f"{name},sha256={digest(content)},{len(content)}\n" for name, content, _ in files)
files.append((f"{info}/RECORD", (record + f"{info}/RECORD,,\n").encode(), 0o644))

with zipfile.ZipFile(f"{out}/gce_auth_cli-{version}-{tag}.whl", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
    for name, content, mode in files:
        entry = zipfile.ZipInfo(name, when)
        entry.external_attr = (0o100000 | mode) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        wheel.writestr(entry, content)

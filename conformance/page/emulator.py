"""An emulator of its own, and requests to it."""

import json
import subprocess
import urllib.error
import urllib.request

TREE = "/computeMetadata/v1/"


class Emulator:
    def __init__(self, program):
        self.child = subprocess.Popen([program, "emulate", "--port", "0", "--ready-json"], stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, text=True)
        self.url = json.loads(self.child.stdout.readline())["url"]
        host, port = self.url.removeprefix("http://").split(":")
        self.address = host, int(port)

    def close(self):
        self.child.kill()
        self.child.wait()

    def ask(self, target, headers=None, method="GET", body=None):
        request = urllib.request.Request(self.url + target, body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def get(self, path):
        return self.ask(TREE + path, {"Metadata-Flavor": "Google"})

    def control(self, path, method="GET", body=None):
        status, answer = self.ask("/emulator/v1/" + path, method=method, body=None if body is None else json.dumps(body).encode())
        assert status == 200, f"{method} {path}: {status} {answer}"
        return json.loads(answer)

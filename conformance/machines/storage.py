"""pyarrow's Cloud Storage client (C++), with the identity of the machine, against a stub of the API."""

import http.server
import json
import threading
import urllib.request

import pyarrow
from pyarrow import fs

seen = []


class Storage(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append(self.headers.get("authorization", ""))
        body = json.dumps({"kind": "storage#objects", "items": []}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Storage)
threading.Thread(target=server.serve_forever, daemon=True).start()
storage = fs.GcsFileSystem(
    endpoint_override="127.0.0.1:%d" % server.server_address[1], scheme="http", retry_time_limit=None)
storage.get_file_info(fs.FileSelector("bucket", allow_not_found=True))
assert seen, "pyarrow asked the stub for nothing"
scheme, token = seen[0].split(" ", 1)
request = urllib.request.Request(
    "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token",
    headers={"Metadata-Flavor": "Google"})
held = json.load(urllib.request.urlopen(request))["access_token"]
assert scheme == "Bearer" and token == held, "another token than the machine's"
print("pyarrow", pyarrow.__version__ + ": the stub of Cloud Storage got the machine's token")

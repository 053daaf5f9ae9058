"""Many threads want a token of the same google-auth credentials at the same moment.

    crowd.py THREADS AGE

Fetches a token first and lets it grow AGE seconds old, unless AGE is 0. Says "ready" when all
threads stand at the gate, and opens it at the next line that comes. Then prints, for each thread,
after how many nanoseconds it asked and went on, and whether it had a token.
"""

import logging
import sys
import threading
import time

import google.auth.transport.requests
from google.auth import compute_engine

threads, age = int(sys.argv[1]), float(sys.argv[2])
credentials = compute_engine.Credentials()
request = google.auth.transport.requests.Request()
logging.disable()  # that more connections are open than are kept
if age:
    credentials.refresh(request)
    time.sleep(age)

gate = threading.Event()
seen = []


def call():
    gate.wait()
    asked = time.perf_counter_ns()
    headers = {}
    try:
        credentials.before_request(request, "GET", "https://storage.googleapis.com/", headers)
    except google.auth.exceptions.GoogleAuthError:
        pass
    good = headers.get("authorization", "").startswith("Bearer ya29.c.")
    seen.append((asked, time.perf_counter_ns(), good))


threading.stack_size(256 * 1024)
callers = [threading.Thread(target=call) for _ in range(threads)]
for caller in callers:
    caller.start()
print("ready", flush=True)
sys.stdin.readline()
come = time.perf_counter_ns()
gate.set()
for caller in callers:
    caller.join()
for asked, went, good in seen:
    print(asked - come, went - come, int(good))

#!/usr/bin/env python3
"""Drives the command gce-auth under the judge of faults: a process for each call.

  command_driver.py scenarios < list.json      the scenarios that are one call, separated by commas
  command_driver.py GCE_AUTH access_token
  command_driver.py GCE_AUTH id_token AUDIENCE

The exit code says which kind of error it was, and where one code stands for several kinds, the message does.
"""

import json
import re
import subprocess
import sys


def scenarios():
    for scenario in json.load(sys.stdin):
        steps = scenario["steps"]
        call = steps[0].get("call", "") if len(steps) == 1 else ""
        alone = steps[0].get("n", 1) == 1 and "poll" not in steps[0]
        if alone and call.split(" ")[0] in ("access_token", "id_token"):
            yield scenario["id"]


def call(gce_auth, operation):
    commands = {
        "access_token": ["token"],
        "id_token": ["id-token", "--audience", *operation[1:]],
    }
    command = commands.get(operation[0])
    if command is None:
        return {"ok": False, "error_kind": "unsupported", "message": operation[0]}
    ran = subprocess.run(
        [gce_auth, *command, "--format", "json"], capture_output=True, text=True
    )
    if ran.returncode == 0:
        found = json.loads(ran.stdout)
        return {"ok": True, "token": found["token"], "expires_in_s": found["expires_in"]}
    message = ran.stderr.strip()
    if ran.stdout or not message.startswith("gce-auth: ") or "\n" in message:
        return {"ok": False, "error_kind": "crash", "message": message or ran.stdout}
    return {"ok": False, "error_kind": kind(ran.returncode, message), "message": message}


def kind(code, message):
    if code == 3:
        impostor = "Metadata-Flavor" in message or "redirect" in message
        return "not_metadata_server" if impostor else "unavailable"
    if code == 1:
        status = re.search(r"\b(408|429|5\d\d)\b", message)
        if status:
            return "rate_limited" if status[1] == "429" else "unavailable"
        return "expired" if "expired" in message else "invalid_response"
    return {4: "timeout", 5: "forbidden", 6: "not_found", 7: "expired"}.get(code, f"internal:{code}")


def main():
    if sys.argv[1:] == ["scenarios"]:
        print(",".join(scenarios()))
    elif len(sys.argv) < 3:
        sys.exit(__doc__)
    else:
        print(json.dumps(call(sys.argv[1], sys.argv[2:])))


if __name__ == "__main__":
    main()

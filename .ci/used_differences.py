"""Fails on an entry of conformance/allow.json that no comparison needed.

    used_differences.py ALLOW.json REPORT.json..

The reports are the oracle's, over all recorded programs.
"""

import json
import sys

allow, *reports = (json.load(open(name, encoding="utf-8")) for name in sys.argv[1:])
used = {
    entry
    for report in reports
    for scenario in report["scenarios"].values()
    for entry in scenario.get("allowed_by", ())
}
unused = [entry["id"] for entry in allow["allow"] if entry["id"] not in used]
if unused:
    sys.exit("differences that nothing needs any more, to be deleted: " + ", ".join(unused))
print(f"each of {len(allow['allow'])} differences is needed")

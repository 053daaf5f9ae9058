"""Judges what a rebinding attack came to: judge.py ATTACKER refused|leak < OUTCOME."""

import json
import sys

attacker, expect = sys.argv[1:]
outcome = json.load(sys.stdin)
answers = outcome["answers"]
statuses = sorted({status for _, status, _ in answers})
print(f"rebinding from {attacker}: {len(answers)} answers reached the page, statuses {statuses}, "
      f"leaked: {outcome['leaked']}")
if not answers:
    sys.exit(f"the attack itself failed: {outcome}")
if expect == "leak":
    sys.exit(0 if outcome["leaked"] else "no token leaked")
if outcome["leaked"]:
    sys.exit("a page of another origin read a token")
through = [answer for answer in answers if answer[1] != 403]
if through:
    sys.exit(f"requests of another origin were answered: {through[:3]}")

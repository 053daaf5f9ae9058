"""How the programs here say what they found."""

import datetime
import hashlib
import importlib.metadata
import json
import os
import urllib.parse


def say(step, **found):
    print(json.dumps({"step": step, **found}), flush=True)


def library(name):
    say("library", name=name, version=importlib.metadata.version(name))


def redacted(token):
    return {
        "length": len(token),
        "sha256": hashlib.sha256(token.encode()).hexdigest()[:16],
    }


def seconds_left(expiry):
    """google-auth keeps expiry as UTC without a zone."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    return (expiry - now).total_seconds()


def tokeninfo(request, token):
    query = urllib.parse.urlencode({"access_token": token})
    response = request(f"{os.environ['TOKENINFO_URL']}?{query}", method="GET")
    return {"status": response.status, **json.loads(response.data)}

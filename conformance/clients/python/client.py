"""What a Python program on Google Cloud does with google-auth, step by step.

Nothing here knows that an emulator may answer: the metadata server is found
through google-auth's own environment variables. The addresses of the services
beside it, which google-auth would take from its built-in defaults, come from
TOKENINFO_URL, CERTS_URL and JWKS_URL, and the audience from AUDIENCE.

Each step prints one JSON document on a line of its own. A token is shown only
by its length and the beginning of its SHA-256.
"""

import datetime
import hashlib
import json
import os

import google.auth
import google.auth.transport.requests
from google.auth import compute_engine
from google.auth.compute_engine import _metadata
from google.oauth2 import id_token


def say(step, **found):
    print(json.dumps({"step": step, **found}), flush=True)


def redacted(token):
    return {
        "length": len(token),
        "sha256": hashlib.sha256(token.encode()).hexdigest()[:16],
    }


def seconds_left(expiry):
    """google-auth keeps expiry as UTC without a zone."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    return (expiry - now).total_seconds()


def tokeninfo(request, **parameter):
    query = "&".join(f"{name}={value}" for name, value in parameter.items())
    response = request(f"{os.environ['TOKENINFO_URL']}?{query}", method="GET")
    return {"status": response.status, **json.loads(response.data)}


def main():
    request = google.auth.transport.requests.Request()
    audience = os.environ["AUDIENCE"]

    say("ping", reachable=_metadata.ping(request))
    say("project", id=_metadata.get_project_id(request))

    credentials = compute_engine.Credentials()
    credentials.refresh(request)
    say(
        "access_token",
        token=redacted(credentials.token),
        valid=credentials.valid,
        seconds_left=seconds_left(credentials.expiry),
        email=credentials.service_account_email,
        universe=credentials.universe_domain,
    )
    say("access_token_info", **tokeninfo(request, access_token=credentials.token))

    identity = compute_engine.IDTokenCredentials(
        request, audience, use_metadata_identity_endpoint=True
    )
    identity.refresh(request)
    say(
        "id_token",
        token=redacted(identity.token),
        valid=identity.valid,
        seconds_left=seconds_left(identity.expiry),
    )
    for step, url in [("certs", "CERTS_URL"), ("jwks", "JWKS_URL")]:
        claims = id_token.verify_token(
            identity.token, request, audience=audience, certs_url=os.environ[url]
        )
        say(f"id_token_by_{step}", claims=dict(claims))

    default, project = google.auth.default()
    say("default", type=type(default).__module__, project=project)


if __name__ == "__main__":
    main()

"""What a Python program does with google-auth to sign without a key file.

The IAM Credentials API signs for the machine's account, and Google's token
endpoint gives an ID token for what was signed. google-auth takes the address
of that endpoint as an argument; it comes from TOKEN_URL. It has no setting for
the address of the IAM Credentials API, but it leaves connections to a session
of requests, and such a session sends what begins with one address to another
as it is told: to IAM_URL.
"""

import os
import time

import google.auth.transport.requests
import requests
from google.auth import compute_engine, crypt
from google.oauth2 import id_token

from elsewhere import session
from report import library, redacted, say

IAM = "https://iamcredentials.googleapis.com"

# How long the regional access boundary may take that is looked up beside the
# first request.
PATIENCE = 30


def identity_token(request, audience):
    identity = compute_engine.IDTokenCredentials(
        request,
        audience,
        token_uri=os.environ["TOKEN_URL"],
        additional_claims={"team": "orders"},
    )
    identity.refresh(request)
    claims = id_token.verify_token(
        identity.token, request, audience=audience, certs_url=os.environ["CERTS_URL"]
    )
    say("id_token", token=redacted(identity.token), claims=dict(claims))

    message = b"GET\n/orders/2026/11.csv\n"
    signature = identity.sign_bytes(message)
    certificates = requests.get(os.environ["CERTS_URL"], timeout=PATIENCE).json()
    say(
        "signature",
        signer=identity.signer_email,
        length=len(signature),
        verified=crypt.verify_signature(message, signature, list(certificates.values())),
        of_another=crypt.verify_signature(b"other", signature, list(certificates.values())),
    )


def boundary(request):
    """The header appears on a later request than the first."""
    credentials = compute_engine.Credentials()
    until = time.monotonic() + PATIENCE
    headers = {}
    while "x-allowed-locations" not in headers and time.monotonic() < until:
        headers = {}
        credentials.before_request(
            request, "GET", "https://storage.googleapis.com/orders", headers
        )
        time.sleep(0.01)
    say("boundary", header=headers.get("x-allowed-locations"))


def main():
    library("google-auth")
    request = google.auth.transport.requests.Request(
        session({IAM: os.environ["IAM_URL"]})
    )
    identity_token(request, os.environ["AUDIENCE"])
    boundary(request)


if __name__ == "__main__":
    main()

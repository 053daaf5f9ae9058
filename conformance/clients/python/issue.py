"""The ID tokens that a Python program makes with google-auth, in every way that
it has.

KEYS names a file with the private keys `rsa` and `ec`, whose public halves
TOKEN_URL knows as those of EMAIL. The tokens are good for nothing outside of a
test, and shown whole: another program verifies them.
"""

import json
import os
import time

import google.auth.transport.requests
from google.auth import compute_engine, crypt, jwt
from google.oauth2 import service_account

from elsewhere import session
from report import library, say

IAM = "https://iamcredentials.googleapis.com"


def main():
    library("google-auth")
    audience, email = os.environ["AUDIENCE"], os.environ["EMAIL"]
    token_uri = os.environ["TOKEN_URL"]
    request = google.auth.transport.requests.Request(
        session({IAM: os.environ["IAM_URL"]})
    )
    with open(os.environ["KEYS"], encoding="utf-8") as file:
        keys = json.load(file)
    rsa = crypt.RSASigner.from_string(keys["rsa"], key_id="rsa")
    ec = crypt.ES256Signer.from_string(keys["ec"], key_id="ec")

    def fetched(how, credentials):
        credentials.refresh(request)
        say("made", how=how, token=credentials.token)

    def on_compute_engine(**more):
        return compute_engine.IDTokenCredentials(request, audience, **more)

    fetched(
        "metadata flow",
        on_compute_engine(use_metadata_identity_endpoint=True),
    )
    fetched("IAM flow", on_compute_engine(token_uri=token_uri))
    for name, signer in (("RS256", rsa), ("ES256", ec)):
        fetched(
            f"IAM flow, signer of its own, {name}",
            on_compute_engine(
                token_uri=token_uri, signer=signer, service_account_email=email
            ),
        )
    fetched(
        "key of a service account",
        service_account.IDTokenCredentials(rsa, email, token_uri, audience),
    )

    now = int(time.time())
    claims = {
        "iss": "https://accounts.google.com",
        "aud": audience,
        "sub": "1134",
        "email": email,
        "email_verified": True,
        "iat": now - 1,
        "exp": now + 600,
    }
    for name, signer in (("RS256", rsa), ("ES256", ec)):
        token = jwt.encode(signer, claims).decode()
        say("made", how=f"signed here, {name}", token=token, by_given_keys=True)


if __name__ == "__main__":
    main()

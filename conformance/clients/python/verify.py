"""What a Python service does with google-auth when a request carries an ID
token.

The file that TOKENS names holds tokens by name, for AUDIENCE. Each is given to
`verify_oauth2_token`, whose keys are certificates at a fixed address, for which
CERTS_URL stands in, and to `verify_token` with the JWK set at JWKS_URL, which
leaves that to PyJWT and looks at no issuer.
"""

import json
import os

import google.auth.transport.requests
from google.oauth2 import id_token

from elsewhere import session
from report import library, say

CERTS = "https://www.googleapis.com/oauth2/v1/certs"


def judge(verifier, name, verify):
    try:
        claims = verify()
    except Exception as refusal:  # Whatever it is, the token was not accepted.
        why = f"{type(refusal).__name__}: {refusal}"[:200]
        say("verified", verifier=verifier, name=name, accepted=False, why=why)
    else:
        say("verified", verifier=verifier, name=name, accepted=True, claims=dict(claims))


def main():
    library("google-auth")
    library("pyjwt")
    audience = os.environ["AUDIENCE"]
    jwks = os.environ["JWKS_URL"]
    request = google.auth.transport.requests.Request(
        session({CERTS: os.environ["CERTS_URL"]})
    )
    with open(os.environ["TOKENS"], encoding="utf-8") as file:
        tokens = json.load(file)
    for entry in tokens:
        name, token = entry["name"], entry["token"]
        judge(
            "google-auth",
            name,
            lambda: id_token.verify_oauth2_token(token, request, audience),
        )
        judge(
            "google-auth with a JWK set",
            name,
            lambda: id_token.verify_token(token, request, audience, certs_url=jwks),
        )


if __name__ == "__main__":
    main()

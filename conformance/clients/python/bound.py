"""What a Python program does with google-auth where the platform gave it a
certificate: its tokens are bound to that.

google-auth finds the certificate through GOOGLE_API_CERTIFICATE_CONFIG.
"""

import os

import google.auth.transport.requests
from google.auth import compute_engine
from google.oauth2 import id_token

from report import library, redacted, say, seconds_left, tokeninfo


def main():
    library("google-auth")
    request = google.auth.transport.requests.Request()

    credentials = compute_engine.Credentials()
    credentials.refresh(request)
    say(
        "access_token",
        token=redacted(credentials.token),
        seconds_left=seconds_left(credentials.expiry),
    )
    say("access_token_info", **tokeninfo(request, credentials.token))

    audience = os.environ["AUDIENCE"]
    identity = compute_engine.IDTokenCredentials(
        request, audience, use_metadata_identity_endpoint=True, bind_id_token=True
    )
    identity.refresh(request)
    claims = id_token.verify_token(
        identity.token, request, audience=audience, certs_url=os.environ["CERTS_URL"]
    )
    say("id_token", token=redacted(identity.token), claims=dict(claims))


if __name__ == "__main__":
    main()

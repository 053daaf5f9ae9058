"""What a Python program on Google Cloud does with google-auth, step by step.

Nothing here knows that an emulator may answer: the metadata server is found
through google-auth's own environment variables. The addresses of the services
beside it, which google-auth would take from its built-in defaults, come from
TOKENINFO_URL, CERTS_URL and JWKS_URL, and the audience from AUDIENCE.

Each step prints one JSON document on a line of its own. A token is shown only
by its length and the beginning of its SHA-256.
"""

import os

import google.auth
import google.auth.exceptions
import google.auth.transport.requests
from google.auth import compute_engine
from google.auth.compute_engine import _metadata
from google.oauth2 import id_token

from report import library, redacted, say, seconds_left, tokeninfo


def metadata(request):
    say("detection", present=_metadata.ping(request))
    say("on_gce", by_detection=_metadata.is_on_gce(request))
    say(
        "project",
        id=_metadata.get_project_id(request),
        number=_metadata.get(request, "project/numeric-project-id"),
    )
    say(
        "machine",
        id=_metadata.get(request, "instance/id"),
        zone=_metadata.get(request, "instance/zone"),
    )
    say("attribute", value=_metadata.get(request, "instance/attributes/color"))
    account = _metadata.get_service_account_info(request)
    say("account", email=account["email"], scopes=account["scopes"])
    say("universe", domain=_metadata.get_universe_domain(request))


def access_token(request):
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
    say("access_token_info", **tokeninfo(request, credentials.token))


def identity_token(request, audience):
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
    for step, url in [("id_token_verified", "CERTS_URL"), ("id_token_by_jwks", "JWKS_URL")]:
        claims = id_token.verify_token(
            identity.token, request, audience=audience, certs_url=os.environ[url]
        )
        say(step, claims=dict(claims))
    try:
        id_token.verify_token(
            identity.token,
            request,
            audience="https://other.example.com",
            certs_url=os.environ["CERTS_URL"],
        )
        say("other_audience", refused=False)
    except google.auth.exceptions.GoogleAuthError:
        say("other_audience", refused=True)

    # The short way to the same, from the application default credentials.
    token = id_token.fetch_id_token(request, audience)
    claims = id_token.verify_token(
        token, request, audience=audience, certs_url=os.environ["CERTS_URL"]
    )
    say("fetch_id_token", claims=dict(claims))


def main():
    library("google-auth")
    request = google.auth.transport.requests.Request()
    metadata(request)
    access_token(request)
    identity_token(request, os.environ["AUDIENCE"])

    default, project = google.auth.default()
    say("default", type=type(default).__module__, project=project)


if __name__ == "__main__":
    main()

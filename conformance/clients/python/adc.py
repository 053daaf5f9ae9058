"""What a Python program does with each kind of credentials file.

ADC_FOLDER holds files named after their kinds. google-auth ignores the address
of the token endpoint in a user's file, the address of the IAM Credentials API
in an impersonated account's, and STS has one address in downscoped
credentials: those lead to EMULATOR_URL by sessions that send what begins with
one address to another.
"""

import json
import os
import pathlib

import google.auth
import google.auth.transport.requests
from google.auth import downscoped, exceptions, impersonated_credentials
from google.oauth2 import credentials as users
from google.oauth2 import id_token

from elsewhere import everywhere
from report import library, say, tokeninfo

URL = os.environ["EMULATOR_URL"]
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
KINDS = ["authorized_user", "service_account", "impersonated", "external_account"]
GOOGLE = [
    "https://oauth2.googleapis.com",
    "https://iamcredentials.googleapis.com",
    "https://sts.googleapis.com",
    "https://cloudresourcemanager.googleapis.com",
]
BUCKET = "//storage.googleapis.com/projects/_/buckets/orders"
VIEWER = "inRole:roles/storage.objectViewer"


def load(request, kind):
    path = pathlib.Path(os.environ["ADC_FOLDER"], f"{kind}.json")
    return google.auth.load_credentials_from_file(
        str(path), scopes=[SCOPE], request=request
    )


def files(request):
    """Each file gives tokens, again and again, and the project where it knows one."""
    for kind in KINDS:
        made, project = load(request, kind)
        made.refresh(request)
        first = made.token
        made.refresh(request)
        info = tokeninfo(request, made.token)
        say(
            kind,
            type=type(made).__name__,
            valid=made.valid,
            fresh=made.token != first,
            project=project,
            who=info.get("email") or info.get("principal"),
            scope=info.get("scope"),
        )


def identity(request):
    """An ID token for an account that is impersonated by a workload."""
    source, _ = load(request, "external_account")
    target = impersonated_credentials.Credentials(
        source, os.environ["TARGET"], [SCOPE], delegates=[os.environ["DELEGATE"]]
    )
    made = impersonated_credentials.IDTokenCredentials(
        target, os.environ["AUDIENCE"], include_email=True
    )
    made.refresh(request)
    claims = id_token.verify_token(
        made.token,
        request,
        audience=os.environ["AUDIENCE"],
        certs_url=os.environ["CERTS_URL"],
    )
    say("id_token", claims=dict(claims))


def narrow(request):
    """A token of a boundary does what it may, and nothing else."""
    source, _ = load(request, "service_account")
    rule = downscoped.AccessBoundaryRule(
        available_resource=BUCKET,
        available_permissions=[VIEWER],
        availability_condition=downscoped.AvailabilityCondition(
            "resource.name.startsWith('projects/_/buckets/orders/objects/2026/')"
        ),
    )
    made = downscoped.Credentials(
        source, downscoped.CredentialAccessBoundary(rules=[rule])
    )
    made.refresh(request)

    def allowed(resource, permission):
        query = f"access_token={made.token}&resource={resource}&permission={permission}"
        return request(f"{os.environ['TOKENINFO_URL']}?{query}", method="GET").status

    inside = f"{BUCKET}/objects/2026/11.csv"
    say(
        "downscoped",
        valid=made.valid,
        inside=allowed(inside, VIEWER),
        outside=allowed(f"{BUCKET}/objects/2025/11.csv", VIEWER),
        written=allowed(inside, "inRole:roles/storage.objectAdmin"),
    )
    say(
        "beyond_the_boundary",
        **refused(lambda: impersonate(request, made)),
    )


def impersonate(request, source):
    made = impersonated_credentials.Credentials(source, os.environ["TARGET"], [SCOPE])
    made.refresh(request)


def refused(act):
    try:
        act()
    except exceptions.GoogleAuthError as error:
        return {"error": type(error).__name__, "text": str(error)}
    return {"error": None}


def errors(request):
    """Errors have Google's shapes: google-auth tells them apart."""
    path = pathlib.Path(os.environ["ADC_FOLDER"], "authorized_user.json")
    document = json.loads(path.read_text())

    def refresh(**other):
        made = users.Credentials.from_authorized_user_info({**document, **other})
        made.refresh(request)

    say("unknown_refresh_token", **refused(lambda: refresh(refresh_token="x")))
    say("wrong_secret", **refused(lambda: refresh(client_secret="x")))
    say("without_proof", **refused(lambda: refresh(refresh_token=os.environ["REAUTH"])))
    source, _ = load(request, "external_account")
    say("without_grant", **refused(lambda: impersonate(request, source)))
    response = request(
        f"{URL}/revoke", method="POST",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=f"token={document['refresh_token']}",
    )
    say("revoked", status=response.status, **refused(refresh))


def main():
    library("google-auth")
    everywhere({origin: URL for origin in GOOGLE})
    request = google.auth.transport.requests.Request()
    files(request)
    identity(request)
    narrow(request)
    errors(request)


if __name__ == "__main__":
    main()

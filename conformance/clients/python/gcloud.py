"""What a person or a script does with gcloud on Google Cloud, step by step.

gcloud finds the metadata server through its own environment variables. It is no
package of Python's index, so it takes part where it is installed. Its ID token is
verified by google-auth.
"""

import json
import os
import shutil
import subprocess
import tempfile

import google.auth.transport.requests
from google.oauth2 import id_token

from report import redacted, say, tokeninfo


def gcloud(*arguments):
    command = ["gcloud", "--quiet", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def main():
    if not shutil.which("gcloud"):
        say("missing", program="gcloud")
        return
    version = json.loads(gcloud("version", "--format=json"))["Google Cloud SDK"]
    say("library", name="gcloud", version=version)
    account = gcloud("auth", "list", "--format=value(account)", "--filter=status:ACTIVE")
    say("detection", present=bool(account))
    say("account", email=account)
    say("project", id=gcloud("config", "get-value", "project"))

    request = google.auth.transport.requests.Request()
    token = gcloud("auth", "print-access-token")
    say("access_token", token=redacted(token))
    say("access_token_info", **tokeninfo(request, token))

    audience = os.environ["AUDIENCE"]
    token = gcloud(
        "auth", "print-identity-token", f"--audiences={audience}", "--token-format=full"
    )
    claims = id_token.verify_token(
        token, request, audience=audience, certs_url=os.environ["CERTS_URL"]
    )
    say("id_token", claims=dict(claims))


if __name__ == "__main__":
    # Settings of its own, and no token that an earlier run has kept.
    with tempfile.TemporaryDirectory() as settings:
        os.environ["CLOUDSDK_CONFIG"] = settings
        os.environ["CLOUDSDK_CORE_DISABLE_USAGE_REPORTING"] = "true"
        main()

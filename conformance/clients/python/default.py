"""What a program does that leaves everything to google.auth.default()."""

import google.auth
import google.auth.transport.requests

from report import library, redacted, say, tokeninfo


def main():
    library("google-auth")
    request = google.auth.transport.requests.Request()
    credentials, project = google.auth.default()
    credentials.refresh(request)
    say(
        "access_token",
        token=redacted(credentials.token),
        valid=credentials.valid,
        project=project,
    )
    say("access_token_info", **tokeninfo(request, credentials.token))


if __name__ == "__main__":
    main()

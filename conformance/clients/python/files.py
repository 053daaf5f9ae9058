"""A token with each kind of credentials file, as any program gets one.

ADC_FOLDER holds files named after their kinds, ADC_KINDS names the kinds.
"""

import os
import pathlib

import google.auth
import google.auth.transport.requests

from report import library, redacted, say, seconds_left, tokeninfo

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def main():
    library("google-auth")
    request = google.auth.transport.requests.Request()
    for kind in os.environ["ADC_KINDS"].split():
        path = pathlib.Path(os.environ["ADC_FOLDER"], f"{kind}.json")
        made, _ = google.auth.load_credentials_from_file(
            str(path), scopes=[SCOPE], request=request
        )
        made.refresh(request)
        say(
            kind,
            token=redacted(made.token),
            seconds_left=seconds_left(made.expiry),
            info=tokeninfo(request, made.token),
        )


if __name__ == "__main__":
    main()

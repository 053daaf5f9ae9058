"""What a Python program does with google-cloud-storage to sign URLs with the
key of a service account.

The file that CASES names holds account, key and what is wished for; each URL
becomes one step. It makes no request.
"""

import json
import os

from google.cloud import storage
from google.oauth2 import service_account

from report import library, say


def signed(client, case):
    bucket = client.bucket(case["bucket"])
    of = bucket.blob(case["object"]) if "object" in case else bucket
    style = case.get("urlStyle")
    options = {}
    if style == "VIRTUAL_HOSTED_STYLE":
        options["virtual_hosted_style"] = True
    if style == "BUCKET_BOUND_HOSTNAME":
        options["bucket_bound_hostname"] = case["bucketBoundHostname"]
        options["scheme"] = case.get("scheme", "https")
    if "clientEndpoint" in case:
        options["api_access_endpoint"] = case["clientEndpoint"]
    return of.generate_signed_url(
        version="v4",
        expiration=case["expiration"],
        method=case["method"],
        headers=case.get("headers"),
        query_parameters=case.get("queryParameters"),
        **options,
    )


def main():
    library("google-cloud-storage")
    with open(os.environ["CASES"], encoding="utf-8") as file:
        task = json.load(file)
    credentials = service_account.Credentials.from_service_account_info(
        {
            "client_email": task["email"],
            "private_key": task["private_key"],
            "token_uri": "http://localhost/token",
        }
    )
    client = storage.Client(project="interop-project", credentials=credentials)
    for number, case in enumerate(task["cases"]):
        say("signed_url", case=number, url=signed(client, case))


if __name__ == "__main__":
    main()

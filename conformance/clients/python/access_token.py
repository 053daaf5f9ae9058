"""Prints an access token of the machine, in the shortest way that google-auth has."""

import google.auth.transport.requests
from google.auth import compute_engine

credentials = compute_engine.Credentials()
credentials.refresh(google.auth.transport.requests.Request())
print(credentials.token)

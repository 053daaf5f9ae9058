"""Prints a token, of the class that asks the metadata server."""

import google.auth.transport.requests
from google.auth import compute_engine

credentials = compute_engine.Credentials()
credentials.refresh(google.auth.transport.requests.Request())
print(credentials.token)

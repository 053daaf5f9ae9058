"""Prints a token, of whatever credentials google-auth finds."""

import google.auth
import google.auth.transport.requests

credentials, _ = google.auth.default()
credentials.refresh(google.auth.transport.requests.Request())
print(credentials.token)

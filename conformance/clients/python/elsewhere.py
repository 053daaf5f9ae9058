"""Sends what google-auth would send to Google's own addresses to others."""

import requests


class Elsewhere(requests.adapters.HTTPAdapter):
    """Sends requests for what begins with one address to another."""

    # What a copy has too: google-auth copies the session for its own thread.
    __attrs__ = [*requests.adapters.HTTPAdapter.__attrs__, "_origin", "_other"]

    def __init__(self, origin, other):
        super().__init__()
        self._origin = origin
        self._other = other

    def send(self, request, *args, **kwargs):
        request.url = request.url.replace(self._origin, self._other, 1)
        return super().send(request, *args, **kwargs)


def session(others):
    """A session for which each of Google's addresses is another."""
    made = requests.Session()
    for origin, other in others.items():
        made.mount(origin, Elsewhere(origin, other))
    return made


def everywhere(others):
    """Makes each of Google's addresses another for sessions that are made from now on.

    google-auth makes sessions of its own to sign and to ask IAM for ID tokens.
    """
    plain = requests.Session.__init__

    def made(self):
        plain(self)
        for origin, other in others.items():
            self.mount(origin, Elsewhere(origin, other))

    requests.Session.__init__ = made

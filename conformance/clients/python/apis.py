"""Every path of the Google APIs beside the metadata server, by libraries that know it.

google-auth asks what its credentials ask; google-api-python-client sends what
Google's discovery documents describe; requests_oauth2client is a client of the
OAuth standards that STS follows; oauth2client is how programs of 2018 revoke.
Each is led to EMULATOR_URL, and each asks for the errors, too.
"""

import base64
import json
import os
import pathlib
import time

import google.auth
import google.auth.transport.requests
import googleapiclient.discovery
import googleapiclient.errors
import httplib2
import jwt
import requests
import requests_oauth2client
from google.auth import (
    external_account,
    external_account_authorized_user,
    iam,
    impersonated_credentials,
)
from google.oauth2 import _client, id_token, service_account, sts
from google.oauth2 import credentials as users
from google.oauth2.utils import ClientAuthentication, ClientAuthType
from oauth2client import client as oauth2client

from elsewhere import everywhere
from report import library, say

URL = os.environ["EMULATOR_URL"]
EMAIL = os.environ["EMAIL"]
TARGET = os.environ["TARGET"]
DELEGATE = os.environ["DELEGATE"]
NUMBER = os.environ["NUMBER"]
FOLDER = pathlib.Path(os.environ["ADC_FOLDER"])
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
BASIC = ClientAuthType.basic
POOL = f"projects/{NUMBER}/locations/global/workloadIdentityPools/emulator"
BUCKET = "//storage.googleapis.com/projects/_/buckets/orders"
GOOGLE = [
    "https://oauth2.googleapis.com",
    "https://iamcredentials.googleapis.com",
    "https://sts.googleapis.com",
    "https://cloudresourcemanager.googleapis.com",
    "https://www.googleapis.com",
]


# What a proxy says of itself; the emulator refuses it, as the metadata server does.
PROXY = {"X-Forwarded-For": "192.0.2.1"}


def ask(what, act):
    """Does something, and says what came of it: most errors are wanted."""
    try:
        act()
        say(what, error=None)
    except Exception as error:
        say(what, error=type(error).__name__, text=str(error)[:300])


def document(kind):
    return json.loads((FOLDER / f"{kind}.json").read_text())


def bearer(kind="service_account"):
    made, _ = google.auth.load_credentials_from_file(
        str(FOLDER / f"{kind}.json"), scopes=[SCOPE]
    )
    made.refresh(google.auth.transport.requests.Request())
    return made


def http_with(more):
    """An HTTP client that adds headers to every request."""
    http = httplib2.Http()
    plain = http.request

    def request(uri, method="GET", body=None, headers=None, **rest):
        return plain(uri, method, body, {**(headers or {}), **more}, **rest)

    http.request = request
    return http


def behind_a_proxy(request):
    """A transport whose proxy says so, which the metadata server refuses."""

    def forward(*args, headers=None, **kwargs):
        headers = {**(headers or {}), **PROXY}
        return request(*args, headers=headers, **kwargs)

    return forward


# --- OAuth ---------------------------------------------------------------------------------------


def token_endpoint(request, uri):
    """Grants for assertions and refresh tokens, and how they fail."""
    key = {**document("service_account"), "token_uri": uri}
    user = {**document("authorized_user"), "token_uri": uri}

    def signed(**other):
        make = service_account.Credentials.from_service_account_info
        made = make({**key, **other}, scopes=[SCOPE])
        made.refresh(request)

    def identity():
        make = service_account.IDTokenCredentials.from_service_account_info
        made = make(key, target_audience="https://a.example.com")
        made.refresh(request)

    def refresh(scopes=None, rapt_token=None, **other):
        made = {**user, **other}
        users.Credentials(
            None,
            refresh_token=made["refresh_token"],
            client_id=made["client_id"],
            client_secret=made["client_secret"],
            token_uri=uri,
            scopes=scopes,
            rapt_token=rapt_token,
        ).refresh(request)

    def grant(**body):
        _client._token_endpoint_request(request, uri, body, can_retry=False)

    reauth = os.environ["REAUTH"]
    ask("assertion", signed)
    ask("assertion for an ID token", identity)
    ask("assertion of another account", lambda: signed(client_email="x@example.com"))
    ask("refresh", refresh)
    ask("refresh with scopes", lambda: refresh(scopes=[SCOPE]))
    ask("refresh with a proof", lambda: refresh(refresh_token=reauth, rapt_token="proof"))
    ask("refresh without a proof", lambda: refresh(refresh_token=reauth))
    ask("refresh with a wrong proof", lambda: refresh(refresh_token=reauth, rapt_token="x"))
    ask("refresh of an unknown token", lambda: refresh(refresh_token="x"))
    ask("refresh with a wrong secret", lambda: refresh(client_secret="x"))
    ask("refresh of another client's token", lambda: refresh(refresh_token="1//other"))
    ask("refresh with an unknown scope", lambda: refresh(scopes=["nonsense"]))
    ask("no grant type", lambda: grant(scope=SCOPE))
    ask("unknown grant type", lambda: grant(grant_type="x"))
    ask("no assertion", lambda: grant(grant_type=_client._JWT_GRANT_TYPE))
    through = behind_a_proxy(request)
    ask("through a proxy", lambda: _client.jwt_grant(through, uri, "x", can_retry=False))


def old(token, **uris):
    """Credentials of oauth2client."""
    user = document("authorized_user")
    return oauth2client.OAuth2Credentials(
        token,
        user["client_id"],
        user["client_secret"],
        user["refresh_token"],
        None,
        f"{URL}/token",
        "oauth2client/4.1.3",
        **uris,
    )


def revocation(request):
    for path in ["/revoke", "/o/oauth2/revoke"]:
        token = bearer().token
        made = old(token, revoke_uri=f"{URL}{path}")
        made.refresh_token = None
        ask("revoke", lambda made=made: made.revoke(httplib2.Http()))
        ask("revoke again", lambda made=made: made.revoke(httplib2.Http()))
        for given in [bearer().token, "unknown"]:
            client = standard(revocation_endpoint=f"{URL}{path}")
            ask("revoke by RFC 7009", lambda: client.revoke_token(given))
        other = standard(revocation_endpoint=f"{URL}{path}")
        other.session.headers.update(PROXY)
        ask("revoke through a proxy", lambda: other.revoke_token(given))
        made = old("x", revoke_uri=f"{URL}{path}")
        ask("GET through a proxy", lambda: made.revoke(http_with(PROXY)))


def token_info():
    token = bearer().token
    for path in [
        "/tokeninfo", "/oauth2/v1/tokeninfo", "/oauth2/v2/tokeninfo", "/oauth2/v3/tokeninfo",
    ]:
        uri = f"{URL}{path}"
        for given in [token, "unknown"]:
            made = old(given, token_info_uri=uri)
            ask(path, lambda made=made: made.retrieve_scopes(httplib2.Http()))
        ask("through a proxy", lambda: made.retrieve_scopes(http_with(PROXY)))
    api = raw("oauth2", "v2")
    for given in [token, "unknown"]:
        ask("v2", lambda: api.tokeninfo(access_token=given).execute())
    proxied = raw("oauth2", "v2", PROXY)
    ask("v2 through a proxy", lambda: proxied.tokeninfo(access_token=token).execute())
    identity = service_account.IDTokenCredentials.from_service_account_info(
        document("service_account"), target_audience="https://a.example.com"
    )
    identity.refresh(google.auth.transport.requests.Request())
    ask("v2 of an ID token", lambda: api.tokeninfo(id_token=identity.token).execute())


def standard(**endpoints):
    """A client of the OAuth standards."""
    session = requests.Session()
    session.headers["User-Agent"] = "requests_oauth2client"
    user = document("authorized_user")
    return requests_oauth2client.OAuth2Client(
        f"{URL}/token",
        client_id=user["client_id"],
        client_secret=endpoints.pop("client_secret", user["client_secret"]),
        session=session,
        testing=True,
        **endpoints,
    )


# --- STS -----------------------------------------------------------------------------------------


def exchange(request):
    client = sts.Client(f"{URL}/v1/token", ClientAuthentication(BASIC, "client", "secret"))
    source = document("external_account")["credential_source"]
    subject = requests.get(source["url"], headers=source["headers"], timeout=60).text
    audience = f"//iam.googleapis.com/{POOL}/providers/emulator"

    def federate(request=request, **other):
        client.exchange_token(
            request,
            **{
                "grant_type": EXCHANGE,
                "subject_token": subject,
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "audience": audience,
                "scopes": [SCOPE],
                "requested_token_type": ACCESS_TOKEN,
                "additional_options": {"userProject": NUMBER},
                **other,
            },
        )

    ask("exchange", federate)
    ask("exchange of what is no token", lambda: federate(subject_token="x"))
    ask("exchange for no provider", lambda: federate(audience="x"))
    other = audience.replace("/emulator/", "/none/")
    ask("exchange for an unknown pool", lambda: federate(audience=other))
    ask("exchange with a wrong scope", lambda: federate(scopes=["nonsense"]))
    ask("exchange by a wrong grant", lambda: federate(grant_type="x"))
    ask("exchange of a wrong type", lambda: federate(subject_token_type="x"))
    ask("exchange for a wrong type", lambda: federate(requested_token_type="x"))
    ask("exchange through a proxy", lambda: federate(behind_a_proxy(request)))
    api = raw("sts", "v1").v1()
    body = {
        "grantType": EXCHANGE,
        "requestedTokenType": ACCESS_TOKEN,
        "subjectTokenType": ACCESS_TOKEN,
        "subjectToken": bearer().token,
        "options": json.dumps({"accessBoundary": {"accessBoundaryRules": [{
            "availableResource": BUCKET,
            "availablePermissions": ["inRole:roles/storage.objectViewer"],
        }]}}),
    }
    ask("downscope", lambda: api.token(body=body).execute())
    ask("no boundary", lambda: api.token(body={**body, "options": "{}"}).execute())


def external_user(request):
    """A user of a workforce pool: tokens by oauthtoken, and their end."""

    def user(**other):
        return external_account_authorized_user.Credentials(
            **{
                "token_url": f"{URL}/v1/oauthtoken",
                "token_info_url": f"{URL}/v1/introspect",
                "revoke_url": f"{URL}/v1/revoke",
                "refresh_token": "1//ada",
                "client_id": "client",
                "client_secret": "secret",
                **other,
            }
        )

    ask("oauthtoken", lambda: user().refresh(request))
    ask("oauthtoken, unknown", lambda: user(refresh_token="x").refresh(request))
    ask("oauthtoken, wrong secret", lambda: user(client_secret="x").refresh(request))
    through = behind_a_proxy(request)
    ask("oauthtoken through a proxy", lambda: user().refresh(through))
    ask("revoke", lambda: user(refresh_token="1//gone").revoke(request))
    ask("revoke through a proxy", lambda: user().revoke(through))
    client = requests_oauth2client.OAuth2Client(
        f"{URL}/v1/oauthtoken",
        auth=requests_oauth2client.ClientSecretPost("client", "secret"),
        testing=True,
    )
    client.session.headers["User-Agent"] = "requests_oauth2client"
    ask("oauthtoken by RFC 6749", lambda: client.refresh_token("1//ada", scope=SCOPE))
    ask("oauthtoken by another grant", lambda: client.client_credentials())
    revoke = standard(revocation_endpoint=f"{URL}/v1/revoke")
    ask("revoke nothing", lambda: revoke.revoke_token(""))


def introspection():
    token = bearer().token
    ends = {"introspection_endpoint": f"{URL}/v1/introspect"}
    client = standard(**ends)
    ask("introspect", lambda: client.introspect_token(token, ACCESS_TOKEN))
    ask("introspect the unknown", lambda: client.introspect_token("unknown"))
    ask("introspect as another", lambda: client.introspect_token(token, "refresh_token"))
    wrong = standard(client_secret="x", **ends)
    ask("introspect by a stranger", lambda: wrong.introspect_token(token))
    proxied = standard(**ends)
    proxied.session.headers.update(PROXY)
    ask("introspect through a proxy", lambda: proxied.introspect_token(token))


# --- IAM -----------------------------------------------------------------------------------------


def raw(name, version, headers=None, token=None):
    """The API as its discovery document has it, at the emulator."""
    more = {**(headers or {}), **({"authorization": f"Bearer {token}"} if token else {})}
    return googleapiclient.discovery.build(
        name,
        version,
        http=http_with(more),
        static_discovery=True,
        client_options={"api_endpoint": URL},
    )


def credentials_api():
    """Each method with each parameter, and as each refusal has it."""
    token = bearer().token
    workload = bearer("external_account").token
    accounts = lambda **how: raw("iamcredentials", "v1", **how).projects().serviceAccounts()
    name = f"projects/-/serviceAccounts/{TARGET}"
    delegates = [f"projects/-/serviceAccounts/{DELEGATE}"]
    payload = base64.b64encode(b"payload").decode()
    claims = json.dumps({"iss": TARGET, "exp": int(time.time()) + 60})
    bodies = {
        "generateAccessToken": {
            "scope": [SCOPE], "lifetime": "60s", "delegates": delegates,
        },
        "generateIdToken": {
            "audience": "https://a.example.com", "includeEmail": True,
            "organizationNumberIncluded": True, "delegates": delegates,
        },
        "signBlob": {"payload": payload, "delegates": delegates},
        "signJwt": {"payload": claims, "delegates": delegates},
    }
    for method, body in bodies.items():
        def call(name=name, body=body, **how):
            getattr(accounts(**how), method)(name=name, body=body).execute()

        ask(method, lambda: call(token=workload))
        ask(f"{method}, empty", lambda: call(body={}, token=token))
        ask(f"{method}, no token", lambda: call())
        ask(f"{method}, no grant", lambda: call(body={**body, "delegates": []}, token=workload))
        other = name.replace(TARGET, "none@example.com")
        ask(f"{method}, unknown", lambda: call(name=other, token=token))
    locations = lambda name, **how: accounts(**how).getAllowedLocations(name=name).execute()
    ask("locations", lambda: locations(name, token=token))
    ask("locations, no token", lambda: locations(name))
    ask("locations, unknown", lambda: locations(other, token=token))
    ask("locations through a proxy", lambda: locations(
        name, token=token, headers=PROXY))
    for pool in [POOL, "locations/global/workforcePools/staff"]:
        def pools(**how):
            api = raw("iamcredentials", "v1", **how)
            if pool == POOL:
                api = api.projects().locations().workloadIdentityPools()
            else:
                api = api.locations().workforcePools()
            api.getAllowedLocations(name=pool).execute()

        ask(pool, lambda: pools(token=token))
        ask(pool, lambda: pools())
        ask(pool, lambda: pools(token=token, headers=PROXY))


def impersonation(request):
    source = bearer("external_account")
    made = impersonated_credentials.Credentials(
        source, TARGET, [SCOPE], delegates=[f"projects/-/serviceAccounts/{DELEGATE}"],
        lifetime=60,
    )
    ask("impersonate", lambda: made.refresh(request))
    identity = impersonated_credentials.IDTokenCredentials(
        made, "https://a.example.com", include_email=True
    )
    ask("impersonate for an ID token", lambda: identity.refresh(request))
    key = document("service_account")
    by_iam = service_account.IDTokenCredentials.from_service_account_info(
        key, target_audience="https://a.example.com"
    )._with_use_iam_endpoint(True)
    ask("ID token by IAM", lambda: by_iam.refresh(request))
    ask("sign as another", lambda: made.sign_bytes(b"payload"))
    ask("sign", lambda: iam.Signer(request, bearer(), EMAIL).sign(b"payload"))
    as_user = impersonated_credentials.Credentials(
        bearer(), EMAIL, [SCOPE], subject="ada@example.com"
    )
    ask("act for a user", lambda: as_user.refresh(request))


# --- Projects and keys ---------------------------------------------------------------------------


def project(request):
    made, _ = google.auth.load_credentials_from_file(
        str(FOLDER / "external_account.json"), scopes=[SCOPE]
    )
    assert isinstance(made, external_account.Credentials)
    ask("project", lambda: made.get_project_id(request))
    get = lambda **how: raw("cloudresourcemanager", "v1", **how).projects().get(
        projectId=NUMBER).execute()
    ask("project, raw", lambda: get(token=bearer().token))
    ask("project, no token", lambda: get())
    ask("project through a proxy", lambda: get(
        token=bearer().token, headers=PROXY))


def keys(request):
    identity = service_account.IDTokenCredentials.from_service_account_info(
        document("service_account"), target_audience="https://a.example.com"
    )
    identity.refresh(request)
    paths = ["/oauth2/v1/certs", "/oauth2/v3/certs"]
    for account in [EMAIL, "none@example.com"]:
        paths += [f"/{api}/v1/metadata/x509/{account}" for api in ["service_accounts", "robot"]]
        for api in ["service_accounts", "robot"]:
            paths += [f"/{api}/v1/{kind}/{account}" for kind in ["jwk", "metadata/jwk"]]
    verify = id_token.verify_token
    audience = "https://a.example.com"
    for path in paths:
        for ask_by in [request, behind_a_proxy(request)]:
            ask(path, lambda: verify(identity.token, ask_by, audience, f"{URL}{path}"))
    for path in ["/oauth2/v3/certs", f"/service_accounts/v1/jwk/{EMAIL}"]:
        ask(path, lambda: jwt.PyJWKClient(f"{URL}{path}").get_signing_keys())
    session = requests.Session()
    session.headers["User-Agent"] = "requests_oauth2client"
    find = requests_oauth2client.OAuth2Client.from_discovery_endpoint
    for headers in [{}, PROXY]:
        session.headers.update(headers)
        ask("discovery", lambda: find(
            f"{URL}/.well-known/openid-configuration",
            "https://accounts.google.com",
            client_id="client", client_secret="secret", session=session, testing=True,
        ))
    for owner in ["projects", "organizations"]:
        name = f"{owner}/{NUMBER}/locations/global/workloadIdentityPools/agents"
        for headers in [None, PROXY]:
            api = raw("sts", "v1", headers)
            pools = getattr(api, owner)().locations().workloadIdentityPools()
            ask(owner, lambda: pools.openid().getJwks(name=name).execute())
            configuration = getattr(pools.well_known(), "getOpenid_configuration")
            ask(owner, lambda: configuration(name=name).execute())


def main():
    for name in [
        "google-auth", "google-api-python-client", "requests_oauth2client", "oauth2client",
        "pyjwt",
    ]:
        library(name)
    everywhere({origin: URL for origin in GOOGLE})
    request = google.auth.transport.requests.Request()
    for path in ["/token", "/oauth2/v4/token"]:
        token_endpoint(request, f"{URL}{path}")
    exchange(request)
    external_user(request)
    introspection()
    token_info()
    credentials_api()
    impersonation(request)
    project(request)
    keys(request)
    revocation(request)


if __name__ == "__main__":
    main()

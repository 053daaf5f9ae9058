#!/usr/bin/env python3
"""google-auth as it would be if it kept the rules by which this library differs from it.

  rules.py REFERENCE_DRIVER < scenario

Runs the oracle's reference driver with google-auth changed in the places below, and nowhere
else. Each step of the result names, in `rules`, the changes that came into play in it. So for
a generated program, of which no result was recorded, the difference that a rule makes
is not merely tolerated: it is foretold, with all that follows from it.

Needs the Python of the virtual environment that conformance/random makes.
"""
import base64
import json
import os
import runpy
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))


def rules():
    """What is changed, and why: the entries of rules.json by their id."""
    with open(os.path.join(HERE, "rules.json"), encoding="utf-8") as file:
        return {entry["id"]: entry for entry in json.load(file)["rules"]}


class Played:
    """Which rules came into play, step by step."""

    def __init__(self):
        self.rules, self.steps, self.step = rules(), {}, 0

    def rule(self, name):
        self.steps.setdefault(self.step, set()).add(self.rules[name]["id"])

    def watch(self, driver):
        """Follows the driver from step to step, and adds to what it writes."""
        mark_step, dump = driver["mark_step"], json.dump

        def marking(index, *rest):
            self.step = index
            mark_step(index, *rest)

        def dumping(result, *rest):
            for step in result["steps"]:
                step["rules"] = sorted(self.steps.get(step["step"], ()))
            dump(result, *rest)

        driver["mark_step"], json.dump = marking, dumping


def change(driver):
    """Changes google-auth; called by the reference driver, in its globals."""
    from google.auth import _helpers, credentials as base, exceptions, transport
    from google.auth.compute_engine import _metadata, credentials as gce

    played = Played()
    played.watch(driver)

    # --- 1: what has expired when it comes ------------------------------------------------------
    service_account_token = _metadata.get_service_account_token

    def token_that_lives(*args, **kwargs):
        token, expiry = service_account_token(*args, **kwargs)
        if expiry <= _helpers.utcnow():
            played.rule("expired-token")
            raise exceptions.TransportError("the token has expired")
        return token, expiry

    _metadata.get_service_account_token = token_that_lives

    # --- 1, 8: ID tokens --------------------------------------------------------------------------
    refresh_id_token = gce.IDTokenCredentials.refresh

    def refresh_to_a_good_one(self, request):
        held = self.token, self.expiry
        refresh_id_token(self, request)
        claims = self.token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        wanted = self._target_audience
        if not self._use_metadata_identity_endpoint:
            wanted = self._additional_claims.get("target_audience", wanted)
        for bad, rule in (
            (claims.get("aud", wanted) != wanted, "other-audience"),
            (self.expiry <= _helpers.utcnow(), "expired-id-token"),
        ):
            if bad:
                played.rule(rule)
                self.token, self.expiry = held
                raise ValueError(rule)

    gce.IDTokenCredentials.refresh = refresh_to_a_good_one

    # --- 2: a valid token is kept -----------------------------------------------------------------
    def keeping(refreshes):
        def refresh_or_keep(self, request):
            try:
                refreshes(self, request)
            except Exception:
                if self.token_state == base.TokenState.INVALID:
                    raise
                played.rule("valid-token-kept")

        return refresh_or_keep

    base.Credentials._blocking_refresh = keeping(base.Credentials._blocking_refresh)
    base.Credentials._non_blocking_refresh = keeping(base.Credentials._non_blocking_refresh)

    # --- 3: the universe is a side question --------------------------------------------------------
    lookup_required = gce.Credentials._is_regional_access_boundary_lookup_required

    def lookup_required_if_known(self):
        try:
            return lookup_required(self)
        except exceptions.TransportError:
            played.rule("universe-unknown")
            return False

    gce.Credentials._is_regional_access_boundary_lookup_required = lookup_required_if_known

    # --- 4: the account that was named --------------------------------------------------------------
    make_copy = gce.Credentials._make_copy

    def init(original):
        def remember(self, service_account_email="default", *args, **kwargs):
            original(self, service_account_email, *args, **kwargs)
            self._named = service_account_email

        return remember

    def copy_named(self):
        copy = make_copy(self)
        copy._named = self._named
        return copy

    retrieve_info = gce.Credentials._retrieve_info

    def retrieve_named(self, request):
        try:
            retrieve_info(self, request)
        except exceptions.TransportError as error:
            learned = self._service_account_email
            if learned == self._named or [answer.status for answer in error.args[1:]] != [404]:
                raise
            played.rule("account-gone")
            self._service_account_email = self._named
            try:
                retrieve_info(self, request)
            except Exception:
                self._service_account_email = learned
                raise

    def refresh_named(self, request):
        try:
            self._retrieve_info(request)
            scopes = self._scopes if self._scopes is not None else self._default_scopes
            if self._named != "default":
                played.rule("named-account")
            self.token, self.expiry = _metadata.get_service_account_token(
                request, service_account=self._named, scopes=scopes)
        except exceptions.TransportError as error:
            raise exceptions.RefreshError(error) from error

    gce.Credentials.__init__ = init(gce.Credentials.__init__)
    gce.Credentials._make_copy = copy_named
    gce.Credentials._retrieve_info = retrieve_named
    gce.Credentials._perform_refresh_token = refresh_named

    from_files(played)

    # --- 5: 502 ------------------------------------------------------------------------------------
    class Transient(tuple):
        def __contains__(self, status):
            if status == 502:
                played.rule("transient-502")
            return status == 502 or tuple.__contains__(self, status)

    transport.DEFAULT_RETRYABLE_STATUS_CODES = Transient(transport.DEFAULT_RETRYABLE_STATUS_CODES)

    # --- 9: what the environment says --------------------------------------------------------------
    retries = os.environ.get("GCE_METADATA_DETECT_RETRIES")
    if retries is not None and not (retries.isascii() and retries.isdigit() and int(retries) > 0):
        def refuse(*_args, **_kwargs):
            played.rule("senseless-retries")
            raise ValueError("GCE_METADATA_DETECT_RETRIES")

        ping = _metadata.ping
        _metadata.ping = lambda request, **kwargs: (
            ping(request, **kwargs) if "retry_count" in kwargs else refuse())


def from_files(played):
    """Changes the credentials of files, and those that are made of others."""
    from google.auth import (
        _helpers, aws, downscoped, exceptions, external_account, identity_pool, impersonated_credentials, jwt,
        pluggable)
    from google.auth import external_account_authorized_user as external_user
    from google.auth.compute_engine import credentials as gce
    from google.oauth2 import credentials as user, service_account, sts

    # --- 1: what has expired when it comes; a refresh that fails leaves nothing behind ------------
    def living(cls, name, error):
        original = getattr(cls, name)

        def refresh(self, request, *args, **kwargs):
            held = self.token, self.expiry
            original(self, request, *args, **kwargs)
            if self.expiry is None or self.expiry <= _helpers.utcnow():
                played.rule("expired-token")
                self.token, self.expiry = held
                # The driver names errors by the server that was asked.
                elsewhere = "//sts." not in getattr(self, "_token_url", "//sts.")
                raise (exceptions.RefreshError if elsewhere else error)("the token has expired")

        setattr(cls, name, refresh)

    living(user.Credentials, "_perform_refresh_token", exceptions.RefreshError)
    living(service_account.Credentials, "_perform_refresh_token", exceptions.RefreshError)
    living(impersonated_credentials.Credentials, "_perform_refresh_token", exceptions.RefreshError)
    living(external_user.Credentials, "_perform_refresh_token", ValueError)

    # --- 1: a number in quotes ---------------------------------------------------------------------
    make_request = sts.Client._make_request

    def with_numbers(self, *args, **kwargs):
        answer = make_request(self, *args, **kwargs)
        if isinstance(answer.get("expires_in"), str):
            played.rule("number-in-quotes")
            answer["expires_in"] = int(answer["expires_in"])
        return answer

    sts.Client._make_request = with_numbers

    # --- 1: a token that was signed here ends when it says ------------------------------------------
    make_jwt = jwt.Credentials._make_jwt

    def ends_as_claimed(self):
        token, expiry = make_jwt(self)
        if expiry.microsecond:
            played.rule("claimed-expiry")
        return token, expiry.replace(microsecond=0)

    jwt.Credentials._make_jwt = ends_as_claimed

    # --- 1: a narrowed token ends with its source ---------------------------------------------------
    narrow = downscoped.Credentials.refresh

    def narrow_no_longer(self, request):
        narrow(self, request)
        source = self._source_credentials.expiry
        if source is not None and self.expiry > source:
            played.rule("narrow-token")
            self.expiry = source

    downscoped.Credentials.refresh = narrow_no_longer

    # --- 3: the project is a side question ----------------------------------------------------------
    get_project_id = external_account.Credentials.get_project_id

    def project_if_any(self, request):
        try:
            return get_project_id(self, request)
        except Exception:
            if not sys._getframe(1).f_code.co_name in ("_get_external_account_credentials", "default"):
                raise
            played.rule("project-unknown")
            return None

    for cls in (external_account, identity_pool, pluggable, aws):
        if "get_project_id" in vars(cls.Credentials):
            cls.Credentials.get_project_id = project_if_any

    # --- 8: ID tokens -------------------------------------------------------------------------------
    def for_its_audience(cls):
        original = cls.refresh

        def refresh(self, request):
            held = self.token, self.expiry
            original(self, request)
            claims = self.token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
            for bad, rule in (
                (claims.get("aud", self._target_audience) != self._target_audience, "other-audience"),
                (self.expiry <= _helpers.utcnow(), "expired-id-token"),
            ):
                if bad:
                    played.rule(rule)
                    self.token, self.expiry = held
                    of_token_endpoint = getattr(self, "_token_uri", None) and self.universe_domain == "googleapis.com"
                    raise (exceptions.RefreshError if of_token_endpoint else ValueError)(rule)

        cls.refresh = refresh

    for_its_audience(service_account.IDTokenCredentials)
    for_its_audience(impersonated_credentials.IDTokenCredentials)

    # --- 10: a copy is the same credential ----------------------------------------------------------
    with_token_uri = external_user.Credentials.with_token_uri

    def asks_where_it_says(self, token_uri):
        played.rule("copy-asks-there")
        copy = with_token_uri(self, token_uri)
        copy._sts_client = sts.Client(token_uri, self._sts_client._client_authentication)
        return copy

    external_user.Credentials.with_token_uri = asks_where_it_says

    init = impersonated_credentials.Credentials.__init__

    def knows_the_universe(self, source_credentials, *args, **kwargs):
        init(self, source_credentials, *args, **kwargs)
        inner = self._source_credentials
        if isinstance(inner, gce.Credentials) and not inner._universe_domain_cached:
            played.rule("copy-knows-universe")
            inner._universe_domain = self._universe_domain
            inner._universe_domain_cached = True

    impersonated_credentials.Credentials.__init__ = knows_the_universe

    initialize = external_account.Credentials._initialize_impersonated_credentials

    def keeps_the_boundary(self):
        made = initialize(self)
        if self._rab_manager._data.encoded_locations:
            played.rule("copy-keeps-boundary")
            made._rab_manager = self._rab_manager
        return made

    external_account.Credentials._initialize_impersonated_credentials = keeps_the_boundary

    retrieve, regions = aws.Credentials.retrieve_subject_token, {}

    def knows_the_region(self, request):
        if self._request_signer is None and self._audience in regions:
            played.rule("copy-knows-region")
            self._region = regions[self._audience]
            self._request_signer = aws.RequestSigner(self._region)
        try:
            return retrieve(self, request)
        finally:
            # It is known also where what follows fails: the role, the keys.
            if self._request_signer is not None:
                regions[self._audience] = self._region

    aws.Credentials.retrieve_subject_token = knows_the_region


def main():
    reference = sys.argv[1]
    # The reference driver calls `mutants.apply` when all of google-auth is loaded.
    mutants = types.ModuleType("mutants")
    mutants.apply = lambda _name: change(sys._getframe(1).f_globals)
    sys.modules["mutants"] = mutants
    sys.argv = [reference, "--mutant", "rules"]
    runpy.run_path(reference, run_name="__main__")


if __name__ == "__main__":
    main()

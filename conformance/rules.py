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

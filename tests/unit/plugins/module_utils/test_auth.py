# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens: their request, lifetime and renewal, and rejected requests."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.vonage.vcc.plugins.module_utils import auth as public
from ansible_collections.vonage.vcc.plugins.module_utils._api.client import Client
from ansible_collections.vonage.vcc.plugins.module_utils._errors import AuthError, NoResponseError
from ansible_collections.vonage.vcc.plugins.module_utils._options import CONNECTION_SPEC
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import body_of
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._api.helpers import TOKEN, failure


class TestRequest:
    def test_token_request_is_documented_one(self, sim, make_auth):
        token = make_auth().token()
        (request,) = sim.requests
        assert request["path"] == TOKEN
        assert request["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
        assert "Authorization" not in request["headers"]
        assert parse_qs(request["body"].decode("ascii"), strict_parsing=True, encoding="utf-8") == {
            "grant_type": ["client_credentials"],
            "client_id": [CLIENT_ID],
            "client_secret": [CLIENT_SECRET],
            "scope": ["interactions:write"],
        }
        assert token

    @pytest.mark.parametrize(
        "secret",
        [
            "plain",
            "a&b=c;d",
            "100%25",
            "1+1 = 2",
            " spaces ",
            "äöü€🎧",
            "\"'`",
            "\\n",
            "#?/:@",
            "line\nbreak",
            "null\x00",
            "{{ no }}",
            "-" * 5000,
        ],
    )
    def test_credentials_may_have_any_character(self, sim, make_auth, secret):
        sim.add_client(f"id {secret[:20]}", secret)
        assert make_auth(client_id=f"id {secret[:20]}", client_secret=secret).token()
        assert [call["status"] for call in sim.calls] == [200]

    def test_token_is_reused(self, sim, make_auth):
        auth = make_auth()
        assert len({auth.token() for dummy in range(5)}) == 1
        assert len(sim.calls) == 1

    def test_token_is_renewed_one_minute_before_end(self, sim, make_auth, clock):
        auth = make_auth()
        first = auth.token()
        clock.now += 7200 - 60 - 0.5
        assert auth.token() == first
        clock.now += 0.5
        assert auth.token() != first
        assert len(sim.calls) == 2

    def test_lifetime_begins_with_request(self, sim, make_auth, clock, make_http):
        """After a slow response, the token is renewed early rather than late."""
        sim.fault("status", status=503, path=TOKEN, retry_after=50)
        auth = make_auth(make_http(retries=1))
        first = auth.token()
        clock.now += 7200 - 60 - 50
        assert auth.token() != first

    def test_short_token_is_renewed_after_half_its_lifetime(self, sim, make_auth, clock):
        sim.token_lifetime = 60
        auth = make_auth()
        first = auth.token()
        clock.now += 29.5
        assert auth.token() == first
        clock.now += 0.5
        assert auth.token() != first

    @pytest.mark.parametrize(
        "lifetime",
        ["", ', "expires_in": null', ', "expires_in": "soon"', ', "expires_in": []', ', "expires_in": 1' + "0" * 400],
    )
    def test_token_of_unknown_lifetime_is_used_until_rejected(self, sim, make_auth, clock, lifetime):
        sim.fault("status", status=200, path=TOKEN, body=f'{{"access_token": "t0ken"{lifetime}}}')
        auth = make_auth()
        assert auth.token() == "t0ken"
        clock.now += 1_000_000
        assert auth.token() == "t0ken"
        assert len(sim.calls) == 1

    @pytest.mark.parametrize("lifetime", ["0", "-1", "NaN"])
    def test_token_without_lifetime_is_used_once(self, sim, make_auth, lifetime):
        sim.fault("status", status=200, path=TOKEN, body=f'{{"access_token": "t0ken", "expires_in": {lifetime}}}')
        auth = make_auth()
        assert auth.token() == "t0ken"
        assert auth.token() != "t0ken"

    def test_on_token_gets_each_token_before_its_use(self, sim, make_auth, make_http):
        announced = []
        auth = make_auth(access_token="ready", on_token=announced.append)
        assert announced == ["ready"]
        sim.fault("status", path="/interactions/Invoke", status=200, times=0)
        Client(make_http(), auth, sim.url).invoke(body_of("a"))
        assert announced == ["ready", auth.token()]


class TestCurrent:
    """The times of a token."""

    def test_current_returns_end_and_renewal(self, make_auth, clock):
        auth = make_auth()
        token = auth.current()
        assert (token.value, token.renew_at, token.expires_at) == (auth.token(), clock.now + 7140, clock.now + 7200)

    def test_current_returns_same_token_until_renewal(self, make_auth, clock):
        auth = make_auth()
        first = auth.current()
        clock.now += 7139
        assert auth.current() is first
        clock.now += 1
        assert auth.current().expires_at == first.expires_at + 7140

    @pytest.mark.parametrize("body", [{"access_token": "x"}, {"access_token": "x", "expires_in": "soon"}])
    def test_unknown_end_is_none(self, sim, make_auth, body):
        sim.fault("status", status=200, body=body, path=TOKEN)
        assert make_auth().current() == ("x", None, None)

    def test_end_of_given_token_is_none(self, sim, make_auth):
        assert make_auth(access_token="ready").current() == ("ready", None, None)
        assert sim.calls == []

    def test_cached_token_keeps_its_end(self, make_auth, clock, tmp_path):
        path = str(tmp_path / "tokens.json")
        first = make_auth(cache_path=path).current()
        clock.now += 100
        assert make_auth(cache_path=path).current() == first


class TestRenewal:
    @pytest.fixture
    def client(self, sim, make_http, make_auth):
        def make(**others):
            return Client(make_http(), make_auth(**others), sim.url)

        return make

    def statuses(self, sim):
        return [call["status"] for call in sim.invoke_calls]

    def test_401_repeats_call_with_new_token(self, sim, client):
        client = client()
        client.authenticate()
        sim.expire_tokens()
        client.invoke(body_of("a"))
        assert self.statuses(sim) == [401, 200]
        assert len(sim.token_calls) == 2
        assert len(set(sim.bodies())) == 1

    def test_second_401_fails(self, sim, client):
        sim.fault("expired", times=None)
        exc = failure(client().invoke, body_of("a"), kind=AuthError)
        assert str(exc) == "VCC refuses a token that it has just issued (401): check account, region and api_url."
        assert not exc.maybe_processed
        assert self.statuses(sim) == [401, 401]
        assert len(sim.token_calls) == 2

    def test_token_may_expire_repeatedly(self, sim, client):
        client = client()
        for name in "abc":
            client.invoke(body_of(name))
            sim.expire_tokens()
        assert self.statuses(sim) == [200, 401, 200, 401, 200]
        assert len(sim.token_calls) == 3

    def test_given_token_needs_no_request(self, sim, client):
        client(access_token=sim.issue_token(), client_id=None, client_secret=None, auth_url="").invoke(body_of("a"))
        assert self.statuses(sim) == [200]
        assert sim.token_calls == []

    @pytest.mark.parametrize(
        "credentials", [(None, None), (CLIENT_ID, None), (None, CLIENT_SECRET)], ids=["none", "id only", "secret only"]
    )
    def test_expired_given_token_fails_without_credentials(self, sim, client, credentials):
        client_id, client_secret = credentials
        client = client(access_token="an-old-one", client_id=client_id, client_secret=client_secret)
        exc = failure(client.invoke, body_of("a"), kind=AuthError, hidden=["an-old-one"])
        assert "VCC refused the access token (401)" in str(exc)
        assert "access_token" in str(exc)
        assert self.statuses(sim) == [401]
        assert sim.token_calls == []

    def test_credentials_replace_expired_given_token(self, sim, client):
        client = client(access_token="an-old-one")
        client.invoke(body_of("a"))
        client.invoke(body_of("b"))
        assert self.statuses(sim) == [401, 200, 200]
        assert len(sim.token_calls) == 1

    def test_renew_returns_current_token_for_older_one(self, sim, make_auth):
        auth = make_auth(access_token="an-old-one")
        present = auth.renew(rejected="an-old-one")
        assert auth.renew(rejected="an-old-one") == present
        assert len(sim.token_calls) == 1

    def test_401_after_cut_keeps_maybe_processed(self, sim, make_http, make_auth):
        client = Client(make_http(retries=1), make_auth(), sim.url)
        sim.fault("cut", when="after")
        sim.fault("expired", times=None)
        assert failure(client.invoke, body_of("a"), kind=AuthError).maybe_processed

    def test_rejected_renewal_keeps_maybe_processed(self, sim, make_http, make_auth):
        client = Client(make_http(retries=1), make_auth(access_token="an-old-one", client_secret="wrong"), sim.url)
        sim.fault("cut", when="after")
        sim.fault("expired", times=None)
        exc = failure(client.invoke, body_of("a"), kind=AuthError, hidden=["an-old-one"])
        assert "invalid_client" in str(exc)
        assert exc.maybe_processed


class TestRejection:
    def test_wrong_credentials_are_rejected(self, make_auth):
        exc = failure(make_auth(client_secret="a-wr0ng-one").token, kind=AuthError, hidden=["a-wr0ng-one"])
        assert (
            str(exc)
            == "VCC refused the client credentials (invalid_client): check client_id, client_secret and region."
        )

    def test_missing_scope_is_named(self, sim, make_auth):
        sim.add_client("reader", "s3cret", scopes=("stats",))
        exc = failure(make_auth(client_id="reader", client_secret="s3cret").token, kind=AuthError, hidden=["s3cret"])
        assert str(exc) == (
            "VCC gives the API client no token for the scope interactions:write (invalid_scope): grant it that scope in VCC."
        )

    @pytest.mark.parametrize(
        ("status", "body", "message"),
        [
            (400, {"error": "invalid_client"}, "VCC refused the client credentials (invalid_client)"),
            (401, {"error": "invalid_scope"}, "(invalid_scope)"),
            (
                400,
                {"error": "unauthorized_client"},
                "refused the request (unauthorized_client): check client_id, client_secret and auth_url.",
            ),
            (400, {"message": "no"}, "refused the request (400)"),
            (400, "not JSON", "refused the request (400)"),
            (400, {"error": "<b>words of a stranger</b>"}, "refused the request (400)"),
            (400, {"error": ["x"]}, "refused the request (400)"),
            (401, None, "VCC refused the client credentials (401)"),
            (403, "[]", "refused the request (403)"),
        ],
    )
    def test_rejection_names_error_or_status(self, sim, make_auth, status, body, message):
        sim.fault("status", path=TOKEN, status=status, body=body)
        exc = failure(make_auth().token, kind=AuthError)
        assert message in str(exc)
        assert "stranger" not in str(exc)
        assert not exc.maybe_processed
        assert len(sim.calls) == 1

    @pytest.mark.parametrize(
        ("kind", "details"),
        [
            ("status", {"status": 404}),
            ("status", {"status": 204}),
            ("redirect", {}),
            ("redirect", {"status": 307}),
            ("html", {}),
            ("garbage", {}),
            ("cut", {"when": "after"}),
            ("cut", {"when": "before"}),
            ("status", {"status": 500}),
            ("status", {"status": 200, "body": "{}"}),
            ("status", {"status": 200, "body": "[]"}),
            ("status", {"status": 200, "body": "[" * 100_000}),
            ("status", {"status": 200, "body": {"access_token": None}}),
            ("status", {"status": 200, "body": {"access_token": 17}}),
            ("status", {"status": 200, "body": {"access_token": ""}}),
            ("status", {"status": 200, "body": {"access_token": "a hidden one"}}),
            ("status", {"status": 200, "body": {"access_token": "hidden\r\nX: y"}}),
            ("status", {"status": 200, "body": {"access_token": "hidden-tökén"}}),
        ],
    )
    def test_unexpected_response_raises_no_response_error(self, sim, make_auth, kind, details):
        """A failed token request never sets ``maybe_processed``, because no call has begun."""
        sim.fault(kind, path=TOKEN, **details)
        exc = failure(make_auth().token, kind=NoResponseError, hidden=[CLIENT_SECRET, "hidden"])
        assert sim.token_url in str(exc)
        assert not exc.maybe_processed
        assert len(sim.calls) == 1

    def test_token_request_is_retried(self, sim, make_http, make_auth):
        sim.fault("status", path=TOKEN, status=503)
        sim.fault("cut", path=TOKEN, when="after")
        assert make_auth(make_http(retries=2)).token()
        assert len(sim.token_calls) == 3

    def test_rejection_is_not_remembered(self, sim, make_auth):
        auth = make_auth(client_id="late", client_secret="s3cret")
        failure(auth.token, kind=AuthError)
        sim.add_client("late", "s3cret")
        assert auth.token()


class TestForOtherCollections:
    @pytest.fixture
    def params(self, sim):
        """Return the options of a task as a module of another collection gets them."""
        options = {name: value for name, value in sim.options().items() if name in CONNECTION_SPEC}
        result = ArgumentSpecValidator(public.connection_options()).validate(options)
        assert result.error_messages == []
        return result.validated_parameters

    def test_options_are_those_of_the_modules(self):
        assert public.connection_options() == CONNECTION_SPEC
        assert public.connection_options() is not CONNECTION_SPEC

    def test_provider_has_token_of_scope_and_announces_it(self, sim, params):
        seen = []
        provider = public.TokenProvider.from_params(params, "stats", seen.append)
        token = provider.token()
        assert seen == [token]
        form = parse_qs(sim.requests[0]["body"].decode())
        assert form["scope"] == ["stats"]
        assert provider.renew(token) not in ("", token)
        assert len(seen) == len(sim.token_calls) == 2

    def test_provider_uses_token_cache(self, sim, params, tmp_path):
        params["token_cache"] = str(tmp_path / "tokens")
        tokens = {public.TokenProvider.from_params(params, "stats", len).token() for dummy in range(2)}
        assert len(tokens) == len(sim.token_calls) == 1

    def test_api_url_has_no_slash_at_its_end(self, sim, params):
        assert public.api_url({**params, "api_url": f"{sim.url}/"}) == sim.url
        region = {**params, "api_url": None, "auth_url": None, "region": "nam"}
        assert public.api_url(region) == "https://nam.api.newvoicemedia.com"

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"client_secret": None}, "client_secret is missing"),
            ({"api_url": "http://vcc.example"}, "api_url"),
            ({"token_cache": "/"}, "token cache"),
        ],
    )
    def test_wrong_options_are_refused(self, sim, params, wrong, message):
        with pytest.raises(public.VccError, match=message):
            public.TokenProvider.from_params({**params, **wrong}, "stats", len)
        assert sim.calls == []

    def test_missing_library_is_named(self, params, monkeypatch):
        monkeypatch.setattr(public, "REQUESTS_IMPORT_ERROR", "Traceback")
        with pytest.raises(public.VccError, match="library requests is missing"):
            public.TokenProvider.from_params(params, "stats", len)

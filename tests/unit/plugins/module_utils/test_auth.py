# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens: asked for once, renewed in time, shared through a file, and never shown."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import time
import traceback
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._api.client import Client
from ansible_collections.vonage.vcc.plugins.module_utils._api.token_cache import TokenCache
from ansible_collections.vonage.vcc.plugins.module_utils._errors import (
    ApiError,
    AuthError,
    InputError,
    NoResponseError,
)
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import PATIENCE, at_once, body_of, mode, python

TOKEN = "/Auth/connect/token"


def failure(act, *arguments, kind=ApiError, hidden=(CLIENT_SECRET,)):
    """The exception that C(act) ends with; none of what is hidden may show in what is printed of it."""
    with pytest.raises(kind) as caught:
        act(*arguments)
    printed = "".join(traceback.format_exception(kind, caught.value, caught.value.__traceback__)) + repr(
        caught.value.__dict__
    )
    for secret in hidden:
        assert secret not in printed
    return caught.value


class TestAsking:
    def test_as_the_contract_says(self, sim, make_auth):
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
    def test_credentials_may_hold_any_character(self, sim, make_auth, secret):
        sim.add_client(f"id {secret[:20]}", secret)
        assert make_auth(client_id=f"id {secret[:20]}", client_secret=secret).token()
        assert [call["status"] for call in sim.calls] == [200]

    def test_a_token_is_reused(self, sim, make_auth):
        auth = make_auth()
        assert len({auth.token() for dummy in range(5)}) == 1
        assert len(sim.calls) == 1

    def test_a_token_is_renewed_a_minute_before_it_ends(self, sim, make_auth, clock):
        auth = make_auth()
        first = auth.token()
        clock.now += 7200 - 60 - 0.5
        assert auth.token() == first
        clock.now += 0.5
        assert auth.token() != first
        assert len(sim.calls) == 2

    def test_the_time_to_get_a_token_counts_as_its_life(self, sim, make_auth, clock, make_http):
        """It is renewed early rather than late when the answer took long."""
        sim.fault("status", status=503, path=TOKEN, retry_after=50)
        auth = make_auth(make_http(retries=1))
        first = auth.token()
        clock.now += 7200 - 60 - 50
        assert auth.token() != first

    def test_a_short_token_is_used_for_half_its_life(self, sim, make_auth, clock):
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
    def test_a_token_of_unknown_life_is_used_until_it_is_refused(self, sim, make_auth, clock, lifetime):
        sim.fault("status", status=200, path=TOKEN, body=f'{{"access_token": "t0ken"{lifetime}}}')
        auth = make_auth()
        assert auth.token() == "t0ken"
        clock.now += 1_000_000
        assert auth.token() == "t0ken"
        assert len(sim.calls) == 1

    @pytest.mark.parametrize("lifetime", ["0", "-1", "NaN"])
    def test_a_token_without_life_is_used_once(self, sim, make_auth, lifetime):
        sim.fault("status", status=200, path=TOKEN, body=f'{{"access_token": "t0ken", "expires_in": {lifetime}}}')
        auth = make_auth()
        assert auth.token() == "t0ken"
        assert auth.token() != "t0ken"

    def test_each_token_is_announced_before_it_is_used(self, sim, make_auth, make_http):
        announced = []
        auth = make_auth(access_token="ready", on_token=announced.append)
        assert announced == ["ready"]
        sim.fault("status", path="/interactions/Invoke", status=200, times=0)
        Client(make_http(), auth, sim.url).invoke(body_of("a"))
        assert announced == ["ready", auth.token()]


class TestCurrent:
    """The token with its times."""

    def test_when_it_ends_and_when_it_is_renewed(self, make_auth, clock):
        auth = make_auth()
        token = auth.current()
        assert (token.value, token.renew_at, token.expires_at) == (auth.token(), clock.now + 7140, clock.now + 7200)

    def test_it_stays_the_same_until_it_is_renewed(self, make_auth, clock):
        auth = make_auth()
        first = auth.current()
        clock.now += 7139
        assert auth.current() is first
        clock.now += 1
        assert auth.current().expires_at == first.expires_at + 7140

    @pytest.mark.parametrize("body", [{"access_token": "x"}, {"access_token": "x", "expires_in": "soon"}])
    def test_an_end_that_is_not_told_is_not_made_up(self, sim, make_auth, body):
        sim.fault("status", status=200, body=body, path=TOKEN)
        assert make_auth().current() == ("x", None, None)

    def test_of_a_ready_token_it_is_not_known(self, sim, make_auth):
        assert make_auth(access_token="ready").current() == ("ready", None, None)
        assert sim.calls == []

    def test_a_cached_one_keeps_its_end(self, make_auth, clock, tmp_path):
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

    def test_a_401_is_answered_with_one_new_token_and_the_same_body(self, sim, client):
        one = client()
        one.authenticate()
        sim.expire_tokens()
        one.invoke(body_of("a"))
        assert self.statuses(sim) == [401, 200]
        assert len(sim.token_calls) == 2
        assert len(set(sim.bodies())) == 1

    def test_a_second_401_fails_plainly(self, sim, client):
        sim.fault("expired", times=None)
        exc = failure(client().invoke, body_of("a"), kind=AuthError)
        assert str(exc) == "VCC refuses a token that it has just given out (401): check account, region and api_url."
        assert not exc.maybe_processed
        assert self.statuses(sim) == [401, 401]
        assert len(sim.token_calls) == 2

    def test_a_token_may_end_more_than_once_in_a_task(self, sim, client):
        one = client()
        for name in "abc":
            one.invoke(body_of(name))
            sim.expire_tokens()
        assert self.statuses(sim) == [200, 401, 200, 401, 200]
        assert len(sim.token_calls) == 3

    def test_a_ready_token_needs_no_other(self, sim, client):
        client(access_token=sim.issue_token(), client_id=None, client_secret=None, auth_url="").invoke(body_of("a"))
        assert self.statuses(sim) == [200]
        assert sim.token_calls == []

    @pytest.mark.parametrize(
        "credentials", [(None, None), (CLIENT_ID, None), (None, CLIENT_SECRET)], ids=["none", "id only", "secret only"]
    )
    def test_a_ready_token_alone_fails_plainly_when_it_has_ended(self, sim, client, credentials):
        client_id, client_secret = credentials
        one = client(access_token="an-old-one", client_id=client_id, client_secret=client_secret)
        exc = failure(one.invoke, body_of("a"), kind=AuthError, hidden=["an-old-one"])
        assert "VCC refused the access token (401)" in str(exc)
        assert "access_token" in str(exc)
        assert self.statuses(sim) == [401]
        assert sim.token_calls == []

    def test_a_ready_token_is_followed_by_those_of_the_credentials(self, sim, client):
        one = client(access_token="an-old-one")
        one.invoke(body_of("a"))
        one.invoke(body_of("b"))
        assert self.statuses(sim) == [401, 200, 200]
        assert len(sim.token_calls) == 1

    def test_who_comes_with_an_older_token_gets_the_present_one(self, sim, make_auth):
        auth = make_auth(access_token="an-old-one")
        present = auth.renew(rejected="an-old-one")
        assert auth.renew(rejected="an-old-one") == present
        assert len(sim.token_calls) == 1

    def test_a_401_after_an_attempt_that_may_have_counted_stays_uncertain(self, sim, make_http, make_auth):
        one = Client(make_http(retries=1), make_auth(), sim.url)
        sim.fault("cut", when="after")
        sim.fault("expired", times=None)
        assert failure(one.invoke, body_of("a"), kind=AuthError).maybe_processed

    def test_what_the_new_token_meets_stays_uncertain_too(self, sim, make_http, make_auth):
        one = Client(make_http(retries=1), make_auth(access_token="an-old-one", client_secret="wrong"), sim.url)
        sim.fault("cut", when="after")
        sim.fault("expired", times=None)
        exc = failure(one.invoke, body_of("a"), kind=AuthError, hidden=["an-old-one"])
        assert "invalid_client" in str(exc)
        assert exc.maybe_processed


class TestRefusal:
    def test_wrong_credentials(self, make_auth):
        exc = failure(make_auth(client_secret="a-wr0ng-one").token, kind=AuthError, hidden=["a-wr0ng-one"])
        assert (
            str(exc)
            == "VCC refused the client credentials (invalid_client): check client_id, client_secret and region."
        )

    def test_a_scope_that_is_not_granted(self, sim, make_auth):
        sim.add_client("reader", "s3cret", scopes=("stats",))
        exc = failure(make_auth(client_id="reader", client_secret="s3cret").token, kind=AuthError, hidden=["s3cret"])
        assert str(exc) == (
            "VCC gives the API client no token for the scope interactions:write (invalid_scope): grant it that scope in VCC."
        )

    @pytest.mark.parametrize(
        ("status", "body", "said"),
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
    def test_other_refusals(self, sim, make_auth, status, body, said):
        sim.fault("status", path=TOKEN, status=status, body=body)
        exc = failure(make_auth().token, kind=AuthError)
        assert said in str(exc)
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
    def test_no_answer_of_a_token_endpoint(self, sim, make_auth, kind, details):
        """Nothing of it makes a release maybe_processed, since there was no call yet."""
        sim.fault(kind, path=TOKEN, **details)
        exc = failure(make_auth().token, kind=NoResponseError, hidden=[CLIENT_SECRET, "hidden"])
        assert sim.token_url in str(exc)
        assert not exc.maybe_processed
        assert len(sim.calls) == 1

    def test_the_token_endpoint_is_asked_again_like_any_other(self, sim, make_http, make_auth):
        sim.fault("status", path=TOKEN, status=503)
        sim.fault("cut", path=TOKEN, when="after")
        assert make_auth(make_http(retries=2)).token()
        assert len(sim.token_calls) == 3

    def test_a_refusal_is_not_remembered(self, sim, make_auth):
        auth = make_auth(client_id="late", client_secret="s3cret")
        failure(auth.token, kind=AuthError)
        sim.add_client("late", "s3cret")
        assert auth.token()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a" / "b" / "tokens.json"


class TestCache:
    def test_nothing_is_written_unless_asked_for(self, tmp_path, make_auth, monkeypatch):
        monkeypatch.chdir(tmp_path)
        make_auth().token()
        assert list(tmp_path.rglob("*")) == []

    def test_the_next_task_uses_the_same_token(self, sim, make_auth, path):
        first = make_auth(cache_path=str(path)).token()
        announced = []
        assert make_auth(cache_path=str(path), on_token=announced.append).token() == first
        assert announced == [first]
        assert len(sim.calls) == 1

    def test_no_one_else_can_read_it(self, make_auth, path, open_umask):
        make_auth(cache_path=str(path)).token()
        assert {each.name: oct(mode(each)) for each in path.parent.iterdir()} == {
            "tokens.json": "0o600",
            "tokens.json.lock": "0o600",
        }
        assert (oct(mode(path.parent)), oct(mode(path.parent.parent))) == ("0o700", "0o700")

    def test_no_one_else_can_read_it_when_it_is_replaced(self, make_auth, path, clock, open_umask):
        make_auth(cache_path=str(path)).token()
        clock.now += 7200
        make_auth(cache_path=str(path)).token()
        assert oct(mode(path)) == "0o600"

    def test_it_holds_no_secret_and_no_name(self, make_auth, path):
        make_auth(cache_path=str(path), account="main account").token()
        text = path.read_text()
        ((key, entry),) = json.loads(text).items()
        assert len(key) == 64
        assert set(entry) == {"access_token", "renew_at", "expires_at"}
        assert CLIENT_SECRET not in json.dumps(entry, ensure_ascii=False)
        assert "main account" not in text

    def test_a_token_is_renewed_a_minute_before_it_ends(self, sim, make_auth, path, clock):
        first = make_auth(cache_path=str(path)).token()
        clock.now += 7200 - 60 - 0.5
        assert make_auth(cache_path=str(path)).token() == first
        clock.now += 0.5
        second = make_auth(cache_path=str(path)).token()
        assert second != first
        assert make_auth(cache_path=str(path)).token() == second
        assert len(sim.calls) == 2

    def test_a_token_of_unknown_life_is_not_kept(self, sim, make_auth, path):
        sim.fault("status", status=200, path=TOKEN, body={"access_token": "t0ken"})
        assert make_auth(cache_path=str(path)).token() == "t0ken"
        assert make_auth(cache_path=str(path)).token() != "t0ken"

    def test_each_endpoint_client_scope_and_account_has_its_own(self, sim, make_auth, path):
        sim.add_client("other", "s3cret")
        variants = [
            {},
            {"auth_url": sim.token_url.replace("127.0.0.1", "localhost")},
            {"client_id": "other", "client_secret": "s3cret"},
            {"scope": "stats"},
            {"account": "second"},
        ]
        tokens = [make_auth(cache_path=str(path), **variant).token() for variant in variants]
        assert len(set(tokens)) == len(variants)
        assert [make_auth(cache_path=str(path), **variant).token() for variant in variants] == tokens
        assert len(sim.calls) == len(variants)

    def test_a_token_that_vcc_refuses_is_dropped_for_all(self, sim, make_auth, make_http, path):
        old = make_auth(cache_path=str(path)).token()
        sim.expire_tokens()
        Client(make_http(), make_auth(cache_path=str(path)), sim.url).invoke(body_of("a"))
        new = make_auth(cache_path=str(path)).token()
        assert new != old
        assert len(sim.token_calls) == 2

    def test_a_ready_token_and_one_of_the_cache_that_vcc_refuses_are_replaced(self, sim, make_auth, make_http, path):
        make_auth(cache_path=str(path)).token()
        sim.expire_tokens()
        one = Client(make_http(), make_auth(cache_path=str(path), access_token="an-old-one"), sim.url)
        one.invoke(body_of("a"))
        assert sim.released == ["a"]
        assert (len(sim.token_calls), one.calls) == (2, 3)

    def test_no_third_token_is_tried(self, sim, make_auth, make_http, path):
        make_auth(cache_path=str(path)).token()
        sim.fault("expired", times=None)
        one = Client(make_http(), make_auth(cache_path=str(path), access_token="an-old-one"), sim.url)
        exc = failure(one.invoke, body_of("a"), kind=AuthError, hidden=["an-old-one"])
        assert "a token that it has just given out (401)" in str(exc)
        assert (len(sim.token_calls), one.calls) == (2, 3)

    def test_a_token_that_another_has_renewed_is_used(self, sim, make_auth, path):
        one, two = make_auth(cache_path=str(path)), make_auth(cache_path=str(path))
        old = one.token()
        assert two.token() == old
        new = one.renew(rejected=old)
        assert two.renew(rejected=old) == new
        assert len(sim.calls) == 2

    def test_a_refusal_leaves_the_others_tokens(self, sim, make_auth, path):
        token = make_auth(cache_path=str(path)).token()
        failure(make_auth(cache_path=str(path), client_secret="wrong", account="x").token, kind=AuthError)
        assert make_auth(cache_path=str(path)).token() == token

    def test_a_relative_path_begins_in_the_current_folder(self, make_auth, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        make_auth(cache_path="tokens.json").token()
        assert oct(mode(tmp_path / "tokens.json")) == "0o600"


class TestCacheInDoubt:
    @pytest.mark.parametrize("content", [b"", b"{}"])
    def test_an_empty_one_is_used(self, sim, make_auth, path, content):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        token = make_auth(cache_path=str(path)).token()
        assert make_auth(cache_path=str(path)).token() == token
        assert len(sim.calls) == 1

    @pytest.mark.parametrize("wide", [0o600, 0o666])
    @pytest.mark.parametrize(
        "content",
        [
            b"case-1\ncase-2\n",
            b"\xff\xfe\x00",
            b" ",
            b"[]",
            b"null",
            b"17",
            b'"text"',
            b"{",
            b"[" * 100_000,
            b'{"other": 17}',
            b'{"access_token": "x", "renew_at": 2e9, "expires_at": 2e9}',
            json.dumps({"0" * 64: "a-file.iso"}).encode(),
            json.dumps({"0" * 64: {"access_token": "x"}}).encode(),
            json.dumps({"case-1": dict.fromkeys(("access_token", "renew_at", "expires_at"))}).encode(),
        ],
    )
    def test_the_file_of_something_else_is_left_as_it_is(self, sim, make_auth, path, content, wide):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        path.chmod(wide)
        exc = failure(make_auth(cache_path=str(path)).token, kind=InputError)
        assert str(exc).startswith(f"The token cache {path} cannot be used (it is a file, but no token cache")
        assert path.read_bytes() == content
        assert sim.calls == []

    @pytest.mark.parametrize(
        "entry",
        [
            {"access_token": None, "renew_at": 2e9, "expires_at": 2e9},
            {"access_token": "two words", "renew_at": 2e9, "expires_at": 2e9},
            {"access_token": "x\r\nX: y", "renew_at": 2e9, "expires_at": 2e9},
            {"access_token": "x", "renew_at": "soon", "expires_at": 2e9},
            {"access_token": "x", "renew_at": 2e9, "expires_at": None},
            {"access_token": "x", "renew_at": 10**400, "expires_at": 2e9},
            {"access_token": "x", "renew_at": float("nan"), "expires_at": 2e9},
        ],
    )
    def test_an_entry_that_makes_no_sense_is_replaced(self, sim, make_auth, path, entry):
        make_auth(cache_path=str(path)).token()
        path.write_text(json.dumps(dict.fromkeys(json.loads(path.read_text()), entry)))
        token = make_auth(cache_path=str(path)).token()
        assert token != "x"
        assert make_auth(cache_path=str(path)).token() == token
        assert len(sim.calls) == 2

    @pytest.mark.parametrize("wide", [0o620, 0o602, 0o666])
    def test_what_others_could_have_written_is_not_believed(self, sim, make_auth, path, wide):
        token = make_auth(cache_path=str(path)).token()
        path.chmod(wide)
        assert make_auth(cache_path=str(path)).token() != token
        assert len(sim.calls) == 2
        assert oct(mode(path)) == "0o600"

    @pytest.mark.parametrize("suffix", ["", ".lock"])
    def test_a_symbolic_link_is_refused_before_any_call(self, sim, make_auth, path, tmp_path, suffix):
        path.parent.mkdir(parents=True)
        target = tmp_path / "target"
        target.write_text("precious")
        (path.parent / (path.name + suffix)).symlink_to(target)
        exc = failure(make_auth(cache_path=str(path)).token, kind=InputError)
        assert str(path) in str(exc)
        assert "symbolic link" in str(exc)
        assert "token_cache" in str(exc)
        assert target.read_text() == "precious"
        assert sim.calls == []

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
    def test_the_file_of_another_user_is_refused_before_any_call(self, sim, make_auth, path):
        make_auth(cache_path=str(path)).token()
        os.chown(path, 12345, -1)
        exc = failure(make_auth(cache_path=str(path)).token, kind=InputError)
        assert "it belongs to another user" in str(exc)
        assert len(sim.calls) == 1

    @pytest.mark.parametrize("make", ["mkdir", "mkfifo"])
    def test_what_is_no_file_is_refused_before_any_call(self, sim, make_auth, path, make):
        path.parent.mkdir(parents=True)
        getattr(os, make)(path)
        exc = failure(make_auth(cache_path=str(path)).token, kind=InputError)
        assert f"The token cache {path} cannot be used (" in str(exc)
        assert sim.calls == []

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda lock: lock.write_text("precious"), "is not empty"),
            (os.mkfifo, "is not a regular file"),
            pytest.param(
                lambda lock: (lock.touch(), os.chown(lock, 12345, -1)),
                "belongs to another user",
                marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away"),
            ),
        ],
        ids=["text", "fifo", "stranger"],
    )
    def test_what_is_no_lock_of_ours_is_refused(self, sim, make_auth, path, make, said):
        path.parent.mkdir(parents=True)
        lock = Path(f"{path}.lock")
        make(lock)
        exc = failure(make_auth(cache_path=str(path)).token, kind=InputError)
        assert f"The token cache {path} cannot be used ({lock} {said}" in str(exc)
        assert sim.calls == []

    def test_a_file_system_that_locks_nothing_is_named(self, sim, make_auth, path, monkeypatch):
        def flock(handle, how):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(fcntl, "flock", flock)  # which a file system of this machine cannot be made to do
        exc = failure(make_auth(cache_path=str(path)).token, kind=InputError)
        assert str(exc) == (
            f"The token cache {path} cannot be used (its file system locks no files: No locks available): put token_cache on a local disk,"
            " or leave it out."
        )
        assert sim.calls == []

    def test_a_process_that_is_stopped_is_not_waited_for_without_end(self, sim, path):
        with sim.lock, python(ASKING, sim.token_url, CLIENT_ID, CLIENT_SECRET, path) as process:
            process.stdout.readline()
            wait_for_lock(f"{path}.lock")
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            with pytest.raises(InputError) as caught:
                TokenCache(str(path), lock_timeout=0.1).locked().__enter__()
            process.send_signal(signal.SIGCONT)
        said = str(caught.value)
        assert said.startswith(f"The token cache {path} cannot be used (")
        assert f"has held {path}.lock for 0.1 seconds): let that process go on or end it" in said
        if Path("/proc/locks").exists():
            assert f"(process {process.pid} (" in said
            assert ", which is stopped) has held" in said

    def test_a_folder_that_cannot_be_made_is_refused_before_any_call(self, sim, make_auth, tmp_path):
        (tmp_path / "file").touch()
        exc = failure(make_auth(cache_path=str(tmp_path / "file" / "tokens.json")).token, kind=InputError)
        assert f"The token cache {tmp_path / 'file' / 'tokens.json'} cannot be used (" in str(exc)
        assert sim.calls == []

    def test_nothing_is_left_beside_it(self, make_auth, path, clock):
        for dummy in range(3):
            make_auth(cache_path=str(path)).token()
            clock.now += 7200
        assert sorted(each.name for each in path.parent.iterdir()) == ["tokens.json", "tokens.json.lock"]


EIGHT = """
import sys
from ansible_collections.vonage.vcc.plugins.module_utils.auth import TokenProvider
from ansible_collections.vonage.vcc.plugins.module_utils._api.http import Http
auth_url, client_id, client_secret, cache_path = sys.argv[1:]
auth = TokenProvider(Http(30, 0, True), auth_url, client_id, client_secret, "interactions:write", cache_path=cache_path)
together()
print(auth.token())
"""


ASKING = """
import sys
from ansible_collections.vonage.vcc.plugins.module_utils.auth import TokenProvider
from ansible_collections.vonage.vcc.plugins.module_utils._api.http import Http
auth_url, client_id, client_secret, cache_path = sys.argv[1:]
print(flush=True)
TokenProvider(Http(30, 0, True), auth_url, client_id, client_secret, "interactions:write", cache_path=cache_path).token()
"""


def wait_for_lock(path):
    """Wait until another process holds the lock."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError), open(path, "rb+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        time.sleep(0.01)
    raise AssertionError("nobody locks it")


def test_of_eight_forks_at_once_one_asks(sim, path):
    sim.fault("latency", path=TOKEN, seconds=0.3)
    tokens = at_once(8, EIGHT, sim.token_url, CLIENT_ID, CLIENT_SECRET, path)
    assert len(set(tokens)) == 1
    assert len(sim.token_calls) == 1
    with contextlib.closing(os.scandir(path.parent)) as found:
        assert sorted(each.name for each in found) == ["tokens.json", "tokens.json.lock"]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The token cache: shared tokens, who can read them, files that it refuses, and its lock."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import time
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._api.client import Client
from ansible_collections.vonage.vcc.plugins.module_utils._api.token_cache import TokenCache
from ansible_collections.vonage.vcc.plugins.module_utils._errors import AuthError, InputError
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import TIMEOUT, at_once, body_of, mode, python
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._api.helpers import TOKEN, failure


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a" / "b" / "tokens.json"


class TestCache:
    def test_no_cache_by_default(self, tmp_path, make_auth, monkeypatch):
        monkeypatch.chdir(tmp_path)
        make_auth().token()
        assert list(tmp_path.rglob("*")) == []

    def test_next_task_uses_cached_token(self, sim, make_auth, path):
        first = make_auth(cache_path=str(path)).token()
        announced = []
        assert make_auth(cache_path=str(path), on_token=announced.append).token() == first
        assert announced == [first]
        assert len(sim.calls) == 1

    def test_only_owner_can_read_cache(self, make_auth, path, open_umask):
        make_auth(cache_path=str(path)).token()
        assert {each.name: oct(mode(each)) for each in path.parent.iterdir()} == {
            "tokens.json": "0o600",
            "tokens.json.lock": "0o600",
        }
        assert (oct(mode(path.parent)), oct(mode(path.parent.parent))) == ("0o700", "0o700")

    def test_only_owner_can_read_replaced_cache(self, make_auth, path, clock, open_umask):
        make_auth(cache_path=str(path)).token()
        clock.now += 7200
        make_auth(cache_path=str(path)).token()
        assert oct(mode(path)) == "0o600"

    def test_cache_has_neither_client_secret_nor_account(self, make_auth, path):
        make_auth(cache_path=str(path), account="main account").token()
        text = path.read_text()
        ((key, entry),) = json.loads(text).items()
        assert len(key) == 64
        assert set(entry) == {"access_token", "renew_at", "expires_at"}
        assert CLIENT_SECRET not in json.dumps(entry, ensure_ascii=False)
        assert "main account" not in text

    def test_cached_token_is_renewed_one_minute_before_end(self, sim, make_auth, path, clock):
        first = make_auth(cache_path=str(path)).token()
        clock.now += 7200 - 60 - 0.5
        assert make_auth(cache_path=str(path)).token() == first
        clock.now += 0.5
        second = make_auth(cache_path=str(path)).token()
        assert second != first
        assert make_auth(cache_path=str(path)).token() == second
        assert len(sim.calls) == 2

    def test_token_without_lifetime_is_not_cached(self, sim, make_auth, path):
        sim.fault("status", status=200, path=TOKEN, body={"access_token": "t0ken"})
        assert make_auth(cache_path=str(path)).token() == "t0ken"
        assert make_auth(cache_path=str(path)).token() != "t0ken"

    def test_endpoints_clients_scopes_and_accounts_have_own_entries(self, sim, make_auth, path):
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

    def test_rejected_token_is_replaced_for_all_tasks(self, sim, make_auth, make_http, path):
        old = make_auth(cache_path=str(path)).token()
        sim.expire_tokens()
        Client(make_http(), make_auth(cache_path=str(path)), sim.url).invoke(body_of("a"))
        new = make_auth(cache_path=str(path)).token()
        assert new != old
        assert len(sim.token_calls) == 2

    def test_rejected_given_and_cached_tokens_are_replaced(self, sim, make_auth, make_http, path):
        make_auth(cache_path=str(path)).token()
        sim.expire_tokens()
        client = Client(make_http(), make_auth(cache_path=str(path), access_token="an-old-one"), sim.url)
        client.invoke(body_of("a"))
        assert sim.released == ["a"]
        assert (len(sim.token_calls), client.calls) == (2, 3)

    def test_no_third_token_is_tried(self, sim, make_auth, make_http, path):
        make_auth(cache_path=str(path)).token()
        sim.fault("expired", times=None)
        client = Client(make_http(), make_auth(cache_path=str(path), access_token="an-old-one"), sim.url)
        exc = failure(client.invoke, body_of("a"), kind=AuthError, hidden=["an-old-one"])
        assert "a token that it has just issued (401)" in str(exc)
        assert (len(sim.token_calls), client.calls) == (2, 3)

    def test_token_renewed_by_other_task_is_used(self, sim, make_auth, path):
        first, second = make_auth(cache_path=str(path)), make_auth(cache_path=str(path))
        old = first.token()
        assert second.token() == old
        new = first.renew(rejected=old)
        assert second.renew(rejected=old) == new
        assert len(sim.calls) == 2

    def test_rejected_credentials_keep_other_entries(self, sim, make_auth, path):
        token = make_auth(cache_path=str(path)).token()
        failure(make_auth(cache_path=str(path), client_secret="wrong", account="x").token, kind=AuthError)
        assert make_auth(cache_path=str(path)).token() == token

    def test_relative_path_starts_in_current_folder(self, make_auth, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        make_auth(cache_path="tokens.json").token()
        assert oct(mode(tmp_path / "tokens.json")) == "0o600"


class TestFile:
    @pytest.mark.parametrize("content", [b"", b"{}"])
    def test_empty_file_is_used(self, sim, make_auth, path, content):
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
    def test_other_file_is_refused_and_kept(self, sim, make_auth, path, content, wide):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        path.chmod(wide)
        exc = failure(make_auth(cache_path=str(path)).token, kind=InputError)
        assert str(exc).startswith(f"The token cache {path} cannot be used (it is not a token cache")
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
    def test_invalid_entry_is_replaced(self, sim, make_auth, path, entry):
        make_auth(cache_path=str(path)).token()
        path.write_text(json.dumps(dict.fromkeys(json.loads(path.read_text()), entry)))
        token = make_auth(cache_path=str(path)).token()
        assert token != "x"
        assert make_auth(cache_path=str(path)).token() == token
        assert len(sim.calls) == 2

    @pytest.mark.parametrize("wide", [0o620, 0o602, 0o666])
    def test_file_that_others_can_write_is_not_trusted(self, sim, make_auth, path, wide):
        token = make_auth(cache_path=str(path)).token()
        path.chmod(wide)
        assert make_auth(cache_path=str(path)).token() != token
        assert len(sim.calls) == 2
        assert oct(mode(path)) == "0o600"

    @pytest.mark.parametrize("suffix", ["", ".lock"])
    def test_symbolic_link_is_refused(self, sim, make_auth, path, tmp_path, suffix):
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
    def test_file_of_other_user_is_refused(self, sim, make_auth, path):
        make_auth(cache_path=str(path)).token()
        os.chown(path, 12345, -1)
        exc = failure(make_auth(cache_path=str(path)).token, kind=InputError)
        assert "it belongs to another user" in str(exc)
        assert len(sim.calls) == 1

    @pytest.mark.parametrize("make", ["mkdir", "mkfifo"])
    def test_special_file_is_refused(self, sim, make_auth, path, make):
        path.parent.mkdir(parents=True)
        getattr(os, make)(path)
        exc = failure(make_auth(cache_path=str(path)).token, kind=InputError)
        assert f"The token cache {path} cannot be used (" in str(exc)
        assert sim.calls == []

    @pytest.mark.parametrize(
        ("make", "message"),
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
    def test_other_lock_file_is_refused(self, sim, make_auth, path, make, message):
        path.parent.mkdir(parents=True)
        lock = Path(f"{path}.lock")
        make(lock)
        exc = failure(make_auth(cache_path=str(path)).token, kind=InputError)
        assert f"The token cache {path} cannot be used ({lock} {message}" in str(exc)
        assert sim.calls == []

    def test_file_system_without_locks_is_named(self, sim, make_auth, path, monkeypatch):
        def flock(handle, how):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(fcntl, "flock", flock)  # because the file systems of this machine support locks
        exc = failure(make_auth(cache_path=str(path)).token, kind=InputError)
        assert str(exc) == (
            f"The token cache {path} cannot be used (its file system does not support locks: No locks available): put token_cache on a local disk,"
            " or leave it out."
        )
        assert sim.calls == []

    def test_wait_for_stopped_process_has_timeout(self, sim, path):
        with sim.lock, python(REQUEST, sim.token_url, CLIENT_ID, CLIENT_SECRET, path) as process:
            process.stdout.readline()
            wait_for_lock(f"{path}.lock")
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            with pytest.raises(InputError) as caught:
                TokenCache(str(path), lock_timeout=0.1).locked().__enter__()
            process.send_signal(signal.SIGCONT)
        message = str(caught.value)
        assert message.startswith(f"The token cache {path} cannot be used (")
        assert f"has held {path}.lock for 0.1 seconds): wait until that process ends, or end it" in message
        if Path("/proc/locks").exists():
            assert f"(process {process.pid} (" in message
            assert ", which is stopped) has held" in message

    def test_impossible_folder_is_refused(self, sim, make_auth, tmp_path):
        (tmp_path / "file").touch()
        exc = failure(make_auth(cache_path=str(tmp_path / "file" / "tokens.json")).token, kind=InputError)
        assert f"The token cache {tmp_path / 'file' / 'tokens.json'} cannot be used (" in str(exc)
        assert sim.calls == []

    def test_no_temporary_files_remain(self, make_auth, path, clock):
        for dummy in range(3):
            make_auth(cache_path=str(path)).token()
            clock.now += 7200
        assert sorted(each.name for each in path.parent.iterdir()) == ["tokens.json", "tokens.json.lock"]


REQUEST_TOGETHER = """
import sys
from ansible_collections.vonage.vcc.plugins.module_utils.auth import TokenProvider
from ansible_collections.vonage.vcc.plugins.module_utils._api.http import Http
auth_url, client_id, client_secret, cache_path = sys.argv[1:]
auth = TokenProvider(Http(30, 0, True), auth_url, client_id, client_secret, "interactions:write", cache_path=cache_path)
together()
print(auth.token())
"""

REQUEST = """
import sys
from ansible_collections.vonage.vcc.plugins.module_utils.auth import TokenProvider
from ansible_collections.vonage.vcc.plugins.module_utils._api.http import Http
auth_url, client_id, client_secret, cache_path = sys.argv[1:]
print(flush=True)
TokenProvider(Http(30, 0, True), auth_url, client_id, client_secret, "interactions:write", cache_path=cache_path).token()
"""


def wait_for_lock(path):
    """Wait until another process holds the lock."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError), open(path, "rb+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        time.sleep(0.01)
    raise AssertionError("no process holds the lock")


def test_one_of_eight_processes_requests_token(sim, path):
    sim.fault("latency", path=TOKEN, seconds=0.3)
    tokens = at_once(8, REQUEST_TOGETHER, sim.token_url, CLIENT_ID, CLIENT_SECRET, path)
    assert len(set(tokens)) == 1
    assert len(sim.token_calls) == 1
    with contextlib.closing(os.scandir(path.parent)) as found:
        assert sorted(each.name for each in found) == ["tokens.json", "tokens.json.lock"]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens: from client credentials to a bearer token, its reuse and its renewal.

The contract: OAuth 2.0 client credentials, C(POST {token endpoint}) form-encoded with C(grant_type), C(client_id),
C(client_secret) and C(scope). A token may be used for C(expires_in) seconds; a 401 of an API means that it has expired.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import stat
import tempfile
import threading
import time
import typing as t

from .errors import AccessError, InputError, UnansweredError
from .files import holders, make_folder_for

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

# A token is renewed this many seconds before it ends, or at half its life if that is shorter.
MARGIN = 60

# The longest life in seconds that makes sense of a token.
LONGEST = 10**9

# Seconds to wait for another process that asks for a token: longer than such a call takes with the default timeout and retries.
LOCK_PATIENCE = 300

# Seconds between two looks at the lock.
LOCK_POLL = 0.02

# No cache has as many bytes.
LARGEST_CACHE = 16 * 1024 * 1024

# What an entry of the cache has, and the key of one.
FIELDS = {"access_token", "renew_at", "expires_at"}
_KEY = re.compile(r"[0-9a-f]{64}")

_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")


def check_token(token: str) -> str:
    """Return C(token) if it can stand in an HTTP header; raise ValueError otherwise, without its text."""
    if not _HEADER_SAFE.fullmatch(token):
        raise ValueError("a token has to be printable ASCII without spaces")
    return token


class Token(t.NamedTuple):
    """A bearer token. C(expires_at) is in seconds of the epoch, None where the server did not say."""

    value: str
    renew_at: float | None
    expires_at: float | None = None

    def usable(self, now: float) -> bool:
        return self.renew_at is None or now < self.renew_at

    def ends_within(self, now: float, seconds: float) -> bool:
        return self.expires_at is not None and 0 <= self.expires_at - now <= seconds


class TokenCache:
    """Tokens in a file that only its owner can read, shared by tasks and safe under parallel forks.

    The file is a JSON object C({key: {"access_token", "renew_at", "expires_at"}}), the times in seconds of the epoch. It is replaced
    as a whole, never written in place; a file beside it (C(PATH.lock)) is locked meanwhile, so that of many forks one asks for the token.
    A file that is anything else is somebody's, and is refused.

    :arg patience: seconds to wait for the lock.
    """

    def __init__(self, path: str, patience: float = LOCK_PATIENCE) -> None:
        self.path = path
        self._patience = patience

    def check(self) -> None:
        """Raise InputError for a file that is not to be replaced or believed. Writes nothing."""
        self._read()

    @contextlib.contextmanager
    def locked(self) -> t.Iterator[dict[str, t.Any]]:
        """Yield the entries, to be changed in place; what was changed is written at the end. Raises InputError."""
        lock = self._open_lock()
        try:
            self._wait_for(lock)
            entries = self._read()
            before = json.dumps(entries)
            try:
                yield entries
            finally:
                after = json.dumps(entries)
                if after != before:
                    self._write(after)
        finally:
            os.close(lock)

    def _open_lock(self) -> int:
        path = self.path + ".lock"
        try:
            make_folder_for(path)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            lock = os.open(path, flags, 0o600)
        except OSError as exc:
            raise self._unusable(f"{path} is a symbolic link" if os.path.islink(path) else exc.strerror) from None
        info = os.fstat(lock)
        why = (
            "is not a regular file"
            if not stat.S_ISREG(info.st_mode)
            else "belongs to another user"
            if info.st_uid != os.geteuid()
            else "is not empty, so not the lock that it has to be"
            if info.st_size
            else ""
        )
        if why:
            os.close(lock)
            raise self._unusable(f"{path} {why}")
        return lock

    def _wait_for(self, lock: int) -> None:
        if fcntl is None:
            return
        deadline = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    break
                time.sleep(LOCK_POLL)
            except OSError as exc:
                raise InputError(
                    f"The token cache {self.path} cannot be used (its file system locks no files: {exc.strerror}): put token_cache on a local"
                    " disk, or leave it out."
                ) from None
        found = holders(self.path + ".lock")
        raise InputError(
            f"The token cache {self.path} cannot be used ({found or 'another process'} has held {self.path}.lock for {self._patience:g} seconds):"
            f" let that process go on or end it{'' if found else '; fuser names it'}."
        )

    def _read(self) -> dict[str, t.Any]:
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise self._unusable("it is a symbolic link" if os.path.islink(self.path) else exc.strerror) from None
        try:
            info = os.fstat(handle)
            if not stat.S_ISREG(info.st_mode):
                raise self._unusable("it is not a regular file")
            if info.st_uid != os.geteuid():
                raise self._unusable("it belongs to another user")
            with os.fdopen(handle, "rb", closefd=False) as file:
                content = file.read(LARGEST_CACHE)
        except OSError as exc:
            raise self._unusable(exc.strerror) from None
        finally:
            os.close(handle)
        entries = self._entries(content)
        return {} if info.st_mode & 0o022 else entries  # others could have put their token there

    def _entries(self, content: bytes) -> dict[str, t.Any]:
        """What is in the file. Raises InputError for a file that this collection has not written."""
        if not content:
            return {}
        try:
            entries = json.loads(content)
        except (ValueError, RecursionError):
            entries = None
        if isinstance(entries, dict) and all(
            _KEY.fullmatch(key) and isinstance(entry, dict) and entry.keys() >= FIELDS for key, entry in entries.items()
        ):
            return entries
        raise InputError(
            f"The token cache {self.path} cannot be used (it is a file, but no token cache of this collection, and would be replaced):"
            " set token_cache to another path, or remove the file if nobody needs it."
        )

    def _write(self, text: str) -> None:
        try:
            handle, temporary = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(self.path)))  # mode 0600
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                os.replace(temporary, self.path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as exc:
            raise self._unusable(exc.strerror) from None

    def _unusable(self, why: str | None) -> InputError:
        return InputError(
            f"The token cache {self.path} cannot be used ({why or 'unknown error'}): point token_cache at a file of your own in a"
            " folder of your own, or leave it out."
        )


class Auth:
    """The source of bearer tokens for one VCC account and scope. Several threads may ask at once.

    :arg http: sends requests (C(client.Http)).
    :arg access_token: a ready token, used first; once VCC answers it with 401, the client credentials take over if there are any.
    :arg cache_path: a TokenCache's file, or None.
    :arg on_token: called with each token before its first use, so that the caller can keep it out of all output.
    """

    def __init__(
        self,
        http: t.Any,
        auth_url: str | None,
        client_id: str | None,
        client_secret: str | None,
        scope: str,
        account: str = "",
        access_token: str | None = None,
        cache_path: str | None = None,
        on_token: t.Callable[[str], t.Any] = lambda token: None,
        clock: t.Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._auth_url = auth_url
        self._client_id = client_id
        self._client_secret = client_secret
        self._scope = scope
        self._cache = TokenCache(cache_path) if cache_path else None
        self._cache_key = hashlib.sha256(json.dumps([auth_url, client_id, account, scope]).encode()).hexdigest()
        self._on_token = on_token
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._found: str | None = None
        if access_token:
            on_token(access_token)
            self._token = Token(access_token, None)

    def token(self) -> str:
        """Return the text of C(current)."""
        return self.current().value

    def current(self) -> Token:
        """Return a token that can be used now.

        Raises AccessError (refused credentials), UnansweredError (no token endpoint reached), InputError (token cache).
        """
        with self._lock:
            if self._token is None or not self._token.usable(self._clock()):
                self._token = self._cached(rejected=None)
            return self._token

    def renew(self, rejected: str) -> str:
        """Return a token other than C(rejected), which VCC answered with 401. Raises as C(token) does."""
        with self._lock:
            if self._token is None or self._token.value == rejected:
                if not (self._client_id and self._client_secret and self._auth_url):
                    raise AccessError(
                        "VCC refused the access token (401), which has expired or is wrong: give a new access_token, or client_id and client_secret."
                    )
                self._token = self._cached(rejected)
            return self._token.value

    def is_cached(self, token: str) -> bool:
        """Whether C(token) was found in the cache, rather than asked for."""
        with self._lock:
            return token == self._found

    def _cached(self, rejected: str | None) -> Token:
        if self._cache is None:
            return self._ask()
        with self._cache.locked() as entries:
            token: Token | None = None
            with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
                entry = entries[self._cache_key]
                token = Token(check_token(entry["access_token"]), float(entry["renew_at"]), float(entry["expires_at"]))
            now = self._clock()
            if token is not None and token.value != rejected and token.usable(now) and token.ends_within(now, LONGEST):
                self._on_token(token.value)
                self._found = token.value
                return token
            entries.pop(self._cache_key, None)
            token = self._ask()
            if token.expires_at is not None:
                entries[self._cache_key] = {
                    "access_token": token.value,
                    "renew_at": token.renew_at,
                    "expires_at": token.expires_at,
                }
            return token

    def _ask(self) -> Token:
        asked = self._clock()
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "scope": self._scope,
        }
        try:
            answer = self._http.send(
                "POST", self._auth_url, "The token endpoint", headers={"Accept": "application/json"}, form=form
            )
        except UnansweredError as exc:
            exc.uncertain = False  # whatever became of it, no API call was made
            raise
        body = answer.json() if answer.is_json() else None
        fields: dict[str, t.Any] = body if isinstance(body, dict) else {}
        if answer.status != 200:
            if answer.status in (401, 403, 407) and not answer.is_by_vcc():
                raise UnansweredError(
                    f"A proxy or gateway before the token endpoint {self._auth_url} refused the request with status {answer.status}:"
                    " check auth_url, region and the proxy."
                )
            error = fields.get("error")
            raise self._refusal(
                answer.status, error if isinstance(error, str) and _ERROR_CODE.fullmatch(error) else None
            )
        try:
            value = check_token(fields["access_token"])
        except (KeyError, TypeError, ValueError):
            raise UnansweredError(
                f"The token endpoint {self._auth_url} answered without a token: check auth_url, region and any proxy in between."
            ) from None
        self._on_token(value)
        try:
            lifetime = float(fields["expires_in"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return Token(value, None)
        if lifetime > LONGEST:
            return Token(value, None)
        if math.isnan(lifetime) or lifetime < 0:
            return Token(value, asked)
        return Token(value, asked + lifetime - min(MARGIN, lifetime / 2), asked + lifetime)

    def _refusal(self, status: int, error: str | None) -> AccessError | UnansweredError:
        if error == "invalid_scope":
            return AccessError(
                f"VCC gives the API client no token for the scope {self._scope} (invalid_scope): grant it that scope in VCC."
            )
        if error == "invalid_client" or status == 401:
            return AccessError(
                f"VCC refused the client credentials ({error or status}): check client_id, client_secret and region."
            )
        if status in (400, 403):
            return AccessError(
                f"The token endpoint {self._auth_url} refused the request"
                f" ({error or status}): check client_id, client_secret and auth_url."
            )
        return UnansweredError(
            f"The token endpoint {self._auth_url} answered with status {status}: check auth_url, region and any proxy in between."
        )

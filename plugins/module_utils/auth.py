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
import re
import threading
import time
import typing as t

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

from ._api.token_cache import TokenCache
from ._errors import AuthError, NoResponseError

# A token is renewed this many seconds before it ends, or at half its life if that is shorter.
MARGIN = 60

# The longest life in seconds that makes sense of a token.
LONGEST = 10**9

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


class TokenProvider:
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

        Raises AuthError (refused credentials), NoResponseError (no token endpoint reached), InputError (token cache).
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
                    raise AuthError(
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
        except NoResponseError as exc:
            exc.maybe_processed = False  # whatever became of it, no API call was made
            raise
        body = answer.json() if answer.is_json() else None
        fields: dict[str, t.Any] = body if isinstance(body, dict) else {}
        if answer.status != 200:
            if answer.status in (401, 403, 407) and not answer.is_by_vcc():
                raise NoResponseError(
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
            raise NoResponseError(
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

    def _refusal(self, status: int, error: str | None) -> AuthError | NoResponseError:
        if error == "invalid_scope":
            return AuthError(
                f"VCC gives the API client no token for the scope {self._scope} (invalid_scope): grant it that scope in VCC."
            )
        if error == "invalid_client" or status == 401:
            return AuthError(
                f"VCC refused the client credentials ({error or status}): check client_id, client_secret and region."
            )
        if status in (400, 403):
            return AuthError(
                f"The token endpoint {self._auth_url} refused the request"
                f" ({error or status}): check client_id, client_secret and auth_url."
            )
        return NoResponseError(
            f"The token endpoint {self._auth_url} answered with status {status}: check auth_url, region and any proxy in between."
        )

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens: from client credentials to a bearer token, its reuse and its renewal.

The API reference documents OAuth 2.0 client credentials: ``POST {token endpoint}`` with the form fields ``grant_type``, ``client_id``,
``client_secret`` and ``scope`` returns ``{"access_token", "expires_in", "token_type"}``. A client must reuse a token for its ``expires_in``
seconds, and treat a 401 of an API as the sign that it has expired. Error bodies follow RFC 6749, section 5.2: ``{"error": CODE}``.

Modules of other collections may use ``connection_options``, ``api_url``, ``TokenProvider`` and ``VccError``; the guide to the other APIs has an example.
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

from ._api.http import Http
from ._api.token_cache import TokenCache
from ._api.transport import REQUESTS_IMPORT_ERROR
from ._connection import Connection
from ._errors import AuthError, InputError, NoResponseError, VccError
from ._validation import check_token

__all__ = ["Token", "TokenProvider", "VccError", "api_url", "connection_options"]

# Seconds before its end at which a token is renewed; half its lifetime if that is shorter.
RENEWAL_MARGIN = 60

# The longest plausible lifetime of a token, in seconds.
MAX_LIFETIME = 10**9

_ERROR_CODE = re.compile(r"[a-z_]{1,40}")


def connection_options() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of the connection options, for a module of another collection. Unset options come from the environment."""
    # Imported only here, because the client of the APIs imports this file, and must not import Ansible.
    from ._options import CONNECTION_SPEC

    return dict(CONNECTION_SPEC)


def api_url(params: t.Mapping[str, t.Any]) -> str:
    """Return the URL of the API gateway, without a trailing slash. Raises InputError.

    :param params: the options of a task, with those of ``connection_options``.
    """
    return Connection.from_params(params).api_url


class Token(t.NamedTuple):
    """A bearer token. Times are in seconds since the epoch.

    :param value: the text of the token.
    :param renew_at: when to renew the token; None for never.
    :param expires_at: when the token expires; None if the token endpoint did not say.
    """

    value: str
    renew_at: float | None
    expires_at: float | None = None

    def usable(self, now: float) -> bool:
        """Return whether the token needs no renewal yet."""
        return self.renew_at is None or now < self.renew_at

    def ends_within(self, now: float, seconds: float) -> bool:
        """Return whether the token expires between now and ``seconds`` seconds from now."""
        return self.expires_at is not None and 0 <= self.expires_at - now <= seconds


class TokenProvider:
    """Provides the bearer tokens of one VCC account and scope. Threads can share it.

    :param http: an ``Http``, which sends the requests.
    :param auth_url: the URL of the token endpoint.
    :param scope: the scopes of the tokens, separated by spaces.
    :param account: the name of the account, which separates its tokens in the cache.
    :param access_token: a token to use first. After VCC has rejected it with 401, the client credentials take over if there are any.
    :param cache_path: the path of a ``TokenCache``, or None.
    :param on_token: a function to call with each token before its first use, so that no output contains it.
    :param clock: returns the time in seconds since the epoch.
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
        self._cached_value: str | None = None
        if access_token:
            on_token(access_token)
            self._token = Token(access_token, None)

    @classmethod
    def from_params(
        cls, params: t.Mapping[str, t.Any], scope: str, on_token: t.Callable[[str], t.Any]
    ) -> TokenProvider:
        """Return a provider for the options of a task. Raises InputError.

        :param params: the options of the task, with those of ``connection_options``.
        :param on_token: a function to call with each token before its first use. ``no_log_values.add`` of a module masks it in all output.
        """
        if REQUESTS_IMPORT_ERROR:
            raise InputError("The Python library requests is missing on the host that runs the task: install it there.")
        connection = Connection.from_params(params)
        http = Http(connection.timeout, connection.retries, connection.verify, connection.requests_per_minute)
        return cls.from_connection(connection, http, scope, on_token)

    @classmethod
    def from_connection(
        cls, connection: Connection, http: Http, scope: str, on_token: t.Callable[[str], t.Any]
    ) -> TokenProvider:
        """Return a provider for a connection. Raises InputError for a token cache or a proxy that cannot be used."""
        if connection.token_cache:
            TokenCache(connection.token_cache).check()
        if connection.auth_url:
            http.find_proxies(connection.auth_url)
        return cls(
            http,
            connection.auth_url,
            connection.client_id,
            connection.client_secret,
            scope,
            account=connection.account,
            access_token=connection.access_token,
            cache_path=connection.token_cache,
            on_token=on_token,
        )

    def token(self) -> str:
        """Return the text of a valid token. Raises as ``current`` does."""
        return self.current().value

    def current(self) -> Token:
        """Return a valid token.

        Raises AuthError (rejected credentials), NoResponseError (no response of the token endpoint) and InputError (token cache).
        """
        with self._lock:
            if self._token is None or not self._token.usable(self._clock()):
                self._token = self._get_token(rejected=None)
            return self._token

    def renew(self, rejected: str) -> str:
        """Return the text of another token than ``rejected``, which VCC has rejected with 401. Raises as ``current`` does."""
        with self._lock:
            if self._token is None or self._token.value == rejected:
                if not (self._client_id and self._client_secret and self._auth_url):
                    raise AuthError(
                        "VCC refused the access token (401), which has expired or is wrong: give a new access_token, or client_id and client_secret."
                    )
                self._token = self._get_token(rejected)
            return self._token.value

    def is_cached(self, token: str) -> bool:
        """Return whether ``token`` came from the cache, rather than from the token endpoint."""
        with self._lock:
            return token == self._cached_value

    def _get_token(self, rejected: str | None) -> Token:
        """Return a token from the cache, unless it is ``rejected`` or about to expire; otherwise request one and cache it."""
        if self._cache is None:
            return self._request_token()
        with self._cache.locked() as entries:
            token: Token | None = None
            with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
                entry = entries[self._cache_key]
                token = Token(check_token(entry["access_token"]), float(entry["renew_at"]), float(entry["expires_at"]))
            now = self._clock()
            if (
                token is not None
                and token.value != rejected
                and token.usable(now)
                and token.ends_within(now, MAX_LIFETIME)
            ):
                self._on_token(token.value)
                self._cached_value = token.value
                return token
            entries.pop(self._cache_key, None)
            token = self._request_token()
            if token.expires_at is not None:
                entries[self._cache_key] = {
                    "access_token": token.value,
                    "renew_at": token.renew_at,
                    "expires_at": token.expires_at,
                }
            return token

    def _request_token(self) -> Token:
        """Request a token with the client credentials. Raises AuthError and NoResponseError.

        The lifetime begins with the request, so that a slow response cannot extend it. A token without a valid ``expires_in`` does not expire.
        """
        requested_at = self._clock()
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "scope": self._scope,
        }
        try:
            response = self._http.send(
                "POST", self._auth_url, "The token endpoint", headers={"Accept": "application/json"}, form=form
            )
        except NoResponseError as exc:
            exc.maybe_processed = False  # the call to the API has not begun
            raise
        body = response.json() if response.is_json() else None
        fields: dict[str, t.Any] = body if isinstance(body, dict) else {}
        if response.status != 200:
            if response.status in (401, 403, 407) and not response.is_by_vcc():
                raise NoResponseError(
                    f"A proxy or gateway before the token endpoint {self._auth_url} refused the request with status {response.status}:"
                    " check auth_url, region and the proxy."
                )
            error = fields.get("error")
            raise self._rejection(
                response.status, error if isinstance(error, str) and _ERROR_CODE.fullmatch(error) else None
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
        if lifetime > MAX_LIFETIME:
            return Token(value, None)
        if math.isnan(lifetime) or lifetime < 0:
            return Token(value, requested_at)
        return Token(value, requested_at + lifetime - min(RENEWAL_MARGIN, lifetime / 2), requested_at + lifetime)

    def _rejection(self, status: int, error: str | None) -> AuthError | NoResponseError:
        """Return the error for a response other than 200.

        :param error: the code in the error body, or None. RFC 6749 allows 400 and 401 for every code.
        """
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

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VCC's APIs: their calls, with the token that each needs, and how VCC refuses them."""

from __future__ import annotations

import threading
import typing as t

from .._connection import Connection
from .._errors import ApiError, AuthError, NoResponseError, RejectedError, VccError
from ..auth import Token, TokenProvider
from .http import Http, Response

# What a token has to be good for.
WRITE_SCOPE = "interactions:write"

STATS_SCOPE = "stats"

INTERACTIONS_ACCEPT = "application/vnd.newvoicemedia.v1+json"

STATS_ACCEPT = "application/vnd.newvoicemedia.v3+json"

# Bytes of a request body that are never reached.
BODY_LIMIT = 100_000


class Client:
    """VCC's APIs, with the token that each call needs. Tasks with equal connections can share a client, and threads can call at once.

    :param api_url: the URL of the API gateway, without a trailing slash.
    :param scope: the scope of the token of ``auth``.
    :param secrets: texts that no error repeats.
    :param quoting: whether an error repeats the server's message.
    """

    def __init__(
        self,
        http: Http,
        auth: TokenProvider,
        api_url: str,
        scope: str = WRITE_SCOPE,
        secrets: set[str] | None = None,
        quoting: bool = True,
    ) -> None:
        self.calls = 0
        self.secrets = set() if secrets is None else secrets
        self._lock = threading.Lock()
        self._http = http
        self._auth = auth
        self._api_url = api_url
        self._scope = scope
        self._quoting = quoting

    @classmethod
    def from_connection(
        cls, connection: Connection, scope: str = WRITE_SCOPE, secrets: set[str] | None = None, quoting: bool = True
    ) -> Client:
        """Return a client for ``connection``. Raises InputError for a proxy or a certificate authority that cannot be used.

        :param secrets: the set that collects the connection's secrets and each token.
        """
        secrets = set() if secrets is None else secrets
        secrets |= connection.secrets
        http = Http(connection.timeout, connection.retries, connection.verify, connection.requests_per_minute)
        auth = TokenProvider(
            http,
            connection.auth_url,
            connection.client_id,
            connection.client_secret,
            scope,
            account=connection.account,
            access_token=connection.access_token,
            cache_path=connection.token_cache,
            on_token=secrets.add,
        )
        for url in (connection.api_url, connection.auth_url):
            if url:
                http.look_for_proxy(url)
        return cls(http, auth, connection.api_url, scope, secrets, quoting)

    def close(self) -> None:
        """Close the connections to VCC."""
        self._http.close()

    def authenticate(self) -> Token:
        """Return a valid token. Raises as ``TokenProvider.current`` does."""
        return self._auth.current()

    def invoke(self, body: bytes) -> None:
        """C(POST /interactions/Invoke) with a JSON body of at most 100,000 bytes; returns when VCC has accepted it (200).

        Raises AuthError (401 with a fresh token, 403), RejectedError (any other 4xx) and NoResponseError. The body of a success is
        undocumented: nothing and JSON are taken as VCC's, anything else as a page of something in between.
        """
        self._accepted(self._call("POST", "/interactions/Invoke", INTERACTIONS_ACCEPT, body))

    def register(self, body: bytes) -> None:
        """C(POST /interactions/Register) with a JSON body; returns when VCC has accepted it (200). Raises as C(invoke) does."""
        self._accepted(self._call("POST", "/interactions/Register", INTERACTIONS_ACCEPT, body))

    def ongoing(self, page: int, limit: int) -> tuple[list[dict[str, t.Any]], dict[str, t.Any]]:
        """C(GET /stats/interactions/ongoing): the items of a page, counted from 1, and its C(meta) in VCC's own spelling.

        Raises as C(invoke) does.
        """
        answer = self._call("GET", f"/stats/interactions/ongoing?page={page}&limit={limit}", STATS_ACCEPT, None)
        self._accepted(answer)
        body = answer.json() if answer.is_json() else None
        items = body.get("items") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
            raise self._strange(answer)
        meta = body.get("meta")
        return items, meta if isinstance(meta, dict) else {}

    def _accepted(self, answer: Response) -> None:
        if answer.status == 200 and answer.is_plain():
            return
        if 400 <= answer.status < 500:
            by_vcc = answer.is_by_vcc()
            who = "VCC" if by_vcc else "A proxy or gateway before VCC"
            raise RejectedError(
                f"{who} refused it with status {answer.status}{self._detail(answer)}",
                answer.status,
                by_vcc,
                answer.maybe_processed,
            )
        raise self._strange(answer)

    def _detail(self, answer: Response) -> str:
        return answer.detail(self.secrets) if self._quoting else ""

    def _strange(self, answer: Response) -> NoResponseError:
        return NoResponseError(
            f"{self._api_url} answered with status {answer.status} in a way that VCC does not: check api_url, region and any proxy in between.",
            maybe_processed=True,
        )

    def _call(self, method: str, path: str, accept: str, body: bytes | None) -> Response:
        token = self._auth.token()
        answer = self._send(method, path, accept, body, token)
        # The first renewal may come to the token of a cache, which can be as useless.
        for dummy in range(2):
            if answer.status != 401 or not answer.is_by_vcc():
                break
            try:
                token = self._auth.renew(rejected=token)
                again = self._send(method, path, accept, body, token)
            except ApiError as exc:
                exc.maybe_processed = exc.maybe_processed or answer.maybe_processed
                raise
            except VccError as exc:
                if answer.maybe_processed:
                    raise NoResponseError(str(exc), maybe_processed=True) from None
                raise
            answer = again._replace(maybe_processed=again.maybe_processed or answer.maybe_processed)
            if not self._auth.is_cached(token):
                break
        if answer.status == 401 and answer.is_by_vcc():
            raise AuthError(
                "VCC refuses a token that it has just given out (401): check account, region and api_url.",
                answer.maybe_processed,
            )
        if answer.status == 403 and answer.is_by_vcc():
            raise AuthError(
                f"VCC refuses access (403){self._detail(answer)}: give the API client the scope {self._scope}.",
                answer.maybe_processed,
            )
        return answer

    def _send(self, method: str, path: str, accept: str, body: bytes | None, token: str) -> Response:
        headers = {"Accept": accept, "Authorization": f"Bearer {token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self._http.send(
            method, self._api_url + path, "VCC at", headers=headers, body=body, on_request=self._count
        )

    def _count(self) -> None:
        with self._lock:
            self.calls += 1

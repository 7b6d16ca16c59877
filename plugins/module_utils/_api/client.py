# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of VCC's APIs, the token of each call, and the errors of rejected calls.

The API reference documents these statuses: 200 for success, 400, 401 (token missing, invalid or expired), 403 (token without the scope).
Further statuses are 413 and 417 (request over 100 KB), 429 and 500.
"""

from __future__ import annotations

import threading
import typing as t

from .._connection import Connection
from .._errors import ApiError, AuthError, NoResponseError, RejectedError, VccError
from ..auth import Token, TokenProvider
from .http import Http, Response

# The scope of the Interactions API.
WRITE_SCOPE = "interactions:write"

# The scope of the Insights Stats API.
STATS_SCOPE = "stats"

# The Accept header of the Interactions API.
INTERACTIONS_ACCEPT = "application/vnd.newvoicemedia.v1+json"

# The Accept header of the Insights Stats API.
STATS_ACCEPT = "application/vnd.newvoicemedia.v3+json"

# A request body must have fewer bytes. The API reference says 100 KB.
BODY_LIMIT = 100_000


class Client:
    """VCC's APIs, with the token that each call needs. Tasks with equal connections can share a client, and threads can call at once.

    :param http: sends the requests.
    :param auth: provides the tokens.
    :param api_url: the URL of the API gateway, without a trailing slash.
    :param scope: the scope of the tokens of ``auth``.
    :param secrets: texts that no error repeats.
    :param quoting: whether an error repeats the server's message.
    :ivar calls: the number of requests to the APIs, including retries and without those for tokens.
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
        """Return a client for ``connection``. Raises InputError for a token cache, proxy or certificate authorities that cannot be used.

        :param secrets: the set that collects the connection's secrets and each token.
        """
        secrets = set() if secrets is None else secrets
        secrets |= connection.secrets
        http = Http(connection.timeout, connection.retries, connection.verify, connection.requests_per_minute)
        auth = TokenProvider.from_connection(connection, http, scope, secrets.add)
        http.find_proxies(connection.api_url)
        return cls(http, auth, connection.api_url, scope, secrets, quoting)

    def close(self) -> None:
        """Close the connections to VCC."""
        self._http.close()

    def waiting(self) -> str:
        """Return why calls wait now; empty if they do not. Any thread may ask."""
        return self._http.waiting()

    def authenticate(self) -> Token:
        """Return a valid token. Raises as ``TokenProvider.current`` does."""
        return self._auth.current()

    def invoke(self, body: bytes, on_request: t.Callable[[int], object] = lambda number: None) -> None:
        """Call ``POST /interactions/Invoke``, and return after VCC has accepted it with 200.

        The API reference does not document the body of a 200. An empty body and JSON count as VCC's, any other body as a proxy's or gateway's.

        :param body: a JSON object of less than 100,000 bytes: ``{"provider": NAME, "requests": [INTERACTION, ...]}``.
        :param on_request: a function to call before each request of the call, with its number among ``calls``.

        Raises AuthError (401 with a new token, 403), RejectedError (any other 4xx), NoResponseError, and InputError for the token cache.
        """
        self._check_accepted(self._call("POST", "/interactions/Invoke", INTERACTIONS_ACCEPT, body, on_request))

    def register(self, body: bytes) -> None:
        """Call ``POST /interactions/Register``, and return after VCC has accepted it with 200.

        :param body: a JSON object of less than 100,000 bytes, with ``provider``, ``endpoint``, ``headers`` and ``agentactionspermitted``.

        Raises as ``invoke`` does.
        """
        self._check_accepted(self._call("POST", "/interactions/Register", INTERACTIONS_ACCEPT, body))

    def ongoing(self, page: int, limit: int) -> tuple[list[dict[str, t.Any]], dict[str, t.Any]]:
        """Call ``GET /stats/interactions/ongoing``; return the ``items`` of a page and its ``meta``, both in VCC's spelling.

        :param page: the number of the page, from 1.
        :param limit: the maximum number of items.

        Raises as ``invoke`` does, and NoResponseError for a 200 without items. An invalid ``meta`` counts as empty.
        """
        response = self._call("GET", f"/stats/interactions/ongoing?page={page}&limit={limit}", STATS_ACCEPT, None)
        self._check_accepted(response)
        body = response.json() if response.is_json() else None
        items = body.get("items") if isinstance(body, dict) else None
        if (
            not isinstance(body, dict)
            or not isinstance(items, list)
            or not all(isinstance(item, dict) for item in items)
        ):
            raise self._unexpected(response)
        meta = body.get("meta")
        return items, meta if isinstance(meta, dict) else {}

    def _check_accepted(self, response: Response) -> None:
        """Raise RejectedError for a 4xx, and NoResponseError for any other response except a 200 from VCC."""
        if response.status == 200 and response.is_empty_or_json():
            return
        if 400 <= response.status < 500:
            by_vcc = response.is_by_vcc()
            server = "VCC" if by_vcc else "A proxy or gateway before VCC"
            raise RejectedError(
                f"{server} refused the request with status {response.status}{self._detail(response)}",
                response.status,
                by_vcc,
                response.maybe_processed,
            )
        raise self._unexpected(response)

    def _detail(self, response: Response) -> str:
        """Return the server's message as `` (message)``, or an empty string if there is none to repeat."""
        # A copy, because another thread may add a token during the search.
        return response.detail(tuple(self.secrets)) if self._quoting else ""

    def _unexpected(self, response: Response) -> NoResponseError:
        """Return the error for a response that VCC never gives. The call may or may not have reached VCC."""
        return NoResponseError(
            f"{self._api_url} gave an answer (status {response.status}) that VCC never gives: check api_url, region and any proxy in between.",
            maybe_processed=True,
        )

    def _call(
        self,
        method: str,
        path: str,
        accept: str,
        body: bytes | None,
        on_request: t.Callable[[int], object] = lambda number: None,
    ) -> Response:
        """Make a call, and repeat it with a new token after a 401. Return the response to the last request.

        The API reference says that a 401 means an expired token, and that the client must get a new one and repeat the call.
        The error or response of the repeated call says ``maybe_processed`` if any of the calls does.

        Raises AuthError, NoResponseError, and InputError for the token cache.
        """
        token = self._auth.token()
        response = self._send(method, path, accept, body, token, on_request)
        # Renew twice, because the first renewal may return a cached token that has expired too.
        for dummy in range(2):
            if response.status != 401 or not response.is_by_vcc():
                break
            try:
                token = self._auth.renew(rejected=token)
                repeated = self._send(method, path, accept, body, token, on_request)
            except ApiError as exc:
                exc.maybe_processed = exc.maybe_processed or response.maybe_processed
                raise
            except VccError as exc:
                if response.maybe_processed:
                    raise NoResponseError(str(exc), maybe_processed=True) from None
                raise
            response = repeated._replace(maybe_processed=repeated.maybe_processed or response.maybe_processed)
            if not self._auth.is_cached(token):
                break
        if response.status == 401 and response.is_by_vcc():
            raise AuthError(
                "VCC refuses a token that it has just issued (401): check account, region and api_url.",
                response.maybe_processed,
            )
        if response.status == 403 and response.is_by_vcc():
            raise AuthError(
                f"VCC refuses access (403){self._detail(response)}: give the API client the scope {self._scope}.",
                response.maybe_processed,
            )
        return response

    def _send(
        self,
        method: str,
        path: str,
        accept: str,
        body: bytes | None,
        token: str,
        on_request: t.Callable[[int], object],
    ) -> Response:
        """Send a request with the headers that the API reference requires, and return its response. Raises NoResponseError."""
        headers = {"Accept": accept, "Authorization": f"Bearer {token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self._http.send(
            method,
            self._api_url + path,
            "VCC at",
            headers=headers,
            body=body,
            on_request=lambda: on_request(self._count_call()),
        )

    def _count_call(self) -> int:
        """Add one to ``calls``, and return it."""
        with self._lock:
            self.calls += 1
            return self.calls

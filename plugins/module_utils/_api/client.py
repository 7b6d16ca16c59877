# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VCC's APIs: their calls, with the token that each needs, and how VCC refuses them."""

from __future__ import annotations

import threading
import typing as t

from .._connection import Connection
from .._errors import ApiError, AuthError, NoResponseError, RejectedError, VccError
from ..auth import TokenProvider
from .http import Http, Response

# What a token has to be good for.
WRITE_SCOPE = "interactions:write"

STATS_SCOPE = "stats"

INTERACTIONS_ACCEPT = "application/vnd.newvoicemedia.v1+json"

STATS_ACCEPT = "application/vnd.newvoicemedia.v3+json"

# Bytes of a request body that are never reached.
BODY_LIMIT = 100_000


class Client:
    """VCC's APIs, with the token that each call needs. Several threads may call at once.

    :arg api_url: the API gateway, without a slash at its end.
    :arg scope: what the token of C(auth) is for.
    :arg secrets: what no error repeats.
    :arg quoting: whether errors repeat any words of the server's at all.
    """

    def __init__(
        self,
        http: Http,
        auth: TokenProvider,
        api_url: str,
        scope: str = WRITE_SCOPE,
        secrets: t.Collection[str] = (),
        quoting: bool = True,
    ) -> None:
        self.calls = 0
        self._lock = threading.Lock()
        self._http = http
        self._auth = auth
        self._api_url = api_url
        self._scope = scope
        self._secrets = secrets
        self._quoting = quoting

    def authenticate(self) -> None:
        """Have a token at hand; raises as C(Auth.token) does."""
        self._auth.token()

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
        return answer.detail(self._secrets) if self._quoting else ""

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


class Session:
    """What tasks with the same connection can share: the HTTP session, the token, and the secrets to keep out of output.

    :arg secrets: a set to keep the secrets in.
    :arg quoting: as with Client.
    """

    def __init__(
        self, to: Connection, scope: str = WRITE_SCOPE, secrets: set[str] | None = None, quoting: bool = True
    ) -> None:
        self.secrets = set() if secrets is None else secrets
        self.secrets |= to.secrets
        self.http = Http(to.timeout, to.retries, to.verify, to.requests_per_minute)
        self.auth = TokenProvider(
            self.http,
            to.auth_url,
            to.client_id,
            to.client_secret,
            scope,
            account=to.account,
            access_token=to.access_token,
            cache_path=to.token_cache,
            on_token=self.secrets.add,
        )
        self.client = Client(self.http, self.auth, to.api_url, scope, self.secrets, quoting)
        for url in (to.api_url, to.auth_url):
            if url:
                self.http.look_for_proxy(url)

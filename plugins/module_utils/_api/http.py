# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP: retries, pacing and the limits of a call."""

from __future__ import annotations

import functools
import json
import random
import re
import threading
import time
import typing as t

try:
    import requests
    from urllib3.exceptions import (
        ConnectTimeoutError,
        HTTPError,
        InvalidHeader,
        MaxRetryError,
        NewConnectionError,
        ReadTimeoutError,
    )
    from urllib3.util import Retry
except ImportError:
    pass  # which transport tells

from .._errors import NoResponseError
from .._text import shown
from .._validation import is_loopback
from .transport import Attempt, OverdueError, authorities, new_session, proxies_for

# The most calls at once.
MOST_IN_FLIGHT = 16

# How the standard library says that a proxy lets nothing through.
TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})")

# What is worth sending again: the fair-use limit, and the server's own trouble.
RETRIED = (429, 500, 502, 503, 504)

# Seconds that the waits between the attempts of one call may add to (retries + 1) x timeout.
WAITING = 60

# Seconds beyond any wait, and within what clocks can count.
LONGEST_WAIT = 1e9

# Bytes of an answer that are read at once, and the most of it.
READ_SIZE = 64 * 1024

ANSWER_LIMIT = 16 * 1024 * 1024

# The most of a server's own words that an error repeats.
DETAIL_LENGTH = 200

# Letters and digits of a secret in a row that give it away.
SECRET_PART = 6


class Response(t.NamedTuple):
    """A response: its status, its body, and whether an earlier attempt of the same call may have taken effect."""

    status: int
    body: bytes
    maybe_processed: bool

    def json(self) -> t.Any:
        return json.loads(self.body)

    def is_json(self) -> bool:
        try:
            self.json()
        except (ValueError, RecursionError):
            return False
        return True

    def is_plain(self) -> bool:
        """Whether this can be VCC's: nothing or JSON (the contract knows no other body)."""
        return not self.body.strip() or self.is_json()

    def is_by_vcc(self) -> bool:
        """Whether a refusal can be VCC's. 407 is a proxy's."""
        return self.is_plain() and self.status != 407

    def detail(self, secrets: t.Iterable[str] = ()) -> str:
        """The message in a JSON error body, cut to one short line, in brackets behind a blank; empty if there is none.

        :arg secrets: a message with a part of one, however it is spelled, counts as none.
        """
        body = self.json() if self.is_json() else None
        message = body.get("message") if isinstance(body, dict) else None
        if not isinstance(message, str):
            return ""
        message = message.strip()
        line = shown(message, DETAIL_LENGTH)
        # Only what is shown of it counts.
        told = any(_tells(message[:DETAIL_LENGTH], secret) for secret in secrets)
        return f" ({line})" if line and not told else ""


def _tells(message: str, secret: str) -> bool:
    """Whether a message has a part of a secret, whatever escapes, line ends and the like are in between."""
    told, hidden = ("".join(filter(str.isalnum, text)) for text in (message, secret))
    return secret in message or any(
        hidden[at : at + SECRET_PART] in told for at in range(max(len(hidden) - SECRET_PART, 0) + 1) if hidden
    )


class Http:
    """Sends requests and sends them again, in one session, which several threads may share.

    :arg timeout: seconds until a connection is there, and until the next byte of an answer.
    :arg retries: how often a call is sent again, with the same body.
    :arg verify: True, False, or the path of a file of certificate authorities.
    :arg requests_per_minute: the most requests a minute, None for no limit.
    """

    def __init__(
        self,
        timeout: float,
        retries: int,
        verify: bool | str,
        requests_per_minute: int | None = None,
        sleep: t.Callable[[float], t.Any] = time.sleep,
        clock: t.Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()
        self._verify = authorities(verify)
        self._session = new_session(MOST_IN_FLIGHT)
        self._proxies: dict[str, dict[str, str]] = {}
        self._timeout = timeout
        self._policy = Retry(total=retries, backoff_factor=2, status_forcelist=RETRIED)
        self._budget = (retries + 1) * timeout + WAITING
        self._interval = 60 / requests_per_minute if requests_per_minute else 0.0
        self._next_at = self._not_before = 0.0
        self._sleep = sleep
        self._clock = clock

    def close(self) -> None:
        self._session.close()

    def look_for_proxy(self, url: str) -> dict[str, str]:
        """Return the proxies between here and C(url); there are none before the loopback. Raises InputError for one that cannot be used."""
        if url not in self._proxies:
            self._proxies[url] = {} if is_loopback(url) else proxies_for(self._session, url)
        return self._proxies[url]

    def send(
        self,
        method: str,
        url: str,
        what: str,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        form: dict[str, str] | None = None,
        on_request: t.Callable[[], t.Any] = lambda: None,
    ) -> Response:
        """Send one request until it is answered with a status that is not worth a retry.

        Retried with the same body: 429, 500, 502, 503, 504, connection errors and timeouts, after C(Retry-After) or else an
        exponential backoff with jitter, up to C(retries) times and (retries + 1) x timeout + WAITING seconds in all.

        :arg what: who is called, to begin a sentence with.
        :arg on_request: called before each attempt.
        Raises NoResponseError.
        """
        retry = self._policy
        exchange = functools.partial(self._exchange, method, url, headers or {}, body if form is None else form)
        maybe_processed = False
        spent = 0.0
        while True:
            spent += self._pace()
            if spent > self._budget:
                raise NoResponseError(
                    f"{what} {url} keeps answering other calls with status 429: run the task again later.",
                    maybe_processed,
                )
            started = self._clock()
            wanted: float | None = None
            limited = False
            on_request()
            attempt = Attempt()
            try:
                status, content, retry_after = attempt.run(exchange, self._budget - spent)
            except Exception as exc:  # of all that lies below, each has to become an outcome
                why, retriable, remedy = _describe(exc, attempt.sent)
                maybe_processed = maybe_processed or attempt.sent
                failure = f"{what} {url} gave no answer ({why})"
                if not retriable:
                    raise NoResponseError(f"{failure}: {remedy}.", maybe_processed) from None
            else:
                if status not in self._policy.status_forcelist:
                    return Response(status, content, maybe_processed)
                limited = status == 429
                maybe_processed = maybe_processed or not limited
                failure = f"{what} {url} keeps answering with status {status}"
                wanted = self._seconds(retry_after)
            try:
                retry = retry.increment()
            except MaxRetryError:
                if limited:
                    self._hold_back(min(retry.get_backoff_time() if wanted is None else wanted, WAITING))
                raise NoResponseError(f"{failure}: run the task again later.", maybe_processed) from None
            delay = retry.get_backoff_time() + random.uniform(0, 1) if wanted is None else wanted
            spent += self._clock() - started + delay
            if spent > self._budget:
                asked = f" and asks to wait {wanted:.0f} s" if wanted else ""
                raise NoResponseError(f"{failure}{asked}: run the task again later.", maybe_processed)
            if limited:
                self._hold_back(delay)
            self._sleep(delay)

    def _exchange(
        self, method: str, url: str, headers: dict[str, str], data: bytes | dict[str, str] | None
    ) -> tuple[int, bytes, str | None]:
        """One request and its answer: the status, the body (of a redirect, none) and C(Retry-After)."""
        response = self._session.request(
            method,
            url,
            headers={"Accept-Encoding": "identity", **headers},
            data=data,
            timeout=self._timeout,
            verify=self._verify,
            allow_redirects=False,
            stream=True,
            proxies=self.look_for_proxy(url),
        )
        content = bytearray()
        with response:
            if not 300 <= response.status_code < 400:
                for part in response.iter_content(READ_SIZE):
                    content += part
                    if len(content) > ANSWER_LIMIT:
                        raise requests.exceptions.ContentDecodingError
                # urllib3 1.26 says nothing of a body that is shorter than it should be.
                if response.raw.length_remaining:
                    raise requests.exceptions.ConnectionError
        return response.status_code, bytes(content), response.headers.get("Retry-After")

    def _pace(self) -> float:
        """Wait for the turn of a request; return the seconds beyond that, for which a 429 of another call holds it back."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next_at)
            at = max(turn, self._not_before)
            self._next_at = at + self._interval
        while at > now:
            self._sleep(at - now)
            now = at
            with self._lock:
                at = max(at, self._not_before)
        return at - turn

    def _hold_back(self, delay: float) -> None:
        """The fair-use limit is that of the account: whoever meets it makes all others wait too."""
        with self._lock:
            self._not_before = max(self._not_before, self._clock() + delay)

    def _seconds(self, value: str | None) -> float | None:
        """What C(Retry-After) asks for, if it makes sense."""
        if value is None:
            return None
        try:
            return min(max(0.0, self._policy.parse_retry_after(value)), LONGEST_WAIT)
        except (InvalidHeader, ValueError, OverflowError):
            return None


def _describe(exc: Exception, sent: bool) -> tuple[str, bool, str]:
    """Why a request got no answer, in a few words without its content; whether to try again; and if not, what to do.

    :arg sent: whether the request had left on a connection to VCC.
    """
    remedy = "check the address, ca_path and any proxy in between"
    cause = getattr(exc.args[0], "reason", None) if exc.args else None
    refused = TUNNEL_REFUSED.search(str(exc))
    if isinstance(exc, OverdueError):
        return "it was given up, having taken too long", False, "run the task again later"
    if isinstance(exc, requests.exceptions.SSLError):
        if "certificate" in str(exc).lower():
            return "its certificate cannot be trusted", False, remedy
        return "the TLS connection failed", True, remedy
    if refused and not sent:
        if refused[1] == "407":
            return "the proxy wants a user and a password", False, "put them into the proxy's URL in the environment"
        why = f"the proxy refuses the way there with status {refused[1]}"
        return why, refused[1].startswith("5"), "have the proxy let this host through, or name it in NO_PROXY"
    if isinstance(exc, requests.exceptions.ProxyError) and not sent:
        return "the proxy cannot be used", True, remedy
    if isinstance(cause, NewConnectionError):
        return "no connection", True, remedy
    if isinstance(exc, requests.exceptions.ConnectTimeout) or isinstance(cause, ConnectTimeoutError):
        return "the connection timed out", True, remedy
    if isinstance(exc, requests.exceptions.Timeout) or (exc.args and isinstance(exc.args[0], ReadTimeoutError)):
        return "the answer timed out", True, remedy
    if isinstance(exc, requests.exceptions.ContentDecodingError):
        return "the answer is too long or cannot be decoded", False, remedy
    if isinstance(
        exc, (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError, HTTPError, OSError)
    ):
        return "the connection was cut", True, remedy
    return (
        f"its answer is not that of an HTTP server, {type(exc).__name__}" if sent else type(exc).__name__,
        False,
        remedy,
    )

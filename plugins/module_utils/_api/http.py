# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP: the retries of a call, its time limit, and the pacing of requests."""

from __future__ import annotations

import functools
import json
import math
import random
import re
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
    pass  # transport.REQUESTS_IMPORT_ERROR reports it

from .._errors import NoResponseError
from .._text import shown
from .._validation import is_loopback
from .attempt import Attempt, DeadlineExceededError
from .rate_limiter import RateLimiter
from .transport import create_session, find_proxies, resolve_verify

# The maximum number of calls at once.
MAX_CALLS_IN_FLIGHT = 16

# The text with which http.client reports that a proxy refuses a tunnel.
TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})")

# The statuses that are worth a retry: the fair-use limit, and errors of the server.
RETRY_STATUSES = (429, 500, 502, 503, 504)

# ``Http.waiting`` reports a wait for ``requests_per_minute`` only if requests are at least this number of seconds apart.
LONG_INTERVAL = 10

# Seconds that a call may wait between its attempts, beyond (retries + 1) x timeout.
MAX_WAIT = 60

# The upper bound of Retry-After in seconds: longer than any call waits, and short enough for every clock.
MAX_RETRY_AFTER = 1e9

# Bytes of a response body that one read returns.
READ_SIZE = 64 * 1024

# The maximum number of bytes of a response body.
MAX_BODY_SIZE = 16 * 1024 * 1024

# The maximum number of characters of the server's message that an error repeats.
MAX_DETAIL_LENGTH = 200

# The number of consecutive letters and digits of a secret that reveal it.
SECRET_FRAGMENT_LENGTH = 6


class Response(t.NamedTuple):
    """A response to a call.

    :param status: the HTTP status.
    :param body: the body, empty for a redirect.
    :param maybe_processed: whether the server may have processed an earlier attempt of the same call.
    """

    status: int
    body: bytes
    maybe_processed: bool

    def json(self) -> t.Any:
        """Return the decoded body. Raises ValueError or RecursionError for a body that is not JSON."""
        return json.loads(self.body)

    def is_json(self) -> bool:
        """Return whether the body is JSON."""
        try:
            self.json()
        except (ValueError, RecursionError):
            return False
        return True

    def is_empty_or_json(self) -> bool:
        """Return whether the body can be VCC's. The API reference shows JSON only, and no body for some statuses."""
        return not self.body.strip() or self.is_json()

    def is_by_vcc(self) -> bool:
        """Return whether VCC may have rejected the request, rather than a proxy or gateway. Only a proxy returns 407."""
        return self.is_empty_or_json() and self.status != 407

    def detail(self, secrets: t.Iterable[str] = ()) -> str:
        """Return the message of a JSON error body as `` (message)`` in one line, or an empty string.

        The API reference documents error bodies as ``{"message": ...}``.

        :param secrets: texts to keep out. A message that has a part of one, in any spelling, counts as missing.
        """
        body = self.json() if self.is_json() else None
        message = body.get("message") if isinstance(body, dict) else None
        if not isinstance(message, str):
            return ""
        message = message.strip()
        line = shown(message, MAX_DETAIL_LENGTH)
        # The part that is cut off cannot reveal a secret.
        revealed = any(_reveals(message[:MAX_DETAIL_LENGTH], secret) for secret in secrets)
        return f" ({line})" if line and not revealed else ""


def _reveals(message: str, secret: str) -> bool:
    """Return whether a message has a part of a secret. Only letters and digits count, because a server may escape all others."""
    visible, hidden = ("".join(filter(str.isalnum, text)) for text in (message, secret))
    return secret in message or any(
        hidden[start : start + SECRET_FRAGMENT_LENGTH] in visible
        for start in range(max(len(hidden) - SECRET_FRAGMENT_LENGTH, 0) + 1)
        if hidden
    )


class Wait(t.NamedTuple):
    """Why a call waits before its next attempt.

    :param reason: the cause of the wait, such as "VCC answers 429".
    :param until: when the wait ends, by the clock of the session.
    """

    reason: str
    until: float


def longest_call(timeout: float, retries: int) -> float:
    """Return the seconds after which a call ends at the latest."""
    return (retries + 1) * timeout + MAX_WAIT


class Http:
    """Sends requests over one session, and retries them. Threads can share it.

    :param timeout: the seconds for a connection, and for each read of a response.
    :param retries: how often a request is repeated, with the same body.
    :param verify: whether to verify certificates, or the path of a file of certificate authorities.
    :param requests_per_minute: the maximum number of requests a minute, None for no limit.
    :param sleep: waits for a number of seconds.
    :param clock: returns a time in seconds that never goes back.

    Raises InputError for certificate authorities that cannot be read.
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
        self.limiter = RateLimiter(requests_per_minute, sleep, clock)
        self._verify = resolve_verify(verify)
        self._session = create_session(MAX_CALLS_IN_FLIGHT)
        self._proxies: dict[str, dict[str, str]] = {}
        self._timeout = timeout
        self._retry = Retry(total=retries, backoff_factor=2, status_forcelist=RETRY_STATUSES)
        self._time_limit = longest_call(timeout, retries)
        self._sleep = sleep
        self._clock = clock
        self._wait: Wait | None = None

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def waiting(self) -> str:
        """Return why calls wait now, and for how many more seconds; empty if they do not wait. Any thread may ask while others call.

        A wait for ``requests_per_minute`` counts only if requests are at least ``LONG_INTERVAL`` seconds apart.
        """
        wait, now, start = self._wait, self._clock(), self.limiter.last_start()
        if wait and wait.until > now:
            return f"{wait.reason}, waiting {math.ceil(wait.until - now)} s"
        if start > now and self.limiter.interval >= LONG_INTERVAL:
            return f"requests_per_minute allows the next request in {math.ceil(start - now)} s"
        return ""

    def find_proxies(self, url: str) -> dict[str, str]:
        """Return the proxies for ``url`` by scheme; a loopback address has none. Raises InputError for a proxy that cannot be used."""
        if url not in self._proxies:
            self._proxies[url] = {} if is_loopback(url) else find_proxies(self._session, url)
        return self._proxies[url]

    def send(
        self,
        method: str,
        url: str,
        label: str,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        form: dict[str, str] | None = None,
        on_request: t.Callable[[], t.Any] = lambda: None,
    ) -> Response:
        """Send a request until its response has a status that is not worth a retry, and return that response.

        Retry 429, 500, 502, 503, 504, connection errors and timeouts, up to ``retries`` times. Wait before each retry: as long as
        ``Retry-After`` says, or else an exponential backoff with jitter. A call takes at most (retries + 1) x timeout + MAX_WAIT seconds.
        The API reference documents 429 for the fair-use limit and 500 for an unexpected error; it does not mention ``Retry-After``.

        :param label: the name of the server, with which messages begin.
        :param form: the fields of a form to send instead of ``body``.
        :param on_request: a function to call before each attempt.

        Raises NoResponseError.
        """
        send_once = functools.partial(self._send_once, method, url, headers or {}, body if form is None else form)
        retry = self._retry
        maybe_processed = False
        spent = 0.0
        while True:
            spent += self.limiter.wait()
            if spent > self._time_limit:
                raise NoResponseError(
                    f"{label} {url} keeps answering other calls with status 429: run the task again later.",
                    maybe_processed,
                )
            started = self._clock()
            requested: float | None = None
            limited = False
            on_request()
            attempt = Attempt()
            try:
                status, content, retry_after = attempt.run(send_once, self._time_limit - spent)
            except Exception as exc:  # every exception of the layers below must become an outcome
                failure = _classify(exc, attempt.sent)
                reason = f"gives no answer ({failure.reason})"
                maybe_processed = maybe_processed or attempt.sent
                message = f"{label} {url} gave no answer ({failure.reason})"
                if not failure.retriable:
                    raise NoResponseError(f"{message}: {failure.remedy}.", maybe_processed) from None
            else:
                if status not in RETRY_STATUSES:
                    return Response(status, content, maybe_processed)
                limited = status == 429
                reason = f"answers {status}"
                # A 429 comes before any processing. After any other of these statuses, VCC may have processed the call.
                maybe_processed = maybe_processed or not limited
                message = f"{label} {url} keeps answering with status {status}"
                requested = self._parse_retry_after(retry_after)
            try:
                retry = retry.increment()
            except MaxRetryError:
                if limited:
                    delay = min(retry.get_backoff_time() if requested is None else requested, MAX_WAIT)
                    self._announce(label, reason, delay)
                    self.limiter.hold_back(delay)
                raise NoResponseError(f"{message}: run the task again later.", maybe_processed) from None
            delay = retry.get_backoff_time() + random.uniform(0, 1) if requested is None else requested
            spent += self._clock() - started + delay
            if spent > self._time_limit:
                asked = f" and asks to wait {requested:.0f} s" if requested else ""
                raise NoResponseError(f"{message}{asked}: run the task again later.", maybe_processed)
            self._announce(label, reason, delay)
            if limited:
                self.limiter.hold_back(delay)
            self._sleep(delay)

    def _announce(self, label: str, reason: str, delay: float) -> None:
        """Let ``waiting`` report for ``delay`` seconds why this call waits."""
        self._wait = Wait(f"{_server(label)} {reason}", self._clock() + delay)

    def _send_once(
        self, method: str, url: str, headers: dict[str, str], data: bytes | dict[str, str] | None
    ) -> tuple[int, bytes, str | None]:
        """Send one request; return the status, the body (empty for a redirect) and ``Retry-After``. Raises exceptions of requests and of the layers below."""
        response = self._session.request(
            method,
            url,
            headers={"Accept-Encoding": "identity", **headers},
            data=data,
            timeout=self._timeout,
            verify=self._verify,
            allow_redirects=False,
            stream=True,
            proxies=self.find_proxies(url),
        )
        content = bytearray()
        with response:
            if not 300 <= response.status_code < 400:
                for part in response.iter_content(READ_SIZE):
                    content += part
                    if len(content) > MAX_BODY_SIZE:
                        raise requests.exceptions.ContentDecodingError
                # urllib3 1.26 does not report a body that is shorter than its Content-Length.
                if response.raw.length_remaining:
                    raise requests.exceptions.ConnectionError
        return response.status_code, bytes(content), response.headers.get("Retry-After")

    def _parse_retry_after(self, value: str | None) -> float | None:
        """Return the seconds of a ``Retry-After`` header, which has seconds or a date; None if it is missing or invalid."""
        if value is None:
            return None
        try:
            return min(self._retry.parse_retry_after(value), MAX_RETRY_AFTER)
        except (InvalidHeader, ValueError, OverflowError):
            return None


def _server(label: str) -> str:
    """Return the name of a server from a label, without ``at``."""
    return label[: -len(" at")] if label.endswith(" at") else label


class _Failure(t.NamedTuple):
    """The cause of a missing response, for a message.

    :param reason: the cause in a few words, without any content of the request.
    :param retriable: whether another attempt can succeed.
    :param remedy: the advice for the user if no other attempt can.
    """

    reason: str
    retriable: bool
    remedy: str


def _classify(exc: Exception, sent: bool) -> _Failure:
    """Return the cause of a missing response.

    :param exc: the exception with which the attempt ended.
    :param sent: whether the request left on a connection to the server.
    """
    remedy = "check the address, ca_path and any proxy in between"
    cause = getattr(exc.args[0], "reason", None) if exc.args else None
    tunnel_refused = TUNNEL_REFUSED.search(str(exc))
    if isinstance(exc, DeadlineExceededError):
        return _Failure("the call reached its time limit", False, "run the task again later")
    if isinstance(exc, requests.exceptions.SSLError):
        if "certificate" in str(exc).lower():
            return _Failure("its certificate cannot be trusted", False, remedy)
        return _Failure("the TLS connection failed", True, remedy)
    if tunnel_refused and not sent:
        status = tunnel_refused[1]
        if status == "407":
            remedy = "put them into the proxy's URL in the environment"
            return _Failure("the proxy requires a user and a password", False, remedy)
        remedy = "allow the host of this URL in the proxy, or add it to NO_PROXY"
        return _Failure(f"the proxy refuses the connection with status {status}", status.startswith("5"), remedy)
    if isinstance(exc, requests.exceptions.ProxyError) and not sent:
        return _Failure("the proxy cannot be used", True, remedy)
    if isinstance(cause, NewConnectionError):
        return _Failure("no connection", True, remedy)
    if isinstance(exc, requests.exceptions.ConnectTimeout) or isinstance(cause, ConnectTimeoutError):
        return _Failure("the connection timed out", True, remedy)
    if isinstance(exc, requests.exceptions.Timeout) or (exc.args and isinstance(exc.args[0], ReadTimeoutError)):
        return _Failure("the answer timed out", True, remedy)
    if isinstance(exc, requests.exceptions.ContentDecodingError):
        return _Failure("the answer is too long or cannot be decoded", False, remedy)
    if isinstance(
        exc, (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError, HTTPError, OSError)
    ):
        return _Failure("the connection was cut", True, remedy)
    name = type(exc).__name__
    return _Failure(f"its answer is not valid HTTP, {name}" if sent else name, False, remedy)

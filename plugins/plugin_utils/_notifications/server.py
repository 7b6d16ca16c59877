# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoint for VCC's notifications, a process of its own beside ansible-rulebook.

It has its own process so that neither rules nor the signals that end ansible-rulebook delay an answer. The first line of its standard input has the options
in JSON, and the end of the input stops the process. Events go to standard output. Log lines go to standard error: the number of a level and a text.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hmac
import ipaddress
import json
import logging
import os
import signal
import ssl
import sys
import time
import typing as t

with contextlib.suppress(ImportError):  # ``serve`` reports it
    from aiohttp import web

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError, VccError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import NotificationLog
from ansible_collections.vonage.vcc.plugins.module_utils._location import is_url
from ansible_collections.vonage.vcc.plugins.module_utils._text import LONGEST_MESSAGE, shown

from .body import Change, events_of, parse_body
from .event_pipe import EventPipe
from .recorder import Post, Recorder, UnavailableError
from .settings import Settings

logger = logging.getLogger("vonage.vcc")

# Seconds for the body of a POST, and for the head of a request or the next request of a connection.
BODY_TIMEOUT = 10.0
IDLE_TIMEOUT = 30.0

# Seconds for which the rest of a refused body is read and discarded, so that the client gets the answer.
LINGERING_TIME = 2.0

# Seconds for open POSTs when the source stops. Before that, for GRACE seconds, answers tell clients that their connection ends.
STOP_TIMEOUT = 9.0
GRACE = 0.5

# Seconds after which a client may repeat a POST that was answered with 503.
RETRY_AFTER = "10"

# Seconds between two log lines that say how many requests were refused.
PAUSE = 60.0


class Refusals:
    """Logs refused requests: the first one, and then the number of others, so that a client cannot fill the log."""

    def __init__(self) -> None:
        self._last = -PAUSE
        self._count = 0

    def add(self, status: int, why: str) -> None:
        """Log a refusal with its status."""
        self._count += 1
        if time.monotonic() - self._last < PAUSE:
            return
        more = f" ({self._count} requests were refused since the last such line)" if self._count > 1 else ""
        logger.warning("Refused a request with %d: %s%s", status, why, more)
        self._last, self._count = time.monotonic(), 0


class Endpoint:
    """Answers requests."""

    def __init__(self, settings: Settings, recorder: Recorder, pipe: EventPipe) -> None:
        self._settings = settings
        self._recorder = recorder
        self._pipe = pipe
        self._refusals = Refusals()
        self.is_stopping = False

    async def answer(self, request: t.Any) -> t.Any:
        """Return the response to any request."""
        response = await self._answer(request)
        if self.is_stopping:
            response.force_close()
        return response

    async def _answer(self, request: t.Any) -> t.Any:
        try:
            if request.path == self._settings.health_path and request.method in ("GET", "HEAD"):
                return web.Response(status=200 if await self._recorder.check() else 503)
            return await self._post(request)
        except (web.HTTPException, ConnectionError, asyncio.CancelledError):
            raise
        except Exception as exc:
            logger.error("A request ended with %s.", type(exc).__name__)
            return web.Response(status=500)

    async def _post(self, request: t.Any) -> t.Any:
        if not self._is_authorized(request):
            return self._refuse(401, "It has no token, or a wrong one.", {"WWW-Authenticate": "Bearer"})
        if request.method != "POST":
            return self._refuse(405, "Only POST is answered here.", {"Allow": "POST"})
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return self._refuse(415, "Its body is compressed.")
        media_type, charset = request.content_type, (request.charset or "utf-8").lower()
        is_json = media_type in ("application/json", "text/json", "application/octet-stream") or media_type.endswith(
            "+json"
        )
        if not is_json or charset not in ("utf-8", "utf8", "us-ascii"):
            return self._refuse(415, "Its content type is not application/json in UTF-8.")
        too_large = f"Its body has more than {self._settings.max_body} bytes."
        if (request.content_length or 0) > self._settings.max_body:
            return self._refuse(413, too_large)
        try:
            # Before the body is read, so that it uses no memory.
            self._check_available()
            if request.content.is_eof():
                body = await request.read()
            else:
                body = await asyncio.wait_for(request.read(), BODY_TIMEOUT)
            items = parse_body(body)
            recorded = await self._recorder.record(items, len(body)) if items else 0
        except UnavailableError as exc:
            return web.Response(status=503, text=f"{exc}\n", headers={"Retry-After": RETRY_AFTER})
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(413, too_large)
        except asyncio.TimeoutError:
            return self._refuse(408, f"Its body has not arrived within {BODY_TIMEOUT:g} seconds.")
        except InputError as exc:
            return self._refuse(400, str(exc))
        ignored = sum(not item.notification for item in items)
        counts = {"recorded": recorded, "repeated": len(items) - ignored - recorded, "ignored": ignored}
        return web.Response(body=json.dumps(counts).encode(), content_type="application/json")

    def _check_available(self) -> None:
        self._recorder.check_available()
        if self._pipe.is_full:
            raise UnavailableError("The rules are too far behind.")

    def _is_authorized(self, request: t.Any) -> bool:
        given = request.headers.getall("Authorization", [])
        scheme, dummy, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        is_token = hmac.compare_digest(token.strip().encode(errors="surrogateescape"), self._settings.token)
        return scheme.lower() == "bearer" and is_token

    def _refuse(self, status: int, why: str, headers: dict[str, str] | None = None) -> t.Any:
        self._refusals.add(status, why)
        response = web.Response(status=status, text=f"{shown(why)}\n", headers=headers)
        response.force_close()  # the rest of its body is not read
        return response


def send_events(pipe: EventPipe, provider: str, post: Post, changes: dict[str, Change]) -> int:
    """Send the events of a recorded POST to the rulebook, and return the number of notifications that it was the first to bring."""
    before = len(changes)
    pipe.add(events_of(post.items, changes, provider))
    return before - len(changes)


class LogLines(logging.Handler):
    """Writes records to standard error, each as one line without control characters."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        line = f"{record.levelno} {shown(record.getMessage(), LONGEST_MESSAGE)}\n"
        with contextlib.suppress(OSError):  # ansible-rulebook may have ended first
            os.write(2, line.encode(errors="replace"))


def main() -> int:
    """Serve until the process must stop; return its exit code."""
    # Output that a library prints by mistake must not mix with the events.
    events = os.dup(1)
    os.dup2(2, 1)
    # Not those of aiohttp and psycopg, which log tracebacks of errors of clients, and the ends of connections that are replaced.
    logging.getLogger().addHandler(logging.NullHandler())
    for name in ("vonage.vcc", "asyncio"):
        logging.getLogger(name).addHandler(LogLines())
    logger.setLevel(logging.INFO)
    given = b""
    while not given.endswith(b"\n"):
        read = os.read(0, 65536)
        if not read:
            return 1
        given += read
    try:
        asyncio.run(serve(json.loads(given), events))
    except VccError as exc:
        logger.critical("%s", exc)
        return 1
    return 0


async def serve(args: dict[str, t.Any], events: int) -> None:
    """Serve until the process must stop. Raises VccError if it cannot begin.

    :param events: the file descriptor of the pipe for events.
    """
    if "web" not in globals():
        raise InputError(f"The library aiohttp is missing: install it for {sys.executable}.")
    settings = Settings.from_args(args)
    context = tls_context(settings)
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    loop.add_reader(0, stopping.set)  # at its end

    pipe = EventPipe(stopping.set)
    recorder = Recorder(
        lambda: NotificationLog(settings.journal, settings.api_url, settings.account, settings.provider),
        None if is_url(settings.journal) else settings.journal,
        functools.partial(send_events, pipe, settings.provider),
    )
    endpoint = Endpoint(settings, recorder, pipe)
    await recorder.start()
    await pipe.start(os.fdopen(events, "wb", buffering=0))
    runner = make_runner(endpoint, settings.max_body)
    await runner.setup()
    try:
        try:
            # Not a site of aiohttp, because older versions end the connections when it stops listening.
            listener = await loop.create_server(runner.server, settings.host, settings.port, ssl=context, backlog=1024)
        except OSError as exc:
            why = os.strerror(exc.errno) if exc.errno and exc.errno > 0 else exc.strerror or str(exc)
            raise InputError(
                f"The source cannot listen on {settings.host} port {settings.port} ({why}): check host and port, and that no other process has the port."
            ) from None
        address = listener.sockets[0].getsockname()
        scheme = "https" if context else "http"
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        if not context and not ipaddress.ip_address(address[0]).is_loopback:
            logger.warning(
                "Tokens and notifications come over plain http: let only a proxy with TLS reach this port, or set certfile."
            )
        logger.info(
            "Receives the notifications of the provider %s at %s://%s:%d/.", settings.provider, scheme, host, address[1]
        )
        await stopping.wait()
        loop.remove_reader(0)
        logger.info("Stops: answers the open POSTs first.")
        endpoint.is_stopping = True
        listener.close()
        await asyncio.sleep(GRACE)
    finally:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(runner.cleanup(), STOP_TIMEOUT)
        await recorder.stop(STOP_TIMEOUT)


def make_runner(endpoint: Endpoint, max_body: int) -> t.Any:
    """Return the runner of an endpoint. It does not listen yet."""
    app = web.Application(client_max_size=max_body)
    app.router.add_route("*", "/{path:.*}", endpoint.answer)
    return web.AppRunner(
        app,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=IDLE_TIMEOUT,
        lingering_time=LINGERING_TIME,
    )


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context; None without a certificate. Raises InputError."""
    if not settings.certfile:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # Without this, OpenSSL would ask at the terminal for the password of an encrypted key.
        context.load_cert_chain(settings.certfile, settings.keyfile, password=lambda: "")
    except (OSError, ValueError) as exc:
        why = "no certificate with its key in PEM, or the key is encrypted"
        if isinstance(exc, OSError) and not isinstance(exc, ssl.SSLError):
            why = exc.strerror or why
        files = " and ".join(filter(None, (settings.certfile, settings.keyfile)))
        raise InputError(f"certfile or keyfile cannot be used ({files}: {why}): check both files.") from None
    return context

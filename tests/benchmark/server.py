# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A loopback stand-in for VCC that is fast enough not to be what a benchmark measures.

It gives out tokens and accepts calls to /interactions/Invoke, both after a latency, and counts them. It does not look into an Interaction object:
the simulator in tests/simulator does that. What it does refuse is a call without its token (401) and a body over 100,000 bytes (413).

``GET /_benchmark`` answers with the counts since the last ``POST /_benchmark?latency=SECONDS``, which sets them to zero.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from urllib.parse import parse_qs, urlsplit

TOKEN_PATH = "/Auth/connect/token"
INVOKE_PATH = "/interactions/Invoke"
CONTROL_PATH = "/_benchmark"
TOKEN = "stand-in-token"
BODY_LIMIT = 100_000

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 413: "Payload Too Large"}


class Counts:
    """What has been asked of the stand-in."""

    def __init__(self, latency=0.0):
        self.latency = latency
        self.token_calls = 0
        self.api_calls = 0
        self.refused = 0
        self.interactions = 0
        self.body_bytes = 0  # of the calls to /interactions/Invoke
        self.bytes = 0  # of all requests, with their headers
        self.connections = set()

    def as_dict(self):
        return {
            "calls": self.token_calls + self.api_calls,
            "token_calls": self.token_calls,
            "api_calls": self.api_calls,
            "refused": self.refused,
            "interactions": self.interactions,
            "body_bytes": self.body_bytes,
            "bytes": self.bytes,
            "connections": len(self.connections),
        }


class StandIn:
    """The state that all connections share."""

    def __init__(self):
        self.counts = Counts()
        self.accepted = 0

    def control(self, method, query):
        if method == "POST":
            self.counts = Counts(float(parse_qs(query).get("latency", ["0"])[0]))
        return 200, json.dumps(self.counts.as_dict()).encode()

    def handle(self, method, path, headers, body):
        """Return status and body of the answer to a request of VCC's API."""
        counts = self.counts
        if method == "POST" and path == TOKEN_PATH:
            counts.token_calls += 1
            if b"grant_type=client_credentials" not in body:
                return self._refuse(400)
            return 200, json.dumps({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}).encode()
        if method == "POST" and path == INVOKE_PATH:
            counts.api_calls += 1
            counts.body_bytes += len(body)
            if headers.get(b"authorization") != b"Bearer " + TOKEN.encode():
                return self._refuse(401)
            if len(body) > BODY_LIMIT:
                return self._refuse(413)
            # Each object has one; an id that held this text would spoil the count, and those of the benchmark do not.
            counts.interactions += body.count(b'"requestid"')
            return 200, b""
        return self._refuse(404)

    def _refuse(self, status):
        self.counts.refused += 1
        return status, b""


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as requests, urllib and curl speak it: many requests one after the other, bodies with a length."""

    def __init__(self, stand_in):
        self._stand_in = stand_in
        stand_in.accepted += 1
        self._number = stand_in.accepted
        self._buffer = bytearray()
        self._head = None  # of the request whose body is yet to come
        self._length = 0

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._buffer += data
        while self._take():
            pass

    def _take(self):
        """Answer the first request in the buffer if it is there as a whole."""
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            first, *lines = bytes(self._buffer[:end]).split(b"\r\n")
            del self._buffer[: end + 4]
            pairs = (line.split(b":", 1) for line in lines)
            headers = {name.strip().lower(): value.strip() for name, value in pairs}
            self._head = first.decode("latin-1"), headers, end + 4
            self._length = int(headers.get(b"content-length", b"0"))
            if b"expect" in headers and len(self._buffer) < self._length:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(self._buffer) < self._length:
            return False
        first, headers, head_bytes = self._head
        body = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        self._head = None
        method, target, _version = first.split(" ", 2)
        url = urlsplit(target)
        keep = headers.get(b"connection", b"").lower() != b"close"
        if url.path == CONTROL_PATH:
            self._answer(*self._stand_in.control(method, url.query), keep)
            return True
        counts = self._stand_in.counts
        counts.bytes += head_bytes + len(body)
        counts.connections.add(self._number)
        answer = self._stand_in.handle(method, url.path, headers, body)
        if counts.latency:
            asyncio.get_running_loop().call_later(counts.latency, self._answer, *answer, keep)
        else:
            self._answer(*answer, keep)
        return True

    def _answer(self, status, body, keep):
        if self._transport.is_closing():
            return
        kind = "Content-Type: application/json\r\n" if body else ""
        close = "" if keep else "Connection: close\r\n"
        head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Length: {len(body)}\r\n{kind}{close}\r\n"
        self._transport.write(head.encode() + body)
        if not keep:
            self._transport.close()


async def serve():
    """Serve on a free port of the loopback, print it, and end with standard input."""
    stand_in = StandIn()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(stand_in), "127.0.0.1", 0, backlog=256)
    ended = asyncio.Event()

    def read():
        with contextlib.suppress(BlockingIOError):
            if not os.read(0, 4096):
                ended.set()

    loop.add_reader(0, read)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(json.dumps({"url": url, "token_url": url + TOKEN_PATH}), flush=True)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        sys.exit(130)

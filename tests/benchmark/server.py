# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for VCC on the loopback interface. The simulator of tests/simulator reads every interaction, so it would slow down the runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading

TOKEN_PATH = "/Auth/connect/token"
INVOKE_PATH = "/interactions/Invoke"
TOKEN = "stand-in-token"
BODY_LIMIT = 100_000


class StandIn:
    """Issues tokens and accepts calls, after ``latency`` seconds each, and counts them. It serves in a thread that ends with the process.

    ``bodies`` has those of the calls if ``keeps_bodies``.
    """

    def __init__(self):
        self.keeps_bodies = False
        self.reset(0)
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256)
        self._server = asyncio.run_coroutine_threadsafe(start, loop).result()
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.token_url = self.url + TOKEN_PATH

    def reset(self, latency):
        """Set the latency, and all counts to zero."""
        self.latency = latency
        self.bodies = []
        names = ("connections", "calls", "token_calls", "rejected", "interactions", "body_bytes")
        self.counts = dict.fromkeys(names, 0)

    async def _serve(self, reader, writer):
        """Answer the requests of one connection, one after the other."""
        self.counts["connections"] += 1
        keep_open = True
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while keep_open:
                first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                pairs = (line.partition(":") for line in lines)
                headers = {name.lower(): value.strip() for name, _colon, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                keep_open = headers.get("connection", "").lower() != "close"
                status, answer = self._handle(*first.split(" ")[:2], headers, body)
                await asyncio.sleep(self.latency)
                head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
                writer.write(head.encode() + answer)
        writer.close()

    def _handle(self, method, path, headers, body):
        """Return status and body of the answer to a request."""
        self.counts["calls"] += 1
        answer = b""
        if path == TOKEN_PATH:
            self.counts["token_calls"] += 1
            is_right = method == "POST" and b"grant_type=client_credentials" in body
            answer = json.dumps({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}).encode()
        else:
            is_right = (method, path, headers.get("authorization")) == ("POST", INVOKE_PATH, f"Bearer {TOKEN}")
            is_right = is_right and len(body) <= BODY_LIMIT
            self.counts["body_bytes"] += len(body)
            # Each interaction has one, and no external id of the benchmark holds this text.
            self.counts["interactions"] += body.count(b'"requestid"')
            if self.keeps_bodies:
                self.bodies.append(body)
        self.counts["rejected"] += not is_right
        return (200, answer) if is_right else (400, b"")

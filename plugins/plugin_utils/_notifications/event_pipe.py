# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transfer of events to the rulebook: a queue of limited size, and the pipe to its process."""

from __future__ import annotations

import asyncio
import collections
import logging
import typing as t

logger = logging.getLogger("vonage.vcc")

# Bytes of events that may wait for the rules, besides those in the pipe.
MAX_WAITING = 64 * 1024 * 1024

# Bytes of a frame without its last event.
FRAME = 64 * 1024


class EventPipe:
    """Writes events to a pipe as fast as the pipe accepts them: in frames of a length in four bytes and a JSON array.

    :param on_closed: a function to call when the reader has closed the pipe.
    """

    def __init__(self, on_closed: t.Callable[[], object]) -> None:
        self._events: collections.deque[bytes] = collections.deque()
        self._bytes = 0
        self._has_events = asyncio.Event()
        self._on_closed = on_closed
        self._was_full = False
        self._task: asyncio.Task[None] | None = None

    async def start(self, pipe: t.Any) -> None:
        """Begin to write to the open file of a pipe."""
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(lambda: asyncio.streams.FlowControlMixin(loop), pipe)
        writer = asyncio.StreamWriter(transport, protocol, None, loop)
        self._task = asyncio.create_task(self._write(writer))

    def add(self, events: t.Iterable[str]) -> None:
        """Add events in JSON."""
        for event in events:
            encoded = event.encode()
            self._events.append(encoded)
            self._bytes += len(encoded)
        if self._events:
            self._has_events.set()

    @property
    def is_full(self) -> bool:
        """Whether the rules are so far behind that no more events may wait for them."""
        if self._bytes < MAX_WAITING:
            return False
        if not self._was_full:
            self._was_full = True
            logger.error(
                "The rules are %d events behind, which is the limit: the source answers notifications with 503 until the rules have caught up.",
                len(self._events),
            )
        return True

    async def _write(self, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._has_events.wait()
                frame, size = [], 0
                while self._events and size < FRAME:
                    frame.append(self._events.popleft())
                    size += len(frame[-1])
                if not self._events:
                    self._has_events.clear()
                body = b"[" + b",".join(frame) + b"]"
                writer.write(len(body).to_bytes(4, "big") + body)
                await writer.drain()
                self._bytes -= size
                if self._was_full and self._bytes < MAX_WAITING // 2:
                    self._was_full = False
                    logger.warning("The rules have caught up: the source accepts notifications again.")
        except OSError:
            self._on_closed()

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An attempt of a call: its time limit, and whether its request was sent."""

from __future__ import annotations

import threading
import typing as t

Result = t.TypeVar("Result")


class DeadlineExceededError(Exception):
    """An attempt has exceeded its time limit and is abandoned."""


class Attempt:
    """One request and its response, in a thread of its own, so that the caller never waits longer than its limit.

    ``sent`` is true from the moment when a byte of the request may leave on a connection whose tunnel and TLS are established.
    An attempt that is abandoned before that moment never sends its request.
    """

    _current = threading.local()

    def __init__(self) -> None:
        self.sent = False
        self._abandoned = False
        self._lock = threading.Lock()

    def run(self, function: t.Callable[[], Result], seconds: float) -> Result:
        """Return the result of ``function``, or raise its exception. Raises DeadlineExceededError after ``seconds`` seconds."""
        outcome: list[tuple[Result | None, BaseException | None]] = []
        ended = threading.Event()

        def work() -> None:
            Attempt._current.attempt = self
            try:
                outcome.append((function(), None))
            except BaseException as exc:
                outcome.append((None, exc))
            ended.set()

        # A daemon thread delays neither Ctrl+C nor the end of the process.
        threading.Thread(target=work, name="vcc-attempt", daemon=True).start()
        if not ended.wait(min(max(0.0, seconds), threading.TIMEOUT_MAX)):
            with self._lock:
                self._abandoned = True
            raise DeadlineExceededError
        ((result, exc),) = outcome
        if exc is not None:
            raise exc
        return t.cast(Result, result)

    @classmethod
    def check_not_abandoned(cls) -> None:
        """Raise DeadlineExceededError if the attempt of this thread is abandoned."""
        attempt = getattr(cls._current, "attempt", None)
        if attempt and attempt._abandoned:
            raise DeadlineExceededError

    @classmethod
    def mark_sent(cls) -> None:
        """Record that the request of this thread's attempt leaves now. Raises DeadlineExceededError if the attempt is abandoned."""
        attempt = getattr(cls._current, "attempt", None)
        if attempt:
            with attempt._lock:
                cls.check_not_abandoned()
                attempt.sent = True

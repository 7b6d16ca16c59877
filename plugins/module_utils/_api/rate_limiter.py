# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pacing of requests."""

from __future__ import annotations

import threading
import typing as t


class RateLimiter:
    """Spaces requests evenly, and holds all of them back after a 429. Threads can share a limiter.

    :param requests_per_minute: the maximum number of requests a minute, None for no limit.
    :param sleep: waits for a number of seconds.
    :param clock: returns a time in seconds that never goes back.
    """

    def __init__(
        self, requests_per_minute: int | None, sleep: t.Callable[[float], t.Any], clock: t.Callable[[], float]
    ) -> None:
        self.interval = 60 / requests_per_minute if requests_per_minute else 0.0
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._next_at = self._not_before = 0.0

    def wait(self) -> float:
        """Wait until the next request may leave. Return the seconds that only ``hold_back`` has added to the wait."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next_at)
            start = max(turn, self._not_before)
            self._next_at = start + self.interval
        while start > now:
            self._sleep(start - now)
            now = start
            with self._lock:
                start = max(start, self._not_before)
        return start - turn

    def last_start(self) -> float:
        """Return the time at which the last request in line may leave, by the clock. Any thread may ask, because this takes no lock."""
        return self._next_at - self.interval

    def hold_back(self, seconds: float) -> None:
        """Let no request leave for ``seconds`` seconds, because the fair-use limit covers all calls of the account."""
        with self._lock:
            self._not_before = max(self._not_before, self._clock() + seconds)

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ids of the claims that a run makes, and the request ids that are made from them."""

from __future__ import annotations

import itertools
import os
import re
import typing as t

from .store import CHUNK

# The largest id of a row.
MAX_CLAIM = (1 << 63) - 1

# Request ids that ``ClaimIds`` has made. Larger ones are no numbers of SQLite.
_MADE_FROM_CLAIM = re.compile(r"[0-7][0-9a-f]{31}")


class ClaimIds:
    """The ids of a run's claims, which follow one another, each with a request id that is made from it.

    They begin at random, in a part of all ids that belongs to the time, so that no other run has them and SQLite writes rows in their order. They are
    even. A row with another request id has the next odd number, so that its request id is in an index, and the others need none.
    """

    def __init__(self, now: float) -> None:
        self._now = now
        self._draw()

    def _draw(self) -> None:
        # 25 bits of the time, in units of 64 s, and 38 bits, of which 36 are random.
        self._next = (int(self._now) >> 6 & 0x1FFFFFF) << 38 | int.from_bytes(os.urandom(5), "big") >> 3 & ~1

    def take(self, count: int) -> list[tuple[int, str]]:
        """Return the next ids and their request ids."""
        first = self._next
        self._next += 2 * count
        digits = os.urandom(8 * count).hex()
        return [(first + n, f"{first + n:016x}{digits[8 * n : 8 * n + 16]}") for n in range(0, 2 * count, 2)]

    def avoid(self, is_used: t.Callable[[int, int], bool]) -> None:
        """Begin elsewhere if another run has any of the next ids, which is as good as impossible.

        :param is_used: return whether any id from the first to the last one is used.
        """
        while is_used(self._next, self._next + 4 * CHUNK):
            self._draw()


def claim_of(request_id: str) -> int | None:
    """Return the claim that a request id is made from, or None if ``ClaimIds`` has not made it."""
    return int(request_id[:16], 16) if _MADE_FROM_CLAIM.fullmatch(request_id) else None


def runs_of(claims: t.Iterable[int]) -> list[tuple[int, int]]:
    """Return the first and the last of each run of ids that follow one another, each even or the odd number after it."""
    runs = []
    # In the order in which a store locks rows, so that processes do not deadlock.
    for dummy, run in itertools.groupby(enumerate(sorted(claims)), lambda item: (item[1] >> 1) - item[0]):
        found = [claim for dummy, claim in run]
        runs.append((found[0], found[-1]))
    return runs

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ids of the claims of a run, and the request ids that are made from them."""

from __future__ import annotations

import itertools
import os
import re
import typing as t

from .store import CHUNK

# The largest id of a row.
MAX_CLAIM = (1 << 63) - 1

# The request ids that ``ClaimIds`` makes. A larger first half would not fit into an integer of SQLite.
_MADE_FROM_CLAIM = re.compile(r"[0-7][0-9a-f]{31}")


class ClaimIds:
    """Consecutive ids for the claims of a run, each with a request id that is made from it.

    The first id is random, in a range that belongs to the time. So no other run has the same ids, and SQLite writes rows in order. The ids are even. A row
    with another request id has the next odd number: an index has the request ids of these rows, and the others need no index.
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
        """Draw another first id if another run has any of the next ids, which is extremely unlikely.

        :param is_used: returns whether any id from a first to a last one is used.
        """
        while is_used(self._next, self._next + 4 * CHUNK):
            self._draw()


def claim_of(request_id: str) -> int | None:
    """Return the id of the claim that a request id is made from; None if ``ClaimIds`` has not made it."""
    return int(request_id[:16], 16) if _MADE_FROM_CLAIM.fullmatch(request_id) else None


def runs_of(claims: t.Iterable[int]) -> list[tuple[int, int]]:
    """Return the first and the last id of each series of consecutive claims. An odd id counts as the even one before it."""
    runs = []
    # In the order in which a store locks rows, so that processes do not deadlock.
    for dummy, run in itertools.groupby(enumerate(sorted(claims)), lambda item: (item[1] >> 1) - item[0]):
        found = [claim for dummy, claim in run]
        runs.append((found[0], found[-1]))
    return runs

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal keeps: rows, and the ids of the claims that a run makes."""

from __future__ import annotations

import abc
import enum
import os
import re
import typing as t

# Interactions that are looked up and claimed in one transaction.
CHUNK = 1000

# The largest id of a row.
MAX_CLAIM = (1 << 63) - 1

# Request ids that ``ClaimIds`` has made. Larger ones are no numbers of SQLite.
_MADE_FROM_CLAIM = re.compile(r"[0-7][0-9a-f]{31}")


class Word(str, enum.Enum):
    """A word of options, calls, rows and results: equal to its text as a key of a dictionary too, and its text in a message."""

    def __hash__(self) -> int:
        return str.__hash__(self)

    def __str__(self) -> str:
        return str(self.value)


class Action(Word):
    """The action that a task asks VCC for."""

    RELEASE = "release"
    DISPATCH = "dispatch"


class Row(t.NamedTuple):
    """The last action of an interaction.

    :param claim: the id of the row. A row that is written anew gets another one, so the process that wrote it can tell.
    :param requested_at: seconds of the epoch, as ``accepted_at``.
    :param accepted_at: None while it is pending, because VCC's answer is not known.
    """

    claim: int
    external_id: str
    action: str
    request_id: str
    requested_at: float
    accepted_at: float | None = None


# A row as it was seen, None for no row; and the row that replaces it, None to delete it.
Change = tuple[t.Optional[Row], t.Optional[Row]]


class Scope(t.NamedTuple):
    """To what rows belong. An interaction of another scope is another interaction.

    :param provider: empty for none.
    """

    api_url: str
    account: str
    provider: str


class Use(t.NamedTuple):
    """A use of a request id that the journal knows of.

    :param here: whether it was in the scope of the task.
    :param processed: whether VCC may have processed it; a row that is pending is repeated with it.
    :param changed_at: the time of the row that the same action of the same interaction has now, if any.
    """

    request_id: str
    here: bool
    external_id: str | None
    action: str
    processed: bool
    changed_at: float | None = None


class Query(t.NamedTuple):
    """What to search for in all scopes; None matches everything.

    :param provider: empty for rows without one.
    :param state: "released", "dispatched" or "pending".
    :param before: the latest time of a row: accepted, or requested if it is pending.
    :param after: a time before that of each row.
    """

    external_ids: t.Sequence[str] | None = None
    provider: str | None = None
    state: str | None = None
    before: float | None = None
    after: float | None = None


class Registered(t.NamedTuple):
    """How a provider is registered.

    :param key: the key of the hashes, and the mark of the process that wrote it.
    :param settings: JSON of the hashes by name.
    :param accepted_at: None while VCC's answer is not known.
    """

    key: bytes
    settings: str
    requested_at: float
    accepted_at: float | None = None


class Store(abc.ABC):
    """The rows of one scope, wherever they are kept. What a row means, it does not know: ``rules`` does.

    Every method raises JournalError if the store cannot be used. Every change is durable when its transaction ends.
    """

    path: str

    @abc.abstractmethod
    def close(self) -> None:
        """Close the store."""

    @abc.abstractmethod
    def transaction(self) -> t.ContextManager[None]:
        """Return a context whose changes take effect together or not at all. A store for which each change stands alone may ignore it."""

    @abc.abstractmethod
    def wrap_errors(self) -> t.ContextManager[None]:
        """Return a context that raises JournalError for errors of a database."""

    @abc.abstractmethod
    def rows(self, external_ids: t.Sequence[str]) -> dict[str, Row]:
        """Return the rows of interactions by their external ids; an interaction without a row is missing."""

    @abc.abstractmethod
    def check(self, external_ids: t.Sequence[str]) -> None:
        """Read the rows of interactions. Raises JournalError if they are damaged."""

    @abc.abstractmethod
    def swap(self, changes: t.Sequence[Change]) -> list[bool]:
        """Replace each row that is still the one that was seen: with the same id, and accepted as then. Return for each change whether it took effect."""

    @abc.abstractmethod
    def mark(self, first: int, last: int, accepted_at: float) -> int:
        """Mark all rows with an id from ``first`` to ``last`` as accepted, and return how many there are."""

    @abc.abstractmethod
    def has_claims(self, first: int, last: int) -> bool:
        """Return whether there is a row with an id from ``first`` to ``last``."""

    @abc.abstractmethod
    def uses(self, request_ids: t.Sequence[str]) -> list[Use]:
        """Return the uses of request ids in all scopes of the API and the account."""

    @abc.abstractmethod
    def keep_request_ids(self, action: str, now: float, pairs: t.Iterable[tuple[str, str | None]]) -> None:
        """Keep custom request ids that VCC may have had, each with its external id."""

    @abc.abstractmethod
    def forget_request_ids(self, request_ids: t.Iterable[str]) -> None:
        """Forget custom request ids of which VCC has processed nothing."""

    @abc.abstractmethod
    def registration(self) -> Registered | None:
        """Return how the provider of the scope is registered."""

    @abc.abstractmethod
    def swap_registration(self, seen: bytes | None, registered: Registered | None) -> bool:
        """Replace the registration with the key that was seen, None for none. Return whether it was still there."""

    @abc.abstractmethod
    def recorded(self, notification_ids: t.Sequence[str]) -> set[str]:
        """Return which notifications are recorded."""

    @abc.abstractmethod
    def record(self, notification_ids: t.Iterable[str], now: float) -> None:
        """Record notifications."""

    @abc.abstractmethod
    def schema_version(self) -> int:
        """Return the version of the tables."""

    @abc.abstractmethod
    def counts(self) -> dict[str, int]:
        """Return how many interactions of all scopes are in which state, and how many registrations of providers are known."""

    @abc.abstractmethod
    def search(self, query: Query, limit: int, offset: int) -> tuple[list[tuple[Row, Scope]], int]:
        """Return a page of the rows of all scopes that match, the latest first, and how many match on all pages."""

    @abc.abstractmethod
    def prune(self, before: float, dry_run: bool) -> dict[str, int]:
        """Delete what is of a time or older in all scopes, or with ``dry_run`` nothing. Return how many rows of each kind that is."""


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

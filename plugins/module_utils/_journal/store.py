# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of a journal, and the interface of a database that keeps them."""

from __future__ import annotations

import abc
import itertools
import math
import typing as t

# Interactions that are looked up and claimed in one transaction.
CHUNK = 1000

# For messages: the effect of restoring a journal from a backup.
RESTORE_WARNING = (
    "the next run may release or dispatch interactions a second time if the restored journal does not have them"
)


class Row(t.NamedTuple):
    """The last action of an interaction.

    :param claim: the id of the row. Each new row gets another id, so a process can tell whether the row is still its own.
    :param requested_at: seconds since the epoch, like ``accepted_at``.
    :param accepted_at: None while it is pending, because VCC's answer is not known.
    """

    claim: int
    external_id: str
    action: str
    request_id: str
    requested_at: float
    accepted_at: float | None = None

    @property
    def changed_at(self) -> float:
        """Return the time of the row: accepted, or requested if it is pending."""
        return self.requested_at if self.accepted_at is None else self.accepted_at


# A row as it was seen, None for no row; and the row that replaces it, None to delete it.
Change = tuple[t.Optional[Row], t.Optional[Row]]


class Scope(t.NamedTuple):
    """The owner of rows. The same external id in another scope is another interaction.

    :param provider: empty for none.
    """

    api_url: str
    account: str
    provider: str


class Run(t.NamedTuple):
    """A run of a task, which has outcomes.

    :param key: its number in the store.
    :param run_id: 32 hexadecimal digits; the number is made from the first of them.
    :param started: seconds since the epoch.
    :param job_id: the id of the job of AAP or AWX.
    """

    key: int
    run_id: str
    started: float
    reason: str | None = None
    job_id: str | None = None


class Attempt(t.NamedTuple):
    """An attempt of a run: how the interactions of a call ended, or those that were not sent.

    :param number: its place among the attempts of its run, from 1.
    :param state: "accepted", "failed" or "unknown".
    :param at: seconds since the epoch.
    :param call: the number of the call that decided it; None without a call.
    """

    run: Run
    number: int
    action: str
    state: str
    at: float
    call: int | None
    message: str


# An interaction that ended in an attempt: a number that is unique in the run, its external id and its request id.
Ended = tuple[int, t.Optional[str], t.Optional[str]]


class PastOutcome(t.NamedTuple):
    """An outcome of the history."""

    external_id: str | None
    request_id: str | None
    scope: Scope
    attempt: Attempt


class RunCounts(t.NamedTuple):
    """The results of a run.

    :param ended: the time of its last outcome.
    :param width: the seconds of each part of the timeline, which begins at the second in which the run began.
    :param calls: the number of the last call that decided an outcome.
    :param counts: the number of interactions that have ended, by action and state.
    :param timeline: the number of interactions that have ended, by the number of the part and the state, without zeros.
    """

    run: Run
    ended: float
    width: int
    calls: int
    counts: dict[tuple[str, str], int]
    timeline: dict[tuple[int, str], int]

    @classmethod
    def from_rows(
        cls, run: Run, ended: float, width: int, calls: int, rows: t.Iterable[tuple[str, str, int, int]]
    ) -> RunCounts:
        """Return the counts from rows, each with an action, a state, a part of the timeline, and the number of interactions that ended so."""
        counts: dict[tuple[str, str], int] = {}
        timeline: dict[tuple[int, str], int] = {}
        for action, state, part, count in rows:
            counts[action, state] = counts.get((action, state), 0) + count
            timeline[part, state] = timeline.get((part, state), 0) + count
        return cls(run, ended, width, calls, counts, timeline)


def width_of_parts(begin: float, end: float, parts: int) -> int:
    """Return the length of a part, in whole seconds, if a time is divided into at most ``parts`` equal parts."""
    return max(1, -(-(math.floor(end) - math.floor(begin) + 1) // parts))


class Use(t.NamedTuple):
    """A use of a request id that the journal knows of.

    :param here: whether it was in the scope of the task.
    :param processed: whether VCC may have processed it; False for a pending row, which is repeated with it.
    :param changed_at: the time of the present row of the same action of the same interaction, if any.
    :param unanswered: whether it was kept without VCC's answer.
    """

    request_id: str
    here: bool
    external_id: str | None
    action: str
    processed: bool
    changed_at: float | None = None
    unanswered: bool = False


class Query(t.NamedTuple):
    """The terms of a search in all scopes; None matches everything.

    :param provider: empty for rows without a provider.
    :param state: "released", "dispatched" or "pending"; in the history, "failed" or "unknown" instead of "pending".
    :param before: the latest time of a row: accepted, or requested if it is pending.
    :param after: a time that each row is later than.
    :param run_id: for the history only.
    """

    external_ids: t.Sequence[str] | None = None
    provider: str | None = None
    state: str | None = None
    before: float | None = None
    after: float | None = None
    run_id: str | None = None


class Found(t.NamedTuple):
    """The result of a search.

    :param rows: a page of the rows, each with its scope.
    :param matched: the number of matches on all pages.
    :param recent: the number of those that VCC has accepted after a time.
    """

    rows: list[tuple[Row, Scope]]
    matched: int
    recent: int


class Registered(t.NamedTuple):
    """The registration of a provider.

    :param key: the key of the hashes, which also identifies the process that wrote it.
    :param settings: JSON of the hashes by name.
    :param accepted_at: None while VCC's answer is not known.
    """

    key: bytes
    settings: str
    requested_at: float
    accepted_at: float | None = None

    @property
    def changed_at(self) -> float:
        """Return the time of the row: accepted, or requested if it is pending."""
        return self.requested_at if self.accepted_at is None else self.accepted_at


class SetUp(t.NamedTuple):
    """The changes that make a store usable; after a dry run, those that a run would make.

    :param created: whether the tables were missing.
    :param migrated: whether the tables were of an earlier version.
    :param granted: the roles that could not read and write them.
    """

    created: bool
    migrated: bool
    granted: list[str]


class Exchanged(t.NamedTuple):
    """The result of an exchange with a store.

    :param marked: the number of rows that it marked as accepted.
    :param done: whether each change took effect.
    :param rows: the rows that were looked up, by external id.
    """

    marked: int
    done: list[bool]
    rows: dict[str, Row]


class Store(abc.ABC):
    """The rows of one scope, in a file or a database. ``rules`` defines their meaning.

    Every method raises JournalError if the store cannot be used. Every change is durable when its transaction ends.

    :cvar remote: whether an exchange takes a round trip, and other processes may write between two exchanges.
    :ivar location: the path or the URL of the store, without a password; empty for one that ends with the task.
    :ivar created: whether this process has created it.
    """

    remote = False
    location: str
    created: bool

    @abc.abstractmethod
    def close(self) -> None:
        """Close the store."""

    @abc.abstractmethod
    def set_up(self, roles: list[str], dry_run: bool) -> SetUp:
        """Create missing tables, bring them to this version, and let roles of the database read and write them.

        With ``dry_run`` change nothing. Return the changes.
        """

    @abc.abstractmethod
    def clock(self) -> float:
        """Return the time by the clock of the store, in seconds since the epoch."""

    @abc.abstractmethod
    def transaction(self) -> t.ContextManager[None]:
        """Return a context whose changes take effect together or not at all. A store whose changes are separate may ignore it."""

    @abc.abstractmethod
    def rows(self, external_ids: t.Sequence[str]) -> dict[str, Row]:
        """Return the rows of interactions by their external ids; an interaction without a row is missing."""

    @abc.abstractmethod
    def check(self, external_ids: t.Sequence[str]) -> None:
        """Read the rows of interactions. Raises JournalError if they are damaged."""

    @abc.abstractmethod
    def swap(self, changes: t.Sequence[Change]) -> list[bool]:
        """Replace each row that is still as it was seen, with the same id and ``accepted_at``. Return for each change whether it took effect."""

    @abc.abstractmethod
    def mark(self, first: int, last: int, accepted_at: float, attempt: Attempt | None = None) -> int:
        """Mark all rows with an id from ``first`` to ``last`` as accepted, and return their number.

        :param attempt: the attempt to add to the history with them.
        """

    def exchange(
        self,
        marks: t.Sequence[tuple[int, int]] = (),
        accepted_at: float = 0.0,
        changes: t.Sequence[Change] = (),
        look_up: t.Sequence[str] = (),
        sent: t.Callable[[], object] | None = None,
        attempts: t.Sequence[Attempt | None] = (),
    ) -> Exchanged:
        """Mark rows as accepted, each series of them by its first and last id; replace rows; and look other rows up.

        :param sent: a function to call once all statements are sent to a remote store.
        :param attempts: the attempts to add to the history with the marked rows.
        """
        with self.transaction():
            runs = itertools.zip_longest(marks, attempts)
            marked = sum(self.mark(first, last, accepted_at, attempt) for (first, last), attempt in runs)
            return Exchanged(marked, self.swap(changes), self.rows(look_up) if look_up else {})

    @abc.abstractmethod
    def record_attempts(self, attempts: t.Sequence[tuple[Attempt, t.Sequence[Ended]]], dry_run: bool = False) -> int:
        """Add attempts of the scope to the history, each with the interactions that ended in it, unless ``dry_run`` is set.

        Entries that it already has stay as they are. Return the number of interactions that it did not have.
        """

    @abc.abstractmethod
    def has_claims(self, first: int, last: int) -> bool:
        """Return whether there is a row with an id from ``first`` to ``last``. A store that refuses claims with the id of another row may return False."""

    @abc.abstractmethod
    def uses(self, request_ids: t.Sequence[str]) -> list[Use]:
        """Return the uses of request ids in all scopes of the API and the account."""

    @abc.abstractmethod
    def keep_request_ids(
        self, action: str, now: float, pairs: t.Iterable[tuple[str, str | None]], unanswered: bool = False
    ) -> None:
        """Keep request ids that VCC may have received and that no row has, each with its external id.

        :param unanswered: whether VCC's answer is not known. A request id that is kept as answered stays so.
        """

    @abc.abstractmethod
    def forget_request_ids(self, action: str, pairs: t.Iterable[tuple[str, str | None]]) -> None:
        """Forget custom request ids of which VCC has processed nothing, if they were kept for the same action of the same interaction."""

    @abc.abstractmethod
    def registration(self) -> Registered | None:
        """Return how the provider of the scope is registered."""

    @abc.abstractmethod
    def swap_registration(self, seen: bytes | None, registered: Registered | None) -> bool:
        """Replace the registration if its key is still ``seen``, None for no registration. Return whether it was."""

    @abc.abstractmethod
    def recorded(self, notification_ids: t.Sequence[str]) -> set[str]:
        """Return which notifications are recorded."""

    @abc.abstractmethod
    def record(self, notification_ids: t.Sequence[str], now: float, changes: t.Sequence[Change] = ()) -> bool:
        """Record notifications and replace rows, all or nothing. Return False if another process has recorded or replaced one of them first."""

    @abc.abstractmethod
    def schema_version(self) -> int | None:
        """Return the version of the tables, None if there are none."""

    @abc.abstractmethod
    def description(self) -> dict[str, str | None]:
        """Return ``{"backend", "location", "host", "database"}``; the last two are None for a file."""

    @abc.abstractmethod
    def counts(self) -> dict[str, int]:
        """Return the number of interactions of all scopes in each state, and the number of known registrations of providers."""

    @abc.abstractmethod
    def search(self, query: Query, limit: int, offset: int, recent: float) -> Found:
        """Return a page of the matching rows of all scopes, the latest first, and the number of matches on all pages.

        :param recent: the time after which an acceptance counts as recent.
        """

    @abc.abstractmethod
    def history(self, query: Query, limit: int, offset: int, recent: float) -> tuple[list[PastOutcome], int, int]:
        """Return a page of the matching outcomes of all scopes, the latest first, the number of matches, and the number of those accepted after ``recent``.

        :param recent: seconds since the epoch.
        """

    @abc.abstractmethod
    def run_counts(self, run_id: str, parts: int) -> RunCounts | None:
        """Return the results of a run; None for a run that the store does not have.

        :param parts: the maximum number of parts of its timeline, each of whole seconds.
        """

    @abc.abstractmethod
    def export(self, query: Query, history: bool, take: t.Callable[[t.Iterator[t.Any]], None]) -> None:
        """Pass all matches to ``take``, in the order of a search: (row, scope) of each interaction, or each outcome of the history.

        If the store must be read again, this calls ``take`` again, with all matches from the beginning.
        """

    @abc.abstractmethod
    def prune(self, before: float, dry_run: bool) -> dict[str, int]:
        """Delete the rows of all scopes that are not later than ``before``; with ``dry_run`` only count them. Return the number of each kind."""

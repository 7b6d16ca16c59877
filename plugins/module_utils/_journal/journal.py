# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: what was asked of VCC and what it accepted, in a SQLite file.

A row says what an interaction's last action was, dispatch or release, with which C(request_id) it was asked for, and when VCC accepted it (NULL
while pending). Rows are durable before their call is made, so whoever finds one pending can repeat the call with the same C(request_id), of which
VCC processes only the first. An action ends what the row said of the other one.

A claim is a row with an id that no other claim ever has. Who takes up the claim of another process, or ends what that has claimed, writes the
row anew: so whoever made a claim finds it by its id for as long as nothing has come in between. What is withdrawn gives way to the row that was
there before, with the id that it had.

The worklist, the interactions that the current task asks for, is a temporary table beside it: it drops duplicates without holding the
task's input in memory.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
import re
import time
import typing as t

with contextlib.suppress(ImportError):  # which the doors report
    import sqlite3

from .._errors import InputError
from .._text import shown
from .entry import Entry
from .sqlite import OTHER_REQUEST, ClaimIds, ScopedJournal

# Interactions that are looked up and claimed in one transaction.
CHUNK = 1000

_WORKLIST = """
CREATE TEMP TABLE work (
    seq INTEGER PRIMARY KEY,
    external_id TEXT UNIQUE,
    request_id TEXT,
    data TEXT
);
CREATE UNIQUE INDEX temp.own_id ON work (request_id) WHERE request_id IS NOT NULL;
"""

# What of the worklist is behind some place, in order. Dispatches queue as they are asked for. Among releases nothing depends on the order, and the
# journal is written much quicker in its own.
_BEHIND = {
    "dispatch": "work.seq > :after ORDER BY work.seq",
    "release": "work.external_id > coalesce((SELECT external_id FROM temp.work WHERE seq = :after), '') ORDER BY work.external_id",
}

_LOOK_UP = """
SELECT work.seq, work.external_id, work.request_id, work.data,
    interaction.id, interaction.action, interaction.request_id, interaction.asked, interaction.accepted
FROM temp.work LEFT JOIN interaction ON interaction.scope = :scope AND interaction.external_id = work.external_id
WHERE {behind} LIMIT :limit
"""

# A request id of the worklist that has been used, in whatever scope, for something else or in a call that is not to be repeated.
_USED = """
SELECT work.external_id, work.request_id, used.external_id, used.action
FROM {work} AS work
CROSS JOIN scope
CROSS JOIN {used}
LEFT JOIN interaction AS now ON now.scope = used.scope AND now.external_id = used.external_id AND now.action = used.action
WHERE work.request_id IS NOT NULL AND (scope.api_url, scope.account) = (:api_url, :account)
    AND (
        used.scope <> :scope OR used.external_id IS NOT work.external_id OR used.action <> :action
        OR {processed} AND (
            :force OR now.asked IS NULL OR :ttl AND abs(:now - coalesce(now.accepted, now.asked)) >= :ttl
        )
    )
LIMIT 1
"""

# Where a request id may have been used: by users, who choose their own; or in a row, which is found by its id if that is what the request id is made from.
_USED_IN = (
    {"used": "own_request AS used ON used.scope = scope.id AND used.request_id = work.request_id", "processed": 1},
    {
        "used": "interaction AS used ON used.id = claim_of(work.request_id) AND used.scope = scope.id AND used.request_id = work.request_id",
        "processed": 0,
    },
    {
        "used": "interaction AS used ON used.scope = scope.id AND used.request_id = work.request_id"
        f" AND {OTHER_REQUEST.replace('request_id', 'used.request_id').replace(' id)', ' used.id)')}",
        "processed": 0,
    },
)

# What of the worklist is looked at: all of it, or a chunk.
_ALL_WORK = "temp.work"
_WORK_OF_CHUNK = "(SELECT external_id, request_id FROM temp.work WHERE {behind} LIMIT :limit)"


# Reads all that the journal has of the worklist.
_TOUCH = """
SELECT sum(interaction.accepted), sum(length(interaction.request_id))
FROM temp.work CROSS JOIN interaction ON interaction.scope = :scope AND interaction.external_id = work.external_id
"""


# Request ids that ``ClaimIds`` has made, whose claims SQLite can count.
_MADE_FROM_CLAIM = re.compile(r"[0-7][0-9a-f]{31}")


class Interaction(t.NamedTuple):
    """One interaction of the worklist and what the journal says of it.

    :arg seq: its place among the distinct interactions that were asked for, from 1.
    :arg external_id: None for a dispatch without one, of which the journal keeps nothing.
    :arg data: JSON to send of this one alone, or None.
    :arg request_id: to ask with, or asked with; None if it is yet to be made.
    :arg confirmed: the journal proves that VCC accepted it; nothing is left to do.
    :arg pending: it was asked for before, and VCC's answer is not known.
    :arg before: the row that a claim of it replaces, if any: id, action, request id, asked, accepted. Not for a claim that is taken up.
    :arg asked: the time in the row of a claim of it.
    :arg claim: the id of that row; 0 if there is none.
    """

    seq: int
    external_id: str | None
    request_id: str | None
    confirmed: bool
    pending: bool
    data: str | None = None
    before: tuple[int, str, str, float, float | None] | None = None
    asked: float = 0.0
    claim: int = 0


class Journal(ScopedJournal):
    """The journal of the interactions of one scope, for a task that asks for one action.

    :arg ttl: seconds for which a row says something; 0 for ever. An older one counts as no row.
    :arg action: what is asked for, "release" or "dispatch"; the rows of the other one prove nothing.
    :arg force: whether to ask again for what is confirmed or pending, with a new request id.
    """

    def __init__(
        self,
        path: str,
        api_url: str,
        account: str,
        provider: str | None,
        ttl: int,
        action: str = "release",
        force: bool = False,
        dry_run: bool = False,
        clock: t.Callable[[], float] = time.time,
    ) -> None:
        super().__init__(path, api_url, account, provider, dry_run, clock)
        self._action = action
        self._ttl = ttl
        self._force = force
        self._own_ids = False
        with self._wrap_errors():
            self._db.executescript(_WORKLIST)
            self._db.create_function("claim_of", 1, _claim_of)

    def add_all(self, entries: t.Iterable[Entry | list[str]]) -> int:
        """Put entries on the worklist; plain duplicates count once. Return how many distinct interactions it holds.

        :arg entries: with C(data) as JSON, if any; or lists of external ids.
        Raises InputError for an interaction that is asked for with two request ids or with differing data, and for a request id that stands for
        two interactions or actions.
        """
        varied = False

        def is_plain(entry: Entry | list[str]) -> bool:
            nonlocal varied
            if isinstance(entry, list):
                return True
            varied = varied or entry.data is not None
            return not varied and entry.request_id is None and entry.external_id is not None

        with self._wrap_errors():
            self._db.execute("BEGIN")
            for plain, group in itertools.groupby(entries, is_plain):
                if not plain:
                    for entry in group:
                        self._add(t.cast("Entry", entry))
                else:
                    lists = (one if isinstance(one, list) else [one.external_id] for one in group)
                    self._write(
                        "INSERT OR IGNORE INTO temp.work (external_id) VALUES ",
                        "(?)",
                        zip(itertools.chain.from_iterable(lists)),
                    )
            self._db.execute("COMMIT")
            wanted: int = self._db.execute("SELECT count(*) FROM temp.work").fetchone()[0]
            own = self._db.execute("SELECT 1 FROM temp.work WHERE request_id IS NOT NULL LIMIT 1").fetchone()
            self._own_ids = own is not None
            if self._own_ids:
                self._check_request_ids()
            if wanted > CHUNK:
                # A damaged page has to show before the first call, not at the chunk that needs it.
                self._read(lambda: self._db.execute(_TOUCH, {"scope": self._scope}).fetchone())
            return wanted

    def plan(self, after: int) -> list[Interaction]:
        """Return the next chunk of the worklist, in the order in which it is to be sent; empty at its end. Writes nothing.

        :arg after: the place of the last one of the chunk before; 0 for the first chunk.
        """
        with self._wrap_errors():
            return self._read(lambda: self._look_up(after))

    def claim(self, after: int, accepted: t.Collection[Interaction] = ()) -> list[Interaction]:
        """Return the same chunk with a request id for all that is to be sent, durably noted as pending.

        Of two processes at once, the second finds the first one's request ids, or its proof. What it takes up is its own claim then.

        :arg accepted: what to accept in the same transaction, which saves one.
        """
        with self._transaction():
            if accepted:
                self._accept(accepted)
            if self._own_ids:
                self._check_request_ids(after)
            self._new_ids.avoid(self._is_claim)
            chunk = self._look_up(after, self._new_ids)
            claimed = [one for one in chunk if one.claim]
            self._write(
                "INSERT OR REPLACE INTO interaction (scope, action, id, external_id, request_id, asked) VALUES ",
                f"({self._scope}, '{self._action}', ?, ?, ?, ?)",  # to bind the same values for all would take its time
                map(operator.attrgetter("claim", "external_id", "request_id", "asked"), claimed),
            )
            if self._own_ids:
                self._keep_own_ids(claimed)
            return chunk

    def _is_claim(self, first: int, last: int) -> bool:
        return bool(self._db.execute("SELECT 1 FROM interaction WHERE id BETWEEN ? AND ?", (first, last)).fetchone())

    def accept(self, interactions: t.Collection[Interaction]) -> None:
        """Note that VCC has accepted these: from now on they are confirmed.

        Where another process has asked for something else meanwhile, it is not known which of the two VCC took last: neither is confirmed then.
        """
        with self._transaction():
            self._accept(interactions)

    def _accept(self, interactions: t.Collection[Interaction]) -> None:
        now = self._clock()
        claimed = [one for one in interactions if one.claim]
        noted = 0
        for first, last in _runs(one.claim for one in claimed):
            noted += self._db.execute(
                "UPDATE interaction SET accepted = ? WHERE id BETWEEN ? AND ?", (now, first, last)
            ).rowcount
        if noted < len(claimed):
            self._reconcile(claimed, now)
        if self._own_ids:
            self._keep_own_ids([one for one in interactions if one.external_id is None])

    def _keep_own_ids(self, interactions: list[Interaction]) -> None:
        """Keep the request ids of the user's own that VCC may have had; without an external id, only those that it has accepted, since they can be repeated."""
        now = self._clock()
        self._db.executemany(
            "INSERT OR IGNORE INTO own_request (scope, request_id, external_id, action, asked)"
            " SELECT ?, request_id, external_id, ?, ? FROM temp.work WHERE seq = ? AND request_id = ?",
            [(self._scope, self._action, now, one.seq, one.request_id) for one in interactions],
        )

    def release_claim(self, interactions: t.Iterable[Interaction]) -> None:
        """Take back claims of which VCC has processed nothing: what the journal said before, it says again.

        A claim that another process has taken up since stays, since that one may still have its effect.
        """
        with self._transaction():
            for one in interactions:
                if one.before:
                    undone = self._db.execute(
                        "UPDATE interaction SET id = ?, action = ?, request_id = ?, asked = ?, accepted = ? WHERE id = ? AND accepted IS NULL",
                        (*one.before, one.claim),
                    )
                else:
                    undone = self._db.execute("DELETE FROM interaction WHERE id = ? AND accepted IS NULL", (one.claim,))
                if self._own_ids and undone.rowcount:
                    self._db.execute(
                        "DELETE FROM own_request WHERE scope = ? AND request_id = ?", (self._scope, one.request_id)
                    )

    def keep_pending(self, interactions: t.Iterable[Interaction]) -> None:
        """See that claims whose answer is not known are still there, should another process have withdrawn them.

        Where another process has asked for something else meanwhile, that is not confirmed any more, as with C(accept).
        """
        with self._transaction():
            self._reconcile([one for one in interactions if one.claim], None)

    def _reconcile(self, interactions: list[Interaction], accepted: float | None) -> None:
        """Note of claims, one by one, that VCC has or may have taken them, whatever other processes have made of their rows."""
        for one in interactions:
            row = self._db.execute(
                "SELECT id, action, request_id, asked, accepted FROM interaction WHERE scope = ? AND external_id = ?",
                (self._scope, one.external_id),
            ).fetchone()
            if row is None:
                # Withdrawn by a release that has found nothing to release, so nobody knows whether a dispatch came before that or behind it.
                # Or forgotten, as a user wished.
                if self._action == "release":
                    self._replace(one.external_id, self._action, one.request_id, self._clock(), accepted)
                continue
            known, action, request_id, asked, proof = row
            if action != self._action:
                # That is confirmed no more, nor by its own answer.
                self._replace(one.external_id, action, None, asked, None)
            elif request_id == one.request_id:
                if accepted is not None:
                    self._db.execute("UPDATE interaction SET accepted = ? WHERE id = ?", (accepted, known))
            elif proof is None:
                # Asked for anew, which is not to go back to what was confirmed before.
                self._replace(one.external_id, action, request_id, asked, None)

    def _add(self, entry: Entry) -> None:
        """Put an entry on the worklist that is more than an external id."""
        name = shown(entry.external_id or "")
        row = self._db.execute(
            "SELECT request_id, data FROM temp.work WHERE external_id = ?", (entry.external_id,)
        ).fetchone()
        if row and row[0] and entry.request_id and row[0] != entry.request_id:
            raise InputError(
                f"{entry.position} asks for '{name}' a second time with another request_id: leave one of them."
            )
        if row and row[1] != entry.data:
            raise InputError(
                f"{entry.position} asks for '{name}' a second time with other linked_data or routing_data: leave one of them."
            )
        try:
            if not row:
                self._db.execute(
                    "INSERT INTO temp.work (external_id, request_id, data) VALUES (?, ?, ?)",
                    (entry.external_id, entry.request_id, entry.data),
                )
            elif entry.request_id:
                self._db.execute(
                    "UPDATE temp.work SET request_id = ? WHERE external_id = ?", (entry.request_id, entry.external_id)
                )
        except sqlite3.IntegrityError:
            raise InputError(
                f"{entry.position} has the request_id '{shown(entry.request_id or '')}' of another interaction, and VCC processes only the first of two:"
                " give each its own."
            ) from None

    def _check_request_ids(self, after: int | None = None) -> None:
        """A request id that VCC may have had for another interaction or action, or before, would be dropped by VCC without a word.

        Raises InputError for one of those on the worklist; with C(after), for one in the chunk behind that place.
        """
        work = _ALL_WORK if after is None else _WORK_OF_CHUNK.format(behind=_BEHIND[self._action])
        values = {
            "api_url": self._scope_key[0],
            "account": self._scope_key[1],
            "scope": self._scope or 0,
            "action": self._action,
            "force": self._force,
            "ttl": self._ttl,
            "now": self._clock(),
            "after": after,
            "limit": CHUNK,
        }
        queries = [_USED.format(work=work, **place) for place in _USED_IN]
        rows = self._read(lambda: [self._db.execute(query, values).fetchone() for query in queries])
        row = next(filter(None, rows), None)
        if row:
            name = "an interaction without an external id" if row[0] is None else f"'{shown(row[0])}'"
            used = f"to {shown(str(row[3]))} it" if row[2] == row[0] else f"for '{shown(str(row[2]))}'"
            raise InputError(
                f"The request_id '{shown(row[1])}' of {name} has been used {used} before, and VCC would ignore it: give each its own."
            )

    def _look_up(self, after: int, new_ids: ClaimIds | None = None) -> list[Interaction]:
        """Return the chunk behind a place; with C(new_ids), with the claims and request ids that it gets."""
        now = self._clock()
        rows = self._db.execute(
            _LOOK_UP.format(behind=_BEHIND[self._action]),
            {"scope": self._scope, "after": after, "limit": CHUNK},
        )
        found = []
        for row in rows:
            if row[4] is None:
                claim, new_id = next(new_ids) if new_ids else (0, None)
                found.append(
                    Interaction(
                        row[0],
                        row[1],
                        row[2] or new_id,
                        False,
                        False,
                        row[3],
                        None,
                        now,
                        claim if row[1] is not None else 0,
                    )
                )
            else:
                found.append(self._classify(now, new_ids, row))
        return found

    def _classify(self, now: float, new_ids: ClaimIds | None, row: tuple[t.Any, ...]) -> Interaction:
        """What the journal says of an interaction that it has a row of."""
        seq, external_id, own_id, data, dummy, action, known_id, asked, accepted = row
        # A time far in the future was written by a clock that has been wrong, and says no more than one far in the past.
        fresh = not self._ttl or abs(now - (asked if accepted is None else accepted)) < self._ttl
        if action == self._action and fresh and not self._force and accepted is not None:
            return Interaction(seq, external_id, known_id, True, False, data)
        claim, new_id = next(new_ids) if new_ids else (0, None)
        pending = action == self._action and fresh and accepted is None
        if action != self._action or not fresh or self._force:
            return Interaction(seq, external_id, own_id or new_id, False, pending, data, row[4:], now, claim)
        # What may be under way is repeated as it was begun, even if it has been given a request id since.
        return Interaction(seq, external_id, known_id, False, True, data, None, asked, claim)


def _claim_of(request_id: str) -> int | None:
    """Return the claim that a request id is made from, None if it is none of ``ClaimIds``."""
    return int(request_id[:16], 16) if _MADE_FROM_CLAIM.fullmatch(request_id) else None


def _runs(numbers: t.Iterable[int]) -> t.Iterator[tuple[int, int]]:
    """The first and last of each run of numbers that follow one another."""
    for dummy, run in itertools.groupby(enumerate(numbers), lambda item: item[1] - item[0]):
        found = [number for dummy, number in run]
        yield found[0], found[-1]

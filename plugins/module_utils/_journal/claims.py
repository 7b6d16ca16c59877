# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of a task: the pending rows that it writes before its calls, and updates after them.

A claim is a row with an id that no other claim ever has. A process that takes over or replaces the claim of another process writes a new row with a new id.
So a process finds its claim by the id as long as no other process has replaced the row. Withdrawing a claim restores the previous row, with its id.
"""

from __future__ import annotations

import functools
import typing as t

from . import rules
from .audit import Audit
from .claim_ids import ClaimIds
from .rules import Interaction, Terms, Wanted
from .scoped import keep_replaced_request_ids
from .store import Change, Exchanged, Row, Store


class LookedUp(t.NamedTuple):
    """A chunk of the worklist, with its rows of the journal.

    :param after: the place after which it begins.
    :param rows: the rows, by external id.
    """

    after: int
    wanted: list[Wanted]
    rows: dict[str, Row]

    @property
    def last(self) -> int:
        """Return the place of its last interaction, after which the next chunk begins."""
        return self.wanted[-1][0]


class Prepared(t.NamedTuple):
    """A chunk with its claims, before the exchange that writes them.

    :param chunk: its interactions if all claims take effect.
    :param changes: the rows of the claims, in the order of the chunk.
    """

    found: LookedUp
    chunk: list[Interaction]
    changes: list[Change]


class Claiming(t.NamedTuple):
    """A chunk and the exchange with the store that claims it.

    :param chunk: its interactions if all claims take effect.
    :param accepted: claims that the same exchange marks as accepted.
    :param now: the time of these marks.
    :param following: the next chunk, which the same exchange looks up.
    :param exchange: makes the exchange, or waits for its end.
    """

    found: LookedUp
    chunk: list[Interaction]
    accepted: list[Interaction]
    now: float
    following: list[Wanted]
    exchange: t.Callable[..., Exchanged]

    @property
    def claimed(self) -> list[Interaction]:
        """Return the interactions that have a change in the exchange, in the order of the changes."""
        return [each for each in self.chunk if each.claim]


class Claims:
    """Makes the claims of one task, and records their outcomes.

    A chunk is claimed in four steps: ``ChunksAhead`` looks it up, ``prepare`` chooses its claims, ``begin`` returns the exchange that writes them, and
    ``end`` makes the exchange. ``claim_lost`` repeats these steps for claims that came too late, because another process was quicker.

    A row belongs to the process that wrote it last. ``accept`` and ``release`` change only rows that still belong to the task; ``reconcile``
    decides about the others, also for ``accept``.

    ``prepare`` does not use the store if there is no key, so it may run during the exchange of another chunk.

    :param ids: the ids of the claims.
    :param terms: the terms of the task.
    :param has_key: whether request ids are derived from external ids.
    :param audit: has the outcomes of interactions, for the history.
    """

    def __init__(
        self,
        store: Store,
        clock: t.Callable[[], float],
        ids: ClaimIds,
        terms: Terms,
        has_key: bool,
        audit: Audit,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._terms = terms
        self._action = terms.action
        self._has_key = has_key
        self._audit = audit
        self._doubtful: set[str] = set()  # request ids that VCC may have received before another action

    def classify(self, found: LookedUp, ids: t.Iterator[tuple[int, str | None]]) -> list[Interaction]:
        """Return a chunk with the knowledge of the journal. An acceptance with a derived request id confirms its interaction at any age.

        :param ids: ids of claims with request ids; each interaction that must be sent takes one.
        """
        wanted, rows = found.wanted, found.rows
        chunk = rules.classify(wanted, rows, self._terms, self._clock(), ids)
        if not self._has_key or self._terms.force:
            return chunk
        own = [row for row in rows.values() if row.action == self._action]
        accepted = {row.request_id for row in own if row.accepted_at is not None}
        left = [each[2] for each, known in zip(wanted, chunk) if each[2] is not None and not known.confirmed]
        used = [use for use in self._store.uses(left) if use.processed]
        accepted.update(use.request_id for use in used if not use.unanswered)
        unanswered = {use.request_id: rows.get(use.external_id or "") for use in used if use.unanswered}
        self._doubtful.difference_update(unanswered)
        self._doubtful.update(each for each, row in unanswered.items() if rules.is_doubtful(each, row, self._action))
        # A custom request id is kept from its claim on, so it is not accepted if its row is pending.
        accepted -= {row.request_id for row in own if row.accepted_at is None}
        return rules.confirm(wanted, chunk, accepted, unanswered)

    def prepare(self, found: LookedUp) -> Prepared:
        """Choose the claims of a chunk. Write nothing."""
        chunk = self.classify(found, iter(self._ids.take(len(found.wanted))))
        changes: list[Change] = [
            (
                found.rows.get(each.external_id or ""),
                rules.row_of_claim(each, self._action, each.request_id in self._doubtful),
            )
            for each in chunk
            if each.claim
        ]
        return Prepared(found, chunk, changes)

    def begin(self, prepared: Prepared, accepted: list[Interaction], following: list[Wanted]) -> Claiming:
        """Return the exchange that claims a chunk, without making it. First keep the request ids that it replaces.

        :param accepted: interactions to accept in the same exchange.
        :param following: the next chunk, to look up in the same exchange.
        """
        now = self._clock()
        marked = self._claims_to_mark(accepted, now)
        keep_replaced_request_ids(self._store, prepared.changes, now)
        marks, attempts = self._audit.marks(marked)
        exchange = functools.partial(
            self._store.exchange,
            marks,
            now,
            prepared.changes,
            external_ids_of(following),
            attempts=attempts,
        )
        return Claiming(prepared.found, prepared.chunk, marked, now, following, exchange)

    def end(self, claiming: Claiming) -> Exchanged:
        """Make the exchange that claims a chunk, or wait for its end. Return its result; some claims may be lost."""
        exchanged = claiming.exchange()
        if exchanged.marked < len(claiming.accepted):
            self.reconcile(claiming.accepted, claiming.now)
        self._audit.forget(claiming.accepted)
        return exchanged

    def claim_lost(self, claiming: Claiming, done: list[bool]) -> list[Interaction]:
        """Return a chunk with all its claims. Look up and claim again the interactions whose rows another process has replaced meanwhile.

        :param done: whether each claim took effect.
        """
        if all(done):
            return claiming.chunk
        lost = {each.seq: each for each, ok in zip(claiming.claimed, done) if not ok}
        left = [each for each in claiming.found.wanted if each[0] in lost]
        rows = self._store.rows(external_ids_of(left))
        left = [rules.keep_request_id(each, rows.get(each[1] or ""), lost[each[0]]) for each in left]
        retry = self.begin(self.prepare(LookedUp(claiming.found.after, left, rows)), [], [])
        again = {each.seq: each for each in self.claim_lost(retry, self.end(retry).done)}
        return [again.get(each.seq, each) for each in claiming.chunk]

    def accept(self, interactions: t.Collection[Interaction]) -> None:
        """Record that VCC has accepted interactions; those without a claim have no row."""
        now = self._clock()
        marked = self._claims_to_mark(interactions, now)
        if not marked:
            return
        marks, attempts = self._audit.marks(marked)
        if self._store.exchange(marks, now, attempts=attempts).marked < len(marked):
            self.reconcile(marked, now)
        self._audit.forget(marked)

    def _claims_to_mark(self, interactions: t.Collection[Interaction], now: float) -> list[Interaction]:
        """Return the claims to mark as accepted, and reconcile the others.

        A request id that VCC may have received before another action is only kept. It confirms no state, because VCC may have ignored it now. If VCC has
        processed it now, an action of another process that has replaced the claim is not confirmed either.
        """
        doubtful = self._doubtful
        marked = [each for each in interactions if each.claim and not (doubtful and each.request_id in doubtful)]
        if len(marked) < len(interactions):
            self.reconcile([each for each in interactions if not each.claim or each.request_id in doubtful], now)
        return marked

    def own(self, interactions: t.Iterable[Interaction]) -> list[Interaction]:
        """Return the claims whose rows no other process has replaced."""
        claimed = {each.external_id: each for each in interactions if each.claim and each.external_id is not None}
        rows = self._store.rows(list(claimed)) if claimed else {}
        return [each for name, each in claimed.items() if name in rows and rows[name].claim == each.claim]

    def release(self, interactions: t.Collection[Interaction]) -> None:
        """Withdraw claims. A claim that another process has taken over stays."""
        self._audit.record(interactions)
        self._store.swap([rules.release_claim(each, self._action) for each in interactions if each.claim])

    def reconcile(self, interactions: t.Collection[Interaction], accepted_at: float | None) -> None:
        """Record that VCC has processed claims, or may have, even if other processes have replaced their rows.

        :param accepted_at: when VCC accepted them; None if its answer is not known.
        """
        self._audit.record(interactions)
        lost = [each for each in interactions if each.claim]
        while lost:
            rows = self._store.rows([each.external_id for each in lost if each.external_id is not None])
            now = self._clock()
            changes: list[Change] = []
            changed: list[Interaction] = []
            gone: list[tuple[str, str | None]] = []
            for each, (claim_id, dummy) in zip(lost, self._ids.take(len(lost))):
                row = rows.get(each.external_id or "")
                is_doubtful = each.request_id in self._doubtful
                if self._has_key and each.request_id and (is_doubtful or each.request_id != (row and row.request_id)):
                    gone.append((each.request_id, each.external_id))
                change = rules.reconcile(row, each, self._action, now, accepted_at, claim_id, is_doubtful)
                if change:
                    changes.append(change)
                    changed.append(each)
            self._store.keep_request_ids(self._action, now, gone, unanswered=accepted_at is None)
            keep_replaced_request_ids(self._store, changes, now)
            done = self._store.swap(changes)
            lost = [each for each, ok in zip(changed, done) if not ok]


def external_ids_of(wanted: list[Wanted]) -> list[str]:
    """Return the external ids of interactions that have one."""
    return [each[1] for each in wanted if each[1] is not None]

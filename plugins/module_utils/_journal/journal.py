# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a task: what it asks of VCC, and what VCC has accepted.

A row of the journal says which action an interaction had last, dispatch or release, with which request id, and when VCC accepted it. A row without
that time is pending. Rows are durable before their call. A later run that finds a pending row repeats the call with the same request id, because VCC
processes only the first call with it. An action ends what the row said of the other action.

A claim is a row with an id that no other claim ever has. A process that takes up the claim of another process, or replaces it, writes the row anew.
So the process that made a claim finds it by its id as long as nothing has come in between. A claim that is taken back gives way to the row that was
there before, with the id that it had.

``rules`` says what a row means, ``Store`` keeps the rows, and ``Worklist`` has the interactions that the task asks for.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import typing as t

from .._errors import InputError, JournalError
from .._words import Action
from . import rules
from .ahead import Background, Claiming, LookedUp, Prepared
from .claim_ids import MAX_CLAIM, runs_of
from .entry import Entry
from .request_ids import check_key, check_request_ids
from .rules import Interaction, Terms, Wanted
from .scoped import ScopedJournal, keep_replaced_request_ids
from .store import CHUNK, Change, Exchanged, Row
from .worklist import Worklist

# Chunks that are looked up at once while nothing must be claimed.
CHUNKS_AT_ONCE = 5


class Journal(ScopedJournal):
    """The journal of the interactions of one scope, for a task that asks for one action.

    :param journal: the path of a file or the URL of a database; empty for a journal that ends with the task.
    :param ttl: seconds for which a row counts; 0 for ever.
    :param action: "release" or "dispatch"; rows of the other action confirm nothing.
    :param force: whether to ask again for what is confirmed or pending, with a new request id.
    :param dry_run: write nothing.
    :param clock: return seconds of the epoch; None for the clock of the store.
    :param derive: return the request id of an external id; None to make new ones.
    """

    def __init__(
        self,
        journal: str,
        api_url: str,
        account: str,
        provider: str | None,
        ttl: int,
        action: str = "release",
        force: bool = False,
        dry_run: bool = False,
        clock: t.Callable[[], float] | None = None,
        derive: t.Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(journal, api_url, account, provider, dry_run, clock)
        # SQLite takes a plain text quicker than another kind of text.
        self._action = Action(action).value
        self._terms = Terms(self._action, ttl, force)
        self._has_key = derive is not None
        self._doubtful: set[str] = set()  # request ids that VCC may have had before another action
        self._custom_ids = False
        self._checked = True
        self._looked_up: list[LookedUp] = []
        self._prepared: Prepared | None = None
        self._claiming: Claiming | None = None
        self._held: list[Interaction] = []  # accepted, and not yet in the journal
        self._background: Background | None = None
        try:
            self._worklist = Worklist(action, "" if self._store.remote else self._store.location, derive)
        except BaseException:
            self._store.close()
            raise

    def close(self) -> None:
        """Close the worklist and the store."""
        try:
            with contextlib.suppress(JournalError):  # what stays is only pending
                self._take_back()
                self._accept([])
        finally:
            self._worklist.close()
            super().close()

    def add_all(self, entries: t.Iterable[Entry | list[str]]) -> int:
        """Put entries on the worklist; plain duplicates count once. Return how many distinct interactions it has.

        :param entries: entries with their data as JSON, if any; or lists of external ids.
        Raises InputError for an interaction with two request ids or with differing data, and for a request id that stands for two interactions or
        actions.
        """
        with self._worklist.wrap_errors():
            count = self._worklist.add_all(entries)
            self._custom_ids = self._worklist.has_custom_request_ids()
            if self._custom_ids:
                for chunk in self._worklist.chunks():
                    check_request_ids(self._store, chunk, self._terms, self._clock())
            elif self._has_key and self._terms.force:
                for chunk in self._worklist.chunks():
                    check_key(self._store, chunk)
            self._checked = count <= CHUNK or not self._store.has_claims(0, MAX_CLAIM)
            if self._dry_run:
                self._check_rows()
            return count

    def _check_rows(self) -> None:
        """Read the rows of the whole worklist, so that a damaged page shows before the first call, not at the chunk that needs it."""
        if not self._checked:
            for external_ids in self._worklist.external_ids():
                self._store.check(external_ids)
            self._checked = True

    def has_new_request_ids(self) -> bool:
        """Return whether the task chooses the request id of an interaction with an external id by itself."""
        with self._worklist.wrap_errors():
            return self._worklist.has_new_request_ids()

    def plan(self, after: int) -> list[Interaction]:
        """Return the next chunk of the worklist, in the order in which it must be sent; empty at its end. Write nothing.

        :param after: the place of the last one of the chunk before; 0 for the first chunk.
        """
        self._take_back()
        self._accept([])
        # Where the chunk before is confirmed, the next ones may be too.
        found = self._look_up(after, CHUNKS_AT_ONCE if after else 1)
        return self._classify(found.wanted, found.rows, self._clock(), itertools.repeat((0, None)))

    def _look_up(self, after: int, count: int = 1) -> LookedUp:
        """Return a chunk with its rows. If a turn on the wire is needed for that, look several chunks up.

        :param count: how many chunks.
        """
        while self._looked_up and self._looked_up[0].after != after:
            del self._looked_up[0]
        if not self._looked_up:
            chunks = [(after, self._chunk(after))]
            while self._store.remote and chunks[-1][1] and len(chunks) < count:
                behind = chunks[-1][1][-1][0]
                chunks.append((behind, self._chunk(behind)))
            rows = self._store.rows([name for dummy, wanted in chunks for name in _external_ids(wanted)])
            self._looked_up = [LookedUp(place, wanted, rows) for place, wanted in chunks]
        found = self._looked_up[0]
        if not self._store.remote:
            self._looked_up = []
        return found

    def _chunk(self, after: int) -> list[Wanted]:
        """Return the chunk of the worklist behind a place."""
        with self._worklist.wrap_errors():
            return self._worklist.chunk(after)

    def _classify(
        self, wanted: list[Wanted], rows: dict[str, Row], now: float, ids: t.Iterator[tuple[int, str | None]]
    ) -> list[Interaction]:
        """Return what the journal says of interactions. What VCC has accepted with a derived request id is confirmed, whenever that was."""
        chunk = rules.classify(wanted, rows, self._terms, now, ids)
        if not self._has_key or self._terms.force:
            return chunk
        own = [row for row in rows.values() if row.action == self._action]
        accepted = {row.request_id for row in own if row.accepted_at is not None}
        left = [each[2] for each, found in zip(wanted, chunk) if each[2] is not None and not found.confirmed]
        used = [use for use in self._store.uses(left) if use.processed]
        accepted.update(use.request_id for use in used if not use.unanswered)
        unanswered = {use.request_id: rows.get(use.external_id or "") for use in used if use.unanswered}
        self._doubtful.difference_update(unanswered)
        self._doubtful.update(each for each, row in unanswered.items() if rules.is_doubtful(each, row, self._action))
        # A custom request id counts as kept from its claim on.
        accepted -= {row.request_id for row in own if row.accepted_at is None}
        return rules.confirm(wanted, chunk, accepted, unanswered)

    def claim(self, after: int, accepted: t.Collection[Interaction] = ()) -> list[Interaction]:
        """Return the same chunk, with a request id for each interaction that must be sent, recorded as pending.

        Of two processes at once, the second one finds the request ids of the first one, or its confirmations. A claim that it takes up becomes its own.

        :param accepted: interactions to accept in the same exchange with the store, which saves one.
        """
        self._check_rows()
        with self._worklist.wrap_errors(), self._store.transaction():
            self._wait()
            claiming, self._claiming = self._claiming, None
            if claiming and claiming.after == after:
                chunk = self._end(claiming)
                self._claim_ahead(accepted)
                return chunk
            self._claiming = claiming
            self._take_back()
            found = self._look_up(after)
            del self._looked_up[:1]
            if self._custom_ids:
                check_request_ids(self._store, found.wanted, self._terms, self._clock())
            self._ids.avoid(self._store.has_claims)
            chunk = self._end(self._begin(found, accepted, self._following(found)))
            if self._custom_ids:
                self._keep_request_ids([each for each in accepted if each.external_id is None])
                self._keep_request_ids([each for each in chunk if each.claim])
                if self._store.remote:
                    self._check_request_ids_again(found.wanted, chunk)
            elif not self._has_key:
                self._claim_ahead()
            return chunk

    def _following(self, found: LookedUp) -> list[Wanted]:
        """Return the chunk behind another one, if it can be looked up in the same turn on the wire."""
        return self._chunk(found.wanted[-1][0]) if self._store.remote and found.wanted and not self._looked_up else []

    def _claim_ahead(self, accepted: t.Collection[Interaction] = ()) -> None:
        """Begin to claim the next chunk if it is looked up, while the caller sends the one before it. Accept interactions in the same exchange."""
        if self._looked_up and self._looked_up[0].wanted:
            found = self._looked_up.pop(0)
            self._claiming = self._begin(found, accepted, self._following(found), in_background=True)
            if self._claiming.following and not found.rows:
                # The journal has probably no rows of the next chunk either.
                self._prepared = self._prepare(LookedUp(found.wanted[-1][0], self._claiming.following, {}))
        else:
            # The next exchange accepts them too, which saves one.
            self._held = list(accepted)

    def _begin(
        self,
        found: LookedUp,
        accepted: t.Iterable[Interaction] = (),
        following: list[Wanted] | None = None,
        in_background: bool = False,
    ) -> Claiming:
        """Begin the exchange that claims a chunk.

        :param accepted: interactions to accept in the same exchange.
        :param following: the chunk behind it, to look up in the same exchange.
        :param in_background: whether to start the exchange now, in a thread of its own.
        """
        prepared, self._prepared = self._prepared, None
        if not prepared or prepared.after != found.after or found.rows:
            prepared = self._prepare(found)
        now = self._clock()
        claimed = self._take_accepted(accepted, now)
        keep_replaced_request_ids(self._store, prepared.changes, now)
        following = following or []
        exchange: t.Callable[[], Exchanged] = functools.partial(
            self._store.exchange,
            runs_of(each.claim for each in claimed),
            now,
            prepared.changes,
            _external_ids(following),
        )
        if in_background:
            exchange = self._background = Background(exchange)
            self._background.wait_until_sent()
        return Claiming(found.after, found.wanted, prepared.chunk, claimed, now, following, exchange)

    def _prepare(self, found: LookedUp) -> Prepared:
        """Prepare the claims of a chunk, without the store."""
        ids = iter(self._ids.take(len(found.wanted)))
        chunk = self._classify(found.wanted, found.rows, self._clock(), ids)
        changes: list[Change] = [
            (
                found.rows.get(each.external_id or ""),
                rules.row_of_claim(each, self._action, each.request_id in self._doubtful),
            )
            for each in chunk
            if each.claim
        ]
        return Prepared(found.after, chunk, changes)

    def _end(self, claiming: Claiming) -> list[Interaction]:
        """Return a chunk that is claimed. Look up again interactions whose rows another process has replaced meanwhile."""
        exchanged = self._exchanged(claiming)
        if claiming.following:
            self._looked_up = [LookedUp(claiming.wanted[-1][0], claiming.following, exchanged.rows)]
        if all(exchanged.done):
            return claiming.chunk
        lost = {each.seq: each for each, ok in zip(claiming.claimed, exchanged.done) if not ok}
        left = [each for each in claiming.wanted if each[0] in lost]
        rows = self._store.rows(_external_ids(left))
        left = [rules.keep_request_id(each, rows.get(each[1] or ""), lost[each[0]]) for each in left]
        again = {each.seq: each for each in self._end(self._begin(LookedUp(claiming.after, left, rows)))}
        return [again.get(each.seq, each) for each in claiming.chunk]

    def _exchanged(self, claiming: Claiming) -> Exchanged:
        """Make the exchange that claims a chunk, or wait for its end."""
        exchanged = claiming.exchange()
        if exchanged.marked < len(claiming.accepted):
            self._reconcile(claiming.accepted, claiming.now)
        return exchanged

    def _take_back(self) -> None:
        """Take back what is claimed ahead. A pending row that such a claim has taken up stays pending."""
        self._wait()
        claiming, self._claiming = self._claiming, None
        if claiming:
            self._looked_up, self._prepared = [], None
            exchanged = self._exchanged(claiming)
            claimed = [each for each, ok in zip(claiming.claimed, exchanged.done) if ok]
            unused = [each for each in claimed if each.previous or not each.pending]
            self._store.swap([rules.release_claim(each, self._action) for each in unused])

    def _wait(self) -> None:
        """Wait for the claims that are made ahead, because only one thread at a time uses the store, also after an interruption."""
        if self._background:
            self._background.wait()
            self._background = None

    def _accept(self, interactions: t.Iterable[Interaction]) -> None:
        now = self._clock()
        claimed = self._take_accepted(interactions, now)
        if claimed and self._store.exchange(runs_of(each.claim for each in claimed), now).marked < len(claimed):
            self._reconcile(claimed, now)

    def _take_accepted(self, interactions: t.Iterable[Interaction], now: float) -> list[Interaction]:
        """Return the claims to mark as accepted, those of interactions and those that are held.

        A request id that VCC may have had before another action is only kept: it confirms no state, because VCC may have ignored it now.
        """
        claimed = [each for each in (*self._held, *interactions) if each.claim]
        self._held = []
        if not (claimed and self._doubtful):
            return claimed
        doubtful = [(each.request_id, each.external_id) for each in claimed if each.request_id in self._doubtful]
        self._store.keep_request_ids(self._action, now, doubtful)
        return [each for each in claimed if each.request_id not in self._doubtful]

    def accept(self, interactions: t.Collection[Interaction]) -> None:
        """Record that VCC has accepted these: from now on they are confirmed.

        Where another process has asked for something else meanwhile, nobody knows which of the two VCC took last: neither is confirmed then.
        """
        self._wait()
        with self._store.transaction():
            self._accept(interactions)
            if self._custom_ids:
                # A dispatch without an external id can be repeated with its request id until VCC has accepted it.
                self._keep_request_ids([each for each in interactions if each.external_id is None])

    def release_claim(self, interactions: t.Iterable[Interaction]) -> None:
        """Take back claims of which VCC has processed nothing: what the journal said before, it says again.

        A claim that another process has taken up since stays, because the call of that process may still have its effect.
        """
        self._wait()
        with self._store.transaction():
            claimed = [each for each in interactions if each.claim]
            done = self._store.swap([rules.release_claim(each, self._action) for each in claimed])
            if self._custom_ids:
                gone = [
                    (each.request_id, each.external_id) for each, ok in zip(claimed, done) if ok and each.request_id
                ]
                self._store.forget_request_ids(self._action, gone)

    def keep_pending(self, interactions: t.Iterable[Interaction]) -> None:
        """Make sure that claims without a known answer are still there, in case another process has taken them back.

        Where another process has asked for something else meanwhile, that is not confirmed any more, as with ``accept``.
        """
        self._wait()
        with self._store.transaction():
            self._reconcile([each for each in interactions if each.claim], None)

    def _reconcile(self, interactions: list[Interaction], accepted_at: float | None) -> None:
        """Record of claims that VCC has or may have taken them, whatever other processes have made of their rows."""
        lost = interactions
        while lost:
            rows = self._store.rows([each.external_id for each in lost if each.external_id is not None])
            now = self._clock()
            changes: list[Change] = []
            changed: list[Interaction] = []
            gone: list[tuple[str, str | None]] = []
            for each, (claim_id, dummy) in zip(lost, self._ids.take(len(lost))):
                row = rows.get(each.external_id or "")
                if self._has_key and each.request_id and each.request_id != (row and row.request_id):
                    gone.append((each.request_id, each.external_id))
                change = rules.reconcile(row, each, self._action, now, accepted_at, claim_id)
                if change:
                    changes.append(change)
                    changed.append(each)
            self._store.keep_request_ids(self._action, now, gone, unanswered=accepted_at is None)
            keep_replaced_request_ids(self._store, changes, now)
            done = self._store.swap(changes)
            lost = [each for each, ok in zip(changed, done) if not ok]

    def _keep_request_ids(self, interactions: list[Interaction]) -> None:
        """Keep the custom request ids of interactions."""
        self._store.keep_request_ids(self._action, self._clock(), self._worklist.custom_request_ids(interactions))

    def _check_request_ids_again(self, wanted: list[Wanted], chunk: list[Interaction]) -> None:
        """Check custom request ids once they are kept, because another process may have kept one since the check before. Raises InputError."""
        try:
            check_request_ids(self._store, wanted, self._terms, self._clock(), rules.is_of_another)
        except InputError:
            self.release_claim(chunk)
            raise


def _external_ids(wanted: list[Wanted]) -> list[str]:
    return [each[1] for each in wanted if each[1] is not None]

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

import itertools
import typing as t

from .._errors import InputError
from .._text import shown
from .._words import Action
from . import rules
from .claim_ids import MAX_CLAIM, ClaimIds
from .entry import Entry
from .rules import Interaction, Terms, Wanted
from .scoped import ScopedJournal
from .store import CHUNK, Change, Exchanged, Row
from .worklist import Worklist


class _Ahead(t.NamedTuple):
    """A chunk of the worklist that is looked up before it is asked for.

    :param after: the place behind which it begins.
    :param rows: what the journal had of it, by external id.
    """

    after: int
    wanted: list[Wanted]
    rows: dict[str, Row]


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
        self._ids = ClaimIds(self._clock())
        self._dry_run = dry_run
        self._derive = derive
        self._custom_ids = False
        self._checked = True
        self._ahead: _Ahead | None = None
        try:
            self._worklist = Worklist(action, "" if self._store.remote else self._store.location)
        except BaseException:
            self._store.close()
            raise

    def close(self) -> None:
        """Close the worklist and the store."""
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
                    self._check_request_ids(chunk)
            elif self._derive and self._terms.force:
                for chunk in self._worklist.chunks():
                    self._check_key(self._with_derived_ids(chunk))
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
        wanted = self._chunk(after)
        rows = self._store.rows(_external_ids(wanted))
        if self._store.remote:
            self._ahead = _Ahead(after, wanted, rows)
        return self._classify(wanted, rows, self._clock(), itertools.repeat((0, None)))

    def _chunk(self, after: int) -> list[Wanted]:
        """Return the chunk of the worklist behind a place, with the request ids that are derived."""
        with self._worklist.wrap_errors():
            return self._with_derived_ids(self._worklist.chunk(after))

    def _with_derived_ids(self, wanted: list[Wanted]) -> list[Wanted]:
        derive = self._derive
        if not derive:
            return wanted
        return [(seq, name, derive(name) if name is not None else None, data) for seq, name, dummy, data in wanted]

    def _classify(
        self, wanted: list[Wanted], rows: dict[str, Row], now: float, ids: t.Iterator[tuple[int, str | None]]
    ) -> list[Interaction]:
        """Return what the journal says of interactions. What VCC has accepted with a derived request id is confirmed, whenever that was."""
        chunk = rules.classify(wanted, rows, self._terms, now, ids)
        if not self._derive or self._terms.force:
            return chunk
        accepted = {
            row.request_id for row in rows.values() if row.action == self._action and row.accepted_at is not None
        }
        left = [each.request_id for each in chunk if not each.confirmed and not each.pending and each.request_id]
        accepted.update(use.request_id for use in self._store.uses(left) if use.processed)
        return rules.confirm(chunk, accepted)

    def _check_key(self, wanted: list[Wanted]) -> None:
        """Refuse to ask anew with request ids that were used, because VCC would ignore them. Raises InputError."""
        for use in self._store.uses([each[2] for each in wanted if each[2] is not None]):
            raise InputError(
                f"The idempotency_key has been used for '{shown(use.external_id or '')}' before, and VCC would ignore it: force needs a new key."
            )

    def claim(self, after: int, accepted: t.Collection[Interaction] = ()) -> list[Interaction]:
        """Return the same chunk, with a request id for each interaction that must be sent, recorded as pending.

        Of two processes at once, the second one finds the request ids of the first one, or its confirmations. A claim that it takes up becomes its own.

        :param accepted: interactions to accept in the same exchange with the store, which saves one.
        """
        self._check_rows()
        with self._worklist.wrap_errors(), self._store.transaction():
            ahead, self._ahead = self._ahead, None
            if not ahead or ahead.after != after:
                wanted = self._chunk(after)
                ahead = _Ahead(after, wanted, self._store.rows(_external_ids(wanted)))
            if self._custom_ids:
                self._check_request_ids(ahead.wanted)
            self._ids.avoid(self._store.has_claims)
            following = self._chunk(ahead.wanted[-1][0]) if self._store.remote and ahead.wanted else []
            chunk = self._claim(ahead.wanted, ahead.rows, accepted, following)
            if self._custom_ids:
                self._keep_request_ids([each for each in accepted if each.external_id is None])
                self._keep_request_ids([each for each in chunk if each.claim])
                if self._store.remote:
                    self._check_request_ids_again(ahead.wanted, chunk)
            return chunk

    def _claim(
        self,
        wanted: list[Wanted],
        rows: dict[str, Row],
        accepted: t.Collection[Interaction] = (),
        following: list[Wanted] | None = None,
    ) -> list[Interaction]:
        """Claim interactions. Look up again those whose rows another process has replaced meanwhile.

        :param rows: what the journal had of them.
        :param following: the chunk behind them, to look up ahead.
        """
        now = self._clock()
        chunk = self._classify(wanted, rows, now, iter(self._ids.take(len(wanted))))
        claimed = [each for each in chunk if each.claim]
        changes = [(rows.get(each.external_id or ""), rules.row_of_claim(each, self._action)) for each in claimed]
        for action, pairs in rules.replaced_request_ids(changes).items():
            self._store.keep_request_ids(action, now, pairs)
        exchanged = self._exchange(accepted, now, changes, following or [])
        if following:
            self._ahead = _Ahead(wanted[-1][0], following, exchanged.rows)
        if all(exchanged.done):
            return chunk
        lost = {each.seq for each, ok in zip(claimed, exchanged.done) if not ok}
        left = [each for each in wanted if each[0] in lost]
        again = {each.seq: each for each in self._claim(left, self._store.rows(_external_ids(left)))}
        return [again.get(each.seq, each) for each in chunk]

    def _exchange(
        self, accepted: t.Iterable[Interaction], now: float, changes: t.Sequence[Change], following: list[Wanted]
    ) -> Exchanged:
        """Accept interactions, replace rows, and look the following ones up."""
        claimed = [each for each in accepted if each.claim]
        runs = list(_runs(each.claim for each in claimed))
        exchanged = self._store.exchange(runs, now, changes, _external_ids(following))
        if exchanged.marked < len(claimed):
            self._reconcile(claimed, now)
        return exchanged

    def accept(self, interactions: t.Collection[Interaction]) -> None:
        """Record that VCC has accepted these: from now on they are confirmed.

        Where another process has asked for something else meanwhile, nobody knows which of the two VCC took last: neither is confirmed then.
        """
        with self._store.transaction():
            self._exchange(interactions, self._clock(), [], [])
            if self._custom_ids:
                # A dispatch without an external id can be repeated with its request id until VCC has accepted it.
                self._keep_request_ids([each for each in interactions if each.external_id is None])

    def release_claim(self, interactions: t.Iterable[Interaction]) -> None:
        """Take back claims of which VCC has processed nothing: what the journal said before, it says again.

        A claim that another process has taken up since stays, because the call of that process may still have its effect.
        """
        with self._store.transaction():
            claimed = [each for each in interactions if each.claim]
            done = self._store.swap([rules.release_claim(each, self._action) for each in claimed])
            if self._custom_ids:
                self._forget_request_ids([each for each, ok in zip(claimed, done) if ok])

    def keep_pending(self, interactions: t.Iterable[Interaction]) -> None:
        """Make sure that claims without a known answer are still there, in case another process has taken them back.

        Where another process has asked for something else meanwhile, that is not confirmed any more, as with ``accept``.
        """
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
            for each, ids in zip(lost, self._ids.take(len(lost))):
                row = rows.get(each.external_id or "")
                change = rules.reconcile(row, each, self._action, now, accepted_at, *ids)
                if change:
                    changes.append(change)
                    changed.append(each)
            done = self._store.swap(changes)
            lost = [each for each, ok in zip(changed, done) if not ok]

    def _keep_request_ids(self, interactions: list[Interaction]) -> None:
        """Keep the custom request ids of interactions."""
        pairs = self._worklist.custom_request_ids(interactions)
        self._store.keep_request_ids(self._action, self._clock(), pairs)

    def _forget_request_ids(self, interactions: list[Interaction]) -> None:
        """Forget the request ids of interactions of which VCC has processed nothing."""
        pairs = [(each.request_id, each.external_id) for each in interactions if each.request_id]
        self._store.forget_request_ids(self._action, pairs)

    def _check_request_ids_again(self, wanted: list[Wanted], chunk: list[Interaction]) -> None:
        """Check custom request ids once they are kept, because another process may have kept one since the check before. Raises InputError."""
        try:
            self._check_request_ids(wanted, rules.is_of_another)
        except InputError:
            self.release_claim(chunk)
            raise

    def _check_request_ids(self, wanted: list[Wanted], is_conflict: t.Callable[..., bool] = rules.is_conflict) -> None:
        """Refuse a custom request id that VCC may have had for something else or in an earlier call, because VCC would ignore it without a word.

        Raises InputError.
        """
        custom = {each[2]: each for each in wanted if each[2] is not None}
        now = self._clock()
        for use in self._store.uses(list(custom)):
            external_id = custom[use.request_id][1]
            if is_conflict(use, custom[use.request_id], self._terms, now):
                name = "an interaction without an external id" if external_id is None else f"'{shown(external_id)}'"
                used = (
                    f"to {shown(use.action)} it"
                    if use.external_id == external_id
                    else f"for '{shown(str(use.external_id))}'"
                )
                raise InputError(
                    f"The request_id '{shown(use.request_id)}' of {name} has been used {used} before, and VCC would ignore it: give each its own."
                )


def _external_ids(wanted: list[Wanted]) -> list[str]:
    return [each[1] for each in wanted if each[1] is not None]


def _runs(numbers: t.Iterable[int]) -> t.Iterator[tuple[int, int]]:
    """Yield the first and the last of each run of ids that follow one another, each even or the odd number after it."""
    for dummy, run in itertools.groupby(enumerate(numbers), lambda item: (item[1] >> 1) - item[0]):
        found = [number for dummy, number in run]
        yield found[0], found[-1]

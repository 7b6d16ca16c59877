# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a task: its requests to VCC, and VCC's acceptances.

A row of the journal has the last action of an interaction, dispatch or release, its request id, and the time at which VCC accepted it. A row without that
time is pending. Rows are durable before their call. A later run that finds a pending row repeats the call with the same request id, because VCC processes
only the first call with it. The row of an action replaces that of the other action.

``Worklist`` has the interactions that the task asks for. They go through the journal in chunks: ``ChunksAhead`` decides when a chunk is looked up and
claimed, ``Claims`` makes and records its claims, ``rules`` defines the meaning of a row, and ``Store`` keeps the rows.
"""

from __future__ import annotations

import contextlib
import itertools
import typing as t

from .._errors import InputError, JournalError
from .._words import Action, AttemptState
from . import rules
from .ahead import ChunksAhead
from .audit import Audit
from .claim_ids import MAX_CLAIM
from .claims import Claims
from .entry import Entry
from .request_ids import check_key, check_request_ids
from .rules import Interaction, Terms, Wanted
from .scoped import ScopedJournal
from .store import CHUNK, Run
from .worklist import Worklist


class Journal(ScopedJournal):
    """The journal of the interactions of one scope, for a task that asks for one action.

    :param journal: the path of a file or the URL of a database; empty for a journal that ends with the task.
    :param ttl: seconds for which a row counts; 0 for ever.
    :param action: "release" or "dispatch"; rows of the other action confirm nothing.
    :param force: whether to ask again for confirmed and pending interactions, with new request ids.
    :param dry_run: write nothing.
    :param clock: returns seconds since the epoch; None for the clock of the store.
    :param derive: returns the request id of an external id; None to make new ones.
    :param begin_run: returns the run that begins at a time, for the history; None to leave no history.
    :ivar run: that run.
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
        begin_run: t.Callable[[float], Run] | None = None,
    ) -> None:
        super().__init__(journal, api_url, account, provider, dry_run, clock)
        # SQLite takes a plain str faster than a subclass of it.
        self._action = Action(action).value
        self._terms = Terms(self._action, ttl, force)
        self.run = begin_run(self._clock()) if begin_run and not dry_run else None
        self._audit = Audit(self._store, self.run, self._action)
        self._has_key = derive is not None
        self._custom_ids = False
        self._checked = True
        try:
            self._worklist = Worklist(action, "" if self._store.remote else self._store.location, derive)
        except BaseException:
            self._store.close()
            raise
        self._claims = Claims(self._store, self._clock, self._ids, self._terms, self._has_key, self._audit)
        self._ahead = ChunksAhead(self._store, self._worklist, self._claims)

    def close(self) -> None:
        """Close the worklist and the store."""
        try:
            with contextlib.suppress(JournalError):  # rows that stay are only pending
                self._ahead.flush()
        finally:
            self._worklist.close()
            super().close()

    @property
    def worklist(self) -> Worklist:
        """The interactions that the task asks for."""
        return self._worklist

    def add_all(self, entries: t.Iterable[Entry | list[str]]) -> int:
        """Put entries on the worklist; duplicates count once. Return the number of distinct interactions.

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
        """Read the rows of the whole worklist, so that a damaged page is found before the first call, not at the chunk that needs it."""
        if not self._checked:
            with self._worklist.wrap_errors():
                for external_ids in self._worklist.external_ids():
                    self._store.check(external_ids)
            self._checked = True

    def has_new_request_ids(self) -> bool:
        """Return whether the task itself chooses the request id of an interaction with an external id."""
        with self._worklist.wrap_errors():
            return self._worklist.has_new_request_ids()

    def plan(self, after: int) -> list[Interaction]:
        """Return the next chunk of the worklist, in the order of sending; empty at its end. Write nothing.

        :param after: the place of the last interaction of the previous chunk; 0 for the first chunk.
        """
        return self._claims.classify(self._ahead.look_up(after), itertools.repeat((0, None)))

    def claim(self, after: int, accepted: t.Collection[Interaction] = ()) -> list[Interaction]:
        """Return the chunk of ``plan``, with a request id for each interaction that must be sent, recorded as pending.

        If two processes claim at once, the second one finds the request ids or the confirmations of the first. A claim that it takes over becomes its own.

        :param accepted: interactions to accept in the same exchange with the store, which saves an exchange.
        """
        self._check_rows()
        self._audit.has_begun = True
        with self._store.transaction():
            chunk = self._ahead.take_claimed(after)
            if chunk:
                self._ahead.claim_next(accepted)
                return chunk
            found = self._ahead.look_up_to_claim(after)
            if self._custom_ids:
                check_request_ids(self._store, found.wanted, self._terms, self._clock())
            self._ids.avoid(self._store.has_claims)
            chunk = self._ahead.claim(found, accepted)
            if self._custom_ids:
                self._keep_request_ids([each for each in accepted if each.external_id is None])
                self._keep_request_ids([each for each in chunk if each.claim])
                if self._store.remote:
                    self._check_request_ids_again(found.wanted, chunk)
            elif not self._has_key:
                self._ahead.claim_next()
            return chunk

    def ended(
        self, interactions: t.Iterable[Interaction], state: AttemptState, call: int | None, message: str = ""
    ) -> float:
        """Note how interactions ended, and return the time. The next ``accept``, ``release_claim`` or ``keep_pending`` writes it to the history.

        :param call: the number of the call that decided it; None without a call.
        """
        now = self._clock()
        self._audit.ended(interactions, state.value, now, call, message)
        return now

    def accept(self, interactions: t.Collection[Interaction]) -> None:
        """Record that VCC has accepted interactions, so that they are confirmed from now on.

        If another process has asked for the other action meanwhile, neither is confirmed, because it is not known which of the two VCC processed last.
        """
        with self._store.transaction():
            self._ahead.accept(interactions)
            if self._custom_ids:
                # A dispatch without an external id can be repeated with its request id until VCC has accepted it.
                self._keep_request_ids([each for each in interactions if each.external_id is None])

    def release_claim(self, interactions: t.Collection[Interaction]) -> None:
        """Withdraw claims of which VCC has processed nothing, and restore the previous rows.

        A claim that another process has taken over stays, because the call of that process may still take effect.
        """
        self._ahead.wait()
        with self._store.transaction():
            if self._custom_ids:
                # Before the rows, because a kept request id without a row counts as one that VCC has received, which another process must not use.
                gone = [
                    (each.request_id, each.external_id) for each in self._claims.own(interactions) if each.request_id
                ]
                self._store.forget_request_ids(self._action, gone)
            self._claims.release(interactions)

    def keep_pending(self, interactions: t.Collection[Interaction]) -> None:
        """Make sure that claims without a known answer still exist, in case another process has withdrawn them.

        If another process has asked for the other action meanwhile, that is no longer confirmed, as with ``accept``.
        """
        self._ahead.wait()
        with self._store.transaction():
            self._claims.reconcile(interactions, None)

    def _keep_request_ids(self, interactions: list[Interaction]) -> None:
        """Keep the custom request ids of interactions."""
        with self._worklist.wrap_errors():
            custom = self._worklist.custom_request_ids(interactions)
        self._store.keep_request_ids(self._action, self._clock(), custom)

    def _check_request_ids_again(self, wanted: list[Wanted], chunk: list[Interaction]) -> None:
        """Check custom request ids again once they are kept, because another process may have kept one since the first check. Raises InputError."""
        try:
            check_request_ids(self._store, wanted, self._terms, self._clock(), rules.is_of_another)
        except InputError:
            self.release_claim(chunk)
            raise

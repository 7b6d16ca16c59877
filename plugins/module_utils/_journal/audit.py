# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit of a run: how each of its interactions ended, for the history of the journal."""

from __future__ import annotations

import itertools
import typing as t
import uuid

from .claim_ids import runs_of
from .rules import Interaction
from .store import Attempt, Ended, Run, Store


def new_run(started: float, reason: str | None, job_id: str | None) -> Run:
    """Return a run with an id of its own.

    :param started: seconds since the epoch.
    """
    run_id = uuid.uuid4().hex
    return Run(int(run_id[:16], 16) >> 1, run_id, started, reason, job_id)


class Audit:
    """The outcomes of a run that its store does not have yet.

    The exchange that marks claims as accepted also writes their outcomes to the history; all other outcomes are written separately.

    :param run: None for a run that leaves no history.
    :ivar has_begun: whether the run has claimed interactions. Before that, those that are not sent leave no history.
    """

    def __init__(self, store: Store, run: Run | None, action: str) -> None:
        self.has_begun = False
        self._store = store
        self._run = run if store.location else None
        self._action = action
        self._count = 0
        self._attempts: dict[int, Attempt] = {}  # by the place of an interaction

    def ended(
        self, interactions: t.Iterable[Interaction], state: str, at: float, call: int | None, message: str
    ) -> None:
        """Remember how interactions ended, until the store has it."""
        if not self._run:
            return
        places = [each.seq for each in interactions if each.claim or self.has_begun]
        if places:
            self._count += 1
            attempt = Attempt(self._run, self._count, self._action, state, at, call, message)
            self._attempts.update(dict.fromkeys(places, attempt))

    def marks(self, claimed: t.Iterable[Interaction]) -> tuple[list[tuple[int, int]], list[Attempt | None]]:
        """Return the runs of ids of claims to mark as accepted, in the order in which a store locks them, and the attempt of each."""
        if not self._attempts:
            return runs_of(each.claim for each in claimed), []
        found: list[tuple[tuple[int, int], Attempt | None]] = []
        for attempt, group in itertools.groupby(claimed, key=lambda each: self._attempts.get(each.seq)):
            found += [(run, attempt) for run in runs_of(each.claim for each in group)]
        found.sort(key=lambda item: item[0])
        return [run for run, dummy in found], [attempt for dummy, attempt in found]

    def forget(self, interactions: t.Iterable[Interaction]) -> None:
        """Forget how interactions ended, because the store has it."""
        if self._attempts:
            for each in interactions:
                self._attempts.pop(each.seq, None)

    def record(self, interactions: t.Collection[Interaction]) -> None:
        """Write to the history how interactions ended, unless it has that already."""
        if not self._attempts:
            return
        ended: dict[Attempt, list[Ended]] = {}
        for each in interactions:
            attempt = self._attempts.get(each.seq)
            if attempt:
                # The ids of claims are large numbers, and places are small ones.
                ended.setdefault(attempt, []).append((each.claim or each.seq, each.external_id, each.request_id))
        if ended:
            self._store.record_attempts(list(ended.items()))
        self.forget(interactions)

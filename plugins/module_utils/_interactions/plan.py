# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a task: the interactions that the journal confirms, and those that are left to send."""

from __future__ import annotations

import typing as t

from .._journal.journal import Journal
from .._journal.rules import Interaction
from .outcome import Evidence, Outcome, State
from .plan_digest import PlanDigest


def plan(next_chunk: t.Callable[[int], list[Interaction]], state: State) -> t.Iterator[Outcome | list[Interaction]]:
    """Yield, for each chunk of the worklist, the outcome of confirmed interactions and then the list of those left to send.

    :param next_chunk: returns the chunk after a place, as ``Journal.plan`` and ``Journal.claim`` do.
    :param state: the state that the task asks for.
    """
    after = 0
    while chunk := next_chunk(after):
        yield Outcome([each for each in chunk if each.confirmed], state, False, Evidence.JOURNAL)
        yield [each for each in chunk if not each.confirmed]
        after = chunk[-1].seq


def preview(journal: Journal, state: State, digest: PlanDigest | None = None) -> t.Iterator[Outcome]:
    """Yield the outcomes that the plan predicts: those of check mode, which sends nothing. Raises JournalError.

    :param digest: the digest to which to add the interactions that are left to send.
    """
    for step in plan(journal.plan, state):
        if isinstance(step, Outcome):
            yield step
            continue
        if digest:
            digest.add(step, journal.worklist.custom_ids(step))
        yield Outcome(step, state, True, Evidence.PREDICTED)

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison of the plan of a task with an approved plan, and the changes since the approval."""

from __future__ import annotations

import itertools
import typing as t

from .._errors import InputError
from .._journal.journal import Journal
from .._journal.rules import Interaction
from .._text import counted
from .outcome import ACTIONS, Evidence, Outcome, State
from .plan import plan
from .plan_digest import PlanDigest

# ``_change`` combines up to this number of the interactions done last with up to this number from the end of the list.
MAX_COMBINED = 200

NOT_SENT = (
    "not sent, because the plan differs from plan_digest: run check mode again, and get its plan_digest approved."
)


class Change(t.NamedTuple):
    """The changes since the approval.

    :param done: how many of the approved interactions are done.
    :param new: how many interactions were not approved.
    """

    done: int
    new: int


def compare(journal: Journal, state: State, digest: PlanDigest, approved: str) -> None:
    """Compare the plan of a task with an approved plan, and add it to the digest. Claim nothing.

    Interactions that the journal confirms are settled: ``journal.worklist`` leaves them out from now on, so that the task sends only what it has compared.

    :param digest: a digest without items.
    :param approved: the digest of the approved plan.
    Raises InputError if the plan differs, unless nothing is left of it. Raises JournalError.
    """
    for step in plan(journal.plan, state):
        if isinstance(step, Outcome):
            journal.worklist.settle(step.interactions)
        else:
            digest.add(step, journal.worklist.custom_ids(step))
    if digest.hexdigest() == approved:
        return
    change = _change(journal, digest, approved)
    # A second run of an approved task finds all interactions done, which is not a failure.
    if not digest.count and change:
        return
    raise InputError(_message(state, digest.count, journal.worklist.count(), change))


def settled_outcomes(journal: Journal, state: State) -> t.Iterator[Outcome]:
    """Yield the outcomes of the interactions that the journal confirmed during ``compare``."""
    for chunk in journal.worklist.settled():
        found = [Interaction(seq, name, request_id, True, False, data) for seq, name, request_id, data in chunk]
        yield Outcome(found, state, False, Evidence.JOURNAL)


def refused_outcomes(journal: Journal, state: State) -> t.Iterator[Outcome]:
    """Yield the outcomes of the interactions that are left and not sent, because the plan differs. Raises JournalError."""
    for step in plan(journal.plan, state):
        yield step if isinstance(step, Outcome) else Outcome(step, State.FAILED, False, Evidence.NONE, NOT_SENT)


def _change(journal: Journal, digest: PlanDigest, approved: str) -> Change | None:
    """Return the changes, or None if they cannot be determined.

    A digest can only confirm a guess. Interactions that the journal confirmed last are probably done since the approval, and those at the end of the list
    are probably new. So this tries each number of both, and each single interaction as a new one. Removed interactions cannot be guessed.
    """
    for number, more in enumerate(_sums(digest, journal.worklist.latest()), 1):
        if digest.hexdigest(more, number) == approved:
            return Change(number, 0)
    before = 0
    for number, more in enumerate(_sums(digest, journal.worklist.last()), 1):
        if approved in (digest.hexdigest(-more, -number), digest.hexdigest(before - more, -1)):
            return Change(0, number if digest.hexdigest(-more, -number) == approved else 1)
        before = more
    done = list(itertools.islice(_sums(digest, journal.worklist.latest()), MAX_COMBINED))
    new = list(itertools.islice(_sums(digest, journal.worklist.last()), MAX_COMBINED))
    for (done_count, done_sum), (new_count, new_sum) in itertools.product(enumerate(done, 1), enumerate(new, 1)):
        if digest.hexdigest(done_sum - new_sum, done_count - new_count) == approved:
            return Change(done_count, new_count)
    return None


def _sums(digest: PlanDigest, wanted: t.Iterable[t.Any]) -> t.Iterator[int]:
    """Yield the sum of the hashes of the first interaction, of the first two, and so on."""
    return itertools.accumulate(digest.item(name, request_id, data) for dummy, name, request_id, data in wanted)


def _message(state: State, left: int, requested: int, change: Change | None) -> str:
    """Return the message of a task whose plan differs.

    :param left: how many interactions are left to do.
    """
    if change is None:
        return (
            f"The plan differs from plan_digest: {left} of {counted(requested)} {_is_or_are(left)} left to {ACTIONS[state]}."
            " The digest does not show how many are new, removed or done since the approval:"
            " check the list and the options, run check mode again, and get its plan_digest approved."
        )
    done, new = change
    parts = []
    if done:
        was = "was" if done == 1 else "were"
        parts.append(f"{done} of the {left + done - new} approved interactions {was} done after the approval")
    if new:
        parts.append(f"{new if done else counted(new)} {_is_or_are(new)} new")
    parts.append(f"none is {' or '.join([*([] if done else ['done']), *([] if new else ['new']), 'removed'])}")
    return (
        f"The plan differs from plan_digest: {', '.join(parts[:-1])}, and {parts[-1]}."
        f" Run check mode again, and get its plan_digest approved: it covers the {counted(left)} that {_is_or_are(left)} left."
    )


def _is_or_are(number: int) -> str:
    return "is" if number == 1 else "are"

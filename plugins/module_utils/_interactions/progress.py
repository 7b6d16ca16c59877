# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress of a task: when to show it, and its wording."""

from __future__ import annotations

import time
import typing as t

from .outcome import State

# Seconds before the first line. A task that ends before shows none.
FIRST_LINE = 10.0

# The maximum number of seconds between two lines.
LONGEST_PAUSE = 60.0


def pauses() -> t.Iterator[float]:
    """Yield the seconds before each line. The elapsed time doubles from line to line, until a line comes every ``LONGEST_PAUSE`` seconds."""
    elapsed = 0.0
    while True:
        pause = min(max(elapsed, FIRST_LINE), LONGEST_PAUSE)
        yield pause
        elapsed += pause


class Work(t.NamedTuple):
    """The work of a task, and the sources of its numbers.

    :param state: the state that the task asks for.
    :param counts: the numbers of the summary, which change while the task works.
    :param calls: returns the number of calls so far.
    :param waiting: returns why calls wait now; empty if they do not.
    :param advice: returns advice on running the task again after an interruption.
    :param dry_run: whether the task only predicts.
    """

    state: State
    counts: t.Mapping[str, int]
    calls: t.Callable[[], int]
    waiting: t.Callable[[], str]
    advice: t.Callable[[], str]
    requests_per_minute: int | None
    dry_run: bool


class Progress:
    """The progress of a task. Only the thread of the task writes it. Any thread may read it, because reading changes nothing and takes no lock.

    :param clock: returns a time in seconds that never goes back.
    """

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._work: Work | None = None
        self._began_at = 0.0

    def begin(self, work: Work) -> None:
        """Begin, once the work is known."""
        self._began_at = self._clock()
        self._work = work

    def line(self) -> str:
        """Return a line that says how far the task is."""
        work = self._work
        if not work:
            return "no call yet, because the task still reads its interactions and the journal"
        seen, left = _seen(work), _left(work)
        if work.dry_run:
            return f"{seen:,} of {work.counts['requested']:,} checked"
        parts = [_counts(work)]
        rate = self._rate(work)
        if rate:
            parts.append(f"{rate:,.0f} a minute" if rate >= 10 else f"{rate:.1f} a minute")
            if left:
                parts.append(f"about {duration(self._time_left(work, rate))} left")
        waiting = work.waiting()
        return ", ".join(parts) + (f"; {waiting}" if waiting else "")

    def last_line(self) -> str:
        """Return the last line of an interrupted task: how far it is, and advice on running it again."""
        work = self._work
        if not work:
            return "interrupted before its first call: it has sent nothing"
        if work.dry_run:
            return "interrupted: check mode has changed nothing"
        return f"interrupted: {_counts(work)}; {work.advice()}"

    def _rate(self, work: Work) -> float:
        """Return the number of interactions that end in a minute. Those that the journal confirms count only if there are no others."""
        seconds = self._clock() - self._began_at
        sent = _seen(work) - work.counts["unchanged"]
        return (sent or _seen(work)) * 60 / seconds if seconds > 0 else 0.0

    def _time_left(self, work: Work, rate: float) -> float:
        """Return the seconds that the rest takes at a rate, but at least the seconds that ``requests_per_minute`` requires."""
        left, calls = _left(work), work.calls()
        seconds = left * 60 / rate
        sent = _seen(work) - work.counts["unchanged"]
        if work.requests_per_minute and calls and sent:
            seconds = max(seconds, left * calls / sent * 60 / work.requests_per_minute)
        return seconds


def rerun_advice(
    journal: str, journal_ttl: int, force: bool, has_key: bool, nameless: int, requested: int, approved: bool = False
) -> str:
    """Return advice on running a task again that was interrupted or has failed.

    :param journal: the location of the journal; empty for no journal.
    :param journal_ttl: seconds; 0 for no limit.
    :param has_key: whether the task has an idempotency_key.
    :param nameless: the number of interactions without an external id.
    :param requested: the number of all interactions.
    :param approved: whether the task has a plan_digest.
    """
    again = "run the task again"
    if has_key and not journal:
        return f"{again} with the same idempotency_key: VCC processes each interaction once"
    if force:
        need = " needs another idempotency_key, and" if has_key else ""
        return f"the task has force, so running it again{need} sends all interactions again"
    if approved:
        again = "run check mode again for a new plan_digest, and then the task"
    if has_key:
        return f"{again} with the same idempotency_key: it sends only the interactions that are left"
    if not journal:
        return "the task has no journal, so running it again sends all interactions again"
    if nameless and nameless == requested:
        return "the interactions have no external id, so running the task again may dispatch them a second time"
    within = f" within {duration(journal_ttl)}" if journal_ttl else ""
    doubt = f", but may dispatch the {nameless:,} without an external id a second time" if nameless else ""
    return f"{again} with the journal {journal}{within}: it sends only the interactions that are left{doubt}"


def duration(seconds: float) -> str:
    """Return a time in the largest unit of which it has at least two: "90 s", "90 min", "24 h" or "3 days"."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:,.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"


def _seen(work: Work) -> int:
    """Return how many interactions have an outcome."""
    return sum(work.counts[name] for name in (work.state.value, "unchanged", "failed", "unknown"))


def _left(work: Work) -> int:
    return max(work.counts["requested"] - _seen(work), 0)


def _counts(work: Work) -> str:
    counts, calls = work.counts, work.calls()
    done = counts[work.state.value] + counts["unchanged"]
    return (
        f"{done:,} of {counts['requested']:,} done, {counts['failed']:,} failed, {counts['unknown']:,} unknown,"
        f" {calls:,} {'call' if calls == 1 else 'calls'}"
    )

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a task: counts, outcomes, the diff, and the message of a failed task."""

from __future__ import annotations

import heapq
import time
import typing as t

from .._errors import VccError
from .._text import clean, counted, shown
from .outcome import Outcome, State
from .report import Report

# A result lists every outcome up to this number of requested interactions.
LISTED = 1000

# A result of more interactions lists at most this number of failed and unknown ones. The report has all.
LISTED_AT_MOST = 100


class Result:
    """The result of a task, collected from the outcomes of its interactions.

    ``counts`` has the numbers of the summary. Another thread may read them while the task adds outcomes.

    :param requested: the number of distinct interactions that the task asked for.
    :param state: the state that the task asks for.
    :param approved: whether the task has a plan_digest, so that running it again needs a new one.
    :param clock: returns seconds since the epoch.
    :param repetition_warning: a sentence on running the task again if that may repeat interactions that VCC has accepted; empty if it cannot.
    """

    def __init__(
        self,
        requested: int,
        state: State,
        provider: str | None,
        report: Report,
        approved: bool = False,
        clock: t.Callable[[], float] = time.time,
        repetition_warning: str = "",
    ) -> None:
        self._state = state
        self._provider = provider
        self._report = report
        self._approved = approved
        self._clock = clock
        self._repetition_warning = repetition_warning
        self.counts = dict.fromkeys(("requested", state.value, "unchanged", "failed", "unknown", "api_calls"), 0)
        self.counts["requested"] = requested
        self._listed: list[tuple[int, dict[str, t.Any]]] = []
        self._more = 0

    def add(self, outcome: Outcome) -> None:
        """Count an outcome, list its interactions if there is room, and write them to the report."""
        is_done = outcome.state is self._state
        self.counts["unchanged" if is_done and not outcome.changed else outcome.state.value] += len(
            outcome.interactions
        )
        room = LISTED if self.counts["requested"] <= LISTED else 0 if is_done else LISTED_AT_MOST
        if not (room or self._report.path):
            return
        ending = self._report.ending(self._clock() if outcome.at is None else outcome.at)
        for interaction in outcome.interactions:
            entry = {
                "external_id": interaction.external_id,
                "provider": self._provider,
                "request_id": interaction.request_id and clean(interaction.request_id),
                "state": outcome.state.value,
                "changed": outcome.changed,
                "evidence": outcome.evidence.value,
                "message": outcome.message,
                "call": outcome.call,
            }
            if len(self._listed) < room:
                heapq.heappush(self._listed, (-interaction.seq, entry))
            elif room:
                # The result lists those that were asked for first.
                heapq.heappushpop(self._listed, (-interaction.seq, entry))
                self._more += 1
            self._report.write(entry, ending)

    def finish(
        self, api_calls: int, diff_mode: bool, error: VccError | None = None, unrecorded: int = 0
    ) -> dict[str, t.Any]:
        """Return the task's result.

        :param error: the error that kept the task or its outcomes from being complete.
        :param unrecorded: the number of interactions that VCC has accepted, but that the journal may not have as accepted.
        """
        counts = self.counts
        seen = counts[self._state] + counts["unchanged"] + counts["failed"] + counts["unknown"]
        counts["failed"] += counts["requested"] - seen
        counts["api_calls"] = api_calls
        interactions = [entry for dummy, entry in sorted(self._listed, key=lambda item: -item[0])]
        result: dict[str, t.Any] = {"changed": counts[self._state] > 0, "summary": counts, "interactions": interactions}
        if diff_mode:
            result["diff"] = self._diff(interactions)
        problems = [self._failure_message(interactions), str(error or ""), self._report.problem]
        if str(error) in problems[0]:
            problems[1] = ""
        if unrecorded:
            problems.append(
                f"The journal may not know that VCC has accepted {counted(unrecorded)}: if you run the task again, it repeats"
                f" {'the request id' if unrecorded == 1 else 'the request ids'}, and VCC ignores the repeated {'request' if unrecorded == 1 else 'requests'}."
            )
        if any(problems):
            result.update(failed=True, msg=" ".join(filter(None, problems)))
        return result

    def _failure_message(self, interactions: list[dict[str, t.Any]]) -> str:
        """Return a sentence on the interactions that are not in the requested state; empty if all are."""
        requested, failed, unknown = (self.counts[name] for name in ("requested", "failed", "unknown"))
        first = next((entry for entry in interactions if entry["state"] != self._state), None)
        if not first:
            return ""
        name, message = _name(first), first["message"]
        if requested == 1:
            return f"Interaction {name} {'is not' if failed else 'may or may not be'} {self._state}: {message}"
        parts = [f"{failed} failed"] if failed else []
        parts += [f"{unknown} may or may not be {self._state}"] if unknown else []
        again = self._repetition_warning or (
            "Run check mode again for a plan_digest of the interactions that are left."
            if self._approved and self.counts[self._state]
            else "If you run the task again, it sends only the interactions that are left."
        )
        return (
            f"Of {requested} interactions {' and '.join(parts)}; the first is {name}: {message}"
            f" {again}{self._unlisted()}"
        )

    def _unlisted(self) -> str:
        """Return a blank and a sentence on the interactions that the result has no room for; empty if it has all."""
        if not self._more:
            return ""
        where = (
            f"report {shown(self._report.path)} has all of them"
            if self._report.path and not self._report.problem
            else "set report to get a file with all of them"
        )
        return f" The first {len(self._listed)} are in the result, and {self._more} more are not: {where}."

    def _diff(self, interactions: list[dict[str, t.Any]]) -> dict[str, str]:
        counts = self.counts
        if counts["requested"] <= LISTED:
            before = [(_name(each, ""), each["state"] == self._state and not each["changed"]) for each in interactions]
            after = [(_name(each, ""), each["state"] == self._state) for each in interactions]
        else:
            done, left = counts["unchanged"], counts["failed"] + counts["unknown"]
            before = [(counted(done), True), (counted(counts[self._state] + left), False)]
            after = [(counted(done + counts[self._state]), True), (counted(left), False)]
        return {
            "before_header": "VCC interactions",
            "after_header": "VCC interactions",
            "before": self._diff_lines(before),
            "after": self._diff_lines(after),
        }

    def _diff_lines(self, states: list[tuple[str, bool]]) -> str:
        return "".join(f"{name}: {'' if known else 'not known to be '}{self._state}\n" for name, known in states)


def _name(entry: dict[str, t.Any], quote: str = "'") -> str:
    external_id = entry["external_id"]
    return "without an external id" if external_id is None else f"{quote}{shown(external_id)}{quote}"

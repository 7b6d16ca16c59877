# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guarantees of the history: the outcomes of a run are those that its task has reported, each once, and in the right call."""

from __future__ import annotations

import collections

from ansible_collections.vonage.vcc.tests.simulator.faults import INVOKE

STATES = {"release": "released", "dispatch": "dispatched"}


def find_false_outcomes(history, effects):
    """
    Yield the errors in the history of a journal.

    :param history: its outcomes, as dictionaries
    :param effects: the places of the claims that VCC has processed
    """
    ended = collections.Counter((outcome["run_id"], outcome["provider"], outcome["external_id"]) for outcome in history)
    for (run_id, *key), count in ended.items():
        if run_id is None:
            yield f"the history has an outcome of {tuple(key)} without a run"
        if count > 1:
            yield f"the history has {count} outcomes of {tuple(key)} in the run {run_id}"
    for outcome in history:
        claim = (outcome["action"], outcome["provider"], outcome["external_id"], outcome["request_id"])
        if outcome["state"] == "accepted" and claim not in effects:
            yield f"the history says that VCC has accepted {claim}"


def find_differences(process, result, entries, history):
    """
    Yield how the history of a run differs from what its task has reported.

    A task that has lost its journal, or whose disk is full, may lack some outcomes. A task that has made no call may have none.

    :param entries: the interactions in the result and in the report of the task
    """
    run_id = result["run_id"]
    reported = {
        (entry["external_id"], entry["request_id"], entry["state"], entry["call"], entry["message"])
        for entry in entries
        if entry["changed"] or entry["state"] in ("failed", "unknown")
    }
    for entry in entries:
        trace = (entry.get("run_id", run_id), entry.get("reason"), entry.get("job_id"))
        if trace != (run_id, process.task.options.get("reason") if "run_id" in entry else None, None):
            yield f"the report has the trace {trace} in the run {run_id}"
    recorded = {
        (
            outcome["external_id"],
            outcome["request_id"] or None,
            STATES[outcome["action"]] if outcome["state"] == "accepted" else outcome["state"],
            outcome["call"],
            outcome["message"],
        )
        for outcome in history
        if outcome["run_id"] == run_id
    }
    if process.task.own_journal:
        reported = set()
    lost = process.disk_limited or "cannot be used" in result.get("msg", "")
    begun = bool(recorded) or any(call for *_others, call, _message in reported)
    if recorded - reported:
        yield f"the history of the run has {sorted(recorded - reported, key=str)[0]}, which its task has not reported"
    if begun and not lost and reported - recorded:
        yield f"the history of the run lacks {sorted(reported - recorded, key=str)[0]}, which its task has reported"


def find_wrong_calls(round_, processes):
    """Yield the accepted calls whose number of interactions differs from that in the result, if a wave has only one process."""
    if len(processes) != 1 or processes[0].interrupted or processes[0].task.check or round_.proxy:
        return
    made = [call for call in round_.simulator.calls[round_.calls_before :] if call["path"] == INVOKE]
    result = processes[0].result() or {}
    entries = result.get("interactions", [])
    summary = result.get("summary", {})
    if summary.get("api_calls") != len(made) or summary["requested"] != len(entries):
        return
    sizes = [call["interactions"] for call in made]
    in_order = processes[0].task.action == "dispatch" or processes[0].task.options.get("calls_in_flight") == 1
    for number, count in collections.Counter(entry["call"] for entry in entries if entry["changed"]).items():
        # Calls at once may arrive in another order than that of their numbers.
        if number not in range(1, len(sizes) + 1) or count not in (sizes[number - 1 : number] if in_order else sizes):
            yield f"its call {number} has {count} interactions that VCC accepted, and there were {sizes}"

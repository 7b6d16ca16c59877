# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reliability guarantees, as checks after each wave, after each final task, and of a whole round."""

from __future__ import annotations

import bisect
import collections
import json
from urllib.parse import quote

from ansible_collections.vonage.vcc.tests.faults import plan
from ansible_collections.vonage.vcc.tests.faults.allowances import may_be_rejected, may_send_again, tasks_for
from ansible_collections.vonage.vcc.tests.faults.history_checks import (
    find_differences,
    find_false_outcomes,
    find_wrong_calls,
)
from ansible_collections.vonage.vcc.tests.faults.journal_state import UnreadableError
from ansible_collections.vonage.vcc.tests.faults.violations import Violation, collect, forbid, require
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.simulator.faults import INVOKE

DONE = {"release": "released", "dispatch": "dispatched"}
SECRETS = (
    CLIENT_SECRET,
    json.dumps(CLIENT_SECRET)[1:-1],
    "simulated-token-",
    plan.PASSWORD,
    quote(plan.PASSWORD, safe=""),
)


def check_wave(round_):
    """Check the last wave: each process has ended with a true result, and the journal is intact."""
    _wave, processes = round_.waves[-1]
    effects = _by_claim(round_.simulator.effects)
    history = []
    with collect(round_):
        history = _readable(round_.journal_history)
    for process in processes:
        with collect(round_, process):
            _check_end(process)
            result = process.result()
            if process.task.forbidden_file:
                _check_refused(round_, process, result)
            elif result is not None:
                _check_result(round_, process, result)
            lines, whole = process.read_report() if process.task.options.get("report") else ([], True)
            require(whole or process.disk_limited or process.interrupted, "the report ends within a line")
            entries = [*lines, *(result or {}).get("interactions", [])]
            for entry in entries:
                _check_entry(round_, processes, process, entry, effects)
            _record_knowledge(round_, process, result, entries, effects)
            if "run_id" in (result or {}) and not process.interrupted:
                forbid(find_differences(process, result, entries, history))
    with collect(round_):
        forbid(find_false_outcomes(history, effects))
        forbid(find_wrong_calls(round_, processes))
    with collect(round_):
        _check_calls(round_, processes)
        _check_journal(round_, effects)
        killed = any(process.interrupted for _wave, all_processes in round_.waves for process in all_processes)
        leftovers = [path.name for path in round_.folder.glob("*/vcc-journal-*")]
        require(killed or not leftovers, f"check mode has left {leftovers}")


def _record_knowledge(round_, process, result, entries, effects):
    """Record the claims that a process knows VCC to have processed, and the keys of which it may not know."""
    task = process.task
    wave = round_.waves[-1][0]
    number = len(round_.waves) - 1
    failed = process.status != 0 or (result or {}).get("failed")
    disk_limited = process.disk_limited or wave.journal == "small"
    uninformed = process.interrupted or task.own_journal or (disk_limited and failed) or _has_lost_journal(result)
    if uninformed:
        round_.uninformed.update((number, task.action, key) for key in task.keys)
    if not process.interrupted and "summary" not in (result or {}):
        round_.idle.update((task.number, key) for key in task.keys)
    late = any(kind == "late" for kind, _details in wave.faults)
    for entry in entries:
        key = (task.provider, entry["external_id"])
        claim = (task.action, *key, entry["request_id"])
        # Without an answer, the process knows only of effects before its end.
        lost = entry["state"] == "unknown" and (late or effects.get(claim, len(effects)) >= process.effects_after)
        if entry["evidence"] == "journal":
            round_.idle.add((task.number, key))
        elif lost:
            round_.uninformed.add((number, task.action, key))
        elif (entry["evidence"] == "api" or entry["state"] == "unknown") and not uninformed:
            round_.known.add(claim)


def _has_lost_journal(result):
    """Return whether a process has given up a journal in PostgreSQL."""
    return "The journal postgresql:" in (result or {}).get("msg", "")


def check_final_task(round_, preview):
    """Check a final task: only rejected interactions are left, and check mode has confirmed the same interactions."""
    (process,) = round_.waves[-1][1]
    action = process.task.action
    done = DONE[action]
    provider = process.task.provider
    with collect(round_, process):
        result = process.result() or {}
        entries = result.get("interactions", [])
        live = set(round_.simulator.live(provider))
        rows = {external_id: row for (owner, external_id), row in _rows(round_).items() if owner == provider}
        for entry in entries:
            external_id = entry["external_id"]
            missing = action == "release" and external_id not in live
            if entry["state"] != done:
                rejected = external_id in round_.plan.poisoned or (missing and round_.simulator.unknown_id == 400)
                require(rejected, f"a final task leaves {external_id!r} {entry['state']}: {entry['message']}")
            elif entry["evidence"] == "status":
                require(missing, f"{external_id!r} is reported released after a 404, and is live")
            else:
                row = rows.get(external_id, {})
                known = (row.get("action"), row.get("request_id"), bool(row.get("accepted")))
                require(known == (action, entry["request_id"], True), f"the journal has {known} of {external_id!r}")
        undone = any(entry["state"] != done for entry in entries)
        require(bool(result.get("failed")) == undone, f"failed is {result.get('failed')}: {result.get('msg')}")
        if preview is not None:
            require(
                _confirmed(preview) == _confirmed(result),
                f"check mode found {len(_confirmed(preview))} confirmed, the run after it {len(_confirmed(result))}",
            )


def _confirmed(result):
    entries = result.get("interactions", [])
    return sorted(entry["external_id"] for entry in entries if entry["evidence"] == "journal")


def check_round(round_):
    """Check a round: there is no effect that no task requested, and no second effect."""
    effects = round_.simulator.effects
    claims = collections.Counter(_claim(effect) for effect in effects)
    with collect(round_):
        for claim, count in claims.items():
            require(count == 1, f"{count} effects of {claim}")
        for ignored in round_.simulator.ignored:
            require(_claim(ignored) in claims, f"VCC has ignored {_claim(ignored)} for the request id of another")
    found = collections.defaultdict(lambda: collections.defaultdict(list))  # key -> wave -> (action, request id)
    begin = 0
    for number, end in enumerate(round_.effect_counts):
        for action, provider, external_id, request_id in map(_claim, effects[begin:end]):
            found[provider, external_id][number].append((action, request_id))
        begin = end
    phases = plan.phases([wave for wave, _processes in round_.waves])
    for key, waves in found.items():
        _check_keys(round_, key, waves)
        with collect(round_):
            requested = {number for _action, numbers in phases.get(key, ()) for number in numbers}
            unrequested = sorted(waves.keys() - requested)
            require(not unrequested, f"effects of {key} in waves {unrequested}, where no task requested it")
        keyed = set()  # the actions that tasks with a key requested in earlier phases
        for phase, numbers in phases.get(key, ()):
            # An idle task requests nothing, and does not end a confirmation.
            tasks = [
                (number, task)
                for number, task in tasks_for(round_, key, numbers)
                if (task.number, key) not in round_.idle
            ]
            for action in DONE:
                caused = [effect for number in numbers for effect in waves.get(number, ()) if effect[0] == action]
                own = [(number, task) for number, task in tasks if task.action == action]
                allowed = bool(own) + sum(may_send_again(round_, key, number, task) for number, task in own)
                # VCC may ignore a request id that an earlier phase had too, so it confirms no state for other tasks.
                allowed += action in keyed
                if phase == "both":
                    # Each task of the other action can end a confirmation twice: with its claim, and with its answer.
                    # The campaign cannot see when that was in relation to the claims of this action.
                    allowed += 2 * (len(tasks) - len(own))
                allowed = min(len(own), allowed)
                with collect(round_):
                    require(
                        len(caused) <= allowed,
                        f"{len(caused)} effects of {action} {key} in waves {numbers}, at most {allowed} allowed: {caused}",
                    )
            keyed.update(task.action for _number, task in tasks if task.idempotency_key)


def _check_keys(round_, key, waves):
    """Check that effects have the request ids that idempotency keys derive, as long as all tasks for the same action of a key have one."""
    for action in DONE:
        for number in sorted(waves):
            tasks = [task for _number, task in tasks_for(round_, key, range(number + 1)) if task.action == action]
            derived = {task.derived_request_id(key[1]) for task in tasks}
            other = [effect for effect in waves[number] if effect[0] == action and effect[1] not in derived]
            with collect(round_):
                require(None in derived or not other, f"effects of {key} have request ids that no key derives: {other}")


# Processes


def _check_end(process):
    engine = process.task.runner in plan.ENGINE_RUNNERS
    printed = process.output.decode("utf-8", "replace") + process.errors
    require(not any(secret in printed for secret in SECRETS), "a secret is in its output")
    require("most recent call first" not in process.errors, f"it hung at {process.errors[-2000:]}")
    if process.interrupted:
        return
    require(process.result() is not None, f"no result, status {process.status}: {printed[-2000:]}")
    if engine:
        require((process.status, process.errors) == (0, ""), f"status {process.status}: {process.errors[-2000:]}")
    else:
        require("Traceback" not in printed, printed[-2000:])


def _check_refused(round_, process, result):
    """Check that a task has refused its forbidden file, and has left it as it was."""
    message = (result or {}).get("msg", "")
    named = any(words in message for words in ("is the same file as", "cannot be used", "cannot be written"))
    require(named and "summary" not in result, f"it did not refuse that its {process.task.forbidden_file}: {message}")
    require(round_.jobs.is_unchanged(process.task), f"it has changed a file: its {process.task.forbidden_file}")


def _check_result(round_, process, result):
    task = process.task
    message = result.get("msg", "")
    if task.runner in plan.ENGINE_RUNNERS:
        messages = [message, *(entry["message"] for entry in result.get("interactions", ()))]
        require("".join(messages).isprintable(), f"a message has control characters: {messages}")
    if task.misleading_file:
        require("summary" not in result, f"it has read ids from a file that is {task.misleading_file}: {result}")
        require(message.startswith("src ") or "cannot be used" in message, f"it has done nothing: {message}")
        return
    if round_.database and _has_lost_journal(result):
        _check_lost_journal(round_, result)
    if "summary" not in result:
        # ansible-playbook reports a failure by its exit status.
        failed = result.get("failed") or process.status != 0
        require(failed and message, f"a result without a reason: {result}")
        rejected = "so VCC would ignore the request" in message
        require(rejected or "cannot be used" in message, f"it has done nothing: {message}")
        require(not rejected or may_be_rejected(round_, task), f"it may not use a valid request id: {message}")
        return
    counts = dict(result["summary"])
    requested = counts.pop("requested")
    counts.pop("api_calls")
    require(requested == len(task.ids), f"{requested} requested, not {len(task.ids)}")
    require(sum(counts.values()) == requested, f"the counts do not add up to {requested}: {counts}")
    listed = [entry["external_id"] for entry in result["interactions"]]
    require(len(set(listed)) == len(listed) and set(listed) <= set(task.ids), "it lists other ids, or an id twice")
    complete = len(listed) == requested
    require(complete or "cannot be used" in message, f"it lists {len(listed)} of {requested}")
    changed = any(entry["changed"] for entry in result["interactions"])
    require(result["changed"] == changed, f"changed is {result['changed']}")


def _check_lost_journal(round_, result):
    """Check that a process gives up a journal in PostgreSQL only with a reason: at its start, or after RETRY_SECONDS."""
    wave = round_.waves[-1][0]
    disturbed = wave.is_database_disturbed or round_.plan.database["isolation"] != "read committed"
    # A connection that goes silent in the middle of a transaction may leave locks for longer than RETRY_SECONDS.
    silent = any(kind == "silence" for _seconds, kind, _details in wave.database_events)
    possible = silent or (disturbed and "RETRY_SECONDS" in round_.plan.limits)
    if "summary" not in result:
        possible = possible or wave.journal != "usable" or wave.may_fail_to_connect
    require(possible, f"it has given up the journal: {result['msg']}")


def _check_calls(round_, processes):
    """Check that the results count every call."""
    if not any(process.interrupted for process in processes):
        made = sum(call["path"] == INVOKE for call in round_.simulator.calls[round_.calls_before :])
        results = [process.result() or {} for process in processes]
        counted = sum(result.get("summary", {}).get("api_calls", 0) for result in results)
        require(made <= counted, f"{made} calls, of which the results count {counted}")


def _check_entry(round_, processes, process, entry, effects):
    """Check the state of an interaction in a result or a report."""
    task = process.task
    key = (task.provider, entry["external_id"])
    require((entry["provider"], entry["external_id"]) in task.keys, f"it reports {entry['external_id']!r}")
    processed = effects.get((task.action, *key, entry["request_id"]))
    if processed is not None and processed >= process.effects_after:
        processed = None  # an effect after the end of the process
    if entry["state"] == DONE[task.action]:
        if entry["evidence"] == "status":
            possible = task.action == "release" and round_.simulator.unknown_id == 404
            require(possible, f"{key} is reported released after a 404 that VCC does not give")
        elif not (task.check and entry["evidence"] == "predicted"):
            require(
                processed is not None,
                f"{key} is reported {entry['state']} ({entry['evidence']}), and VCC has not processed it",
            )
            before = round_.effect_counts[-2] if len(round_.effect_counts) > 1 else 0
            require(
                processed is None
                or processed >= before
                or entry["request_id"] == task.derived_request_id(key[1])  # an operation stays done
                or not _find_reversal(round_, task.action, key, effects, before),
                f"{key} is reported {entry['state']} ({entry['evidence']}), which VCC has reversed since",
            )
    elif (
        entry["state"] == "failed"
        and processed is not None
        and entry["external_id"] not in task.request_ids
        and not (task.own_journal and task.idempotency_key)
    ):
        alone = not any(key in other.task.keys for other in processes if other is not process)
        require(not alone, f"{key} is reported failed, and VCC has processed it: {entry['message']}")


# The journal


def _rows(round_):
    """Return the rows of the journal by key."""
    return _readable(round_.journal_rows)


def _readable(read):
    """Return what is read of the journal."""
    try:
        return read()
    except UnreadableError as exc:
        raise Violation(exc) from exc


def _check_journal(round_, effects):
    for key, row in _rows(round_).items():
        if row["accepted"] is not None:
            claim = (row["action"], *key, row["request_id"])
            require(
                claim in effects, f"the journal says that VCC has processed {row['action']} {key} {row['request_id']}"
            )
            reversal = _find_reversal(round_, row["action"], key, effects, len(effects))
            require(
                not reversal,
                f"the journal says that VCC has processed {row['action']} {key} last, and that was {reversal}",
            )


def _find_reversal(round_, action, key, effects, before):
    """
    Return the last claim of a key that VCC processed before an effect, if it has the other action and a process can know it.

    A process may die during a call, fail to record it, or give up before its effect. VCC may process this call after that
    of another process with the other action, and no process knows the order. The checks accept this only if such a process
    and one with the other action were in the same wave.
    """
    claims = [claim for claim, place in effects.items() if claim[1:3] == key and place < before]
    last = max(claims, key=effects.get, default=None)
    if last is None or last[0] == action:
        return None
    number = bisect.bisect_right(round_.effect_counts, effects[last])
    actions = {task.action for _number, task in tasks_for(round_, key, [number])}
    if last in round_.known or len(actions) == 1 or (number, last[0], key) not in round_.uninformed:
        return last
    round_.unresolved.add(last)
    return None


# Helpers


def _claim(effect):
    return effect["action"], effect["provider"], effect["external_id"], effect["request_id"]


def _by_claim(effects):
    """Return the place of each claim among the effects."""
    return {_claim(effect): place for place, effect in enumerate(effects)}

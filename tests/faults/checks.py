# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to hold after each wave of processes, after the clean runs at the end, and of a round as a whole."""

from __future__ import annotations

import bisect
import collections
import contextlib
import json
import shutil
import sqlite3
import tempfile
from pathlib import Path

from ansible_collections.vonage.vcc.tests.faults import plan
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.simulator.faults import INVOKE

DONE = {"release": "released", "dispatch": "dispatched"}
SECRETS = (CLIENT_SECRET, json.dumps(CLIENT_SECRET)[1:-1], "simulated-token-")

# Seconds that a round may take, by which an entry of the journal may have aged.
ROUND = 600


def after_wave(table):
    """The last wave: every process ended as it should, and said nothing that is not so; the journal is whole."""
    _wave, processes = table.waves[-1]
    effects = _by_claim(table.sim.effects)
    for process in processes:
        with _about(table, process):
            _check_end(process)
            result = process.result()
            if process.task.misplaced:
                _check_refused(table, process, result)
            elif result is not None:
                _check_result(table, process, result)
            lines, whole = process.reported() if process.task.options.get("report") else ([], True)
            _check(whole or process.limited or process.interrupted, "the report ends within a line")
            entries = [*lines, *(result or {}).get("interactions", [])]
            for entry in entries:
                _check_claim(table, processes, process, entry, effects)
            _learn(table, process, result, entries, effects)
    with _about(table):
        _check_calls(table, processes)
        _check_journal(table, effects)
        killed = any(process.interrupted for _wave, others in table.waves for process in others)
        left = [one.name for one in (table.folder / "used").glob("vcc-journal-*")]
        _check(killed or not left, f"check mode has left {left}")


def _learn(table, process, result, entries, effects):
    """Keep which claims a process knows VCC to have, or may have, and could write that down; and which it could not."""
    task = process.task
    wave = table.waves[-1][0]
    number = len(table.waves) - 1
    failed = process.status != 0 or (result or {}).get("failed")
    limited = process.limited or wave.journal == "small"
    mute = process.interrupted or task.own_journal or (limited and failed)
    if mute:
        table.mute.update((number, task.action, key) for key in task.keys)
    if not process.interrupted and "summary" not in (result or {}):
        table.idle.update((task.number, key) for key in task.keys)
    late = any(kind == "late" for kind, _details in wave.faults)
    for entry in entries:
        key = (task.provider, entry["external_id"])
        claim = (task.action, *key, entry["request_id"])
        # Without an answer, it knows of what came before its end.
        lost = entry["state"] == "unknown" and (late or effects.get(claim, len(effects)) >= process.effects_after)
        if entry["evidence"] == "journal":
            table.idle.add((task.number, key))
        elif lost:
            table.mute.add((number, task.action, key))
        elif (entry["evidence"] == "api" or entry["state"] == "unknown") and not mute:
            table.noted.add(claim)


def after_last(table, forecast):
    """The last process, a clean run: all is done but what VCC refuses, and as check mode has said."""
    (process,) = table.waves[-1][1]
    action = process.task.action
    done = DONE[action]
    provider = process.task.provider
    with _about(table, process):
        result = process.result() or {}
        entries = result.get("interactions", [])
        live = set(table.sim.live(provider))
        rows = {one: row for (owner, one), row in _rows(table).items() if owner == provider}
        for entry in entries:
            one = entry["external_id"]
            missing = action == "release" and one not in live
            if entry["state"] != done:
                refused = one in table.plan.poisoned or (missing and table.sim.unknown_id == 400)
                _check(refused, f"a clean run leaves {one!r} {entry['state']}: {entry['message']}")
            elif entry["evidence"] == "status":
                _check(missing, f"{one!r} is reported released after a 404, and is live")
            else:
                row = rows.get(one, {})
                known = (row.get("action"), row.get("request_id"), bool(row.get("accepted")))
                _check(known == (action, entry["request_id"], True), f"the journal has {known} of {one!r}")
        undone = any(entry["state"] != done for entry in entries)
        _check(bool(result.get("failed")) == undone, f"failed is {result.get('failed')}: {result.get('msg')}")
        if forecast is not None:
            _check(
                _confirmed(forecast) == _confirmed(result),
                f"check mode found {len(_confirmed(forecast))} confirmed, the run behind it {len(_confirmed(result))}",
            )


def _confirmed(result):
    return sorted(one["external_id"] for one in result.get("interactions", []) if one["evidence"] == "journal")


def at_end(table):
    """The round: nothing had an effect that was not asked for, or a second one that nobody asked for."""
    effects = table.sim.effects
    claims = collections.Counter(_claim(effect) for effect in effects)
    with _about(table):
        for claim, count in claims.items():
            _check(count == 1, f"{count} effects of {claim}")
        for ignored in table.sim.ignored:
            _check(_claim(ignored) in claims, f"VCC has ignored {_claim(ignored)} for the request id of another")
    found = collections.defaultdict(lambda: collections.defaultdict(list))  # key -> wave -> (action, request id)
    begin = 0
    for number, end in enumerate(table.marks):
        for action, provider, one, request_id in map(_claim, effects[begin:end]):
            found[provider, one][number].append((action, request_id))
        begin = end
    lives = plan.lives([wave for wave, _processes in table.waves])
    for key, waves in found.items():
        with _about(table):
            asked = {number for _action, numbers in lives.get(key, ()) for number in numbers}
            _check(waves.keys() <= asked, f"effects of {key} in waves {sorted(waves.keys() - asked)} unasked")
        for life, numbers in lives.get(key, ()):
            # Who finds it confirmed, or does nothing, neither asks nor ends what is known.
            tasks = [one for one in _tasks(table, key, numbers) if (one[1].number, key) not in table.idle]
            for action in DONE:
                had = [one for number in numbers for one in waves.get(number, ()) if one[0] == action]
                own = [(number, task) for number, task in tasks if task.action == action]
                allowed = bool(own) + sum(_may_ask_again(table, key, number, task) for number, task in own)
                if life == "both":
                    # Each of the others can end what is known of this one with its claim, and again with its answer.
                    # When that was, relative to the claims of this one, cannot be told from without.
                    allowed += 2 * (len(tasks) - len(own))
                allowed = min(len(own), allowed)
                with _about(table):
                    _check(
                        len(had) <= allowed,
                        f"{len(had)} effects of {action} {key} in waves {numbers}, at most {allowed} asked for: {had}",
                    )


def _tasks(table, key, numbers):
    for number in numbers:
        for task in table.waves[number][0].tasks:
            if not task.check and key in task.keys:
                yield number, task


def _may_ask_again(table, key, number, task):
    """Whether a process may ask with a request id of its own for what another one has asked for already."""
    if task.own_journal:
        return True
    if task.force and key[1] not in task.request_ids:
        return True
    return _may_find_old(table, key, number, task)


def _may_find_old(table, key, number, task):
    """Whether what another process has written may be older than a process goes by."""
    if not task.ttl:
        return False
    others = (other for _number, other in _tasks(table, key, range(number + 1)) if other is not task)
    return any(
        abs(own - others_own) + ROUND >= task.ttl
        for other in others
        for own in task.clocks
        for others_own in other.clocks
    )


# One process


def _check_end(process):
    engine = process.task.door in plan.ENGINES
    printed = process.output.decode("utf-8", "replace") + process.errors
    _check(not any(secret in printed for secret in SECRETS), "a secret is in its output")
    _check("most recent call first" not in process.errors, f"it was at {process.errors[-2000:]}")
    if process.interrupted:
        return
    _check(process.result() is not None, f"no result, status {process.status}: {printed[-2000:]}")
    if engine:
        _check((process.status, process.errors) == (0, ""), f"status {process.status}: {process.errors[-2000:]}")
    else:
        _check("Traceback" not in printed, printed[-2000:])


def _check_refused(table, process, result):
    """One with a file that is not its own has done nothing, and says what is wrong."""
    said = (result or {}).get("msg", "")
    named = any(words in said for words in ("is the same file as", "cannot be used", "cannot be written"))
    _check(named and "summary" not in result, f"it is not refused, though its {process.task.misplaced}: {said}")
    _check(table.unchanged(process.task), f"it has changed a file: its {process.task.misplaced}")


def _check_result(table, process, result):
    task = process.task
    message = result.get("msg", "")
    if task.door in plan.ENGINES:
        said = [message, *(entry["message"] for entry in result.get("interactions", ()))]
        _check("".join(said).isprintable(), f"a terminal may obey what it says: {said}")
    if task.mistaken:
        _check("summary" not in result, f"it has taken a file that is {task.mistaken} for one of ids: {result}")
        _check(message.startswith("src ") or "cannot be used" in message, f"it has done nothing: {message}")
        return
    if "summary" not in result:
        # Ansible says in other words that a task has failed.
        failed = result.get("failed") or process.status != 0
        _check(failed and message, f"a result that says nothing: {result}")
        refused = "and VCC would ignore it" in message
        _check(refused or "cannot be used" in message, f"it has done nothing: {message}")
        _check(not refused or _may_be_refused(table, task), f"it is refused a request id that it may have: {message}")
        return
    counts = dict(result["summary"])
    requested = counts.pop("requested")
    counts.pop("api_calls")
    _check(requested == len(task.ids), f"{requested} requested, not {len(task.ids)}")
    _check(sum(counts.values()) == requested, f"the counts come to something else than {requested}: {counts}")
    listed = [entry["external_id"] for entry in result["interactions"]]
    _check(len(set(listed)) == len(listed) and set(listed) <= set(task.ids), "it lists others, or one twice")
    complete = len(listed) == requested
    _check(complete or "cannot be used" in message, f"it lists {len(listed)} of {requested}")
    changed = any(entry["changed"] for entry in result["interactions"])
    _check(result["changed"] == changed, f"changed is {result['changed']}")


def _may_be_refused(table, task):
    """Whether a process has a request id that VCC may have had by then, and not as that of the claim which it would repeat."""
    number = len(table.waves) - 1
    return any(
        other.action != task.action or task.force or _may_find_old(table, key, number, task)
        for key in task.keys
        for _number, other in _tasks(table, key, range(number + 1))
        if other is not task and key[1] in task.request_ids.keys() & other.request_ids.keys()
        if task.request_ids[key[1]] == other.request_ids[key[1]]
    )


def _check_calls(table, processes):
    """No process makes a call that its result does not count, and one that is refused what it asks for makes none."""
    if not any(process.interrupted for process in processes):
        made = sum(call["path"] == INVOKE for call in table.sim.calls[table.calls_before :])
        results = [process.result() or {} for process in processes]
        told = sum(result.get("summary", {}).get("api_calls", 0) for result in results)
        _check(made <= told, f"{made} calls, of which the results count {told}")


def _check_claim(table, processes, process, entry, effects):
    """What is said of one interaction, in a result or a report."""
    task = process.task
    key = (task.provider, entry["external_id"])
    _check((entry["provider"], entry["external_id"]) in task.keys, f"it reports {entry['external_id']!r}")
    taken = effects.get((task.action, *key, entry["request_id"]))
    # What comes later is not meant.
    taken = None if taken is not None and taken >= process.effects_after else taken
    if entry["state"] == DONE[task.action]:
        if entry["evidence"] == "status":
            possible = task.action == "release" and table.sim.unknown_id == 404
            _check(possible, f"{key} is reported released after a 404 that VCC does not give")
        elif not (task.check and entry["evidence"] == "predicted"):
            _check(
                taken is not None, f"{key} is reported {entry['state']} ({entry['evidence']}), and VCC has not taken it"
            )
            before = table.marks[-2] if len(table.marks) > 1 else 0
            _check(
                taken is None or taken >= before or not _undone(table, task.action, key, effects, before),
                f"{key} is reported {entry['state']} ({entry['evidence']}), which VCC has undone since",
            )
    elif entry["state"] == "failed" and taken is not None and entry["external_id"] not in task.request_ids:
        alone = not any(key in other.task.keys for other in processes if other is not process)
        _check(not alone, f"{key} is reported failed, and VCC has taken it: {entry['message']}")


# The journal


def _rows(table):
    """What the journal holds, by key; read from a copy, so that the next process finds it as the last one left it."""
    if not table.journal.exists():
        return {}
    with tempfile.TemporaryDirectory(dir=table.folder) as copies:
        for path in (table.journal, Path(f"{table.journal}-wal")):
            if path.exists():
                shutil.copy(path, copies)
        copy = Path(copies) / table.journal.name
        with contextlib.closing(sqlite3.connect(copy)) as db:
            verdict = db.execute("PRAGMA integrity_check").fetchone()[0]
            _check(verdict == "ok", f"the journal is damaged: {verdict}")
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'interaction'").fetchone():
                return {}
            db.row_factory = sqlite3.Row
            rows = db.execute("SELECT * FROM interaction JOIN scope ON scope.id = interaction.scope")
            return {(row["provider"] or None, row["external_id"]): dict(row) for row in rows}


def _check_journal(table, effects):
    try:
        rows = _rows(table)
    except sqlite3.Error as exc:
        raise Violation(f"the journal cannot be read: {exc}") from exc
    for key, row in rows.items():
        if row["accepted"] is not None:
            taken = (row["action"], *key, row["request_id"]) in effects
            _check(taken, f"the journal says that VCC has taken {row['action']} {key} {row['request_id']}")
            undone = _undone(table, row["action"], key, effects, len(effects))
            _check(not undone, f"the journal says that VCC has taken {row['action']} {key} last, and that was {undone}")


def _undone(table, action, key, effects, before):
    """
    The last claim that VCC has taken of a key before some effect, if that asks for the other action and can be known.

    What a process was killed over, or could not write down, or what came after it had given up, can come behind the proof
    of another process that asks for the other action at the same time, and nobody is there to know it. So that is let pass
    where such a process has asked for it in the same wave as others for the other action, and nowhere else.
    """
    claims = [claim for claim, place in effects.items() if claim[1:3] == key and place < before]
    last = max(claims, key=effects.get, default=None)
    if last is None or last[0] == action:
        return None
    number = bisect.bisect_right(table.marks, effects[last])
    at_once = {task.action for _number, task in _tasks(table, key, [number])}
    if last in table.noted or len(at_once) == 1 or (number, last[0], key) not in table.mute:
        return last
    table.open.add(last)
    return None


# Tools


class Violation(Exception):
    """Something that has to hold does not."""


def _check(so, sentence):
    if not so:
        raise Violation(sentence)


@contextlib.contextmanager
def _about(table, process=None):
    try:
        yield
    except Violation as exc:
        who = f"wave {len(table.waves) - 1}: "
        if process is not None:
            who += f"process {process.task.number} ({process.task.door}): "
        table.violate(f"{who}{exc}")


def _claim(effect):
    return effect["action"], effect["provider"], effect["external_id"], effect["request_id"]


def _by_claim(effects):
    """The place of each effect."""
    return {_claim(effect): place for place, effect in enumerate(effects)}

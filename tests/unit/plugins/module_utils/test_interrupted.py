# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task that is killed at the worst moment, and run again."""

from __future__ import annotations

import json
import signal

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils import interactions
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import PATIENCE, journal_rows, python, validated

IDS = [f"case-{number}" for number in range(1, 2501)]  # three calls

TASK = """
import json, sys
from ansible_collections.vonage.vcc.plugins.module_utils import interactions
print(json.dumps(interactions.run(json.loads(sys.argv[1]), False, False, {})))
"""

# The same, but it dies by its own hand once the claim of the first chunk is durable.
DIES_AFTER_CLAIM = (
    """
import os, signal
from ansible_collections.vonage.vcc.plugins.module_utils.journal import Journal
claim = Journal.claim
def claim_and_die(self, after):
    claim(self, after)
    os.kill(os.getpid(), signal.SIGKILL)
Journal.claim = claim_and_die
"""
    + TASK
)


@pytest.fixture
def task(sim, tmp_path):
    """The options of a task that releases IDS, which are in the queue, from a file."""
    sim.dispatch(*IDS)
    source = tmp_path / "ids.txt"
    source.write_text("\n".join(IDS), encoding="utf-8")
    return validated(**sim.options(src=str(source), journal=str(tmp_path / "journal.db"), timeout=PATIENCE))


def run_again(task):
    return interactions.run(task, False, False, {})


def assert_each_released_once(sim):
    assert sim.live() == []
    assert sorted(sim.released) == sorted(IDS)
    assert all(effect["found"] for effect in sim.effects)


@pytest.mark.parametrize("calls_before", [0, 1, 2])
def test_killed_between_a_call_and_its_note(sim, task, calls_before):
    fault = sim.fault("hold", after=calls_before)
    with python(TASK, json.dumps(task)) as process:
        assert fault.entered.wait(PATIENCE)  # VCC has released them, and the task does not know yet
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
    fault.release()
    taken = set(sim.released)
    noted = {name for name, row in journal_rows(task["journal"]).items() if row["accepted"]}
    assert len(taken) > len(noted)
    assert taken > noted

    result = run_again(task)

    assert "failed" not in result
    assert result["summary"]["unchanged"] == len(noted)
    assert result["summary"]["released"] == len(IDS) - len(noted)
    assert_each_released_once(sim)
    assert {one["external_id"] for one in sim.ignored} == taken - noted
    assert run_again(task)["changed"] is False


def test_killed_between_the_note_and_its_call(sim, task):
    with python(DIES_AFTER_CLAIM, json.dumps(task)) as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
    assert sim.invoke_calls == []
    pending = {name: row["request_id"] for name, row in journal_rows(task["journal"]).items()}
    assert pending
    assert not any(row["accepted"] for row in journal_rows(task["journal"]).values())

    result = run_again(task)

    assert result["summary"]["released"] == len(IDS)
    assert_each_released_once(sim)
    sent = {effect["external_id"]: effect["request_id"] for effect in sim.effects}
    assert {name: sent[name] for name in pending} == pending


def test_check_mode_after_the_interruption_predicts_the_next_run(sim, task):
    fault = sim.fault("hold", after=1)
    with python(TASK, json.dumps(task)) as process:
        assert fault.entered.wait(PATIENCE)
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
    fault.release()
    calls = len(sim.calls)
    predicted = interactions.run(task, True, True, {})
    assert len(sim.calls) == calls
    done = interactions.run(task, False, True, {})
    assert done["summary"].pop("api_calls") > 0
    assert predicted["summary"].pop("api_calls") == 0
    assert predicted["summary"] == done["summary"]
    assert predicted["changed"] is done["changed"] is True
    assert predicted["diff"] == done["diff"]


def test_two_runs_after_the_interruption_share_the_request_ids(sim, task):
    """One run finds the pending rows of another that is still at work, and repeats its request ids."""
    fault = sim.fault("hold")
    with python(TASK, json.dumps(task)) as first:
        assert fault.entered.wait(PATIENCE)
        result = run_again(task)
        fault.release()
        output, errors = first.communicate(timeout=PATIENCE)
    assert errors == ""
    assert "failed" not in json.loads(output)
    assert "failed" not in result
    assert_each_released_once(sim)

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed runs: the next run releases everything, and nothing twice."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import time

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import TIMEOUT, engine, journal_rows, validated

# About ninety fit into one call, so these need three calls.
IDS = [f"{number:05d}{'x' * 1000}" for number in range(250)]


@pytest.fixture
def given(sim, listed, tmp_path):
    """Return the options of a task that releases all."""
    sim.dispatch(*IDS)
    return sim.options(src=listed(IDS), journal=str(tmp_path / "kept" / "journal.db"))


@pytest.fixture
def again(given):
    """Return a function that runs the same task again."""
    clients = {}
    yield lambda check=False, **others: run(validated(**given, **others), check, False, clients)
    for client in clients.values():
        client.close()


def kill(process, how=signal.SIGKILL):
    process.send_signal(how)
    assert process.wait(TIMEOUT) in (-how, 1)


def wait_for(look):
    """Return the first result of ``look`` that is true. A journal that does not exist yet counts as false."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(sqlite3.OperationalError):
            found = look()
            if found:
                return found
        time.sleep(0.01)
    raise AssertionError("it did not come about")


def all_released_once(sim):
    return sorted(sim.released) == sorted(IDS) and sim.live() == []


def request_ids(effects):
    return {effect["external_id"]: effect["request_id"] for effect in effects}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
@pytest.mark.parametrize("done", [0, 1, 2])
def test_killed_between_effect_and_record(sim, given, again, done, how):
    hold = sim.fault("hold", after=done)
    with engine(**given) as process:
        assert hold.entered.wait(TIMEOUT)
        kill(process, how)
    hold.release()
    accepted = sum(call["interactions"] for call in sim.invoke_calls[:done])
    in_doubt = sim.invoke_calls[done]["interactions"]
    before = request_ids(sim.effects)
    assert len(before) == accepted + in_doubt

    result = again()
    counts = result["summary"]
    assert "failed" not in result
    assert (counts["unchanged"], counts["released"], counts["failed"], counts["unknown"]) == (
        accepted,
        250 - accepted,
        0,
        0,
    )
    assert all_released_once(sim)
    repeated = request_ids(sim.ignored)
    assert list(repeated) == IDS[accepted : accepted + in_doubt]
    assert repeated.items() <= before.items()


def test_killed_before_late_effect(sim, given, again):
    """VCC has received the call, and may process it before or after the next run."""
    token = sim.issue_token()
    with sim.lock, engine(**given, access_token=token) as process:
        wait_for(sim.bodies)
        kill(process)
    result = again()
    assert result["summary"]["released"] == 250
    assert all_released_once(sim)


def test_killed_between_claim_and_call(sim, given, again):
    """The call waits a minute after that for the token, and its rows are in the journal."""
    with engine(**given, requests_per_minute=1) as process:
        claimed = wait_for(lambda: journal_rows(given["journal"]))
        kill(process)
    assert sim.invoke_calls == []

    result = again()
    assert result["summary"]["released"] == 250
    assert all_released_once(sim)
    assert sim.ignored == []
    effects = request_ids(sim.effects)
    assert {external_id: row["request_id"] for external_id, row in claimed.items()}.items() <= effects.items()


def test_check_mode_predicts_run_after_kill(sim, given, again):
    hold = sim.fault("hold", after=1)
    with engine(**given) as process:
        assert hold.entered.wait(TIMEOUT)
        kill(process)
    hold.release()
    predicted = again(check=True)
    real = again(plan_digest=predicted["plan_digest"])
    for result in (predicted, real):
        result.pop("run_id", None)
        del result["summary"]["api_calls"]
        for entry in result["interactions"]:
            del entry["evidence"], entry["request_id"], entry["call"]
    assert predicted == real
    assert 0 < real["summary"]["unchanged"] < 250


def test_killed_five_times(sim, given, again):
    """Five runs are killed at their first call, and the sixth is not."""
    for dummy in range(5):
        hold = sim.fault("hold")
        with engine(**given) as process:
            assert hold.entered.wait(TIMEOUT)
            kill(process)
        hold.release()
    assert again()["summary"]["released"] == 250
    assert all_released_once(sim)
    assert len({json.dumps(request_ids([effect])) for effect in sim.ignored}) < len(sim.ignored)


def test_report_of_killed_run_ends_with_whole_line(sim, given, tmp_path):
    hold = sim.fault("hold", after=2)
    report = tmp_path / "report.jsonl"
    with engine(**given, report=str(report)) as process:
        assert hold.entered.wait(TIMEOUT)
        kill(process)
    hold.release()
    lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    assert [entry["external_id"] for entry in lines] == IDS[
        : sum(call["interactions"] for call in sim.invoke_calls[:2])
    ]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rounds of the campaign, rounds that failed in the past, and defects of the engine that the campaign must detect."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.tests.faults import campaign
from ansible_collections.vonage.vcc.tests.faults.draw import draw
from ansible_collections.vonage.vcc.tests.faults.draw_database import BACKENDS, WATCHDOG
from ansible_collections.vonage.vcc.tests.faults.plan import ENGINE_RUNNERS, FORBIDDEN_FILES, Plan, Task, Wave

SEEDS = range(1, 13)
DIRECT = {"place": "direct", "prepared": False, "isolation": "read committed"}
FORCED = {"timeout": 5, "retries": 0, "force": True}

# Rounds that failed in the past, with the cause. They are kept as plans, because a change of `draw` changes the rounds of seeds. Save one with
# `PYTHONPATH=.ansible/collections .venv/bin/python -m tests.faults.campaign --seed N --save tests/faults/regressions/NAME.json`.
REGRESSIONS = {
    "withdrawn_claim": "a process withdrew a claim that another process had joined, so that it was dispatched twice",
    "withdrawn_claim_after_403": "the same after a 403 for one process and a SIGKILL for another",
    "release_that_found_nothing": "after the 404 of a release, a dispatch stayed confirmed that another release had ended",
    "request_id_of_withdrawn_claim": "the answer to taking a claim back was lost, and its custom request id was refused ever after",
    "release_repeated_beside_dispatch": "a release repeated the request id of a key after a dispatch had replaced it, and the dispatch stayed confirmed",
}


@pytest.fixture(scope="module", autouse=True)
def servers():
    yield
    campaign.close()


@pytest.fixture
def postgresql():
    """Skip a test if PostgreSQL cannot run here, but fail in CI."""
    if reason := campaign.missing():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request):
    if request.param == "postgresql":
        request.getfixturevalue("postgresql")
    return request.param


@pytest.mark.parametrize("drawn", BACKENDS)
def test_seed_determines_plan(drawn):
    plans = [dataclasses.asdict(draw(seed, backend=drawn)) for seed in (7, 7, 8)]
    assert plans[0] == plans[1] != plans[2]


@pytest.mark.parametrize("drawn", ["sqlite", "postgresql"])
def test_plan_survives_json(drawn):
    text = draw(7, backend=drawn).to_json()
    assert Plan.from_json(text).to_json() == text


def test_half_of_plans_have_database():
    count = sum(draw(seed, backend="both").database is not None for seed in range(300))
    assert 100 < count < 200
    for seed in range(30):
        expected = draw(seed, backend="postgresql" if draw(seed, backend="both").database else "sqlite")
        assert draw(seed, backend="both") == expected


def test_plan_without_playbooks_differs_only_in_runners():
    count = 0
    for seed in range(300):
        drawn, without = draw(seed), draw(seed, playbooks=False)
        for wave, other_wave in zip(drawn.waves, without.waves, strict=True):
            for task, other in zip(wave.tasks, other_wave.tasks, strict=True):
                assert other.runner in ENGINE_RUNNERS
                if task.runner not in ENGINE_RUNNERS:
                    count += 1
                    for name in ("runner", "source", "clock", "file_size", "signal"):
                        setattr(task, name, getattr(other, name))
        assert drawn == without
    assert count > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_round(seed, backend):
    report = campaign.play(seed, playbooks=False, backend=backend)
    assert report.violations == []
    assert report.processes.total() > 0
    assert report.conditions["PostgreSQL"] == (backend == "postgresql")


@pytest.mark.parametrize("event", ["kill", "lock", "silence"])
@pytest.mark.parametrize("place", ["direct", "pgbouncer"])
def test_round_with_event_of_database(place, event, postgresql):
    details = {"seconds": 0.1, **({"mode": "kill"} if event == "kill" else {})}
    waves = [Wave([_task(0)]), Wave([_task(1), _task(2)], [("hold", {})], database_events=[(0.1, event, details)])]
    # The second wave must have interactions to send, and a call that is held.
    waves[0].tasks[0].ids = ["a"]
    waves[1].hold_seconds = 0.3
    drawn = _plan(waves, {**DIRECT, "place": place, "prepared": True})
    report = campaign.play_plan(drawn)
    assert report.violations == []
    assert report.faults[f"database {event}"] == 1


def test_round_with_failover(postgresql):
    waves = [Wave([_task(0)]), Wave([_task(1)], [("hold", {})], database_events=[(0.2, "failover", {})])]
    waves[0].tasks[0].ids = ["a"]
    waves[1].hold_seconds = 0.5
    report = campaign.play_plan(_plan(waves, {**DIRECT, "place": "failover"}))
    assert report.violations == []
    assert report.faults["database failover"] == 1


def test_missing_server_is_reported(monkeypatch, capsys, tmp_path):
    """Without PostgreSQL, the journal of each round is a file. In CI, or if the backend must be PostgreSQL, the campaign fails."""
    monkeypatch.setattr(campaign, "missing", lambda: "no server")
    monkeypatch.delenv("CI", raising=False)
    save = ["campaign", "--seed", "2", "--save", str(tmp_path / "plan.json")]
    monkeypatch.setattr(sys, "argv", save)
    assert campaign.main() == 0
    assert capsys.readouterr().out == "no journal in PostgreSQL: no server\n"
    assert (tmp_path / "plan.json").read_text("utf-8") == draw(2).to_json()
    for argv, ci in ((save, "true"), ([*save, "--backend", "postgresql"], "false")):
        monkeypatch.setattr(sys, "argv", argv)
        monkeypatch.setenv("CI", ci)
        with pytest.raises(SystemExit):
            campaign.main()
        assert "no journal in PostgreSQL: no server" in capsys.readouterr().err


def test_round_through_playbooks():
    seed = next(seed for seed in range(1000) if any(task.runner == "action" for task in draw(seed).waves[0].tasks))
    report = campaign.play(seed)
    assert report.violations == []
    assert report.processes["action"] > 0


def test_round_through_proxy():
    seed = next(seed for seed in range(1000) if any(kind == "cut" for kind, _how in draw(seed).waves[0].proxy_faults))
    report = campaign.play(seed, playbooks=False)
    assert report.violations == []
    assert report.conditions["proxied"]
    assert report.faults["proxy cut"] > 0


def test_round_on_small_disk():
    seed = next(seed for seed in range(1000) if any(wave.journal == "small" for wave in draw(seed).waves))
    report = campaign.play(seed, playbooks=False)
    assert report.violations == []
    if report.conditions["small disk not mounted"]:
        pytest.skip("no file system can be mounted here")
    assert report.conditions["small disk"] > 0


def test_round_with_forbidden_files():
    tasks = [_task(number) for number in range(len(FORBIDDEN_FILES) + 1)]
    for task, forbidden_file in zip(tasks[1:], FORBIDDEN_FILES, strict=True):
        task.source, task.forbidden_file = "src.jsonl", forbidden_file
    report = campaign.play_plan(_plan([Wave([_task(100)]), Wave(tasks)]))
    assert report.violations == []
    assert report.conditions["forbidden files"] == len(FORBIDDEN_FILES)


@pytest.mark.parametrize("name", REGRESSIONS)
def test_regression(name, request):
    saved = Path(__file__).with_name("regressions") / f"{name}.json"
    plan = Plan.from_json(saved.read_text(encoding="utf-8"))
    if plan.database:
        request.getfixturevalue("postgresql")
    assert violations(plan) == []


# Defects of the engine, and the sentences with which the campaign reports them.
DEFECTS = {
    "sends_nothing": "and VCC has not processed it",
    "new_request_ids": "at most 1 allowed",
    "reuses_request_ids": "for the request id of another",
    "ignores_key": "have request ids that no key derives",
    "no_claims": " last, and that was ",
    "no_confirmations": "the journal has ",
    "early_confirmations": "the journal says that VCC has processed",
    "denies_sending": "is reported failed, and VCC has processed it",
    "allows_same_file": "it did not refuse that its report is the lock of the token cache",
    "trusts_any_journal": "it did not refuse that its journal belongs to another user",
    "omits_results": "it lists ",
    "optimistic_results": "and VCC has not processed it",
    "reads_any_file": "it has read ids from a file that is JSON as text",
    "hangs": "has not ended after",
    "crashes": "RuntimeError: a bug",
    "prints_secrets": "a secret is in its output",
    "calls_in_check_mode": "check mode made a call",
    "forgets_failures": "the history of the run lacks",
    "forgets_acceptances": "the history of the run lacks",
    "miscounts_calls": "interactions that VCC accepted, and there were",
}

# The defects of the journal, which the campaign must detect in PostgreSQL too.
DEFECTS_OF_JOURNAL = [
    "new_request_ids",
    "reuses_request_ids",
    "no_claims",
    "no_confirmations",
    "early_confirmations",
    "forgets_failures",
    "forgets_acceptances",
]


@pytest.mark.parametrize("defect", DEFECTS)
def test_campaign_detects_defect(defect):
    _detects(defect, DEFECTS[defect], _plan_of_defects)


@pytest.mark.parametrize("defect", DEFECTS_OF_JOURNAL)
def test_campaign_detects_defect_in_postgresql(defect, postgresql):
    _detects(defect, DEFECTS[defect], _plan_of_defects_in_postgresql)


@pytest.mark.parametrize(
    ("defect", "sentence"),
    [
        ("swaps_always", "at most 1 allowed"),
        ("claims_twice", "the journal says that VCC has processed"),
        ("gives_up_at_once", "it has given up the journal"),
        ("waits_for_ever", "has not ended after"),
        ("prints_password", "a secret is in its output"),
    ],
)
def test_campaign_detects_defect_of_database(defect, sentence, postgresql):
    _detects(defect, sentence, _plan_of_defects_of_database)


def _detects(defect, sentence, make_plan):
    """Play a round with a defect, and check that only this brings a violation with a sentence."""
    assert [violation for violation in _violations_without_defect(make_plan) if sentence in violation] == []
    timeout = {"hangs": 1, "waits_for_ever": 4}.get(defect, campaign.PROCESS_TIMEOUT)
    found = violations(make_plan(), defect, timeout)
    assert any(sentence in violation for violation in found), found


@functools.cache
def _violations_without_defect(make_plan):
    return violations(make_plan())


def _plan_of_defects(database=None):
    """
    Return a round that shows every defect.

    Three waves request the same interactions, two of them with faults. A process dies while it requests the other action.
    Two processes request both actions with the same request id, one an action with a key. One process has a misleading file, two have a forbidden file.
    """
    before, killed, *both, lock, other_user = [_task(number) for number in range(2, 8)]
    keyed = _task(9)
    keyed.ids = ["i"]
    keyed.options.update(state="dispatched", route="Support", idempotency_key="CHG1")
    lock.source, lock.forbidden_file = "src.jsonl", "report is the lock of the token cache"
    other_user.source, other_user.forbidden_file = "src.jsonl", "journal belongs to another user"
    killed.signal = ("SIGKILL", "hold")
    before.ids = killed.ids = ["g"]
    for task in both:
        task.ids, task.source, task.request_ids = ["h"], "src.jsonl", {"h": "own"}
    misleading = Task(
        8, "fork", None, [], "src.txt", {"retries": 0}, misleading_file="JSON as text", misleading_ids=["a"]
    )
    for task in (killed, both[0]):
        task.options.update(state="dispatched", route="Support")
    return _plan(
        [
            Wave([_task(0)], [("cut", {"when": "after"}), ("status", {"after": 1})]),
            Wave([_task(1)], [("html", {})]),
            Wave([before, misleading]),
            Wave([killed], [("hold", {})]),
            Wave(both),
            Wave([lock, other_user]),
            Wave([keyed]),
        ],
        database,
    )


def _plan_of_defects_in_postgresql():
    return _plan_of_defects(DIRECT)


def _plan_of_defects_of_database():
    """
    Return a round that shows every defect of a journal in PostgreSQL.

    Two processes claim the same interactions behind a lock. One process after another loses the answer to its first request, its second and so on, one of
    which is a claim. Another one has a connection that goes silent.
    """
    first, *both, silent = [_task(number) for number in range(4)]
    first.ids, silent.ids = ["a"], ["e"]
    for task in both:
        task.ids = ["b", "c"]
    repeated = [dataclasses.replace(_task(number), ids=["d"], options=FORCED) for number in range(4, 11)]
    return _plan(
        [
            Wave([first]),
            Wave(both, database_events=[(0.0, "lock", {"seconds": 0.6})]),
            Wave([silent], database_faults=[("black_hole", _lost(3))]),
            *(Wave([task], database_faults=[("cut", _lost(request))]) for request, task in enumerate(repeated, 1)),
        ],
        DIRECT,
    )


def _lost(request):
    return {"request": request, "when": "after"}


def _plan(waves, database=None):
    return Plan(
        seed=0,
        switches={},
        live=[(None, external_id) for external_id in "abcdef"],
        poisoned=[],
        providers=[None],
        waves=waves,
        limits={"BODY_LIMIT": 400, "CHUNK": 3, **(WATCHDOG if database else {})},
        unprivileged=False,
        tokens=False,
        previews=True,
        database=database,
    )


def _task(number):
    return Task(number, "fork", None, list("abcdef"), "external_ids", {"timeout": 5, "retries": 0})


def violations(drawn, defect=None, timeout=campaign.PROCESS_TIMEOUT):
    return [sentence for _seed, sentence in campaign.play_plan(drawn, defect, timeout).violations]

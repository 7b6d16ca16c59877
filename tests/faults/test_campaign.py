# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Some rounds of the campaign, those that once failed, and engines that break their word, which it has to notice."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.tests.faults import campaign, plan

SEEDS = range(1, 13)

# Rounds that have failed, with what was wrong. A seed draws another round when what rounds are made of changes, so these are kept as plans:
# `PYTHONPATH=.ansible/collections .venv/bin/python -m tests.faults.campaign --seed N --save tests/faults/regressions/NAME.json`.
REGRESSIONS = {
    "withdrawn_claim": "a process withdrew a claim that another one had taken up, which was dispatched twice then",
    "withdrawn_claim_after_403": "the same, where the process was refused with 403 and another killed",
    "release_that_found_nothing": "the 404 of a release left a dispatch confirmed that another release had ended",
}


@pytest.fixture(scope="module", autouse=True)
def _nursery():
    yield
    campaign.close()


def test_a_seed_draws_one_plan():
    assert dataclasses.asdict(plan.draw(7)) == dataclasses.asdict(plan.draw(7)) != dataclasses.asdict(plan.draw(8))


def test_a_plan_can_be_kept():
    kept = plan.draw(7).to_json()
    assert plan.Plan.from_json(kept).to_json() == kept


def test_without_doors_a_seed_draws_the_same_but_for_them():
    playbooks = 0
    for seed in range(300):
        drawn, without = plan.draw(seed), plan.draw(seed, doors=False)
        for wave, others in zip(drawn.waves, without.waves, strict=True):
            for task, other in zip(wave.tasks, others.tasks, strict=True):
                assert other.door in plan.ENGINES
                if task.door not in plan.ENGINES:
                    playbooks += 1
                    for name in ("door", "form", "clock", "file_size", "signal"):
                        setattr(task, name, getattr(other, name))
        assert drawn == without
    assert playbooks > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_round(seed):
    report = campaign.play(seed, doors=False)
    assert report.violations == []
    assert report.processes.total() > 0


def test_a_round_through_playbooks():
    seed = next(seed for seed in range(1000) if any(task.door == "action" for task in plan.draw(seed).waves[0].tasks))
    report = campaign.play(seed)
    assert report.violations == []
    assert report.processes["action"] > 0


def test_a_round_through_a_proxy():
    seed = next(seed for seed in range(1000) if any(kind == "cut" for kind, _how in plan.draw(seed).waves[0].at_proxy))
    report = campaign.play(seed, doors=False)
    assert report.violations == []
    assert report.others["proxied"]
    assert report.faults["proxy cut"] > 0


def test_a_round_on_a_small_disk():
    seed = next(seed for seed in range(1000) if any(wave.journal == "small" for wave in plan.draw(seed).waves))
    report = campaign.play(seed, doors=False)
    assert report.violations == []
    if report.others["small disk not mounted"]:
        pytest.skip("no file system can be mounted here")
    assert report.others["small disk"] > 0


def test_a_round_with_files_that_are_not_the_tasks_own():
    tasks = [_task(number) for number in range(len(plan.MISPLACED) + 1)]
    for task, misplaced in zip(tasks[1:], plan.MISPLACED, strict=True):
        task.form, task.misplaced = "src.jsonl", misplaced
    report = campaign.play_plan(_plan([plan.Wave([_task(100)]), plan.Wave(tasks)]))
    assert report.violations == []
    assert report.others["misplaced files"] == len(plan.MISPLACED)


@pytest.mark.parametrize("name", REGRESSIONS)
def test_what_has_failed_before(name):
    saved = Path(__file__).with_name("regressions") / f"{name}.json"
    assert violations(plan.Plan.from_json(saved.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        ("sends_nothing", "and VCC has not taken it"),
        ("new_ids", "at most 1 asked for"),
        ("reuses_ids", "for the request id of another"),
        ("no_claims", " last, and that was "),
        ("no_proof", "the journal has "),
        ("early_proof", "the journal says that VCC has taken"),
        ("denies_it", "is reported failed, and VCC has taken it"),
        ("mixes_files", "it is not refused, though its report is the lock of the token cache"),
        ("believes_anyone", "it is not refused, though its journal is a stranger's"),
        ("keeps_silent", "it lists "),
        ("optimist", "and VCC has not taken it"),
        ("reads_anything", "it has taken a file that is JSON as text for one of ids"),
        ("hangs", "has not ended after"),
        ("crashes", "RuntimeError: a bug"),
        ("tells_secrets", "a secret is in its output"),
        ("predicts_with_a_call", "check mode made a call"),
    ],
)
def test_an_engine_that_breaks_its_word(lie, sentence):
    """
    In a round that is made for it: all is asked for three times, twice with faults; of something else, a process is killed
    over the other action, and then two ask for either with one request id. One has a file that is not what it seems, and
    two have a file that is not theirs.
    """
    before, killed, *both, lock, stranger = [_task(number) for number in range(2, 8)]
    lock.form, lock.misplaced = "src.jsonl", "report is the lock of the token cache"
    stranger.form, stranger.misplaced = "src.jsonl", "journal is a stranger's"
    killed.signal = ("SIGKILL", "hold")
    before.ids = killed.ids = ["g"]
    for task in both:
        task.ids, task.form, task.request_ids = ["h"], "src.jsonl", {"h": "own"}
    mistaken = plan.Task(8, "fork", None, [], "src.txt", {"retries": 0}, mistaken="JSON as text", contents=["a"])
    for task in (killed, both[0]):
        task.options.update(state="dispatched", route="Support")
    drawn = _plan(
        [
            plan.Wave([_task(0)], [("cut", {"when": "after"}), ("status", {"after": 1})]),
            plan.Wave([_task(1)], [("html", {})]),
            plan.Wave([before, mistaken]),
            plan.Wave([killed], [("hold", {})]),
            plan.Wave(both),
            plan.Wave([lock, stranger]),
        ]
    )
    assert [one for one in violations(drawn) if sentence in one] == []
    found = violations(drawn, lie, patience=1 if lie == "hangs" else campaign.PATIENCE)
    assert any(sentence in one for one in found), found


def _plan(waves):
    return plan.Plan(
        seed=0,
        switches={},
        live=[(None, one) for one in "abcdef"],
        poisoned=[],
        providers=[None],
        waves=waves,
        limits={"BODY_LIMIT": 400, "CHUNK": 3},
        as_user=False,
        tokens=False,
        predicts=True,
    )


def _task(number):
    return plan.Task(number, "fork", None, list("abcdef"), "external_ids", {"timeout": 5, "retries": 0})


def violations(drawn, lie=None, patience=campaign.PATIENCE):
    return [sentence for _seed, sentence in campaign.play_plan(drawn, lie, patience).violations]

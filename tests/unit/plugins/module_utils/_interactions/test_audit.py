# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit of a task: its report and the history of the journal say how each interaction ended, when, in which run and call, and why."""

from __future__ import annotations

import contextlib
import json

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import MAX_JOB_ID_LENGTH
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    TIMEOUT,
    check_raw_types,
    column,
    engine,
    summary,
    task_of,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.helpers import (
    by_id,
    long_ids,
    source_of,
)

# The fields that lines of the report and outcomes of the history have in common.
COMMON = ("external_id", "provider", "request_id", "state", "message", "call", "at", "run_id", "reason", "job_id")


@pytest.fixture
def history(journal):
    """Return a function that returns the outcomes of the history, the latest first."""

    def read(**query):
        with contextlib.closing(JournalMaintenance(journal, dry_run=True, show_only=True)) as opened:
            found, matched, dummy = opened.entries(history=True, page_size=10_000, **query)
            assert matched == len(found)
            return found

    return read


@pytest.fixture
def run_of(journal):
    """Return a function that returns a run with the counts of its outcomes."""

    def read(run_id):
        with contextlib.closing(JournalMaintenance(journal, dry_run=True, show_only=True)) as opened:
            return opened.run(run_id)

    return read


@pytest.fixture
def lines(tmp_path):
    """Return a function that returns the lines of the report."""
    report = tmp_path / "report.jsonl"

    def read():
        return [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]

    read.path = str(report)
    return read


def common(entries):
    return sorted(json.dumps([entry[name] for name in COMMON]) for entry in entries)


def check_traced(result, lines, history, run_of):
    """Check that report, history and summary of a run agree on each interaction that has ended in it, and return its history."""
    found = history(run_id=result["run_id"])
    ended = [line for line in lines() if line["changed"] or line["state"] in ("failed", "unknown")]
    assert common(found) == common(ended)
    counts = {"released": 0, "dispatched": 0, "failed": 0, "unknown": 0, **summary(result)}
    run = run_of(result["run_id"])
    assert run["counts"] == {name: counts[name] for name in ("released", "dispatched", "failed", "unknown")}
    assert sum(part["accepted"] for part in run["timeline"]) == counts["released"] + counts["dispatched"]
    assert run["calls"] == max(line["call"] or 0 for line in lines())
    return found


class TestOutcomes:
    def test_every_accepted_interaction_has_outcome(self, sim, task, lines, history, run_of):
        ids = long_ids(400)
        result = task(external_ids=ids, report=lines.path, reason="CHG1 é", calls_in_flight=3)
        found = check_traced(result, lines, history, run_of)
        requests = {effect["external_id"]: effect["request_id"] for effect in sim.effects}
        assert {each["external_id"]: each["request_id"] for each in found} == requests
        assert {each["reason"] for each in found} == {"CHG1 é"}
        calls = [call["interactions"] for call in sim.invoke_calls]
        by_call = [sum(each["call"] == number for each in found) for number in range(1, len(calls) + 1)]
        assert sorted(by_call) == sorted(calls)

    def test_confirmed_interaction_has_no_outcome(self, task, lines, history, run_of):
        first = task(external_ids=["a", "b"])
        again = task(external_ids=["a", "b"], report=lines.path)
        assert [(line["call"], line["run_id"]) for line in lines()] == [(None, again["run_id"])] * 2
        assert run_of(again["run_id"]) is None
        assert {each["run_id"] for each in history()} == {first["run_id"]} != {again["run_id"]}

    def test_rejected_interactions_have_outcome_with_reason(self, sim, task, lines, history, run_of):
        sim.poison("c", "g")
        result = task(external_ids=list("abcdefgh"), report=lines.path)
        found = {each["external_id"]: each for each in check_traced(result, lines, history, run_of)}
        assert sorted(each for each, entry in found.items() if entry["state"] == "failed") == ["c", "g"]
        assert found["c"]["message"].startswith("VCC refused the request with status 400")
        assert found["c"]["call"] == by_id(result)["c"]["call"]
        assert sim.invoke_calls[found["c"]["call"] - 1]["interactions"] == 1

    def test_lost_answer_and_its_repetition_have_outcomes(self, sim, task, lines, history, run_of):
        fault = sim.fault("cut", when="after", times=None)
        lost = task(external_ids=["a", "b"], report=lines.path, retries=0)
        found = check_traced(lost, lines, history, run_of)
        assert [(each["state"], each["call"]) for each in found] == [("unknown", 1)] * 2
        fault.times = 0
        repeated = task(external_ids=["a", "b"], report=lines.path)
        found = check_traced(repeated, lines, history, run_of)
        assert [each["state"] for each in found] == ["released"] * 2
        assert len(history()) == 4

    def test_call_counts_retries_as_the_summary_does(self, sim, task, lines, history, run_of):
        sim.fault("status", status=503, times=2)
        result = task(external_id="a", report=lines.path, retries=3)
        check_traced(result, lines, history, run_of)
        assert column(result, "call") == [3] == [result["summary"]["api_calls"]]

    def test_calls_are_counted_anew_in_each_task(self, sim, task, history):
        clients = {}
        results = [task(external_id=each, clients=clients, retries=0) for each in "ab"]
        assert [column(result, "call") for result in results] == [[1], [1]]
        assert [each["call"] for each in history()] == [1, 1]

    def test_dispatches_without_external_id_have_outcomes(self, sim, dispatch, lines, history, run_of):
        data = [{"type": "name", "value": "x"}]
        given = [{"external_id": "a"}, {"linked_data": data}, {"linked_data": data, "request_id": "own"}]
        result = dispatch(interactions=given, report=lines.path)
        found = check_traced(result, lines, history, run_of)
        assert sorted(each["request_id"] for each in found) == sorted(column(result, "request_id"))
        assert [each["external_id"] for each in found] == [None, None, "a"]
        for fault in ({"status": 503}, {"status": 400}):
            fault = sim.fault("status", times=None, **fault)
            failed = dispatch(interactions=[{"linked_data": data}], report=lines.path, retries=0)
            (outcome,) = check_traced(failed, lines, history, run_of)
            assert outcome["request_id"] == column(failed, "request_id")[0]
            fault.times = 0

    def test_404_has_no_outcome(self, sim, task, lines, history, run_of):
        sim.unknown_id = 404
        result = task(external_id="a", report=lines.path)
        assert [(line["state"], line["call"]) for line in lines()] == [("released", 1)]
        assert history() == []
        assert run_of(result["run_id"]) is None

    def test_interactions_that_are_not_sent_have_outcomes(self, sim, task, lines, history, run_of):
        ids = long_ids(400)
        sim.fault("status", status=403, after=1)
        result = task(external_ids=ids, report=lines.path)
        found = check_traced(result, lines, history, run_of)
        unsent = [each for each in found if each["call"] is None]
        assert len(found) == 400
        assert {(each["state"], each["message"][:9]) for each in unsent} == {("failed", "not sent:")}
        assert len(unsent) == 400 - sum(call["interactions"] for call in sim.invoke_calls)

    def test_task_with_wrong_credentials_has_no_outcomes(self, task, lines, history, run_of):
        result = task(external_ids=["a", "b"], client_secret="wr0ng", report=lines.path)
        assert {line["run_id"] for line in lines()} == {result["run_id"]}
        assert history() == []
        assert run_of(result["run_id"]) is None

    def test_check_mode_has_no_outcomes(self, task, history):
        task(external_id="a")
        before = history()
        result = task(external_ids=["a", "b"], check=True, reason="CHG1")
        assert "run_id" not in result
        assert column(result, "call") == [None, None]
        assert history() == before

    @pytest.mark.parametrize("journal", ["sqlite"], indirect=True)
    def test_killed_task_and_next_run_have_all_outcomes(self, sim, task, journal, folder, history, lines, run_of):
        hold = sim.fault("hold", after=1)
        ids = long_ids(300)
        src = source_of(folder, ids)
        with engine(**sim.options(src=src, journal=journal, reason="killed")) as process:
            assert hold.entered.wait(TIMEOUT)
            process.kill()
            process.wait(TIMEOUT)
        hold.release()
        result = task(src=src, report=lines.path, reason="taken up")
        found = check_traced(result, lines, history, run_of)
        assert len(found) < 300
        before = [each for each in history() if each["run_id"] != result["run_id"]]
        assert {each["reason"] for each in before} <= {"killed"}
        assert {each["external_id"] for each in (*found, *before)} == set(ids)

    def test_two_tasks_with_same_interactions_have_outcomes(self, sim, task, journal, history, lines, run_of):
        """The second task takes over claims of the first one, and VCC accepts both calls."""
        ids = [f"case-{number}" for number in range(20)]
        hold = sim.fault("hold")
        with engine(**sim.options(external_ids=ids, journal=journal, reason="first")) as process:
            assert hold.entered.wait(TIMEOUT)
            second = task(external_ids=ids[:10], report=lines.path, reason="second")
            hold.release()
            first = json.loads(process.communicate(timeout=TIMEOUT)[0])
        check_traced(second, lines, history, run_of)
        found = history(run_id=first["run_id"])
        assert {each["external_id"]: each["request_id"] for each in found} == {
            entry["external_id"]: entry["request_id"] for entry in first["interactions"]
        }
        assert run_of(first["run_id"])["counts"]["released"] == 20
        assert run_of(second["run_id"])["counts"]["released"] == 10

    def test_acceptance_that_confirms_no_state_has_outcome(self, sim, task, dispatch, lines, history, run_of):
        """VCC may ignore the request id of the key, so the journal confirms no state."""
        sim.fault("cut", when="after")
        dispatch(external_id="a", idempotency_key="CHG1", retries=0)
        task(external_id="a")
        result = dispatch(external_id="a", idempotency_key="CHG1", report=lines.path)
        assert summary(result) == {"requested": 1, "dispatched": 1}
        check_traced(result, lines, history, run_of)


class TestWithoutJournal:
    def test_only_the_report_has_the_trace(self, task, lines):
        result = task(external_id="a", journal="", report=lines.path, reason="CHG1")
        (line,) = lines()
        assert (line["run_id"], line["reason"], line["call"]) == (result["run_id"], "CHG1", 1)

    def test_task_with_unusable_journal_returns_no_run_id(self, task, folder):
        folder.mkdir()
        (folder / "journal.db").mkdir()
        assert "run_id" not in task(external_id="a")


class TestJob:
    @pytest.mark.parametrize(("value", "expected"), [("4711", "4711"), ("", None), (" ", None), ("\x1b7", "\\x1b7")])
    def test_job_id_comes_from_environment(self, task, lines, monkeypatch, value, expected):
        monkeypatch.setenv("JOB_ID", value)
        task(external_id="a", report=lines.path)
        assert [line["job_id"] for line in lines()] == [expected]

    def test_long_job_id_is_cut(self, task, lines, monkeypatch):
        monkeypatch.setenv("JOB_ID", "7" * 1000)
        task(external_id="a", report=lines.path)
        assert len(lines()[0]["job_id"]) == MAX_JOB_ID_LENGTH

    def test_history_has_job_id(self, task, history, monkeypatch):
        monkeypatch.setenv("JOB_ID", "4711")
        task(external_id="a")
        assert [each["job_id"] for each in history()] == ["4711"]


class TestReason:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [("CHG1", "CHG1"), (" CHG1  ", "CHG1"), ("  ", None), ("é{{ x }}'\"", "é{{ x }}'\""), ("x" * 500, "x" * 500)],
    )
    def test_reason_may_be_any_line_of_text(self, given, expected):
        assert task_of(external_id="a", reason=given).reason == expected

    def test_reason_is_none_by_default(self):
        assert task_of(external_id="a").reason is None

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("a\nb", "reason has a control character, such as a line break: write it in one line."),
            ("a\x1b[1m", "reason has a control character, such as a line break: write it in one line."),
            ("a\u2028b", "reason has a control character, such as a line break: write it in one line."),
            ("\ud800", "reason is not valid Unicode: write it in UTF-8."),
            ("x" * 501, "reason has 501 characters; a reason has at most 500."),
        ],
    )
    def test_other_text_is_refused(self, given, said):
        with pytest.raises(InputError) as caught:
            task_of(external_id="a", reason=given)
        assert str(caught.value) == said

    @pytest.mark.parametrize("given", [["a"], {"a": 1}, True, 1.5])
    def test_other_type_is_refused(self, given):
        with pytest.raises(InputError, match="reason is neither text nor a whole number"):
            check_raw_types({"external_id": "a", "reason": given})

    def test_reason_comes_from_environment(self, monkeypatch):
        monkeypatch.setenv("VCC_REASON", "CHG1")
        assert task_of(external_id="a").reason == "CHG1"
        assert task_of(external_id="a", reason="CHG2").reason == "CHG2"

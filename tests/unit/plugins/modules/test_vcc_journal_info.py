# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module vcc_journal_info: the history, one run of it, and the export to a file."""

from __future__ import annotations

import contextlib
import json
import os
import tracemalloc

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal.backends import open_store
from ansible_collections.vonage.vcc.plugins.module_utils._journal.export import Export
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import Attempt, Run, Scope
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import call_main, mode, run_module, snapshot

RUN = Run(17, "a" * 32, 1_800_000_000.0)


@pytest.fixture
def info(sim, journal):
    """Runs the module; returns its result."""

    def run(check=False, **given):
        result, dummy, printed = call_main("vcc_journal_info", check, **sim.options(**{"journal": journal, **given}))
        assert "Traceback" not in printed
        return result

    return run


@pytest.fixture
def some(sim, task, journal):
    """The result of a run in which "a" and "b" are released, and "c" is rejected."""
    sim.poison("c")
    return task(external_ids=["a", "b", "c"], reason="CHG1")


@pytest.fixture
def export(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "history.jsonl"


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class TestHistory:
    def test_run_id_selects_the_outcomes_of_a_run(self, task, info, some):
        task(external_ids=["a", "d"])
        result = info(run_id=some["run_id"])
        assert result["changed"] is False
        assert result["matched"] == 3
        assert result["accepted_last_minute"] == 2
        states = {entry["external_id"]: (entry["state"], entry["reason"]) for entry in result["entries"]}
        assert states == {"a": ("released", "CHG1"), "b": ("released", "CHG1"), "c": ("failed", "CHG1")}
        run = result["run"]
        assert run["counts"] == {"released": 2, "dispatched": 0, "failed": 1, "unknown": 0}
        assert (run["run_id"], run["reason"], run["job_id"]) == (some["run_id"], "CHG1", None)
        assert run["calls"] == some["summary"]["api_calls"]
        assert run["started"] <= run["timeline"][0]["from"] <= run["ended"]

    def test_history_has_all_runs(self, task, info, some):
        later = task(external_ids=["a", "d"], reason="CHG2")
        result = info(history=True)
        assert "run" not in result
        assert [
            (entry["external_id"], entry["run_id"]) for entry in result["entries"] if entry["reason"] == "CHG2"
        ] == [("d", later["run_id"])]
        assert result["matched"] == 4
        assert [entry["external_id"] for entry in info(history=True, page=2, page_size=3)["entries"]] != []
        assert [each["state"] for each in info(history=True, state="failed")["entries"]] == ["failed"]
        assert info(history=True, provider="tickets")["matched"] == 0
        assert info(history=True, older_than=3600)["matched"] == 0
        assert info(history=True, newer_than=3600, external_ids=["a"])["matched"] == 1

    def test_present_state_is_shown_without_history(self, info, some):
        result = info()
        assert "run" not in result
        assert sorted(entry["external_id"] for entry in result["entries"]) == ["a", "b"]
        assert "run_id" not in result["entries"][0]

    def test_unknown_run_has_no_outcomes(self, info, some):
        result = info(run_id="0" * 32)
        assert (result["run"], result["entries"], result["matched"]) == (None, [], 0)

    def test_missing_journal_has_no_outcomes(self, info):
        result = info(run_id="0" * 32)
        assert (result["run"], result["entries"], result["journal"]["exists"]) == (None, [], False)

    @pytest.mark.parametrize("journal", ["sqlite"], indirect=True)
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"run_id": "x"}, "run_id must be the 32 hexadecimal digits that a task has returned as its run_id."),
            ({"state": "failed"}, "state failed is only in the history: set history to true."),
            ({"state": "unknown"}, "state unknown is only in the history: set history to true."),
            (
                {"state": "pending", "history": True},
                "state pending is not in the history: leave history and run_id out.",
            ),
            (
                {"state": "pending", "run_id": "0" * 32},
                "state pending is not in the history: leave history and run_id out.",
            ),
        ],
        ids=str,
    )
    def test_wrong_options_are_refused(self, info, given, said):
        result = info(**given)
        assert (result["failed"], result["msg"]) == (True, said)


class TestExport:
    @pytest.mark.parametrize("history", [False, True])
    def test_export_has_all_pages(self, task, info, export, history):
        task(external_ids=[str(number) for number in range(50)])
        result = info(history=history, export=str(export), page_size=3)
        assert (result["changed"], result["exported"], result["matched"]) == (True, 50, 50)
        assert lines(export) == info(history=history, page_size=100)["entries"]
        assert lines(export)[:3] == result["entries"]
        assert oct(mode(export)) == "0o600"

    def test_export_has_only_matching_outcomes(self, task, info, some, export):
        task(external_id="d")
        result = info(run_id=some["run_id"], state="failed", export=str(export))
        assert [line["external_id"] for line in lines(export)] == ["c"]
        assert result["exported"] == 1

    def test_only_other_content_changes_export(self, task, info, some, export):
        for check, changed in ((True, True), (False, True), (True, False), (False, False)):
            before = snapshot(export.parent)
            result = info(check, history=True, export=str(export))
            assert (result["changed"], result["exported"]) == (changed, 3)
            assert not check or snapshot(export.parent) == before
        task(external_id="d")
        assert info(True, history=True, export=str(export))["changed"]
        assert len(lines(export)) == 3
        assert info(history=True, export=str(export))["changed"]
        assert len(lines(export)) == 4

    def test_empty_export_is_written_once(self, info, export):
        assert info(history=True, export=str(export))["changed"]
        assert export.read_text() == ""
        assert not info(history=True, export=str(export))["changed"]

    @pytest.mark.parametrize("check", [True, False])
    def test_journal_that_does_not_exist_replaces_no_earlier_export(self, info, some, export, tmp_path, check):
        info(history=True, export=str(export))
        before = export.read_bytes()
        missing = tmp_path / "misspelt.db"
        result = info(check, history=True, export=str(export), journal=str(missing))
        assert result["failed"]
        assert result["msg"] == (
            f"export {export} has entries, and the journal {missing} that would replace them does not exist:"
            " check the option journal, or set export to another path."
        )
        assert export.read_bytes() == before
        assert not missing.exists()

    def test_export_that_was_cut_off_is_replaced(self, info, some, export):
        info(history=True, export=str(export))
        whole = export.read_bytes()
        for left in (whole[:20], whole[:-5], b""):
            export.write_bytes(left)
            assert info(history=True, export=str(export))["changed"]
            assert export.read_bytes() == whole

    @pytest.mark.parametrize("journal", ["sqlite"], indirect=True)
    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize("kind", ["text", "report", "link", "hard", "fifo", "folder", "none"])
    def test_other_file_is_not_replaced(self, info, task, some, export, tmp_path, kind, check):
        target = tmp_path / "target"
        target.write_text("precious")
        if kind == "text":
            export.write_text("precious")
        elif kind == "report":
            task(external_id="a", report=str(export))
        elif kind == "link":
            export.symlink_to(target)
        elif kind == "hard":
            os.link(target, export)
        elif kind == "fifo":
            os.mkfifo(export)
        elif kind == "folder":
            export.mkdir()
        else:
            export = export.parent / "none" / "history.jsonl"
        before = snapshot(export.parent) if kind not in ("none", "fifo") else None
        result = info(check, history=True, export=str(export))
        assert result["failed"]
        assert result["msg"].startswith(f"export {export} cannot be written on the host that runs the task (")
        assert target.read_text() == "precious"
        assert before is None or snapshot(export.parent) == before

    def test_report_does_not_replace_an_export(self, sim, task, info, some, export):
        info(history=True, export=str(export))
        before = export.read_bytes()
        assert (
            "it already has other content, which the task does not replace"
            in task(external_id="z", report=str(export))["msg"]
        )
        assert export.read_bytes() == before

    @pytest.mark.parametrize("journal", ["sqlite"], indirect=True)
    def test_export_is_not_the_journal(self, info, some, journal):
        assert "export is the same file as journal" in info(export=journal)["msg"]

    @pytest.mark.parametrize("journal", ["sqlite"], indirect=True)
    def test_full_disk_is_named(self, info, some, export):
        resource = pytest.importorskip("resource")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        try:
            result = info(history=True, export=str(export))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert result["msg"] == f"export {export} cannot be written on the host that runs the task (File too large)."

    def test_memory_does_not_grow_with_the_entries(self, journal, export):
        attempt = Attempt(RUN, 1, "release", "accepted", RUN.started, 1, "")
        with contextlib.closing(open_store(journal, Scope("https://api.example", "main", ""))) as store:
            for first in range(0, 60_000, 10_000):
                store.record_attempts([(attempt, [(n, f"case-{n}", "k" * 32) for n in range(first, first + 10_000)])])
        peaks = []
        with contextlib.closing(JournalMaintenance(journal, dry_run=True, show_only=True)) as opened:
            for external_ids in ([f"case-{n}" for n in range(6_000)], None):
                with contextlib.closing(Export(str(export))) as file:
                    tracemalloc.start()
                    opened.export(file.write, external_ids=external_ids, history=True)
                    peaks.append(tracemalloc.get_traced_memory()[1])
                    tracemalloc.stop()
        assert len(lines(export)) == file.count == 60_000
        assert peaks[1] < peaks[0] + 4_000_000

    @pytest.mark.parametrize("journal", ["sqlite"], indirect=True)
    def test_module_writes_export_in_process_of_its_own(self, sim, journal, some, tmp_path):
        given = sim.options(journal=journal, history=True, export="history.jsonl")
        result, code, dummy = run_module(tmp_path, module="vcc_journal_info", **given)
        assert (code, result["changed"]) == (0, True)
        assert len(lines(tmp_path / "history.jsonl")) == 3

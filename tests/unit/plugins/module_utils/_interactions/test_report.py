# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a task."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import socket
import tempfile
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    TIMEOUT,
    at_once,
    background,
    mode,
    snapshot,
    summary,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.helpers import (
    long_ids,
)

resource = pytest.importorskip("resource")

# A line of a report.
EARLIER = '{"external_id":"z","provider":null,"request_id":"r","state":"released","changed":true,"evidence":"api","message":""}\n'


class TestReport:
    @pytest.fixture
    def report(self, tmp_path):
        return tmp_path / "report.jsonl"

    def lines(self, report):
        return [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]

    def test_report_has_every_outcome(self, sim, task, report):
        task(external_id="p")
        sim.poison("c")
        result = task(external_ids=["a", "p", "c", "ü"], report=str(report))
        lines = self.lines(report)
        for line in lines:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line.pop("at"))
            trace = {name: line.pop(name) for name in ("run_id", "reason", "job_id")}
            assert trace == {"run_id": result["run_id"], "reason": None, "job_id": None}
        assert sorted(lines, key=str) == sorted(result["interactions"], key=str)
        assert '"ü"' in report.read_text(encoding="utf-8")

    def test_report_has_unlisted_interactions(self, sim, task, report):
        ids = [f"{number}" for number in range(1100)]
        sim.poison("7")
        result = task(external_ids=ids, report=str(report))
        lines = self.lines(report)
        assert len(result["interactions"]) == 1
        assert sorted(int(entry["external_id"]) for entry in lines) == list(range(1100))
        assert [entry["external_id"] for entry in lines if entry["state"] == "failed"] == ["7"]

    def test_report_has_unsent_interactions(self, task, report):
        task(external_ids=["a", "b"], client_secret="wr0ng", report=str(report))
        assert [(entry["external_id"], entry["state"]) for entry in self.lines(report)] == [
            ("a", "failed"),
            ("b", "failed"),
        ]

    def test_report_is_private(self, task, report, open_umask):
        task(external_id="a", report=str(report))
        assert oct(mode(report)) == "0o600"

    def test_next_run_replaces_report(self, task, report):
        for name in "ab":
            task(external_id=name, report=str(report))
        assert [entry["external_id"] for entry in self.lines(report)] == ["b"]

    def test_report_is_written_as_calls_end(self, sim, task, report):
        hold = sim.fault("hold", after=1)
        ids = long_ids(150)
        with background(lambda: task(external_ids=ids, report=str(report))) as results:
            assert hold.entered.wait(TIMEOUT)
            so_far = [entry["external_id"] for entry in self.lines(report)]
            hold.release()
        assert so_far == sim.released[: len(so_far)] == ids[: sim.invoke_calls[0]["interactions"]]
        assert len(self.lines(report)) == 150
        assert results[0]["changed"]

    def test_check_mode_makes_no_report(self, task, report):
        task(external_id="a", report=str(report), check=True)
        assert not report.exists()

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize("link", [None, "symlink_to", "hardlink"])
    def test_report_does_not_replace_source(self, sim, task, tmp_path, check, link):
        src = tmp_path / "ids.txt"
        src.write_text("a\nb\n")
        report = tmp_path / "report.jsonl" if link else src
        if link == "symlink_to":
            report.symlink_to(src)
        elif link:
            os.link(src, report)
        result = task(src=str(src), report=str(report), check=check)
        assert "report is the same file as src" in result["msg"]
        assert src.read_text() == "a\nb\n"
        assert sim.calls == []

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize("option", ["journal", "token_cache", "ca_path"])
    def test_report_does_not_replace_other_file_of_task(self, sim, task, tmp_path, option, check):
        path = tmp_path / "precious"
        path.write_text("precious")
        result = task(external_id="a", report=str(path), check=check, **{option: str(path)})
        assert f"report is the same file as {option}" in result["msg"]
        assert path.read_text() == "precious"
        assert sim.calls == []

    def test_report_must_not_be_path_of_new_journal(self, sim, task, tmp_path):
        result = task(external_id="a", report=str(tmp_path / "new"), journal=str(tmp_path / "x" / ".." / "new"))
        assert "report is the same file as journal" in result["msg"]
        assert sim.calls == []

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize("name", ["none/report.jsonl", "file/report.jsonl", "folder"])
    def test_report_must_be_writable_before_any_call(self, sim, task, tmp_path, name, check):
        (tmp_path / "file").touch()
        (tmp_path / "folder").mkdir()
        path = tmp_path / name
        result = task(external_id="a", report=str(path), check=check)
        assert result["msg"].startswith(f"report {path} cannot be written on the host that runs the task (")
        assert sim.calls == []

    @pytest.mark.parametrize("there", [False, True])
    def test_check_mode_reports_missing_permission(self, tmp_path, there):
        """The report runs as a user who is not root, and neither makes nor empties a file."""
        user = os.geteuid() or 65534
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "report.jsonl")
            if there:
                report.write_text("before")
                os.chown(report, user, -1)
                report.chmod(0o400)
            os.chown(folder, user, -1)
            os.chmod(folder, 0o500)
            before = snapshot(Path(folder))
            outputs = [at_once(1, REPORTING, report, user, predict)[0] for predict in (True, False)]
            assert snapshot(Path(folder)) == before
            os.chmod(folder, 0o700)
        said = f"report {report} cannot be written on the host that runs the task (Permission denied).\n"
        assert outputs == [said] * 2

    def test_check_mode_leaves_report_unchanged(self, task, report):
        report.write_text(EARLIER)
        before = snapshot(report.parent)
        assert "failed" not in task(external_id="a", report=str(report), check=True)
        assert snapshot(report.parent) == before

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            ("link", "it is a symbolic link"),
            ("dangling", "it is a symbolic link"),
            ("hard", "it has a second hard link"),
            ("fifo", "it is not a regular file"),
            ("socket", "it is not a regular file"),
            ("null", "it is not a regular file"),
            pytest.param(
                "stranger",
                "it belongs to another user",
                marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away"),
            ),
        ],
    )
    def test_report_must_be_regular_file_of_user(self, sim, task, report, tmp_path, kind, said, check):
        target = tmp_path / "target"
        if kind != "dangling":
            target.write_text("precious")
        if kind in ("link", "dangling"):
            report.symlink_to(target)
        elif kind == "hard":
            os.link(target, report)
        elif kind == "fifo":
            os.mkfifo(report)
        elif kind == "socket":
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
                server.bind(str(report))
        elif kind == "null":
            report = Path("/dev/null")
        else:
            report.touch()
            os.chown(report, 12345, -1)
        result = task(external_id="a", report=str(report), check=check)
        assert result["msg"].startswith(f"report {report} cannot be written on the host that runs the task ({said}): ")
        assert sim.calls == []
        assert target.exists() is (kind != "dangling")
        assert kind == "dangling" or target.read_text() == "precious"

    @pytest.mark.parametrize("before", [0o666, 0o644])
    def test_report_becomes_private(self, task, report, before):
        report.write_text(EARLIER)
        report.chmod(before)
        task(external_id="a", report=str(report))
        assert oct(mode(report)) == "0o600"
        assert [entry["external_id"] for entry in self.lines(report)] == ["a"]

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize(
        "content", [b"k1\nk2\n", b"SQLite format 3\0", b'{"external_id":"a"}\n{"external_id":"b"}\n', b"{"]
    )
    def test_other_file_is_not_replaced(self, sim, task, report, content, check):
        report.write_bytes(content)
        result = task(external_id="a", report=str(report), check=check)
        assert (
            "it already has other content, which the task does not replace): set report to another path"
            in result["msg"]
        )
        assert report.read_bytes() == content
        assert sim.calls == []

    @pytest.mark.parametrize("content", ["", EARLIER, EARLIER[:20], EARLIER * 2 + EARLIER[:5]])
    def test_earlier_report_is_replaced(self, task, report, content):
        report.write_text(content)
        task(external_id="a", report=str(report))
        assert [entry["external_id"] for entry in self.lines(report)] == ["a"]

    @pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
    def test_full_disk_under_report_does_not_stop_task(self, sim, task, report):
        """A limit on the size of files stands for the full disk. The provider's name is in each line, and in the journal once."""
        given = {"external_ids": [str(number) for number in range(400)], "provider": "p" * 1000}
        sim.register(given["provider"])
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, before[1]))
        try:
            result = task(**given, report=str(report))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        gc.collect()  # the remains of the file must not warn either
        assert result["failed"]
        assert result["msg"].startswith(f"The report {report} is not complete (File too large)")
        assert summary(result) == {"requested": 400, "released": 400}
        assert not task(**given)["changed"]


REPORTING = """
import os
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.report import Report
together()
path, user, predict = sys.argv[1:]
if os.geteuid() == 0:
    os.setuid(int(user))
try:
    Report(path, predict == "True")
except InputError as exc:
    print(exc)
"""

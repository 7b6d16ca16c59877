# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CI fails if one of its parts fails, and the table at the end lists skipped sessions and tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAKE = """#!/bin/sh
echo "made $1 in CI=$CI"
[ "$1" != "$FAILS" ]
"""


@pytest.mark.parametrize("fails", ["demo", "test", "check", None])
def test_ci_runs_every_part_and_fails_if_one_fails(tmp_path, fails):
    """Replace make by a script that fails for one target."""
    (tmp_path / "make").write_text(MAKE)
    (tmp_path / "make").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "FAILS": fails or "none"}
    done = subprocess.run(["bash", ROOT / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False)
    assert re.findall(r"^made (\w+) in CI=true$", done.stdout, re.MULTILINE) == ["demo", "test", "check"]
    rows = dict(re.findall(r"^make (\w+) +(\w+) +in +\d+ s$", done.stdout, re.MULTILINE))
    assert rows == {part: "FAILED" if part == fails else "passed" for part in ("demo", "test", "check")}
    assert done.stdout.splitlines()[-1] == ("2 passed, 1 failed" if fails else "3 passed, 0 failed")
    assert (done.returncode == 0) is (fails is None)


def summary(report):
    command = [sys.executable, ROOT / "tests" / "tools" / "summary.py", "--in-venv", report]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_summary_lists_results_and_skipped_tests(tmp_path):
    sessions = [
        {"name": "units", "result": "success", "duration": 3.2, "reason": None},
        {"name": "rulebook", "result": "skipped", "duration": 0.0, "reason": "no Java"},
        {"name": "runner-2.16", "result": "success", "duration": 4.0, "reason": None},
    ]
    (tmp_path / "test.json").write_text(json.dumps({"sessions": sessions}))
    (tmp_path / "skipped").mkdir()
    (tmp_path / "skipped" / "units.xml").write_text(
        '<testsuites><testsuite><testcase name="test_a"/>'
        '<testcase name="test_b"><skipped message="no small disk"/></testcase>'
        '<testcase name="test_c"><skipped message="no server"/></testcase>'
        '<testcase name="test_d"><skipped message="no server"/></testcase></testsuite></testsuites>'
    )
    lines = summary(tmp_path / "test.json")
    assert re.fullmatch(r"units +2\.\d+ +3\.\d+ +success in 3 s", lines[2])
    assert re.fullmatch(r"rulebook +2\.\d+ +3\.\d+ +not run: no Java", lines[3])
    assert re.fullmatch(r"runner +2\.16 +3\.\d+ +success in 4 s", lines[4])
    assert lines[5:7] == ["units: test_b: not run: no small disk", "units: 2 tests: not run: no server"]
    assert lines[7:] == ["", "2 passed, 0 failed, 1 skipped, in 7 s"]


def test_summary_counts_missing_report_as_failure(tmp_path):
    assert summary(tmp_path / "test.json")[-1] == "0 passed, 1 failed, in 0 s"

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress that a real ansible-playbook shows, and its last line after an interruption."""

from __future__ import annotations

import contextlib
import re
import signal

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import TIMEOUT, python
from ansible_collections.vonage.vcc.tests.unit.plugins.plugin_utils.helpers import Playbook

# About ninety fit into one call, so these need three calls.
IDS = [f"{number:05d}{'x' * 1000}" for number in range(250)]


@pytest.fixture
def playbook(sim, tmp_path):
    made = Playbook(tmp_path, sim.environment(tmp_path))
    yield made
    made.kill()


@pytest.fixture
def given(sim, listed):
    """Return the options of a task that releases all."""
    sim.dispatch(*IDS)
    return {"src": listed(IDS), "calls_in_flight": 1}


def test_task_shows_progress_on_standard_error(sim, playbook, given):
    hold = sim.fault("hold", after=1)
    playbook.start_task(**given)
    assert hold.entered.wait(TIMEOUT)
    line = playbook.wait_for(" 2 calls")
    assert line.startswith("91 of 250 done, 0 failed, 0 unknown, 2 calls, ")
    assert line.endswith(" left.")
    hold.release()
    assert playbook.end() == 0
    assert "vcc_interaction [" not in playbook.output()
    assert "changed=1 " in playbook.output()


def test_lines_come_less_and_less_often(sim, playbook, given):
    hold = sim.fault("hold")
    playbook.start_task(**given, first=0.2, longest=TIMEOUT)
    assert hold.entered.wait(TIMEOUT)
    playbook.wait_for("0 of 250 done")
    hold.release()
    assert playbook.end() == 0
    assert 1 <= len(playbook.lines()) < 8


def test_short_task_shows_nothing(sim, playbook, given):
    playbook.start_task(**given, first=10, longest=60)
    assert playbook.end() == 0
    assert playbook.lines() == []


def test_line_names_429_as_reason_of_wait(sim, playbook, given):
    sim.fault("status", status=429, retry_after=2, after=1)
    playbook.start_task(**given)
    assert playbook.wait_for("VCC answers 429, waiting ").startswith("91 of 250 done, 0 failed, 0 unknown, 2 calls, ")
    assert playbook.end() == 0


INTERRUPTIONS = {
    "SIGINT": (signal.SIGINT, False),
    "Ctrl+C": (signal.SIGINT, True),
    "SIGTERM": (signal.SIGTERM, False),
    "SIGTERM to all": (signal.SIGTERM, True),
    "SIGKILL": (signal.SIGKILL, False),
}


@pytest.mark.parametrize("how", INTERRUPTIONS)
def test_last_line_counts_done_interactions_and_next_run_sends_others(sim, playbook, given, tmp_path, how):
    hold = sim.fault("hold", after=2)
    playbook.start_task(**given)
    assert hold.entered.wait(TIMEOUT)
    playbook.wait_for("182 of 250 done")
    playbook.send(*INTERRUPTIONS[how])
    assert playbook.end() in (99, -signal.SIGTERM, -signal.SIGKILL)
    hold.release()
    journal = tmp_path / "elsewhere.db"
    assert playbook.lines()[-1] == (
        "interrupted: 182 of 250 done, 0 failed, 0 unknown, 3 calls;"
        f" run the task again with the journal {journal} within 24 h: it sends only the interactions that are left."
    )
    assert sum(line.startswith("interrupted") for line in playbook.lines()) == 1

    playbook.start_task({"register": "again"}, **given)
    assert playbook.end() == 0
    assert sorted(sim.released) == IDS
    assert [each["external_id"] for each in sim.ignored] == IDS[182:]


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_journal_shows_running_task_and_last_line_names_journal(request, sim, playbook, given, tmp_path, backend):
    journal = str(tmp_path / "kept.db")
    if backend == "postgresql":
        journal = request.getfixturevalue("postgresql_url")
    hold = sim.fault("hold", after=2)
    playbook.start_task(**given, journal=journal)
    assert hold.entered.wait(TIMEOUT)
    with contextlib.closing(JournalMaintenance(journal, dry_run=True, show_only=True)) as opened:
        counts = opened.counts()
        assert (counts["released"], counts["pending"]) == (182, 68)
        assert opened.entries(page_size=1)[1:] == (250, 182)
        location = opened.description()["location"]
    playbook.wait_for("182 of 250 done")
    playbook.send(signal.SIGTERM, to_group=True)
    playbook.end()
    hold.release()
    assert f" run the task again with the journal {location} within 24 h: " in playbook.lines()[-1]

    playbook.start_task(**given, journal=journal)
    assert playbook.end() == 0
    assert sorted(sim.released) == IDS


TWICE = """
import os
import time
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.progress import Progress
from ansible_collections.vonage.vcc.plugins.plugin_utils._progress_display import ProgressDisplay
class Slow(Progress):
    def last_line(self):
        os.write(1, b"words\\n")  # the signal may interrupt a print, which cannot be entered again
        input()
        return super().last_line()
with ProgressDisplay(Slow(), "task"):
    print("ready", flush=True)
    time.sleep(600)
"""


def test_second_signal_does_not_cut_the_last_line_off():
    """Ansible sends SIGTERM immediately after SIGINT."""
    with python(TWICE) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.stdout.readline() == "words\n"
        process.terminate()
        output, errors = process.communicate("\n", timeout=TIMEOUT)
        assert (output, errors) == ("", "task: interrupted before its first call: it has sent nothing.\n")
        assert process.returncode == -signal.SIGTERM


def test_timeout_of_task_shows_last_line(sim, playbook, given):
    """The timeout comes during the second call or, on a slow machine, during the first one."""
    hold = sim.fault("hold", after=1)
    playbook.start_task({"timeout": 4}, **given)
    playbook.wait_for("interrupted: ")
    assert playbook.end() == 2
    hold.release()
    (line,) = [line for line in playbook.lines() if "interrupted" in line]
    assert re.fullmatch(r"interrupted: (0|91) of 250 done, 0 failed, 0 unknown, . calls?; run the task again .*", line)
    assert line == playbook.lines()[-1]


@pytest.mark.parametrize("how", ["option", "variable", "module"])
def test_no_line_is_shown_if_progress_is_off(sim, given, tmp_path, how):
    """A module cannot show lines. The task runs as a module if it has an environment of its own."""
    environment = {**sim.environment(tmp_path), **({"VCC_PROGRESS": "false"} if how == "variable" else {})}
    playbook = Playbook(tmp_path, environment)
    hold = sim.fault("hold", after=1)
    try:
        keywords = {"environment": {"LANG": "C"}} if how == "module" else {}
        playbook.start_task(keywords, **given, **({"progress": False} if how == "option" else {}), first=0.01)
        assert hold.entered.wait(TIMEOUT)
        playbook.send(signal.SIGTERM, True)
        playbook.end()
        assert playbook.lines() == []
    finally:
        hold.release()
        playbook.kill()


@pytest.mark.parametrize(("value", "count"), [("false", 0), ("", 1)])
def test_variable_of_a_playbook_switches_progress_off(sim, playbook, given, value, count):
    hold = sim.fault("hold")
    arguments = ["-e", f"vcc_src={given['src']}", "-e", f"vcc_progress={value}"]
    playbook.start("vonage.vcc.release_interactions", *arguments, first=10, longest=60)
    assert hold.entered.wait(TIMEOUT)
    playbook.send(signal.SIGTERM, True)
    playbook.end()
    hold.release()
    assert len(playbook.lines()) == count

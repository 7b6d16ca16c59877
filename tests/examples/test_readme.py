# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run every example of the README with the installed collection; test_documents.py checks the make commands."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from urllib.parse import quote

import pytest
import yaml

from ansible_collections.vonage.vcc.tests.examples.documents import (
    PLAYBOOKS,
    README,
    ROOT,
    example_with,
    head_commands,
    markdown_examples,
    playbook_rows,
    read,
)

BLOCKS = markdown_examples(README)
CONSOLE = [block for block in BLOCKS if block.language == "console" and not block.text.startswith("$ make ")]
YAML = [block for block in BLOCKS if block.language == "yaml"]
CASES = ("case-4711", "case-4712")


def test_every_block_is_covered():
    assert {block.language for block in BLOCKS} == {"console", "yaml"}
    assert len(CONSOLE) == 4
    assert len(YAML) == 4


def test_install(installed):
    """The fixture runs the commands of the example."""
    assert "vonage.vcc" in installed.run("ansible-galaxy collection list")


def test_commands_in_simulator_shell(home, simulator):
    """Run the commands in the checkout, in a shell with its own simulator; `make demo` prints the same commands."""
    start, tasks = (example_with(words, CONSOLE).commands for words in ("tests.simulator", "state=dispatched"))
    printed = home.run("\n".join([*start, *tasks]), cwd=ROOT)
    assert printed.count("localhost | CHANGED") == 2
    assert printed.index('"dispatched": 1') < printed.index('"released": 1')
    assert simulator.calls == []
    shown = re.findall(r"^\t\t'    (.*?)'", read(ROOT / "Makefile"), re.MULTILINE)
    assert shown == "\n".join([*start, *tasks]).splitlines()


def test_first_playbook(home, effects):
    plays = yaml.safe_load(example_with("closed cases\n", YAML).text)
    assert "changed=1 " in home.play(plays)
    assert effects() == [("release", case) for case in CASES]
    assert "changed=0 " in home.play(plays)


def test_check_mode_with_diff(home, effects):
    printed = home.play(yaml.safe_load(example_with("closed cases\n", YAML).text), "--check --diff")
    assert "+case-4711: released\n" in printed
    assert effects() == []


def test_ad_hoc_command(home, simulator, effects):
    del home.environment["VCC_CLIENT_ID"], home.environment["VCC_CLIENT_SECRET"]
    assert "localhost | CHANGED" in home.run("\n".join(example_with("export VCC_REGION", CONSOLE).commands))
    assert effects() == [("release", "case-4711")]


def test_step_of_a_pipeline(home, effects):
    """Run the step as GitLab does: with folded command lines, and variables of the step and the project."""
    (step,) = yaml.safe_load(example_with("script:", YAML).text).values()
    project = {"CI_PROJECT_DIR": str(home.work)}
    variables = {name: value.replace("$CI_PROJECT_DIR", str(home.work)) for name, value in step["variables"].items()}
    home.write({"closed-cases.txt": "case-1\ncase-2\n"})
    for changed in (1, 0):
        assert f"changed={changed} " in home.run("\n".join(step["script"]), **project, **variables)
        assert effects() == [("release", "case-1"), ("release", "case-2")]
    (artifact,) = step["artifacts"]["paths"]
    assert len((home.work / artifact).read_text().splitlines()) == 2
    (cached,) = step["cache"]["paths"]
    assert (home.work / cached / "journal.db").exists()


def test_set_of_interactions(home, effects):
    (play,) = yaml.safe_load(example_with("Dispatch a set", YAML).text)
    dispatch, release = play["tasks"]
    once = [("dispatch", "ticket-1"), ("dispatch", "ticket-2")]
    for changed in (1, 0):
        assert f"changed={changed} " in home.play([{**play, "tasks": [dispatch]}])
        assert effects() == once
    once += [("release", "ticket-1"), ("release", "ticket-2")]
    for changed in (1, 0):
        assert f"changed={changed} " in home.play([{**play, "tasks": [release]}])
        assert effects() == once
    assert "changed=2 " in home.play([play])
    assert effects() == once + once


def test_pruning(home):
    """Prune forgets the one of two interactions that was released 31 days ago."""
    for external_id in ("case-1", "case-2"):
        home.run_tasks([{"vonage.vcc.vcc_interaction": {"external_id": external_id}}])
    past = 31 * 24 * 60 * 60
    age = f"UPDATE interaction SET asked = asked - {past}, accepted = accepted - {past} WHERE external_id = 'case-1'"
    path = home.folder / ".ansible" / "vonage_vcc" / "journal.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as journal:
        assert journal.execute(age).rowcount == 1
    tasks = yaml.safe_load(example_with("older_than", YAML).text)
    assert "changed=1 " in home.run_tasks(tasks)
    assert "changed=0 " in home.run_tasks(tasks)


# Playbooks by name with the arguments of the README, and the commands in the comment at the head of each.
ROWS = playbook_rows()
COMMANDS = [
    f"ansible-playbook vonage.vcc.{name} {arguments}" for name, examples in ROWS.items() for arguments in examples
]
COMMANDS += [command for path in PLAYBOOKS for command in head_commands(path)]
NOTIFICATION = {"notification": "Release", "objectid": "case-1", "notificationid": "n-1", "params": {}}


def test_every_playbook_has_an_example():
    assert {name for name in ROWS if not ROWS[name]} == {"demo", "note_notifications"}
    assert {path.stem for path in PLAYBOOKS if not head_commands(path)} == {"demo", "note_notifications"}


@pytest.mark.parametrize("command", COMMANDS)
def test_playbook(home, simulator, command):
    home.write(
        {
            "closed-cases.txt": "case-1\ncase-2\n",
            "waiting.txt": "case-1\ncase-2\n",
            "interactions.csv": "external_id\ncase-1\n",
            "interactions.yml": json.dumps(
                {"vcc_interactions": [{"external_id": "case-1"}, {"external_id": "case-2"}]}
            ),
        }
    )
    assert "changed=1 " in home.run(command)
    assert [call["status"] for call in simulator.calls] == [200, 200]
    # The second run finds the journal in the home folder.
    assert "changed=0 " in home.run(command)
    assert len(simulator.calls) == 2


def test_playbook_for_notifications(home):
    posted = quote(json.dumps([NOTIFICATION]))
    assert "changed=1 " in home.run(f"ansible-playbook vonage.vcc.note_notifications -e vcc_notifications={posted}")

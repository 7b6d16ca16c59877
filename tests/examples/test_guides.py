# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the examples of the guides with the installed collection; test_plugins.py and test_postgresql.py run those of other guides."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3

import pytest
import yaml

from ansible_collections.vonage.vcc.tests.examples.documents import (
    GUIDES,
    MODULES,
    README,
    ROOT,
    example_with,
    markdown_examples,
    playbook_commands,
    read,
    rst_examples,
)

GUIDE = {path.stem.removeprefix("guide_"): path for path in GUIDES}

# The languages of the blocks of each guide that is tested here.
BLOCKS = {
    "introduction": "yaml",
    "installation": "console yaml yaml console yaml",
    "first_release": "console console text console",
    "releases": "yaml text yaml console text text console",
    "dispatches": "yaml yaml",
    "pipelines": "yaml",
    "journal": "console yaml",
    "playbooks": "console console console console console console",
}


def example_of(name, words):
    """Return the only example of a guide that contains these words."""
    return example_with(words, rst_examples(GUIDE[name]))


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block_is_covered(name):
    assert " ".join(example.language for example in rst_examples(GUIDE[name])) == BLOCKS[name]


def test_introduction(home, effects):
    plays = yaml.safe_load(example_of("introduction", "closed cases").text)
    assert "changed=1 " in home.play(plays)
    assert effects() == [("release", "case-4711"), ("release", "case-4712")]


class TestInstallation:
    def test_commands(self, installed):
        """The commands of a new virtual environment need a package index, so only the others run here."""
        *new, build, install, show = example_of("installation", "-m venv").commands
        assert [command.split()[0] for command in new] == ["python3", ".", "pip"]
        assert [build, install] == example_with("collection install", markdown_examples(README)).commands[:2]
        printed = installed.run(show)
        assert [module for module in MODULES if f"vonage.vcc.{module} " not in printed] == []

    def test_vault(self, home, effects):
        """The password comes from a file in place of the terminal."""
        password = home.folder / "password"
        password.write_text("secret")
        home.environment["ANSIBLE_VAULT_PASSWORD_FILE"] = str(password)
        del home.environment["VCC_CLIENT_ID"], home.environment["VCC_CLIENT_SECRET"]
        encrypt, run = example_of("installation", "ansible-vault encrypt").commands
        secrets = re.sub(
            r"the-\w+-of-the-api-client", '"..."', example_of("installation", "vault_vcc_client_id: ").text
        )
        home.write({"vault.yml": secrets, "release.yml": example_of("installation", "vars_files:").text})
        home.run(encrypt)
        assert (home.work / "vault.yml").read_text().startswith("$ANSIBLE_VAULT;")
        assert "changed=1 " in home.run(run.replace("--ask-vault-pass ", ""))
        assert effects() == [("release", "case-4711"), ("release", "case-4712")]

    def test_interpreter(self, home):
        variables = yaml.safe_load(example_of("installation", "ansible_python_interpreter").text)
        home.write({"inventory.yml": json.dumps({"all": {"hosts": {"localhost": variables}}})})
        assert "localhost | SUCCESS" in home.run("ansible localhost -c local -i inventory.yml -m ansible.builtin.ping")


class TestFirstRelease:
    def test_shell_of_the_simulator(self, home, simulator):
        """Run the commands in the checkout, in a shell with its own simulator; `make demo` prints the same commands."""
        commands = example_of("first_release", "tests.simulator").commands
        printed = home.run("\n".join(commands), cwd=ROOT)
        assert printed.count("localhost | CHANGED") == 2
        assert printed.count("localhost | SUCCESS") == 1
        assert printed.index('"dispatched": 1') < printed.index('"released": 1') < printed.index('"unchanged": 1')
        assert lines(example_of("first_release", "summary").text) in lines(printed)
        assert simulator.calls == []
        shown = "\n".join(re.findall(r"^\t\t'    (.*?)'", read(ROOT / "Makefile"), re.MULTILINE))
        assert re.sub(r" \\\n +", " ", shown).splitlines() == commands[:3]

    def test_account(self, home, simulator, effects):
        del home.environment["VCC_CLIENT_ID"], home.environment["VCC_CLIENT_SECRET"]
        *before, release = example_of("first_release", "VCC_CLIENT_SECRET").commands
        assert "+case-4711: released" in home.run("\n".join(before))
        assert simulator.calls == []
        home.run("\n".join([before[0], release]))
        assert len(simulator.calls) == 2
        assert effects() == [("release", "case-4711")]


def lines(text):
    """Return a text without the blanks at the beginnings of its lines."""
    return "\n".join(map(str.strip, text.strip().splitlines()))


class TestReleases:
    def test_check_mode_with_diff(self, home, effects):
        plays = yaml.safe_load(example_of("releases", "closed cases").text)
        assert example_of("releases", "+case-4711").text in home.play(plays, "--check --diff")
        assert effects() == []
        assert "changed=1 " in home.play(plays)
        assert "--- before" not in home.play(plays, "--check --diff")

    def test_file(self, home, effects):
        home.write({"closed-cases.txt": "case-1\ncase-2\n"})
        assert "changed=1 " in home.play(yaml.safe_load(example_of("releases", "of a file").text))
        assert effects() == [("release", "case-1"), ("release", "case-2")]
        assert len((home.work / "released.jsonl").read_text().splitlines()) == 2

    def test_summary(self, home):
        home.run("ansible localhost -m vonage.vcc.vcc_interaction -a external_id=case-1")
        home.write({"closed-cases.txt": "case-1\ncase-2\ncase-3\n"})
        (command,) = example_of("releases", "release_interactions").commands
        assert command in playbook_commands()
        assert example_of("releases", "3 requested").text.strip() in home.run(command)

    def test_failed_task(self, home, simulator):
        simulator.poison("case-9")
        ids = json.dumps({"external_ids": ["case-8", "case-9"]})
        printed = home.run(f"ansible localhost -m vonage.vcc.vcc_interaction -a '{ids}' || true")
        assert example_of("releases", "Of 2 interactions").text.strip() in printed

    def test_drained_route(self):
        assert set(example_of("releases", "drain_route").commands) <= set(playbook_commands())


def test_set_of_interactions(home, effects):
    (play,) = yaml.safe_load(example_of("dispatches", "Dispatch a set").text)
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


def test_dispatch_with_key(home, effects):
    """Without a journal in common, the second run sends the same request ids."""
    plays = yaml.safe_load(example_of("dispatches", "idempotency_key").text)
    for dummy in range(2):
        assert "changed=1 " in home.play(plays)
        (home.folder / ".ansible" / "vonage_vcc" / "journal.db").unlink()
    assert effects() == [("dispatch", "ticket-1"), ("dispatch", "ticket-2")]


def test_step_of_a_pipeline(home, effects):
    """Run the step as GitLab does: with folded command lines, and variables of the step and the project."""
    (step,) = yaml.safe_load(example_of("pipelines", "script:").text).values()
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


def test_look_into_the_journal(home):
    home.run("ansible localhost -m vonage.vcc.vcc_interaction -a external_id=case-4711")
    (command,) = example_of("journal", "vcc_journal_info").commands
    assert '"external_id": "case-4711"' in home.run(command)


def test_pruning(home):
    """Prune forgets the one of two interactions that was released 31 days ago."""
    for external_id in ("case-1", "case-2"):
        home.run_tasks([{"vonage.vcc.vcc_interaction": {"external_id": external_id}}])
    past = 31 * 24 * 60 * 60
    age = f"UPDATE interaction SET asked = asked - {past}, accepted = accepted - {past} WHERE external_id = 'case-1'"
    path = home.folder / ".ansible" / "vonage_vcc" / "journal.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as journal:
        assert journal.execute(age).rowcount == 1
    tasks = yaml.safe_load(example_of("journal", "older_than").text)
    assert "changed=1 " in home.run_tasks(tasks)
    assert "changed=0 " in home.run_tasks(tasks)


REPORTS = example_of("playbooks", "report_run").commands


@pytest.mark.parametrize("command", REPORTS)
def test_page_of_a_run(home, command):
    """Show the run of a task, with its own id in place of that of the example."""
    assert set(example_of("audit", "report_run").commands) <= set(REPORTS)
    printed = home.run("ansible localhost -m vonage.vcc.vcc_interaction -a external_id=case-4711")
    (run_id,) = re.findall(r'"run_id": "([0-9a-f]{32})"', printed)
    command = re.sub(r"(?<=vcc_run_id=).*", run_id, command)
    for changed in (1, 0):
        assert f"changed={changed} " in home.run(command)
    assert run_id in (home.work / "run.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [command for command in playbook_commands() if command not in REPORTS])
def test_playbook(home, simulator, command):
    home.write(
        {
            "closed-cases.txt": "case-1\ncase-2\n",
            "waiting.txt": "case-1\ncase-2\n",
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

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the playbooks, in real runs of ansible-playbook in a folder with a backslash in its name."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys

import pytest
import yaml

from ansible_collections.vonage.vcc.plugins.module_utils import _options
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import COLLECTION, TIMEOUT, journal_rows

CONNECTION = [f"vcc_{name}" for name in _options.CONNECTION_SPEC]
SHARED = ["vcc_hosts", "vcc_provider", "vcc_force", "vcc_journal"]
RELEASE = [*SHARED, "vcc_journal_ttl", "vcc_report", "vcc_idempotency_key", "vcc_plan_digest", "vcc_reason"]

# For each playbook: variables with which it works, and its other variables.
PLAYBOOKS = {
    "dispatch_interaction": (
        {"vcc_route": "sales", "vcc_external_id": "a"},
        [*RELEASE, "vcc_interactions", "vcc_linked_data", "vcc_routing_data", "vcc_request_id"],
    ),
    "release_interaction": ({"vcc_external_id": "b"}, [*RELEASE, "vcc_request_id"]),
    "release_interactions": ({"vcc_src": "ids.txt"}, [*RELEASE, "vcc_external_ids"]),
    "drain_route": ({"vcc_external_ids": ["e"]}, [*RELEASE, "vcc_src", "vcc_limit", "vcc_queue", "vcc_confirm"]),
    "register_provider": (
        {"vcc_provider": "crm"},
        ["vcc_hosts", "vcc_endpoint", "vcc_headers", "vcc_agent_actions_permitted", "vcc_force", "vcc_journal"],
    ),
    "report_run": ({"vcc_html": "run.html"}, ["vcc_hosts", "vcc_run_id", "vcc_journal"]),
}


@pytest.fixture
def place(tmp_path):
    """The folder in which ansible-playbook is started."""
    folder = tmp_path / r"with \1 in it"
    folder.mkdir()
    (folder / "ids.txt").write_text("c\nd\n")
    return folder


@pytest.fixture
def play(sim, place, tmp_path):
    """Runs playbooks of the collection one after the other in one process. Returns its exit status and all that it printed."""

    def run(*plays, env=None):
        playbook = tmp_path / "playbook.yml"
        listed = [{"ansible.builtin.import_playbook": f"vonage.vcc.{name}", "vars": given} for name, given in plays]
        playbook.write_text(yaml.safe_dump(listed))
        environment = {
            **os.environ,
            **sim.environment(tmp_path),
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            **(env or {}),
        }
        process = subprocess.run(
            [sys.executable, "-m", "ansible.cli.playbook", str(playbook)],
            env=environment,
            cwd=place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        return process.returncode, process.stdout + process.stderr

    return run


def blanks(names, shift):
    """Return variables that are empty and null, in turn."""
    return {name: ("", None)[(index + shift) % 2] for index, name in enumerate([*names, *CONNECTION])}


def test_empty_or_null_variable_is_not_set(sim, play, place, tmp_path):
    plays = [
        (name, {**blanks(others, shift), **works}) for shift in (0, 1) for name, (works, others) in PLAYBOOKS.items()
    ]
    code, printed = play(*plays)
    assert code == 0, printed
    # The second run finds the result of the first in the journal of the environment.
    effects = [(one["action"], one["external_id"]) for one in sim.effects]
    assert effects == [("dispatch", "a"), *(("release", one) for one in "bcde")]
    assert set(journal_rows(tmp_path / "elsewhere.db")) == set("abcde")
    assert {path.name for path in place.iterdir()} == {"ids.txt", "run.html"}
    assert "None" not in {path.name for path in COLLECTION.rglob("playbooks/*")}


def test_playbooks_record_reason_and_job(play, tmp_path, monkeypatch):
    """Each playbook gives its reason and its job to the journal, and passes on the id of its run."""
    monkeypatch.setenv("JOB_ID", "4711")
    monkeypatch.setenv("ANSIBLE_SHOW_CUSTOM_STATS", "true")
    names = ["dispatch_interaction", "release_interaction", "release_interactions", "drain_route"]
    passed_on = {}
    for name in names:
        code, printed = play((name, {**PLAYBOOKS[name][0], "vcc_reason": f"007 {{x}} of {name}"}))
        assert code == 0, printed
        (passed_on[name],) = re.findall(r'"run_id": ?"([0-9a-f]{32})"', printed)
    with contextlib.closing(JournalMaintenance(str(tmp_path / "elsewhere.db"), dry_run=True)) as journal:
        found = journal.entries(history=True)[0]
    assert sorted(entry["external_id"] for entry in found) == list("abcde")
    assert {entry["job_id"] for entry in found} == {"4711"}
    assert {(entry["run_id"], entry["reason"]) for entry in found} == {
        (passed_on[name], f"007 {{x}} of {name}") for name in names
    }


def test_same_key_sends_same_request_ids(sim, play):
    """Without a journal, the second run of an operation sends the same request ids, and another operation sends others."""
    names = ["dispatch_interaction", "release_interaction", "release_interactions", "drain_route"]
    plays = {
        key: [(name, {**PLAYBOOKS[name][0], "vcc_journal": "none", "vcc_idempotency_key": key}) for name in names]
        for key in ("monday", "tuesday")
    }
    code, printed = play(*plays["monday"], *plays["monday"], *plays["tuesday"])
    assert code == 0, printed
    assert "This task has no journal" not in printed
    once = [("dispatch", "a"), ("release", "b"), ("release", "c"), ("release", "d"), ("release", "e")]
    assert [(one["action"], one["external_id"]) for one in sim.effects] == once * 2
    assert len(sim.invoke_calls) == 3 * len(names)


@pytest.mark.parametrize("key", ["True", "[1]", "{a}", "007"])
def test_idempotency_key_is_exact(sim, play, key):
    """The playbook derives the same request id from a variable as from the environment."""
    given = {"vcc_external_id": "a", "vcc_journal": "none"}
    variable = {**given, "vcc_idempotency_key": key}
    for play_given, environment in ((variable, {}), (given, {"VCC_IDEMPOTENCY_KEY": key})):
        code, printed = play(("release_interaction", play_given), env=environment)
        assert code == 0, printed
    assert (len(sim.effects), len(sim.ignored)) == (1, 1)


def test_zero_or_false_variable_is_set(sim, play, tmp_path):
    sim.fault("status", status=503, path="/interactions/Invoke")
    given = {
        "vcc_external_id": "a",
        "vcc_retries": 0,
        "vcc_validate_certs": False,
        "vcc_journal_ttl": 0,
        "vcc_force": False,
    }
    code, printed = play(("release_interaction", given))
    assert code != 0
    assert len(sim.invoke_calls) == 1
    assert "validate_certs is false" in printed


def test_relative_paths_begin_in_working_folder(sim, play, place, tmp_path):
    """Relative paths begin in the folder in which ansible-playbook was started. Others may begin with ~ or a variable."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "ids.txt").write_text("h\n")
    code, printed = play(
        (
            "release_interactions",
            {
                "vcc_src": "ids.txt",
                "vcc_report": "r.jsonl",
                "vcc_journal": "sub/journal.db",
                "vcc_token_cache": "tokens.json",
            },
        ),
        ("release_interactions", {"vcc_src": "$HOME/ids.txt", "vcc_report": "~/r.jsonl", "vcc_journal": "none"}),
        ("drain_route", {"vcc_src": "${HOME}/ids.txt", "vcc_report": "$HOME/d.jsonl", "vcc_journal": "None"}),
    )
    assert code == 0, printed
    assert sim.released == ["c", "d", "h", "h"]
    assert sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.suffix != ".lock") == [
        "ids.txt",
        "r.jsonl",
        "sub",
        "sub/journal.db",
        "tokens.json",
    ]
    assert {"r.jsonl", "d.jsonl"} <= {path.name for path in home.iterdir()}
    assert not (tmp_path / "elsewhere.db").exists()


def test_playbooks_keep_journal_at_url(sim, play, place, tmp_path, postgresql_server, postgresql_url):
    """Every playbook keeps its journal in the database of a URL; the second run finds the result of the first there."""
    plays = [(name, {**works, "vcc_journal": postgresql_url}) for name, (works, dummy) in PLAYBOOKS.items()]
    assert play(*plays)[0] == 0
    code, printed = play(*plays)
    assert code == 0, printed
    effects = [(one["action"], one["external_id"]) for one in sim.effects]
    assert effects == [("dispatch", "a"), *(("release", one) for one in "bcde")]
    database = postgresql_url.rpartition("/")[2].partition("?")[0]
    kept = postgresql_server.execute("SELECT external_id FROM vcc_journal.interaction", database=database)
    assert {external_id for (external_id,) in kept} == set("abcde")
    # The provider is registered once.
    assert [call["path"] for call in sim.calls].count("/interactions/Register") == 1
    assert {path.name for path in place.iterdir()} == {"ids.txt", "run.html"}
    assert not (tmp_path / "elsewhere.db").exists()


@pytest.mark.parametrize("name", ["register_provider", "release_interactions"])
def test_url_of_another_kind_is_refused(sim, play, place, name):
    code, printed = play((name, {**PLAYBOOKS[name][0], "vcc_journal": "mysql://vcc@db.example/vcc"}))
    assert code != 0
    assert "journal must be a path, or a URL such as postgresql://user@host/database" in " ".join(printed.split())
    assert sim.calls == []
    assert [path.name for path in place.iterdir()] == ["ids.txt"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"vcc_limit": "x"}, "vcc_limit must be a whole number"),
        ({"vcc_confirm": "x"}, "vcc_confirm true or false"),
        ({"vcc_limit": 0}, "1 interaction is left to release, and vcc_limit is 0"),
    ],
    ids=str,
)
def test_drain_refuses_wrong_variable_and_exceeded_limit(sim, play, given, said):
    code, printed = play(("drain_route", {"vcc_external_ids": ["a"], **given}))
    assert code != 0
    assert said in printed
    assert sim.released == []


def test_one_key_dispatches_once_without_a_journal(sim, play):
    """Containers that end with their jobs have no journal. The key comes from the variable or else from the environment."""
    given = {"vcc_route": "sales", "vcc_external_id": "a", "vcc_journal": "none"}
    for variables, env in (
        ({"vcc_idempotency_key": "CHG1"}, {}),
        ({}, {"VCC_IDEMPOTENCY_KEY": "CHG1"}),
        ({"vcc_idempotency_key": "CHG1"}, {"VCC_IDEMPOTENCY_KEY": "CHG2"}),
    ):
        code, printed = play(("dispatch_interaction", {**given, **variables}), env=env)
        assert code == 0, printed
    assert len(sim.invoke_calls) == 3
    assert len(sim.effects) == 1


@pytest.mark.parametrize(
    ("name", "given", "line"),
    [
        (
            "dispatch_interaction",
            {"vcc_route": "sales", "vcc_external_id": "a"},
            "1 requested: 1 dispatched, 0 unchanged, 0 failed, 0 unknown; API calls: 1",
        ),
        (
            "dispatch_interaction",
            {"vcc_route": "sales", "vcc_interactions": [{"external_id": "a"}, {"external_id": "bad"}]},
            "2 requested: 1 dispatched, 0 unchanged, 1 failed, 0 unknown; API calls: 3",
        ),
        (
            "release_interaction",
            {"vcc_external_id": "bad"},
            "1 requested: 0 released, 0 unchanged, 1 failed, 0 unknown; API calls: 1",
        ),
        (
            "release_interactions",
            {"vcc_external_ids": ["a", "b"]},
            "2 requested: 2 released, 0 unchanged, 0 failed, 0 unknown; API calls: 1",
        ),
        (
            "drain_route",
            {"vcc_external_ids": ["a", "bad"]},
            "2 requested: 1 released, 0 unchanged, 1 failed, 0 unknown; API calls: 3",
        ),
    ],
)
def test_job_ends_with_a_line_and_statistics_for_the_workflow(sim, play, name, given, line):
    sim.poison("bad")
    code, printed = play((name, given), env={"ANSIBLE_SHOW_CUSTOM_STATS": "true"})
    assert (code != 0) is ("bad" in str(given)), printed
    assert line in " ".join(printed.split())
    statistics = printed.split("CUSTOM STATS:")[1]
    found = dict(re.findall(r"['\"](\w+)['\"]: (\d+)", statistics))
    assert (found["requested"], found["failed"]) == (line[0], "1" if "1 failed" in line else "0")


@pytest.mark.parametrize("confirm", [{}, {"vcc_confirm": False}, {"vcc_confirm": "no"}], ids=str)
def test_drain_asks_only_if_vcc_confirm_is_true(sim, place, tmp_path, confirm):
    """On a pseudo-terminal, which AWX and ansible-runner give a job too."""
    sim.dispatch("a")
    command = [sys.executable, "-m", "ansible.cli.playbook", "vonage.vcc.drain_route"]
    command += ["-e", json.dumps({"vcc_external_ids": ["a"], **confirm})]
    environment = {**os.environ, **sim.environment(tmp_path), "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2])}
    main, terminal = pty.openpty()
    try:
        process = subprocess.Popen(
            command, env=environment, cwd=place, stdin=terminal, stdout=terminal, stderr=terminal
        )
        os.close(terminal)
        printed = b""
        with contextlib.suppress(OSError):  # the end of the terminal
            while part := os.read(main, 4096):
                printed += part
                assert b"Press Enter" not in printed
        assert process.wait(TIMEOUT) == 0, printed
    finally:
        process.kill()
        process.wait()
        os.close(main)
    assert sim.live() == []

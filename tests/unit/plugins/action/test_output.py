# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of ansible-playbook, if the action plugin or the module runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import COLLECTION, PYTHONPATH, TIMEOUT

# With an environment of its own, a task runs as a module.
WAYS = {"action": {}, "module": {"environment": {"A": "b"}}}
OWNED = "\x1b]0;owned\x07\x9b31m"


@pytest.fixture
def play(tmp_path):
    """Runs tasks that may fail, with -vvv, and returns all output."""

    def run(tasks, env, failing=None):
        tasks = [{**task, "ignore_errors": True, "name": str(number)} for number, task in enumerate(tasks)]
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        inventory = tmp_path / "inventory"
        inventory.write_text(f"localhost ansible_connection=local ansible_python_interpreter={sys.executable}\n")
        ansible = {
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]),
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
            "ANSIBLE_REMOTE_TMP": str(tmp_path / "remote"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_INJECT_INVOCATION": "1",
            "PYTHONPATH": PYTHONPATH,
            "PYTHONIOENCODING": "utf-8",
            "LC_ALL": "C.UTF-8",
        }
        command = [sys.executable, "-m", "ansible.cli.playbook", "-vvv", "-i", inventory, playbook]
        process = subprocess.run(
            command, env={**os.environ, **ansible, **env}, capture_output=True, timeout=TIMEOUT, check=False
        )
        printed = (process.stdout + process.stderr).decode("utf-8", "surrogateescape")
        assert process.returncode == 0, printed
        assert f"ignored={len(tasks) if failing is None else failing}" in printed, printed
        return printed

    return run


def test_output_has_no_control_characters_and_no_password_of_url(play, tmp_path):
    (tmp_path / "ids.csv").write_text(f"na{OWNED}me\n1\n")
    line = {"external_id": "a", "linked_data": [{"type": "url", "value": "x", f"na{OWNED}me": "y"}]}
    (tmp_path / "ids.jsonl").write_text(json.dumps(line))
    usual = {"region": "emea", "access_token": "t0ken-t0ken", "journal": "", "state": "dispatched", "route": "r"}
    given = [
        {**usual, "src": str(tmp_path / "ids.csv"), "api_url": "https://api.example"},
        {**usual, "src": str(tmp_path / "ids.jsonl"), "api_url": "https://api.example"},
        {**usual, "external_id": "a", "api_url": "https://ann:first-hush@api.example"},
        {**usual, "external_id": "a"},
    ]
    tasks = [{"vonage.vcc.vcc_interaction": each, **way} for each in given for way in WAYS.values()]
    printed = play(tasks, {"VCC_API_URL": "https://ann:second-hu%73h@api.example"})
    assert r"its columns: na\x1b]0;owned\x07\x9b31mme." in printed
    assert printed.count("api_url must be a URL without a user and password in it.") >= 4
    assert {char for char in printed if not char.isprintable()} == {"\n"}
    for hidden in ("first-hush", "second-hu%73h", "second-hush"):
        assert hidden not in printed
    assert "********@api.example" in printed  # in the invocation of a module


def test_output_has_no_password_of_journal(play, sim, postgresql_server, postgresql_url):
    role = postgresql_server.create_role("player", "h:u@s/h right")
    database = postgresql_url.partition("?")[0].rpartition("/")[2]
    postgresql_server.execute(f'GRANT CREATE ON DATABASE "{database}" TO {role}')
    right = postgresql_server.url(database, role, "h:u@s/h right", tcp=True)
    wrong = [
        postgresql_server.url(database, role, "first@hush", tcp=True),
        "postgresql://vcc:second/h@ush@localhost/vcc",
        "mysql://vcc:third-hush@localhost/vcc",
    ]
    given = [{"state": "dispatched", "route": "sales", "journal": url} for url in [*wrong, right]]
    # The last task has an invalid option besides.
    given.append({"journal": right, "retries": "x"})
    ways = [way for dummy in given for way in WAYS.values()]
    try:
        tasks = [
            {"vonage.vcc.vcc_interaction": {**sim.options(), **each, "external_id": f"a-{number}"}, **way}
            for number, (each, way) in enumerate(zip([each for each in given for dummy in WAYS], ways))
        ]
        printed = play(tasks, {"VCC_JOURNAL": wrong[0]}, failing=8)
    finally:
        postgresql_server.execute(f"DROP OWNED BY {role}", database=database)
        postgresql_server.execute(f"DROP ROLE {role}")
    assert printed.count(postgresql_server.url(database, role, tcp=True)) >= 4
    for hidden in (
        "h:u@s/h",
        "h%3Au%40s",
        "first@hush",
        "first%40hush",
        "second-hush",
        "h@ush",
        "zzhush",
        "third-hush",
    ):
        assert hidden not in printed
    assert "Traceback" not in printed
    assert len(sim.effects) == 2

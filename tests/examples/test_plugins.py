# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the examples of every module, and the tasks and files of the guides; test_postgresql.py runs those of the guide on PostgreSQL."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from ansible_collections.vonage.vcc.tests.examples.documents import (
    AUDIT_GUIDE,
    EVENTS_GUIDE,
    GUIDES,
    MODULES,
    POSTGRESQL_GUIDE,
    SPEED_GUIDE,
    example_with,
    module_examples,
    rst_examples,
)
from ansible_collections.vonage.vcc.tests.examples.test_guides import BLOCKS as OTHER_BLOCKS
from ansible_collections.vonage.vcc.tests.examples.test_own_module import GUIDE as AUTH_GUIDE

AUDIT = rst_examples(AUDIT_GUIDE)
EVENTS = rst_examples(EVENTS_GUIDE)
SPEED = rst_examples(SPEED_GUIDE)

TIMEOUT = 120  # seconds


# The URLs of a journal in the examples, by role.
DATABASE = "postgresql://{role}@db.example/vcc"


@pytest.fixture
def with_database(request):
    """Replace the URLs of a journal in a text; a database of the test replaces that of the examples."""

    def replace(text):
        if "@db.example/" not in text:
            return text
        server, url = request.getfixturevalue("postgresql_server"), request.getfixturevalue("postgresql_url")
        server.execute("DROP ROLE IF EXISTS vcc")
        server.create_role("vcc")
        as_vcc = url.replace("postgres@", "vcc@", 1)
        return text.replace(DATABASE.format(role="owner"), url).replace(DATABASE.format(role="vcc"), as_vcc)

    return replace


@pytest.mark.parametrize("module", MODULES)
def test_module(home, simulator, with_database, module):
    """Run all tasks in one play; the simulator replaces the address of VCC."""
    home.write({"interactions.txt": "case-1\ncase-2\n"})
    text = with_database(json.dumps(module_examples(module)))
    tasks = json.loads(text.replace("https://emea.api.newvoicemedia.com", simulator.url))
    assert f"ok={len(tasks)} " in home.run_tasks(tasks)


def test_every_block_of_guides_is_covered():
    """test_guides.py lists the blocks of the guides without a test file of their own."""
    others = [path for path in GUIDES if rst_examples(path) and path.stem.removeprefix("guide_") not in OTHER_BLOCKS]
    assert others == [AUDIT_GUIDE, AUTH_GUIDE, EVENTS_GUIDE, POSTGRESQL_GUIDE, SPEED_GUIDE]
    assert [example.language for example in AUDIT] == ["yaml", "json", "console"]
    assert [example.language for example in EVENTS] == [
        "yaml",
        "console",
        "yaml",
        "console",
        "yaml",
        "yaml",
        "yaml",
        "yaml",
    ]
    assert [example.language for example in SPEED] == ["text", "text", "console", "python", "yaml"]


def test_tasks_and_export_of_audit_guide(home):
    """The sample has the fields of a line of the export in their order."""
    printed = home.run_tasks(yaml.safe_load(example_with("reason:", AUDIT).text))
    assert '"released": 3' in printed
    lines = [json.loads(line) for line in (home.work / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 3
    sample = json.loads(example_with("case-2", AUDIT[1:]).text)
    for line in lines:
        assert list(line) == list(sample)
        assert {type(value) for value in line.values()} <= {str, int, type(None)}
        assert (line["reason"], line["state"], line["call"]) == (sample["reason"], "released", 1)


def test_provider_registration_of_events_guide(home, simulator):
    assert "changed=1 " in home.run_tasks(yaml.safe_load(example_with("vcc_provider:\n", EVENTS).text))
    assert [call["status"] for call in simulator.calls] == [200, 200]


def test_inventory_of_events_guide(home):
    home.write({"inventory.yml": example_with("ansible_connection:", EVENTS).text})
    assert "localhost | SUCCESS" in home.run("ansible localhost -i inventory.yml -m ansible.builtin.ping")


def test_journal_of_speed_guide_shows_a_run(home, simulator):
    """Look at the journal while VCC answers a call."""
    hold = simulator.fault("hold")
    (command,) = example_with("vcc_journal_info", SPEED).commands
    with subprocess.Popen(
        ["bash", "-c", "ansible localhost -m vonage.vcc.vcc_interaction -a external_id=case-1"],
        cwd=home.work,
        env=home.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as run:
        try:
            assert hold.entered.wait(TIMEOUT)
            during = home.run(command)
            hold.release()
            assert run.wait(TIMEOUT) == 0
        finally:
            hold.release()
            run.kill()
    assert '"pending": 1' in during
    assert '"accepted_last_minute": 0' in during
    after = home.run(command)
    assert '"pending": 0' in after
    assert '"accepted_last_minute": 1' in after


def test_shards_of_speed_guide(home, simulator, effects):
    """Divide a file and release its parts on four hosts, twice."""
    hosts = {f"host-{number}": {"ansible_connection": "local", "shard": number} for number in range(4)}
    play = (
        example_with("hosts: vcc_shards", SPEED)
        .text.replace("/var/lib/vcc", str(home.work))
        .replace("60 //", "6000 //")
    )
    cases = [f"case-{number}" for number in range(40)]
    home.write(
        {
            "cases.txt": "\n".join(cases),
            "divide.py": example_with("sys.argv", SPEED).text,
            "inventory.yml": json.dumps({"vcc_shards": {"hosts": hosts}}),
            "play.yml": play,
        }
    )
    for changed in (1, 0):
        printed = home.run("python divide.py cases.txt 4; ansible-playbook -i inventory.yml play.yml")
        assert printed.count(f"changed={changed} ") == 4
        assert sorted(effects()) == sorted(("release", case) for case in cases)
    assert len(list(home.work.glob("journal-*-of-4.db"))) == 4

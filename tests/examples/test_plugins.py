# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of every module, and the tasks and files that the guides show."""

from __future__ import annotations

import json

import pytest
import yaml

from ansible_collections.vonage.vcc.tests.examples.documents import GUIDES, MODULES, module_examples, rst_examples

EVENTS, SPEED = (
    [block for path in GUIDES if path.stem == stem for block in rst_examples(path)]
    for stem in ("guide_events", "guide_speed")
)


@pytest.mark.parametrize("module", MODULES)
def test_module(home, sim, module):
    """All tasks in one play. Where VCC itself is called, by its address, the simulator takes its place."""
    home.write({"interactions.txt": "case-1\ncase-2\n"})
    text = json.dumps(module_examples(module))
    tasks = json.loads(text.replace("https://emea.api.newvoicemedia.com", sim.url))
    assert f"ok={len(tasks)} " in home.do(tasks)


def test_every_block_of_guides_is_covered():
    """The first of the guide on speed has make commands, which test_documents.py compares."""
    assert {path.stem for path in GUIDES if rst_examples(path)} == {"guide_events", "guide_speed"}
    assert [block.language for block in EVENTS] == ["yaml", "console", "yaml", "yaml"]
    assert [block.language for block in SPEED] == ["console", "python", "yaml"]


def test_provider_registration_of_events_guide(home, sim):
    assert "changed=1 " in home.do(yaml.safe_load(EVENTS[0].text))
    assert [call["status"] for call in sim.calls] == [200, 200]


def test_inventory_of_events_guide(home):
    home.write({"inventory.yml": EVENTS[3].text})
    assert "localhost | SUCCESS" in home.run("ansible localhost -i inventory.yml -m ansible.builtin.ping")


def test_shards_of_speed_guide(home, sim, effects):
    """Divide a file, release its parts on four hosts, and do both again."""
    hosts = {f"host-{number}": {"ansible_connection": "local", "shard": number} for number in range(4)}
    play = SPEED[2].text.replace("/var/lib/vcc", str(home.work)).replace("60 //", "6000 //")
    cases = [f"case-{number}" for number in range(40)]
    home.write(
        {
            "cases.txt": "\n".join(cases),
            "divide.py": SPEED[1].text,
            "inventory.yml": json.dumps({"vcc_shards": {"hosts": hosts}}),
            "play.yml": play,
        }
    )
    for changed in (1, 0):
        printed = home.run("python divide.py cases.txt 4; ansible-playbook -i inventory.yml play.yml")
        assert printed.count(f"changed={changed} ") == 4
        assert sorted(effects()) == sorted(("release", case) for case in cases)
    assert len(list(home.work.glob("journal-*-of-4.db"))) == 4

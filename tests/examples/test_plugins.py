# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of every module, and the tasks and files that the guides show."""

from __future__ import annotations

import json

import pytest
import yaml

from ansible_collections.vonage.vcc.tests.examples.documents import GUIDES, MODULES, module_examples, rst_examples

EVENTS = [block for path in GUIDES if path.stem == "guide_events" for block in rst_examples(path)]


@pytest.mark.parametrize("module", MODULES)
def test_module(home, sim, module):
    """All tasks in one play. Where VCC itself is called, by its address, the simulator takes its place."""
    home.write({"interactions.txt": "case-1\ncase-2\n"})
    text = json.dumps(module_examples(module))
    tasks = json.loads(text.replace("https://emea.api.newvoicemedia.com", sim.url))
    assert f"ok={len(tasks)} " in home.do(tasks)


def test_every_block_of_the_guide_on_events_is_known():
    assert [block.language for block in EVENTS] == ["yaml", "console", "yaml", "yaml"]


def test_endpoint_of_the_guide_on_events(home, sim):
    assert "changed=1 " in home.do(yaml.safe_load(EVENTS[0].text))
    assert [call["status"] for call in sim.calls] == [200, 200]


def test_inventory_of_the_guide_on_events(home):
    home.write({"inventory.yml": EVENTS[3].text})
    assert "localhost | SUCCESS" in home.run("ansible localhost -i inventory.yml -m ansible.builtin.ping")

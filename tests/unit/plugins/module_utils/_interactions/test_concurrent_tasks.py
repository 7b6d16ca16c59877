# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks at the same time with one journal."""

from __future__ import annotations

import json

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    TIMEOUT,
    at_once,
    background,
    column,
    validated,
)


class TestConcurrentTasks:
    def test_claim_is_on_disk_before_call(self, sim, task, rows):
        hold = sim.fault("hold")
        with background(lambda: task(external_ids=["a", "b"])) as results:
            assert hold.entered.wait(TIMEOUT)
            meanwhile = rows()
            hold.release()
        assert {name: row["request_id"] for name, row in meanwhile.items()} == {
            effect["external_id"]: effect["request_id"] for effect in sim.effects
        }
        assert [row["accepted"] for row in meanwhile.values()] == [None, None]
        assert results[0]["changed"]
        assert all(row["accepted"] for row in rows().values())

    def test_second_task_sends_same_request_ids(self, sim, task):
        hold = sim.fault("hold")
        with background(lambda: task(external_ids=["a", "b"])) as results:
            assert hold.entered.wait(TIMEOUT)
            second = task(external_ids=["b", "a", "c"])
            hold.release()
        assert column(second, "request_id")[:2] == column(results[0], "request_id")[::-1]
        assert sorted(sim.released) == ["a", "b", "c"]
        assert sorted(effect["external_id"] for effect in sim.ignored) == ["a", "b"]

    def test_eight_processes_have_one_effect_per_interaction(self, sim, folder, listed):
        ids = [f"case-{number}" for number in range(1500)]
        sim.dispatch(*ids)
        given = sim.options(src=listed(ids), journal=str(folder / "journal.db"))
        results = [json.loads(output) for output in at_once(8, EIGHT, json.dumps(validated(**given)))]
        assert [result.get("msg") for result in results] == [None] * 8
        assert sorted(sim.released) == sorted(ids)
        assert sim.live() == []


EIGHT = """
import json
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
together()
print(json.dumps(run(json.loads(sys.argv[1]), False, False, {})))
"""

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode: it predicts the result of the run, and sends nothing."""

from __future__ import annotations

import random

import pytest

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    column,
    summary,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.helpers import (
    released,
)

NEAR = 86400


class TestCheckMode:
    def test_makes_no_call_and_no_file(self, sim, task, folder, tmp_path):
        before = sorted(tmp_path.rglob("*"))
        result = task(external_ids=["a", "b"], check=True, token_cache=str(tmp_path / "tokens.json"))
        assert result["changed"]
        assert summary(result) == {"requested": 2, "released": 2}
        assert column(result, "evidence") == ["predicted", "predicted"]
        assert sim.calls == []
        assert not folder.exists()
        assert sorted(tmp_path.rglob("*")) == before

    def test_needs_no_network(self, task):
        result = task(external_id="a", api_url="https://vcc.invalid", auth_url="https://vcc.invalid/token", check=True)
        assert result["changed"]

    @pytest.mark.parametrize("seed", range(24))
    def test_predicts_run(self, sim, task, folder, seed):
        chance = random.Random(seed)
        ttl = chance.choice([0, 1000, NEAR])
        force = chance.random() < 0.2
        provider = chance.choice([None, "tickets"])
        sim.register("tickets")
        ids = [f"case-{number}" for number in range(chance.choice([1, 5, 40, 1003]))]
        for age, accept, where in (
            (10, True, provider),
            (10, False, provider),
            (5000, True, provider),
            (5000, False, provider),
            (2 * NEAR, True, provider),
            (10, True, "another"),
        ):
            released(folder, sim, [external_id for external_id in ids if chance.random() < 0.2], age, accept, where)
        asked = chance.sample(ids, len(ids)) + chance.choices(ids, k=3)
        given = {"external_ids": asked, "provider": provider, "journal_ttl": ttl, "force": force}

        before = content(folder)
        predicted = task(check=True, diff=True, **given)
        assert sim.calls == []
        assert content(folder) == before

        real = task(diff=True, plan_digest=predicted["plan_digest"], **given)
        for result in (predicted, real):
            result.pop("run_id", None)
            del result["summary"]["api_calls"]
            for entry in result["interactions"]:
                del entry["evidence"], entry["request_id"], entry["call"]
        assert real == predicted
        assert task(**{**given, "force": False})["changed"] is False

    def test_has_request_id_of_pending_interaction(self, sim, task, folder):
        released(folder, sim, ["a"], age=10, accept=False)
        predicted = task(external_ids=["a", "b"], check=True)
        real = task(external_ids=["a", "b"])
        assert column(predicted, "request_id") == [column(real, "request_id")[0], None]

    def test_predicts_no_change_after_run(self, task):
        task(external_ids=["a", "b"])
        result = task(external_ids=["a", "b"], check=True)
        assert not result["changed"]
        assert column(result, "evidence") == ["journal", "journal"]


def content(folder):
    return {
        each.name: (each.stat().st_mtime_ns, each.read_bytes()) for each in folder.iterdir()
    }, folder.stat().st_mtime_ns

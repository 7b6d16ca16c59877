# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches: their size, and how rejected ones are split."""

from __future__ import annotations

import math

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._interactions import sender
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    column,
    summary,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.helpers import (
    by_id,
    long_ids,
)


class TestBatches:
    @pytest.mark.parametrize(
        "ids",
        [
            [f"case-{number:04d}" for number in range(5000)],
            [f"Fälle/{number:04d}/東京 🎧" for number in range(5000)],
            [f"{number:04d}" + "🎧" * 1020 for number in range(300)],
            [f"{number:04d}" + '"\\' * 500 for number in range(500)],
        ],
        ids=["ascii", "non-ascii", "long non-ascii", "quotes"],
    )
    def test_batches_fill_calls_up_to_limit(self, sim, task, ids):
        result = task(external_ids=ids)
        assert summary(result) == {"requested": len(ids), "released": len(ids)}
        sizes = [len(body) for body in sim.bodies()]
        assert max(sizes) < 100_000
        assert len(sizes) <= math.ceil(sum(sizes) / 100_000) + 1
        assert result["summary"]["api_calls"] == len(sizes)
        assert sim.released == ids

    @pytest.mark.parametrize("own_ids", [False, True])
    def test_result_keeps_order_of_task(self, sim, task, own_ids):
        ids = [f"{number * 7 % 1000:03d}" for number in range(1000)]
        given = [
            {"external_id": external_id, "request_id": f"own-{external_id}" if own_ids else None} for external_id in ids
        ]
        result = task(interactions=given)
        assert sim.released == sorted(ids)
        assert column(result, "external_id") == ids

    @pytest.mark.parametrize("provider", [None, "tickets"])
    def test_batch_fills_call_to_last_byte(self, sim, task, provider):
        if provider:
            sim.register(provider)
        for ids in (["a"], ["a", "b"]):
            task(external_ids=ids, provider=provider, journal="")
        single, double = map(len, sim.bodies())
        step = double - single - 1  # the length that each interaction adds, without its id
        room = 100_000 - (single - step) - 100 * step
        ids = [f"{number:05d}".ljust(room // 100, "x") for number in range(100)]
        ids[-1] += "y" * (room % 100)
        for padding, calls in (("", 1), ("z", 2)):
            before = len(sim.bodies())
            task(external_ids=[*ids[:-1], ids[-1] + padding], provider=provider, journal="")
            assert len(sim.bodies()) == before + calls
            assert max(map(len, sim.bodies()[before:])) < 100_000
        assert len(sim.bodies()[2]) == 99_999

    def test_confirmed_interactions_are_omitted_chunk_by_chunk(self, sim, task, tmp_path):
        """Every second interaction is confirmed, in each chunk."""
        ids = [str(number) for number in range(3500)]
        task(external_ids=ids[::2])
        result = task(external_ids=ids)
        assert summary(result) == {"requested": 3500, "released": 1750, "unchanged": 1750}
        assert sorted(sim.released) == sorted(ids)


class TestSplitBatches:
    def test_rejected_id_does_not_keep_others_from_being_released(self, sim, task, rows):
        ids = [f"case-{number}" for number in range(64)]
        sim.dispatch(*ids)
        sim.poison("case-37")
        result = task(external_ids=ids)
        assert result["changed"]
        assert result["failed"]
        assert summary(result) == {"requested": 64, "released": 63, "failed": 1}
        assert sim.live() == ["case-37"]
        bad = by_id(result)["case-37"]
        assert (bad["state"], bad["changed"], bad["evidence"]) == ("failed", False, "status")
        assert bad["message"].startswith("VCC refused the request with status 400 (An interaction cannot be processed)")
        assert result["msg"].startswith(
            "Of 64 interactions 1 failed; the first is 'case-37': VCC refused the request with status 400"
        )
        assert result["msg"].endswith(" If you run the task again, it sends only the interactions that are left.")
        assert len(sim.invoke_calls) == result["summary"]["api_calls"] <= 1 + 2 * 6
        assert "case-37" not in rows()
        assert len(sim.ignored) == 0

    def test_next_run_sends_only_failed_interactions(self, sim, task):
        ids = ["a", "b", "c", "d"]
        sim.poison("b")
        task(external_ids=ids)
        before = len(sim.invoke_calls)
        again = task(external_ids=ids)
        assert summary(again) == {"requested": 4, "unchanged": 3, "failed": 1}
        assert not again["changed"]
        assert [call["interactions"] for call in sim.invoke_calls[before:]] == [1]

    def test_only_rejected_ids_fail(self, sim, task):
        ids = [f"case-{number}" for number in range(200)]
        bad = {"case-0", "case-99", "case-100", "case-199"}
        sim.poison(*bad)
        result = task(external_ids=ids)
        assert {entry["external_id"] for entry in result["interactions"] if entry["state"] == "failed"} == bad
        assert set(sim.released) == set(ids) - bad
        assert len(sim.released) == 196
        assert column(result, "external_id") == ids
        assert result["msg"].startswith("Of 200 interactions 4 failed; the first is 'case-0': ")

    def test_each_id_is_tried_alone_if_all_are_rejected(self, sim, task, rows):
        ids = [f"case-{number}" for number in range(10)]
        sim.poison(*ids)
        result = task(external_ids=ids)
        assert not result["changed"]
        assert summary(result) == {"requested": 10, "failed": 10}
        assert len(sim.invoke_calls) == 19
        assert rows() == {}

    def test_only_rejected_ids_of_several_batches_fail(self, sim, task):
        ids = long_ids(300)
        bad = {ids[10], ids[150], ids[290]}
        sim.poison(*bad)
        result = task(external_ids=ids)
        assert set(sim.released) == set(ids) - bad
        assert {entry["external_id"] for entry in result["interactions"] if entry["state"] == "failed"} == bad

    def test_single_rejected_id_makes_one_call(self, sim, task):
        sim.poison("a")
        result = task(external_id="a")
        assert result["msg"].startswith("Interaction 'a' is not released: VCC refused the request with status 400 (")
        assert "external id" in result["msg"]
        assert "provider" in result["msg"]
        assert len(sim.invoke_calls) == 1

    def test_unregistered_provider_fails_every_interaction(self, sim, task):
        result = task(external_ids=["a", "b"], provider="nobody")
        assert summary(result) == {"requested": 2, "failed": 2}
        assert "The provider is not registered" in result["msg"]

    @pytest.mark.parametrize("status", [413, 417])
    def test_call_that_vcc_finds_too_large_is_split(self, sim, task, status):
        sim.fault("too_large", status=status)
        result = task(external_ids=["a", "b", "c"])
        assert summary(result) == {"requested": 3, "released": 3}
        assert [call["interactions"] for call in sim.invoke_calls] == [3, 1, 2]

    def test_batches_are_split_to_smaller_limit_of_vcc(self, sim, task):
        sim.fault("too_large", times=3)
        result = task(external_ids=list("abcdefgh"))
        assert summary(result) == {"requested": 8, "released": 8}
        assert [call["interactions"] for call in sim.invoke_calls] == [8, 4, 2, 1, 1, 2, 4]

    def test_single_interaction_that_is_too_large_fails(self, sim, task):
        sim.fault("too_large", times=None)
        result = task(external_id="a")
        assert summary(result) == {"requested": 1, "failed": 1}
        assert "413" in result["msg"]


class TestAllRejected:
    """VCC rejects every call in the same way, so the task stops before it has sent each interaction alone."""

    @pytest.mark.parametrize("calls_in_flight", [1, 4])
    def test_unregistered_provider_stops_task(self, sim, task, calls_in_flight):
        ids = [f"case-{number:04}" for number in range(3000)]
        result = task(external_ids=ids, provider="nobody", calls_in_flight=calls_in_flight)
        calls = len(sim.invoke_calls)
        assert 20 <= calls == result["summary"]["api_calls"] <= 24 + 2 * calls_in_flight
        counts = summary(result)
        assert counts["requested"] == counts["failed"] + counts["unknown"] == 3000
        assert counts["failed"] >= 8
        assert (
            "in the same way and accepted none: VCC refused the request with status 400 (The provider is not"
            in result["msg"]
        )
        assert "max_failures" in result["msg"]

    def test_next_run_sends_same_request_ids(self, sim, task, rows):
        ids = [f"case-{number:02}" for number in range(60)]
        sim.dispatch(*ids, provider=None)
        sim.fault("status", status=400, times=30)
        assert summary(task(external_ids=ids))["unknown"] > 0
        kept = {external_id: row["request_id"] for external_id, row in rows().items()}
        sim.reset()
        sim.dispatch(*ids)
        assert summary(task(external_ids=ids)) == {"requested": 60, "released": 60}
        sent = {effect["external_id"]: effect["request_id"] for effect in sim.effects}
        assert kept.items() <= sent.items()

    def test_valid_ids_at_end_are_released(self, sim, task):
        ids = [f"case-{number:04}" for number in range(1000)]
        sim.dispatch(*ids)
        sim.poison(*ids[:500])
        result = task(external_ids=ids)
        assert summary(result) == {"requested": 1000, "released": 500, "failed": 500}

    def test_valid_dispatches_at_end_are_dispatched(self, sim, task):
        ids = [f"case-{number:03}" for number in range(300)]
        sim.poison(*ids[:10])
        result = task(state="dispatched", route="Support", external_ids=ids)
        assert summary(result) == {"requested": 300, "dispatched": 290, "failed": 10}
        # The order is that of the task, except for the interaction that shows that VCC does not reject all.
        assert [effect["external_id"] for effect in sim.effects] == [ids[-1], *ids[10:-1]]

    def test_answers_that_differ_only_in_ids_stop_task(self, sim, task):
        for number in range(40):
            sim.fault("status", status=400, body={"message": f"No provider for case-{number} (trace {number:04x}f)"})
        result = task(external_ids=[f"case-{number:02}" for number in range(40)])
        assert 20 <= result["summary"]["api_calls"] < 30

    def test_different_answers_do_not_stop_task(self, sim, task):
        ids = [f"case-{number:02}" for number in range(40)]
        sim.fault("status", status=400, times=15, body={"message": "this"})
        sim.fault("status", status=400, times=None, body={"message": "that"})
        assert summary(task(external_ids=ids)) == {"requested": 40, "failed": 40}

    def test_404_of_every_release_does_not_stop_task(self, sim, task):
        sim.unknown_id = 404
        ids = [f"case-{number:02}" for number in range(40)]
        assert "failed" not in task(external_ids=ids)

    def test_higher_limit_does_not_stop_task(self, sim, task):
        ids = [f"case-{number:02}" for number in range(40)]
        sim.poison(*ids)
        assert summary(task(external_ids=ids, max_failures=1000)) == {"requested": 40, "failed": 40}

    def test_max_failures_stops_task(self, sim, task, monkeypatch):
        monkeypatch.setattr(sender, "BODY_LIMIT", 300)
        ids = [f"case-{number:02}" for number in range(40)]
        sim.dispatch(*ids)
        sim.poison(*ids[:10])
        result = task(external_ids=ids, max_failures=3)
        assert (
            "VCC has refused 3 interactions, and max_failures allows no more: correct them, or set max_failures higher."
            in result["msg"]
        )
        refused = [entry for entry in result["interactions"] if entry["evidence"] == "status"]
        unsent = [entry for entry in result["interactions"] if entry["message"].startswith("not sent")]
        assert len(refused) == 3
        assert {entry["state"] for entry in unsent[-20:]} == {"failed"}
        assert len(sim.invoke_calls) < 10
        assert summary(task(external_ids=ids[10:])) == {"requested": 30, "released": 30}

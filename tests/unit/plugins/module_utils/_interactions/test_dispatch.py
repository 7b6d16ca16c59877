# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dispatches: calls, confirmations, and interactions without an external id."""

from __future__ import annotations

import json

import pytest

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import column, summary
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.helpers import LINKS

ROUTING = {
    "interaction_type": "nonlive",
    "personal_queue": {"agent": "agent-7", "logged_in_timeout": 30, "logged_out_timeout": 0},
    "skills": [{"name": "French"}, {"name": "Tax", "expiry_after": 0}, {"name": "Law", "expiry_after": 60}],
}


def objects(sim):
    """Return the Interaction objects of each call."""
    return [json.loads(body)["requests"] for body in sim.bodies()]


class TestCalls:
    def test_call_and_result_of_one_interaction(self, sim, dispatch):
        result = dispatch(external_id="a")
        (((sent,)),) = objects(sim)
        assert sent == {
            "action": "dispatch",
            "requestid": result["interactions"][0]["request_id"],
            "externalid": "a",
            "route": "sales",
        }
        assert sim.live() == ["a"]
        (warning,) = result.pop("warnings")
        assert f"This task makes the journal {result['journal']['location']}: " in warning
        assert result.pop("journal")["created"]
        assert result.pop("run_id")
        assert result == {
            "changed": True,
            "summary": {"requested": 1, "dispatched": 1, "unchanged": 0, "failed": 0, "unknown": 0, "api_calls": 1},
            "interactions": [
                {
                    "external_id": "a",
                    "provider": None,
                    "request_id": sent["requestid"],
                    "state": "dispatched",
                    "changed": True,
                    "evidence": "api",
                    "message": "",
                    "call": 1,
                }
            ],
        }

    def test_every_property_has_name_of_vcc(self, sim, dispatch):
        sim.register("crm")
        dispatch(external_id="a", provider="crm", request_id="key", linked_data=LINKS, routing_data=ROUTING)
        assert json.loads(sim.bodies()[0]) == {
            "provider": "crm",
            "requests": [
                {
                    "action": "dispatch",
                    "requestid": "key",
                    "externalid": "a",
                    "route": "sales",
                    "linkeddata": LINKS,
                    "routingdata": {
                        "interactiontype": "nonlive",
                        "personalqueue": {"agent": "agent-7", "loggedintimeout": 30, "loggedouttimeout": 0},
                        "skills": [
                            {"name": "French"},
                            {"name": "Tax", "expiryafter": 0},
                            {"name": "Law", "expiryafter": 60},
                        ],
                    },
                }
            ],
        }
        assert sim.live(provider="crm") == ["a"]

    def test_any_type_of_linked_data_is_sent(self, sim, dispatch, tmp_path):
        links = [{"type": each, "value": "1"} for each in ("CustomerMobile", "clid", "CLID", "Größe 🎧", "a b")]
        line = {"external_id": "c", "linked_data": links}
        (tmp_path / "ids.jsonl").write_text(json.dumps(line))
        dispatch(external_id="a", linked_data=links)
        dispatch(interactions=[{"external_id": "b", "linked_data": links}])
        dispatch(src=str(tmp_path / "ids.jsonl"))
        assert [sent["linkeddata"] for ((sent,),) in [[each] for each in objects(sim)]] == [links] * 3

    @pytest.mark.parametrize("wrong", ["", " ", "\t", "a\x1bb", "x" * 1025])
    def test_invalid_type_of_linked_data_is_rejected(self, sim, dispatch, tmp_path, wrong):
        links = [{"type": "url", "value": "1"}, {"type": wrong, "value": "1"}]
        (tmp_path / "ids.jsonl").write_text(json.dumps({"external_id": "c", "linked_data": links}))
        for prefix, given in (
            ("", {"external_id": "a", "linked_data": links}),
            ("interactions[0]: ", {"interactions": [{"external_id": "b", "linked_data": links}]}),
            (f"src {tmp_path}/ids.jsonl, line 1: ", {"src": str(tmp_path / "ids.jsonl")}),
        ):
            assert dispatch(**given)["msg"].startswith(f"{prefix}linked_data[1].type ")
        assert sim.calls == []

    def test_data_of_interaction_overrides_data_of_task(self, sim, dispatch):
        own = [{"type": "name", "value": "Ada"}]
        dispatch(
            interactions=[
                {"external_id": "a"},
                {"external_id": "b", "linked_data": own},
                {"external_id": "c", "routing_data": {"interaction_type": "chat"}},
            ],
            linked_data=LINKS,
            routing_data={"interaction_type": "live"},
        )
        ((a, b, c),) = objects(sim)
        assert [sent["linkeddata"] for sent in (a, b, c)] == [LINKS, own, LINKS]
        assert [sent["routingdata"]["interactiontype"] for sent in (a, b, c)] == ["live", "live", "chat"]

    def test_empty_data_of_interaction_overrides_data_of_task(self, sim, dispatch):
        dispatch(interactions=[{"external_id": "a", "linked_data": []}], linked_data=LINKS)
        (((sent,)),) = objects(sim)
        assert sent["linkeddata"] == []

    def test_release_sends_no_data(self, sim, task):
        task(interactions=[{"external_id": "a", "linked_data": LINKS}], route="sales", routing_data=ROUTING)
        (((sent,)),) = objects(sim)
        assert set(sent) == {"action", "requestid", "externalid"}

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("ids.txt", "a\nb\n"),
            ("ids.csv", "external_id\na\nb\n"),
            (
                "ids.jsonl",
                '{"external_id": "a"}\n{"external_id": "b", "linked_data": [{"type": "clid", "value": 7}]}\n',
            ),
        ],
    )
    def test_interactions_of_file(self, sim, dispatch, tmp_path, name, content):
        (tmp_path / name).write_text(content)
        assert summary(dispatch(src=str(tmp_path / name))) == {"requested": 2, "dispatched": 2}
        assert sim.live() == ["a", "b"]
        assert objects(sim)[0][1].get("linkeddata") == (
            [{"type": "clid", "value": "7"}] if name == "ids.jsonl" else None
        )

    def test_calls_stay_below_limit_and_in_order(self, sim, dispatch):
        ids = [f"{number:05d}" for number in range(400)]
        data = [{"type": "url", "value": "x" * 1000}]
        dispatch(interactions=[{"external_id": external_id, "linked_data": data} for external_id in ids])
        assert sim.live() == ids
        assert len(sim.invoke_calls) == 5
        assert max(len(body) for body in sim.bodies()) < 100_000


class TestConfirmations:
    def test_second_run_makes_no_call(self, sim, dispatch):
        first = dispatch(external_ids=["a", "b"])
        calls = sim.calls
        second = dispatch(external_ids=["a", "b"], diff=True)
        assert sim.calls == calls
        assert not second["changed"]
        assert summary(second) == {"requested": 2, "unchanged": 2}
        assert column(second, "evidence") == ["journal", "journal"]
        assert column(second, "request_id") == column(first, "request_id")
        assert second["diff"]["before"] == second["diff"]["after"] == "a: dispatched\nb: dispatched\n"

    def test_check_mode_predicts_run(self, sim, dispatch, folder):
        predicted = dispatch(external_ids=["a", "b"], check=True, diff=True)
        assert sim.calls == []
        assert not folder.exists()
        real = dispatch(external_ids=["a", "b"], diff=True)
        for name in ("changed", "diff"):
            assert predicted[name] == real[name]
        assert predicted["diff"]["before"] == "a: not known to be dispatched\nb: not known to be dispatched\n"
        assert {**predicted["summary"], "api_calls": 1} == real["summary"]

    def test_dispatch_and_release_in_turn(self, sim, task):
        """Each action ends the confirmation of the other, and both take the same options."""
        given = {"interactions": [{"external_id": "a", "request_id": "key-1", "linked_data": LINKS}], "route": "sales"}
        for state, changed in [
            ("dispatched", True),
            ("dispatched", False),
            ("released", True),
            ("released", False),
        ]:
            assert task(state=state, **given)["changed"] is changed
        assert [(effect["action"], effect["found"]) for effect in sim.effects] == [
            ("dispatch", False),
            ("release", True),
        ]
        assert sim.ignored == []
        assert sim.live() == []

    def test_dispatch_ends_confirmation_of_release(self, sim, task, dispatch):
        task(external_id="a")
        assert task(external_id="a", check=True)["changed"] is False
        dispatch(external_id="a")
        assert task(external_id="a", check=True)["changed"] is True
        assert task(external_id="a")["changed"] is True
        assert sim.live() == []
        assert dispatch(external_id="a")["changed"] is True
        assert sim.live() == ["a"]

    @pytest.mark.parametrize("cut", ["before", "after"])
    def test_lost_answer_is_repeated_with_same_request_id(self, sim, dispatch, cut):
        sim.fault("cut", when=cut)
        first = dispatch(external_id="a")
        assert summary(first) == {"requested": 1, "unknown": 1}
        assert first["msg"].startswith("Interaction 'a' may or may not be dispatched: ")
        second = dispatch(external_id="a")
        assert column(first, "request_id") == column(second, "request_id")
        assert sim.live() == ["a"]

    def test_release_does_not_take_request_id_of_pending_dispatch(self, sim, task, dispatch):
        sim.fault("cut", when="after")
        first = dispatch(external_id="a")
        released = task(external_id="a")
        assert column(released, "request_id") != column(first, "request_id")
        assert sim.live() == []

    def test_force_dispatches_again(self, sim, dispatch):
        dispatch(external_id="a")
        assert dispatch(external_id="a", force=True)["changed"]
        assert sim.live() == ["a", "a"]

    @pytest.mark.parametrize("status", [400, 403, 404, 429], ids=["refused", "no right", "no route", "fair use"])
    def test_failed_dispatch_keeps_confirmation_of_release(self, sim, task, dispatch, rows, status):
        task(external_id="a")
        before = rows()
        sim.fault("status", status=status)
        assert summary(dispatch(external_id="a", retries=0)) == {"requested": 1, "failed": 1}
        assert rows() == before
        assert task(external_id="a")["changed"] is False

    def test_release_with_404_ends_confirmation_of_dispatch(self, sim, task, dispatch, rows):
        dispatch(external_id="a")
        sim.fault("status", status=404)
        assert task(external_id="a")["interactions"][0]["evidence"] == "status"
        assert rows() == {}

    def test_request_id_is_good_for_one_action(self, sim, task, dispatch):
        dispatch(external_id="a", request_id="key-1")
        result = task(external_id="a", request_id="key-1")
        assert result["msg"] == (
            "The request_id 'key-1' of 'a' has been used to dispatch it before, so VCC would ignore the request: set another request_id."
        )
        assert sim.live() == ["a"]
        assert len(sim.invoke_calls) == 1


class TestWithoutExternalId:
    def test_each_run_dispatches_again_with_warning(self, sim, dispatch, rows):
        for dummy in range(2):
            result = dispatch(interactions=[{"linked_data": LINKS}, {}], diff=True)
            assert result["changed"]
            assert summary(result) == {"requested": 2, "dispatched": 2}
            assert column(result, "external_id") == [None, None]
            assert result["diff"]["after"] == "without an external id: dispatched\n" * 2
            (warning,) = result["warnings"]
            assert "2 of the interactions have no external id" in warning
            assert "can never release them" in warning
        assert len(sim.effects) == 4
        assert all("externalid" not in sent for sent in objects(sim)[0])
        assert len({sent["requestid"] for call in objects(sim) for sent in call}) == 4
        assert rows() == {}

    def test_check_mode_warns(self, sim, dispatch):
        result = dispatch(interactions=[{}], check=True)
        assert result["changed"]
        assert len(result["warnings"]) == 1
        assert sim.calls == []

    def test_message_of_lost_answer_warns_of_second_dispatch(self, sim, dispatch):
        sim.fault("cut", when="after")
        result = dispatch(interactions=[{}])
        assert result["msg"].startswith("Interaction without an external id may or may not be dispatched: ")
        assert result["msg"].endswith("running the task again may dispatch it a second time.")

    def test_custom_request_id_makes_dispatch_repeatable(self, sim, dispatch):
        sim.fault("cut", when="after")
        for dummy in range(2):
            dispatch(interactions=[{"request_id": "key-1"}])
        assert len(sim.effects) == 1
        assert len(sim.ignored) == 1

    def test_release_without_external_id_is_rejected(self, sim, task):
        result = task(interactions=[{"external_id": "a"}, {"linked_data": LINKS}])
        assert result["msg"] == (
            "interactions[1] has no external_id, and VCC releases only by external id: set it, or remove the interaction from the list."
        )
        assert sim.calls == []

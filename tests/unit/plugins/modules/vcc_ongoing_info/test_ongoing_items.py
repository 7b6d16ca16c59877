# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vcc_ongoing_info filters interactions, and returns them in snake_case."""

from __future__ import annotations

import json
import re

import pytest

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Recorder
from ansible_collections.vonage.vcc.tests.unit.plugins.modules.vcc_ongoing_info.helpers import ONGOING, guids, listed


class TestFilters:
    @pytest.fixture(autouse=True)
    def _some(self, sim):
        sim.dispatch("a", "b", route="sales")
        sim.dispatch("c", route="support")
        sim.dispatch("d", route="support", provider="tickets")
        sim.assign("a", agent_id="agent-1")
        sim.assign("a", agent_id="agent-2")
        sim.assign("c", agent_id="agent-2")

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({}, "abcd"),
            ({"queue": "sales"}, "ab"),
            ({"queue": "support"}, "cd"),
            ({"queue": "Sales"}, ""),
            ({"queue": "sale"}, ""),
            ({"medium": "Object"}, "abcd"),
            ({"medium": "object"}, ""),
            ({"medium": "tickets"}, ""),
            ({"direction": "Inbound"}, "abcd"),
            ({"direction": "Outbound"}, ""),
            ({"agent": "agent-1"}, "a"),
            ({"agent": "agent-2"}, "ac"),
            ({"agent": "agent-3"}, ""),
            ({"agent": "agent"}, ""),
            ({"queue": "support", "agent": "agent-2", "medium": "Object", "direction": "Inbound"}, "c"),
            ({"queue": "sales", "agent": "agent-3"}, ""),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("size", [1, 100])
    def test_listed_items_match_all_filters(self, sim, read, given, expected, size):
        by_name = dict(zip("abcd", guids(sim)))
        result = read(page_size=size, **given)
        assert listed(result) == [by_name[name] for name in expected]
        assert result["totals"]["matched"] == len(expected)
        assert (result["totals"]["reported"], result["totals"]["listed"]) == (4, 4)

    def test_filters_are_not_sent(self, sim, read):
        read(queue="sales", agent="agent-1", medium="Object", direction="Inbound")
        assert [set(query) for query in sim.queries] == [{"page", "limit"}]

    @pytest.mark.parametrize(
        "channels",
        [None, "x", 3, {}, [], [None], ["x"], [{}], [{"party": None}], [{"party": []}], [{"party": {"id": None}}]],
        ids=str,
    )
    def test_item_with_malformed_channels_has_no_agent(self, sim, read, channels):
        body = {"meta": {"pageCount": 1}, "items": [{"guid": "g", "channels": channels}]}
        sim.fault("status", status=200, body=body, path=ONGOING, times=None)
        assert read(agent="agent-1")["interactions"] == []
        assert listed(read()) == ["g"]


class TestItems:
    def test_properties_are_returned_in_snake_case(self, sim, read):
        sim.dispatch("secret-id", provider="tickets", route="sales")
        sim.assign("secret-id", provider="tickets", agent_id="agent-7")
        (raw,) = Recorder.ongoing(sim, 1, 10)["items"]
        (item,) = read()["interactions"]
        assert set(item) == {
            "status",
            "medium",
            "medium_manager",
            "guid",
            "conversation_guid",
            "start",
            "duration",
            "direction",
            "service_name",
            "connect_to",
            "connect_from",
            "interaction_plan_mapping",
            "channels",
        }
        assert (item["guid"], item["conversation_guid"]) == (raw["guid"], raw["conversationGuid"])
        assert (item["service_name"], item["medium_manager"]) == ("sales", "tickets")
        assert item["interaction_plan_mapping"] == {
            "address_name": "sales",
            "mapping_name": "sales",
            "interaction_plan_name": "sales",
            "reporting_group": "",
        }
        assert [channel["party"]["id"] for channel in item["channels"]] == ["", "agent-7"]
        assert set(item["channels"][1]) == {
            "guid",
            "offset",
            "duration",
            "end_reason",
            "integration_type",
            "party",
            "events",
        }

    def test_result_has_no_external_id(self, sim, read):
        sim.dispatch("secret-id")
        result = read()
        assert len(result["interactions"]) == 1
        assert "secret-id" not in json.dumps(result)
        assert not re.search("external", json.dumps(result), re.IGNORECASE)

    def test_undocumented_properties_are_returned(self, sim, read):
        item = {"guid": "g", "newThing": {"innerThing": [{"deepThing": 1}]}, "status": None}
        sim.fault("status", status=200, body={"meta": {"pageCount": 1}, "items": [item]}, path=ONGOING)
        assert read()["interactions"] == [
            {"guid": "g", "new_thing": {"inner_thing": [{"deep_thing": 1}]}, "status": None}
        ]

    @pytest.mark.parametrize("guid", [None, ["x"], {}], ids=str)
    def test_items_with_malformed_guid_are_all_listed(self, sim, read, guid):
        body = {"meta": {"pageCount": 1}, "items": [{"guid": guid, "medium": "a"}, {"guid": guid, "medium": "b"}]}
        sim.fault("status", status=200, body=body, path=ONGOING)
        assert [item["medium"] for item in read()["interactions"]] == ["a", "b"]

    def test_items_without_a_guid_are_all_listed(self, sim, read):
        body = {"meta": {"pageCount": 1}, "items": [{"medium": "a"}, {"medium": "b"}]}
        sim.fault("status", status=200, body=body, path=ONGOING)
        assert [item["medium"] for item in read()["interactions"]] == ["a", "b"]

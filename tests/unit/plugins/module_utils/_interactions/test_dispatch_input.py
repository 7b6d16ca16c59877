# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dispatches that are refused before any call, and why."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    Invalid,
    check_raw_types,
    column,
    summary,
    validated,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.helpers import LINKS


class TestRejectedDispatches:
    def test_rejected_interaction_does_not_keep_others_from_being_dispatched(self, sim, dispatch):
        sim.poison("bad")
        result = dispatch(external_ids=["a", "bad", "b"])
        assert column(result, "state") == ["dispatched", "failed", "dispatched"]
        assert "check the route, the provider, linked_data and routing_data" in result["msg"]
        assert sim.live() == ["a", "b"]

    def test_404_is_failure(self, sim, dispatch):
        sim.fault("status", status=404)
        result = dispatch(external_id="a")
        assert summary(result) == {"requested": 1, "failed": 1}
        assert "404" in result["msg"]

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"external_id": "a", "route": " "}, "route is empty: give a name."),
            ({"external_id": ""}, "external_id is empty"),
            ({"interactions": [{"external_id": "a\n"}]}, "interactions[0] has a control character"),
            ({"interactions": [{"request_id": ""}]}, "interactions[0]: request_id is empty"),
            (
                {"external_id": "a", "routing_data": {"personal_queue": {"agent": ""}}},
                "routing_data.personal_queue.agent is empty: give a name.",
            ),
            (
                {"external_id": "a", "routing_data": {"personal_queue": {"agent": "x", "logged_in_timeout": -1}}},
                "routing_data.personal_queue.logged_in_timeout must be 0 or more, not -1.",
            ),
            (
                {"interactions": [{"routing_data": {"skills": [{"name": "x", "expiry_after": -1}]}}]},
                "interactions[0]: routing_data.skills[0].expiry_after must be 0 or more, not -1.",
            ),
            (
                {"external_id": "a", "routing_data": {"personal_queue": {"agent": "x", "logged_in_timeout": True}}},
                "routing_data.personal_queue.logged_in_timeout must be a whole number, not True.",
            ),
            (
                {"interactions": [{"external_id": "a", "linked_data": LINKS}, {"external_id": "a"}]},
                "interactions[1] asks for 'a' a second time with other linked_data or routing_data: remove one of the two entries.",
            ),
            (
                {"interactions": [{"external_id": "a"}, {"external_id": "a", "linked_data": LINKS}]},
                "interactions[1] asks for 'a' a second time with other linked_data or routing_data: remove one of the two entries.",
            ),
            (
                {"interactions": [{"external_id": "a", "request_id": "1"}, {"external_id": "b", "request_id": "1"}]},
                "interactions[1] has the request_id '1' of another interaction",
            ),
            (
                {"external_id": "a", "linked_data": [{"type": "url", "value": "x" * 80_000}]},
                "linked_data and routing_data have 80",
            ),
            (
                {"interactions": [{"linked_data": [{"type": "url", "value": "a\ud800"}]}]},
                "interactions[0]: linked_data or routing_data is not valid Unicode: write it in UTF-8.",
            ),
        ],
    )
    def test_invalid_option_is_rejected_before_any_call(self, sim, dispatch, given, said):
        for check in (True, False):
            result = dispatch(check=check, **given)
            assert result["failed"]
            assert result["msg"].startswith(said)
        assert sim.calls == []

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ('{"external_id": "a", "linked_data": {"type": "url"}}', "cannot be converted to a list"),
            ('{"external_id": "a", "linked_data": [{"type": "url"}]}', "missing required arguments: value"),
            (
                '{"external_id": "a", "linked_data": [{"type": "url", "value": {}}]}',
                "is neither text nor a whole number",
            ),
            ('{"external_id": "a", "routing_data": {"speed": 1}}', "speed"),
            ('{"external_id": "a", "routing_data": {"skills": [{"name": ""}]}}', "skills[0].name is empty"),
            (
                '{"external_id": "a", "routing_data": {"skills": [{"name": "x", "expiry_after": Infinity}]}}',
                "a finite number",
            ),
            (
                '{"external_id": "a", "linked_data": [{"type": "url", "value": null}]}',
                "linked_data[0].value is neither",
            ),
            ('{"linked_data": []}', "has no external_id"),
        ],
    )
    def test_invalid_line_of_file_is_rejected(self, sim, dispatch, tmp_path, line, said):
        (tmp_path / "ids.jsonl").write_text('{"external_id": "fine"}\n' + line + "\n")
        result = dispatch(src=str(tmp_path / "ids.jsonl"))
        assert result["msg"].startswith(f"src {tmp_path}/ids.jsonl, line 2")
        assert said in result["msg"]
        assert sim.calls == []

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"route": None}, "state is dispatched but all of the following are missing: route"),
            ({"linked_data": [{"value": "1"}]}, "missing required arguments: type found in linked_data"),
            ({"linked_data": [{"type": "url", "value": "1", "colour": "blue"}]}, "colour"),
            ({"routing_data": {"interaction_type": "dead"}}, "value of interaction_type must be one of"),
            ({"routing_data": {"personal_queue": {"logged_in_timeout": 3}}}, "missing required arguments: agent"),
            ({"routing_data": {"skills": [{"expiry_after": 3}]}}, "missing required arguments: name"),
            ({"routing_data": {"skills": [{"name": "x", "expiry_after": "soon"}]}}, "expiry_after"),
            ({"external_id": None, "interactions": [{"extrenal_id": "a"}]}, "extrenal_id"),
        ],
    )
    def test_ansible_rejects_option(self, given, said):
        given = {"state": "dispatched", "route": "sales", "external_id": "a", **given}
        with pytest.raises(Invalid, match=said):
            validated(**{name: value for name, value in given.items() if value is not None})

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"interactions": "a,b"}, "interactions must be a list, not a string"),
            ({"interactions": ["a"]}, "interactions[0] must be a dictionary"),
            ({"interactions": [{"external_id": ["a"]}]}, "interactions[0].external_id is neither text"),
            ({"interactions": [{"linked_data": [{"value": {}}]}]}, "interactions[0].linked_data[0].value is neither"),
            ({"linked_data": [{"value": "1", "label": 1.5}]}, "linked_data[0].label is neither text"),
            ({"linked_data": [{"type": "url", "value": None}]}, "linked_data[0].value is neither text"),
            ({"interactions": [{"linked_data": [{"type": None}]}]}, "interactions[0].linked_data[0].type is neither"),
            ({"routing_data": {"personal_queue": {"agent": None}}}, "routing_data.personal_queue.agent is neither"),
            ({"route": {}}, "route is neither text"),
            ({"routing_data": {"personal_queue": {"agent": []}}}, "routing_data.personal_queue.agent is neither"),
            ({"routing_data": {"skills": [{"name": True}]}}, "routing_data.skills[0].name is neither"),
        ],
    )
    def test_option_is_rejected_before_ansible_converts_it(self, given, said):
        with pytest.raises(InputError) as caught:
            check_raw_types(given)
        assert str(caught.value).startswith(said)

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin checks options before Ansible converts them."""

from __future__ import annotations

import collections.abc

import pytest

from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID
from ansible_collections.vonage.vcc.tests.unit.plugins.action.helpers import NOTHING
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import run_module


class Vaulted(collections.abc.Sequence):
    """A !vault value as in ansible-core before 2.19: it is no string, but ``str`` returns its text."""

    __ENCRYPTED__ = True

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text

    def __getitem__(self, index):
        return self.text[index]

    def __len__(self):
        return len(self.text)


class Unsafe(str):
    """An !unsafe value as in ansible-core before 2.19: ``str`` and slices of it are !unsafe values too, never plain strings."""

    def _itself(self):
        return self

    __str__ = _itself

    def __getitem__(self, index):
        return Unsafe(super().__getitem__(index))

    def encode(self, *_arguments, **_options):
        raise AssertionError("the encoded value would not be plain bytes")


class TestRawValues:
    """Ansible converts other types to text, and a string to a list, before the engine sees the value."""

    @pytest.mark.parametrize("transport", ["local", "ssh"])
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"external_ids": "a,b"}, "external_ids must be a list, not a string: an id may contain commas"),
            ({"external_ids": ["a", None]}, "external_ids[1] is neither text nor a whole number"),
            ({"external_ids": [{"id": "a"}]}, "external_ids[0] is neither text nor a whole number"),
            ({"external_ids": ["a", "b", 1.5]}, "external_ids[2] is neither text nor a whole number"),
            ({"external_ids": [True]}, "external_ids[0] is neither text nor a whole number"),
            ({"external_id": {"a": "b"}}, "external_id is neither text nor a whole number"),
            ({"external_id": ["a"]}, "external_id is neither text nor a whole number"),
            ({"external_id": "a", "request_id": 1.5}, "request_id is neither text nor a whole number"),
            ({"external_id": "a", "provider": ["p"]}, "provider is neither text nor a whole number"),
        ],
    )
    def test_wrong_type_is_refused_over_any_connection(self, make_action, transport, given, said):
        result = make_action({"region": "emea", "access_token": "t0ken", **given}, transport).run(task_vars={})
        assert result["failed"]
        assert result["msg"].startswith(said)

    @pytest.mark.parametrize("kind", [Vaulted, Unsafe])
    def test_vaulted_and_unsafe_values_become_plain_text(self, make_action, sim, kind):
        sim.register("crm")
        given = sim.options(
            state=kind("dispatched"),
            route=kind("sales"),
            provider=kind("crm"),
            interactions=[
                {"external_id": kind("a"), "linked_data": [{"type": kind("name"), "value": kind("Ada")}]},
                {"external_id": kind("{{ b }}")},
            ],
        )
        wrapped = {name: kind(value) if isinstance(value, str) else value for name, value in given.items()}
        result = make_action({**wrapped, "timeout": kind("20")}).run(task_vars={})
        assert result["summary"]["dispatched"] == 2, result
        assert [type(one["external_id"]) for one in result["interactions"]] == [str, str]
        assert b'"linkeddata":[{"type":"name","value":"Ada"}]' in sim.bodies()[0]
        listed = make_action(sim.options(external_ids=[kind("a"), kind("{{ b }}")], provider=kind("crm"))).run(
            task_vars={}
        )
        assert [one["external_id"] for one in listed["interactions"]] == ["a", "{{ b }}"]
        assert sim.live(provider="crm") == []

    @pytest.mark.parametrize("kind", [Vaulted, Unsafe])
    def test_vaulted_and_unsafe_values_are_accepted_for_module(self, make_action, kind):
        action = make_action({"external_id": kind("a"), "external_ids": [kind("b")]}, transport="ssh")
        assert action.run(task_vars={})["action"] == "module"

    def test_numbers_become_text_with_warning(self, make_action):
        action = make_action({**NOTHING, "external_ids": [83, "a", 45045], "retries": 1}, check_mode=True)
        result = action.run(task_vars={})
        assert [one["external_id"] for one in result["interactions"]] == ["83", "a", "45045"]
        (warning,) = result["warnings"]
        assert warning.startswith(
            "A number without quotes is used as text: external_ids[0] as '83', external_ids[2] as '45045'."
        )

    def test_warning_names_numbers_in_nested_options(self, make_action):
        data = {
            "linked_data": [{"type": "name", "value": 1}],
            "routing_data": {
                "personal_queue": {"agent": 2, "logged_in_timeout": 60},
                "skills": [{"name": "French"}, {"name": 3, "expiry_after": 5}],
            },
        }
        given = {
            **NOTHING,
            "state": "dispatched",
            "route": 4,
            "provider": 5,
            "interactions": [{"external_id": 6, **data}],
        }
        del given["external_ids"]
        warning, dummy = make_action(given, check_mode=True).run(task_vars={})["warnings"]
        assert warning.startswith(
            "A number without quotes is used as text: interactions[0].external_id as '6', interactions[0].linked_data[0].value as '1',"
            " interactions[0].routing_data.personal_queue.agent as '2', interactions[0].routing_data.skills[1].name as '3',"
            " route as '4' and 1 more."
        )

    def test_module_gives_same_warning(self, make_action, sim, tmp_path):
        given = sim.options(external_id=83, client_id=CLIENT_ID)
        (warning,) = make_action(given, check_mode=True).run(task_vars={})["warnings"]
        (by_module,) = run_module(tmp_path, True, **given)[0]["warnings"]
        # Some versions of ansible-core put the warning into an object.
        assert warning == (by_module if isinstance(by_module, str) else by_module["event"]["msg"])

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({}, "one of the following is required: external_id, external_ids, src"),
            ({"external_id": "a", "external_ids": ["b"]}, "parameters are mutually exclusive"),
            ({"external_id": "a", "region": "mars"}, "value of region must be one of: emea, nam, apac, got: mars"),
            (
                {"external_id": "a", "colour": "blue"},
                "Unsupported parameters for (vonage.vcc.vcc_interaction) module: colour",
            ),
            ({"external_id": "a", "timeout": "soon"}, "timeout"),
        ],
    )
    def test_error_of_ansible_validation_fails_task(self, make_action, given, said):
        result = make_action({"access_token": "t0ken", **given}).run(task_vars={})
        assert result["failed"]
        assert said in result["msg"]

    def test_options_come_from_environment_of_controller(self, make_action, sim, monkeypatch):
        for name, value in sim.options().items():
            monkeypatch.setenv(f"VCC_{name.upper()}", str(value))
        assert make_action({"external_id": "a"}).run(task_vars={})["changed"]
        assert sim.released == ["a"]

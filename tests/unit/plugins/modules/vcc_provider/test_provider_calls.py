# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vcc_provider calls VCC with every setting, and only if a setting differs from the journal."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils import _connection
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    Recorder,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.modules.vcc_provider.helpers import FULL, HOOK, OTHER, bodies


class TestCall:
    def test_unset_options_are_not_sent(self, sim, register):
        result = register()
        assert result.pop("journal")["created"]
        assert result == {"changed": True, "provider": "tickets", "changed_settings": [], "evidence": "api"}
        assert bodies(sim) == [
            {
                "provider": "tickets",
                "agentactionspermitted": {"release": 0, "hold": 0, "transferToAgent": 0, "transferToRoute": 0},
            }
        ]
        assert not any(isinstance(value, bool) for value in bodies(sim)[0]["agentactionspermitted"].values())

    def test_every_setting_has_name_of_vcc(self, sim, register):
        register(
            endpoint=f"{HOOK}/@team?key=1@2",
            headers={"Authorization": "Basic dTpw", "X-Number": 7, "X-Empty": "", "!#$%&'*+-.^_`|~": "\x20~"},
            agent_actions_permitted=dict.fromkeys(("release", "hold", "transfer_to_agent", "transfer_to_route"), True),
        )
        assert bodies(sim) == [
            {
                "provider": "tickets",
                "endpoint": f"{HOOK}/@team?key=1@2",
                "headers": {
                    "Authorization": "Basic dTpw",
                    "X-Number": "7",
                    "X-Empty": "",
                    "!#$%&'*+-.^_`|~": "\x20~",
                },
                "agentactionspermitted": {"release": 1, "hold": 1, "transferToAgent": 1, "transferToRoute": 1},
            }
        ]

    @pytest.mark.parametrize(
        ("option", "spelled"),
        [
            ("release", "release"),
            ("hold", "hold"),
            ("transfer_to_agent", "transferToAgent"),
            ("transfer_to_route", "transferToRoute"),
        ],
    )
    def test_each_action_is_permitted_by_itself(self, sim, register, option, spelled):
        register(agent_actions_permitted={option: True})
        permitted = bodies(sim)[0]["agentactionspermitted"]
        assert [name for name, value in permitted.items() if value] == [spelled]

    def test_call_has_documented_headers_and_scope(self, sim, register):
        register()
        token, call = sim.requests
        assert b"scope=interactions%3Awrite" in token["body"]
        assert call["headers"]["Accept"] == "application/vnd.newvoicemedia.v1+json"
        assert call["headers"]["Content-Type"] == "application/json"
        assert [one["method"] for one in sim.calls] == ["POST", "POST"]

    @pytest.mark.parametrize("empty", [{"endpoint": ""}, {"headers": {}}, {"endpoint": HOOK, "headers": {}}])
    def test_empty_setting_is_not_sent(self, sim, register, empty):
        register(**empty)
        assert set(bodies(sim)[0]) == {
            "provider",
            "agentactionspermitted",
            *(["endpoint"] if empty.get("endpoint") else []),
        }

    def test_vcc_gets_endpoint_for_notifications(self, sim, register):
        register(**FULL)
        sim.dispatch("a", provider="tickets")
        endpoint, headers, dummy = sim.notification("a")
        assert (endpoint, headers) == (FULL["endpoint"], FULL["headers"])


class TestConfirmation:
    def test_a_second_run_makes_no_call(self, sim, register):
        register(**FULL)
        calls = sim.calls
        second = register(diff=True, **FULL)
        assert sim.calls == calls
        diff = second.pop("diff")
        assert diff["before"] == diff["after"] != ""
        assert second.pop("journal")["created"] is False
        assert second == {"changed": False, "provider": "tickets", "changed_settings": [], "evidence": "journal"}

    def test_a_number_and_its_text_are_the_same_header(self, sim, register):
        register(endpoint=HOOK, headers={"X-Number": 7})
        assert not register(endpoint=HOOK, headers={"X-Number": "7"})["changed"]

    def test_empty_setting_equals_missing_setting(self, register):
        register()
        assert not register(endpoint="", headers={})["changed"]

    def test_changed_registration_is_sent_completely_and_once(self, sim, register):
        for settings in (FULL, OTHER, FULL):
            assert register(**settings)["changed"]
            assert not register(**settings)["changed"]
        assert [body["endpoint"] for body in bodies(sim)] == [HOOK, f"{HOOK}/2", HOOK]
        assert bodies(sim)[0] == bodies(sim)[2]

    def test_force_sends_confirmed_registration(self, sim, register):
        register(**FULL)
        forced = register(force=True, diff=True, **FULL)
        assert (forced["changed"], forced["changed_settings"], forced["evidence"]) == (True, [], "api")
        assert forced["diff"]["before"] == forced["diff"]["after"]
        assert len(bodies(sim)) == 2
        assert not register(**FULL)["changed"]

    def test_each_run_without_journal_registers(self, sim, register, tmp_path):
        for dummy in range(2):
            result = register(journal="", diff=True, **FULL)
            assert (result["changed"], result["changed_settings"]) == (True, [])
            assert result["diff"]["before"] == "tickets: not known to be registered\n"
        assert len(bodies(sim)) == 2
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("other", [{"name": "orders"}, {"account": "second"}], ids=["name", "account"])
    def test_other_provider_or_account_is_not_confirmed(self, sim, register, other):
        register()
        assert register(**other)["changed"]
        assert len(bodies(sim)) == 2
        assert not register()["changed"]
        assert not register(**other)["changed"]

    def test_other_api_is_not_confirmed(self, sim, register):
        register()
        with Recorder() as second:
            elsewhere = {"api_url": second.url, "auth_url": second.token_url}
            assert register(**elsewhere)["changed"]
            assert len(bodies(second)) == 1
        assert not register()["changed"]

    def test_registration_leaves_rows_of_interactions(self, sim, register, task, rows):
        register()
        sim.dispatch("a", provider="tickets")
        task(external_id="a", provider="tickets")
        before = rows()
        register(**FULL)
        assert rows() == before
        assert not task(external_id="a", provider="tickets")["changed"]
        assert not register(**FULL)["changed"]

    def test_disabled_verification_has_warning(self, register):
        for changed in (True, False):
            result = register(validate_certs=False)
            assert (result["changed"], result["warnings"]) == (changed, [_connection.UNVERIFIED])

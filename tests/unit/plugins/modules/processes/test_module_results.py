# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that call VCC return their results, and mask secrets."""

from __future__ import annotations

import calendar
import json
import time

import pytest
import requests

from ansible_collections.vonage.vcc.tests.unit.plugins.modules.processes.helpers import ONGOING, REGISTER, TOKEN


class TestProvider:
    FULL = {
        "endpoint": "https://hooks.example/vcc",
        "headers": {"Authorization": "Bearer hush-hush"},
        "agent_actions_permitted": {"release": True},
    }

    def test_registration_returns_changed_settings(self, sim, act):
        result, code, printed = act("vcc_provider", diff=True, **self.FULL)
        assert (code, result["changed"], result["evidence"], result["provider"]) == (0, True, "api", "tickets")
        assert json.loads(sim.bodies(REGISTER)[0]) == {
            "provider": "tickets",
            "endpoint": "https://hooks.example/vcc",
            "headers": {"Authorization": "Bearer hush-hush"},
            "agentactionspermitted": {"release": 1, "hold": 0, "transferToAgent": 0, "transferToRoute": 0},
        }
        assert "hush-hush" not in printed
        given = {**self.FULL, "headers": {"Authorization": "Bearer hush-hush-2"}}
        for check in (True, False):
            result, code, printed = act("vcc_provider", check, True, **given)
            assert result["changed_settings"] == ["headers.Authorization"]
            assert "headers.Authorization: registered with another value\n" in result["diff"]["before"]
            assert "hush-hush" not in printed
        assert len(sim.bodies(REGISTER)) == 2

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"name": None}, "missing required arguments: name"),
            ({"state": "absent"}, "value of state must be one of: present, got: absent"),
            ({"agent_actions_permitted": {"dance": True}}, "dance"),
            ({"agent_actions_permitted": {"hold": "perhaps"}}, "hold"),
            ({"agent_actions_permitted": 3}, "agent_actions_permitted must be a dictionary."),
            ({"timeout": float("inf")}, "timeout must be a finite number, not inf."),
            ({"headers": {"X": "hush-hush\n"}, "endpoint": "https://hooks.example"}, "headers.X has a character"),
            ({"headers": {"X": "hush-hush"}}, "headers need endpoint, which is missing"),
            ({"endpoint": "http://hooks.example"}, "endpoint must begin with https://"),
            ({"name": " "}, "name is empty"),
        ],
    )
    def test_wrong_options_are_refused_before_any_call(self, sim, refused, given, said):
        text = refused("vcc_provider", **given)
        assert said in text
        assert "hush-hush" not in text
        assert sim.calls == []

    def test_message_of_server_is_omitted_if_call_has_headers(self, sim, act):
        value = "Bearer hu+sh/sh"
        for spelled in ("hu+sh/sh", r"hu\u002Bsh\/sh", "hu%2bsh%2fsh", "hu&#43;sh/sh", "hu+s", "hu\n+s\nh/sh"):
            sim.fault("status", status=400, path=REGISTER, body={"message": f"not with {spelled}"})
            result, code, printed = act("vcc_provider", **{**self.FULL, "headers": {"Authorization": value}})
            assert code == 1
            assert result["msg"] == "The provider 'tickets' is not registered: VCC refused the request with status 400"
            assert "not with" not in printed

    def test_no_action_is_permitted_by_default(self, sim, act):
        assert not act("vcc_provider", agent_actions_permitted=None)[1]
        assert not act("vcc_provider", agent_actions_permitted={})[0]["changed"]
        assert set(json.loads(sim.bodies(REGISTER)[0])["agentactionspermitted"].values()) == {0}


class TestToken:
    def test_token_can_be_used(self, sim, act):
        result, code, dummy = act("vcc_token", scopes=["stats"])
        assert code == 0
        assert set(result) == {"changed", "access_token", "expires_in", "expires_at"}
        headers = {
            "Accept": "application/vnd.newvoicemedia.v3+json",
            "Authorization": f"Bearer {result['access_token']}",
        }
        assert requests.get(sim.url + ONGOING, headers=headers, timeout=30).status_code == 200
        assert len(sim.token_calls) == 1

    def test_token_has_time_of_its_end(self, act):
        began = int(time.time())
        result, dummy, dummy = act("vcc_token")
        ended = time.time()
        ends = calendar.timegm(time.strptime(result["expires_at"], "%Y-%m-%dT%H:%M:%SZ"))
        assert began + 7200 <= ends <= ended + 7200
        assert 7200 - (ended - began) - 1 <= result["expires_in"] <= 7200

    def test_unknown_end_is_null(self, sim, act):
        sim.fault("status", status=200, path=TOKEN, body={"access_token": "t-1"})
        result, code, dummy = act("vcc_token")
        assert (code, result["access_token"], result["expires_in"], result["expires_at"]) == (0, "t-1", None, None)

    @pytest.mark.parametrize(
        ("given", "sent"),
        [
            ({}, "interactions%3Awrite"),
            ({"scopes": ["stats"]}, "stats"),
            ({"scopes": ["interactions:write", "stats", "users:read"]}, "interactions%3Awrite+stats+users%3Aread"),
        ],
    )
    def test_scopes_are_joined_with_blanks(self, sim, act, given, sent):
        assert act("vcc_token", **given)[1] == 0
        (body,) = sim.bodies(TOKEN)
        assert f"scope={sent}".encode() in body.split(b"&")

    def test_cached_token_is_used_for_same_scopes(self, sim, act, tmp_path):
        cache = {"token_cache": str(tmp_path / "tokens.json")}
        first = act("vcc_token", **cache)[0]
        second = act("vcc_token", **cache)[0]
        assert first["access_token"] == second["access_token"]
        assert first["expires_at"] == second["expires_at"]
        assert second["expires_in"] <= first["expires_in"]
        assert len(sim.token_calls) == 1
        other = act("vcc_token", scopes=["stats"], **cache)[0]
        assert other["access_token"] != first["access_token"]
        assert len(sim.token_calls) == 2

    def test_each_task_without_cache_gets_new_token(self, act):
        assert act("vcc_token")[0]["access_token"] != act("vcc_token")[0]["access_token"]

    def test_check_mode_gets_token(self, sim, act):
        assert act("vcc_token", check=True)[0]["access_token"]
        assert len(sim.token_calls) == 1

    def test_auth_url_alone_is_enough(self, sim, act):
        assert act("vcc_token", api_url=None)[0]["access_token"]
        assert [call["path"] for call in sim.calls] == [TOKEN]

    def test_access_token_is_not_used(self, sim, act):
        result, code, dummy = act("vcc_token", access_token="ready-made")
        assert (code, len(sim.token_calls)) == (0, 1)
        assert "ready-made" not in result["access_token"]

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"scopes": []}, "scopes is empty: name at least one, such as interactions:write."),
            ({"scopes": ["stats", ""]}, "scopes[1] is empty"),
            ({"scopes": ["interactions:write stats"]}, "scopes[0] has a blank in it: make it two scopes."),
            ({"scopes": ["a\nb"]}, "scopes[0] has a control character"),
            ({"api_url": None, "auth_url": None}, "The region of the VCC account is missing"),
            (
                {"client_id": None, "client_secret": None, "access_token": "ready-made"},
                "The client credentials are missing: set client_id and client_secret, or VCC_CLIENT_ID and VCC_CLIENT_SECRET in ",
            ),
        ],
    )
    def test_wrong_options_are_refused_before_any_call(self, sim, refused, given, said):
        assert refused("vcc_token", **given).startswith(said)
        assert sim.calls == []

    @pytest.mark.parametrize("lifetime", ["Infinity", "NaN", "1e18", "-1e18"])
    def test_impossible_end_is_null(self, sim, act, lifetime):
        sim.fault("status", status=200, path=TOKEN, body=f'{{"access_token": "t-1", "expires_in": {lifetime}}}')
        result, code, dummy = act("vcc_token")
        assert (code, result["access_token"], result["expires_at"]) == (0, "t-1", None)

    def test_token_that_equals_access_token_is_shown(self, act, tmp_path):
        cache = {"token_cache": str(tmp_path / "tokens.json")}
        token = act("vcc_token", **cache)[0]["access_token"]
        assert act("vcc_token", access_token=token, **cache)[0]["access_token"] == token

    def test_message_names_wrong_auth_url(self, refused):
        assert refused("vcc_token", api_url=None, auth_url="http://elsewhere.example/x").startswith("auth_url must")

    def test_answer_without_token_is_named(self, sim, refused):
        sim.fault("html", path=TOKEN)
        assert "answered without a token" in refused("vcc_token")


class TestOngoing:
    def test_ongoing_interactions_are_listed(self, sim, act):
        sim.dispatch("secret-id", route="sales")
        sim.dispatch("b", "c", route="support")
        result, code, printed = act("vcc_ongoing_info", queue="support", page_size=2)
        assert code == 0
        assert [one["service_name"] for one in result["interactions"]] == ["support", "support"]
        assert result["totals"] == {"reported": 3, "listed": 3, "matched": 2, "api_calls": 2}
        assert "secret-id" not in printed

    def test_a_missing_scope_is_named(self, sim, refused):
        said = refused("vcc_ongoing_info", access_token=sim.issue_token(["interactions:write"]))
        assert said == "VCC refuses access (403): give the API client the scope stats."

    def test_the_token_is_never_printed(self, sim, act):
        token = sim.issue_token(["stats"])
        assert token not in act("vcc_ongoing_info", access_token=token)[2]

    def test_page_size_0_is_refused(self, sim, refused):
        assert refused("vcc_ongoing_info", page_size=0) == "page_size must be 1 or more, not 0."
        assert sim.calls == []

    def test_malformed_page_is_named(self, sim, refused):
        sim.fault("html", path=ONGOING)
        assert "that VCC never gives" in refused("vcc_ongoing_info")

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doors of all modules but vcc_interaction: each module's file as a process of its own, or its main function where it refuses a task."""

from __future__ import annotations

import calendar
import importlib
import json
import os
import time

import pytest
import requests
import trustme
import yaml

from ansible_collections.vonage.vcc.plugins.module_utils import _options
from ansible_collections.vonage.vcc.plugins.modules import (
    vcc_interaction,
    vcc_journal,
    vcc_journal_info,
    vcc_ongoing_info,
    vcc_provider,
    vcc_token,
)
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    COLLECTION,
    PYTHONPATH,
    call_main,
    run_module,
    snapshot,
)

ONGOING = "/stats/interactions/ongoing"
TOKEN = "/Auth/connect/token"
REGISTER = "/interactions/Register"
RELEASED = [{"notification": "Release", "objectid": "a", "notificationid": "n-1"}]

# A task of each module, and what it is good for in VCC.
TASKS = {
    "vcc_provider": {"name": "tickets"},
    "vcc_token": {},
    "vcc_ongoing_info": {},
    "vcc_journal": {"notifications": RELEASED},
    "vcc_journal_info": {},
}
SPECS = {
    "vcc_interaction": vcc_interaction.SPEC["argument_spec"],
    "vcc_provider": vcc_provider.SPEC["argument_spec"],
    "vcc_token": vcc_token.SPEC["argument_spec"],
    "vcc_ongoing_info": vcc_ongoing_info.SPEC["argument_spec"],
    "vcc_journal": vcc_journal.SPEC["argument_spec"],
    "vcc_journal_info": vcc_journal_info.SPEC["argument_spec"],
}
CALLING = ["vcc_provider", "vcc_token", "vcc_ongoing_info"]

every = pytest.mark.parametrize("module", TASKS)
calling = pytest.mark.parametrize("module", CALLING)


@pytest.fixture
def complete(sim, tmp_path):
    """Completes the options of a task against the simulator; a null takes an option away."""

    def add(module, given):
        usual = sim.options(journal=str(tmp_path / "journal.db"), **TASKS[module])
        if "journal" not in SPECS[module]:
            del usual["journal"]
        return {name: value for name, value in {**usual, **given}.items() if value is not None or name not in usual}

    return add


@pytest.fixture
def act(complete, tmp_path):
    """Runs a module. Returns its result, exit status and all that it printed."""

    def run(module, check=False, diff=False, env=None, **given):
        return run_module(tmp_path, check, diff, env, module, **complete(module, given))

    return run


@pytest.fixture
def refused(complete):
    """What a module says that fails: one sentence and no traceback."""

    def run(module, **given):
        result, code, printed = call_main(module, **complete(module, given))
        assert code == 1
        assert (result["failed"], result.get("changed", False)) == (True, False)
        assert "Traceback" not in printed
        assert "\n" not in result["msg"]
        assert "exception" not in result
        return result["msg"]

    return run


def shown(printed):
    """What was printed, without the escapes of JSON."""
    return json.dumps(json.loads(printed), ensure_ascii=False).replace("\\\\", "\\").replace('\\"', '"')


@every
class TestEvery:
    def test_every_option_of_the_connection_is_taken(self, sim, act, tmp_path, module):
        """So that module_defaults can set them for the action group."""
        trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        given = {
            "region": "emea",
            "domain": "cc.vonage.com",
            "api_url": sim.url,
            "auth_url": sim.token_url,
            "account": "main",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "access_token": sim.issue_token(["interactions:write", "stats"]),
            "token_cache": str(tmp_path / "tokens.json"),
            "validate_certs": True,
            "ca_path": str(tmp_path / "ca.pem"),
            "timeout": 9,
            "retries": 0,
            "requests_per_minute": 600,
        }
        assert set(given) == set(_options.CONNECTION_SPEC)
        result, code, printed = act(module, **given)
        assert code == 0, printed
        assert not result.get("failed")
        assert "Traceback" not in printed

    def test_check_mode_says_what_the_first_run_does_and_the_second_does_nothing(self, sim, act, tmp_path, module):
        before = snapshot(tmp_path)
        predicted, *others = act(module, check=True, diff=True)
        assert snapshot(tmp_path) == before
        real, *more = act(module, diff=True)
        assert set(predicted) == set(real)
        assert predicted["changed"] is real["changed"] is (module in ("vcc_provider", "vcc_journal"))
        again, *rest = act(module, diff=True)
        assert again["changed"] is False
        for code, printed in (others, more, rest):
            assert code == 0
            assert CLIENT_SECRET not in shown(printed)

    def test_an_option_that_does_not_exist_is_refused(self, sim, refused, module):
        assert "colour" in refused(module, colour="blue")
        assert sim.calls == []

    @pytest.mark.parametrize("library", ["requests", "sqlite3"])
    def test_a_missing_library_is_named(self, sim, act, tmp_path, module, library):
        absent = tmp_path / "absent"
        absent.mkdir()
        (absent / f"{library}.py").write_text("raise ImportError('not here')\n")
        result, code, dummy = act(module, env={"PYTHONPATH": os.pathsep.join([str(absent), PYTHONPATH])})
        assert code == 1
        assert result["msg"].startswith(f"Failed to import the required Python library ({library}) on ")
        assert sim.calls == []


@calling
class TestCalling:
    def test_wrong_credentials_are_named(self, refused, module):
        said = refused(module, client_secret="wrong")
        assert said == "VCC refused the client credentials (invalid_client): check client_id, client_secret and region."

    def test_missing_credentials_are_named(self, sim, refused, module):
        said = refused(module, client_id=None, client_secret=None)
        assert "credentials are missing: set client_id and client_secret" in said
        assert sim.calls == []

    @pytest.mark.parametrize("missing", ["client_id", "client_secret"])
    def test_one_of_two_is_not_enough(self, sim, refused, module, missing):
        assert "missing: set" in refused(module, **{missing: None})
        assert sim.calls == []

    def test_a_scope_that_was_not_granted_is_named(self, sim, refused, module):
        sim.add_client("poor", "very-s3cret", scopes=["users:read"])
        scope = "stats" if module == "vcc_ongoing_info" else "interactions:write"
        said = refused(module, client_id="poor", client_secret="very-s3cret")
        assert f"no token for the scope {scope} (invalid_scope)" in said

    def test_a_token_endpoint_without_an_answer_is_named(self, sim, refused, module):
        sim.fault("cut", path=TOKEN)
        assert refused(module).startswith(f"The token endpoint {sim.token_url} gave no answer")

    def test_the_environment_serves(self, sim, tmp_path, module):
        dummy, code, printed = run_module(tmp_path, env=sim.environment(tmp_path), module=module, **TASKS[module])
        assert code == 0, printed
        assert (tmp_path / "elsewhere.db").exists() is (module == "vcc_provider")
        assert (tmp_path / "tokens.json").exists()
        assert CLIENT_SECRET not in shown(printed)

    def test_no_verification_is_warned_about(self, act, module):
        result, dummy, dummy = act(module, validate_certs=False)
        assert "validate_certs is false" in json.dumps(result["warnings"])


@pytest.mark.parametrize(("module", "path"), [("vcc_provider", REGISTER), ("vcc_ongoing_info", ONGOING)])
def test_what_a_server_says_with_a_token_in_it_is_not_repeated(sim, act, tmp_path, module, path):
    cache = tmp_path / "tokens.json"
    act(module, token_cache=str(cache))
    (entry,) = json.loads(cache.read_text()).values()
    sim.fault("status", status=400, path=path, body={"message": f"not with {entry['access_token']}"})
    force = {"force": True} if module == "vcc_provider" else {}
    result, code, printed = act(module, token_cache=str(cache), **force)
    assert code == 1
    assert "VCC refused it with status 400" in result["msg"]
    assert "not with" not in printed
    assert entry["access_token"] not in printed


class TestProvider:
    FULL = {
        "endpoint": "https://hooks.example/vcc",
        "headers": {"Authorization": "Bearer hush-hush"},
        "agent_actions_permitted": {"release": True},
    }

    def test_a_registration_and_what_a_change_says(self, sim, act):
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
            ({"agent_actions_permitted": 3}, "agent_actions_permitted has to be a dictionary."),
            ({"timeout": float("inf")}, "timeout has to be a number that ends, not inf."),
            ({"headers": {"X": "hush-hush\n"}, "endpoint": "https://hooks.example"}, "headers.X has a character"),
            ({"headers": {"X": "hush-hush"}}, "headers are sent to endpoint, which is missing"),
            ({"endpoint": "http://hooks.example"}, "endpoint has to begin with https://"),
            ({"name": " "}, "name is empty"),
        ],
    )
    def test_what_is_refused_before_any_call(self, sim, refused, given, said):
        text = refused("vcc_provider", **given)
        assert said in text
        assert "hush-hush" not in text
        assert sim.calls == []

    def test_after_a_call_with_headers_nothing_that_a_server_says_is_repeated(self, sim, act):
        value = "Bearer hu+sh/sh"
        for spelled in ("hu+sh/sh", r"hu\u002Bsh\/sh", "hu%2bsh%2fsh", "hu&#43;sh/sh", "hu+s", "hu\n+s\nh/sh"):
            sim.fault("status", status=400, path=REGISTER, body={"message": f"not with {spelled}"})
            result, code, printed = act("vcc_provider", **{**self.FULL, "headers": {"Authorization": value}})
            assert code == 1
            assert result["msg"] == "The provider 'tickets' is not registered: VCC refused it with status 400"
            assert "not with" not in printed

    def test_no_permission_at_all_is_the_default(self, sim, act):
        assert not act("vcc_provider", agent_actions_permitted=None)[1]
        assert not act("vcc_provider", agent_actions_permitted={})[0]["changed"]
        assert set(json.loads(sim.bodies(REGISTER)[0])["agentactionspermitted"].values()) == {0}


class TestToken:
    def test_it_can_be_used(self, sim, act):
        result, code, dummy = act("vcc_token", scopes=["stats"])
        assert code == 0
        assert set(result) == {"changed", "access_token", "expires_in", "expires_at"}
        headers = {
            "Accept": "application/vnd.newvoicemedia.v3+json",
            "Authorization": f"Bearer {result['access_token']}",
        }
        assert requests.get(sim.url + ONGOING, headers=headers, timeout=30).status_code == 200
        assert len(sim.token_calls) == 1

    def test_it_says_when_it_ends(self, act):
        began = int(time.time())
        result, dummy, dummy = act("vcc_token")
        ended = time.time()
        ends = calendar.timegm(time.strptime(result["expires_at"], "%Y-%m-%dT%H:%M:%SZ"))
        assert began + 7200 <= ends <= ended + 7200
        assert 7200 - (ended - began) - 1 <= result["expires_in"] <= 7200

    def test_an_end_that_is_not_told_is_null(self, sim, act):
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
    def test_scopes_are_joined_by_a_blank(self, sim, act, given, sent):
        assert act("vcc_token", **given)[1] == 0
        (body,) = sim.bodies(TOKEN)
        assert f"scope={sent}".encode() in body.split(b"&")

    def test_a_cached_one_is_used_again_by_the_same_scopes(self, sim, act, tmp_path):
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

    def test_without_a_cache_each_task_gets_its_own(self, act):
        assert act("vcc_token")[0]["access_token"] != act("vcc_token")[0]["access_token"]

    def test_check_mode_gets_one_too(self, sim, act):
        assert act("vcc_token", check=True)[0]["access_token"]
        assert len(sim.token_calls) == 1

    def test_auth_url_alone_is_enough(self, sim, act):
        assert act("vcc_token", api_url=None)[0]["access_token"]
        assert [call["path"] for call in sim.calls] == [TOKEN]

    def test_a_ready_token_is_not_used(self, sim, act):
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
    def test_what_is_refused_before_any_call(self, sim, refused, given, said):
        assert refused("vcc_token", **given).startswith(said)
        assert sim.calls == []

    @pytest.mark.parametrize("lifetime", ["Infinity", "NaN", "1e18", "-1e18"])
    def test_an_end_that_no_clock_knows_is_null(self, sim, act, lifetime):
        sim.fault("status", status=200, path=TOKEN, body=f'{{"access_token": "t-1", "expires_in": {lifetime}}}')
        result, code, dummy = act("vcc_token")
        assert (code, result["access_token"], result["expires_at"]) == (0, "t-1", None)

    def test_it_can_be_used_where_the_same_is_given(self, act, tmp_path):
        cache = {"token_cache": str(tmp_path / "tokens.json")}
        token = act("vcc_token", **cache)[0]["access_token"]
        assert act("vcc_token", access_token=token, **cache)[0]["access_token"] == token

    def test_a_wrong_auth_url_is_named_as_such(self, refused):
        assert refused("vcc_token", api_url=None, auth_url="http://elsewhere.example/x").startswith("auth_url has")

    def test_an_answer_without_a_token(self, sim, refused):
        sim.fault("html", path=TOKEN)
        assert "answered without a token" in refused("vcc_token")


class TestOngoing:
    def test_what_is_ongoing(self, sim, act):
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

    def test_a_page_size_that_is_none(self, sim, refused):
        assert refused("vcc_ongoing_info", page_size=0) == "page_size has to be 1 or more, not 0."
        assert sim.calls == []

    def test_a_page_that_is_none(self, sim, refused):
        sim.fault("html", path=ONGOING)
        assert "in a way that VCC does not" in refused("vcc_ongoing_info")


class TestJournal:
    def test_what_vcc_notifies_of_is_proof_for_the_next_task(self, sim, act, tmp_path):
        result, code, dummy = act("vcc_journal", diff=True, provider="tickets")
        assert (code, result["changed"], result["noted"], result["ignored"]) == (0, True, 1, 0)
        assert result["diff"] == {
            "before_header": "VCC journal",
            "after_header": "VCC journal",
            "before": "a: not known\n",
            "after": "a: released\n",
        }
        given = sim.options(journal=str(tmp_path / "journal.db"), external_id="a")
        assert not run_module(tmp_path, provider="tickets", **given)[0]["changed"]
        assert sim.calls == []
        assert run_module(tmp_path, **given)[0]["changed"]

    def test_notifications_of_the_simulator_are_taken_as_they_come(self, sim, act):
        sim.register("tickets", endpoint="https://hooks.example")
        sim.dispatch("a", provider="tickets")
        given = [sim.notification("a", kind)[2][0] for kind in ("AssignToAgent", "Release")]
        result, code, dummy = act("vcc_journal", notifications=[*given, given[0]], provider="tickets")
        assert (code, result["noted"], result["ignored"]) == (0, 2, 0)

    @pytest.mark.parametrize("task", [{}, {"notifications": None, "older_than": 0}], ids=["note", "prune"])
    def test_check_mode_is_exact(self, act, tmp_path, task):
        act("vcc_journal", notifications=[{**RELEASED[0], "notificationid": "n-0"}])
        before = snapshot(tmp_path)
        predicted, dummy, dummy = act("vcc_journal", check=True, diff=True, **task)
        assert snapshot(tmp_path) == before
        real, dummy, dummy = act("vcc_journal", diff=True, **task)
        assert predicted == real
        assert real["changed"]
        again, dummy, dummy = act("vcc_journal", **task)
        assert not again["changed"]

    def test_pruning_says_what_went(self, act):
        act("vcc_journal")
        result, dummy, dummy = act("vcc_journal", diff=True, notifications=None, older_than=0)
        assert result["pruned"] == {"interactions": 1, "notifications": 1, "request_ids": 0}
        assert result["diff"]["before"] == "old interactions: 1\nold notifications: 1\nold request_ids: 0\n"
        assert result["diff"]["after"] == "old interactions: 0\nold notifications: 0\nold request_ids: 0\n"

    def test_pruning_needs_no_region_and_makes_no_journal(self, tmp_path):
        path = tmp_path / "journal.db"
        result, code, dummy = run_module(tmp_path, module="vcc_journal", journal=str(path), older_than=5)
        assert (code, result["changed"]) == (0, False)
        assert not path.exists()

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"notifications": None}, "one of the following is required: older_than, notifications"),
            ({"older_than": 1}, "parameters are mutually exclusive: older_than|notifications"),
            ({"notifications": None, "older_than": -1}, "older_than has to be 0 or more, not -1."),
            ({"notifications": [{"notification": "Release"}]}, "notifications[0] has no notification or no"),
            ({"notifications": [*RELEASED, {"objectid": "b", "notificationid": "2"}]}, "notifications[1] has no"),
            ({"notifications": ["Release"]}, "notifications"),
            ({"journal": ""}, "journal is empty or none, so that there is no journal"),
            (
                {"journal": "", "notifications": None, "older_than": 1},
                "journal is empty or none, so that there is no journal",
            ),
            ({"api_url": None}, "The region of the VCC account is missing"),
            ({"provider": "a\nb"}, "provider has a control character"),
        ],
    )
    def test_what_is_refused_writes_nothing(self, refused, tmp_path, given, said):
        assert said in refused("vcc_journal", **given)
        assert list(tmp_path.glob("journal*")) == []

    @pytest.mark.parametrize("name", ["objectid", "notificationid"])
    def test_what_is_no_unicode_is_refused(self, act, name):
        """As a process, since the code of Ansible's controller, which other tests import, refuses to read it."""
        result, code, dummy = act("vcc_journal", notifications=[{**RELEASED[0], name: "a\ud800"}])
        assert (code, result["msg"]) == (1, f"notifications[0].{name} is not valid Unicode: write it in UTF-8.")

    def test_an_age_beyond_all_time_prunes_nothing(self, act):
        result, dummy, dummy = act("vcc_journal", notifications=None, older_than=10**400)
        assert result["changed"] is False

    def test_an_external_id_that_is_a_number_counts(self, act):
        assert act("vcc_journal", notifications=[{**RELEASED[0], "objectid": 4711}])[0]["noted"] == 1

    def test_no_notifications_make_no_journal(self, act, tmp_path):
        act("vcc_journal", notifications=[])
        assert list(tmp_path.glob("journal*")) == []

    def test_no_call_is_made(self, sim, act):
        act("vcc_journal")
        act("vcc_journal_info")
        assert sim.calls == []


class TestJournalInfo:
    def test_what_a_task_has_done_is_shown(self, sim, act, tmp_path):
        path = tmp_path / "journal.db"
        run_module(tmp_path, **sim.options(journal=str(path), external_ids=["a", "b"]))
        act("vcc_provider")
        before = snapshot(tmp_path)
        result, code, dummy = act("vcc_journal_info", external_ids=["b"])
        assert code == 0
        assert result["journal"] == {"path": str(path), "exists": True, "schema_version": 3}
        assert result["counts"] == {"interactions": 2, "released": 2, "dispatched": 0, "pending": 0, "providers": 1}
        assert result["matched"] == 1
        (entry,) = result["entries"]
        assert (entry["external_id"], entry["state"], entry["api_url"], entry["account"], entry["provider"]) == (
            "b",
            "released",
            sim.url,
            CLIENT_ID,
            None,
        )
        assert snapshot(tmp_path) == before

    def test_an_id_with_a_comma_is_one(self, sim, act, tmp_path):
        path = tmp_path / "journal.db"
        run_module(tmp_path, **sim.options(journal=str(path), external_ids=["kom,ma", "kom", "ma"]))
        result, dummy, dummy = act("vcc_journal_info", external_ids=["kom,ma"])
        assert [one["external_id"] for one in result["entries"]] == ["kom,ma"]

    def test_a_missing_journal_is_no_failure(self, tmp_path):
        result, code, dummy = run_module(tmp_path, module="vcc_journal_info", journal="none/journal.db")
        assert code == 0
        assert result["journal"] == {
            "path": str(tmp_path / "none" / "journal.db"),
            "exists": False,
            "schema_version": None,
        }
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"page": 0}, "page has to be 1 or more, not 0."),
            ({"page_size": 0}, "page_size has to be 1 or more, not 0."),
            ({"page_size": 10_001}, "page_size has to be 10000 or less, not 10001."),
            ({"older_than": -1}, "older_than has to be 0 or more, not -1."),
            ({"newer_than": -1}, "newer_than has to be 0 or more, not -1."),
            ({"state": "gone"}, "value of state must be one of: released, dispatched, pending"),
            ({"journal": ""}, "journal is empty or none, so that there is no journal"),
            ({"external_ids": "kom,ma"}, "external_ids has to be a list, not a string: an id may hold commas"),
            ({"external_ids": 5}, "external_ids has to be a list."),
            ({"provider": "crm\u200b"}, "provider ends with white space or a character that cannot be seen (U+200B)"),
            ({"external_ids": ["a", 1.5]}, "external_ids[1] is neither text nor a whole number"),
            ({"external_ids": ["a", {"b": "c"}]}, "external_ids[1] is neither text nor a whole number"),
            ({"external_ids": ["a", "b "]}, "external_ids[1] ends with white space or a character that cannot be seen"),
        ],
    )
    def test_what_is_refused(self, refused, given, said):
        assert refused("vcc_journal_info", **given).startswith(said)

    @pytest.mark.parametrize(
        "given",
        [{"page": 10**18}, {"older_than": 10**400}, {"newer_than": 10**400}],
        ids=["page", "older_than", "newer_than"],
    )
    def test_what_sqlite_cannot_hold_is_refused(self, refused, given):
        assert "has to be 1000000000000 or less" in refused("vcc_journal_info", **given)

    def test_what_is_no_unicode_is_refused(self, act):
        result, code, dummy = act("vcc_journal_info", external_ids=["a\ud800"])
        assert (code, result["msg"]) == (1, "external_ids[0] is not valid Unicode: write it in UTF-8.")

    def test_what_is_no_journal_is_named(self, refused, tmp_path):
        (tmp_path / "journal.db").write_bytes(b"x" * 5000)
        assert refused("vcc_journal_info").startswith(f"The journal {tmp_path}/journal.db cannot be used (")


class TestBareNumbers:
    """YAML has read them before any module sees them."""

    ADVICE = " Put it in quotes, since YAML reads 0123 as 83 and 12:30:45 as 45045."

    def told(self, result):
        """The warnings, however ansible-core writes those of a module."""
        return [one if isinstance(one, str) else one["event"]["msg"] for one in result["warnings"]]

    @pytest.mark.parametrize(
        ("module", "given", "named"),
        [
            ("vcc_provider", {"name": 83}, "name as '83'"),
            (
                "vcc_journal_info",
                {"external_ids": ["a", 83, 45045]},
                "external_ids[1] as '83', external_ids[2] as '45045'",
            ),
            ("vcc_journal_info", {"account": 1.1}, "account as '1.1'"),
            ("vcc_ongoing_info", {"queue": 5, "page_size": 50}, "queue as '5'"),
            (
                "vcc_journal_info",
                {"external_ids": list(range(8))},
                ", ".join(f"external_ids[{number}] as '{number}'" for number in range(5)) + " and 3 more",
            ),
        ],
    )
    def test_is_warned_about_once(self, act, module, given, named):
        result, code, dummy = act(module, **given)
        assert code == 0
        assert self.told(result) == [f"A bare number is taken as text: {named}.{self.ADVICE}"]

    def test_one_that_is_a_secret_is_not_shown(self, sim, act):
        sim.add_client("second", "4711")
        result, code, dummy = act("vcc_token", client_id="second", client_secret=4711)
        assert code == 0
        assert self.told(result) == [f"A bare number is taken as text: client_secret.{self.ADVICE}"]

    @pytest.mark.parametrize(
        ("module", "given"),
        [
            ("vcc_journal_info", {"external_ids": ["83"], "page": 1, "older_than": 5}),
            ("vcc_ongoing_info", {"page_size": 50, "timeout": 20}),
            ("vcc_provider", {"force": True}),
        ],
    )
    def test_numbers_in_quotes_and_where_numbers_are_wanted_are_not(self, act, module, given):
        result, code, dummy = act(module, **given)
        assert (code, result.get("warnings", [])) == (0, [])


def documented(module):
    """The options of a module's documentation, those of its fragments included."""
    package = "ansible_collections.vonage.vcc.plugins"
    text = yaml.safe_load(importlib.import_module(f"{package}.modules.{module}").DOCUMENTATION)
    found = dict(text["options"])
    for name in text["extends_documentation_fragment"]:
        dummy, dummy, fragment, *attribute = name.split(".")
        class_ = importlib.import_module(f"{package}.doc_fragments.{fragment}").ModuleDocFragment
        more = getattr(class_, attribute[0].upper() if attribute else "DOCUMENTATION")
        found.update(yaml.safe_load(more)["options"])
    return found


def essence(found, nested):
    """What documentation and argument spec both say of options."""
    return {
        name: {
            **{key: option[key] for key in ("type", "elements", "default", "choices") if key in option},
            **({"required": True} if option.get("required") else {}),
            **({"options": essence(option[nested], nested)} if nested in option else {}),
        }
        for name, option in found.items()
    }


@pytest.mark.parametrize("module", SPECS)
def test_the_documentation_has_the_options_of_the_argument_spec(module):
    assert essence(documented(module), "suboptions") == essence(SPECS[module], "options")


def test_every_module_is_tested_here_or_beside():
    assert {path.stem for path in (COLLECTION / "plugins" / "modules").glob("vcc_*.py")} == set(SPECS)
    assert set(SPECS) - {"vcc_interaction"} == set(TASKS)

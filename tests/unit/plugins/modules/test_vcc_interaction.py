# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vcc_interaction as a module: its file as a process of its own."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.vonage.vcc.tests.simulator import CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import PYTHONPATH, run_module


@pytest.fixture
def module(sim, tmp_path):
    """Runs the module against the simulator."""

    def run(check=False, diff=False, env=None, **given):
        options = sim.options(**{"journal": str(tmp_path / "journal.db"), **given})
        return run_module(tmp_path, check, diff, env, **options)

    return run


def test_second_run_makes_no_call(sim, module):
    sim.dispatch("a", "b")
    result, code, printed = module(external_ids=["a", "b"])
    assert code == 0
    assert result["changed"] is True
    assert result["summary"] == {
        "requested": 2,
        "released": 2,
        "unchanged": 0,
        "failed": 0,
        "unknown": 0,
        "api_calls": 1,
    }
    assert [one["evidence"] for one in result["interactions"]] == ["api", "api"]
    assert sim.live() == []
    result, code, printed = module(external_ids=["a", "b"])
    assert (code, result["changed"]) == (0, False)
    assert [one["evidence"] for one in result["interactions"]] == ["journal", "journal"]
    assert len(sim.invoke_calls) == 1
    assert "Traceback" not in printed


def test_check_mode_predicts_result_and_makes_no_call(sim, module, tmp_path):
    result, code, dummy = module(external_id="a", check=True, diff=True)
    assert (code, result["changed"]) == (0, True)
    assert result["diff"]["after"] == "a: released\n"
    assert [one["evidence"] for one in result["interactions"]] == ["predicted"]
    assert sim.calls == []
    assert list(tmp_path.glob("journal*")) == []


def test_failed_task_returns_interactions_and_diff(sim, module):
    sim.poison("bad")
    result, code, dummy = module(external_ids=["a", "bad"], diff=True)
    assert code == 1
    assert result["failed"] is True
    assert result["changed"] is True
    assert result["msg"].startswith("Of 2 interactions 1 failed; the first is 'bad': ")
    assert [one["state"] for one in result["interactions"]] == ["released", "failed"]
    assert result["diff"]["after"] == "a: released\nbad: not known to be released\n"


def test_warning_is_returned(module):
    result, code, dummy = module(external_id="a", validate_certs=False)
    assert code == 0
    assert "validate_certs is false" in json.dumps(result["warnings"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "one of the following is required: external_id, external_ids, src"),
        ({"external_id": "a", "src": "b"}, "parameters are mutually exclusive: external_id|external_ids|src"),
        ({"external_id": "a", "region": "mars"}, "value of region must be one of: emea, nam, apac, got: mars"),
        ({"external_id": "a", "colour": "blue"}, "colour"),
        ({"external_ids": ["a"], "request_id": "1"}, "missing parameter(s) required by 'request_id': external_id"),
        ({"external_id": "a", "timeout": "soon"}, "timeout"),
        ({"external_id": ""}, "external_id is empty"),
        ({"external_id": "a", "client_secret": ""}, "client_secret is missing: set it or VCC_CLIENT_SECRET"),
        (
            {"src": "none.txt"},
            "src none.txt cannot be read on the host that runs the task (No such file or directory): check the path and its permissions.",
        ),
    ],
)
def test_wrong_options_are_refused_before_any_call(sim, module, given, said):
    result, code, dummy = module(**given)
    assert code == 1
    assert said in result["msg"]
    assert sim.calls == []


def test_options_come_from_environment_of_target(sim, tmp_path):
    result, code, printed = run_module(tmp_path, env=sim.environment(tmp_path), external_id="a")
    assert (code, result["changed"]) == (0, True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["elsewhere.db", "tokens.json", "tokens.json.lock"]
    assert CLIENT_SECRET not in json.dumps(json.loads(printed), ensure_ascii=False)


def test_paths_begin_in_the_current_folder(sim, module, tmp_path):
    (tmp_path / "ids.txt").write_text("a\n")
    result, dummy, printed = module(src="ids.txt", report="report.jsonl", journal="sub/journal.db")
    assert result["changed"], printed
    assert json.loads((tmp_path / "report.jsonl").read_text())["external_id"] == "a"
    assert (tmp_path / "sub" / "journal.db").exists()


class TestSecrets:
    """Secrets are not printed even if a server repeats them, or an id contains one."""

    def test_secret_of_task_is_not_printed(self, sim, module):
        sim.add_client("second", "very-s3cret")
        sim.fault("status", status=400, body={"message": "no very-s3cret, please"})
        result, code, printed = module(external_id="about very-s3cret", client_id="second", client_secret="very-s3cret")
        assert code == 1
        assert "very-s3cret" not in printed
        assert result["interactions"][0]["external_id"] == "about ********"

    def test_given_token_is_not_printed(self, sim, module):
        token = sim.issue_token()
        sim.fault("status", status=400, body={"message": f"not with {token}"})
        result, code, printed = module(external_id="a", access_token=token)
        assert code == 1
        assert "VCC refused the request with status 400: " in result["msg"]
        assert token not in printed

    def test_requested_token_is_not_printed(self, sim, module, tmp_path):
        cache = tmp_path / "tokens.json"
        module(external_id="a", token_cache=str(cache))
        (entry,) = json.loads(cache.read_text()).values()
        sim.fault("status", status=400, body={"message": f"not with {entry['access_token']}"})
        result, dummy, printed = module(external_id="b", token_cache=str(cache))
        assert len(sim.token_calls) == 1
        assert "VCC refused the request with status 400: " in result["msg"]
        assert entry["access_token"] not in printed


@pytest.mark.parametrize("library", ["requests", "sqlite3"])
def test_a_missing_library_is_named(sim, module, tmp_path, library):
    absent = tmp_path / "absent"
    absent.mkdir()
    (absent / f"{library}.py").write_text("raise ImportError('not here')\n")
    result, code, dummy = module(external_id="a", env={"PYTHONPATH": os.pathsep.join([str(absent), PYTHONPATH])})
    assert code == 1
    assert result["msg"].startswith(f"Failed to import the required Python library ({library}) on ")
    assert sim.calls == []

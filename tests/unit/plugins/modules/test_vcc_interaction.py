# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module door, as a process of its own."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils import basic

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import PATIENCE, python

MODULE = """
import json, sys
{before}
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.argv[1].encode()
if hasattr(basic, "_ANSIBLE_PROFILE"):
    basic._ANSIBLE_PROFILE = "legacy"
from ansible_collections.vonage.vcc.plugins.modules.vcc_interaction import main
main()
"""

WITHOUT_REQUESTS = "sys.modules['requests'] = None"


def run_module(before="", check_mode=False, diff=False, environment=None, **options):
    """Run the module with options as a task gives them; return its result and what it printed."""
    arguments = {"ANSIBLE_MODULE_ARGS": {**options, "_ansible_check_mode": check_mode, "_ansible_diff": diff}}
    with python(MODULE.format(before=before), json.dumps(arguments), env=environment or {}) as process:
        output, errors = process.communicate(timeout=PATIENCE)
    assert errors == ""
    return json.loads(output.strip().splitlines()[-1]), output


def test_releases(sim, tmp_path):
    sim.dispatch("case-1")
    options = sim.options(external_id="case-1", journal=str(tmp_path / "journal.db"))
    predicted, dummy = run_module(check_mode=True, diff=True, **options)
    assert sim.calls == []
    assert not (tmp_path / "journal.db").exists()
    done, dummy = run_module(diff=True, **options)
    again, dummy = run_module(**options)
    assert sim.released == ["case-1"]
    assert (predicted["changed"], done["changed"], again["changed"]) == (True, True, False)
    assert predicted["diff"] == done["diff"]
    assert done["diff"]["before"] == "case-1: not known to be released\n"
    assert done["diff"]["after"] == "case-1: released\n"
    assert done["interactions"][0]["evidence"] == "api"
    assert again["interactions"][0]["evidence"] == "journal"
    assert "diff" not in again


def test_takes_its_options_from_the_environment(sim, tmp_path):
    sim.dispatch("case-1")
    names = {"api_url", "auth_url", "client_id", "client_secret", "journal"}
    options = sim.options(journal=str(tmp_path / "environment.db"))
    environment = {f"VCC_{name.upper()}": options[name] for name in names}
    result, dummy = run_module(environment=environment, external_id="case-1")
    assert result["changed"] is True
    assert (tmp_path / "environment.db").exists()


def test_hides_secrets_and_minted_tokens(sim, tmp_path):
    """A server that repeats the token, and an id that holds the secret."""
    sim.add_client("other", "an-open-secret")
    cache = tmp_path / "tokens.json"
    options = sim.options(client_id="other", client_secret="an-open-secret", token_cache=str(cache))
    run_module(external_id="case-1", **options)
    ((token,),) = ([entry["access_token"]] for entry in json.loads(cache.read_text(encoding="utf-8")).values())
    sim.fault("status", status=400, body=json.dumps({"message": f"who is {token}?"}))

    result, output = run_module(external_id="case an-open-secret", **options)

    assert result["failed"] is True
    assert "who is" in result["msg"]
    assert result["invocation"]["module_args"]["client_secret"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
    assert "an-open-secret" not in output
    assert token not in output


def test_says_that_requests_is_missing(sim):
    result, dummy = run_module(before=WITHOUT_REQUESTS, **sim.options(external_id="case-1"))
    assert result["failed"] is True
    assert "Failed to import the required Python library (requests)" in result["msg"]
    assert sim.calls == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of the following is required: external_id, external_ids, src"),
        ({"external_id": "a", "src": "b"}, "parameters are mutually exclusive: external_id|external_ids|src"),
        ({"external_ids": ["a"], "request_id": "b"}, "missing parameter(s) required by 'request_id': external_id"),
        ({"external_id": "a", "region": "moon"}, "value of region must be one of: emea, nam, apac, got: moon"),
        ({"external_id": ""}, "external_id is empty: give the id that the interaction was dispatched with."),
        ({"external_id": "a", "timeout": 0}, "timeout has to be 1 or more, not 0."),
    ],
)
def test_refuses_bad_options_before_any_call(sim, options, message):
    result, dummy = run_module(**{**sim.options(), **options})
    assert result["failed"] is True
    assert result["msg"] == message
    assert sim.calls == []


def test_warns_where_certificates_are_not_checked(sim):
    result, dummy = run_module(**sim.options(external_id="case-1", validate_certs=False))
    assert any("validate_certs is false" in str(warning) for warning in result["warnings"])


def test_has_the_test_hook_of_this_ansible():
    """The way in which MODULE hands over options is that of AnsibleModule."""
    assert hasattr(basic, "_ANSIBLE_ARGS")

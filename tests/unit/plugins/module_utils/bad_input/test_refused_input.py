# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Input on which Ansible itself fails is refused with a sentence."""

from __future__ import annotations

import os

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils import _options
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils.bad_input.helpers import MODULES

CONVERSION_FAILURES = [
    *((module, "timeout", float("inf"), "timeout must be a finite number, not inf.") for module in MODULES),
    ("vcc_provider", "retries", "-Infinity", "retries must be a finite number, not -Infinity."),
    ("vcc_ongoing_info", "page_size", float("-inf"), "page_size must be a finite number, not -inf."),
    ("vcc_journal", "older_than", float("inf"), "older_than must be a finite number, not inf."),
    ("vcc_provider", "agent_actions_permitted", 3, "agent_actions_permitted must be a dictionary."),
    ("vcc_provider", "agent_actions_permitted", False, "agent_actions_permitted must be a dictionary."),
    (
        "vcc_interaction",
        "routing_data",
        '{"personal_queue": {"agent": "a", "logged_in_timeout": "inf"}}',
        _options.CONVERSION_FAILED,
    ),
]

# The options with the addresses to which VCC's credentials or tokens are sent.
ADDRESSES = [(module, name) for module in MODULES for name in ("api_url", "auth_url")]


@pytest.mark.parametrize(("module", "option", "value", "said"), CONVERSION_FAILURES)
def test_message_names_option_that_ansible_cannot_convert(enter, network, sim, module, option, value, said):
    works = {} if option == "older_than" else MODULES[module][2]
    result = enter(module, **{**works, option: value})
    assert (result["failed"], result["changed"], result["msg"]) == (True, False, said)
    assert (network.calls, sim.requests) == (0, [])


@pytest.mark.parametrize(
    ("module", "secret"),
    [
        *((module, {"client_secret": "Infinity"}) for module in MODULES),
        ("vcc_provider", {"endpoint": "https://hooks.example/", "headers": {"X-Key": "Infinity"}}),
    ],
)
def test_early_failure_masks_secrets(enter, module, secret):
    works = {} if module == "vcc_journal" else MODULES[module][2]
    result = enter(module, **{**works, **secret, "timeout": "-Infinity"})
    assert (result["failed"], result["msg"]) == (True, "timeout must be a finite number, not -********.")


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("VCC_REQUESTS_PER_MINUTE", "inf", "requests_per_minute must be a whole number, not 'inf'."),
        ("VCC_ACCOUNT", "M\udcfcnchen", "account is not valid Unicode: write it in UTF-8."),
    ],
)
@pytest.mark.parametrize("module", MODULES)
def test_message_names_environment_variable(enter, network, monkeypatch, module, variable, text, said):
    monkeypatch.setenv(variable, text)
    result = enter(module, **MODULES[module][2])
    named = f"{variable} in the environment of {os.uname().nodename}: {said}"
    assert (result["failed"], result["changed"], result["msg"]) == (True, False, named)
    assert network.calls == 0


def test_message_names_line_of_file(act, tmp_path):
    path = tmp_path / "skills.jsonl"
    path.write_text('{"external_id": "a", "routing_data": {"skills": [{"name": "x", "expiry_after": "inf"}]}}\n')
    result = act("vcc_interaction", state="dispatched", route="sales", src=str(path))
    said = "routing_data.skills[0].expiry_after must be a finite number, not inf."
    assert result["msg"] == f"src {path}, line 1: {said}"


def test_a_number_that_would_take_forever_to_write_is_refused(act):
    assert (
        act("vcc_interaction", external_id="a", timeout="1e999999999")["msg"]
        == "timeout must be a number with fewer digits."
    )


@pytest.mark.parametrize(
    ("module", "given", "said"),
    [
        ("vcc_interaction", {"routing_data": [None]}, "routing_data must be a dictionary."),
        ("vcc_interaction", {"routing_data": False}, "routing_data must be a dictionary."),
        (
            "vcc_interaction",
            {"routing_data": {"personal_queue": [1]}},
            "routing_data.personal_queue must be a dictionary.",
        ),
        (
            "vcc_interaction",
            {"external_id": None, "interactions": [{"external_id": "a", "routing_data": 1.5}]},
            "interactions[0].routing_data must be a dictionary.",
        ),
    ],
)
def test_values_that_break_ansible_are_refused(act, module, given, said):
    assert act(module, **{**MODULES[module][2], **given})["msg"] == said


@pytest.mark.parametrize(("module", "option"), [one for one in ADDRESSES if not one[0].startswith("vcc_journal")])
@pytest.mark.parametrize("url", ["http://vcc.example", "http://127.0.0.1.example/x", "http://10.0.0.1:8080"])
def test_nothing_is_sent_over_plain_http(act, network, sim, module, option, url):
    result = act(module, **{**MODULES[module][2], option: url})
    assert (
        result["msg"]
        == f"{option} must begin with https://: plain http is allowed only for localhost, because it does not protect the credentials."
    )
    assert (network.calls, sim.requests) == (0, [])

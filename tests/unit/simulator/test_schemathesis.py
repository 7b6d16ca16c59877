# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Schemathesis finds no request whose response contradicts the OpenAPI document."""

from __future__ import annotations

import tempfile

import pytest

schemathesis = pytest.importorskip("schemathesis")

from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

from ansible_collections.vonage.vcc.tests.simulator import SCOPES, Simulator
from ansible_collections.vonage.vcc.tests.simulator.contract import contract

home = tempfile.TemporaryDirectory()  # deleted when the process ends
set_hypothesis_home_dir(home.name)
schema = schemathesis.openapi.from_dict(contract().document)


@pytest.fixture(scope="module")
def simulator():
    with Simulator(success_body="json") as simulator:
        yield simulator


@schema.parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_responses_match_document(simulator, case):
    if isinstance(case.body, dict) and isinstance(case.body.get("provider"), str):
        simulator.register(case.body["provider"])  # the document cannot list the providers
    headers = {"Authorization": f"Bearer {simulator.issue_token(SCOPES)}"}
    case.call_and_validate(base_url=simulator.url, headers=headers)

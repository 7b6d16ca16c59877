# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests of vcc_ongoing_info: a simulator, tasks and their failures."""

from __future__ import annotations

import json

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import (
    ApiError,
)
from ansible_collections.vonage.vcc.plugins.modules import vcc_ongoing_info
from ansible_collections.vonage.vcc.plugins.modules.vcc_ongoing_info import run
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import validated_by
from ansible_collections.vonage.vcc.tests.unit.plugins.modules.vcc_ongoing_info.helpers import Shifting


@pytest.fixture
def sim():
    with Shifting() as simulator:
        yield simulator


@pytest.fixture
def read(sim):
    """Runs a task and returns its result."""

    def do(secrets=None, **given):
        given = sim.options(**given)
        del given["journal"]
        result = run(
            validated_by(vcc_ongoing_info.SPEC["argument_spec"], **given), set() if secrets is None else secrets
        )
        json.dumps(result)
        return result

    return do


@pytest.fixture
def failure(read):
    """Runs a task that must fail. Returns its message, which is one line."""

    def do(kind=ApiError, **given):
        with pytest.raises(kind) as caught:
            read(**given)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return do

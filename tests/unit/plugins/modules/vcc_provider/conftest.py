# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests of vcc_provider: options, tasks and their failures."""

from __future__ import annotations

import json

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import (
    ApiError,
)
from ansible_collections.vonage.vcc.plugins.modules import vcc_provider
from ansible_collections.vonage.vcc.plugins.modules.vcc_provider import run
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    validated_by,
)


@pytest.fixture
def given(sim, folder):
    """Makes the options of a task that registers the provider "tickets"."""

    def make(**others):
        others = {"name": "tickets", "journal": str(folder / "journal.db"), **others}
        return validated_by(vcc_provider.SPEC["argument_spec"], **sim.options(**others))

    return make


@pytest.fixture
def register(given):
    """Runs a task and returns its result."""

    def do(check=False, diff=False, secrets=None, **others):
        result = run(given(**others), check, diff, set() if secrets is None else secrets)
        json.dumps(result)
        return result

    return do


@pytest.fixture
def refused(register):
    """Runs a task that must fail. Returns its error."""

    def do(kind=ApiError, **others):
        with pytest.raises(kind) as caught:
            register(**others)
        return caught.value

    return do

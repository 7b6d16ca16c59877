# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A browser for all tests, if this machine has one."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.tests.tools.browser import Browser, missing
from ansible_collections.vonage.vcc.tests.unit.conftest import unavailable


@pytest.fixture(scope="session")
def browser():
    if reason := missing():
        unavailable(reason)
    with Browser() as browser:
        yield browser

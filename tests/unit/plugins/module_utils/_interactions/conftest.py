# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of interactions."""

from __future__ import annotations

import pytest


@pytest.fixture
def src(tmp_path):
    """Return a function that writes a file and returns its path."""

    def write(content, name="ids.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return str(path)

    return write


@pytest.fixture
def dispatch(task):
    """Return a function that runs a task which dispatches, through the route "sales" by default."""
    return lambda **given: task(**{"state": "dispatched", "route": "sales", **given})

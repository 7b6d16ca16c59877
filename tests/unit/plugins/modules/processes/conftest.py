# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that run a module, as a process of its own or by its main function."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    SPECS,
    call_main,
    run_module,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.modules.processes.helpers import TASKS


@pytest.fixture
def complete(sim, tmp_path):
    """Completes the options of a task against the simulator; null removes an option."""

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
    """Runs a module that must fail without a traceback. Returns its message, which is one sentence."""

    def run(module, **given):
        result, code, printed = call_main(module, **complete(module, given))
        assert code == 1
        assert (result["failed"], result.get("changed", False)) == (True, False)
        assert "Traceback" not in printed
        assert "\n" not in result["msg"]
        assert "exception" not in result
        return result["msg"]

    return run

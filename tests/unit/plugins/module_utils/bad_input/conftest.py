# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that run a task with any options."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError, VccError
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    Invalid,
    call_main,
    check_raw_types,
    validated_by,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils.bad_input.helpers import MODULES, Endless, Network


@pytest.fixture
def network(monkeypatch):
    return Network(monkeypatch)


@pytest.fixture
def complete(sim, network, tmp_path, monkeypatch):
    """Completes the options of a task, which has a working folder of its own while the context lasts."""

    @contextlib.contextmanager
    def begin(module, given):
        network.calls = network.waits = 0
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder, monkeypatch.context() as patch:
            # So deep that no path leads out of the test's folder.
            deep = os.path.join(folder, *"abcdefgh")
            os.makedirs(os.path.join(deep, "folder"))
            with open(os.path.join(deep, "there.txt"), "w", encoding="utf-8") as file:
                file.write("a\nb\n")
            patch.chdir(deep)
            usual = {"api_url": sim.url, "auth_url": sim.token_url, "retries": 0, "timeout": 5}
            usual.update(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, journal="journal.db")
            spec = MODULES[module][0]
            if "journal" not in spec.get("argument_spec", spec):
                del usual["journal"]
            yield {**usual, **given}

    return begin


@pytest.fixture
def act(complete, network):
    """Runs a task with these options. Returns its result, or None if Ansible refuses them or the task would retry without end."""

    def do(module, check=False, **given):
        with complete(module, given) as every:
            try:
                if module == "vcc_interaction":
                    check_raw_types(given)
                result = MODULES[module][1](validated_by(MODULES[module][0], **every), check)
            except Invalid:
                return None
            except VccError as exc:
                result = {"failed": True, "msg": str(exc)}
                bad = isinstance(exc, InputError)
            except Endless:
                return None
            else:
                bad = module == "vcc_interaction" and "failed" in result and "summary" not in result
            json.dumps(result)
            if result.get("failed"):
                assert "Traceback" not in result["msg"]
                assert result["msg"].endswith(".")
            if bad:
                assert network.calls == 0
            return result

    return do


@pytest.fixture
def enter(complete):
    """Runs a module's main function with these options. Returns its result, or None if it would retry without end."""

    def run(module, check=False, **given):
        with complete(module, given) as every:
            try:
                return call_main(module, check, True, **every)[0]
            except Endless:
                return None

    return run

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests of the action plugin."""

from __future__ import annotations

import os

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import become_loader, connection_loader
from ansible.template import Templar

from ansible_collections.vonage.vcc.plugins.action import vcc_interaction
from ansible_collections.vonage.vcc.tests.unit.plugins.action.helpers import NOTHING, ActionWithoutModule


@pytest.fixture(autouse=True)
def _no_clients(monkeypatch):
    """A test begins without clients, as a worker of Ansible does."""
    clients = {}
    monkeypatch.setattr(vcc_interaction, "_clients", clients)
    yield
    for client in clients.values():
        client.close()


@pytest.fixture
def make_action(tmp_path):
    """Makes the action of a task, in a playbook in the folder of the test."""

    def make(args=None, transport="local", become=None, variables=None, **fields):
        loader = DataLoader()
        loader.set_basedir(str(tmp_path))
        task = Task()
        task.action = "vonage.vcc.vcc_interaction"
        task.args = NOTHING if args is None else args
        for name, value in {"check_mode": False, "diff": False, **fields}.items():
            setattr(task, name, value)
        play_context = PlayContext()
        connection = connection_loader.get(transport, play_context, os.devnull)
        if become:
            connection.set_become_plugin(become_loader.get(become))
        templar = Templar(loader=loader, variables=variables or {})
        return ActionWithoutModule(task, connection, play_context, loader, templar, None)

    return make

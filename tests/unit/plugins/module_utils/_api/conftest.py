# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixtures of these tests."""

from __future__ import annotations

import socket

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._api import http
from ansible_collections.vonage.vcc.plugins.module_utils._api.client import Client
from ansible_collections.vonage.vcc.tests.simulator.proxy import HOST, Proxy, certificate_for
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Recorder
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._api.helpers import TOKEN

PROXIED_URL = f"https://{HOST}"


@pytest.fixture
def make_client(sim, make_http, make_auth):
    """Makes a client of the simulator, with a short timeout because some faults delay the response."""

    def make(url=None, **others):
        http = make_http(**{"timeout": 0.3, **others})
        return Client(http, make_auth(http, access_token=sim.issue_token()), url or sim.url)

    return make


@pytest.fixture
def closed_port():
    """A port of this host that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def short_wait(monkeypatch):
    """Limits a call to the time of its attempts."""
    monkeypatch.setattr(http, "MAX_WAIT", 0.2)


@pytest.fixture
def proxied(tmp_path, monkeypatch):
    """Yields a simulator, a proxy in front of it, and the options of a task that uses the proxy."""
    with Recorder(tls=certificate_for(tmp_path / "ca.pem")) as sim, Proxy(sim.url) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        options = {
            "api_url": PROXIED_URL,
            "auth_url": PROXIED_URL + TOKEN,
            "ca_path": str(tmp_path / "ca.pem"),
            "timeout": 5,
        }
        yield sim, proxy, sim.options(**options, journal=str(tmp_path / "kept" / "journal.db"))

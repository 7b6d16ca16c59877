# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A simulator for each test, a client that follows the contract, and a receiver of notifications."""

from __future__ import annotations

import threading

import pytest
import requests
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET, Simulator

V1 = "application/vnd.newvoicemedia.v1+json"
V3 = "application/vnd.newvoicemedia.v3+json"


class Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


class Client:
    """A client with one connection to a simulator and a token of both scopes."""

    def __init__(self, simulator):
        self.simulator = simulator
        self.token = simulator.issue_token(("interactions:write", "stats"))
        self.session = requests.Session()
        self.session.trust_env = False

    def call(self, method, path, version=V1, headers=None, **arguments):
        headers = {"accept": version, "authorization": f"Bearer {self.token}", **(headers or {})}
        arguments = {"timeout": 10, "allow_redirects": False, **arguments}
        return self.session.request(method, self.simulator.url + path, headers=headers, **arguments)

    def invoke(self, *objects, provider=None, path="/interactions/Invoke", **arguments):
        body = {"requests": list(objects)}
        if provider is not None:
            body["provider"] = provider
        return self.call("POST", path, json=body, **arguments)

    def release(self, *external_ids, **arguments):
        return self.invoke(*({"action": "release", "externalid": name} for name in external_ids), **arguments)

    def stats(self, path, **arguments):
        return self.call("GET", f"/stats/interactions/{path}", version=V3, **arguments)

    def token_call(self, **arguments):
        form = {
            "grant_type": "client_credentials",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "scope": "interactions:write",
        }
        return self.session.post(self.simulator.token_url, **{"data": form, "timeout": 10, **arguments})

    def control(self, method, command, body=None):
        return self.session.request(method, f"{self.simulator.url}/_simulator/{command}", json=body, timeout=10)


class Receiver:
    """The endpoint of a provider, which keeps the requests that it receives."""

    def __init__(self):
        self.received = []
        self.response = Response(status=204)
        self._server = make_server("127.0.0.1", 0, self._receive)
        self._server.log = lambda *_arguments: None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.port}"

    @Request.application
    def _receive(self, request):
        request.get_data()
        self.received.append(request)
        return self.response

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def simulator(clock):
    with Simulator(clock=clock) as simulator:
        yield simulator


@pytest.fixture
def client(simulator):
    client = Client(simulator)
    with client.session:
        yield client

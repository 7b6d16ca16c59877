# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP requests and connections, and the state that a simulator keeps and resets."""

from __future__ import annotations

import threading

import pytest
import requests

from ansible_collections.vonage.vcc.tests.simulator import Simulator


def test_unknown_path_and_method_are_rejected(client):
    assert client.call("GET", "/").status_code == 404
    assert client.call("POST", "/interactions/INVOKE", json={}).status_code == 404
    answer = client.call("GET", "/interactions/Invoke")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    answer = client.call("HEAD", "/stats/interactions/x")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "GET", b"")
    assert client.release("id-1").status_code == 200


def test_chunked_body_is_read_completely(client, simulator):
    simulator.dispatch("id-1")
    pieces = iter([b'{"requests": [{"action": "release", ', b'"externalid": "id-1"}]}'])
    headers = {"content-type": "application/json"}
    assert client.call("POST", "/interactions/Invoke", data=pieces, headers=headers).status_code == 200
    assert client.release("id-1").status_code == 200
    assert [(call["connection"], call["bytes"]) for call in simulator.calls] == [(1, 59)] * 2


def test_port_closes_after_exit(clock):
    with Simulator(clock=clock) as simulator, requests.Session() as session:
        assert session.get(simulator.url, timeout=10).status_code == 404
        before = threading.active_count()
    assert threading.active_count() == before - 2
    with pytest.raises(requests.ConnectionError):
        requests.get(simulator.url, timeout=10)


def test_reset_keeps_only_clients(client, simulator):
    simulator.add_client("other", "secret")
    simulator.dispatch("id-1", "id-2", provider="crm")
    simulator.poison("id-3")
    simulator.fault("status")
    simulator.unknown_id = 404
    simulator.rate_limit = 1
    client.stats("ongoing")
    simulator.reset()
    assert (simulator.live(), simulator.calls, simulator.effects, simulator.ignored) == ([], [], [], [])
    assert client.release("id-3").status_code == 401
    form = {"client_id": "other", "client_secret": "secret", "scope": "interactions:write"}
    answer = client.token_call(data={"grant_type": "client_credentials", **form})
    client.token = answer.json()["access_token"]
    assert client.release("id-3").status_code == 200
    assert client.invoke({"route": "sales"}, provider="crm").status_code == 400


@pytest.mark.parametrize(
    "switches",
    [{"unknown_id": 500}, {"success_body": "xml"}, {"too_large": 400}, {"rate_limit": "1"}, {"window": None}, {"x": 1}],
    ids=str,
)
def test_unknown_switch_is_rejected(switches):
    with pytest.raises(ValueError, match=next(iter(switches))):
        Simulator(**switches)


def test_properties_return_copies(client, simulator):
    client.release("id-1")
    simulator.calls[0]["status"] = simulator.effects[0]["found"] = "changed"
    assert (simulator.calls[0]["status"], simulator.effects[0]["found"]) == (200, False)

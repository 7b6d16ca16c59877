# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Providers: registration, their interactions, and the notifications that they receive."""

from __future__ import annotations

import uuid

import pytest
from werkzeug.wrappers import Response


def test_release_requires_provider_of_dispatch(client, simulator):
    simulator.register("other")
    simulator.dispatch("id-1", provider="crm")
    simulator.dispatch("id-2")
    assert simulator.live(provider="crm") == ["id-1"]
    assert simulator.live(provider=None) == ["id-2"]
    client.release("id-1")
    client.release("id-1", provider="other")
    client.release("id-2", provider="crm")
    assert simulator.live() == ["id-1", "id-2"]
    assert not any(effect["found"] for effect in simulator.effects)
    client.release("id-1", provider="crm")
    assert simulator.live() == ["id-2"]
    assert simulator.effects[-1]["provider"] == "crm"


def test_invoke_rejects_unregistered_provider(client, simulator):
    answer = client.invoke({"route": "sales", "externalid": "id-1"}, provider="crm")
    assert (answer.status_code, answer.json()) == (400, {"message": "The provider is not registered"})
    simulator.register("crm")
    assert client.invoke({"route": "sales", "externalid": "id-1"}, provider="crm").status_code == 200
    assert simulator.live(provider="crm") == ["id-1"]


@pytest.mark.parametrize("path", ["/interactions/Register", "/interactions/register"])
@pytest.mark.parametrize("success_body", ["json", "empty"])
def test_register_makes_provider_usable(client, simulator, path, success_body):
    simulator.success_body = success_body
    settings = {"provider": "crm", "agentactionspermitted": {"release": 1}, "endpoint": "https://crm.example/vcc"}
    for _attempt in range(2):
        answer = client.call("POST", path, json=settings)
        assert answer.status_code == 200
        assert bool(answer.content) is (success_body == "json")
    assert client.invoke({"route": "sales"}, provider="crm").status_code == 200


def test_register_without_permissions_returns_400(client):
    assert client.call("POST", "/interactions/Register", json={"provider": "crm"}).status_code == 400
    assert client.invoke({"route": "sales"}, provider="crm").status_code == 400


@pytest.mark.parametrize("notification", ["AssignToAgent", "Release"])
def test_notify_posts_notification_to_endpoint(simulator, receiver, notification):
    simulator.register("crm", receiver.url + "/vcc?x=1", {"Authorization": "Bearer t0ken", "X-Other": "ä"})
    simulator.dispatch("id-1", provider="crm")
    assert simulator.notify("id-1", notification=notification, agent="Ada", agent_id="agent-7") == 204
    simulator.dispatch("id-2", provider="crm")
    assert simulator.notify("id-2", guid="n-2") == 204
    first, second = receiver.received
    assert (first.method, first.full_path) == ("POST", "/vcc?x=1")
    assert first.mimetype == "application/json"
    assert (first.headers["Authorization"], first.headers["X-Other"]) == ("Bearer t0ken", "ä")
    (notification_sent,) = first.get_json()
    assert str(uuid.UUID(notification_sent.pop("notificationid")))
    assert notification_sent == {
        "notification": notification,
        "objectid": "id-1",
        "params": {"AccountName": "Simulated account", "Agent": "Ada", "AgentId": "agent-7"},
    }
    (notification_sent,) = second.get_json()
    assert [notification_sent[name] for name in ("notification", "objectid", "notificationid")] == [
        "AssignToAgent",
        "id-2",
        "n-2",
    ]
    assert simulator.calls == []


def test_notify_uses_latest_registration(client, simulator, receiver):
    simulator.register("crm", receiver.url)
    simulator.dispatch("id-1", provider="crm")
    client.release("id-1", provider="crm")
    assert simulator.notify("id-1", notification="Release") == 204
    settings = {"provider": "crm", "agentactionspermitted": {}, "headers": {"X-Other": "1"}}
    settings["endpoint"] = receiver.url.replace("http:", "https:") + "/second"
    assert client.call("POST", "/interactions/Register", json=settings).status_code == 200
    endpoint, headers, _body = simulator.notification("id-1")
    assert (endpoint, headers) == (settings["endpoint"], {"X-Other": "1"})
    assert simulator.notify("id-1") is None  # the receiver does not support TLS
    del settings["endpoint"]
    assert client.call("POST", "/interactions/Register", json=settings).status_code == 200
    with pytest.raises(ValueError, match="endpoint"):
        simulator.notify("id-1")
    assert len(receiver.received) == 1


def test_notify_uses_provider_of_latest_dispatch(simulator, receiver):
    simulator.register("crm", receiver.url + "/crm")
    simulator.register("other", receiver.url + "/other")
    for provider in ("crm", "other"):
        simulator.dispatch("id-1", provider=provider)
        simulator.notify("id-1")
    simulator.dispatch("id-1")
    with pytest.raises(ValueError, match="endpoint"):
        simulator.notify("id-1")
    assert [request.path for request in receiver.received] == ["/crm", "/other"]


def test_notify_returns_response_status(simulator, receiver):
    simulator.register("crm", receiver.url)
    simulator.dispatch("id-1", provider="crm")
    receiver.response = Response(status=302, headers={"Location": receiver.url})
    assert simulator.notify("id-1") == 302
    receiver.stop()
    assert simulator.notify("id-1") is None


def test_notify_rejects_invalid_arguments(simulator):
    simulator.register("crm", "https://crm.example/vcc")
    simulator.dispatch("id-1", provider="crm")
    with pytest.raises(ValueError, match="AssignToAgent, Release"):
        simulator.notify("id-1", notification="Hold")
    with pytest.raises(ValueError, match="id-2"):
        simulator.notify("id-2")
    with pytest.raises(ValueError, match="endpoint"):
        simulator.register("crm", "ftp://crm.example/vcc")

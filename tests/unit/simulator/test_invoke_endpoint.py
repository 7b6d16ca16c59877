# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Invoke endpoint: effects, rejections and limits of a call, and how it is recorded."""

from __future__ import annotations

import threading

import pytest
import requests


@pytest.mark.parametrize("path", ["/interactions/Invoke", "/interactions/invoke"])
def test_release_removes_interaction_from_queue(client, simulator, path):
    simulator.dispatch("id-1", "id-2", "id-3")
    answer = client.invoke({"action": "release", "externalid": "id-2", "requestid": "r-1"}, path=path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert simulator.live() == ["id-1", "id-3"]
    assert simulator.effects == [
        {"action": "release", "external_id": "id-2", "provider": None, "request_id": "r-1", "found": True}
    ]


def test_success_body_can_be_json(client, simulator):
    simulator.success_body = "json"
    answer = client.release("id-1")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {"message": "Success"}


def test_call_is_recorded(client, simulator, clock):
    body = client.release("id-1", "id-2").request.body
    client.call("POST", "/interactions/invoke", data=b"{")
    assert simulator.calls == [
        {
            "method": "POST",
            "path": "/interactions/Invoke",
            "status": 200,
            "bytes": len(body),
            "connection": 1,
            "at": clock.now,
            "fault": None,
            "interactions": 2,
        },
        {
            "method": "POST",
            "path": "/interactions/invoke",
            "status": 400,
            "bytes": 1,
            "connection": 1,
            "at": clock.now,
            "fault": None,
            "interactions": 0,
        },
    ]


def test_new_connection_gets_new_number(client, simulator):
    client.release("id-1")
    assert client.release("id-1", headers={"connection": "close"}).headers["connection"] == "close"
    client.release("id-1")
    assert [call["connection"] for call in simulator.calls] == [1, 1, 2]


def test_invoke_processes_objects_in_order(client, simulator):
    answer = client.invoke(
        {"route": "sales", "externalid": "id-1"},
        {"action": "release", "externalid": "id-1"},
        {"action": "dispatch", "route": "sales", "externalid": "id-1"},
        {"action": "dispatch", "route": "sales"},
    )
    assert answer.status_code == 200
    assert simulator.live() == ["id-1"]
    assert [(effect["action"], effect["external_id"], effect["found"]) for effect in simulator.effects] == [
        ("dispatch", "id-1", False),
        ("release", "id-1", True),
        ("dispatch", "id-1", False),
        ("dispatch", None, False),
    ]


def test_released_id_can_be_dispatched_again(client, simulator):
    simulator.dispatch("id-1")
    client.release("id-1")
    simulator.dispatch("id-1")
    assert simulator.live() == ["id-1"]
    client.release("id-1")
    assert simulator.live() == []
    assert [effect["found"] for effect in simulator.effects] == [True, True]


@pytest.mark.parametrize("name", ["a,b", " ", "", "日本", '"\\/', "\x00", "x" * 1024])
def test_external_id_accepts_any_character(client, simulator, name):
    simulator.dispatch(name)
    assert client.release(name).status_code == 200
    assert simulator.live() == []


def test_release_ignores_unknown_id(client, simulator):
    simulator.dispatch("id-1")
    assert client.release("unknown", "id-1").status_code == 200
    assert [(effect["external_id"], effect["found"]) for effect in simulator.effects] == [
        ("unknown", False),
        ("id-1", True),
    ]


@pytest.mark.parametrize("status", [400, 404])
def test_unknown_id_can_reject_whole_call(client, simulator, status):
    simulator.unknown_id = status
    simulator.dispatch("id-1")
    objects = [{"action": "release", "externalid": name, "requestid": name} for name in ("id-1", "unknown")]
    answer = client.invoke(*objects)
    assert answer.status_code == status
    assert answer.json()["message"]
    assert (simulator.live(), simulator.effects, simulator.ignored) == (["id-1"], [], [])
    assert client.invoke(objects[0]).status_code == 200
    assert simulator.live() == []
    # The interaction is no longer live, but the simulator checks the request id first.
    assert client.invoke(objects[0]).status_code == 200
    assert client.release("id-1").status_code == status


def test_second_release_in_one_call_is_unknown(client, simulator):
    simulator.unknown_id = 404
    simulator.dispatch("id-1")
    assert client.release("id-1", "id-1").status_code == 404
    assert simulator.live() == ["id-1"]


def test_request_id_is_processed_once(client, simulator):
    simulator.dispatch("id-1", "id-2")
    first = {"action": "release", "externalid": "id-1", "requestid": "r-1"}
    second = {"action": "release", "externalid": "id-2", "requestid": "r-1"}
    assert client.invoke(first, second).status_code == 200
    assert client.invoke(first).status_code == 200
    assert simulator.live() == ["id-2"]
    assert [effect["external_id"] for effect in simulator.effects] == ["id-1"]
    assert [effect["external_id"] for effect in simulator.ignored] == ["id-2", "id-1"]


def test_request_id_is_processed_once_across_threads(simulator):
    token = simulator.issue_token()
    simulator.dispatch(*(f"id-{number}" for number in range(20)))
    objects = [{"action": "release", "externalid": f"id-{n}", "requestid": f"r-{n}"} for n in range(20)]
    headers = {"accept": "application/vnd.newvoicemedia.v1+json", "authorization": f"Bearer {token}"}
    start = threading.Barrier(8)
    answers = []

    def send_all():
        with requests.Session() as session:
            start.wait(10)
            for item in objects:
                body = {"requests": [item]}
                answer = session.post(simulator.url + "/interactions/Invoke", json=body, headers=headers, timeout=30)
                answers.append(answer.status_code)

    threads = [threading.Thread(target=send_all) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [200] * 160
    assert sorted(effect["request_id"] for effect in simulator.effects) == sorted(item["requestid"] for item in objects)
    assert all(effect["found"] for effect in simulator.effects)
    assert len(simulator.ignored) == 140
    assert len({call["connection"] for call in simulator.calls}) == 8


def test_poisoned_id_rejects_whole_call(client, simulator):
    simulator.dispatch("id-1", "id-2")
    simulator.poison("id-2")
    answer = client.release("id-1", "id-2")
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert (simulator.live(), simulator.effects) == (["id-1", "id-2"], [])
    assert client.release("id-1").status_code == 200


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"requests": []}', b'{"requests": [{"action": "release"}]}'])
def test_malformed_call_returns_400(client, body):
    answer = client.call("POST", "/interactions/Invoke", data=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["message"]


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/vnd.newvoicemedia.v3+json"])
def test_wrong_accept_header_returns_400(client, simulator, accept):
    simulator.dispatch("id-1")
    client.session.headers.pop("accept")
    answer = client.release("id-1", headers={"accept": accept})
    assert answer.status_code == 400
    assert "accept" in answer.json()["message"]
    assert simulator.live() == ["id-1"]


@pytest.mark.parametrize(
    ("status", "message"), [(413, "Payload Too Large"), (417, "Request size limit exceeded")], ids=str
)
def test_call_over_size_limit_is_rejected(client, simulator, status, message):
    simulator.too_large = status
    body = b'{"requests": [{"route": "sales"}]}'
    headers = {"content-type": "application/json"}
    assert client.call("POST", "/interactions/Invoke", data=body.ljust(100_000), headers=headers).status_code == 200
    answer = client.call("POST", "/interactions/Invoke", data=body.ljust(100_001), headers=headers)
    assert (answer.status_code, answer.json()) == (status, {"message": message})
    assert len(simulator.effects) == 1
    assert client.call("POST", "/interactions/Invoke", data=body, headers=headers).status_code == 200
    assert [call["connection"] for call in simulator.calls] == [1, 1, 1]


@pytest.mark.parametrize("retry_after", [None, 7])
def test_rate_limit_covers_all_apis(client, simulator, clock, retry_after):
    simulator.rate_limit, simulator.window, simulator.retry_after = 3, 60, retry_after
    statuses = [client.release("id-1").status_code for _attempt in range(2)]
    clock.now += 30
    statuses += [client.stats("ongoing").status_code, client.token_call().status_code]
    answer = client.release("id-1")
    assert [*statuses, answer.status_code] == [200, 200, 200, 200, 429]
    assert answer.text == ""
    assert answer.headers.get("retry-after") == (str(retry_after) if retry_after else None)
    assert len(simulator.effects) == 2
    clock.now += 30
    assert [client.release("id-1").status_code for _attempt in range(3)] == [200, 200, 429]

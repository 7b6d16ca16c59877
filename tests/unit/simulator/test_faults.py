# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each kind of fault, the calls that it affects, and whether these calls have an effect."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from ansible_collections.vonage.vcc.tests.simulator import Simulator

TOKEN = "/Auth/connect/token"


@pytest.fixture(autouse=True)
def queued_interaction(simulator):
    """Put one interaction in the queue."""
    simulator.dispatch("id-1")


@pytest.fixture
def background():
    with ThreadPoolExecutor(1) as executor:
        yield executor.submit


def statuses(client, times):
    return [client.release("id-9").status_code for _attempt in range(times)]


# Selection of calls


def test_fault_affects_only_next_call(client, simulator):
    simulator.fault("status")
    assert statuses(client, 3) == [503, 200, 200]
    assert [(call["status"], call["fault"]) for call in simulator.calls] == [(503, "status"), (200, None), (200, None)]


def test_fault_with_times_and_after(client, simulator):
    simulator.fault("status", times=2, after=1, status=500)
    assert statuses(client, 5) == [200, 500, 500, 200, 200]


def test_fault_without_end(client, simulator):
    simulator.fault("status", times=None)
    assert statuses(client, 5) == [503] * 5


def test_faults_apply_in_order(client, simulator):
    simulator.fault("status", status=500)
    simulator.fault("status", status=502)
    simulator.fault("status", status=504, after=3)
    assert statuses(client, 5) == [500, 502, 200, 504, 200]


def test_fault_affects_one_endpoint(client, simulator):
    simulator.fault("status", path=TOKEN)
    simulator.fault("status", path="/interactions/Register")
    assert statuses(client, 1) == [200]
    assert client.token_call().status_code == 503
    assert client.token_call().status_code == 200


def test_invoke_fault_ignores_case_of_path(client, simulator):
    simulator.fault("status")
    assert client.release("id-1", path="/interactions/invoke").status_code == 503


def test_fault_for_every_path(client, simulator):
    simulator.fault("status", path=None, times=3)
    assert [client.token_call().status_code, client.stats("ongoing").status_code] == [503, 503]
    assert statuses(client, 2) == [503, 200]


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("explosion", {}),
        ("html", {"status": 200}),
        ("status", {"status": "503"}),
        ("latency", {"seconds": "1"}),
        ("cut", {"when": "never"}),
        ("status", {"path": 7}),
        ("status", {"times": "1"}),
        ("status", {"after": "x"}),
    ],
)
def test_invalid_fault_is_rejected(client, simulator, kind, details):
    with pytest.raises(ValueError):
        simulator.fault(kind, **details)
    assert statuses(client, 1) == [200]


# Faults without an effect


@pytest.mark.parametrize("retry_after", [None, 0, 3, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_status(client, simulator, retry_after):
    simulator.fault("status", status=429, retry_after=retry_after)
    answer = client.release("id-1")
    assert (answer.status_code, answer.text) == (429, "")
    assert answer.headers.get("retry-after") == (None if retry_after is None else str(retry_after))
    assert simulator.live() == ["id-1"]


@pytest.mark.parametrize(
    ("body", "text"),
    [({"message": "no"}, '{"message": "no"}'), ("plain", "plain"), (None, '{"message": "Bad Request"}')],
)
def test_status_with_body(client, simulator, body, text):
    simulator.fault("status", status=400, body=body)
    answer = client.release("id-1")
    assert (answer.status_code, answer.text) == (400, text)


@pytest.mark.parametrize("status", [413, 417])
def test_too_large(client, simulator, status):
    simulator.fault("too_large", status=status)
    answer = client.release("id-1")
    assert answer.status_code == status
    assert answer.json()["message"] in ("Payload Too Large", "Request size limit exceeded")
    assert simulator.live() == ["id-1"]


def test_redirect(client, simulator):
    simulator.fault("redirect", status=307, location=simulator.url + "/interactions/invoke")
    answer = client.release("id-1")
    assert (answer.status_code, answer.headers["location"]) == (307, simulator.url + "/interactions/invoke")
    assert simulator.live() == ["id-1"]


def test_html(client, simulator):
    simulator.fault("html")
    answer = client.release("id-1")
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/html")
    assert answer.text.startswith("<!doctype html>")
    assert simulator.live() == ["id-1"]


def test_expired(client, simulator):
    simulator.fault("expired")
    assert statuses(client, 2) == [401, 200]


# Faults that may let the call take effect


@pytest.mark.parametrize("taken", [False, True])
def test_garbage(client, simulator, taken):
    simulator.fault("garbage", taken=taken)
    answer = client.release("id-1")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    with pytest.raises(ValueError):
        answer.json()
    assert simulator.live() == ([] if taken else ["id-1"])


@pytest.mark.parametrize(("kind", "status"), [("status", 503), ("redirect", 302), ("html", 200)])
def test_error_response_after_effect(client, simulator, kind, status):
    simulator.fault(kind, taken=True)
    assert client.release("id-1", allow_redirects=False).status_code == status
    assert simulator.live() == []


@pytest.mark.parametrize(("when", "live"), [("before", ["id-1"]), ("after", [])])
def test_cut(client, simulator, when, live):
    fault = simulator.fault("cut", when=when)
    with pytest.raises(requests.ConnectionError):
        client.release("id-1")
    assert fault.entered.is_set()
    assert simulator.live() == live
    assert statuses(client, 1) == [200]
    assert [(call["status"], call["fault"], call["connection"]) for call in simulator.calls] == [
        (None, "cut", 1),
        (200, None, 2),
    ]


def test_cut_of_token(client, simulator):
    simulator.fault("cut", path=TOKEN, when="after")
    with pytest.raises(requests.ConnectionError):
        client.token_call()
    assert client.token_call().status_code == 200


def test_latency(client, simulator):
    simulator.fault("latency", seconds=0.2)
    start = time.monotonic()
    assert client.release("id-1").status_code == 200
    assert time.monotonic() - start >= 0.2
    assert simulator.live() == []


def test_latency_beyond_client_timeout(client, simulator):
    simulator.fault("latency", seconds=60)
    with pytest.raises(requests.ReadTimeout):
        client.release("id-1", timeout=0.2)
    assert simulator.live() == []


def test_late(client, simulator):
    simulator.fault("late", seconds=0.4)
    with pytest.raises(requests.ReadTimeout):
        client.release("id-1", timeout=0.1)
    assert simulator.live() == ["id-1"]
    client.session.close()
    simulator.settle()
    assert simulator.live() == []


def test_hold(client, simulator, background):
    fault = simulator.fault("hold")
    assert not fault.entered.is_set()
    answer = background(client.release, "id-1")
    assert fault.entered.wait(10)
    assert simulator.live() == []
    assert simulator.calls[0]["status"] is None
    assert not answer.done()
    fault.release()
    assert answer.result(10).status_code == 200
    assert simulator.calls[0]["status"] == 200


@pytest.mark.parametrize("end", ["reset", "stop"])
def test_hold_ends_with_simulator(background, end):
    with Simulator() as simulator:
        fault = simulator.fault("hold", path="/")
        answer = background(requests.get, simulator.url, timeout=10)
        assert fault.entered.wait(10)
        if end == "reset":
            simulator.reset()
            assert answer.result(10).status_code == 404
    if end == "stop":
        with pytest.raises(requests.ConnectionError):
            answer.result(10)


def test_trickle(client, simulator):
    simulator.fault("trickle", seconds=0.01)
    start = time.monotonic()
    answer = client.release("id-1")
    assert time.monotonic() - start >= 0.01 * len(answer.content)
    assert answer.json() == {"message": "Success"}
    assert simulator.live() == []


def test_trickle_of_token(client, simulator):
    simulator.fault("trickle", path=TOKEN, seconds=0.001)
    assert client.token_call().json()["token_type"] == "Bearer"


def test_trickle_does_not_affect_errors(client, simulator):
    simulator.fault("trickle", seconds=60)
    client.token = "wrong"
    assert client.release("id-1").status_code == 401


def test_trickle_ends_when_client_disconnects(simulator, client):
    simulator.fault("trickle", path="/stats/interactions/ongoing", seconds=0.02)
    before = threading.active_count()
    answer = client.stats("ongoing", stream=True)
    assert answer.raw.read(1) == b"{"
    assert threading.active_count() == before + 1
    answer.close()
    client.session.close()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_trickle_ends_with_simulator():
    with Simulator() as simulator, requests.Session() as session:
        simulator.fault("trickle", path=TOKEN, seconds=60)
        simulator.add_client("c", "s")
        form = {"grant_type": "client_credentials", "client_id": "c", "client_secret": "s", "scope": "stats"}
        answer = session.post(simulator.token_url, data=form, stream=True, timeout=10)
        before = threading.active_count()
        start = time.monotonic()
    assert time.monotonic() - start < 5
    assert threading.active_count() == before - 2
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _body = answer.content


def test_fault_keeps_rejection_of_call(client, simulator):
    simulator.unknown_id = 404
    simulator.fault("latency", seconds=0.01)
    assert statuses(client, 1) == [404]


def test_malformed_request_ends_only_its_connection(client, simulator):
    host, port = simulator.url[len("http://") :].split(":")
    for text in (b"GET / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc", b"nonsense\r\n\r\n", b"\x00" * 10 + b"\r\n"):
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    assert statuses(client, 1) == [200]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another process can start a simulator and control it over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from ansible_collections.vonage.vcc.tests import simulator as package
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET

ROOT = Path(package.__file__).parents[2]
TREE = ROOT.parents[2]  # holds ansible_collections


# The control surface


def test_dispatch_and_state(client, simulator):
    assert client.control("POST", "dispatch", {"external_ids": ["id-1", "id-2"]}).json() == {}
    client.control("POST", "dispatch", {"external_ids": ["id-3"], "provider": "crm", "route": "sales"})
    assert simulator.live() == ["id-1", "id-2", "id-3"]
    assert simulator.live(provider="crm") == ["id-3"]
    released = {"action": "release", "externalid": "id-1", "requestid": "r-1"}
    assert client.invoke(released, released).status_code == 200
    client.token_call()
    state = client.control("GET", "state").json()
    assert state["live"] == ["id-2", "id-3"]
    assert state["calls"] == simulator.calls
    assert state["effects"] == simulator.effects
    assert state["ignored"] == simulator.ignored
    assert state["counts"] == {
        "calls": 2,
        "token_calls": 1,
        "invoke_calls": 1,
        "effects": 1,
        "ignored": 1,
        "connections": 1,
    }
    assert client.token not in json.dumps(state)


def test_faults_and_release(client, simulator):
    number = client.control("POST", "faults", {"kind": "status", "status": 502, "times": 2}).json()["id"]
    assert client.control("GET", "state").json()["faults"] == [{"id": number, "kind": "status", "entered": False}]
    assert client.release("id-1").status_code == 502
    assert client.control("GET", "state").json()["faults"][0]["entered"]
    assert client.release("id-1").status_code == 502
    held = [client.control("POST", "faults", {"kind": "hold"}).json()["id"] for _attempt in range(2)]
    client.control("POST", "faults/release", {"id": held[0]})
    assert client.release("id-1").status_code == 200
    client.control("POST", "faults/release")
    assert client.release("id-1").status_code == 200


def test_clients_and_tokens(client):
    assert client.control("POST", "clients", {"client_id": "c", "client_secret": "s", "scopes": ["stats"]}).json() == {}
    form = {"grant_type": "client_credentials", "client_id": "c", "client_secret": "s", "scope": "stats"}
    assert client.token_call(data=form).status_code == 200
    client.token = client.control("POST", "tokens", {"scopes": ["stats"]}).json()["access_token"]
    assert client.stats("ongoing").status_code == 200
    client.control("POST", "expire")
    assert client.stats("ongoing").status_code == 401
    client.token = client.control("POST", "tokens").json()["access_token"]
    assert client.release("id-1").status_code == 200


def test_providers_poison_and_behaviour(client, simulator):
    client.control("POST", "register", {"name": "crm"})
    assert client.invoke({"route": "sales"}, provider="crm").status_code == 200
    client.control("POST", "poison", {"external_ids": ["id-1"]})
    assert client.release("id-1").status_code == 400
    client.control("PUT", "behaviour", {"unknown_id": 404, "success_body": "json", "rate_limit": 100})
    assert (simulator.unknown_id, simulator.success_body, simulator.rate_limit) == (404, "json", 100)
    assert client.release("id-2").status_code == 404
    client.control("POST", "reset")
    assert (simulator.unknown_id, simulator.success_body, simulator.rate_limit, simulator.calls) == (
        200,
        "empty",
        None,
        [],
    )


def test_agents_and_notifications(client, receiver):
    registered = {"name": "crm", "endpoint": receiver.url, "headers": {"Authorization": "Bearer t0ken"}}
    client.control("POST", "register", registered)
    client.control("POST", "dispatch", {"external_ids": ["id-1"], "provider": "crm"})
    assert client.control("POST", "assign", {"external_id": "id-1", "provider": "crm"}).json() == {}
    roles = [channel["party"]["role"] for channel in client.stats("ongoing").json()["items"][0]["channels"]]
    assert roles == ["Customer", "Agent"]
    notification = {"external_id": "id-1", "notification": "Release"}
    assert client.control("POST", "notify", notification).json() == {"status": 204}
    (request,) = receiver.received
    assert request.get_json()[0]["notification"] == "Release"
    assert "t0ken" not in client.control("GET", "state").text
    receiver.stop()
    assert client.control("POST", "notify", notification).json() == {"status": None}


@pytest.mark.parametrize(
    ("method", "command", "body", "status"),
    [
        ("POST", "faults", {"kind": "explosion"}, 400),
        ("POST", "faults", {}, 400),
        ("POST", "faults", [], 400),
        ("POST", "dispatch", {}, 400),
        ("PUT", "behaviour", {"unknown_id": 500}, 400),
        ("PUT", "behaviour", {"x": 1}, 400),
        ("POST", "register", {"name": "crm", "x": 1}, 400),
        ("POST", "register", {"name": "crm", "endpoint": 1}, 400),
        ("POST", "register", {"name": "crm", "headers": "x"}, 400),
        ("POST", "assign", {"external_id": "id-1"}, 400),
        ("POST", "notify", {"external_id": "id-1"}, 400),
        ("POST", "notify", {"external_id": "id-1", "x": 1}, 400),
        ("GET", "nothing", None, 404),
        ("GET", "reset", None, 404),
    ],
)
def test_invalid_command_is_rejected(client, simulator, method, command, body, status):
    answer = client.control(method, command, body)
    assert answer.status_code == status
    assert answer.json()["message"]
    assert (simulator.calls, simulator.unknown_id) == ([], 200)


# The process


@contextlib.contextmanager
def process(*arguments, module="ansible_collections.vonage.vcc.tests.simulator", **options):
    options = {"cwd": TREE, "stdin": subprocess.DEVNULL, **options}
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.parametrize(
    ("module", "where", "number"),
    [
        ("tests.simulator", ROOT, signal.SIGTERM),
        ("ansible_collections.vonage.vcc.tests.simulator", TREE, signal.SIGINT),
    ],
)
def test_process_prints_connection_and_ends_promptly(tmp_path, module, where, number):
    ready = tmp_path / "ready.json"
    with process("--ready-file", str(ready), module=module, cwd=where) as running:
        line = running.stdout.readline()
        connection = json.loads(line)
        assert (connection["client_id"], connection["client_secret"]) == (CLIENT_ID, CLIENT_SECRET)
        state = requests.get(connection["url"] + "/_simulator/state", timeout=10)
        assert state.json()["counts"]["calls"] == 0
        deadline = time.monotonic() + 10
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert ready.read_text(encoding="utf-8") == line
        assert stat.S_IMODE(ready.stat().st_mode) == 0o600
        assert os.listdir(tmp_path) == ["ready.json"]
        with requests.Session() as session:  # an open connection does not delay the exit
            session.get(connection["url"], timeout=10)
            start = time.monotonic()
            running.send_signal(number)
            assert running.wait(10) == 0
            assert time.monotonic() - start < 3
        assert running.stdout.read() == running.stderr.read() == ""


def test_process_uses_given_client():
    with process("--client-id", "c", "--client-secret", "s&€", "--stop-with-stdin", stdin=subprocess.PIPE) as running:
        connection = json.loads(running.stdout.readline())
        form = {"grant_type": "client_credentials", "client_id": "c", "client_secret": "s&€", "scope": "stats"}
        assert requests.post(connection["token_url"], data=form, timeout=10).status_code == 200
        running.stdin.close()
        assert running.wait(10) == 0
        assert running.stderr.read() == ""


def test_process_ignores_closed_stdin_by_default():
    with process() as running:
        connection = json.loads(running.stdout.readline())
        assert requests.get(connection["url"], timeout=10).status_code == 404
        assert running.poll() is None


def test_command_gets_connection_from_environment(tmp_path):
    """The command gets its own journal and none of the caller's settings, and the simulator returns its exit status."""
    script = """
import json, os, sys, urllib.request
state = urllib.request.urlopen(os.environ["VCC_API_URL"] + "/_simulator/state")
print(json.dumps([json.load(state)["counts"]["calls"], {k: v for k, v in os.environ.items() if k.startswith("VCC_")}]))
sys.exit(3)
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "VCC_ACCESS_TOKEN": "real", "VCC_REGION": "emea"}
    with process(sys.executable, "-c", script, env=environment) as running:
        calls, settings = json.loads(running.stdout.readline())
        assert running.wait(10) == 3
        assert running.stderr.read() == ""
    assert calls == 0
    assert set(settings) == {f"VCC_{name}" for name in ("API_URL", "AUTH_URL", "CLIENT_ID", "CLIENT_SECRET", "JOURNAL")}
    assert settings["VCC_JOURNAL"].startswith(str(tmp_path))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_ends_with_simulator(number):
    """Send SIGINT to both processes, as a terminal does."""
    script = "import time; print(flush=True); time.sleep(60)"
    with process(sys.executable, "-c", script, start_new_session=True) as running:
        running.stdout.readline()
        if number == signal.SIGINT:
            os.killpg(running.pid, number)
        else:
            running.send_signal(number)
        assert running.wait(10) == 128 + number
        assert "Exception" not in running.stderr.read()


def test_unknown_command_is_reported():
    with process("no-such-command") as running:
        assert running.wait(10) == 127
        assert running.stderr.read() == "python -m tests.simulator: no such command: no-such-command\n"

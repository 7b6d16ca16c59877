# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time limit of an attempt, and abandoned requests."""

from __future__ import annotations

import socket
import threading

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._api import http
from ansible_collections.vonage.vcc.plugins.module_utils._errors import NoResponseError
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._api.helpers import TOKEN, answering, states


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "trickle", "part": "head", "seconds": 0.1},
        {"kind": "trickle", "part": "body", "seconds": 0.1},
        {"kind": "interim", "status": 100, "count": 0, "seconds": 0.02},
        {"kind": "interim", "status": 103, "count": 200, "seconds": 0.02},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
@pytest.mark.parametrize("path", ["/interactions/Invoke", TOKEN])
def test_endless_response_is_abandoned(sim, task, short_wait, fault, path):
    sim.fault(path=path, **fault)
    result = task(external_id="a", timeout=1)
    assert "(the call reached its time limit): run the task again later." in result["msg"]
    assert states(result) == [("unknown" if "Invoke" in path else "failed", "none")]


def test_stalled_handshake_is_abandoned(task, short_wait):
    with answering(b"\x16\x03\x03", hold=True) as url:
        result = task(
            external_id="a", api_url=url.replace("http:", "https:"), access_token="t0ken", timeout=1, retries=0
        )
    assert states(result) == [("failed", "none")]


def test_request_abandoned_before_it_is_sent_is_never_sent(sim, make_http, monkeypatch):
    """The look-up of the host name takes longer than the time limit of the call."""
    found, resume = threading.Event(), threading.Event()
    look_up = socket.getaddrinfo

    def slow_look_up(*arguments, **others):
        resume.wait(20)
        try:
            return look_up(*arguments, **others)
        finally:
            found.set()

    monkeypatch.setattr(http, "MAX_WAIT", 0)
    sender = make_http(timeout=0.2)
    monkeypatch.setattr(socket, "getaddrinfo", slow_look_up)
    with pytest.raises(NoResponseError, match="reached its time limit") as caught:
        sender.send("POST", sim.url + "/interactions/Invoke", "VCC at", body=b"{}")
    assert not caught.value.maybe_processed
    resume.set()
    assert found.wait(20)
    for thread in threading.enumerate():
        if thread.name.startswith("vcc-attempt"):
            thread.join(20)
    assert sim.calls == []

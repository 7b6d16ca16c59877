# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The helpers of these tests: faults, bodies, expected errors, and servers of raw bytes."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import traceback

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import ApiError
from ansible_collections.vonage.vcc.plugins.module_utils._interactions import task
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import validated

TOKEN = "/Auth/connect/token"
REGISTER = "/interactions/Register"
ONGOING = "/stats/interactions/ongoing"

PERMITTED = {"release": False, "hold": False, "transfer_to_agent": False, "transfer_to_route": False}

# The faults of the simulator after which a call is retried.
PASSING = [
    {"kind": "status", "status": 429},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 502},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 504},
    {"kind": "cut", "when": "before"},
    {"kind": "cut", "when": "after"},
    {"kind": "hold"},
]

# The faults after which it is not: the status is that of VCC, or of a proxy or gateway.
LASTING = [
    {"kind": "status", "status": 400},
    {"kind": "status", "status": 403},
    {"kind": "status", "status": 404},
    {"kind": "status", "status": 409},
    {"kind": "too_large", "status": 413},
    {"kind": "too_large", "status": 417},
    {"kind": "status", "status": 501},
    {"kind": "redirect", "status": 302},
    {"kind": "html"},
    {"kind": "garbage"},
]


def described(fault):
    """Return the id of a test case with this fault."""
    return "-".join(str(part) for part in fault.values())


def release_body(*external_ids):
    """Return the body of a call with request ids, of which VCC processes each only once."""
    requests = [{"action": "release", "requestid": f"for {each}", "externalid": each} for each in external_ids or ["a"]]
    return json.dumps({"requests": requests}).encode()


def failure(function, *arguments, kind=ApiError, hidden=(CLIENT_SECRET,)):
    """Return the exception of a call, and check that its traceback has none of the hidden texts."""
    with pytest.raises(kind) as caught:
        function(*arguments)
    printed = "".join(traceback.format_exception(kind, caught.value, caught.value.__traceback__)) + repr(
        caught.value.__dict__
    )
    for secret in hidden:
        assert secret not in printed
    return caught.value


@contextlib.contextmanager
def serving(handle):
    """Serve the connections of a port on the loopback, one after the other, with ``handle``; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, dummy = server.accept()
                    with connection:
                        handle(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@contextlib.contextmanager
def answering(*responses, hold=False):
    """Answer each request to a port on the loopback with the next of some bytes, and close or hold the connection; yield the URL."""
    over = threading.Event()

    def serve():
        with contextlib.suppress(OSError):
            for response in responses:
                connection, dummy = server.accept()
                with connection:
                    request = connection.recv(65536)
                    if request.startswith(b"POST"):
                        # Read the whole body, because unread bytes would turn the close into a reset.
                        head, dummy, body = request.partition(b"\r\n\r\n")
                        length = int(re.search(rb"Content-Length: (\d+)", head)[1])
                        while len(body) < length:
                            body += connection.recv(65536)
                    connection.sendall(response)
                    if hold:
                        over.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        over.set()
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        thread.join()


def run(options, check=False):
    """Run a task of vcc_interaction with these options, and return its result."""
    clients = {}
    try:
        return task.run(validated(**options), check, False, clients)
    finally:
        for client in clients.values():
            client.close()


def states(result):
    """Return the state and evidence of each interaction."""
    return [(each["state"], each["evidence"]) for each in result["interactions"]]

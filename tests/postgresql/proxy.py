# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy between clients and a PostgreSQL server, which can delay their messages and cause faults."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import queue
import socket
import threading
import time

from ansible_collections.vonage.vcc.tests.postgresql.messages import ClientMessages, ServerMessages
from ansible_collections.vonage.vcc.tests.postgresql.server import SUPERUSER, database_url

# The messages of a client of which a request consists. A Flush, "H", may also come between requests.
REQUEST_TYPES = "QFPBDECS"
LAST_TYPES = "QFS"  # those that end a request: the server answers them with READY
READY = "Z"
OVERSLEPT = 0.0001  # the seconds that a sleep takes too long


@dataclasses.dataclass
class Fault:
    """A fault that has not happened yet."""

    number: int  # of the request; for "bytes", how many bytes still pass
    when: str  # "before" the server has the request, "after" it has answered, or "bytes"
    sender: str = "client"
    is_silent: bool = False


class Delivery:
    """Sends bytes to a socket in their order, each ``delay`` seconds after it has received them."""

    def __init__(self, target, delay, spawn):
        self._target = target
        self._delay = delay
        self._queue = queue.SimpleQueue()
        if delay:
            spawn(self._deliver)

    def send(self, data):
        """Send bytes; None ends the stream."""
        if self._delay:
            self._queue.put((time.monotonic() + self._delay, data))
        else:
            self._send_now(data)

    def _send_now(self, data):
        with contextlib.suppress(OSError):
            if data is None:
                self._target.shutdown(socket.SHUT_WR)
            else:
                self._target.sendall(data)

    def _deliver(self):
        data = b""
        while data is not None:
            due, data = self._queue.get()
            time.sleep(max(0, due - OVERSLEPT - time.monotonic()))
            self._send_now(data)


class Link:
    """The connection of one client and that to the server. It has a socket, the messages and the delivery for each *sender*."""

    def __init__(self, client, server, delay, spawn):
        self.sockets = {"client": client, "server": server}
        requests = ClientMessages()
        self.messages = {"client": requests, "server": ServerMessages(requests)}
        self._deliveries = {
            "client": Delivery(server, delay, spawn),
            "server": Delivery(client, delay, spawn),
        }
        self.numbers = collections.deque()  # of the requests without an answer
        self._is_open = False  # whether the last of these goes on
        self.is_silent = False  # whether it drops everything

    def begins_request(self, kind):
        """Return whether a message of the client, of this type, is the first of a request."""
        if not kind or kind not in REQUEST_TYPES:
            return False
        begins = not self._is_open
        self._is_open = kind not in LAST_TYPES
        return begins

    def forward(self, sender, data):
        """Pass bytes of a sender to the other side; None ends the stream."""
        if not self.is_silent:
            self._deliveries[sender].send(data)

    def cut(self):
        """Close both connections after everything that is under way."""
        self.forward("server", None)
        self.forward("client", None)
        self.is_silent = True

    def close(self):
        """Close both connections now."""
        for sender, each in self.sockets.items():
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            self._deliveries[sender].send(None)


class Proxy:
    """
    A context manager that accepts connections on a free port of 127.0.0.1, and leads each to a server.

    A *request* is everything that the server answers at once: a simple query, or the messages of the extended protocol up to a Sync, which may be
    a whole pipeline. Requests count over all connections. A login is no request, and nothing is a request on a connection with TLS.

    ``connections``, ``requests`` and ``faults`` are counts, the last one of the faults that happened.
    """

    def __init__(self, server, delay=0.0, tcp=False):
        """
        Lead clients to a server.

        :param server: a Server or a Bouncer
        :param delay: the seconds that bytes take in each direction; a round trip takes twice as long
        :param tcp: whether to lead clients to the port of a Server, where they need a password, and not to its socket
        """
        self._server = server
        self._tcp = tcp
        self._delay = delay
        self._lock = threading.Lock()
        self._links = []
        self._threads = []
        self._fault = None
        self._is_silent = False
        self.connections = self.requests = self.faults = 0

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._spawn(self._accept)
        return self

    def __exit__(self, *_exception):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for link in self._links:
            link.close()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def url(self, database="postgres", user=SUPERUSER, password=None, **parameters):
        """Return the URL of a database behind the proxy. The password is needed with ``tcp`` alone."""
        if self._tcp:
            return self._server.url(database, user, password, tcp=True, port=self.port, **parameters)
        return database_url("127.0.0.1", self.port, database, user, password, **parameters)

    def cut(self, request=1, when="before"):
        """
        Close the connection of a request.

        :param request: 1 is the next request, 2 the one after it
        :param when: "before" the server has any of the request; or "after" it has done everything, in place of its answer
        """
        self._arm(Fault(request, when))

    def cut_bytes(self, count, sender="server"):
        """Close the connection on which this sender sends the last of ``count`` more bytes, after passing them on."""
        self._arm(Fault(count, "bytes", sender))

    def black_hole(self, request=None, when="before"):
        """
        Accept bytes and drop them.

        :param request: the request from which on its own connection is silent for ever; ``when`` is as in ``cut``. By default, all connections are
            silent from now on, and so are new ones until ``clear``.
        """
        if request:
            self._arm(Fault(request, when, is_silent=True))
            return
        with self._lock:
            self._is_silent = True
            self.faults += 1
            for link in self._links:
                link.is_silent = True

    def clear(self):
        """Forget the fault that has not happened, and let new connections pass."""
        with self._lock:
            self._fault = None
            self._is_silent = False

    def _arm(self, fault):
        with self._lock:
            if fault.when != "bytes":
                fault.number += self.requests
            self._fault = fault

    def _spawn(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _connect(self):
        """Return a new connection to the server."""
        address = ("127.0.0.1", self._server.port) if self._tcp else self._server.address
        if isinstance(address, tuple):
            server = socket.create_connection(address)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return server
        server = socket.socket(socket.AF_UNIX)
        server.connect(address)
        return server

    def _accept(self):
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                server = self._connect()
            except OSError:
                client.close()  # as if nothing listened
                continue
            link = Link(client, server, self._delay, self._spawn)
            with self._lock:
                self.connections += 1
                link.is_silent = self._is_silent
                self._links.append(link)
            for sender in link.sockets:
                self._spawn(self._read, link, sender)

    def _read(self, link, sender):
        """Read everything that one side of a connection sends."""
        source = link.sockets[sender]
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if link.is_silent:
                    continue
                with self._lock:
                    passed, fault = self._handle(link, sender, data)
                link.forward(sender, passed)
                if fault and fault.is_silent:
                    link.is_silent = True
                elif fault:
                    link.cut()
        link.forward(sender, None)
        source.close()

    def _handle(self, link, sender, data):
        """Return the bytes to pass on, and the fault that follows them, or None."""
        passed = []
        for kind, message in link.messages[sender].split(data):
            if sender == "client":
                if link.begins_request(kind):
                    self.requests += 1
                    link.numbers.append(self.requests)
                    if self._is_due("before", self.requests):
                        return b"".join(passed), self._take_fault()
            elif link.numbers:
                number = link.numbers[0]
                if kind == READY:
                    link.numbers.popleft()
                if self._is_due("after", number):
                    if kind == READY:
                        return b"".join(passed), self._take_fault()
                    continue
            passed.append(message)
        return self._limit(sender, b"".join(passed))

    def _limit(self, sender, data):
        """Return the bytes that pass before a fault after a number of bytes, and the fault if it is due."""
        fault = self._fault
        if not fault or (fault.when, fault.sender) != ("bytes", sender):
            return data, None
        if len(data) >= fault.number:
            return data[: fault.number], self._take_fault()
        fault.number -= len(data)
        return data, None

    def _is_due(self, when, number):
        return self._fault and (self._fault.when, self._fault.number) == (when, number)

    def _take_fault(self):
        fault, self._fault = self._fault, None
        self.faults += 1
        return fault

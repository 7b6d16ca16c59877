# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy between a task and the simulator, with faults of its own."""

from __future__ import annotations

import collections
import contextlib
import select
import socket
import ssl
import struct
import threading
from urllib.parse import urlsplit

import trustme

HOST = "vcc.example"  # a host that is not the loopback, before which no proxy stands
APPLICATION_DATA = 23  # the first byte of such a TLS record

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

# What can go wrong, and the detail that says how: a status in place of 200, bytes of the answer to CONNECT behind which nothing comes, and whether
# the connection is reset rather than closed in place of VCC's answer.
KINDS = {"refuse": 403, "silence": 0, "cut": False}


def certificate_for(path, *hosts):
    """A server's TLS context with a certificate for these hosts (HOST if there are none); ``path`` is where its authority's goes."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # in which records that carry the answer can be told from others
    authority.issue_cert(*(hosts or (HOST,))).configure_cert(context)
    return context


class Proxy:
    """
    Takes CONNECT on a free loopback port, and leads every tunnel to the port of ``url``, while it is used as a context manager.

    ``url`` says where. ``tunnels`` is how many have been asked for.
    """

    def __init__(self, url):
        self._port = urlsplit(url).port
        self._lock = threading.Lock()
        self._orders = []
        self._sockets = set()
        self._threads = []
        self._stopping = threading.Event()
        self._met = collections.Counter()
        self.tunnels = 0

    def __enter__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._spawn(self._accept)
        return self

    def __exit__(self, *_exception):
        self._stopping.set()
        with self._lock:
            sockets = [self._server, *self._sockets]
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join()
        self._server.close()

    def fault(self, kind, how=None, times=1, after=0):
        """Order a fault for the next ``times`` (None: all) tunnels, or for "cut" answers, behind ``after`` of them."""
        with self._lock:
            self._orders.append([kind, KINDS[kind] if how is None else how, times, after])

    def clear(self):
        """Forget all orders. Returns how often each fault has been met, by its name, since the last time."""
        with self._lock:
            self._orders, met = [], self._met
            self._met = collections.Counter()
            return met

    def _take(self, *kinds):
        """What is ordered for now, as (kind, how); (None, None) if nothing is."""
        with self._lock:
            due = [order for order in self._orders if order[0] in kinds and order[2] != 0]
            for order in due:
                if order[3]:
                    order[3] -= 1
                else:
                    order[2] = order[2] and order[2] - 1
                    self._met[f"proxy {order[0]}"] += 1
                    return order[:2]
        return None, None

    def _spawn(self, act, *arguments):
        thread = threading.Thread(target=act, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self._server.accept()
                self._spawn(self._serve, connection)

    def _serve(self, client):
        with client, contextlib.suppress(OSError), self._known(client):
            head = b""
            while b"\r\n\r\n" not in head:
                more = client.recv(65536)
                if not more:
                    return
                head += more
            self.tunnels += 1
            kind, how = self._take("refuse", "silence")
            if kind == "refuse":
                client.sendall(f"HTTP/1.1 {how} Refused\r\nContent-Length: 0\r\n\r\n".encode())
            elif kind == "silence":
                client.sendall(ESTABLISHED[:how])
                client.recv(1)  # until the client gives up
            else:
                with socket.create_connection(("127.0.0.1", self._port)) as vcc, self._known(vcc):
                    client.sendall(ESTABLISHED)
                    self._carry(client, vcc)

    @contextlib.contextmanager
    def _known(self, connection):
        with self._lock:
            self._sockets.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(connection)

    def _carry(self, client, vcc):
        while True:
            for source in select.select([client, vcc], [], [])[0]:
                data = source.recv(65536)
                if not data:
                    return
                if source is vcc and data[0] == APPLICATION_DATA:
                    kind, reset = self._take("cut")
                    if kind:
                        if reset:
                            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                (vcc if source is client else client).sendall(data)

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy between a task and the simulator, which can cause faults itself."""

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

HOST = "vcc.example"  # not a loopback address, because clients use no proxy for these
APPLICATION_DATA = 23  # the first byte of a TLS record with application data

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

# The kinds of faults, with the default of their detail:
# - refuse: the status of the response to CONNECT
# - silence: the number of bytes of that response, after which nothing follows
# - cut: in place of VCC's response, whether to reset the connection instead of closing it
KINDS = {"refuse": 403, "silence": 0, "cut": False}


def certificate_for(path, *hosts):
    """
    Return the TLS context of a server with a certificate for some hosts, by default HOST.

    :param path: where to write the certificate of the authority
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # later versions hide which records contain the response
    authority.issue_cert(*(hosts or (HOST,))).configure_cert(context)
    return context


class Proxy:
    """
    A context manager that accepts CONNECT on a free loopback port, and leads every tunnel to the port of a URL.

    ``url`` is the address of the proxy, ``tunnels`` the number of requested tunnels.
    """

    def __init__(self, url):
        self._port = urlsplit(url).port
        self._lock = threading.Lock()
        self._faults = []
        self._sockets = set()
        self._threads = []
        self._stopping = threading.Event()
        self._counts = collections.Counter()
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
        """Add a fault for the next ``times`` tunnels (None: all), after the first ``after``; a "cut" counts responses instead."""
        with self._lock:
            self._faults.append([kind, KINDS[kind] if how is None else how, times, after])

    def clear(self):
        """Forget all faults, and return how often each name has occurred since the last time."""
        with self._lock:
            self._faults, counts = [], self._counts
            self._counts = collections.Counter()
            return counts

    def _take(self, *kinds):
        """Return the due fault as (kind, how), or (None, None)."""
        with self._lock:
            due = [fault for fault in self._faults if fault[0] in kinds and fault[2] != 0]
            for fault in due:
                if fault[3]:
                    fault[3] -= 1
                else:
                    fault[2] = fault[2] and fault[2] - 1
                    self._counts[f"proxy {fault[0]}"] += 1
                    return fault[:2]
        return None, None

    def _spawn(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self._server.accept()
                self._spawn(self._serve, connection)

    def _serve(self, client):
        with client, contextlib.suppress(OSError), self._registered(client):
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
                with socket.create_connection(("127.0.0.1", self._port)) as vcc, self._registered(vcc):
                    client.sendall(ESTABLISHED)
                    self._relay(client, vcc)

    @contextlib.contextmanager
    def _registered(self, connection):
        with self._lock:
            self._sockets.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(connection)

    def _relay(self, client, vcc):
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

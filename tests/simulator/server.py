# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP server of the simulator: a thread for each connection, with any number of requests."""

from __future__ import annotations

import contextlib
import io
import itertools
import socket
import threading

from werkzeug.exceptions import HTTPException
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request


class Server(ThreadedWSGIServer):
    """Serves a simulator on 127.0.0.1, with ``tls`` over HTTPS. Raise SystemExit if the port is in use."""

    def __init__(self, simulator, port, tls=None):
        super().__init__("127.0.0.1", port, None, handler=_Handler)
        self.ssl_context = tls
        self.simulator = simulator
        self._loop = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._guard = threading.Lock()
        self._accepted = 0
        self._connections = {}  # socket -> (number, thread)

    def start(self):
        """Accept connections."""
        self._loop.start()

    def stop(self):
        """Close the port and every connection, and wait for their threads."""
        self.shutdown()
        self._loop.join()
        with self._guard:
            connections = dict(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # wakes its thread
        for _number, thread in connections.values():
            thread.join(5)

    def settle(self):
        """Wait until all current connections are closed."""
        with self._guard:
            threads = [thread for _number, thread in self._connections.values()]
        for thread in threads:
            thread.join()

    def number(self, connection):
        """Return the number of a connection; the first accepted connection has 1."""
        with self._guard:
            return self._connections[connection][0]

    def get_request(self):
        connection, address = super().get_request()
        if self.ssl_context:
            # The thread of the connection does the handshake.
            connection = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request(self, request, client_address):
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._guard:
            self._accepted += 1
            self._connections[request] = (self._accepted, thread)
        thread.start()

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._guard:
                del self._connections[request]


class _Handler(WSGIRequestHandler):
    """Reads requests with werkzeug, but sends the responses itself, because werkzeug closes the connection after each."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def run_wsgi(self):
        request = Request(self.make_environ())
        try:
            request.get_data()  # all of it, because the next request follows
        except (HTTPException, OSError):
            self.close_connection = True
            return
        response, delivery = self.server.simulator.handle(request, self.server.number(self.connection))
        if response is None or not self._send_interim(*delivery.interim):
            self.close_connection = True
            return
        head = self._head(request, response, delivery.location)
        if delivery.head_length is not None:
            head = head[: delivery.head_length]
            self.close_connection = True
        body = b"" if request.method == "HEAD" or delivery.head_length is not None else response.get_data()
        if self._send(head, delivery.head_pause) and self._send(body, delivery.pause):
            self.wfile.flush()

    def _head(self, request, response, location):
        """Return the head of a response as bytes."""
        wfile, self.wfile = self.wfile, io.BytesIO()
        self.send_response(response.status_code)
        headers = dict(response.get_wsgi_headers(request.environ))
        if location is not None:
            headers["Location"] = location
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        head, self.wfile = self.wfile.getvalue(), wfile
        return head

    def _send_interim(self, status, count, pause):
        """Send interim responses, and return False if the simulator stops before the end."""
        numbers = itertools.count() if status and not count else range(count)
        for _number in numbers:
            self.wfile.write(f"HTTP/1.1 {status} Interim\r\nLink: </style.css>; rel=preload\r\n\r\n".encode())
            self.wfile.flush()
            if self.server.simulator.stopping.wait(pause):
                return False
        return True

    def _send(self, data, pause):
        """Send bytes, with a pause before each if there is one, and return False if the simulator stops before the end."""
        if not pause:
            self.wfile.write(data)
            return True
        for byte in data:
            self.wfile.flush()
            if self.server.simulator.stopping.wait(pause):
                self.close_connection = True
                return False
            self.wfile.write(bytes([byte]))
        return True

    def finish(self):
        with contextlib.suppress(OSError):  # the client may have disconnected
            super().finish()

    def log(self, *_arguments):
        """Log nothing, because the simulator records calls itself."""

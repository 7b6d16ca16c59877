# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Split the bytes of PostgreSQL's protocol into messages."""

from __future__ import annotations

import struct

ENCRYPTION_REQUESTS = (80877103, 80877104)  # TLS, GSSAPI
MAJOR_VERSION = 3  # of the protocol, in the message that begins a session


class Messages:
    """The messages of one side of a connection."""

    def __init__(self):
        self._rest = b""

    def split(self, data):
        """
        Return the messages that these bytes complete, as pairs of type and bytes.

        The type is a letter. It is empty for messages without a type, which come before a session, and for encrypted bytes.
        """
        data = self._rest + data
        found = []
        start = 0
        while start < len(data):
            kind, length = self._measure(data, start)
            if start + length > len(data):
                break
            found.append((kind, data[start : start + length]))
            start += length
        self._rest = data[start:]
        return found

    def _measure(self, data, start):
        """Return type and length of the message that begins at a place; if its length is not there yet, the least that it can be."""
        raise NotImplementedError

    def _measure_typed(self, data, start):
        if start + 5 > len(data):
            return "", 5
        return chr(data[start]), 1 + struct.unpack_from("!I", data, start + 1)[0]


class ClientMessages(Messages):
    """The messages of a client. ``encryption_requests`` counts those that the server has not answered."""

    def __init__(self):
        super().__init__()
        self._has_session = False
        self.encryption_requests = 0
        self.is_encrypted = False

    def _measure(self, data, start):
        if not self._has_session and data[start]:
            self.is_encrypted = True  # a TLS handshake without a request for it
        if self.is_encrypted:
            return "", len(data) - start
        if self._has_session:
            return self._measure_typed(data, start)
        if start + 8 > len(data):
            return "", 8
        length, code = struct.unpack_from("!II", data, start)
        if start + length <= len(data):
            self._has_session = code >> 16 == MAJOR_VERSION
            self.encryption_requests += code in ENCRYPTION_REQUESTS
        return "", length


class ServerMessages(Messages):
    """The messages of the server to a client."""

    def __init__(self, client):
        super().__init__()
        self._client = client

    def _measure(self, data, start):
        if not self._client.is_encrypted and self._client.encryption_requests:
            self._client.encryption_requests -= 1
            self._client.is_encrypted = data[start : start + 1] in (b"S", b"G")
            return "", 1
        return ("", len(data) - start) if self._client.is_encrypted else self._measure_typed(data, start)

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pgbouncer in front of a server, in transaction mode: each transaction may have another session of the server."""

from __future__ import annotations

import socket

from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.postgresql.server import SUPERUSER, database_url

CONFIGURATION = """\
[databases]
* = host={server.folder} port={server.port} pool_size={sessions}

[pgbouncer]
pool_mode = transaction
max_client_conn = {clients}
auth_type = trust
auth_file = {folder}/users
auth_user = {superuser}
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pidfile = {folder}/pgbouncer.pid
server_login_retry = {server_login_retry}
"""


class Bouncer(programs.Daemon):
    """
    A context manager for pgbouncer in front of a server, with at most some sessions for each database and role, and connections of some clients.

    ``server_login_retry`` is the time in seconds between attempts to reach a server that is away.
    """

    pid_file = "pgbouncer.pid"

    def __init__(self, server, sessions=2, server_login_retry=15, clients=100):
        self._server = server
        self._server_login_retry = server_login_retry
        self._sessions = sessions
        self._clients = clients

    @property
    def address(self):
        """Host and port."""
        return "127.0.0.1", self.port

    def url(self, database="postgres", user=SUPERUSER, **parameters):
        """Return the URL of a database of the server; no role needs a password. Parameters are those of libpq."""
        return database_url(*self.address, database, user, **parameters)

    def stop(self):
        """Stop pgbouncer at once; it keeps nothing, and the signals for an end depend on its version."""
        self.kill()

    def _prepare(self):
        users = self.folder / "users"
        users.write_text(f'"{SUPERUSER}" ""\n', encoding="utf-8")
        programs.hand_over(users)

    def _command(self, port):
        text = CONFIGURATION.format(
            server=self._server,
            sessions=self._sessions,
            clients=self._clients,
            folder=self.folder,
            superuser=SUPERUSER,
            port=port,
            server_login_retry=self._server_login_retry,
        )
        configuration = self.folder / "pgbouncer.ini"
        configuration.write_text(text, encoding="utf-8")
        programs.hand_over(configuration)
        self._starting = port
        return [programs.find_pgbouncer(), "--quiet", configuration]

    def _is_ready(self):
        try:
            socket.create_connection(("127.0.0.1", self._starting)).close()
        except OSError:
            return False
        return self.pid == self._process.pid

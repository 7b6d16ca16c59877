# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PostgreSQL server that a test starts for itself."""

from __future__ import annotations

import secrets
import signal
from urllib.parse import quote, urlencode

import psycopg
import trustme
from psycopg import sql

from ansible_collections.vonage.vcc.tests.postgresql import programs

SUPERUSER = "postgres"
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

# On the socket, each role comes in without a password.
RULES = """\
local all         all              trust
local replication all              trust
host  all         all 127.0.0.1/32 scram-sha-256
"""

SETTINGS = {
    "autovacuum_naptime": "10min",  # its processes would disturb tests
    "listen_addresses": "127.0.0.1",
    "max_connections": 100,
    "max_wal_senders": 4,
    "shared_buffers": "32MB",
    "timezone": "UTC",
    "wal_level": "replica",
}

# Without these, a commit survives the end of the server, but not that of the machine.
FAST = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "128MB", "min_wal_size": "32MB"}


def database_url(host, port, database, user, password=None, **parameters):
    """Return the URL of a database. A host may be the folder of a socket; parameters are those of libpq."""
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password is not None else "")
    place = f"{host}:{port}"
    if host.startswith("/"):
        place, parameters = "", {"host": host, "port": port, **parameters}
    query = f"?{urlencode(parameters)}" if parameters else ""
    return f"postgresql://{login}@{place}/{quote(database, safe='')}{query}"


def failover_url(servers, database="postgres", user=SUPERUSER, **parameters):
    """Return a URL with which a client tries several servers in turn, by their sockets. By default, it chooses the first that accepts writes."""
    folders = ",".join(str(server.folder) for server in servers)
    ports = ",".join(str(server.port) for server in servers)
    return database_url(folders, ports, database, user, **{"target_session_attrs": "read-write", **parameters})


class Server(programs.Daemon):
    """
    A context manager for a server that listens on a socket in a folder of its own and on a free port of 127.0.0.1.

    ``fsync`` makes commits durable; without it, the server is faster, and its files are in memory if there is enough. With ``tls``, the server has a
    certificate for localhost, and for no other name. ``settings`` are those of postgresql.conf.

    ``folder`` holds everything of the server, ``port`` is its port, ``ca_path`` the certificate of its authority.
    """

    pid_file = "data/postmaster.pid"

    def __init__(self, fsync=True, tls=False, **settings):
        self._programs = programs.find_programs()
        self._settings = {**SETTINGS, **({} if fsync else FAST), **settings}
        self.is_durable = fsync
        self._tls = tls

    @property
    def address(self):
        """The path of the socket."""
        return f"{self.folder}/.s.PGSQL.{self.port}"

    def url(self, database="postgres", user=SUPERUSER, password=None, tcp=False, port=None, **parameters):
        """
        Return the URL of a database.

        :param password: needed for TCP alone
        :param tcp: whether to connect to 127.0.0.1 and not to the socket; with TLS, to localhost, checking the certificate
        :param port: that of a proxy for TCP
        :param parameters: those of libpq
        """
        if not tcp:
            return database_url(str(self.folder), self.port, database, user, password, **parameters)
        if self._tls:
            parameters = {"sslmode": "verify-full", "sslrootcert": self.ca_path, **parameters}
        host = "localhost" if self._tls else "127.0.0.1"
        return database_url(host, port or self.port, database, user, password, **parameters)

    def execute(self, statement, parameters=None, database="postgres"):
        """Execute a statement as superuser, outside a transaction, and return its rows, or None if it has none."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else None

    def create_database(self, template="template1", encoding=None):
        """Create a database and return its name, which no other database has had."""
        name = f"test_{secrets.token_hex(6)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        if encoding:
            statement += sql.SQL(" ENCODING {}").format(sql.Literal(encoding))
        self.execute(statement)
        return name

    def drop_database(self, name):
        """Drop a database, and end the sessions in it."""
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def create_role(self, name, password=None):
        """Create a role that can log in but may do nothing else, and return its name."""
        login = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(password))
        self.execute(login)
        return name

    def stop(self, mode="fast"):
        """Stop the server: "smart" waits for its clients, "fast" rolls back their transactions, "immediate" needs a recovery."""
        self._end(STOP_SIGNALS[mode])

    def restart(self, mode="fast"):
        """Stop the server in a mode of ``stop``, and start it."""
        self.stop(mode)
        self.start()

    def standby(self, **settings):
        """Return a hot standby of this server, which is a context manager too."""
        return Standby(self, **settings)

    def wait_for(self, standby):
        """Wait until a standby has replayed everything that this server has written."""
        # A record of its own: where nothing follows a switch of files, a standby does not reach the position of the next record.
        ((position,),) = self.execute("SELECT pg_create_restore_point('here')::text")
        self.execute("SELECT pg_switch_wal()")
        question = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        programs.poll(lambda: standby.execute(question, [position])[0][0], "the standby does not follow")

    def _prepare(self):
        data = self.folder / "data"
        options = ["--username", SUPERUSER, "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"]
        programs.run(self._programs / "initdb", "--pgdata", data, "--auth", "trust", *options)
        (data / "pg_hba.conf").write_text(RULES, encoding="utf-8")
        if self._tls:
            self._settings.update(self._certify())

    def _certify(self):
        """Write a certificate for localhost and its key, and return the settings for them."""
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        names = ("authority.pem", "server.pem", "server.key")
        paths = [self.folder / name for name in names]
        for path, pem in zip(paths, (authority.cert_pem, issued.cert_chain_pems[0], issued.private_key_pem)):
            pem.write_to_path(str(path))
            programs.hand_over(path, 0o600 if path.suffix == ".key" else 0o644)
        self.ca_path = str(paths[0])
        return {"ssl": "on", "ssl_cert_file": paths[1], "ssl_key_file": paths[2]}

    def _command(self, port):
        settings = {**self._settings, "port": port, "unix_socket_directories": self.folder}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._programs / "postgres", "-D", self.folder / "data", *options]

    def _is_ready(self):
        try:
            lines = (self.folder / self.pid_file).read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return False
        return lines[0] == str(self._process.pid) and len(lines) > 7 and lines[7].strip() == "ready"


class Standby(Server):
    """A hot standby of another server, made by pg_basebackup."""

    def __init__(self, primary, **settings):
        super().__init__(**{"fsync": primary.is_durable, **settings})
        self._primary = primary

    def promote(self):
        """Make the standby a server that accepts writes."""
        self.execute("SELECT pg_promote(true, %s)", [programs.TIMEOUT])

    def _prepare(self):
        primary = self._primary
        source = ["--host", primary.folder, "--port", primary.port, "--username", SUPERUSER]
        options = ["--checkpoint", "fast", "--no-sync", "--wal-method", "stream", "--write-recovery-conf"]
        programs.run(self._programs / "pg_basebackup", "--pgdata", self.folder / "data", *source, *options)
        if self._tls:
            self._settings.update(self._certify())

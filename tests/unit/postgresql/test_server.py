# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The PostgreSQL servers of the tests: databases, roles, TLS, their end and their standby."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
import trustme

from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import python

psycopg = pytest.importorskip("psycopg")

from ansible_collections.vonage.vcc.tests.postgresql.server import Server, failover_url

STARTING = """
from ansible_collections.vonage.vcc.tests.postgresql.server import Server
with Server(fsync=False) as server:
    print(server.folder, server.pid, flush=True)
    input()
"""


def query(url, statement="SELECT 1", **others):
    with psycopg.connect(url, autocommit=True, **others) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def role(postgresql_server):
    """A role that only this test has; its password is "secret"."""
    name = postgresql_server.create_role("role of a test", "secret")
    yield name
    postgresql_server.execute('DROP ROLE "role of a test"')


class TestDatabases:
    def test_each_database_is_new(self, postgresql_url, postgresql_server):
        assert query(postgresql_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
        other = postgresql_server.create_database()
        assert query(postgresql_url, "SELECT current_database()") != [(other,)]
        postgresql_server.drop_database(other)

    def test_database_has_encoding_and_template(self, postgresql_server):
        template = postgresql_server.create_database("template0", "LATIN1")
        postgresql_server.execute("CREATE TABLE copied ()", database=template)
        name = postgresql_server.create_database(template)
        question = "SELECT current_setting('server_encoding'), to_regclass('copied')::text"
        assert query(postgresql_server.url(name), question) == [("LATIN1", "copied")]
        for each in (name, template):
            postgresql_server.drop_database(each)

    def test_drop_of_database_ends_its_sessions(self, postgresql_server):
        name = postgresql_server.create_database()
        with psycopg.connect(postgresql_server.url(name)) as connection:
            postgresql_server.drop_database(name)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")

    def test_template_is_utf8_without_locale(self, postgresql_server):
        question = "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = 'template1'"
        assert postgresql_server.execute(question) == [("UTF8", "C")]


class TestAccess:
    def test_socket_needs_no_password(self, postgresql_server, role):
        assert query(postgresql_server.url(user=role), "SELECT current_user") == [(role,)]

    def test_tcp_needs_password(self, postgresql_server, role):
        question = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert query(postgresql_server.url(user=role, password="secret", tcp=True), question) == [(True,)]
        for password in ("wrong", None):
            with pytest.raises(psycopg.OperationalError, match="password"):
                query(postgresql_server.url(user=role, password=password, tcp=True))

    def test_role_may_not_create_roles(self, postgresql_server, role):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(postgresql_server.url(user=role), "CREATE ROLE another")

    def test_certificate_is_for_localhost_alone(self, postgresql_server, role):
        url = postgresql_server.url(user=role, password="secret", tcp=True)
        with pytest.raises(psycopg.OperationalError, match="does not match host name"):
            query(url.replace("localhost", "127.0.0.1"))

    def test_other_authority_is_not_trusted(self, postgresql_server, role, tmp_path):
        path = str(tmp_path / "other.pem")
        trustme.CA().cert_pem.write_to_path(path)
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            query(postgresql_server.url(user=role, password="secret", tcp=True, sslrootcert=path))


@pytest.mark.usefixtures("postgresql_programs")
class TestEnd:
    @pytest.mark.parametrize("mode", ["fast", "immediate"])
    def test_restart_keeps_address_and_rows(self, postgresql_server, postgresql_url, mode):
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1")
            before = postgresql_server.pid
            postgresql_server.restart(mode)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        assert postgresql_server.pid not in (before, None)
        assert query(postgresql_url, "TABLE kept") == [(1,)]

    def test_killed_server_recovers(self, postgresql_server, postgresql_url):
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1")
            postgresql_server.kill()
            assert postgresql_server.pid is None
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError):
            query(postgresql_url)
        postgresql_server.start()
        assert query(postgresql_url, "TABLE kept") == [(1,)]

    def test_server_leaves_nothing(self, monkeypatch):
        """Another process has the first port that the server chooses."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            ports = [programs.free_port(), other.getsockname()[1]]
            monkeypatch.setattr(programs, "free_port", ports.pop)
            with Server() as server:
                pid = server.pid
                assert (server.port, ports) == (int(query(server.url(), "SHOW port")[0][0]), [])
                assert server.execute("SHOW fsync") == [("on",)]
        assert not programs.runs(pid)
        assert not server.folder.exists()

    def test_failed_start_says_why_and_leaves_nothing(self):
        server = Server(fsync=False, shared_buffers="none")
        with pytest.raises(RuntimeError, match='invalid value for parameter "shared_buffers"'):
            server.__enter__()
        assert not server.folder.exists()

    def test_server_ends_with_killed_test(self):
        with python(STARTING) as process:
            folder, pid = process.stdout.readline().split()
            assert programs.runs(int(pid))
            process.send_signal(signal.SIGKILL)
            programs.poll(lambda: not Path(folder).exists(), f"{folder} stays")
            assert not programs.runs(int(pid))


def test_standby_follows_and_is_promoted(postgresql_server):
    name = postgresql_server.create_database()
    with postgresql_server.standby() as standby:
        postgresql_server.execute("CREATE TABLE followed AS SELECT 1", database=name)
        postgresql_server.wait_for(standby)
        assert standby.execute("TABLE followed", database=name) == [(1,)]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            standby.execute("CREATE TABLE own ()", database=name)
        url = failover_url([standby, postgresql_server], name)
        assert query(url, "SHOW port") == [(str(postgresql_server.port),)]
        standby.promote()
        assert query(url, "SHOW port") == [(str(standby.port),)]
        standby.execute("CREATE TABLE own ()", database=name)
        assert postgresql_server.execute("SELECT to_regclass('own')", database=name) == [(None,)]
    postgresql_server.drop_database(name)


@pytest.mark.parametrize("ci", ["true", ""])
def test_missing_server_skips_tests_but_fails_ci(tmp_path, ci):
    path = tmp_path / "test_one.py"
    path.write_text("def test_one(postgresql_url):\n    pass\n", encoding="utf-8")
    script = """
import os
import sys
import pytest
os.environ.pop("PYTEST_PLUGINS", None)
from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.unit import conftest
programs.missing = lambda: "no server here"
pytest.main(["-rs", "--rootdir", sys.argv[1], sys.argv[1]], [conftest])
"""
    with python(script, tmp_path, env={"CI": ci}) as process:
        printed = process.communicate(timeout=programs.TIMEOUT)[0]
    assert "no server here" in printed
    assert ("1 error in" if ci else "1 skipped in") in printed

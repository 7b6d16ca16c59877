# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that a server refuses: the first one and later ones are repeated if waiting helps, and fail at once if not."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import time

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import background
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal import exchanges
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    API,
    as_entries,
    database_of,
    refusal,
    with_user,
)

psycopg = pytest.importorskip("psycopg")

from ansible_collections.vonage.vcc.plugins.module_utils._journal import postgresql_connection
from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.postgresql.pgbouncer import Bouncer
from ansible_collections.vonage.vcc.tests.postgresql.proxy import Proxy
from ansible_collections.vonage.vcc.tests.postgresql.server import Server, failover_url

# All sessions of a role.
END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'runner'"


@pytest.fixture
def role(postgresql_server, url):
    """A role that may use the journal."""
    name = postgresql_server.create_role("runner", "secret")
    database = database_of(url)
    postgresql_server.execute(f"GRANT USAGE ON SCHEMA vcc_journal TO {name}", database=database)
    rights = "SELECT, INSERT, UPDATE, DELETE"
    postgresql_server.execute(f"GRANT {rights} ON ALL TABLES IN SCHEMA vcc_journal TO {name}", database=database)
    yield name
    postgresql_server.execute(f"DROP OWNED BY {name}", database=database)
    postgresql_server.execute(f"DROP ROLE {name}")


@pytest.fixture
def attempts(monkeypatch):
    """The error of each attempt of a task to connect, or an empty text if it succeeded."""
    ended = []
    connect = postgresql_connection.PostgresqlConnection._connect

    def note(self):
        try:
            connect(self)
        except psycopg.Error as exc:
            ended.append(str(exc))
            raise
        ended.append("")

    monkeypatch.setattr(postgresql_connection.PostgresqlConnection, "_connect", note)
    return ended


@pytest.fixture
def refuse_once(monkeypatch):
    """Make the first connection of a task fail with a message that a pooler gives only for moments."""

    def prepare(message):
        connect = postgresql_connection.PostgresqlConnection._connect
        errors = [f"connection failed: FATAL: {message}"]

        def refuse(self):
            if errors:
                raise psycopg.OperationalError(errors.pop())
            connect(self)

        monkeypatch.setattr(postgresql_connection.PostgresqlConnection, "_connect", refuse)

    return prepare


def release(url):
    """Release an interaction, and return its state in the journal."""
    with exchanges.opened(url) as journal:
        journal.add_all(as_entries("a"))
        journal.accept(journal.claim(0))
    return exchanges.states(url, "a")


def error_at(url):
    """Return why a connection fails; an empty text if it does not."""
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError as exc:
        return str(exc)
    return ""


class TestFirstConnection:
    def test_waits_for_free_connection_of_role(self, postgresql_server, url, role, attempts):
        postgresql_server.execute(f"ALTER ROLE {role} CONNECTION LIMIT 1")
        held = psycopg.connect(with_user(url, role))
        with background(release, with_user(url, role)) as results:
            programs.poll(lambda: attempts[2:], "the task does not wait")
            held.close()
        assert results == [["released"]]
        assert 'too many connections for role "runner"' in attempts[1]

    @pytest.mark.parametrize(
        ("reserved", "said"), [(0, "sorry, too many clients already"), (1, "remaining connection slots are reserved")]
    )
    def test_waits_for_free_connection_of_server(self, postgresql_programs, attempts, reserved, said):
        with Server(fsync=False, max_connections=3, superuser_reserved_connections=reserved) as server:
            server.execute("CREATE ROLE runner LOGIN")
            server.execute("CREATE DATABASE vcc OWNER runner")
            url = server.url("vcc", "runner")
            with contextlib.ExitStack() as held:
                for dummy in range(3 - reserved):
                    held.callback(psycopg.connect(url).close)
                with background(release, url) as results:
                    programs.poll(lambda: any(said in each for each in attempts), "the task does not wait")
                    held.close()
        assert results == [["released"]]

    @pytest.mark.usefixtures("pgbouncer")  # the test is skipped without it
    def test_waits_for_free_connection_of_pooler(self, postgresql_server, url, attempts):
        with Bouncer(postgresql_server, clients=1) as bouncer:
            through = bouncer.url(database_of(url))
            held = psycopg.connect(through)
            with background(release, through) as results:
                programs.poll(lambda: attempts[2:], "the task does not wait")
                held.close()
            bouncer.stop()
        assert results == [["released"]]
        assert "no more connections allowed" in attempts[1]

    def test_is_repeated_after_failed_login_of_pooler(self, url, refuse_once):
        refuse_once("server login has been failing, try again later (server_login_retry)")
        assert release(url) == ["released"]

    def test_fails_at_once_if_pooler_quotes_permanent_error(self, url, refuse_once):
        refuse_once("server login has been failing, cached error: password authentication failed (server_login_retry)")
        assert "check the user of the URL, and its password" in refusal(Journal, url, API, "main", None, 0)

    def test_fails_over_unknown_setting_once_connection_is_free(self, postgresql_server, url, role, attempts):
        """The server checks the setting only after it has a free connection."""
        postgresql_server.execute(f"ALTER ROLE {role} CONNECTION LIMIT 1")
        held = psycopg.connect(with_user(url, role))
        with background(refusal, release, f"{with_user(url, role)}&options=-c%20no_such_setting%3D1") as results:
            programs.poll(lambda: attempts[2:], "the task does not wait")
            held.close()
            begun = time.monotonic()
        assert time.monotonic() - begun < 20
        assert "too many connections" in attempts[0]
        assert "correct the options of the URL" in results[0]

    def test_waits_for_starting_server(self, postgresql_programs, attempts):
        """The recovery of the server waits until the test lets it know that a file of its archive is missing."""
        wait = "while [ ! -e go ]; do sleep 0.02; done; false"
        with Server(fsync=False, restore_command=wait) as server:
            server.stop()
            data = server.folder / "data"
            (data / "recovery.signal").touch()
            programs.hand_over(data / "recovery.signal")
            with background(lambda: server.start() or True):
                programs.poll(lambda: "starting up" in error_at(server.url()), "no start")
                with background(release, server.url()) as results:
                    programs.poll(lambda: attempts[1:], "the task does not wait")
                    (data / "go").touch()
        assert results == [["released"]]
        assert "the database system is starting up" in attempts[0]

    def test_waits_for_restarting_server(self, postgresql_programs, attempts):
        """The first attempt finds the server shutting down, later ones find no server, and the last one connects."""
        with Server(fsync=False) as server:
            held = psycopg.connect(server.url())
            os.kill(server.pid, signal.SIGTERM)
            programs.poll(lambda: "smart shutdown" in server.log, "no shutdown")
            with background(release, server.url()) as results:
                programs.poll(lambda: attempts, "no attempt")
                held.close()
                programs.poll(lambda: any("No such file" in each for each in attempts), "no attempt while away")
                programs.poll(lambda: not server.pid, "no end")
                server.start()
        assert results == [["released"]]
        assert "the database system is shutting down" in attempts[0]

    def test_waits_for_failover(self, url, attempts):
        with Server(fsync=False) as server, server.standby() as standby:
            server.kill()
            with background(release, failover_url([server, standby])) as results:
                programs.poll(lambda: attempts[1:], "the task does not wait")
                standby.promote()
        assert results == [["released"]]
        assert "server is in hot standby mode" in attempts[0] or "session is read-only" in attempts[0]

    def test_gives_up_after_retry_seconds(self, postgresql_server, url, role, attempts, monkeypatch):
        monkeypatch.setattr(postgresql_connection, "RETRY_SECONDS", 0.3)
        postgresql_server.execute(f"ALTER ROLE {role} CONNECTION LIMIT 0")
        threads = set(threading.enumerate())
        assert refusal(Journal, with_user(url, role), API, "main", None, 0).endswith(
            'failed: FATAL: too many connections for role "runner"): run fewer tasks at once, or raise max_connections of the server or the connection limit'
            " of the role."
        )
        assert len(attempts) > 2
        programs.poll(lambda: set(threading.enumerate()) <= threads, "a thread goes on")

    def test_does_not_wait_for_absent_server(self, postgresql_programs, attempts):
        with Server(fsync=False) as server:
            server.stop()
            for tcp in (True, False):
                refusal(Journal, server.url(tcp=tcp), API, "main", None, 0)
        assert len(attempts) == 2
        assert "Connection refused" in attempts[0]


class TestRefusedLaterConnections:
    """A session is ended, and its role or its server no longer allows another one."""

    @pytest.fixture
    def lose(self, postgresql_server, url, role):
        """Claims an interaction, loses the connection after some statements, and returns why the claim cannot be accepted."""

        def do(*statements, journal=None, meanwhile=lambda: None):
            with exchanges.opened(journal or with_user(url, role)) as opened:
                opened.add_all(as_entries("a"))
                claimed = opened.claim(0)
                meanwhile()
                for statement in (*statements, END_SESSIONS):
                    postgresql_server.execute(statement)
                begun = time.monotonic()
                said = refusal(opened.accept, claimed)
                assert time.monotonic() - begun < 20
            assert exchanges.states(url, "a") == ["pending"]
            return said

        return do

    def test_role_that_may_no_longer_log_in(self, lose, role):
        assert lose(f"ALTER ROLE {role} NOLOGIN").endswith(
            'role "runner" is not permitted to log in): give LOGIN to the role of the URL, or check the user of the URL.'
        )

    def test_other_password(self, lose, postgresql_server, url, role):
        said = lose(
            f"ALTER ROLE {role} PASSWORD 'another'",
            journal=postgresql_server.url(database_of(url), role, "secret", tcp=True),
        )
        assert 'password authentication failed for user "runner"): check the user of the URL, and its password' in said

    def test_role_that_may_no_longer_connect(self, lose, url, role):
        database = database_of(url)
        assert lose(
            f'REVOKE CONNECT ON DATABASE "{database}" FROM PUBLIC',
            f'REVOKE CONNECT ON DATABASE "{database}" FROM {role}',
        ).endswith("User does not have CONNECT privilege): grant CONNECT on the database to the role of the URL.")

    def test_database_that_takes_no_more_connections(self, postgresql_server, url):
        database = database_of(url)
        with exchanges.opened(url) as journal:
            journal.add_all(as_entries("a"))
            claimed = journal.claim(0)
            postgresql_server.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
            postgresql_server.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
            )
            begun = time.monotonic()
            assert refusal(journal.accept, claimed).endswith(
                "is not currently accepting connections): allow connections to the database again, or check its name in the URL."
            )
            assert time.monotonic() - begun < 20
            postgresql_server.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true')
        assert exchanges.states(url, "a") == ["pending"]

    def test_server_that_has_no_rule_for_the_connection(self, lose, postgresql_server):
        path = postgresql_server.folder / "data" / "pg_hba.conf"
        rules = path.read_text(encoding="utf-8")

        def load(text):
            before = postgresql_server.execute("SELECT pg_conf_load_time()")
            path.write_text(text, encoding="utf-8")
            postgresql_server.execute("SELECT pg_reload_conf()")
            programs.poll(lambda: postgresql_server.execute("SELECT pg_conf_load_time()") != before, "no reload")

        try:
            said = lose(meanwhile=lambda: load("local all postgres trust\n"))
        finally:
            load(rules)
        assert "no pg_hba.conf entry for " in said

    def test_certificate_of_another_authority(self, lose, postgresql_server, url, role, tmp_path):
        trustme = pytest.importorskip("trustme")
        path = tmp_path / "authority.pem"
        shutil.copy(postgresql_server.ca_path, path)
        there = postgresql_server.url(database_of(url), role, "secret", tcp=True, sslrootcert=str(path))
        with exchanges.opened(there) as journal:
            journal.add_all(as_entries("a"))
            claimed = journal.claim(0)
            trustme.CA().cert_pem.write_to_path(str(path))
            postgresql_server.execute(END_SESSIONS)
            assert "certificate verify failed" in refusal(journal.accept, claimed)

    def test_database_that_is_dropped(self, postgresql_server):
        name = postgresql_server.create_database()
        with exchanges.opened(postgresql_server.url(name)) as journal:
            journal.add_all(as_entries("a"))
            claimed = journal.claim(0)
            postgresql_server.drop_database(name)
            begun = time.monotonic()
            assert refusal(journal.accept, claimed).endswith(
                f'database "{name}" does not exist): check its name in the URL, or create it if no task has used it before.'
            )
            assert time.monotonic() - begun < 20

    def test_refusal_of_one_of_several_hosts_is_repeated(
        self, postgresql_server, url, role, tmp_path, attempts, monkeypatch
    ):
        """The other host may come back."""
        monkeypatch.setattr(postgresql_connection, "RETRY_SECONDS", 0.3)
        folders, ports = f"{tmp_path},{postgresql_server.folder}", f"5432,{postgresql_server.port}"
        with exchanges.opened(f"postgresql://{role}@/{database_of(url)}?host={folders}&port={ports}") as journal:
            journal.add_all(as_entries("a"))
            claimed = journal.claim(0)
            postgresql_server.execute(f"ALTER ROLE {role} NOLOGIN")
            postgresql_server.execute(END_SESSIONS)
            attempts.clear()
            assert "is not permitted to log in" in refusal(journal.accept, claimed)
            assert sum(" is not permitted to log in" in each for each in attempts) > 2
            postgresql_server.execute(f"ALTER ROLE {role} LOGIN")
            journal.accept(claimed)
        assert exchanges.states(url, "a") == ["released"]

    def test_lost_encryption_is_a_lost_connection(self, postgresql_server, url, role, monkeypatch):
        """libpq reports an error of TLS, although no certificate is wrong."""
        monkeypatch.setattr(postgresql_connection, "RETRY_SECONDS", 0)
        with contextlib.ExitStack() as stack:
            proxy = stack.enter_context(Proxy(postgresql_server, tcp=True))
            journal = stack.enter_context(exchanges.opened(proxy.url(database_of(url), role, "secret")))
            journal.add_all(as_entries("a"))
            proxy.cut_bytes(1)
            said = refusal(journal.claim, 0)
        assert "SSL" in said
        assert said.endswith(
            "see if the server runs and can be reached, and run the task again: it continues where it stopped."
        )

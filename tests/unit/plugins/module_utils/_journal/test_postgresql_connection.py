# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to a database: the errors that fail at once, and the sources of its settings."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from urllib.parse import quote

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.backends import open_store
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    API,
    SCOPE,
    as_entries,
    database_of,
    refusal,
)

psycopg = pytest.importorskip("psycopg")

from ansible_collections.vonage.vcc.plugins.module_utils._journal import postgresql_connection
from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.postgresql.server import database_url, failover_url

PASSWORD = "h:u@s/h %?#&'\"é\\"

CHECK_PASSWORD = "check the user of the URL, and its password in the URL, in PGPASSWORD or in the file of PGPASSFILE, which needs mode 0600."
CHECK_TLS = (
    "check the certificate of the server, sslmode and PGSSLROOTCERT; for a server on another host, sslmode is verify-full unless the URL or PGSSLMODE"
    " says otherwise."
)
CHECK_SERVER = "check the host and the port of the URL, and see if the server runs and can be reached."
CHECK_PRIMARY = "name the primary in the URL, or all hosts with target_session_attrs=read-write."


@pytest.fixture
def database(postgresql_url):
    return database_of(postgresql_url)


@pytest.fixture
def role(postgresql_server, database):
    """A role that may make the journal, with a password."""
    name = postgresql_server.create_role("runner", PASSWORD)
    postgresql_server.execute(f'GRANT CREATE ON DATABASE "{database}" TO {name}')
    yield name
    postgresql_server.execute(f"DROP OWNED BY {name}", database=database)
    postgresql_server.execute(f"DROP ROLE {name}")


def refused(url, *hidden):
    """Return the message against a URL, which must come at once and must not show the secrets."""
    begun = time.monotonic()
    said = {refusal(open_store, url, SCOPE, dry_run) for dry_run in (True, False)}
    assert time.monotonic() - begun < 10
    (sentence,) = said
    assert sentence.endswith(".")
    assert "\n" not in sentence
    for secret in hidden:
        assert secret not in sentence
        assert quote(secret, safe="") not in sentence
    return sentence


def works(url, location=None):
    """Check that a journal at a URL records a release."""
    with contextlib.closing(Journal(url, API, "main", None, 0)) as journal:
        if location:
            assert journal.description()["location"] == location
        journal.add_all(as_entries("a"))
        journal.accept(journal.claim(0))
        assert journal.plan(0)[0].confirmed


class TestRefusedConnections:
    def test_wrong_password(self, postgresql_server, database, role):
        url = postgresql_server.url(database, role, "wr@ng/hush", tcp=True)
        said = refused(url, "wr@ng/hush", "wr%40ng")
        assert said.startswith(f"The journal {postgresql_server.url(database, role, tcp=True)} cannot be used (")
        assert said.endswith(f'password authentication failed for user "runner"): {CHECK_PASSWORD}')

    def test_no_password(self, postgresql_server, database, role):
        said = refused(postgresql_server.url(database, role, tcp=True))
        assert said.endswith(f"no password supplied): {CHECK_PASSWORD}")

    def test_missing_role(self, postgresql_server, database):
        said = refused(postgresql_server.url(database, "nobody-here"))
        assert said.endswith(f'role "nobody-here" does not exist): {CHECK_PASSWORD}')

    def test_missing_database(self, postgresql_server):
        said = refused(postgresql_server.url("nothing-here"))
        assert said.endswith(
            'database "nothing-here" does not exist): check its name in the URL, or create it if no task has used it before.'
        )

    def test_role_that_may_not_connect(self, postgresql_server, database, role):
        postgresql_server.execute(f'REVOKE CONNECT ON DATABASE "{database}" FROM PUBLIC')
        said = refused(postgresql_server.url(database, role))
        assert f'permission denied for database "{database}"' in said
        assert said.endswith("): grant CONNECT on the database to the role of the URL.")

    def test_database_that_takes_no_connections(self, postgresql_server, database):
        postgresql_server.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
        said = refused(postgresql_server.url(database))
        assert f'database "{database}" is not currently accepting connections' in said
        assert said.endswith("): allow connections to the database again, or check its name in the URL.")

    def test_setting_that_the_server_does_not_know(self, postgresql_server, database):
        said = refused(postgresql_server.url(database, options="-cno_such_setting=1"))
        assert said.endswith(
            'unrecognized configuration parameter "no_such_setting"): correct the options of the URL, of PGOPTIONS or of the service.'
        )

    def test_server_that_has_no_rule_for_the_connection(self, postgresql_server, database, role):
        """The connection of the test is one for replication."""
        said = refused(postgresql_server.url(database, role, PASSWORD, tcp=True, replication="true"), PASSWORD)
        assert "no pg_hba.conf entry for " in said
        assert said.endswith(
            "): add an entry for the user, the database and this host to pg_hba.conf of the server, or check the user and the database in the URL."
        )

    def test_port_where_nothing_listens(self):
        said = refused(database_url("127.0.0.1", programs.free_port(), "vcc", "vcc", "hush-hush"), "hush-hush")
        assert "Connection refused" in said
        assert said.endswith(CHECK_SERVER)

    def test_socket_that_is_missing(self, tmp_path):
        assert refused(database_url(str(tmp_path), 5432, "vcc", "vcc")).endswith(CHECK_SERVER)

    def test_host_that_is_unknown(self):
        said = refused("postgresql://vcc:hush-hush@db.invalid/vcc", "hush-hush")
        assert "db.invalid" in said
        assert said.endswith(CHECK_SERVER)

    def test_certificate_of_another_host(self, postgresql_server, database):
        url = database_url(
            "127.0.0.1",
            postgresql_server.port,
            database,
            "postgres",
            "hush-hush",
            sslmode="verify-full",
            sslrootcert=postgresql_server.ca_path,
        )
        said = refused(url, "hush-hush")
        assert 'server certificate for "localhost"' in said
        assert said.endswith(CHECK_TLS)

    def test_certificate_of_an_unknown_authority(self, postgresql_server, database, tmp_path):
        trustme = pytest.importorskip("trustme")
        trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
        url = postgresql_server.url(database, tcp=True, sslrootcert=str(tmp_path / "other.pem"))
        said = refused(url)
        assert "certificate verify failed" in said
        assert said.endswith(CHECK_TLS)

    def test_missing_certificates(self, postgresql_server, database, tmp_path):
        url = postgresql_server.url(database, tcp=True, sslrootcert=str(tmp_path / "missing.pem"))
        assert refused(url).endswith(CHECK_TLS)

    def test_server_without_tls(self, postgresql_server, pgbouncer, database):
        url = pgbouncer.url(database, sslmode="verify-full", sslrootcert=postgresql_server.ca_path)
        said = refused(url)
        assert "server does not support SSL, but SSL was required" in said
        assert said.endswith(CHECK_TLS)

    def test_standby_where_the_primary_is_wanted(self, postgresql_server, database):
        with postgresql_server.standby() as standby:
            said = refused(standby.url(database, target_session_attrs="read-write"))
        assert "session is read-only" in said
        assert said.endswith(CHECK_PRIMARY)

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://vcc:hu%zzsh@localhost/vcc",
            "postgresql://vcc:hu%00sh@localhost/vcc",
            "postgresql://vcc:hu@sh@[::1/vcc",
            "postgresql://vcc:hu/sh@localhost:x/vcc",
            "postgresql://vcc@localhost/vcc?password=hu&sh",
            "postgresql://vcc@localhost/vcc?pasword=hush",
            "postgresql://vcc:hu?s@sh@localhost/vcc",
            "postgresql://vcc@localhost/vcc?password=hu%zzsh",
        ],
    )
    def test_url_that_libpq_cannot_read(self, url):
        said = refused(url, "hu%zz", "hu%00", "hu@", "hu/", "hu&", "hush", "hu?", ":hu", "=hu", "sh@")
        assert said.endswith(
            " cannot be used (libpq cannot read this URL): write it as postgresql://user@host/database, with %XX for special characters of a user, a"
            " password or a name."
        )

    def test_missing_service(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        said = refused("postgresql:///?service=vcc")
        assert said.endswith("check PGSERVICE and the file of PGSERVICEFILE.")
        (tmp_path / "services").write_text("[other]\nhost=localhost\n")
        assert refused("postgresql:///?service=vcc").endswith("check PGSERVICE and the file of PGSERVICEFILE.")

    @pytest.mark.parametrize("setting", [{"connect_timeout": "x"}, {"sslmode": "full"}, {"gssencmode": "x"}], ids=str)
    def test_setting_that_libpq_refuses(self, setting):
        url = database_url("localhost", 1, "vcc", "vcc", "hush-hush", **setting)
        assert next(iter(setting)) in refused(url, "hush-hush")

    def test_server_that_accepts_and_says_nothing(self, postgresql_server, database):
        from ansible_collections.vonage.vcc.tests.postgresql.proxy import Proxy

        with Proxy(postgresql_server) as proxy:
            proxy.black_hole()
            said = refused(proxy.url(database, connect_timeout=2))
        assert "timeout expired" in said
        assert said.endswith(CHECK_SERVER)


class TestSettings:
    def test_password_of_url_is_used(self, postgresql_server, database, role):
        url = postgresql_server.url(database, role, PASSWORD, tcp=True)
        works(url, postgresql_server.url(database, role, tcp=True))

    def test_password_of_query_is_used(self, postgresql_server, database, role):
        url = postgresql_server.url(database, role, tcp=True)
        works(f"{url}&password={quote(PASSWORD, safe='')}", url)

    def test_scheme_postgres_is_accepted(self, postgresql_server, database):
        works("postgres" + postgresql_server.url(database).removeprefix("postgresql"))

    def test_pgpassword_is_used(self, postgresql_server, database, role, monkeypatch):
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
        works(postgresql_server.url(database, role, tcp=True))

    def test_pgpassfile_is_used(self, postgresql_server, database, role, monkeypatch, tmp_path):
        path = tmp_path / "passwords"
        escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
        path.write_text(f"localhost:{postgresql_server.port}:*:{role}:{escaped}\n", encoding="utf-8")
        path.chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(path))
        works(postgresql_server.url(database, role, tcp=True))

    @pytest.mark.parametrize("how", ["PGSERVICE", "service"])
    def test_service_is_used(self, postgresql_server, database, role, monkeypatch, tmp_path, how):
        settings = {"host": "localhost", "port": postgresql_server.port, "dbname": database, "user": role}
        settings.update(password="hush-hush", sslmode="verify-full", sslrootcert=postgresql_server.ca_path)
        postgresql_server.execute(f"ALTER ROLE {role} PASSWORD 'hush-hush'")
        path = tmp_path / "services"
        path.write_text("[vcc]\n" + "".join(f"{name}={value}\n" for name, value in settings.items()))
        monkeypatch.setenv("PGSERVICEFILE", str(path))
        if how == "PGSERVICE":
            monkeypatch.setenv("PGSERVICE", "vcc")
        works("postgresql://" if how == "PGSERVICE" else "postgresql:///?service=vcc")

    def test_service_off_this_host_is_verified(self, postgresql_server, database, role, monkeypatch, tmp_path):
        """127.1 is an address of the loopback too, but does not look like one."""
        path = tmp_path / "services"
        path.write_text(f"[vcc]\nhost=127.1\nport={postgresql_server.port}\ndbname={database}\nuser={role}\n")
        monkeypatch.setenv("PGSERVICEFILE", str(path))
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
        assert refused("postgresql:///?service=vcc").endswith(CHECK_TLS)
        works("postgresql:///?service=vcc&sslmode=require")
        assert "PGSERVICE" not in os.environ
        monkeypatch.setenv("PGSERVICE", "vcc")
        assert refused("postgresql://").endswith(CHECK_TLS)
        monkeypatch.setenv("PGSSLMODE", "require")
        works("postgresql://")
        monkeypatch.delenv("PGSSLMODE")
        path.write_text(path.read_text() + "sslmode=require\n")
        works("postgresql://")
        monkeypatch.setenv("PGSERVICE", "other")
        works("postgresql:///?service=vcc")
        assert os.environ["PGSERVICE"] == "other"
        monkeypatch.delenv("PGSERVICE")

    @pytest.mark.parametrize("service", ["vcc", "missing"])
    def test_reading_of_settings_changes_no_environment_and_connects_nowhere(self, monkeypatch, tmp_path, service):
        """Threads of the process share its environment, so it must not change even for a moment."""
        monkeypatch.setenv("PGSERVICE", "other")
        monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
            listening.setblocking(False)
            port = listening.getsockname()[1]
            (tmp_path / "services").write_text(f"[vcc]\nhost=127.1\nport={port}\n")
            monkeypatch.setattr(os, "putenv", lambda *change: pytest.fail(f"the environment changes: {change}"))
            monkeypatch.setattr(os, "unsetenv", lambda *change: pytest.fail(f"the environment changes: {change}"))
            url = f"postgresql:///vcc?service={service}"
            parameters = postgresql_connection._parameters(url, url)
            monkeypatch.undo()
            assert parameters.get("sslmode") == ("verify-full" if service == "vcc" else None)
            with pytest.raises(BlockingIOError):
                listening.accept()

    def test_client_encoding_of_environment_does_no_harm(self, postgresql_url, monkeypatch):
        monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
        with contextlib.closing(Journal(postgresql_url, API, "main", None, 0)) as journal:
            journal.add_all(as_entries("\u65e5\u672c"))
            journal.accept(journal.claim(0))
            assert journal.plan(0)[0].confirmed

    def test_time_is_that_of_the_server(self, postgresql_url, monkeypatch):
        right = time.time()
        monkeypatch.setattr(time, "time", lambda: 1.0)
        with contextlib.closing(open_store(postgresql_url, SCOPE)) as store:
            assert abs(store.clock() - right) < 60


class TestSeveralHosts:
    def test_primary_is_chosen(self, postgresql_server, database):
        with postgresql_server.standby() as standby:
            postgresql_server.wait_for(standby)
            url = failover_url([standby, postgresql_server], database)
            works(url)
            with contextlib.closing(open_store(url, SCOPE)) as store:
                assert store.description()["host"] == str(postgresql_server.folder)

    def test_host_that_does_not_run_is_skipped(self, postgresql_server, database, tmp_path):
        hosts = f"{tmp_path},{postgresql_server.folder}"
        works(database_url(hosts, f"5432,{postgresql_server.port}", database, "postgres"))


class TestEncryption:
    """The sslmode for a URL that names none, because libpq would fall back to plain text."""

    @pytest.mark.parametrize(
        ("url", "sslmode"),
        [
            ("postgresql://db.example/vcc", "verify-full"),
            ("postgres://vcc:x@10.0.0.1:5433/vcc", "verify-full"),
            ("postgresql://[2001:db8::1]/vcc", "verify-full"),
            ("postgresql://localhost,db.example/vcc", "verify-full"),
            ("postgresql://localhost.example/vcc", "verify-full"),
            ("postgresql://127.0.0.1.example/vcc", "verify-full"),
            ("postgresql:///vcc?host=db.example", "verify-full"),
            ("postgresql://localhost/vcc?hostaddr=10.0.0.1", "verify-full"),
            ("postgresql:///vcc?hostaddr=10.0.0.1", "verify-full"),
            ("postgresql://db.example/vcc?sslmode=require", "require"),
            ("postgresql://db.example/vcc?sslmode=disable", "disable"),
            ("postgresql://localhost/vcc", None),
            ("postgresql://127.0.0.1/vcc", None),
            ("postgresql://127.8.9.10,localhost/vcc", None),
            ("postgresql://[::1]/vcc", None),
            ("postgresql:///vcc", None),
            ("postgresql:///vcc?host=/run/postgresql", None),
            ("postgresql:///vcc?host=@abstract", None),
            ("postgresql://db.example/vcc?hostaddr=127.0.0.1", None),
        ],
    )
    def test_sslmode_off_this_host_is_verify_full(self, url, sslmode):
        assert postgresql_connection._parameters(url, url).get("sslmode") == sslmode

    @pytest.mark.parametrize(
        ("variables", "sslmode"),
        [
            ({"PGHOST": "db.example"}, "verify-full"),
            ({"PGHOSTADDR": "10.0.0.1"}, "verify-full"),
            ({"PGHOST": "/run/postgresql"}, None),
            ({"PGHOST": "db.example", "PGSSLMODE": "require"}, None),
        ],
        ids=str,
    )
    def test_environment_decides_sslmode(self, monkeypatch, variables, sslmode):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        url = "postgresql:///vcc"
        assert postgresql_connection._parameters(url, url).get("sslmode") == sslmode

    def test_time_for_a_connection_is_limited(self, monkeypatch):
        def limit(url):
            return postgresql_connection._parameters(url, url).get("connect_timeout")

        assert limit("postgresql:///vcc") == 10
        assert limit("postgresql:///vcc?connect_timeout=3") == "3"
        assert limit("postgresql:///vcc?service=missing") == 10
        monkeypatch.setenv("PGCONNECT_TIMEOUT", "4")
        assert limit("postgresql:///vcc") is None


def test_error_of_a_connection_has_no_traceback_with_a_password(postgresql_server, database, role):
    with pytest.raises(JournalError) as caught:
        open_store(postgresql_server.url(database, role, "hush-hush", tcp=True), SCOPE)
    assert caught.value.__suppress_context__

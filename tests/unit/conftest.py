# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PostgreSQL server for each process that runs tests, and a database for each test that needs one."""

from __future__ import annotations

import contextlib
import os

import pytest

from ansible_collections.vonage.vcc.tests.postgresql import programs

SERVER = pytest.StashKey()


def uses_server(item):
    """Return whether a test needs the server: by its fixtures, or by a parameter with the value "postgresql"."""
    if "postgresql_server" in getattr(item, "fixturenames", ()):
        return True
    callspec = getattr(item, "callspec", None)
    return bool(callspec) and "postgresql" in [each for each in callspec.params.values() if isinstance(each, str)]


def start_server(config):
    """Start the server if it can run here."""
    if SERVER not in config.stash and not programs.missing():
        from ansible_collections.vonage.vcc.tests.postgresql.server import Server  # needs psycopg

        config.stash[SERVER] = Server(fsync=False, tls=True).__enter__()


def unavailable(reason):
    """Skip a test, but fail in CI, which must run all tests."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_collection_finish(session):
    """Start the server before the first test: ansible-test runs each test in a fork, and each fork would start a server of its own."""
    if not session.config.option.collectonly and any(map(uses_server, session.items)):
        with contextlib.suppress(Exception):  # the fixture tries again and reports it
            start_server(session.config)


def pytest_unconfigure(config):
    """Stop the server."""
    if SERVER in config.stash:
        config.stash[SERVER].__exit__()


@pytest.fixture(autouse=True)
def _libpq_environment(monkeypatch):
    """No settings of the machine reach libpq."""
    for name in list(os.environ):
        if name.startswith("PG"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgresql_programs():
    """The requirements of a test that starts a server of its own."""
    if reason := programs.missing():
        unavailable(reason)


@pytest.fixture(scope="session")
def postgresql_server(request, postgresql_programs):
    """A running server without fsync that the tests of this process share. A test may restart it, but must leave it running."""
    start_server(request.config)
    return request.config.stash[SERVER]


@pytest.fixture
def postgresql_url(postgresql_server):
    """The URL of an empty database, for the superuser and by the socket."""
    name = postgresql_server.create_database()
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


@pytest.fixture
def pgbouncer(postgresql_server):
    """pgbouncer in front of the server."""
    if not programs.find_pgbouncer():
        unavailable("no pgbouncer (package pgbouncer)")
    from ansible_collections.vonage.vcc.tests.postgresql.pgbouncer import Bouncer  # needs psycopg

    with Bouncer(postgresql_server) as bouncer:
        yield bouncer

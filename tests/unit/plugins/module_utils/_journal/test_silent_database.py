# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to PostgreSQL that goes silent leaves no lock behind, neither for other processes nor for the next attempt of its own."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal import postgresql_connection
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import Scope
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import API


@pytest.fixture
def database(postgresql_server, monkeypatch):
    """A proxy in front of the server, and the URL of an empty database through it. A silent connection ends soon, and so does the patience."""
    from ansible_collections.vonage.vcc.tests.postgresql.proxy import Proxy  # needs psycopg

    monkeypatch.setattr(postgresql_connection, "ANSWER_TIMEOUT", 0.3)
    monkeypatch.setattr(postgresql_connection, "PATIENCE", 10)
    name = postgresql_server.create_database()
    with Proxy(postgresql_server) as proxy:
        yield proxy, proxy.url(name)
    postgresql_server.drop_database(name)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("request_number", range(1, 5))
def test_first_run_makes_journal(database, request_number, when):
    from ansible_collections.vonage.vcc.plugins.module_utils._journal.postgresql import PostgresqlStore

    proxy, url = database
    proxy.black_hole(request_number, when)
    with contextlib.closing(PostgresqlStore(url, Scope(API, "main", ""))) as store:
        assert store.schema_version() == 2
    assert proxy.faults == 1

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pgbouncer in front of the PostgreSQL server of the tests."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.tests.postgresql import programs

psycopg = pytest.importorskip("psycopg")


def test_each_transaction_may_have_another_session(pgbouncer, postgresql_server):
    sessions = []
    with psycopg.connect(pgbouncer.url()) as first, psycopg.connect(pgbouncer.url()) as second:
        for connection in (first, second):
            sessions += connection.execute("SELECT pg_backend_pid()").fetchall()
            connection.commit()
    assert sessions[0] == sessions[1]


def test_any_role_needs_no_password(pgbouncer, postgresql_server):
    role = postgresql_server.create_role("pooled", "secret")
    with psycopg.connect(pgbouncer.url(user=role)) as connection:
        assert connection.execute("SELECT current_user").fetchall() == [(role,)]
    pgbouncer.stop()
    postgresql_server.execute("DROP ROLE pooled")


def test_pgbouncer_leaves_nothing(pgbouncer):
    pid = pgbouncer.pid
    assert programs.runs(pid)
    pgbouncer.stop()
    assert not programs.runs(pid)
    pgbouncer.start()
    with psycopg.connect(pgbouncer.url()) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]

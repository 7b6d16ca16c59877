# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plans of statements: each finds its rows by an index, among many and without statistics too, as the counts of the server tell."""

from __future__ import annotations

import contextlib
import functools

import pytest

pytest.importorskip("psycopg")

from ansible_collections.vonage.vcc.plugins.module_utils._journal import postgresql_connection, postgresql_rows
from ansible_collections.vonage.vcc.plugins.module_utils._journal.backends import open_store
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import Registered, Row
from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import NOW, SCOPE, database_of, put

MANY = 100_000
CHUNK = 1000

# Entries of indexes that a statement may read for a chunk: far more than it needs, and far less than there are.
FEW = 20 * CHUNK

FILL = """
INSERT INTO vcc_journal.interaction (id, scope, external_id, action, request_id, requested_at, accepted_at)
SELECT 2 * n + n % 2, 1, 'case-' || n, 'release', 'key-' || n, 1800000000, CASE WHEN n % 10 > 0 THEN 1800000000 END
FROM generate_series(1, {many}) AS n;
INSERT INTO vcc_journal.notification (scope, id, recorded_at) SELECT 1, 'n-' || n, 1800000000 FROM generate_series(1, {many}) AS n;
INSERT INTO vcc_journal.custom_request (scope, request_id, external_id, action, requested_at)
SELECT 1, 'mine-' || n, 'case-' || n, 'release', 1800000000 FROM generate_series(1, {many}) AS n;
INSERT INTO vcc_journal.scope (key, api_url, account, provider) SELECT 'key-' || n, 'x', 'y', n::text FROM generate_series(1, 100) AS n;
INSERT INTO vcc_journal.registration (scope, key, settings, requested_at) SELECT n, '\\x00', '', 1800000000 FROM generate_series(2, 1000) AS n
"""

# The server counts in the background what a session has read; it counts everything when the session ends.
READ = """
SELECT coalesce(sum(seq_scan), 0)::int, coalesce(sum(seq_tup_read), 0)::int,
    (SELECT sum(idx_tup_read)::int FROM pg_stat_user_indexes WHERE schemaname = 'vcc_journal')
FROM pg_stat_user_tables WHERE schemaname = 'vcc_journal' AND relname NOT IN ('version', 'scope')
"""
OTHERS = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture(params=["without statistics", "with statistics"])
def database(request, postgresql_server, postgresql_url):
    """The name of a database with a large journal."""
    open_store(postgresql_url, SCOPE).close()
    name = database_of(postgresql_url)
    for statement in FILL.format(many=MANY).split(";"):
        postgresql_server.execute(statement, database=name)
    if request.param == "with statistics":
        postgresql_server.execute("ANALYZE", database=name)
    analyzed = postgresql_server.execute("SELECT count(*) FROM pg_statistic WHERE starelid >= 16384", database=name)
    assert (analyzed[0][0] > 0) is (request.param == "with statistics")
    return name


@pytest.fixture
def measure(postgresql_server, database):
    """Do something with the journal; return how many tables were read from their beginning to their end, and how many entries of indexes were."""
    ask = functools.partial(postgresql_server.execute, database=database)

    def read():
        programs.poll(lambda: not ask(OTHERS), "a session stays")
        return ask(READ)[0]

    def do(act):
        before = read()
        with contextlib.closing(open_store(postgresql_server.url(database), SCOPE)) as store:
            act(store)
        after = read()
        return [new - old for old, new in zip(before, after)]

    return do


def known(first, count=CHUNK, prefix="case"):
    return [f"{prefix}-{number}" for number in range(first, first + count)]


def seen(store, first):
    """Rows of the journal that nothing else here changes."""
    found = store.rows(known(first))
    assert len(found) == CHUNK
    return list(found.values())


def look_up(store):
    assert len(store.rows(known(MANY - CHUNK // 2))) == CHUNK // 2 + 1


def insert(store):
    new = [Row(10**9 + number, f"new-{number}", "release", "x", NOW) for number in range(CHUNK)]
    assert all(put(store, *new))


def replace(store):
    changes = [(row, row._replace(claim=2 * 10**9 + number)) for number, row in enumerate(seen(store, 5000))]
    assert all(store.swap(changes))


def delete(store):
    assert all(store.swap([(row, None) for row in seen(store, 7000)]))


def mark(store):
    assert store.mark(20_000, 22_000, NOW) == 1001


def exchange(store):
    old = seen(store, 30_000)
    changes = [(row, row._replace(claim=3 * 10**9 + number)) for number, row in enumerate(old)]
    changes += [(None, Row(4 * 10**9 + number, f"late-{number}", "release", "x", NOW)) for number in range(CHUNK)]
    exchanged = store.exchange([(80_000, 81_000), (83_000, 84_000)], NOW, changes, known(50_000))
    assert (all(exchanged.done), len(exchanged.rows)) == (True, CHUNK)


def find_uses(store):
    ids = [*known(1, prefix="mine"), *known(1, prefix="key"), *(f"{number:032x}" for number in range(CHUNK))]
    assert len(store.uses(ids)) == CHUNK + CHUNK // 2


def keep(store):
    store.keep_request_ids("release", NOW, ((f"other-{number}", f"case-{number}") for number in range(CHUNK)))


def forget(store):
    store.forget_request_ids("release", ((f"mine-{number}", f"case-{number}") for number in range(9000, 9000 + CHUNK)))


def find_recorded(store):
    assert len(store.recorded(known(MANY - CHUNK // 2, prefix="n"))) == CHUNK // 2 + 1


def record(store):
    rows = [Row(5 * 10**9 + number, f"noted-{number}", "release", "x", NOW, NOW) for number in range(CHUNK)]
    assert store.record(known(0, prefix="new"), NOW, [(None, row) for row in rows])


def register(store):
    assert store.registration() is None
    assert store.swap_registration(None, Registered(b"1", "{}", NOW))
    assert store.swap_registration(b"1", None)


ACTS = [look_up, insert, replace, delete, mark, exchange, find_uses, keep, forget, find_recorded, record, register]


def test_rows_are_found_by_an_index(measure):
    read = {act.__name__: measure(act) for act in ACTS}
    assert {name: counts for name, counts in read.items() if counts[:2] != [0, 0] or counts[2] >= FEW} == {}
    tables, rows, dummy = measure(lambda store: store.counts())
    assert tables > 0, "these counts tell nothing"
    assert rows > MANY


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_no_statement_is_compiled(store, postgresql_server):
    """Compiling checks of custom request ids took ten times as long as the checks."""
    postgresql_server.execute("ALTER DATABASE {} SET jit = on".format(store.description()["database"]))

    def work(db, again):
        with postgresql_connection.pipeline(db):
            (shown,) = postgresql_rows.in_transaction(db, [("SHOW jit", ())])
        return db.execute("SHOW jit").fetchone() + shown.fetchone()

    with contextlib.closing(open_store(postgresql_server.url(store.description()["database"]), SCOPE)) as other:
        assert other._connection.run(work) == ("on", "off")

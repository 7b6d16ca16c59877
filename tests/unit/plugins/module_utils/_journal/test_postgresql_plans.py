# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plans of statements: the counts of the server show that each finds its rows by an index, with and without statistics."""

from __future__ import annotations

import contextlib
import functools
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("psycopg")

from ansible_collections.vonage.vcc.plugins.module_utils._journal import postgresql_connection, postgresql_rows
from ansible_collections.vonage.vcc.plugins.module_utils._journal.backends import open_store
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import Attempt, Query, Registered, Row, Run
from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import NOW, SCOPE, database_of, put

MANY = 1_000_000
CHUNK = 1000

# The number of the first row. All numbers have as many digits, so that the indexes get rows in order, which takes half the time.
FIRST = 1_000_000

# Entries of indexes that a statement may read for a chunk: far more than it needs, and far less than there are.
FEW = 20 * CHUNK

RUN = Run(2, "b" * 32, NOW)

FILL = """
INSERT INTO vcc_journal.interaction (id, scope, external_id, action, request_id, requested_at, accepted_at)
SELECT 2 * n + n % 2, 1, 'case-' || n, 'release', 'key-' || n, 1800000000, CASE WHEN n % 10 > 0 THEN 1800000000 END
FROM generate_series({first}, {last}) AS n;
INSERT INTO vcc_journal.notification (scope, id, recorded_at) SELECT 1, 'n-' || n, 1800000000 FROM generate_series({first}, {last}) AS n;
INSERT INTO vcc_journal.custom_request (scope, request_id, external_id, action, requested_at)
SELECT 1, 'mine-' || n, 'case-' || n, 'release', 1800000000 FROM generate_series({first}, {last}) AS n;
INSERT INTO vcc_journal.run (id, run_id, started) VALUES (1, '{other}', 1800000000), (2, '{run}', 1800000000);
INSERT INTO vcc_journal.attempt (run, number, scope, action, state, at, message)
SELECT 1 + n / 100000, n, 1, 'release', 'accepted', 1800000000, '' FROM generate_series(1, 100000) AS n;
INSERT INTO vcc_journal.outcome (run, attempt, id) SELECT 1 + n / 100000, least(n, 100000), n FROM generate_series(1, 100010) AS n;
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


@pytest.fixture
def large(postgresql_server, postgresql_url):
    """The name of a database with a large journal, and that of a copy that has statistics."""
    open_store(postgresql_url, SCOPE).close()
    name = database_of(postgresql_url)
    statements = FILL.format(first=FIRST, last=FIRST + MANY - 1, run=RUN.run_id, other="a" * 32).split(";")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(functools.partial(postgresql_server.execute, database=name), statements))
    copy = postgresql_server.create_database(template=name)
    postgresql_server.execute("ANALYZE", database=copy)
    yield name, copy
    postgresql_server.drop_database(copy)


class Measured:
    """A large journal, with counts of its rows and index entries that are read."""

    def __init__(self, server, database):
        self._url = server.url(database)
        self._ask = functools.partial(server.execute, database=database)

    def has_statistics(self):
        return self._ask("SELECT count(*) FROM pg_statistic WHERE starelid >= 16384")[0][0] > 0

    def counts(self, act):
        """Do something with the journal. Return the counts of complete reads of tables, of the rows that they read, and of index entries that were read."""
        before = self._read()
        with contextlib.closing(open_store(self._url, SCOPE)) as store:
            act(store)
        return [new - old for old, new in zip(before, self._read())]

    def _read(self):
        programs.poll(lambda: not self._ask(OTHERS), "a session stays")
        return self._ask(READ)[0]


def known(first, count=CHUNK, prefix="case"):
    """Return the ids of consecutive rows, whose numbers count from that of the first row."""
    return [f"{prefix}-{FIRST + number}" for number in range(first, first + count)]


def seen(store, first):
    """Return rows of the journal that no other function here changes."""
    found = store.rows(known(first))
    assert len(found) == CHUNK
    return list(found.values())


def look_up(store):
    assert len(store.rows(known(MANY - CHUNK // 2))) == CHUNK // 2


def insert(store):
    new = [Row(10**9 + number, f"new-{number}", "release", "x", NOW) for number in range(CHUNK)]
    assert all(put(store, *new))


def replace(store):
    changes = [(row, row._replace(claim=2 * 10**9 + number)) for number, row in enumerate(seen(store, 5000))]
    assert all(store.swap(changes))


def delete(store):
    assert all(store.swap([(row, None) for row in seen(store, 7000)]))


def mark(store):
    assert store.mark(2 * (FIRST + 10_000), 2 * (FIRST + 11_000), NOW) == 1001


def exchange(store):
    old = seen(store, 30_000)
    changes = [(row, row._replace(claim=3 * 10**9 + number)) for number, row in enumerate(old)]
    changes += [(None, Row(4 * 10**9 + number, f"late-{number}", "release", "x", NOW)) for number in range(CHUNK)]
    marks = [(2 * (FIRST + number), 2 * (FIRST + number + 500)) for number in (40_000, 41_500)]
    exchanged = store.exchange(marks, NOW, changes, known(50_000))
    assert (all(exchanged.done), len(exchanged.rows)) == (True, CHUNK)


def find_uses(store):
    ids = [*known(1, prefix="mine"), *known(1, prefix="key"), *(f"{number:032x}" for number in range(CHUNK))]
    assert len(store.uses(ids)) == CHUNK + CHUNK // 2


def keep(store):
    store.keep_request_ids("release", NOW, ((f"other-{number}", f"case-{number}") for number in range(CHUNK)))


def forget(store):
    store.forget_request_ids("release", zip(known(9000, prefix="mine"), known(9000)))


def find_recorded(store):
    assert len(store.recorded(known(MANY - CHUNK // 2, prefix="n"))) == CHUNK // 2


def record(store):
    rows = [Row(5 * 10**9 + number, f"noted-{number}", "release", "x", NOW, NOW) for number in range(CHUNK)]
    assert store.record(known(0, prefix="new"), NOW, [(None, row) for row in rows])


def register(store):
    assert store.registration() is None
    assert store.swap_registration(None, Registered(b"1", "{}", NOW))
    assert store.swap_registration(b"1", None)


def mark_with_history(store):
    attempt = Attempt(RUN, 2, "release", "accepted", NOW, 1, "")
    assert store.mark(2 * (FIRST + 10_000), 2 * (FIRST + 11_000), NOW, attempt) == 1001


def record_attempt(store):
    attempt = Attempt(RUN, 3, "release", "failed", NOW, 1, "")
    assert store.record_attempts([(attempt, [(number, "x", "y") for number in range(CHUNK)])]) == CHUNK


def count_run(store):
    assert store.run_counts("b" * 32, 60).counts == {("release", "accepted"): 11 + 1001, ("release", "failed"): CHUNK}


def show_run(store):
    query = Query(run_id=RUN.run_id)
    assert store.history(query, 10, 0, NOW)[1] == 11 + 1001 + CHUNK
    exported = []
    store.export(query, True, exported.extend)
    assert len(exported) == 11 + 1001 + CHUNK


ACTS = [look_up, insert, replace, delete, mark, exchange, find_uses, keep, forget, find_recorded, record, register]
ACTS += [mark_with_history, record_attempt, count_run, show_run]


def test_rows_are_found_by_an_index(postgresql_server, large):
    """Check both databases in one test, because it takes seconds to fill the journal."""
    for database, has_statistics in zip(large, (False, True)):
        measured = Measured(postgresql_server, database)
        read = {act.__name__: measured.counts(act) for act in ACTS}
        assert measured.has_statistics() is has_statistics
        assert {name: counts for name, counts in read.items() if counts[:2] != [0, 0] or counts[2] >= FEW} == {}
        tables, rows, dummy = measured.counts(lambda store: store.counts())
        assert tables > 0, "these counts tell nothing"
        assert rows >= MANY


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

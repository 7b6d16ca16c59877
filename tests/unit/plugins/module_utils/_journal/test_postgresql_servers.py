# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that restart, fail over, have a pooler in front of them, or refuse a transaction; and processes that lock the same rows."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import TIMEOUT, at_once, background
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal import exchanges
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    API,
    as_entries,
    database_of,
    refusal,
)

psycopg = pytest.importorskip("psycopg")

from ansible_collections.vonage.vcc.plugins.module_utils._journal import postgresql_connection
from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.postgresql.server import failover_url

# Claims the same interactions as other processes, in the same order or in an order of its own.
CLAIMING = """
import json
import os
import random
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
url, action, order = sys.argv[1:]
ids = [f"case-{number}" for number in range(4000)]
random.Random(7 if order == "same" else os.getpid()).shuffle(ids)
journal = Journal(url, "https://api.example", "main", None, 0, action=action)
journal.add_all([ids])
together()
found, after, accepted = {}, 0, []
while True:
    chunk = journal.claim(after, accepted)
    if not chunk:
        break
    found.update((each.external_id, each.request_id) for each in chunk)
    accepted, after = [each for each in chunk if not each.confirmed], chunk[-1].seq
journal.accept(accepted)
print(json.dumps(found))
"""

# Ends any session that has executed a query, because a failed first connection is repeated only if the server gives the reason.
END_A_SESSION = """
SELECT pg_terminate_backend(pid) FROM (
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query <> '' ORDER BY random() LIMIT 1
) AS session
"""

# An error that arrives while more of the same pipeline is sent.
FAILING = """
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._journal import postgresql_connection
together()
connection = postgresql_connection.PostgresqlConnection(sys.argv[1])
def work(db, again):
    with postgresql_connection.pipeline(db):
        db.execute("SELECT 1 / 0")
        while True:
            db.execute("SELECT %s", ("x" * 100_000,))
try:
    connection.run(work)
except postgresql_connection.JournalError as exc:
    print(exc)
"""


@pytest.fixture
def server(postgresql_server, url):
    """The server of all tests, which runs again at the end."""
    yield postgresql_server
    if not postgresql_server.pid:
        postgresql_server.start()


class TestRestart:
    def test_acceptance_is_recorded_after_restart_of_killed_server(self, server, url):
        with exchanges.opened(url) as journal:
            journal.add_all(as_entries("a", "b"))
            claimed = journal.claim(0)
            server.kill()
            with background(journal.accept, claimed[:1]):
                server.start()
            journal.release_claim(claimed[1:])
        assert exchanges.states(url, "a", "b") == ["released", None]
        assert exchanges.entries(url, "a")["a"]["request_id"] == claimed[0].request_id

    @pytest.mark.parametrize("mode", ["fast", "immediate"])
    def test_task_works_with_restart_before_each_step(self, server, url, mode):
        with exchanges.opened(url) as journal:
            server.restart(mode)
            journal.add_all(as_entries("a"))
            assert not journal.plan(0)[0].confirmed
            server.restart(mode)
            claimed = journal.claim(0)
            server.restart(mode)
            journal.accept(claimed)
            server.restart(mode)
            assert journal.plan(0)[0].confirmed

    def test_acceptance_is_recorded_after_end_of_waiting_session(self, url, execute):
        """An administrator ends the session of a process that waits for a lock."""
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        with exchanges.opened(url) as journal, psycopg.connect(url) as locking:
            journal.add_all(as_entries("a"))
            claimed = journal.claim(0)
            locking.execute("LOCK TABLE vcc_journal.interaction IN SHARE MODE")
            with background(journal.accept, claimed):
                ((pid,),) = programs.poll(lambda: execute(waiting), "no session waits")
                execute(f"SELECT pg_terminate_backend({pid})")
                programs.poll(lambda: [row for row in execute(waiting) if row != (pid,)], "no second attempt")
                locking.rollback()
        assert exchanges.states(url, "a") == ["released"]

    @pytest.mark.parametrize("action", ["release", "dispatch"])
    def test_processes_work_while_their_sessions_are_ended(self, url, execute, action):
        """Each of four processes loses some connections. In the end, all have the same request ids."""
        ended = 0
        deadline = time.monotonic() + TIMEOUT
        with background(at_once, 4, CLAIMING, url, action, "own") as results:
            while not results and ended < 30 and time.monotonic() < deadline:
                ended += len(execute(END_A_SESSION))
        claims = [json.loads(output) for output in results[0]]
        assert len(claims[0]) == 4000
        assert all(claim == claims[0] for claim in claims)
        assert execute("SELECT count(*), count(accepted_at) FROM vcc_journal.interaction") == [(4000, 4000)]
        assert ended > 3


class TestFailover:
    @pytest.mark.parametrize("action", ["release", "dispatch"])
    def test_claim_is_accepted_at_the_new_primary(self, server, url, action):
        with server.standby() as standby:
            with exchanges.opened(failover_url([server, standby], database_of(url)), action=action) as journal:
                journal.add_all(as_entries("a"))
                claimed = journal.claim(0)
                server.wait_for(standby)
                server.kill()
                standby.promote()
                journal.accept(claimed)
                assert journal.description()["location"] == failover_url([server, standby], database_of(url))
            with exchanges.opened(standby.url(database_of(url)), action=action) as journal:
                journal.add_all(as_entries("a"))
                (found,) = journal.plan(0)
        assert (found.confirmed, found.request_id) == (True, claimed[0].request_id)

    @pytest.mark.parametrize("action", ["release", "dispatch"])
    def test_claim_that_new_primary_lacks_is_recorded_again(self, server, url, action):
        """A release is confirmed. A dispatch stays pending, because a release may have withdrawn its claim."""
        with server.standby() as standby:
            journal = Journal(failover_url([server, standby], database_of(url)), API, "main", None, 0, action=action)
            with contextlib.closing(journal):
                journal.add_all(as_entries("a"))
                server.wait_for(standby)
                standby.stop()
                claimed = journal.claim(0)
                server.kill()
                standby.start()
                standby.promote()
                journal.accept(claimed)
                (found,) = journal.plan(0)
        assert (found.confirmed, found.pending) == (action == "release", action == "dispatch")
        assert found.request_id == (claimed[0].request_id if action == "release" else None)

    def test_acceptance_waits_for_promotion_of_standby(self, server, url):
        """Meanwhile the standby, which logs connections, refuses to be the primary."""
        with server.standby(log_connections="on") as standby:
            with exchanges.opened(failover_url([server, standby], database_of(url))) as journal:
                journal.add_all(as_entries("a"))
                claimed = journal.claim(0)
                server.wait_for(standby)
                server.kill()
                with background(journal.accept, claimed):
                    programs.poll(lambda: standby.log.count("application_name=vonage.vcc") > 1, "no attempt")
                    standby.promote()
            assert exchanges.states(standby.url(database_of(url)), "a") == ["released"]

    def test_server_that_becomes_read_only_fails_acceptance(self, server, url, execute, monkeypatch):
        monkeypatch.setattr(postgresql_connection, "RETRY_SECONDS", 0.3)
        with exchanges.opened(url) as journal:
            journal.add_all(as_entries("a"))
            claimed = journal.claim(0)
            execute(f'ALTER DATABASE "{database_of(url)}" SET default_transaction_read_only = on')
            execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            assert refusal(journal.accept, claimed) == (
                f"The journal {url} cannot be used (cannot execute UPDATE in a read-only transaction): name the primary in the URL, or all hosts with"
                " target_session_attrs=read-write."
            )


class TestPgbouncer:
    """Each transaction may have another session of the server."""

    def test_schema_is_made_through_pgbouncer(self, pgbouncer, postgresql_url):
        with exchanges.opened(pgbouncer.url(database_of(postgresql_url))) as journal:
            assert journal.description()["created"]
        pgbouncer.stop()

    @pytest.mark.parametrize("exchange", exchanges.ALL, ids=lambda exchange: exchange.__name__)
    def test_exchange_through_pgbouncer_is_correct(self, pgbouncer, url, exchange):
        through = pgbouncer.url(database_of(url))
        with contextlib.ExitStack() as stack:
            # Other tasks have connections to pgbouncer too, which has two sessions for all.
            for number in range(3):
                stack.enter_context(exchanges.opened(through, provider=f"other-{number}"))
            exchange(through, url, "one")
        pgbouncer.stop()

    def test_pgbouncer_keeps_no_setting_of_task(self, pgbouncer, url):
        through = pgbouncer.url(database_of(url))
        exchanges.claim_and_accept(through, url, "one")
        names = ["enable_seqscan", "enable_hashjoin", "enable_mergejoin", "idle_in_transaction_session_timeout"]
        with psycopg.connect(through, autocommit=True, prepare_threshold=None) as pooled:
            shown = [pooled.execute(f"SHOW {name}").fetchone()[0] for name in names]
        assert shown == ["on", "on", "on", "0"]
        pgbouncer.stop()


class TestLocks:
    @pytest.mark.parametrize("action", ["dispatch", "release"])
    def test_processes_with_the_same_shuffled_ids_do_not_deadlock(self, server, url, execute, action):
        written = len(server.log)
        self._claim(url, action, "same", execute)
        assert "deadlock" not in server.log[written:]
        assert execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [(0,)]

    @pytest.mark.parametrize("action", ["dispatch", "release"])
    def test_processes_with_orders_of_their_own_finish(self, url, execute, action):
        """A process locks rows in the order of their ids, which another process may change meanwhile. It repeats its work after a deadlock."""
        self._claim(url, action, "own", execute)

    def _claim(self, url, action, order, execute):
        claims = [json.loads(output) for output in at_once(4, CLAIMING, url, action, order)]
        assert len(claims[0]) == 4000
        assert all(claim == claims[0] for claim in claims)
        assert execute("SELECT count(*), count(accepted_at) FROM vcc_journal.interaction") == [(4000, 4000)]


class TestTransientErrors:
    @pytest.fixture
    def fail(self, execute):
        """Makes the next inserts or updates of interactions fail with a state of SQL."""

        def do(state, times):
            execute("CREATE SEQUENCE public.failed")
            execute(
                "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                f" IF nextval('public.failed') <= {times} THEN RAISE 'made to fail' USING ERRCODE = '{state}'; END IF; RETURN NULL; END $$"
            )
            execute(
                "CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON vcc_journal.interaction FOR EACH STATEMENT EXECUTE FUNCTION fail()"
            )

        return do

    @pytest.mark.parametrize("state", ["40001", "40P01", "57P01", "57P03", "53300", "08006", "25006"])
    @pytest.mark.parametrize(
        "exchange", [exchanges.claim_chunks, exchanges.claim_and_accept, exchanges.record_notifications]
    )
    def test_work_is_repeated(self, url, fail, state, exchange):
        fail(state, 3)
        exchange(url, url, "one")

    @pytest.mark.parametrize("state", ["23514", "53100", "XX001", "XX002", "42501", "P0001"])
    def test_other_errors_fail_at_once(self, url, fail, state):
        fail(state, 1)
        with exchanges.opened(url) as journal:
            journal.add_all(as_entries("a"))
            said = refusal(journal.claim, 0)
            assert said.startswith(f"The journal {url} cannot be used (made to fail): ")
            assert exchanges.states(url, "a") == [None]
            journal.accept(journal.claim(0))
        assert exchanges.states(url, "a") == ["released"]

    def test_psycopg_prints_nothing(self, url):
        (said,) = at_once(1, FAILING, url)
        assert said == f"The journal {url} cannot be used (division by zero): look into the log of the server.\n"

    def test_repetition_ends_after_retry_seconds(self, url, fail, monkeypatch):
        monkeypatch.setattr(postgresql_connection, "RETRY_SECONDS", 0.5)
        fail("40001", 10**6)
        with exchanges.opened(url) as journal:
            journal.add_all(as_entries("a"))
            begun = time.monotonic()
            assert refusal(journal.claim, 0) == (
                f"The journal {url} cannot be used (made to fail): look into the log of the server."
            )
            assert 0.5 < time.monotonic() - begun < 20

    @pytest.mark.parametrize("isolation", ["serializable", "repeatable read"])
    def test_processes_with_stricter_isolation_get_same_claims(self, url, execute, isolation):
        execute(f"ALTER DATABASE \"{database_of(url)}\" SET default_transaction_isolation = '{isolation}'")
        claims = [json.loads(output) for output in at_once(3, CLAIMING, url, "release", "same")]
        assert all(claim == claims[0] for claim in claims)
        assert execute("SELECT count(*), count(accepted_at) FROM vcc_journal.interaction") == [(4000, 4000)]


@pytest.mark.parametrize("exchange", exchanges.ALL, ids=lambda exchange: exchange.__name__)
def test_exchange_without_pipelines_is_correct(url, exchange, monkeypatch):
    """libpq before version 14 sends each statement by itself."""
    monkeypatch.setattr(psycopg.Pipeline, "is_supported", lambda: False)
    exchange(url, url, "one")

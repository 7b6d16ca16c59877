# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks that another session holds: a statement that waits for one gives up before its task does."""

from __future__ import annotations

import contextlib
import time
from urllib.parse import quote

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import Notification, NotificationLog
from ansible_collections.vonage.vcc.plugins.module_utils._journal.setup import set_up
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal import exchanges
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    API,
    as_entries,
    database_of,
    refusal,
)

psycopg = pytest.importorskip("psycopg")

from ansible_collections.vonage.vcc.plugins.module_utils._journal import (
    postgresql,
    postgresql_connection,
    postgresql_rows,
    postgresql_schema,
)
from ansible_collections.vonage.vcc.tests.postgresql import programs

HELD = (
    " cannot be used (canceling statement due to lock timeout): end the session that holds the lock, or raise lock_timeout if it is set for the role or"
    " the database of the URL."
)

# The sessions that wait for a lock.
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def limit_locks(monkeypatch, limit):
    """Let statements wait for locks for this time only. Other limits stay."""
    for module in (postgresql, postgresql_rows, postgresql_schema):
        for name in {"DURABLE", "DURABLE_LATER", "LIMIT_LOCKS", "_LOCK"} & set(vars(module)):
            assert f"'{postgresql_connection.LOCK_TIMEOUT}s'" in getattr(module, name)
            shorter = getattr(module, name).replace(f"'{postgresql_connection.LOCK_TIMEOUT}s'", f"'{limit}'")
            monkeypatch.setattr(module, name, shorter)


@pytest.fixture
def impatient(monkeypatch):
    limit_locks(monkeypatch, "100ms")


def accept(url):
    with exchanges.opened(url) as journal:
        journal.add_all(as_entries("a"))
        journal.accept(journal.claim(0))


def record(url):
    with contextlib.closing(NotificationLog(url, API, "main", None)) as notifications:
        notifications.record([Notification("AssignToAgent", "known", "n-1")])


def prune(url):
    with contextlib.closing(JournalMaintenance(url)) as journal:
        journal.prune(0)


def search(url):
    with contextlib.closing(JournalMaintenance(url, dry_run=True)) as journal:
        journal.entries(external_ids=["known"])


@pytest.mark.parametrize("act", [accept, record, prune], ids=lambda act: act.__name__)
def test_change_gives_up_and_is_not_made_later(url, execute, impatient, act):
    exchanges.keep(url, "known")
    with psycopg.connect(url) as locking:
        locking.execute("LOCK TABLE vcc_journal.interaction IN SHARE MODE")
        begun = time.monotonic()
        assert refusal(act, url) == f"The journal {url}{HELD}"
        assert time.monotonic() - begun < 20
        assert execute(WAITING) == []
    assert exchanges.states(url, "known", "a") == ["released", None]
    act(url)
    assert exchanges.states(url, "known", "a") != ["released", None]


def test_search_gives_up(url, impatient):
    with psycopg.connect(url) as locking:
        locking.execute("LOCK TABLE vcc_journal.interaction")
        assert refusal(search, url) == f"The journal {url}{HELD}"
    search(url)


def test_acceptance_gives_up_if_another_session_changes_row(url, impatient):
    """An acceptance does not check first whether its rows are locked."""
    with exchanges.opened(url) as journal, psycopg.connect(url) as locking:
        journal.add_all(as_entries("a"))
        claimed = journal.claim(0)
        locking.execute("SELECT FROM vcc_journal.interaction FOR UPDATE")
        assert refusal(journal.accept, claimed) == f"The journal {url}{HELD}"
        locking.rollback()
        assert exchanges.states(url, "a") == ["pending"]
        journal.accept(claimed)
    assert exchanges.states(url, "a") == ["released"]


def test_task_gives_up_while_another_session_makes_schema(postgresql_url, execute, impatient):
    with psycopg.connect(postgresql_url) as locking:
        locking.execute(f"SELECT pg_advisory_xact_lock({0x56434331})")
        assert refusal(accept, postgresql_url) == f"The journal {postgresql_url}{HELD}"
        assert execute(WAITING) == []
    assert execute("SELECT nspname FROM pg_namespace WHERE nspname = 'vcc_journal'") == []
    accept(postgresql_url)


def test_grant_gives_up_while_another_session_grants(postgresql_server, url, execute, impatient):
    role = postgresql_server.create_role("runner")
    try:
        with psycopg.connect(url) as locking:
            locking.execute(f"GRANT USAGE ON SCHEMA vcc_journal TO {role}")
            assert refusal(set_up, url, [role]) == f"The journal {url}{HELD}"
            assert execute(WAITING) == []
        set_up(url, [role])
    finally:
        execute(f"DROP OWNED BY {role}")
        execute(f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("own", "expected"), [("0", "50s"), ("200", "200ms"), ("2h", "2h")], ids=["unset", "shorter", "longer"]
)
def test_lock_timeout_of_user_counts(url, execute, own, expected):
    execute(f"ALTER DATABASE \"{database_of(url)}\" SET lock_timeout = '{own}'")
    with exchanges.opened(url) as journal:
        connection = journal._store._connection

        def show(db, again):
            with postgresql_connection.pipeline(db):
                (cursor,) = postgresql_rows.in_transaction(db, [("SHOW lock_timeout", ())])
            return cursor.fetchone()[0], db.execute("SHOW lock_timeout").fetchone()[0]

        assert connection.run(show) == (expected, "0" if own == "0" else expected)


def test_statement_gives_up_before_the_task():
    assert postgresql_connection.LOCK_TIMEOUT < postgresql_connection.ANSWER_TIMEOUT


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("lock_timeout", HELD),
        (
            "statement_timeout",
            " cannot be used (canceling statement due to statement timeout): raise statement_timeout of the role of the URL.",
        ),
    ],
)
def test_statement_gives_up_after_timeout_of_user(url, setting, said):
    limited = f"{url}&options={quote(f'-c {setting}=200')}"
    with exchanges.opened(limited) as journal, psycopg.connect(url) as locking:
        journal.add_all(as_entries("a"))
        locking.execute("LOCK TABLE vcc_journal.interaction IN SHARE MODE")
        assert refusal(journal.claim, 0).endswith(said)
        locking.rollback()
        journal.accept(journal.claim(0))
        assert journal.plan(0)[0].confirmed


def test_task_gives_up_before_long_lock_timeout_of_user(url, execute, monkeypatch):
    """The user allows the statement to wait. The task connects once more, and then reports that it got no answer."""
    for name, seconds in (("ANSWER_TIMEOUT", 0.5), ("RETRY_SECONDS", 0.5), ("LAST_ANSWER_TIMEOUT", 0.2)):
        monkeypatch.setattr(postgresql_connection, name, seconds)
    allowed = f"{url}&options={quote('-c lock_timeout=1h')}"
    with exchanges.opened(allowed) as journal, psycopg.connect(url) as locking:
        journal.add_all(as_entries("a"))
        claimed = journal.claim(0)
        locking.execute("LOCK TABLE vcc_journal.interaction IN SHARE MODE")
        begun = time.monotonic()
        assert refusal(journal.accept, claimed) == (
            f"The journal {allowed} cannot be used (no answer within 0.5 seconds): see if the server runs and can be reached, and run the task again: it"
            " continues where it stopped."
        )
        assert 1 <= time.monotonic() - begun < 20
        assert len(execute(WAITING)) == 2
        assert "(no answer within 0.2 seconds): " in refusal(journal.accept, claimed)
        locking.rollback()
        programs.poll(lambda: not execute(WAITING), "a session waits")
        journal.accept(claimed)
    assert exchanges.states(url, "a") == ["released"]


def test_task_that_has_given_up_does_not_wait_as_long_again(url, execute, monkeypatch):
    """It still tries to record its other interactions."""
    limit_locks(monkeypatch, "1s")
    monkeypatch.setattr(postgresql_connection, "LAST_ANSWER_TIMEOUT", 0.1)
    with exchanges.opened(url) as journal, psycopg.connect(url) as locking:
        journal.add_all(as_entries("a", "b"))
        one, two = journal.claim(0)
        locking.execute("LOCK TABLE vcc_journal.interaction IN SHARE MODE")
        assert refusal(journal.accept, [one]) == f"The journal {url}{HELD}"
        assert "(no answer within 0.1 seconds): " in refusal(journal.accept, [two])
        locking.rollback()
        programs.poll(lambda: not execute(WAITING), "a session waits")
        journal.accept([one, two])
        assert not journal._store._connection._has_given_up
    assert exchanges.states(url, "a", "b") == ["released", "released"]

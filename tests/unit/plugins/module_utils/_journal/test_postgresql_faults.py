# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lost connections: a fault cuts or drops each request of each exchange with a database, before the server has it or after it has answered."""

from __future__ import annotations

import contextlib
import time

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal import exchanges
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    API,
    as_entries,
    database_of,
    refusal,
)

pytest.importorskip("psycopg")

from ansible_collections.vonage.vcc.plugins.module_utils._journal import (
    postgresql,
    postgresql_connection,
    postgresql_rows,
)


@pytest.fixture
def url(postgresql_url, proxy):
    """The URL of the database behind the proxy."""
    return proxy.url(database_of(postgresql_url))


@pytest.fixture
def direct(postgresql_url):
    """The URL of the database with the schema of the journal."""
    Journal(postgresql_url, API, "main", None, 0).close()
    return postgresql_url


def disturb(proxy, fault, exchange, *arguments):
    """Run an exchange without faults, and then again and again, with a fault before or after each of its requests."""
    before = proxy.requests
    exchange(*arguments, "undisturbed")
    count = proxy.requests - before
    assert count
    for when in ("before", "after"):
        for number in range(1, count + 1):
            faults = proxy.faults
            fault(number, when)
            exchange(*arguments, f"{when}-{number}")
            assert proxy.faults == faults + 1, "the fault has not happened"
    return count


@pytest.mark.parametrize("exchange", exchanges.ALL, ids=lambda exchange: exchange.__name__)
def test_exchange_is_correct_after_cut_at_each_request(proxy, url, direct, exchange):
    disturb(proxy, proxy.cut, exchange, url, direct)


@pytest.mark.parametrize(
    "exchange", [exchanges.claim_and_accept, exchanges.record_notifications], ids=["claim", "record"]
)
def test_exchange_is_correct_after_silence_at_each_request(proxy, url, direct, exchange, monkeypatch):
    """The peer acknowledges every byte, so that libpq would wait for ever. The server still has the session, with its locks."""
    monkeypatch.setattr(postgresql_connection, "ANSWER_TIMEOUT", 0.2)
    assert "'15s'" in postgresql_rows.DURABLE
    for module in (postgresql, postgresql_rows):
        monkeypatch.setattr(module, "DURABLE", module.DURABLE.replace("'15s'", "'0.5s'"))
    disturb(proxy, proxy.black_hole, exchange, url, direct)


@pytest.mark.parametrize("fault", ["cut", "black_hole"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_first_run_makes_the_schema_with_a_fault_at_each_request(proxy, postgresql_server, monkeypatch, fault, when):
    """The task that makes the schema must report this, because a dispatch then warns. A silent connection leaves no lock behind."""
    monkeypatch.setattr(postgresql_connection, "ANSWER_TIMEOUT", 0.3 if fault == "black_hole" else 60)
    number, made = 1, True
    while made:
        name = postgresql_server.create_database()
        try:
            getattr(proxy, fault)(number, when)
            with contextlib.closing(Journal(proxy.url(name), API, "main", None, 0)) as journal:
                assert journal.description()["created"]
                made = proxy.faults == number
                proxy.clear()
                journal.add_all(as_entries("a"))
                journal.accept(journal.claim(0))
                assert journal.plan(0)[0].confirmed
        finally:
            postgresql_server.drop_database(name)
        number += 1
    assert number > 5


def test_claim_and_acceptance_are_repeated_after_cuts(proxy, url, direct):
    with exchanges.opened(url) as journal:
        journal.add_all(as_entries("a"))
        proxy.cut(1, "after")
        claimed = journal.claim(0)
        assert exchanges.entries(direct, "a")["a"]["request_id"] == claimed[0].request_id
        proxy.cut_bytes(1)
        begun = proxy.connections
        journal.accept(claimed)
        assert proxy.connections == begun + 1
    assert exchanges.states(direct, "a") == ["released"]


def test_repeated_claim_has_request_id_of_other_process(proxy, url, direct):
    """The first process loses the answer to its claim, and finds the claim of the second process when it repeats its own."""
    with exchanges.opened(url) as first, exchanges.opened(direct) as second:
        for journal in (first, second):
            journal.add_all(as_entries("a"))
        first.plan(0)
        (theirs,) = second.claim(0)
        proxy.cut(1, "after")
        (mine,) = first.claim(0)
        assert mine.request_id == theirs.request_id
        second.release_claim([theirs])
        first.accept([mine])
    assert exchanges.entries(direct, "a")["a"]["request_id"] == mine.request_id
    assert exchanges.states(direct, "a") == ["released"]


def test_task_gives_up_if_server_stays_away(proxy, url, direct, monkeypatch):
    monkeypatch.setattr(postgresql_connection, "RETRY_SECONDS", 0.5)
    monkeypatch.setattr(postgresql_connection, "ANSWER_TIMEOUT", 0.2)
    with exchanges.opened(url + "?connect_timeout=2") as journal:
        journal.add_all(as_entries("a"))
        claimed = journal.claim(0)
        proxy.black_hole()
        begun = time.monotonic()
        said = refusal(journal.accept, claimed)
        assert time.monotonic() - begun < 20
        assert said.startswith(f"The journal {url}?connect_timeout=2 cannot be used (")
        assert said.endswith(
            "see if the server runs and can be reached, and run the task again: it continues where it stopped."
        )
        proxy.clear()
        journal.accept(claimed)
    assert exchanges.states(direct, "a") == ["released"]


def test_watchdog_does_not_end_slow_answer(proxy, url, direct, monkeypatch):
    monkeypatch.setattr(postgresql_connection, "ANSWER_TIMEOUT", 30)
    with exchanges.opened(url) as journal:
        before = proxy.connections
        journal._store._connection.run(lambda db, again: db.execute("SELECT pg_sleep(0.3)"))
        journal._store._connection.run(lambda db, again: db.execute("SELECT pg_sleep(0.3)"), 0.1 + 30)
        assert proxy.connections == before

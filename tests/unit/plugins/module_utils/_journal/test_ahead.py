# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal in a database claims the next chunk while the caller sends the one before it, and looks up several chunks at once."""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.ahead import Background
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import CHUNK
from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal import exchanges
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    API,
    as_entries,
    database_of,
    refusal,
)

pytest.importorskip("psycopg")

from ansible_collections.vonage.vcc.plugins.module_utils._journal import postgresql_connection

IDS = [f"case-{number:04}" for number in range(3100)]
FIRST, SECOND, THIRD, LAST = IDS[:1000], IDS[1000:2000], IDS[2000:3000], IDS[3000:]


@pytest.fixture
def url(postgresql_url, proxy):
    """The URL of the database behind the proxy."""
    return proxy.url(database_of(postgresql_url))


@pytest.fixture
def opened(url):
    """A journal with the ids on its worklist."""
    with exchanges.opened(url) as journal:
        journal.add_all([IDS])
        yield journal


def release(url, *external_ids, action="release", accept=True):
    with exchanges.opened(url, action=action) as journal:
        journal.add_all(as_entries(*external_ids))
        claimed = journal.claim(0)
        if accept:
            journal.accept(claimed)
        return claimed


def release_all(url):
    with exchanges.opened(url) as journal:
        journal.add_all([IDS])
        after, accepted = 0, []
        while accepted := journal.claim(after, accepted):
            after = accepted[-1].seq


def wait_until_claimed(url, external_id):
    with exchanges.opened(url, dry_run=True) as journal:
        journal.add_all(as_entries(external_id))
        programs.poll(lambda: journal._store.rows([external_id]), "nobody claims it")


def test_next_chunk_is_claimed_ahead(opened, postgresql_url):
    first = opened.claim(0)
    wait_until_claimed(postgresql_url, SECOND[-1])
    rows = exchanges.entries(postgresql_url, SECOND[0], SECOND[-1], THIRD[0])
    assert list(rows) == [SECOND[0], SECOND[-1]]
    second = opened.claim(first[-1].seq, first)
    assert [each.external_id for each in second] == SECOND
    assert [second[0].request_id, second[-1].request_id] == [row["request_id"] for row in rows.values()]


def test_run_makes_one_request_for_each_chunk(opened, url, proxy):
    before, after, accepted, chunks = proxy.requests, 0, [], []
    while chunk := opened.claim(after, accepted):
        chunks.append([each.external_id for each in chunk])
        accepted, after = chunk, chunk[-1].seq
    assert chunks == [FIRST, SECOND, THIRD, LAST]
    # One more request looks up the first chunk, and one accepts the last chunks.
    assert proxy.requests - before == len(chunks) + 2
    assert exchanges.states(url, *IDS[::700], IDS[-1]) == ["released"] * 6


def test_second_run_looks_several_chunks_up_at_once(opened, postgresql_url, proxy):
    release_all(postgresql_url)
    before, after, confirmed = proxy.requests, 0, 0
    while chunk := opened.plan(after):
        confirmed += sum(each.confirmed for each in chunk)
        after = chunk[-1].seq
    assert confirmed == len(IDS)
    assert proxy.requests - before == 2


@pytest.mark.parametrize("end", ["plan", "close"])
def test_unused_claims_restore_rows_of_other_tasks(opened, postgresql_url, end):
    """A row that another task has dispatched is dispatched again. A row that another task has left pending stays so, with its request id."""
    (pending,) = release(postgresql_url, SECOND[0], accept=False)
    release(postgresql_url, SECOND[1], action="dispatch")
    before = exchanges.entries(postgresql_url, SECOND[1])
    first = opened.claim(0)
    wait_until_claimed(postgresql_url, SECOND[-1])
    if end == "plan":
        chunk = opened.plan(first[-1].seq)
        assert [each.external_id for each in chunk] == SECOND
        assert [each.external_id for each in chunk if each.pending] == [SECOND[0]]
    else:
        opened.close()
    assert exchanges.states(postgresql_url, *SECOND[:3], SECOND[-1]) == ["pending", "dispatched", None, None]
    assert exchanges.entries(postgresql_url, SECOND[0])[SECOND[0]]["request_id"] == pending.request_id
    assert exchanges.entries(postgresql_url, SECOND[1]) == before
    assert exchanges.states(postgresql_url, FIRST[0], FIRST[-1]) == ["pending", "pending"]


def test_unused_claim_that_another_process_has_taken_over_stays(opened, postgresql_url):
    opened.claim(0)
    wait_until_claimed(postgresql_url, SECOND[-1])
    release(postgresql_url, SECOND[5])
    opened.close()
    assert exchanges.states(postgresql_url, *SECOND[4:7]) == [None, "released", None]


def test_other_changes_wait_for_claims_ahead(opened, postgresql_url):
    first = opened.claim(0)
    second = opened.claim(first[-1].seq, first[:10])
    opened.release_claim(first[10:20])
    opened.keep_pending(first[20:30])
    opened.accept(second)
    assert exchanges.states(postgresql_url, FIRST[0], FIRST[10], FIRST[20]) == ["released", None, "pending"]
    assert exchanges.states(postgresql_url, SECOND[0], THIRD[0], LAST[0]) == ["released", "pending", None]


@pytest.mark.parametrize("when", ["before", "after"])
def test_chunk_is_claimed_ahead_after_cut_connection(opened, postgresql_url, proxy, when):
    opened.plan(0)
    proxy.cut(2, when)
    first = opened.claim(0)
    second = opened.claim(first[-1].seq)
    assert proxy.faults == 1
    rows = exchanges.entries(postgresql_url, *SECOND)
    assert [each.request_id for each in second] == [rows[each]["request_id"] for each in SECOND]


def test_lost_server_fails_claim_of_next_chunk(opened, postgresql_url, proxy, monkeypatch):
    """The claim raises the error, so the caller learns that the journal may lack acceptances."""
    monkeypatch.setattr(postgresql_connection, "RETRY_SECONDS", 0.1)
    first = opened.claim(0)
    second = opened.claim(first[-1].seq)
    opened.accept(first)
    proxy.black_hole()
    monkeypatch.setattr(postgresql_connection, "ANSWER_TIMEOUT", 0.1)
    third = opened.claim(second[-1].seq, second)
    assert [each.external_id for each in third] == THIRD
    assert "cannot be used (" in refusal(opened.claim, third[-1].seq)
    assert exchanges.states(postgresql_url, FIRST[0], SECOND[0], LAST[0]) == ["released", "pending", None]
    proxy.clear()


# The interactions of the tasks that follow.
NAMES = [f"case-{number:05}" for number in range(4 * CHUNK)]


@pytest.fixture
def open_task(postgresql_url):
    """Opens the journal for a task with all interactions."""
    with contextlib.ExitStack() as stack:

        def make(**others):
            journal = stack.enter_context(contextlib.closing(Journal(postgresql_url, API, "main", None, 0, **others)))
            journal.add_all([list(NAMES)])
            return journal

        yield make


@pytest.fixture
def counts(postgresql_url):
    def count():
        with contextlib.closing(JournalMaintenance(postgresql_url, dry_run=True)) as journal:
            found = journal.counts()
            return found["released"], found["pending"]

    return count


def test_run_claims_ahead_and_accepts_all_chunks(open_task, counts):
    journal = open_task()
    found = [journal.claim(0)]
    journal._ahead.wait()
    assert counts() == (0, 2 * CHUNK)
    while chunk := journal.claim(found[-1][-1].seq, found[-1]):
        found.append(chunk)
    assert [each.external_id for chunk in found for each in chunk] == NAMES
    assert len({each.request_id for chunk in found for each in chunk}) == len(NAMES)
    assert counts() == (len(NAMES), 0)


@pytest.mark.parametrize("end", ["plan", "close"])
def test_unused_claims_are_released(open_task, counts, end):
    journal = open_task()
    first = journal.claim(0)
    second = journal.claim(first[-1].seq, first)
    if end == "plan":
        assert not any(each.pending or each.confirmed for each in journal.plan(second[-1].seq))
    else:
        journal.close()
    assert counts() == (CHUNK, CHUNK)


def test_pending_rows_that_are_claimed_ahead_stay_pending(open_task, counts):
    """The call of the run that claimed them may have had its effect."""
    killed = open_task()
    claimed = killed.claim(0)
    claimed += killed.claim(claimed[-1].seq)
    killed._ahead.wait()
    journal = open_task()
    found = journal.claim(0)
    journal.close()
    assert [each.request_id for each in found] == [each.request_id for each in claimed[:CHUNK]]
    assert counts() == (0, 3 * CHUNK)


def test_failed_claim_ahead_fails_next_call(open_task, postgresql_server, postgresql_url):
    journal = open_task()
    first = journal.claim(0)
    journal._ahead.wait()
    database = postgresql_url.split("?")[0].rsplit("/", 1)[1]
    postgresql_server.execute("DROP SCHEMA vcc_journal CASCADE", database=database)
    second = journal.claim(first[-1].seq, first)
    assert len(second) == CHUNK
    with pytest.raises(JournalError, match="vcc_journal"):
        journal.claim(second[-1].seq, second)
    with pytest.raises(JournalError, match="vcc_journal"):
        journal.accept(second)


def test_interruption_keeps_store_to_one_thread(open_task, counts, monkeypatch):
    """Ctrl+C comes while the journal waits for its claims ahead. The acceptances are recorded nevertheless."""
    journal = open_task()
    first = journal.claim(0)
    journal._ahead.wait()
    exchange = journal._store.exchange
    wait = Background.wait
    waiting, go_on = threading.Event(), threading.Event()
    inside = []

    def held_up(*arguments, **named):
        inside.append(threading.current_thread().name)
        assert len(inside) == 1, inside
        if threading.current_thread() is not threading.main_thread():
            named["sent"]()
            go_on.wait()
        try:
            return exchange(*arguments, **named)
        finally:
            inside.pop()

    def say_and_wait(background):
        waiting.set()
        wait(background)

    def interrupt():
        waiting.wait()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        threading.Timer(0.1, go_on.set).start()

    monkeypatch.setattr(journal._store, "exchange", held_up)
    second = journal.claim(first[-1].seq, first)
    monkeypatch.setattr(Background, "wait", say_and_wait)
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        journal.claim(second[-1].seq, second)
    journal.accept(second)
    journal.close()
    assert counts() == (2 * CHUNK, 0)

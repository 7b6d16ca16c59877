# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal in PostgreSQL claims the next chunk while the caller sends the one before it."""

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
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import API

NAMES = [f"case-{number:05}" for number in range(4 * CHUNK)]


@pytest.fixture
def open_journal(postgresql_url):
    """Opens the journal for a task that asks for all interactions."""
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


def test_next_chunk_is_claimed_and_the_last_one_accepted_meanwhile(open_journal, counts):
    journal = open_journal()
    found = [journal.claim(0)]
    journal._wait()
    assert counts() == (0, 2 * CHUNK)
    while chunk := journal.claim(found[-1][-1].seq, found[-1]):
        found.append(chunk)
    assert [each.external_id for chunk in found for each in chunk] == NAMES
    assert len({each.request_id for chunk in found for each in chunk}) == len(NAMES)
    assert counts() == (len(NAMES), 0)


@pytest.mark.parametrize("end", ["plan", "close"])
def test_claims_that_are_not_used_are_taken_back(open_journal, counts, end):
    journal = open_journal()
    first = journal.claim(0)
    second = journal.claim(first[-1].seq, first)
    if end == "plan":
        assert not any(each.pending or each.confirmed for each in journal.plan(second[-1].seq))
    else:
        journal.close()
    assert counts() == (CHUNK, CHUNK)


def test_pending_rows_that_are_taken_up_ahead_stay_pending(open_journal, counts):
    """The call of the run that claimed them may have had its effect."""
    killed = open_journal()
    claimed = killed.claim(0)
    claimed += killed.claim(claimed[-1].seq)
    killed._wait()
    journal = open_journal()
    found = journal.claim(0)
    journal.close()
    assert [each.request_id for each in found] == [each.request_id for each in claimed[:CHUNK]]
    assert counts() == (0, 3 * CHUNK)


def test_journal_that_fails_meanwhile_fails_the_next_call(open_journal, postgresql_server, postgresql_url):
    journal = open_journal()
    first = journal.claim(0)
    journal._wait()
    database = postgresql_url.split("?")[0].rsplit("/", 1)[1]
    postgresql_server.execute("DROP SCHEMA vcc_journal CASCADE", database=database)
    second = journal.claim(first[-1].seq, first)
    assert len(second) == CHUNK
    with pytest.raises(JournalError, match="vcc_journal"):
        journal.claim(second[-1].seq, second)
    with pytest.raises(JournalError, match="vcc_journal"):
        journal.accept(second)


def test_interruption_leaves_the_store_to_one_thread(open_journal, counts, monkeypatch):
    """Ctrl+C while the journal waits for the claims that it makes ahead. What was accepted is recorded all the same."""
    journal = open_journal()
    first = journal.claim(0)
    journal._wait()
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

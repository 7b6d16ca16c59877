# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixtures of the tests of the journal."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal import backends
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import Notification, NotificationLog
from ansible_collections.vonage.vcc.plugins.module_utils._journal.registrations import Registration
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    API,
    SCOPE,
    TTL,
    as_entries,
    database_of,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a" / "b" / "journal.db"


@pytest.fixture
def proxy(postgresql_server):
    """A proxy in front of the PostgreSQL server, which causes faults."""
    from ansible_collections.vonage.vcc.tests.postgresql.proxy import Proxy  # needs psycopg

    with Proxy(postgresql_server) as proxy:
        yield proxy


@pytest.fixture
def url(postgresql_url):
    """The URL of a database with the schema of the journal."""
    Journal(postgresql_url, API, "main", None, 0).close()
    return postgresql_url


@pytest.fixture
def execute(postgresql_server, postgresql_url):
    """Executes a statement as superuser in the database of the test."""
    return lambda statement: postgresql_server.execute(statement, database=database_of(postgresql_url))


@pytest.fixture
def backend(request):
    """The backend of the journal: "sqlite", unless ``both_backends`` says otherwise."""
    return getattr(request, "param", "sqlite")


@pytest.fixture
def journal(request, backend, path):
    """The path or the URL of the journal, which does not exist yet."""
    return request.getfixturevalue("postgresql_url") if backend == "postgresql" else str(path)


@pytest.fixture
def open_store(journal):
    """Opens the same store several times, as processes that share it do."""
    with contextlib.ExitStack() as stack:

        def make(scope=SCOPE, dry_run=False):
            store = backends.open_store(journal, scope, dry_run)
            stack.callback(store.close)
            return store

        yield make


@pytest.fixture
def store(open_store):
    return open_store()


@pytest.fixture
def place():
    """A folder that other users can reach, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def open_journal(journal, clock):
    """Opens the journal, with one scope unless the test gives another, and closes it at the end."""
    with contextlib.ExitStack() as stack:

        def make(path=journal, api_url="https://api.example", account="main", provider=None, ttl=TTL, **others):
            opened = Journal(str(path), api_url, account, provider, ttl, clock=clock, **others)
            stack.callback(opened.close)
            return opened

        yield make


@pytest.fixture
def plan(open_journal):
    """Returns the plan of a task with some ids, which then does nothing."""

    def say(*external_ids, **others):
        journal = open_journal(**others)
        journal.add_all(as_entries(*external_ids))
        found = journal.plan(0)
        journal.close()
        return found

    return say


@pytest.fixture
def claim(open_journal):
    """Returns the claims of a task that dies before it gets VCC's answer."""

    def begin(*external_ids, **others):
        journal = open_journal(**others)
        journal.add_all(as_entries(*external_ids))
        claimed = journal.claim(0)
        journal.close()
        return claimed

    return begin


@pytest.fixture
def release(open_journal):
    """Returns the claims of a task whose calls VCC accepts."""

    def complete(*external_ids, **others):
        journal = open_journal(**others)
        journal.add_all(as_entries(*external_ids))
        claimed = journal.claim(0)
        journal.accept([one for one in claimed if not one.confirmed])
        journal.close()
        return claimed

    return complete


@pytest.fixture
def keep(journal, clock):
    """Puts interactions into the journal, accepted unless the test says pending."""

    def do(*external_ids, action="release", pending=False, provider=None, account="main", api_url=API):
        opened = Journal(journal, api_url, account, provider, 0, action=action, clock=clock)
        with contextlib.closing(opened):
            opened.add_all([Entry(one, one, f"key-{action}-{one}-{provider}-{account}") for one in external_ids])
            claimed = opened.claim(0)
            if not pending:
                opened.accept(claimed)

    return do


@pytest.fixture
def enrol(journal, clock):
    """Puts a registration into the journal."""

    def do(name, accepted=True):
        with contextlib.closing(Registration(journal, API, "main", name, clock=clock)) as registration:
            registration.begin()
            if accepted:
                registration.accept({"endpoint": "x"})

    return do


@pytest.fixture
def maintenance(journal, clock):
    with contextlib.ExitStack() as stack:

        def make(dry_run=True):
            opened = JournalMaintenance(journal, dry_run, clock)
            stack.callback(opened.close)
            return opened

        yield make


@pytest.fixture
def note(journal, clock):
    """Records notifications, given as ``(kind, external id, notification id)``, and returns the changes."""

    def do(*given, dry_run=False, provider=None, account="main", api_url=API):
        with contextlib.closing(NotificationLog(journal, api_url, account, provider, dry_run, clock)) as notes:
            return notes.record([Notification(*one) for one in given])

    return do

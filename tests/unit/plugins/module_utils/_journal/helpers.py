# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers of the tests of the journal: rows, entries, messages and contents."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import subprocess

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import Row, Scope
from ansible_collections.vonage.vcc.plugins.module_utils._location import is_url
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import snapshot

TTL = 86400
YEAR = 365 * TTL

ROOT = os.geteuid() == 0
NOBODY = 65534

as_root = pytest.mark.skipif(not ROOT, reason="only root can act as other users")

API = "https://api.example"

# The journal of the test is a file, and then a database.
both_backends = pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)

# The counts of pruning if nothing is old.
NOTHING_OLD = {"interactions": 0, "notifications": 0, "request_ids": 0, "outcomes": 0, "runs": 0}

# Rows and scopes of the tests of stores.
NOW = 1_800_000_000.0
SCOPE = Scope(API, "main", "")
OTHERS = [SCOPE._replace(provider="tickets"), SCOPE._replace(account="second"), SCOPE._replace(api_url="https://x")]
PENDING = Row(11, "a", "release", "key-a", NOW)
ACCEPTED = Row(12, "b", "dispatch", "key-b", NOW, NOW + 1)

# The longest ids. They are random, because an index accepts a long text that can be compressed.
LONG = ["".join(random.Random(seed).choices(list(map(chr, range(0x20000, 0x2A000))), k=1024)) for seed in range(3)]


def rows(*external_ids, claim=100):
    """Return new rows with consecutive ids."""
    return [Row(claim + number, each, "release", f"key-{each}", NOW) for number, each in enumerate(external_ids)]


def put(store, *new):
    """Put new rows into a store."""
    return store.swap([(None, row) for row in new])


def as_entries(*external_ids):
    """Return entries for these ids. A pair consists of external id and request id."""
    pairs = [one if isinstance(one, tuple) else (one, None) for one in external_ids]
    return [Entry(f"entry {number}", *pair) for number, pair in enumerate(pairs, 1)]


def refusal(act, *arguments, kind=JournalError, **others):
    with pytest.raises(kind) as caught:
        act(*arguments, **others)
    return str(caught.value)


def release_at(path, *external_ids):
    with contextlib.closing(Journal(str(path), "https://api.example", "main", None, 86400)) as journal:
        journal.add_all([Entry("", one) for one in external_ids])
        journal.accept(journal.claim(0))


def refusal_at(path, dry_run=False):
    with pytest.raises(JournalError) as caught:
        Journal(str(path), "https://api.example", "main", None, 86400, dry_run=dry_run).close()
    said = str(caught.value)
    assert said.startswith(f"The journal {path} ")
    assert "another file" not in said
    return said


def mount(*arguments):
    if subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")


HOLDING = """
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
journal = Journal(sys.argv[1], "https://api.example", "main", None, 86400, clock=lambda: 1_800_000_000)
journal.add_all([Entry("", "a")])
print(journal.claim(0)[0].request_id, flush=True)
input()
"""


def database_of(url):
    """Return the name of the database of a URL."""
    return url.partition("?")[0].rpartition("/")[2]


def with_user(url, user):
    """Return a URL of the server of the tests for another user."""
    return url.replace("postgres@", f"{user}@", 1)


def recorded(journal):
    """Return the ids of the notifications that a journal has."""
    if not is_url(journal):
        with contextlib.closing(sqlite3.connect(journal)) as db:
            return [each for (each,) in db.execute("SELECT id FROM notification ORDER BY id")]
    import psycopg

    with contextlib.closing(psycopg.connect(journal)) as db:
        return [each for (each,) in db.execute("SELECT id FROM vcc_journal.notification ORDER BY id")]


def contents(journal, folder):
    """Return the complete content of the folder of a journal, or of its database."""
    return database_contents(journal) if is_url(journal) else snapshot(folder)


def database_contents(url):
    """Return the content of a database: its relations, and the rows of the journal with the transaction that wrote them."""
    import psycopg  # not every Python that runs tests has it

    with contextlib.closing(psycopg.connect(url)) as db:
        relations = db.execute("SELECT oid::regclass::text, relkind FROM pg_class WHERE oid >= 16384").fetchall()
        tables = [name for name, kind in relations if kind == "r"]
        return {**dict(relations), **{name: db.execute(f"SELECT xmin, * FROM {name}").fetchall() for name in tables}}

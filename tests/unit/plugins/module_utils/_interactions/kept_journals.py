# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a generated history, in a file or in a database, with its rows and a value that shows any change."""

from __future__ import annotations

import contextlib
import sqlite3

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import snapshot
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.generated_tasks import Row

ROWS = """
SELECT account, provider, {external_id}, action, request_id, {requested_at}, {accepted_at}
FROM {schema}interaction AS row JOIN {schema}scope AS scope ON scope.id = row.scope
"""

IN_FILE = {"schema": "", "external_id": "external_id", "requested_at": "asked", "accepted_at": "accepted"}

IN_DATABASE = {
    "schema": "vcc_journal.",
    "external_id": "coalesce(long_external_id, external_id)",
    "requested_at": "requested_at",
    "accepted_at": "accepted_at",
}

# Each table and sequence with its rows, their places and the transactions that wrote them.
STATE = """
SELECT relname, query_to_xml(format('SELECT xmin, ctid, * FROM vcc_journal.%I', relname), true, false, '')::text
FROM pg_class WHERE relnamespace = to_regnamespace('vcc_journal') AND relkind IN ('r', 'S') ORDER BY relname
"""


class KeptFile:
    """A journal in a file. ``location`` is its path; nothing else is in its folder."""

    def __init__(self, path):
        path.parent.mkdir()
        self._path = path
        self.location = str(path)

    def close(self):
        """Do nothing, because the file is removed with its folder."""

    def exists(self):
        """Return whether there is a journal."""
        return self._path.exists()

    def lose(self):
        """Remove the journal."""
        self._path.unlink(missing_ok=True)

    def state(self):
        """Return a value that differs after any change of the journal."""
        return snapshot(self._path.parent)

    def rows(self):
        """Return the row of each interaction by scope and external id."""
        if not self.exists():
            return {}
        with contextlib.closing(sqlite3.connect(self._path)) as db:
            return _by_interaction(db.execute(ROWS.format(**IN_FILE)))


class KeptDatabase:
    """A journal in a database. It begins without the rows of an earlier history. ``location`` is its URL."""

    def __init__(self, url):
        import psycopg  # pylint: disable=import-outside-toplevel

        self.location = url
        self._db = psycopg.connect(url, autocommit=True)
        self.lose()

    def close(self):
        """Close the connection."""
        self._db.close()

    def exists(self):
        """Return whether there is a journal."""
        return self._db.execute("SELECT to_regnamespace('vcc_journal') IS NOT NULL").fetchone()[0]

    def lose(self):
        """Remove the journal."""
        self._db.execute("SET client_min_messages = warning")
        self._db.execute("DROP SCHEMA IF EXISTS vcc_journal CASCADE")

    def state(self):
        """Return a value that differs after any change of the journal."""
        return self._db.execute(STATE).fetchall()

    def rows(self):
        """Return the row of each interaction by scope and external id."""
        return _by_interaction(self._db.execute(ROWS.format(**IN_DATABASE))) if self.exists() else {}


def _by_interaction(found):
    return {((account, provider or None), external_id): Row(*row) for account, provider, external_id, *row in found}

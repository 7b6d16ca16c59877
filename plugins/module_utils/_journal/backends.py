# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backends of the journal, and the choice between them."""

from __future__ import annotations

import typing as t

from .._location import is_url
from .sqlite import SqliteStore
from .store import Scope, Store


def open_store(journal: str, scope: Scope | None, dry_run: bool = False, show_only: bool = False) -> Store:
    """Open the store of a journal. Raises JournalError if it cannot be used.

    :param journal: the path of a file or the URL of a database; empty for a store that ends with the task.
    :param scope: None for the methods for all scopes alone.
    :param dry_run: change nothing.
    :param show_only: only show its contents, even if another user may have written it.
    """
    if is_url(journal):
        # Imported only if needed, because psycopg takes a while to import.
        from .postgresql import PostgresqlStore  # pylint: disable=import-outside-toplevel

        return PostgresqlStore(journal, scope, dry_run)
    return SqliteStore(journal, scope, dry_run, show_only)


def missing_library(journal: t.Any) -> tuple[str, str] | None:
    """Return the name of a library that a journal needs and that cannot be imported, with the traceback; else None."""
    if isinstance(journal, str) and is_url(journal):
        from .postgresql_connection import PSYCOPG_IMPORT_ERROR  # pylint: disable=import-outside-toplevel

        if PSYCOPG_IMPORT_ERROR:
            return "psycopg", PSYCOPG_IMPORT_ERROR
    return None

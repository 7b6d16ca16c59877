# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal's file: a SQLite database that only its owner can read, its tables, and how it fails."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import time
import typing as t
from urllib.parse import quote

from .errors import JournalError
from .files import check_folder_for, make_folder_for

try:
    import sqlite3

    SQLITE_IMPORT_ERROR: str | None = None
except ImportError:
    import traceback

    SQLITE_IMPORT_ERROR = traceback.format_exc()

APPLICATION_ID = 0x56434331

# Seconds to wait for another process that writes to the journal.
BUSY_TIMEOUT = 60

# Rows that one statement writes, which is much quicker than one at a time. Old versions of SQLite take 999 values.
ROWS_AT_ONCE = 100

# The id of an interaction's row is that of a claim: a new claim is a new row, and no id is ever used again.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS scope (
    id INTEGER PRIMARY KEY,
    api_url TEXT NOT NULL,
    account TEXT NOT NULL,
    provider TEXT NOT NULL,
    UNIQUE (api_url, account, provider)
);
CREATE TABLE IF NOT EXISTS interaction (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope INTEGER NOT NULL REFERENCES scope (id),
    external_id TEXT NOT NULL,
    action TEXT NOT NULL,
    request_id TEXT NOT NULL,
    asked REAL NOT NULL,
    accepted REAL,
    UNIQUE (scope, external_id)
);
CREATE TABLE IF NOT EXISTS registration (
    scope INTEGER PRIMARY KEY REFERENCES scope (id),
    key BLOB NOT NULL,
    settings TEXT NOT NULL,
    asked REAL NOT NULL,
    accepted REAL
);
CREATE TABLE IF NOT EXISTS notification (
    scope INTEGER NOT NULL REFERENCES scope (id),
    id TEXT NOT NULL,
    noted REAL NOT NULL,
    PRIMARY KEY (scope, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS own_request (
    scope INTEGER NOT NULL REFERENCES scope (id),
    request_id TEXT NOT NULL,
    external_id TEXT,
    action TEXT NOT NULL,
    asked REAL NOT NULL,
    PRIMARY KEY (scope, request_id)
) WITHOUT ROWID;
"""
SCHEMA_VERSION = 3


class JournalFile:
    """The journal of all scopes.

    :arg path: the file; empty for a journal that ends with the task.
    :arg predict: read an existing file and make none, change nothing.
    :arg clock: seconds of the epoch.
    Every method raises JournalError for a file that cannot be used.
    """

    def __init__(self, path: str, predict: bool = False, clock: t.Callable[[], float] = time.time) -> None:
        self.path = os.path.abspath(path) if path else ""
        self._clock = clock
        with self._failing():
            self._db = self._open(predict)

    def close(self) -> None:
        self._db.close()

    def _open(self, predict: bool) -> sqlite3.Connection:
        path = self.path
        if predict and path and not os.path.lexists(path):
            check_folder_for(path)
            path = ""
        if path:
            if os.path.islink(path):
                raise JournalError(f"The journal {path} is a symbolic link: set the option journal to the file itself.")
            if not predict:
                make_folder_for(path)
            # SQLite gives the files beside the journal the mode of the journal.
            os.close(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (0 if predict else os.O_CREAT), 0o600))
            if predict and not os.path.getsize(path):
                path = ""
        if predict and path:
            db = _read_only(path)
        else:
            db = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
        try:
            self._prepare(db, writable=not (predict and path))
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection, writable: bool) -> None:
        empty = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not empty and db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise JournalError(
                f"{self.path} is a database, but no journal of this collection: set the option journal to another file."
            )
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise JournalError(
                f"The journal {self.path} was written by another version of this collection (schema {version}, this one knows {SCHEMA_VERSION}):"
                " install that version, or set the option journal to another file."
            )
        if not writable:
            if not version:
                db.executescript(_SCHEMA.replace("CREATE TABLE", "CREATE TEMP TABLE"))
            return
        db.execute("PRAGMA synchronous = FULL")
        if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            _patiently(lambda: db.execute("PRAGMA journal_mode = WAL"))
        if not version:
            db.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )

    @contextlib.contextmanager
    def _failing(self) -> t.Iterator[None]:
        """Turn what SQLite and the file system raise into the sentence for the user."""
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as exc:
            why = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
            where = f"The journal {self.path}" if self.path else "The temporary journal"
            raise JournalError(
                f"{where} cannot be used ({why}): set the option journal to another file, or make this one and its folder writable and whole."
            ) from None

    @contextlib.contextmanager
    def _writing(self) -> t.Iterator[None]:
        """One transaction, and all of it or nothing."""
        with self._failing():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _write(self, insert: str, row: str, rows: t.Iterable[t.Iterable[t.Any]]) -> None:
        """Write rows with a statement that ends with VALUES.

        :arg row: what stands there for one of them, with a parameter for each of its values.
        """
        rows = iter(rows)
        while some := list(itertools.islice(rows, ROWS_AT_ONCE)):
            self._db.execute(insert + ",".join([row] * len(some)), list(itertools.chain.from_iterable(some)))


class ScopedJournal(JournalFile):
    """The journal of one scope: an API URL, an account and a provider, None for none."""

    def __init__(
        self,
        path: str,
        api_url: str,
        account: str,
        provider: str | None,
        predict: bool = False,
        clock: t.Callable[[], float] = time.time,
    ) -> None:
        super().__init__(path, predict, clock)
        self._scope_key = (api_url, account, provider or "")
        try:
            if not predict:
                # Takes the write lock, so that a journal that cannot be written fails here.
                with self._writing():
                    self._db.execute(
                        "INSERT OR IGNORE INTO scope (api_url, account, provider) VALUES (?, ?, ?)", self._scope_key
                    )
            with self._failing():
                row = self._db.execute(
                    "SELECT id FROM scope WHERE (api_url, account, provider) = (?, ?, ?)", self._scope_key
                ).fetchone()
        except BaseException:
            self.close()
            raise
        self._scope: int | None = row[0] if row else None

    def _replace(
        self, external_id: str | None, action: str, request_id: str | None, asked: float, accepted: float | None
    ) -> None:
        """Write the row of an interaction anew, with an id of its own, by which whoever holds a claim of it can tell."""
        self._db.execute(
            "INSERT OR REPLACE INTO interaction (scope, external_id, action, request_id, asked, accepted) VALUES (?, ?, ?, ?, ?, ?)",
            (self._scope, external_id, action, request_id, asked, accepted),
        )


def _read_only(path: str) -> sqlite3.Connection:
    """Open an existing journal without a trace beside it.

    Without a log beside it, SQLite would make one; told not to, it would not see who writes meanwhile. So it is a copy then that is read.
    """
    while not _has_log(path):
        handle, copy = tempfile.mkstemp(prefix="vcc-journal-")  # mode 0600
        os.close(handle)
        try:
            before = os.stat(path)
            shutil.copyfile(path, copy)
            after = os.stat(path)
            if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size) and not _has_log(path):
                db = sqlite3.connect(f"file:{quote(copy)}?mode=ro&immutable=1", uri=True, isolation_level=None)
                db.execute("PRAGMA schema_version")  # now it has the file open
                return db
        finally:
            os.unlink(copy)
    return sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)


def _has_log(path: str) -> bool:
    """Whether a run that goes on, or has been killed, may have written what is not in the file yet."""
    try:
        return os.path.getsize(path + "-wal") > 0
    except FileNotFoundError:
        return False


def _patiently(act: t.Callable[[], t.Any]) -> None:
    """Do what SQLite refuses at once, rather than after its busy timeout, while another process has the file."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            act()
            return
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of a journal: a SQLite database that only its owner can read, and its tables."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import time
import typing as t
from urllib.parse import quote

with contextlib.suppress(ImportError):  # ``_module`` reports it
    import sqlite3

from .._errors import JournalError
from .._files import check_folder_for, make_file, make_folder_for, untrusted_reason
from .._paths import WRITTEN
from .sqlite_errors import BUSY_TIMEOUT, SqliteErrors

Result = t.TypeVar("Result")

APPLICATION_ID = 0x56434331

# Nanoseconds within which a file system may give two writes the same time; and the same for file systems with times in whole or even seconds.
TICK_NS = 50_000_000
WHOLE_TICK_NS = 2_000_000_000

# Rows that one statement writes, which is much faster than one at a time. Old versions of SQLite allow 999 values.
ROWS_AT_ONCE = 100

# Whether the request id of a row is not made from its id: see ``ClaimIds``. Rows with low ids come from earlier versions.
OTHER_REQUEST = "(id & 1 OR id < 4294967296)"

# The id of a row in ``interaction`` is that of its claim. A new claim has a new id. Withdrawing a claim restores the previous row with its id.
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
    unanswered INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, request_id)
) WITHOUT ROWID;
"""

# The outcome of each interaction, with its attempt and run. Values that all interactions of an attempt share are stored once. Rows of a run lie together in
# the order of writing, so that writing them is cheap. There is no other index.
_HISTORY = """
CREATE TABLE IF NOT EXISTS run (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    started REAL NOT NULL,
    reason TEXT,
    job_id TEXT
);
CREATE TABLE IF NOT EXISTS attempt (
    run INTEGER NOT NULL REFERENCES run (id),
    number INTEGER NOT NULL,
    scope INTEGER NOT NULL REFERENCES scope (id),
    action TEXT NOT NULL,
    state TEXT NOT NULL,
    at REAL NOT NULL,
    call INTEGER,
    message TEXT NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outcome (
    run INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    id INTEGER NOT NULL,
    external_id TEXT,
    request_id TEXT,
    PRIMARY KEY (run, attempt, id)
) WITHOUT ROWID;
"""

SCHEMA_VERSION = 3

# A journal of an earlier version of this collection lacks this column. That version can still use the journal with it.
_ADD_COLUMN = "ALTER TABLE own_request ADD COLUMN unanswered INTEGER NOT NULL DEFAULT 0"

# Indexes that keep the time of a task from growing with the journal. Most rows are in none of them, so they cost little.
_INDEXES = {
    "pending": "interaction (id) WHERE accepted IS NULL",
    "dispatch": "interaction (id) WHERE action = 'dispatch'",
    "other_request": f"interaction (request_id) WHERE {OTHER_REQUEST}",
}


class JournalFile(SqliteErrors):
    """A journal as a SQLite file.

    :param path: the file; empty for a journal that ends with the task.
    :param dry_run: read an existing file, and change nothing. It fails if a run that changes something would fail.
    :param show_only: only show the contents, even of a file that other users may have written or that this user cannot write.
    Every method raises JournalError for a file that cannot be used.
    """

    def __init__(self, path: str, dry_run: bool = False, show_only: bool = False) -> None:
        super().__init__(os.path.abspath(path) if path else "", show_only)
        self.created = False
        self._version: tuple[int, ...] | None = None
        with self.wrap_errors():
            self._db = self._open(dry_run)

    @property
    def db(self) -> sqlite3.Connection:
        """The connection. ``read`` replaces it if it opens the file again."""
        return self._db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _open(self, dry_run: bool) -> sqlite3.Connection:
        path = self.path
        if dry_run and path and not os.path.lexists(path):
            check_folder_for(path)
            path = ""
        if path:
            if os.path.islink(path):
                raise JournalError(
                    f"The journal {path} is a symbolic link: set the option {self.option} to the file itself."
                )
            if not dry_run:
                make_folder_for(path, shared=True)
                # SQLite gives the files beside the journal the mode of the journal.
                make_file(path)
            self._check_file()
            if dry_run and not os.path.getsize(path):
                path = ""
        if dry_run and path:
            return self._open_read_only()
        return self._opened(sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None), True)

    def _opened(self, db: sqlite3.Connection, writable: bool) -> sqlite3.Connection:
        try:
            self._prepare(db, writable)
        except BaseException:
            db.close()
            raise
        return db

    def _check_file(self) -> None:
        """Check that the journal is a file, and that no other user has written it or a file beside it."""
        flags = (os.O_RDONLY if self._show_only else os.O_RDWR) | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(self.path, flags)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise JournalError(
                    f"The journal {self.path} cannot be used (it is not a regular file): {self.path_remedy}."
                )
        finally:
            os.close(handle)
        for ending in ("", *WRITTEN["journal"]):
            why = ""
            if not self._show_only:
                with contextlib.suppress(FileNotFoundError):
                    why = untrusted_reason(self.path + ending)
            if why:
                raise JournalError(
                    f"The journal {self.path} cannot be used ({self.path + ending if ending else 'it'} {why}, so its content may be false):"
                    f" {_remedy(why)}."
                )

    def _open_read_only(self) -> sqlite3.Connection:
        """Open the file for reading.

        Without a log beside the file, SQLite would create one. ``immutable`` prevents that, but hides the writes of other processes; ``read`` sees them.
        """
        while True:
            log = _has_log(self.path)
            version = None if log else _settled_version(self.path)
            uri = f"file:{quote(self.path)}?mode=ro{'' if log else '&immutable=1'}"
            db = self._opened(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None), False)
            if log or not _has_log(self.path):
                self._version = version
                return db
            db.close()

    def read(self, read: t.Callable[[], Result]) -> Result:
        """Return what ``read`` reads from the file. Read again if another process has written to it meanwhile in a way that SQLite does not see."""
        with self.wrap_errors():
            while True:
                try:
                    found = read()
                except sqlite3.Error:
                    if self._is_current():
                        raise
                else:
                    if self._is_current():
                        return found
                self._db.close()
                self._db = self._open_read_only()

    def _is_current(self) -> bool:
        """Return whether SQLite itself sees the writes of others, or there were none."""
        return self._version is None or (_version(self.path) == self._version and not _has_log(self.path))

    def _prepare(self, db: sqlite3.Connection, writable: bool) -> None:
        """Check that the file is a journal. Create the tables in an empty file."""
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        if names and db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise JournalError(
                f"The journal {self.path} cannot be used (it is a database, but not a journal of this collection): {self.path_remedy}."
            )
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise JournalError(
                f"The journal {self.path} was written by another version of this collection (schema {version}; this version uses schema {SCHEMA_VERSION}):"
                " run the task with the other version."
            )
        if not writable:
            if not version:
                db.executescript((_SCHEMA + _HISTORY).replace("CREATE TABLE", "CREATE TEMP TABLE"))
                return
            if not _has_column(db):
                db.execute("CREATE TEMP VIEW own_request AS SELECT *, 0 AS unanswered FROM main.own_request")
            if "outcome" not in names:
                db.executescript(_HISTORY.replace("CREATE TABLE", "CREATE TEMP TABLE"))
            return
        db.execute("PRAGMA synchronous = FULL")
        if not names:
            # So that pruning can make the file smaller. It takes effect in a new file only.
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            _retry_while_locked(lambda: db.execute("PRAGMA journal_mode = WAL"))
        if not version:
            self.created = bool(self.path)
            db.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} {_HISTORY} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
        elif "outcome" not in names:
            # A journal of an earlier version of this collection lacks the history too.
            db.executescript(f"BEGIN IMMEDIATE; {_HISTORY} COMMIT;")
        for name, definition in _INDEXES.items():
            if name not in names:
                db.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {definition}")
        if not _has_column(db):
            db.execute("BEGIN IMMEDIATE")
            if not _has_column(db):  # another process may have added it meanwhile
                db.execute(_ADD_COLUMN)
            db.execute("COMMIT")

    @contextlib.contextmanager
    def transaction(self) -> t.Iterator[None]:
        """Run the block as one transaction, all or nothing. A transaction within another one is part of the outer one."""
        if self._db.in_transaction:
            yield
            return
        with self.wrap_errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def insert(db: sqlite3.Connection, statement: str, row: str, rows: t.Iterable[t.Sequence[t.Any]]) -> int:
    """Insert rows with a statement that ends with VALUES, and return the number of inserted rows.

    :param row: the SQL of one of them, with a parameter for each of its values.
    """
    rows = iter(rows)
    inserted = 0
    while block := list(itertools.islice(rows, ROWS_AT_ONCE)):
        values = list(itertools.chain.from_iterable(block))
        inserted += db.execute(statement + ",".join([row] * len(block)), values).rowcount
    return inserted


def _has_column(db: sqlite3.Connection) -> bool:
    return any(column[1] == "unanswered" for column in db.execute("PRAGMA table_info(own_request)"))


def _remedy(why: str) -> str:
    """Return the remedy for a file that ``untrusted_reason`` refuses."""
    if why.startswith("can be written"):
        return "check the journal with vonage.vcc.vcc_journal_info, and run chmod o-w on that file if its content is correct"
    if why.startswith("belongs"):
        return "run the task as that user, or share the journal with a group of the user who runs the task, as the documentation of the option journal says"
    return "find out who made it, and put the real file in its place, or remove it if there is no real file"


def _version(path: str) -> tuple[int, ...]:
    """Return values that change with each write to a file: its identity, time and size."""
    info = os.stat(path)
    return info.st_dev, info.st_ino, info.st_mtime_ns, info.st_size


def _settled_version(path: str) -> tuple[int, ...]:
    """Return the version of a file once its time is so old that any later write changes it. Times of files advance in ticks."""
    while True:
        version = _version(path)
        tick = TICK_NS if version[2] % 1_000_000_000 else WHOLE_TICK_NS
        age = time.clock_gettime_ns(time.CLOCK_REALTIME) - version[2]
        if not 0 <= age < tick:
            return version
        time.sleep((tick - age) / 1e9)


def _has_log(path: str) -> bool:
    """Return whether the log may have rows that are not in the file yet, from another run or from a killed one."""
    try:
        return os.path.getsize(path + "-wal") > 0
    except FileNotFoundError:
        return False


def _retry_while_locked(act: t.Callable[[], t.Any]) -> None:
    """Retry an action that SQLite refuses at once, without its busy timeout, while another process has the file."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            act()
            return
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)

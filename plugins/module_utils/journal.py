# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: what was asked of VCC and what it accepted, in a SQLite file.

A row says which C(request_id) an interaction's last action was asked with, and when VCC accepted it (NULL while pending). Rows are durable before
their call is made, so whoever finds one pending can repeat the call with the same C(request_id), of which VCC processes only the first.

The worklist, the interactions that the current task asks for, is a temporary table beside it: it drops duplicates without holding the
task's input in memory.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
import typing as t
from urllib.parse import quote

from .errors import InputError, JournalError
from .files import check_folder_for, make_folder_for

try:
    import sqlite3

    SQLITE_IMPORT_ERROR: str | None = None
except ImportError:
    import traceback

    SQLITE_IMPORT_ERROR = traceback.format_exc()

if t.TYPE_CHECKING:
    from .options import Entry

APPLICATION_ID = 0x56434331
SCHEMA_VERSION = 1

# Seconds to wait for another process that writes to the journal.
BUSY_TIMEOUT = 60

# Interactions that are looked up and claimed in one transaction.
CHUNK = 1000

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS scope (
    id INTEGER PRIMARY KEY,
    api_url TEXT NOT NULL,
    account TEXT NOT NULL,
    provider TEXT NOT NULL,
    UNIQUE (api_url, account, provider)
);
CREATE TABLE IF NOT EXISTS interaction (
    scope INTEGER NOT NULL REFERENCES scope (id),
    external_id TEXT NOT NULL,
    action TEXT NOT NULL,
    request_id TEXT NOT NULL,
    asked REAL NOT NULL,
    accepted REAL,
    PRIMARY KEY (scope, external_id)
) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""

_WORKLIST = """
CREATE TEMP TABLE work (
    seq INTEGER PRIMARY KEY,
    external_id TEXT NOT NULL UNIQUE,
    request_id TEXT UNIQUE
);
"""


class Interaction(t.NamedTuple):
    """One interaction of the worklist and what the journal says of it.

    :arg seq: its place among the distinct interactions that were asked for, from 1.
    :arg request_id: to ask with, or asked with; None if it is yet to be made.
    :arg proven: the journal proves that VCC accepted it; nothing is left to do.
    :arg pending: it was asked for before, and VCC's answer is not known.
    """

    seq: int
    external_id: str
    request_id: str | None
    proven: bool
    pending: bool


class Journal:
    """The journal of one scope: an API URL, an account and a provider.

    :arg path: the file; empty for a journal that ends with the task.
    :arg ttl: seconds for which a row says something; 0 for ever. An older one counts as no row.
    :arg force: whether to ask again for what is proven or pending, with a new request id.
    :arg predict: read an existing file and make none, change nothing.
    :arg clock: seconds of the epoch.
    """

    def __init__(
        self,
        path: str,
        api_url: str,
        account: str,
        provider: str | None,
        ttl: int,
        force: bool = False,
        predict: bool = False,
        clock: t.Callable[[], float] = time.time,
    ) -> None:
        self.path = os.path.abspath(path) if path else ""
        self._ttl = ttl
        self._force = force
        self._clock = clock
        self._scope_key = (api_url, account, provider or "")
        self._scope: int | None = None
        with self._failing():
            self._db = self._open(predict)

    def close(self) -> None:
        self._db.close()

    def want(self, entries: t.Iterable[Entry]) -> int:
        """Put entries on the worklist; plain duplicates count once. Return how many distinct interactions it holds.

        Raises InputError for an interaction that is asked for with two request ids, and for a request id that stands for two interactions.
        """
        with self._failing():
            self._db.execute("BEGIN")
            for own_id, group in itertools.groupby(entries, lambda entry: entry.request_id is not None):
                if own_id:
                    for entry in group:
                        self._want_with_request_id(entry)
                else:
                    self._db.executemany(
                        "INSERT OR IGNORE INTO temp.work (external_id) VALUES (?)",
                        ((entry.external_id,) for entry in group),
                    )
            self._check_request_ids()
            self._db.execute("COMMIT")
            wanted: int = self._db.execute("SELECT count(*) FROM temp.work").fetchone()[0]
            if wanted > CHUNK:
                # A damaged page has to show before the first call, not at the chunk that needs it.
                (verdict,) = self._db.execute("PRAGMA main.quick_check(1)").fetchone()
                if verdict != "ok":
                    raise sqlite3.DatabaseError(verdict)
            return wanted

    def look_up(self, after: int) -> list[Interaction]:
        """Return the next chunk of the worklist behind place C(after), in order; empty at its end. Writes nothing."""
        with self._failing():
            return self._look_up(after)

    def claim(self, after: int) -> list[Interaction]:
        """Return the same chunk with a request id for all that is to be sent, durably noted as pending.

        Of two processes at once, the second finds the first one's request ids, or its proof.
        """
        with self._failing(), _transaction(self._db):
            chunk = _with_new_ids(self._look_up(after))
            now = self._clock()
            self._db.executemany(
                "INSERT INTO interaction (scope, external_id, action, request_id, asked, accepted) VALUES (?, ?, 'release', ?, ?, NULL)"
                " ON CONFLICT (scope, external_id) DO UPDATE SET action = excluded.action, request_id = excluded.request_id,"
                " asked = excluded.asked, accepted = NULL WHERE request_id <> excluded.request_id OR accepted IS NOT NULL",
                [(self._scope, one.external_id, one.request_id, now) for one in chunk if not one.proven],
            )
            return chunk

    def accept(self, interactions: t.Iterable[Interaction]) -> None:
        """Note that VCC has accepted these: from now on they are proven."""
        now = self._clock()
        with self._failing(), _transaction(self._db):
            self._db.executemany(
                "INSERT INTO interaction (scope, external_id, action, request_id, asked, accepted) VALUES (?, ?, 'release', ?, ?, ?)"
                " ON CONFLICT (scope, external_id) DO UPDATE SET action = excluded.action, request_id = excluded.request_id,"
                " accepted = excluded.accepted",
                [(self._scope, one.external_id, one.request_id, now, now) for one in interactions],
            )

    def withdraw(self, interaction: Interaction) -> None:
        """Forget a claim that VCC has refused for good."""
        with self._failing(), _transaction(self._db):
            self._db.execute(
                "DELETE FROM interaction WHERE scope = ? AND external_id = ? AND request_id = ? AND accepted IS NULL",
                (self._scope, interaction.external_id, interaction.request_id),
            )

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
            # Reading the log of a run that goes on, or has been killed, needs its lock file; without a log, SQLite is to make none.
            log = path + "-wal"
            mode = "mode=ro" if os.path.exists(log) and os.path.getsize(log) else "mode=ro&immutable=1"
            db = sqlite3.connect(f"file:{quote(path)}?{mode}", uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)
        else:
            db = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
        try:
            self._prepare(db, read_only=predict and bool(path))
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection, read_only: bool) -> None:
        empty = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not empty and db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise JournalError(
                f"{self.path} is a database, but no journal of this collection: set the option journal to another file."
            )
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise JournalError(
                f"The journal {self.path} was written by a newer version of this collection (schema {version}, this one knows {SCHEMA_VERSION}):"
                " install that version, or set the option journal to another file."
            )
        db.executescript(_WORKLIST)
        if not read_only:
            db.execute("PRAGMA synchronous = FULL")
            if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                _patiently(lambda: db.execute("PRAGMA journal_mode = WAL"))
            if empty:
                db.executescript(_SCHEMA)
            # Takes the write lock, so that a journal that cannot be written fails here.
            with _transaction(db):
                db.execute("INSERT OR IGNORE INTO scope (api_url, account, provider) VALUES (?, ?, ?)", self._scope_key)
        row = db.execute(
            "SELECT id FROM scope WHERE (api_url, account, provider) = (?, ?, ?)", self._scope_key
        ).fetchone()
        self._scope = row[0] if row else None

    def _want_with_request_id(self, entry: Entry) -> None:
        row = self._db.execute(
            "SELECT request_id FROM temp.work WHERE external_id = ?", (entry.external_id,)
        ).fetchone()
        if row and row[0] and row[0] != entry.request_id:
            raise InputError(
                f"{entry.position} asks for '{entry.external_id}' a second time with another request_id: leave one of them."
            )
        try:
            if row:
                self._db.execute(
                    "UPDATE temp.work SET request_id = ? WHERE external_id = ?", (entry.request_id, entry.external_id)
                )
            else:
                self._db.execute(
                    "INSERT INTO temp.work (external_id, request_id) VALUES (?, ?)",
                    (entry.external_id, entry.request_id),
                )
        except sqlite3.IntegrityError:
            raise InputError(
                f"{entry.position} has the request_id '{entry.request_id}' of another interaction, and VCC processes only the first of two:"
                " give each its own."
            ) from None

    def _check_request_ids(self) -> None:
        """A request id that the journal knows for another interaction would be dropped by VCC without a word."""
        if not self._db.execute("SELECT 1 FROM temp.work WHERE request_id IS NOT NULL LIMIT 1").fetchone():
            return
        row = self._db.execute(
            "SELECT work.external_id, work.request_id, interaction.external_id"
            " FROM interaction JOIN temp.work ON work.request_id = interaction.request_id JOIN scope ON scope.id = interaction.scope"
            " WHERE (scope.api_url, scope.account) = (?, ?) AND (interaction.scope <> ? OR interaction.external_id <> work.external_id) LIMIT 1",
            (*self._scope_key[:2], self._scope or 0),
        ).fetchone()
        if row:
            raise InputError(
                f"The request_id '{row[1]}' of '{row[0]}' has been used for '{row[2]}' before, and VCC would ignore it: give each its own."
            )

    def _look_up(self, after: int) -> list[Interaction]:
        now = self._clock()
        rows = self._db.execute(
            "SELECT work.seq, work.external_id, work.request_id, interaction.request_id, interaction.asked, interaction.accepted"
            " FROM temp.work LEFT JOIN interaction ON interaction.scope = ? AND interaction.external_id = work.external_id"
            " WHERE work.seq > ? ORDER BY work.seq LIMIT ?",
            (self._scope, after, CHUNK),
        )
        return [self._judge(now, *row) for row in rows]

    def _judge(
        self,
        now: float,
        seq: int,
        external_id: str,
        own_id: str | None,
        known_id: str | None,
        asked: float | None,
        accepted: float | None,
    ) -> Interaction:
        if known_id is None or asked is None:
            return Interaction(seq, external_id, own_id, proven=False, pending=False)
        # A time far in the future was written by a clock that has been wrong, and says no more than one far in the past.
        fresh = not self._ttl or abs(now - (asked if accepted is None else accepted)) < self._ttl
        pending = fresh and accepted is None
        if not fresh or self._force:
            return Interaction(seq, external_id, own_id, proven=False, pending=pending)
        if pending:
            return Interaction(seq, external_id, own_id or known_id, proven=False, pending=True)
        return Interaction(seq, external_id, known_id, proven=True, pending=False)

    @contextlib.contextmanager
    def _failing(self) -> t.Iterator[None]:
        """Turn what SQLite and the file system raise into the sentence for the user."""
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            why = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
            where = f"The journal {self.path}" if self.path else "The temporary journal"
            raise JournalError(
                f"{where} cannot be used ({why}): set the option journal to another file, or make this one and its folder writable and whole."
            ) from None


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> t.Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _with_new_ids(chunk: list[Interaction]) -> list[Interaction]:
    """Give those that have none a random request id of 32 hex digits."""
    digits = os.urandom(16 * len(chunk)).hex()
    return [
        one if one.request_id else one._replace(request_id=digits[32 * n : 32 * n + 32]) for n, one in enumerate(chunk)
    ]


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

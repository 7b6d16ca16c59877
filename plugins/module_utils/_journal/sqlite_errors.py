# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages for errors of SQLite and of the file system."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import typing as t

try:
    import sqlite3

    SQLITE_IMPORT_ERROR: str | None = None
except ImportError:
    import traceback

    SQLITE_IMPORT_ERROR = traceback.format_exc()

from .._errors import JournalError
from .._locks import holders, waiting_advice
from .store import RESTORE_WARNING

# Seconds to wait for another process that writes to the journal.
BUSY_TIMEOUT = 60

# A file system with fewer free bytes counts as full.
MIN_FREE_BYTES = 256 * 1024

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)

_MISPLACED = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)

# The remedy for damage. It is never to go on without the journal.
_RESTORE = f"restore it with the command .recover of sqlite3, or from a backup; {RESTORE_WARNING}"


class SqliteErrors:
    """Turns errors of SQLite into messages.

    :param path: the file of the journal; empty if it is not in a file of SQLite.
    :param show_only: whether it is read only to show its contents.
    :cvar option: the option that names the file.
    """

    option = "journal"

    def __init__(self, path: str, show_only: bool = False) -> None:
        self.path = path
        self._show_only = show_only

    @property
    def path_remedy(self) -> str:
        """Return the remedy for a path that leads to another file."""
        return f"check the path that the option {self.option} names"

    @contextlib.contextmanager
    def wrap_errors(self) -> t.Iterator[None]:
        """Turn errors of SQLite and of the file system into a JournalError with a sentence for the user."""
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as exc:
            where = f"The journal {self.path}" if self.path else "The temporary journal"
            why, remedy = self._cause(exc)
            raise JournalError(f"{where} cannot be used ({why}): {remedy}.") from None

    def _cause(self, exc: Exception) -> tuple[str, str]:
        """Return why the file cannot be used, and a remedy. The remedy is never another file, because that would repeat everything."""
        number = exc.errno if isinstance(exc, OSError) else None
        why = " ".join(((exc.strerror if isinstance(exc, OSError) else None) or str(exc)).split())
        if "locked" in why:
            found = holders(self.path) or holders(self.path + "-shm")
            why += f"; {found or 'another process'} has been writing to it for {BUSY_TIMEOUT} seconds"
            return why, f"{waiting_advice(found)}; the next run continues its work"
        if number in _FULL or "full" in why:
            return why, f"free some space in {self._full_folders()}"
        if "disk I/O error" in why:
            return (
                why,
                "check whether its disk is full or defective; a journal must not be on a network file system",
            )
        if self._show_only and "unable to open" in why:
            return why, (
                f"copy it and {self.path}-wal to a folder that this user can write to, and show the copy with vonage.vcc.vcc_journal_info"
            )
        if number in _FORBIDDEN or "readonly" in why or "unable to open" in why:
            right = "read access" if self._show_only else "write access"
            files = "it, its folder, and the files there whose names begin with its name"
            return why, f"give the user who runs the task {right} to {files if self.path else _temporary_folder()}"
        if "not a database" in why:
            return why, f"{self.path_remedy}; if the path is correct, the journal is damaged: {_RESTORE}"
        if isinstance(exc, sqlite3.DatabaseError) and not isinstance(exc, sqlite3.OperationalError):
            return why, f"it is damaged, so {_RESTORE}"
        if number in _MISPLACED:
            return why, self.path_remedy
        return why, "correct the cause, and run the task again; the content of the journal is still correct"

    def _full_folders(self) -> str:
        """Return the folders that are full; if none is known to be full, those that may be."""
        folders = {_temporary_folder(): "the folder for temporary files (TMPDIR)"}
        if self.path:
            folders[os.path.dirname(self.path)] = "the folder of the journal"
        names = {folder: f"{folder}, {what}" for folder, what in folders.items()}
        full = [name for folder, name in names.items() if _free_bytes(folder) < MIN_FREE_BYTES]
        return " and in ".join(full or names.values())


def _temporary_folder() -> str:
    """Return the folder in which SQLite keeps temporary files."""
    folders = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"), "/var/tmp", "/usr/tmp", "/tmp")  # noqa: S108
    return next((each for each in folders if each and os.path.isdir(each) and os.access(each, os.W_OK | os.X_OK)), ".")


def _free_bytes(folder: str) -> float:
    """Return the bytes that a file system has left for this user."""
    try:
        info = os.statvfs(folder)
    except OSError:
        return math.inf
    return info.f_bavail * info.f_frsize

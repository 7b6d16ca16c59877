# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of a journal in a file, states that keep a process from using it, and a small disk for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path


class UnreadableError(Exception):
    """The journal cannot be read."""


def rows(journal):
    """Return the rows of a journal by key: provider and external id. Raises UnreadableError."""
    found = _query(journal, "interaction", "SELECT * FROM interaction JOIN scope ON scope.id = interaction.scope")
    return {(row["provider"] or None, row["external_id"]): row for row in found}


def history(journal):
    """Return the outcomes in the history of a journal. Raises UnreadableError."""
    found = _query(
        journal,
        "outcome",
        """
SELECT run_id, reason, provider, external_id, action, state, request_id, call, message
FROM outcome LEFT JOIN attempt ON (attempt.run, attempt.number) = (outcome.run, outcome.attempt)
LEFT JOIN run ON run.id = outcome.run LEFT JOIN scope ON scope.id = attempt.scope
""",
    )
    return [{**outcome, "provider": outcome["provider"] or None} for outcome in found]


def _query(journal, table, query):
    """
    Return the rows of a query as dictionaries, none if a table is missing. Raises UnreadableError.

    This reads a copy beside the folder of the journal, so that the next process finds the journal as it was.
    """
    if not journal.exists():
        return []
    try:
        with tempfile.TemporaryDirectory(dir=journal.parent.parent) as copies:
            for path in (journal, Path(f"{journal}-wal")):
                if path.exists():
                    shutil.copy(path, copies)
            with contextlib.closing(sqlite3.connect(Path(copies) / journal.name)) as db:
                verdict = db.execute("PRAGMA integrity_check").fetchone()[0]
                if verdict != "ok":
                    raise UnreadableError(f"the journal is damaged: {verdict}")
                if not db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
                    return []
                db.row_factory = sqlite3.Row
                return [dict(row) for row in db.execute(query)]
    except sqlite3.Error as exc:
        raise UnreadableError(f"the journal cannot be read: {exc}") from exc


@contextlib.contextmanager
def unusable(journal, reason, user):
    """
    Make a journal unusable while the context lasts, and restore it afterwards.

    :param reason: "read_only", "closed" (its folder), "folder" (in place of the journal) or "garbage"; "usable" changes nothing
    :param user: the user id of the processes, or None if they keep that of this process
    :return: whether processes may still use the journal
    """
    folder, aside = journal.parent, journal.parent.with_name("aside")
    unprivileged = user is not None or os.geteuid() != 0
    if reason in ("read_only", "closed") and not (unprivileged and journal.exists()):
        reason = "folder"
    has_log = folder.exists() and any(path.name != journal.name for path in folder.iterdir())
    if reason == "read_only":
        journal.chmod(0o400)
    elif reason == "closed":
        folder.chmod(0o500)
    elif reason in ("folder", "garbage"):
        folder.rename(aside)
        folder.mkdir(mode=0o755)
        if reason == "folder":
            journal.mkdir()
        else:
            journal.write_bytes(b"no journal " * 1000)
            journal.chmod(0o666)
    try:
        yield reason == "usable" or (reason == "closed" and has_log)
    finally:
        if reason == "read_only":
            journal.chmod(0o600)
        elif reason == "closed":
            folder.chmod(0o755)
        elif reason in ("folder", "garbage"):
            shutil.rmtree(folder)
            aside.rename(folder)


@contextlib.contextmanager
def small_disk(folder, room):
    """
    Mount a small disk in place of a folder while the context lasts; only root can do so.

    :param room: KB that remain on the disk
    :return: whether the disk is mounted
    """
    copy = folder.with_name("copy")
    used = sum(-(-path.stat().st_size // 4096) * 4 for path in folder.iterdir())
    mount = ["mount", "-t", "tmpfs", "-o", f"size={used + room}k", "none", folder]
    subprocess.run(["cp", "-a", folder, copy], check=True)
    mounted = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True, check=False).returncode
    try:
        if mounted:
            subprocess.run(["cp", "-a", f"{copy}/.", folder], check=True)
        yield mounted
        if mounted:
            shutil.rmtree(copy)
            subprocess.run(["cp", "-a", folder, copy], check=True)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)
            shutil.rmtree(folder)
            copy.rename(folder)
        else:
            shutil.rmtree(copy)

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes that hold the lock of a file."""

from __future__ import annotations

import contextlib
import os


def holders(path: str) -> str:
    """Return the other processes that hold a write lock on a file, for a message. Return an empty text if Linux lists none."""
    try:
        inode = os.stat(path).st_ino
        with open("/proc/locks", encoding="ascii", errors="replace") as file:
            locks = [line.split() for line in file if "->" not in line]
    except OSError:
        return ""
    found = {lock[4]: "" for lock in locks if len(lock) > 5 and lock[3] == "WRITE" and lock[5].endswith(f":{inode}")}
    found.pop(str(os.getpid()), None)
    for pid in list(found):
        if not _has_open(pid, path):
            del found[pid]
            continue
        with contextlib.suppress(OSError, IndexError):
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
            name = "".join(char for char in text[text.index("(") + 1 : text.rindex(")")] if char.isprintable())
            state = text[text.rindex(")") :].split()[1]
            found[pid] = f" ({name}{', which is stopped' if state in 'Tt' else ''})"
    return " and ".join(f"process {pid}{what}" for pid, what in found.items())


def waiting_advice(found: str) -> str:
    """Return advice, for a message, on waiting for the processes that ``holders`` has found; ``found`` is empty if there are none."""
    return f"{'' if found else 'find that process with the command fuser, and '}wait until that process ends, or end it"


def _has_open(pid: str, path: str) -> bool:
    """Return whether a process has a file open, because files of two file systems can have the same inode number."""
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):
                if os.path.samefile(f"{folder}/{name}", path):
                    return True
    return False

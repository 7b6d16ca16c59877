# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text in messages and results: limits, control characters, passwords in URLs."""

from __future__ import annotations

import os
import time
import typing as t
import unicodedata

# The maximum length of a text in a message, in characters: an id fits.
SHOWN = 1024

# The maximum length of a message, in characters.
LONGEST_MESSAGE = 10_000

# The maximum number of columns that a message names, and of characters in each name.
COLUMNS = 10
COLUMN_LENGTH = 50

# The replacement for control characters and invalid Unicode.
REPLACEMENT = "\ufffd"


def shown(text: str, limit: int = SHOWN) -> str:
    """Return ``text`` for a message: at most ``limit`` characters, with escapes for those that are not printable."""
    if len(text) <= limit and text.isprintable():
        return text
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: limit + 1])
    return line if len(line) <= limit else line[: limit - 1] + "…"


def shown_names(names: t.Sequence[str]) -> str:
    """Return the first names of a list for a message, and the number of the others."""
    first = ", ".join(shown(name, COLUMN_LENGTH) for name in names[:COLUMNS])
    return first if len(names) <= COLUMNS else f"{first} and {len(names) - COLUMNS} more"


def clean(text: str) -> str:
    """Return ``text`` for a result, without control characters and invalid Unicode."""
    if text.isprintable():
        return text
    return "".join(REPLACEMENT if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def without_user(url: str) -> str:
    """Return a URL with the user and the password masked: all text before the last @, because a password may have any character."""
    scheme, slashes, rest = url.partition("//")
    if not slashes:
        scheme, rest = "", url
    dummy, at, host = rest.rpartition("@")
    return f"{scheme}{slashes}********@{host}" if at else url


def counted(number: int) -> str:
    """Return a number of interactions for a message."""
    return f"{number} {'interaction' if number == 1 else 'interactions'}"


def place(variable: str) -> str:
    """Return the name of an environment variable with the host that it must be set on, for a message."""
    return f"{variable} in the environment of {os.uname().nodename}"


def isoformat_utc(seconds: float) -> str:
    """Return a time in seconds since the epoch as ISO 8601 in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

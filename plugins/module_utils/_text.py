# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that is not the collection's own: how messages show it, how results return it, and what of a URL no output has."""

from __future__ import annotations

import os
import typing as t
import unicodedata

# The most characters of one text that a message shows: an id fits.
SHOWN = 1024

# The most characters of a message.
LONGEST_MESSAGE = 10_000

# The most columns, and characters of each, that a message names.
COLUMNS = 10
COLUMN_LENGTH = 50

# What can stand for a character that cannot be written or that a terminal would obey.
REPLACEMENT = "\ufffd"


def shown(text: str, limit: int = SHOWN) -> str:
    """Return C(text) for a message: other than printable characters as their escapes, and at most C(limit) characters."""
    if len(text) <= limit and text.isprintable():
        return text
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: limit + 1])
    return line if len(line) <= limit else line[: limit - 1] + "…"


def shown_names(names: t.Sequence[str]) -> str:
    """Return the first of many names for a message, and how many more there are."""
    first = ", ".join(shown(name, COLUMN_LENGTH) for name in names[:COLUMNS])
    return first if len(names) <= COLUMNS else f"{first} and {len(names) - COLUMNS} more"


def clean(text: str) -> str:
    """Return C(text) for a result: control characters and what is not valid Unicode are replaced."""
    if text.isprintable():
        return text
    return "".join(REPLACEMENT if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def without_user(url: str) -> str:
    """Return a URL with what may be a user and a password masked: all before the last @, whatever characters a password has."""
    scheme, slashes, rest = url.partition("//")
    if not slashes:
        scheme, rest = "", url
    dummy, at, host = rest.rpartition("@")
    return f"{scheme}{slashes}********@{host}" if at else url


def place(variable: str) -> str:
    """Return a name for an environment variable that says on which host it counts."""
    return f"{variable} in the environment of {os.uname().nodename}"

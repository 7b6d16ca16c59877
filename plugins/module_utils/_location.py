# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a journal is: the path of a file, or the URL of a PostgreSQL database."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import unquote

# libpq takes the word in lower case only.
_URL = re.compile(r"postgres(ql)?://")

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

# What a URL of a journal has to be, for messages.
URL_FORM = "a URL such as postgresql://user@host/database"

# The user and the password of a URL, up to the last @ before its query; and the parameters of the query that are secrets.
_USER = re.compile(r"//([^@?]*?):([^?]*)@")
_SECRET = re.compile(r"([?&])((?:ssl)?password)=([^&]*)")


def is_url(journal: str) -> bool:
    """Return whether a journal is in PostgreSQL."""
    return bool(_URL.match(journal))


def has_scheme(journal: str) -> bool:
    """Return whether a journal looks like a URL, of whatever kind."""
    return bool(_SCHEME.match(journal))


def secrets_of(journal: str | None) -> set[str]:
    """Return the passwords in the URL of a journal, as they stand there and as libpq reads them."""
    if not isinstance(journal, str) or not is_url(journal):
        return set()
    found = [match[2] for match in _USER.finditer(journal)] + [match[3] for match in _SECRET.finditer(journal)]
    return {text for password in found for text in (password, unquote(password)) if text}


def without_password(journal: str) -> str:
    """Return the URL of a journal without passwords; a path as it is."""
    if not is_url(journal):
        return journal
    url = _SECRET.sub(lambda match: match[1], _USER.sub(r"//\1@", journal))
    return re.sub(r"[?&]+$", "", re.sub(r"([?&])&+", r"\1", url))


def backend_of(journal: str) -> t.Literal["none", "postgresql", "sqlite"]:
    """Return the backend of a journal; an empty text is no journal."""
    if not journal:
        return "none"
    return "postgresql" if is_url(journal) else "sqlite"

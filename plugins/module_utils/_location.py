# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a journal is: the path of a file, or the URL of a PostgreSQL database."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import unquote

from ._errors import InputError

# libpq takes the word in lower case only.
_URL = re.compile(r"postgres(ql)?://")

# Texts that are neither a path nor such a URL: another scheme, a URL in quotes or without its colon, a login, or the parameters of libpq. They may have a
# password.
_SCHEME = re.compile(
    r"[\s'\"]*([A-Za-z][A-Za-z0-9+.:-]*://|postgres(ql)?:|postgres(ql)?//|//[^/]*@)|[^/]*:[^/]*@|.*\bpassword\s*=",
    re.IGNORECASE | re.DOTALL,
)

# For messages: the form of a URL of a journal.
URL_FORM = "a URL such as postgresql://user@host/database"

# The user and the password of a URL. The first pattern is that of libpq: up to the first @ before a slash. The second one is for a password in which an @
# or a slash is not written as %XX: up to the last @ before the query.
_LOGINS = (re.compile(r"[^@/:]*:([^@/]*)@"), re.compile(r"[^@:]*:(.*)@", re.DOTALL))

_QUERY = re.compile(r"\?(?=[^?&=@/]+=)")

# The parameters of a query that are not secret. Any other parameter, such as a mistyped or a future one, may be secret.
_HARMLESS = re.compile(
    r"host|hostaddr|port|dbname|user|passfile|service|servicefile|options|(fallback_)?application_name|client_encoding|connect_timeout|tcp_user_timeout"
    r"|keepalives\w*|replication|target_session_attrs|load_balance_hosts|channel_binding|require_?auth|requirepeer|gss\w+|krb\w+|ssl(?!password)\w+"
    r"|\w+_protocol_version"
)


def is_url(journal: str) -> bool:
    """Return whether a journal is in PostgreSQL."""
    return bool(_URL.match(journal))


def has_scheme(journal: str) -> bool:
    """Return whether a journal is meant as a URL or as parameters of a connection, valid or not, rather than as a path."""
    return bool(_SCHEME.match(journal))


def check_scheme(journal: str, path: str = "a path") -> None:
    """Raise InputError for a journal that is meant as a URL, but cannot be a URL of PostgreSQL.

    :param path: for the message: the form of a journal in a file.
    """
    if is_url(journal):
        if not journal.isprintable():
            raise InputError("journal has a character that no URL can have: remove it, or write it as %XX.")
    elif has_scheme(journal):
        raise InputError(f"journal must be {path}, or {URL_FORM}.")


def is_ambiguous(journal: str) -> bool:
    """Return whether libpq reads only a part of the password of a URL, because a character is not written as %XX."""
    start, end = _password(journal)
    return bool(re.search("[@/]", journal[start:end]))


def secrets_of(journal: str | None) -> set[str]:
    """Return the passwords in the URL of a journal, as written and as libpq reads them."""
    if not isinstance(journal, str) or not has_scheme(journal):
        return set()
    start, end = _password(journal)
    found = [journal[start:end], *(value for dummy, value in _parameters(journal)[1])]
    secrets = {text for password in found for text in (password, unquote(password)) if text}
    # In a text that is not a URL, the place of the password is not known, so all of it is secret.
    return secrets or (set() if is_url(journal) else {journal})


def without_password(journal: str) -> str:
    """Return the URL of a journal without passwords, and a path unchanged."""
    if not is_url(journal):
        return journal
    harmless, dummy = _parameters(journal)
    query = _QUERY.search(journal, _password(journal)[1])
    url = journal[: query.start()] + ("?" + "&".join(harmless) if harmless else "") if query else journal
    start, end = _password(journal)
    return url[: start - 1] + url[end:] if start else url


def _password(journal: str) -> tuple[int, int]:
    """Return the begin and the end of the password before the host of a URL; 0 and 0 if there is none."""
    slashes = journal.find("//") + 2
    begin = slashes if slashes > 1 else journal.find(":") + 1
    login = _LOGINS[0].match(journal, begin)
    query = _QUERY.search(journal, login.end() if login else begin)
    login = _LOGINS[1].match(journal, begin, query.start() if query else len(journal)) or login
    return login.span(1) if login else (0, 0)


def _parameters(journal: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the parameters in the query of a URL that are not secret, as written; and the names and values of the others."""
    query = _QUERY.search(journal, _password(journal)[1])
    harmless, others = [], []
    for parameter in journal[query.end() :].split("&") if query else []:
        name, dummy, value = parameter.partition("=")
        if not parameter:
            continue
        if _HARMLESS.fullmatch(unquote(name)):
            harmless.append(parameter)
        else:
            others.append((name, value))
    return harmless, others


def backend_of(journal: str) -> t.Literal["none", "postgresql", "sqlite"]:
    """Return the backend of a journal. An empty text means no journal."""
    if not journal:
        return "none"
    return "postgresql" if is_url(journal) else "sqlite"

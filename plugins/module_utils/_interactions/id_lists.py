# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check lists of ids, one per line. A line that is not an id shows that the file is not a list of ids."""

from __future__ import annotations

import json
import operator
import re

from .._errors import InputError
from .._validation import MAX_ID_LENGTH, check_id

_LIKE_JSON = "looks like JSON, not like an id: set src_format to json or jsonl, or give such ids as CSV"

# The patterns of lines that are not ids, with the message for each. Every other format accepts such an id.
_OTHER_LINES = [
    (re.compile(pattern), message)
    for pattern, message in (
        (
            "#",
            "begins with #, but a list of ids has no comments: remove the line, or give ids that begin with # as CSV",
        ),
        (
            r"""(["'`\u2018\u201a\u201c\u201d\u201e\u00ab\u2039]).*["'`\u2019\u2018\u201c\u201d\u00bb\u203a][,;]?$""",
            "is in quotes, which would count as part of the id: remove them, or give the ids as CSV",
        ),
        (".*[,;]$", "ends with a separator, which would count as part of the id: remove it, or give the ids as CSV"),
        (r"[\[\]{}(),:; ]+$|[\[{]\s*[\"']|\[\s*[{]|\[\s*-?[0-9]+\s*(,|$)", _LIKE_JSON),
        (
            r"<(!|\?|/?[A-Za-z][A-Za-z0-9:-]*(\s[^@]*)?/?>)",
            "looks like HTML or XML, not like an id: check the file, or give such ids as CSV",
        ),
        (r"\$ANSIBLE_VAULT;|-----(BEGIN|END) ", "is part of an encrypted text, not an id: decrypt the file first"),
        (r"(<<<<<<<|>>>>>>>) ", "is a conflict marker of Git, not an id: resolve the conflict first"),
        (
            r"[-*] |---$",
            "looks like YAML or a list with bullets: write only an id in each line, or give the ids as CSV",
        ),
    )
]

# The first and last characters of lines that need a closer look.
_SUSPECT = frozenset(" #$\"'`\u2018\u201a\u201c\u201e\u00ab\u2039()[]{}<>,:;-*")

# Parts of a line that no id has.
_OTHER_PARTS = re.compile(
    r"""external_ids?["']?\s*[:=]"""
    r"|</?(a|b|br|body|div|h[1-6]|head|html|i|li|p|pre|script|span|table|t[dhr]|title|ul)\b[^>]*>|\bENC\[|^age-encryption\.org"
    r"""|^(["']).*\2\s*[,;|\t]""",
    re.IGNORECASE,
)

# Every line that matches ``_OTHER_PARTS`` has one of these, which are quick to search for.
_MARKS = ("external_id", "EXTERNAL_ID", "<", "ENC[", "age-encryption.org", '",', '";', '"|', '"\t', "',", "';")

_first_of = operator.itemgetter(0)

_last_of = operator.itemgetter(-1)


def check_lines(path: str, number: int, lines: list[str], ids: list[str]) -> None:
    """Raise InputError for a line that is not an id.

    :param number: the number of the first line.
    :param ids: the lines that are not blank.
    """
    # Check all lines at once, which is quick. Check each line only if that finds something.
    whole = "".join(ids)
    if (
        not (whole.isascii() and whole.isprintable())
        or max(map(len, ids), default=0) > MAX_ID_LENGTH
        or not _SUSPECT.isdisjoint([*map(_first_of, ids), *map(_last_of, ids)])
        or any(mark in whole for mark in _MARKS)
    ):
        for place, text in enumerate(lines, number):
            if text.strip():
                _check_line(f"src {path}, line {place}", text)


def check_first_line(position: str, text: str) -> None:
    """Raise InputError for the header of a table, in any spelling of external_id."""
    for delimiter, remedy in (
        ("\t", "set src_format to tsv"),
        (",", "set src_format to csv"),
        (";", "save the table with commas between its columns, as .csv"),
        ("|", "save the table with commas between its columns, as .csv"),
    ):
        if "externalid" in (re.sub("[^a-z]", "", cell.lower()) for cell in text.split(delimiter)):
            raise InputError(f"{position} is the header of a table, not an id: {remedy}.")


def _check_line(position: str, text: str) -> None:
    """Raise InputError for a line that is not an id, or that belongs to another kind of file."""
    if text[0] in _SUSPECT or text[-1] in _SUSPECT:
        for pattern, message in _OTHER_LINES:
            if pattern.match(text):
                raise InputError(f"{position} {message}.")
        if text[0] in "[{" and _is_json(text):
            raise InputError(f"{position} {_LIKE_JSON}.")
    if _OTHER_PARTS.search(text):
        raise InputError(
            f"{position} looks like part of a table, a web page or a settings file, not like an id: check the file, or give such ids as CSV."
        )
    check_id(position, text)


def _is_json(text: str) -> bool:
    """Return whether a line is JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of options: ids, names, numbers, URLs and the types that a task gives."""

from __future__ import annotations

import datetime
import ipaddress
import math
import re
import typing as t
import unicodedata
from urllib.parse import urlsplit

from ._errors import InputError
from ._text import shown

# The longest external id or request id, in characters.
MAX_ID_LENGTH = 1024

# The longest reason of a task, in characters.
MAX_REASON_LENGTH = 500

# The maximum of any number: larger than any useful one, and within the range of SQLite and of clocks.
HIGHEST = 10**12

# Invisible characters in categories of visible ones: fillers, the blank of Braille, and variation selectors.
_VARIANTS = frozenset(map(chr, (*range(0x180B, 0x180E), 0x180F, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))

_INVISIBLE = _VARIANTS | frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")

# Printable ASCII without characters that end the path of a URL or that some parsers read as a slash. The second pattern allows a query.
_URL_CHARACTERS = re.compile(r"[!\"$->@-\[\]-~]+")

_URL_CHARACTERS_AND_QUERY = re.compile(r"[!\"$-\[\]-~]+")

_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")

_WITH_USER = "{name} must be a URL without a user and password in it."

# The maximum number of options that a warning names.
NAMED = 5

Spec = t.Mapping[str, t.Mapping[str, t.Any]]


def check_list(name: str, value: t.Any) -> None:
    """Raise InputError for a value that Ansible would convert to a list."""
    if isinstance(value, str):
        raise InputError(
            f"{name} must be a list, not a string: an id may contain commas, so a string is never split at commas."
        )
    if value is not None and not isinstance(value, (list, tuple)):
        raise InputError(f"{name} must be a list.")


def check_raw_ids(args: t.Mapping[str, t.Any]) -> None:
    """Raise InputError for external_ids of a task that are not a list of texts."""
    check_list("external_ids", args.get("external_ids"))
    for index, external_id in enumerate(args.get("external_ids") or ()):
        as_text(f"external_ids[{index}]", external_id)


def check_types(spec: Spec, args: t.Mapping[str, t.Any], prefix: str = "") -> None:
    """Raise InputError for a value that breaks Ansible's own conversion: an infinite or huge number, or anything but a dictionary."""
    for position, option, value in walk(spec, args, prefix):
        if option["type"] == "int":
            _check_finite(position, value)
        elif option["type"] == "dict" and "options" in option and not isinstance(value, (t.Mapping, str, type(None))):
            raise InputError(f"{position} must be a dictionary.")


def check_texts(spec: Spec, args: t.Mapping[str, t.Any], prefix: str = "") -> None:
    """Raise InputError for an option of the type str that is neither text nor an integer."""
    for position, option, value in walk(spec, args, prefix):
        if option["type"] == "str" and "choices" not in option and (value is not None or option.get("required")):
            as_text(position, value)


def number_warnings(spec: Spec, args: t.Mapping[str, t.Any]) -> list[str]:
    """Return a list with a warning if options of the type str have numbers, which YAML may have changed; otherwise an empty list."""
    found = [
        position if option.get("no_log") else f"{position} as '{value}'"
        for position, option, value in walk(spec, args)
        if option["type"] == "str" and isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    if not found:
        return []
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return [
        f"A number without quotes is used as text: {', '.join(found[:NAMED])}{more}."
        " Put it in quotes, since YAML reads 0123 as 83 and 12:30:45 as 45045."
    ]


def secret_texts(spec: Spec, args: t.Mapping[str, t.Any]) -> set[str]:
    """Return the texts and numbers in the options with ``no_log``, as text."""
    found: set[str] = set()
    values = [value for dummy, option, value in walk(spec, args) if option.get("no_log")]
    while values:
        value = values.pop()
        if isinstance(value, t.Mapping):
            values.extend(value.values())
        elif isinstance(value, (list, tuple)):
            values.extend(value)
        elif value and not isinstance(value, bool):
            found.add(str(value))
    return found


def walk(
    spec: Spec, args: t.Mapping[str, t.Any], prefix: str = ""
) -> t.Iterator[tuple[str, t.Mapping[str, t.Any], t.Any]]:
    """Yield (position, option, value) for each option that is set, each element of a list, and each option within those.

    :param prefix: text before each position. A position is a path such as ``interactions[0].request_id``.
    """
    for name, option in spec.items():
        if name not in args:
            continue
        position, value = prefix + name, args[name]
        yield position, option, value
        if isinstance(value, t.Mapping):
            yield from walk(option.get("options", {}), value, f"{position}.")
        elif isinstance(value, (list, tuple)) and "options" in option:
            for index, element in enumerate(value):
                if isinstance(element, t.Mapping):
                    yield from walk(option["options"], element, f"{position}[{index}].")
        elif isinstance(value, (list, tuple)) and "elements" in option:
            of_element = {"type": option["elements"], "no_log": option.get("no_log", False)}
            for index, element in enumerate(value):
                yield f"{position}[{index}]", of_element, element


def _check_finite(position: str, value: t.Any) -> None:
    """Raise InputError for a number that Ansible cannot convert to a whole number."""
    if not isinstance(value, (float, str)):
        return
    try:
        if math.isfinite(float(value)):
            return
    except ValueError:
        return
    # Ansible would convert "1e999999999" to an integer with all its digits, which takes hours.
    if isinstance(value, str) and any(map(str.isdigit, value)):
        raise InputError(f"{position} must be a number with fewer digits.")
    raise InputError(f"{position} must be a finite number, not {shown(str(value))}.")


def is_loopback(url: str) -> bool:
    """Return whether the host of ``url`` is the loopback."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_data(prefix: str, fields: t.Mapping[str, t.Any]) -> None:
    """Check the names and numbers in linked_data and routing_data. Raises InputError.

    :param prefix: text before each position.
    """
    for index, link in enumerate(fields["linked_data"] or ()):
        check_name(f"{prefix}linked_data[{index}].type", link["type"])
    routing = fields["routing_data"] or {}
    queue = routing.get("personal_queue")
    if queue:
        check_name(f"{prefix}routing_data.personal_queue.agent", queue["agent"])
        for name in ("logged_in_timeout", "logged_out_timeout"):
            check_number(queue, name, 0, prefix=f"{prefix}routing_data.personal_queue.")
    for index, skill in enumerate(routing.get("skills") or ()):
        check_name(f"{prefix}routing_data.skills[{index}].name", skill["name"])
        check_number(skill, "expiry_after", 0, prefix=f"{prefix}routing_data.skills[{index}].")


def check_name(position: str, value: t.Any) -> str:
    """Return a name as text. Raise InputError for a name that nothing in VCC can have."""
    return check_id(position, value, "give a name", "a name")


def check_id(
    position: str,
    value: t.Any,
    remedy: str = "give the id that the interaction was dispatched with",
    what: str = "an id",
    visible: bool = True,
) -> str:
    """Return an id as text. Raise InputError for an id that no interaction can have.

    :param visible: whether to refuse an invisible character at either end, which is a mistake in an id that users write.
    """
    text = as_text(position, value)
    # Skip these checks for printable ASCII, which is the common case and quick to check.
    if not (text.isascii() and text.isprintable()):
        if any(unicodedata.category(char) == "Cc" for char in text):
            raise InputError(f"{position} has a control character, which {what} cannot have: remove it.")
        check_unicode(position, text)
    if not text.strip():
        raise InputError(f"{position} is empty: {remedy}.")
    if len(text) > MAX_ID_LENGTH:
        raise InputError(f"{position} has {len(text)} characters; {what} has at most {MAX_ID_LENGTH}.")
    if visible and not ("!" <= text[0] <= "~" and "!" <= text[-1] <= "~"):
        _check_ends(position, text, what)
    return text


def check_reason(position: str, value: t.Any) -> str | None:
    """Return a reason without blanks at its ends, None for a blank one. Raise InputError unless it is one line of text."""
    text = as_text(position, value).strip(" ")
    if any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in text):
        raise InputError(f"{position} has a control character, such as a line break: write it in one line.")
    check_unicode(position, text)
    if len(text) > MAX_REASON_LENGTH:
        raise InputError(f"{position} has {len(text)} characters; a reason has at most {MAX_REASON_LENGTH}.")
    return text or None


def _check_ends(position: str, text: str, what: str) -> None:
    for edge, char in (("begins", text[0]), ("ends", text[-1])):
        if not _is_invisible(char):
            continue
        if edge == "ends" and char in _VARIANTS and not text[-2].isascii():  # a variation selector of an emoji
            continue
        raise InputError(
            f"{position} {edge} with white space or an invisible character (U+{ord(char):04X}),"
            f" which VCC would treat as part of {what}: remove it."
        )


def _is_invisible(char: str) -> bool:
    return char.isspace() or char in _INVISIBLE or unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Zs")


def as_text(position: str, value: t.Any) -> str:
    """Return text, a whole number or a date as text. Raise InputError for any other value.

    YAML reads only this spelling as a date, so the text is the original. A time has several spellings, so its original is lost.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value.isoformat()
    raise InputError(f"{position} is neither text nor a whole number: write it as a string.")


def check_unicode(position: str, value: t.Any) -> None:
    """Raise InputError for text that UTF-8 cannot encode."""
    if isinstance(value, str) and any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise InputError(f"{position} is not valid Unicode: write it in UTF-8.")


def check_number(
    params: t.Mapping[str, t.Any], name: str, lowest: int, highest: int = HIGHEST, prefix: str = ""
) -> None:
    """Raise InputError for a number that is not whole or not from ``lowest`` to ``highest``. None passes."""
    value = params[name]
    if isinstance(value, bool):  # Ansible converts it to 0 or 1
        raise InputError(f"{prefix}{name} must be a whole number, not {value}.")
    if value is None or lowest <= value <= highest:
        return
    limit = f"{lowest} or more" if value < lowest else f"{highest} or less"
    actual = f", not {value}" if abs(value) <= HIGHEST else ""  # Python refuses to write thousands of digits
    raise InputError(f"{prefix}{name} must be {limit}{actual}.")


def checked_url(name: str, url: str) -> str:
    """Return ``url`` without a trailing slash. Raise InputError if credentials must not go there."""
    if _scheme(name, url, _URL_CHARACTERS, "https://emea.api.newvoicemedia.com") == "http" and not is_loopback(url):
        raise InputError(
            f"{name} must begin with https://: plain http is allowed only for localhost, because it does not protect the credentials."
        )
    # If a password has a slash, urlsplit takes the user for the host, and the rest for the path.
    if "@" in url:
        raise InputError(_WITH_USER.format(name=name))
    return url.rstrip("/")


def https_url(name: str, url: str) -> str:
    """Return ``url``, which VCC calls. Raise InputError if it is not a URL or does not begin with https://."""
    if _scheme(name, url, _URL_CHARACTERS_AND_QUERY, "https://hooks.example.com/vcc") != "https":
        raise InputError(f"{name} must begin with https://, because VCC calls only https URLs.")
    return url


def _scheme(name: str, url: str, characters: re.Pattern[str], example: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        host = None
    if not host or parts.scheme not in ("https", "http") or not characters.fullmatch(url):
        raise InputError(f"{name} must be a URL such as {example}.")
    if parts.username is not None or parts.password is not None:
        raise InputError(_WITH_USER.format(name=name))
    return parts.scheme


def check_token(token: str) -> str:
    """Return ``token`` if an HTTP header can have it. Raises ValueError, without the token, if not."""
    if not _HEADER_SAFE.fullmatch(token):
        raise ValueError("a token must be printable ASCII without spaces")
    return token

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task asks for: argument specs, environment fallbacks, hosts and the external ids."""

from __future__ import annotations

import ipaddress
import math
import os
import re
import typing as t
import unicodedata
from urllib.parse import urlsplit

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator, ValidationResult

from .auth import TokenCache, check_token
from .errors import InputError
from .files import check_distinct
from .settings import SOURCES, place, settled, with_environment, without_blanks
from .text import shown, without_user

# The hosts of the release guide, and the newer ones of the API reference.
TOKEN_URL = "https://{region}.{domain}/Auth/connect/token"
API_URL = "https://{region}.api.{domain}"

# The longest external id or request id, in characters.
MAX_ID_LENGTH = 1024

# The longest linked_data and routing_data of one interaction, in bytes of JSON: with the longest ids it still fits into a call.
MAX_DATA_LENGTH = 80_000

# The most calls at once.
MOST_IN_FLIGHT = 16

# The longest timeout, in seconds.
LONGEST_TIMEOUT = 3600

# More than any number is of use for, and within what SQLite and the clocks can count.
HIGHEST = 10**12

# Characters that cannot be seen, though their categories do not say so: fillers, a blank of Braille, and choices of how another looks.
_VARIANTS = frozenset(map(chr, (*range(0x180B, 0x180E), 0x180F, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
_INVISIBLE = _VARIANTS | frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")

# Printable ASCII without what ends the path of a URL or stands for a slash in some readers; and the same with a query.
_URL_CHARACTERS = re.compile(r"[!\"$->@-\[\]-~]+")
_URL_CHARACTERS_AND_QUERY = re.compile(r"[!\"$-\[\]-~]+")

_WITH_USER = "{name} has to be a URL without a user and password in it."


# The connection and auth options of every module: their environment variables are VCC_ and the option's name in capitals.
CONNECTION_SPEC = with_environment(
    {
        "region": {"type": "str", "choices": ["emea", "nam", "apac"]},
        "domain": {"type": "str", "default": "newvoicemedia.com"},
        "api_url": {"type": "str"},
        "auth_url": {"type": "str"},
        "account": {"type": "str"},
        "client_id": {"type": "str"},
        "client_secret": {"type": "str", "no_log": True},
        "access_token": {"type": "str", "no_log": True},
        "token_cache": {"type": "path", "no_log": False},
        "validate_certs": {"type": "bool", "default": True},
        "ca_path": {"type": "path"},
        "timeout": {"type": "int", "default": 30},
        "retries": {"type": "int", "default": 5},
        "requests_per_minute": {"type": "int"},
    }
)

JOURNAL_SPEC = with_environment({"journal": {"type": "path", "default": "~/.ansible/vonage_vcc/journal.db"}})

_LINKED_DATA: dict[str, t.Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "type": {"type": "str", "required": True},
        "value": {"type": "str", "required": True},
        "label": {"type": "str"},
        "owner": {"type": "str"},
        "key": {"type": "str", "no_log": False},
    },
}

_ROUTING_DATA: dict[str, t.Any] = {
    "type": "dict",
    "options": {
        "interaction_type": {"type": "str", "choices": ["live", "nonlive", "chat"]},
        "personal_queue": {
            "type": "dict",
            "options": {
                "agent": {"type": "str", "required": True},
                "logged_in_timeout": {"type": "int"},
                "logged_out_timeout": {"type": "int"},
            },
        },
        "skills": {
            "type": "list",
            "elements": "dict",
            "options": {"name": {"type": "str", "required": True}, "expiry_after": {"type": "int"}},
        },
    },
}

# What a dispatch says of an interaction beside its ids.
DATA_SPEC = {"linked_data": _LINKED_DATA, "routing_data": _ROUTING_DATA}

INTERACTION_SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "state": {"type": "str", "default": "released", "choices": ["released", "dispatched"]},
        "external_id": {"type": "str"},
        "external_ids": {"type": "list", "elements": "str"},
        "src": {"type": "path"},
        "src_format": {"type": "str", "default": "auto", "choices": ["auto", "text", "csv", "tsv", "jsonl", "json"]},
        "interactions": {
            "type": "list",
            "elements": "dict",
            "options": {"external_id": {"type": "str"}, "request_id": {"type": "str"}, **DATA_SPEC},
        },
        "route": {"type": "str"},
        **DATA_SPEC,
        "provider": {"type": "str"},
        "request_id": {"type": "str"},
        "force": {"type": "bool", "default": False},
        "journal_ttl": {"type": "int", "default": 86400},
        "report": {"type": "path"},
        "calls_in_flight": {"type": "int", "default": 4},
        "max_failures": {"type": "int"},
        **JOURNAL_SPEC,
        **CONNECTION_SPEC,
    },
    "mutually_exclusive": [SOURCES],
    "required_one_of": [SOURCES],
    "required_by": {"request_id": "external_id"},
    "required_if": [("state", "dispatched", ("route",))],
}

# The warning of every module where validate_certs is false.
UNVERIFIED = "validate_certs is false: anyone on the way to VCC can read the token and change what is sent."

PROVIDER_SPEC: dict[str, t.Any] = {
    "state": {"type": "str", "default": "present", "choices": ["present"]},
    "name": {"type": "str", "required": True},
    "endpoint": {"type": "str"},
    "headers": {"type": "dict", "no_log": True},
    "agent_actions_permitted": {
        "type": "dict",
        "apply_defaults": True,
        "options": {
            name: {"type": "bool", "default": False}
            for name in ("release", "hold", "transfer_to_agent", "transfer_to_route")
        },
    },
    "force": {"type": "bool", "default": False},
    **JOURNAL_SPEC,
    **CONNECTION_SPEC,
}

TOKEN_SPEC: dict[str, t.Any] = {
    "scopes": {"type": "list", "elements": "str", "default": ["interactions:write"]},
    **CONNECTION_SPEC,
}

ONGOING_SPEC: dict[str, t.Any] = {
    "page_size": {"type": "int", "default": 100},
    "medium": {"type": "str"},
    "direction": {"type": "str"},
    "queue": {"type": "str"},
    "agent": {"type": "str"},
    **CONNECTION_SPEC,
}

JOURNAL_INFO_SPEC: dict[str, t.Any] = {
    "external_ids": {"type": "list", "elements": "str"},
    "provider": {"type": "str"},
    "state": {"type": "str", "choices": ["released", "dispatched", "pending"]},
    "older_than": {"type": "int"},
    "newer_than": {"type": "int"},
    "page": {"type": "int", "default": 1},
    "page_size": {"type": "int", "default": 100},
    **JOURNAL_SPEC,
    **CONNECTION_SPEC,
}

KEPT_JOURNAL_SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "older_than": {"type": "int"},
        "notifications": {"type": "list", "elements": "dict"},
        "provider": {"type": "str"},
        **JOURNAL_SPEC,
        **CONNECTION_SPEC,
    },
    "mutually_exclusive": [("older_than", "notifications")],
    "required_by": {"provider": "notifications"},
    "required_one_of": [("older_than", "notifications")],
}

# What Ansible's own check of options raises where it does not refuse a value, and what to say if the value cannot be named.
STUMBLES = (OverflowError, TypeError, UnicodeEncodeError)
STUMBLED = (
    "An option has a number that does not end, such as inf, or no dictionary where one is wanted: check the options."
)

# The most numbers that a warning names.
NAMED = 5

# The options that name a file on the host that runs the engine.
PATHS = ("src", "report", "journal", "token_cache", "ca_path")


class Connection(t.NamedTuple):
    """Where to call and as whom. Two tasks with equal connections can share one session and one token."""

    api_url: str
    auth_url: str | None
    account: str
    client_id: str | None
    client_secret: str | None
    access_token: str | None
    token_cache: str | None
    verify: bool | str
    timeout: int
    retries: int
    requests_per_minute: int | None

    @property
    def secrets(self) -> set[str]:
        return {secret for secret in (self.client_secret, self.access_token) if secret}


class Entry(t.NamedTuple):
    """One interaction that was asked for, and where: C(position) is "external_ids[3]", "line 3" and the like.

    C(external_id) is None for a dispatch that names none. C(data) is what of C(DATA_SPEC) it has of its own.
    """

    position: str
    external_id: str | None
    request_id: str | None = None
    data: t.Any = None


def connection(params: t.Mapping[str, t.Any]) -> Connection:
    """Return the connection that validated options describe. Raises InputError."""
    api_url = _api_url(params)
    region = params["region"]
    auth_url = params["auth_url"] or (TOKEN_URL.format(region=region, domain=params["domain"]) if region else None)
    client_id, client_secret, access_token = (
        params[name] or None for name in ("client_id", "client_secret", "access_token")
    )
    if bool(client_id) != bool(client_secret) and not access_token:
        missing = "client_secret" if client_id else "client_id"
        raise InputError(
            f"{missing} is missing: set it or {place('VCC_' + missing.upper())}; the client credentials need both."
        )
    if not client_secret and not access_token:
        raise InputError(
            "The credentials are missing: set client_id and client_secret "
            f"(or {place('VCC_CLIENT_ID and VCC_CLIENT_SECRET')}), or access_token."
        )
    if client_id and client_secret and not auth_url:
        raise InputError("auth_url is missing: client credentials need it, or region, beside api_url.")
    if access_token:
        try:
            check_token(access_token)
        except ValueError:
            raise InputError("access_token has a character that no token has: check how it was copied.") from None
    check_number(params, "timeout", 1, LONGEST_TIMEOUT)
    check_number(params, "retries", 0)
    check_number(params, "requests_per_minute", 1)
    _check_paths(params)
    if params["token_cache"]:
        TokenCache(params["token_cache"]).check()
    ca_path = params["ca_path"]
    return Connection(
        api_url=api_url,
        auth_url=checked_url("auth_url", auth_url) if auth_url else None,
        account=_account(params),
        client_id=client_id,
        client_secret=client_secret,
        access_token=access_token,
        token_cache=params["token_cache"] or None,
        verify=(ca_path or True) if params["validate_certs"] else False,
        timeout=params["timeout"],
        retries=params["retries"],
        requests_per_minute=params["requests_per_minute"],
    )


def journal_scope(params: t.Mapping[str, t.Any]) -> tuple[str, str]:
    """Return the API URL and the account whose journal entries validated options mean. Raises InputError."""
    return _api_url(params), _account(params)


def path_of_journal(params: t.Mapping[str, t.Any]) -> str:
    """Return the path of the journal where there has to be one. Raises InputError."""
    path: str = params["journal"]
    if not path:
        raise InputError("journal is empty or none, so that there is no journal: set it to the path of one.")
    _check_paths(params)
    return path


def _account(params: t.Mapping[str, t.Any]) -> str:
    return params["account"] or params["client_id"] or ""


def _api_url(params: t.Mapping[str, t.Any]) -> str:
    region, domain = params["region"], params["domain"]
    if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", domain):
        raise InputError(
            f"domain has to be a host name such as newvoicemedia.com, not '{shown(without_user(domain))}'."
        )
    api_url = params["api_url"] or (API_URL.format(region=region, domain=domain) if region else None)
    if not api_url:
        raise InputError(
            f"The region of the VCC account is missing: set region (emea, nam or apac) or {place('VCC_REGION')}, "
            "or else api_url and auth_url."
        )
    return checked_url("api_url", api_url)


def check_given(args: t.Mapping[str, t.Any]) -> None:
    """Check texts as they stand in the task, before Ansible makes text of anything. Raises InputError.

    Ansible splits a string at its commas where it wants a list, and makes text of a dict or a null where it wants text.
    """
    args = without_blanks(INTERACTION_SPEC["argument_spec"], args)
    check_list("interactions", args.get("interactions"))
    check_kinds(INTERACTION_SPEC["argument_spec"], args)
    check_ids_given(args)
    for index, interaction in enumerate(_listed(args.get("interactions"))):
        if not isinstance(interaction, t.Mapping):
            raise InputError(f"interactions[{index}] has to be a dictionary such as {{'external_id': 'case-1'}}.")
        _check_texts(f"interactions[{index}].", interaction, ("external_id", "request_id"))
        check_data_texts(f"interactions[{index}].", interaction)
    _check_texts("", args, ("external_id", "request_id", "provider", "route"))
    check_data_texts("", args)


def check_list(name: str, value: t.Any) -> None:
    """Raise InputError for what stands in a task where a list is wanted, and is none."""
    if isinstance(value, str):
        raise InputError(
            f"{name} has to be a list, not a string: an id may hold commas, so no string is split at them."
        )
    if value is not None and not isinstance(value, (list, tuple)):
        raise InputError(f"{name} has to be a list.")


def check_ids_given(args: t.Mapping[str, t.Any]) -> None:
    """Check external_ids as they stand in the task. Raises InputError."""
    check_list("external_ids", args.get("external_ids"))
    for index, external_id in enumerate(_listed(args.get("external_ids"))):
        text_of(f"external_ids[{index}]", external_id)


def number_warnings(spec: t.Mapping[str, t.Any], args: t.Mapping[str, t.Any]) -> list[str]:
    """What to warn of once, as options stand in the task: numbers in place of texts, which may have been written otherwise."""
    found = list(_bare_numbers(spec, args, ""))
    if not found:
        return []
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return [
        f"A bare number is taken as text: {', '.join(found[:NAMED])}{more}."
        " Put it in quotes, since YAML reads 0123 as 83 and 12:30:45 as 45045."
    ]


def _bare_numbers(spec: t.Mapping[str, t.Any], args: t.Mapping[str, t.Any], prefix: str) -> t.Iterator[str]:
    for name, option in spec.items():
        value = args.get(name)
        position = prefix + name
        if option["type"] == "str" and _is_number(value):
            yield position if option.get("no_log") else f"{position} as '{value}'"
        elif option.get("elements") == "str":
            yield from (
                f"{position}[{index}] as '{one}'" for index, one in enumerate(_listed(value)) if _is_number(one)
            )
        elif "options" in option:
            if isinstance(value, t.Mapping):
                yield from _bare_numbers(option["options"], value, f"{position}.")
            for index, one in enumerate(_listed(value)):
                if isinstance(one, t.Mapping):
                    yield from _bare_numbers(option["options"], one, f"{position}[{index}].")


def _is_number(value: t.Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def validated(validator: ArgumentSpecValidator, args: t.Mapping[str, t.Any]) -> ValidationResult:
    """Have Ansible check the options that are set. Raises InputError where that would end in an error of Python's."""
    args = settled(validator.argument_spec, without_blanks(validator.argument_spec, args))
    try:
        return validator.validate(args)
    except STUMBLES:
        check_kinds(validator.argument_spec, args)
        raise InputError(STUMBLED) from None


def check_kinds(spec: t.Mapping[str, t.Any], args: t.Mapping[str, t.Any], prefix: str = "") -> None:
    """Raise InputError for what Ansible's own check of options stumbles over: a number without an end, and what is no dictionary."""
    for name, option in spec.items():
        value = args.get(name)
        if value is None:
            continue
        if option["type"] == "int":
            _check_finite(prefix + name, value)
        elif "options" not in option:
            continue
        elif option["type"] == "dict":
            _check_dictionary(prefix + name, value)
            if isinstance(value, t.Mapping):
                check_kinds(option["options"], value, f"{prefix}{name}.")
        else:
            for index, one in enumerate(_listed(value)):
                if isinstance(one, t.Mapping):
                    check_kinds(option["options"], one, f"{prefix}{name}[{index}].")


def _check_finite(position: str, value: t.Any) -> None:
    """Raise InputError for a number that Ansible cannot make a whole one of."""
    if not isinstance(value, (float, str)):
        return
    try:
        if math.isfinite(float(value)):
            return
    except ValueError:
        return
    # Ansible would write out all digits of 1e999999999, for longer than anyone waits.
    if isinstance(value, str) and any(map(str.isdigit, value)):
        raise InputError(f"{position} has to be a number of fewer digits.")
    raise InputError(f"{position} has to be a number that ends, not {shown(str(value))}.")


def _listed(value: t.Any) -> t.Sequence[t.Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _check_texts(prefix: str, fields: t.Any, optional: t.Iterable[str], required: t.Iterable[str] = ()) -> None:
    if not isinstance(fields, t.Mapping):
        return
    for name in optional:
        if fields.get(name) is not None:
            text_of(prefix + name, fields[name])
    for name in required:
        if name in fields:
            text_of(prefix + name, fields[name])


def check_data_texts(prefix: str, fields: t.Mapping[str, t.Any]) -> None:
    for index, link in enumerate(_listed(fields.get("linked_data"))):
        _check_texts(f"{prefix}linked_data[{index}].", link, ("label", "owner", "key"), ("type", "value"))
    routing = fields.get("routing_data")
    if isinstance(routing, t.Mapping):
        _check_texts(f"{prefix}routing_data.personal_queue.", routing.get("personal_queue"), (), ("agent",))
        for index, skill in enumerate(_listed(routing.get("skills"))):
            _check_texts(f"{prefix}routing_data.skills[{index}].", skill, (), ("name",))


def _check_dictionary(position: str, value: t.Any) -> None:
    """Raise InputError for what Ansible stumbles over where it wants a dictionary, which may be written as a string."""
    if value is not None and not isinstance(value, (t.Mapping, str)):
        raise InputError(f"{position} has to be a dictionary.")


def check_limits(params: t.Mapping[str, t.Any]) -> None:
    """Check what the argument spec of vcc_interaction cannot. Raises InputError."""
    if sum(params[name] is not None for name in SOURCES) != 1:
        raise InputError(
            "Say which interactions are meant, with one of external_id, external_ids, src and interactions."
        )
    check_number(params, "journal_ttl", 0)
    check_number(params, "calls_in_flight", 1, MOST_IN_FLIGHT)
    check_number(params, "max_failures", 1)
    if params["provider"]:
        check_name("provider", params["provider"])
    if params["state"] == "dispatched":
        check_name("route", params["route"])
        check_data("", params)


def _check_paths(params: t.Mapping[str, t.Any]) -> None:
    for name in PATHS:
        path = params.get(name) or ""
        try:
            os.fsencode(path)
        except ValueError:
            raise InputError(f"{name} is not valid Unicode: write the path in UTF-8.") from None
        if "\0" in path:
            raise InputError(f"{name} has a character that no path can have: remove it.")
    check_distinct({name: params.get(name) for name in PATHS})


def is_loopback(url: str) -> bool:
    """Whether the host of C(url) is this host's loopback."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_data(prefix: str, fields: t.Mapping[str, t.Any]) -> None:
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
    """Return a name as text; raise InputError for one that nothing at VCC can have."""
    return check_id(position, value, "give a name", "a name")


def check_id(
    position: str,
    value: t.Any,
    remedy: str = "give the id that the interaction was dispatched with",
    what: str = "an id",
    visible: bool = True,
) -> str:
    """Return an id as text; raise InputError for one that no interaction can have.

    :arg visible: whether to refuse one that begins or ends with what cannot be seen, which is a slip in what people write.
    """
    text = text_of(position, value)
    # An ASCII id that is printable is right but for its length, which is the common case and quick to see.
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


def _check_ends(position: str, text: str, what: str) -> None:
    for edge, char in (("begins", text[0]), ("ends", text[-1])):
        if not _is_invisible(char):
            continue
        if edge == "ends" and char in _VARIANTS and not text[-2].isascii():  # which says how an emoji is to look
            continue
        raise InputError(
            f"{position} {edge} with white space or a character that cannot be seen (U+{ord(char):04X}),"
            f" which VCC would take for part of {what}: remove it."
        )


def _is_invisible(char: str) -> bool:
    return char.isspace() or char in _INVISIBLE or unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Zs")


def text_of(position: str, value: t.Any) -> str:
    """Return text or a whole number as text; raise InputError for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InputError(f"{position} is neither text nor a whole number: write it as a string.")


def check_unicode(position: str, value: t.Any) -> None:
    """Raise InputError for text that cannot be written in UTF-8."""
    if isinstance(value, str) and any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise InputError(f"{position} is not valid Unicode: write it in UTF-8.")


def check_number(
    params: t.Mapping[str, t.Any], name: str, lowest: int, highest: int = HIGHEST, prefix: str = ""
) -> None:
    """Raise InputError for an option that is set to what is no whole number from C(lowest) to C(highest)."""
    value = params[name]
    if isinstance(value, bool):  # which Ansible takes for 0 or 1
        raise InputError(f"{prefix}{name} has to be a whole number, not {value}.")
    if value is None or lowest <= value <= highest:
        return
    limit = f"{lowest} or more" if value < lowest else f"{highest} or less"
    shown = f", not {value}" if abs(value) <= HIGHEST else ""  # Python does not write thousands of digits
    raise InputError(f"{prefix}{name} has to be {limit}{shown}.")


def checked_url(name: str, url: str) -> str:
    """Return C(url) without a slash at its end; raise InputError if credentials must not be sent there."""
    if _scheme(name, url, _URL_CHARACTERS, "https://emea.api.newvoicemedia.com") == "http" and not is_loopback(url):
        raise InputError(
            f"{name} has to begin with https://: over plain http, credentials are sent to this host itself only."
        )
    # A password with a slash in it makes the user a host, and what is behind it a path.
    if "@" in url:
        raise InputError(_WITH_USER.format(name=name))
    return url.rstrip("/")


def https_url(name: str, url: str) -> str:
    """Return C(url), which VCC is to call; raise InputError if it is none that begins with https://."""
    if _scheme(name, url, _URL_CHARACTERS_AND_QUERY, "https://hooks.example.com/vcc") != "https":
        raise InputError(f"{name} has to begin with https://, since VCC calls no other.")
    return url


def _scheme(name: str, url: str, characters: re.Pattern[str], example: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        host = None
    if not host or parts.scheme not in ("https", "http") or not characters.fullmatch(url):
        raise InputError(f"{name} has to be a URL such as {example}.")
    if parts.username is not None or parts.password is not None:
        raise InputError(_WITH_USER.format(name=name))
    return parts.scheme

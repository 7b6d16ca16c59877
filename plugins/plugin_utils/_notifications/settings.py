# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the event source provider_notifications."""

from __future__ import annotations

import os
import sys
import typing as t

from ansible_collections.vonage.vcc.plugins.module_utils._connection import DOMAIN, REGIONS, journal_scope
from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.backends import missing_library
from ansible_collections.vonage.vcc.plugins.module_utils._journal.sqlite_errors import SQLITE_IMPORT_ERROR
from ansible_collections.vonage.vcc.plugins.module_utils._location import URL_FORM, check_scheme, is_url
from ansible_collections.vonage.vcc.plugins.module_utils._paths import check_paths
from ansible_collections.vonage.vcc.plugins.module_utils._text import place, shown
from ansible_collections.vonage.vcc.plugins.module_utils._validation import as_text, check_name, check_token

# The defaults of options that are not set or blank. Those of the connection are the same as in a task.
DEFAULTS: dict[str, t.Any] = {
    "host": "127.0.0.1",
    "port": 5000,
    "health_path": "/health",
    "max_body": 1024 * 1024,
    "domain": DOMAIN,
}

# The options that come from an environment variable if they are not set, as in a task: VCC_ and the name in capitals.
FROM_ENVIRONMENT = ("journal", "region", "domain", "api_url", "account", "client_id")

OPTIONS = ("host", "port", "token", "certfile", "keyfile", "health_path", "max_body", "provider", *FROM_ENVIRONMENT)

# The largest body that the option max_body may allow, in bytes.
LARGEST_BODY = 16 * 1024 * 1024


class Settings(t.NamedTuple):
    """The validated options.

    :param port: 0 for any free port.
    :param max_body: the maximum number of bytes of a POST.
    :param journal: an absolute path or a URL.
    """

    host: str
    port: int
    token: bytes
    certfile: str | None
    keyfile: str | None
    health_path: str
    max_body: int
    provider: str
    journal: str
    api_url: str
    account: str

    @classmethod
    def from_args(cls, args: t.Mapping[str, t.Any]) -> Settings:
        """Return the settings that a rulebook gives the source. Raises InputError."""
        unknown = sorted(set(map(str, args)) - set(OPTIONS))
        if unknown:
            raise InputError(
                f"{shown(unknown[0])} is not an option of this source; its options are {', '.join(OPTIONS)}."
            )
        params = {name: _value(args, name) for name in OPTIONS}
        if params["keyfile"] and not params["certfile"]:
            raise InputError("certfile is missing: set it, because keyfile needs it.")
        journal = _journal(params["journal"])
        api_url, account = _scope(params)
        return cls(
            host=_text(params, "host"),
            port=_number(params, "port", 0, 65535),
            token=_token(params["token"]),
            certfile=_file(params, "certfile"),
            keyfile=_file(params, "keyfile"),
            health_path=_url_path(params),
            max_body=_number(params, "max_body", 1, LARGEST_BODY),
            provider=_provider(params["provider"]),
            journal=journal,
            api_url=api_url,
            account=account,
        )


def _value(args: t.Mapping[str, t.Any], name: str) -> t.Any:
    """Return the value from the rulebook, the environment or the defaults; None if none has one."""
    value = args.get(name)
    if value is not None and value != "":
        return value
    return (name in FROM_ENVIRONMENT and os.environ.get(f"VCC_{name.upper()}")) or DEFAULTS.get(name)


def _text(params: t.Mapping[str, t.Any], name: str) -> str:
    value = params[name]
    if not isinstance(value, str) or not value.isprintable() or not value.strip():
        raise InputError(f"{name} must be text, such as {DEFAULTS.get(name) or '/etc/ssl/vcc.pem'}.")
    return value


def _number(params: t.Mapping[str, t.Any], name: str, lowest: int, highest: int) -> int:
    value = params[name]
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise InputError(f"{name} must be a whole number from {lowest} to {highest}.")
    return value


def _token(value: t.Any) -> bytes:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise InputError("token is missing: set it to the token that VCC sends as 'Authorization: Bearer ...'.")
    if not isinstance(value, str):
        # ansible-rulebook turns a template of digits into a number, and 1_000 into 1000.
        raise InputError(
            'token must be text, but its template gives another type: write it as "{{ my_token | string | tojson }}".'
        )
    try:
        return check_token(value).encode()
    except ValueError:
        raise InputError("token has a character that no token has: check how it was copied.") from None


def _provider(value: t.Any) -> str:
    if value is None:
        raise InputError("provider is missing: set it to the name of the provider whose endpoint this is.")
    return check_name("provider", value)


def _file(params: t.Mapping[str, t.Any], name: str) -> str | None:
    if params[name] is None:
        return None
    path = os.path.expanduser(_text(params, name))
    if not os.path.isabs(path):
        raise InputError(f"{name} must be an absolute path, not '{shown(path)}'.")
    return path


def _url_path(params: t.Mapping[str, t.Any]) -> str:
    path = _text(params, "health_path")
    if not path.startswith("/") or not path.isascii() or any(c in path for c in "?#% {}"):
        raise InputError(f"health_path must be the path of a URL, such as {DEFAULTS['health_path']}.")
    return path


def _journal(value: t.Any) -> str:
    """Return the location of the journal. It has no default, because a container would lose a journal at a default path."""
    if not isinstance(value, str) or value.strip().lower() in ("", "none"):
        raise InputError(
            f"journal is missing: set it or {place('VCC_JOURNAL')} to the absolute path of the journal of your tasks, or to {URL_FORM}."
        )
    check_scheme(value, "an absolute path")
    if not is_url(value):
        value = os.path.expanduser(os.path.expandvars(value))
        if not os.path.isabs(value):
            raise InputError(f"journal must be an absolute path or {URL_FORM}, not '{shown(value)}'.")
    check_paths({"journal": value})
    missing = missing_library(value) or ("sqlite3", None if is_url(value) else SQLITE_IMPORT_ERROR)
    if missing[1]:
        raise InputError(
            f"The library {missing[0]}, which the journal needs, is missing: install it for {sys.executable}."
        )
    return str(value)


def _scope(params: t.Mapping[str, t.Any]) -> tuple[str, str]:
    """Return the API URL and the account, as the tasks that release derive them from the same options."""
    texts = {name: None if params[name] is None else as_text(name, params[name]) for name in FROM_ENVIRONMENT[1:]}
    if texts["region"] and texts["region"] not in REGIONS:
        raise InputError(f"region must be {', '.join(REGIONS[:-1])} or {REGIONS[-1]}, not '{shown(texts['region'])}'.")
    if not texts["region"] and not texts["api_url"]:
        raise InputError(
            f"The region of the VCC account is missing: set region ({', '.join(REGIONS)}) or {place('VCC_REGION')}, as in the tasks that release."
        )
    api_url, account = journal_scope(texts)
    if not account:
        raise InputError(
            f"The account is missing: set account or client_id, or {place('VCC_ACCOUNT')}, as in the tasks that release."
        )
    return api_url, account

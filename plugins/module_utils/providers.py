# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registering a provider.

The contract: C(POST /interactions/Register) takes C({"provider", "endpoint"?, "headers"?, "agentactionspermitted"}). The last call wins, and
nothing reads a registration back.
"""

from __future__ import annotations

import json
import re
import typing as t

from ._api.client import BODY_LIMIT, Client
from ._connection import UNVERIFIED, connection
from ._errors import ApiError, InputError, JournalError
from ._journal.registrations import Registration
from ._text import shown
from ._validation import as_text, check_name, https_url

# VCC's spelling of what an agent may be permitted to do.
ACTIONS = {
    "release": "release",
    "hold": "hold",
    "transfer_to_agent": "transferToAgent",
    "transfer_to_route": "transferToRoute",
}

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")


def run(params: t.Mapping[str, t.Any], check_mode: bool, diff_mode: bool, secrets: set[str]) -> dict[str, t.Any]:
    """Do what a task of vcc_provider asks for, and return its result.

    :arg params: its options, validated with C(options.PROVIDER_SPEC).
    :arg secrets: what must not be in any output is added to it.
    Raises InputError, JournalError and, if VCC has not accepted it, ApiError.
    """
    to = connection(params)
    name = check_name("name", params["name"])
    fields = _fields(params)
    body = json.dumps(fields).encode()
    if len(body) >= BODY_LIMIT:
        raise InputError(
            f"The settings of '{shown(name)}' come to {len(body)} bytes; a call takes {BODY_LIMIT}: send less."
        )
    settings = _settings(fields)
    # Nobody knows in which spelling a server repeats a header.
    client = Client.from_connection(to, secrets=secrets, quoting="headers" not in fields)
    journal = Registration(params["journal"] or "", to.api_url, to.account, name, dry_run=check_mode)
    try:
        found = journal.compare(settings)
        changed = params["force"] or not found or set(found.values()) != {"same"}
        result: dict[str, t.Any] = {
            "changed": changed,
            "provider": name,
            "changed_settings": sorted(one for one, how in (found or {}).items() if how != "same"),
            "evidence": "journal" if not changed else "predicted" if check_mode else "api",
        }
        if diff_mode:
            result["diff"] = _diff(name, settings, found)
        if changed and not check_mode:
            client.authenticate()
            _register(client, journal, name, body)
            try:
                journal.accept(settings)
            except JournalError as exc:
                result.update(
                    failed=True,
                    msg=f"The provider '{shown(name)}' is registered, but the next run will not know: {exc}",
                )
    finally:
        journal.close()
    if not to.verify:
        result["warnings"] = [UNVERIFIED]
    return result


def _register(client: Client, journal: Registration, name: str, body: bytes) -> None:
    journal.begin()
    try:
        client.register(body)
    except ApiError as exc:
        journal.cancel()
        how = "may or may not be" if exc.maybe_processed else "is not"
        raise ApiError(f"The provider '{shown(name)}' {how} registered: {exc}", exc.maybe_processed) from None


def _fields(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The body of the call."""
    fields: dict[str, t.Any] = {"provider": params["name"]}
    if params["endpoint"]:
        fields["endpoint"] = https_url("endpoint", params["endpoint"])
    headers = {name: _header(name, value) for name, value in (params["headers"] or {}).items()}
    if len({name.lower() for name in headers}) < len(headers):
        raise InputError("headers has a name twice, which differs in capitals only: leave one of them.")
    if headers and not params["endpoint"]:
        raise InputError("headers are sent to endpoint, which is missing: set it, or leave headers out.")
    if headers:
        fields["headers"] = headers
    permitted = params["agent_actions_permitted"]
    fields["agentactionspermitted"] = {spelled: int(permitted[name]) for name, spelled in ACTIONS.items()}
    return fields


def _header(name: str, value: t.Any) -> str:
    """The value of a header. What is wrong with one is said without it."""
    if not _HEADER_NAME.fullmatch(name):
        raise InputError("headers has a name that no HTTP header can have: write it as a word such as Authorization.")
    text = as_text(f"headers.{name}", value)
    if not _HEADER_VALUE.fullmatch(text):
        raise InputError(f"headers.{name} has a character that no HTTP header can have: write it in printable ASCII.")
    if name.lower() == "authorization" and not re.fullmatch(r"\S+ \S.*", text):
        raise InputError(
            f"headers.{name} has to have the form 'type credentials', for example a word such as Bearer and a token."
        )
    return text


def _settings(fields: dict[str, t.Any]) -> dict[str, str]:
    """Each setting by the name under which a diff shows it."""
    settings = {f"headers.{name}": value for name, value in fields.get("headers", {}).items()}
    settings.update(
        (f"agent_actions_permitted.{name}", str(fields["agentactionspermitted"][spelled]))
        for name, spelled in ACTIONS.items()
    )
    if "endpoint" in fields:
        settings["endpoint"] = fields["endpoint"]
    return settings


def _diff(name: str, settings: dict[str, str], found: dict[str, str] | None) -> dict[str, str]:
    """Which settings change, by name: a value may be a secret, and of the former ones there is but a hash. Permissions are told by it."""
    before = f"{shown(name)}: not known to be registered\n"
    if found:
        before = "".join(
            f"{one}: {_told(one, settings.get(one), how)}\n" for one, how in sorted(found.items()) if how != "added"
        )
    return {
        "before_header": f"VCC provider {shown(name)}",
        "after_header": f"VCC provider {shown(name)}",
        "before": before,
        "after": "".join(f"{one}: {_told(one, settings[one])}\n" for one in sorted(settings)),
    }


def _told(name: str, value: str | None, how: str = "same") -> str:
    """What a diff says of a setting that has a value, or had one before if that is "changed" or "removed"."""
    if name.startswith("agent_actions_permitted."):
        # There are two values, so what was not the same was the other one.
        return "permitted" if (value == "1") is (how == "same") else "not permitted"
    return "registered with another value" if how == "changed" else "registered"

#!/usr/bin/python
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Register a provider."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vcc_provider
short_description: Register a provider of interactions with Vonage Contact Center
version_added: 1.0.0
description:
  - Registers a provider. A system uses the provider's name to dispatch interactions into Vonage Contact Center (VCC) and to release them.
  - VCC may notify O(endpoint) when one of the provider's interactions is assigned to an agent and when it is released.
  - A registration replaces the whole earlier registration, and VCC offers no way to read it back. Therefore the journal keeps a keyed hash of each setting that
    VCC accepted last, never the value itself. A task with the same settings makes no call.
  - The journal also holds the key of the hashes, so a user who can read the journal can test guesses. A long random value cannot be guessed.
author:
  - The vonage.vcc authors (@vonage)
options:
  name:
    description: Name of the provider.
    type: str
    required: true
  state:
    description:
      - V(present) registers the provider with these settings.
      - VCC's API has no way to remove a provider, so there is no V(absent).
    type: str
    choices: [present]
    default: present
  endpoint:
    description:
      - URL for VCC's notifications. It must begin with V(https://). Without this option, VCC sends no notifications.
    type: str
  headers:
    description:
      - HTTP headers that VCC sends with each notification, by name. The values count as secrets.
      - If VCC refuses a registration with headers, the message names the status only, because VCC's own message may repeat a value in any spelling.
      - C(Authorization) has the form V(type credentials), for example V(Bearer) and a token, so that O(endpoint) can tell VCC from other senders.
    type: dict
  agent_actions_permitted:
    description: Actions that agents may take with the provider's interactions. Actions that this option does not name are forbidden.
    type: dict
    suboptions:
      release:
        description: Release an interaction.
        type: bool
        default: false
      hold:
        description: Put an interaction on hold.
        type: bool
        default: false
      transfer_to_agent:
        description: Transfer an interaction to another agent.
        type: bool
        default: false
      transfer_to_route:
        description: Transfer an interaction to a named route.
        type: bool
        default: false
  force:
    description:
      - Register the provider even if the journal says that it has these settings.
      - Use it if another system may have registered the provider in the meantime.
    type: bool
    default: false
extends_documentation_fragment:
  - vonage.vcc.attributes
  - vonage.vcc.attributes.actiongroup_vcc
  - vonage.vcc.connection
  - vonage.vcc.journal
attributes:
  check_mode:
    support: full
    details: The module makes no call of any kind and writes nothing.
  diff_mode:
    support: full
    details: Shows the names of the settings that change, and the permitted actions. It shows no other values, because they may be secrets.
  idempotent:
    support: partial
    details: With the same journal and without O(force). The module does not see registrations by other systems.
seealso:
  - module: vonage.vcc.vcc_interaction
  - module: vonage.vcc.vcc_journal
"""

EXAMPLES = r"""
- name: Register a provider whose interactions agents may release and put on hold
  vonage.vcc.vcc_provider:
    region: emea
    client_id: "{{ vcc_client_id }}"
    client_secret: "{{ vcc_client_secret }}"
    name: ticket-system
    agent_actions_permitted:
      release: true
      hold: true

- name: Send the provider's notifications to an endpoint, with a header that authenticates VCC
  vonage.vcc.vcc_provider:
    name: ticket-system
    endpoint: https://hooks.example.com/vcc
    headers:
      Authorization: "Bearer {{ vcc_notification_token }}"
    agent_actions_permitted:
      release: true
      hold: true
"""

RETURN = r"""
provider:
  description: Name of the provider.
  returned: when the input is valid
  type: str
  sample: ticket-system
changed_settings:
  description: Names of the settings that differ from those in the journal; empty if the journal has none.
  returned: when the input is valid
  type: list
  elements: str
  sample: [endpoint, headers.Authorization]
journal:
  description: The journal that the task used.
  returned: when the input is valid
  type: dict
  contains:
    backend:
      description: V(sqlite), V(postgresql), or V(none) if there is no journal.
      type: str
    location:
      description: The path of the journal file, or the URL of the database without a password; null if there is no journal.
      type: str
    created:
      description: Whether this task has created the journal.
      type: bool
  sample: {backend: sqlite, location: /home/ops/.ansible/vonage_vcc/journal.db, created: false}
evidence:
  description:
    - The evidence for the registration. V(api) means that VCC accepted the call, and V(journal) that it did so before.
      V(predicted) is the prediction of check mode.
  returned: when the input is valid
  type: str
  sample: api
"""

import json
import re
import typing as t

from ansible_collections.vonage.vcc.plugins.module_utils._api.client import BODY_LIMIT, Client
from ansible_collections.vonage.vcc.plugins.module_utils._api.http import longest_call
from ansible_collections.vonage.vcc.plugins.module_utils._connection import UNVERIFIED, Connection
from ansible_collections.vonage.vcc.plugins.module_utils._errors import ApiError, InputError, JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.registrations import Registration
from ansible_collections.vonage.vcc.plugins.module_utils._module import create_module, run_module
from ansible_collections.vonage.vcc.plugins.module_utils._options import CONNECTION_SPEC, JOURNAL_SPEC
from ansible_collections.vonage.vcc.plugins.module_utils._text import shown
from ansible_collections.vonage.vcc.plugins.module_utils._validation import as_text, check_name, https_url

# The actions that agents may be permitted, in VCC's spelling.
ACTIONS = {
    "release": "release",
    "hold": "hold",
    "transfer_to_agent": "transferToAgent",
    "transfer_to_route": "transferToRoute",
}

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")

SPEC: dict[str, t.Any] = {
    "argument_spec": {
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
}


def run(params: t.Mapping[str, t.Any], check_mode: bool, diff_mode: bool, secrets: set[str]) -> dict[str, t.Any]:
    """Register the provider unless the journal confirms a registration with the same settings, and return the result.

    :param params: the options, validated with ``SPEC``.
    :param secrets: collects the texts that no output may contain.

    Raises InputError, JournalError, and ApiError if VCC does not accept the registration.
    """
    connection = Connection.from_params(params)
    name = check_name("name", params["name"])
    fields = _fields(params)
    body = json.dumps(fields).encode()
    if len(body) >= BODY_LIMIT:
        raise InputError(
            f"The settings of '{shown(name)}' have {len(body)} bytes, and a call must have fewer than {BODY_LIMIT}: shorten them."
        )
    settings = _settings(fields)
    # A server may repeat a header in any spelling, so no error may quote the server.
    client = Client.from_connection(connection, secrets=secrets, quoting="headers" not in fields)
    journal = Registration(params["journal"] or "", connection.api_url, connection.account, name, dry_run=check_mode)
    try:
        found = journal.compare(settings)
        changed = params["force"] or not found or set(found.values()) != {"same"}
        result: dict[str, t.Any] = {
            "changed": changed,
            "provider": name,
            "changed_settings": sorted(setting for setting, how in (found or {}).items() if how != "same"),
            "evidence": "journal" if not changed else "predicted" if check_mode else "api",
        }
        result["journal"] = journal.description()
        if diff_mode:
            result["diff"] = _diff(name, settings, found)
        if changed and not check_mode:
            client.authenticate()
            # Up to three calls: a request for a new token, and the call itself twice.
            journal.begin(3 * longest_call(connection.timeout, connection.retries))
            _register(client, journal, name, body)
            try:
                journal.accept(settings)
            except JournalError as exc:
                result.update(
                    failed=True,
                    msg=f"The provider '{shown(name)}' is registered, but the journal could not record it, so the next run registers it again: {exc}",
                )
    finally:
        journal.close()
    if not connection.verify:
        result["warnings"] = [UNVERIFIED]
    return result


def _register(client: Client, journal: Registration, name: str, body: bytes) -> None:
    """Register the provider, and cancel the registration in the journal if VCC does not accept it. Raises ApiError."""
    try:
        client.register(body)
    except ApiError as exc:
        journal.cancel()
        how = "may or may not be" if exc.maybe_processed else "is not"
        raise ApiError(f"The provider '{shown(name)}' {how} registered: {exc}", exc.maybe_processed) from None


def _fields(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the body of the call: ``{"provider", "endpoint"?, "headers"?, "agentactionspermitted"}``. Raises InputError."""
    fields: dict[str, t.Any] = {"provider": params["name"]}
    if params["endpoint"]:
        fields["endpoint"] = https_url("endpoint", params["endpoint"])
    headers = {name: _header(name, value) for name, value in (params["headers"] or {}).items()}
    if len({name.lower() for name in headers}) < len(headers):
        raise InputError("headers has two names that differ only in capitals: remove one of them.")
    if headers and not params["endpoint"]:
        raise InputError("headers need endpoint, which is missing: set endpoint, or leave headers out.")
    if headers:
        fields["headers"] = headers
    permitted = params["agent_actions_permitted"]
    fields["agentactionspermitted"] = {spelled: int(permitted[name]) for name, spelled in ACTIONS.items()}
    return fields


def _header(name: str, value: t.Any) -> str:
    """Return the value of a header as text. Raises InputError, without the value because it may be a secret."""
    if not _HEADER_NAME.fullmatch(name):
        raise InputError("headers has a name that no HTTP header can have: write it as a word such as Authorization.")
    text = as_text(f"headers.{name}", value)
    if not _HEADER_VALUE.fullmatch(text):
        raise InputError(f"headers.{name} has a character that no HTTP header can have: write it in printable ASCII.")
    if name.lower() == "authorization" and not re.fullmatch(r"\S+ \S.*", text):
        raise InputError(
            f"headers.{name} must have the form 'type credentials', for example a word such as Bearer and a token."
        )
    return text


def _settings(fields: dict[str, t.Any]) -> dict[str, str]:
    """Return the settings by their names in a diff."""
    settings = {f"headers.{name}": value for name, value in fields.get("headers", {}).items()}
    settings.update(
        (f"agent_actions_permitted.{name}", str(fields["agentactionspermitted"][spelled]))
        for name, spelled in ACTIONS.items()
    )
    if "endpoint" in fields:
        settings["endpoint"] = fields["endpoint"]
    return settings


def _diff(name: str, settings: dict[str, str], found: dict[str, str] | None) -> dict[str, str]:
    """Return the diff of the settings, which shows values of permissions only.

    Another value may be a secret, and the journal has only a hash of the previous one.
    """
    before = f"{shown(name)}: not known to be registered\n"
    if found:
        before = "".join(
            f"{setting}: {_described(setting, settings.get(setting), how)}\n"
            for setting, how in sorted(found.items())
            if how != "added"
        )
    return {
        "before_header": f"VCC provider {shown(name)}",
        "after_header": f"VCC provider {shown(name)}",
        "before": before,
        "after": "".join(f"{setting}: {_described(setting, settings[setting])}\n" for setting in sorted(settings)),
    }


def _described(name: str, value: str | None, how: str = "same") -> str:
    """Return the text of a setting in the diff. If ``how`` is "changed" or "removed", it is the text of the previous value."""
    if name.startswith("agent_actions_permitted."):
        # A permission has two values, so a changed one had the other.
        return "permitted" if (value == "1") is (how == "same") else "not permitted"
    return "registered with another value" if how == "changed" else "registered"


def main() -> None:
    module = create_module(**SPEC)
    run_module(module, lambda secrets: run(module.params, module.check_mode, module._diff, secrets))


if __name__ == "__main__":
    main()

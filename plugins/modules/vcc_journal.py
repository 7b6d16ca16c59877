#!/usr/bin/python
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintain the journal."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vcc_journal
short_description: Maintain the journal of interactions
version_added: 1.0.0
description:
  - Maintains the journal in which M(vonage.vcc.vcc_interaction) records the actions that Vonage Contact Center (VCC) has accepted. It creates the journal,
    imports another one, prunes old entries, and records VCC's notifications to a provider.
  - Makes no call, needs no credentials, and does not create a journal only to prune it.
  - Exactly one of O(state), O(import_from), O(older_than) and O(notifications) is required.
author:
  - The vonage.vcc authors (@vonage)
options:
  state:
    description:
      - With V(present), create the journal if it is missing. A journal in PostgreSQL gets the schema C(vcc_journal) with its tables. Then the roles of the
        other tasks need no right to create a schema.
      - If the tables in PostgreSQL have an earlier version, update them to the version of this collection. Only the owner of the tables can do that. Running
        tasks continue.
    type: str
    choices: [present]
  grant_to:
    description:
      - Roles of the PostgreSQL database that may read and write the journal. O(state=present) grants them the missing rights.
    type: list
    elements: str
  import_from:
    description:
      - Path of a journal in a SQLite file, whose entries go into O(journal). The import does not replace an entry in O(journal) that is equal or newer, so you
        can repeat an interrupted import.
      - Import a file before other tasks use O(journal), and let no task use the file from then on. If tasks have used O(journal) before, an import can bring
        back pruned entries, and confirmations that V(AssignToAgent) has ended.
    type: path
  older_than:
    description:
      - Delete the entries of interactions, the notifications, the custom request ids and the history that are at least this number of seconds old.
      - Set more than the longest O(vonage.vcc.vcc_interaction#module:journal_ttl) in use. If the entry of an interaction is deleted, the next task that asks
        for this interaction releases or dispatches it once more.
      - The module keeps the registrations of providers.
      - Other tasks can use the journal meanwhile. A journal file becomes smaller.
    type: int
  notifications:
    description:
      - Notifications as VCC has sent them to the endpoint of a provider, each with C(notification), C(objectid) and C(notificationid). The module ignores
        all other keys.
      - V(Release) confirms that the interaction is released, and ends a confirmation that it is dispatched. V(AssignToAgent) ends a confirmation that the
        interaction is released, because an agent has it again. A pending release stays pending.
      - A notification counts once, even if VCC repeats it. The module ignores notifications of another kind, and notifications without an C(objectid).
    type: list
    elements: dict
  provider:
    description: Name of the provider that received O(notifications).
    type: str
extends_documentation_fragment:
  - vonage.vcc.attributes
  - vonage.vcc.attributes.actiongroup_vcc
  - vonage.vcc.connection
  - vonage.vcc.journal
attributes:
  check_mode:
    support: full
    details: The module writes nothing. It predicts the result of the run that follows.
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - The module records notifications for the API (O(api_url) or O(region)), the account (O(account) or O(client_id)) and the provider. These must be the
    same as in the tasks that release.
  - VCC does not document the order of its notifications, nor whether it sends each one.
seealso:
  - module: vonage.vcc.vcc_journal_info
  - module: vonage.vcc.vcc_provider
"""

EXAMPLES = r"""
- name: Delete entries older than thirty days
  vonage.vcc.vcc_journal:
    older_than: "{{ 30 * 24 * 60 * 60 }}"

- name: Create the journal in PostgreSQL, for tasks whose role has few rights
  vonage.vcc.vcc_journal:
    journal: postgresql://owner@db.example/vcc
    state: present
    grant_to: [vcc]

- name: Record that an interaction has been released
  vonage.vcc.vcc_journal:
    region: emea
    account: "{{ vcc_client_id }}"
    provider: ticket-system
    notifications:
      - notification: Release
        objectid: ticket-1
        notificationid: 7d5ad1de-2b64-4b59-8f0a-6a5b4e1b3c22

- name: Import the journal of this host into PostgreSQL
  vonage.vcc.vcc_journal:
    journal: postgresql://vcc@db.example/vcc
    import_from: ~/.ansible/vonage_vcc/journal.db
"""

RETURN = r"""
created:
  description: Whether the journal was missing.
  returned: if O(state=present)
  type: bool
  sample: true
migrated:
  description: Whether the tables were of an earlier version.
  returned: if O(state=present)
  type: bool
  sample: false
granted:
  description: The roles that lacked rights.
  returned: if O(state=present)
  type: list
  elements: str
  sample: [vcc]
imported:
  description: Number of entries that were imported.
  returned: if O(import_from) is set
  type: dict
  contains:
    interactions:
      description: Entries of interactions.
      type: int
    request_ids:
      description: Custom request ids that VCC has received.
      type: int
    notifications:
      description: Notifications.
      type: int
    registrations:
      description: Registrations of providers.
      type: int
    outcomes:
      description: Outcomes of the history.
      type: int
  sample: {interactions: 12, request_ids: 0, notifications: 0, registrations: 1, outcomes: 12}
noted:
  description: Number of notifications that were recorded.
  returned: if O(notifications) is set
  type: int
  sample: 1
ignored:
  description: Number of notifications of another kind, or without an external id.
  returned: if O(notifications) is set
  type: int
  sample: 0
pruned:
  description: Number of entries that were deleted.
  returned: if O(older_than) is set
  type: dict
  contains:
    interactions:
      description: Entries of interactions.
      type: int
    notifications:
      description: Notifications.
      type: int
    request_ids:
      description: Custom request ids that VCC has received.
      type: int
    outcomes:
      description: Outcomes of the history.
      type: int
    runs:
      description: Runs whose last outcome is that old.
      type: int
  sample: {interactions: 12, notifications: 0, request_ids: 0, outcomes: 12, runs: 1}
"""

import contextlib
import typing as t

from ansible_collections.vonage.vcc.plugins.module_utils._connection import journal_scope
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import (
    NotificationLog,
    parse_notifications,
)
from ansible_collections.vonage.vcc.plugins.module_utils._journal.setup import set_up
from ansible_collections.vonage.vcc.plugins.module_utils._journal.transfer import transfer
from ansible_collections.vonage.vcc.plugins.module_utils._module import create_module, run_module
from ansible_collections.vonage.vcc.plugins.module_utils._options import CONNECTION_SPEC, JOURNAL_SPEC, journal_path
from ansible_collections.vonage.vcc.plugins.module_utils._text import shown
from ansible_collections.vonage.vcc.plugins.module_utils._validation import check_name, check_number

# The options that each ask for a different action.
ACTIONS = ("state", "import_from", "older_than", "notifications")

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "state": {"type": "str", "choices": ["present"]},
        "grant_to": {"type": "list", "elements": "str"},
        "import_from": {"type": "path"},
        "older_than": {"type": "int"},
        "notifications": {"type": "list", "elements": "dict"},
        "provider": {"type": "str"},
        **JOURNAL_SPEC,
        **CONNECTION_SPEC,
    },
    "mutually_exclusive": [ACTIONS],
    "required_by": {"provider": "notifications", "grant_to": "state"},
    "required_one_of": [ACTIONS],
}


def run(params: dict[str, t.Any], check_mode: bool, diff_mode: bool) -> dict[str, t.Any]:
    """Create, fill or prune the journal, or record notifications, and return the result. Raises InputError and JournalError."""
    action = next(name for name in ACTIONS if params[name] is not None)
    functions = {
        "state": create,
        "import_from": import_journal,
        "older_than": prune,
        "notifications": record_notifications,
    }
    result, before, after = functions[action](params, check_mode)
    if diff_mode:
        result["diff"] = {
            "before_header": "VCC journal",
            "after_header": "VCC journal",
            "before": before,
            "after": after,
        }
    return result


def create(params: dict[str, t.Any], check_mode: bool) -> tuple[dict[str, t.Any], str, str]:
    """Create the journal; return the result, and the text of the diff before and after."""
    done = set_up(journal_path(params), params["grant_to"] or [], check_mode)
    found = "missing" if done.created else "of an earlier version" if done.migrated else "present"
    before = f"journal: {found}\n" + "".join(f"role {shown(role)}: lacks rights\n" for role in done.granted)
    after = "journal: present\n" + "".join(f"role {shown(role)}: reads and writes\n" for role in done.granted)
    return {"changed": any(done), **done._asdict()}, before, after


def import_journal(params: dict[str, t.Any], check_mode: bool) -> tuple[dict[str, t.Any], str, str]:
    """Import a journal; return the result, and the text of the diff before and after."""
    imported = transfer(params["import_from"], journal_path(params), check_mode)
    before = "".join(f"missing {name}: {count}\n" for name, count in imported.items())
    after = "".join(f"missing {name}: 0\n" for name in imported)
    return {"changed": any(imported.values()), "imported": imported}, before, after


def record_notifications(params: dict[str, t.Any], check_mode: bool) -> tuple[dict[str, t.Any], str, str]:
    """Record notifications; return the result, and the text of the diff before and after."""
    provider = check_name("provider", params["provider"]) if params["provider"] else None
    given, ignored = parse_notifications(params["notifications"])
    api_url, account = journal_scope(params)
    if not given:
        return {"changed": False, "noted": 0, "ignored": ignored}, "", ""
    with contextlib.closing(
        NotificationLog(journal_path(params), api_url, account, provider, dry_run=check_mode)
    ) as journal:
        changes = journal.record(given)
    before = "".join(f"{shown(external_id)}: {state}\n" for external_id, state, dummy in changes)
    after = "".join(f"{shown(external_id)}: {state}\n" for external_id, dummy, state in changes)
    return {"changed": bool(changes), "noted": len(changes), "ignored": ignored}, before, after


def prune(params: dict[str, t.Any], check_mode: bool) -> tuple[dict[str, t.Any], str, str]:
    """Delete old rows; return the result, and the text of the diff before and after."""
    check_number(params, "older_than", 0)
    with contextlib.closing(JournalMaintenance(journal_path(params), dry_run=check_mode)) as journal:
        pruned = journal.prune(params["older_than"])
    before = "".join(f"old {name}: {count}\n" for name, count in pruned.items())
    after = "".join(f"old {name}: 0\n" for name in pruned)
    return {"changed": any(pruned.values()), "pruned": pruned}, before, after


def main() -> None:
    module = create_module(**SPEC)
    run_module(module, lambda secrets: run(module.params, module.check_mode, module._diff))


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the journal."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vcc_journal_info
short_description: Show the journal of interactions
version_added: 0.1.0
description:
  - Shows the journal in which M(vonage.vcc.vcc_interaction) records the actions that Vonage Contact Center (VCC) has accepted.
  - Makes no call, needs no credentials, and never creates a journal.
  - Shows any journal that it can read, even if it cannot write there, for example on a read-only file system.
author:
  - The vonage.vcc authors (@vonage)
options:
  external_ids:
    description: Return only the entries of these external ids. It must be a list. The module refuses a string, because an id may hold commas.
    type: list
    elements: str
  provider:
    description: Return only the entries of this provider. Entries without one have null in C(provider) of RV(entries).
    type: str
  state:
    description:
      - Return only the entries in this state. V(pending) means that VCC's answer is not known yet.
    type: str
    choices: [released, dispatched, pending]
  older_than:
    description: Return only the entries that are at least this number of seconds old.
    type: int
  newer_than:
    description: Return only the entries that are less than this number of seconds old.
    type: int
  page:
    description: Number of the page to return, from 1.
    type: int
    default: 1
  page_size:
    description: Number of entries on a page, up to 10000.
    type: int
    default: 100
extends_documentation_fragment:
  - vonage.vcc.attributes
  - vonage.vcc.attributes.actiongroup_vcc
  - vonage.vcc.connection
  - vonage.vcc.journal
attributes:
  check_mode:
    support: full
    details: Nothing changes.
  diff_mode:
    support: N/A
    details: Nothing changes.
  idempotent:
    support: N/A
    details: Nothing changes.
notes:
  - The module accepts the options of the connection because the action group sets them. They do not filter the entries; each entry names its API and
    account.
  - An entry counts only within the C(journal_ttl) of the task that uses it. The state that this module shows does not take that into account.
seealso:
  - module: vonage.vcc.vcc_journal
  - module: vonage.vcc.vcc_interaction
"""

EXAMPLES = r"""
- name: Count the entries of the journal
  vonage.vcc.vcc_journal_info:
  register: known

- name: Show the progress of a run that is under way, from another terminal
  ansible.builtin.debug:
    msg: "{{ known.counts.pending }} pending, {{ known.accepted_last_minute }} accepted in the last minute"

- name: Look up two interactions
  vonage.vcc.vcc_journal_info:
    external_ids:
      - case-4711
      - case-4712

- name: List entries that have been waiting for VCC's answer for more than an hour
  vonage.vcc.vcc_journal_info:
    state: pending
    older_than: 3600
"""

RETURN = r"""
journal:
  description: The journal.
  returned: success
  type: dict
  contains:
    backend:
      description: V(sqlite) or V(postgresql).
      type: str
    location:
      description: The path of its file, or the URL of its database without a password.
      type: str
    path:
      description: The path of its file; null for a database.
      type: str
    host:
      description: The host of the database that was reached, or the folder of its socket; null for a file.
      type: str
    database:
      description: The name of the database; null for a file.
      type: str
    exists:
      description: Whether the file, or the schema of the database, exists.
      type: bool
    schema_version:
      description: Version of its tables; null if there is no journal.
      type: int
  sample:
    backend: sqlite
    location: /home/ops/.ansible/vonage_vcc/journal.db
    path: /home/ops/.ansible/vonage_vcc/journal.db
    host: null
    database: null
    exists: true
    schema_version: 3
counts:
  description: Number of entries in the whole journal.
  returned: success
  type: dict
  contains:
    interactions:
      description: Entries, of all states.
      type: int
    released:
      description: Entries that say that an interaction is released.
      type: int
    dispatched:
      description: Entries that say that an interaction is dispatched.
      type: int
    pending:
      description: Entries whose answer is not known.
      type: int
    providers:
      description: Providers with a known registration.
      type: int
  sample: {interactions: 3, released: 2, dispatched: 1, pending: 0, providers: 1}
matched:
  description: Number of entries that match, on all pages.
  returned: success
  type: int
  sample: 1
accepted_last_minute:
  description:
    - Number of entries that match, on all pages, and that VCC has accepted in the last minute.
    - Together with C(pending) in RV(counts), it shows a run that is under way. By the clock of the database, or of this host for a file.
  returned: success
  type: int
  sample: 1
entries:
  description: The entries of the page that match, the latest first.
  returned: success
  type: list
  elements: dict
  contains:
    external_id:
      description: The external id.
      type: str
    provider:
      description: The provider, or null.
      type: str
    api_url:
      description: The API that was called.
      type: str
    account:
      description: The account.
      type: str
    state:
      description: V(released), V(dispatched) or V(pending).
      type: str
    action:
      description: The last requested action, V(release) or V(dispatch).
      type: str
    request_id:
      description: The request id of that action, or the id of the notification that confirmed it.
      type: str
    asked:
      description: When the action was requested, in ISO 8601 and UTC.
      type: str
    accepted:
      description: When VCC accepted the action; null if its answer is not known.
      type: str
  sample:
    - external_id: case-4711
      provider: null
      api_url: https://emea.api.newvoicemedia.com
      account: my-client
      state: released
      action: release
      request_id: 5f0c5a1de2a9464e8e3a9c8f6f1b2d34
      asked: "2026-01-31T12:00:00Z"
      accepted: "2026-01-31T12:00:00Z"
"""

import contextlib
import typing as t

from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._module import create_module, run_module
from ansible_collections.vonage.vcc.plugins.module_utils._options import CONNECTION_SPEC, JOURNAL_SPEC, journal_path
from ansible_collections.vonage.vcc.plugins.module_utils._validation import (
    check_id,
    check_name,
    check_number,
    check_raw_ids,
)

# The maximum page_size.
MAX_PAGE_SIZE = 10_000

# The options that choose entries.
FILTERS = ("external_ids", "provider", "state", "older_than", "newer_than", "page", "page_size")

SPEC: dict[str, t.Any] = {
    "argument_spec": {
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
}


def run(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Search the journal, and return the result. Raises InputError and JournalError."""
    check_number(params, "older_than", 0)
    check_number(params, "newer_than", 0)
    check_number(params, "page", 1)
    check_number(params, "page_size", 1, MAX_PAGE_SIZE)
    if params["provider"]:
        check_name("provider", params["provider"])
    for index, external_id in enumerate(params["external_ids"] or ()):
        check_id(f"external_ids[{index}]", external_id)
    with contextlib.closing(JournalMaintenance(journal_path(params), dry_run=True, show_only=True)) as journal:
        entries, matched, recent = journal.entries(**{name: params[name] for name in FILTERS})
        return {
            "changed": False,
            "journal": journal.description(),
            "counts": journal.counts(),
            "matched": matched,
            "accepted_last_minute": recent,
            "entries": entries,
        }


def main() -> None:
    module = create_module(**SPEC)

    def search(secrets: set[str]) -> dict[str, t.Any]:
        check_raw_ids(module.given)
        return run(module.params)

    run_module(module, search)


if __name__ == "__main__":
    main()

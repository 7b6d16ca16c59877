#!/usr/bin/python
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the journal."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vcc_journal_info
short_description: Show the journal of interactions
version_added: 1.0.0
description:
  - Shows the journal in which M(vonage.vcc.vcc_interaction) records the actions that Vonage Contact Center (VCC) has accepted.
  - Makes no call, needs no credentials, and never creates a journal.
  - Shows any journal that it can read, even if it cannot write there, for example on a read-only file system.
  - Also shows the history of the journal, which has the outcome of each interaction in each run of M(vonage.vcc.vcc_interaction). It can export the whole
    history to a file.
author:
  - The vonage.vcc authors (@vonage)
options:
  external_ids:
    description: Return only the entries of these external ids. It must be a list. The module refuses a string, because an id may hold commas.
    type: list
    elements: str
  provider:
    description: Return only the entries of this provider. Entries without a provider have null in C(provider) of RV(entries).
    type: str
  state:
    description:
      - Return only the entries in this state. V(pending) means that VCC's answer is not known yet.
      - V(failed) and V(unknown) are outcomes of the history, which has no V(pending).
    type: str
    choices: [released, dispatched, pending, failed, unknown]
  older_than:
    description: Return only the entries that are at least this number of seconds old.
    type: int
  newer_than:
    description: Return only the entries that are less than this number of seconds old.
    type: int
  history:
    description:
      - Return the history in place of the current state, with an entry for each outcome of each run. An interaction has an outcome in a run if VCC accepted it,
        or if it failed or stayed V(unknown). Interactions that the journal confirmed have none.
      - A task that fails before it asks VCC for anything, for example because of wrong credentials, leaves no history. A task without a journal leaves
        none either.
    type: bool
    default: false
  run_id:
    description:
      - Return only the entries of the run of a task that has returned this RV(vonage.vcc.vcc_interaction#module:run_id). Also return the summary of the run as
        RV(run).
      - Implies O(history).
    type: str
  export:
    description:
      - Path of a file, on the host that runs the module, for all entries that match, not only for those of the page. Each line is a JSON object with the keys
        of RV(entries). Its mode is 0600.
      - The export replaces an empty file or an earlier export. The module refuses any other file. It also refuses a symbolic link, a file with a second
        hard link, and another user's file. The path must not be a device or a pipe, such as V(/dev/stdout) or V(/dev/null).
      - If the journal does not exist, an earlier export with entries stays as it is, and the module fails.
      - The task is changed if the content of the file changes. Check mode writes no file and predicts the change. It fails if the module cannot write the file.
    type: path
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
    details: Nothing changes but the file of O(export), which check mode does not write.
  diff_mode:
    support: N/A
    details: Nothing changes but the file of O(export).
  idempotent:
    support: full
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

- name: Show the progress of a run from another terminal
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

- name: Find out who has released or dispatched an interaction, when and why
  vonage.vcc.vcc_journal_info:
    history: true
    external_ids: [case-4711]

- name: Release interactions for a change
  vonage.vcc.vcc_interaction:
    src: "{{ playbook_dir }}/interactions.txt"
    reason: CHG0031337, the queue is closed
  register: released

- name: List the interactions that failed in that run
  vonage.vcc.vcc_journal_info:
    run_id: "{{ released.run_id }}"
    state: failed

- name: Export the history of the last month
  vonage.vcc.vcc_journal_info:
    history: true
    newer_than: "{{ 31 * 24 * 60 * 60 }}"
    export: "{{ playbook_dir }}/history.jsonl"
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
      description: The path of the journal file, or the URL of the database without a password.
      type: str
    path:
      description: The path of the journal file; null for a database.
      type: str
    host:
      description: The host of the database to which the module has connected, or the folder of its socket; null for a file.
      type: str
    database:
      description: The name of the database; null for a file.
      type: str
    exists:
      description: Whether the file, or the schema of the database, exists.
      type: bool
    schema_version:
      description: Version of the journal's tables; null if there is no journal.
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
      description: Entries for which VCC's answer is not known.
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
    - Together with C(pending) in RV(counts), it shows the progress of a run. The clock is that of the database, or of this host for a file.
  returned: success
  type: int
  sample: 1
exported:
  description: Number of entries in the file of O(export); in check mode, the number that it would have.
  returned: if O(export) is set
  type: int
  sample: 1
run:
  description: The summary of the run of O(run_id); null if the history has no outcome of it.
  returned: if O(run_id) is set
  type: dict
  contains:
    run_id:
      description: The id of the run.
      type: str
    started:
      description: When the task began, in ISO 8601 and UTC. All times are by the clock of the database, or of the host of a file.
      type: str
    ended:
      description: The time of its last outcome.
      type: str
    reason:
      description: Its O(vonage.vcc.vcc_interaction#module:reason), or null.
      type: str
    job_id:
      description: The id of its job of AAP or AWX, or null.
      type: str
    counts:
      description: Number of interactions that VCC accepted to release (C(released)) and to dispatch (C(dispatched)), and that are C(failed) or C(unknown).
      type: dict
    calls:
      description: The number of the last API call that decided an outcome, counted from 1.
      type: int
    timeline:
      description:
        - The outcomes over time, in up to 60 parts of equal length. Each part has its beginning (C(from)), and the numbers of interactions that were
          C(accepted), C(failed) and C(unknown) in it.
      type: list
      elements: dict
  sample:
    run_id: 0a8c1f0e5d6b4b8f9a7c3e2d1f0b9a86
    started: "2026-01-31T12:00:00Z"
    ended: "2026-01-31T12:00:01Z"
    reason: CHG0031337, the queue is closed
    job_id: "4711"
    counts: {released: 2, dispatched: 0, failed: 1, unknown: 0}
    calls: 3
    timeline:
      - {from: "2026-01-31T12:00:00Z", accepted: 2, failed: 0, unknown: 0}
      - {from: "2026-01-31T12:00:01Z", accepted: 0, failed: 1, unknown: 0}
entries:
  description: The entries of the page that match, the latest first.
  returned: success
  type: list
  elements: dict
  contains:
    external_id:
      description: The external id; in the history null for a dispatch without one.
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
      description: V(released), V(dispatched) or V(pending); in the history V(released), V(dispatched), V(failed) or V(unknown).
      type: str
    action:
      description: The last requested action, V(release) or V(dispatch); in the history the action of the run.
      type: str
    request_id:
      description: The request id of that action, or the id of the notification that confirmed it; null if it was not sent.
      type: str
    asked:
      description: When the action was requested, in ISO 8601 and UTC. Not in the history.
      type: str
    accepted:
      description: When VCC accepted the action; null if its answer is not known. Not in the history.
      type: str
    at:
      description: When the outcome was known, in ISO 8601 and UTC. Only the history has this key and the keys below.
      type: str
    call:
      description: The number of the API call of the run that decided the outcome, from 1; null without a call.
      type: int
    message:
      description: The error and its remedy; empty without an error.
      type: str
    run_id:
      description: The id of the run.
      type: str
    reason:
      description: The O(vonage.vcc.vcc_interaction#module:reason) of the run, or null.
      type: str
    job_id:
      description: The id of its job of AAP or AWX, or null.
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
import re
import typing as t

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.export import Export
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._module import create_module, run_module
from ansible_collections.vonage.vcc.plugins.module_utils._options import CONNECTION_SPEC, JOURNAL_SPEC, journal_path
from ansible_collections.vonage.vcc.plugins.module_utils._text import shown
from ansible_collections.vonage.vcc.plugins.module_utils._validation import (
    check_id,
    check_name,
    check_number,
    check_raw_ids,
)

# The maximum page_size.
MAX_PAGE_SIZE = 10_000

# The options that select entries, and those that select a page of them.
FILTERS = ("external_ids", "provider", "state", "older_than", "newer_than", "run_id")
PAGES = ("page", "page_size")

# The states of the history only, and of the present only.
PAST_STATES = ("failed", "unknown")
PRESENT_STATES = ("pending",)

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "external_ids": {"type": "list", "elements": "str"},
        "provider": {"type": "str"},
        "state": {"type": "str", "choices": ["released", "dispatched", "pending", "failed", "unknown"]},
        "older_than": {"type": "int"},
        "newer_than": {"type": "int"},
        "history": {"type": "bool", "default": False},
        "run_id": {"type": "str"},
        "export": {"type": "path"},
        "page": {"type": "int", "default": 1},
        "page_size": {"type": "int", "default": 100},
        **JOURNAL_SPEC,
        **CONNECTION_SPEC,
    }
}


def run(params: dict[str, t.Any], check_mode: bool = False) -> dict[str, t.Any]:
    """Search the journal, export the matches, and return the result. Raises InputError and JournalError."""
    history = params["history"] or params["run_id"] is not None
    _check(params, history)
    filters = {**{name: params[name] for name in FILTERS}, "history": history}
    path = journal_path(params)
    with contextlib.ExitStack() as stack:
        # Before the journal is read, so that a file that cannot be written fails at once.
        export = (
            stack.enter_context(contextlib.closing(Export(params["export"], check_mode))) if params["export"] else None
        )
        journal = stack.enter_context(contextlib.closing(JournalMaintenance(path, dry_run=True, show_only=True)))
        entries, matched, recent = journal.entries(**filters, **{name: params[name] for name in PAGES})
        result = {
            "changed": False,
            "journal": journal.description(),
            "counts": journal.counts(),
            "matched": matched,
            "accepted_last_minute": recent,
            "entries": entries,
        }
        if params["run_id"] is not None:
            result["run"] = journal.run(params["run_id"])
        if export:
            _check_export(export, params["export"], journal.description())
            journal.export(export.write, **filters)
            result.update(changed=export.changed, exported=export.count)
        return result


def _check_export(export: Export, path: str, journal: dict[str, t.Any]) -> None:
    """Raise InputError if a journal that does not exist, such as one with a misspelt path, would replace an earlier export."""
    if export.had_entries and not journal["exists"]:
        raise InputError(
            f"export {shown(path)} has entries, and the journal {shown(journal['location'])} that would replace them does not exist:"
            " check the option journal, or set export to another path."
        )


def _check(params: dict[str, t.Any], history: bool) -> None:
    """Check the rules that the argument spec cannot express. Raises InputError."""
    check_number(params, "older_than", 0)
    check_number(params, "newer_than", 0)
    check_number(params, "page", 1)
    check_number(params, "page_size", 1, MAX_PAGE_SIZE)
    if params["provider"]:
        check_name("provider", params["provider"])
    for index, external_id in enumerate(params["external_ids"] or ()):
        check_id(f"external_ids[{index}]", external_id)
    if params["run_id"] is not None and not re.fullmatch("[0-9a-f]{32}", params["run_id"]):
        raise InputError("run_id must be the 32 hexadecimal digits that a task has returned as its run_id.")
    if history and params["state"] in PRESENT_STATES:
        raise InputError(f"state {params['state']} is not in the history: leave history and run_id out.")
    if not history and params["state"] in PAST_STATES:
        raise InputError(f"state {params['state']} is only in the history: set history to true.")


def main() -> None:
    module = create_module(**SPEC)

    def search(secrets: set[str]) -> dict[str, t.Any]:
        check_raw_ids(module.given)
        return run(module.params, module.check_mode)

    run_module(module, search)


if __name__ == "__main__":
    main()

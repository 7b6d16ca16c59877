#!/usr/bin/python
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module door: the engine on the target."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vcc_interaction
short_description: Release interactions in Vonage Contact Center
version_added: 0.1.0
description:
  - Releases interactions by the external ids that they were dispatched with. An interaction that waits in a queue is removed from VCC; one that
    an agent has is ended for the agent.
  - VCC's Interactions API can be written to, but nothing reads an interaction back. So the module keeps a journal of what VCC has accepted, and
    leaves alone what the journal proves to be released.
  - A task that was interrupted can be run again. Each interaction is then sent with the request id of the first attempt, and VCC processes only
    the first of two requests with the same id.
author:
  - The vonage.vcc authors (@vonage)
options:
  state:
    description: The state that the interactions are to be in.
    type: str
    choices: [released]
    default: released
  external_id:
    description:
      - External id of one interaction.
      - Exactly one of O(external_id), O(external_ids) and O(src) is required.
      - An id may hold any character but control characters, and has at most 1024 characters.
    type: str
  external_ids:
    description:
      - External ids of many interactions; the same id counts once.
      - It has to be a real list. A string is refused rather than split at its commas, which an id may hold.
      - For more than some thousand interactions O(src) is faster, since Ansible then does not carry the ids about.
    type: list
    elements: str
  src:
    description:
      - Path of a file with many interactions, UTF-8, on the host that runs the engine; a relative one begins in the playbook's folder.
      - In a file that ends in C(.jsonl) each line is a JSON object with C(external_id).
      - A file that ends in C(.csv) has a header with a column C(external_id), and commas between the columns.
      - In any other file each line is an external id.
      - Blank lines are skipped, and the same id counts once. Objects and rows may have a C(request_id) of their own, see O(request_id); what
        else they have is ignored.
    type: path
  provider:
    description: Name of the provider that the interactions were dispatched with. VCC finds them with the same provider only.
    type: str
  request_id:
    description:
      - Your own idempotency key for O(external_id), in place of a random one. VCC processes only the first of two requests with the same key.
      - An external id that is dispatched again needs a new key to be released again.
    type: str
  force:
    description:
      - Whether to release even what the journal says is done or under way, with a new request id.
      - For external ids that have been dispatched again since, other than by this collection.
    type: bool
    default: false
  journal:
    description:
      - Path of the journal, a SQLite file, on the host that runs the engine. It is made with mode 0600 where it is missing; not on a network
        file system.
      - The empty string stands for no journal. Then nothing is remembered across tasks, and every run releases everything.
      - If not set, the environment variable E(VCC_JOURNAL) is used.
    type: path
    default: ~/.ansible/vonage_vcc/journal.db
  journal_ttl:
    description:
      - Seconds for which an entry of the journal counts as proof that an interaction is released; V(0) for no limit.
      - An external id that is dispatched again within that time, other than by this collection, is taken for released. Set this shorter than the
        time in which your systems use an external id again.
    type: int
    default: 86400
  report:
    description:
      - Path of a file, on the host that runs the engine, for the outcome of every interaction. It is written as the work goes on, one JSON
        object a line, with the keys of RV(interactions). A file that is there is replaced; check mode writes none.
    type: path
extends_documentation_fragment:
  - vonage.vcc.attributes
  - vonage.vcc.attributes.actiongroup_vcc
  - vonage.vcc.connection
attributes:
  check_mode:
    support: full
    details: No call of any kind is made and nothing is written. What is predicted is what the run that follows reports.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - Within O(journal_ttl), with the same journal, and without O(force).
      - Without a journal, or where it is lost with the container that a task ran in, each run releases again. VCC's answer to the release of an
        interaction that it does not have is not documented; if it is a 404, the interaction counts as released and unchanged.
notes:
  - On a plain local connection (no become, no environment, no async, no other Python interpreter) the task runs in Ansible's own process,
    which is faster by far; in all other cases it runs as a module on the target. The result is the same.
  - What VCC answers on success, and how it answers the release of an interaction that is unknown or already released, is not documented. A status
    of 200 with an empty body or with JSON counts as accepted. A redirect, a page of HTML or a cut connection never does.
"""

EXAMPLES = r"""
- name: Release one interaction
  vonage.vcc.vcc_interaction:
    region: emea
    client_id: "{{ vcc_client_id }}"
    client_secret: "{{ vcc_client_secret }}"
    external_id: case-4711

- name: Release what a provider has dispatched, with the credentials of the environment (VCC_REGION, VCC_CLIENT_ID, VCC_CLIENT_SECRET)
  vonage.vcc.vcc_interaction:
    provider: ticket-system
    external_ids:
      - ticket-1
      - ticket-2

- name: Release a hundred thousand interactions from a file and keep every outcome
  vonage.vcc.vcc_interaction:
    src: "{{ playbook_dir }}/interactions.txt"
    report: "{{ playbook_dir }}/released.jsonl"
    requests_per_minute: 60

- name: Release an interaction whose external id the CRM has used again
  vonage.vcc.vcc_interaction:
    external_id: case-4711
    force: true
"""

RETURN = r"""
summary:
  description: How many interactions came to what.
  returned: when the input is valid
  type: dict
  contains:
    requested:
      description: Distinct interactions that were asked for.
      type: int
    released:
      description: Interactions that VCC accepted to release in this run; in check mode, those it would be asked to.
      type: int
    unchanged:
      description: Interactions that were released already.
      type: int
    failed:
      description: Interactions that are not released.
      type: int
    unknown:
      description: Interactions that may or may not be released, since VCC's answer did not arrive.
      type: int
    api_calls:
      description: HTTP requests to the API, retries included, those for tokens not.
      type: int
  sample: {requested: 3, released: 2, unchanged: 1, failed: 0, unknown: 0, api_calls: 1}
interactions:
  description:
    - The outcome of each interaction, in the order they were asked for, for up to 1000 interactions.
    - Above that, only the failed and unknown ones, and at most 10000 of them; O(report) has all.
  returned: when the input is valid
  type: list
  elements: dict
  contains:
    external_id:
      description: The external id.
      type: str
    provider:
      description: The provider, or null.
      type: str
    request_id:
      description: The request id that it was sent with; null where none has been made yet.
      type: str
    state:
      description: V(released), V(failed), or V(unknown) if it may or may not be released.
      type: str
    changed:
      description: Whether this run released it.
      type: bool
    evidence:
      description:
        - How that is known. V(api), VCC accepted the call. V(journal), it did so before. V(status), VCC answered with a status that says so.
          V(predicted), check mode. V(none), there is no answer.
      type: str
    message:
      description: What went wrong and what to do, empty if nothing.
      type: str
  sample:
    - external_id: case-4711
      provider: null
      request_id: 5f0c5a1de2a9464e8e3a9c8f6f1b2d34
      state: released
      changed: true
      evidence: api
      message: ""
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.vonage.vcc.plugins.module_utils.client import REQUESTS_IMPORT_ERROR
from ansible_collections.vonage.vcc.plugins.module_utils.interactions import Session, run
from ansible_collections.vonage.vcc.plugins.module_utils.journal import SQLITE_IMPORT_ERROR
from ansible_collections.vonage.vcc.plugins.module_utils.options import INTERACTION_SPEC, Connection


def main() -> None:
    module = AnsibleModule(supports_check_mode=True, **INTERACTION_SPEC)
    for library, error in (("requests", REQUESTS_IMPORT_ERROR), ("sqlite3", SQLITE_IMPORT_ERROR)):
        if error:
            module.fail_json(msg=missing_required_lib(library), exception=error)
    sessions: dict[Connection, Session] = {}
    result = run(module.params, module.check_mode, module._diff, sessions)
    for session in sessions.values():
        module.no_log_values.update(session.secrets)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dispatch and release interactions: the engine as a module on the target."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vcc_interaction
short_description: Dispatch and release interactions in Vonage Contact Center
version_added: 1.0.0
description:
  - Releases interactions that were dispatched with an external id. An interaction in a queue leaves Vonage Contact Center (VCC). If an agent has the
    interaction, the agent's relationship with it ends.
  - Dispatches interactions into VCC through a named route.
  - VCC's Interactions API is write-only; no call tells whether an interaction is dispatched or released. Therefore the module keeps a journal of the actions
    that VCC has accepted. It makes no call for an interaction that the journal confirms as done.
  - You can run an interrupted task again. It sends each interaction with the request id of the first attempt, and VCC processes only the first of two
    requests with the same id.
author:
  - The vonage.vcc authors (@vonage)
options:
  state:
    description:
      - V(released) releases the interactions.
      - V(dispatched) dispatches them through O(route). The module makes no call for an interaction that the journal confirms as dispatched, and not
        released since.
      - Each action ends the journal's confirmation of the other action. If one process releases an interaction while another dispatches it, the journal
        confirms neither action.
      - If the answer to a dispatch is lost, the next run repeats it with the request id of the first attempt. If VCC has processed that attempt, the
        route and the data of the repetition have no effect.
    type: str
    choices: [released, dispatched]
    default: released
  external_id:
    description:
      - External id of one interaction.
      - Exactly one of O(external_id), O(external_ids), O(src) and O(interactions) is required.
      - An id may hold any character except control characters, and has at most 1024 characters.
      - The module refuses an id that begins or ends with white space or an invisible character. It does not trim ids.
      - Put an id of digits in quotes, because YAML reads V(0123) as V(83) and V(12:30:45) as V(45045). The module accepts a number without
        quotes, with a warning.
    type: str
  external_ids:
    description:
      - External ids of many interactions; a repeated id counts once.
      - It must be a list. The module refuses a string and does not split it at commas, because an id may hold commas.
      - For more than some thousand interactions, O(src) is faster, because then Ansible does not process the ids.
    type: list
    elements: str
  interactions:
    description:
      - Many interactions, each with its own data to dispatch. The same list works with O(state=dispatched) and O(state=released), so that one variable
        can hold a set of interactions from dispatch to release.
      - A repeated external id counts once. The module refuses it if the data differ.
    type: list
    elements: dict
    suboptions:
      external_id:
        description:
          - External id of the interaction.
          - An interaction can be dispatched without an external id, with a warning. VCC's API can never release such an interaction, and each run of the task
            dispatches it again. O(state=released) refuses it.
        type: str
      request_id:
        description:
          - Your own request id for the dispatch, see O(request_id).
          - O(state=released) ignores it, because VCC would ignore a release with the request id of the dispatch.
        type: str
      linked_data:
        description: Data of this interaction, in place of O(linked_data).
        type: list
        elements: dict
        suboptions: &linked_data
          type:
            description:
              - Type of the value. Any text is sent as it is.
              - VCC documents V(clid), V(url), V(name), V(mediatype) and V(object), and may accept more, such as the data sources of an interaction plan.
            type: str
            required: true
          value:
            description: The value; a number must be an integer.
            type: str
            required: true
          label:
            description: Label of the value.
            type: str
          owner:
            description: The system that the value belongs to.
            type: str
          key:
            description: The key of the value in that system.
            type: str
      routing_data:
        description: Routing of this interaction, in place of O(routing_data).
        type: dict
        suboptions: &routing_data
          interaction_type:
            description: The kind of interaction.
            type: str
            choices: [live, nonlive, chat]
          personal_queue:
            description: The personal queue of an agent in which the interaction waits.
            type: dict
            suboptions:
              agent:
                description: The agent.
                type: str
                required: true
              logged_in_timeout:
                description: Seconds to wait in that queue while the agent is logged in.
                type: int
              logged_out_timeout:
                description: Seconds to wait in that queue while the agent is logged out.
                type: int
          skills:
            description: The skills that an agent must have.
            type: list
            elements: dict
            suboptions:
              name:
                description: The skill.
                type: str
                required: true
              expiry_after:
                description: Seconds after which the skill is no longer required; V(0) for an optional skill. Without this option, the skill is mandatory.
                type: int
  route:
    description: The named route for the dispatch. Required with O(state=dispatched), ignored otherwise.
    type: str
  linked_data:
    description:
      - Data that VCC shows to the agent, or that the route uses. It applies to all interactions without their own O(interactions[].linked_data).
      - Used with O(state=dispatched) only. Together with O(routing_data), O(route) and the other properties of an interaction, it has at most 80000 bytes
        of JSON.
    type: list
    elements: dict
    suboptions: *linked_data
  routing_data:
    description:
      - Routing of all interactions without their own O(interactions[].routing_data).
      - Used with O(state=dispatched) only.
    type: dict
    suboptions: *routing_data
  src:
    description:
      - Path of a file with many interactions, in UTF-8, on the host that runs the task. A relative path starts in the playbook's folder.
      - O(src_format) sets the format of the file. The module refuses a pipe or a device, such as C(/dev/stdin).
      - Before any call, the module refuses a file with other content, for example a file encrypted by ansible-vault, a web page, or an archive. A file without
        interactions is accepted, with a warning.
      - The module skips blank lines, and a repeated id counts once. Objects and rows may have their own C(request_id), see O(request_id).
      - With O(state=dispatched), objects may have C(linked_data) and C(routing_data), as in O(interactions). The module ignores all other keys.
    type: path
  src_format:
    description:
      - The format of O(src).
      - V(auto) uses the extension. C(.csv), C(.tsv), C(.jsonl) and C(.json) select the format of that name, and C(.ndjson) selects V(jsonl).
        C(.txt), C(.list), C(.ids) and no extension select V(text). Any other extension is refused.
      - With V(text), each line is an exact external id, without comments or quotes. A line must not begin with C(#), be in quotes, end
        with a comma or a semicolon, or look like JSON, HTML, XML or YAML. Use another format for such an id.
      - With V(csv), the header has a column C(external_id), and commas separate the columns. V(tsv) is the same with tabs.
      - With V(jsonl), each line is a JSON object with C(external_id).
      - With V(json), the file is one JSON array of such objects, or of external ids, of at most 64 MiB.
    type: str
    choices: [auto, text, csv, tsv, jsonl, json]
    default: auto
  provider:
    description:
      - Name of the provider of the interactions. The provider must be registered, see M(vonage.vcc.vcc_provider).
      - VCC releases an interaction only with the provider of its dispatch.
    type: str
  request_id:
    description:
      - Your own request id for O(external_id), in place of a random one. VCC processes only the first of two requests with the same request id.
      - Each dispatch and each release of an external id needs a new request id. The module refuses a request id if, according to the journal, VCC may have
        received it.
      - While VCC's answer to an earlier attempt is not known, the module uses the request id of that attempt.
    type: str
  idempotency_key:
    description:
      - The name of an operation, such as a change ticket, the id of a workflow or a date. The module derives the request id of each interaction from the
        account, O(provider), the action, the external id and this key, in place of a random one.
      - So every host, container and run with the same key sends the same request ids, with or without a common journal, and VCC processes each request id once.
        Use a key to dispatch from a container that ends with its job.
      - Another operation on the same interactions needs another key. VCC does not document for how long it remembers a request id.
      - If the journal has an accepted request with the key, the interaction is done, regardless of O(journal_ttl). While VCC's answer to an earlier attempt is
        not known, the module uses the request id of that attempt. The module refuses O(force) with a key that a task has used.
      - If the answer to an attempt was lost, and the opposite action came before the next attempt, VCC may ignore the repeated request id. Then the journal
        knows only that the operation is done. It confirms no state of the interaction to other tasks.
      - Without a journal, C(changed) means that VCC has accepted the calls, even if it had processed the same request ids before.
      - The request id is the first 32 hexadecimal digits of a SHA-256 of five lines, each with a line feed at its end. The five lines are the account
        (O(account), or else O(client_id)), the provider (empty without one), V(release) or V(dispatch), the external id and the key.
      - The module refuses a key together with a request_id, and for a dispatch without an external id.
      - The key is text, a whole number or a date. The module refuses a time, a truth value and a number with a fraction, because YAML loses their spelling.
      - If not set, the environment variable E(VCC_IDEMPOTENCY_KEY) is used.
    type: str
  plan_digest:
    description:
      - The RV(plan_digest) that check mode returned for an approved plan. If the plan of the task has changed since, the task fails before any call, and
        changes nothing.
      - An empty digest counts as not set, so the task compares nothing. If a task must not run without an approval, first check that the digest is not empty.
      - The plan of a task is the list of interactions that are left to release or dispatch. The digest covers the scope (the API, O(account) or else
        O(client_id), and O(provider)), the action, O(force) and O(idempotency_key). Of each interaction, it covers the external id, the custom request id, the
        route and the data.
      - The digest does not depend on the order of the list, nor on whether a file or an option has the list. It depends on the journal only because the journal
        decides which interactions are left.
      - The message of the failed task has the numbers of new and of done interactions, if these explain the whole difference. A digest does not show which
        interactions were removed from a list.
      - While a task works, another process cannot add interactions to its plan. An interaction that the journal confirms when the task begins stays unchanged.
      - A second run with the same digest finds everything done, and changes nothing. If only a part of the plan is done, run check mode again for the digest of
        the interactions that are left. Without a journal or with O(force), nothing is confirmed, so a second run carries out the plan again.
    type: str
  reason:
    description:
      - Why, and on whose behalf, the task releases or dispatches the interactions, such as the number of a ticket and a name. O(report) and the journal record
        it with each outcome, see M(vonage.vcc.vcc_journal_info).
      - Any text of one line, of up to 500 characters. It must hold no secret, because everybody who can read the journal can read it.
      - If not set, the environment variable E(VCC_REASON) is used.
    type: str
  force:
    description:
      - Send the request even if the journal says that the interaction is done or in progress, with a new request id.
      - Use it for external ids that another system has dispatched or released in the meantime.
    type: bool
    default: false
  journal_ttl:
    description:
      - Seconds for which an entry of the journal confirms that an interaction is dispatched or released; V(0) for no limit.
      - If another system dispatches an external id again within that time, the module still considers it released. Set a shorter time than your systems
        need to reuse an external id.
    type: int
    default: 86400
  report:
    description:
      - Path of a file, on the host that runs the task, for the outcome of every interaction. The module writes it while it works, one JSON object per line,
        with the keys of RV(interactions). Its mode is 0600.
      - A line also has C(at), the time when the outcome was known, in ISO 8601 and UTC; RV(run_id); O(reason); and C(job_id), the id of the job of AAP or AWX,
        from the variable E(JOB_ID) in the environment of the host that runs the task. O(reason) and C(job_id) can be null.
      - The report replaces an empty file or an earlier report. The module refuses any other file before any call. It also refuses a symbolic link, a file
        with a second hard link, and another user's file. The path must not be a device or a pipe, such as V(/dev/stdout) or V(/dev/null).
      - Check mode writes no report, and fails if the report cannot be written.
    type: path
  calls_in_flight:
    description:
      - Number of calls to make at once, 1 to 16. A call holds up to some thousand interactions, so the option affects larger tasks only.
      - If VCC answers one call with 429, because of the account's fair-use limit, all other calls wait too.
      - The module always sends dispatches one call after the other, so that the interactions queue in the requested order. It sends releases in the order of
        their external ids.
    type: int
    default: 4
  max_failures:
    description:
      - Stop sending once VCC has refused this number of interactions. The remaining interactions fail as not sent. Interactions that were part of a refused
        call, and that the module has not yet sent again, are V(unknown).
      - By default there is no limit, except for a task that VCC refuses as a whole, for example because its provider is not registered. Such a task stops
        after some 20 calls with the same answer, among them 8 of one interaction each, if VCC has accepted none.
      - Any value replaces this rule. To try every interaction regardless of refusals, set a high value.
    type: int
  progress:
    description:
      - Show the progress of the task after 10 seconds, then after 20, 40 and 80, and then every minute. A line has the numbers of interactions that are done,
        failed and unknown, the number of calls, the rate, the time left, and the reason why the task waits, such as a 429.
      - If Ctrl+C, SIGTERM or the C(timeout) of the task interrupts it, the last line shows the progress, and says how to continue.
      - The lines go to standard error. Only a task that runs in Ansible's own process shows them, see the notes.
      - If not set, the environment variable E(VCC_PROGRESS) is used.
    type: bool
    default: true
extends_documentation_fragment:
  - vonage.vcc.attributes
  - vonage.vcc.attributes.actiongroup_vcc
  - vonage.vcc.connection
  - vonage.vcc.journal
attributes:
  check_mode:
    support: full
    details:
      - The module makes no call of any kind and writes nothing. It predicts the result of the run that follows.
      - It returns RV(plan_digest). A run with this digest does exactly this plan, or makes no call.
      - It predicts each task by itself, from the current journal, without the effects of earlier tasks of the same check.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - Within O(journal_ttl), with the same journal, without O(force), and for interactions with an external id.
      - Without a journal, or after the loss of the journal with its container, each run dispatches or releases again. VCC's answer to the release of an
        interaction that it does not have is not documented. If it is a 404, the interaction counts as released and unchanged.
seealso:
  - module: vonage.vcc.vcc_provider
  - module: vonage.vcc.vcc_ongoing_info
  - module: vonage.vcc.vcc_journal_info
notes:
  - On a plain local connection (no become, no environment, no async, no other Python interpreter), the task runs in Ansible's own process.
    That is much faster. In all other cases it runs as a module on the target. The result is the same.
  - A module cannot show its progress, because Ansible reads nothing from it before it ends. The module writes each outcome to its O(report) at once, so follow
    that file with C(tail -F) on the target, or the journal with M(vonage.vcc.vcc_journal_info).
  - VCC does not document its answer to a successful call, nor to the release of an unknown or released interaction. A status of 200 with an empty body or
    with JSON counts as accepted. A redirect, a page of HTML or a cut connection never does.
"""

EXAMPLES = r"""
- name: Release one interaction
  vonage.vcc.vcc_interaction:
    region: emea
    client_id: "{{ vcc_client_id }}"
    client_secret: "{{ vcc_client_secret }}"
    external_id: case-4711

- name: Release two interactions of a provider, with credentials from the environment (VCC_REGION, VCC_CLIENT_ID, VCC_CLIENT_SECRET)
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

- name: Dispatch one interaction
  vonage.vcc.vcc_interaction:
    state: dispatched
    route: Back office
    external_id: case-4711
    linked_data:
      - type: url
        value: https://crm.example/case/4711
        label: Case 4711
    routing_data:
      interaction_type: nonlive
      skills:
        - name: French
        - name: Contracts
          expiry_after: 120

- name: Dispatch a set of interactions to particular agents
  vonage.vcc.vcc_interaction:
    state: dispatched
    route: Back office
    provider: ticket-system
    interactions: &tickets
      - external_id: ticket-1
        linked_data:
          - type: name
            value: Ada Lovelace
      - external_id: ticket-2
        routing_data:
          personal_queue:
            agent: agent-7
            logged_in_timeout: 60
            logged_out_timeout: 0

- name: Dispatch from a container that has no journal, once for each change ticket
  vonage.vcc.vcc_interaction:
    state: dispatched
    route: Back office
    external_ids:
      - case-4712
      - case-4713
    idempotency_key: CHG0031337

- name: Release the same set
  vonage.vcc.vcc_interaction:
    provider: ticket-system
    interactions: *tickets

- name: Predict a release, for a person who approves it
  vonage.vcc.vcc_interaction:
    external_ids: &closed
      - case-4714
      - case-4715
  check_mode: true
  register: planned

- name: Release the approved interactions, or nothing if the list or the journal has changed since
  vonage.vcc.vcc_interaction:
    external_ids: *closed
    plan_digest: "{{ planned.plan_digest }}"

- name: Release an interaction whose external id the CRM has reused
  vonage.vcc.vcc_interaction:
    external_id: case-4711
    force: true

- name: Release interactions, and say why in the report and in the journal
  vonage.vcc.vcc_interaction:
    src: "{{ playbook_dir }}/interactions.txt"
    reason: CHG0031337, the queue is closed, Ada Lovelace
    report: "{{ playbook_dir }}/released.jsonl"
"""

RETURN = r"""
summary:
  description: Number of interactions by outcome.
  returned: when the input is valid
  type: dict
  contains:
    requested:
      description: Distinct interactions that the task asked for.
      type: int
    released:
      description: Interactions that VCC accepted to release in this run; in check mode, those that the run would send.
      returned: if O(state=released)
      type: int
    dispatched:
      description: Interactions that VCC accepted to dispatch in this run; in check mode, those that the run would send.
      returned: if O(state=dispatched)
      type: int
    unchanged:
      description: Interactions that were in the requested state already.
      type: int
    failed:
      description: Interactions that are not in the requested state.
      type: int
    unknown:
      description: Interactions that may or may not be in the requested state, because VCC's answer did not arrive.
      type: int
    api_calls:
      description: HTTP requests to the API, including retries but not requests for tokens.
      type: int
  sample: {requested: 3, released: 2, unchanged: 1, failed: 0, unknown: 0, api_calls: 1}
plan_digest:
  description:
    - The SHA-256 of the plan of the task, in 64 hexadecimal digits, for the option O(plan_digest) of a later run. The same plan has the same digest on any
      host and in any order of its list.
    - It is the digest of the plan when the task began, even if the task failed because of its O(plan_digest).
  returned: in check mode, or if O(plan_digest) is set
  type: str
  sample: a73f678db8a25edf4c6f4bbdca5677a71c95132bae4f3b16e0ba099d23633cb7
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
run_id:
  description:
    - The id of this run of the task. O(report) and the history of the journal also have this id, see M(vonage.vcc.vcc_journal_info).
    - Once the task has begun to send, the history has the outcome of each interaction that VCC accepted, or that failed or stayed V(unknown).
  returned: when the input is valid, except in check mode
  type: str
  sample: 0a8c1f0e5d6b4b8f9a7c3e2d1f0b9a86
interactions:
  description:
    - The outcome of each interaction, in the requested order, for up to 1000 interactions.
    - For more interactions, it lists only the failed and unknown ones, and at most the first 100 of them. The message then gives the number of the
      others; O(report) has all.
  returned: when the input is valid
  type: list
  elements: dict
  contains:
    external_id:
      description: The external id; null for a dispatch without one.
      type: str
    provider:
      description: The provider, or null.
      type: str
    request_id:
      description: The request id of the call; null if the interaction has none yet.
      type: str
    state:
      description: V(released), V(dispatched), V(failed), or V(unknown) if the interaction may or may not be in the requested state.
      type: str
    changed:
      description: Whether this run released or dispatched the interaction.
      type: bool
    evidence:
      description:
        - The evidence for the state. V(api) means that VCC accepted the call, V(journal) that it did so before, and V(status) that the status of
          VCC's answer says so. V(predicted) is the prediction of check mode. V(none) means that there is no answer.
      type: str
    message:
      description: The error and its remedy; empty without an error.
      type: str
    call:
      description: The number of the API call of this run that decided the outcome, from 1; null without a call.
      type: int
  sample:
    - external_id: case-4711
      provider: null
      request_id: 5f0c5a1de2a9464e8e3a9c8f6f1b2d34
      state: released
      changed: true
      evidence: api
      message: ""
      call: 1
"""

import typing as t

from ansible_collections.vonage.vcc.plugins.module_utils._api.client import Client
from ansible_collections.vonage.vcc.plugins.module_utils._connection import Connection
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
from ansible_collections.vonage.vcc.plugins.module_utils._module import create_module, run_module
from ansible_collections.vonage.vcc.plugins.module_utils._options import (
    CONNECTION_SPEC,
    DATA_SPEC,
    JOURNAL_SPEC,
    KEY_SPEC,
    PROGRESS_SPEC,
    REASON_SPEC,
    SOURCES,
)

SPEC: dict[str, t.Any] = {
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
        **KEY_SPEC,
        "plan_digest": {"type": "str"},
        **REASON_SPEC,
        "force": {"type": "bool", "default": False},
        "journal_ttl": {"type": "int", "default": 86400},
        "report": {"type": "path"},
        "calls_in_flight": {"type": "int", "default": 4},
        "max_failures": {"type": "int"},
        **PROGRESS_SPEC,
        **JOURNAL_SPEC,
        **CONNECTION_SPEC,
    },
    "mutually_exclusive": [SOURCES],
    "required_one_of": [SOURCES],
    "required_by": {"request_id": "external_id"},
    "required_if": [("state", "dispatched", ("route",))],
}


def main() -> None:
    module = create_module(**SPEC)

    def run_task(secrets: set[str]) -> dict[str, t.Any]:
        clients: dict[Connection, Client] = {}
        result = run(module.params, module.check_mode, module._diff, clients)
        secrets.update(*(client.secrets for client in clients.values()))
        return result

    run_module(module, run_task)


if __name__ == "__main__":
    main()

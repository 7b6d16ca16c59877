#!/usr/bin/python
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module door: the engine on the target."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vcc_interaction
short_description: Dispatch and release interactions in Vonage Contact Center
version_added: 0.1.0
description:
  - Releases interactions that were dispatched with an external id. One that waits in a queue leaves Vonage Contact Center (VCC); of one that an
    agent has, the agent's relationship with it ends.
  - Dispatches interactions, that is routes them into VCC by a named route.
  - VCC's Interactions API can only be written to; nothing tells whether an interaction is dispatched or released. So the module keeps a journal of
    what VCC has accepted, and leaves alone what the journal proves to be done.
  - A task that was interrupted can be run again. Each interaction is then sent with the request id of the first attempt, and VCC processes only
    the first of two requests with the same id.
author:
  - The vonage.vcc authors (@vonage)
options:
  state:
    description:
      - V(released), the interactions are to be released.
      - V(dispatched), they are to be dispatched through O(route). An interaction that the journal proves to be dispatched, and not released since,
        is left alone.
      - Each of the two ends what the journal says of the other one. Where both are asked for at once, by two processes, the journal proves neither.
      - A dispatch whose answer was lost is repeated with the request id of the first attempt. If VCC has had that one, what the repetition says of route
        and data has no effect.
    type: str
    choices: [released, dispatched]
    default: released
  external_id:
    description:
      - External id of one interaction.
      - Exactly one of O(external_id), O(external_ids), O(src) and O(interactions) is required.
      - An id may hold any character but control characters, and has at most 1024 characters.
      - An id that begins or ends with white space or an invisible character is refused. Nothing is trimmed.
      - Put an id of digits in quotes. A bare number works with a warning, since YAML reads V(0123) as V(83) and V(12:30:45) as V(45045).
    type: str
  external_ids:
    description:
      - External ids of many interactions; the same id counts once.
      - It has to be a real list. A string is refused rather than split at its commas, which an id may hold.
      - For more than some thousand interactions O(src) is faster, since Ansible then does not carry the ids about.
    type: list
    elements: str
  interactions:
    description:
      - Many interactions, each with what is to be dispatched of it. The same list serves O(state=dispatched) and O(state=released), so that one
        variable can hold a set of interactions through its life.
      - The same external id counts once. It is refused a second time with other data.
    type: list
    elements: dict
    suboptions:
      external_id:
        description:
          - External id of the interaction.
          - An interaction can be dispatched without one. There is a warning then, since VCC's API can never release it, and running the task again
            does not leave it alone. O(state=released) refuses it.
        type: str
      request_id:
        description:
          - Your own idempotency key for the dispatch, see O(request_id).
          - It is not used with O(state=released), since VCC would ignore a release with the key of the dispatch.
        type: str
      linked_data:
        description: As O(linked_data), in its place for this interaction.
        type: list
        elements: dict
        suboptions: &linked_data
          type:
            description:
              - What the value is. Any text is sent as it is.
              - VCC is known to take V(clid), V(url), V(name), V(mediatype) and V(object), and may take more, such as the data sources of an interaction
                plan.
            type: str
            required: true
          value:
            description: The value; a number has to be a whole one.
            type: str
            required: true
          label:
            description: What the value is called.
            type: str
          owner:
            description: The system that the value belongs to.
            type: str
          key:
            description: The key of the value in that system.
            type: str
      routing_data:
        description: As O(routing_data), in its place for this interaction.
        type: dict
        suboptions: &routing_data
          interaction_type:
            description: The kind of interaction.
            type: str
            choices: [live, nonlive, chat]
          personal_queue:
            description: The agent in whose own queue the interaction is to wait.
            type: dict
            suboptions:
              agent:
                description: The agent.
                type: str
                required: true
              logged_in_timeout:
                description: Seconds to wait there while the agent is logged in.
                type: int
              logged_out_timeout:
                description: Seconds to wait there while the agent is logged out.
                type: int
          skills:
            description: The skills that an agent has to have.
            type: list
            elements: dict
            suboptions:
              name:
                description: The skill.
                type: str
                required: true
              expiry_after:
                description: Seconds after which the skill is no longer wanted; V(0) for one that is optional. Without it the skill is mandatory.
                type: int
  route:
    description: The named route that the interactions are dispatched through. Required with O(state=dispatched), not used otherwise.
    type: str
  linked_data:
    description:
      - What is shown to the agent, or used by the route, of all interactions that have no O(interactions[].linked_data) of their own.
      - Used with O(state=dispatched) only. It comes to at most 80000 bytes of JSON, together with O(routing_data), O(route) and their like.
    type: list
    elements: dict
    suboptions: *linked_data
  routing_data:
    description:
      - How to route all interactions that have no O(interactions[].routing_data) of their own.
      - Used with O(state=dispatched) only.
    type: dict
    suboptions: *routing_data
  src:
    description:
      - Path of a file with many interactions, UTF-8, on the host that runs the engine; a relative one begins in the playbook's folder.
      - O(src_format) says what the file holds. A pipe or a device, such as C(/dev/stdin), is refused.
      - A file whose content says that it is something else is refused before any call, for example one that ansible-vault has encrypted, a web page, or
        an archive. A file without interactions is fine, with a warning.
      - Blank lines are skipped, and the same id counts once. Objects and rows may have a C(request_id) of their own, see O(request_id). With
        O(state=dispatched), objects may have C(linked_data) and C(routing_data) as O(interactions) has them. What else they have is ignored.
    type: path
  src_format:
    description:
      - The format of O(src).
      - V(auto) goes by the extension. C(.csv), C(.tsv), C(.jsonl) and C(.json) stand for the format of that name, and C(.ndjson) for V(jsonl).
        C(.txt), C(.list), C(.ids) and no extension stand for V(text). Any other extension is refused.
      - V(text), each line is an external id as it stands. There are no comments and no quotes. A line that begins with C(#), is in quotes, ends with a comma
        or a semicolon, or looks like JSON, HTML, XML or YAML is refused; give such an id in another format.
      - V(csv), a header with a column C(external_id), and commas between the columns. V(tsv), the same with tabs.
      - V(jsonl), each line is a JSON object with C(external_id).
      - V(json), one JSON array of such objects, or of external ids, of at most 64 MiB.
    type: str
    choices: [auto, text, csv, tsv, jsonl, json]
    default: auto
  provider:
    description:
      - Name of the provider that the interactions are dispatched with. It has to be registered, see M(vonage.vcc.vcc_provider).
      - VCC releases an interaction with the provider that it was dispatched with only.
    type: str
  request_id:
    description:
      - Your own idempotency key for O(external_id), in place of a random one. VCC processes only the first of two requests with the same key.
      - Each dispatch and each release of an external id needs a key that is new. One that VCC may have had, as far as the journal knows, is refused.
      - While VCC's answer to an earlier attempt is not known, the key of that attempt is used.
    type: str
  force:
    description:
      - Whether to send even what the journal says is done or under way, with a new request id.
      - For external ids that have been dispatched or released since, other than by this collection.
    type: bool
    default: false
  journal_ttl:
    description:
      - Seconds for which an entry of the journal counts as proof that an interaction is dispatched or released; V(0) for no limit.
      - An external id that is dispatched again within that time, other than by this collection, is taken for released. Set this shorter than the
        time in which your systems use an external id again.
    type: int
    default: 86400
  report:
    description:
      - Path of a file, on the host that runs the engine, for the outcome of every interaction. It is written as the work goes on, one JSON
        object a line, with the keys of RV(interactions). Its mode is 0600.
      - An empty file or an earlier report that is there is replaced. Any other file is refused before any call, and so are a symbolic link, a file
        with a second hard link, another user's file, and what is no regular file, such as V(/dev/stdout) or V(/dev/null).
      - Check mode writes none, and fails where the report cannot be written.
    type: path
  calls_in_flight:
    description:
      - How many calls to make at once, 1 to 16. A call carries up to some thousand interactions, so this counts for more than that only.
      - While VCC answers one of them with 429, the fair-use limit of the account, all others wait too.
      - Dispatches are sent one call after the other in any case, so that they queue in the order in which they are asked for. Releases are sent in
        the order of their external ids.
    type: int
    default: 4
  max_failures:
    description:
      - Send no more once VCC has refused so many interactions. Those that are left fail as not sent; those that were part of a refused call and not
        yet sent again are V(unknown).
      - By default there is no such limit, but for a task that VCC refuses as a whole, such as one with a provider that is not registered. It
        stops once VCC has given some 20 calls the same answer, among them 8 of one interaction each, and has taken none.
      - With any value, that rule does not apply. Set a high one to have each of many interactions tried all the same.
    type: int
extends_documentation_fragment:
  - vonage.vcc.attributes
  - vonage.vcc.attributes.actiongroup_vcc
  - vonage.vcc.connection
  - vonage.vcc.journal
attributes:
  check_mode:
    support: full
    details:
      - No call of any kind is made and nothing is written. What is predicted is what the run that follows reports.
      - Each task is predicted by itself, from the journal as it is; what earlier tasks of the same check would do is not known to it.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - Within O(journal_ttl), with the same journal, without O(force), and for interactions with an external id.
      - Without a journal, or where it is lost with the container that a task ran in, each run dispatches or releases again. VCC's answer to the release of an
        interaction that it does not have is not documented; if it is a 404, the interaction counts as released and unchanged.
seealso:
  - module: vonage.vcc.vcc_provider
  - module: vonage.vcc.vcc_ongoing_info
  - module: vonage.vcc.vcc_journal_info
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

- name: Dispatch a set of interactions for the agents who know them
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

- name: Release the same set
  vonage.vcc.vcc_interaction:
    provider: ticket-system
    interactions: *tickets

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
      returned: if O(state=released)
      type: int
    dispatched:
      description: Interactions that VCC accepted to dispatch in this run; in check mode, those it would be asked to.
      returned: if O(state=dispatched)
      type: int
    unchanged:
      description: Interactions that were in the state already.
      type: int
    failed:
      description: Interactions that are not in the state.
      type: int
    unknown:
      description: Interactions that may or may not be in the state, since VCC's answer did not arrive.
      type: int
    api_calls:
      description: HTTP requests to the API, retries included, those for tokens not.
      type: int
  sample: {requested: 3, released: 2, unchanged: 1, failed: 0, unknown: 0, api_calls: 1}
interactions:
  description:
    - The outcome of each interaction, in the order they were asked for, for up to 1000 interactions.
    - Above that, only the failed and unknown ones, and at most 100 of them, those that were asked for first. The message then says how many more there
      are; O(report) has all.
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
      description: The request id that it was sent with; null where none has been made yet.
      type: str
    state:
      description: V(released) or V(dispatched), V(failed), or V(unknown) if it may or may not be in the state that was asked for.
      type: str
    changed:
      description: Whether this run released or dispatched it.
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

from ansible_collections.vonage.vcc.plugins.module_utils._api.client import Session
from ansible_collections.vonage.vcc.plugins.module_utils._connection import Connection
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
from ansible_collections.vonage.vcc.plugins.module_utils._module import check_libraries, create_module, exit_module
from ansible_collections.vonage.vcc.plugins.module_utils._options import INTERACTION_SPEC


def main() -> None:
    module = create_module(**INTERACTION_SPEC)
    check_libraries(module)
    sessions: dict[Connection, Session] = {}
    result = run(module.params, module.check_mode, module._diff, sessions)
    exit_module(module, result, {secret for session in sessions.values() for secret in session.secrets})


if __name__ == "__main__":
    main()

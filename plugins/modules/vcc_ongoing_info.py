#!/usr/bin/python
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the ongoing interactions."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vcc_ongoing_info
short_description: List the ongoing interactions in Vonage Contact Center
version_added: 0.1.0
description:
  - Reads all pages of the ongoing interactions from the Insights Stats API of Vonage Contact Center (VCC).
  - VCC identifies an item by its own guid. An item does B(not) contain the external id of the dispatch. So this list does not tell whether a certain
    external id is released, and M(vonage.vcc.vcc_interaction) cannot use it.
  - The API client needs the scope V(stats).
author:
  - The vonage.vcc authors (@vonage)
options:
  page_size:
    description: Number of interactions to request in a call. VCC does not document its maximum.
    type: int
    default: 100
  medium:
    description:
      - Return only the interactions of this medium. The module compares it with C(medium) of the returned item.
      - The module applies this and the other filters after it has read all pages.
    type: str
  direction:
    description: Return only the interactions of this direction. The module compares it with C(direction) of the returned item.
    type: str
  queue:
    description:
      - Return only the interactions of this queue. The module compares it with C(service_name) of the returned item.
    type: str
  agent:
    description:
      - Return only the interactions of this agent. The module compares it with C(party.id) of each channel of the returned item.
    type: str
extends_documentation_fragment:
  - vonage.vcc.attributes
  - vonage.vcc.attributes.actiongroup_vcc
  - vonage.vcc.connection
attributes:
  check_mode:
    support: full
    details: Reads in check mode too.
  diff_mode:
    support: N/A
    details: Nothing changes.
  idempotent:
    support: N/A
    details: Nothing changes.
notes:
  - The module reads at most 10000 pages and 100000 interactions, and fails beyond that. After 20 pages in a row without a new interaction, it considers
    the list complete.
  - Interactions begin and end while the module reads the pages. An interaction that moves to another page meanwhile is returned once, or may be missing.
seealso:
  - module: vonage.vcc.vcc_interaction
"""

EXAMPLES = r"""
- name: List all ongoing interactions
  vonage.vcc.vcc_ongoing_info:
    region: emea
    client_id: "{{ vcc_client_id }}"
    client_secret: "{{ vcc_client_secret }}"
  register: ongoing

- name: Show their number
  ansible.builtin.debug:
    msg: "{{ ongoing.totals.matched }} interactions are ongoing."

- name: List the interactions of one agent from one queue
  vonage.vcc.vcc_ongoing_info:
    queue: Back office
    agent: agent-7
"""

RETURN = r"""
interactions:
  description:
    - The ongoing interactions that match, as VCC describes them, with the names of VCC's properties in snake_case.
    - VCC decides which properties an item has; the sample has the documented ones.
    - The replacement character, U+FFFD, replaces control characters and invalid Unicode. A value nested more than 20 levels deep, and a number beyond
      1e300, is null.
  returned: success
  type: list
  elements: dict
  sample:
    - status: Ongoing
      medium: Object
      medium_manager: ticket-system
      guid: 0a3b7f0e-6a0f-4d0b-9a49-0b5f2f0f3c11
      conversation_guid: 0a3b7f0e-6a0f-4d0b-9a49-0b5f2f0f3c11
      start: "2026-01-31T12:00:00Z"
      duration: 42
      direction: Inbound
      service_name: Back office
      connect_to: Back office
      connect_from: ""
      interaction_plan_mapping:
        address_name: Back office
        mapping_name: Back office
        interaction_plan_name: Back office
        reporting_group: ""
      channels:
        - guid: 6f7d3f0a-55a1-4c7e-8f4c-2f0c6f1f9d55
          offset: 0
          duration: 42
          end_reason: null
          integration_type: Interactions API
          party: {id: agent-7, role: Agent, touchpoint: ""}
          events: []
totals:
  description: Numbers of interactions and calls.
  returned: success
  type: dict
  contains:
    reported:
      description: Ongoing interactions according to VCC's answer for the last page; null if it has no number.
      type: int
    listed:
      description: Distinct interactions that the module read.
      type: int
    matched:
      description: Those of them that match the filters.
      type: int
    api_calls:
      description: HTTP requests to the API, including retries but not requests for tokens.
      type: int
  sample: {reported: 120, listed: 120, matched: 1, api_calls: 2}
"""

from ansible_collections.vonage.vcc.plugins.module_utils._module import create_module, run_module
from ansible_collections.vonage.vcc.plugins.module_utils._options import ONGOING_SPEC
from ansible_collections.vonage.vcc.plugins.module_utils.ongoing import run


def main() -> None:
    module = create_module(argument_spec=ONGOING_SPEC)
    run_module(module, lambda secrets: run(module.params, secrets))


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registers a provider."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vcc_provider
short_description: Register a provider of interactions with Vonage Contact Center
version_added: 0.1.0
description:
  - Registers a provider, the name under which a system dispatches interactions into Vonage Contact Center (VCC) and releases them.
  - VCC may notify O(endpoint) when one of the provider's interactions is assigned to an agent and when it is released.
  - A registration overwrites the one before as a whole, and nothing reads it back. So the journal keeps a keyed hash of each setting that VCC has
    accepted last, never a value, and a task whose settings are the same makes no call. The key is kept beside the hashes, so whoever can read the
    journal can try out guesses; a long random value cannot be guessed.
author:
  - The vonage.vcc authors (@vonage)
options:
  name:
    description: Name of the provider.
    type: str
    required: true
  state:
    description:
      - V(present), the provider is to be registered with these settings.
      - VCC's API has no way to remove a provider, so there is no V(absent).
    type: str
    choices: [present]
    default: present
  endpoint:
    description:
      - URL, beginning with V(https://), that VCC is to send notifications to. Without it there are none.
    type: str
  headers:
    description:
      - HTTP headers that VCC is to send with each notification, by name. The values count as secrets.
      - If VCC refuses a registration with headers, the message names the status only, since VCC's own words may repeat a value in any spelling.
      - C(Authorization) has the form V(type credentials), for example V(Bearer) and a token, so that O(endpoint) can tell VCC from others.
    type: dict
  agent_actions_permitted:
    description: What an agent may do with the provider's interactions. What is not named is not permitted.
    type: dict
    suboptions:
      release:
        description: Release them.
        type: bool
        default: false
      hold:
        description: Put them on hold.
        type: bool
        default: false
      transfer_to_agent:
        description: Transfer them to another agent.
        type: bool
        default: false
      transfer_to_route:
        description: Transfer them to a named route.
        type: bool
        default: false
  force:
    description: Whether to register even what the journal says is registered so; if others may have registered the provider since.
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
    details: No call of any kind is made and nothing is written.
  diff_mode:
    support: full
    details: Says which settings change, by name, and which actions are permitted. Other values are not shown, since they may be secrets.
  idempotent:
    support: partial
    details: With the same journal and without O(force). Registrations made elsewhere are not seen.
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

- name: Have its notifications sent, with a header that proves where they come from
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
  description: Names of the settings that differ from those that the journal knows; empty if it knows none.
  returned: when the input is valid
  type: list
  elements: str
  sample: [endpoint, headers.Authorization]
evidence:
  description:
    - How it is known. V(api), VCC accepted the call. V(journal), it did so before. V(predicted), check mode.
  returned: when the input is valid
  type: str
  sample: api
"""

from ansible_collections.vonage.vcc.plugins.module_utils._module import create_module, run_module
from ansible_collections.vonage.vcc.plugins.module_utils._options import PROVIDER_SPEC
from ansible_collections.vonage.vcc.plugins.module_utils.providers import run


def main() -> None:
    module = create_module(argument_spec=PROVIDER_SPEC)
    run_module(module, lambda secrets: run(module.params, module.check_mode, module._diff, secrets))


if __name__ == "__main__":
    main()

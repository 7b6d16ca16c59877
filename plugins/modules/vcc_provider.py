#!/usr/bin/python
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Register a provider."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vcc_provider
short_description: Register a provider of interactions with Vonage Contact Center
version_added: 0.1.0
description:
  - Registers a provider. A system uses the provider's name to dispatch interactions into Vonage Contact Center (VCC) and to release them.
  - VCC may notify O(endpoint) when one of the provider's interactions is assigned to an agent and when it is released.
  - A registration overwrites the one before as a whole, and VCC offers no way to read it back. Therefore the journal keeps a keyed hash of each setting that
    VCC accepted last, never a value. A task with the same settings makes no call.
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
      - URL for VCC's notifications. It must begin with V(https://). Without it VCC sends none.
    type: str
  headers:
    description:
      - HTTP headers that VCC sends with each notification, by name. The values count as secrets.
      - If VCC refuses a registration with headers, the message names the status only, because VCC's own message may repeat a value in any spelling.
      - C(Authorization) has the form V(type credentials), for example V(Bearer) and a token, so that O(endpoint) can tell VCC from other senders.
    type: dict
  agent_actions_permitted:
    description: Actions that an agent may take with the provider's interactions. Actions that are not named are not permitted.
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

- name: Send its notifications to an endpoint, with a header that authenticates VCC
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
evidence:
  description:
    - The evidence for the registration. V(api) means that VCC accepted the call, and V(journal) that it did so before.
      V(predicted) is the prediction of check mode.
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

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a play whose options are !vault and !unsafe values, through the action plugin and as a module: vaulted.py VARS.JSON"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ansible.parsing.vault import VaultLib, VaultSecret

PLAY = """
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/vonage.vcc.vcc:
      api_url: !unsafe URL
      auth_url: !unsafe TOKEN_URL
      client_id: !unsafe CLIENT_ID
      client_secret: SECRET
      account: VAULTED[main]
      timeout: VAULTED[20]
      journal: !unsafe WORK/vaulted.db
  tasks:
    - vonage.vcc.vcc_provider:
        name: VAULTED[crm]
        endpoint: !unsafe https://hooks.example
        headers:
          X-Key: VAULTED[k3y]
        agent_actions_permitted:
          release: VAULTED[true]
"""

TASKS = """
    - vonage.vcc.vcc_interaction:
        state: !unsafe dispatched
        route: VAULTED[sales]
        provider: VAULTED[crm]
        external_id: VAULTED[WAY-1]
        linked_data:
          - type: !unsafe name
            value: VAULTED[Ada]
          - {type: url, value: !unsafe '{{ Ada }}'}
        routing_data:
          skills:
            - name: VAULTED[French]
      environment: ENVIRONMENT
    - vonage.vcc.vcc_interaction:
        state: dispatched
        route: sales
        provider: !unsafe crm
        interactions:
          - external_id: VAULTED[WAY-2]
            request_id: VAULTED[WAY-key]
          - external_id: !unsafe '{{ WAY }}'
      environment: ENVIRONMENT
    - vonage.vcc.vcc_interaction:
        provider: VAULTED[crm]
        external_ids:
          - VAULTED[WAY-1]
          - !unsafe '{{ WAY }}'
          - WAY-2
      environment: ENVIRONMENT
      register: released
    - ansible.builtin.assert:
        that:
          - released.summary.released == 3
          - released.interactions[0].external_id == 'WAY-1'
          - released.interactions[1].external_id == left ~ 'WAY' ~ right
      vars: {left: !unsafe '{{ ', right: !unsafe ' }}'}
    - vonage.vcc.vcc_journal_info:
        provider: VAULTED[crm]
        external_ids:
          - VAULTED[WAY-1]
      register: found
    - ansible.builtin.assert:
        that: found.entries[0].state == 'released'
"""


def vaulted(text):
    """Return a text as a !vault value of several lines."""
    lines = VaultLib([("default", VaultSecret(b"opensesame"))]).encrypt(text).decode().split()
    return "\n".join(["!vault |", *(20 * " " + line for line in lines)])


def filled(text, settings):
    names = {"TOKEN_URL": settings["sim"]["token_url"], "URL": settings["sim"]["url"], "WORK": settings["work"]}
    for name, value in {**names, "CLIENT_ID": settings["sim"]["client_id"]}.items():
        text = text.replace(f" {name}", f" {value}")
    parts = text.replace("SECRET", vaulted(settings["sim"]["client_secret"])).split("VAULTED[")
    pairs = (part.split("]", 1) for part in parts[1:])
    return parts[0] + "".join(vaulted(plain) + rest for plain, rest in pairs)


if __name__ == "__main__":
    read = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(read["work"])
    ways = {"here": "{}", "module": "{LC_MESSAGES: C}"}
    text = PLAY + "".join(TASKS.replace("WAY", way).replace("ENVIRONMENT", ways[way]) for way in ways)
    (folder / "vaulted.yml").write_text(filled(text, read), encoding="utf-8")
    (folder / "password").write_text("opensesame", encoding="utf-8")
    command = ["ansible-playbook", "--vault-password-file", folder / "password", "-vvv", folder / "vaulted.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)

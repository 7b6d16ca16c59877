#!/usr/bin/python
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Get an access token."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vcc_token
short_description: Get an access token for the APIs of Vonage Contact Center
version_added: 1.0.0
description:
  - Gets an access token with client credentials, for a play that passes one token to many tasks, or to M(ansible.builtin.uri).
  - The other modules of this collection get their tokens themselves; they do not need this one.
  - The result contains the token in plain text. Set C(no_log=true) on the task. Otherwise Ansible prints the token with C(-v), and in every other place where
    it shows results. A registered result still contains the token.
author:
  - The vonage.vcc authors (@vonage)
options:
  scopes:
    description:
      - Scopes of the token, for example V(interactions:write) or V(stats). The API client must have all of them.
    type: list
    elements: str
    default: ["interactions:write"]
extends_documentation_fragment:
  - vonage.vcc.attributes
  - vonage.vcc.attributes.actiongroup_vcc
  - vonage.vcc.connection
attributes:
  check_mode:
    support: full
    details: Gets a token in check mode too, because later tasks may need it. That changes nothing in VCC.
  diff_mode:
    support: N/A
    details: Nothing changes.
  idempotent:
    support: N/A
    details: Nothing changes. With O(token_cache) the module reuses a token until it expires.
notes:
  - The module uses neither O(access_token) nor O(api_url). If O(region) is not set, set O(auth_url).
seealso:
  - module: vonage.vcc.vcc_interaction
"""

EXAMPLES = r"""
- name: Get a token for both APIs
  vonage.vcc.vcc_token:
    region: emea
    client_id: "{{ vcc_client_id }}"
    client_secret: "{{ vcc_client_secret }}"
    scopes:
      - interactions:write
      - stats
  register: vcc_token
  no_log: true

- name: Read the ongoing interactions with a custom call
  ansible.builtin.uri:
    url: https://emea.api.newvoicemedia.com/stats/interactions/ongoing?page=1&limit=10
    headers:
      Accept: application/vnd.newvoicemedia.v3+json
      Authorization: "Bearer {{ vcc_token.access_token }}"
  no_log: true
"""

RETURN = r"""
access_token:
  description: The token. It is a secret.
  returned: success
  type: str
  sample: eyJhbGciOiJub25lIn0
expires_in:
  description: Seconds for which the token is still valid; null if VCC did not say.
  returned: success
  type: int
  sample: 7200
expires_at:
  description: When the token expires, in ISO 8601 and UTC; null if VCC did not say.
  returned: success
  type: str
  sample: "2026-01-31T12:00:00Z"
"""

import time
import typing as t

from ansible_collections.vonage.vcc.plugins.module_utils._api.client import Client
from ansible_collections.vonage.vcc.plugins.module_utils._connection import IN_PLAYBOOKS, UNVERIFIED, Connection
from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._module import create_module, run_module
from ansible_collections.vonage.vcc.plugins.module_utils._options import CONNECTION_SPEC
from ansible_collections.vonage.vcc.plugins.module_utils._text import isoformat_utc, place
from ansible_collections.vonage.vcc.plugins.module_utils._validation import check_name, checked_url

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "scopes": {"type": "list", "elements": "str", "default": ["interactions:write"]},
        **CONNECTION_SPEC,
    }
}


def run(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Get a token for the client credentials, and return the result. Raises InputError and ApiError."""
    if not params["client_id"] or not params["client_secret"]:
        raise InputError(
            "The client credentials are missing: set client_id and client_secret, "
            f"or {place('VCC_CLIENT_ID and VCC_CLIENT_SECRET')}, where the task runs. {IN_PLAYBOOKS}"
        )
    if not params["scopes"]:
        raise InputError("scopes is empty: name at least one, such as interactions:write.")
    for index, scope in enumerate(params["scopes"]):
        if " " in check_name(f"scopes[{index}]", scope):
            raise InputError(f"scopes[{index}] has a blank in it: make it two scopes.")
    if params["auth_url"] and not params["api_url"]:
        # Getting a token makes no call to the API, so any valid api_url will do.
        params["api_url"] = checked_url("auth_url", params["auth_url"])
    connection = Connection.from_params({**params, "access_token": None})
    token = Client.from_connection(connection, " ".join(params["scopes"])).authenticate()
    ends = token.expires_at
    result = {
        "changed": False,
        "access_token": token.value,
        "expires_in": None if ends is None else int(ends - time.time()),
        "expires_at": None if ends is None else isoformat_utc(ends),
    }
    if not connection.verify:
        result["warnings"] = [UNVERIFIED]
    return result


def main() -> None:
    module = create_module(**SPEC)

    def get_token(secrets: set[str]) -> dict[str, t.Any]:
        result = run(module.params)
        # The token is the result, so Ansible must not mask it, even if access_token is the same token.
        module.no_log_values.discard(result["access_token"])
        return result

    run_module(module, get_token)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the ongoing interactions."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vcc_ongoing_info
short_description: List the ongoing interactions in Vonage Contact Center
version_added: 1.0.0
description:
  - Reads all pages of the ongoing interactions from the Insights Stats API of Vonage Contact Center (VCC).
  - VCC identifies an item by its own guid. An item does B(not) contain the external id of the dispatch. So this list does not tell whether a certain
    external id is released, and M(vonage.vcc.vcc_interaction) cannot use it.
  - The API client needs the scope V(stats).
author:
  - The vonage.vcc authors (@vonage)
options:
  page_size:
    description: Number of interactions to request in a call. VCC does not document a maximum.
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
      description: Ongoing interactions according to VCC's answer for the last page; null if the answer has no number.
      type: int
    listed:
      description: Distinct interactions that the module read.
      type: int
    matched:
      description: Distinct interactions that match the filters.
      type: int
    api_calls:
      description: HTTP requests to the API, including retries but not requests for tokens.
      type: int
  sample: {reported: 120, listed: 120, matched: 1, api_calls: 2}
"""

import typing as t

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

from ansible_collections.vonage.vcc.plugins.module_utils._api.client import STATS_SCOPE, Client
from ansible_collections.vonage.vcc.plugins.module_utils._connection import UNVERIFIED, Connection
from ansible_collections.vonage.vcc.plugins.module_utils._errors import ApiError, RejectedError
from ansible_collections.vonage.vcc.plugins.module_utils._module import create_module, run_module
from ansible_collections.vonage.vcc.plugins.module_utils._options import CONNECTION_SPEC
from ansible_collections.vonage.vcc.plugins.module_utils._text import clean
from ansible_collections.vonage.vcc.plugins.module_utils._validation import check_number

# The maximum number of pages to read, and of interactions to return.
MAX_PAGES = 10_000
MAX_ITEMS = 100_000

# Reading ends after this number of consecutive pages without a new interaction, even if the answers promise more.
STALE_PAGES = 20

# The maximum nesting of an item; items of the API reference have five levels.
MAX_LEVELS = 20

# Numbers from here on become null: VCC has no such numbers, and some JSON parsers fail at larger ones.
NUMBER_LIMIT = 1e300

# The maximum length of the name of a property, in characters.
MAX_NAME_LENGTH = 1024

SPEC: dict[str, t.Any] = {
    "argument_spec": {
        "page_size": {"type": "int", "default": 100},
        "medium": {"type": "str"},
        "direction": {"type": "str"},
        "queue": {"type": "str"},
        "agent": {"type": "str"},
        **CONNECTION_SPEC,
    }
}


def run(params: t.Mapping[str, t.Any], secrets: set[str]) -> dict[str, t.Any]:
    """List the ongoing interactions that match the options, and return the result.

    :param params: the options, validated with ``SPEC``.
    :param secrets: collects the texts that no output may contain.

    Raises InputError, and ApiError if a page cannot be read.
    """
    connection = Connection.from_params(params)
    check_number(params, "page_size", 1)
    client = Client.from_connection(connection, STATS_SCOPE, secrets)
    try:
        items, reported = _all_pages(client, params["page_size"])
    except RejectedError as exc:
        raise RejectedError(f"{exc}: check page_size and api_url.", exc.status, exc.by_vcc) from None
    items = [_sanitized(item) for item in items]
    matching = [item for item in items if _matches(item, params)]
    result: dict[str, t.Any] = {
        "changed": False,
        "interactions": [camel_dict_to_snake_dict(item) for item in matching],
        "totals": {
            "reported": reported,
            "listed": len(items),
            "matched": len(matching),
            "api_calls": client.calls,
        },
    }
    if not connection.verify:
        result["warnings"] = [UNVERIFIED]
    return result


def _all_pages(client: Client, limit: int) -> tuple[list[dict[str, t.Any]], int | None]:
    """Return the items of all pages, each once, and the total in the last page. Raises ApiError if the pages do not end.

    Interactions begin and end between the calls. An item has VCC's own ``guid`` and no external id.
    """
    found: dict[str | int, dict[str, t.Any]] = {}
    page = pages = 1
    stale = 0
    reported: int | None = None
    while page <= pages:
        items, meta = client.ongoing(page, limit)
        reported = _number(meta.get("totalCount"))
        before = len(found)
        for item in items:
            # An item that moves to a later page between calls comes twice.
            guid = item.get("guid")
            found[guid if isinstance(guid, str) else len(found)] = item
        # A server may return the same page again and again.
        given = _number(meta.get("page"))
        stale = 0 if len(found) > before else stale + 1
        if not items or given not in (page, None) or stale >= (1 if given is None else STALE_PAGES):
            break
        if len(found) > MAX_ITEMS:
            raise ApiError(
                f"VCC lists more than {MAX_ITEMS} ongoing interactions, and no more are read: check api_url and any proxy in between."
            )
        pages = _number(meta.get("pageCount")) or (page + 1 if len(items) >= limit else page)
        page += 1
        if page > MAX_PAGES and page <= pages:
            raise ApiError(
                f"VCC lists more than {MAX_PAGES} pages of ongoing interactions, and no more are read: set page_size higher."
            )
    return list(found.values()), reported


def _sanitized(value: t.Any, levels: int = MAX_LEVELS) -> t.Any:
    """Return a value from VCC that a result can have: with printable texts, finite numbers and at most ``levels`` levels."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (int, float)):
        return value if abs(value) < NUMBER_LIMIT else None
    if not isinstance(value, (dict, list)):
        return value
    if not levels:
        return None
    if isinstance(value, list):
        return [_sanitized(element, levels - 1) for element in value]
    return {clean(name[:MAX_NAME_LENGTH]): _sanitized(element, levels - 1) for name, element in value.items()}


def _number(value: t.Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _matches(item: dict[str, t.Any], params: t.Mapping[str, t.Any]) -> bool:
    for option, name in (("medium", "medium"), ("direction", "direction"), ("queue", "serviceName")):
        if params[option] is not None and item.get(name) != params[option]:
            return False
    return params["agent"] is None or params["agent"] in _parties(item)


def _parties(item: dict[str, t.Any]) -> set[t.Any]:
    """Return the ids of the parties of an interaction."""
    channels = item.get("channels")
    parties = (
        [channel.get("party") for channel in channels if isinstance(channel, dict)]
        if isinstance(channels, list)
        else []
    )
    return {party["id"] for party in parties if isinstance(party, dict) and isinstance(party.get("id"), str)}


def main() -> None:
    module = create_module(**SPEC)
    run_module(module, lambda secrets: run(module.params, secrets))


if __name__ == "__main__":
    main()

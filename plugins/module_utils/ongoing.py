# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is ongoing in the contact centre.

The contract: C(GET /stats/interactions/ongoing) gives a page of items and, in C(meta), how many pages there are. An item has VCC's own guid and
no external id. Interactions begin and end while the pages are read.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

from .client import STATS_SCOPE, Client, Session
from .errors import RefusedError
from .options import UNVERIFIED, check_number, connection


def run(params: t.Mapping[str, t.Any], secrets: set[str]) -> dict[str, t.Any]:
    """Do what a task of vcc_ongoing_info asks for, and return its result.

    :arg params: its options, validated with C(options.ONGOING_SPEC).
    :arg secrets: what must not be in any output is added to it.
    Raises InputError and, if a page cannot be had, CallError.
    """
    to = connection(params)
    check_number(params, "page_size", 1)
    client = Session(to, STATS_SCOPE, secrets).client
    try:
        items, reported = _all_pages(client, params["page_size"])
    except RefusedError as exc:
        raise RefusedError(f"{exc}: check page_size and api_url.", exc.status, exc.by_vcc) from None
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
    if not to.verify:
        result["warnings"] = [UNVERIFIED]
    return result


def _all_pages(client: Client, limit: int) -> tuple[list[dict[str, t.Any]], int | None]:
    """The items of all pages, each once, and the total that the last page names."""
    found: dict[str | int, dict[str, t.Any]] = {}
    page = pages = 1
    reported: int | None = None
    while page <= pages:
        items, meta = client.ongoing(page, limit)
        reported = _number(meta.get("totalCount"))
        before = len(found)
        for item in items:
            # What has moved to a later page meanwhile comes twice.
            guid = item.get("guid")
            found[guid if isinstance(guid, str) else len(found)] = item
        # A server that gives the same page again and again would hold this up for ever.
        given = _number(meta.get("page"))
        if not items or given not in (page, None) or (given is None and len(found) == before):
            break
        pages = _number(meta.get("pageCount")) or (page + 1 if len(items) >= limit else page)
        page += 1
    return list(found.values()), reported


def _number(value: t.Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _matches(item: dict[str, t.Any], params: t.Mapping[str, t.Any]) -> bool:
    for option, name in (("medium", "medium"), ("direction", "direction"), ("queue", "serviceName")):
        if params[option] is not None and item.get(name) != params[option]:
            return False
    return params["agent"] is None or params["agent"] in _parties(item)


def _parties(item: dict[str, t.Any]) -> set[t.Any]:
    """The ids of all who take part."""
    channels = item.get("channels")
    parties = (
        [channel.get("party") for channel in channels if isinstance(channel, dict)]
        if isinstance(channels, list)
        else []
    )
    return {party["id"] for party in parties if isinstance(party, dict) and isinstance(party.get("id"), str)}

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

from ._api.client import STATS_SCOPE, Client
from ._connection import UNVERIFIED, connection
from ._errors import ApiError, RejectedError
from ._text import clean
from ._validation import check_number

# The most pages that are read, and interactions that are returned.
MOST_PAGES = 10_000
MOST_ITEMS = 100_000

# After so many pages in a row with nothing new, whatever VCC says of their number, there is nothing more.
STALE_PAGES = 20

# The levels of an item that are returned; those of the contract come to five.
LEVELS = 20

# Beyond any number that VCC means, and within what every reader of JSON takes.
HIGHEST = 1e300

# The longest name of a property, in characters.
NAME_LENGTH = 1024


def run(params: t.Mapping[str, t.Any], secrets: set[str]) -> dict[str, t.Any]:
    """Do what a task of vcc_ongoing_info asks for, and return its result.

    :arg params: its options, validated with C(options.ONGOING_SPEC).
    :arg secrets: what must not be in any output is added to it.
    Raises InputError and, if a page cannot be had, ApiError.
    """
    to = connection(params)
    check_number(params, "page_size", 1)
    client = Client.from_connection(to, STATS_SCOPE, secrets)
    try:
        items, reported = _all_pages(client, params["page_size"])
    except RejectedError as exc:
        raise RejectedError(f"{exc}: check page_size and api_url.", exc.status, exc.by_vcc) from None
    items = [_returned(item) for item in items]
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
    """The items of all pages, each once, and the total that the last page names. Raises ApiError if they do not come to an end."""
    found: dict[str | int, dict[str, t.Any]] = {}
    page = pages = 1
    stale = 0
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
        stale = 0 if len(found) > before else stale + 1
        if not items or given not in (page, None) or stale >= (1 if given is None else STALE_PAGES):
            break
        if len(found) > MOST_ITEMS:
            raise ApiError(
                f"VCC lists more than {MOST_ITEMS} ongoing interactions, and no more are read: check api_url and any proxy in between."
            )
        pages = _number(meta.get("pageCount")) or (page + 1 if len(items) >= limit else page)
        page += 1
        if page > MOST_PAGES and page <= pages:
            raise ApiError(
                f"VCC lists more than {MOST_PAGES} pages of ongoing interactions, and no more are read: set page_size higher."
            )
    return list(found.values()), reported


def _returned(value: t.Any, levels: int = LEVELS) -> t.Any:
    """What VCC has sent as a result can have it: texts that can be written, numbers that end, and no more levels than anybody nests."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (int, float)):
        return value if abs(value) < HIGHEST else None
    if not isinstance(value, (dict, list)):
        return value
    if not levels:
        return None
    if isinstance(value, list):
        return [_returned(one, levels - 1) for one in value]
    return {clean(name[:NAME_LENGTH]): _returned(one, levels - 1) for name, one in value.items()}


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

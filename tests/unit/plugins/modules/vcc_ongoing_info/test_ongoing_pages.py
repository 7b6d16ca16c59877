# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vcc_ongoing_info reads all pages while interactions begin and end."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import (
    InputError,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Recorder
from ansible_collections.vonage.vcc.tests.unit.plugins.modules.vcc_ongoing_info.helpers import (
    ONGOING,
    guids,
    listed,
    names,
)


class TestPages:
    @pytest.mark.parametrize(
        ("count", "size", "calls"), [(1, 100, 1), (4, 5, 1), (5, 5, 1), (6, 5, 2), (11, 5, 3), (3, 1, 3)]
    )
    def test_all_pages_are_read(self, sim, read, count, size, calls):
        sim.dispatch(*names(count))
        result = read(page_size=size)
        assert listed(result) == guids(sim)
        assert result["changed"] is False
        assert result["totals"] == {"reported": count, "listed": count, "matched": count, "api_calls": calls}

    def test_call_has_page_and_its_size(self, sim, read):
        sim.dispatch(*names(5))
        read(page_size=2)
        assert sim.queries == [{"page": [page], "limit": ["2"]} for page in "123"]

    def test_page_size_is_100_by_default(self, sim, read):
        read()
        assert sim.queries == [{"page": ["1"], "limit": ["100"]}]

    def test_empty_contact_centre_has_no_interactions(self, read):
        result = read()
        assert result == {
            "changed": False,
            "interactions": [],
            "totals": {"reported": 0, "listed": 0, "matched": 0, "api_calls": 1},
        }

    def test_call_follows_contract(self, sim, read):
        read()
        token, call = sim.requests
        assert b"scope=stats" in token["body"]
        assert call["headers"]["Accept"] == "application/vnd.newvoicemedia.v3+json"
        assert call["headers"]["Authorization"].startswith("Bearer ")
        assert "Content-Type" not in call["headers"]
        assert call["body"] == b""
        assert [one["method"] for one in sim.calls] == ["POST", "GET"]

    @pytest.mark.parametrize("size", [0, -1])
    def test_invalid_page_size_is_refused(self, sim, failure, size):
        assert failure(InputError, page_size=size) == f"page_size must be 1 or more, not {size}."
        assert sim.calls == []


class TestChanges:
    """Interactions begin and end while the pages are read."""

    def test_item_that_moves_to_a_later_page_is_listed_once(self, sim, read):
        sim.dispatch(*names(5))
        expected = guids(sim)

        def happening(page):
            # The first item moves to the end, as if it were dispatched again.
            if page == 1:
                guid = expected[0]
                sim._live[guid] = sim._live.pop(guid)

        sim.happening = happening
        result = read(page_size=3)
        assert len(listed(result)) == len(set(listed(result)))
        assert result["totals"]["listed"] == len(result["interactions"]) == 4
        assert expected[0] in listed(result)

    def test_page_without_new_items_does_not_end_reading(self, sim, read):
        sim.dispatch(*names(3))
        expected = guids(sim)

        def happening(page):
            # The first item moves behind the second, so it is on two consecutive pages.
            if page == 1:
                sim._live = {guid: sim._live[guid] for guid in (expected[1], expected[0], expected[2])}

        sim.happening = happening
        assert set(listed(read(page_size=1))) == {expected[0], expected[2]}

    def test_latest_state_of_item_counts(self, sim, read):
        sim.dispatch(*names(4))
        first = guids(sim)[0]

        def happening(page):
            if page == 1:
                sim.assign("case-0", agent_id="agent-7")
                sim._live[first] = sim._live.pop(first)

        sim.happening = happening
        assert listed(read(page_size=2, agent="agent-7")) == [first]

    def test_total_is_that_of_last_page(self, sim, read):
        sim.dispatch(*names(4))
        sim.happening = lambda page: sim.dispatch(f"new-{page}") if page == 1 else None
        result = read(page_size=2)
        assert result["totals"]["reported"] == 5
        assert result["totals"]["listed"] == 5
        assert len(sim.queries) == 3

    def test_item_that_ends_meanwhile_stays_listed(self, sim, read):
        sim.dispatch(*names(4))
        expected = guids(sim)
        sim.happening = lambda page: sim.release("case-0", "case-1") if page == 1 else None
        result = read(page_size=2)
        assert set(listed(result)) <= set(expected)
        assert set(expected[:2]) <= set(listed(result))

    def test_empty_page_ends_reading(self, sim, read):
        sim.dispatch(*names(4))
        sim.happening = lambda page: sim.release(*sim.live()) if page == 1 else None
        result = read(page_size=2)
        assert len(result["interactions"]) == 2
        assert result["totals"] == {"reported": 0, "listed": 2, "matched": 2, "api_calls": 2}

    def test_pages_after_page_without_new_items_are_read(self, sim, read):
        """New interactions appear before those of the first page, so the second page has only known ones."""
        sim.dispatch(*names(6))
        expected = guids(sim)

        def happening(page):
            if page == 1:
                sim.dispatch("new-1", "new-2")
                order = list(sim._live)
                sim._live = {guid: sim._live[guid] for guid in order[6:] + order[:6]}

        sim.happening = happening
        assert set(expected) <= set(listed(read(page_size=2)))

    def test_reading_ends_if_server_ignores_page_number(self, sim, read):
        sim.dispatch(*names(3))
        page = {
            "meta": {"page": 1, "count": 3, "pageCount": 1000, "totalCount": 3000},
            "items": Recorder.ongoing(sim, 1, 3)["items"],
        }
        sim.fault("status", status=200, body=page, path=ONGOING, times=None)
        result = read(page_size=3)
        assert listed(result) == guids(sim)
        assert result["totals"] == {"reported": 3000, "listed": 3, "matched": 3, "api_calls": 2}

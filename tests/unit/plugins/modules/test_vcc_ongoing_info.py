# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is ongoing: all its pages, each interaction once, and what is no list of it."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils import _connection
from ansible_collections.vonage.vcc.plugins.module_utils._errors import (
    ApiError,
    AuthError,
    InputError,
    NoResponseError,
    RejectedError,
)
from ansible_collections.vonage.vcc.plugins.modules import vcc_ongoing_info
from ansible_collections.vonage.vcc.plugins.modules.vcc_ongoing_info import run
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Recorder, run_module, validated_by

ONGOING = "/stats/interactions/ongoing"


class Shifting(Recorder):
    """A contact centre in which something happens behind each page that was read; C(queries) has what was asked for."""

    def __init__(self, **switches):
        self.queries = []
        self.happening = lambda page: None
        super().__init__(**switches)

    def handle(self, request, connection):
        if request.path == ONGOING:
            self.queries.append(parse_qs(request.query_string.decode()))
        return super().handle(request, connection)

    def ongoing(self, page, limit):
        answer = super().ongoing(page, limit)
        self.happening(page)
        return answer

    def release(self, *external_ids):
        self.invoke({"requests": [{"action": "release", "externalid": one} for one in external_ids]})


@pytest.fixture
def sim():
    with Shifting() as simulator:
        yield simulator


@pytest.fixture
def read(sim):
    """Does a task and returns its result."""

    def do(secrets=None, **given):
        given = sim.options(**given)
        del given["journal"]
        result = run(
            validated_by(vcc_ongoing_info.SPEC["argument_spec"], **given), set() if secrets is None else secrets
        )
        json.dumps(result)
        return result

    return do


@pytest.fixture
def failure(read):
    """What a task says that fails, in one sentence."""

    def do(kind=ApiError, **given):
        with pytest.raises(kind) as caught:
            read(**given)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return do


def names(count):
    return [f"case-{number}" for number in range(count)]


def guids(sim):
    return [item["guid"] for item in Recorder.ongoing(sim, 1, 10_000)["items"]]


def listed(result):
    return [item["guid"] for item in result["interactions"]]


class TestPages:
    @pytest.mark.parametrize(
        ("count", "size", "calls"), [(1, 100, 1), (4, 5, 1), (5, 5, 1), (6, 5, 2), (11, 5, 3), (3, 1, 3)]
    )
    def test_all_are_read(self, sim, read, count, size, calls):
        sim.dispatch(*names(count))
        result = read(page_size=size)
        assert listed(result) == guids(sim)
        assert result["changed"] is False
        assert result["totals"] == {"reported": count, "listed": count, "matched": count, "api_calls": calls}

    def test_the_page_and_its_size_are_asked_for(self, sim, read):
        sim.dispatch(*names(5))
        read(page_size=2)
        assert sim.queries == [{"page": [page], "limit": ["2"]} for page in "123"]

    def test_the_size_is_100_by_default(self, sim, read):
        read()
        assert sim.queries == [{"page": ["1"], "limit": ["100"]}]

    def test_an_empty_contact_centre(self, read):
        result = read()
        assert result == {
            "changed": False,
            "interactions": [],
            "totals": {"reported": 0, "listed": 0, "matched": 0, "api_calls": 1},
        }

    def test_as_the_contract_says(self, sim, read):
        read()
        token, call = sim.requests
        assert b"scope=stats" in token["body"]
        assert call["headers"]["Accept"] == "application/vnd.newvoicemedia.v3+json"
        assert call["headers"]["Authorization"].startswith("Bearer ")
        assert "Content-Type" not in call["headers"]
        assert call["body"] == b""
        assert [one["method"] for one in sim.calls] == ["POST", "GET"]

    @pytest.mark.parametrize("size", [0, -1])
    def test_a_size_that_is_none(self, sim, failure, size):
        assert failure(InputError, page_size=size) == f"page_size has to be 1 or more, not {size}."
        assert sim.calls == []


class TestMoving:
    """Interactions begin and end while the pages are read."""

    def test_one_that_moves_to_a_later_page_is_listed_once(self, sim, read):
        sim.dispatch(*names(5))
        expected = guids(sim)

        def happening(page):
            # What was first is dispatched anew, so to say: it comes again at the end.
            if page == 1:
                guid = expected[0]
                sim._live[guid] = sim._live.pop(guid)

        sim.happening = happening
        result = read(page_size=3)
        assert len(listed(result)) == len(set(listed(result)))
        assert result["totals"]["listed"] == len(result["interactions"]) == 4
        assert expected[0] in listed(result)

    def test_a_page_of_known_ones_does_not_end_the_reading(self, sim, read):
        sim.dispatch(*names(3))
        expected = guids(sim)

        def happening(page):
            # The first one moves behind the second, and so comes twice in a row.
            if page == 1:
                sim._live = {guid: sim._live[guid] for guid in (expected[1], expected[0], expected[2])}

        sim.happening = happening
        assert set(listed(read(page_size=1))) == {expected[0], expected[2]}

    def test_the_later_state_of_it_counts(self, sim, read):
        sim.dispatch(*names(4))
        first = guids(sim)[0]

        def happening(page):
            if page == 1:
                sim.assign("case-0", agent_id="agent-7")
                sim._live[first] = sim._live.pop(first)

        sim.happening = happening
        assert listed(read(page_size=2, agent="agent-7")) == [first]

    def test_the_total_is_that_of_the_last_page(self, sim, read):
        sim.dispatch(*names(4))
        sim.happening = lambda page: sim.dispatch(f"new-{page}") if page == 1 else None
        result = read(page_size=2)
        assert result["totals"]["reported"] == 5
        assert result["totals"]["listed"] == 5
        assert len(sim.queries) == 3

    def test_one_that_ends_meanwhile_stays_listed(self, sim, read):
        sim.dispatch(*names(4))
        expected = guids(sim)
        sim.happening = lambda page: sim.release("case-0", "case-1") if page == 1 else None
        result = read(page_size=2)
        assert set(listed(result)) <= set(expected)
        assert set(expected[:2]) <= set(listed(result))

    def test_a_page_that_is_gone_ends_the_reading(self, sim, read):
        sim.dispatch(*names(4))
        sim.happening = lambda page: sim.release(*sim.live()) if page == 1 else None
        result = read(page_size=2)
        assert len(result["interactions"]) == 2
        assert result["totals"] == {"reported": 0, "listed": 2, "matched": 2, "api_calls": 2}

    def test_a_page_of_known_ones_does_not_hide_the_pages_behind_it(self, sim, read):
        """New ones have come before those of the first page, so that the second has nothing new."""
        sim.dispatch(*names(6))
        expected = guids(sim)

        def happening(page):
            if page == 1:
                sim.dispatch("new-1", "new-2")
                order = list(sim._live)
                sim._live = {guid: sim._live[guid] for guid in order[6:] + order[:6]}

        sim.happening = happening
        assert set(expected) <= set(listed(read(page_size=2)))

    def test_a_server_that_ignores_the_page_does_not_hold_it_up(self, sim, read):
        sim.dispatch(*names(3))
        page = {
            "meta": {"page": 1, "count": 3, "pageCount": 1000, "totalCount": 3000},
            "items": Recorder.ongoing(sim, 1, 3)["items"],
        }
        sim.fault("status", status=200, body=page, path=ONGOING, times=None)
        result = read(page_size=3)
        assert listed(result) == guids(sim)
        assert result["totals"] == {"reported": 3000, "listed": 3, "matched": 3, "api_calls": 2}


class TestFilters:
    @pytest.fixture(autouse=True)
    def _some(self, sim):
        sim.dispatch("a", "b", route="sales")
        sim.dispatch("c", route="support")
        sim.dispatch("d", route="support", provider="tickets")
        sim.assign("a", agent_id="agent-1")
        sim.assign("a", agent_id="agent-2")
        sim.assign("c", agent_id="agent-2")

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({}, "abcd"),
            ({"queue": "sales"}, "ab"),
            ({"queue": "support"}, "cd"),
            ({"queue": "Sales"}, ""),
            ({"queue": "sale"}, ""),
            ({"medium": "Object"}, "abcd"),
            ({"medium": "object"}, ""),
            ({"medium": "tickets"}, ""),
            ({"direction": "Inbound"}, "abcd"),
            ({"direction": "Outbound"}, ""),
            ({"agent": "agent-1"}, "a"),
            ({"agent": "agent-2"}, "ac"),
            ({"agent": "agent-3"}, ""),
            ({"agent": "agent"}, ""),
            ({"queue": "support", "agent": "agent-2", "medium": "Object", "direction": "Inbound"}, "c"),
            ({"queue": "sales", "agent": "agent-3"}, ""),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("size", [1, 100])
    def test_only_what_matches_all_is_listed(self, sim, read, given, expected, size):
        by_name = dict(zip("abcd", guids(sim)))
        result = read(page_size=size, **given)
        assert listed(result) == [by_name[name] for name in expected]
        assert result["totals"]["matched"] == len(expected)
        assert (result["totals"]["reported"], result["totals"]["listed"]) == (4, 4)

    def test_they_are_not_sent(self, sim, read):
        read(queue="sales", agent="agent-1", medium="Object", direction="Inbound")
        assert [set(query) for query in sim.queries] == [{"page", "limit"}]

    @pytest.mark.parametrize(
        "channels",
        [None, "x", 3, {}, [], [None], ["x"], [{}], [{"party": None}], [{"party": []}], [{"party": {"id": None}}]],
        ids=str,
    )
    def test_an_item_whose_channels_are_strange_has_no_agent(self, sim, read, channels):
        body = {"meta": {"pageCount": 1}, "items": [{"guid": "g", "channels": channels}]}
        sim.fault("status", status=200, body=body, path=ONGOING, times=None)
        assert read(agent="agent-1")["interactions"] == []
        assert listed(read()) == ["g"]


class TestItems:
    def test_as_vcc_has_them_in_snake_case(self, sim, read):
        sim.dispatch("secret-id", provider="tickets", route="sales")
        sim.assign("secret-id", provider="tickets", agent_id="agent-7")
        (raw,) = Recorder.ongoing(sim, 1, 10)["items"]
        (item,) = read()["interactions"]
        assert set(item) == {
            "status",
            "medium",
            "medium_manager",
            "guid",
            "conversation_guid",
            "start",
            "duration",
            "direction",
            "service_name",
            "connect_to",
            "connect_from",
            "interaction_plan_mapping",
            "channels",
        }
        assert (item["guid"], item["conversation_guid"]) == (raw["guid"], raw["conversationGuid"])
        assert (item["service_name"], item["medium_manager"]) == ("sales", "tickets")
        assert item["interaction_plan_mapping"] == {
            "address_name": "sales",
            "mapping_name": "sales",
            "interaction_plan_name": "sales",
            "reporting_group": "",
        }
        assert [channel["party"]["id"] for channel in item["channels"]] == ["", "agent-7"]
        assert set(item["channels"][1]) == {
            "guid",
            "offset",
            "duration",
            "end_reason",
            "integration_type",
            "party",
            "events",
        }

    def test_an_external_id_is_nowhere(self, sim, read):
        sim.dispatch("secret-id")
        result = read()
        assert len(result["interactions"]) == 1
        assert "secret-id" not in json.dumps(result)
        assert not re.search("external", json.dumps(result), re.IGNORECASE)

    def test_what_is_not_documented_is_handed_on(self, sim, read):
        item = {"guid": "g", "newThing": {"innerThing": [{"deepThing": 1}]}, "status": None}
        sim.fault("status", status=200, body={"meta": {"pageCount": 1}, "items": [item]}, path=ONGOING)
        assert read()["interactions"] == [
            {"guid": "g", "new_thing": {"inner_thing": [{"deep_thing": 1}]}, "status": None}
        ]

    @pytest.mark.parametrize("guid", [None, ["x"], {}], ids=str)
    def test_items_with_a_strange_guid_are_all_listed(self, sim, read, guid):
        body = {"meta": {"pageCount": 1}, "items": [{"guid": guid, "medium": "a"}, {"guid": guid, "medium": "b"}]}
        sim.fault("status", status=200, body=body, path=ONGOING)
        assert [item["medium"] for item in read()["interactions"]] == ["a", "b"]

    def test_items_without_a_guid_are_all_listed(self, sim, read):
        body = {"meta": {"pageCount": 1}, "items": [{"medium": "a"}, {"medium": "b"}]}
        sim.fault("status", status=200, body=body, path=ONGOING)
        assert [item["medium"] for item in read()["interactions"]] == ["a", "b"]


class TestStrange:
    @pytest.mark.parametrize(
        "body",
        [
            {"meta": {}},
            {"meta": {}, "items": None},
            {"meta": {}, "items": {}},
            {"meta": {}, "items": "x"},
            {"meta": {}, "items": ["x"]},
            {"meta": {}, "items": [{"guid": "g"}, None]},
            {"meta": {}, "items": [[]]},
            '"items"',
            "[]",
            "null",
            "7",
            "",
            " ",
            "<html></html>",
            "[" * 100_000,
        ],
        ids=lambda body: str(body)[:30],
    )
    def test_what_is_no_page_is_no_answer(self, sim, failure, body):
        sim.fault("status", status=200, body=body, path=ONGOING)
        assert failure(NoResponseError) == (
            f"{sim.url} answered with status 200 in a way that VCC does not: check api_url, region and any proxy in between."
        )

    @pytest.mark.parametrize("kind", ["html", "garbage", "redirect"])
    def test_what_comes_of_something_in_between_is_no_answer(self, sim, failure, kind):
        sim.fault(kind, path=ONGOING)
        assert "in a way that VCC does not" in failure(NoResponseError)

    def test_a_later_page_that_fails_fails_all(self, sim, failure):
        sim.dispatch(*names(3))
        sim.fault("html", path=ONGOING, after=1)
        assert "in a way that VCC does not" in failure(NoResponseError, page_size=2)

    @pytest.mark.parametrize("meta", [None, [], "x", {}, {"pageCount": None, "totalCount": "3"}, {"totalCount": True}])
    def test_without_its_meta_a_page_counts_and_the_total_is_not_known(self, sim, read, meta):
        sim.fault("status", status=200, body={"meta": meta, "items": [{"guid": "g"}]}, path=ONGOING)
        result = read()
        assert listed(result) == ["g"]
        assert result["totals"] == {"reported": None, "listed": 1, "matched": 1, "api_calls": 1}


class TestHostile:
    """What is in a page keeps neither the other items nor what comes behind this task from going on."""

    @pytest.fixture
    def page(self, sim):
        """Orders pages with what is given as JSON for the value of a property of one item of two."""

        def order(value):
            items = f'[{{"guid": "g-1", "serviceName": {value}}}, {{"guid": "g-2", "serviceName": "sales"}}]'
            body = f'{{"meta": {{"page": 1, "pageCount": 1, "totalCount": 2}}, "items": {items}}}'
            sim.fault("status", status=200, body=body, path=ONGOING, times=None)

        return order

    @pytest.mark.parametrize(
        ("value", "returned"),
        [
            (r'"Ann \ud83d"', "Ann \ufffd"),
            (r'"\udfff\ud800"', "\ufffd\ufffd"),
            (r'"a\u001b]0;owned\u0007\u009b31m\u0085\u007f\n"', "a\ufffd]0;owned\ufffd\ufffd31m\ufffd\ufffd\ufffd"),
            ('"\u009b31m"', "\ufffd31m"),
            (r'"Zo\u00eb \ud83c\udfa7 a\u200db\u00a0"', "Zoë 🎧 a\u200db\u00a0"),
            (r'{"na\u001bMe\ud800": ["\u009b"]}', {"na\ufffd_me\ufffd": ["\ufffd"]}),
            ("NaN", None),
            ("[1e999, -Infinity, 1e299]", [None, None, 1e299]),
            ("1" + "0" * 4000, None),
            ('{"aB": [[{"cD": true}]]}', {"a_b": [[{"c_d": True}]]}),
        ],
        ids=lambda value: ascii(value)[:40],
    )
    def test_what_cannot_be_shown_or_written_is_replaced(self, page, read, value, returned):
        page(value)
        first, second = read()["interactions"]
        assert first["service_name"] == returned
        assert second == {"guid": "g-2", "service_name": "sales"}
        json.dumps(first, ensure_ascii=False, allow_nan=False).encode()
        assert listed(read(queue="sales")) == ["g-2"]
        if isinstance(returned, str):
            assert listed(read(queue=returned)) == ["g-1"]

    @pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a": ', "}"), ('[{"aB": ', "}]")], ids=ascii)
    def test_what_is_nested_too_deep_is_null(self, page, read, opening, closing):
        """As deep as a reader of JSON gets."""
        page(opening * 400 + "7" + closing * 400)
        first, second = read()["interactions"]
        assert second["service_name"] == "sales"
        depth, value = 0, first
        while isinstance(value, (dict, list)):
            value = (
                next(iter(value.values() if isinstance(value, dict) else value[-1:]), None)
                if depth
                else value["service_name"]
            )
            depth += 1
        assert (value, depth) == (None, 20)

    def test_900_levels_in_a_process_of_its_own(self, sim, page, tmp_path):
        """Which has fewer levels of its own than a test."""
        page("[" * 900 + "]" * 900)
        env = sim.environment(tmp_path)
        result, code, printed = run_module(tmp_path, env=env, module="vcc_ongoing_info")
        assert code == 0, printed
        assert listed(result) == ["g-1", "g-2"]

    def test_a_long_name_takes_no_time(self, page, read):
        page(f'{{"{"A" * 20_000}": 1}}')
        (name,) = read()["interactions"][0]["service_name"]
        assert len(name) < 2000

    def endless(self, sim, items, pages):
        """Has each of some pages bring what C(items) returns for its number, and say that there are many more."""
        for page in range(1, pages + 1):
            body = {"meta": {"page": page, "pageCount": 10**9, "totalCount": 3}, "items": items(page)}
            sim.fault("status", status=200, body=json.dumps(body), path=ONGOING)

    def test_pages_without_an_end_and_with_nothing_new(self, sim, read):
        self.endless(sim, lambda page: [{"guid": "g-1"}, {"guid": f"g-{page}" if page < 5 else "g-2"}], 50)
        result = read()
        assert listed(result) == ["g-1", "g-2", "g-3", "g-4"]
        assert result["totals"]["api_calls"] == 4 + vcc_ongoing_info.STALE_PAGES

    def test_interactions_without_an_end(self, sim, failure):
        self.endless(sim, lambda page: [{"guid": f"{page}-{number}"} for number in range(30_000)], 5)
        said = failure(ApiError)
        assert said.startswith("VCC lists more than 100000 ongoing interactions, and no more are read: check api_url ")
        assert len(sim.queries) == 4

    @pytest.mark.parametrize("item", [{"guid": "{}"}, {"guid": None}], ids=str)
    def test_pages_without_an_end(self, sim, failure, monkeypatch, item):
        monkeypatch.setattr(vcc_ongoing_info, "MAX_PAGES", 30)
        self.endless(sim, lambda page: [{"guid": item["guid"] and f"g-{page}"}], 31)
        assert failure(ApiError) == (
            "VCC lists more than 30 pages of ongoing interactions, and no more are read: set page_size higher."
        )
        assert len(sim.queries) == 30


class TestRefused:
    def test_a_refusal_names_what_may_be_wrong(self, sim, failure):
        sim.fault("status", status=400, body={"message": "limit is too high"}, path=ONGOING)
        assert failure(RejectedError, page_size=9999) == (
            "VCC refused it with status 400 (limit is too high): check page_size and api_url."
        )

    def test_a_token_without_the_scope_is_named(self, sim, failure):
        said = failure(AuthError, access_token=sim.issue_token(["interactions:write"]))
        assert said == "VCC refuses access (403): give the API client the scope stats."

    def test_a_client_without_the_scope_is_named(self, sim, failure):
        sim.add_client("writer", "s3cret", scopes=["interactions:write"])
        said = failure(AuthError, client_id="writer", client_secret="s3cret")
        assert (
            said == "VCC gives the API client no token for the scope stats (invalid_scope): grant it that scope in VCC."
        )

    def test_an_expired_token_is_renewed_between_pages(self, sim, read):
        sim.dispatch(*names(3))
        sim.fault("expired", path=ONGOING, after=1)
        result = read(page_size=2)
        assert listed(result) == guids(sim)
        assert len(sim.token_calls) == 2
        assert result["totals"]["api_calls"] == 3

    def test_a_passing_trouble_is_waited_out_and_counted(self, sim, read):
        sim.fault("status", status=503, path=ONGOING, retry_after="0")
        assert read(retries=1)["totals"]["api_calls"] == 2

    @pytest.mark.parametrize("order", [{"kind": "cut"}, {"kind": "status", "status": 500}], ids=["cut", "500"])
    def test_no_answer_is_said(self, sim, failure, order):
        sim.fault(path=ONGOING, **order)
        assert failure(NoResponseError).startswith(f"VCC at {sim.url}{ONGOING}?page=1&limit=100 ")

    def test_the_caller_learns_what_to_hide(self, sim, read):
        secrets = set()
        read(secrets)
        token = sim.requests[-1]["headers"]["Authorization"].split()[1]
        assert secrets == {CLIENT_SECRET, token}

    def test_no_verification_is_warned_about(self, read):
        assert read(validate_certs=False)["warnings"] == [_connection.UNVERIFIED]

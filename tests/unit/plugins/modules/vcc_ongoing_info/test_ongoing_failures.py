# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vcc_ongoing_info tolerates unexpected pages, and reports rejections."""

from __future__ import annotations

import json

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils import _connection
from ansible_collections.vonage.vcc.plugins.module_utils._errors import (
    ApiError,
    AuthError,
    NoResponseError,
    RejectedError,
)
from ansible_collections.vonage.vcc.plugins.modules import vcc_ongoing_info
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import run_module
from ansible_collections.vonage.vcc.tests.unit.plugins.modules.vcc_ongoing_info.helpers import (
    ONGOING,
    guids,
    listed,
    names,
)


class TestUnexpectedPages:
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
    def test_malformed_page_is_no_response(self, sim, failure, body):
        sim.fault("status", status=200, body=body, path=ONGOING)
        assert failure(NoResponseError) == (
            f"{sim.url} gave an answer (status 200) that VCC never gives: check api_url, region and any proxy in between."
        )

    @pytest.mark.parametrize("kind", ["html", "garbage", "redirect"])
    def test_page_of_a_gateway_is_no_response(self, sim, failure, kind):
        sim.fault(kind, path=ONGOING)
        assert "that VCC never gives" in failure(NoResponseError)

    def test_failed_later_page_fails_task(self, sim, failure):
        sim.dispatch(*names(3))
        sim.fault("html", path=ONGOING, after=1)
        assert "that VCC never gives" in failure(NoResponseError, page_size=2)

    @pytest.mark.parametrize("meta", [None, [], "x", {}, {"pageCount": None, "totalCount": "3"}, {"totalCount": True}])
    def test_page_without_meta_counts_and_total_is_unknown(self, sim, read, meta):
        sim.fault("status", status=200, body={"meta": meta, "items": [{"guid": "g"}]}, path=ONGOING)
        result = read()
        assert listed(result) == ["g"]
        assert result["totals"] == {"reported": None, "listed": 1, "matched": 1, "api_calls": 1}


class TestUnexpectedItems:
    """The content of an item affects neither other items nor later tasks."""

    @pytest.fixture
    def page(self, sim):
        """Makes VCC return pages with two items. A property of the first item has the given JSON value."""

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
    def test_unprintable_characters_are_replaced(self, page, read, value, returned):
        page(value)
        first, second = read()["interactions"]
        assert first["service_name"] == returned
        assert second == {"guid": "g-2", "service_name": "sales"}
        json.dumps(first, ensure_ascii=False, allow_nan=False).encode()
        assert listed(read(queue="sales")) == ["g-2"]
        if isinstance(returned, str):
            assert listed(read(queue=returned)) == ["g-1"]

    @pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a": ', "}"), ('[{"aB": ', "}]")], ids=ascii)
    def test_deeply_nested_value_is_null(self, page, read, opening, closing):
        """Some of these values are almost as deep as the JSON parser allows."""
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

    def test_module_reads_value_of_900_levels(self, sim, page, tmp_path):
        """The JSON parser accepts more levels in a process, because its call stack is shorter than that of a test."""
        page("[" * 900 + "]" * 900)
        env = sim.environment(tmp_path)
        result, code, printed = run_module(tmp_path, env=env, module="vcc_ongoing_info")
        assert code == 0, printed
        assert listed(result) == ["g-1", "g-2"]

    def test_long_name_is_shortened(self, page, read):
        page(f'{{"{"A" * 20_000}": 1}}')
        (name,) = read()["interactions"][0]["service_name"]
        assert len(name) < 2000

    def endless(self, sim, items, pages):
        """Make VCC return some pages, each with the result of ``items`` for its number, and with the statement that many more follow."""
        for page in range(1, pages + 1):
            body = {"meta": {"page": page, "pageCount": 10**9, "totalCount": 3}, "items": items(page)}
            sim.fault("status", status=200, body=json.dumps(body), path=ONGOING)

    def test_reading_ends_after_pages_without_new_items(self, sim, read):
        self.endless(sim, lambda page: [{"guid": "g-1"}, {"guid": f"g-{page}" if page < 5 else "g-2"}], 50)
        result = read()
        assert listed(result) == ["g-1", "g-2", "g-3", "g-4"]
        assert result["totals"]["api_calls"] == 4 + vcc_ongoing_info.STALE_PAGES

    def test_endless_interactions_fail_task(self, sim, failure):
        self.endless(sim, lambda page: [{"guid": f"{page}-{number}"} for number in range(30_000)], 5)
        said = failure(ApiError)
        assert said.startswith("VCC lists more than 100000 ongoing interactions, and no more are read: check api_url ")
        assert len(sim.queries) == 4

    @pytest.mark.parametrize("item", [{"guid": "{}"}, {"guid": None}], ids=str)
    def test_endless_pages_fail_task(self, sim, failure, monkeypatch, item):
        monkeypatch.setattr(vcc_ongoing_info, "MAX_PAGES", 30)
        self.endless(sim, lambda page: [{"guid": item["guid"] and f"g-{page}"}], 31)
        assert failure(ApiError) == (
            "VCC lists more than 30 pages of ongoing interactions, and no more are read: set page_size higher."
        )
        assert len(sim.queries) == 30


class TestRefused:
    def test_message_about_rejection_names_options(self, sim, failure):
        sim.fault("status", status=400, body={"message": "limit is too high"}, path=ONGOING)
        assert failure(RejectedError, page_size=9999) == (
            "VCC refused the request with status 400 (limit is too high): check page_size and api_url."
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

    def test_503_is_retried_and_counted(self, sim, read):
        sim.fault("status", status=503, path=ONGOING, retry_after="0")
        assert read(retries=1)["totals"]["api_calls"] == 2

    @pytest.mark.parametrize("order", [{"kind": "cut"}, {"kind": "status", "status": 500}], ids=["cut", "500"])
    def test_message_names_call_without_answer(self, sim, failure, order):
        sim.fault(path=ONGOING, **order)
        assert failure(NoResponseError).startswith(f"VCC at {sim.url}{ONGOING}?page=1&limit=100 ")

    def test_caller_gets_secrets_to_mask(self, sim, read):
        secrets = set()
        read(secrets)
        token = sim.requests[-1]["headers"]["Authorization"].split()[1]
        assert secrets == {CLIENT_SECRET, token}

    def test_disabled_verification_has_warning(self, read):
        assert read(validate_certs=False)["warnings"] == [_connection.UNVERIFIED]

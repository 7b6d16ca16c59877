# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest of a plan: the same for the same plan, and another for any other plan."""

from __future__ import annotations

import hashlib
import json
import random

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.plan_digest import PlanDigest, check_plan_digest
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
from ansible_collections.vonage.vcc.plugins.module_utils._journal.rules import Interaction
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import validated
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.helpers import LINKS, released

SALES = {"state": "dispatched", "route": "sales"}
NAME = [{"type": "name", "value": "Ann"}]


def digest_of(**given):
    """Return the digest that check mode returns, without a journal and without an account unless they are given."""
    options = {"region": "emea", "access_token": "t", "journal": "", **given}
    return run(validated(**options), True, False, {})["plan_digest"]


# Users compare digests of different versions and hosts, so these must never change.
VECTORS = [
    ({"external_ids": []}, "53455482773fc7d80a3e22b895e16f2ac98e57d471d4a01b6334405bcebb68a6"),
    ({"external_ids": ["a", "b"]}, "a73f678db8a25edf4c6f4bbdca5677a71c95132bae4f3b16e0ba099d23633cb7"),
    (
        {
            "external_ids": ["Fälle/4711", 'say "hi"', "\U0001f600"],
            "provider": "crm",
            "account": "main",
            "idempotency_key": "CHG1",
        },
        "4898e9e75eaece91b91339c8c2aeb94937cae803361140baa86481fa3ae202fb",
    ),
    (
        {
            **SALES,
            "interactions": [
                {"external_id": "a", "request_id": "r-1", "linked_data": LINKS},
                {"external_id": "b", "routing_data": {"interaction_type": "nonlive", "skills": [{"name": "French"}]}},
                {"linked_data": NAME},
            ],
            "linked_data": NAME,
            "force": True,
        },
        "2bbfd2fbff3997f7263208dbe7f4144ad84c7f7e81b10b7a59fed8bb985a7265",
    ),
]


@pytest.mark.parametrize(("given", "expected"), VECTORS, ids=["nothing", "release", "key", "dispatch"])
def test_digests_never_change(given, expected):
    assert digest_of(**given) == expected


def test_digest_has_described_format():
    """Compute a digest from the description of its format."""
    items = [
        ["a", None, None],
        ["b", "r-1", hashlib.sha256(b'{"linkeddata":[{"type":"name","value":"Ann"}],"route":"sales"}').hexdigest()],
        [None, None, None],
    ]
    header = {"version": 1, "action": "release", "api_url": "https://vcc.example"}
    total = 0
    for item in items:
        text = json.dumps(item, separators=(",", ":")).encode()
        total += int.from_bytes(hashlib.shake_256(text).digest(512), "big")
    begin = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    expected = hashlib.sha256(begin + b"\n3\n" + (total % 2**4096).to_bytes(512, "big")).hexdigest()

    digest = PlanDigest({"api_url": "https://vcc.example", "action": "release"}, "")
    digest.add([Interaction(1, "a", "made", False, False), Interaction(7, None, None, False, False)], {})
    data = '{"route": "sales","linkeddata":[{"value":"Ann","type":"name"}]}'
    digest.add([Interaction(3, "b", "of a pending row", False, True, data)], {3: "r-1"})
    assert digest.hexdigest() == expected


class TestSamePlan:
    def test_order_and_duplicates_do_not_count(self):
        ids = [f"case-{number}" for number in range(3000)]
        expected = digest_of(external_ids=ids)
        chance = random.Random(1)
        for dummy in range(3):
            chance.shuffle(ids)
            assert digest_of(external_ids=[*ids, *ids[:5]]) == expected

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("ids.txt", "b\n\na\n"),
            ("ids.csv", "queue,external_id\nsales,b\nsales,a\nsales,b\n"),
            ("ids.jsonl", '{"external_id": "a", "linked_data": 1}\n{"external_id": "b", "request_id": null}\n'),
            ("ids.json", '["a", {"external_id": "b"}]'),
        ],
    )
    def test_file_equals_option(self, src, name, content):
        assert digest_of(src=src(content, name)) == digest_of(external_ids=["a", "b"])

    def test_external_id_equals_interaction(self):
        assert digest_of(external_id="a") == digest_of(interactions=[{"external_id": "a", "linked_data": LINKS}])

    def test_data_of_task_equal_data_of_interactions(self, src):
        """Only the data that are sent count, not the place where the task gives them."""
        of_task = digest_of(**SALES, external_ids=["a", "b"], linked_data=LINKS)
        own = [{"external_id": each, "linked_data": LINKS} for each in "ba"]
        assert digest_of(**SALES, interactions=own) == of_task
        assert digest_of(**SALES, interactions=own, linked_data=NAME) == of_task
        turned = [{**each, "linked_data": [dict(reversed(link.items())) for link in LINKS]} for each in own]
        assert digest_of(**SALES, src=src("\n".join(map(json.dumps, turned)), "own.jsonl")) == of_task

    def test_options_outside_of_plan_do_not_count(self, tmp_path):
        expected = digest_of(external_id="a")
        for given in (
            {"journal": str(tmp_path / "kept" / "journal.db")},
            {"journal_ttl": 5, "calls_in_flight": 1, "max_failures": 1, "timeout": 3, "retries": 0, "progress": False},
            {"report": str(tmp_path / "report.jsonl")},
            {"region": None, "api_url": "https://emea.api.newvoicemedia.com/", "auth_url": "https://auth.example"},
            {"access_token": "another"},
            {"route": "sales", "linked_data": LINKS},
        ):
            assert digest_of(**{"external_id": "a", **given}) == expected

    @pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
    def test_journal_only_removes_confirmed_interactions(self, sim, task, folder, backend, request):
        """Confirmed interactions are not in the plan. Pending ones are, without their request ids."""
        if backend == "postgresql":
            task.journal = request.getfixturevalue("postgresql_url")
        sim.fault("cut", when="after")
        task(external_ids=["b"])
        task(external_ids=["c"])
        without = task(external_ids=["a", "b"], journal="", check=True)
        result = task(external_ids=["a", "b", "c"], check=True)
        assert [each["evidence"] for each in result["interactions"]] == ["predicted", "predicted", "journal"]
        assert result["interactions"][1]["request_id"]
        assert result["plan_digest"] == without["plan_digest"]


class TestOtherPlan:
    def test_any_difference_changes_digest(self):
        base = {**SALES, "external_ids": ["a", "b"], "linked_data": NAME}
        one = [{"external_id": "a"}, {"external_id": "b"}]
        others = [
            base,
            {**base, "external_ids": ["a"]},
            {**base, "external_ids": ["a", "b", "c"]},
            {**base, "external_ids": ["a", "B"]},
            {**base, "external_ids": ["ab"]},
            {**base, "state": "released"},
            {**base, "route": "service"},
            {**base, "linked_data": LINKS},
            {**base, "linked_data": None},
            {**base, "routing_data": {"interaction_type": "chat"}},
            {**base, "provider": "crm"},
            {**base, "account": "another"},
            {**base, "region": "nam"},
            {**base, "force": True},
            {**base, "idempotency_key": "CHG1"},
            {**base, "idempotency_key": "CHG2"},
            {**base, "external_ids": None, "interactions": [{**one[0], "request_id": "r-1"}, one[1]]},
            {**base, "external_ids": None, "interactions": [{**one[0], "request_id": "r-2"}, one[1]]},
            {**base, "external_ids": None, "interactions": [one[0], {**one[1], "request_id": "r-1"}]},
            {**base, "external_ids": None, "interactions": [*one, {}]},
            {**base, "external_ids": None, "interactions": [*one, {}, {}]},
            {**base, "external_ids": None, "interactions": [{**one[0], "linked_data": LINKS}, one[1]]},
        ]
        digests = [digest_of(**{name: value for name, value in given.items() if value is not None}) for given in others]
        assert len(set(digests)) == len(others)

    def test_number_of_equal_items_changes_digest(self):
        """Two dispatches without an external id are two items, although they are equal."""
        digest = PlanDigest({}, "")
        seen = {digest.hexdigest()}
        for number in range(1, 300):
            digest.add([Interaction(number, None, None, False, False)], {})
            seen.add(digest.hexdigest())
        assert len(seen) == 300


class TestCheck:
    def test_capitals_are_accepted(self):
        assert check_plan_digest("0A" * 32) == "0a" * 32

    @pytest.mark.parametrize(
        "value", ["0a" * 31, "0a" * 33, "0a" * 31 + "0g", " " + "0a" * 32, "0a" * 32 + "\n", "\u0660" * 64]
    )
    def test_invalid_digest_is_refused_before_other_options(self, value):
        with pytest.raises(InputError, match="plan_digest must be the 64 hexadecimal digits that check mode returns"):
            check_plan_digest(value)
        options = validated(external_id="a", journal="", region="emea", plan_digest=value, timeout=-1)
        assert run(options, False, False, {})["msg"].startswith("plan_digest must be the 64")


@pytest.mark.parametrize("accept", [True, False])
def test_only_check_mode_returns_digest(sim, task, folder, accept):
    released(folder, sim, ["a", "b"], age=10, accept=accept)
    result = task(external_ids=["a", "b"], check=True)
    assert result["changed"] is not accept
    assert len(result["plan_digest"]) == 64
    assert "plan_digest" not in task(external_ids=["a", "b"])

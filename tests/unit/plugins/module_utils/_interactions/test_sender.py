# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: from what a task asks for to what became of each interaction."""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import random
import socket
import tempfile
import time
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._interactions import sender
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    PATIENCE,
    at_once,
    background,
    column,
    engine,
    journal_rows,
    mode,
    snapshot,
    summary,
    validated,
)

resource = pytest.importorskip("resource")

NEAR = 86400


def by_id(result):
    return {one["external_id"]: one for one in result["interactions"]}


def long_ids(count):
    """Ids of which about ninety fit into one call."""
    return [f"{number:05d}{'x' * 1000}" for number in range(count)]


class TestRelease:
    def test_one_interaction(self, sim, task):
        sim.dispatch("a", "b")
        result = task(external_id="a")
        ((request_id,),) = [[effect["request_id"] for effect in sim.effects]]
        assert result == {
            "changed": True,
            "summary": {"requested": 1, "released": 1, "unchanged": 0, "failed": 0, "unknown": 0, "api_calls": 1},
            "interactions": [
                {
                    "external_id": "a",
                    "provider": None,
                    "request_id": request_id,
                    "state": "released",
                    "changed": True,
                    "evidence": "api",
                    "message": "",
                }
            ],
        }
        assert sim.live() == ["b"]

    def test_a_second_run_calls_no_one(self, sim, task):
        first = task(external_id="a")
        before = sim.calls
        second = task(external_id="a")
        assert sim.calls == before
        assert not second["changed"]
        assert second["summary"] == {
            "requested": 1,
            "released": 0,
            "unchanged": 1,
            "failed": 0,
            "unknown": 0,
            "api_calls": 0,
        }
        (one,) = second["interactions"]
        assert (one["state"], one["changed"], one["evidence"]) == ("released", False, "journal")
        assert column(second, "request_id") == column(first, "request_id")

    def test_a_list(self, sim, task):
        sim.dispatch("a", "b,c", "ü")
        result = task(external_ids=["ü", "a", "b,c", "a"])
        assert column(result, "external_id") == ["ü", "a", "b,c"]
        assert summary(result) == {"requested": 3, "released": 3}
        assert sim.live() == []
        assert len(sim.invoke_calls) == 1

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("ids.txt", "a\nb\n"),
            ("ids.jsonl", '{"external_id": "a"}\n{"external_id": "b"}'),
            ("ids.ndjson", '{"external_id": "a"}\n{"external_id": "b"}'),
            ("ids.csv", "n,external_id\n1,a\n2,b\n"),
            ("ids.tsv", "n\texternal_id\n1\ta\n2\tb\n"),
            ("ids.json", '["a", {"external_id": "b"}]'),
        ],
    )
    def test_a_file(self, sim, task, tmp_path, name, content):
        (tmp_path / name).write_text(content)
        assert summary(task(src=str(tmp_path / name))) == {"requested": 2, "released": 2}
        assert sim.released == ["a", "b"]

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("ids.txt", "\n"),
            ("ids.csv", "external_id\n"),
            ("ids.csv", ""),
            ("ids.json", "[]"),
            ("ids.json", ""),
            ("ids.jsonl", ""),
        ],
    )
    def test_an_empty_file_is_told_of(self, sim, task, tmp_path, name, content, check):
        (tmp_path / name).write_text(content)
        result = task(src=str(tmp_path / name), check=check)
        assert not result.get("failed")
        assert result["summary"]["requested"] == 0
        assert result["warnings"] == [f"src {tmp_path / name} is empty: it asks for no interaction."]
        assert sim.calls == []

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("ids", "$ANSIBLE_VAULT;1.1;AES256\n6162\n6364\n"),
            ("ids.txt", '{"external_id": "case-1"}\n'),
            ("ids.txt", "case-1\n" * 5_000 + "# case-2\n"),
            ("ids.txt", "case-1\n<!DOCTYPE html>\n<title>Sign in</title>\n"),
            ("ids.txt", "case-1\ncase-2\u00a0\n"),
            ("ids.data", "case-1\n"),
            ("ids.json", '["case-1",\n'),
            ("ids.csv", "external_id\ncase-1\n case-2\n"),
        ],
    )
    def test_a_file_that_is_not_what_it_seems(self, sim, task, tmp_path, name, content, check):
        """Nothing is sent, not even for what is before the line that shows it."""
        (tmp_path / name).write_text(content)
        result = task(src=str(tmp_path / name), check=check)
        assert result["failed"]
        assert result["msg"].startswith(f"src {tmp_path / name}")
        assert (sim.calls, sim.effects) == ([], [])

    def test_an_empty_list(self, sim, task):
        result = task(external_ids=[])
        assert result["changed"] is False
        assert result["interactions"] == []
        assert sim.calls == []

    def test_at_the_wire(self, sim, task):
        task(external_ids=["a", 'say "ü" \\'])
        (body,) = sim.bodies()
        one, two = (effect["request_id"] for effect in sim.effects)
        assert json.loads(body) == {
            "requests": [
                {"action": "release", "requestid": one, "externalid": "a"},
                {"action": "release", "requestid": two, "externalid": 'say "ü" \\'},
            ]
        }

    @pytest.mark.parametrize("provider", ["tickets", 'ticket "system", Zürich'])
    def test_a_provider_at_the_wire(self, sim, task, provider):
        sim.dispatch("a", provider=provider)
        sim.dispatch("a")
        result = task(external_id="a", provider=provider)
        assert column(result, "provider") == [provider]
        assert sim.live(provider=provider) == []
        assert sim.live(provider=None) == ["a"]

    def test_an_empty_provider_is_none(self, sim, task):
        assert column(task(external_id="a", provider=""), "provider") == [None]
        assert "provider" not in json.loads(sim.bodies()[0])

    def test_another_provider_is_another_interaction(self, sim, task):
        sim.dispatch("a", provider="tickets")
        task(external_id="a")
        assert task(external_id="a", provider="tickets")["changed"]
        assert not task(external_id="a", provider="tickets")["changed"]

    def test_a_request_id_of_ones_own_at_the_wire(self, sim, task):
        result = task(external_id="a", request_id="my key, 1")
        assert column(result, "request_id") == ["my key, 1"]
        assert [effect["request_id"] for effect in sim.effects] == ["my key, 1"]

    def test_request_ids_of_a_file_at_the_wire(self, sim, task, tmp_path):
        (tmp_path / "ids.csv").write_text("external_id,request_id\na,1\nb,2\n")
        task(src=str(tmp_path / "ids.csv"))
        assert [(effect["external_id"], effect["request_id"]) for effect in sim.effects] == [("a", "1"), ("b", "2")]

    def test_force_releases_again_with_a_new_request_id(self, sim, task):
        sim.dispatch("a")
        task(external_id="a")
        sim.dispatch("a")
        assert not task(external_id="a")["changed"]
        assert sim.live() == ["a"]
        assert task(external_id="a", force=True)["changed"]
        assert sim.live() == []
        assert len({effect["request_id"] for effect in sim.effects}) == 2

    def test_a_ttl_ends_the_proof(self, sim, task, folder):
        released(folder, sim, ["a"], age=100)
        assert not task(external_id="a", journal_ttl=110)["changed"]
        assert task(external_id="a", journal_ttl=90)["changed"]
        assert not task(external_id="a", journal_ttl=90)["changed"]

    def test_without_a_journal_each_run_releases(self, sim, task, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        for dummy in range(2):
            assert task(external_ids=["a", "b", "a"], journal="")["summary"]["released"] == 2
        assert sim.released == ["a", "b"] * 2
        assert sorted(tmp_path.rglob("*")) == before

    def test_what_is_confirmed_is_left_out_of_the_call(self, sim, task):
        task(external_ids=["b", "d"])
        result = task(external_ids=["a", "b", "c", "d"])
        assert summary(result) == {"requested": 4, "released": 2, "unchanged": 2}
        assert column(result, "external_id") == ["a", "b", "c", "d"]
        assert column(result, "evidence") == ["api", "journal", "api", "journal"]
        assert sim.released == ["b", "d", "a", "c"]


def released(folder, sim, ids, age, accept=True, provider=None):
    """Have a journal say that these were released, or asked for, C(age) seconds ago."""
    journal = Journal(
        str(folder / "journal.db"), sim.url, CLIENT_ID, provider, 0, force=True, clock=lambda: time.time() - age
    )
    journal.add_all(Entry("", one) for one in ids)
    after = 0
    while True:
        chunk = journal.claim(after)
        if not chunk:
            break
        if accept:
            journal.accept(chunk)
        after = chunk[-1].seq
    journal.close()


class TestRefusedBeforeAnyCall:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"external_id": ""}, "external_id is empty"),
            ({"external_ids": ["a"] * 2000 + ["b\n"]}, "external_ids[2000] has a control character"),
            ({"external_id": "a", "client_secret": None}, "client_secret is missing"),
            ({"external_id": "a", "api_url": "http://vcc.example"}, "api_url has to begin with https://"),
            ({"external_id": "a", "journal_ttl": -1}, "journal_ttl has to be 0 or more"),
            ({"external_id": "a", "ca_path": "/none.pem"}, "ca_path /none.pem does not exist"),
        ],
    )
    @pytest.mark.parametrize("check", [False, True])
    def test_with_a_sentence(self, sim, task, given, said, check):
        result = task(check=check, **given)
        assert result["failed"]
        assert result["changed"] is False
        assert said in result["msg"]
        assert sim.calls == []

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize(
        ("lines", "said"),
        [
            (
                ['{"external_id": "a", "request_id": "1"}', '{"external_id": "a", "request_id": "2"}'],
                "line 2 asks for 'a' a second time",
            ),
            (
                ['{"external_id": "a", "request_id": "1"}', '{"external_id": "b", "request_id": "1"}'],
                "line 2 has the request_id '1' of another",
            ),
            (['{"external_id": "a"}', '{"external_id": "b"}', "{"], "line 3 is not JSON"),
        ],
    )
    def test_a_line_of_a_file_is_named(self, sim, task, tmp_path, lines, said, check):
        (tmp_path / "ids.jsonl").write_text("\n".join(lines))
        result = task(src=str(tmp_path / "ids.jsonl"), check=check)
        assert said in result["msg"]
        assert sim.calls == []

    def test_a_used_request_id(self, sim, task):
        task(external_id="a", request_id="1")
        calls = sim.calls
        result = task(external_id="b", request_id="1")
        assert "has been used for 'a' before" in result["msg"]
        assert sim.calls == calls

    @pytest.mark.parametrize("check", [False, True])
    def test_a_journal_that_is_none(self, sim, task, folder, check):
        folder.mkdir()
        (folder / "journal.db").write_text("case-1\n" * 1000)
        result = task(external_id="a", check=check)
        assert f"The journal {folder}/journal.db cannot be used (" in result["msg"]
        assert sim.calls == []

    @pytest.mark.parametrize("check", [False, True])
    def test_a_journal_with_a_broken_page(self, sim, task, folder, check):
        ids = [f"case-{number}" for number in range(3000)]
        released(folder, sim, ids, age=0)
        path = folder / "journal.db"
        with open(path, "r+b") as file:
            file.seek(path.stat().st_size // 8192 * 4096)
            file.write(b"\xff" * 4096)
        result = task(external_ids=ids, check=check)
        assert "cannot be used (" in result["msg"]
        assert sim.calls == []


class TestBatches:
    @pytest.mark.parametrize(
        "ids",
        [
            [f"case-{number:04d}" for number in range(5000)],
            [f"Fälle/{number:04d}/東京 🎧" for number in range(5000)],
            [f"{number:04d}" + "🎧" * 1020 for number in range(300)],
            [f"{number:04d}" + '"\\' * 500 for number in range(500)],
        ],
        ids=["ascii", "non-ascii", "long non-ascii", "quotes"],
    )
    def test_stay_below_the_limit_in_as_few_calls_as_can_be(self, sim, task, ids):
        result = task(external_ids=ids)
        assert summary(result) == {"requested": len(ids), "released": len(ids)}
        sizes = [len(body) for body in sim.bodies()]
        assert max(sizes) < 100_000
        assert len(sizes) <= math.ceil(sum(sizes) / 100_000) + 1
        assert result["summary"]["api_calls"] == len(sizes)
        assert sim.released == ids

    @pytest.mark.parametrize("own_ids", [False, True])
    def test_have_an_order_of_their_own_and_the_result_that_of_the_task(self, sim, task, own_ids):
        ids = [f"{number * 7 % 1000:03d}" for number in range(1000)]
        given = [{"external_id": one, "request_id": f"own-{one}" if own_ids else None} for one in ids]
        result = task(interactions=given)
        assert sim.released == sorted(ids)
        assert column(result, "external_id") == ids

    @pytest.mark.parametrize("provider", [None, "tickets"])
    def test_fill_up_to_the_last_byte(self, sim, task, provider):
        if provider:
            sim.register(provider)
        for ids in (["a"], ["a", "b"]):
            task(external_ids=ids, provider=provider, journal="")
        one, two = map(len, sim.bodies())
        step = two - one - 1  # what each interaction adds, its id aside
        room = 100_000 - (one - step) - 100 * step
        ids = [f"{number:05d}".ljust(room // 100, "x") for number in range(100)]
        ids[-1] += "y" * (room % 100)
        for padding, calls in (("", 1), ("z", 2)):
            before = len(sim.bodies())
            task(external_ids=[*ids[:-1], ids[-1] + padding], provider=provider, journal="")
            assert len(sim.bodies()) == before + calls
            assert max(map(len, sim.bodies()[before:])) < 100_000
        assert len(sim.bodies()[2]) == 99_999

    def test_a_hundred_thousand_have_a_journal_of_their_own_to_lean_on(self, sim, task, tmp_path):
        """What was done in chunks before is left out chunk by chunk."""
        ids = [str(number) for number in range(3500)]
        task(external_ids=ids[::2])
        result = task(external_ids=ids)
        assert summary(result) == {"requested": 3500, "released": 1750, "unchanged": 1750}
        assert sorted(sim.released) == sorted(ids)


class TestNarrowedDown:
    def test_one_bad_id_keeps_none_of_the_others(self, sim, task, rows):
        ids = [f"case-{number}" for number in range(64)]
        sim.dispatch(*ids)
        sim.poison("case-37")
        result = task(external_ids=ids)
        assert result["changed"]
        assert result["failed"]
        assert summary(result) == {"requested": 64, "released": 63, "failed": 1}
        assert sim.live() == ["case-37"]
        bad = by_id(result)["case-37"]
        assert (bad["state"], bad["changed"], bad["evidence"]) == ("failed", False, "status")
        assert bad["message"].startswith("VCC refused it with status 400 (An interaction cannot be processed)")
        assert result["msg"].startswith(
            "Of 64 interactions 1 failed; the first is 'case-37': VCC refused it with status 400"
        )
        assert result["msg"].endswith(" Running the task again takes up only what is left.")
        assert len(sim.invoke_calls) == result["summary"]["api_calls"] <= 1 + 2 * 6
        assert "case-37" not in rows()
        assert len(sim.ignored) == 0

    def test_the_next_run_takes_up_only_what_is_left(self, sim, task):
        ids = ["a", "b", "c", "d"]
        sim.poison("b")
        task(external_ids=ids)
        before = len(sim.invoke_calls)
        again = task(external_ids=ids)
        assert summary(again) == {"requested": 4, "unchanged": 3, "failed": 1}
        assert not again["changed"]
        assert [call["interactions"] for call in sim.invoke_calls[before:]] == [1]

    def test_several(self, sim, task):
        ids = [f"case-{number}" for number in range(200)]
        bad = {"case-0", "case-99", "case-100", "case-199"}
        sim.poison(*bad)
        result = task(external_ids=ids)
        assert {one["external_id"] for one in result["interactions"] if one["state"] == "failed"} == bad
        assert set(sim.released) == set(ids) - bad
        assert len(sim.released) == 196
        assert column(result, "external_id") == ids
        assert result["msg"].startswith("Of 200 interactions 4 failed; the first is 'case-0': ")

    def test_all(self, sim, task, rows):
        ids = [f"case-{number}" for number in range(10)]
        sim.poison(*ids)
        result = task(external_ids=ids)
        assert not result["changed"]
        assert summary(result) == {"requested": 10, "failed": 10}
        assert len(sim.invoke_calls) == 19
        assert rows() == {}

    def test_in_more_than_one_batch(self, sim, task):
        ids = long_ids(300)
        bad = {ids[10], ids[150], ids[290]}
        sim.poison(*bad)
        result = task(external_ids=ids)
        assert set(sim.released) == set(ids) - bad
        assert {one["external_id"] for one in result["interactions"] if one["state"] == "failed"} == bad

    def test_one_alone(self, sim, task):
        sim.poison("a")
        result = task(external_id="a")
        assert result["msg"].startswith("Interaction 'a' is not released: VCC refused it with status 400 (")
        assert "external id" in result["msg"]
        assert "provider" in result["msg"]
        assert len(sim.invoke_calls) == 1

    def test_a_provider_that_is_not_registered(self, sim, task):
        result = task(external_ids=["a", "b"], provider="nobody")
        assert summary(result) == {"requested": 2, "failed": 2}
        assert "The provider is not registered" in result["msg"]

    @pytest.mark.parametrize("status", [413, 417])
    def test_a_call_that_is_too_large_all_the_same(self, sim, task, status):
        sim.fault("too_large", status=status)
        result = task(external_ids=["a", "b", "c"])
        assert summary(result) == {"requested": 3, "released": 3}
        assert [call["interactions"] for call in sim.invoke_calls] == [3, 1, 2]

    def test_a_limit_that_is_smaller_than_the_contracts(self, sim, task):
        sim.fault("too_large", times=3)
        result = task(external_ids=list("abcdefgh"))
        assert summary(result) == {"requested": 8, "released": 8}
        assert [call["interactions"] for call in sim.invoke_calls] == [8, 4, 2, 1, 1, 2, 4]

    def test_one_that_is_too_large_alone(self, sim, task):
        sim.fault("too_large", times=None)
        result = task(external_id="a")
        assert summary(result) == {"requested": 1, "failed": 1}
        assert "413" in result["msg"]


class TestRefusedAsAWhole:
    """What VCC says of every call is not found out for each interaction."""

    @pytest.mark.parametrize("calls_in_flight", [1, 4])
    def test_by_a_provider_that_is_not_registered(self, sim, task, calls_in_flight):
        ids = [f"case-{number:04}" for number in range(3000)]
        result = task(external_ids=ids, provider="nobody", calls_in_flight=calls_in_flight)
        calls = len(sim.invoke_calls)
        assert 20 <= calls == result["summary"]["api_calls"] <= 24 + 2 * calls_in_flight
        counts = summary(result)
        assert counts["requested"] == counts["failed"] + counts["unknown"] == 3000
        assert counts["failed"] >= 8
        assert "in the same way and taken none: VCC refused it with status 400 (The provider is not" in result["msg"]
        assert "max_failures" in result["msg"]

    def test_the_next_run_asks_with_the_same_request_ids(self, sim, task, rows):
        ids = [f"case-{number:02}" for number in range(60)]
        sim.dispatch(*ids, provider=None)
        sim.fault("status", status=400, times=30)
        assert summary(task(external_ids=ids))["unknown"] > 0
        kept = {one: row["request_id"] for one, row in rows().items()}
        sim.reset()
        sim.dispatch(*ids)
        assert summary(task(external_ids=ids)) == {"requested": 60, "released": 60}
        sent = {effect["external_id"]: effect["request_id"] for effect in sim.effects}
        assert kept.items() <= sent.items()

    def test_not_where_those_that_are_good_come_last(self, sim, task):
        ids = [f"case-{number:04}" for number in range(1000)]
        sim.dispatch(*ids)
        sim.poison(*ids[:500])
        result = task(external_ids=ids)
        assert summary(result) == {"requested": 1000, "released": 500, "failed": 500}

    def test_nor_does_a_dispatch_whose_first_are_bad_keep_back_the_others(self, sim, task):
        ids = [f"case-{number:03}" for number in range(300)]
        sim.poison(*ids[:10])
        result = task(state="dispatched", route="Support", external_ids=ids)
        assert summary(result) == {"requested": 300, "dispatched": 290, "failed": 10}
        # In the order asked for, but for the one by which it is seen that VCC does not refuse all.
        assert [effect["external_id"] for effect in sim.effects] == [ids[-1], *ids[10:-1]]

    def test_by_answers_that_name_what_they_are_about(self, sim, task):
        for number in range(40):
            sim.fault("status", status=400, body={"message": f"No provider for case-{number} (trace {number:04x}f)"})
        result = task(external_ids=[f"case-{number:02}" for number in range(40)])
        assert 20 <= result["summary"]["api_calls"] < 30

    def test_not_where_the_answers_differ(self, sim, task):
        ids = [f"case-{number:02}" for number in range(40)]
        sim.fault("status", status=400, times=15, body={"message": "this"})
        sim.fault("status", status=400, times=None, body={"message": "that"})
        assert summary(task(external_ids=ids)) == {"requested": 40, "failed": 40}

    def test_not_where_all_are_gone(self, sim, task):
        sim.unknown_id = 404
        ids = [f"case-{number:02}" for number in range(40)]
        assert "failed" not in task(external_ids=ids)

    def test_not_with_a_limit_that_is_higher(self, sim, task):
        ids = [f"case-{number:02}" for number in range(40)]
        sim.poison(*ids)
        assert summary(task(external_ids=ids, max_failures=1000)) == {"requested": 40, "failed": 40}

    def test_a_limit_leaves_the_rest_unsent(self, sim, task, monkeypatch):
        monkeypatch.setattr(sender, "BODY_LIMIT", 300)
        ids = [f"case-{number:02}" for number in range(40)]
        sim.dispatch(*ids)
        sim.poison(*ids[:10])
        result = task(external_ids=ids, max_failures=3)
        assert "VCC has refused 3 interactions, and max_failures allows no more." in result["msg"]
        refused = [one for one in result["interactions"] if one["evidence"] == "status"]
        unsent = [one for one in result["interactions"] if one["message"].startswith("not sent")]
        assert len(refused) == 3
        assert {one["state"] for one in unsent[-20:]} == {"failed"}
        assert len(sim.invoke_calls) < 10
        assert summary(task(external_ids=ids[10:])) == {"requested": 30, "released": 30}


class TestUnknownIds:
    """The contract leaves open how VCC answers the release of an interaction that it does not have."""

    def test_answered_with_200(self, sim, task):
        sim.unknown_id = 200
        sim.dispatch("a")
        result = task(external_ids=["a", "never"])
        assert summary(result) == {"requested": 2, "released": 2}
        assert column(result, "evidence") == ["api", "api"]

    @pytest.mark.parametrize("ids", [["never"], ["a", "never", "b"], ["never", "a", "gone", "b"]], ids=len)
    def test_answered_with_404(self, sim, task, ids):
        sim.unknown_id = 404
        sim.dispatch("a", "b")
        result = task(external_ids=ids)
        assert "failed" not in result
        found = by_id(result)
        for one in ids:
            expected = ("released", True, "api") if one in "ab" else ("released", False, "status")
            assert (found[one]["state"], found[one]["changed"], found[one]["evidence"]) == expected
        assert found["never"]["message"].startswith("VCC answered 404")
        assert result["changed"] is ("a" in ids)
        assert sorted(sim.released) == [one for one in ("a", "b") if one in ids]

    def test_answered_with_404_proves_nothing_for_later(self, sim, task, rows):
        sim.unknown_id = 404
        task(external_id="a")
        assert rows() == {}
        sim.dispatch("a")
        assert task(external_id="a")["changed"]
        assert sim.live() == []

    def test_answered_with_400(self, sim, task):
        sim.unknown_id = 400
        sim.dispatch("a", "b")
        result = task(external_ids=["a", "never", "b"])
        assert column(result, "state") == ["released", "failed", "released"]
        assert "There is no such interaction" in by_id(result)["never"]["message"]
        assert sim.live() == []

    def test_a_404_of_something_in_between_releases_nothing(self, sim, task):
        sim.fault("status", status=404, body="<html>no such page</html>", times=None)
        result = task(external_ids=["a", "b", "c", "d"])
        assert summary(result) == {"requested": 4, "failed": 4}
        assert set(column(result, "evidence")) == {"status"}
        assert "check api_url" in result["msg"]
        assert len(sim.invoke_calls) == 1


class TestGivenUp:
    def test_a_missing_right_stops_the_rest(self, sim, task):
        ids = long_ids(400)
        sim.fault("status", status=403, after=1)
        result = task(external_ids=ids)
        assert len(sim.invoke_calls) == 2
        done = len(sim.released)
        assert 0 < done < 200
        assert summary(result) == {"requested": 400, "released": done, "failed": 400 - done}
        refused = sim.invoke_calls[1]["interactions"]
        assert column(result, "evidence") == ["api"] * done + ["status"] * refused + ["none"] * (400 - done - refused)
        assert result["interactions"][done]["message"].startswith("VCC refuses access (403)")
        assert result["interactions"][-1]["message"].startswith("not sent: VCC refuses access (403)")

    def test_it_goes_on_from_there(self, sim, task):
        ids = long_ids(400)
        sim.fault("status", status=403, after=1)
        task(external_ids=ids)
        result = task(external_ids=ids)
        assert "failed" not in result
        assert sim.released == ids
        assert sim.ignored == []

    @pytest.mark.parametrize(
        ("credentials", "said"),
        [
            ({"client_secret": "wr0ng"}, "VCC refused the client credentials (invalid_client)"),
            (
                {"client_id": "reader", "client_secret": "r3ader"},
                "no token for the scope interactions:write (invalid_scope)",
            ),
            ({"client_id": None, "client_secret": None, "access_token": "0ld"}, "VCC refused the access token (401)"),
        ],
    )
    def test_without_access_nothing_is_sent(self, sim, task, credentials, said):
        sim.add_client("reader", "r3ader", scopes=("stats",))
        result = task(external_ids=["a", "b"], **credentials)
        assert summary(result) == {"requested": 2, "failed": 2}
        assert said in result["msg"]
        assert "0ld" not in json.dumps(result)
        assert "r3ader" not in json.dumps(result)
        assert sim.released == []

    def test_without_a_token_nothing_is_claimed(self, task, rows):
        result = task(external_ids=["a", "b"], client_secret="wr0ng")
        assert rows() == {}
        assert column(result, "request_id") == [None, None]
        assert column(result, "evidence") == ["none", "none"]
        assert result["summary"]["api_calls"] == 0

    def test_without_a_token_what_is_confirmed_is_confirmed_all_the_same(self, task):
        task(external_id="b")
        result = task(external_ids=["a", "b"], client_secret="wr0ng")
        assert summary(result) == {"requested": 2, "unchanged": 1, "failed": 1}

    def test_three_calls_in_a_row_without_answer(self, sim, task):
        ids = long_ids(500)
        sim.fault("status", status=503, times=None)
        result = task(external_ids=ids)
        assert len(sim.invoke_calls) == 3
        sent = sum(call["interactions"] for call in sim.invoke_calls)
        assert summary(result) == {"requested": 500, "unknown": sent, "failed": 500 - sent}
        assert column(result, "state") == ["unknown"] * sent + ["failed"] * (500 - sent)
        assert set(column(result, "evidence")) == {"none"}
        assert result["interactions"][-1]["message"].startswith("not sent: VCC at ")
        assert f"Of 500 interactions {500 - sent} failed and {sent} may or may not be released" in result["msg"]

    def test_not_if_one_is_answered_in_between(self, sim, task):
        ids = long_ids(500)
        for number in (0, 1, 3, 4):
            sim.fault("status", status=503, after=number)
        result = task(external_ids=ids)
        assert [call["status"] for call in sim.invoke_calls] == [503, 503, 200, 503, 503, 200]
        assert result["summary"]["failed"] == 0

    def test_three_refusals_of_something_in_between(self, sim, task):
        sim.fault("status", status=407, body="<html>", times=None)
        result = task(external_ids=long_ids(500))
        assert len(sim.invoke_calls) == 3
        assert summary(result) == {"requested": 500, "failed": 500}


class TestUnknown:
    @pytest.mark.parametrize(
        "order",
        [
            {"kind": "status", "status": 500},
            {"kind": "cut", "when": "before"},
            {"kind": "cut", "when": "after"},
            {"kind": "redirect"},
            {"kind": "html"},
            {"kind": "garbage", "taken": True},
        ],
        ids=lambda order: "-".join(map(str, order.values())),
    )
    def test_what_may_have_happened_is_asked_again_with_the_same_id(self, sim, task, order):
        sim.dispatch("a")
        sim.fault(**order)
        first = task(external_id="a")
        assert not first["changed"]
        assert summary(first) == {"requested": 1, "unknown": 1}
        assert column(first, "evidence") == ["none"]
        assert first["msg"].startswith("Interaction 'a' may or may not be released: ")
        second = task(external_id="a")
        assert summary(second) == {"requested": 1, "released": 1}
        assert column(second, "request_id") == column(first, "request_id")
        assert sim.released == ["a"]
        assert sim.live() == []

    def test_what_was_refused_as_a_whole_may_have_been_done_in_part(self, sim, task):
        sim.poison("a")
        sim.fault("status", status=403, after=1)
        first = task(external_ids=["a", "b", "c"])
        assert summary(first) == {"requested": 3, "unknown": 3}
        assert "VCC may have released it with the call that it refused as a whole" in first["msg"]
        second = task(external_ids=["a", "b", "c"])
        assert column(second, "request_id") == column(first, "request_id")
        assert column(second, "state") == ["unknown", "released", "released"]

    def test_a_fair_use_limit_leaves_no_doubt(self, sim, task):
        sim.fault("status", status=429)
        result = task(external_id="a")
        assert summary(result) == {"requested": 1, "failed": 1}
        assert "429" in result["msg"]

    def test_a_retry_tells(self, sim, task):
        sim.fault("cut", when="after")
        sim.fault("status", status=503)
        result = task(external_id="a", retries=2)
        assert summary(result) == {"requested": 1, "released": 1}
        assert result["summary"]["api_calls"] == 3
        assert sim.released == ["a"]
        assert len(sim.ignored) == 1

    @pytest.mark.parametrize("ids", [["a"], ["a", "b", "c"]], ids=len)
    def test_a_refusal_after_a_lost_answer_does_not_tell(self, sim, task, rows, ids):
        sim.fault("cut", when="after")
        sim.fault("status", status=400, times=None)
        result = task(external_ids=ids, retries=1)
        assert summary(result) == {"requested": len(ids), "unknown": len(ids)}
        assert set(column(result, "evidence")) == {"status"}
        assert "An earlier attempt, whose answer was lost, may have released it." in result["msg"]
        assert list(rows()) == ids

    def test_so_the_next_run_repeats_it(self, sim, task):
        sim.fault("cut", when="after")
        sim.fault("status", status=400)
        first = task(external_id="a", retries=1)
        second = task(external_id="a")
        assert column(first, "request_id") == column(second, "request_id")
        assert sim.released == ["a"]

    @pytest.mark.parametrize(
        "order",
        [{"kind": "status", "status": 400}, {"kind": "status", "status": 403}, {"kind": "status", "status": 429}],
    )
    def test_what_an_earlier_run_left_open_stays_open(self, sim, task, order):
        sim.fault("cut", when="after")
        task(external_id="a")
        sim.fault(**order)
        result = task(external_id="a")
        assert summary(result) == {"requested": 1, "unknown": 1}
        assert summary(task(external_id="a")) == {"requested": 1, "released": 1}
        assert sim.released == ["a"]

    def test_what_is_under_way_counts_though_the_worklist_cannot_be_read_any_more(self, sim, task, monkeypatch):
        ids = long_ids(1200)
        for name in ("claim", "plan"):
            real = getattr(Journal, name)

            def broken(self, after, *others, real=real):
                if after:
                    raise JournalError("The temporary journal cannot be used (disk I/O error).")
                return real(self, after, *others)

            monkeypatch.setattr(Journal, name, broken)
        result = task(external_ids=ids, calls_in_flight=4)
        released = len(sim.released)
        assert 0 < released <= 1000
        assert summary(result) == {"requested": 1200, "released": released, "failed": 1200 - released}
        assert "disk I/O error" in result["msg"]


class TestResult:
    def test_all_kinds_at_once(self, sim, task):
        task(external_ids=["p", "q"])
        sim.poison("bad")
        sim.fault("cut", when="after", after=4)
        result = task(external_ids=["p", "a", "b", "bad", "c", "d", "q"])
        assert [call["interactions"] for call in sim.invoke_calls[1:]] == [5, 2, 3, 1, 2]
        assert result["summary"] == {
            "requested": 7,
            "released": 2,
            "unchanged": 2,
            "failed": 1,
            "unknown": 2,
            "api_calls": 5,
        }
        assert column(result, "external_id") == ["p", "a", "b", "bad", "c", "d", "q"]
        assert column(result, "state") == ["released"] * 3 + ["failed"] + ["unknown"] * 2 + ["released"]
        assert column(result, "evidence") == ["journal", "api", "api", "status", "none", "none", "journal"]
        assert result["msg"].startswith(
            "Of 7 interactions 1 failed and 2 may or may not be released; the first is 'bad': "
        )

    def test_the_first_named_is_the_first_asked_for(self, sim, task):
        """Not the first that was found to fail: what cannot be sent comes to light after what was refused."""
        ids = long_ids(300)
        sim.poison(ids[5], ids[299])
        sim.fault("status", status=403, after=10)
        result = task(external_ids=ids)
        first = next(one for one in result["interactions"] if one["state"] != "released")
        assert f"the first is '{first['external_id']}': " in result["msg"]

    def test_up_to_a_thousand_are_listed(self, task):
        ids = [str(number) for number in range(1000)]
        assert column(task(external_ids=ids), "external_id") == ids

    def test_above_that_only_the_failed_and_unknown(self, sim, task):
        ids = [str(number) for number in range(1001)]
        sim.poison("700", "500")
        result = task(external_ids=ids)
        assert column(result, "external_id") == ["500", "700"]
        assert summary(result) == {"requested": 1001, "released": 999, "failed": 2}
        assert task(external_ids=ids[:500])["summary"]["unchanged"] == 500
        assert task(external_ids=[*ids[:500], *"abc", *(f"x{number}" for number in range(600))])["interactions"] == []

    def test_a_hundred_of_them_at_most_and_the_report_has_all(self, sim, task, tmp_path):
        """Those that were asked for first, although releases are sent in an order of their own."""
        ids = [str(number) for number in range(1300, 0, -1)]
        sim.fault("cut", times=None)
        result = task(external_ids=ids)
        assert column(result, "external_id") == ids[:100]
        assert summary(result) == {"requested": 1300, "unknown": 1300}
        assert result["msg"].startswith("Of 1300 interactions 1300 may or may not be released; the first is '1300': ")
        assert result["msg"].endswith(
            " The first 100 are in the result, and 1200 more are not: set report for a file with all of them."
        )
        assert len(json.dumps(result)) < 50_000
        report = tmp_path / "report.jsonl"
        result = task(external_ids=ids, report=str(report))
        assert column(result, "external_id") == ids[:100]
        assert result["msg"].endswith(f", and 1200 more are not: report {report} has all of them.")
        lines = [json.loads(line) for line in report.read_text().splitlines()]
        assert sorted(line["external_id"] for line in lines) == sorted(ids)

    def test_where_all_of_them_are_listed_nothing_more_is_said(self, sim, task):
        ids = [str(number) for number in range(1102)]
        task(external_ids=ids[:1001])
        sim.fault("cut", times=None)
        result = task(external_ids=ids[:1101])
        assert column(result, "external_id") == ids[1001:1101]
        assert result["msg"].endswith("Running the task again takes up only what is left.")
        assert "The first 100 are in the result, and 1 more are not: " in task(external_ids=ids)["msg"]

    def test_a_warning_where_no_certificates_are_asked_for(self, task):
        assert "warnings" not in task(external_id="a")
        for check in (True, False):
            (warning,) = task(external_id="b", validate_certs=False, check=check)["warnings"]
            assert warning.startswith("validate_certs is false")

    @pytest.mark.parametrize(
        "order",
        [
            None,
            {"kind": "status", "status": 403},
            {"kind": "html"},
            {"kind": "cut"},
            {"kind": "expired", "times": None},
        ],
    )
    def test_no_secret_is_in_it(self, sim, task, order):
        if order:
            sim.fault(**order)
        clients = {}
        text = json.dumps(task(external_id="a", clients=clients), ensure_ascii=False)
        (client,) = list(clients.values())
        (token,) = client.secrets - {CLIENT_SECRET} if order is None else [client.authenticate().value]
        assert CLIENT_SECRET in client.secrets
        assert token in client.secrets
        assert all(secret not in text for secret in client.secrets)


class TestDiff:
    def test_names_each_of_a_few(self, sim, task):
        task(external_id="a")
        sim.poison("c")
        result = task(external_ids=["a", "b", "c"], diff=True)
        assert result["diff"] == {
            "before_header": "VCC interactions",
            "after_header": "VCC interactions",
            "before": "a: released\nb: not known to be released\nc: not known to be released\n",
            "after": "a: released\nb: released\nc: not known to be released\n",
        }

    def test_counts_many(self, sim, task):
        ids = [str(number) for number in range(1200)]
        task(external_ids=ids[:200])
        sim.poison("1199")
        result = task(external_ids=ids, diff=True)
        assert result["diff"]["before"] == "200 interactions: released\n1000 interactions: not known to be released\n"
        assert result["diff"]["after"] == "1199 interactions: released\n1 interactions: not known to be released\n"

    def test_has_no_change_where_there_is_none(self, task):
        task(external_ids=["a", "b"])
        diff = task(external_ids=["a", "b"], diff=True)["diff"]
        assert diff["before"] == diff["after"]

    def test_is_there_on_demand(self, task):
        assert "diff" not in task(external_id="a")

    def test_is_predicted(self, sim, task):
        task(external_id="b")
        predicted = task(external_ids=["a", "b"], check=True, diff=True)
        assert predicted["diff"]["before"] != predicted["diff"]["after"]
        assert task(external_ids=["a", "b"], diff=True)["diff"] == predicted["diff"]


# A line of a report, and one that a full disk broke off.
EARLIER = '{"external_id":"z","provider":null,"request_id":"r","state":"released","changed":true,"evidence":"api","message":""}\n'


class TestReport:
    @pytest.fixture
    def report(self, tmp_path):
        return tmp_path / "report.jsonl"

    def lines(self, report):
        return [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]

    def test_has_every_outcome(self, sim, task, report):
        task(external_id="p")
        sim.poison("c")
        result = task(external_ids=["a", "p", "c", "ü"], report=str(report))
        assert sorted(self.lines(report), key=str) == sorted(result["interactions"], key=str)
        assert '"ü"' in report.read_text(encoding="utf-8")

    def test_has_what_the_result_does_not_list(self, sim, task, report):
        ids = [f"{number}" for number in range(1100)]
        sim.poison("7")
        result = task(external_ids=ids, report=str(report))
        lines = self.lines(report)
        assert len(result["interactions"]) == 1
        assert sorted(int(one["external_id"]) for one in lines) == list(range(1100))
        assert [one["external_id"] for one in lines if one["state"] == "failed"] == ["7"]

    def test_has_what_could_not_be_sent(self, task, report):
        task(external_ids=["a", "b"], client_secret="wr0ng", report=str(report))
        assert [(one["external_id"], one["state"]) for one in self.lines(report)] == [("a", "failed"), ("b", "failed")]

    def test_is_for_its_owner_only(self, task, report, open_umask):
        task(external_id="a", report=str(report))
        assert oct(mode(report)) == "0o600"

    def test_is_replaced(self, task, report):
        for name in "ab":
            task(external_id=name, report=str(report))
        assert [one["external_id"] for one in self.lines(report)] == ["b"]

    def test_is_written_as_the_work_goes_on(self, sim, task, report):
        hold = sim.fault("hold", after=1)
        ids = long_ids(150)
        with background(lambda: task(external_ids=ids, report=str(report))) as results:
            assert hold.entered.wait(PATIENCE)
            so_far = [one["external_id"] for one in self.lines(report)]
            hold.release()
        assert so_far == sim.released[: len(so_far)] == ids[: sim.invoke_calls[0]["interactions"]]
        assert len(self.lines(report)) == 150
        assert results[0]["changed"]

    def test_is_not_made_in_check_mode(self, task, report):
        task(external_id="a", report=str(report), check=True)
        assert not report.exists()

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize("link", [None, "symlink_to", "hardlink"])
    def test_does_not_replace_its_source(self, sim, task, tmp_path, check, link):
        src = tmp_path / "ids.txt"
        src.write_text("a\nb\n")
        report = tmp_path / "report.jsonl" if link else src
        if link == "symlink_to":
            report.symlink_to(src)
        elif link:
            os.link(src, report)
        result = task(src=str(src), report=str(report), check=check)
        assert "report is the same file as src" in result["msg"]
        assert src.read_text() == "a\nb\n"
        assert sim.calls == []

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize("option", ["journal", "token_cache", "ca_path"])
    def test_does_not_replace_another_file_of_the_task(self, sim, task, tmp_path, option, check):
        path = tmp_path / "precious"
        path.write_text("precious")
        result = task(external_id="a", report=str(path), check=check, **{option: str(path)})
        assert f"report is the same file as {option}" in result["msg"]
        assert path.read_text() == "precious"
        assert sim.calls == []

    def test_does_not_stand_in_the_way_of_a_journal_to_be_made(self, sim, task, tmp_path):
        result = task(external_id="a", report=str(tmp_path / "new"), journal=str(tmp_path / "x" / ".." / "new"))
        assert "report is the same file as journal" in result["msg"]
        assert sim.calls == []

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize("name", ["none/report.jsonl", "file/report.jsonl", "folder"])
    def test_has_to_be_writable_before_any_call(self, sim, task, tmp_path, name, check):
        (tmp_path / "file").touch()
        (tmp_path / "folder").mkdir()
        path = tmp_path / name
        result = task(external_id="a", report=str(path), check=check)
        assert result["msg"].startswith(f"report {path} cannot be written on the host that runs the task (")
        assert sim.calls == []

    @pytest.mark.parametrize("there", [False, True])
    def test_check_mode_says_what_a_user_may_not_write(self, tmp_path, there):
        """As a user who is not root, whoever runs the tests. Nothing is made or emptied."""
        user = os.geteuid() or 65534
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "report.jsonl")
            if there:
                report.write_text("before")
                os.chown(report, user, -1)
                report.chmod(0o400)
            os.chown(folder, user, -1)
            os.chmod(folder, 0o500)
            before = snapshot(Path(folder))
            outputs = [at_once(1, REPORTING, report, user, predict)[0] for predict in (True, False)]
            assert snapshot(Path(folder)) == before
            os.chmod(folder, 0o700)
        said = f"report {report} cannot be written on the host that runs the task (Permission denied).\n"
        assert outputs == [said] * 2

    def test_in_check_mode_a_file_is_left_as_it_is(self, task, report):
        report.write_text(EARLIER)
        before = snapshot(report.parent)
        assert "failed" not in task(external_id="a", report=str(report), check=True)
        assert snapshot(report.parent) == before

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            ("link", "it is a symbolic link"),
            ("dangling", "it is a symbolic link"),
            ("hard", "it has another name, a hard link"),
            ("fifo", "it is no regular file"),
            ("socket", "it is no regular file"),
            ("null", "it is no regular file"),
            pytest.param(
                "stranger",
                "it belongs to another user",
                marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away"),
            ),
        ],
    )
    def test_is_a_file_of_its_own(self, sim, task, report, tmp_path, kind, said, check):
        target = tmp_path / "target"
        if kind != "dangling":
            target.write_text("precious")
        if kind in ("link", "dangling"):
            report.symlink_to(target)
        elif kind == "hard":
            os.link(target, report)
        elif kind == "fifo":
            os.mkfifo(report)
        elif kind == "socket":
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as one:
                one.bind(str(report))
        elif kind == "null":
            report = Path("/dev/null")
        else:
            report.touch()
            os.chown(report, 12345, -1)
        result = task(external_id="a", report=str(report), check=check)
        assert result["msg"].startswith(f"report {report} cannot be written on the host that runs the task ({said}): ")
        assert sim.calls == []
        assert target.exists() is (kind != "dangling")
        assert kind == "dangling" or target.read_text() == "precious"

    @pytest.mark.parametrize("before", [0o666, 0o644])
    def test_closes_a_file_that_was_open_to_others(self, task, report, before):
        report.write_text(EARLIER)
        report.chmod(before)
        task(external_id="a", report=str(report))
        assert oct(mode(report)) == "0o600"
        assert [one["external_id"] for one in self.lines(report)] == ["a"]

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize(
        "content", [b"k1\nk2\n", b"SQLite format 3\0", b'{"external_id":"a"}\n{"external_id":"b"}\n', b"{"]
    )
    def test_replaces_no_file_that_is_none(self, sim, task, report, content, check):
        report.write_bytes(content)
        result = task(external_id="a", report=str(report), check=check)
        assert "no report of this collection, and would be replaced): set report to another path" in result["msg"]
        assert report.read_bytes() == content
        assert sim.calls == []

    @pytest.mark.parametrize("content", ["", EARLIER, EARLIER[:20], EARLIER * 2 + EARLIER[:5]])
    def test_replaces_an_earlier_one(self, task, report, content):
        report.write_text(content)
        task(external_id="a", report=str(report))
        assert [one["external_id"] for one in self.lines(report)] == ["a"]

    @pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
    def test_that_cannot_be_completed_spoils_no_release(self, sim, task, report):
        """A limit on the size of files stands for the full disk. The provider's name is in each line, and in the journal once."""
        given = {"external_ids": [str(number) for number in range(200)], "provider": "p" * 1000}
        sim.register(given["provider"])
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (220_000, before[1]))
        try:
            result = task(**given, report=str(report))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        gc.collect()  # what is left of the file must not complain either
        assert result["failed"]
        assert result["msg"].startswith(f"The report {report} is not complete (File too large)")
        assert summary(result) == {"requested": 200, "released": 200}
        assert not task(**given)["changed"]


REPORTING = """
import os
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.report import Report
together()
path, user, predict = sys.argv[1:]
if os.geteuid() == 0:
    os.setuid(int(user))
try:
    Report(path, predict == "True")
except InputError as exc:
    print(exc)
"""


class TestCheckMode:
    def test_makes_no_call_and_no_file(self, sim, task, folder, tmp_path):
        before = sorted(tmp_path.rglob("*"))
        result = task(external_ids=["a", "b"], check=True, token_cache=str(tmp_path / "tokens.json"))
        assert result["changed"]
        assert summary(result) == {"requested": 2, "released": 2}
        assert column(result, "evidence") == ["predicted", "predicted"]
        assert sim.calls == []
        assert not folder.exists()
        assert sorted(tmp_path.rglob("*")) == before

    def test_needs_no_network_at_all(self, task):
        result = task(external_id="a", api_url="https://vcc.invalid", auth_url="https://vcc.invalid/token", check=True)
        assert result["changed"]

    @pytest.mark.parametrize("seed", range(24))
    def test_says_what_the_real_run_does(self, sim, task, folder, seed):
        chance = random.Random(seed)
        ttl = chance.choice([0, 1000, NEAR])
        force = chance.random() < 0.2
        provider = chance.choice([None, "tickets"])
        sim.register("tickets")
        ids = [f"case-{number}" for number in range(chance.choice([1, 5, 40, 1003]))]
        for age, accept, where in (
            (10, True, provider),
            (10, False, provider),
            (5000, True, provider),
            (5000, False, provider),
            (2 * NEAR, True, provider),
            (10, True, "another"),
        ):
            released(folder, sim, [one for one in ids if chance.random() < 0.2], age, accept, where)
        asked = chance.sample(ids, len(ids)) + chance.choices(ids, k=3)
        given = {"external_ids": asked, "provider": provider, "journal_ttl": ttl, "force": force}

        before = content(folder)
        predicted = task(check=True, diff=True, **given)
        assert sim.calls == []
        assert content(folder) == before

        real = task(diff=True, **given)
        for result in (predicted, real):
            del result["summary"]["api_calls"]
            for one in result["interactions"]:
                del one["evidence"], one["request_id"]
        assert real == predicted
        assert task(**{**given, "force": False})["changed"] is False

    def test_names_the_request_id_that_will_be_used_where_there_is_one(self, sim, task, folder):
        released(folder, sim, ["a"], age=10, accept=False)
        predicted = task(external_ids=["a", "b"], check=True)
        real = task(external_ids=["a", "b"])
        assert column(predicted, "request_id") == [column(real, "request_id")[0], None]

    def test_says_nothing_more_after_the_real_run(self, task):
        task(external_ids=["a", "b"])
        result = task(external_ids=["a", "b"], check=True)
        assert not result["changed"]
        assert column(result, "evidence") == ["journal", "journal"]


def content(folder):
    return {
        each.name: (each.stat().st_mtime_ns, each.read_bytes()) for each in folder.iterdir()
    }, folder.stat().st_mtime_ns


class TestClients:
    def test_tasks_with_equal_options_share_a_token_and_a_connection(self, sim, task):
        clients = {}
        results = [task(external_id=name, clients=clients) for name in "abc"]
        assert len(sim.token_calls) == 1
        assert len({call["connection"] for call in sim.calls}) == 1
        assert [result["summary"]["api_calls"] for result in results] == [1, 1, 1]

    def test_others_do_not(self, sim, task):
        clients = {}
        task(external_id="a", clients=clients)
        task(external_id="b", clients=clients, account="second")
        assert len(sim.token_calls) == len(clients) == 2

    def test_a_token_cache_serves_tasks_that_share_nothing_else(self, sim, task, tmp_path):
        for name in "abc":
            task(external_id=name, token_cache=str(tmp_path / "tokens.json"))
        assert len(sim.token_calls) == 1
        assert sim.released == ["a", "b", "c"]

    @pytest.mark.parametrize("check", [False, True])
    def test_a_token_cache_that_cannot_be_used_fails_before_any_call(self, sim, task, tmp_path, folder, check):
        (tmp_path / "link").symlink_to(tmp_path / "target")
        result = task(external_id="a", token_cache=str(tmp_path / "link"), check=check)
        assert result["failed"]
        assert f"The token cache {tmp_path}/link cannot be used (it is a symbolic link)" in result["msg"]
        assert sim.calls == []
        assert not folder.exists()

    def test_an_account_of_ones_own_keeps_journal_entries_apart(self, sim, task):
        task(external_id="a", account="first")
        assert task(external_id="a", account="second")["changed"]
        assert not task(external_id="a", account="first")["changed"]

    def test_clients_of_one_account_can_share_its_entries(self, sim, task):
        sim.add_client("other", "s3cret")
        task(external_id="a", account="first")
        assert not task(external_id="a", account="first", client_id="other", client_secret="s3cret")["changed"]


class TestCompany:
    def test_a_claim_is_on_disk_before_it_is_sent(self, sim, task, rows):
        hold = sim.fault("hold")
        with background(lambda: task(external_ids=["a", "b"])) as results:
            assert hold.entered.wait(PATIENCE)
            meanwhile = rows()
            hold.release()
        assert {name: row["request_id"] for name, row in meanwhile.items()} == {
            effect["external_id"]: effect["request_id"] for effect in sim.effects
        }
        assert [row["accepted"] for row in meanwhile.values()] == [None, None]
        assert results[0]["changed"]
        assert all(row["accepted"] for row in rows().values())

    def test_a_second_task_meanwhile_has_the_same_request_ids(self, sim, task):
        hold = sim.fault("hold")
        with background(lambda: task(external_ids=["a", "b"])) as results:
            assert hold.entered.wait(PATIENCE)
            second = task(external_ids=["b", "a", "c"])
            hold.release()
        assert column(second, "request_id")[:2] == column(results[0], "request_id")[::-1]
        assert sorted(sim.released) == ["a", "b", "c"]
        assert sorted(effect["external_id"] for effect in sim.ignored) == ["a", "b"]

    def test_of_eight_processes_at_once_each_interaction_has_one_effect(self, sim, folder, listed):
        ids = [f"case-{number}" for number in range(1500)]
        sim.dispatch(*ids)
        given = sim.options(src=listed(ids), journal=str(folder / "journal.db"))
        results = [json.loads(output) for output in at_once(8, EIGHT, json.dumps(validated(**given)))]
        assert [result.get("msg") for result in results] == [None] * 8
        assert sorted(sim.released) == sorted(ids)
        assert sim.live() == []


EIGHT = """
import json
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
together()
print(json.dumps(run(json.loads(sys.argv[1]), False, False, {})))
"""

LIMITED = """
import json
import resource
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
print(json.dumps(run(json.loads(sys.argv[1]), False, False, {})))
"""


def source_of(folder, ids):
    """The path of a new file with these ids."""
    path = folder.parent / "ids.txt"
    path.write_text("\n".join(ids), encoding="utf-8")
    return str(path)


class TestFullDisk:
    """A limit on the size of files stands for the full disk."""

    @pytest.mark.parametrize(
        ("limit", "tokens"), [(0, 0), (8_000, 0), (100_000, 1)], ids=["at once", "at its opening", "at a claim"]
    )
    def test_before_a_call(self, sim, task, folder, listed, limit, tokens):
        task(external_id="first")
        ids = [f"{number:04d}{'x' * 300}" for number in range(900)]
        given = sim.options(src=source_of(folder, ids), journal=str(folder / "journal.db"))
        (output,) = at_once(1, "together()\n" + LIMITED, json.dumps(validated(**given)), limit)
        result = json.loads(output)
        assert result["failed"]
        assert f"The journal {folder}/journal.db cannot be used (" in result["msg"]
        assert (len(sim.invoke_calls), len(sim.token_calls)) == (1, 1 + tokens)
        again = task(external_ids=[*ids, "first"])
        assert summary(again) == {"requested": 901, "released": 900, "unchanged": 1}

    @pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit")
    def test_behind_a_call(self, sim, task, folder, listed):
        ids = long_ids(300)
        sim.dispatch(*ids)
        hold = sim.fault("hold")
        with engine(**sim.options(src=source_of(folder, ids), journal=str(folder / "journal.db"))) as process:
            assert hold.entered.wait(PATIENCE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            hold.release()
            result = json.loads(process.communicate(timeout=PATIENCE)[0])
        sent = sim.invoke_calls[0]["interactions"]
        assert result["failed"]
        assert f"The journal {folder}/journal.db cannot be used (" in result["msg"]
        assert summary(result) == {"requested": 300, "released": sent, "failed": 300 - sent}
        assert len(sim.invoke_calls) == 1

        again = task(external_ids=ids)
        assert summary(again) == {"requested": 300, "released": 300}
        assert column(again, "request_id")[:sent] == column(result, "request_id")[:sent]
        assert sim.released == ids
        assert [effect["external_id"] for effect in sim.ignored] == ids[:sent]


def test_a_journal_in_the_home_folder_by_default(sim, task):
    params = sim.options(external_id="a")
    del params["journal"]
    clients = {}
    run(validated(**params), False, False, clients)
    for client in clients.values():
        client.close()
    assert list(journal_rows(Path.home() / ".ansible/vonage_vcc/journal.db")) == ["a"]

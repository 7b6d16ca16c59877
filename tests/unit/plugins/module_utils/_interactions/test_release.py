# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases: calls, request ids, and options that are refused before any call."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    column,
    journal_rows,
    summary,
    validated,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.helpers import (
    released,
)


class TestRelease:
    def test_result_of_one_interaction(self, sim, task):
        sim.dispatch("a", "b")
        result = task(external_id="a")
        ((request_id,),) = [[effect["request_id"] for effect in sim.effects]]
        journal = result.pop("journal")
        assert re.fullmatch("[0-9a-f]{32}", result.pop("run_id"))
        assert journal == {"backend": "sqlite", "location": journal["location"], "created": True}
        assert task(external_id="a")["journal"] == {**journal, "created": False}
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
                    "call": 1,
                }
            ],
        }
        assert sim.live() == ["b"]

    def test_second_run_makes_no_call(self, sim, task):
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
        (entry,) = second["interactions"]
        assert (entry["state"], entry["changed"], entry["evidence"]) == ("released", False, "journal")
        assert column(second, "request_id") == column(first, "request_id")

    def test_list_of_ids(self, sim, task):
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
    def test_ids_of_file(self, sim, task, tmp_path, name, content):
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
    def test_empty_file_has_warning(self, sim, task, tmp_path, name, content, check):
        (tmp_path / name).write_text(content)
        result = task(src=str(tmp_path / name), check=check)
        assert not result.get("failed")
        assert result["summary"]["requested"] == 0
        assert result["warnings"] == [
            f"src {tmp_path / name} has no interactions, so the task does nothing: check the file."
        ]
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
    def test_other_file_is_rejected_before_any_call(self, sim, task, tmp_path, name, content, check):
        """Nothing is sent, not even the ids before the line that is not an id."""
        (tmp_path / name).write_text(content)
        result = task(src=str(tmp_path / name), check=check)
        assert result["failed"]
        assert result["msg"].startswith(f"src {tmp_path / name}")
        assert (sim.calls, sim.effects) == ([], [])

    def test_empty_list(self, sim, task):
        result = task(external_ids=[])
        assert result["changed"] is False
        assert result["interactions"] == []
        assert sim.calls == []

    def test_body_of_call(self, sim, task):
        task(external_ids=["a", 'say "ü" \\'])
        (body,) = sim.bodies()
        first_id, second_id = (effect["request_id"] for effect in sim.effects)
        assert json.loads(body) == {
            "requests": [
                {"action": "release", "requestid": first_id, "externalid": "a"},
                {"action": "release", "requestid": second_id, "externalid": 'say "ü" \\'},
            ]
        }

    @pytest.mark.parametrize("provider", ["tickets", 'ticket "system", Zürich'])
    def test_provider_in_call(self, sim, task, provider):
        sim.dispatch("a", provider=provider)
        sim.dispatch("a")
        result = task(external_id="a", provider=provider)
        assert column(result, "provider") == [provider]
        assert sim.live(provider=provider) == []
        assert sim.live(provider=None) == ["a"]

    def test_empty_provider_is_not_sent(self, sim, task):
        assert column(task(external_id="a", provider=""), "provider") == [None]
        assert "provider" not in json.loads(sim.bodies()[0])

    def test_interactions_of_two_providers_are_distinct(self, sim, task):
        sim.dispatch("a", provider="tickets")
        task(external_id="a")
        assert task(external_id="a", provider="tickets")["changed"]
        assert not task(external_id="a", provider="tickets")["changed"]

    def test_custom_request_id_in_call(self, sim, task):
        result = task(external_id="a", request_id="my key, 1")
        assert column(result, "request_id") == ["my key, 1"]
        assert [effect["request_id"] for effect in sim.effects] == ["my key, 1"]

    def test_request_ids_of_file_in_call(self, sim, task, tmp_path):
        (tmp_path / "ids.csv").write_text("external_id,request_id\na,1\nb,2\n")
        task(src=str(tmp_path / "ids.csv"))
        assert [(effect["external_id"], effect["request_id"]) for effect in sim.effects] == [("a", "1"), ("b", "2")]

    def test_force_releases_again_with_new_request_id(self, sim, task):
        sim.dispatch("a")
        task(external_id="a")
        sim.dispatch("a")
        assert not task(external_id="a")["changed"]
        assert sim.live() == ["a"]
        assert task(external_id="a", force=True)["changed"]
        assert sim.live() == []
        assert len({effect["request_id"] for effect in sim.effects}) == 2

    def test_ttl_ends_confirmation(self, sim, task, folder):
        released(folder, sim, ["a"], age=100)
        assert not task(external_id="a", journal_ttl=110)["changed"]
        assert task(external_id="a", journal_ttl=90)["changed"]
        assert not task(external_id="a", journal_ttl=90)["changed"]

    def test_each_run_without_journal_releases(self, sim, task, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        for dummy in range(2):
            assert task(external_ids=["a", "b", "a"], journal="")["summary"]["released"] == 2
        assert sim.released == ["a", "b"] * 2
        assert sorted(tmp_path.rglob("*")) == before

    def test_call_omits_confirmed_interactions(self, sim, task):
        task(external_ids=["b", "d"])
        result = task(external_ids=["a", "b", "c", "d"])
        assert summary(result) == {"requested": 4, "released": 2, "unchanged": 2}
        assert column(result, "external_id") == ["a", "b", "c", "d"]
        assert column(result, "evidence") == ["api", "journal", "api", "journal"]
        assert sim.released == ["b", "d", "a", "c"]


class TestRefusedBeforeAnyCall:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"external_id": ""}, "external_id is empty"),
            ({"external_ids": ["a"] * 2000 + ["b\n"]}, "external_ids[2000] has a control character"),
            ({"external_id": "a", "client_secret": None}, "client_secret is missing"),
            ({"external_id": "a", "api_url": "http://vcc.example"}, "api_url must begin with https://"),
            ({"external_id": "a", "journal_ttl": -1}, "journal_ttl must be 0 or more"),
            ({"external_id": "a", "ca_path": "/none.pem"}, "ca_path /none.pem does not exist"),
        ],
    )
    @pytest.mark.parametrize("check", [False, True])
    def test_invalid_option(self, sim, task, given, said, check):
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
    def test_invalid_file_is_rejected_with_line(self, sim, task, tmp_path, lines, said, check):
        (tmp_path / "ids.jsonl").write_text("\n".join(lines))
        result = task(src=str(tmp_path / "ids.jsonl"), check=check)
        assert said in result["msg"]
        assert sim.calls == []

    def test_used_request_id(self, sim, task):
        task(external_id="a", request_id="1")
        calls = sim.calls
        result = task(external_id="b", request_id="1")
        assert "has been used for 'a' before" in result["msg"]
        assert sim.calls == calls

    @pytest.mark.parametrize("check", [False, True])
    def test_file_that_is_not_a_journal(self, sim, task, folder, check):
        folder.mkdir()
        (folder / "journal.db").write_text("case-1\n" * 1000)
        result = task(external_id="a", check=check)
        assert f"The journal {folder}/journal.db cannot be used (" in result["msg"]
        assert sim.calls == []

    @pytest.mark.parametrize("check", [False, True])
    def test_journal_with_damaged_page(self, sim, task, folder, check):
        ids = [f"case-{number}" for number in range(3000)]
        released(folder, sim, ids, age=0)
        path = folder / "journal.db"
        with open(path, "r+b") as file:
            file.seek(path.stat().st_size // 8192 * 4096)
            file.write(b"\xff" * 4096)
        result = task(external_ids=ids, check=check)
        assert "cannot be used (" in result["msg"]
        assert sim.calls == []


def test_default_journal_is_in_home_folder(sim, task):
    params = sim.options(external_id="a")
    del params["journal"]
    clients = {}
    run(validated(**params), False, False, clients)
    for client in clients.values():
        client.close()
    assert list(journal_rows(Path.home() / ".ansible/vonage_vcc/journal.db")) == ["a"]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules of the journal show and maintain it."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    run_module,
    snapshot,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.modules.processes.helpers import RELEASED


class TestJournal:
    def test_notification_confirms_for_the_next_task(self, sim, act, tmp_path):
        result, code, dummy = act("vcc_journal", diff=True, provider="tickets")
        assert (code, result["changed"], result["noted"], result["ignored"]) == (0, True, 1, 0)
        assert result["diff"] == {
            "before_header": "VCC journal",
            "after_header": "VCC journal",
            "before": "a: not known\n",
            "after": "a: released\n",
        }
        given = sim.options(journal=str(tmp_path / "journal.db"), external_id="a")
        assert not run_module(tmp_path, provider="tickets", **given)[0]["changed"]
        assert sim.calls == []
        assert run_module(tmp_path, **given)[0]["changed"]

    def test_notifications_of_the_simulator_are_taken_as_they_come(self, sim, act):
        sim.register("tickets", endpoint="https://hooks.example")
        sim.dispatch("a", provider="tickets")
        given = [sim.notification("a", kind)[2][0] for kind in ("AssignToAgent", "Release")]
        result, code, dummy = act("vcc_journal", notifications=[*given, given[0]], provider="tickets")
        assert (code, result["noted"], result["ignored"]) == (0, 2, 0)

    @pytest.mark.parametrize("task", [{}, {"notifications": None, "older_than": 0}], ids=["note", "prune"])
    def test_check_mode_is_exact(self, act, tmp_path, task):
        act("vcc_journal", notifications=[{**RELEASED[0], "notificationid": "n-0"}])
        before = snapshot(tmp_path)
        predicted, dummy, dummy = act("vcc_journal", check=True, diff=True, **task)
        assert snapshot(tmp_path) == before
        real, dummy, dummy = act("vcc_journal", diff=True, **task)
        assert predicted == real
        assert real["changed"]
        again, dummy, dummy = act("vcc_journal", **task)
        assert not again["changed"]

    def test_pruning_returns_counts(self, act):
        act("vcc_journal")
        result, dummy, dummy = act("vcc_journal", diff=True, notifications=None, older_than=0)
        assert result["pruned"] == {"interactions": 1, "notifications": 1, "request_ids": 0, "outcomes": 0, "runs": 0}
        before = "old interactions: 1\nold notifications: 1\nold request_ids: 0\nold outcomes: 0\nold runs: 0\n"
        assert result["diff"]["before"] == before
        assert result["diff"]["after"] == before.replace("1", "0")

    def test_pruning_needs_no_region_and_makes_no_journal(self, tmp_path):
        path = tmp_path / "journal.db"
        result, code, dummy = run_module(tmp_path, module="vcc_journal", journal=str(path), older_than=5)
        assert (code, result["changed"]) == (0, False)
        assert not path.exists()

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (
                {"notifications": None},
                "one of the following is required: state, import_from, older_than, notifications",
            ),
            ({"older_than": 1}, "parameters are mutually exclusive: state|import_from|older_than|notifications"),
            ({"notifications": None, "state": "present", "grant_to": ["a"]}, "grant_to names roles of a database"),
            ({"grant_to": ["a"]}, "missing parameter(s) required by 'grant_to': state"),
            ({"notifications": None, "import_from": "none.db"}, "none.db cannot be imported (there is no such file)"),
            ({"notifications": None, "older_than": -1}, "older_than must be 0 or more, not -1."),
            ({"notifications": [{"notification": "Release"}]}, "notifications[0] has no notification or no"),
            ({"notifications": [*RELEASED, {"objectid": "b", "notificationid": "2"}]}, "notifications[1] has no"),
            ({"notifications": ["Release"]}, "notifications"),
            ({"journal": ""}, "journal is empty or none, but this module needs a journal"),
            (
                {"journal": "", "notifications": None, "older_than": 1},
                "journal is empty or none, but this module needs a journal",
            ),
            ({"api_url": None}, "The region of the VCC account is missing"),
            ({"provider": "a\nb"}, "provider has a control character"),
        ],
    )
    def test_refused_input_writes_nothing(self, refused, tmp_path, given, said):
        assert said in refused("vcc_journal", **given)
        assert list(tmp_path.glob("journal*")) == []

    @pytest.mark.parametrize("name", ["objectid", "notificationid"])
    def test_invalid_unicode_is_refused(self, act, name):
        """The module runs as a process, because the code of Ansible's controller, which other tests import, refuses such text."""
        result, code, dummy = act("vcc_journal", notifications=[{**RELEASED[0], name: "a\ud800"}])
        assert (code, result["msg"]) == (1, f"notifications[0].{name} is not valid Unicode: write it in UTF-8.")

    def test_huge_age_prunes_nothing(self, act):
        result, dummy, dummy = act("vcc_journal", notifications=None, older_than=10**400)
        assert result["changed"] is False

    def test_external_id_may_be_number(self, act):
        assert act("vcc_journal", notifications=[{**RELEASED[0], "objectid": 4711}])[0]["noted"] == 1

    def test_no_notifications_make_no_journal(self, act, tmp_path):
        act("vcc_journal", notifications=[])
        assert list(tmp_path.glob("journal*")) == []

    @pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
    def test_journal_is_made_and_filled_from_a_file(self, request, sim, act, tmp_path, backend):
        journal = request.getfixturevalue("postgresql_url") if backend == "postgresql" else str(tmp_path / "new.db")
        act("vcc_journal", notifications=RELEASED)
        for task, name, missing in (
            ({"state": "present"}, "created", True),
            (
                {"import_from": str(tmp_path / "journal.db")},
                "imported",
                {"interactions": 1, "request_ids": 0, "notifications": 1, "registrations": 0, "outcomes": 0},
            ),
        ):
            given = {"notifications": None, "journal": journal, "diff": True, **task}
            predicted, dummy, dummy = act("vcc_journal", check=True, **given)
            made, dummy, dummy = act("vcc_journal", **given)
            again, dummy, dummy = act("vcc_journal", **given)
            assert predicted == made
            assert (made["changed"], made[name]) == (True, missing)
            assert not again["changed"]
            assert made["diff"]["before"] != made["diff"]["after"]
            assert again["diff"]["before"] == again["diff"]["after"] == made["diff"]["after"].replace(": 1", ": 0")
        assert sim.calls == []
        assert not run_module(tmp_path, **sim.options(journal=journal, external_id="a"))[0]["changed"]

    def test_no_call_is_made(self, sim, act):
        act("vcc_journal")
        act("vcc_journal_info")
        assert sim.calls == []


class TestJournalInfo:
    def test_actions_of_a_task_are_shown(self, sim, act, tmp_path):
        path = tmp_path / "journal.db"
        run_module(tmp_path, **sim.options(journal=str(path), external_ids=["a", "b"]))
        act("vcc_provider")
        before = snapshot(tmp_path)
        result, code, dummy = act("vcc_journal_info", external_ids=["b"])
        assert code == 0
        assert result["journal"] == {
            "backend": "sqlite",
            "location": str(path),
            "path": str(path),
            "host": None,
            "database": None,
            "exists": True,
            "schema_version": 3,
        }
        assert result["counts"] == {"interactions": 2, "released": 2, "dispatched": 0, "pending": 0, "providers": 1}
        assert (result["matched"], result["accepted_last_minute"]) == (1, 1)
        (entry,) = result["entries"]
        assert (entry["external_id"], entry["state"], entry["api_url"], entry["account"], entry["provider"]) == (
            "b",
            "released",
            sim.url,
            CLIENT_ID,
            None,
        )
        assert snapshot(tmp_path) == before

    def test_comma_does_not_divide_id(self, sim, act, tmp_path):
        path = tmp_path / "journal.db"
        run_module(tmp_path, **sim.options(journal=str(path), external_ids=["kom,ma", "kom", "ma"]))
        result, dummy, dummy = act("vcc_journal_info", external_ids=["kom,ma"])
        assert [one["external_id"] for one in result["entries"]] == ["kom,ma"]

    def test_a_missing_journal_is_no_failure(self, tmp_path):
        result, code, dummy = run_module(tmp_path, module="vcc_journal_info", journal="none/journal.db")
        assert code == 0
        described = result["journal"]
        assert described["path"] == str(tmp_path / "none" / "journal.db")
        assert (described["exists"], described["schema_version"]) == (False, None)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"page": 0}, "page must be 1 or more, not 0."),
            ({"page_size": 0}, "page_size must be 1 or more, not 0."),
            ({"page_size": 10_001}, "page_size must be 10000 or less, not 10001."),
            ({"older_than": -1}, "older_than must be 0 or more, not -1."),
            ({"newer_than": -1}, "newer_than must be 0 or more, not -1."),
            ({"state": "gone"}, "value of state must be one of: released, dispatched, pending"),
            ({"journal": ""}, "journal is empty or none, but this module needs a journal"),
            ({"external_ids": "kom,ma"}, "external_ids must be a list, not a string: an id may contain commas"),
            ({"external_ids": 5}, "external_ids must be a list."),
            ({"provider": "crm\u200b"}, "provider ends with white space or an invisible character (U+200B)"),
            ({"external_ids": ["a", 1.5]}, "external_ids[1] is neither text nor a whole number"),
            ({"external_ids": ["a", {"b": "c"}]}, "external_ids[1] is neither text nor a whole number"),
            ({"external_ids": ["a", "b "]}, "external_ids[1] ends with white space or an invisible character"),
        ],
    )
    def test_wrong_options_are_refused(self, refused, given, said):
        assert refused("vcc_journal_info", **given).startswith(said)

    @pytest.mark.parametrize(
        "given",
        [{"page": 10**18}, {"older_than": 10**400}, {"newer_than": 10**400}],
        ids=["page", "older_than", "newer_than"],
    )
    def test_number_beyond_sqlite_is_refused(self, refused, given):
        assert "must be 1000000000000 or less" in refused("vcc_journal_info", **given)

    def test_invalid_unicode_is_refused(self, act):
        result, code, dummy = act("vcc_journal_info", external_ids=["a\ud800"])
        assert (code, result["msg"]) == (1, "external_ids[0] is not valid Unicode: write it in UTF-8.")

    def test_message_names_a_file_that_is_no_journal(self, refused, tmp_path):
        (tmp_path / "journal.db").write_bytes(b"x" * 5000)
        assert refused("vcc_journal_info").startswith(f"The journal {tmp_path}/journal.db cannot be used (")

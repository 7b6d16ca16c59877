# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of all scopes: its counts, its entries and their pages."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import RECENT, JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._text import isoformat_utc
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import snapshot
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import API, both_backends, contents


@pytest.fixture
def entries(maintenance):
    """Searches for entries. Returns the external ids of a page, and the number of all matches."""

    def find(**given):
        found, matched, dummy = maintenance().entries(**given)
        return [one["external_id"] for one in found], matched

    return find


# The description of a journal in a missing file, without its path.
FILE = {"backend": "sqlite", "host": None, "database": None, "exists": False, "schema_version": None}


@both_backends
class TestContents:
    def test_journal_that_is_missing_is_empty_and_stays_missing(self, maintenance, journal, tmp_path):
        before = contents(journal, tmp_path)
        for dry_run in (True, False):
            opened = maintenance(dry_run)
            assert (opened.description()["exists"], opened.description()["schema_version"]) == (False, None)
            assert set(opened.counts().values()) == {0}
            assert opened.entries() == ([], 0, 0)
        assert contents(journal, tmp_path) == before

    def test_search_leaves_no_trace(self, keep, maintenance, journal, tmp_path):
        keep("a", "b")
        before = contents(journal, tmp_path)
        opened = maintenance()
        opened.counts()
        opened.entries(external_ids=["a"])
        opened.close()
        assert contents(journal, tmp_path) == before

    def test_counts_are_of_the_whole_journal(self, keep, enrol, maintenance):
        keep("a", "b", "c")
        keep("d", "e", action="dispatch")
        keep("f", pending=True)
        keep("g", pending=True, action="dispatch")
        keep("a", provider="tickets", account="second")
        enrol("tickets")
        enrol("orders")
        enrol("failed", accepted=False)
        opened = maintenance()
        assert opened.counts() == {"interactions": 8, "released": 4, "dispatched": 2, "pending": 2, "providers": 2}
        description = opened.description()
        assert (description["exists"], description["schema_version"]) == (True, 3)

    def test_acceptances_of_the_last_minute_are_counted(self, keep, maintenance, clock):
        keep("old")
        clock.now += RECENT
        keep("a", "b", action="dispatch")
        keep("c", pending=True)
        keep("a", provider="tickets")
        assert maintenance().entries(page_size=1)[1:] == (5, 3)
        assert maintenance().entries(provider="tickets")[1:] == (1, 1)
        assert maintenance().entries(external_ids=["old", "a"])[1:] == (3, 2)
        clock.now += RECENT
        assert maintenance().entries()[1:] == (5, 0)

    def test_entry_has_all_properties(self, keep, maintenance, clock):
        keep("a", pending=True, provider="tickets", account="second")
        clock.now += 60
        keep("b", action="dispatch")
        found, matched, dummy = maintenance().entries()
        assert matched == 2
        assert found == [
            {
                "external_id": "b",
                "provider": None,
                "api_url": API,
                "account": "main",
                "state": "dispatched",
                "action": "dispatch",
                "request_id": "key-dispatch-b-None-main",
                "asked": "2027-01-15T08:01:00Z",
                "accepted": "2027-01-15T08:01:00Z",
            },
            {
                "external_id": "a",
                "provider": "tickets",
                "api_url": API,
                "account": "second",
                "state": "pending",
                "action": "release",
                "request_id": "key-release-a-tickets-second",
                "asked": "2027-01-15T08:00:00Z",
                "accepted": None,
            },
        ]


class TestDescription:
    def test_missing_file_is_empty_and_stays_missing(self, maintenance, entries, path, tmp_path):
        before = snapshot(tmp_path)
        for dry_run in (True, False):
            journal = maintenance(dry_run)
            assert journal.description() == {**FILE, "location": str(path), "path": str(path)}
            assert set(journal.counts().values()) == {0}
            assert journal.entries() == ([], 0, 0)
        assert snapshot(tmp_path) == before

    def test_file_that_is_no_journal_is_refused(self, maintenance, path):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"no database" * 1000)
        with pytest.raises(JournalError, match=f"The journal {path} cannot be used"):
            maintenance()

    def test_relative_path_becomes_absolute(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with contextlib.closing(JournalMaintenance("journal.db", True)) as journal:
            assert journal.description()["path"] == str(tmp_path / "journal.db")

    def test_an_empty_file_has_no_schema(self, maintenance, path):
        path.parent.mkdir(parents=True)
        path.touch()
        description = maintenance().description()
        assert (description["exists"], description["schema_version"]) == (True, None)

    def test_times_are_utc_whatever_the_zone(self, monkeypatch):
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        assert isoformat_utc(0) == "1970-01-01T00:00:00Z"
        assert isoformat_utc(1_800_000_000.9) == "2027-01-15T08:00:00Z"


@both_backends
class TestFilters:
    @pytest.fixture(autouse=True)
    def _some(self, keep, clock):
        keep("a", "b")
        clock.now += 10
        keep("c", action="dispatch", provider="tickets")
        clock.now += 10
        keep("d", pending=True, provider="tickets")
        clock.now += 10
        keep("e", pending=True, action="dispatch")
        clock.now += 10

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({}, "edcab"),
            ({"state": "released"}, "ab"),
            ({"state": "dispatched"}, "c"),
            ({"state": "pending"}, "ed"),
            ({"provider": "tickets"}, "dc"),
            ({"provider": ""}, "eab"),
            ({"provider": "ticket"}, ""),
            ({"external_ids": ["a", "d", "z", "a"]}, "da"),
            ({"external_ids": []}, ""),
            ({"external_ids": ["A"]}, ""),
            ({"older_than": 0}, "edcab"),
            ({"older_than": 40}, "ab"),
            ({"older_than": 41}, ""),
            ({"older_than": 30}, "cab"),
            ({"newer_than": 40}, "edc"),
            ({"newer_than": 41}, "edcab"),
            ({"newer_than": 10}, ""),
            ({"newer_than": 11}, "e"),
            ({"older_than": 20, "newer_than": 40}, "dc"),
            ({"older_than": 20, "newer_than": 20}, ""),
            ({"state": "pending", "provider": "tickets", "older_than": 20, "external_ids": ["c", "d", "e"]}, "d"),
        ],
        ids=str,
    )
    def test_entries_match_all_filters(self, entries, given, expected):
        assert entries(**given) == (sorted(expected, key="edcab".index), len(expected))

    def test_filter_does_not_affect_next_search(self, maintenance):
        journal = maintenance()
        assert journal.entries(external_ids=["a"])[1] == 1
        assert journal.entries()[1] == 5

    def test_age_of_accepted_entry_counts_from_acceptance(self, journal, clock, entries):
        with contextlib.closing(Journal(journal, API, "main", None, 0, clock=clock)) as opened:
            opened.add_all([Entry("f", "f")])
            claimed = opened.claim(0)
            clock.now += 50
            opened.accept(claimed)
        assert "f" in entries(newer_than=1)[0]
        assert "f" not in entries(older_than=1)[0]


@both_backends
class TestPages:
    def test_latest_entries_come_first(self, keep, entries, clock):
        for external_id in "bca":
            keep(external_id)
            clock.now += 1
        assert entries()[0] == ["a", "c", "b"]

    def test_entries_of_same_time_have_fixed_order(self, keep, maintenance):
        keep("b", "a")
        keep("a", provider="tickets")
        keep("a", account="later")
        keep("a", api_url="https://other.example")
        found, *dummy = maintenance().entries()
        assert [(one["external_id"], one["api_url"], one["account"], one["provider"]) for one in found] == [
            ("a", API, "later", None),
            ("a", API, "main", None),
            ("a", API, "main", "tickets"),
            ("a", "https://other.example", "main", None),
            ("b", API, "main", None),
        ]

    @pytest.mark.parametrize(
        ("page", "expected"), [(1, ["0", "1", "2"]), (2, ["3", "4", "5"]), (3, ["6"]), (4, []), (10**12, [])]
    )
    def test_page_has_its_entries_and_count_of_all(self, keep, entries, page, expected):
        keep(*"0123456")
        assert entries(page=page, page_size=3) == (expected, 7)

    def test_pages_divide_only_matching_entries(self, keep, entries):
        keep(*"0123456")
        assert entries(page=2, page_size=2, external_ids=["1", "3", "5"]) == (["5"], 3)

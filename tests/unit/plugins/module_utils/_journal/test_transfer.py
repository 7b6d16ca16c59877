# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal in a SQLite file is brought into another journal, in PostgreSQL or in a file."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.audit import new_run
from ansible_collections.vonage.vcc.plugins.module_utils._journal.backends import open_store
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._journal.registrations import Registration
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import Attempt, Scope
from ansible_collections.vonage.vcc.plugins.module_utils._journal.transfer import transfer
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import snapshot
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    API,
    LONG,
    NOW,
    SCOPE,
    refusal,
)

NOTHING = {"interactions": 0, "request_ids": 0, "notifications": 0, "registrations": 0, "outcomes": 0}


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request, tmp_path):
    """Another journal, which does not exist yet."""
    return request.getfixturevalue("postgresql_url") if request.param == "postgresql" else str(tmp_path / "new.db")


@pytest.fixture
def keep_in(clock):
    """Puts interactions into a journal, accepted unless the test says pending."""

    def do(journal, *external_ids, action="release", pending=False, provider=None, force=False):
        opened = Journal(str(journal), API, "main", provider, 0, action=action, force=force, clock=clock)
        with contextlib.closing(opened):
            opened.add_all([Entry(each, *(each if isinstance(each, tuple) else (each,))) for each in external_ids])
            claimed = opened.claim(0)
            while claimed:
                if not pending:
                    opened.accept(claimed)
                claimed = opened.claim(claimed[-1].seq)

    return do


def entries(journal):
    """The rows of a journal without their ids, by provider and external id."""
    with contextlib.closing(JournalMaintenance(str(journal), dry_run=True)) as opened:
        return {(each["provider"], each["external_id"]): each for each in opened.entries(page_size=10_000)[0]}


def fill(path, keep_in, note, enrol):
    keep_in(path, "a", ("b", "mine"), "é" * 1024)
    keep_in(path, "c", action="dispatch")
    keep_in(path, "d", pending=True, provider="tickets")
    note(("Release", "e", "n-1"))
    enrol("tickets")


class TestTransfer:
    @pytest.mark.parametrize("pending", [False, True], ids=["accepted", "pending"])
    @pytest.mark.parametrize("newer", ["source", "target"])
    def test_request_ids_of_the_older_entry_stay_used(self, path, target, clock, pending, newer):
        def derive(external_id):
            return f"key-{external_id}"

        def keep_in(journal, action, **others):
            with contextlib.closing(
                Journal(str(journal), API, "main", None, 0, action, clock=clock, **others)
            ) as opened:
                opened.add_all([["a"]])
                claimed = opened.claim(0)
                if not (pending and "derive" in others):
                    opened.accept(claimed)

        old, new = (target, path) if newer == "source" else (path, target)
        keep_in(old, "dispatch", derive=derive)
        clock.now += 60
        keep_in(new, "release")
        for dummy in range(2):
            transfer(str(path), target)
        opened = Journal(target, API, "main", None, 0, "dispatch", force=True, derive=derive)
        with contextlib.closing(opened), pytest.raises(InputError, match="has been used for 'a' before"):
            opened.add_all([["a"]])
        with contextlib.closing(Journal(target, API, "main", None, 0, "dispatch", derive=derive)) as opened:
            opened.add_all([["a"]])
            assert opened.plan(0)[0].confirmed is not pending

    def test_everything_arrives_once(self, path, target, keep_in, note, enrol, clock, tmp_path):
        fill(path, keep_in, note, enrol)
        before = snapshot(path.parent)
        expected = {**NOTHING, "interactions": 6, "request_ids": 1, "notifications": 1, "registrations": 1}
        assert transfer(str(path), target, dry_run=True) == expected
        assert entries(target) == {}
        clock.now += 60
        assert transfer(str(path), target) == expected
        assert entries(target) == entries(path)
        assert transfer(str(path), target) == NOTHING
        assert transfer(str(path), target, dry_run=True) == NOTHING
        assert snapshot(path.parent) == before
        with contextlib.closing(Registration(target, API, "main", "tickets", clock=clock)) as registration:
            assert registration.compare({"endpoint": "x"}) == {"endpoint": "same"}
        with contextlib.closing(open_store(target, Scope(API, "main", ""), dry_run=True)) as store:
            assert store.recorded(["n-1", "n-2"]) == {"n-1"}
            assert {use.request_id for use in store.uses(["mine", "other"]) if use.processed} == {"mine"}

    def test_history_arrives_once(self, path, target):
        run, other = new_run(NOW, "CHG1, é", "4711"), new_run(NOW + 1, None, None)
        scopes = [SCOPE, SCOPE._replace(provider="tickets")]
        attempts = [
            [
                (
                    Attempt(run, 1, "release", "accepted", NOW, 1, ""),
                    [(n, f"case-{n}", f"key-{n}") for n in range(2500)],
                ),
                (Attempt(run, 2, "release", "failed", NOW + 1, None, "not sent"), [(7, "x", None), (8, None, "key")]),
            ],
            [(Attempt(other, 1, "dispatch", "unknown", NOW + 2, 3, "no answer"), [(1, LONG[0], LONG[1])])],
        ]
        for scope, each in zip(scopes, attempts):
            with contextlib.closing(open_store(str(path), scope)) as store:
                store.record_attempts(each)
        with contextlib.closing(open_store(target, scopes[0])) as store:
            assert store.record_attempts([(attempts[0][0][0], [(3, "case-3", "key-3")])]) == 1

        def history(journal):
            with contextlib.closing(JournalMaintenance(str(journal), dry_run=True)) as opened:
                return opened.entries(history=True, page_size=10_000)[0], opened.run(run.run_id)

        expected = {**NOTHING, "outcomes": 2502}
        assert transfer(str(path), target, dry_run=True) == expected
        assert len(history(target)[0]) == 1
        assert transfer(str(path), target) == expected
        assert history(target) == history(path)
        assert transfer(str(path), target) == transfer(str(path), target, dry_run=True) == NOTHING

    def test_newer_entry_stays(self, path, target, keep_in, clock):
        keep_in(path, "a", "b")
        clock.now += 10
        keep_in(target, "a", action="dispatch")
        clock.now -= 20
        keep_in(target, "b", "c", action="dispatch")
        found = entries(target)
        assert transfer(str(path), target) == {**NOTHING, "interactions": 1}
        assert entries(target) == {**found, (None, "b"): entries(path)[None, "b"]}
        assert transfer(str(path), target) == NOTHING

    def test_task_continues_with_pending_entries_of_file(self, path, target, keep_in, clock):
        keep_in(path, *(f"case-{number}" for number in range(2500)), pending=True)
        pending = entries(path)
        assert transfer(str(path), target)["interactions"] == 2500
        with contextlib.closing(Journal(target, API, "main", None, 0, clock=clock)) as journal:
            journal.add_all([[name for dummy, name in pending]])
            claimed = journal.claim(0)
        assert {each.external_id: each.request_id for each in claimed}.items() <= {
            name: entry["request_id"] for (dummy, name), entry in pending.items()
        }.items()

    def test_files_of_several_hosts_are_merged(self, path, target, keep_in, tmp_path):
        """Rows of early versions of the collection have ids that begin at 1 in each file."""
        other = tmp_path / "other.db"
        keep_in(path, "a", "b")
        keep_in(other, "b", "c")
        for file in (path, other):
            with contextlib.closing(sqlite3.connect(file)) as db:
                db.execute(
                    "UPDATE interaction SET id = (SELECT count(*) FROM interaction AS i WHERE i.id <= interaction.id)"
                )
                db.commit()
        assert transfer(str(path), target)["interactions"] == 2
        assert transfer(str(other), target)["interactions"] == 1
        assert {name for dummy, name in entries(target)} == {"a", "b", "c"}

    def test_newer_registration_stays(self, path, target, clock):
        def register(journal, value):
            with contextlib.closing(Registration(str(journal), API, "main", "tickets", clock=clock)) as registration:
                registration.begin()
                registration.accept({"endpoint": value})

        register(path, "old")
        clock.now += 10_000
        register(target, "new")
        assert transfer(str(path), target) == NOTHING
        clock.now += 10_000
        register(path, "newest")
        assert transfer(str(path), target) == {**NOTHING, "registrations": 1}
        with contextlib.closing(Registration(target, API, "main", "tickets", clock=clock)) as registration:
            assert registration.compare({"endpoint": "newest"}) == {"endpoint": "same"}

    @pytest.mark.parametrize("kind", ["text", "database", "folder", "link"])
    def test_file_that_is_no_journal_is_refused(self, path, tmp_path, kind):
        path.parent.mkdir(parents=True)
        if kind == "text":
            path.write_bytes(b"no database" * 1000)
        elif kind == "database":
            with contextlib.closing(sqlite3.connect(str(path))) as db:
                db.execute("CREATE TABLE other (name)")
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to(tmp_path / "journal.db")
        said = refusal(transfer, str(path), str(tmp_path / "new.db"))
        assert said.startswith(f"import_from: The journal {path} ")
        assert ("the option import_from" in said, "the option journal" in said) == (True, False)
        assert not (tmp_path / "new.db").exists()

    def test_file_that_is_missing_is_refused(self, path, tmp_path):
        said = refusal(transfer, str(path), str(tmp_path / "new.db"), kind=InputError)
        assert said == f"import_from {path} cannot be imported (there is no such file): check the path."
        assert not (tmp_path / "new.db").exists()

    def test_url_as_source_is_refused(self, tmp_path):
        with pytest.raises(
            InputError, match="import_from must be the path of a SQLite file: only journal may be a URL"
        ):
            transfer("postgresql://vcc:geheim@db.example/vcc", str(tmp_path / "new.db"))

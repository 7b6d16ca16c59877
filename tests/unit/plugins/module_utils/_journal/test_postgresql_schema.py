# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of a journal in PostgreSQL: the roles that can make it, the rights that a role needs, and the databases that are refused."""

from __future__ import annotations

import contextlib
import functools
import json

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import Notification, NotificationLog
from ansible_collections.vonage.vcc.plugins.module_utils._journal.registrations import Registration
from ansible_collections.vonage.vcc.plugins.module_utils._journal.setup import set_up
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import at_once
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    API,
    NOTHING_OLD,
    as_entries,
    database_contents,
    database_of,
    refusal,
    with_user,
)

READING = "GRANT USAGE ON SCHEMA vcc_journal TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA vcc_journal TO {role}"
WRITING = "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA vcc_journal TO {role}"

# The rights in the message for a role that may not read.
TO_READ = "SELECT on its tables, as the SQL for check mode in guide_postgresql does"
TO_WRITE = "SELECT, INSERT, UPDATE and DELETE on its tables, as the option grant_to of vonage.vcc.vcc_journal does"

STANDBY = (
    "(its server is a read-only standby, or the session is read-only): name the primary in the URL,"
    " or all hosts with target_session_attrs=read-write."
)

OPENING = """
import json
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
together()
journal = Journal(sys.argv[1], "https://api.example", "main", None, 0)
print(json.dumps(journal.description()["created"]))
"""


@pytest.fixture
def url(postgresql_url):
    return postgresql_url


@pytest.fixture
def execute(postgresql_server, url):
    """Executes statements as superuser in the database of the test."""

    def do(statements, **names):
        found = None
        for statement in statements.split(";"):
            found = postgresql_server.execute(statement.format(**names), database=database_of(url))
        return found

    return do


@pytest.fixture
def role(postgresql_server, execute):
    """A role that may log in, and no more."""
    name = postgresql_server.create_role("runner")
    yield name
    execute("DROP OWNED BY {role}; DROP ROLE {role}", role=name)


def open_at(url, **others):
    return contextlib.closing(Journal(url, API, "main", None, 0, **others))


def check_reading(url):
    """Check that check mode and searches find the rows "a", which is confirmed, and "b", which is pending."""
    with open_at(url, dry_run=True) as journal:
        journal.add_all(as_entries("a", "b", "c"))
        assert [(each.confirmed, each.pending) for each in journal.plan(0)] == [
            (True, False),
            (False, True),
            (False, False),
        ]
        assert not journal.description()["created"]
    with contextlib.closing(JournalMaintenance(url, dry_run=True, show_only=True)) as journal:
        assert journal.entries(state="pending")[1] == 1
        assert journal.counts()["interactions"] == 2
        assert journal.description()["schema_version"] == 3
        assert journal.prune(0)["interactions"] == 2
    with contextlib.closing(NotificationLog(url, API, "main", None, dry_run=True)) as notifications:
        assert notifications.record([Notification("Release", "b", "n-1")]) == [("b", "pending", "released")]
    with contextlib.closing(Registration(url, API, "main", None, dry_run=True)) as registration:
        assert registration.compare({"a": "1"}) is None


def check_writing(url, before=0):
    """Check that every kind of row can be written and pruned. ``before`` is the number of rows of interactions before that."""
    with open_at(url) as journal:
        journal.add_all(as_entries("c", ("d", "mine"), "e"))
        claimed = {each.external_id: each for each in journal.claim(0)}
        journal.accept([claimed["d"]])
        journal.release_claim([claimed["e"]])
    with contextlib.closing(NotificationLog(url, API, "main", None)) as notifications:
        assert notifications.record([Notification("AssignToAgent", "d", "n-1")]) == [("d", "released", "not known")]
    with contextlib.closing(Registration(url, API, "main", None)) as registration:
        registration.begin()
        registration.accept({"a": "1"})
        assert registration.compare({"a": "1"}) == {"a": "same"}
        registration.cancel()
    with contextlib.closing(JournalMaintenance(url)) as journal:
        assert journal.prune(0) == {
            **NOTHING_OLD,
            "interactions": before + 1,
            "notifications": 1,
            "request_ids": 1,
        }


def needing(url):
    """Yield all functions that make a missing journal, and their check mode."""
    for dry_run in (False, True):
        yield functools.partial(Journal, url, API, "main", None, 0, dry_run=dry_run)
        yield functools.partial(NotificationLog, url, API, "main", None, dry_run=dry_run)
        yield functools.partial(Registration, url, API, "main", None, dry_run=dry_run)
        yield functools.partial(set_up, url, dry_run=dry_run)


def check_searches_of_nothing(url):
    """Check that searches need no journal, and report that there is none."""
    with contextlib.closing(JournalMaintenance(url, dry_run=True, show_only=True)) as journal:
        assert not journal.description()["exists"]
        assert journal.entries() == ([], 0, 0)


@pytest.fixture
def some(url):
    """A journal in which "a" is confirmed, and "b" is pending."""
    with open_at(url) as journal:
        journal.add_all(as_entries("a", "b"))
        journal.accept(journal.claim(0)[:1])


class TestCreation:
    def test_first_run_makes_schema(self, url):
        for created in (True, False):
            with open_at(url) as journal:
                assert journal.description() == {"backend": "postgresql", "location": url, "created": created}
        check_writing(url)

    def test_check_mode_and_searches_make_nothing(self, url):
        before = database_contents(url)
        for dry_run in (True, False):
            with contextlib.closing(JournalMaintenance(url, dry_run)) as journal:
                assert journal.entries(external_ids=["a"]) == ([], 0, 0)
                assert set(journal.counts().values()) == set(journal.prune(0).values()) == {0}
                description = journal.description()
                assert (description["exists"], description["schema_version"]) == (False, None)
        with open_at(url, dry_run=True) as journal:
            journal.add_all(as_entries("a"))
            assert journal.plan(0)[0].request_id is None
        with contextlib.closing(Registration(url, API, "main", None, dry_run=True)) as registration:
            assert registration.compare({"a": "1"}) is None
        assert database_contents(url) == before

    def test_one_of_many_processes_at_once_makes_schema(self, url):
        created = [json.loads(output) for output in at_once(6, OPENING, url)]
        assert sorted(created) == [False] * 5 + [True]
        check_writing(url)

    def test_schema_without_tables_is_filled(self, url, execute):
        execute("CREATE SCHEMA vcc_journal")
        with open_at(url, dry_run=True) as journal:
            journal.add_all(as_entries("a"))
            assert not journal.plan(0)[0].confirmed
        check_writing(url)

    @pytest.mark.parametrize("table", ["interaction", "notification", "version", "outcome"])
    def test_schema_without_some_of_its_tables_is_damaged(self, url, execute, some, table):
        """If they were made again, the next run would dispatch their interactions a second time."""
        execute(f"DROP TABLE vcc_journal.{table}")
        for act in (
            lambda: Journal(url, API, "main", None, 0),
            lambda: Journal(url, API, "main", None, 0, dry_run=True),
            lambda: JournalMaintenance(url, dry_run=True),
            lambda: set_up(url),
        ):
            assert "(tables of its schema vcc_journal are missing): restore them from a backup" in refusal(act)

    def test_role_without_right_cannot_make_schema(self, url, role):
        """Check mode has the same message."""
        for act in needing(with_user(url, role)):
            assert refusal(act) == (
                f"The journal {with_user(url, role)} cannot be used (its database has no schema vcc_journal with tables, and the role of its URL may not"
                " make one): run vonage.vcc.vcc_journal with state=present as a role that may make it, or let an administrator run the SQL of guide_postgresql."
            )
        check_searches_of_nothing(with_user(url, role))

    def test_owner_of_an_empty_schema_makes_the_tables(self, url, role, execute):
        execute("CREATE SCHEMA vcc_journal AUTHORIZATION {role}", role=role)
        check_searches_of_nothing(with_user(url, role))
        assert set_up(with_user(url, role), dry_run=True) == (True, False, [])
        with open_at(with_user(url, role), dry_run=True) as journal:
            assert journal.description()["created"]
        with open_at(with_user(url, role)) as journal:
            assert journal.description()["created"]
        check_writing(with_user(url, role))

    @pytest.mark.parametrize("rights", ["CREATE", "USAGE", ""])
    def test_schema_of_another_role_is_not_completed(self, url, role, execute, rights):
        execute(f'CREATE SCHEMA vcc_journal; GRANT CREATE ON DATABASE "{database_of(url)}" TO {role}')
        if rights:
            execute("GRANT {rights} ON SCHEMA vcc_journal TO {role}", rights=rights, role=role)
        before = database_contents(url)
        for act in needing(with_user(url, role)):
            assert refusal(act) == (
                f"The journal {with_user(url, role)} cannot be used (its schema vcc_journal has no tables, and the role of its URL may not make them): run"
                " vonage.vcc.vcc_journal with state=present as a role that may make them, or let an administrator run the SQL of guide_postgresql."
            )
        check_searches_of_nothing(with_user(url, role))
        assert database_contents(url) == before

    def test_rights_to_make_tables_are_enough(self, url, role, execute):
        execute("CREATE SCHEMA vcc_journal; GRANT CREATE, USAGE ON SCHEMA vcc_journal TO {role}", role=role)
        check_writing(with_user(url, role))


class TestRights:
    def test_usage_and_changes_of_rows_are_enough(self, url, role, execute, some):
        execute(f"{READING}; {WRITING}", role=role)
        check_reading(with_user(url, role))
        check_writing(with_user(url, role), before=2)

    def test_reading_is_enough_for_check_mode(self, url, role, execute, some):
        execute(READING, role=role)
        before = database_contents(url)
        check_reading(with_user(url, role))
        for opening in (Journal, NotificationLog, Registration):
            others = (0,) if opening is Journal else ()
            assert refusal(opening, with_user(url, role), API, "main", None, *others) == (
                f"The journal {with_user(url, role)} cannot be used (the role of its URL may not write attempt, custom_request, interaction,"
                " notification, outcome, registration, run, scope): grant the role INSERT, UPDATE and DELETE on the tables of the schema vcc_journal,"
                " as the option grant_to of vonage.vcc.vcc_journal does."
            )
        assert database_contents(url) == before

    @pytest.mark.parametrize(
        "revoked", ["USAGE ON SCHEMA vcc_journal", "SELECT ON vcc_journal.version", "SELECT ON vcc_journal.scope"]
    )
    def test_role_that_may_not_read_is_refused(self, url, role, execute, some, revoked):
        execute(f"{READING}; {WRITING}; REVOKE {revoked} FROM {{role}}", role=role)
        for dry_run in (True, False):
            said = refusal(Journal, with_user(url, role), API, "main", None, 0, dry_run=dry_run)
            assert "cannot be used (the role of its URL may not read " in said
            assert said.endswith(
                f": grant the role USAGE on the schema vcc_journal and {TO_READ if dry_run else TO_WRITE}."
            )
        assert refusal(JournalMaintenance, with_user(url, role)).endswith(f" and {TO_WRITE}.")
        assert refusal(JournalMaintenance, with_user(url, role), dry_run=True).endswith(f" and {TO_READ}.")

    def test_right_that_is_revoked_fails_acceptance(self, url, role, execute, some):
        execute(f"{READING}; {WRITING}", role=role)
        with open_at(with_user(url, role)) as journal:
            journal.add_all(as_entries("c"))
            claimed = journal.claim(0)
            execute("REVOKE UPDATE ON vcc_journal.interaction FROM {role}", role=role)
            assert refusal(journal.accept, claimed) == (
                f"The journal {with_user(url, role)} cannot be used (permission denied for table interaction): grant the role of the URL the rights"
                " on the schema vcc_journal, as guide_postgresql says."
            )
            execute(WRITING, role=role)
            journal.accept(claimed)
            assert journal.plan(0)[0].confirmed

    @pytest.mark.parametrize("act", ["claim", "accept", "release_claim", "plan"])
    def test_schema_that_is_dropped_fails_next_call(self, url, execute, act):
        with open_at(url) as journal:
            journal.add_all(as_entries("a"))
            claimed = journal.claim(0)
            execute("DROP SCHEMA vcc_journal CASCADE")
            said = refusal(getattr(journal, act), 0 if act in ("claim", "plan") else claimed)
        assert said == (
            f'The journal {url} cannot be used (relation "vcc_journal.interaction" does not exist): restore its schema from a backup;'
            " the next run may release or dispatch interactions a second time if the restored journal does not have them."
        )


class TestRefusals:
    @pytest.mark.parametrize("version", [0, 4])
    def test_other_version_is_refused(self, url, execute, some, version):
        execute("UPDATE vcc_journal.version SET version = {version}", version=version)
        expected = (
            f"The journal {url} cannot be used (it was made by another version of this collection: schema {version}; this version uses schema 3): run the"
            " task with the other version."
        )
        for dry_run in (True, False):
            assert refusal(Journal, url, API, "main", None, 0, dry_run=dry_run) == expected
            assert refusal(JournalMaintenance, url, dry_run) == expected

    @pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
    def test_database_with_other_encoding_is_refused(self, postgresql_server, encoding):
        name = postgresql_server.create_database("template0", encoding)
        url = postgresql_server.url(name)
        try:
            for dry_run in (True, False):
                assert refusal(Journal, url, API, "main", None, 0, dry_run=dry_run) == (
                    f"The journal {url} cannot be used (its database has the encoding {encoding}): use a database with the encoding UTF8, which can store"
                    " all ids."
                )
        finally:
            postgresql_server.drop_database(name)

    def test_read_only_session_reads_and_does_not_write(self, url, some):
        reading = url + "&options=-c%20default_transaction_read_only%3Don"
        check_reading(reading)
        assert refusal(Journal, reading, API, "main", None, 0).endswith(STANDBY)

    def test_tables_without_version_are_refused(self, url, execute, some):
        execute("DELETE FROM vcc_journal.version")
        for act in (
            lambda: Journal(url, API, "main", None, 0),
            lambda: Journal(url, API, "main", None, 0, dry_run=True),
            lambda: JournalMaintenance(url, dry_run=True),
            lambda: set_up(url),
        ):
            assert (
                "(the table version of its schema vcc_journal is empty): if the tables are new, run the last INSERT"
                in refusal(act)
            )


class TestMigration:
    @pytest.fixture(params=[1, 2])
    def old(self, request, some, execute):
        """The version of a journal that an earlier version of the collection has made."""
        execute("DROP TABLE vcc_journal.run, vcc_journal.attempt, vcc_journal.outcome")
        if request.param == 1:
            execute("ALTER TABLE vcc_journal.custom_request DROP COLUMN unanswered")
        execute("UPDATE vcc_journal.version SET version = {version}", version=request.param)
        return request.param

    def test_set_up_brings_journal_to_this_version(self, url, old):
        expected = (
            f"The journal {url} cannot be used (it was made by another version of this collection: schema {old}; this version uses schema 3): run"
            " vonage.vcc.vcc_journal with state=present as the owner of the schema, which updates it to this version."
        )
        for dry_run in (True, False):
            assert refusal(Journal, url, API, "main", None, 0, dry_run=dry_run) == expected
        before = database_contents(url)
        assert set_up(url, dry_run=True) == (False, True, [])
        with contextlib.closing(JournalMaintenance(url, dry_run=True, show_only=True)) as journal:
            assert journal.description()["schema_version"] == old
            assert journal.counts()["interactions"] == 2
            assert journal.entries(history=True) == ([], 0, 0)
            assert journal.run("0" * 32) is None
            assert journal.prune(0) == {**NOTHING_OLD, "interactions": 2}
            exported = []
            journal.export(exported.extend, history=True)
            assert exported == []
        assert database_contents(url) == before
        assert set_up(url) == (False, True, [])
        assert set_up(url) == (False, False, [])
        check_reading(url)
        check_writing(url, before=2)

    def test_journal_of_earlier_version_can_be_pruned(self, url, old):
        with contextlib.closing(JournalMaintenance(url)) as journal:
            assert journal.prune(0) == {**NOTHING_OLD, "interactions": 2}

    @pytest.mark.usefixtures("old")
    def test_role_gets_its_rights_on_new_tables(self, url, role, execute):
        execute(f"{READING}; GRANT SELECT ON ALL TABLES IN SCHEMA vcc_journal TO PUBLIC", role=role)
        set_up(url)
        check_reading(with_user(url, role))
        assert "may not write" in refusal(Journal, with_user(url, role), API, "main", None, 0)

    @pytest.mark.usefixtures("old")
    def test_role_of_tasks_needs_no_other_grant(self, url, role, execute):
        execute(f"{READING}; {WRITING}", role=role)
        set_up(url)
        check_writing(with_user(url, role), before=2)

    @pytest.mark.usefixtures("old")
    def test_role_that_may_not_read_version_is_refused(self, url, role, execute):
        execute(f"{READING}; REVOKE SELECT ON vcc_journal.version FROM {{role}}", role=role)
        assert "(the role of its URL may not read version)" in refusal(JournalMaintenance, with_user(url, role))

    @pytest.mark.usefixtures("old")
    def test_missing_table_is_not_made_again(self, url, execute):
        execute("DROP TABLE vcc_journal.notification")
        for act in (lambda: JournalMaintenance(url, dry_run=True), lambda: set_up(url)):
            assert "(tables of its schema vcc_journal are missing)" in refusal(act)

    @pytest.mark.usefixtures("old")
    def test_only_owner_brings_journal_to_this_version(self, url, role, execute):
        execute(f"{READING}; {WRITING}", role=role)
        for dry_run in (True, False):
            assert refusal(set_up, with_user(url, role), dry_run=dry_run) == (
                f"The journal {with_user(url, role)} cannot be updated to this version (the role of its URL does not own its tables): run the task as"
                " the role that owns them."
            )


class TestStandby:
    def test_standby_is_read_and_not_written(self, postgresql_server, url, some):
        with postgresql_server.standby() as standby:
            postgresql_server.wait_for(standby)
            there = standby.url(database_of(url))
            check_reading(there)
            assert refusal(Journal, there, API, "main", None, 0).endswith(STANDBY)
            assert refusal(NotificationLog, there, API, "main", None).endswith(STANDBY)
            assert refusal(JournalMaintenance, there).endswith(STANDBY)

    def test_missing_journal_on_standby_is_empty(self, postgresql_server, url):
        with postgresql_server.standby() as standby:
            there = standby.url(database_of(url))
            with open_at(there, dry_run=True) as journal:
                journal.add_all(as_entries("a"))
                assert not journal.plan(0)[0].confirmed
            assert refusal(Journal, there, API, "main", None, 0).endswith(STANDBY)

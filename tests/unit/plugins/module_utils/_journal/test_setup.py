# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal is made before its first task, and roles get the rights to use it."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError, JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._journal.setup import set_up
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import snapshot
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    API,
    as_entries,
    database_contents,
    database_of,
)


@pytest.fixture
def make_role(postgresql_server, postgresql_url):
    """Makes a role that may log in, and no more."""
    made = []

    def make(name):
        made.append(postgresql_server.create_role(name))
        return name

    yield make
    for name in made:
        postgresql_server.execute(f"DROP OWNED BY {name}", database=database_of(postgresql_url))
        postgresql_server.execute(f"DROP ROLE {name}")


@pytest.fixture
def role(make_role):
    return make_role("runner")


def as_role(url, role):
    """Return the URL of the same database for another role."""
    return url.replace("postgres@", f"{role}@", 1)


class TestFile:
    def test_file_is_made_once(self, path, tmp_path):
        before = snapshot(tmp_path)
        assert set_up(str(path), dry_run=True) == (True, False, [])
        assert snapshot(tmp_path) == before
        assert set_up(str(path)) == (True, False, [])
        assert set_up(str(path)) == set_up(str(path), dry_run=True) == (False, False, [])
        with contextlib.closing(JournalMaintenance(str(path), dry_run=True)) as journal:
            assert journal.description()["schema_version"] == 3

    def test_roles_for_file_are_refused(self, path):
        with pytest.raises(
            InputError, match="grant_to names roles of a database, but journal is a file: leave grant_to out"
        ):
            set_up(str(path), ["vcc"])
        assert not path.parent.exists()


class TestDatabase:
    def test_schema_is_made_once(self, postgresql_url):
        for expected, dry_run in ((True, True), (True, False), (False, True), (False, False)):
            assert set_up(postgresql_url, dry_run=dry_run) == (expected, False, [])
        with contextlib.closing(JournalMaintenance(postgresql_url, dry_run=True)) as journal:
            assert journal.description()["exists"]

    def test_role_gets_the_rights_that_a_task_needs(self, postgresql_url, role):
        url = as_role(postgresql_url, role)
        with pytest.raises(
            JournalError, match="has no schema vcc_journal with tables, and the role of its URL may not make one"
        ):
            Journal(url, API, "main", None, 0).close()
        assert set_up(postgresql_url, [role], dry_run=True) == (True, False, [role])
        assert set_up(postgresql_url) == (True, False, [])
        with pytest.raises(JournalError, match="the role of its URL may not read "):
            Journal(url, API, "main", None, 0).close()
        assert set_up(postgresql_url, [role], dry_run=True) == (False, False, [role])
        assert set_up(postgresql_url, [role]) == (False, False, [role])
        assert set_up(postgresql_url, [role]) == (False, False, [])
        with contextlib.closing(Journal(url, API, "main", None, 0)) as journal:
            journal.add_all(as_entries("a"))
            journal.accept(journal.claim(0))
            assert journal.plan(0)[0].confirmed
        with contextlib.closing(JournalMaintenance(url)) as journal:
            assert journal.prune(0)["interactions"] == 1

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_role_that_may_not_grant_is_refused(self, postgresql_url, make_role, role, dry_run):
        """PostgreSQL itself only warns."""
        set_up(postgresql_url, [role])
        make_role("other")
        said = r"cannot be used by other \(the role of its URL may not grant the rights\): run the task as the owner of the schema"
        with pytest.raises(JournalError, match=said):
            set_up(as_role(postgresql_url, role), ["other"], dry_run)

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_role_that_is_missing_is_refused(self, postgresql_url, dry_run):
        for is_made in (False, True):
            before = database_contents(postgresql_url)
            with pytest.raises(
                JournalError, match=r'role "nobody-here" does not exist.*: check the names of the roles in grant_to'
            ):
                set_up(postgresql_url, ["nobody-here"], dry_run)
            assert database_contents(postgresql_url) == before
            if not is_made:
                set_up(postgresql_url)

    def test_role_without_right_cannot_make_schema(self, postgresql_url, role):
        with pytest.raises(
            JournalError, match=r"may not make one.*: run vonage.vcc.vcc_journal with state=present as a role that may"
        ):
            set_up(as_role(postgresql_url, role))

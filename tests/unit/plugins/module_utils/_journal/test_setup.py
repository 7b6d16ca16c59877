# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal is made before a task needs it, and roles may use it."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError, JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._journal.setup import set_up
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import snapshot
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import API, as_entries


@pytest.fixture
def role(postgresql_server):
    """A role that may log in, and no more."""
    name = "runner"
    postgresql_server.execute("DROP ROLE IF EXISTS runner")
    postgresql_server.create_role(name)
    return name


def as_role(url, role):
    """The URL of the same database for another role."""
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

    def test_file_has_no_roles(self, path):
        with pytest.raises(InputError, match="grant_to names roles of a database, and journal is a file: leave it out"):
            set_up(str(path), ["vcc"])
        assert not path.parent.exists()


class TestDatabase:
    def test_schema_is_made_once(self, postgresql_url):
        for expected, dry_run in ((True, True), (True, False), (False, True), (False, False)):
            assert set_up(postgresql_url, dry_run=dry_run) == (expected, False, [])
        with contextlib.closing(JournalMaintenance(postgresql_url, dry_run=True)) as journal:
            assert journal.description()["exists"]

    def test_role_gets_the_rights_that_a_task_needs(self, postgresql_server, postgresql_url, role):
        database = postgresql_url.split("?")[0].rsplit("/", 1)[1]
        postgresql_server.execute(f'REVOKE CREATE ON DATABASE "{database}" FROM PUBLIC')
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
        postgresql_server.execute(f"DROP OWNED BY {role}", database=database)

    def test_role_that_may_not_grant_says_so(self, postgresql_server, postgresql_url, role):
        """PostgreSQL only warns of it."""
        set_up(postgresql_url, [role])
        postgresql_server.execute("DROP ROLE IF EXISTS other")
        postgresql_server.create_role("other")
        said = r"cannot be used by other \(the role of its URL may not grant the rights\): run the task as the owner of the schema"
        with pytest.raises(JournalError, match=said):
            set_up(as_role(postgresql_url, role), ["other"])
        database = postgresql_url.split("?")[0].rsplit("/", 1)[1]
        postgresql_server.execute(f"DROP OWNED BY {role}", database=database)

    def test_role_that_is_missing_is_refused(self, postgresql_url):
        with pytest.raises(JournalError, match=r'role "nobody-here" does not exist.*: check the names of the roles'):
            set_up(postgresql_url, ["nobody-here"])

    def test_other_role_cannot_make_it(self, postgresql_url, role):
        with pytest.raises(
            JournalError, match=r"may not make one.*: run vonage.vcc.vcc_journal with state=present as a role that may"
        ):
            set_up(as_role(postgresql_url, role))

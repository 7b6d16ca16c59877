# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings and objects of a database that other programs want must not spoil a journal in it."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal import postgresql
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    API,
    as_entries,
    database_of,
    refusal,
)

SETTINGS = {
    "extra_float_digits": "-15",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "synchronous_commit": "off",
    "search_path": "nowhere",
    "DateStyle": "German",
    "enable_indexscan": "off",
    "enable_nestloop": "off",
    "client_encoding": "LATIN1",
}


@pytest.fixture
def execute(postgresql_server, postgresql_url):
    """Executes statements as superuser in the database of the test."""
    return lambda statement: postgresql_server.execute(statement, database=database_of(postgresql_url))


def run_twice(url, *external_ids, clock):
    """Release interactions, release them again with force, and dispatch them. Return whether the journal then confirms each."""
    with contextlib.closing(Journal(url, API, "main", None, 86400, clock=clock)) as journal:
        journal.add_all(as_entries(*external_ids))
        claimed = journal.claim(0)
        journal.accept(claimed)
    for force, action in ((True, "release"), (False, "dispatch")):
        with contextlib.closing(Journal(url, API, "main", None, 86400, action, force, clock=clock)) as journal:
            journal.add_all(as_entries(*external_ids))
            journal.accept(journal.claim(0))
    with contextlib.closing(Journal(url, API, "main", None, 86400, "dispatch", clock=clock)) as journal:
        journal.add_all(as_entries(*external_ids))
        return [each.confirmed for each in journal.plan(0)]


@pytest.mark.parametrize("name", SETTINGS)
def test_setting_of_the_database_does_no_harm(postgresql_url, execute, clock, name):
    execute(f"ALTER DATABASE \"{database_of(postgresql_url)}\" SET {name} = '{SETTINGS[name]}'")
    clock.now += 0.123456789
    assert run_twice(postgresql_url, "a", "é\\'", clock=clock) == [True, True]


def test_database_that_takes_no_change_is_refused(postgresql_url, execute, monkeypatch, clock):
    monkeypatch.setattr(postgresql, "ATTEMPTS", 5)
    assert run_twice(postgresql_url, "a", clock=clock) == [True]
    execute("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    execute(
        "CREATE TRIGGER nothing BEFORE INSERT OR UPDATE ON vcc_journal.interaction FOR EACH ROW EXECUTE FUNCTION nothing()"
    )
    for external_id in ("a", "b"):
        assert refusal(run_twice, postgresql_url, external_id, clock=clock).endswith(
            "cannot be used (changes had no effect in 5 attempts): look for triggers and policies on the tables of the schema vcc_journal,"
            " and for a session that holds locks on them."
        )


def test_functions_of_other_roles_are_not_used(postgresql_url, execute, clock):
    """They would run with the rights of the role of the task."""
    execute("CREATE TABLE used (name text)")
    for name, arguments, result in (
        ("unnest", "text[]", "SETOF text"),
        ("string_to_array", "text, text, text", "text[]"),
        ("has_database_privilege", "name, text", "boolean"),
        ("int8and", "bigint, integer", "bigint"),
    ):
        execute(
            f"CREATE FUNCTION public.{name}({arguments}) RETURNS {result} LANGUAGE plpgsql AS"
            f" $$ BEGIN INSERT INTO public.used VALUES ('{name}'); RETURN{'' if 'SETOF' in result else ' NULL'}; END $$"
        )
    execute("CREATE OPERATOR public.& (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = public.int8and)")
    assert run_twice(postgresql_url, "a", "b", clock=clock) == [True, True]
    assert execute("SELECT * FROM used") == []

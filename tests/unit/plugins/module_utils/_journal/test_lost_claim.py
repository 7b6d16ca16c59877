# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A claim in PostgreSQL whose answer is lost: if another process takes it over before it is repeated, both processes use one request id."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal import postgresql_connection
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import API, TTL, as_entries


@pytest.fixture
def open_at(postgresql_server, proxy, clock):
    """Opens the journal of an empty database for a task with the interaction "a", on the server or through the proxy, which can lose answers."""
    name = postgresql_server.create_database()
    with contextlib.ExitStack() as stack:

        def make(server, entry="a", **others):
            journal = Journal(server.url(name), API, "main", None, TTL, clock=clock, **others)
            stack.callback(journal.close)
            journal.add_all(as_entries(entry))
            return journal

        yield make
    postgresql_server.drop_database(name)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("accepts", [False, True])
@pytest.mark.parametrize("has_row", [False, True])
def test_both_processes_use_one_request_id(open_at, postgresql_server, proxy, monkeypatch, force, accepts, has_row):
    if has_row:
        before = open_at(postgresql_server)
        before.accept(before.claim(0))
    first = open_at(proxy, force=force or has_row)
    first.plan(0)
    found = []

    def claim_too(_seconds):
        """Let another process take over the claim, in place of the pause before it is repeated."""
        if not found:
            second = open_at(postgresql_server)
            found.extend(second.claim(0))
            if accepts:
                second.accept(found)

    with monkeypatch.context() as patch:
        patch.setattr(postgresql_connection.time, "sleep", claim_too)
        proxy.cut(when="after")
        claimed = first.claim(0)
    assert proxy.faults == 1
    assert found[0].pending
    assert [each.request_id for each in claimed] == [each.request_id for each in found]
    if claimed[0].confirmed:
        assert accepts
        return
    # VCC ignores the second request, so either process may record it.
    first.accept(claimed)
    third = open_at(postgresql_server)
    (known,) = third.plan(0)
    assert (known.confirmed, known.request_id) == (True, found[0].request_id)


def test_custom_request_id_of_released_claim_can_be_used_again(open_at, postgresql_server, proxy):
    """The journal forgets the request id even if the answer of the database is lost, because VCC has not processed it."""
    first = open_at(proxy, entry=("a", "own"))
    claimed = first.claim(0)
    proxy.cut(when="after")
    first.release_claim(claimed)
    assert proxy.faults == 1
    (again,) = open_at(postgresql_server, entry=("a", "own")).claim(0)
    assert (again.request_id, again.pending, again.confirmed) == ("own", False, False)

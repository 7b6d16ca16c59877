# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A crash of the server right after an exchange loses nothing of it."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._journal.backends import open_store
from ansible_collections.vonage.vcc.plugins.module_utils._journal.store import Row
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import SCOPE

pytest.importorskip("psycopg")

from ansible_collections.vonage.vcc.tests.postgresql.server import Server

NOW = 1_700_000_000.5


def pending(claim, external_id):
    return Row(claim, external_id, "release", f"request-{claim}", NOW)


@pytest.fixture
def server(postgresql_programs):
    """A server that writes to disk only what a commit waits for."""
    with Server(fsync=False, wal_writer_delay="10s") as server:
        yield server


def opened(server):
    return contextlib.closing(open_store(server.url(), SCOPE))


@pytest.mark.parametrize("others", [[], ["b"], ["b", "c"]])
def test_crash_after_exchange_loses_nothing(server, others):
    """This is so even if other processes have claimed some or all of its interactions."""
    with opened(server) as store:
        store.swap([(None, pending(2, "a"))])
        store.swap([(None, pending(100 + number, name)) for number, name in enumerate(others)])
        exchanged = store.exchange([(2, 2)], NOW + 1, [(None, pending(4, "b")), (None, pending(6, "c"))])
        server.kill()
    assert exchanged.done == ["b" not in others, "c" not in others]
    server.start()
    with opened(server) as store:
        rows = store.rows(["a", "b", "c"])
    assert rows["a"] == pending(2, "a")._replace(accepted_at=NOW + 1)
    assert [rows[name].claim for name in ("b", "c")] == [100 if "b" in others else 4, 101 if "c" in others else 6]

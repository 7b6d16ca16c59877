# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes with one journal."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess

import pytest

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import TIMEOUT, at_once, journal_rows, python
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import as_entries, both_backends

CLAIMING = """
import json
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
together()
journal = Journal(sys.argv[1], "https://api.example", "main", None, 86400)
journal.add_all([Entry("", str(number)) for number in range(1500)])
after, found = 0, {}
while True:
    chunk = journal.claim(after)
    if not chunk:
        break
    found.update((one.external_id, one.request_id) for one in chunk)
    after = chunk[-1].seq
print(json.dumps(found))
"""


@both_backends
class TestClaims:
    def test_eight_processes_at_once_get_same_claims(self, journal):
        claims = [json.loads(output) for output in at_once(8, CLAIMING, journal)]
        assert len(claims[0]) == 1500
        assert all(claim == claims[0] for claim in claims)
        assert {name: row["request_id"] for name, row in journal_rows(journal).items()} == claims[0]

    def test_second_process_finds_claim_of_first(self, open_journal):
        one, two = open_journal(), open_journal()
        for each in (one, two):
            each.add_all(as_entries("a", "b"))
        first = [each.request_id for each in one.claim(0)]
        assert [each.request_id for each in two.claim(0)] == first

    def test_second_process_finds_confirmation_of_first(self, open_journal):
        one, two = open_journal(), open_journal()
        for each in (one, two):
            each.add_all(as_entries("a"))
        assert not two.plan(0)[0].confirmed
        one.accept(one.claim(0))
        assert two.claim(0)[0].confirmed


class TestFile:
    def test_a_writer_waits_for_another(self, claim, open_journal, path):
        claim("a")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with python(WAITING, path) as process:
                assert process.stdout.readline() == "\n"
                with pytest.raises(subprocess.TimeoutExpired):
                    process.communicate(timeout=0.3)
                other.execute("ROLLBACK")
                assert process.communicate(timeout=TIMEOUT)[0].strip() == "a"


WAITING = """
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
print(flush=True)
journal = Journal(sys.argv[1], "https://api.example", "main", None, 86400)
journal.add_all([Entry("", "a")])
print(journal.claim(0)[0].external_id)
"""

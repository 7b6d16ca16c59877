# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers of the tests of interactions: ids, and journals with earlier releases."""

from __future__ import annotations

import time

from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID

# Linked data.
LINKS = [
    {"type": "clid", "value": "4411"},
    {"type": "object", "value": "Fälle/4711", "label": 'A "case"', "owner": "crm", "key": "k-1"},
]


def by_id(result):
    return {entry["external_id"]: entry for entry in result["interactions"]}


def long_ids(count):
    """Return ids of which about ninety fit into one call."""
    return [f"{number:05d}{'x' * 1000}" for number in range(count)]


def released(folder, sim, ids, age, accept=True, provider=None):
    """Write rows to the journal of ``folder``: releases that were accepted, or only sent, ``age`` seconds ago."""
    journal = Journal(
        str(folder / "journal.db"), sim.url, CLIENT_ID, provider, 0, force=True, clock=lambda: time.time() - age
    )
    journal.add_all(Entry("", external_id) for external_id in ids)
    after = 0
    while True:
        chunk = journal.claim(after)
        if not chunk:
            break
        if accept:
            journal.accept(chunk)
        after = chunk[-1].seq
    journal.close()


def source_of(folder, ids):
    """Write ids to a new file beside ``folder``, and return its path."""
    path = folder.parent / "ids.txt"
    path.write_text("\n".join(ids), encoding="utf-8")
    return str(path)

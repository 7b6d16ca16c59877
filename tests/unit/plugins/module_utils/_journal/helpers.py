# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the journal share."""

from __future__ import annotations

import contextlib
import os
import subprocess

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal

TTL = 86400
YEAR = 365 * TTL

ROOT = os.geteuid() == 0
NOBODY = 65534

as_root = pytest.mark.skipif(not ROOT, reason="only root can act as other users")

API = "https://api.example"


def as_entries(*external_ids):
    """Entries of these ids; a pair brings its own request id."""
    pairs = [one if isinstance(one, tuple) else (one, None) for one in external_ids]
    return [Entry(f"entry {number}", *pair) for number, pair in enumerate(pairs, 1)]


def refusal(act, *arguments, kind=JournalError, **others):
    with pytest.raises(kind) as caught:
        act(*arguments, **others)
    return str(caught.value)


def release_at(path, *external_ids):
    with contextlib.closing(Journal(str(path), "https://api.example", "main", None, 86400)) as journal:
        journal.add_all([Entry("", one) for one in external_ids])
        journal.accept(journal.claim(0))


def refusal_at(path, dry_run=False):
    with pytest.raises(JournalError) as caught:
        Journal(str(path), "https://api.example", "main", None, 86400, dry_run=dry_run).close()
    said = str(caught.value)
    assert said.startswith(f"The journal {path} ")
    assert "another file" not in said
    return said


def mount(*arguments):
    if subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")


HOLDING = """
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
journal = Journal(sys.argv[1], "https://api.example", "main", None, 86400, clock=lambda: 1_800_000_000)
journal.add_all([Entry("", "a")])
print(journal.claim(0)[0].request_id, flush=True)
input()
"""

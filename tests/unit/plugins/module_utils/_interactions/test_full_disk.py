# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A full disk under the journal."""

from __future__ import annotations

import json

import pytest

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    TIMEOUT,
    at_once,
    column,
    engine,
    summary,
    validated,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.helpers import (
    long_ids,
    source_of,
)

resource = pytest.importorskip("resource")


class TestFullDisk:
    """A limit on the size of files stands for the full disk."""

    @pytest.mark.parametrize(
        ("limit", "tokens"), [(0, 0), (8_000, 0), (100_000, 1)], ids=["at once", "at its opening", "at a claim"]
    )
    def test_full_disk_before_call(self, sim, task, folder, listed, limit, tokens):
        task(external_id="first")
        ids = [f"{number:04d}{'x' * 300}" for number in range(900)]
        given = sim.options(src=source_of(folder, ids), journal=str(folder / "journal.db"))
        (output,) = at_once(1, "together()\n" + LIMITED, json.dumps(validated(**given)), limit)
        result = json.loads(output)
        assert result["failed"]
        assert f"The journal {folder}/journal.db cannot be used (" in result["msg"]
        assert (len(sim.invoke_calls), len(sim.token_calls)) == (1, 1 + tokens)
        again = task(external_ids=[*ids, "first"])
        assert summary(again) == {"requested": 901, "released": 900, "unchanged": 1}

    @pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit")
    def test_full_disk_after_call(self, sim, task, folder, listed):
        ids = long_ids(300)
        sim.dispatch(*ids)
        hold = sim.fault("hold")
        with engine(**sim.options(src=source_of(folder, ids), journal=str(folder / "journal.db"))) as process:
            assert hold.entered.wait(TIMEOUT)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            hold.release()
            result = json.loads(process.communicate(timeout=TIMEOUT)[0])
        sent = sim.invoke_calls[0]["interactions"]
        assert result["failed"]
        assert f"The journal {folder}/journal.db cannot be used (" in result["msg"]
        assert (
            f"The journal may not know that VCC has accepted {sent} interactions: if you run the task again,"
            in result["msg"]
        )
        assert summary(result) == {"requested": 300, "released": sent, "failed": 300 - sent}
        assert len(sim.invoke_calls) == 1

        again = task(external_ids=ids)
        assert summary(again) == {"requested": 300, "released": 300}
        assert column(again, "request_id")[:sent] == column(result, "request_id")[:sent]
        assert sim.released == ids
        assert [effect["external_id"] for effect in sim.ignored] == ids[:sent]


LIMITED = """
import json
import resource
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
print(json.dumps(run(json.loads(sys.argv[1]), False, False, {})))
"""

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks that are checked, approved and run; real runs of ansible-playbook."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import sys

import pytest

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import COLLECTION

STATISTICS = {"ANSIBLE_SHOW_CUSTOM_STATS": "true"}
SAME = {
    "release_interaction": {"vcc_external_id": "a"},
    "release_interactions": {"vcc_external_ids": ["a"]},
    "drain_route": {"vcc_external_ids": ["a"]},
}


@pytest.fixture
def check(play):
    """Returns a function that runs a playbook in check mode, and returns the digest that it prints and passes on."""

    def run(name, given):
        code, printed = play(name, given, "--check", env=STATISTICS)
        assert code == 0, printed
        said, statistics = printed.split("CUSTOM STATS:")
        (digest,) = re.findall(r"; API calls: 0; plan digest: ([0-9a-f]{64})\b", said)
        assert statistics.count(digest) == 2
        assert re.search(rf"['\"]vcc_plan_digest['\"]: ['\"]{digest}['\"]", statistics)
        return digest

    return run


@pytest.mark.parametrize("name", ["release_interactions", "drain_route"])
def test_changed_file_is_refused(sim, play, check, tmp_path, name):
    file = tmp_path / "waiting.txt"
    file.write_text("case-1\ncase-2\n")
    given = {"vcc_src": "waiting.txt"}
    digest = check(name, given)
    file.write_text("case-1\ncase-2\ncase-3\n")
    assert sim.calls == []
    code, printed = play(name, {**given, "vcc_plan_digest": digest, "vcc_queue": "sales"}, env=STATISTICS)
    assert code != 0
    assert "The plan differs from plan_digest: 1 interaction is new, and none is done or removed." in printed
    assert "vcc_plan_digest" not in printed.split("CUSTOM STATS:")[1]
    assert sim.calls == []

    file.write_text("\ncase-2\ncase-1\n")
    for released in (2, 0):
        code, printed = play(name, {**given, "vcc_plan_digest": digest}, env=STATISTICS)
        assert code == 0, printed
        assert f"2 requested: {released} released, {2 - released} unchanged, 0 failed" in printed
        # The plan is done, so the digest must not restrict the next job of the workflow.
        assert re.search(r"['\"]vcc_plan_digest['\"]: ['\"]['\"]", printed.split("CUSTOM STATS:")[1])
        assert sim.released == ["case-1", "case-2"]


def test_playbooks_of_the_same_plan_have_the_same_digest(check):
    assert len({check(name, given) for name, given in SAME.items()}) == 1


def test_changed_data_are_refused(sim, play, check):
    given = {"vcc_route": "sales", "vcc_external_id": "a", "vcc_linked_data": [{"type": "name", "value": "Ann"}]}
    digest = check("dispatch_interaction", given)
    changed = {**given, "vcc_linked_data": [{"type": "name", "value": "Bob"}], "vcc_plan_digest": digest}
    code, printed = play("dispatch_interaction", changed)
    assert code != 0
    assert (
        "The plan differs from plan_digest: 1 of 1 interaction is left to dispatch. The digest does not show" in printed
    )
    assert sim.calls == []
    assert play("dispatch_interaction", {**given, "vcc_plan_digest": digest})[0] == 0
    assert [effect["external_id"] for effect in sim.effects] == ["a"]


def test_wrong_digest_is_refused(sim, play):
    code, printed = play("release_interaction", {"vcc_external_id": "a", "vcc_plan_digest": "12ab"})
    assert code != 0
    assert "plan_digest must be the 64 hexadecimal digits that check mode returns, not '12ab'." in printed
    assert sim.calls == []


def test_only_plan_that_was_confirmed_on_terminal_runs(sim, play, tmp_path, temporary):
    """Another job releases one of the interactions while the question waits for its answer."""
    command = [sys.executable, "-m", "ansible.cli.playbook", "vonage.vcc.drain_route"]
    command += ["-e", json.dumps({"vcc_external_ids": ["a", "b"], "vcc_confirm": True})]
    environment = {**os.environ, **sim.environment(tmp_path), "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2])}
    environment.update(ANSIBLE_NOCOLOR="1", ANSIBLE_HOME=str(temporary / "ansible"), TMPDIR=str(temporary))
    pid, main = pty.fork()  # the process gets a terminal of its own
    if not pid:
        os.chdir(tmp_path)
        os.execve(command[0], command, environment)
    printed = b""
    try:
        with contextlib.suppress(OSError):  # the end of the terminal
            while part := os.read(main, 4096):
                asked = b"Press Enter" in printed
                printed += part
                if not asked and b"Press Enter" in printed:
                    assert play("release_interaction", {"vcc_external_id": "b"})[0] == 0
                    os.write(main, b"\r")
        dummy, status = os.waitpid(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(main)
    said = " ".join(printed.decode().split())
    assert "The playbook will release 2 interactions; 0 are released already." in said
    assert "1 of the 2 approved interactions was done after the approval, and none is new or removed." in said
    assert os.WIFEXITED(status)
    assert sim.released == ["b"]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill or interrupt ansible-playbook after a call and before the journal records it, and run it again: killed.py VARS.JSON"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

IDS = [f"case-{number}" for number in range(1, 1501)]  # two calls
TIMEOUT = 60


def simulator(method, command, body=None):
    """Give the simulator an order, or read its state."""
    request = urllib.request.Request(
        f"{SIM['url']}/_simulator/{command}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=TIMEOUT) as answer:
        return json.load(answer)


def release(*command):
    """Start a command that releases IDS."""
    environment = {
        **os.environ,
        "VCC_API_URL": SIM["url"],
        "VCC_AUTH_URL": SIM["token_url"],
        "VCC_CLIENT_ID": SIM["client_id"],
        "VCC_CLIENT_SECRET": SIM["client_secret"],
        "VCC_JOURNAL": str(FOLDER / "journal.db"),
    }
    # Standard error goes there too, so that it ends with the last process that has it.
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def kill(process):
    """Kill a process with all its descendants, which may be in other sessions."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    family = [process.pid]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid]
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=TIMEOUT)


def interrupt(process):
    """Interrupt only ansible-playbook, and check the last line of progress of its worker."""
    process.terminate()
    output, dummy = process.communicate(timeout=TIMEOUT)
    assert re.search(
        r"^vcc_interaction \[localhost\]: interrupted: [\d,]+ of 1,500 done, 0 failed, .*: it sends only the interactions that are left\.$",
        output.strip(),
        re.M,
    ), output


def end_at(calls_before, end, *command):
    """End the command while the simulator holds its answer to a call that has taken effect, and run it again."""
    simulator("POST", "reset", {})
    simulator("POST", "dispatch", {"external_ids": IDS})
    simulator("POST", "faults", {"kind": "hold", "after": calls_before})
    (FOLDER / "journal.db").unlink(missing_ok=True)
    process = release(*command)
    deadline = time.monotonic() + TIMEOUT
    while not simulator("GET", "state")["faults"][0]["entered"]:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the task made no call"
        time.sleep(0.05)
    end(process)
    simulator("POST", "faults/release", {})
    taken = {effect["external_id"] for effect in simulator("GET", "state")["effects"]}
    assert taken

    again = release(*command)
    output, dummy = again.communicate(timeout=TIMEOUT)
    assert again.returncode == 0, output
    state = simulator("GET", "state")
    assert state["live"] == []
    assert sorted(effect["external_id"] for effect in state["effects"]) == sorted(IDS)
    assert all(effect["found"] for effect in state["effects"])
    repeated = {effect["external_id"] for effect in state["ignored"]}
    assert repeated
    assert repeated <= taken
    print(
        f"ended after {len(taken)} effects; of those the next run repeated {len(repeated)}, and none took effect twice"
    )


if __name__ == "__main__":
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    SIM = settings["sim"]
    FOLDER = Path(settings["work"], "killed")
    FOLDER.mkdir()
    source = FOLDER / "ids.txt"
    source.write_text("\n".join(IDS), encoding="utf-8")
    playbook = ["ansible-playbook", "vonage.vcc.release_interactions", "-e", f"vcc_src={source}"]
    end_at(0, kill, *playbook)
    end_at(0, interrupt, *playbook)
    end_at(1, kill, "ansible", "localhost", "-m", "vonage.vcc.vcc_interaction", "-a", f"src={source}")

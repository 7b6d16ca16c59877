# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answer the question of drain_route on a terminal, with no and with yes: confirmed.py VARS.JSON"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import sys
import termios
import time
from pathlib import Path

TIMEOUT = 60


def drain(*answers, grow=False):
    """Run the playbook on a terminal, and answer each question. Return the exit code and the output.

    :param answers: pairs of a part of the question, and the answer.
    :param grow: whether the file grows just before each answer.
    """
    pid, terminal = pty.fork()
    if not pid:
        os.execvp(
            "ansible-playbook",
            ["ansible-playbook", "vonage.vcc.drain_route", "-e", f"vcc_src={SOURCE}", "-e", "vcc_confirm=true"],
        )
    said = b""
    left = list(answers)
    deadline = time.monotonic() + TIMEOUT
    with contextlib.suppress(OSError):  # the terminal ends with the process
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                said += os.read(terminal, 4096)
            # It reads single keys once its terminal is not in canonical mode.
            elif left and left[0][0] in said and not termios.tcgetattr(terminal)[3] & termios.ICANON:
                if grow:
                    SOURCE.write_text("case-1\ncase-2\ntoo late\n", encoding="utf-8")
                os.write(terminal, left.pop(0)[1])
        os.killpg(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode(errors="replace")


if __name__ == "__main__":
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(settings["work"], "confirmed")
    folder.mkdir()
    SOURCE = folder / "ids.txt"
    SOURCE.write_text("case-1\ncase-2\n", encoding="utf-8")
    os.environ.update(
        VCC_API_URL=settings["sim"]["url"],
        VCC_AUTH_URL=settings["sim"]["token_url"],
        VCC_CLIENT_ID=settings["sim"]["client_id"],
        VCC_CLIENT_SECRET=settings["sim"]["client_secret"],
        VCC_JOURNAL=str(folder / "journal.db"),
    )
    code, said = drain((b"to stop", b"\x03"), (b"to abort", b"A"))
    assert code != 0, said
    assert "The playbook will release 2 interactions" in said, said
    assert not (folder / "journal.db").exists(), said
    code, said = drain((b"to stop", b"\r"), grow=True)
    assert code != 0, said
    assert "has changed since its interactions were counted: nothing has been released" in " ".join(said.split()), said
    assert not (folder / "journal.db").exists(), said
    SOURCE.write_text("case-1\ncase-2\n", encoding="utf-8")
    code, said = drain((b"to stop", b"\r"))
    assert code == 0, said
    assert "2 requested: 2 released" in said, said
    print(
        "stopped before the first release, released no other list than it had asked about, and that one when told to go on"
    )

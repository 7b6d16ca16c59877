# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real ansible-playbook that shows progress after a moment in place of ten seconds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import COLLECTION, PYTHONPATH, TIMEOUT, processes_at

# The seconds before the first line, and the longest pause, are the first two arguments.
SCRIPT = """
import signal
import sys
from ansible.cli.playbook import PlaybookCLI
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background inherits as ignored
first, longest = map(float, sys.argv[1:3])
class Quick(PlaybookCLI):
    def _play_prereqs(self):
        from ansible_collections.vonage.vcc.plugins.module_utils._interactions import progress
        progress.FIRST_LINE, progress.LONGEST_PAUSE = first, longest
        return super()._play_prereqs()
Quick.cli_executor(["ansible-playbook", *sys.argv[3:]])
"""


class Playbook:
    """An ansible-playbook in a session of its own, as of a terminal, with its output and its errors in files."""

    def __init__(self, folder, environment):
        self._folder = folder
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": PYTHONPATH,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]),
            "ANSIBLE_HOME": str(folder / "ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            "HOME": str(folder),
            **environment,
        }
        self._process = None

    def start(self, *arguments, first=0.1, longest=0.1):
        """Start ansible-playbook. The next line comes ``first`` to ``longest`` seconds after the one before."""
        with open(self._folder / "output", "wb") as output, open(self._folder / "errors", "wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, str(first), str(longest), *map(str, arguments)],
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def start_task(self, keywords=None, first=0.1, longest=0.1, **options):
        """Start a play with one task of vcc_interaction."""
        task = {"vonage.vcc.vcc_interaction": options, **(keywords or {})}
        path = self._folder / "play.yml"
        path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
        self.start(path, first=first, longest=longest)

    def output(self):
        return (self._folder / "output").read_text(encoding="utf-8")

    def lines(self):
        """Return the whole lines of progress so far, without the host before each."""
        errors = (self._folder / "errors").read_text(encoding="utf-8")
        lines = errors[: errors.rfind("\n") + 1].splitlines()
        return [line.partition("]: ")[2] for line in lines if line.startswith("vcc_interaction [localhost]: ")]

    def wait_for(self, text):
        """Wait for a line that has a text, and return it."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            for line in self.lines():
                if text in line:
                    return line
            time.sleep(0.02)
        raise AssertionError(f"no line has {text!r}: {self.lines()}, {self.output()}")

    def send(self, number, to_group):
        """Send a signal to ansible-playbook alone, or to its group, as a terminal does."""
        if to_group:
            os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)

    def end(self):
        """Wait for the end of ansible-playbook, and of its workers, and return its status."""
        code = self._process.wait(TIMEOUT)
        deadline = time.monotonic() + TIMEOUT
        while self._processes():
            assert time.monotonic() < deadline, "a worker goes on"
            time.sleep(0.02)
        return code

    def _processes(self):
        return processes_at(self._folder)

    def kill(self):
        """Kill all of its processes that still run."""
        for process in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self._process:
            self._process.wait(TIMEOUT)

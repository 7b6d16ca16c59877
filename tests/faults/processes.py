# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that run the tasks of a round, and the server that forks engines."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from ansible_collections.vonage.vcc.tests import simulator
from ansible_collections.vonage.vcc.tests.faults import plan
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.tools.environment import without_settings

COLLECTIONS = Path(simulator.__file__).parents[5]
ENGINE = Path(__file__).with_name("engine.py")
CLOCK = Path(__file__).with_name("clock")
ENDING_SIGNALS = ("SIGINT", "SIGKILL", "SIGTERM")


def process_environment(**variables):
    """Return an environment with the adjustable clock and the import path of this Python, and without settings of the machine."""
    path = [str(CLOCK), str(COLLECTIONS), *filter(None, sys.path)]
    return {**without_settings(), "PYTHONPATH": os.pathsep.join(path), **variables}


class ForkServer:
    """A Python process that has imported the engine and forks a child for each job."""

    def __init__(self):
        self._channel, other_end = socket.socketpair()
        with other_end:
            self._process = subprocess.Popen(
                [sys.executable, ENGINE, "--serve", str(other_end.fileno())],
                pass_fds=[other_end.fileno()],
                env=process_environment(),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _command(self, command, descriptors=()):
        socket.send_fds(self._channel, [json.dumps(command).encode()], list(descriptors))
        reply = self._channel.recv(4096)
        if not reply:
            raise RuntimeError("the fork server has ended")
        return json.loads(reply)

    def spawn(self, job, output):
        """Start a child for the job in a file, and return its process id."""
        return self._command({"spawn": str(job)}, [output])

    def reap(self, pid):
        """Wait for a child, and return its exit status."""
        return self._command({"reap": pid})

    def close(self):
        """End the server and its children."""
        self._channel.close()
        self._process.wait()


class Process:
    """A task that runs. The pipe ``output_fd`` closes when the process and all its children have ended."""

    def __init__(self, task, round_):
        self.task = task
        self._round = round_
        self.output = bytearray()
        self.printed = self.errors = ""
        self.status = None
        self.signalled = None
        self.started = time.monotonic()
        self.effects_after = None
        self._popen = None
        job = round_.jobs.write(task)
        self.output_fd, write_end = os.pipe()
        try:
            if task.runner == "fork":
                self.pid = round_.fork_server.spawn(job, write_end)
            else:
                self._start(job, write_end)
        finally:
            os.close(write_end)

    def _start(self, job, output):
        task, round_ = self.task, self._round
        if task.runner == "cold":
            command, env = [sys.executable, ENGINE, job], process_environment()
        else:
            command = [sys.executable, "-m", "ansible", "playbook", "-v", "-i", "localhost,", "-c", "local"]
            command += [*(["--check"] if task.check else []), job]
            home = str(round_.folder / f"home-{task.number}")
            variables = {
                **round_.jobs.variables(task),
                "VCC_CLIENT_ID": CLIENT_ID,
                "VCC_CLIENT_SECRET": CLIENT_SECRET,
                "HOME": home,
                "TMPDIR": str(round_.folder / "used"),
                "ANSIBLE_HOME": home + "/.ansible",
                "ANSIBLE_REMOTE_TEMP": home + "/.ansible/tmp",
                "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
                "ANSIBLE_NOCOLOR": "1",
                "FAULT_CLOCK": json.dumps({"start": time.time(), "steps": task.clock}),
            }
            env = process_environment(**variables)
        with open(round_.folder / f"errors-{task.number}", "ab") as errors:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=env,
                cwd=round_.folder,
                pass_fds=[output],  # Ansible's workers inherit it too
                start_new_session=True,
            )
        self.pid = self._popen.pid

    def interrupt(self, how):
        """Send a signal, or fill the disk."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it may have ended, or belong to another user
            if how == "FULL":
                resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            elif self._popen and self.task.group:
                os.killpg(self.pid, signal.Signals[how])
            else:
                os.kill(self.pid, signal.Signals[how])
            self.signalled = how

    def finish(self):
        """Read the exit status and the output, after the output has ended."""
        os.close(self.output_fd)
        self.status = self._popen.wait() if self._popen else self._round.fork_server.reap(self.pid)
        self.effects_after = len(self._round.simulator.effects)
        text = self.output.decode("utf-8", "replace")
        if self.task.runner in plan.ENGINE_RUNNERS:
            # The result is one line; all other output is an error.
            found = re.search(r'^\{".*', text, re.MULTILINE)
            self.printed = found[0] if found else ""
            self.errors = text.replace(self.printed, "", 1).removesuffix("\n")
        else:
            _before, mark, text = text.partition("[localhost]")
            self.printed = text[text.find("=> ") + 3 :] if mark else ""
            self.errors = (self._round.folder / f"errors-{self.task.number}").read_text("utf-8", "replace")

    @property
    def interrupted(self):
        """Whether a signal has ended the process, so that it may lack a result."""
        return self.signalled in ENDING_SIGNALS and (self.status != 0 or "KeyboardInterrupt" in self.errors)

    @property
    def disk_limited(self):
        """Whether the disk of the process may have been full."""
        return self.task.file_size is not None or self.signalled == "FULL"

    def result(self):
        """Return the result of the task, or None if it has printed none."""
        try:
            return json.JSONDecoder().raw_decode(self.printed)[0]
        except ValueError:
            return None

    def read_report(self):
        """Return the entries of the report, and whether its last line is complete."""
        path = self._round.folder / f"report-{self.task.number}.jsonl"
        text = path.read_text("utf-8") if path.exists() else ""
        lines = text.split("\n")
        return [json.loads(line) for line in lines[:-1]], not lines[-1]

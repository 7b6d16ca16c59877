# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs of PostgreSQL, the user that runs them, and helpers for the processes that they become."""

from __future__ import annotations

import contextlib
import importlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

TIMEOUT = 60  # seconds; only a failing test waits for so long
ENOUGH_MEMORY = 2**30  # bytes; a server takes 100 to 300 MB

# Wait until the process that started this one sends a line, or dies. Then end the server, if it still runs, and remove its folder.
# A process without a command line has ended, though its parent may not have noticed.
GUARD = """
read -r dummy
if read -r pid < "$1/$2"; then
    kill -QUIT "$pid"
    for dummy in $(seq 100); do grep -q . "/proc/$pid/cmdline" && sleep 0.05; done
    kill -KILL "$pid"
fi
rm -rf "$1"
"""


def find_programs():
    """Return the newest folder with initdb, pg_basebackup and postgres, or None. Debian has none of these on PATH."""
    names = ("initdb", "pg_basebackup", "postgres")

    def version(folder):
        return tuple(int(part) for part in folder.parent.name.split("."))

    debian = sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=version, reverse=True)
    for folder in [*debian, *map(Path, os.environ.get("PATH", os.defpath).split(os.pathsep))]:
        if all(os.access(folder / name, os.X_OK) for name in names):
            return folder
    return None


def find_pgbouncer():
    """Return the program pgbouncer, or None. Debian has it in a folder for administrators."""
    return shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))


def missing():
    """Return the reason why this machine cannot run a server, or None if it can."""
    if not find_programs():
        return "no PostgreSQL server (package postgresql)"
    try:
        importlib.import_module("psycopg")
    except ImportError as error:
        return f"no psycopg: {error}"
    return None


def as_server_user():
    """Return the options of subprocess with which a server runs as an unprivileged user, because it refuses root."""
    if os.geteuid():
        return {}
    with contextlib.suppress(KeyError):
        user = pwd.getpwnam("postgres")
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def hand_over(path, mode=0o644):
    """Set the mode of a file or folder and give it to the user of the server."""
    path.chmod(mode)
    if user := as_server_user():
        os.chown(path, user["user"], user["group"])


def environment():
    """Return the environment of a server, without settings of PostgreSQL and of the user."""
    return {"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC"}


def run(*command):
    """Run a program as the user of the server, and raise an error with its output if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        env=environment(),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        **as_server_user(),
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout.decode(errors='replace')}")


def free_port():
    """Return a port of the loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def parent_folder(is_durable):
    """
    Return a folder for the folders of servers; its path is short, because that of a socket has at most 107 bytes.

    It is in memory if nothing must be durable: a server then starts in 0.4 s instead of 0.7 s, and makes a database in 15 ms instead of 160 ms.
    """
    memory = "/dev/shm"
    if not is_durable and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ENOUGH_MEMORY:
        return memory
    return tempfile.gettempdir() if len(tempfile.gettempdir()) < 70 else "/tmp"


def poll(condition, problem):
    """Return the first true result of a function; raise an error with the text of a problem if there is none in time."""
    deadline = time.monotonic() + TIMEOUT
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(problem() if callable(problem) else problem)
        time.sleep(0.005)
    return found


def state(pid):
    """Return the letter with which Linux describes the state of a process, or None if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def runs(pid):
    """Return whether a process runs. One that waits for its parent to notice its end does not."""
    return state(pid) not in (None, "X", "Z")


def children(pid):
    """Return the process ids of the children of a process."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if int(status.read_text(encoding="utf-8").rpartition(")")[2].split()[1]) == pid:
                found.append(int(status.parent.name))
    return found


def send_signal(pid, number):
    """Send a signal to a process, unless it has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class Daemon:
    """
    A context manager for a program that serves in the background, with a folder of its own.

    A guard ends the program and removes the folder at the end, even if the tests are killed.
    """

    pid_file = ""
    is_durable = False

    def __enter__(self):
        self._process = None
        self.port = None
        self.folder = Path(tempfile.mkdtemp(prefix="vcc-pg-", dir=parent_folder(self.is_durable)))
        hand_over(self.folder, 0o755)  # so that other users reach the socket
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = ["sh", "-c", GUARD, "sh", str(self.folder), self.pid_file]
        self._guard = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            cwd="/",
            env=environment(),
            start_new_session=True,
            **silent,
            **as_server_user(),
        )
        try:
            self._prepare()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception):
        try:
            if self.pid:
                self.stop()
            (self.folder / self.pid_file).unlink(missing_ok=True)
        finally:
            self._guard.communicate(b"\n")

    @property
    def pid(self):
        """The process id of the program, or None if it does not run."""
        if self._process:
            self._process.poll()
        try:
            pid = int((self.folder / self.pid_file).read_text(encoding="utf-8").split("\n")[0])
        except (FileNotFoundError, ValueError):
            return None
        return pid if runs(pid) else None

    @property
    def log(self):
        """The text that the program has written so far."""
        path = self.folder / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def start(self):
        """Start the program and wait until it serves. It keeps its port; the first start retries if another process takes the port."""
        for dummy in range(10):
            port = self.port or free_port()
            written = len(self.log)
            with open(self.folder / "log", "ab") as log:
                self._process = subprocess.Popen(
                    [str(part) for part in self._command(port)],
                    env=environment(),
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    **as_server_user(),
                )
            poll(lambda: self._process.poll() is not None or self._is_ready(), lambda: f"no start: {self.log}")
            if self._process.returncode is None:
                self.port = port
                return
            if self.port or "in use" not in self.log[written:]:
                break
        raise RuntimeError(f"The server does not start: {self.log[written:]}")

    def stop(self):
        """Stop the program and wait for its end."""
        self._end(signal.SIGINT)

    def _end(self, number):
        """Send a signal to the program and wait for its end."""
        pid = self.pid
        if pid:
            send_signal(pid, number)
            self._wait_for_end(pid)

    def kill(self):
        """Kill the program and its children at once, as a failure of the machine does."""
        pid = self.pid
        if pid:
            send_signal(pid, signal.SIGSTOP)  # so that it starts no further child
            poll(lambda: state(pid) in ("T", "Z", None), f"process {pid} does not stop")
            processes = [pid, *children(pid)]
            for each in processes:
                send_signal(each, signal.SIGKILL)
            for each in processes:
                self._wait_for_end(each)
            # In these files, PostgreSQL would take a process for a server that runs as long as its parent has not noticed its end.
            for each in (self.folder / self.pid_file, *self.folder.glob(".s.PGSQL.*.lock")):
                each.unlink(missing_ok=True)

    def _wait_for_end(self, pid):
        def has_ended():
            if self._process:
                self._process.poll()
            return not runs(pid)

        poll(has_ended, lambda: f"process {pid} does not end: {self.log}")

    def _prepare(self):
        """Write the files of the program."""

    def _command(self, port):
        """Return the command that serves at a port."""
        raise NotImplementedError

    def _is_ready(self):
        """Return whether the program that was started last accepts connections."""
        raise NotImplementedError

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shipped rulebook in a process of ansible-rulebook, and a client that posts many notifications to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import signal
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

from ansible_collections.vonage.vcc.tests import simulator as package
from ansible_collections.vonage.vcc.tests.examples.documents import EVENTS_GUIDE, example_with, rst_examples
from ansible_collections.vonage.vcc.tests.postgresql.programs import children, send_signal
from ansible_collections.vonage.vcc.tests.tools.environment import search_path

COLLECTIONS = Path(package.__file__).parents[5]
API_URL = "https://emea.api.newvoicemedia.com"
ACCOUNT = "4711"
PROVIDER = "crm"
TOKEN = "20261123"  # digits only, because a template could turn them into a number
TIMEOUT = 60


def free_port():
    """Return a port of the loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Rulebook:
    """
    A process of ansible-rulebook that runs the shipped rulebook by the command of the guide.

    ``variables`` are those of the rulebook, ``journal`` the file of its journal.
    """

    def __init__(self, folder, **variables):
        # ansible-rulebook copies its working folder to one for temporary files, so that must not be inside it.
        self.folder, self.temporary = folder / "work", folder / "tmp"
        for each in (self.folder, self.temporary):
            each.mkdir(exist_ok=True)
        self.journal = folder / "journal.db"
        self.log = folder / "ansible-rulebook.log"
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}/notifications"
        self.variables = {
            "vcc_provider": PROVIDER,
            "vcc_webhook_token": TOKEN,
            "vcc_webhook_port": self.port,
            "vcc_journal": str(self.journal),
            "vcc_api_url": API_URL,
            "vcc_account": ACCOUNT,
            **variables,
        }
        self.process = None

    @property
    def environment(self):
        kept = {name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ}
        return {
            **kept,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "HOME": str(self.temporary),
            "JAVA_TOOL_OPTIONS": "-XX:-UsePerfData",  # this file would be in /tmp whatever TMPDIR says
            "LC_ALL": "C.UTF-8",
            "PATH": search_path(),
            "TMPDIR": str(self.temporary),
        }

    @contextlib.contextmanager
    def running(self, *options, rulebook=None):
        """
        Start ansible-rulebook, and kill it and its children at the end.

        :param rulebook: the path of another rulebook
        """
        (self.folder / "vars.yml").write_text(json.dumps(self.variables), encoding="utf-8")
        (command,) = example_with("$ ansible-rulebook", rst_examples(EVENTS_GUIDE)).commands
        command = shlex.split(command)
        if rulebook:
            command[command.index("--rulebook") + 1] = str(rulebook)
        # If this process is killed, ansible-rulebook ends after ten minutes.
        command = ["timeout", "600", *command, *options]
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield self.process
        finally:
            self.kill()

    def pids(self):
        """Return the process ids of ansible-rulebook and of its endpoint, as far as they run."""
        (*rulebook,) = children(self.process.pid)
        return rulebook + [pid for each in rulebook for pid in children(each)]

    def terminate(self):
        """Send SIGTERM to ansible-rulebook, as a service manager or a container engine does."""
        send_signal(self.pids()[0], signal.SIGTERM)

    def kill(self):
        """Kill all processes at once, as at the end of a container, or if it runs out of memory."""
        for pid in [self.process.pid, *self.pids()]:
            send_signal(pid, signal.SIGKILL)
        self.process.wait(10)

    def wait(self, condition):
        """Wait until a condition holds; fail with the log after a minute, or if the process ends first."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert self.process.poll() is None and time.monotonic() < deadline, self.text()[-5000:]
            time.sleep(0.05)

    def wait_until_listening(self):
        """Wait until the endpoint accepts connections."""
        self.wait(self.is_listening)

    def is_listening(self):
        """Return whether the endpoint accepts connections."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            return True
        return False

    def text(self):
        """Return the log."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def recorded(self):
        """Return the ids of the notifications in the journal."""
        if not self.journal.exists():
            return set()
        with contextlib.closing(sqlite3.connect(self.journal)) as database:
            return {number for (number,) in database.execute("SELECT id FROM notification")}

    def confirmed(self):
        """Return the external ids that the journal confirms to be released."""
        if not self.journal.exists():
            return set()
        with contextlib.closing(sqlite3.connect(self.journal)) as database, contextlib.suppress(sqlite3.Error):
            rows = database.execute(
                "SELECT external_id FROM interaction JOIN scope ON scope.id = interaction.scope"
                " WHERE (account, provider, action) = (?, ?, 'release') AND accepted IS NOT NULL",
                (ACCOUNT, PROVIDER),
            )
            return {external_id for (external_id,) in rows}
        return set()


class RulebookWithDatabase(Rulebook):
    """A Rulebook with a journal in PostgreSQL."""

    def __init__(self, folder, server, **variables):
        super().__init__(folder, vcc_journal=server.url(), **variables)
        self._server = server

    def recorded(self):
        """Return the ids of the notifications in the journal."""
        if self._server.execute("SELECT to_regclass('vcc_journal.version')")[0][0] is None:
            return set()
        return {number for (number,) in self._server.execute("SELECT id FROM vcc_journal.notification")}

    def confirmed(self):
        """Return the external ids that the journal confirms to be released."""
        if self._server.execute("SELECT to_regclass('vcc_journal.version')")[0][0] is None:
            return set()
        query = (
            "SELECT external_id FROM vcc_journal.interaction AS row JOIN vcc_journal.scope AS scope ON scope.id = row.scope"
            " WHERE (account, provider, action) = (%s, %s, 'release') AND accepted_at IS NOT NULL"
        )
        return {external_id for (external_id,) in self._server.execute(query, (ACCOUNT, PROVIDER))}


def notification(number, kind="Release", external_id=None):
    """Return a notification with all properties that VCC sends."""
    return {
        "notification": kind,
        "objectid": external_id or f"case-{number}",
        "notificationid": number,
        "params": {"AccountName": "Example", "Agent": "Zoë Example", "AgentId": "agent-1"},
    }


class Load:
    """
    Posts notifications over connections that stay open, and keeps the ids that are answered.

    ``answered`` has the ids of all notifications in POSTs that were answered 200, ``times`` the seconds until each of these answers, ``refused`` the
    status of all other answers, ``unanswered`` counts the POSTs without one. A connection that ends takes its part of the load with it.

    :param size: notifications of each POST.
    """

    def __init__(self, port, size=1, prefix="n", connections=16):
        self._port = port
        self._size = size
        self._prefix = prefix
        self._connections = connections
        self._sent = 0
        self.answered = []
        self.times = []
        self.refused = []
        self.unanswered = 0
        self._head = f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: "

    async def run(self, seconds, rate=None):
        """
        Post for some seconds.

        :param rate: POSTs a second; None for as many as it takes.
        """
        self._begin = time.monotonic()
        self._end = self._begin + seconds
        self._rate = rate
        await asyncio.gather(*(self._connection() for dummy in range(self._connections)))

    async def _connection(self):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return
        try:
            while True:
                number = self._sent
                now = time.monotonic()
                if self._rate:
                    due = self._begin + number / self._rate
                else:
                    due = now
                if max(due, now) >= self._end:
                    return
                self._sent += 1
                if due > now:
                    await asyncio.sleep(due - now)
                if not await self._post(reader, writer, number):
                    return
        except (OSError, asyncio.IncompleteReadError):
            self.unanswered += 1
        finally:
            writer.close()

    async def _post(self, reader, writer, number):
        """Post, and return whether the connection stays open."""
        ids = [f"{self._prefix}-{number}-{index}" for index in range(self._size)]
        body = json.dumps([notification(each) for each in ids]).encode()
        began = time.monotonic()
        writer.write(f"{self._head}{len(body)}\r\n\r\n".encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        status = int(head.split()[1])
        if status == 200:
            self.answered += ids
            self.times.append(time.monotonic() - began)
        else:
            self.refused.append(status)
        return b"\r\nconnection: close\r\n" not in head

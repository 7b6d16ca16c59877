# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Journals in a PostgreSQL server that makes each commit durable, as in production, at some distance."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import typing as t
from pathlib import Path

HERE = Path(__file__).parent
PASSWORD = "benchmark-secret"
ROLE = "benchmark"


def missing() -> str | None:
    """Return the reason why this machine cannot run a server, or None if it can."""
    sys.path.append(str(HERE.parent))
    from postgresql import programs

    reason: str | None = programs.missing()
    return reason


class Databases(contextlib.ExitStack):
    """Starts the server when the first journal is needed.

    :param collections: a folder of collections that has this one; it must be on ``sys.path``.
    """

    def __init__(self, collections: Path) -> None:
        super().__init__()
        self._collections = collections
        self._server: t.Any = None
        self._template = ""
        self._names: dict[str, str] = {}
        self._proxies: dict[int, t.Any] = {}

    def create(self, key: str) -> None:
        """Create a database with an empty journal, in place of the one with this key."""
        if not self._server:
            self._start()
        if key in self._names:
            self._server.drop_database(self._names[key])
        self._names[key] = self._server.create_database(self._template)

    def _start(self) -> None:
        from ansible_collections.vonage.vcc.plugins.module_utils._journal.setup import set_up
        from ansible_collections.vonage.vcc.tests.postgresql.server import Server

        self._server = self.enter_context(Server())
        self._server.create_role(ROLE, PASSWORD)
        self._template = self._server.create_database()
        set_up(self._server.url(self._template), [ROLE])

    def url(self, key: str, ms: int) -> str:
        """Return the URL of a journal.

        :param ms: of a round trip to it; 0 for no more than the loopback takes.
        """
        port = self._proxy(ms)[1] if ms else None
        url: str = self._server.url(self._names[key], ROLE, PASSWORD, tcp=True, port=port)
        return url

    def _proxy(self, ms: int) -> t.Any:
        """Return the process of a proxy, and its port."""
        if ms not in self._proxies:
            command = [sys.executable, HERE / "database_proxy.py", self._collections, self._server.port, ms / 1000]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            process: t.Any = self.enter_context(subprocess.Popen([str(part) for part in command], **pipes))
            self.callback(process.stdin.close)
            self._proxies[ms] = process, int(process.stdout.readline())
        return self._proxies[ms]

    def size(self, key: str) -> int:
        """Return the bytes of a database."""
        size: int = self._server.execute("SELECT pg_database_size(%s)", [self._names[key]])[0][0]
        return size

    def requests(self, ms: int) -> int:
        """Return how many requests there were at a distance since the last question."""
        process, _port = self._proxy(ms)
        process.stdin.write("\n")
        process.stdin.flush()
        return int(process.stdout.readline())

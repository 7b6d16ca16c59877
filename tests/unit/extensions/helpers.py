# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source as ansible-rulebook runs it, in a thread, and requests to its endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import queue
import re
import sqlite3
import ssl
import threading
from pathlib import Path

from ansible_collections.vonage.vcc.plugins.module_utils._location import is_url
from ansible_collections.vonage.vcc.tests.postgresql.programs import children

ROOT = Path(__file__).parents[3]
PATH = ROOT / "extensions" / "eda" / "plugins" / "event_source" / "provider_notifications.py"

TOKEN = "t0ken-of-vcc"
PROVIDER = "crm"
API_URL = "https://emea.api.newvoicemedia.com"

# Seconds to wait for an event, enough for a slow machine; only a failing test waits for so long.
TIMEOUT = 60


class Lines(logging.Handler):
    """Keeps log lines, and the address of the endpoint, which one of them has."""

    def __init__(self):
        super().__init__()
        self.lines = []
        self.address = None

    def emit(self, record):
        self.lines.append(f"{record.levelname} {record.getMessage()}")
        found = re.search(r"at (https?)://([\d.]+):(\d+)/\.$", record.getMessage())
        self.address = found.groups() if found else self.address


class Source:
    """
    A context manager for the source. It listens on a free port of the loopback.

    ``events`` is what the source has put into the queue of ansible-rulebook.

    :param room: the size of that queue; 0 for no limit
    """

    def __init__(self, journal, room=0, **options):
        self.options = {
            "port": 0,
            "token": TOKEN,
            "provider": PROVIDER,
            "journal": journal,
            "region": "emea",
            "account": "main",
            **options,
        }
        self._log = Lines()
        self._room = room
        self._taken = queue.Queue()
        self._failure = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._may_take = threading.Event()
        if not room:
            self._may_take.set()

    def __enter__(self):
        logger = logging.getLogger("vonage.vcc.provider_notifications")
        logger.setLevel(logging.INFO)
        logger.addHandler(self._log)
        before = set(children_of_this())
        self._thread.start()
        try:
            self.wait(lambda: self._log.address or not self._thread.is_alive())
            if not self._log.address:
                raise self._failure
            (self.pid,) = set(children_of_this()) - before
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception):
        self.stop()
        logging.getLogger("vonage.vcc.provider_notifications").removeHandler(self._log)

    def _run(self):
        try:
            asyncio.run(self._main())
        except BaseException as exc:
            self._failure = exc

    async def _main(self):
        self._loop = asyncio.get_running_loop()
        events = asyncio.Queue(self._room)
        self._task = asyncio.create_task(load_source()["main"](events, self.options))
        taking = asyncio.create_task(self._take(events))
        try:
            await self._task
        except asyncio.CancelledError:
            pass
        finally:
            taking.cancel()

    async def _take(self, events):
        while True:
            if self._may_take.is_set():
                self._taken.put(await events.get())
            else:
                await asyncio.sleep(0.01)

    @property
    def lines(self):
        """The log lines so far, each with its level."""
        return list(self._log.lines)

    def take_events(self):
        """Take events from the queue that was full."""
        self._may_take.set()

    def events(self, count):
        """Return the next events."""
        return [self._taken.get(timeout=TIMEOUT) for dummy in range(count)]

    def has_no_more_events(self):
        """Post another notification, and return whether the next event is that of this notification."""
        assert self.post(notification("last", number="last"))[0] == 200
        return self.events(1)[0]["external_id"] == "last"

    def cancel(self):
        """Cancel the source, as ansible-rulebook does when it ends."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)

    def stop(self):
        """Cancel the source and wait for its end; return the error with which it ended, if any."""
        self.cancel()
        return self.failure()

    def failure(self):
        """Wait for the end of the source; return the error with which it ended, if any."""
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()
        return self._failure

    def wait(self, condition):
        """Wait until a condition holds."""
        wait_for(condition)

    def connect(self, authority=None):
        """Return a connection to the endpoint."""
        scheme, host, port = self._log.address
        if scheme == "http":
            return contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=TIMEOUT))
        context = ssl.create_default_context(cafile=authority)
        return contextlib.closing(http.client.HTTPSConnection("localhost", int(port), timeout=TIMEOUT, context=context))

    def request(self, method, path="/", body=None, authority=None, **headers):
        """Make a request, and return the status, the headers and the text of the response."""
        headers = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        with self.connect(authority) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()

    def post_raw(self, body, **headers):
        """Post a body, and return the status, the headers and the text of the response."""
        given = {"Authorization": f"Bearer {TOKEN}", "Content_Type": "application/json", **headers}
        return self.request("POST", "/notifications", body, **given)

    def post(self, *notifications, **headers):
        """Post a list of notifications, and return the status and the counts or the text of the response."""
        status, dummy, text = self.post_raw(json.dumps(notifications).encode(), **headers)
        return status, json.loads(text) if status == 200 else text

    def health(self):
        """Return the status and the text of the health path."""
        status, dummy, text = self.request("GET", "/health")
        return status, text


def load_source():
    """Return the globals of the source, loaded as ansible-rulebook does: not as a module of a package. runpy cannot do that with the importer of Ansible."""
    variables = {"__file__": str(PATH), "__name__": "<run_path>"}
    exec(compile(PATH.read_text(encoding="utf-8"), str(PATH), "exec"), variables)
    return variables


def wait_for(condition):
    """Wait until a condition holds."""
    pause, waited = threading.Event(), 0.0
    while not condition():
        assert waited < TIMEOUT, "it does not happen"
        pause.wait(0.01)
        waited += 0.01


def children_of_this():
    """Return the process ids of the children of this process."""
    import os

    return children(os.getpid())


def notification(external_id="case-1", kind="Release", number="n-1", **params):
    """Return a notification as VCC sends it."""
    return {
        "notification": kind,
        "objectid": external_id,
        "notificationid": number,
        "params": {"Agent": "Zoë", **params},
    }


def recorded(journal):
    """Return the ids of all notifications in a journal."""
    if is_url(str(journal)):
        import psycopg  # not every Python that runs tests has it

        with contextlib.closing(psycopg.connect(journal)) as db:
            return {number for (number,) in db.execute("SELECT id FROM vcc_journal.notification")}
    with contextlib.closing(sqlite3.connect(journal)) as db:
        return {number for (number,) in db.execute("SELECT id FROM notification")}

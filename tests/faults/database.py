# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A journal in PostgreSQL for the processes of a round: its server, its database, and the faults between them."""

from __future__ import annotations

import collections
import contextlib
import threading
import time

import psycopg

from ansible_collections.vonage.vcc.plugins.module_utils._journal.postgresql_schema import SCHEMA_VERSION
from ansible_collections.vonage.vcc.plugins.module_utils._journal.setup import set_up
from ansible_collections.vonage.vcc.tests.faults.journal_state import UnreadableError
from ansible_collections.vonage.vcc.tests.faults.plan import PASSWORD
from ansible_collections.vonage.vcc.tests.postgresql.pgbouncer import Bouncer
from ansible_collections.vonage.vcc.tests.postgresql.programs import poll
from ansible_collections.vonage.vcc.tests.postgresql.proxy import Proxy
from ansible_collections.vonage.vcc.tests.postgresql.server import Server, failover_url

# The role of the processes.
ROLE = "tasks"

# Seconds for a connection, the least that libpq takes.
CONNECT_TIMEOUT = 2

SETTINGS = {"fsync": False, "deadlock_timeout": "100ms"}

# How to make a journal unusable, and usable again. Without a schema, the role may not make one.
UNUSABLE = {
    "read_only": (
        "REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA vcc_journal FROM tasks",
        "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA vcc_journal TO tasks",
    ),
    "closed": ("REVOKE USAGE ON SCHEMA vcc_journal FROM tasks", "GRANT USAGE ON SCHEMA vcc_journal TO tasks"),
    "folder": ("ALTER SCHEMA vcc_journal RENAME TO aside", "ALTER SCHEMA aside RENAME TO vcc_journal"),
    "garbage": (
        "UPDATE vcc_journal.version SET version = 99",
        f"UPDATE vcc_journal.version SET version = {SCHEMA_VERSION}",
    ),
}


class Servers:
    """The server of a campaign, and pgbouncer in front of it. Each starts when a round first needs it."""

    def __init__(self):
        self._stack = contextlib.ExitStack()
        self._server = self._bouncer = None

    @property
    def server(self):
        """The running server."""
        if not self._server:
            self._server = self._stack.enter_context(Server(**SETTINGS))
            self._server.create_role(ROLE, PASSWORD)
        return self._server

    @property
    def bouncer(self):
        """The running pgbouncer."""
        if not self._bouncer:
            self._bouncer = self._stack.enter_context(Bouncer(self.server, server_login_retry=0.1))
        return self._bouncer

    def close(self):
        """Stop both."""
        self._stack.close()
        self._server = self._bouncer = None


class Database:
    """
    A context manager for the database of a round.

    :param servers: the Servers of the campaign
    :param place: "direct", "pgbouncer", or "failover" for a server of its own with a standby
    :param prepared: whether the journal is made before the first process, by another role
    :param isolation: the isolation of transactions that the database sets

    ``url`` is the journal of the processes. ``faults`` counts the faults that happened since ``begin``.
    """

    def __init__(self, servers, place, prepared, isolation):
        self._servers = servers
        self._place = place
        self._prepared = prepared
        self._isolation = isolation
        self._stack = contextlib.ExitStack()
        self._proxy = None
        self._player = None
        self.faults = collections.Counter()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self._enter(stack)
            self._stack = stack.pop_all()
        return self

    def _enter(self, stack):
        if self._place == "failover":
            self._server = stack.enter_context(Server(**SETTINGS))
            self._server.create_role(ROLE, PASSWORD)
        else:
            self._server = self._servers.server
        self.name = self._server.create_database()
        if self._place != "failover":
            stack.callback(self._server.drop_database, self.name)
        self._execute(f"ALTER DATABASE {self.name} SET default_transaction_isolation = '{self._isolation}'")
        if self._prepared:
            set_up(self._server.url(self.name), [ROLE])
        else:
            self._execute(f"GRANT CREATE ON DATABASE {self.name} TO {ROLE}")
        limits = {"connect_timeout": CONNECT_TIMEOUT}
        if self._place == "failover":
            self._standby = stack.enter_context(self._server.standby())
            # Each commit reaches the standby, so that its promotion loses none.
            self._server.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            self._server.execute("SELECT pg_reload_conf()")
            question = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
            poll(lambda: self._server.execute(question)[0][0], "the standby is not synchronous")
            self.url = failover_url([self._server, self._standby], self.name, ROLE, password=PASSWORD, **limits)
            return
        target = self._servers.bouncer if self._place == "pgbouncer" else self._server
        self._proxy = stack.enter_context(Proxy(target))
        self.url = self._proxy.url(self.name, ROLE, PASSWORD, **limits)

    def __exit__(self, *exception):
        if self._player:
            self._player.stop()
        self._stack.__exit__(*exception)

    def _execute(self, statement):
        return self._server.execute(statement, database=self.name)

    def _has_schema(self):
        return self._execute("SELECT to_regnamespace('vcc_journal') IS NOT NULL")[0][0]

    def rows(self):
        """Return the rows of the journal by key. Raises UnreadableError."""
        query = """
SELECT provider, coalesce(long_external_id, external_id), action, request_id, accepted_at
FROM vcc_journal.interaction AS row JOIN vcc_journal.scope AS scope ON scope.id = row.scope
"""
        try:
            found = self._execute(query) if self._has_schema() else []
        except psycopg.Error as exc:
            raise UnreadableError(f"the journal cannot be read: {exc}") from exc
        return {
            (provider or None, external_id): {"action": action, "request_id": request_id, "accepted": accepted_at}
            for provider, external_id, action, request_id, accepted_at in found
        }

    def history(self):
        """Return the outcomes in the history of the journal. Raises UnreadableError."""
        columns = ("run_id", "reason", "provider", "external_id", "action", "state", "request_id", "call", "message")
        query = f"""
SELECT {", ".join(columns)} FROM vcc_journal.outcome
LEFT JOIN vcc_journal.attempt ON (attempt.run, attempt.number) = (outcome.run, outcome.attempt)
LEFT JOIN vcc_journal.run ON run.id = outcome.run LEFT JOIN vcc_journal.scope ON scope.id = attempt.scope
"""
        try:
            found = self._execute(query) if self._has_schema() else []
        except psycopg.Error as exc:
            raise UnreadableError(f"the journal cannot be read: {exc}") from exc
        outcomes = [dict(zip(columns, outcome, strict=True)) for outcome in found]
        return [{**outcome, "provider": outcome["provider"] or None} for outcome in outcomes]

    @contextlib.contextmanager
    def unusable(self, reason):
        """
        Make the journal unusable while the context lasts, and restore it afterwards.

        :param reason: a key of UNUSABLE; "usable" changes nothing
        :return: whether processes may still use the journal
        """
        if reason == "usable":
            yield True
            return
        before, after = UNUSABLE[reason] if self._has_schema() else (None, None)
        self._execute(f"REVOKE CREATE ON DATABASE {self.name} FROM {ROLE}")
        if before:
            self._execute(before)
        try:
            yield False
        finally:
            if after:
                self._execute(after)
            if not self._prepared:
                self._execute(f"GRANT CREATE ON DATABASE {self.name} TO {ROLE}")

    def begin(self, wave):
        """Begin with the faults and events of a wave."""
        self.faults.clear()
        self._player = _Player(wave, self._proxy, self)

    def end(self):
        """Wait for all events, forget the faults that have not happened, and wait for transactions that are under way."""
        player, self._player = self._player, None
        player.finish()
        if self._proxy:
            self._proxy.clear()
        under_way = (
            f"FROM pg_stat_activity WHERE datname = '{self.name}' AND state <> 'idle' AND pid <> pg_backend_pid()"
        )
        # All processes have ended, so a session that waits for its client belongs to a connection that is silent.
        end = f"SELECT pg_terminate_backend(pid) {under_way} AND wait_event = 'ClientRead'"
        poll(
            lambda: not self._server.execute(end) and not self._server.execute(f"SELECT 1 {under_way}"),
            "a transaction goes on",
        )

    # Events of a wave

    def kill(self, seconds, mode):
        """Kill the server, or stop it at once, and start it again after some seconds."""
        if mode == "kill":
            self._server.kill()
        else:
            self._server.stop(mode)
        time.sleep(seconds)
        self._server.start()

    def lock(self, seconds):
        """Let another session hold up all changes of interactions for some seconds."""
        with psycopg.connect(self._server.url(self.name)) as db:
            if db.execute("SELECT to_regclass('vcc_journal.interaction') IS NOT NULL").fetchone()[0]:
                db.execute("LOCK TABLE vcc_journal.interaction IN SHARE MODE")
                time.sleep(seconds)
            else:
                self.faults["database lock"] -= 1

    def silence(self, seconds):
        """Accept everything and forward nothing for some seconds; the connections of that time stay silent."""
        self._proxy.black_hole()
        time.sleep(seconds)
        self._proxy.clear()

    def failover(self):
        """Kill the server, and let the standby take its place."""
        self._server.kill()
        self._standby.promote()
        self._server = self._standby


class _Player(threading.Thread):
    """Plays the database faults of a wave one after another, and its events at their times."""

    def __init__(self, wave, proxy, database):
        super().__init__(daemon=True)
        self._faults = collections.deque(wave.database_faults if proxy else ())
        self._events = collections.deque(sorted(wave.database_events, key=lambda event: event[0]))
        self._proxy = proxy
        self._database = database
        self._over = threading.Event()
        self._error = None
        self._armed = None
        self._begin = time.monotonic()
        self._arm()
        self.start()

    def _arm(self):
        """Arm the next fault once the one before has happened."""
        if self._armed:
            kind, count = self._armed
            if self._proxy.faults == count:
                return
            self._database.faults[f"database {kind}"] += 1
            self._armed = None
        if self._faults:
            kind, details = self._faults.popleft()
            self._armed = (kind, self._proxy.faults)
            getattr(self._proxy, kind)(**details)

    def run(self):
        try:
            while not self._over.is_set():
                self._arm()
                while self._events and time.monotonic() - self._begin >= self._events[0][0]:
                    _seconds, kind, details = self._events.popleft()
                    self._database.faults[f"database {kind}"] += 1
                    getattr(self._database, kind)(**details)
                    if kind == "silence":
                        self._armed = None  # the proxy has forgotten it
                self._over.wait(0.003)
        except Exception as exc:
            self._error = exc

    def stop(self):
        """Play nothing more."""
        self._over.set()
        self.join()

    def finish(self):
        """Stop, and raise the error of an event."""
        self.stop()
        if self._error:
            raise self._error
        if self._proxy:
            self._arm()

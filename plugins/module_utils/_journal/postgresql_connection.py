# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to PostgreSQL that is opened again after a loss, and the messages for its errors."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import random
import re
import socket
import threading
import time
import typing as t

try:
    import psycopg
    from psycopg import conninfo

    PSYCOPG_IMPORT_ERROR: str | None = None
except ImportError:
    import traceback

    PSYCOPG_IMPORT_ERROR = traceback.format_exc()

from .._errors import JournalError
from .._location import is_ambiguous, secrets_of, without_password
from .store import RESTORE_WARNING

# Without a handler, Python prints the warnings of psycopg, such as one of a lost connection that is then replaced.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

# Seconds for which work is repeated after a lost connection, a deadlock or a failover, and while a server starts or is full.
RETRY_SECONDS = 60

# Seconds without an answer after which a connection counts as lost; longer for work on all rows.
ANSWER_TIMEOUT = 60
LONG_ANSWER_TIMEOUT = 600

# The same after the first work that failed for good, so that the task ends without a long wait for each record that is left.
LAST_ANSWER_TIMEOUT = 5

# Seconds for which a statement waits for a lock. It must give up before its connection is ended, because the server would go on and commit it later.
LOCK_TIMEOUT = 50

# Seconds between two checks that a connection has its answer in time.
POLL_SECONDS = 0.1

# Seconds for a connection to each host, unless the URL or the environment says otherwise.
CONNECT_TIMEOUT = 10

# The states of errors that another attempt can avoid: a lost connection, a server that shuts down or starts, a serialization failure, a deadlock,
# and a server that has become a standby. An error without a state is that of a lost connection.
_TRANSIENT = re.compile(r"08...|57P0[1-5]|40001|40P01|25006|25P03|53300")

# The messages of a server, or of its pooler, that will soon have a free connection. Errors of a connection have no state, only a text. A text in another
# language does not match.
_BUSY = re.compile(
    r"database system is (starting up|shutting down|in recovery mode|not yet accepting connections)|terminating connection"
    r"|too many clients already|too many connections for|remaining connection slots|no more connections allowed"
    r"|server login has been failing"
)

# The messages of a host, one of several, that is not the primary, or not yet.
_STANDBY = re.compile(r"session is read-only|server is in hot standby mode")

# The state of an error after a statement has waited too long for a lock.
_LOCKED = "55P03"

# The messages of errors that do not go away with time.
_PERMANENT = re.compile(
    r"authentication failed|no password supplied|not permitted to log in|pg_hba\.conf|(role|database) .* does not exist|permission denied for database"
    r"|not currently accepting connections|unrecognized configuration parameter|invalid value for parameter|certificate|server does not support SSL"
)

# One of several attempts, each to an address of a host, in the error of a connection.
_ATTEMPT = re.compile(r"^- (host: .*?), hostaddr: .*?: ", re.MULTILINE)

_PASSWORD = "check the user of the URL, and its password in the URL, in PGPASSWORD or in the file of PGPASSFILE, which needs mode 0600"

NAME_THE_PRIMARY = "name the primary in the URL, or all hosts with target_session_attrs=read-write"

_RESTORE = f"restore its schema from a backup; {RESTORE_WARNING}"

# The remedies for errors of a connection, by the message of libpq.
_CONNECTING = (
    (r"invalid (port|integer|option|\S+ value)|(invalid|bad) value for", "correct the URL"),
    (
        r"unrecognized configuration parameter",
        "correct the options of the URL, of PGOPTIONS or of the service",
    ),
    (r"invalid response to SSL negotiation", "check the host and the port of the URL"),
    (
        r"no pg_hba\.conf entry",
        "add an entry for the user, the database and this host to pg_hba.conf of the server, or check the user and the database in the URL",
    ),
    (
        r"too many (clients|connections)|connection slots",
        "run fewer tasks at once, or raise max_connections of the server or the connection limit of the role",
    ),
    (r"password|authentication|pg_hba|role .* does not exist|ident", _PASSWORD),
    (r"not permitted to log in", "give LOGIN to the role of the URL, or check the user of the URL"),
    (r"permission denied for database", "grant CONNECT on the database to the role of the URL"),
    (
        r"not currently accepting connections",
        "allow connections to the database again, or check its name in the URL",
    ),
    (r"database .* does not exist", "check its name in the URL, or create it if no task has used it before"),
    (
        r"certificate|SSL|sslmode",
        "check the certificate of the server, sslmode and PGSSLROOTCERT; for a server on another host, sslmode is verify-full unless the URL or PGSSLMODE"
        " says otherwise",
    ),
    (r"read-write|read-only|standby|primary", NAME_THE_PRIMARY),
    (r"service file|definition of service", "check PGSERVICE and the file of PGSERVICEFILE"),
)

# The remedies for errors of a statement, by its state.
_STATEMENTS = {
    "42501": "grant the role of the URL the rights on the schema vcc_journal, as guide_postgresql says",
    "25006": NAME_THE_PRIMARY,
    "42704": "check the names of the roles in grant_to",
    "53100": "free some space on the disk of the server",
    "3F000": _RESTORE,
    "42P01": _RESTORE,
    "57014": "raise statement_timeout of the role of the URL",
    _LOCKED: "end the session that holds the lock, or raise lock_timeout if it is set for the role or the database of the URL",
    "XX001": f"restore the damaged database from a backup; {RESTORE_WARNING}",
    "XX002": "rebuild the index with REINDEX",
}

# The remedy if no server has answered.
_CHECK_SERVER = "check the host and the port of the URL, and see if the server runs and can be reached"

_RUN_AGAIN = "see if the server runs and can be reached, and run the task again: it continues where it stopped"


class Work(t.Protocol):
    """Work with a connection."""

    def __call__(self, db: t.Any, again: bool) -> t.Any:
        """Do the work, and return its result.

        :param db: a connection of psycopg that commits each statement.
        :param again: whether an earlier attempt with a lost answer may have taken effect.
        """


class PostgresqlConnection:
    """A connection to the database of a URL.

    :ivar location: the URL without a password.
    :ivar host: the host of the connection.
    :ivar database: the name of the database.
    Every method raises JournalError.
    """

    def __init__(self, url: str) -> None:
        self.location = without_password(url)
        self._secrets = secrets_of(url)
        self._has_given_up = False
        self._is_connecting = True
        # Whether the server is known to be there. If not, the host or the port may be wrong.
        self._has_been_reached = False
        self._db: t.Any = None
        with self.wrap_errors():
            self._parameters = _parameters(url, self.location)
        self._watchdog = _Watchdog()
        try:
            self.host, self.database = self.run(lambda db, again: (str(db.info.host), str(db.info.dbname)))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._watchdog.close()
        self._disconnect()

    def _disconnect(self) -> None:
        if self._db:
            with contextlib.suppress(psycopg.Error):
                self._db.close()

    def _connect(self) -> None:
        self._is_connecting = True
        self._db = psycopg.connect(**self._parameters, autocommit=True, prepare_threshold=None)
        self._has_been_reached = True

    def run(self, work: Work, timeout: float | None = None) -> t.Any:
        """Return the result of work. Repeat it after transient errors, for at most RETRY_SECONDS seconds.

        :param timeout: seconds after which a server that does not answer counts as lost; None for ANSWER_TIMEOUT.
        """
        again = False
        deadline = None
        pause = 0.05
        with self.wrap_errors():
            while True:
                try:
                    if not self._db or self._db.closed:
                        self._connect()
                    self._is_connecting = False
                    with self._watchdog.watch(self._db, self._limit(timeout or ANSWER_TIMEOUT)):
                        result = work(self._db, again)
                    self._has_given_up = False
                    return result
                except BaseException as exc:
                    # A transaction may be open. If this server has become a standby, a new connection may find the new primary.
                    self._disconnect()
                    # Only the first failure is worth a wait, as in ``LAST_ANSWER_TIMEOUT``.
                    deadline = deadline or time.monotonic() + (0 if self._has_given_up else RETRY_SECONDS)
                    if not isinstance(exc, psycopg.Error) or not self._is_transient(exc):
                        self._has_given_up = self._has_given_up or getattr(exc, "sqlstate", None) == _LOCKED
                        raise
                    if time.monotonic() >= deadline:
                        self._has_given_up = True
                        raise
                # Some transactions of the work may have taken effect.
                again = again or not self._is_connecting
                time.sleep(pause * random.uniform(0.5, 1.5))
                pause = min(pause * 2, 2.0)

    def _limit(self, timeout: float) -> float:
        return min(timeout, LAST_ANSWER_TIMEOUT) if self._has_given_up else timeout

    def _is_transient(self, exc: t.Any) -> bool:
        if exc.sqlstate:
            return bool(_TRANSIENT.fullmatch(exc.sqlstate))
        if not isinstance(exc, (psycopg.OperationalError, psycopg.InterfaceError)):
            return False
        if not self._is_connecting:
            return True
        text = str(exc)
        if not self._has_been_reached:
            is_failing_over = len(_ATTEMPT.findall(text)) > 1 and _STANDBY.search(text)
            self._has_been_reached = bool(_BUSY.search(text) or is_failing_over)
        return self._has_been_reached and not self._is_permanent(text)  # a busy pooler may quote an error of its server

    def _is_permanent(self, text: str) -> bool:
        """Return whether the errors of all hosts are permanent. Older versions of psycopg report only the error of the last host."""
        attempts = _ATTEMPT.split(text)[1:]
        if not attempts:
            return bool(_PERMANENT.search(text)) and not _has_several_hosts(self._parameters)
        hosts: dict[str, str] = {}
        for host, error in zip(attempts[::2], attempts[1::2]):
            hosts[host] = hosts.get(host, "") + error
        return all(map(_PERMANENT.search, hosts.values()))

    @contextlib.contextmanager
    def wrap_errors(self) -> t.Iterator[None]:
        """Turn errors of psycopg into a JournalError with a sentence for the user."""
        try:
            yield
        except (psycopg.Error, UnicodeError, OSError) as exc:
            state = getattr(exc, "sqlstate", None)
            why = self._reason(exc)
            if state:
                remedy = _STATEMENTS.get(state, "look into the log of the server")
            else:
                known = [remedy for pattern, remedy in _CONNECTING if self._is_connecting and re.search(pattern, why)]
                remedy = [*known, _RUN_AGAIN if self._has_been_reached else _CHECK_SERVER][0]
            raise JournalError(f"The journal {self.location} cannot be used ({why}): {remedy}.") from None

    def _reason(self, exc: BaseException) -> str:
        """Return the words of libpq or the server, in one line and without a password."""
        diagnosis = getattr(exc, "diag", None)
        why = " ".join((getattr(diagnosis, "message_primary", None) or str(exc) or type(exc).__name__).split())
        for secret in sorted(self._secrets, key=len, reverse=True):
            why = why.replace(secret, "********")
        return why.rstrip(".")


def pipeline(db: t.Any) -> t.ContextManager[t.Any]:
    """Return a context that sends statements in one round trip, or one by one with a libpq before 14."""
    return t.cast(
        "t.ContextManager[t.Any]", db.pipeline() if psycopg.Pipeline.is_supported() else contextlib.nullcontext()
    )


class _Watchdog:
    """Ends a connection whose peer does not answer in time, because libpq would wait forever.

    One thread checks periodically, because a timer for each round trip would take longer than most round trips.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: tuple[t.Any, float] | None = None
        self._over = threading.Event()
        threading.Thread(target=self._poll, name="vcc-journal-watchdog", daemon=True).start()

    def close(self) -> None:
        """Let the thread end."""
        self._over.set()

    @contextlib.contextmanager
    def watch(self, db: t.Any, timeout: float) -> t.Iterator[None]:
        """Watch a connection within the block, and end it after ``timeout`` seconds. Raises OperationalError then."""
        with self._lock:
            self._watched = db, time.monotonic() + timeout
        try:
            yield
        except psycopg.Error as exc:
            with self._lock:
                has_been_ended = not self._watched
            if exc.sqlstate or not has_been_ended:
                raise
            raise psycopg.OperationalError(f"no answer within {timeout:g} seconds") from None
        finally:
            with self._lock:
                self._watched = None

    def _poll(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            with self._lock:
                if self._watched and time.monotonic() > self._watched[1]:
                    self._end(self._watched[0])
                    self._watched = None

    @staticmethod
    def _end(db: t.Any) -> None:
        with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(db.fileno())) as peer:
            peer.shutdown(socket.SHUT_RDWR)


def _parameters(url: str, location: str) -> dict[str, t.Any]:
    """Return the parameters of a connection. Raises JournalError for a URL that libpq cannot read."""
    parameters: dict[str, t.Any] | None = None
    # If libpq reads only a part of a password, it takes the rest for the name of a host.
    if not is_ambiguous(url):
        with contextlib.suppress(psycopg.Error):  # its message may repeat a part of the password
            parameters = conninfo.conninfo_to_dict(url)
    if parameters is None:
        raise JournalError(
            f"The journal {location} cannot be used (libpq cannot read this URL): write it as postgresql://user@host/database, with %XX for special"
            " characters of a user, a password or a name."
        )
    known = _settings(parameters)
    # The sslmode of a service is "prefer" too if the service sets none.
    is_set = parameters.get("sslmode") or os.environ.get("PGSSLMODE") or known.get("sslmode") != "prefer"
    if not is_set and not _are_local(known.get("host"), known.get("hostaddr")):
        parameters["sslmode"] = "verify-full"
    if not known.get("connect_timeout"):
        parameters["connect_timeout"] = CONNECT_TIMEOUT
    parameters.setdefault("fallback_application_name", "vonage.vcc")
    parameters["client_encoding"] = "utf8"
    return parameters


def _settings(parameters: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return the settings of a connection with these parameters. Others come from a service, the environment or libpq itself."""
    # An invalid value keeps libpq from connecting, and a password keeps it from looking for one in a file.
    refused = {**parameters, "password": "-", "target_session_attrs": "-"}
    connection = psycopg.pq.PGconn.connect_start(conninfo.make_conninfo(**refused).encode())
    try:
        return {each.keyword.decode(): each.val.decode(errors="replace") for each in connection.info if each.val}
    finally:
        connection.finish()


def _has_several_hosts(parameters: t.Mapping[str, t.Any]) -> bool:
    known = _settings(parameters)
    return any("," in known.get(name, "") for name in ("host", "hostaddr"))


def _are_local(hosts: t.Any, addresses: t.Any) -> bool:
    """Return whether all hosts are sockets or the loopback. Without a host, libpq uses the socket of this host."""
    return all(map(_is_local, str(addresses or hosts or "").split(",")))


def _is_local(host: str) -> bool:
    if not host or host == "localhost" or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

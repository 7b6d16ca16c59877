# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attempts of a call: each ends in time, knows whether its request was sent, and takes only a whole final answer.

``requests`` and urllib3 do the work. What they leave open is decided here, through the hooks of ``http.client``.
"""

from __future__ import annotations

import functools
import http.client
import io
import os
import ssl
import threading
import typing as t
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from .._errors import InputError

try:
    import requests
    from urllib3 import disable_warnings

    REQUESTS_IMPORT_ERROR: str | None = None
except ImportError:
    import traceback

    REQUESTS_IMPORT_ERROR = traceback.format_exc()

Result = t.TypeVar("Result")

# An answer to a request that did not ask for it: what follows is no HTTP.
SWITCHING_PROTOCOLS = 101

# Where the certificate authorities are, in the order in which requests looks.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class OverdueError(Exception):
    """An attempt has used up its time, and is given up."""


class Attempt:
    """One request and its answer, in a thread of its own: the caller waits no longer than it wants, whatever the peer does.

    C(sent) is true from the moment at which a byte of the request may leave on a connection that stands, its tunnel and TLS included. An attempt that
    is given up before that never sends.
    """

    _current = threading.local()

    def __init__(self) -> None:
        self.sent = False
        self._given_up = False
        self._lock = threading.Lock()

    def run(self, act: t.Callable[[], Result], seconds: float) -> Result:
        """Return what C(act) returns, or raise what it raises; raise OverdueError after so many seconds."""
        outcome: list[tuple[Result | None, BaseException | None]] = []
        ended = threading.Event()

        def work() -> None:
            Attempt._current.attempt = self
            try:
                outcome.append((act(), None))
            except BaseException as exc:
                outcome.append((None, exc))
            ended.set()

        # As a daemon it holds up neither Ctrl+C nor the end of the process.
        threading.Thread(target=work, name="vcc-attempt", daemon=True).start()
        if not ended.wait(min(max(0.0, seconds), threading.TIMEOUT_MAX)):
            with self._lock:
                self._given_up = True
            raise OverdueError
        ((result, exc),) = outcome
        if exc is not None:
            raise exc
        return t.cast(Result, result)

    @classmethod
    def go_on(cls) -> None:
        """Raise OverdueError if the attempt of this thread is given up."""
        attempt = getattr(cls._current, "attempt", None)
        if attempt and attempt._given_up:
            raise OverdueError

    @classmethod
    def begin_to_send(cls) -> None:
        """Note that the request of this thread's attempt leaves from now on. Raises OverdueError if it must not any more."""
        attempt = getattr(cls._current, "attempt", None)
        if attempt:
            with attempt._lock:
                cls.go_on()
                attempt.sent = True


class _Received(io.RawIOBase):
    """What a socket receives, for as long as the attempt is not given up."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int | None:
        Attempt.go_on()
        received: int | None = self._raw.readinto(buffer)
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()


class _WholeLines(io.BufferedReader):
    """Lines with their ends: one that the end of the stream cuts off is none."""

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and (size is None or size < 0 or len(line) < size):
            raise http.client.RemoteDisconnected("The connection was cut within the head of an answer")
        return line


class _FinalResponse(http.client.HTTPResponse):
    """The answer behind all interim ones, of which http.client takes some for final, and with a head that is not cut off."""

    def __init__(self, sock: t.Any, *arguments: t.Any, **others: t.Any) -> None:
        super().__init__(sock, *arguments, **others)
        self.fp = _WholeLines(_Received(self.fp.detach()))

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status == SWITCHING_PROTOCOLS:
                raise http.client.BadStatusLine(str(status))
            if status >= 200:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _Connection:
    """To be mixed into urllib3's connections: knows the request itself from what it takes to connect."""

    response_class = _FinalResponse
    _connecting = False

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._connecting = False

    def send(self, data: t.Any) -> None:
        if not self._connecting:
            if self.sock is None:  # type: ignore[attr-defined]
                self.connect()
            Attempt.begin_to_send()
        super().send(data)  # type: ignore[misc]


@functools.lru_cache(None)
def _with_own_connections(pool: type) -> type:
    connection = type("Connection", (_Connection, pool.ConnectionCls), {})  # type: ignore[attr-defined]
    return type("ConnectionPool", (pool,), {"ConnectionCls": connection})


def _equip(manager: t.Any) -> t.Any:
    own = {
        scheme: pool if issubclass(pool.ConnectionCls, _Connection) else _with_own_connections(pool)
        for scheme, pool in manager.pool_classes_by_scheme.items()
    }
    manager.pool_classes_by_scheme = own
    return manager


if not REQUESTS_IMPORT_ERROR:

    class _Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *arguments: t.Any, **others: t.Any) -> None:
            super().init_poolmanager(*arguments, **others)
            _equip(self.poolmanager)

        def proxy_manager_for(self, *arguments: t.Any, **others: t.Any) -> t.Any:
            return _equip(super().proxy_manager_for(*arguments, **others))

    class _Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> None:
            """No redirect is followed, so none is looked at: requests would read its body and parse its address."""


def new_session(connections: int) -> requests.Session:
    """Return a session that takes nothing from its surroundings by itself (proxies, certificates, netrc).

    On macOS, requests would ask the system for its proxies, which kills a forked process.

    :arg connections: how many are kept open.
    """
    disable_warnings()  # the results say it themselves where certificates are not verified
    session = _Session()
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(pool_maxsize=connections))
    return session


def proxies_for(session: requests.Session, url: str) -> dict[str, str]:
    """Return the proxies of the environment for C(url), in the form that requests takes. Raises InputError for one that cannot be used."""
    proxies = getproxies_environment()
    # Without any in the environment, this would ask the system.
    if not proxies or requests.utils.should_bypass_proxies(url, no_proxy=None):
        return {}
    proxy = requests.utils.select_proxy(url, proxies)
    problem = _problem_of(session, url, proxy) if proxy else ""
    if problem:
        names = [name for name in os.environ if name.lower().endswith("_proxy") and os.environ[name] == proxy]
        raise InputError(
            f"The proxy of the environment variable {' and '.join(sorted(names))} cannot be used ({problem}): set it to a URL such as"
            " http://proxy.example:3128, or unset it, on the host that makes the calls."
        )
    return proxies


def _problem_of(session: t.Any, url: str, proxy: str) -> str:
    """What keeps a proxy from being used, without its text, which may hold a password; empty if nothing does."""
    try:
        if not urlsplit(proxy if "://" in proxy else f"http://{proxy}").hostname:
            return "it has no host"
        # All that goes before a connection.
        utils: t.Any = requests.utils
        session.get_adapter(url).proxy_manager_for(utils.prepend_scheme_if_needed(proxy, "http"))
    except requests.exceptions.InvalidSchema:
        return "SOCKS needs the Python library PySocks"
    except Exception:
        return "it is no URL of a proxy"
    return ""


def authorities(verify: bool | str) -> bool | str:
    """Return what requests is to trust: C(verify), or for True what the environment names instead, if anything. Raises InputError."""
    name = ""
    if verify is True:
        name = next((one for one in CA_VARIABLES if os.environ.get(one)), "")
        verify = os.environ[name] if name else True
    if isinstance(verify, bool):
        return verify
    try:
        if not os.path.isdir(verify):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(verify)
    except (OSError, ValueError) as exc:
        problem: dict[type, str] = {
            ssl.SSLError: "has no certificate in PEM format",
            FileNotFoundError: "does not exist",
        }
        option = f"The environment variable {name} names {verify}, which" if name else f"ca_path {verify}"
        raise InputError(
            f"{option} {problem.get(type(exc), 'cannot be read')} on the host that makes the calls: name a file of certificate authorities."
        ) from None
    return verify

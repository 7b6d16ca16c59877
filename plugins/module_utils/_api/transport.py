# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP session: complete final responses, proxies and certificate authorities.

``requests`` and urllib3 do the work. This module closes their gaps with subclasses of urllib3's and ``http.client``'s classes.
"""

from __future__ import annotations

import functools
import http.client
import io
import os
import ssl
import typing as t
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from .._errors import InputError
from .attempt import Attempt

try:
    import requests
    from urllib3 import disable_warnings

    REQUESTS_IMPORT_ERROR: str | None = None
except ImportError:
    import traceback

    REQUESTS_IMPORT_ERROR = traceback.format_exc()

# No request asks to switch protocols, and no HTTP response follows that status.
SWITCHING_PROTOCOLS = 101

# The environment variables for certificate authorities, in the order of requests.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class _SocketReader(io.RawIOBase):
    """Reads from a socket until the attempt is abandoned.

    :param raw: the stream of the socket.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw

    def readable(self) -> bool:
        """Return that this stream can be read."""
        return True

    def readinto(self, buffer: t.Any) -> int | None:
        """Read bytes into ``buffer``, and return their number. Raises DeadlineExceededError and OSError."""
        Attempt.check_not_abandoned()
        received: int | None = self._raw.readinto(buffer)
        return received

    def close(self) -> None:
        """Close the stream of the socket too."""
        self._raw.close()
        super().close()


class _LineReader(io.BufferedReader):
    """Returns complete lines only, because http.client accepts a status line or header that is cut off."""

    def readline(self, size: int | None = -1) -> bytes:
        """Return the next line, at most ``size`` bytes of it. Raises RemoteDisconnected if the end of the stream cuts it off."""
        line = super().readline(size)
        if not line.endswith(b"\n") and (size is None or size < 0 or len(line) < size):
            raise http.client.RemoteDisconnected("The connection was cut within the head of an answer")
        return line


class _FinalResponse(http.client.HTTPResponse):
    """The final response, with a complete head. http.client takes some interim responses for final ones."""

    def __init__(self, sock: t.Any, *arguments: t.Any, **others: t.Any) -> None:
        super().__init__(sock, *arguments, **others)
        self.fp = _LineReader(_SocketReader(self.fp.detach()))

    def _read_status(self) -> tuple[str, int, str]:
        """Skip interim responses; return the version, status and reason of the final one. Raises BadStatusLine for 101."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status == SWITCHING_PROTOCOLS:
                raise http.client.BadStatusLine(str(status))
            if status >= 200:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _ConnectionMixin:
    """A mixin for urllib3's connections: marks a request as sent, but not the bytes that establish its connection."""

    response_class = _FinalResponse
    _connecting = False

    def connect(self) -> None:
        """Establish the connection, with the tunnel of a proxy and TLS. Raises exceptions of urllib3."""
        self._connecting = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._connecting = False

    def send(self, data: t.Any) -> None:
        """Send bytes of a request, or of the establishment of its connection. Raises DeadlineExceededError and exceptions of urllib3."""
        if not self._connecting:
            if self.sock is None:  # type: ignore[attr-defined]
                self.connect()
            Attempt.mark_sent()
        super().send(data)  # type: ignore[misc]


@functools.lru_cache(None)
def _extend_pool(pool_class: type) -> type:
    """Return a subclass of one of urllib3's pools whose connections have the mixin."""
    connection_class = type("Connection", (_ConnectionMixin, pool_class.ConnectionCls), {})  # type: ignore[attr-defined]
    return type("ConnectionPool", (pool_class,), {"ConnectionCls": connection_class})


def _extend_manager(manager: t.Any) -> t.Any:
    """Let one of urllib3's pool managers create connections with the mixin, and return it."""
    manager.pool_classes_by_scheme = {
        scheme: pool_class if issubclass(pool_class.ConnectionCls, _ConnectionMixin) else _extend_pool(pool_class)
        for scheme, pool_class in manager.pool_classes_by_scheme.items()
    }
    return manager


if not REQUESTS_IMPORT_ERROR:

    class _Adapter(requests.adapters.HTTPAdapter):
        """An adapter whose connections have the mixin, with and without a proxy."""

        def init_poolmanager(self, *arguments: t.Any, **others: t.Any) -> None:
            """Create the pool manager for connections without a proxy."""
            super().init_poolmanager(*arguments, **others)
            _extend_manager(self.poolmanager)

        def proxy_manager_for(self, *arguments: t.Any, **others: t.Any) -> t.Any:
            """Return the pool manager for a proxy."""
            return _extend_manager(super().proxy_manager_for(*arguments, **others))

    class _Session(requests.Session):
        """A session that ignores the address of a redirect."""

        def get_redirect_target(self, resp: requests.Response) -> None:
            """Return no address, because requests reads the body of a redirect and parses its address even if it does not follow it."""


def create_session(max_connections: int) -> requests.Session:
    """Return a session that takes no proxies, certificates or netrc entries from its environment by itself.

    On macOS, requests would ask the system for proxies, which kills a forked process.

    :param max_connections: the number of connections to keep open.
    """
    disable_warnings()  # the result of a task warns if certificates are not verified
    session = _Session()
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(pool_maxsize=max_connections))
    return session


def find_proxies(session: requests.Session, url: str) -> dict[str, str]:
    """Return the proxies that the environment names for ``url``, by scheme. Raises InputError for a proxy that cannot be used."""
    proxies = getproxies_environment()
    # If the environment has no proxies, should_bypass_proxies would ask the system.
    if not proxies or requests.utils.should_bypass_proxies(url, no_proxy=None):
        return {}
    proxy = requests.utils.select_proxy(url, proxies)
    problem = _proxy_problem(session, url, proxy) if proxy else ""
    if problem:
        names = [name for name in os.environ if name.lower().endswith("_proxy") and os.environ[name] == proxy]
        raise InputError(
            f"The proxy of the environment variable {' and '.join(sorted(names))} cannot be used ({problem}): set it to a URL such as"
            " http://proxy.example:3128, or unset it, on the host that makes the calls."
        )
    return proxies


def _proxy_problem(session: t.Any, url: str, proxy: str) -> str:
    """Return why a proxy cannot be used, without its URL, which may have a password; an empty string if it can be used."""
    try:
        if not urlsplit(proxy if "://" in proxy else f"http://{proxy}").hostname:
            return "it has no host"
        # Do everything that requests does before it connects.
        utils: t.Any = requests.utils
        session.get_adapter(url).proxy_manager_for(utils.prepend_scheme_if_needed(proxy, "http"))
    except requests.exceptions.InvalidSchema:
        return "SOCKS needs the Python library PySocks"
    except Exception:
        return "it is not the URL of a proxy"
    return ""


def resolve_verify(verify: bool | str) -> bool | str:
    """Return the ``verify`` argument for requests: for True, the path in the environment, if it names one.

    :param verify: whether to verify certificates, or the path of a file of certificate authorities.

    Raises InputError for a path without readable certificates.
    """
    variable = ""
    if verify is True:
        variable = next((name for name in CA_VARIABLES if os.environ.get(name)), "")
        verify = os.environ[variable] if variable else True
    if isinstance(verify, bool):
        return verify
    try:
        if not os.path.isdir(verify):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(verify)
    except (OSError, ValueError) as exc:
        problems: dict[type, str] = {
            ssl.SSLError: "has no certificate in PEM format",
            FileNotFoundError: "does not exist",
        }
        option = f"The environment variable {variable} names {verify}, which" if variable else f"ca_path {verify}"
        raise InputError(
            f"{option} {problems.get(type(exc), 'cannot be read')} on the host that makes the calls: name a file of certificate authorities."
        ) from None
    return verify

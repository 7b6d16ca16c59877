# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proxy in front of the PostgreSQL server of the tests: its faults, its delays and its counts."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time

import pytest

from ansible_collections.vonage.vcc.tests.postgresql import programs

psycopg = pytest.importorskip("psycopg")

from ansible_collections.vonage.vcc.tests.postgresql.messages import ClientMessages, ServerMessages
from ansible_collections.vonage.vcc.tests.postgresql.proxy import Delivery, Proxy

SHORT = 0.1  # seconds in which an answer comes that nothing holds back


@pytest.fixture
def database(postgresql_url, postgresql_server):
    """The name of a database with the table ``numbers``."""
    name = postgresql_url.rpartition("/")[2].partition("?")[0]
    postgresql_server.execute("CREATE TABLE numbers (number int)", database=name)
    return name


@pytest.fixture
def proxy(postgresql_server):
    with Proxy(postgresql_server) as proxy:
        yield proxy


@pytest.fixture
def connect(proxy, database):
    """Connects through the proxy."""
    opened = []

    def make(**others):
        opened.append(psycopg.connect(proxy.url(database), **others))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def numbers(postgresql_server, database):
    """Returns the content of the table."""
    return lambda: [number for (number,) in postgresql_server.execute("TABLE numbers ORDER BY 1", database=database)]


def has_answer(connection):
    return bool(select.select([connection], [], [], SHORT)[0])


class TestCut:
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_cut_at_commit(self, proxy, connect, numbers, when):
        """A transaction has three requests: BEGIN, INSERT and COMMIT."""
        connection = connect()
        proxy.cut(3, when)
        connection.execute("INSERT INTO numbers VALUES (%s)", [1])
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
        assert (proxy.faults, proxy.connections, proxy.requests) == (1, 1, 3)
        programs.poll(lambda: numbers() == ([1] if when == "after" else []), "no end of the transaction")
        assert connect().execute("SELECT 1").fetchall() == [(1,)]

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_pipeline_is_one_request(self, proxy, connect, numbers, when):
        connection = connect(autocommit=True)
        proxy.cut(2, when)
        with connection.pipeline():
            connection.execute("INSERT INTO numbers VALUES (1)")
            connection.execute("INSERT INTO numbers VALUES (2)")
        with contextlib.ExitStack() as stack:
            stack.enter_context(pytest.raises(psycopg.OperationalError))
            stack.enter_context(connection.pipeline())
            connection.execute("INSERT INTO numbers VALUES (3)")
            connection.execute("INSERT INTO numbers VALUES (4)")
        assert proxy.requests == 2
        assert numbers() == ([1, 2, 3, 4] if when == "after" else [1, 2])

    def test_counts_requests_of_all_connections(self, proxy, connect):
        first, second = connect(autocommit=True), connect(autocommit=True)
        proxy.cut(2)
        first.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError):
            second.execute("SELECT 1")
        first.execute("SELECT 1")
        assert (proxy.connections, proxy.requests, proxy.faults) == (2, 3, 1)

    @pytest.mark.parametrize("sender", ["client", "server"])
    def test_cut_during_login(self, proxy, connect, sender):
        proxy.cut_bytes(10, sender)
        with pytest.raises(psycopg.OperationalError):
            connect()
        connect()
        assert (proxy.connections, proxy.faults) == (2, 1)

    def test_cut_within_long_answer(self, proxy, connect):
        connection = connect()
        proxy.cut_bytes(100_000)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT repeat('x', 1000000)")

    def test_clear_forgets_fault(self, proxy, connect):
        proxy.cut()
        proxy.clear()
        connect().execute("SELECT 1")
        assert proxy.faults == 0


class TestBlackHole:
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_connection_of_one_request_is_silent(self, proxy, connect, numbers, when):
        connection = connect(autocommit=True)
        proxy.black_hole(1, when)
        connection.pgconn.send_query(b"INSERT INTO numbers VALUES (1)")
        programs.poll(lambda: proxy.faults, "no fault")
        assert not has_answer(connection)
        assert numbers() == ([1] if when == "after" else [])
        assert connect().execute("SELECT 1").fetchall() == [(1,)]

    def test_all_connections_are_silent(self, proxy, connect):
        connection = connect(autocommit=True)
        proxy.black_hole()
        connection.pgconn.send_query(b"SELECT 1")
        with socket.create_connection(("127.0.0.1", proxy.port)) as other:
            other.sendall(struct.pack("!II", 8, 80877103))
            assert not has_answer(other)
        assert not has_answer(connection)
        proxy.clear()
        assert connect().execute("SELECT 1").fetchall() == [(1,)]

    def test_connection_is_silent_when_server_ends(self, proxy, connect, postgresql_server):
        connection = connect(autocommit=True)
        proxy.black_hole()
        postgresql_server.restart()
        assert not has_answer(connection)


class TestDelay:
    @pytest.fixture
    def proxy(self, postgresql_server):
        with Proxy(postgresql_server, delay=0.02) as proxy:
            yield proxy

    def test_round_trip_is_delayed_twice(self, connect):
        connection = connect(autocommit=True)
        begun = time.monotonic()
        connection.execute("SELECT 1")
        assert time.monotonic() - begun >= 0.0395

    def test_delay_is_same_for_many_bytes(self):
        """One after the other, these pieces would take 100 s."""
        threads = []
        sender, receiver = socket.socketpair()
        with sender, receiver:
            delivery = Delivery(sender, 0.5, threads.append)
            begun = time.monotonic()
            for dummy in range(200):
                delivery.send(b"x")
            delivery.send(None)
            threads[0]()
            assert receiver.recv(1000) == b"x" * 200
            assert receiver.recv(1000) == b""
            assert 0.499 <= time.monotonic() - begun < 50

    def test_cut_comes_after_delayed_answer(self, proxy, connect):
        connection = connect(autocommit=True)
        proxy.cut(2, "after")
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 2")


class TestPassing:
    def test_many_bytes_pass_both_ways(self, connect):
        text = "x" * 3_000_000
        assert connect().execute("SELECT %s", [text]).fetchone() == (text,)

    def test_new_connections_reach_restarted_server(self, proxy, connect, postgresql_server):
        connection = connect()
        postgresql_server.stop()
        for act in (lambda: connection.execute("SELECT 1"), connect):
            with pytest.raises(psycopg.OperationalError):
                act()
        postgresql_server.start()
        connect().execute("SELECT 1")

    def test_tls_passes(self, postgresql_server):
        role = postgresql_server.create_role("by proxy", "secret")
        with Proxy(postgresql_server, tcp=True) as proxy:
            with psycopg.connect(proxy.url(user=role, password="secret")) as connection:
                assert connection.pgconn.ssl_in_use
                proxy.cut_bytes(1, "client")
                with pytest.raises(psycopg.OperationalError):
                    connection.execute("SELECT 1")
            assert (proxy.faults, proxy.requests) == (1, 0)
        postgresql_server.execute('DROP ROLE "by proxy"')

    def test_proxy_leads_to_pgbouncer(self, pgbouncer):
        with Proxy(pgbouncer) as proxy:
            with psycopg.connect(proxy.url()) as connection:
                assert connection.execute("SELECT 1").fetchall() == [(1,)]
            assert proxy.requests == 3


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_messages_may_come_in_any_pieces(size):
    client = [
        ("", struct.pack("!II", 8, 80877103)),
        ("", struct.pack("!IHH", 14, 3, 0) + b"user\0\0"),
        ("Q", b"Q" + struct.pack("!I", 7) + b"a;\0"),
        ("X", b"X" + struct.pack("!I", 4)),
    ]
    server = [("", b"N"), ("R", b"R" + struct.pack("!II", 8, 0)), ("Z", b"Z" + struct.pack("!I", 5) + b"I")]
    requests = ClientMessages()
    for splitter, expected in ((requests, client), (ServerMessages(requests), server)):
        data = b"".join(message for dummy, message in expected)
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        assert [message for piece in pieces for message in splitter.split(piece)] == expected

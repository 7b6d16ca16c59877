# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retries, the time limit of a call, the rate limit, and whether VCC may have processed a failed call."""

from __future__ import annotations

import contextlib
import email.utils
import random
import socket
import time

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._api.client import Client
from ansible_collections.vonage.vcc.plugins.module_utils._errors import NoResponseError
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Clock
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._api.helpers import (
    LASTING,
    PASSING,
    described,
    failure,
    release_body,
    serving,
)


class TestRetry:
    @pytest.mark.parametrize("fault", PASSING, ids=described)
    def test_retry_sends_same_body(self, sim, make_client, fault):
        sim.fault(**fault)
        client = make_client(retries=1)
        client.invoke(release_body("ä", "b"))
        assert client.calls == 2
        assert sim.bodies() == [release_body("ä", "b")] * 2
        assert sim.released == ["ä", "b"]

    @pytest.mark.parametrize("fault", PASSING, ids=described)
    def test_retries_limit_attempts(self, sim, make_client, fault):
        if fault["kind"] == "hold":
            sim.fault("latency", times=None, seconds=0.5)
        else:
            sim.fault(times=None, **fault)
        client = make_client(retries=2)
        exc = failure(client.invoke, release_body(), kind=NoResponseError)
        assert client.calls == len(sim.calls) == 3
        assert sim.url in str(exc)
        assert str(exc).endswith(": run the task again later.")

    @pytest.mark.parametrize("fault", PASSING, ids=described)
    def test_zero_retries_allow_one_attempt(self, sim, make_client, clock, fault):
        sim.fault(**fault)
        failure(make_client(retries=0).invoke, release_body(), kind=NoResponseError)
        assert len(sim.calls) == 1
        assert clock.slept == []

    @pytest.mark.parametrize("fault", LASTING, ids=described)
    def test_lasting_fault_is_not_retried(self, sim, make_client, clock, fault):
        sim.fault(**fault)
        failure(make_client(retries=5).invoke, release_body())
        assert len(sim.calls) == 1
        assert clock.slept == []

    def test_different_faults_are_retried(self, sim, make_client):
        faults = [fault for fault in PASSING if fault["kind"] != "hold"]
        for fault in faults:
            sim.fault(**fault)
        client = make_client(retries=len(faults), timeout=30)
        client.invoke(release_body())
        assert client.calls == len(faults) + 1
        assert sim.released == ["a"]
        assert len(set(sim.bodies())) == 1

    def test_refused_connection_is_retried(self, make_client, clock, closed_port):
        exc = failure(
            make_client(url=f"http://127.0.0.1:{closed_port}", retries=3).invoke, release_body(), kind=NoResponseError
        )
        assert "gave no answer (no connection)" in str(exc)
        assert len(clock.slept) == 3


class TestDelay:
    @pytest.mark.parametrize("status", [429, 503])
    def test_delay_follows_retry_after_in_seconds(self, sim, make_client, clock, status):
        sim.fault("status", status=status, retry_after=7)
        make_client(retries=1).invoke(release_body())
        assert clock.slept == [7]

    @pytest.mark.parametrize("status", [429, 503])
    def test_delay_follows_retry_after_date(self, sim, make_client, clock, status):
        sim.fault("status", status=status, retry_after=email.utils.formatdate(time.time() + 50, usegmt=True))
        make_client(retries=1).invoke(release_body())
        (slept,) = clock.slept
        assert 40 < slept <= 50

    @pytest.mark.parametrize("value", ["0", "Sun, 06 Nov 1994 08:49:37 GMT"])
    def test_past_retry_after_means_no_delay(self, sim, make_client, clock, value):
        sim.fault("status", status=429, retry_after=value)
        make_client(retries=1).invoke(release_body())
        assert clock.slept == [0]

    @pytest.mark.parametrize("value", [None, "soon", "-5", "1e3", "Sun, 99 Nov 1994", ""])
    def test_delays_double_without_valid_retry_after(self, sim, make_client, clock, monkeypatch, value):
        monkeypatch.setattr(random, "uniform", lambda low, high: low)
        sim.fault("status", times=None, status=429, retry_after=value)
        failure(make_client(retries=5, timeout=30).invoke, release_body())
        first, *later = clock.slept
        assert len(later) == 4
        assert first <= later[0]
        assert later[0] > 0
        assert all(after >= 2 * before for before, after in zip(later, later[1:]))

    def test_delays_have_jitter(self, sim, make_client, clock):
        sim.fault("status", times=None, status=503)
        waits = []
        for dummy in range(3):
            failure(make_client(retries=3, timeout=30).invoke, release_body())
            waits.append(tuple(clock.slept))
            clock.slept.clear()
        assert len(set(waits)) == 3
        for same in zip(*waits):
            assert max(same) - min(same) <= 1

    def test_delay_beyond_time_limit_ends_call(self, sim, make_client, clock):
        sim.fault("status", status=429, retry_after=3600)
        exc = failure(make_client(retries=5, timeout=30).invoke, release_body(), kind=NoResponseError)
        assert "429 and asks to wait 3600 s" in str(exc)
        assert clock.slept == []

    @pytest.mark.parametrize("retry_after", ["9" * 30, "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
    def test_huge_retry_after_ends_call(self, sim, make_client, clock, retry_after):
        sim.fault("status", status=503, retry_after=retry_after)
        failure(make_client(retries=5, timeout=30).invoke, release_body(), kind=NoResponseError)
        assert clock.slept == []

    @pytest.mark.parametrize(("asked", "slept"), [(7, 7), (3600, 60)])
    def test_last_429_of_call_delays_next_call(self, sim, make_client, clock, asked, slept):
        sim.fault("status", status=429, retry_after=asked)
        client = make_client(retries=0)
        failure(client.invoke, release_body(), kind=NoResponseError)
        assert clock.slept == []
        client.invoke(release_body())
        assert clock.slept == [slept]

    def test_delays_together_respect_time_limit(self, sim, make_client, clock):
        """The time limit is (5 + 1) x 30 + 60 seconds."""
        sim.fault("status", times=None, status=429, retry_after=100)
        failure(make_client(retries=5, timeout=30).invoke, release_body(), kind=NoResponseError)
        assert clock.slept == [100, 100]

    def test_attempts_count_towards_time_limit(self, sim, make_client, clock):
        sim.fault("status", times=None, status=429, retry_after=10)

        class Slow(Clock):
            def __call__(self):
                self.now += 20
                return self.now

        slow = Slow()
        failure(
            make_client(retries=20, timeout=5, sleep=slow.sleep, clock=slow).invoke,
            release_body(),
            kind=NoResponseError,
        )
        assert 2 <= len(slow.slept) < 10

    def test_slow_body_is_accepted(self, sim, make_client):
        sim.fault("trickle", seconds=0.01)
        make_client(retries=0).invoke(release_body())
        assert sim.released == ["a"]


class TestRateLimiter:
    def test_requests_are_spaced_evenly(self, make_client, clock):
        client = make_client(requests_per_minute=30)
        for dummy in range(4):
            client.invoke(release_body())
        assert clock.slept == [2, 2, 2]

    def test_token_requests_and_retries_count(self, sim, make_http, make_auth, clock):
        sim.fault("status", status=429, retry_after=0)
        http = make_http(retries=1, requests_per_minute=60)
        Client(http, make_auth(http), sim.url).invoke(release_body())
        assert len(sim.calls) == 3
        assert sum(clock.slept) == 2

    def test_pause_allows_no_burst(self, make_client, clock):
        client = make_client(requests_per_minute=30)
        client.invoke(release_body())
        clock.now += 1000
        for dummy in range(3):
            client.invoke(release_body())
        assert clock.slept == [2, 2]

    def test_requests_without_limit_have_no_delay(self, make_client, clock):
        client = make_client()
        for dummy in range(4):
            client.invoke(release_body())
        assert clock.slept == []

    def test_waiting_request_respects_429_of_other_call(self, sim, clock, make_http):
        waits = []

        def sleep(seconds):
            if not waits:
                http.limiter.hold_back(30)  # as the thread of another call does
            waits.append(seconds)
            clock.sleep(seconds)

        http = make_http(requests_per_minute=60, sleep=sleep)
        for dummy in range(2):
            http.send("GET", sim.url + "/nothing", "VCC at")
        assert waits == pytest.approx([1, 29])

    def test_429_of_other_calls_counts_towards_time_limit(self, sim, make_http):
        held = [60.0] * 3

        def sleep(seconds):
            clock.sleep(seconds)
            if held:
                http.limiter.hold_back(held.pop())  # as the thread of another call does

        clock = Clock()
        http = make_http(timeout=1, sleep=sleep, clock=clock)
        http.limiter.hold_back(30)
        with pytest.raises(NoResponseError, match="keeps answering other calls with status 429"):
            http.send("POST", sim.url + "/interactions/Invoke", "VCC at", body=b"{}")
        assert sim.calls == []


class TestMaybeProcessed:
    """Whether VCC may have processed a call that failed."""

    @pytest.mark.parametrize(
        ("faults", "maybe_processed"),
        [
            ([{"kind": "status", "status": 429}], False),
            ([{"kind": "status", "status": 429}] * 2, False),
            ([{"kind": "status", "status": 400}], False),
            ([{"kind": "status", "status": 403}], False),
            ([{"kind": "status", "status": 404}], False),
            ([{"kind": "too_large"}], False),
            ([{"kind": "expired"}, {"kind": "expired"}], False),
            ([{"kind": "status", "status": 429}, {"kind": "status", "status": 400}], False),
            ([{"kind": "status", "status": 500}], True),
            ([{"kind": "status", "status": 502}], True),
            ([{"kind": "status", "status": 503}], True),
            ([{"kind": "status", "status": 504}], True),
            ([{"kind": "cut", "when": "before"}], True),
            ([{"kind": "cut", "when": "after"}], True),
            ([{"kind": "hold"}], True),
            ([{"kind": "redirect"}], True),
            ([{"kind": "html"}], True),
            ([{"kind": "cut", "when": "after"}, {"kind": "status", "status": 429}], True),
            ([{"kind": "cut", "when": "after"}, {"kind": "status", "status": 400}], True),
            ([{"kind": "hold"}, {"kind": "status", "status": 403}], True),
            ([{"kind": "status", "status": 503}, {"kind": "status", "status": 404}], True),
        ],
        ids=lambda value: "+".join(map(described, value)) if isinstance(value, list) else None,
    )
    def test_faults_determine_maybe_processed(self, sim, make_client, faults, maybe_processed):
        for fault in faults:
            sim.fault(**fault)
        exc = failure(make_client(retries=len(faults) - 1).invoke, release_body())
        assert exc.maybe_processed is maybe_processed

    def test_refused_connection_is_not_processed(self, make_client, closed_port):
        assert not failure(
            make_client(url=f"http://127.0.0.1:{closed_port}").invoke, release_body(), kind=NoResponseError
        ).maybe_processed

    def test_connection_timeout_is_not_processed(self, make_client):
        with socket.socket() as full, contextlib.ExitStack() as stack:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for dummy in range(8):  # enough to fill the queue of pending connections
                other = stack.enter_context(socket.socket())
                other.setblocking(False)
                other.connect_ex(full.getsockname())
            exc = failure(
                make_client(url=f"http://127.0.0.1:{full.getsockname()[1]}").invoke,
                release_body(),
                kind=NoResponseError,
            )
        assert "the connection timed out" in str(exc)
        assert not exc.maybe_processed

    def test_truncated_response_may_be_processed(self, sim, make_client):
        def respond(connection):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

        with serving(respond) as port:
            exc = failure(make_client(url=f"http://127.0.0.1:{port}").invoke, release_body(), kind=NoResponseError)
        assert exc.maybe_processed

    @pytest.mark.parametrize("response", [b"SSH-2.0-x\r\n", b"HTTP/1.1 999999\r\n\r\n", b"\xff" * 70000])
    def test_response_without_http_may_be_processed(self, make_client, response):
        def respond(connection):
            connection.recv(65536)
            connection.sendall(response)

        with serving(respond) as port:
            exc = failure(make_client(url=f"http://127.0.0.1:{port}").invoke, release_body(), kind=NoResponseError)
        assert exc.maybe_processed

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls in flight: their number, their order and their threads. The result is that of one call at a time."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._api.client import Client
from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    TIMEOUT,
    background,
    column,
    engine,
    journal_rows,
    summary,
    task_of,
    validated,
)

# About ninety fit into one call, so these need ten calls.
IDS = [f"{number:05d}{'x' * 1000}" for number in range(900)]


def wait_until(look):
    deadline = time.monotonic() + TIMEOUT
    while not look():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


def threads_of_calls():
    return [thread for thread in threading.enumerate() if thread.name == "vcc-call"]


class TestThreads:
    """The threads of the sender. Its calls are replaced, so that a test decides when each ends."""

    @pytest.fixture
    def calls(self, monkeypatch):
        """Return the calls, each of which waits until the gate is open."""
        calls = Calls()
        monkeypatch.setattr(Client, "invoke", lambda client, body, on_request: calls.make(body))
        yield calls
        calls.gate.set()

    @pytest.mark.parametrize(
        ("ids", "calls_in_flight"), [(IDS[:1], 4), (IDS[:90], 4), (IDS, 1)], ids=["one", "a call", "one by one"]
    )
    def test_single_call_runs_in_thread_of_caller(self, task, calls, ids, calls_in_flight):
        calls.gate.set()
        result = task(external_ids=ids, calls_in_flight=calls_in_flight)
        assert summary(result) == {"requested": len(ids), "released": len(ids)}
        assert set(calls.threads) == {threading.get_ident()}

    @pytest.mark.parametrize("calls_in_flight", [1, 3])
    def test_unexpected_error_of_call_reaches_caller(self, task, monkeypatch, calls_in_flight):
        def fail(client, body, on_request):
            raise OverflowError(len(body))

        monkeypatch.setattr(Client, "invoke", fail)
        with pytest.raises(OverflowError):
            task(external_ids=IDS, calls_in_flight=calls_in_flight)

    def test_runs_as_many_calls_as_allowed(self, task, calls):
        with background(lambda: task(external_ids=IDS, calls_in_flight=3)) as results:
            wait_until(lambda: len(calls.threads) == 3)
            time.sleep(0.05)
            assert (len(calls.threads), len(threads_of_calls())) == (3, 3)
            assert all(thread.daemon for thread in threads_of_calls())  # Python waits for others at exit
            calls.gate.set()
        assert summary(results[0]) == {"requested": 900, "released": 900}
        wait_until(lambda: not threads_of_calls())

    def test_interrupt_neither_waits_for_calls_nor_starts_more(self, task, calls):
        """Two calls run, and eight are left."""

        def interrupt():
            wait_until(lambda: len(calls.threads) == 2)
            time.sleep(0.05)  # by then, the caller waits for a result
            signal.pthread_kill(main, signal.SIGINT)
            return True

        main = threading.get_ident()
        with background(interrupt), pytest.raises(KeyboardInterrupt):
            task(external_ids=IDS, calls_in_flight=2)
        assert not calls.ended
        calls.gate.set()
        wait_until(lambda: not threads_of_calls())
        assert len(calls.threads) == 2

    def test_error_of_one_call_does_not_wait_for_others(self, task, calls, monkeypatch):
        def fail_first(client, body, on_request):
            if IDS[0].encode() in body:
                wait_until(lambda: calls.threads)
                raise OverflowError
            calls.make(body)

        monkeypatch.setattr(Client, "invoke", fail_first)
        with pytest.raises(OverflowError):
            task(external_ids=IDS, calls_in_flight=2)
        assert not calls.ended

    def test_halves_go_before_whole_batches(self, sim, task):
        """Once VCC has accepted a call, all halves wait for their turn together."""
        sim.fault("too_large", after=1)
        sim.fault("too_large", after=2)
        result = task(external_ids=IDS[:280], calls_in_flight=1)
        assert summary(result) == {"requested": 280, "released": 280}
        sizes = [call["interactions"] for call in sim.invoke_calls]
        assert sizes == [91, 91, 45, 22, 23, 46, 91, 7]
        assert sim.released == IDS[:280]


class Calls:
    """Calls that a test makes last until it opens their gate."""

    def __init__(self):
        self.gate = threading.Event()
        self.threads = []
        self.ended = []

    def make(self, body):
        self.threads.append(threading.get_ident())
        assert self.gate.wait(TIMEOUT)
        self.ended.append(body)


class TestCallsInFlight:
    @pytest.mark.parametrize("at_once", [1, 2, 4, 16])
    def test_each_interaction_is_released_once(self, sim, task, rows, at_once):
        sim.dispatch(*IDS)
        result = task(external_ids=IDS, calls_in_flight=at_once)
        assert summary(result) == {"requested": 900, "released": 900}
        assert column(result, "external_id") == IDS
        assert result["summary"]["api_calls"] == len(sim.invoke_calls) == 10
        assert sorted(sim.released) == IDS
        assert all(row["accepted"] for row in rows().values())
        assert len({call["connection"] for call in sim.invoke_calls}) <= at_once
        assert len(sim.token_calls) == 1
        assert not task(external_ids=IDS, calls_in_flight=at_once)["changed"]

    def test_four_calls_at_once_by_default(self, sim, task):
        assert validated(external_id="a")["calls_in_flight"] == 4
        hold = sim.fault("hold", times=None)
        with background(lambda: task(external_ids=IDS, calls_in_flight=4)) as results:
            wait_until(lambda: len(sim.invoke_calls) == 4)
            assert len(journal_rows(task.journal)) >= sum(call["interactions"] for call in sim.invoke_calls)
            hold.release()
        assert summary(results[0]) == {"requested": 900, "released": 900}

    def test_dispatches_keep_their_order(self, sim, task):
        result = task(state="dispatched", route="sales", external_ids=IDS, calls_in_flight=16)
        assert summary(result) == {"requested": 900, "dispatched": 900}
        assert sim.live() == IDS
        assert len({call["connection"] for call in sim.invoke_calls}) == 1

    def test_rejected_interactions_are_isolated(self, sim, task):
        bad = {IDS[0], IDS[300], IDS[301], IDS[899]}
        sim.poison(*bad)
        result = task(external_ids=IDS, calls_in_flight=4)
        assert summary(result) == {"requested": 900, "released": 896, "failed": 4}
        assert {entry["external_id"] for entry in result["interactions"] if entry["state"] == "failed"} == bad
        assert sorted(sim.released) == sorted(set(IDS) - bad)

    def test_expired_token_is_renewed_once_for_all_calls(self, sim, task):
        result = task(external_ids=IDS, access_token="one-that-has-expired", calls_in_flight=4)
        assert summary(result) == {"requested": 900, "released": 900}
        assert len(sim.token_calls) == 1

    def test_refused_access_stops_calls_that_have_not_begun(self, sim, task):
        sim.fault("status", status=403, times=None)
        result = task(external_ids=IDS, calls_in_flight=4)
        assert summary(result) == {"requested": 900, "failed": 900}
        assert len(sim.invoke_calls) <= 4
        assert "not sent: VCC refuses access (403)" in result["interactions"][-1]["message"]

    def test_stops_after_consecutive_lost_answers(self, sim, task):
        sim.fault("cut", times=None)
        result = task(external_ids=IDS, calls_in_flight=4)
        sent = sum(call["interactions"] for call in sim.invoke_calls)
        assert len(sim.invoke_calls) <= 3 + 4
        assert summary(result) == {"requested": 900, "unknown": sent, "failed": 900 - sent}
        assert summary(task(external_ids=IDS, calls_in_flight=4, journal=task.journal)) != {}

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_calls_of_killed_run_are_repeated_with_same_request_ids(self, sim, task, listed, how):
        sim.dispatch(*IDS)
        hold = sim.fault("hold", times=None, after=1)
        given = sim.options(src=listed(IDS), journal=task.journal, calls_in_flight=4)
        with engine(**given) as process:
            wait_until(lambda: len(sim.invoke_calls) >= 5)
            process.send_signal(how)
            process.wait(TIMEOUT)
        hold.release()
        wait_until(lambda: all(call["status"] for call in sim.invoke_calls))
        result = task(src=given["src"], calls_in_flight=4)
        assert "failed" not in result
        assert sorted(sim.released) == IDS
        assert sim.live() == []
        assert len(sim.ignored) >= sum(call["interactions"] for call in sim.invoke_calls[1:4])


def test_retry_after_delays_every_thread(sim, make_http):
    """One thread meets the limit, and another thread waits as long."""
    waiting, gate, slept = threading.Event(), threading.Event(), []

    def sleep(seconds):
        slept.append((threading.get_ident(), seconds))
        if threading.current_thread() is not threading.main_thread():
            waiting.set()
            assert gate.wait(TIMEOUT)

    http = make_http(retries=1, sleep=sleep, clock=lambda: 100.0)
    sim.fault("status", status=429, retry_after=30)
    call = ("POST", f"{sim.url}/interactions/Invoke", "VCC")
    with background(lambda: http.send(*call, body=b"{}")) as results:
        assert waiting.wait(TIMEOUT)
        http.send(*call, body=b"{}")
        gate.set()
    assert (threading.get_ident(), 30.0) in slept
    assert results


@pytest.mark.parametrize(("at_once", "said"), [(0, "1 or more, not 0"), (17, "16 or less, not 17")])
def test_calls_in_flight_out_of_range_is_rejected(at_once, said):
    with pytest.raises(InputError, match=f"calls_in_flight must be {said}"):
        task_of(external_id="a", calls_in_flight=at_once)

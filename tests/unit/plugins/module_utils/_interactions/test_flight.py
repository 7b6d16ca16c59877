# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several calls at once: how many, in which order, and that nothing else changes by it."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.flight import Flight
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import check_limits
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    PATIENCE,
    background,
    column,
    engine,
    journal_rows,
    summary,
    validated,
)

# About ninety of them fit into a call.
IDS = [f"{number:05d}{'x' * 1000}" for number in range(900)]


def wait_until(look):
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


class TestFlight:
    def test_one_alone_is_done_in_the_callers_thread(self):
        with Flight(lambda item: (item, threading.get_ident()), 4) as flight:
            for item in "ab":
                flight.start(item)
                assert flight.land() == (item, (item, threading.get_ident()))
            assert flight.under_way == 0

    @pytest.mark.parametrize("items", [1, 3])
    def test_what_an_act_raises_is_raised_to_the_caller(self, items):
        def act(item):
            raise OverflowError(item)

        with Flight(act, 2) as flight:
            for item in range(items):
                flight.start(item)
            for dummy in range(items):
                with pytest.raises(OverflowError):
                    flight.land()
            assert flight.under_way == 0

    def test_what_waits_is_not_begun_once_the_work_is_broken_off(self):
        gate, begun = threading.Event(), []

        def act(item):
            begun.append(item)
            assert gate.wait(PATIENCE)

        before = threading.active_count()
        with pytest.raises(KeyboardInterrupt), Flight(act, 2) as flight:
            for item in range(6):
                flight.start(item)
            wait_until(lambda: len(begun) == 2)
            raise KeyboardInterrupt
        gate.set()
        wait_until(lambda: threading.active_count() == before)
        assert sorted(begun) == [0, 1]

    def test_as_many_at_once_as_wanted_and_no_more(self):
        gate, begun = threading.Event(), []

        def act(item):
            begun.append(item)
            assert gate.wait(PATIENCE)

        with Flight(act, 3) as flight:
            for item in range(5):
                flight.start(item)
            wait_until(lambda: len(begun) == 3)
            assert flight.full
            assert len(flight._threads) == 3
            gate.set()
            assert sorted(flight.land()[0] for dummy in range(5)) == [0, 1, 2, 3, 4]
        assert not any(thread.is_alive() for thread in flight._threads)

    def test_what_is_urgent_goes_first(self):
        done = []
        with Flight(done.append, 1) as flight:
            flight.start("a")
            flight.start("b", urgency=1)
            flight.start("c", urgency=2)
            flight.start("d", urgency=2)
            while flight.under_way:
                flight.land()
        assert done == ["c", "d", "b", "a"]

    def test_work_that_is_broken_off_is_not_waited_for(self):
        gate = threading.Event()
        with pytest.raises(KeyError), Flight(lambda item: gate.wait(PATIENCE), 2) as flight:
            flight.start(1)
            flight.start(2)
            raise KeyError
        gate.set()


class TestCalls:
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

    def test_four_are_made_at_once_by_default(self, sim, task):
        assert validated(external_id="a")["calls_in_flight"] == 4
        hold = sim.fault("hold", times=None)
        with background(lambda: task(external_ids=IDS, calls_in_flight=4)) as results:
            wait_until(lambda: len(sim.invoke_calls) == 4)
            assert len(journal_rows(task.journal)) >= sum(call["interactions"] for call in sim.invoke_calls)
            hold.release()
        assert summary(results[0]) == {"requested": 900, "released": 900}

    def test_dispatches_queue_in_order(self, sim, task):
        result = task(state="dispatched", route="sales", external_ids=IDS, calls_in_flight=16)
        assert summary(result) == {"requested": 900, "dispatched": 900}
        assert sim.live() == IDS
        assert len({call["connection"] for call in sim.invoke_calls}) == 1

    def test_bad_ones_are_narrowed_down(self, sim, task):
        bad = {IDS[0], IDS[300], IDS[301], IDS[899]}
        sim.poison(*bad)
        result = task(external_ids=IDS, calls_in_flight=4)
        assert summary(result) == {"requested": 900, "released": 896, "failed": 4}
        assert {one["external_id"] for one in result["interactions"] if one["state"] == "failed"} == bad
        assert sorted(sim.released) == sorted(set(IDS) - bad)

    def test_an_expired_token_is_renewed_once_for_all(self, sim, task):
        result = task(external_ids=IDS, access_token="one-that-has-expired", calls_in_flight=4)
        assert summary(result) == {"requested": 900, "released": 900}
        assert len(sim.token_calls) == 1

    def test_a_missing_right_stops_what_is_not_under_way(self, sim, task):
        sim.fault("status", status=403, times=None)
        result = task(external_ids=IDS, calls_in_flight=4)
        assert summary(result) == {"requested": 900, "failed": 900}
        assert len(sim.invoke_calls) <= 4
        assert "not sent: VCC refuses access (403)" in result["interactions"][-1]["message"]

    def test_without_an_answer_it_gives_up(self, sim, task):
        sim.fault("cut", times=None)
        result = task(external_ids=IDS, calls_in_flight=4)
        sent = sum(call["interactions"] for call in sim.invoke_calls)
        assert len(sim.invoke_calls) <= 3 + 4
        assert summary(result) == {"requested": 900, "unknown": sent, "failed": 900 - sent}
        assert summary(task(external_ids=IDS, calls_in_flight=4, journal=task.journal)) != {}

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
    def test_what_was_under_way_is_repeated_with_the_same_request_ids(self, sim, task, listed, how):
        sim.dispatch(*IDS)
        hold = sim.fault("hold", times=None, after=1)
        given = sim.options(src=listed(IDS), journal=task.journal, calls_in_flight=4)
        with engine(**given) as process:
            wait_until(lambda: len(sim.invoke_calls) >= 5)
            process.send_signal(how)
            process.wait(PATIENCE)
        hold.release()
        wait_until(lambda: all(call["status"] for call in sim.invoke_calls))
        result = task(src=given["src"], calls_in_flight=4)
        assert "failed" not in result
        assert sorted(sim.released) == IDS
        assert sim.live() == []
        assert len(sim.ignored) >= sum(call["interactions"] for call in sim.invoke_calls[1:4])


def test_the_fair_use_limit_holds_back_all(sim, make_http):
    """One meets the limit; what another sends meanwhile waits as long."""
    waiting, gate, slept = threading.Event(), threading.Event(), []

    def sleep(seconds):
        slept.append((threading.get_ident(), seconds))
        if threading.current_thread() is not threading.main_thread():
            waiting.set()
            assert gate.wait(PATIENCE)

    http = make_http(retries=1, sleep=sleep, clock=lambda: 100.0)
    sim.fault("status", status=429, retry_after=30)
    call = ("POST", f"{sim.url}/interactions/Invoke", "VCC")
    with background(lambda: http.send(*call, body=b"{}")) as results:
        assert waiting.wait(PATIENCE)
        http.send(*call, body=b"{}")
        gate.set()
    assert (threading.get_ident(), 30.0) in slept
    assert results


@pytest.mark.parametrize(("at_once", "said"), [(0, "1 or more, not 0"), (17, "16 or less, not 17")])
def test_a_number_that_makes_no_sense_is_refused(at_once, said):
    with pytest.raises(InputError, match=f"calls_in_flight has to be {said}"):
        check_limits(validated(external_id="a", calls_in_flight=at_once))

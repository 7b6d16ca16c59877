# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress of a task: the times and the text of its lines, and whether their advice to run the task again is correct."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._api.client import WRITE_SCOPE, Client
from ansible_collections.vonage.vcc.plugins.module_utils._api.http import Http
from ansible_collections.vonage.vcc.plugins.module_utils._connection import Connection
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.outcome import State
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.progress import (
    Progress,
    Work,
    duration,
    pauses,
    rerun_advice,
)
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
from ansible_collections.vonage.vcc.plugins.module_utils.auth import TokenProvider
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import validated
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.helpers import long_ids


class TestTimes:
    def test_lines_come_less_and_less_often_until_one_a_minute(self):
        assert list(itertools.accumulate(itertools.islice(pauses(), 6))) == [10, 20, 40, 80, 140, 200]

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, "1 s"),
            (1, "1 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7199, "119 min"),
            (7200, "2 h"),
            (86400, "24 h"),
            (172800, "2 days"),
            (604800, "7 days"),
            (1e9, "11,574 days"),
        ],
    )
    def test_duration(self, seconds, text):
        assert duration(seconds) == text


class TestLine:
    @pytest.fixture
    def line(self, clock):
        """Return the line of a task after a number of seconds."""

        def make(seconds=60.0, calls=4, waiting="", requests_per_minute=None, dry_run=False, last=False, **counts):
            progress = Progress(clock)
            counts = {"requested": 5000, "released": 0, "unchanged": 0, "failed": 0, "unknown": 0, **counts}
            progress.begin(
                Work(
                    State.RELEASED,
                    counts,
                    lambda: calls,
                    lambda: waiting,
                    lambda: "run it again",
                    requests_per_minute,
                    dry_run,
                )
            )
            clock.now += seconds
            return progress.last_line() if last else progress.line()

        return make

    def test_line_has_all_numbers(self, line):
        assert line(released=1000, unchanged=1, failed=2, unknown=3) == (
            "1,001 of 5,000 done, 2 failed, 3 unknown, 4 calls, 1,005 a minute, about 3 min left"
        )

    def test_line_has_no_rate_if_nothing_is_done(self, line):
        assert line(calls=1) == "0 of 5,000 done, 0 failed, 0 unknown, 1 call"

    def test_line_has_no_time_left_if_all_is_done(self, line):
        assert line(released=5000).endswith("4 calls, 5,000 a minute")

    def test_slow_rate_has_decimal(self, line):
        assert line(seconds=600, released=5).endswith(", 0.5 a minute, about 6 days left")

    def test_rate_counts_calls_and_not_journal(self, line):
        assert line(released=100, unchanged=4000).endswith(", 100 a minute, about 9 min left")

    def test_rate_without_calls_counts_journal(self, line):
        assert line(calls=0, unchanged=2500).endswith(", 0 calls, 2,500 a minute, about 60 s left")

    @pytest.mark.parametrize(("requests_per_minute", "left"), [(None, "60 s"), (60, "60 s"), (2, "2 min")])
    def test_time_left_respects_pacing(self, line, requests_per_minute, left):
        assert line(released=2500, requests_per_minute=requests_per_minute).endswith(f", about {left} left")

    def test_reason_of_a_wait_comes_last(self, line):
        assert line(waiting="VCC answers 429, waiting 30 s").endswith(", 4 calls; VCC answers 429, waiting 30 s")

    def test_check_mode_counts_what_it_has_checked(self, line):
        assert line(released=1000, unchanged=500, dry_run=True) == "1,500 of 5,000 checked"
        assert line(released=1000, dry_run=True, last=True) == "interrupted: check mode has changed nothing"

    def test_last_line_has_numbers_and_advice(self, line):
        assert line(released=1234, failed=1, last=True) == (
            "interrupted: 1,234 of 5,000 done, 1 failed, 0 unknown, 4 calls; run it again"
        )

    def test_line_before_first_call_says_that_task_reads(self, clock):
        progress = Progress(clock)
        assert progress.line() == "no call yet, because the task still reads its interactions and the journal"
        assert progress.last_line() == "interrupted before its first call: it has sent nothing"


IDS = long_ids(250)  # three calls


class Interrupted(KeyboardInterrupt):
    """The user presses Ctrl+C."""


@pytest.fixture
def waiting_client(sim, clock):
    """Returns the clients of a task whose waits call a function."""
    made = []

    def make(given, act):
        def sleep(seconds):
            clock.sleep(seconds)
            act()

        connection = Connection.from_params(validated(**given))
        http = Http(
            connection.timeout, connection.retries, connection.verify, connection.requests_per_minute, sleep, clock
        )
        auth = TokenProvider(
            http, connection.auth_url, connection.client_id, connection.client_secret, WRITE_SCOPE, clock=clock
        )
        made.append(Client(http, auth, connection.api_url))
        return {connection: made[-1]}

    yield make
    for client in made:
        client.close()


class TestTask:
    """The progress of real tasks."""

    @pytest.fixture
    def given(self, sim, folder):
        return sim.options(external_ids=IDS, journal=str(folder / "journal.db"), calls_in_flight=1, retries=3)

    @pytest.fixture
    def lines(self, given, waiting_client, clock):
        """Runs a task with a fault, and returns the line at the beginning of each wait, and the result."""

        def do(**others):
            progress, found = Progress(clock), []
            options = {**given, **others}
            clients = waiting_client(options, lambda: None)
            (client,) = clients.values()
            sleep = client._http._sleep

            def wait(seconds):
                found.append(progress.line())
                sleep(seconds)

            client._http._sleep = client._http.limiter._sleep = wait
            return found, run(validated(**options), False, False, clients, progress)

        return do

    def test_line_names_429(self, sim, lines):
        sim.fault("status", status=429, retry_after=30, after=1)
        found, result = lines()
        assert found == ["91 of 250 done, 0 failed, 0 unknown, 2 calls; VCC answers 429, waiting 30 s"]
        assert result["summary"]["api_calls"] == 4

    def test_line_names_503(self, sim, lines):
        sim.fault("status", status=503, retry_after=7)
        assert lines()[0] == ["0 of 250 done, 0 failed, 0 unknown, 1 call; VCC answers 503, waiting 7 s"]

    def test_line_names_lost_answer(self, sim, lines):
        sim.fault("cut", when="after")
        (line,), result = lines()
        assert line.startswith(
            "0 of 250 done, 0 failed, 0 unknown, 1 call; VCC gives no answer (the connection was cut), waiting "
        )
        assert result["summary"]["released"] == 250

    def test_line_names_token_endpoint(self, sim, lines):
        sim.fault("status", status=429, retry_after=12, path="/Auth/connect/token")
        assert lines()[0] == [
            "0 of 250 done, 0 failed, 0 unknown, 0 calls; The token endpoint answers 429, waiting 12 s"
        ]

    def test_wait_for_slow_pacing_has_a_reason(self, lines):
        found, dummy = lines(requests_per_minute=4)
        assert len(found) == 3
        assert found[0].endswith("0 calls; requests_per_minute allows the next request in 15 s")
        assert "91 of 250 done" in found[1]

    def test_wait_for_quick_pacing_has_no_reason(self, lines):
        found, dummy = lines(requests_per_minute=60)
        assert [line for line in found if "requests_per_minute" in line] == []
        assert len(found) == 3

    def test_numbers_are_those_of_the_summary(self, sim, given, clock):
        sim.poison("bad")
        sim.fault("cut", when="after", after=4)
        progress, clients = Progress(clock), {}
        options = validated(**{**given, "external_ids": ["a", "b", "bad", "c", "d"], "retries": 0})
        counts = run(options, False, False, clients, progress)["summary"]
        assert (counts["released"], counts["failed"], counts["unknown"], counts["api_calls"]) == (2, 1, 2, 5)
        assert progress.line() == "2 of 5 done, 1 failed, 2 unknown, 5 calls"
        for client in clients.values():
            client.close()

    def test_progress_does_not_change_result(self, sim, given, task):
        shown, silent = (
            run(validated(**{**given, "journal": ""}), False, False, {}, progress) for progress in (Progress(), None)
        )
        for result in (shown, silent):
            del result["run_id"]
            for entry in result["interactions"]:
                del entry["request_id"]
        assert shown == silent


ALL = "all that were done"
KEY = {"idempotency_key": "CHG-1"}
DISPATCH = {
    "state": "dispatched",
    "route": "sales",
    "external_ids": None,
    "interactions": [{"external_id": each} for each in IDS],
}
NAMELESS = {**DISPATCH, "interactions": [{"external_id": None if n < 3 else each} for n, each in enumerate(IDS)]}
ALL_NAMELESS = {**DISPATCH, "interactions": [{"linked_data": [{"type": "x", "value": each}]} for each in IDS]}
REST = "run the task again with the journal {journal} within 24 h: it sends only the interactions that are left"


@pytest.mark.parametrize(
    ("others", "advice", "twice"),
    [
        ({}, REST, 0),
        (DISPATCH, REST, 0),
        (
            {**DISPATCH, "journal_ttl": 0},
            "run the task again with the journal {journal}: it sends only the interactions that are left",
            0,
        ),
        (
            {**DISPATCH, **KEY},
            "run the task again with the same idempotency_key: it sends only the interactions that are left",
            0,
        ),
        (
            {**DISPATCH, **KEY, "journal": ""},
            "run the task again with the same idempotency_key: VCC processes each interaction once",
            0,
        ),
        ({**DISPATCH, "journal": ""}, "the task has no journal, so running it again sends all interactions again", ALL),
        ({**DISPATCH, "force": True}, "the task has force, so running it again sends all interactions again", ALL),
        (NAMELESS, REST + ", but may dispatch the 3 without an external id a second time", 3),
        (
            ALL_NAMELESS,
            "the interactions have no external id, so running the task again may dispatch them a second time",
            ALL,
        ),
    ],
    ids=["release", "dispatch", "no ttl", "key", "key alone", "no journal", "force", "nameless", "all nameless"],
)
def test_next_run_after_interruption_does_what_last_line_says(
    sim, folder, clock, waiting_client, others, advice, twice
):
    """The interruption comes while the second of three calls waits after a 429."""

    def interrupt():
        raise Interrupted

    options = sim.options(external_ids=IDS, journal=str(folder / "journal.db"), calls_in_flight=1, retries=3)
    options = {name: value for name, value in {**options, **others}.items() if value is not None}
    if "interactions" not in options:
        sim.dispatch(*IDS)
    before = len(sim.effects)
    progress = Progress(clock)
    sim.fault("status", status=429, after=1)
    with pytest.raises(Interrupted):
        run(validated(**options), False, False, waiting_client(options, interrupt), progress)
    done = len(sim.effects) - before
    line = progress.last_line()
    said = advice.format(journal=options["journal"])
    assert line == f"interrupted: {done} of 250 done, 0 failed, 0 unknown, 2 calls; {said}"

    run(validated(**options), False, False, waiting_client(options, lambda: None))
    effects = sim.effects[before:]
    assert len(effects) == 250 + (done if twice is ALL else twice)
    if others is not ALL_NAMELESS:
        assert {each["external_id"] for each in effects} >= set(IDS[3:])


@pytest.mark.parametrize(
    ("journal", "force", "has_key", "advice"),
    [
        (
            "/journal.db",
            False,
            False,
            "run check mode again for a new plan_digest, and then the task with the journal /journal.db within 24 h:"
            " it sends only the interactions that are left",
        ),
        (
            "/journal.db",
            False,
            True,
            "run check mode again for a new plan_digest, and then the task with the same idempotency_key: it sends only the interactions that are left",
        ),
        ("", False, True, "run the task again with the same idempotency_key: VCC processes each interaction once"),
        ("", False, False, "the task has no journal, so running it again sends all interactions again"),
        ("/journal.db", True, False, "the task has force, so running it again sends all interactions again"),
    ],
)
def test_approved_plan_that_is_done_in_part_needs_a_new_digest(journal, force, has_key, advice):
    """The plan changes only if the journal confirms a part of it."""
    assert rerun_advice(journal, 86400, force, has_key, 0, 5, approved=True) == advice


def test_force_with_key_needs_another_key():
    """A task with force is refused if its key has been used."""
    advice = rerun_advice("/journal.db", 86400, True, True, 0, 5)
    assert (
        advice
        == "the task has force, so running it again needs another idempotency_key, and sends all interactions again"
    )

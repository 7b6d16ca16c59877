# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source when the journal, the rules, a client or a process fails: nothing that was answered 200 is missing from the journal."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
import socket
import sqlite3
import threading

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import NotificationLog
from ansible_collections.vonage.vcc.tests.unit.extensions.helpers import (
    API_URL,
    PROVIDER,
    TOKEN,
    Source,
    notification,
    recorded,
    wait_for,
)


class Clients:
    """Threads that post one notification after another, until the endpoint is gone. ``answered`` has the ids of those that were answered 200."""

    def __init__(self, source, count=8):
        self.answered = []
        self.broken = 0
        self._source = source
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._post, daemon=True) for dummy in range(count)]
        for thread in self._threads:
            thread.start()

    def _post(self):
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        with contextlib.suppress(OSError, EOFError), self._source.connect() as connection:
            connection.connect()
            while True:
                number = f"n-{next(self._numbers)}"
                connection.request("POST", "/", json.dumps([notification(number, number=number)]), headers)
                try:
                    response = connection.getresponse()
                    response.read()
                except OSError:
                    self.broken += 1
                    raise
                if response.status == 200:
                    self.answered.append(number)
                if response.will_close:
                    return

    def wait(self, count):
        """Wait until this many notifications are answered."""
        wait_for(lambda: len(self.answered) >= count)

    def end(self):
        """Wait until all threads have ended."""
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


def has_ended(pid):
    """Return whether a process has ended, or waits for its parent to notice that."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class TestEnd:
    def test_received_posts_are_answered_when_source_stops(self, source, journal):
        clients = Clients(source)
        clients.wait(200)
        assert source.stop() is None
        clients.end()
        assert clients.broken == 0
        assert set(clients.answered) <= recorded(journal)
        assert has_ended(source.pid)

    def test_killed_endpoint_has_recorded_all_answered_notifications(self, source, journal):
        clients = Clients(source)
        clients.wait(200)
        os.kill(source.pid, signal.SIGKILL)
        clients.end()
        assert str(source.failure()) == "The process of the endpoint has ended with exit code -9."
        assert set(clients.answered) <= recorded(journal)

    def test_received_posts_are_answered_when_endpoint_gets_sigterm(self, source_with_file, file):
        """Some service managers send the signal to all processes."""
        clients = Clients(source_with_file)
        clients.wait(100)
        os.kill(source_with_file.pid, signal.SIGTERM)
        clients.end()
        assert source_with_file.failure() is None
        assert clients.broken == 0
        assert set(clients.answered) <= recorded(file)


@contextlib.contextmanager
def full(path):
    """Make the journal refuse new notifications while the context lasts, as if its disk were full."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON notification BEGIN SELECT RAISE(ABORT, 'no room'); END")
        yield
        db.execute("DROP TRIGGER full")


def refuse_odd(path):
    """Make the journal refuse only the notification ``odd``."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TRIGGER odd BEFORE INSERT ON notification WHEN NEW.id = 'odd' BEGIN SELECT RAISE(ABORT, 'odd'); END"
        )


class TestJournal:
    def test_posts_get_503_until_journal_can_be_written(self, source_with_file, file):
        source = source_with_file
        with full(file):
            status, headers, text = source.post_raw(json.dumps([notification("first", number="n-1")]))
            assert (status, headers["Retry-After"], text) == (503, "10", "The journal cannot be written.\n")
            assert [source.post(notification("other", number=f"n-{number}"))[0] for number in range(2, 12)] == [
                503
            ] * 10
            assert source.health() == (503, "")
            assert recorded(file) == set()
        source.wait(lambda: source.health() == (200, ""))
        # The first notification is recorded after all, so it counts as repeated if it comes again.
        assert recorded(file) == {"n-1"}
        assert source.post(notification("first", number="n-1"))[1]["repeated"] == 1
        assert source.events(1)[0]["external_id"] == "first"
        assert source.has_no_more_events()
        lines = [line for line in source.lines if not line.startswith("INFO")]
        assert len(lines) == 2
        assert lines[0].startswith(
            f"ERROR The source answers notifications with 503 until the journal records them: The journal {file} cannot be used (no room)"
        )
        assert (
            lines[1]
            == "WARNING The journal records notifications again. In the meantime, the source answered 11 POSTs with 503."
        )

    def test_post_that_journal_refuses_does_not_block_others(self, source_with_file, file):
        source = source_with_file
        refuse_odd(file)
        assert source.post(notification("odd", number="odd"))[0] == 503
        source.wait(lambda: source.post(notification("next", number="next"))[0] == 200)
        assert recorded(file) == {"next"}
        assert source.health()[0] == 200
        assert any(
            "ERROR A POST of 1 notification cannot be recorded, although others can" in line for line in source.lines
        )

    def test_recorded_notification_has_event_if_journal_fails_at_next_post(self, file):
        from ansible_collections.vonage.vcc.plugins.plugin_utils._notifications.body import parse_body
        from ansible_collections.vonage.vcc.plugins.plugin_utils._notifications.recorder import (
            Recorder,
            UnavailableError,
        )

        refused = []

        def open_log():
            # The journal fails once, between the POST that it records and the one that it refuses.
            if not refused and recorded(file) == {"taken"}:
                refused.append(True)
                raise JournalError("It has gone away.")
            return NotificationLog(str(file), API_URL, "main", PROVIDER)

        async def talk():
            new = asyncio.Queue()
            recorder = Recorder(
                open_log, str(file), lambda _post, changes: new.put_nowait(list(changes)) or len(changes)
            )
            NotificationLog(str(file), API_URL, "main", PROVIDER).close()
            await recorder.start()
            with full(file):
                posts = [
                    asyncio.ensure_future(
                        recorder.record(parse_body(json.dumps(notification(name, number=name)).encode()), 9)
                    )
                    for name in ("taken", "odd")
                ]
                with pytest.raises(UnavailableError):
                    await posts[0]
                refuse_odd(file)
            found = await asyncio.wait_for(new.get(), 30)
            await recorder.stop(30)
            await asyncio.gather(*posts, return_exceptions=True)
            return found

        assert asyncio.run(talk()) == ["taken"]
        assert refused

    def test_source_reconnects_to_restarted_server(self, postgresql_server, postgresql_url):
        with Source(postgresql_url) as source:
            assert source.post(notification("before", number="n-1"))[0] == 200
            postgresql_server.stop()
            try:
                assert source.post(notification("while", number="n-2"))[0] == 503
                assert source.post(notification("while", number="n-3"))[0] == 503
                assert source.health()[0] == 503
            finally:
                postgresql_server.start()
            source.wait(lambda: source.health()[0] == 200)
            assert source.post(notification("after", number="n-4"))[0] == 200
            assert {"n-1", "n-2", "n-4"} <= recorded(postgresql_url)
            assert sum(not line.startswith("INFO") for line in source.lines) == 2

    def test_posts_get_503_while_journal_is_locked(self, source_with_file, file):
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            assert source_with_file.post(notification("first", number="n-1"))[1] == "The journal does not answer.\n"
            assert source_with_file.post(notification("second", number="n-2"))[0] == 503
            db.execute("COMMIT")
        source_with_file.wait(lambda: source_with_file.health()[0] == 200)
        assert recorded(file) == {"n-1"}

    def test_replaced_journal_is_opened_again(self, source_with_file, file):
        assert source_with_file.post(notification(number="n-1"))[0] == 200
        for path in file.parent.iterdir():
            path.unlink()
        assert source_with_file.post(notification(number="n-2"))[0] == 200
        assert recorded(file) == {"n-2"}

    def test_two_endpoints_record_a_notification_once(self, journal):
        posted = [notification(f"case-{number}", number=f"n-{number}") for number in range(200)]
        counts = []
        with Source(journal) as first, Source(journal) as second:
            threads = [
                threading.Thread(target=lambda s=source: counts.extend(s.post(each)[1]["recorded"] for each in posted))
                for source in (first, second)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        assert len(counts) == 400
        assert sum(counts) == 200


class TestRules:
    def test_answers_do_not_wait_for_the_rules(self, journal):
        with Source(journal, room=1) as source:
            for number in range(500):
                assert source.post(notification(f"case-{number}", number=f"n-{number}"))[0] == 200
            source.take_events()
            assert [event["external_id"] for event in source.events(500)] == [f"case-{number}" for number in range(500)]

    def test_posts_are_refused_when_the_rules_are_too_far_behind(self, file):
        with Source(str(file), room=1) as source:
            answered = 0
            for number in range(1000):
                status = source.post(notification(f"case-{number}", number=f"n-{number}", Filler="x" * 1_000_000))[0]
                if status == 503:
                    break
                answered += 1
            assert 60 < answered < 80
            assert source.health()[0] == 200
            assert len(recorded(file)) == answered
            source.take_events()
            assert [event["external_id"] for event in source.events(answered)] == [
                f"case-{number}" for number in range(answered)
            ]
            source.wait(lambda: source.post(notification("next", number="next"))[0] == 200)
            behind, caught_up = [line for line in source.lines if not line.startswith("INFO")]
            assert re.fullmatch(
                r"ERROR The rules are \d\d events behind, which is the limit:"
                " the source answers notifications with 503 until the rules have caught up.",
                behind,
            )
            assert caught_up == "WARNING The rules have caught up: the source accepts notifications again."

    def test_accepted_depth_reaches_rules_and_other_depth_is_refused(self, source_with_file):
        taken, refused, why, count = 1, 200_000, "", 0
        while refused - taken > 1:
            depth = (taken + refused) // 2
            head = json.dumps([notification(number=str(depth))])[:-2].encode()
            status, dummy, text = source_with_file.post_raw(head + b', "x": ' + b"[" * depth + b"]" * depth + b"}]")
            if status == 200:
                taken, count = depth, count + 1
            else:
                refused, why = depth, text
        assert why in ("The body is nested too deeply.\n", "notifications[0] is nested too deeply.\n")
        assert len(source_with_file.events(count)) == count > 0


class TestSlowClients:
    @pytest.fixture
    def server(self, monkeypatch, file):
        """Runs the server of an endpoint in this process, with short limits. Sends bytes to it, and returns the complete response."""
        from ansible_collections.vonage.vcc.plugins.plugin_utils._notifications import server
        from ansible_collections.vonage.vcc.plugins.plugin_utils._notifications.event_pipe import EventPipe
        from ansible_collections.vonage.vcc.plugins.plugin_utils._notifications.recorder import Recorder
        from ansible_collections.vonage.vcc.plugins.plugin_utils._notifications.settings import Settings

        for limit in ("BODY_TIMEOUT", "IDLE_TIMEOUT", "LINGERING_TIME"):
            monkeypatch.setattr(server, limit, 0.3)

        async def talk(sent):
            settings = Settings.from_args(
                {"token": TOKEN, "provider": PROVIDER, "journal": str(file), "api_url": API_URL, "account": "main"}
            )
            recorder = Recorder(
                lambda: NotificationLog(settings.journal, API_URL, "main", PROVIDER), str(file), lambda *_given: 0
            )
            await recorder.start()
            runner = server.make_runner(server.Endpoint(settings, recorder, EventPipe(list)), settings.max_body)
            await runner.setup()
            try:
                listening = socket.create_server(("127.0.0.1", 0))
                await server.web.SockSite(runner, listening).start()
                reader, writer = await asyncio.open_connection(*listening.getsockname())
                writer.write(sent)
                got = await asyncio.wait_for(reader.read(), 30)
                writer.close()
                return got
            finally:
                await runner.cleanup()
                await recorder.stop(30)

        return lambda sent: asyncio.run(talk(sent))

    def test_body_that_does_not_arrive_is_refused(self, server):
        head = f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n["
        assert server(head.encode()).startswith(b"HTTP/1.1 408 ")

    def test_head_that_does_not_arrive_ends_the_connection(self, server):
        assert server(b"POST / HTTP/1.1\r\nHost:") == b""

    def test_connection_without_a_request_is_ended(self, server):
        assert server(b"") == b""

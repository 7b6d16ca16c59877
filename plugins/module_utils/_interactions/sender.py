# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends what the journal has left to do, in batches, and says what became of each interaction."""

from __future__ import annotations

import heapq
import itertools
import queue
import re
import threading
import typing as t

from .._api.client import BODY_LIMIT, Client
from .._errors import ApiError, AuthError, JournalError, NoResponseError, RejectedError, StoppedError, VccError
from .._journal.journal import Interaction, Journal
from .payload import Batch, PayloadBuilder
from .result import Outcome

# Statuses that one Interaction object can bring on a whole call.
SPLIT_STATUSES = (400, 404, 413, 417)

# After so many calls in a row without an answer of VCC's own, the rest is not sent.
MAX_CONSECUTIVE_FAILURES = 3

# VCC refuses a task as a whole if it refuses so many calls, of these so many with one interaction only, all with the same answer, and takes none.
REFUSED_CALLS = 20

REFUSED_ALONE = 8

# What to look at when VCC refuses an interaction.
HINTS = {
    "release": "the external id, and the provider it was dispatched with",
    "dispatch": "the route, the provider, linked_data and routing_data",
}


class NotSentError(VccError):
    """What came before keeps a call from being made."""


class Sender:
    """Sends what the journal has left to do, and says what became of each interaction.

    The journal, which is not for several threads, is used by the caller's alone.

    :arg in_flight: how many calls to make at once.
    :arg max_failures: how many interactions VCC may refuse; None for as many as it will, but for a task that it refuses as a whole.
    """

    def __init__(
        self,
        journal: Journal,
        client: Client,
        payload: PayloadBuilder,
        in_flight: int = 1,
        max_failures: int | None = None,
    ) -> None:
        self._journal = journal
        self._client = client
        self._payload = payload
        self._in_flight = in_flight
        self._running = 0
        self._waiting: list[tuple[int, int, Batch]] = []
        self._numbers = itertools.count()
        self._results: queue.SimpleQueue[tuple[Batch, BaseException | None]] = queue.SimpleQueue()
        self._max_failures = max_failures
        self._unanswered = 0
        self._refused_calls = 0
        self._refused_alone = 0
        self._refusals: set[str] = set()
        self._probed = False
        self._taken = False
        self._halves: list[Batch] = []
        self._accepted: list[Interaction] = []
        self.stopped: VccError | None = None

    def outcomes(self) -> t.Iterator[Outcome]:
        """Apply the plan: yield the outcome of each interaction of the worklist once, as the batches are done.

        What cannot be sent any more is an outcome too; what cannot even be looked up any more is none, and C(stopped) says why.
        """
        try:
            for item in self._plan():
                if isinstance(item, Outcome):
                    yield item
                    continue
                self._start(item)
                while self._under_way >= self._in_flight or self._halves:
                    yield from self._land()
            while self._under_way or self._halves:
                yield from self._land()
        finally:
            self._note_accepted()

    def _plan(self) -> t.Iterator[Outcome | Batch]:
        """The outcomes of what is confirmed, and the batches of the rest."""
        batch = Batch([], [])
        size = self._payload.frame
        for chunk in self._chunks():
            yield Outcome([one for one in chunk if one.confirmed], self._payload.state, False, "journal")
            for one in chunk:
                if one.confirmed:
                    continue
                encoded = self._payload.object(one)
                length = len(encoded) if encoded.isascii() else len(encoded.encode())
                if size + length >= BODY_LIMIT:
                    yield batch
                    batch = Batch([], [])
                    size = self._payload.frame
                batch.interactions.append(one)
                batch.encoded.append(encoded)
                size += length + len(",")
        if batch.interactions:
            yield batch

    def _chunks(self) -> t.Iterator[list[Interaction]]:
        """Claim the worklist chunk by chunk, with a token at hand before the first claim; once stopped, only look at the rest."""
        ready = False
        after = 0
        while True:
            chunk = [] if ready and not self.stopped else self._look_up(after)
            try:
                if not ready and not all(one.confirmed for one in chunk):
                    ready = True
                    self._client.authenticate()
                if ready and not self.stopped:
                    chunk = self._journal.claim(after, self._accepted)
                    self._accepted = []
            except VccError as exc:
                self._stop(exc)
                chunk = self._look_up(after)
            if not chunk:
                return
            yield chunk
            after = chunk[-1].seq

    def _look_up(self, after: int) -> list[Interaction]:
        try:
            return self._journal.plan(after)
        except JournalError as exc:
            self._stop(exc)
            return []

    def _start(self, batch: Batch) -> None:
        # What has been accepted is noted before another call, if not by the claim for that.
        self._note_accepted()
        heapq.heappush(self._waiting, (-batch.depth, next(self._numbers), batch))
        self._start_calls()

    @property
    def _under_way(self) -> int:
        return len(self._waiting) + self._running

    def _start_calls(self) -> None:
        """Start as many calls as may run at once, each in its own thread. A single call waits for the caller's thread, which saves a thread."""
        while self._waiting and self._under_way > 1 and self._running < self._in_flight > 1:
            self._running += 1
            # A daemon thread, because Python waits for every other thread at exit: Ctrl+C would then wait for the calls.
            threading.Thread(target=self._run_call, args=(self._next_waiting(),), name="vcc-call", daemon=True).start()

    def _next_waiting(self) -> Batch:
        """Return the next batch to send: halves before whole batches, and batches of one depth in order."""
        return heapq.heappop(self._waiting)[-1]

    def _run_call(self, batch: Batch) -> None:
        """Make a call in this thread, and put its error, or None, into the queue of results."""
        error: BaseException | None
        try:
            error = self._invoke(batch)
        except BaseException as exc:
            error = exc
        self._results.put((batch, error))

    def _next_result(self) -> tuple[Batch, VccError | None]:
        """Wait for the end of a call; return its batch and its error, or None."""
        self._start_calls()
        if not self._running:
            batch = self._next_waiting()
            return batch, self._invoke(batch)
        batch, error = self._results.get()
        self._running -= 1
        if error is None or isinstance(error, VccError):
            return batch, error
        raise error

    def _invoke(self, batch: Batch) -> VccError | None:
        """Make a call; return its error, or None."""
        if self.stopped:
            return NotSentError(f"not sent: {self.stopped}")
        try:
            self._client.invoke(self._payload.body(batch.encoded))
        except VccError as exc:
            return exc
        return None

    def _land(self) -> t.Iterator[Outcome]:
        """Wait for a call, and yield the outcomes that it has."""
        # For as long as VCC takes nothing, the halves of what it has refused go one by one: it may refuse them all.
        while self._halves and (self._taken or not self._under_way):
            self._start(self._halves.pop())
        batch, exc = self._next_result()
        if exc is None:
            self._unanswered = 0
            self._taken = True
            self._accepted += batch.interactions
            yield Outcome(batch.interactions, self._payload.state, True, "api")
        elif isinstance(exc, RejectedError):
            yield from self._refused(batch, exc)
        else:
            if isinstance(exc, NoResponseError):
                self._count_unanswered(exc)
            elif not isinstance(exc, NotSentError):
                self._stop(exc)
            maybe_processed = isinstance(exc, ApiError) and exc.maybe_processed
            evidence = "status" if isinstance(exc, AuthError) else "none"
            yield from self._broken_off(batch, str(exc), maybe_processed, evidence)

    def _refused(self, batch: Batch, exc: RejectedError) -> t.Iterator[Outcome]:
        # A page of HTML with 404 says that the address is wrong, not the interaction.
        if exc.status not in SPLIT_STATUSES or (exc.status == 404 and not exc.by_vcc):
            message = f"{exc}: check api_url and any proxy in between."
            self._count_unanswered(NoResponseError(message))
            yield from self._broken_off(batch, message, exc.maybe_processed, "status")
            return
        self._unanswered = 0
        if exc.maybe_processed:
            batch = batch._replace(interactions=[one._replace(pending=True) for one in batch.interactions])
        missing = exc.status == 404 and self._payload.action == "release"
        alone = len(batch.interactions) == 1
        self._taken = self._taken or (alone and missing)
        if not missing:
            self._count_refused(exc, alone)
        if not alone:
            # For as long as VCC takes nothing, those that are looked at alone come from all over the row.
            many = len(batch.interactions) > REFUSED_ALONE
            self._halves += reversed(batch.halves(mixed=many and not self._taken and self._payload.action == "release"))
            return
        (one,) = batch.interactions
        if missing:
            # Nothing is confirmed by that, and neither is an earlier dispatch any more.
            self._note(self._journal.release_claim, [one._replace(before=None)])
            yield Outcome([one], "released", False, "status", "VCC answered 404: it has no such interaction.")
            return
        yield from self._undone(batch, f"{exc}: check {HINTS[self._payload.action]}.", evidence="status")

    def _broken_off(self, batch: Batch, message: str, maybe_processed: bool, evidence: str) -> t.Iterator[Outcome]:
        """The outcomes of a call that VCC has neither accepted nor refused for what is in it."""
        if batch.depth and not maybe_processed:
            maybe_processed = True
            message += f" VCC may have {self._payload.state} it with the call that it refused as a whole."
        yield from self._undone(batch, message, maybe_processed, evidence)

    def _undone(
        self, batch: Batch, message: str, maybe_processed: bool = False, evidence: str = "none"
    ) -> t.Iterator[Outcome]:
        """The outcomes of interactions that were not accepted now; an earlier attempt or run may have had its effect all the same."""
        unknown = [one for one in batch.interactions if maybe_processed or one.pending]
        failed = [one for one in batch.interactions if not (maybe_processed or one.pending)]
        if unknown:
            self._note(self._journal.keep_pending, unknown)
        if failed:
            self._note(self._journal.release_claim, failed)
        yield Outcome(failed, "failed", False, evidence, message)
        if not maybe_processed:
            message += f" An earlier attempt, whose answer was lost, may have {self._payload.state} it."
        yield Outcome([one for one in unknown if one.external_id is not None], "unknown", False, evidence, message)
        message += " It has no external id: running the task again may dispatch it a second time."
        yield Outcome([one for one in unknown if one.external_id is None], "unknown", False, evidence, message)

    def _note_accepted(self) -> None:
        if self._accepted:
            self._note(self._journal.accept, self._accepted)
            self._accepted = []

    def _note(self, act: t.Callable[[t.Any], None], what: t.Any) -> None:
        """Write to the journal what VCC has already done; failing that, send no more, since a pending row is safe to repeat."""
        try:
            act(what)
        except JournalError as exc:
            self._stop(exc)

    def _count_unanswered(self, exc: NoResponseError) -> None:
        self._unanswered += 1
        if self._unanswered >= MAX_CONSECUTIVE_FAILURES:
            self._stop(exc)

    def _count_refused(self, exc: RejectedError, alone: bool) -> None:
        self._refused_calls += 1
        self._refused_alone += alone
        # What has a digit in it, such as an id, may differ from call to call.
        self._refusals.add(re.sub(r"\S*\d\S*", str(exc.status), str(exc)))
        if self._max_failures is not None:
            if self._refused_alone >= self._max_failures:
                self._stop(
                    StoppedError(
                        f"VCC has refused {self._refused_alone} interactions, and max_failures allows no more."
                    )
                )
        elif (
            not self._taken
            and len(self._refusals) == 1
            and self._refused_calls >= REFUSED_CALLS
            and self._refused_alone >= REFUSED_ALONE
        ):
            if self._halves and not self._probed:
                self._probe()
                return
            self._stop(
                StoppedError(
                    f"VCC has refused {self._refused_calls} calls in the same way and taken none: {exc}. Check the provider and what else the"
                    " interactions have in common, or set max_failures to go on in spite of that."
                )
            )

    def _probe(self) -> None:
        """Ask for the one farthest from those that were refused before it is taken for granted that VCC refuses all."""
        self._probed = True
        far = self._halves[0]
        self._halves.append(Batch(far.interactions[-1:], far.encoded[-1:], far.depth + 1))
        if len(far.interactions) > 1:
            self._halves[0] = far._replace(interactions=far.interactions[:-1], encoded=far.encoded[:-1])
        else:
            del self._halves[0]

    def _stop(self, exc: VccError) -> None:
        """Send no more. What is wrong with the journal is told before all else that is wrong."""
        if not self.stopped or isinstance(exc, JournalError):
            self.stopped = exc


def preview(journal: Journal, state: str) -> t.Iterator[Outcome]:
    """Yield the outcome that each interaction of the worklist will have once, without a call. Raises JournalError."""
    chunk = journal.plan(0)
    while chunk:
        yield Outcome([one for one in chunk if one.confirmed], state, False, "journal")
        yield Outcome([one for one in chunk if not one.confirmed], state, True, "predicted")
        chunk = journal.plan(chunk[-1].seq)

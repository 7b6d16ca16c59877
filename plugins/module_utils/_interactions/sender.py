# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sender: sends the interactions that are left in batches, and decides the outcome of each call."""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
import typing as t

from .._api.client import BODY_LIMIT, Client
from .._errors import ApiError, AuthError, JournalError, NoResponseError, RejectedError, VccError
from .._journal.journal import Journal
from .._journal.rules import Interaction, stays_pending
from .._words import Action, AttemptState
from .failure_limit import MIN_REJECTED_ALONE, FailureLimit
from .outcome import ACTIONS, Evidence, Outcome, State
from .payload import Batch, PayloadBuilder
from .plan import plan

# The statuses of a rejection that a single interaction of the call can cause.
SPLIT_STATUSES = (400, 404, 413, 417)

# The options to check after VCC rejects an interaction.
HINTS = {
    Action.RELEASE: "the external id, and the provider it was dispatched with",
    Action.DISPATCH: "the route, the provider, linked_data and routing_data",
}

NOT_FOUND = "VCC answered 404: it has no such interaction."

# Sentences that end a message, if the interaction may be in the requested state although its call failed.
REJECTED_WITH_OTHERS = " VCC refused an earlier call with this interaction and others, but may have {state} this one."

ANSWER_LOST = " An earlier attempt, whose answer was lost, may have {state} it."

NOT_REPEATABLE = " It has no external id: running the task again may dispatch it a second time."


class NotSentError(VccError):
    """The task has stopped before this call."""


class Sender:
    """Sends the interactions that the journal does not confirm, and yields the outcome of each.

    The chunks of the journal become batches. Each batch is sent in one call, and the end of the call decides the outcomes. VCC rejects a call as a whole
    because of one interaction, so the halves of a rejected batch are sent again, down to that interaction.

    Only the thread of the caller uses the journal, because the journal is not thread-safe. The threads of calls only make their call and report its end.

    :param calls_in_flight: the number of calls at once.
    :param max_failures: the number of rejected interactions that stops the task. None stops it only if VCC rejects the task as a whole.
    :ivar stopped: why the task sends no more, or None.
    :ivar unrecorded: the number of interactions that VCC has accepted, but that the journal may not have as accepted.
    """

    def __init__(
        self,
        journal: Journal,
        client: Client,
        payload: PayloadBuilder,
        state: State,
        calls_in_flight: int = 1,
        max_failures: int | None = None,
    ) -> None:
        self.stopped: VccError | None = None
        self.unrecorded = 0
        self._journal = journal
        self._client = client
        self._calls_before = client.calls
        self._payload = payload
        self._state = state
        self._action = ACTIONS[state]
        self._limit = FailureLimit(max_failures)
        self._has_token = False
        self._accepted: list[Interaction] = []  # by VCC, and not yet in the journal
        self._halves: list[Batch] = []  # of rejected batches, the next one last
        self._probed = False
        self._calls_in_flight = calls_in_flight
        self._running = 0  # calls in threads of their own
        # A heap of the calls to start: the negative depth, a number that keeps the order, and the batch.
        self._waiting: list[tuple[int, int, Batch]] = []
        self._numbers = itertools.count()
        self._results: queue.SimpleQueue[tuple[Batch, BaseException | None]] = queue.SimpleQueue()

    def outcomes(self) -> t.Iterator[Outcome]:
        """Carry out the plan: yield the outcome of each interaction of the worklist once, as calls end.

        Interactions that are not sent have an outcome too. Those that the journal can no longer read have none, and ``stopped`` has the error.
        """
        try:
            for step in self._batches():
                if isinstance(step, Outcome):
                    yield step
                    continue
                self._add(step)
                while self._open_calls >= self._calls_in_flight or self._halves:
                    yield from self._end_call()
            while self._open_calls or self._halves:
                yield from self._end_call()
        finally:
            self._record_accepted()

    # The plan

    def _batches(self) -> t.Iterator[Outcome | Batch]:
        """Yield the plan, with the interactions that are left in batches that fit into a call."""
        batch = Batch([], [])
        size = self._payload.overhead
        for step in plan(self._next_chunk, self._state):
            if isinstance(step, Outcome):
                yield step
                continue
            for interaction in step:
                encoded = self._payload.encode(interaction)
                length = len(encoded) if encoded.isascii() else len(encoded.encode())
                if size + length >= BODY_LIMIT:
                    yield batch
                    batch = Batch([], [])
                    size = self._payload.overhead
                batch.interactions.append(interaction)
                batch.encoded.append(encoded)
                size += length + len(",")
        if batch.interactions:
            yield batch

    def _next_chunk(self, after: int) -> list[Interaction]:
        """Claim the next chunk of the worklist. Only read it if nothing of it is left to send, or if the task has stopped.

        Get the token before the first claim, because a claim without a call would leave its rows pending.
        """
        if self.stopped or not self._has_token:
            chunk = self._read_chunk(after)
            if self.stopped or all(interaction.confirmed for interaction in chunk):
                return chunk
        try:
            if not self._has_token:
                self._client.authenticate()
                self._has_token = True
            chunk = self._journal.claim(after, self._accepted)
        except VccError as exc:
            self._stop(exc)
            return self._read_chunk(after)
        self._accepted = []
        return chunk

    def _read_chunk(self, after: int) -> list[Interaction]:
        """Return the next chunk of the worklist without a claim; empty if the journal cannot be read."""
        try:
            return self._journal.plan(after)
        except JournalError as exc:
            self._stop(exc)
            return []

    # The calls

    @property
    def _open_calls(self) -> int:
        """Return how many calls wait or are under way."""
        return len(self._waiting) + self._running

    def _add(self, batch: Batch) -> None:
        """Add a batch to those that wait for their call."""
        # The journal records each acceptance before the next call, or during it if the store is remote and the next claim records it.
        self._record_accepted()
        heapq.heappush(self._waiting, (-batch.depth, next(self._numbers), batch))
        self._start_calls()

    def _start_calls(self) -> None:
        """Start waiting calls, each in its own thread. A single call waits for the thread of the caller, which saves a thread."""
        while self._waiting and self._open_calls > 1 and self._running < self._calls_in_flight > 1:
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
            batch, error = self._invoke(batch)
        except BaseException as exc:
            error = exc
        self._results.put((batch, error))

    def _invoke(self, batch: Batch) -> tuple[Batch, VccError | None]:
        """Make a call; return the batch with the number of the call, and its error, or None."""
        if self.stopped:
            return batch, NotSentError(f"not sent: {self.stopped}")
        error: VccError | None = None
        numbers: list[int] = []
        try:
            self._client.invoke(self._payload.body(batch.encoded), numbers.append)
        except VccError as exc:
            error = exc
        return batch._replace(call=numbers[-1] - self._calls_before if numbers else None), error

    def _next_result(self) -> tuple[Batch, VccError | None]:
        """Wait for the end of a call; return its batch and its error, or None."""
        self._start_calls()
        if not self._running:
            return self._invoke(self._next_waiting())
        batch, error = self._results.get()
        self._running -= 1
        if error is None or isinstance(error, VccError):
            return batch, error
        raise error

    def _end_call(self) -> list[Outcome]:
        """Wait for the end of a call, and return its outcomes."""
        # While VCC has accepted nothing, send halves one by one, because VCC may reject them all.
        while self._halves and (self._limit.accepts or not self._open_calls):
            self._add(self._halves.pop())
        return self._handle_result(*self._next_result())

    # The outcome of a call

    def _handle_result(self, batch: Batch, error: VccError | None) -> list[Outcome]:
        """Return the outcomes of a call. A call ends in one of five ways:

        1. VCC accepts it.
        2. VCC rejects it because of an interaction among several: the batch is split, and its halves have the outcomes.
        3. VCC rejects its only interaction. A release with 404 has nothing to release; any other interaction has failed.
        4. There is no response of VCC's own, so the interactions may or may not have been processed.
        5. It is not sent, because the task has stopped or VCC refuses access. Refused access stops the task.
        """
        if error is None:
            return self._handle_response(batch)
        if isinstance(error, RejectedError) and _is_about_interaction(error):
            return self._handle_rejection(batch, error)
        if isinstance(error, RejectedError):
            unanswered = NoResponseError(f"{error}: check api_url and any proxy in between.", error.maybe_processed)
            return self._handle_no_response(batch, unanswered, Evidence.STATUS)
        if isinstance(error, NoResponseError):
            return self._handle_no_response(batch, error, Evidence.NONE)
        return self._handle_not_sent(batch, error)

    def _handle_response(self, batch: Batch) -> list[Outcome]:
        self._limit.count_acceptance()
        self._accepted += batch.interactions
        at = self._ended(batch.interactions, AttemptState.ACCEPTED, batch.call)
        return [Outcome(batch.interactions, self._state, True, Evidence.API, "", batch.call, at)]

    def _handle_rejection(self, batch: Batch, error: RejectedError) -> list[Outcome]:
        if error.maybe_processed:  # by an earlier attempt of this call, whose answer was lost
            # Their claims stay, whatever rows they replaced.
            doubtful = [each._replace(pending=True, previous=None) for each in batch.interactions]
            batch = batch._replace(interactions=doubtful)
        alone = len(batch.interactions) == 1
        not_found = error.status == 404 and self._action is Action.RELEASE
        if not_found:
            self._limit.count_missing(alone)
        else:
            self._limit.count_rejection(error, alone)
            self._check_limit(error)
        if not alone:
            self._split(batch)
            return []
        if not_found:
            # This confirms nothing, and an earlier dispatch is no longer confirmed.
            self._record(self._journal.release_claim, [batch.interactions[0]._replace(previous=None)])
            return [Outcome(batch.interactions, State.RELEASED, False, Evidence.STATUS, NOT_FOUND, batch.call)]
        return self._failed_outcomes(batch, f"{error}: check {HINTS[self._action]}.", Evidence.STATUS)

    def _handle_no_response(self, batch: Batch, error: NoResponseError, evidence: Evidence) -> list[Outcome]:
        stop = self._limit.count_no_response(error)
        if stop:
            self._stop(stop)
        return self._failed_outcomes(batch, str(error), evidence, error.maybe_processed, answered=False)

    def _handle_not_sent(self, batch: Batch, error: VccError) -> list[Outcome]:
        if not isinstance(error, NotSentError):
            self._stop(error)
        evidence = Evidence.STATUS if isinstance(error, AuthError) else Evidence.NONE
        maybe_processed = isinstance(error, ApiError) and error.maybe_processed
        return self._failed_outcomes(batch, str(error), evidence, maybe_processed, answered=False)

    def _failed_outcomes(
        self,
        batch: Batch,
        message: str,
        evidence: Evidence,
        maybe_processed: bool = False,
        answered: bool = True,
    ) -> list[Outcome]:
        """Return the outcomes of interactions that VCC did not accept in this call: failed, or unknown if VCC may have processed them.

        A claim of which VCC has processed nothing is withdrawn, unless the next run must repeat an earlier attempt.

        :param maybe_processed: whether VCC may have processed this call.
        :param answered: whether VCC's answer is about these interactions alone.
        """
        doubt = ""
        if not maybe_processed and batch.depth and not answered:
            maybe_processed = True
            message += REJECTED_WITH_OTHERS.format(state=self._state)
        elif not maybe_processed:
            doubt = ANSWER_LOST.format(state=self._state)
        unknown = [each for each in batch.interactions if maybe_processed or each.pending]
        failed = [each for each in batch.interactions if not (maybe_processed or each.pending)]
        named = [each for each in unknown if each.external_id is not None]
        nameless = [each for each in unknown if each.external_id is None]
        outcomes = [
            Outcome(found, state, False, evidence, text, batch.call, self._ended(found, ended, batch.call, text))
            for found, state, ended, text in (
                (failed, State.FAILED, AttemptState.FAILED, message),
                (named, State.UNKNOWN, AttemptState.UNKNOWN, message + doubt),
                (nameless, State.UNKNOWN, AttemptState.UNKNOWN, message + doubt + NOT_REPEATABLE),
            )
            if found
        ]
        kept = [each for each in batch.interactions if maybe_processed or stays_pending(each, self._action)]
        withdrawn = [each for each in batch.interactions if not (maybe_processed or stays_pending(each, self._action))]
        if kept:
            self._record(self._journal.keep_pending, kept)
        if withdrawn:
            self._record(self._journal.release_claim, withdrawn)
        return outcomes

    def _ended(
        self, interactions: t.Sequence[Interaction], state: AttemptState, call: int | None, message: str = ""
    ) -> float:
        """Tell the journal how interactions ended; return the time. After an error of the journal, tell it only of those with a claim."""
        if isinstance(self.stopped, JournalError):
            interactions = [each for each in interactions if each.claim]
        return self._journal.ended(interactions, state, call, message)

    # Rejected batches

    def _split(self, batch: Batch) -> None:
        """Add the halves of a batch to those that are left to send."""
        # While VCC has accepted nothing, the interactions that are sent alone come from all parts of the batch.
        mixed = (
            self._action is Action.RELEASE and not self._limit.accepts and len(batch.interactions) > MIN_REJECTED_ALONE
        )
        self._halves += reversed(batch.halves(mixed))

    def _check_limit(self, error: RejectedError) -> None:
        """Stop if VCC has rejected too many interactions. Send one last interaction before the task stops because VCC rejects all."""
        stop = self._limit.too_many_failures()
        if self._limit.rejects_all():
            if self._halves and not self._probed:
                self._probe()
            else:
                stop = self._limit.all_rejected(error)
        if stop:
            self._stop(stop)

    def _probe(self) -> None:
        """Send next the interaction that is farthest from the rejected ones, because VCC may accept it."""
        self._probed = True
        last = self._halves[0]
        self._halves.append(Batch(last.interactions[-1:], last.encoded[-1:], last.depth + 1))
        if len(last.interactions) > 1:
            self._halves[0] = last._replace(interactions=last.interactions[:-1], encoded=last.encoded[:-1])
        else:
            del self._halves[0]

    # The journal

    def _record_accepted(self) -> None:
        if self._accepted:
            if not self._record(self._journal.accept, self._accepted):
                self.unrecorded += len(self._accepted)
            self._accepted = []

    def _record(self, write: t.Callable[[list[Interaction]], None], interactions: list[Interaction]) -> bool:
        """Write outcomes to the journal, and return whether that worked. If not, stop: the rows stay pending, which makes the next run safe."""
        try:
            write(interactions)
        except JournalError as exc:
            self._stop(exc)
            return False
        return True

    def _stop(self, error: VccError) -> None:
        """Send no more. An error of the journal goes before any other error."""
        if not self.stopped or isinstance(error, JournalError):
            self.stopped = error


def _is_about_interaction(error: RejectedError) -> bool:
    """Return whether one interaction of the call can be the reason. An HTML page with 404 means that the URL is wrong."""
    return error.status in SPLIT_STATUSES and (error.status != 404 or error.by_vcc)

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: what is asked for becomes a plan, the plan is applied in batches, and each interaction gets an outcome.

The contract: C(POST /interactions/Invoke) takes C({"provider"?, "requests": [Interaction, ...]}), at most 100 KB. Of two Interaction
objects with the same C(requestid) only the first is processed, so a call can be repeated with the same body. C(action) is C(dispatch), with
a C(route), or C(release), with an C(externalid).
"""

from __future__ import annotations

import heapq
import json
import re
import typing as t

from .client import BODY_LIMIT, Client, Session
from .errors import (
    AccessError,
    CallError,
    InputError,
    JournalError,
    RefusedError,
    StoppedError,
    UnansweredError,
    VccError,
)
from .flight import Flight
from .journal import Interaction, Journal
from .options import DATA_SPEC, MAX_DATA_LENGTH, UNVERIFIED, Connection, Entry, check_limits, connection
from .report import Report
from .sources import entries
from .text import clean, shown

# Statuses that one Interaction object can bring on a whole call.
NARROWED = (400, 404, 413, 417)

# After so many calls in a row without an answer of VCC's own, the rest is not sent.
GIVE_UP_AFTER = 3

# VCC refuses a task as a whole if it refuses so many calls, of these so many with one interaction only, all with the same answer, and takes none.
REFUSED_CALLS = 20
REFUSED_ALONE = 8

# The action that leads to each state.
ACTIONS = {"released": "release", "dispatched": "dispatch"}

# What to look at when VCC refuses an interaction.
CHECKED = {
    "release": "the external id, and the provider it was dispatched with",
    "dispatch": "the route, the provider, linked_data and routing_data",
}

# Up to so many requested interactions, a result lists every outcome; above, so many of those that need attention. The report has all.
LISTED = 1000
LISTED_AT_MOST = 100

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

# JSON of one string, as the encoder above writes it.
_quote = json.encoder.encode_basestring


class NotSentError(VccError):
    """What came before keeps a call from being made."""


class Outcome(t.NamedTuple):
    """What became of some interactions, and how we know."""

    interactions: t.Sequence[Interaction]
    state: str
    changed: bool
    evidence: str
    message: str = ""


class Batch(t.NamedTuple):
    """Interactions and their JSON, to be sent in one call."""

    interactions: list[Interaction]
    encoded: list[str]
    depth: int = 0

    def halves(self, mixed: bool = False) -> list[Batch]:
        """Two batches of the same, each with its part of the row or, mixed, with every second one of it."""
        middle = len(self.interactions) // 2
        parts = (slice(1, None, 2), slice(None, None, 2)) if mixed else (slice(None, middle), slice(middle, None))
        return [Batch(self.interactions[part], self.encoded[part], self.depth + 1) for part in parts]


class Wire:
    """Spells a task's interactions as VCC wants them.

    :arg params: the options of vcc_interaction, validated.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self.state: str = params["state"]
        self.action = ACTIONS[self.state]
        self.nameless = 0
        self._params = params
        self._common = self._spell("", {}) if self.action == "dispatch" else ""
        provider = params["provider"]
        self._head = f'{{"provider":{_encode(provider)},"requests":[' if provider else '{"requests":['
        self.frame = len(self.body([]))

    def entries(self) -> t.Iterator[Entry | list[str]]:
        """Yield what is asked for, as C(sources.entries) does, with what is to be sent of one alone as JSON."""
        for entry in entries(self._params):
            if isinstance(entry, list):
                yield entry
                continue
            if entry.external_id is None:
                self.nameless += 1
            yield entry._replace(data=self._spell(f"{entry.position}: ", entry.data)) if entry.data else entry

    def body(self, objects: t.Iterable[str]) -> bytes:
        """Return the body of a call; all that is not of an object or a comma between two comes to C(frame) bytes."""
        return f"{self._head}{','.join(objects)}]}}".encode()

    def object(self, one: Interaction) -> str:
        """Return an Interaction object as JSON."""
        name = "" if one.external_id is None else f',"externalid":{_quote(one.external_id)}'
        data = one.data or self._common
        more = f",{data[1:]}" if data else "}"
        return f'{{"action":"{self.action}","requestid":{_quote(one.request_id or "")}{name}{more}'

    def _spell(self, prefix: str, own: dict[str, t.Any]) -> str:
        """The route and the data of an interaction, or else those of the task. Raises InputError."""
        data = {name: own.get(name, self._params[name]) for name in DATA_SPEC}
        fields = _spelled({"route": self._params["route"], **data})
        encoded = _encode(fields)
        try:
            size = len(encoded.encode())
        except UnicodeEncodeError:
            raise InputError(f"{prefix}linked_data or routing_data is not valid Unicode: write it in UTF-8.") from None
        if size > MAX_DATA_LENGTH:
            raise InputError(
                f"{prefix}linked_data and routing_data come to {size} bytes; a call takes {MAX_DATA_LENGTH} of one interaction: send less."
            )
        return encoded


def _spelled(value: t.Any) -> t.Any:
    """Options in VCC's own spelling, without those that are not set."""
    if isinstance(value, dict):
        return {name.replace("_", ""): _spelled(one) for name, one in value.items() if one is not None}
    return [_spelled(one) for one in value] if isinstance(value, list) else value


class Sender:
    """Sends what the journal has left to do, and says what became of each interaction.

    The journal, which is not for several threads, is used by the caller's alone.

    :arg in_flight: how many calls to make at once.
    :arg max_failures: how many interactions VCC may refuse; None for as many as it will, but for a task that it refuses as a whole.
    """

    def __init__(
        self, journal: Journal, client: Client, wire: Wire, in_flight: int = 1, max_failures: int | None = None
    ) -> None:
        self._journal = journal
        self._client = client
        self._wire = wire
        self._calls: Flight[Batch, VccError | None] = Flight(self._invoke, in_flight)
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
            with self._calls as calls:
                for item in self._plan():
                    if isinstance(item, Outcome):
                        yield item
                        continue
                    self._start(item)
                    while calls.full or self._halves:
                        yield from self._land()
                while calls.under_way or self._halves:
                    yield from self._land()
        finally:
            self._note_accepted()

    def _plan(self) -> t.Iterator[Outcome | Batch]:
        """The outcomes of what is proven, and the batches of the rest."""
        batch = Batch([], [])
        size = self._wire.frame
        for chunk in self._chunks():
            yield Outcome([one for one in chunk if one.proven], self._wire.state, False, "journal")
            for one in chunk:
                if one.proven:
                    continue
                encoded = self._wire.object(one)
                length = len(encoded) if encoded.isascii() else len(encoded.encode())
                if size + length >= BODY_LIMIT:
                    yield batch
                    batch = Batch([], [])
                    size = self._wire.frame
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
                if not ready and not all(one.proven for one in chunk):
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
            return self._journal.look_up(after)
        except JournalError as exc:
            self._stop(exc)
            return []

    def _start(self, batch: Batch) -> None:
        # What has been accepted is noted before another call, if not by the claim for that.
        self._note_accepted()
        self._calls.start(batch, urgency=batch.depth)

    def _invoke(self, batch: Batch) -> VccError | None:
        """Make a call, in a thread of its own; return what it raised."""
        if self.stopped:
            return NotSentError(f"not sent: {self.stopped}")
        try:
            self._client.invoke(self._wire.body(batch.encoded))
        except VccError as exc:
            return exc
        return None

    def _land(self) -> t.Iterator[Outcome]:
        """Wait for a call, and yield the outcomes that it has."""
        # For as long as VCC takes nothing, the halves of what it has refused go one by one: it may refuse them all.
        while self._halves and (self._taken or not self._calls.under_way):
            self._start(self._halves.pop())
        batch, exc = self._calls.land()
        if exc is None:
            self._unanswered = 0
            self._taken = True
            self._accepted += batch.interactions
            yield Outcome(batch.interactions, self._wire.state, True, "api")
        elif isinstance(exc, RefusedError):
            yield from self._refused(batch, exc)
        else:
            if isinstance(exc, UnansweredError):
                self._count_unanswered(exc)
            elif not isinstance(exc, NotSentError):
                self._stop(exc)
            uncertain = isinstance(exc, CallError) and exc.uncertain
            evidence = "status" if isinstance(exc, AccessError) else "none"
            yield from self._broken_off(batch, str(exc), uncertain, evidence)

    def _refused(self, batch: Batch, exc: RefusedError) -> t.Iterator[Outcome]:
        # A page of HTML with 404 says that the address is wrong, not the interaction.
        if exc.status not in NARROWED or (exc.status == 404 and not exc.by_vcc):
            message = f"{exc}: check api_url and any proxy in between."
            self._count_unanswered(UnansweredError(message))
            yield from self._broken_off(batch, message, exc.uncertain, "status")
            return
        self._unanswered = 0
        if exc.uncertain:
            batch = batch._replace(interactions=[one._replace(pending=True) for one in batch.interactions])
        missing = exc.status == 404 and self._wire.action == "release"
        alone = len(batch.interactions) == 1
        self._taken = self._taken or (alone and missing)
        if not missing:
            self._count_refused(exc, alone)
        if not alone:
            # For as long as VCC takes nothing, those that are looked at alone come from all over the row.
            many = len(batch.interactions) > REFUSED_ALONE
            self._halves += reversed(batch.halves(mixed=many and not self._taken and self._wire.action == "release"))
            return
        (one,) = batch.interactions
        if missing:
            # Nothing is proven by that, and neither is an earlier dispatch any more.
            self._note(self._journal.withdraw, [one._replace(before=None)])
            yield Outcome([one], "released", False, "status", "VCC answered 404: it has no such interaction.")
            return
        yield from self._undone(batch, f"{exc}: check {CHECKED[self._wire.action]}.", evidence="status")

    def _broken_off(self, batch: Batch, message: str, uncertain: bool, evidence: str) -> t.Iterator[Outcome]:
        """The outcomes of a call that VCC has neither accepted nor refused for what is in it."""
        if batch.depth and not uncertain:
            uncertain = True
            message += f" VCC may have {self._wire.state} it with the call that it refused as a whole."
        yield from self._undone(batch, message, uncertain, evidence)

    def _undone(
        self, batch: Batch, message: str, uncertain: bool = False, evidence: str = "none"
    ) -> t.Iterator[Outcome]:
        """The outcomes of interactions that were not accepted now; an earlier attempt or run may have had its effect all the same."""
        unknown = [one for one in batch.interactions if uncertain or one.pending]
        failed = [one for one in batch.interactions if not (uncertain or one.pending)]
        if unknown:
            self._note(self._journal.uphold, unknown)
        if failed:
            self._note(self._journal.withdraw, failed)
        yield Outcome(failed, "failed", False, evidence, message)
        if not uncertain:
            message += f" An earlier attempt, whose answer was lost, may have {self._wire.state} it."
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

    def _count_unanswered(self, exc: UnansweredError) -> None:
        self._unanswered += 1
        if self._unanswered >= GIVE_UP_AFTER:
            self._stop(exc)

    def _count_refused(self, exc: RefusedError, alone: bool) -> None:
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


def predicted(journal: Journal, state: str) -> t.Iterator[Outcome]:
    """Yield the outcome that each interaction of the worklist will have once, without a call. Raises JournalError."""
    chunk = journal.look_up(0)
    while chunk:
        yield Outcome([one for one in chunk if one.proven], state, False, "journal")
        yield Outcome([one for one in chunk if not one.proven], state, True, "predicted")
        chunk = journal.look_up(chunk[-1].seq)


class Result:
    """What a task returns, collected from outcomes."""

    def __init__(self, requested: int, state: str, provider: str | None, report: Report) -> None:
        self._state = state
        self._provider = provider
        self._report = report
        self._counts = dict.fromkeys(("requested", state, "unchanged", "failed", "unknown", "api_calls"), 0)
        self._counts["requested"] = requested
        self._listed: list[tuple[int, dict[str, t.Any]]] = []
        self._more = 0

    def add(self, outcome: Outcome) -> None:
        undone = outcome.state != self._state
        self._counts[outcome.state if undone or outcome.changed else "unchanged"] += len(outcome.interactions)
        room = LISTED if self._counts["requested"] <= LISTED else LISTED_AT_MOST if undone else 0
        if not (room or self._report.path):
            return
        for one in outcome.interactions:
            entry = {
                "external_id": one.external_id,
                "provider": self._provider,
                "request_id": one.request_id and clean(one.request_id),
                "state": outcome.state,
                "changed": outcome.changed,
                "evidence": outcome.evidence,
                "message": outcome.message,
            }
            if len(self._listed) < room:
                heapq.heappush(self._listed, (-one.seq, entry))
            elif room:
                # Those are listed that were asked for first.
                heapq.heappushpop(self._listed, (-one.seq, entry))
                self._more += 1
            self._report.write(entry)

    def finish(self, api_calls: int, diff_mode: bool, broken: VccError | None = None) -> dict[str, t.Any]:
        """Return the task's result; C(broken) is what kept the work or its outcomes from being complete."""
        counts = self._counts
        seen = counts[self._state] + counts["unchanged"] + counts["failed"] + counts["unknown"]
        counts["failed"] += counts["requested"] - seen
        counts["api_calls"] = api_calls
        interactions = [entry for dummy, entry in sorted(self._listed, key=lambda item: -item[0])]
        result: dict[str, t.Any] = {"changed": counts[self._state] > 0, "summary": counts, "interactions": interactions}
        if diff_mode:
            result["diff"] = self._diff(interactions)
        problems = [self._undone(interactions), str(broken or ""), self._report.problem]
        if str(broken) in problems[0]:
            problems[1] = ""
        if any(problems):
            result.update(failed=True, msg=" ".join(filter(None, problems)))
        return result

    def _undone(self, interactions: list[dict[str, t.Any]]) -> str:
        """One sentence on what is not released, empty if all is."""
        requested, failed, unknown = (self._counts[name] for name in ("requested", "failed", "unknown"))
        first = next((one for one in interactions if one["state"] != self._state), None)
        if not first:
            return ""
        name, message = _name(first), first["message"]
        if requested == 1:
            return f"Interaction {name} {'is not' if failed else 'may or may not be'} {self._state}: {message}"
        parts = [f"{failed} failed"] if failed else []
        parts += [f"{unknown} may or may not be {self._state}"] if unknown else []
        return (
            f"Of {requested} interactions {' and '.join(parts)}; the first is {name}: {message}"
            f" Running the task again takes up only what is left.{self._unlisted()}"
        )

    def _unlisted(self) -> str:
        """One sentence on what the result has no room for, behind a blank, empty if it has all."""
        if not self._more:
            return ""
        whole = self._report.path and not self._report.problem
        where = (
            f"report {shown(self._report.path or '')} has all of them"
            if whole
            else "set report for a file with all of them"
        )
        return f" The first {len(self._listed)} are in the result, and {self._more} more are not: {where}."

    def _diff(self, interactions: list[dict[str, t.Any]]) -> dict[str, str]:
        counts = self._counts
        if counts["requested"] <= LISTED:
            before = [(_name(one, ""), one["state"] == self._state and not one["changed"]) for one in interactions]
            after = [(_name(one, ""), one["state"] == self._state) for one in interactions]
        else:
            done, left = counts["unchanged"], counts["failed"] + counts["unknown"]
            before = [(f"{done} interactions", True), (f"{counts[self._state] + left} interactions", False)]
            after = [(f"{done + counts[self._state]} interactions", True), (f"{left} interactions", False)]
        return {
            "before_header": "VCC interactions",
            "after_header": "VCC interactions",
            "before": self._diff_lines(before),
            "after": self._diff_lines(after),
        }

    def _diff_lines(self, states: list[tuple[str, bool]]) -> str:
        return "".join(f"{name}: {'' if so else 'not known to be '}{self._state}\n" for name, so in states)


def _name(entry: dict[str, t.Any], quote: str = "'") -> str:
    external_id = entry["external_id"]
    return "without an external id" if external_id is None else f"{quote}{shown(external_id)}{quote}"


def run(
    params: t.Mapping[str, t.Any], check_mode: bool, diff_mode: bool, sessions: dict[Connection, Session]
) -> dict[str, t.Any]:
    """Do what a task of vcc_interaction asks for, and return its result.

    :arg params: its options, validated with C(options.INTERACTION_SPEC).
    :arg sessions: the sessions of earlier tasks with equal connections; a new one is added.
    Never raises VccError: a failure is a result with C(failed) and C(msg).
    """
    try:
        return _run(params, check_mode, diff_mode, sessions)
    except VccError as exc:
        return {"failed": True, "changed": False, "msg": str(exc)}


def _run(
    params: t.Mapping[str, t.Any], check_mode: bool, diff_mode: bool, sessions: dict[Connection, Session]
) -> dict[str, t.Any]:
    to = connection(params)
    check_limits(params)
    session = sessions.get(to) or Session(to)
    sessions[to] = session
    wire = Wire(params)
    provider = params["provider"] or None
    journal = Journal(
        params["journal"] or "",
        to.api_url,
        to.account,
        provider,
        params["journal_ttl"],
        wire.action,
        params["force"],
        predict=check_mode,
    )
    try:
        requested = journal.want(wire.entries())
        report = Report(params["report"], predict=check_mode)
        result = Result(requested, wire.state, provider, report)
        if check_mode:
            broken = _collect(predicted(journal, wire.state), result)
            api_calls = 0
        else:
            calls_before = session.client.calls
            # Dispatches are to queue in the order in which they are asked for.
            in_flight = params["calls_in_flight"] if wire.action == "release" else 1
            sender = Sender(journal, session.client, wire, in_flight, params["max_failures"])
            broken = _collect(sender.outcomes(), result)
            if isinstance(sender.stopped, (JournalError, StoppedError)):
                broken = sender.stopped
            api_calls = session.client.calls - calls_before
        report.close()
        finished = result.finish(api_calls, diff_mode, broken)
    finally:
        journal.close()
    warnings = []
    if not requested and params["src"]:
        warnings.append(f"src {params['src']} is empty: it asks for no interaction.")
    if wire.nameless:
        warnings.append(
            f"{wire.nameless} of the interactions have no external id: they can never be released by this API,"
            " and running the task again does not leave them alone."
        )
    if not to.verify:
        warnings.append(UNVERIFIED)
    if warnings:
        finished["warnings"] = warnings
    return finished


def _collect(outcomes: t.Iterator[Outcome], result: Result) -> VccError | None:
    try:
        for outcome in outcomes:
            result.add(outcome)
    except VccError as exc:
        return exc
    return None

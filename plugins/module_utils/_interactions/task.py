# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task of vcc_interaction, from its options to its result."""

from __future__ import annotations

import functools
import itertools
import os
import typing as t

from .._api.client import Client
from .._api.http import MAX_CALLS_IN_FLIGHT
from .._connection import UNVERIFIED, Connection
from .._errors import InputError, JournalError, StoppedError, VccError
from .._journal.audit import new_run
from .._journal.entry import Entry
from .._journal.journal import Journal
from .._options import DATA_SPEC, SOURCES
from .._text import shown
from .._validation import check_data, check_id, check_name, check_number, check_reason
from .._words import Action
from .approval import compare, refused_outcomes, settled_outcomes
from .idempotency import derive_request_id
from .outcome import ACTIONS, Outcome, State
from .payload import PayloadBuilder
from .plan import preview
from .plan_digest import PlanDigest, check_plan_digest
from .progress import Progress, Work, rerun_advice
from .report import Report
from .result import Result
from .sender import Sender
from .sources import Source

# The longest id of a job that outcomes carry, in characters. AAP and AWX have numbers.
MAX_JOB_ID_LENGTH = 100


class Task(t.NamedTuple):
    """The options of a task, checked.

    :param state: the state that the task asks for, released or dispatched.
    :param route: the route of a dispatch.
    :param data: linked_data and routing_data of a dispatch.
    :param journal_path: empty for no journal.
    :param report_path: None for no report.
    :param plan_digest: the digest of the approved plan; None for none.
    """

    connection: Connection
    state: State
    source: Source
    provider: str | None
    route: str | None
    data: dict[str, t.Any]
    force: bool
    journal_path: str
    journal_ttl: int
    report_path: str | None
    calls_in_flight: int
    max_failures: int | None
    idempotency_key: str | None
    plan_digest: str | None
    reason: str | None

    @classmethod
    def from_params(cls, params: t.Mapping[str, t.Any]) -> Task:
        """Return the task of options that Ansible validated with the spec of vcc_interaction. Raises InputError."""
        plan_digest = None if params["plan_digest"] is None else check_plan_digest(params["plan_digest"])
        connection = Connection.from_params(params)
        _check_limits(params)
        state = State(params["state"])
        action = ACTIONS[state]
        return cls(
            connection=connection,
            state=state,
            source=Source(
                action,
                external_id=params["external_id"],
                request_id=params["request_id"],
                external_ids=params["external_ids"],
                interactions=params["interactions"],
                path=params["src"],
                file_format=params["src_format"],
            ),
            provider=params["provider"] or None,
            route=params["route"],
            data={name: params[name] for name in DATA_SPEC},
            force=params["force"],
            journal_path=params["journal"] or "",
            journal_ttl=params["journal_ttl"],
            report_path=params["report"],
            # One call at a time keeps dispatches in the order in which the task asks for them.
            calls_in_flight=params["calls_in_flight"] if action is Action.RELEASE else 1,
            max_failures=params["max_failures"],
            idempotency_key=params["idempotency_key"],
            plan_digest=plan_digest,
            reason=None if params["reason"] is None else check_reason("reason", params["reason"]),
        )

    @property
    def action(self) -> Action:
        return ACTIONS[self.state]


def _check_limits(params: t.Mapping[str, t.Any]) -> None:
    """Check the rules that the argument spec of vcc_interaction cannot express. Raises InputError."""
    if sum(params[name] is not None for name in SOURCES) != 1:
        raise InputError("Set exactly one of external_id, external_ids, src and interactions.")
    check_number(params, "journal_ttl", 0)
    check_number(params, "calls_in_flight", 1, MAX_CALLS_IN_FLIGHT)
    check_number(params, "max_failures", 1)
    if params["idempotency_key"] is not None:
        check_id("idempotency_key", params["idempotency_key"], "name the operation, such as a change ticket", "a key")
    if params["provider"]:
        check_name("provider", params["provider"])
    if params["state"] == State.DISPATCHED:
        check_name("route", params["route"])
        check_data("", params)


def run(
    params: t.Mapping[str, t.Any],
    check_mode: bool,
    diff_mode: bool,
    clients: dict[Connection, Client],
    progress: Progress | None = None,
) -> dict[str, t.Any]:
    """Run a task of vcc_interaction, and return its result. A failure is a result with ``failed`` and ``msg``.

    :param params: the options, validated with the spec of vcc_interaction.
    :param clients: the clients of earlier tasks, by connection. A new client is added.
    :param progress: gets the progress of the task, for another thread that shows it.
    """
    try:
        return _run(Task.from_params(params), check_mode, diff_mode, clients, progress)
    except VccError as exc:
        return {"failed": True, "changed": False, "msg": str(exc)}


def _run(
    task: Task, check_mode: bool, diff_mode: bool, clients: dict[Connection, Client], progress: Progress | None
) -> dict[str, t.Any]:
    client = clients.get(task.connection) or Client.from_connection(task.connection)
    clients[task.connection] = client
    calls_before = client.calls
    payload = PayloadBuilder(task.action, task.provider, task.route, task.data)
    journal = Journal(
        task.journal_path,
        task.connection.api_url,
        task.connection.account,
        task.provider,
        task.journal_ttl,
        task.action.value,
        task.force,
        dry_run=check_mode,
        derive=_derivation(task),
        begin_run=functools.partial(new_run, reason=task.reason, job_id=_job_id()),
    )
    try:
        requested = journal.add_all(_with_data(_with_key(task.source.read(), task.idempotency_key), payload))
        digest = _digest(task, payload.common)
        refusal = _refusal(task, journal, digest)
        report = Report(None if refusal else task.report_path, check_mode, journal.run)
        location = journal.description()["location"] or ""
        warning = _repetition_warning(task, requested, location)
        result = Result(
            requested, task.state, task.provider, report, task.plan_digest is not None, journal.now, warning
        )
        if progress:
            progress.begin(
                Work(
                    task.state,
                    result.counts,
                    lambda: client.calls - calls_before,
                    client.waiting,
                    functools.partial(_rerun_advice, task, requested, location),
                    task.connection.requests_per_minute,
                    check_mode,
                )
            )
        unrecorded = 0
        settled = iter(()) if task.plan_digest is None else settled_outcomes(journal, task.state)
        if refusal:
            error = _collect(itertools.chain(settled, refused_outcomes(journal, task.state)), result)
        elif check_mode:
            steps = preview(journal, task.state, digest if task.plan_digest is None else None)
            error = _collect(itertools.chain(settled, steps), result)
        else:
            sender = Sender(journal, client, payload, task.state, task.calls_in_flight, task.max_failures)
            error = _collect(itertools.chain(settled, sender.outcomes()), result)
            if isinstance(sender.stopped, (JournalError, StoppedError)):
                error = sender.stopped
            unrecorded = sender.unrecorded
        report.close()
        finished = result.finish(client.calls - calls_before, diff_mode, error, unrecorded)
        if refusal:
            finished.update(failed=True, msg=str(refusal))
        has_plan = check_mode and not error if task.plan_digest is None else not isinstance(refusal, JournalError)
        if has_plan:
            finished["plan_digest"] = digest.hexdigest()
        finished["journal"] = journal.description()
        if journal.run:
            finished["run_id"] = journal.run.run_id
        warnings = _warnings(task, requested, finished["journal"], journal.has_new_request_ids())
    finally:
        journal.close()
    if warnings:
        finished["warnings"] = warnings
    return finished


def _job_id() -> str | None:
    """Return the id of the job of AAP or AWX that this process belongs to, None for none."""
    return shown(os.environ.get("JOB_ID", "").strip(), MAX_JOB_ID_LENGTH) or None


def _digest(task: Task, common: str) -> PlanDigest:
    """Return the digest of a plan without interactions.

    :param common: JSON of the route and the data that they share.
    """
    scope = {
        "api_url": task.connection.api_url,
        "account": task.connection.account,
        "provider": task.provider,
        "action": task.action.value,
        "force": task.force,
        "idempotency_key": task.idempotency_key,
    }
    return PlanDigest(scope, common)


def _refusal(task: Task, journal: Journal, digest: PlanDigest) -> VccError | None:
    """Compare the plan with the approved plan, if there is one. Return the error that keeps the task from making any call, or None."""
    if task.plan_digest is None:
        return None
    try:
        compare(journal, task.state, digest, task.plan_digest)
    except VccError as exc:
        return exc
    return None


def _derivation(task: Task) -> t.Callable[[str], str] | None:
    """Return the function that derives request ids from the key of a task; None if it has no key."""
    key, account = task.idempotency_key, task.connection.account
    if key is None:
        return None
    return functools.partial(derive_request_id, key, account, task.provider, task.action.value)


def _with_key(entries: t.Iterator[Entry | list[str]], key: str | None) -> t.Iterator[Entry | list[str]]:
    """Yield entries whose request ids can be derived from a key, if there is one. Raises InputError."""
    for entry in entries:
        if key is not None and isinstance(entry, Entry):
            if entry.request_id is not None:
                raise InputError(
                    f"{entry.position} has a request_id, but the task also has idempotency_key: remove one of them."
                )
            if entry.external_id is None:
                raise InputError(
                    f"{entry.position} has no external_id, but idempotency_key derives the request id from it: set external_id."
                )
        yield entry


def _with_data(entries: t.Iterator[Entry | list[str]], payload: PayloadBuilder) -> t.Iterator[Entry | list[str]]:
    """Yield entries with their own data as JSON. Raises InputError."""
    for entry in entries:
        yield entry if isinstance(entry, list) else payload.encode_data(entry)


def _collect(outcomes: t.Iterator[Outcome], result: Result) -> VccError | None:
    """Add outcomes to the result; return the error that ends them early, or None."""
    try:
        for outcome in outcomes:
            result.add(outcome)
    except VccError as exc:
        return exc
    return None


def _rerun_advice(task: Task, requested: int, journal: str) -> str:
    """Return advice on running the task again after an interruption or a failure.

    :param requested: the number of distinct interactions that it asked for.
    :param journal: the location of its journal; empty for no journal.
    """
    has_key = task.idempotency_key is not None
    approved = task.plan_digest is not None
    return rerun_advice(
        shown(journal), task.journal_ttl, task.force, has_key, task.source.nameless, requested, approved
    )


def _repetition_warning(task: Task, requested: int, journal: str) -> str:
    """Return a sentence on running the task again if that may repeat interactions that VCC has accepted; empty if it cannot.

    :param requested: the number of distinct interactions that it asked for.
    :param journal: the location of its journal; empty for no journal.
    """
    if journal and not task.force and not task.source.nameless:
        return ""
    advice = _rerun_advice(task, requested, journal)
    return f"{advice[0].upper()}{advice[1:]}."


def _warnings(task: Task, requested: int, journal: dict[str, t.Any], has_new_request_ids: bool) -> list[str]:
    """Return the warnings of a task.

    :param requested: the number of distinct interactions that it asked for.
    :param journal: the journal of its result.
    :param has_new_request_ids: whether the task itself chooses the request id of an interaction.
    """
    warnings = []
    if not requested and task.source.path:
        warnings.append(f"src {task.source.path} has no interactions, so the task does nothing: check the file.")
    if task.source.nameless:
        warnings.append(
            f"{task.source.nameless} of the interactions have no external id: VCC's API can never release them,"
            " and another run of the task may dispatch them again."
        )
    is_lasting = task.idempotency_key is not None or (journal["location"] and not journal["created"])
    if task.action is Action.DISPATCH and has_new_request_ids and not is_lasting:
        warnings.append(_warning_of_new_journal(journal))
    if not task.connection.verify:
        warnings.append(UNVERIFIED)
    return warnings


def _warning_of_new_journal(journal: dict[str, t.Any]) -> str:
    """Return the warning of a dispatch whose journal has no earlier one."""
    if not journal["location"]:
        return (
            "This task has no journal: a second run dispatches again. Keep a journal where every run finds it, such as in PostgreSQL, or set"
            " idempotency_key."
        )
    made = f"This task makes the journal {journal['location']}"
    if journal["backend"] == "postgresql":
        return (
            f"{made}: it has no record of earlier dispatches. If there were any, check the URL, or set idempotency_key."
        )
    return (
        f"{made}: a second run that does not find this journal dispatches again. Keep the journal where every run finds it, such as in PostgreSQL, or"
        " set idempotency_key."
    )

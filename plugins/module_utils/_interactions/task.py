# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task of vcc_interaction, from its options to its result."""

from __future__ import annotations

import typing as t

from .._api.client import Client
from .._api.http import MAX_CALLS_IN_FLIGHT
from .._connection import UNVERIFIED, Connection
from .._errors import InputError, JournalError, StoppedError, VccError
from .._journal.journal import Journal
from .._options import SOURCES
from .._validation import check_data, check_name, check_number
from .outcome import Action, Outcome
from .payload import PayloadBuilder
from .plan import preview
from .report import Report
from .result import Result
from .sender import Sender


def run(
    params: t.Mapping[str, t.Any], check_mode: bool, diff_mode: bool, clients: dict[Connection, Client]
) -> dict[str, t.Any]:
    """Do what a task of vcc_interaction asks for, and return its result.

    :arg params: its options, validated with C(options.INTERACTION_SPEC).
    :arg clients: the clients of earlier tasks with equal connections; a new one is added.
    Never raises VccError: a failure is a result with C(failed) and C(msg).
    """
    try:
        return _run(params, check_mode, diff_mode, clients)
    except VccError as exc:
        return {"failed": True, "changed": False, "msg": str(exc)}


def _run(
    params: t.Mapping[str, t.Any], check_mode: bool, diff_mode: bool, clients: dict[Connection, Client]
) -> dict[str, t.Any]:
    to = Connection.from_params(params)
    check_limits(params)
    client = clients.get(to) or Client.from_connection(to)
    clients[to] = client
    payload = PayloadBuilder(params)
    provider = params["provider"] or None
    journal = Journal(
        params["journal"] or "",
        to.api_url,
        to.account,
        provider,
        params["journal_ttl"],
        payload.action.value,
        params["force"],
        dry_run=check_mode,
    )
    try:
        requested = journal.add_all(payload.entries())
        report = Report(params["report"], dry_run=check_mode)
        result = Result(requested, payload.state, provider, report)
        if check_mode:
            broken = _collect(preview(journal, payload.state), result)
            api_calls = 0
        else:
            calls_before = client.calls
            # Dispatches are to queue in the order in which they are asked for.
            in_flight = params["calls_in_flight"] if payload.action is Action.RELEASE else 1
            sender = Sender(journal, client, payload, payload.state, in_flight, params["max_failures"])
            broken = _collect(sender.outcomes(), result)
            if isinstance(sender.stopped, (JournalError, StoppedError)):
                broken = sender.stopped
            api_calls = client.calls - calls_before
        report.close()
        finished = result.finish(api_calls, diff_mode, broken)
    finally:
        journal.close()
    warnings = []
    if not requested and params["src"]:
        warnings.append(f"src {params['src']} is empty: it asks for no interaction.")
    if payload.nameless:
        warnings.append(
            f"{payload.nameless} of the interactions have no external id: they can never be released by this API,"
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


def check_limits(params: t.Mapping[str, t.Any]) -> None:
    """Check what the argument spec of vcc_interaction cannot. Raises InputError."""
    if sum(params[name] is not None for name in SOURCES) != 1:
        raise InputError(
            "Say which interactions are meant, with one of external_id, external_ids, src and interactions."
        )
    check_number(params, "journal_ttl", 0)
    check_number(params, "calls_in_flight", 1, MAX_CALLS_IN_FLIGHT)
    check_number(params, "max_failures", 1)
    if params["provider"]:
        check_name("provider", params["provider"])
    if params["state"] == "dispatched":
        check_name("route", params["route"])
        check_data("", params)

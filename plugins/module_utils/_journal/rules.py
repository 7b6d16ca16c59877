# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the journal: the meaning of a row, and the row that follows from an event.

These are pure functions, without files, clocks or random numbers. The journal looks rows up, applies a rule, and replaces each row with the row that the
rule returns. If another process has replaced the row meanwhile, the journal looks it up again and applies the rule once more.
"""

from __future__ import annotations

import typing as t

from .._words import Action, Word
from .claim_ids import claim_of
from .store import Change, Row, Use


class RowState(Word):
    """The states of a row, and the state without a row."""

    RELEASED = "released"
    DISPATCHED = "dispatched"
    PENDING = "pending"
    UNKNOWN = "not known"


class Terms(t.NamedTuple):
    """The terms on which a task asks for its interactions.

    :param action: "release" or "dispatch"; a row of the other action confirms nothing.
    :param ttl: seconds for which a row counts; 0 for ever.
    :param force: whether to ask again for confirmed and pending interactions, with new request ids.
    """

    action: str
    ttl: int
    force: bool = False


class Interaction(t.NamedTuple):
    """An interaction of the worklist, with the knowledge of the journal.

    :param seq: its place among the distinct interactions that the task asks for, from 1.
    :param external_id: None for a dispatch without an external id, for which the journal keeps no row.
    :param request_id: the request id to send, or that of the row; None if it is not made yet.
    :param confirmed: whether the journal confirms that VCC accepted it, so that nothing is left to do.
    :param pending: whether it was asked for before without a known answer of VCC.
    :param data: JSON of this interaction's own data, or None.
    :param previous: the row that confirms it, or the row that its claim replaces, if any; None for a claim that takes over a pending row.
    :param requested_at: the time in the row of its claim.
    :param claim: the id of that row; 0 if there is none.
    """

    seq: int
    external_id: str | None
    request_id: str | None
    confirmed: bool
    pending: bool
    data: str | None = None
    previous: Row | None = None
    requested_at: float = 0.0
    claim: int = 0


# The request id of a pending row whose next attempt must have a request id that no earlier attempt had.
NEVER_SENT = ""

# An interaction of the worklist: its place, and its external id, custom request id and data, each None if it has none. A plain tuple, because there are
# many.
Wanted = tuple[int, t.Optional[str], t.Optional[str], t.Optional[str]]


# Makes a named tuple from a tuple in half the time of its class.
_new = tuple.__new__


def counts(changed_at: float, ttl: int, now: float) -> bool:
    """Return whether a row is young enough to count: accepted, or requested if it is pending, within ``ttl`` seconds.

    A time far in the future comes from a wrong clock, so it counts as little as a time far in the past.
    """
    return not ttl or abs(now - changed_at) < ttl


def classify(
    wanted: list[Wanted], rows: t.Mapping[str, Row], terms: Terms, now: float, ids: t.Iterator[tuple[int, str | None]]
) -> list[Interaction]:
    """Return interactions with the knowledge of the journal.

    For speed, this calls no function for most of them, not even ``counts``: a task may have 100,000.

    :param rows: the rows by external id.
    :param ids: ids of claims with request ids; each interaction that must be sent takes one.
    """
    action, ttl, force = terms
    found = []
    for each in wanted:
        seq, external_id, custom_id, data = each
        row = rows.get(external_id) if external_id is not None else None
        if row is None:
            claim_id, new_id = next(ids)
            if custom_id or external_id is None:
                found.append(claim(each, row, terms, now, claim_id, new_id))
            else:
                found.append(_new(Interaction, (seq, external_id, new_id, False, False, data, None, now, claim_id)))
        elif (
            row.accepted_at is not None
            and row.action == action
            and not force
            and (not ttl or abs(now - row.accepted_at) < ttl)
        ):
            found.append(_new(Interaction, (seq, external_id, row.request_id, True, False, data, row, 0.0, 0)))
        else:
            found.append(claim(each, row, terms, now, *next(ids)))
    return found


def claim(
    wanted: Wanted, row: Row | None, terms: Terms, now: float, claim_id: int = 0, new_id: str | None = None
) -> Interaction:
    """Return an interaction that no row confirms, with the request id to send.

    A pending row keeps its request id, because the call may have had its effect, and VCC ignores a second call with that id. It keeps its time too,
    because it is not known for how long VCC remembers a request id.

    :param claim_id: the id of the row that is written for it; 0 if none is written.
    :param new_id: a new request id, used if neither the task nor a pending row has one.
    """
    seq, external_id, custom_id, data = wanted
    if external_id is None:
        claim_id = 0
    if custom_id:
        claim_id = _odd_id(claim_id)
    if row is None:
        return Interaction(seq, external_id, custom_id or new_id, False, False, data, None, now, claim_id)
    pending = row.action == terms.action and row.accepted_at is None and counts(row.requested_at, terms.ttl, now)
    if pending and not terms.force:
        request_id = row.request_id or custom_id
        if request_id:
            claim_id = _odd_id(claim_id)
        return Interaction(seq, external_id, request_id or new_id, False, True, data, None, row.requested_at, claim_id)
    return Interaction(seq, external_id, custom_id or new_id, False, pending, data, row, now, claim_id)


def keep_request_id(wanted: Wanted, row: Row | None, lost: Interaction) -> Wanted:
    """Return the interaction to claim again after its claim was lost.

    If the row has the request id of the lost claim, that claim took effect, its answer was lost, and another process has taken it over. Then both
    processes send the same request id, even with ``force``.
    """
    seq, external_id, request_id, data = wanted
    is_own = row is not None and row.request_id == lost.request_id
    return seq, external_id, lost.request_id if is_own else request_id, data


def _odd_id(claim_id: int) -> int:
    """Return the id of a row whose request id is not made from it."""
    return claim_id | 1 if claim_id else 0


def row_of_claim(interaction: Interaction, action: str, is_doubtful: bool = False) -> Row:
    """Return the pending row of a claim.

    :param is_doubtful: whether VCC may ignore its request id, so that the next attempt of another task must have another one.
    """
    external_id, request_id = interaction.external_id, NEVER_SENT if is_doubtful else interaction.request_id
    return _new(Row, (interaction.claim, external_id, action, request_id, interaction.requested_at, None))


def confirm(
    wanted: list[Wanted],
    interactions: list[Interaction],
    accepted: t.Container[str | None],
    unanswered: t.Container[str | None],
) -> list[Interaction]:
    """Confirm the interactions whose custom request id VCC has accepted at any time. Return all interactions.

    :param wanted: the same interactions as the task asks for them.
    :param unanswered: the custom request ids that VCC may have received; an interaction with one of them is pending.
    """
    return [
        each
        if each.confirmed
        else Interaction(each.seq, each.external_id, custom_id, True, False, each.data)
        if custom_id in accepted
        else each._replace(pending=True)
        if custom_id in unanswered
        else each
        for custom_id, each in zip((one[2] for one in wanted), interactions)
    ]


def replaced_request_ids(changes: t.Iterable[Change]) -> dict[tuple[str, bool], list[tuple[str, str | None]]]:
    """Return the request ids that changes replace and that VCC may have received, with their external ids, by action and whether they are unanswered.

    A request id that is made from the id of its row is never used again, so it can be forgotten.
    """
    found: dict[tuple[str, bool], list[tuple[str, str | None]]] = {}
    for old, new in changes:
        if old and old.request_id not in (NEVER_SENT, new and new.request_id) and claim_of(old.request_id) != old.claim:
            found.setdefault((old.action, old.accepted_at is None), []).append((old.request_id, old.external_id))
    return found


def release_claim(interaction: Interaction, action: str) -> Change:
    """Return the change that withdraws a claim of which VCC has processed nothing: it restores the previous row, with its id.

    It takes effect only if the row is still that of the claim. Another process may have taken it over, and the call of that process may still take effect.
    """
    return row_of_claim(interaction, action), interaction.previous


def stays_pending(interaction: Interaction, action: str) -> bool:
    """Return whether a claim stays although VCC has processed nothing of its call, because it follows a pending row of the same action.

    Other interactions are pending because their request id was kept, and it stays kept.
    """
    row = interaction.previous
    return interaction.pending and (row is None or (row.action == action and row.accepted_at is None))


def reconcile(
    row: Row | None,
    interaction: Interaction,
    action: str,
    now: float,
    accepted_at: float | None,
    claim_id: int,
    is_doubtful: bool = False,
) -> Change | None:
    """Return the change that records that VCC has processed a claim, or may have, even if other processes have replaced its row. None for no change.

    :param row: the present row of the interaction.
    :param accepted_at: when VCC accepted it; None if its answer is not known.
    :param claim_id: the id of a new row.
    :param is_doubtful: whether VCC may have ignored its request id, so that it confirms nothing.
    """
    request_id = interaction.request_id
    if is_doubtful:
        request_id, accepted_at = NEVER_SENT, None
    if row is None:
        # A release that found nothing withdrew the row, or a user pruned it. It is not known whether a dispatch came before or after that release, so
        # nothing confirms it. Its row is pending, so that no other release is confirmed that VCC may have processed before it.
        if action == Action.DISPATCH:
            is_doubtful, accepted_at = True, None
        return None, row_of_claim(interaction, action, is_doubtful)._replace(
            claim=_odd_id(claim_id), requested_at=now, accepted_at=accepted_at
        )
    if row.action != action:
        # It is not known which action VCC processed last. So the other one is no longer confirmed, and its own answer will not confirm it. VCC may have
        # processed its request ids before this action, and would ignore them from now on.
        return row, row._replace(claim=_odd_id(claim_id), request_id=NEVER_SENT, accepted_at=None)
    if row.request_id == request_id:
        return None if accepted_at is None else (row, row._replace(accepted_at=accepted_at))
    if row.accepted_at is None:
        # Another process has sent a new request. If VCC rejects that, the previous row must not come back.
        return row, row._replace(claim=_odd_id(claim_id))
    return None


def is_doubtful(request_id: str, row: Row | None, action: str) -> bool:
    """Return whether another action may have followed an earlier call with a request id, so that VCC would ignore the id now.

    An accepted row of the same action is later than that other action. A pending row of another attempt does not show what came before it.
    """
    return row is None or row.action != action or (row.accepted_at is None and row.request_id != request_id)


def notify(row: Row | None, is_release: bool, external_id: str, notification_id: str) -> Row | None:
    """Return the row of an interaction after a notification; ``record_notification`` adds its id and times.

    A release is a confirmation. An assignment to an agent ends it, because an agent has the interaction again; a pending release stays pending.
    """
    if is_release:
        known = row is not None and row.action == Action.RELEASE
        request_id = row.request_id if row and known else notification_id
        return Row(0, external_id, Action.RELEASE.value, request_id, 0.0, 0.0)
    return None if row and row.action == Action.RELEASE and row.accepted_at is not None else row


def record_notification(row: Row | None, known: Row | None, now: float, claim_id: int) -> Change | None:
    """Return the change that the notifications of one interaction make. Return None for no change.

    A release and a pending row get a new id, so that withdrawing a claim later does not restore an earlier confirmation.

    :param row: the row of the interaction before the notifications.
    :param known: the row after all notifications.
    """
    if known is None:
        return (row, None) if row else None
    if known.action != Action.RELEASE and known.accepted_at is not None:
        return None
    requested_at = row.requested_at if row else now
    accepted_at = None if known.accepted_at is None else now
    return row, known._replace(claim=_odd_id(claim_id), requested_at=requested_at, accepted_at=accepted_at)


def state_of(row: Row | None) -> RowState:
    """Return the state of an interaction with this row."""
    if row is None:
        return RowState.UNKNOWN
    if row.accepted_at is None:
        return RowState.PENDING
    return RowState.RELEASED if row.action == Action.RELEASE else RowState.DISPATCHED


def is_conflict(use: Use, wanted: Wanted, terms: Terms, now: float) -> bool:
    """Return whether VCC would ignore a custom request id because of an earlier use: for another interaction or action, or in a call not to repeat."""
    if is_of_another(use, wanted, terms, now):
        return True
    if not use.processed:
        return False
    return terms.force or use.changed_at is None or not counts(use.changed_at, terms.ttl, now)


def is_of_another(use: Use, wanted: Wanted, terms: Terms, now: float) -> bool:
    """Return whether a custom request id was used for another interaction or action."""
    return not use.here or use.external_id != wanted[1] or use.action != terms.action

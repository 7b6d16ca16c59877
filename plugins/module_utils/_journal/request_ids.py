# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse request ids whose request VCC would silently ignore, because it may have received them before."""

from __future__ import annotations

import typing as t

from .._errors import InputError
from .._text import shown
from . import rules
from .rules import Terms, Wanted
from .store import Store, Use


def check_request_ids(
    store: Store, wanted: list[Wanted], terms: Terms, now: float, is_conflict: t.Callable[..., bool] = rules.is_conflict
) -> None:
    """Refuse a custom request id that VCC may have received for another interaction or action, or in an earlier call. Raises InputError."""
    for each, use in _uses(store, wanted):
        if is_conflict(use, each, terms, now):
            external_id = each[1]
            is_same = use.here and use.external_id == external_id
            provider = "" if use.here else " with another provider"
            used = f"to {shown(use.action)} it" if is_same else f"for {_named(use.external_id)}{provider}"
            purpose = f" only if VCC must {terms.action} it again" if is_same and use.action == terms.action else ""
            raise InputError(
                f"The request_id '{shown(use.request_id)}' of {_named(external_id)} has been used {used} before, so VCC would ignore the request:"
                f" set another request_id{purpose}."
            )


def check_key(store: Store, wanted: list[Wanted]) -> None:
    """Refuse ``force`` with derived request ids that were used before. Raises InputError."""
    for each, dummy in _uses(store, wanted):
        raise InputError(
            f"The idempotency_key has been used for '{shown(each[1] or '')}' before, so VCC would ignore the request: force needs a new idempotency_key."
        )


def _named(external_id: str | None) -> str:
    """Return an interaction for a message."""
    return "an interaction without an external id" if external_id is None else f"'{shown(external_id)}'"


def _uses(store: Store, wanted: list[Wanted]) -> t.Iterator[tuple[Wanted, Use]]:
    """Yield each use of a request id with its interaction, in the order of the interactions."""
    found: dict[str, list[Use]] = {}
    for use in store.uses([each[2] for each in wanted if each[2] is not None]):
        found.setdefault(use.request_id, []).append(use)
    for each in wanted:
        for use in found.get(each[2] or "", ()):
            yield each, use

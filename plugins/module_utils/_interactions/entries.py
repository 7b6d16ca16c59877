# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries: the interactions that a task asks for, each with checked ids and data."""

from __future__ import annotations

import typing as t

from .._errors import InputError
from .._journal.entry import Entry
from .._options import DATA_SPEC, validated_data
from .._validation import check_data, check_id
from .._words import Action


def make_entry(
    position: str, external_id: t.Any, request_id: t.Any = None, data: dict[str, t.Any] | None = None
) -> Entry:
    """Return an entry with an external id. Raises InputError.

    :param position: the place of the entry, for messages.
    """
    if request_id is not None:
        request_id = check_request_id(f"{position}: request_id", request_id)
    return Entry(position, check_id(position, external_id), request_id, data or None)


def entry_of_option(position: str, interaction: t.Mapping[str, t.Any], action: Action) -> Entry:
    """Return the entry of an item of the option ``interactions``. Raises InputError."""
    external_id, request_id = interaction["external_id"], interaction["request_id"]
    if action is Action.RELEASE:
        if external_id is None:
            raise InputError(
                f"{position} has no external_id, and VCC releases only by external id: set it, or remove the interaction from the list."
            )
        # The request id is that of the dispatch. VCC would ignore a release with the same one.
        return make_entry(position, external_id)
    check_data(f"{position}: ", interaction)
    data = {name: interaction[name] for name in DATA_SPEC if interaction[name] is not None}
    if external_id is not None:
        return make_entry(position, external_id, request_id, data)
    if request_id is not None:
        check_request_id(f"{position}: request_id", request_id)
    return Entry(position, None, request_id, data or None)


def entry_of_object(position: str, fields: dict[str, t.Any], action: Action) -> Entry:
    """Return the entry of a JSON object in a file. Raises InputError."""
    if fields.get("external_id") is None:
        raise InputError(f"{position} has no external_id: each object must have one.")
    data = validated_data(position, fields) if action is Action.DISPATCH else None
    return make_entry(position, fields["external_id"], fields.get("request_id"), data)


def check_request_id(position: str, value: t.Any) -> str:
    """Return a request id as text. Raises InputError."""
    return check_id(position, value, "give a new id, or leave it out", "a request_id")

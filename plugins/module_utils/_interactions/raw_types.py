# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the options of vcc_interaction as a task gives them, before Ansible converts them."""

from __future__ import annotations

import typing as t

from .._errors import InputError
from .._validation import Spec, check_list, check_raw_ids, check_texts, check_types

# The options of vcc_interaction that take only text, a whole number or a date. With other values, two runs of one operation could derive different request
# ids: in the answer of a survey, ansible-core 2.19 reads 2026-11-28T10:00:00Z or 1.50 as YAML, and 2.16 reads it as text.
TEXTS = (
    "account",
    "external_id",
    "idempotency_key",
    "interactions",
    "linked_data",
    "plan_digest",
    "provider",
    "reason",
    "request_id",
    "route",
    "routing_data",
)


def check_raw_types(spec: Spec, args: t.Mapping[str, t.Any]) -> None:
    """Raise InputError for an option of vcc_interaction that Ansible would convert to something else.

    Ansible splits a string at its commas if an option is a list, and converts a dict or a null to text if it is text.

    :param args: the options of the task, without blanks.
    """
    check_list("interactions", args.get("interactions"))
    check_types(spec, args)
    check_raw_ids(args)
    for index, interaction in enumerate(args.get("interactions") or ()):
        if not isinstance(interaction, t.Mapping):
            raise InputError(f"interactions[{index}] must be a dictionary such as {{'external_id': 'case-1'}}.")
    check_texts({name: spec[name] for name in TEXTS}, args)

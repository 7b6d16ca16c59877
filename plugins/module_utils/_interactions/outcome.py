# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outcome of an interaction: its state, and the evidence for it."""

from __future__ import annotations

import typing as t

from .._journal.rules import Interaction
from .._words import Action, Word


class State(Word):
    """The state of an interaction after the task."""

    RELEASED = "released"
    DISPATCHED = "dispatched"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Evidence(Word):
    """The evidence for a state."""

    API = "api"
    JOURNAL = "journal"
    STATUS = "status"
    PREDICTED = "predicted"
    NONE = "none"


# The action that leads to each state that a task can ask for.
ACTIONS = {State.RELEASED: Action.RELEASE, State.DISPATCHED: Action.DISPATCH}


class Outcome(t.NamedTuple):
    """The outcome of a list of interactions.

    :param changed: whether this task brought them into the state.
    :param message: the error and its remedy; empty without an error.
    :param call: the number of the call that decided it, from 1 in each task; None without a call.
    :param at: when it was known, in seconds since the epoch; None for now.
    """

    interactions: t.Sequence[Interaction]
    state: State
    changed: bool
    evidence: Evidence
    message: str = ""
    call: int | None = None
    at: float | None = None

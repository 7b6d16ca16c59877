# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of options, calls, rows and results."""

from __future__ import annotations

import enum


class Word(str, enum.Enum):
    """A word of options, calls, rows and results. It is equal to its text, even as a key of a dictionary, and a message shows its text."""

    def __hash__(self) -> int:
        return str.__hash__(self)

    def __str__(self) -> str:
        return str(self.value)


class Action(Word):
    """The action that a task asks VCC for."""

    RELEASE = "release"
    DISPATCH = "dispatch"


class AttemptState(Word):
    """The states in which an attempt of a run ends."""

    ACCEPTED = "accepted"
    FAILED = "failed"
    UNKNOWN = "unknown"

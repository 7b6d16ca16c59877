# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Violations of the guarantees: how a check raises one, and how a round collects them."""

from __future__ import annotations

import contextlib


class Violation(Exception):
    """A guarantee does not hold."""


def require(condition, sentence):
    """Raise Violation with a sentence if a condition does not hold."""
    if not condition:
        raise Violation(sentence)


def forbid(problems):
    """Raise Violation with the first one of problems, if there is any."""
    for problem in problems:
        raise Violation(problem)


@contextlib.contextmanager
def collect(round_, process=None):
    """Add a Violation to the report of the round, with the wave and the process."""
    try:
        yield
    except Violation as exc:
        place = f"wave {len(round_.waves) - 1}: "
        if process is not None:
            place += f"process {process.task.number} ({process.task.runner}): "
        round_.add_violation(f"{place}{exc}")

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The figures and violations of rounds."""

from __future__ import annotations

import collections
from dataclasses import dataclass, field

from ansible_collections.vonage.vcc.tests.faults.processes import ENDING_SIGNALS


@dataclass
class Report:
    """The figures and violations of one round or of many."""

    rounds: int = 0
    processes: collections.Counter = field(default_factory=collections.Counter)
    ended: collections.Counter = field(default_factory=collections.Counter)
    faults: collections.Counter = field(default_factory=collections.Counter)
    conditions: collections.Counter = field(default_factory=collections.Counter)
    interactions: int = 0
    calls: int = 0
    effects: int = 0
    ignored: int = 0
    violations: list = field(default_factory=list)  # (seed, sentence)

    def add(self, other):
        """Add another report to this one."""
        for name, value in vars(other).items():
            if isinstance(value, collections.Counter):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)


def format_report(report, seconds):
    """Return the figures, one on a line."""
    rows = [("rounds", report.rounds), ("seconds", round(seconds))]
    rows += [("processes", report.processes.total())]
    rows += [(f"  {name}", count) for name, count in sorted(report.processes.items())]
    rows += [("ended by a signal", sum(report.ended[how] for how in ENDING_SIGNALS))]
    rows += [(f"  {name}", count) for name, count in sorted(report.ended.items()) if name != "FULL"]
    rows += sorted(report.conditions.items())
    rows += [("faults", report.faults.total())]
    rows += [(f"  {name}", count) for name, count in sorted(report.faults.items())]
    rows += [("interactions", report.interactions), ("calls", report.calls), ("effects", report.effects)]
    rows += [("ignored repeats", report.ignored), ("violations", len(report.violations))]
    return "\n".join(f"{name:<24}{count:>9}" for name, count in rows)

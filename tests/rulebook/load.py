# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure how many notifications the shipped rulebook takes, and check that the journal has all that were answered 200, also after SIGTERM and SIGKILL.

Prints a table; ends with 1 if a rate is not reached or a notification is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.rulebook.endpoint import Load, Rulebook, RulebookWithDatabase

# Notifications of a POST, and the POSTs a second that must be sustained.
GOALS = ((1, 500), (50, 100))

# The part of a rate that must be reached, because the last POSTs of a load are answered after its end.
ENOUGH = 0.98

SIGNALS = {"terminate": "SIGTERM", "kill": "SIGKILL"}

ROW = "{:<11} {:>5}  {:<24} {:>14} {:>8} {:>8} {:>8}  {}"


@contextlib.contextmanager
def rulebook_with(backend):
    """Return the rulebook, not started, with a new journal that is as durable as in production."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vcc-load-")))
        if backend == "sqlite":
            yield Rulebook(folder)
            return
        from ansible_collections.vonage.vcc.tests.postgresql.server import Server  # needs psycopg

        yield RulebookWithDatabase(folder, stack.enter_context(Server()))


def measure(backend, size, seconds, rate=None, end=None):
    """
    Put load on the rulebook, print a row, and return whether the rate is reached and no notification is missing.

    :param rate: POSTs a second that must be reached; None for as many as it takes
    :param end: the method of Rulebook with which it ends in the middle of the load
    """
    with rulebook_with(backend) as rulebook, rulebook.running():
        rulebook.wait_until_listening()
        load = Load(rulebook.port, size)
        began = time.monotonic()
        asyncio.run(under_load(rulebook, load, seconds, rate, end))
        elapsed = time.monotonic() - began
        if end:
            rulebook.process.wait(30)
        missing = len(set(load.answered) - rulebook.recorded())
        reached = len(load.times) / (seconds / 2 if end else elapsed)
    if end:
        what = f"{SIGNALS[end]} after {seconds / 2:g} s"
    elif rate:
        what = f"{rate} POSTs/s for {seconds:g} s"
    else:
        what = "as many as it takes"
    times = sorted(load.times) or [0.0]
    median, most = (f"{times[int(len(times) * part)] * 1000:.0f} ms" for part in (0.5, 0.99))
    faults = [f"{missing} of {len(load.answered)} missing"] if missing else []
    if not load.times or (rate and not end and reached < ENOUGH * rate):
        faults.append("rate not reached")
    result = "; ".join(faults) or f"all {len(load.answered):,} answered are in the journal"
    if load.refused:
        result += f", {len(load.refused):,} POSTs were answered {sorted(set(load.refused))}"
    print(
        ROW.format(backend, size, what, f"{reached * size:,.0f}", f"{reached:,.0f}", median, most, result), flush=True
    )
    return not faults


async def under_load(rulebook, load, seconds, rate, end):
    """Run the load, and end the rulebook in the middle of it."""
    if end:
        asyncio.get_running_loop().call_later(seconds / 2, getattr(rulebook, end))
    await load.run(seconds, rate)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="seconds of each load (default 20)")
    parser.add_argument(
        "--backend", choices=("sqlite", "postgresql"), action="append", help="the journal (default both)"
    )
    options = parser.parse_args()
    backends = options.backend or ["sqlite", "postgresql"]
    if "postgresql" in backends and (reason := programs.missing()):
        sys.exit(reason)
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, client on the same machine, journals durable (fsync)\n"
    )
    print(ROW.format("journal", "size", "load", "notifications/s", "POSTs/s", "median", "99 %", "result"))
    right = True
    for backend in backends:
        for size, rate in GOALS:
            right &= measure(backend, size, options.seconds, rate)
        for size, dummy in GOALS:
            right &= measure(backend, size, options.seconds / 2)
        for end in ("terminate", "kill"):
            for size, rate in GOALS:
                right &= measure(backend, size, options.seconds / 4, rate, end)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())

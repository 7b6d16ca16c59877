# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""
Play rounds of the fault tests.

A round runs waves of processes that share a journal, with faults and signals, and checks the reliability guarantees.
``play(seed)`` plays one round with its own simulator. ``python -m tests.faults.campaign`` plays many.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import itertools
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from ansible_collections.vonage.vcc.tests.faults.draw import draw
from ansible_collections.vonage.vcc.tests.faults.draw_database import BACKENDS
from ansible_collections.vonage.vcc.tests.faults.jobs import CERTIFICATE_FILE
from ansible_collections.vonage.vcc.tests.faults.processes import ForkServer
from ansible_collections.vonage.vcc.tests.faults.report import Report, format_report
from ansible_collections.vonage.vcc.tests.faults.round import PROCESS_TIMEOUT, Round
from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.simulator import Simulator
from ansible_collections.vonage.vcc.tests.simulator.proxy import Proxy, certificate_for

_fork_servers = []  # at most one, which starts with the first round of this process
_servers = []  # at most one Servers, which starts with the first round of this process on PostgreSQL


def play(seed, playbooks=True, backend="sqlite"):
    """Play the round of a seed, and return its Report; see ``draw`` for the parameters."""
    return play_plan(draw(seed, playbooks, backend))


def play_plan(plan, defect=None, timeout=PROCESS_TIMEOUT):
    """
    Play a round, and return its Report.

    :param defect: the name of a defect of the engine, which the checks must detect
    :param timeout: seconds for a process
    """
    if not _fork_servers:
        _fork_servers.append(ForkServer())
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        # An unprivileged user must be able to reach the folder.
        reachable = all(parent.stat().st_mode & 0o001 for parent in Path(folder).resolve().parents)
        tls = certificate_for(Path(folder) / CERTIFICATE_FILE) if plan.proxied else None
        with Simulator(tls=tls) as simulator, contextlib.ExitStack() as stack:
            proxy = stack.enter_context(Proxy(simulator.url)) if plan.proxied else None
            database = stack.enter_context(_open_database(plan)) if plan.database else None
            plan = dataclasses.replace(plan, unprivileged=plan.unprivileged and reachable)
            return Round(plan, simulator, Path(folder), _fork_servers[0], defect, timeout, proxy, database).play()


def _open_database(plan):
    from ansible_collections.vonage.vcc.tests.faults.database import Database, Servers  # needs psycopg

    if not _servers:
        _servers.append(Servers())
    return Database(_servers[0], **plan.database)


def close():
    """End the fork server and the servers of the database."""
    for each in (_fork_servers, _servers):
        while each:
            each.pop().close()


def missing():
    """Return the reason why no round can have its journal in PostgreSQL here, or None."""
    return programs.missing() or (None if programs.find_pgbouncer() else "no pgbouncer (package pgbouncer)")


def _play(seed, backend):
    """Play the round of a seed; an exception of the campaign itself is a violation too."""
    try:
        return play(seed, backend=backend)
    except Exception:
        return Report(rounds=1, violations=[(seed, f"the campaign failed: {traceback.format_exc()}")])


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.campaign", description="Play rounds of the fault tests."
    )
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the first round; the next rounds have the seeds after it"
    )
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        help="where the journal is; by default in both, one or the other in each round, if PostgreSQL can be had",
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="do not start a round after this time")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of rounds at once")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the plan of the first round and exit")
    arguments = parser.parse_args()
    backend = arguments.backend or "both"
    reason = missing() if backend != "sqlite" else None
    if reason and (arguments.backend or os.environ.get("CI") == "true"):
        parser.error(f"no journal in PostgreSQL: {reason}")
    if reason:
        print(f"no journal in PostgreSQL: {reason}", flush=True)
        backend = "sqlite"
    again = f" BACKEND={backend}" if backend != "both" else ""
    if arguments.save:
        arguments.save.write_text(draw(arguments.seed, backend=backend).to_json(), encoding="utf-8")
        return 0
    start = time.monotonic()
    total = Report()
    seeds = iter(range(arguments.seed, arguments.seed + arguments.rounds))
    context = multiprocessing.get_context("spawn")
    # SIGTERM raises KeyboardInterrupt, so that a round unmounts its disk.
    on_sigterm = (signal.SIGTERM, signal.default_int_handler)
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs, context, signal.signal, on_sigterm) as executor:
        running = {executor.submit(_play, seed, backend) for seed in itertools.islice(seeds, arguments.jobs)}
        while running:
            done, running = concurrent.futures.wait(running, return_when="FIRST_COMPLETED")
            for report in (each.result() for each in done):
                total.add(report)
                for seed, sentence in report.violations:
                    print(f"seed {seed}: {sentence}\n  again: make torture ROUNDS=1 SEED={seed}{again}", flush=True)
                if time.monotonic() - start < arguments.seconds:
                    running |= {executor.submit(_play, seed, backend) for seed in itertools.islice(seeds, 1)}
    print(format_report(total, time.monotonic() - start))
    return bool(total.violations)


if __name__ == "__main__":
    sys.exit(main())

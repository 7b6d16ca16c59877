# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Draw the backend of the journal and, for PostgreSQL, the faults of the database."""

from __future__ import annotations

BACKENDS = ("sqlite", "postgresql", "both")

# Limits for rounds on PostgreSQL. The watchdog ends a connection that is silent for so many seconds.
WATCHDOG = {"ANSWER_TIMEOUT": 1}

# Files that a task with a journal in PostgreSQL cannot have.
FILES_OF_JOURNAL = ("report is the log of the journal", "report is a link to the journal")


def add_database(rng, plan, backend, with_playbooks):
    """
    Put the journal of a plan into PostgreSQL, if the backend says so or, for "both", in half of the plans.

    :param with_playbooks: whether some tasks run through ansible-playbook, which has no small limits and takes seconds
    """
    if backend == "sqlite" or (rng.random() < 0.5 and backend == "both"):
        return
    place = rng.choices(["direct", "pgbouncer", "failover"], [75, 22, 3])[0]
    isolation = rng.choices(["read committed", "repeatable read", "serializable"], [80, 5, 15])[0]
    plan.database = {"place": place, "prepared": rng.random() < 0.25, "isolation": isolation}
    plan.limits.update(WATCHDOG)
    if rng.random() < 0.15 and not with_playbooks:
        plan.limits["RETRY_SECONDS"] = rng.choice([0, 0.2, 0.5])
    factor = 20 if with_playbooks else 1
    for wave in plan.waves:
        wave.journal = "usable" if wave.journal == "small" else wave.journal
        if place != "failover":
            wave.database_faults = [_fault(rng, with_playbooks) for _each in range(rng.choice([0, 0, 1, 2, 3, 5, 10]))]
            wave.database_events = [
                (rng.uniform(0, 0.3) * factor, *_event(rng, with_playbooks))
                for _each in range(rng.choice([0, 0, 0, 0, 1, 1, 2]))
            ]
        for task in wave.tasks:
            if task.forbidden_file in FILES_OF_JOURNAL:
                task.forbidden_file = "report is a pipe"
    if place == "failover":
        wave = rng.choice(plan.waves)
        wave.journal = "usable"
        wave.database_events = [(rng.uniform(0, 0.3) * factor, "failover", {})]


def _fault(rng, with_playbooks):
    """Draw a fault of the connection to the database, counted from the fault before."""
    request = rng.randint(1, rng.choice([5, 15, 40]))
    when = rng.choice(["before", "after"])
    kind = rng.choices(["cut", "cut_bytes", "black_hole"], [80, 12, 0 if with_playbooks else 8])[0]
    if kind == "cut_bytes":
        return kind, {"count": rng.randint(1, rng.choice([500, 5000])), "sender": rng.choice(["client", "server"])}
    return kind, {"request": request, "when": when}


def _event(rng, with_playbooks):
    """Draw an event of the database: kind and details."""
    kind = rng.choices(["kill", "lock", "silence"], [25, 60, 0 if with_playbooks else 15])[0]
    if kind == "kill":
        return kind, {"mode": rng.choice(["kill", "immediate", "fast"]), "seconds": rng.choice([0, 0.1, 0.7])}
    return kind, {"seconds": rng.choice([0.02, 0.1, 0.3] if kind == "silence" else [0.02, 0.1, 0.3, 1.2])}

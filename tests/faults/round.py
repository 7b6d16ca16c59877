# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A round: its processes, and the data about them that the checks need."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import selectors
import shutil
import time

from ansible_collections.vonage.vcc.tests.faults import checks
from ansible_collections.vonage.vcc.tests.faults.draw import final_tasks
from ansible_collections.vonage.vcc.tests.faults.jobs import Jobs
from ansible_collections.vonage.vcc.tests.faults.journal_state import history, rows, small_disk, unusable
from ansible_collections.vonage.vcc.tests.faults.plan import Wave
from ansible_collections.vonage.vcc.tests.faults.processes import Process
from ansible_collections.vonage.vcc.tests.faults.report import Report

NOBODY_UID = 65534

# Seconds for a process. Its few calls take far less time, even with their time limits and waits.
PROCESS_TIMEOUT = 120


class Round:
    """A round with its simulator, its folder, the server that forks its engines, and its Database unless the journal is a file."""

    def __init__(
        self, plan, simulator, folder, fork_server, defect=None, timeout=PROCESS_TIMEOUT, proxy=None, database=None
    ):
        self.plan = plan
        self.simulator = simulator
        self.proxy = proxy
        self.database = database
        self.folder = folder
        self.fork_server = fork_server
        self.report = Report(rounds=1)
        self.waves = []  # (Wave, its Processes)
        self.effect_counts = []  # number of effects after each wave
        self.calls_before = 0  # number of calls before the last wave
        self.known = (
            set()
        )  # claims of which a process knows that VCC has, or may have, processed them, and could record that
        self.uninformed = set()  # (wave, action, key) of processes that may not know, or could not record it
        self.idle = set()  # (task, key) of processes that found it confirmed, or that were refused
        self.unresolved = set()  # latest claims of which no process knows that they were processed
        self.journal = folder / "kept" / "journal.db"
        self._timeout = timeout
        self._user = NOBODY_UID if plan.unprivileged and os.geteuid() == 0 else None
        journal = database.url if database else self.journal
        self.jobs = Jobs(folder, journal, simulator, proxy, self._user, plan.limits, defect)
        (folder / "kept").mkdir()
        (folder / "used").mkdir()
        if self._user is not None:
            folder.chmod(0o711)
            for name in ("kept", "used"):
                shutil.chown(folder / name, self._user)

    def add_violation(self, sentence):
        """Report a violation of a guarantee."""
        self.report.violations.append((self.plan.seed, sentence))

    def journal_rows(self):
        """Return the rows of the journal by key. Raises UnreadableError."""
        return self.database.rows() if self.database else rows(self.journal)

    def journal_history(self):
        """Return the outcomes in the history of the journal. Raises UnreadableError."""
        return self.database.history() if self.database else history(self.journal)

    def play(self):
        """Run the waves and the final tasks, check each, and return the report."""
        simulator = self.simulator
        simulator.behave(**self.plan.switches)
        for provider in filter(None, self.plan.providers):
            simulator.register(provider)
        for provider, external_id in self.plan.live:
            simulator.dispatch(external_id, provider=provider)
        simulator.poison(*self.plan.poisoned)
        for wave in self.plan.waves:
            self._run_wave(wave)
            checks.check_wave(self)
        simulator.behave(token_lifetime=7200, rate_limit=None)
        for action in ["dispatch", "release"] if self.plan.waves[-1].actions == {"dispatch"} else ["release"]:
            count = sum(len(wave.tasks) for wave, _processes in self.waves)
            for task in final_tasks(self.plan, action, count):
                preview = self._preview(task) if self.plan.previews else None
                if preview and "plan_digest" in preview:
                    options = {**task.options, "plan_digest": preview["plan_digest"]}
                    task = dataclasses.replace(task, options=options)
                self._run_wave(Wave([task]))
                checks.check_wave(self)
                checks.check_final_task(self, preview)
        checks.check_round(self)
        self._count_round()
        return self.report

    def _preview(self, task):
        """Return the result of a task in check mode, which must not make a call."""
        calls = len(self.simulator.calls)
        options = {name: value for name, value in task.options.items() if name != "report"}
        self._run_wave(Wave([dataclasses.replace(task, number=task.number + 1000, check=True, options=options)]))
        checks.check_wave(self)
        if len(self.simulator.calls) > calls:
            self.add_violation("check mode made a call")
        return self.waves[-1][1][0].result() or {}

    def _run_wave(self, wave):
        """Run the processes of a wave to their ends, with all faults and events."""
        faults = [self.simulator.fault(kind, **details) for kind, details in wave.faults]
        for kind, details in wave.proxy_faults:
            self.proxy.fault(kind, **details)
        self.calls_before = len(self.simulator.calls)
        effects_before = len(self.simulator.effects)
        with self._journal_of(wave) as usable:
            if self.database:
                self.database.begin(wave)
            processes = self._run_processes(wave, [fault for fault in faults if fault.kind == "hold"])
            if self.database:
                self.database.end()
                self.report.faults.update(self.database.faults)
            for fault in faults:
                fault.release()
            self.simulator.settle()
            effects = len(self.simulator.effects)
            if not usable and effects > effects_before and all(not task.own_journal for task in wave.tasks):
                self.add_violation(f"{effects - effects_before} effects while the journal was {wave.journal}")
        for fault in faults:
            fault.times = 0
        if self.proxy:
            self.report.faults.update(self.proxy.clear())
        self.waves.append((wave, processes))
        self.effect_counts.append(effects)
        self._count_wave(wave, processes)

    def _run_processes(self, wave, holds):
        """Start the processes of a wave, send their signals, and return them when all have ended."""
        begin = time.monotonic()
        waiting = collections.deque(sorted(wave.tasks, key=lambda task: task.delay))
        events = collections.deque(sorted(wave.events, key=lambda event: event[0]))
        releases, hanging = [], []
        processes, running = [], {}
        with selectors.DefaultSelector() as selector:
            while waiting or running:
                now = time.monotonic()
                while waiting and waiting[0].delay <= now - begin:
                    process = Process(waiting.popleft(), self)
                    processes.append(process)
                    running[process.output_fd] = process
                    selector.register(process.output_fd, selectors.EVENT_READ, process)
                while events and events[0][0] <= now - begin:
                    _seconds, method, arguments = events.popleft()
                    getattr(self.simulator, method)(**arguments)
                for fault in [fault for fault in holds if fault.entered.is_set()]:
                    holds.remove(fault)
                    for process in running.values():
                        if process.task.signal and process.task.signal[1] == "hold" and not process.signalled:
                            process.interrupt(process.task.signal[0])
                    releases.append((now + wave.hold_seconds, fault))
                for release in [release for release in releases if release[0] <= now]:
                    releases.remove(release)
                    release[1].release()
                for process in running.values():
                    seconds = now - process.started
                    name, when = process.task.signal or (None, "never")
                    if when not in ("hold", "never") and not process.signalled and seconds >= when:
                        process.interrupt(name)
                    if seconds > self._timeout:
                        self.add_violation(f"process {process.task.number} has not ended after {self._timeout} s")
                        process.interrupt("SIGUSR1")  # an engine prints its stack
                        process.started, hanging = float("inf"), [*hanging, (now + 1, process)]
                for end, process in hanging:
                    if now > end:
                        process.interrupt("SIGKILL")
                for key, _events in selector.select(0.003 if running else 0.001):
                    text = os.read(key.fd, 65536)
                    if text:
                        key.data.output += text
                    else:
                        selector.unregister(key.fd)
                        del running[key.fd]
                        key.data.finish()
        return processes

    @contextlib.contextmanager
    def _journal_of(self, wave):
        """Put the journal into the state that a wave needs, and yield whether processes can use it."""
        if self.database:
            with self.database.unusable(wave.journal) as usable:
                yield usable
        elif wave.journal == "small":
            with small_disk(self.journal.parent, wave.disk_room) as mounted:
                self.report.conditions["small disk" if mounted else "small disk not mounted"] += 1
                yield True
        else:
            with unusable(self.journal, wave.journal, self._user) as usable:
                yield usable

    def _count_wave(self, wave, processes):
        """Count a wave and its processes in the report."""
        conditions = self.report.conditions
        for process in processes:
            task = process.task
            self.report.processes[task.runner] += 1
            if process.signalled and (process.interrupted or process.signalled == "FULL"):
                self.report.ended[process.signalled] += 1
            conditions["disk full"] += process.disk_limited
            conditions["clock wrong"] += bool(task.clock)
            conditions["check mode"] += task.check
            conditions["forced"] += task.force
            conditions["with a key"] += bool(task.idempotency_key)
            conditions["forbidden files"] += bool(task.forbidden_file)
        conditions["waves of several"] += len(processes) > 1
        conditions["waves of both actions"] += len(wave.actions) > 1
        if wave.journal not in ("usable", "small"):
            conditions[f"journal {wave.journal.replace('_', '-')}"] += 1

    def _count_round(self):
        """Count the calls and effects of the round in the report."""
        report, simulator = self.report, self.simulator
        report.faults.update(call["fault"] for call in simulator.calls if call["fault"])
        report.conditions["proxied"] += self.plan.proxied
        if self.plan.database:
            report.conditions["PostgreSQL"] += 1
            report.conditions["PostgreSQL, " + self.plan.database["place"]] += 1
            report.conditions["PostgreSQL, prepared"] += self.plan.database["prepared"]
            report.conditions["PostgreSQL, " + self.plan.database["isolation"]] += 1
        report.conditions["confirmations left open"] = len(self.unresolved)
        report.calls = len(simulator.calls)
        report.interactions = len({key for wave in self.plan.waves for task in wave.tasks for key in task.keys})
        report.effects, report.ignored = len(simulator.effects), len(simulator.ignored)

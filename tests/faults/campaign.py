# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""
Rounds of processes that share a journal, of faults, and of signals at any moment; and what has to hold all the same.

``play(seed)`` plays one round against a simulator of its own. ``python -m tests.faults.campaign`` plays many.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import itertools
import json
import multiprocessing
import os
import re
import resource
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.tests import simulator
from ansible_collections.vonage.vcc.tests.faults import checks, plan
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET, Simulator
from ansible_collections.vonage.vcc.tests.simulator.proxy import HOST, Proxy, certificate_for

COLLECTIONS = Path(simulator.__file__).parents[5]
ENGINE = Path(__file__).with_name("engine.py")
CLOCK = Path(__file__).with_name("clock")
NOBODY = 65534
STRANGER = 12345
CERTIFICATE = "authority.pem"
TOKEN = "/Auth/connect/token"
ENDING = ("SIGINT", "SIGKILL", "SIGTERM")

# Seconds for a process to end: its calls are few, so it is far beyond what their time limits and waits come to.
PATIENCE = 120


@dataclass
class Report:
    """What came of a round, or of many."""

    rounds: int = 0
    processes: collections.Counter = field(default_factory=collections.Counter)
    ended: collections.Counter = field(default_factory=collections.Counter)
    faults: collections.Counter = field(default_factory=collections.Counter)
    others: collections.Counter = field(default_factory=collections.Counter)
    interactions: int = 0
    calls: int = 0
    effects: int = 0
    ignored: int = 0
    violations: list = field(default_factory=list)  # (seed, sentence)

    def add(self, other):
        for name, value in vars(other).items():
            if isinstance(value, collections.Counter):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)


class Nursery:
    """The warm Python that forks engine processes."""

    def __init__(self):
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, ENGINE, "--serve", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment(),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _command(self, command, descriptors=()):
        socket.send_fds(self._channel, [json.dumps(command).encode()], list(descriptors))
        answer = self._channel.recv(4096)
        if not answer:
            raise RuntimeError("the engines' parent has ended")
        return json.loads(answer)

    def spawn(self, order, output):
        return self._command({"spawn": str(order)}, [output])

    def reap(self, pid):
        """The exit status of a child that ends."""
        return self._command({"reap": pid})

    def close(self):
        self._channel.close()
        self._process.wait()


def environment(**others):
    """That of a process: no settings of the machine, a clock to be set, the collection and all else that this Python finds."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VCC_", "ANSIBLE_")) and not name.upper().endswith(("_PROXY", "_CA_BUNDLE"))
    }
    path = [str(CLOCK), str(COLLECTIONS), *filter(None, sys.path)]
    return {**kept, "PYTHONPATH": os.pathsep.join(path), **others}


class Process:
    """A task under way. ``output`` ends when the process and all its children have."""

    def __init__(self, task, table):
        self.task = task
        self.table = table
        self.output = bytearray()
        self.printed = self.errors = ""
        self.status = None
        self.signalled = None
        self.started = time.monotonic()
        self.effects_after = None
        self.order = table.order(task)
        self._popen = None
        self.life, theirs = os.pipe()
        try:
            if task.door == "fork":
                self.pid = table.nursery.spawn(self.order, theirs)
            else:
                self._start(theirs)
        finally:
            os.close(theirs)

    def _start(self, output):
        task, table = self.task, self.table
        if task.door == "cold":
            command, env = [sys.executable, ENGINE, self.order], environment()
        else:
            # Without a shell's environment of its own, the action plugin runs the engine in Ansible's worker.
            command = [sys.executable, "-m", "ansible", "playbook", "-v", "-i", "localhost,", "-c", "local"]
            command += [*(["--check"] if task.check else []), self.order]
            home = str(table.folder / f"home-{task.number}")
            env = environment(
                **table.variables(task),
                VCC_CLIENT_ID=CLIENT_ID,
                VCC_CLIENT_SECRET=CLIENT_SECRET,
                HOME=home,
                TMPDIR=str(table.folder / "used"),
                ANSIBLE_HOME=home + "/.ansible",
                ANSIBLE_REMOTE_TEMP=home + "/.ansible/tmp",
                ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS),
                ANSIBLE_NOCOLOR="1",
                FAULT_CLOCK=json.dumps({"start": time.time(), "steps": task.clock}),
            )
        with open(table.folder / f"errors-{task.number}", "ab") as errors:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=env,
                cwd=table.folder,
                pass_fds=[output],  # which Ansible's workers inherit too
                start_new_session=True,
            )
        self.pid = self._popen.pid

    def strike(self, how):
        """Send a signal, or fill the disk."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it may have ended, or be another user's
            if how == "FULL":
                resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            elif self._popen and self.task.group:
                os.killpg(self.pid, signal.Signals[how])
            else:
                os.kill(self.pid, signal.Signals[how])
            self.signalled = how

    def finish(self):
        """Take the exit status and what was printed; the output has ended."""
        os.close(self.life)
        self.status = self._popen.wait() if self._popen else self.table.nursery.reap(self.pid)
        self.effects_after = len(self.table.sim.effects)
        text = self.output.decode("utf-8", "replace")
        if self.task.door in plan.ENGINES:
            # Its result is a line; what else it prints is an error.
            found = re.search(r'^\{".*', text, re.MULTILINE)
            self.printed = found[0] if found else ""
            self.errors = text.replace(self.printed, "", 1).removesuffix("\n")
        else:
            _before, mark, text = text.partition("[localhost]")
            self.printed = text[text.find("=> ") + 3 :] if mark else ""
            self.errors = (self.table.folder / f"errors-{self.task.number}").read_text("utf-8", "replace")

    @property
    def interrupted(self):
        """Whether it was ended from outside, so that it need not have a result."""
        return self.signalled in ENDING and (self.status != 0 or "KeyboardInterrupt" in self.errors)

    @property
    def limited(self):
        """Whether its disk may have been full."""
        return self.task.file_size is not None or self.signalled == "FULL"

    def result(self):
        """What the task returned; None if there is nothing."""
        try:
            return json.JSONDecoder().raw_decode(self.printed)[0]
        except ValueError:
            return None

    def reported(self):
        """The lines of the report, and whether the last one is whole."""
        path = self.table.folder / f"report-{self.task.number}.jsonl"
        text = path.read_text("utf-8") if path.exists() else ""
        lines = text.split("\n")
        return [json.loads(line) for line in lines[:-1]], not lines[-1]


class Table:
    """Where a round is played: a simulator, a folder, and the parent of the processes."""

    def __init__(self, drawn, sim, folder, nursery, lie=None, patience=PATIENCE, proxy=None):
        self.plan = drawn
        self.sim = sim
        self.proxy = proxy
        self.folder = folder
        self.nursery = nursery
        self.report = Report(rounds=1)
        self.waves = []  # (Wave, its Processes)
        self.marks = []  # how many effects there were after each wave
        self.calls_before = 0  # how many calls there were before the last wave
        # Claims that VCC has taken, or may have, to the knowledge of a process that could write it down.
        self.noted = set()
        self.mute = set()  # (wave, action, key) of processes that may not know, or could not write it down
        self.idle = set()  # (task, key) of processes that have found it confirmed, or were refused
        self.open = set()  # claims that came last, and of which nobody knows that
        self._lie = lie
        self._patience = patience
        self._user = NOBODY if drawn.as_user and os.geteuid() == 0 else None
        self._orders = []
        self.precious = {}  # files that a task must leave as they are, by its number
        self.journal = folder / "kept" / "journal.db"
        (folder / "kept").mkdir()
        (folder / "used").mkdir()
        if self._user is not None:
            folder.chmod(0o711)
            for name in ("kept", "used"):
                shutil.chown(folder / name, NOBODY)

    def violate(self, sentence):
        self.report.violations.append((self.plan.seed, sentence))

    # Processes

    def order(self, task):
        """Write what a process is to do, and return its path."""
        url = f"https://{HOST}" if self.proxy else self.sim.url
        given = {
            "api_url": url,
            "auth_url": url + TOKEN,
            "journal": "" if task.own_journal else str(self.journal),
            **task.options,
        }
        if self.proxy:
            given["ca_path"] = str(self.folder / CERTIFICATE)
        if task.provider:
            given["provider"] = task.provider
        if given.get("access_token"):
            given["access_token"] = self.sim.issue_token()
        if given.get("token_cache"):
            given["token_cache"] = str(self.folder / "used" / "tokens.json")
        if given.get("report"):
            given["report"] = self._mine(self.folder / f"report-{task.number}.jsonl")
        given.update(self._source(task))
        given = {**task.blank, **given}
        if "JOURNAL" in task.blank_variables and not task.own_journal:
            given["journal"] = None  # it is in the environment
        if task.misplaced:
            self._misplace(task, given)
        path = self.folder / f"order-{task.number}.json"
        if task.door in plan.ENGINES:
            order = {
                "options": {**given, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
                "environment": self.variables(task),
                "check": task.check,
                "seed": task.seed,
                "clock": task.clock,
                "file_size": task.file_size,
                "user": self._user,
                "temporary": str(self.folder / "used"),
                "limits": self.plan.limits,
                "lie": self._lie,
            }
        else:
            (self.folder / f"home-{task.number}").mkdir()
            step = {"vonage.vcc.vcc_interaction": given}
            if task.door == "module":
                step["environment"] = {"A_MODULE": "is wanted"}
            python = {"ansible_python_interpreter": sys.executable}
            order = [{"hosts": "localhost", "gather_facts": False, "vars": python, "tasks": [step]}]
        path.write_text(json.dumps(order), encoding="utf-8")
        return path

    def variables(self, task):
        """Variables of the environment: those that are blank, the journal where it comes from there, and the proxy."""
        given = {f"VCC_{name}": "" for name in task.blank_variables}
        if "VCC_JOURNAL" in given:
            given["VCC_JOURNAL"] = str(self.journal)
        return {**given, "HTTPS_PROXY": self.proxy.url} if self.proxy else given

    def _mine(self, path):
        """A new file that the processes of the round can write."""
        path.touch()
        if self._user is not None:
            shutil.chown(path, self._user)
        return str(path)

    def _misplace(self, task, given):
        """Give a task a file that it has to be refused, and keep what is in it."""
        own = self.folder / f"file-{task.number}"
        kept = {
            "report is the log of the journal": ("report", f"{self.journal}-wal"),
            "report is a link to the journal": ("report", str(own)),
            "report is a pipe": ("report", str(own)),
            "report is the lock of the token cache": ("report", f"{own}.lock"),
            "token cache is the source": ("token_cache", given["src"]),
            "token cache is a file of the user's": ("token_cache", str(own)),
            "journal is a stranger's": ("journal", str(own)),
        }
        name, path = kept[task.misplaced]
        given[name] = path
        if task.misplaced == "report is a link to the journal":
            own.symlink_to(self.journal)
        elif task.misplaced == "report is a pipe":
            os.mkfifo(own)
        elif task.misplaced == "report is the lock of the token cache":
            given["token_cache"] = str(own)
        elif task.misplaced == "token cache is a file of the user's":
            self._mine(own)
            own.write_text("case-1\n", encoding="utf-8")
        elif task.misplaced == "journal is a stranger's":
            with contextlib.closing(
                Journal(str(own), given["api_url"], CLIENT_ID, task.provider, 0, task.action)
            ) as journal:
                journal.add_all([[*task.ids]])
                journal.accept(journal.claim(0))
            own.chmod(0o666)
            if os.geteuid() == 0:
                os.chown(own, STRANGER, STRANGER)
        self.precious[task.number] = [(path, _content(path)) for path in (own, Path(given["src"]))]

    def unchanged(self, task):
        """Whether the files of a task that was to be refused are as they were."""
        return all(_content(path) == content for path, content in self.precious[task.number])

    def _source(self, task):
        if not task.form.startswith("src"):
            return {task.form: task.ids if task.form == "external_ids" else [{"external_id": one} for one in task.ids]}
        kind, *extension = task.form.split(".")[1:] or [""]
        path = self.folder / f"source-{task.number}.{(extension or [kind])[0]}".rstrip(".")
        content = plan.content(task)
        if content is None:
            os.mkfifo(path)
        else:
            path.write_text(content, encoding="utf-8")
        return {"src": str(path), **({"src_format": kind} if extension else {})}

    # A wave

    def run(self, wave):
        """Run the processes of a wave to their ends, with all that happens meanwhile."""
        faults = [self.sim.fault(kind, **details) for kind, details in wave.faults]
        for kind, details in wave.at_proxy:
            self.proxy.fault(kind, **details)
        holds = [fault for fault in faults if fault.kind == "hold"]
        begin = time.monotonic()
        waiting = collections.deque(sorted(wave.tasks, key=lambda task: task.delay))
        due = sorted(wave.events, key=lambda event: event[0])
        releases, hanging = [], []
        processes, running = [], {}
        effects_before = len(self.sim.effects)
        self.calls_before = len(self.sim.calls)
        with self._journal_as(wave) as usable, selectors.DefaultSelector() as selector:
            while waiting or running:
                now = time.monotonic()
                while waiting and waiting[0].delay <= now - begin:
                    process = Process(waiting.popleft(), self)
                    processes.append(process)
                    running[process.life] = process
                    selector.register(process.life, selectors.EVENT_READ, process)
                while due and due[0][0] <= now - begin:
                    _when, act, arguments = due.pop(0)
                    getattr(self.sim, act)(**arguments)
                for fault in [fault for fault in holds if fault.entered.is_set()]:
                    holds.remove(fault)
                    for process in running.values():
                        if process.task.signal and process.task.signal[1] == "hold" and not process.signalled:
                            process.strike(process.task.signal[0])
                    releases.append((now + wave.holding, fault))
                for release in [release for release in releases if release[0] <= now]:
                    releases.remove(release)
                    release[1].release()
                for process in running.values():
                    plan_of = process.task.signal
                    if (
                        plan_of
                        and plan_of[1] != "hold"
                        and not process.signalled
                        and now - process.started >= plan_of[1]
                    ):
                        process.strike(plan_of[0])
                    if now - process.started > self._patience:
                        self.violate(f"process {process.task.number} has not ended after {self._patience} s")
                        process.strike("SIGUSR1")  # has an engine say where it is
                        process.started, hanging = float("inf"), [*hanging, (now + 1, process)]
                for end, process in hanging:
                    if now > end:
                        process.strike("SIGKILL")
                for key, _events in selector.select(0.003 if running else 0.001):
                    text = os.read(key.fd, 65536)
                    if text:
                        key.data.output += text
                    else:
                        selector.unregister(key.fd)
                        del running[key.fd]
                        key.data.finish()
            for fault in faults:
                fault.release()
            self.sim.settle()
            effects = len(self.sim.effects)
            if not usable and effects > effects_before and all(not task.own_journal for task in wave.tasks):
                self.violate(f"{effects - effects_before} effects while the journal was {wave.journal}")
        for fault in faults:
            fault.times = 0
        if self.proxy:
            self.report.faults.update(self.proxy.clear())
        self.waves.append((wave, processes))
        self.marks.append(effects)
        for process in processes:
            self.report.processes[process.task.door] += 1
            if process.signalled and (process.interrupted or process.signalled == "FULL"):
                self.report.ended[process.signalled] += 1
            self.report.others["disk full"] += process.task.file_size is not None or process.signalled == "FULL"
            self.report.others["clock wrong"] += bool(process.task.clock)
            self.report.others["check mode"] += process.task.check
            self.report.others["forced"] += process.task.force
            self.report.others["misplaced files"] += bool(process.task.misplaced)
        self.report.others["waves of several"] += len(processes) > 1
        self.report.others["waves of both actions"] += len(wave.actions) > 1
        if wave.journal not in ("usable", "small"):
            self.report.others[f"journal {wave.journal.replace('_', '-')}"] += 1

    @contextlib.contextmanager
    def _journal_as(self, wave):
        """Make the journal unusable, its disk small, or neither, and afterwards what it was. Yields whether it can be used."""
        how = wave.journal
        if how == "small":
            with self._small_disk(wave.room):
                yield True
            return
        folder, aside = self.journal.parent, self.folder / "aside"
        unprivileged = self._user is not None or os.geteuid() != 0
        if how in ("read_only", "closed") and not (unprivileged and self.journal.exists()):
            how = "folder"
        left = folder.exists() and any(one.name != self.journal.name for one in folder.iterdir())
        if how == "read_only":
            self.journal.chmod(0o400)
        elif how == "closed":
            folder.chmod(0o500)
        elif how in ("folder", "garbage"):
            folder.rename(aside)
            folder.mkdir(mode=0o755)
            if how == "folder":
                self.journal.mkdir()
            else:
                self.journal.write_bytes(b"no journal " * 1000)
                self.journal.chmod(0o666)
        try:
            yield how == "usable" or (how == "closed" and left)
        finally:
            if how == "read_only":
                self.journal.chmod(0o600)
            elif how == "closed":
                folder.chmod(0o755)
            elif how in ("folder", "garbage"):
                shutil.rmtree(folder)
                aside.rename(folder)

    @contextlib.contextmanager
    def _small_disk(self, room):
        """Have the journal's folder on a disk with so many KB of room, where this user may mount one."""
        folder, copy = self.journal.parent, self.folder / "copy"
        used = sum(-(-one.stat().st_size // 4096) * 4 for one in folder.iterdir())
        mount = ["mount", "-t", "tmpfs", "-o", f"size={used + room}k", "none", folder]
        subprocess.run(["cp", "-a", folder, copy], check=True)
        mounted = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True, check=False).returncode
        self.report.others["small disk" if mounted else "small disk not mounted"] += 1
        try:
            if mounted:
                subprocess.run(["cp", "-a", f"{copy}/.", folder], check=True)
            yield
            if mounted:
                shutil.rmtree(copy)
                subprocess.run(["cp", "-a", folder, copy], check=True)
        finally:
            if mounted:
                subprocess.run(["umount", "--lazy", folder], check=True)
                shutil.rmtree(folder)
                copy.rename(folder)
            else:
                shutil.rmtree(copy)

    def play(self):
        """The waves, clean runs at the end, and the checks."""
        sim = self.sim
        sim.behave(**self.plan.switches)
        for provider in filter(None, self.plan.providers):
            sim.register(provider)
        for provider, external_id in self.plan.live:
            sim.dispatch(external_id, provider=provider)
        sim.poison(*self.plan.poisoned)
        for wave in self.plan.waves:
            self.run(wave)
            checks.after_wave(self)
        sim.behave(token_lifetime=7200, rate_limit=None)
        for action in ["dispatch", "release"] if self.plan.waves[-1].actions == {"dispatch"} else ["release"]:
            count = sum(len(wave.tasks) for wave, _processes in self.waves)
            for task in plan.last_tasks(self.plan, action, count):
                forecast = self._forecast(task) if self.plan.predicts else None
                self.run(plan.Wave([task]))
                checks.after_wave(self)
                checks.after_last(self, forecast)
        checks.at_end(self)
        report = self.report
        report.faults.update(call["fault"] for call in sim.calls if call["fault"])
        report.others["proxied"] += self.plan.proxied
        report.calls = len(sim.calls)
        report.interactions = len({key for wave in self.plan.waves for task in wave.tasks for key in task.keys})
        report.others["confirmations left open"] = len(self.open)
        report.effects, report.ignored = len(sim.effects), len(sim.ignored)
        return report

    def _forecast(self, task):
        """What check mode says of a task; it makes no call."""
        calls = len(self.sim.calls)
        others = {name: value for name, value in task.options.items() if name != "report"}
        self.run(plan.Wave([dataclasses.replace(task, number=task.number + 1000, check=True, options=others)]))
        checks.after_wave(self)
        if len(self.sim.calls) > calls:
            self.violate("check mode made a call")
        return self.waves[-1][1][0].result() or {}


def _content(path):
    """What is in a file or, if it is none, what it is."""
    if not path.is_symlink() and path.is_file():
        return path.read_bytes()
    return path.lstat().st_mode if os.path.lexists(path) else None


_nursery = []  # of this process, from its first round on


def play(seed, doors=True):
    """Play the round of a seed, and return its Report; without ``doors`` only with processes of the engine."""
    return play_plan(plan.draw(seed, doors))


def play_plan(drawn, lie=None, patience=PATIENCE):
    """Play a round; ``lie`` names what is wrong with its engine."""
    if not _nursery:
        _nursery.append(Nursery())
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        # Another user has to come by, or else it is this one that plays.
        reachable = all(parent.stat().st_mode & 0o001 for parent in Path(folder).resolve().parents)
        tls = certificate_for(Path(folder) / CERTIFICATE) if drawn.proxied else None
        with Simulator(tls=tls) as sim, contextlib.ExitStack() as stack:
            proxy = stack.enter_context(Proxy(sim.url)) if drawn.proxied else None
            drawn = dataclasses.replace(drawn, as_user=drawn.as_user and reachable)
            return Table(drawn, sim, Path(folder), _nursery[0], lie, patience, proxy).play()


def close():
    """End the parent of the engine processes."""
    while _nursery:
        _nursery.pop().close()


def _play(seed):
    """As ``play``, and an exception of the campaign itself is a violation too."""
    try:
        return play(seed)
    except Exception:
        return Report(rounds=1, violations=[(seed, f"the campaign failed: {traceback.format_exc()}")])


def table_of(report, seconds):
    """The figures, a line each."""
    rows = [("rounds", report.rounds), ("seconds", round(seconds))]
    rows += [("processes", report.processes.total())]
    rows += [(f"  {name}", count) for name, count in sorted(report.processes.items())]
    rows += [("ended by a signal", sum(report.ended[how] for how in ENDING))]
    rows += [(f"  {name}", count) for name, count in sorted(report.ended.items()) if name != "FULL"]
    rows += sorted(report.others.items())
    rows += [("faults", report.faults.total())]
    rows += [(f"  {name}", count) for name, count in sorted(report.faults.items())]
    rows += [("interactions", report.interactions), ("calls", report.calls), ("effects", report.effects)]
    rows += [("ignored repeats", report.ignored), ("violations", len(report.violations))]
    return "\n".join(f"{name:<24}{count:>9}" for name, count in rows)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description="Play rounds of faults.")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the others follow it")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no round after so long")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="rounds at a time")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the plan of the first round, and play none")
    arguments = parser.parse_args()
    if arguments.save:
        arguments.save.write_text(plan.draw(arguments.seed).to_json(), encoding="utf-8")
        return 0
    start = time.monotonic()
    total = Report()
    seeds = iter(range(arguments.seed, arguments.seed + arguments.rounds))
    context = multiprocessing.get_context("spawn")
    stopping = (signal.SIGTERM, signal.default_int_handler)  # as of a terminal, so that a round takes down its disk
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs, context, signal.signal, stopping) as executor:
        under_way = {executor.submit(_play, seed) for seed in itertools.islice(seeds, arguments.jobs)}
        while under_way:
            done, under_way = concurrent.futures.wait(under_way, return_when="FIRST_COMPLETED")
            for report in (each.result() for each in done):
                total.add(report)
                for seed, sentence in report.violations:
                    print(f"seed {seed}: {sentence}\n  again: make torture ROUNDS=1 SEED={seed}", flush=True)
                if time.monotonic() - start < arguments.seconds:
                    under_way |= {executor.submit(_play, seed) for seed in itertools.islice(seeds, 1)}
    print(table_of(total, time.monotonic() - start))
    return bool(total.violations)


if __name__ == "__main__":
    sys.exit(main())

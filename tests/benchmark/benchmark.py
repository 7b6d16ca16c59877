# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure what the collection costs, and check the goals.

It runs all cases one after the other, and then again, so that a slow phase of the machine affects all of them. README.md describes the cases.
"""

from __future__ import annotations

import argparse
import collections
import importlib.metadata
import json
import os
import platform
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cases
import databases
import journals
import report
import requests
import server

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

# Seconds that one run may take.
TIMEOUT = 1800

# After so many cases the references are measured again, since the speed of a machine drifts.
REFERENCES_EVERY = 8


class RunError(Exception):
    """A run did not do the work of its case, so its figures are not valid."""


class Bench:
    """Runs cases in a folder of its own."""

    def __init__(self, folder, journal_rows):
        self._folder = folder
        self._journal_rows = journal_rows
        self._server = server.StandIn()
        (folder / "plays").mkdir()
        self._inputs = cases.Inputs(folder / "plays")
        tree = folder / ".ansible" / "collections" / "ansible_collections" / "vonage"
        tree.mkdir(parents=True)
        (tree / "vcc").symlink_to(ROOT)
        (folder / "ansible.cfg").touch()
        collections = tree.parents[1]
        sys.path.append(str(collections))
        self._databases = databases.Databases(collections)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self._databases.close()

    def run(self, case):
        """Run a case once and return its figures. Raises RunError."""
        ms = case.row.database_ms
        journal = self._journal(case.row) if ms is None else self._database(case.row)
        if ms:
            self._databases.requests(ms)
            return {**self._run(case, journal), "requests": self._databases.requests(ms)}
        if case.row.journal != "copy":
            return self._run(case, journal)
        before = journal.stat().st_size
        with journals.other_task(journal) as seconds:
            figures = self._run(case, journal)
        return {**figures, "wait": max(seconds), "size_before": before, "size_after": journal.stat().st_size}

    def run_at_scale(self, n):
        """Run many tasks that share a journal in a database. Return the figures, with the size of the database. Raises RunError if VCC gets an id twice."""
        self._server.keeps_bodies = True
        figures = self.run(cases.Case(cases.SCALE, n, 0))
        check_each_once(self._server.bodies, n)
        self._server.keeps_bodies = False
        return {**figures, "size": self._databases.size(cases.SCALE.key)}

    def _run(self, case, journal):
        log = self._folder / "log"
        command = [sys.executable, "-I", str(HERE / "measure.py"), str(log), *self._inputs.command(case)]
        self._server.reset(case.ms / 1000)
        options = {"env": self._environment(journal), "cwd": self._folder, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, start_new_session=True, **options) as process:
            try:
                output, _nothing = process.communicate(timeout=TIMEOUT)
            except BaseException:
                os.killpg(process.pid, signal.SIGTERM)
                raise
        figures = json.loads(output)
        if figures.pop("code"):
            raise RunError(f"{case.key} failed:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
        counts = self._server.counts
        expected = case.n if case.row.sends else 0
        if counts["interactions"] != expected or counts["rejected"]:
            raise RunError(f"{case.key} must send {expected} interactions, but the server counts {counts}")
        return {**figures, **counts}

    def _database(self, row):
        """Return the URL of the journal for a run, which is empty unless the run follows another."""
        if not row.follows:
            self._databases.create(row.key)
        os.sync()
        return self._databases.url(row.follows or row.key, row.database_ms)

    def _journal(self, row):
        """Return the journal for a run. It exists if it must have entries."""
        if not row.journal:
            journal = self._folder / f"{row.follows or row.key}.db"
            if not row.follows:
                self._remove(journal)
            return journal
        small, large, copy = (self._folder / f"{name}.db" for name in ("small", "large", "copy"))
        if not small.exists():
            self._run(cases.Case(cases.ROWS["one"], 1, 0), small)
            shutil.copy(small, large)
            journals.fill(large, self._journal_rows, cases.JOURNAL_DAYS)
        if row.journal == "copy":
            self._remove(copy)
            shutil.copy(large, copy)
        os.sync()  # so that no run waits for earlier writes
        return self._folder / f"{row.journal}.db"

    def _remove(self, journal):
        for path in self._folder.glob(f"{journal.name}*"):
            path.unlink()

    def _environment(self, journal):
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder),
            "NO_PROXY": "*",
            "ANSIBLE_CONFIG": str(self._folder / "ansible.cfg"),
            "VCC_API_URL": self._server.url,
            "VCC_AUTH_URL": self._server.token_url,
            "VCC_CLIENT_ID": "benchmark",
            "VCC_CLIENT_SECRET": "benchmark-secret",
            "VCC_JOURNAL": str(journal),
        }


def check_each_once(bodies, n):
    """Check that the bodies of the calls have each external id once. Raises RunError."""
    found = collections.Counter(each["externalid"] for body in bodies for each in json.loads(body)["requests"])
    twice = [external_id for external_id, count in found.items() if count > 1]
    if twice or len(found) != n:
        raise RunError(
            f"VCC must get {n} ids once each, but gets {len(found)}, and {len(twice)} more than once: {twice[:5]}"
        )


def run_at_scale(n):
    """Run many tasks that share a journal in a database, and print what that takes; return 1 if VCC does not get each id once."""
    if reason := databases.missing():
        print(f"Not run: {reason}.")
        return 1
    with tempfile.TemporaryDirectory(prefix="vcc-bench-") as folder, Bench(Path(folder), 0) as bench:
        try:
            figures = bench.run_at_scale(n)
        except RunError as exc:
            print(exc)
            return 1
    row = cases.SCALE
    print(
        f"{n:,} ids in {row.slices} slices for {row.processes} processes, one journal in PostgreSQL: {figures['wall']:.1f} s, {figures['calls']:,} calls,"
        f" {figures['size'] / 1e6:,.0f} MB of the database. VCC has got each id once."
    )
    return 0


def machine():
    """Return the properties of this machine that the figures depend on."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*:\s*(.*)$", cpuinfo, re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "CPU": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{memory / 2**30:.0f} GiB",
        "Python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("ansible-core", "requests")},
        "SQLite": sqlite3.sqlite_version,
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }


def chosen(arguments):
    """Return the cases to run: each second run with its first, and always the empty play."""
    wanted = [case for case in cases.all_cases() if case.n <= arguments.max_n]
    if reason := databases.missing():
        print(f"Without rows that need a database: {reason}.")
        wanted = [case for case in wanted if case.row.database_ms is None]
    if arguments.quick:
        wanted = [case for case in wanted if case.key != "uri-loop@100@0"]
    keys = {case.key for case in wanted if re.search(arguments.only, case.key)} | {"empty@0@0"}
    keys |= {case.first_key for case in wanted if case.key in keys}
    return [case for case in wanted if case.key in keys]


def one_round(todo):
    """Yield the cases, and at intervals the references again, but never between a case and its second run."""
    references = [case for case in todo if case.row.reference]
    for number, case in enumerate(todo, 1):
        yield case
        if number % REFERENCES_EVERY == 0 and not (number < len(todo) and todo[number].row.follows):
            yield from references


def measure(arguments, results, folder):
    """Run the chosen cases."""
    todo = chosen(arguments)
    with Bench(folder, arguments.journal_rows) as bench:
        bench.run(next(cases.all_cases()))  # not counted: it fills the caches of the file system
        play(arguments, todo, bench, results)


def play(arguments, todo, bench, results):
    """Run cases round by round."""
    for number in range(arguments.repeat):
        for case in one_round(todo):
            if case.key in results["failures"] or (number and case.row.key == "prune"):
                continue  # a prune takes minutes, so one is enough
            line = f"{time.strftime('%H:%M:%S')} round {number + 1}/{arguments.repeat} {case.key}: "
            try:
                figures = bench.run(case)
            except (RunError, subprocess.TimeoutExpired) as exc:
                results["failures"][case.key] = str(exc)
                results["runs"].pop(case.key, None)
                print(line + str(exc), flush=True)
            else:
                results["runs"].setdefault(case.key, []).append(figures)
                print(f"{line}{figures['wall']:.2f} s, {figures['memory'] / 1e6:.0f} MB", flush=True)


def run(arguments):
    """Measure, and write the results; return 1 if a case failed. A missed goal is no failure."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine(), "journal_rows": arguments.journal_rows, "runs": {}, "failures": {}}
    with tempfile.TemporaryDirectory(prefix="vcc-bench-") as folder:
        try:
            measure(arguments, results, Path(folder))
        finally:
            results["machine"]["load average after"] = f"{os.getloadavg()[0]:.2f}"
            (arguments.output / "benchmark.json").write_text(json.dumps(results), encoding="utf-8")
    write(arguments.output)
    return 1 if results["failures"] else 0


def write(output):
    """Write the results as a page and as a chart, and print the goals."""
    results = report.Results(json.loads((output / "benchmark.json").read_text(encoding="utf-8")))
    (output / "benchmark.md").write_text(report.as_markdown(results), encoding="utf-8")
    report.draw(results, output / "benchmark.svg")
    print(report.goals_as_markdown(results))
    print(f"{output / 'benchmark.md'} has all figures, and {output / 'benchmark.svg'} is the chart of the guide.")


def check_server():
    """Check that the stand-in counts, rejects and waits as it should."""
    stand_in = server.StandIn()
    stand_in.latency = 0.1
    with requests.Session() as session:
        session.trust_env = False
        response = session.post(stand_in.token_url, data={"grant_type": "client_credentials"}, timeout=30)
        token = {"Authorization": f"Bearer {response.json()['access_token']}"}
        calls = (
            ("Invoke", b"{}", token),
            ("Invoke", b"{}", {}),
            ("Other", b"{}", token),
            ("Invoke", b" " * 100_001, token),
        )
        for (name, body, headers), status in zip(calls, (200, 400, 400, 400)):
            started = time.perf_counter()
            response = session.post(f"{stand_in.url}/interactions/{name}", body, headers=headers, timeout=30)
            assert response.status_code == status and time.perf_counter() - started >= 0.1, name
    counts = [stand_in.counts[name] for name in ("connections", "calls", "token_calls", "rejected")]
    assert counts == [1, 5, 1, 3], stand_in.counts


def self_test(arguments):
    """Run every row that can be small once, and check that figures and files come out."""
    check_server()
    arguments.repeat, arguments.max_n, arguments.quick, arguments.journal_rows = 1, 2_000, True, 2_000
    with tempfile.TemporaryDirectory() as folder:
        arguments.output = Path(folder)
        assert run(arguments) == 0
        results = json.loads((arguments.output / "benchmark.json").read_text(encoding="utf-8"))
        for case in chosen(arguments):
            figures = results["runs"][case.key][0]
            assert figures["wall"] > 0 and figures["memory"] > 1e6, case.key
            assert figures.get("wait", 1) > 0, figures
            assert case.row.key != "loop" or (figures["token_calls"], figures["connections"]) == (1, 1), figures
        for name in ("benchmark.md", "benchmark.svg"):
            assert (arguments.output / name).stat().st_size > 1000, name
    check_each_once([b'{"requests":[{"externalid":"a"},{"externalid":"b"}]}'], 2)
    for bodies in ([b'{"requests":[{"externalid":"a"}]}'] * 2, [b'{"requests":[{"externalid":"a"}]}']):
        try:
            check_each_once(bodies, 2)
        except RunError:
            continue
        raise AssertionError(bodies)
    assert databases.missing() or run_at_scale(2_000) == 0
    print("The benchmark works.")
    return 0


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of the blocks that clean up
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / ".nox" / "benchmark", help="folder for the results")
    parser.add_argument("--repeat", type=int, help="rounds: 5, with --quick 2")
    parser.add_argument(
        "--only", metavar="PATTERN", default="", help="regular expression of cases, such as '^src@.*@0$'"
    )
    parser.add_argument("--quick", action="store_true", help="leave out all that is long, and use a smaller journal")
    parser.add_argument(
        "--scale",
        action="store_true",
        help="only release a million ids in 8 slices for 4 processes that share a journal in PostgreSQL, and check that VCC gets each id once",
    )
    parser.add_argument("--render", action="store_true", help="only write page and chart again, from benchmark.json")
    parser.add_argument("--self-test", action="store_true", help="check that the benchmark itself works")
    arguments = parser.parse_args()
    arguments.output = arguments.output.absolute()
    arguments.repeat = arguments.repeat or (2 if arguments.quick else 5)
    arguments.max_n, arguments.journal_rows = (10_000, 100_000) if arguments.quick else (1_000_000, 5_000_000)
    if arguments.render:
        write(arguments.output)
        return 0
    if arguments.scale:
        return run_at_scale(*cases.SCALE.ns)
    return self_test(arguments) if arguments.self_test else run(arguments)


if __name__ == "__main__":
    sys.exit(main())

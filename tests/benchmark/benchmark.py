# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure what vcc_interaction costs beside what one would do without it, and check the goals.

All cases are run one after the other, and again, until each has been run often enough, so that a spell in which the machine is slow
hits all of them. Everything is kept in a temporary folder, but for benchmark.md, benchmark.png and benchmark.json.
"""

from __future__ import annotations

import argparse
import contextlib
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
import urllib.error
import urllib.request
from pathlib import Path

import cases
import report

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

# Seconds that one run may take.
LIMIT = 1800

# Cases that are compared with one another, and after how many others they are measured again, since the speed of a machine drifts.
REFERENCES = (
    *("empty@0@0", "one@1@0", "ping@0@0", "requests@1@0", "module-one@1@0"),
    *("bare@100000@0", "bare-4@100000@0", "src@100000@0", "bare-4@100000@50", "src@100000@50"),
)
OFTEN = 16


class Server:
    """A stand-in or a simulator in a process of its own, which ends with the standard input that it is given."""

    def __init__(self, command, is_simulator=False):
        self._is_simulator = is_simulator
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.urls = json.loads(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)

    def reset(self, latency):
        """Set all counts to zero."""
        self._cpu = self._cpu_seconds()
        if self._is_simulator:
            return self._control("POST", "/_simulator/reset")
        return self._control("POST", f"/_benchmark?latency={latency}")

    def counts(self):
        """What has come since the reset; the simulator counts the interactions by their effects, so it does not say."""
        cpu = self._cpu_seconds() - self._cpu
        if not self._is_simulator:
            return {**self._control("GET", "/_benchmark"), "server_cpu": cpu}
        counts = self._control("GET", "/_simulator/state")["counts"]
        return {name: counts[name] for name in ("calls", "token_calls", "connections")} | {"server_cpu": cpu}

    def _cpu_seconds(self):
        """What the server has taken; the kernel counts it in ticks of 10 ms or so."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        return sum(map(int, stat.rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")

    def _control(self, method, path):
        body = b"{}" if method == "POST" else None
        request = urllib.request.Request(
            self.urls["url"] + path, body, {"Content-Type": "application/json"}, method=method
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return json.load(answer)


class Failed(Exception):
    """A run that did not do what its case says, so that its figures mean nothing."""


class Bench:
    """Runs cases in a folder of its own."""

    def __init__(self, folder, stand_in, simulator):
        self._folder = folder
        self._stand_in = stand_in
        self._simulator = simulator
        (folder / "plays").mkdir()
        self._inputs = cases.Inputs(folder / "plays")
        tree = folder / "collections" / "ansible_collections" / "vonage"
        tree.mkdir(parents=True)
        (tree / "vcc").symlink_to(ROOT)
        (folder / "home").mkdir()
        (folder / "ansible.cfg").touch()

    def run(self, case):
        """Run a case once and return its figures. Raises Failed."""
        row = case.row
        server = self._simulator if row.simulator else self._stand_in
        journal = self._folder / f"journal-{row.after or row.key}.db"
        if not row.after:
            for path in self._folder.glob(f"{journal.name}*"):
                path.unlink()
        log = self._folder / "log"
        command = [sys.executable, "-I", "-S", str(HERE / "measure.py"), str(log)]
        command += self._inputs.command(case, server.urls)
        server.reset(case.ms / 1000)
        environment = self._environment(server.urls, journal if row.journal else "none")
        with subprocess.Popen(command, env=environment, cwd=self._folder, stdout=subprocess.PIPE) as process:
            try:
                measured, _nothing = process.communicate(timeout=LIMIT)
            except subprocess.TimeoutExpired:
                raise Failed(f"{case.key} took more than {LIMIT} s") from None
            finally:
                process.terminate()
        figures = json.loads(measured)
        if figures.pop("code"):
            tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise Failed(f"{case.key} failed:\n{tail}")
        counts = server.counts()
        if not row.simulator and (counts["interactions"] != case.expected or counts["refused"]):
            raise Failed(f"{case.key} was to send {case.expected} interactions, and came to {counts}")
        figures.update(counts)
        return figures

    def _environment(self, urls, journal):
        folder = str(self._folder)
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": f"{folder}/home",
            "TMPDIR": folder,
            "NO_PROXY": "*",
            "ANSIBLE_CONFIG": f"{folder}/ansible.cfg",
            "ANSIBLE_HOME": f"{folder}/home/.ansible",
            "ANSIBLE_REMOTE_TEMP": f"{folder}/home/.ansible/tmp",
            "ANSIBLE_COLLECTIONS_PATH": f"{folder}/collections",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "VCC_API_URL": urls["url"],
            "VCC_AUTH_URL": urls["token_url"],
            "VCC_CLIENT_ID": cases.CLIENT_ID,
            "VCC_CLIENT_SECRET": cases.CLIENT_SECRET,
            "VCC_JOURNAL": str(journal),
        }


def machine(folder):
    """What the figures were measured on; journals were in C(folder)."""
    found = None
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    versions = {name: importlib.metadata.version(name) for name in ("ansible-core", "requests")}
    return {
        "CPU": found.group(1) if found else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{memory / 2**30:.0f} GiB",
        "kernel": platform.release().partition("-")[0],
        "Python": platform.python_version(),
        **versions,
        "file system": subprocess.check_output(["stat", "-f", "-c", "%T", folder], text=True).strip(),
        "SQLite": sqlite3.sqlite_version,
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }


def chosen(arguments):
    """The cases to run; an empty play is always among them, and a second run brings its first."""
    wanted = []
    for case in cases.cases():
        ceiling = 10_000 if arguments.quick else arguments.max_n
        if case.n > min(ceiling, arguments.max_n) or (arguments.quick and case.is_slow):
            continue
        if case.row.script == "curl" and not shutil.which("curl"):
            continue
        wanted.append(case)
    if not arguments.only:
        return wanted
    pattern = re.compile(arguments.only)
    keys = {case.key for case in wanted if pattern.search(case.key)} | {"empty@0@0"}
    firsts = {f"{case.row.after}@{case.n}@{case.ms}" for case in wanted if case.row.after and case.key in keys}
    return [case for case in wanted if case.key in keys | firsts]


def with_references(todo):
    """The cases of a round, with those that others are compared with again and again among them."""
    references = [case for case in todo if case.key in REFERENCES]
    for number, case in enumerate(todo, 1):
        yield case
        # Not between a run and the second one on its journal.
        if number % OFTEN == 0 and not (number < len(todo) and todo[number].row.after):
            yield from references


def measure(arguments, results, save):
    """Run the cases round by round; return the failures."""
    todo = chosen(arguments)
    with tempfile.TemporaryDirectory(prefix="vcc-bench-", dir=arguments.work) as name, contextlib.ExitStack() as stack:
        stand_in = Server([sys.executable, "-I", str(HERE / "server.py")])
        stack.callback(stand_in.close)
        simulator = None
        if any(case.row.simulator for case in todo):
            simulator = Server(
                [
                    *(sys.executable, "-m", "tests.simulator", "--stop-with-stdin"),
                    *("--client-id", cases.CLIENT_ID, "--client-secret", cases.CLIENT_SECRET),
                ],
                is_simulator=True,
            )
            stack.callback(simulator.close)
        bench = Bench(Path(name), stand_in, simulator)
        bench.run(next(cases.cases()))  # not counted: it fills the caches of the file system
        broken = {}
        for number in range(arguments.repeat):
            for case in with_references(todo):
                if case.key in broken:
                    continue
                before = time.strftime("%H:%M:%S")
                try:
                    figures = bench.run(case)
                except Failed as exc:
                    broken[case.key] = str(exc)
                    results["runs"].pop(case.key, None)
                    print(f"{before} {case.key}: {exc}", file=sys.stderr, flush=True)
                    continue
                results["runs"].setdefault(case.key, []).append(figures)
                save()
                print(
                    f"{before} round {number + 1}/{arguments.repeat} {case.key}: {figures['wall']:.2f} s,"
                    f" CPU {figures['cpu']:.2f} s, {figures['memory'] / 1e6:.0f} MB, {figures.get('calls', '?')} calls",
                    flush=True,
                )
    return broken


def check_server():
    """See that the stand-in counts and refuses as it should."""
    server = Server([sys.executable, "-I", str(HERE / "server.py")])
    server.reset(0)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def post(url, body, token=""):
        request = urllib.request.Request(url, body, {"Authorization": f"Bearer {token}"})
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read()

    try:
        invoke = server.urls["url"] + "/interactions/Invoke"
        one = b'{"requests":[{"action":"release","requestid":"1","externalid":"a"}]}'
        status, body = post(server.urls["token_url"], b"grant_type=client_credentials")
        token = json.loads(body)["access_token"]
        asked = [status, *(post(*what)[0] for what in ((invoke, one, token), (invoke, one), (invoke + "x", one)))]
        asked.append(post(invoke, b" " * 100_001, token)[0])
        assert asked == [200, 200, 401, 404, 413], asked
        counts = server.counts()
        assert counts["calls"] == 4, counts
        assert (counts["token_calls"], counts["api_calls"], counts["connections"]) == (1, 3, 5), counts
        assert (counts["interactions"], counts["refused"]) == (1, 3), counts
        assert counts["body_bytes"] == 2 * len(one) + 100_001, counts
        assert server.reset(0.2)["calls"] == 0
        started = time.perf_counter()
        assert post(invoke, one, token)[0] == 200
        assert time.perf_counter() - started >= 0.2
    finally:
        server.close()


def self_test(arguments):
    """Run every row that can be small once, and see that the figures and files come out."""
    check_server()
    arguments.repeat, arguments.max_n, arguments.only, arguments.quick = 1, 10, None, False
    with tempfile.TemporaryDirectory() as folder:
        arguments.output = Path(folder)
        run(arguments)
        results = json.loads((arguments.output / "benchmark.json").read_text(encoding="utf-8"))
        assert not results["failures"], results["failures"]
        for case in chosen(arguments):
            figures = results["runs"][case.key][0]
            assert figures["wall"] > 0, case.key
            assert figures["memory"] > 1e6, case.key
            if case.row.key == "loop":
                assert (figures["token_calls"], figures["connections"]) == (1, 1), figures
        for name in ("benchmark.md", "benchmark.png"):
            assert (arguments.output / name).stat().st_size > 1000, name
        assert ".. list-table::" in report.as_rst(report.Results(results))
    print("The benchmark works.")


def run(arguments):
    """Measure, and write the results; return 1 if a case failed. A goal that is missed is no failure."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    about = machine(arguments.work or tempfile.gettempdir())
    results = {"machine": about, "runs": {}, "failures": {}}
    path = arguments.output / "benchmark.json"

    def save():
        path.write_text(json.dumps(results), encoding="utf-8")

    results["failures"] = measure(arguments, results, save)
    results["machine"]["load average after"] = f"{os.getloadavg()[0]:.2f}"
    save()
    write(arguments.output, results)
    return 1 if results["failures"] else 0


def write(output, results):
    collected = report.Results(results)
    (output / "benchmark.md").write_text(report.as_markdown(collected), encoding="utf-8")
    report.draw(collected, output / "benchmark.png")
    print(report.goals_as_text(collected))
    print(f"{output / 'benchmark.md'} has all figures, and {output / 'benchmark.png'} a chart of them.")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of the blocks that clean up
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / ".nox" / "benchmark", help="folder for the results")
    parser.add_argument("--work", type=Path, help="folder for the temporary folder, journals included")
    parser.add_argument("--repeat", type=int, help="how often to run each case (5)")
    parser.add_argument("--only", metavar="PATTERN", help="regular expression of cases, such as '^src@.*@0$'")
    parser.add_argument("--max-n", type=int, default=1_000_000)
    parser.add_argument(
        "--quick", action="store_true", help="run each case twice, up to N = 10,000, without loops of 100 modules"
    )
    parser.add_argument("--list", action="store_true", help="only list the cases")
    parser.add_argument(
        "--render", action="store_true", help="measure nothing: write the files from benchmark.json again"
    )
    parser.add_argument(
        "--rst", action="store_true", help="measure nothing: print benchmark.json as tables for the guide"
    )
    parser.add_argument("--self-test", action="store_true", help="see that server and runner work, with small N")
    arguments = parser.parse_args()
    arguments.output = arguments.output.absolute()
    arguments.repeat = arguments.repeat or (2 if arguments.quick else 5)
    if arguments.list:
        print("\n".join(case.key for case in chosen(arguments)))
        return 0
    if arguments.render or arguments.rst:
        results = json.loads((arguments.output / "benchmark.json").read_text(encoding="utf-8"))
        if arguments.rst:
            print(report.as_rst(report.Results(results)))
        else:
            write(arguments.output, results)
        return 0
    if arguments.self_test:
        self_test(arguments)
        return 0
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Print a table of the sessions that nox ran, their durations, and the reasons for skipped sessions and tests."""

from __future__ import annotations

import argparse
import collections
import json
import platform
from pathlib import Path
from xml.etree import ElementTree

import matrix
from ansible.release import __version__ as ansible_core


def read_report(path: Path) -> list[dict]:
    """Return the sessions in a report of `nox --report`; none if nox has not written it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["sessions"]
    except FileNotFoundError:
        return []


def rows(sessions: list[dict], in_venv: bool) -> list[tuple[str, str, str, str]]:
    """Return a row for each session: its name, ansible-core, Python and result."""
    pairs = {pair.name: (pair, f"ansible-test {pair.command}") for pair in matrix.PAIRS}
    pairs.update((pair.name, (pair, pair.command)) for pair in matrix.RUNNERS)
    own_core = ".".join(ansible_core.split(".")[:2])
    own_python = ".".join(platform.python_version_tuple()[:2])
    table = []
    for session in sessions:
        if session["result"] == "skipped":
            outcome = f"not run: {session['reason']}"
        else:
            outcome = f"{session['result']} in {session['duration']:.0f} s"
        if session["name"] in pairs:
            pair, check = pairs[session["name"]]
            table.append((check, pair.core, pair.python, outcome))
        elif in_venv:
            table.append((session["name"], own_core, own_python, outcome))
        else:
            table.append((session["name"], "", "", outcome))
    return table


def skipped_tests(sessions: list[dict], folder: Path) -> list[str]:
    """Return a line for each test that pytest skipped, or for all with the same reason, from the JUnit reports in a folder."""
    lines = []
    for session in sessions:
        report = folder / f"{session['name']}.xml"
        if not report.exists():
            continue
        names = collections.defaultdict(list)
        for test in ElementTree.parse(report).iterfind(".//testcase[skipped]"):
            names[test.find("skipped").get("message")].append(test.get("name"))
        for reason, tests in names.items():
            lines.append(
                f"{session['name']}: {tests[0] if len(tests) == 1 else f'{len(tests)} tests'}: not run: {reason}"
            )
    return lines


def count(sessions: list[dict]) -> str:
    """Return a line with the counts of sessions; a run without sessions counts as a failure."""
    results = collections.Counter(session["result"] for session in sessions)
    passed, skipped = results.pop("success", 0), results.pop("skipped", 0)
    failed = results.total() if sessions else 1
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")


def main() -> None:
    """Print the table and the line with the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("--in-venv", action="store_true", help="the sessions used the Python and ansible-core of .venv")
    arguments = parser.parse_args()
    sessions = read_report(arguments.report)
    table = [("check", "ansible-core", "Python", "result"), *rows(sessions, arguments.in_venv)]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    print()
    for row in table:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]))
    for line in skipped_tests(sessions, arguments.report.parent / "skipped"):
        print(line)
    print()
    print(f"{count(sessions)}, in {sum(session['duration'] for session in sessions):.0f} s")


if __name__ == "__main__":
    main()

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say in a table what nox ran, and which ansible-test runs this machine could not do and why."""

from __future__ import annotations

import argparse
import collections
import json
from pathlib import Path

import matrix


def read_report(path: Path) -> list[dict]:
    """The sessions of a report that `nox --report` wrote; none if nox did not get that far."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["sessions"]
    except FileNotFoundError:
        return []


def rows(sessions: list[dict]) -> list[tuple[str, str, str, str]]:
    """What was checked, with which ansible-core, on which Python, and what came of it."""
    pairs = {pair.name: pair for pair in matrix.PAIRS}
    table = []
    for session in sessions:
        if session["result"] == "skipped":
            outcome = f"not run: {session['reason']}"
        else:
            outcome = f"{session['result']} in {session['duration']:.0f} s"
        pair = pairs.get(session["name"])
        if pair:
            table.append((f"ansible-test {pair.command}", pair.core, pair.python, outcome))
        else:
            table.append((session["name"], "", "", outcome))
    return table


def count(sessions: list[dict]) -> str:
    """One line that counts the sessions; a run without any has failed."""
    results = collections.Counter(session["result"] for session in sessions)
    passed, skipped = results.pop("success", 0), results.pop("skipped", 0)
    failed = results.total() if sessions else 1
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")


def main() -> None:
    """Print the table, or only the line that counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("--count", action="store_true", help="only print the line that counts")
    arguments = parser.parse_args()
    sessions = read_report(arguments.report)
    if not arguments.count:
        table = [("check", "ansible-core", "Python", "result"), *rows(sessions)]
        widths = [max(len(row[column]) for row in table) for column in range(3)]
        print()
        for row in table:
            print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]))
        print()
    print(count(sessions))


if __name__ == "__main__":
    main()

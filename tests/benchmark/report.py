# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compute medians and goals from runs, and write a page and the chart of the guide."""

from __future__ import annotations

import math
import statistics
import typing as t
from pathlib import Path

import cases

# From this N on a second run saves more than the noise between two medians.
LARGE_N = 100_000

INTRODUCTION = """\
# Benchmark

`make bench` wrote this page; `tests/benchmark/README.md` explains the method and the rows. All figures are medians."""


class Results:
    """The content of benchmark.json: ``runs`` has lists of figures by the key of their case."""

    def __init__(self, content: dict[str, t.Any]) -> None:
        self.machine: dict[str, t.Any] = content["machine"]
        self.journal_rows: int = content["journal_rows"]
        self.failures: dict[str, str] = content["failures"]
        self._runs = content["runs"]
        self.cases = [case for case in cases.all_cases() if case.key in self._runs]

    def runs(self, key: str, figure: str = "wall") -> list[float]:
        """Return a figure of each run of a case."""
        return [run[figure] for run in self._runs.get(key, ()) if figure in run]

    def get(self, key: str, figure: str = "wall") -> float:
        """Return the median of a figure, NaN if it was not measured."""
        return statistics.median(self.runs(key, figure) or [math.nan])

    def line(self, row: str) -> list[tuple[int, float]]:
        """Return the seconds of a row without latency, against N."""
        return [(n, wall) for n in cases.POWERS if (wall := self.get(f"{row}@{n}@0")) > 0]

    def above_empty(self, key: str) -> float:
        """Return the seconds that a play takes beyond the empty play."""
        return self.get(key) - self.get("empty@0@0")

    def uri_loop(self, n: int) -> float:
        """Return the seconds of a `uri` loop; where it was not measured, on a line through its two longest measurements."""
        known = self.line("uri-loop")
        if n in dict(known) or len(known) < 2:
            return dict(known).get(n, math.nan)
        (n1, wall1), (n2, wall2) = known[-2:]
        return wall2 + (wall2 - wall1) / (n2 - n1) * (n - n2)


class Goal(t.NamedTuple):
    """A figure and its limit, with the figures that it is made of."""

    text: str
    limit: float
    found: float
    figures: str = ""
    at_least: bool = False

    def cells(self) -> list[str]:
        """Return the line of the goal in a table."""
        is_met = self.found >= self.limit if self.at_least else self.found <= self.limit
        verdict = "not measured" if math.isnan(self.found) else "met" if is_met else "MISSED"
        limit = f"at {'least' if self.at_least else 'most'} {self.limit:g}"
        return [self.text, limit, number(self.found), self.figures, verdict]


def ratio(text: str, a: float, b: float, limit: float, unit: str = "s", at_least: bool = False) -> Goal:
    """Return a limit for a / b."""
    figures = "" if math.isnan(a / b) else f"{number(a)} {unit} / {number(b)} {unit}"
    return Goal(text, limit, a / b, figures, at_least)


def goals(results: Results) -> list[Goal]:
    """Return all goals."""
    get, above_empty, uri_loop = results.get, results.above_empty, results.uri_loop
    empty, src = get("empty@0@0"), above_empty("src@100000@0")
    bare = min(get("bare@100000@0"), get("bare-4@100000@0"))
    memory, small_memory = (get(f"src@{n}@0", "memory") / 1e6 for n in (1_000_000, 1_000))
    late, bare_late = above_empty("src@100000@50"), get("bare-4@100000@50")
    return [
        ratio("one release / empty play", get("one@1@0"), empty, 1.25),
        ratio("one release, as a module / one `ping`", get("module-one@1@0"), get("ping@0@0"), 1.15),
        ratio("`uri` loop of 100 / loop of 100", uri_loop(100), get("loop@100@0"), 15, at_least=True),
        Goal("loop of 100: token calls", 1, get("loop@100@0", "token_calls")),
        Goal("loop of 100: connections", 1, get("loop@100@0", "connections")),
        ratio("list of 1,000 / empty play", get("list@1000@0"), empty, 1.35),
        ratio("`uri` loop of 1,000, extrapolated / list", uri_loop(1_000), get("list@1000@0"), 300, at_least=True),
        ratio("`src` of 100,000, minus empty play / bare script, 1 or 4 calls at once", src, bare, 2),
        ratio("`src` of 100,000, 50 ms, minus empty play / bare script, 4 calls at once", late, bare_late, 1.6),
        ratio(
            "`src` of 1,000,000 / 10 x `src` of 100,000, minus empty play", above_empty("src@1000000@0"), 10 * src, 1.2
        ),
        ratio("`src` of 1,000,000 / `src` of 1,000: memory", memory, small_memory, 1.5, "MB"),
        *second_runs(results),
        most_calls(results),
        *growing_journal(results),
        *databases(results),
    ]


def second_runs(results: Results) -> list[Goal]:
    """Compare second runs with their first: the worst of the long ones, and the median of the short ones, where noise outweighs work."""
    long, short = [(math.nan, "")], []
    for case in results.cases:
        first, second = results.runs(case.first_key), results.runs(case.key)
        if first and case.n >= LARGE_N:
            figures = f"{number(statistics.median(second))} s / {number(statistics.median(first))} s ({case.key})"
            long.append((statistics.median(second) / statistics.median(first), figures))
        elif first:  # each ran right after the other
            short += [b / a for a, b in zip(first, second)]
    middle = statistics.median(short or [math.nan])
    return [
        Goal(f"second run / first run, N of {LARGE_N:,} and more, the worst", 1, *max(long[1:] or long)),
        Goal(f"second run / first run, N below {LARGE_N:,}, the median", 1, middle, f"{len(short)} pairs"),
    ]


def most_calls(results: Results) -> Goal:
    """Find the task that makes the most calls beyond those that its bytes need."""
    found = [(math.nan, "")]
    for case in results.cases:
        if case.row.one_task and case.row.sends:
            calls, full = results.get(case.key, "calls"), math.ceil(results.get(case.key, "body_bytes") / 100_000)
            found.append((calls - full, f"{calls:,.0f} calls, {full:,} full bodies ({case.key})"))
    return Goal("calls of one task beyond its bytes / 100,000, the worst", 1, *max(found[1:] or found))


def growing_journal(results: Results) -> t.Iterator[Goal]:
    """Compare tasks on a large journal with the same tasks on a journal of one entry."""
    get, rows = results.get, f"{results.journal_rows:,}"
    for row, n in (("check", 1), ("request-id", 1), ("src", 2_000)):
        text = cases.ROWS[f"{row}-large"].title.replace("large journal", f"journal of {rows} / of 1")
        yield ratio(text, get(f"{row}-large@{n}@0"), get(f"{row}-small@{n}@0"), 1.2)
    seconds = get("info-large@1@0") - get("info-small@1@0")
    yield Goal(f"`vcc_journal_info` of one id, journal of {rows} minus of 1, s", 0.3, seconds)
    prune = f"prune of four fifths of {rows}"
    yield Goal(f"{prune}: longest wait of another task, s", 1, get("prune@0@0", "wait"))
    after, before = (get("prune@0@0", figure) / 1e6 for figure in ("size_after", "size_before"))
    yield ratio(f"{prune}: journal after / before", after, before, 0.5, "MB")


def databases(results: Results) -> t.Iterator[Goal]:
    """Compare journals in a database with those in a file."""
    measured = [case.n for case in results.cases if case.row.key == "src-database-0"]
    n = max(measured, default=LARGE_N)
    late_ms = cases.DATABASE_LATE_MS

    def compare(row: str, limit: float, reference: str = "src", latency: int = 0, figure: str = "wall") -> Goal:
        text = f"{cases.ROWS[row].title}, N of {n:,}{f', {latency} ms' if latency else ''} / journal in a file"
        a, b = (results.get(f"{key}@{n}@{latency}", figure) for key in (row, reference))
        return ratio(text if figure == "wall" else f"{text}: {figure}", a, b, limit)

    yield compare("src-database-0", 1.6)
    yield compare("src-database-0", 1.2, figure="cpu")
    yield compare("src-database-1", 1.7)
    yield compare(f"src-database-{late_ms}", 2)
    yield compare("src-database-0-second", 1.5, "src-second")
    yield compare(f"src-database-{late_ms}-second", 1.5, "src-second")
    yield compare(f"src-database-{late_ms}", 1.1, latency=cases.LATE_MS)
    yield compare("slices-database", 2, "slices")
    text = f"{cases.ROWS['src-database-1'].title}, N of {n:,}: requests to the database beyond chunks of 1,000"
    yield Goal(text, 6, results.get(f"src-database-1@{n}@0", "requests") - math.ceil(n / 1000))
    memory = (results.get(f"src-database-0@{n}@0", "memory") - results.get(f"src@{n}@0", "memory")) / 2**20
    yield Goal(f"{cases.ROWS['src-database-0'].title}, N of {n:,}, minus journal in a file: memory, MiB", 8, memory)
    for ms in (0, late_ms):
        title = cases.ROWS[f"one-database-{ms}"].title
        seconds = results.get(f"one-database-{ms}@1@0") - results.get("one@1@0")
        yield Goal(f"{title}, minus journal in a file, s: 0.04 s and 8 round trips", 0.04 + 8 * ms / 1000, seconds)


def number(value: float) -> str:
    """Return a figure with three significant digits, but whole where it is large; nothing for NaN."""
    if math.isnan(value):
        return ""
    digits = 0 if value == int(value) else 2 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, min(digits, 4))}f}"


def table(head: str, lines: t.Iterable[list[str]]) -> str:
    """Return a table in Markdown; ``head`` is its first line."""
    return "\n".join([head, "| --- " * (head.count("|") - 1) + "|", *(f"| {' | '.join(line)} |" for line in lines)])


def goals_as_markdown(results: Results) -> str:
    return table("| Goal | Limit | Measured | Figures | Verdict |", (goal.cells() for goal in goals(results)))


def as_markdown(results: Results) -> str:
    """Return the page for developers."""
    figures = []
    for case in results.cases:
        wall, cpu, memory, calls = (results.get(case.key, figure) for figure in ("wall", "cpu", "memory", "calls"))
        measured = map(number, (wall, cpu, memory / 1e6, calls))
        figures.append([case.row.title, f"{case.n:,}", str(case.ms), str(len(results.runs(case.key))), *measured])
    return "\n\n".join(
        [
            INTRODUCTION,
            f"Machine: {', '.join(f'{name} {value}' for name, value in results.machine.items())}.",
            f"Cases that failed: {', '.join(results.failures) or 'none'}.",
            "## Goals",
            goals_as_markdown(results),
            "## Figures",
            f"A small journal has 1 entry, a large one has {results.journal_rows:,}.",
            table("| Row | N | Latency, ms | Runs | Wall, s | CPU, s | Memory, MB | Calls |", figures) + "\n",
        ]
    )


def draw(results: Results, path: Path) -> None:
    """Draw the chart of the guide: seconds against the number of interactions, for three ways to release them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    # Text stays text, and the same figures make the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "vonage.vcc", "font.size": 11})
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    longer = (100, 1_000, 10_000)
    axes.plot(longer, [results.uri_loop(n) for n in longer], color="tab:red", linestyle=":")
    for row, label, colour, place in (
        ("uri-loop", "uri loop (dotted: extrapolated)", "tab:red", (14, 120)),
        ("src", "vcc_interaction with src", "tab:blue", (1_000, 1.1)),
        ("bare", "bare script", "dimgray", (1_000, 0.17)),
    ):
        axes.plot(*zip(*results.line(row)), color=colour, marker="o", markersize=4, linewidth=2)
        axes.text(*place, label, color=colour, ha="center")
    axes.set(xscale="log", yscale="log", xlabel="interactions", ylabel="time of the whole play")
    axes.set_xticks(cases.POWERS, [f"{n:,}" for n in cases.POWERS])
    axes.set_yticks([0.1, 1, 10, 60, 600, 3600], ["0.1 s", "1 s", "10 s", "1 min", "10 min", "1 h"])
    axes.minorticks_off()
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From runs to medians, ratios, goals, tables and a chart."""

from __future__ import annotations

import math
import statistics
import typing as t
from pathlib import Path

import cases

# From this N on a second run saves more than what is noise between two medians.
TELLING = 100_000

# The rows of the table of what a list costs, beside those that the big table has.
LISTS = ("src", "src-report", "list", "list-play", "list-jinja", "list-lookup", "dicts", "take", "carry")

# The rows of the table of how cost grows, and the lines of the chart.
GROWTH = (
    "src",
    "src-shuffled",
    "src-off",
    "src-second",
    "list",
    "module-src",
    "bare",
    "loop",
    "module-loop",
    "uri-loop",
    "curl-loop",
)

ABOUT = (
    "Each figure is a median. Ratios, in brackets, are to the empty play for wall, CPU and memory, and to the bare script with the same N and latency"
    " for calls and bytes. The column 'to bare' is (wall minus empty play) / wall of the bare script with as many calls in flight, 'uri loop' how many"
    " times as long a loop of ``uri`` takes for the same N; * marks an extrapolated loop. CPU is that of all processes, memory the peak of the largest"
    " one. Bytes are all that was sent, headers included. Where the row does not say it, ``vcc_interaction`` has up to 4 calls in flight."
)


class Results:
    """The runs of benchmark.json.

    :arg content: with C(runs), lists of figures by the key of their case, C(machine) and C(failures).
    """

    def __init__(self, content: dict[str, t.Any]) -> None:
        self.machine: dict[str, t.Any] = content["machine"]
        self.failures: dict[str, str] = content["failures"]
        self._runs = content["runs"]
        self.cases = [case for case in cases.cases() if case.key in self._runs]

    def runs(self, key: str) -> int:
        return len(self._runs.get(key, ()))

    def get(self, row: str, n: int, ms: int = 0, figure: str = "wall") -> float | None:
        """The median of a figure, None if it was not measured."""
        found = [one[figure] for one in self._runs.get(f"{row}@{n}@{ms}", ()) if figure in one]
        return statistics.median(found) if found else None

    def walls(self, row: str, n: int, ms: int) -> list[float]:
        """The wall of each run."""
        return [one["wall"] for one in self._runs.get(f"{row}@{n}@{ms}", ())]

    def empty(self, figure: str = "wall") -> float | None:
        return self.get("empty", 0, 0, figure)

    def above_empty(self, row: str, n: int, ms: int = 0) -> float | None:
        """What a play takes beyond an empty one."""
        return minus(self.get(row, n, ms), self.empty())

    def bare(self, case: cases.Case, figure: str) -> float | None:
        """What the bare script takes with as many calls in flight, or one after the other where that was not measured."""
        in_flight = case.row.in_flight or (cases.IN_FLIGHT if case.row.door else 1)
        found = self.get(f"bare-{in_flight}", case.n, case.ms, figure)
        return self.get("bare", case.n, case.ms, figure) if found is None else found

    def uri_loop(self, n: int, ms: int) -> tuple[float | None, bool]:
        """What a loop of uri takes, and whether that is extrapolated, on a line through its two longest measurements."""
        measured = self.get("uri-loop", n, ms)
        if measured is not None or not n:
            return measured, False
        known = [(one, wall) for one in (1, 10, 100) if (wall := self.get("uri-loop", one, ms)) is not None]
        if len(known) < 2 or n < known[-1][0]:
            return None, False
        (n1, wall1), (n2, wall2) = known[-2:]
        return wall2 + (wall2 - wall1) / (n2 - n1) * (n - n2), True


def minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None or b <= 0 else a / b


class Goal(t.NamedTuple):
    """A limit for a ratio and the two figures that it is made of."""

    text: str
    limit: str
    found: str
    figures: str
    met: bool | None

    @property
    def verdict(self) -> str:
        return "not measured" if self.met is None else "met" if self.met else "MISSED"


def goals(results: Results) -> list[Goal]:
    empty, ping = results.empty(), results.get("ping", 0)
    loop, second = results.get("loop", 100), results.get("list", 1_000)
    uri_100, guessed_100 = results.uri_loop(100, 0)
    uri_1000, _guessed = results.uri_loop(1_000, 0)
    bare = _least(results.get(row, 100_000) for row in ("bare", "bare-4"))
    per_million, per_100_000 = (
        None if wall is None else wall / n * 1e6
        for n in (1_000_000, 100_000)
        for wall in [results.above_empty("src", n)]
    )
    return [
        _at_most("one release, action door / empty play", results.get("one", 1), empty, 1.25),
        _at_most("one release, module door / one ping", results.get("module-one", 1), ping, 1.15),
        _at_least(f"loop of 100 of uri{' (extrapolated)' * guessed_100} / loop of 100", uri_100, loop, 15),
        _counted("loop of 100: token calls", results.get("loop", 100, 0, "token_calls"), 1),
        _counted("loop of 100: connections", results.get("loop", 100, 0, "connections"), 1),
        _at_most("list of 1,000 in one task / empty play", second, empty, 1.35),
        _at_least("loop of 1,000 of uri (extrapolated) / list of 1,000", uri_1000, second, 300),
        _at_most(
            "src of 100,000, journaled, minus empty play / bare script, the faster of 1 and 4 in flight",
            results.above_empty("src", 100_000),
            bare,
            2.0,
        ),
        *_second_runs(results),
        _at_most(
            "src of 1,000,000, minus empty play, per interaction / src of 100,000",
            per_million,
            per_100_000,
            1.2,
            "us",
        ),
        _at_most(
            "src of 1,000,000 / src of 1,000: peak memory",
            _scaled(results.get("src", 1_000_000, 0, "memory"), 1e-6),
            _scaled(results.get("src", 1_000, 0, "memory"), 1e-6),
            1.5,
            "MB",
        ),
        _at_most(
            "src of 100,000, journaled, 4 in flight, 50 ms, minus empty play / bare script, 4 in flight",
            results.above_empty("src", 100_000, 50),
            results.get("bare-4", 100_000, 50),
            1.6,
        ),
        _calls(results),
    ]


def _least(figures: t.Iterable[float | None]) -> float | None:
    return min((one for one in figures if one is not None), default=None)


def _scaled(figure: float | None, factor: float) -> float | None:
    return None if figure is None else figure * factor


def _at_most(text: str, a: float | None, b: float | None, limit: float, unit: str = "s") -> Goal:
    found = ratio(a, b)
    met = None if found is None else found <= limit
    return Goal(text, f"at most {limit:g}", _number(found), _pair(a, b, unit), met)


def _at_least(text: str, a: float | None, b: float | None, limit: float) -> Goal:
    found = ratio(a, b)
    met = None if found is None else found >= limit
    return Goal(text, f"at least {limit:g}", _number(found), _pair(a, b, "s"), met)


def _counted(text: str, count: float | None, limit: int) -> Goal:
    met = None if count is None else count <= limit
    return Goal(text, f"{limit}", _number(count, 0), "", met)


def _pair(a: float | None, b: float | None, unit: str) -> str:
    return "" if a is None or b is None else f"{_number(a)} {unit} / {_number(b)} {unit}"


def _second_runs(results: Results) -> t.Iterator[Goal]:
    """Second runs beside their firsts: the worst of the long ones, and the middle of the short ones, which differ by noise more than by work."""
    long, short = [], []
    for case in results.cases:
        if case.row.after:
            first, second = results.walls(case.row.after, case.n, case.ms), results.walls(case.row.key, case.n, case.ms)
            if case.n < TELLING:
                short += [(b / a, b, a) for a, b in zip(first, second)]  # one was run right after the other
            elif first and second:
                a, b = statistics.median(first), statistics.median(second)
                long.append((b / a, b, a, f"{case.row.key}, N = {case.n:,}, {case.ms} ms"))
    text = "a second run with nothing to do / the first"
    far = f"{text}, N of {TELLING:,} and more, the worst of all"
    near = f"{text}, N below {TELLING:,}, the median of all pairs"
    if long:
        worst, second, first, name = max(long)
        yield Goal(far, "at most 1", _number(worst), f"{_pair(second, first, 's')} ({name})", worst <= 1)
    else:
        yield Goal(far, "at most 1", "", "", None)
    if short:
        middle, second, first = sorted(short)[len(short) // 2]
        yield Goal(near, "at most 1", _number(middle), f"{_pair(second, first, 's')} ({len(short)} pairs)", middle <= 1)
    else:
        yield Goal(near, "at most 1", "", "", None)


def _calls(results: Results) -> Goal:
    """The clean run in one task that has the most calls in comparison with what they may be."""
    text = "HTTP calls of one task, the token's included, beyond ceil(bytes of bodies / 100,000), the worst of all"
    found = []
    for case in results.cases:
        if case.row.door and case.expected and "loop" not in case.row.key:
            calls, size = (results.get(case.row.key, case.n, case.ms, figure) for figure in ("calls", "body_bytes"))
            if calls is not None and size is not None:
                allowed = math.ceil(size / 100_000)
                found.append((calls - allowed, calls, allowed, f"{case.row.key}, N = {case.n:,}, {case.ms} ms"))
    if not found:
        return Goal(text, "at most 1", "", "", None)
    worst, calls, allowed, name = max(found)
    return Goal(text, "at most 1", f"{worst:g}", f"{calls:g} calls, {allowed} full bodies ({name})", worst <= 1)


def _number(value: float | None, digits: int = 3) -> str:
    """A figure with three significant digits, and none behind the point where it is large."""
    if value is None:
        return ""
    if value == 0 or not digits:
        return f"{value:,.0f}"
    behind = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(behind, 4)}f}"


def _with_ratio(value: float | None, to: float | None, digits: int = 3) -> str:
    """A figure and its ratio to another one."""
    found = ratio(value, to)
    return _number(value, digits) + (f" ({_number(found)}x)" if found is not None else "")


HEAD = [
    "What",
    "N",
    "ms",
    "Runs",
    "Wall, s",
    "To bare",
    "uri loop",
    "CPU, s",
    "Memory, MB",
    "Calls",
    "Tokens",
    "Connections",
    "Sent, MB",
]


def big_table(results: Results) -> list[list[str]]:
    table = [HEAD]
    for case in results.cases:
        if case.row.key in LISTS and case.row.key not in ("src", "list"):
            continue

        def get(figure: str, case: cases.Case = case) -> float | None:
            return results.get(case.row.key, case.n, case.ms, figure)

        def bare(figure: str, case: cases.Case = case) -> float | None:
            return results.bare(case, figure) if case.expected else None

        wall = get("wall")
        own = wall if case.row.script else minus(wall, results.empty())
        loop, extrapolated = results.uri_loop(case.n, case.ms)
        times = ratio(loop, wall) if case.row.key != "uri-loop" else None
        table.append(
            [
                _title(case.row),
                f"{case.n:,}" if case.n else "",
                f"{case.ms}",
                f"{results.runs(case.key)}",
                _with_ratio(wall, results.empty()),
                _times(ratio(own, bare("wall"))),
                _times(times) + ("*" if times and extrapolated else ""),
                _with_ratio(get("cpu"), results.empty("cpu")),
                _with_ratio(_scaled(get("memory"), 1e-6), _scaled(results.empty("memory"), 1e-6)),
                _with_ratio(get("calls"), bare("calls"), 0) if case.row.calls else "",
                _number(get("token_calls"), 0) if case.row.calls else "",
                _number(get("connections"), 0) if case.row.calls else "",
                _with_ratio(_scaled(get("bytes"), 1e-6), _scaled(bare("bytes"), 1e-6)) if case.row.calls else "",
            ]
        )
        if case.row.key == "uri-loop":
            table.extend(_extrapolated(results, case))
    return table


def _extrapolated(results: Results, case: cases.Case) -> list[list[str]]:
    """A line for the loop of 1,000 of uri, behind the longest one that was measured."""
    measured = [one.n for one in results.cases if one.row is case.row and one.ms == case.ms]
    wall, extrapolated = results.uri_loop(1_000, case.ms)
    if case.n != max(measured) or not extrapolated:
        return []
    line = [f"{_title(case.row)}, extrapolated", "1,000", f"{case.ms}", "0", _with_ratio(wall, results.empty()) + "*"]
    return [line + [""] * (len(HEAD) - len(line))]


def _times(value: float | None) -> str:
    return "" if value is None else f"{_number(value)}x"


def _title(row: cases.Row) -> str:
    if not row.door:
        return row.title

    return f"``vcc_interaction``, {row.title}, {row.door} door" + ("" if row.journal else ", no journal")


def goal_table(results: Results) -> list[list[str]]:
    head = ["Goal", "Limit", "Measured", "Figures", "Verdict"]
    return [head] + [[goal.text, goal.limit, goal.found, goal.figures, goal.verdict] for goal in goals(results)]


def list_table(results: Results) -> list[list[str]]:
    """What the ways to hand over a list cost beyond the empty play, and beside src."""
    ns = (1_000, 10_000, 100_000)
    table = [["How", *(f"{n:,}: s above empty play" for n in ns), *(f"{n:,}: peak MB" for n in ns)]]
    for key in LISTS:
        times = [results.above_empty(key, n) for n in ns]
        if not any(one is not None for one in times):
            continue
        memory = [_scaled(results.get(key, n, 0, "memory"), 1e-6) for n in ns]
        src = [results.above_empty("src", n) for n in ns]
        src_memory = [_scaled(results.get("src", n, 0, "memory"), 1e-6) for n in ns]
        table.append(
            [
                cases.ROWS[key].title,
                *(_with_ratio(a, b) for a, b in zip(times, src)),
                *(_with_ratio(a, b) for a, b in zip(memory, src_memory)),
            ]
        )
    return table


def growth_table(results: Results, figure: str = "wall") -> list[list[str]]:
    """Seconds of wall, microseconds above the empty play for each interaction, or MB, against N."""
    ns = cases.ALL
    table = [["What", *(f"N = {n:,}" for n in ns)]]
    for key in GROWTH:
        row = cases.ROWS[key]
        line = []
        for n in ns:
            if figure == "each":
                value = results.get(key, n) if row.script else results.above_empty(key, n)
                line.append(_number(None if value is None else value / n * 1e6))
            elif figure == "memory":
                line.append(_number(_scaled(results.get(key, n, 0, "memory"), 1e-6)))
            else:
                line.append(_with_ratio(results.get(key, n), results.empty()))
        if any(line):
            table.append([_title(row), *line])
    return table


def server_sentence(results: Results) -> str:
    """Whether it is the simulator that a benchmark would measure, and what the stand-in itself takes."""
    parts = []
    worst = 0.0
    for n in (1_000, 10_000, 100_000):
        (slow, slow_cpu), (fast, fast_cpu) = (
            [results.get(row, n, 0, figure) for figure in ("wall", "server_cpu")] for row in ("bare-simulator", "bare")
        )
        if slow and fast and slow_cpu is not None and fast_cpu is not None:
            worst = max(worst, slow / fast)
            parts.append(
                f"{n:,} take {_number(slow)} s with the simulator, of which its own CPU is {_number(slow_cpu)} s, and {_number(fast)} s"
                f" with the stand-in, of which {_number(fast_cpu)} s ({_number(slow / fast)}x)"
            )
    if not parts:
        return "The server is the stand-in of tests/benchmark/server.py; the simulator was not measured beside it."
    verdict = "since the simulator is a bottleneck" if worst > 1.2 else "though the simulator would do as well"
    return (
        f"The server is the stand-in of tests/benchmark/server.py, in a process of its own, {verdict}. Of interactions released by the bare script, "
        + "; ".join(parts)
        + "."
    )


def _machine(results: Results) -> str:
    return ", ".join(f"{name} {value}" for name, value in results.machine.items())


def goals_as_text(results: Results) -> str:
    lines = [f"{goal.verdict:12}  {goal.text}: {goal.found} ({goal.limit}) {goal.figures}" for goal in goals(results)]
    return "\n".join(lines)


SECTIONS: tuple[tuple[str, t.Callable[[Results], list[list[str]]]], ...] = (
    ("Goals", goal_table),
    ("All figures", big_table),
    ("What a list costs (ratios to src)", list_table),
    ("How cost grows: wall, s (ratios to the empty play)", growth_table),
    ("How cost grows: microseconds for each interaction, above the empty play", lambda one: growth_table(one, "each")),
    ("How cost grows: peak memory, MB", lambda one: growth_table(one, "memory")),
)


def as_markdown(results: Results) -> str:
    parts = ["# Benchmark", f"Machine: {_machine(results)}.", server_sentence(results), ABOUT.replace("``", "`")]
    parts.append("![Cost against N](benchmark.png)")
    if results.failures:
        parts.append("**Not measured, since they failed:** " + ", ".join(results.failures))
    for title, make in SECTIONS:
        head, *body = [[cell.replace("``", "`") for cell in line] for line in make(results)]
        lines = [head, ["---"] * len(head), *body]
        parts += [f"## {title}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    return "\n\n".join(parts) + "\n"


def as_rst(results: Results) -> str:
    parts = [f"Measured on: {_machine(results)}.", server_sentence(results), ABOUT]
    for title, make in SECTIONS:
        lines = [".. list-table::", "  :header-rows: 1", ""]
        for line in make(results):
            cells = [f"    - {cell}".rstrip() for cell in line]
            lines += ["  * " + cells[0].strip(), *cells[1:]]
        parts += [f"{title}\n{'-' * len(title)}", "\n".join(lines)]
    return "\n\n".join(parts)


def draw(results: Results, path: Path) -> None:
    """Draw wall at both latencies, and peak memory, against N."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 3, figsize=(19, 7.5))
    wanted = (("wall", 0, 1.0), ("wall", 50, 1.0), ("memory", 0, 1e-6))
    titles = ("Wall, s, no latency", "Wall, s, 50 ms of latency", "Peak memory of the largest process, MB")
    keys = [*GROWTH, "bare-4", "uri-body", "module-list"]
    colours = dict(zip(keys, pyplot.get_cmap("tab20").colors))
    for panel, (name, ms, factor), title in zip(panels, wanted, titles):
        for key in keys:
            row = cases.ROWS[key]
            points = [(n, value * factor) for n in cases.ALL if (value := results.get(key, n, ms, name)) is not None]
            if points:
                style = "--" if not row.door else ":" if row.door == "module" else "-"
                label = _title(row).replace("``", "")
                panel.plot(*zip(*points), style, marker="o", markersize=4, label=label, color=colours[key])
        if name == "wall":
            panel.axhline(results.empty() or 1, color="grey", linewidth=1, label="empty play")
            guess, extrapolated = results.uri_loop(1_000, ms)
            if guess and extrapolated:
                panel.plot([1_000], [guess], "x", color=colours["uri-loop"], label="uri in a loop, extrapolated")
        panel.set(xscale="log", yscale="log", xlabel="N", title=title)
        panel.grid(which="major", alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, fontsize="small", frameon=False)
    figure.tight_layout(rect=(0, 0.13, 1, 1))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)

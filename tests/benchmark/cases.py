# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of the benchmark, each with its numbers of interactions and its latencies, and the commands of their runs."""

from __future__ import annotations

import json
import sys
import typing as t
import zlib
from pathlib import Path

HERE = Path(__file__).parent

LATE_MS = 50  # of latency

PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
"""
EMPTY = "    - ansible.builtin.debug: {msg: nothing}\n"
PING = "    - ansible.builtin.ping:\n"
URI_LOOP = """\
    - ansible.builtin.uri:
        url: "{{ lookup('env', 'VCC_AUTH_URL') }}"
        method: POST
        body_format: form-urlencoded
        body:
          grant_type: client_credentials
          client_id: "{{ lookup('env', 'VCC_CLIENT_ID') }}"
          client_secret: "{{ lookup('env', 'VCC_CLIENT_SECRET') }}"
          scope: interactions:write
      register: token
    - ansible.builtin.uri:
        url: "{{ lookup('env', 'VCC_API_URL') }}/interactions/Invoke"
        method: POST
        headers:
          Accept: application/vnd.newvoicemedia.v1+json
          Authorization: Bearer {{ token.json.access_token }}
        body_format: json
        body:
          requests:
            - action: release
              externalid: "{{ item }}"
              requestid: "{{ (now().isoformat() ~ item) | to_uuid }}"
      loop: "{{ ids }}"
"""

RELEASE = "    - vonage.vcc.vcc_interaction:\n"
ONE = RELEASE + "        external_id: '{{ ids[0] }}'\n"
LOOP = RELEASE + "        external_id: '{{ item }}'\n      loop: '{{ ids }}'\n"
LIST = RELEASE + "        external_ids: '{{ ids }}'\n"
SRC = RELEASE + "        src: '{{ src }}'\n"
CHECK = ONE + "      check_mode: true\n"
REQUEST_ID = ONE + "        request_id: '{{ ids[0] | to_uuid }}'\n"

# A task with an environment of its own runs as a module, not in Ansible's process.
AS_MODULE = "      environment: {LC_MESSAGES: C}\n"

INFO = "    - vonage.vcc.vcc_journal_info: {external_ids: [case-0000000]}\n"

# The entries of a large journal are up to so many days old, so this prunes four fifths of them.
JOURNAL_DAYS = 75
PRUNE = f"    - vonage.vcc.vcc_journal: {{older_than: {JOURNAL_DAYS // 5 * 24 * 60 * 60}}}\n"

# The numbers of interactions and the latency with which a journal in a database is measured.
DATABASE_NS = (1_000, 10_000, 100_000)
DATABASE_LATE_MS = 5

POWERS = tuple(10**exponent for exponent in range(7))


class Row(t.NamedTuple):
    """One way to release interactions, or a play to compare it with.

    :param ns: the numbers of interactions to measure without latency.
    :param ns_late: the numbers of interactions to measure with LATE_MS of latency.
    :param tasks: the tasks of the play; empty for the bare script.
    :param variable: the variable that hands over the external ids: ``ids``, a list, or ``src``, a file.
    :param one_task: whether one task of the collection sends all interactions.
    :param sends: whether the server gets the interactions.
    :param follows: the row that runs just before, on the same journal, so that this row finds nothing to do.
    :param journal: ``small`` or ``large``, a journal with other entries; ``copy``, a copy of the large one; empty for a new journal.
    :param database_ms: the round trip to the database that has the journal, 0 for one on this host; None for a journal in a file.
    :param slices: in how many files the ids are divided, each for a play of its own; the plays share the journal.
    :param processes: how many of these plays run at once.
    :param threads: calls that the bare script makes at once.
    :param reference: whether other rows are compared with it, so that it is measured several times in a round.
    """

    key: str
    title: str
    ns: tuple[int, ...]
    ns_late: tuple[int, ...] = ()
    tasks: str = ""
    variable: str = "ids"
    one_task: bool = False
    sends: bool = True
    follows: str = ""
    journal: str = ""
    database_ms: int | None = None
    slices: int = 1
    processes: int = 4
    threads: int = 0
    reference: bool = False


class Case(t.NamedTuple):
    """A row for one number of interactions and one latency."""

    row: Row
    n: int
    ms: int

    @property
    def key(self) -> str:
        return f"{self.row.key}@{self.n}@{self.ms}"

    @property
    def first_key(self) -> str:
        """Return the key of the case that this one is the second run of."""
        return f"{self.row.follows}@{self.n}@{self.ms}"


def _rows() -> t.Iterator[Row]:
    yield Row("empty", "empty play", (0,), tasks=EMPTY, sends=False, reference=True)
    yield Row("ping", "one `ping` task", (0,), tasks=PING, sends=False, reference=True)
    yield Row("uri-loop", "`uri` loop", (1, 10, 100), tasks=URI_LOOP)
    yield Row("bare", "bare script", POWERS, (), variable="src", threads=1)
    yield Row("bare-4", "bare script, 4 calls at once", (100_000,), (100_000,), variable="src", threads=4)
    yield from _twice("one", "one release", (1,), tasks=ONE, one_task=True, reference=True)
    yield from _twice("module-one", "one release, as a module", (1,), tasks=ONE + AS_MODULE, one_task=True)
    yield from _twice("loop", "loop", (100,), tasks=LOOP)
    yield from _twice("list", "list", (1_000, 10_000, 100_000), tasks=LIST, one_task=True)
    src = {"variable": "src", "one_task": True}
    yield from _twice("src", "`src`", POWERS, (10_000, 100_000), tasks=SRC, **src)
    for ms, ns_late in ((0, ()), (1, ()), (DATABASE_LATE_MS, (10_000, 100_000))):
        title = f"`src`, database {ms} ms away" if ms else "`src`, database"
        yield from _twice(f"src-database-{ms}", title, DATABASE_NS, ns_late, tasks=SRC, database_ms=ms, **src)
        title = title.replace("`src`", "one release")
        yield from _twice(f"one-database-{ms}", title, (1,), tasks=ONE, database_ms=ms, one_task=True)
    yield Row("slices", "`src` in 4 processes", DATABASE_NS, tasks=SRC, variable="src", slices=4)
    yield Row(
        "slices-database",
        "`src` in 4 processes, database",
        DATABASE_NS,
        tasks=SRC,
        variable="src",
        slices=4,
        database_ms=0,
    )
    yield from _twice("module-src", "`src`, as a module", (100_000,), tasks=SRC + AS_MODULE, **src)
    for key, title, n, tasks, fields in (
        ("check", "one release in check mode", 1, CHECK, {"sends": False}),
        ("request-id", "one release with a `request_id`", 1, REQUEST_ID, {"one_task": True}),
        ("src", "`src` of 2,000", 2_000, SRC, src),
        ("info", "`vcc_journal_info` of one id", 1, INFO, {"sends": False}),
    ):
        for journal in ("small", "large"):
            yield Row(f"{key}-{journal}", f"{title}, {journal} journal", (n,), tasks=tasks, journal=journal, **fields)
    yield Row("prune", "prune of four fifths, large journal", (0,), tasks=PRUNE, sends=False, journal="copy")


def _twice(key: str, *values: t.Any, **fields: t.Any) -> t.Iterator[Row]:
    """Yield a row and its second run."""
    first = Row(key, *values, **fields)
    yield first
    second = {"key": f"{key}-second", "title": f"{first.title}, second run", "sends": False, "reference": False}
    yield first._replace(**second, follows=key)


# Too long for a round: it is measured alone.
SCALE = Row(
    "scale",
    "`src` in 8 slices for 4 processes, database",
    (1_000_000,),
    tasks=SRC,
    variable="src",
    slices=8,
    database_ms=0,
)

ROWS = {row.key: row for row in _rows()}


def all_cases() -> t.Iterator[Case]:
    """Yield every case, each with its second run just behind it."""
    seconds = {row.follows: row for row in ROWS.values()}
    for row in ROWS.values():
        if not row.follows:
            for ms, ns in ((0, row.ns), (LATE_MS, row.ns_late)):
                for n in ns:
                    yield Case(row, n, ms)
                    if row.key in seconds:
                        yield Case(seconds[row.key], n, ms)


class Inputs:
    """The plays and external ids of the runs, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0

    def command(self, case: Case) -> list[str]:
        """Return the command of a run."""
        ids = self._ids(case)
        if case.row.threads:
            return [sys.executable, str(HERE / "bare.py"), str(ids), str(case.row.threads)]
        play = self._folder / f"{case.row.key}.yml"
        play.write_text(PLAY + case.row.tasks, encoding="utf-8")
        command = [str(Path(sys.executable).parent / "ansible-playbook"), str(play), "-e"]
        if case.row.slices > 1:
            commands = [[*command, f"src={part}"] for part in self._parts(ids, case.row.slices)]
            return [sys.executable, str(HERE / "together.py"), json.dumps(commands), str(case.row.processes)]
        return [*command, f"src={ids}" if case.row.variable == "src" else f"@{ids}"]

    def _parts(self, ids: Path, count: int) -> list[Path]:
        """Divide a file of external ids, as the guide does."""
        parts = [ids.with_suffix(f".{number}.txt") for number in range(count)]
        if not parts[0].exists():
            lines = ids.read_bytes().splitlines(keepends=True)
            for number, part in enumerate(parts):
                part.write_bytes(b"".join(line for line in lines if zlib.crc32(line.rstrip()) % count == number))
        return parts

    def _ids(self, case: Case) -> Path:
        """Return a file of external ids. If other runs use the journal too, the ids are new, and lie between those that the journal knows."""
        prefix, digits = "case-", 7
        if case.row.journal:
            self._runs += 1
            prefix, digits = f"case-0000500-{self._runs}-", 4
        path = self._folder / f"{prefix}{case.n}.{'json' if case.row.variable == 'ids' else 'txt'}"
        if not path.exists():
            ids = [f"{prefix}{number:0{digits}d}" for number in range(case.n)]
            text = json.dumps({"ids": ids}) if case.row.variable == "ids" else "".join(f"{one}\n" for one in ids)
            path.write_text(text, encoding="utf-8")
        return path

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is measured: rows, each for some N and latencies, and the plays and scripts that they run."""

from __future__ import annotations

import json
import random
import sys
import typing as t
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

CLIENT_ID = "benchmark"
CLIENT_SECRET = "benchmark-secret"

# Calls that vcc_interaction has in flight unless it is told otherwise.
IN_FLIGHT = 4

# Interactions that fit into a body that is built by hand: Ansible's JSON has blanks, and no one counts bytes in Jinja.
HAND_BUILT = 900

PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
"""

EMPTY = """\
    - ansible.builtin.debug:
        msg: nothing
"""

PING = """\
    - ansible.builtin.ping:
"""

# A module that makes the two calls of one release with requests, and knows nothing of VCC: what no module can be quicker than.
REQUESTS_MODULE = """\
from __future__ import annotations

import os

import requests
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule({})
session = requests.Session()
names = ("client_id", "client_secret")
form = {"grant_type": "client_credentials", **{name: os.environ[f"VCC_{name.upper()}"] for name in names}}
token = session.post(os.environ["VCC_AUTH_URL"], data=form, timeout=30).json()["access_token"]
one = {"action": "release", "requestid": os.urandom(16).hex(), "externalid": "case-0000000"}
url = os.environ["VCC_API_URL"] + "/interactions/Invoke"
headers = {"Authorization": "Bearer " + token, "Accept": "application/vnd.newvoicemedia.v1+json"}
session.post(url, json={"requests": [one]}, headers=headers, timeout=30).raise_for_status()
module.exit_json(changed=True)
"""

REQUESTS = """\
    - bare_module:
"""

URI_TOKEN = """\
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
"""

URI_CALL = """\
    - ansible.builtin.uri:
        url: "{{ lookup('env', 'VCC_API_URL') }}/interactions/Invoke"
        method: POST
        headers:
          Accept: application/vnd.newvoicemedia.v1+json
          Authorization: Bearer {{ token.json.access_token }}
        body_format: json
        body:
"""

URI_LOOP = (
    URI_TOKEN
    + URI_CALL
    + """\
          requests:
            - action: release
              externalid: "{{ item }}"
              requestid: "{{ (now().isoformat() ~ item) | to_uuid }}"
      loop: "{{ ids }}"
"""
)

# One expression, since a template for each interaction would be slower by far.
URI_BODY = (
    URI_TOKEN
    + URI_CALL.rstrip("\n")
    + """ >-
          {"requests": [{% for id in item %}{"action": "release", "externalid": {{ id | to_json }},
          "requestid": "{{ (stamp ~ id) | to_uuid }}"}{{ "" if loop.last else "," }}{% endfor %}]}
      vars:
        stamp: "{{ now().isoformat() }}"
      loop: "{{ ids | batch(HAND_BUILT) | list }}"
      loop_control:
        label: batch
""".replace("HAND_BUILT", str(HAND_BUILT))
)

# What `sh` runs: $1 is the file of ids.
CURL_LOOP = r"""
set -eu
token=$(curl -sS --fail -d grant_type=client_credentials -d scope=interactions:write \
    -d client_id="$VCC_CLIENT_ID" -d client_secret="$VCC_CLIENT_SECRET" "$VCC_AUTH_URL")
token=${token#*\"access_token\": \"}
token=${token%%\"*}
while read -r id; do
    read -r uuid < /proc/sys/kernel/random/uuid
    curl -sS --fail -H "Authorization: Bearer $token" -H "Accept: application/vnd.newvoicemedia.v1+json" \
        -H "Content-Type: application/json" \
        -d "{\"requests\":[{\"action\":\"release\",\"requestid\":\"$uuid\",\"externalid\":\"$id\"}]}" \
        "$VCC_API_URL/interactions/Invoke"
done < "$1"
"""

# An action plugin that does nothing but take what it is given, and return as many outcomes as it is told to.
CARRY_PLUGIN = """\
from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        result["interactions"] = [
            {
                "external_id": f"case-{number:07d}",
                "provider": None,
                "request_id": f"{number:032x}",
                "state": "released",
                "changed": True,
                "evidence": "api",
                "message": "",
            }
            for number in range(int(self._task.args["outcomes"]))
        ]
        return result
"""

CARRY = """\
    - carry:
        outcomes: "{{ outcomes }}"
      register: released
"""

TAKE = """\
    - carry:
        outcomes: 0
        ids: "{{ ids }}"
"""

# A module gets its environment from here, so the action plugin has to hand over to it.
THROUGH_MODULE = """\
      environment:
        LC_MESSAGES: C
"""


def vcc(options: str, *, loop: bool = False, module: bool = False, in_flight: int | None = None) -> str:
    """The tasks of a play with one vcc_interaction."""
    task = f"    - vonage.vcc.vcc_interaction:\n        {options}\n"
    if in_flight:
        task += f"        calls_in_flight: {in_flight}\n"
    if loop:
        task += '      loop: "{{ ids }}"\n'
    return task + (THROUGH_MODULE if module else "")


ONE = "external_id: case-0000000"
ITEM = 'external_id: "{{ item }}"'
LIST = 'external_ids: "{{ ids }}"'
SRC = 'src: "{{ src }}"'

ALL = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
UP_TO_A_LIST = ALL[:-1]


class Row(t.NamedTuple):
    """One line of work, measured for each N of ``ns`` at no latency, and of ``ns_late`` at 50 ms.

    :arg tasks: of the play; empty for a script.
    :arg needs: what the play is given: "ids" (a list of texts), "cases" (a list of dicts), "src" (a file), "shuffled" (a file in no order),
        "outcomes" (N itself), "literal" (a list that stands in the play), or nothing.
    :arg journal: whether there is one that stays; None where that has no meaning.
    :arg after: the row that is run just before, on the same journal; this one then has nothing to do.
    :arg slow: from which N on it takes too long for a quick round.
    """

    key: str
    title: str
    ns: tuple[int, ...]
    ns_late: tuple[int, ...] = ()
    tasks: str = ""
    needs: str = ""
    script: str = ""
    door: str = ""
    journal: bool | None = None
    in_flight: int | None = None
    after: str = ""
    slow: int = 10**9
    simulator: bool = False
    calls: bool = True


class Case(t.NamedTuple):
    row: Row
    n: int
    ms: int

    @property
    def key(self) -> str:
        return f"{self.row.key}@{self.n}@{self.ms}"

    @property
    def is_slow(self) -> bool:
        return self.n >= self.row.slow

    @property
    def expected(self) -> int:
        """Interaction objects that have to arrive."""
        return 0 if self.row.after or not self.row.calls else self.n


def _rows() -> t.Iterator[Row]:
    yield Row("empty", "empty play", (0,), tasks=EMPTY, calls=False)
    yield Row("ping", "one ``ping`` task", (0,), tasks=PING, calls=False)
    yield Row("requests", "a module of its own, with ``requests``", (1,), (1,), REQUESTS)
    yield Row("uri-loop", "``uri`` in a loop", (1, 10, 100), (1, 10), URI_LOOP, "ids", slow=100)
    yield Row(
        "uri-body",
        f"``uri`` with a body built by hand, {HAND_BUILT} at most",
        (1, 10, 100, 1_000, 10_000),
        (1, 1_000),
        URI_BODY,
        "ids",
    )
    yield Row("curl-loop", "curl in a shell loop", (1, 10, 100, 1_000), (1, 10, 100), script="curl")
    yield Row("bare", "bare script, 1 in flight", ALL, (1, 1_000, 100_000), script="bare", in_flight=1)
    yield Row("bare-4", "bare script, 4 in flight", ALL[3:], (1, 1_000, 100_000), script="bare", in_flight=4)
    yield Row("bare-16", "bare script, 16 in flight", (100_000,), (100_000,), script="bare", in_flight=16)
    yield Row(
        "bare-simulator",
        "bare script, 1 in flight, against the simulator",
        (1_000, 10_000, 100_000),
        script="bare",
        in_flight=1,
        simulator=True,
    )

    here: dict[str, t.Any] = {"door": "action", "journal": True}
    no_journal: dict[str, t.Any] = {"door": "action", "journal": False}
    yield Row("one", "one release", (1,), (1,), vcc(ONE), **here)
    yield Row("one-second", "one release, second run", (1,), (1,), vcc(ONE), after="one", **here)
    yield Row("loop", "loop", (1, 10, 100, 1_000), (1, 10, 100), vcc(ITEM, loop=True), "ids", **here)
    yield Row("loop-off", "loop", (100,), (), vcc(ITEM, loop=True), "ids", **no_journal)
    yield Row("loop-second", "loop, second run", (1, 10, 100), (), vcc(ITEM, loop=True), "ids", after="loop", **here)
    yield Row("list", "list", UP_TO_A_LIST, (1, 1_000), vcc(LIST), "ids", **here)
    yield Row("list-off", "list", (1, 1_000, 100_000), (), vcc(LIST), "ids", **no_journal)
    yield Row("list-second", "list, second run", UP_TO_A_LIST, (), vcc(LIST), "ids", after="list", **here)
    yield Row("src", "``src``", ALL, (1, 1_000, 100_000), vcc(SRC), "src", **here)
    yield Row("src-off", "``src``", ALL, (100_000,), vcc(SRC), "src", **no_journal)
    yield Row("src-second", "``src``, second run", ALL, (100_000,), vcc(SRC), "src", after="src", **here)
    yield Row(
        "src-shuffled", "``src``, ids in no order", (10_000, 100_000, 1_000_000), (), vcc(SRC), "shuffled", **here
    )
    for number in (1, 16):
        yield Row(
            f"src-{number}",
            f"``src``, {number} in flight",
            (100_000,),
            (100_000,),
            vcc(SRC, in_flight=number),
            "src",
            in_flight=number,
            **here,
        )

    module: dict[str, t.Any] = {"door": "module", "journal": True}
    yield Row("module-one", "one release", (1,), (1,), vcc(ONE, module=True), **module)
    yield Row(
        "module-one-second", "one release, second run", (1,), (), vcc(ONE, module=True), after="module-one", **module
    )
    yield Row("module-loop", "loop", (1, 10), (10,), vcc(ITEM, loop=True, module=True), "ids", **module)
    yield Row("module-list", "list", (1, 1_000, 100_000), (), vcc(LIST, module=True), "ids", **module)
    yield Row("module-src", "``src``", ALL, (1_000, 100_000), vcc(SRC, module=True), "src", **module)
    yield Row(
        "module-src-off",
        "``src``",
        (1, 1_000, 100_000),
        (),
        vcc(SRC, module=True),
        "src",
        door="module",
        journal=False,
    )
    yield Row(
        "module-src-second",
        "``src``, second run",
        ALL,
        (),
        vcc(SRC, module=True),
        "src",
        after="module-src",
        **module,
    )

    ns = (1_000, 10_000, 100_000)
    yield Row("list-play", "list that is written in the play", ns, (), vcc(LIST), "literal", **here)
    through_jinja = "external_ids: \"{{ cases | map(attribute='external_id') | list }}\""
    yield Row("list-jinja", "list, made by Jinja from a list of dicts", ns, (), vcc(through_jinja), "cases", **here)
    lookup = "external_ids: \"{{ lookup('ansible.builtin.file', src).splitlines() }}\""
    yield Row("list-lookup", "list, made by Jinja from a file", ns, (), vcc(lookup), "src", **here)
    yield Row("dicts", "``interactions``, a list of dicts", ns, (), vcc('interactions: "{{ cases }}"'), "cases", **here)
    report = SRC + '\n        report: "{{ src }}.report"'
    yield Row("src-report", "``src``, every outcome in ``report``", ns, (), vcc(report), "src", **here)
    yield Row("take", "a task that takes a list and does nothing", ns, (), TAKE, "ids", calls=False)
    yield Row("carry", "a task that returns every outcome and does nothing", ns, (), CARRY, "outcomes", calls=False)


ROWS = {row.key: row for row in _rows()}


def cases() -> t.Iterator[Case]:
    """Every case, each followed by the second run on its journal if there is one."""
    followers = {row.after: row for row in ROWS.values() if row.after}
    for row in ROWS.values():
        if row.after:
            continue
        follower = followers.get(row.key)
        for ms, ns in ((0, row.ns), (50, row.ns_late)):
            for n in ns:
                yield Case(row, n, ms)
                if follower and n in (follower.ns, follower.ns_late)[ms > 0]:
                    yield Case(follower, n, ms)


class Inputs:
    """The plays, ids and scripts in a folder, made as they are wanted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        plugins = folder / "action_plugins"
        plugins.mkdir()
        (plugins / "carry.py").write_text(CARRY_PLUGIN, encoding="utf-8")
        modules = folder / "library"
        modules.mkdir()
        (modules / "bare_module.py").write_text(REQUESTS_MODULE, encoding="utf-8")

    def command(self, case: Case, urls: dict[str, str]) -> list[str]:
        row = case.row
        if row.script == "curl":
            return ["sh", "-c", CURL_LOOP, "curl", str(self._src(case.n))]
        if row.script == "bare":
            command = [sys.executable, str(HERE / "bare.py"), "--src", str(self._src(case.n))]
            command += ["--url", urls["url"], "--token-url", urls["token_url"], "--in-flight", str(row.in_flight)]
            return [*command, "--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET]
        literal = f"-{case.n}" if row.needs == "literal" else ""
        play = self._folder / f"{row.key}{literal}.yml"
        if not play.exists():
            ids = "".join(f"      - {one}\n" for one in _ids(case.n)) if literal else ""
            head = PLAY.replace("  tasks:\n", f"  vars:\n    ids:\n{ids}  tasks:\n") if literal else PLAY
            play.write_text(head + row.tasks, encoding="utf-8")
        command = [str(Path(sys.executable).parent / "ansible-playbook"), str(play)]
        if row.needs in ("ids", "cases"):
            command += ["-e", f"@{self._list(row.needs, case.n)}"]
        elif row.needs in ("src", "shuffled"):
            command += ["-e", f"src={self._src(case.n, row.needs)}"]
        elif row.needs == "outcomes":
            command += ["-e", f"outcomes={case.n}"]
        return command

    def _src(self, n: int, kind: str = "src") -> Path:
        path = self._folder / f"{kind}-{n}.txt"
        if not path.exists():
            ids = list(_ids(n))
            if kind == "shuffled":
                random.Random(n).shuffle(ids)
            with path.open("w", encoding="utf-8") as file:
                file.writelines(f"{one}\n" for one in ids)
        return path

    def _list(self, name: str, n: int) -> Path:
        path = self._folder / f"{name}-{n}.json"
        if not path.exists():
            content = [one if name == "ids" else {"external_id": one} for one in _ids(n)]
            path.write_text(json.dumps({name: content}), encoding="utf-8")
        return path


def _ids(n: int) -> t.Iterator[str]:
    return (f"case-{number:07d}" for number in range(n))

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a round is made of, drawn from a seed: interactions, waves of processes, faults, signals."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import random
from dataclasses import dataclass, field

DAY = 86400
ENGINES = ("fork", "cold")  # the doors that are none of Ansible's
LATEST = 0.15  # seconds from the start of an engine within which a signal is sent
LONGER = 20  # how much longer ansible-playbook takes
PAST = "Sun, 06 Nov 1994 08:49:37 GMT"

# What can be wrong with a file of a task: it is another of its files, or not its own.
MISPLACED = (
    "report is the log of the journal",
    "report is a link to the journal",
    "report is a pipe",
    "report is the lock of the token cache",
    "token cache is the source",
    "token cache is a file of the user's",
    "journal is a stranger's",
)

# What a task can leave blank where it says nothing of it.
OPTIONS = (
    "region",
    "account",
    "ca_path",
    "force",
    "journal_ttl",
    "report",
    "request_id",
    "requests_per_minute",
    "src",
    "token_cache",
)
VARIABLES = (
    "ACCESS_TOKEN",
    "CA_PATH",
    "DOMAIN",
    "REGION",
    "REQUESTS_PER_MINUTE",
    "RETRIES",
    "TIMEOUT",
    "TOKEN_CACHE",
    "VALIDATE_CERTS",
)

# What an id can look like: in any source, and where a line of text would not do.
PLAIN = ("case-{}", "00{}", "Fall \u201e{}\u201c ü", "a,b;{}", 'q"uo\\te {}', "{}", "🐟{}", "a\u202eb\u200b{}")
SPECIAL = ("'{}'", "#{}", "{{{}")

# Files that are not what they seem, whatever ids they hold: how each ends, and what is in it. None stands for a pipe.
MISTAKEN = {
    "JSON as text": (".txt", lambda ids: "".join(json.dumps({"external_id": one}) + "\n" for one in ids)),
    "a JSON array as text": ("", lambda ids: json.dumps(ids, indent=1)),
    "a vault": (".csv", lambda ids: f"$ANSIBLE_VAULT;1.1;AES256\n{''.join(ids).encode().hex()}\n"),
    "a web page": (".list", lambda ids: "<!DOCTYPE html>\n" + "".join(f"<p>{one}</p>\n" for one in ids)),
    "a table as text": (".txt", lambda ids: "external_id\n" + "".join(f"{one}\n" for one in ids)),
    "comments": (".ids", lambda ids: "".join(f"{one}\n" for one in ids) + "# the last ones\n"),
    "quotes": (".txt", lambda ids: "".join(f'"{one}"\n' for one in ids)),
    "blanks": (".csv", lambda ids: "external_id\n" + "".join(f'"{one} "\n' for one in ids)),
    "half of an array": (".json", lambda ids: json.dumps(ids)[:-1]),
    "an unknown extension": (".data", lambda ids: "".join(f"{one}\n" for one in ids)),
    "a pipe": (".txt", lambda _ids: None),
}


@dataclass
class Task:
    """One process, and what it is asked for."""

    number: int
    door: str  # "fork", "cold", "action", "module"
    provider: str | None
    ids: list
    form: str  # the option that names the interactions; for a file, behind a point, its format, and then its extension if that says nothing
    options: dict
    check: bool = False
    own_journal: bool = False  # not the one that all others share
    delay: float = 0.0
    clock: list = field(default_factory=list)
    file_size: int | None = None
    signal: tuple | None = None  # (name, seconds from its start, or "hold")
    group: bool = True  # whether the signal is for its children too
    request_ids: dict = field(default_factory=dict)
    seed: int = 0
    misplaced: str = ""  # what is wrong with one of its files, so that it has to be refused
    mistaken: str = ""  # what of MISTAKEN its file is, by which it asks for nothing
    contents: list = field(default_factory=list)  # the ids in that
    blank: dict = field(default_factory=dict)  # options that are empty or null
    # Variables of the environment that are empty; with JOURNAL, that one has the journal.
    blank_variables: list = field(default_factory=list)

    @property
    def action(self):
        return "dispatch" if self.options.get("state") == "dispatched" else "release"

    @property
    def force(self):
        return bool(self.options.get("force"))

    @property
    def ttl(self):
        return self.options.get("journal_ttl", DAY)

    @property
    def clocks(self):
        """Every amount by which its clock is wrong at some time."""
        return {0, *(wrong for _since, wrong in self.clock)}

    @property
    def keys(self):
        return [(self.provider, external_id) for external_id in self.ids]


@dataclass
class Wave:
    """Processes that run at once, what they meet, and what is done to the centre meanwhile."""

    tasks: list
    faults: list = field(default_factory=list)  # (kind, details)
    events: list = field(default_factory=list)  # (seconds, name of a method of the centre, its arguments)
    journal: str = "usable"  # or "small" (on a disk with little room), or what keeps it from being used
    room: int = 0  # KB on a small disk
    holding: float = 0.0  # seconds for which a call is held
    at_proxy: list = field(default_factory=list)  # (kind, details) of what the proxy does, if there is one

    @property
    def actions(self):
        return {task.action for task in self.tasks}


@dataclass
class Plan:
    """A round."""

    seed: int
    switches: dict
    live: list  # keys
    poisoned: list  # external ids
    providers: list
    waves: list
    limits: dict
    as_user: bool  # whether the processes give up the rights of root
    tokens: bool
    predicts: bool  # whether check mode says what the last run will do
    proxied: bool = False  # whether all calls go through a proxy, and VCC speaks TLS

    def to_json(self):
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text):
        """The plan that ``to_json`` has written, maybe before there were fields that have a default."""
        read = json.loads(text)
        for wave in read["waves"]:
            wave["tasks"] = [Task(**task) for task in wave["tasks"]]
        read["waves"] = [Wave(**wave) for wave in read["waves"]]
        return cls(**read)


def _weighted(rng, **weights):
    return rng.choices(list(weights), list(weights.values()))[0]


def draw(seed, doors=True):
    """The plan of a seed; without ``doors`` the same with processes of the engine alone."""
    rng = random.Random(seed)
    at_doors = random.Random(f"doors {seed}")
    through = at_doors.random() < 0.04
    size = _weighted(rng, few=80, many=18, large=2)
    if through:
        size = "few"
    count = {"few": rng.randint(1, 12), "many": rng.randint(20, 60), "large": rng.randint(150, 250)}[size]
    styles = list(PLAIN if rng.random() < 0.7 else PLAIN + SPECIAL)
    ids = [rng.choice(styles).replace("{}", str(number)) for number in range(count)]
    if size == "large":
        ids = [one + "x" * 1000 for one in ids]
    plain = not any(one[0] in "'#{" for one in ids)
    providers = rng.choice([[None], ["crm"], ["crm"], [None, "crm"]])
    plan = Plan(
        seed=seed,
        switches={
            "unknown_id": rng.choice([200, 200, 200, 400, 404]),
            "success_body": rng.choice(["empty", "json"]),
            "too_large": rng.choice([413, 417]),
        },
        live=[(provider, one) for provider in providers for one in ids if rng.random() < 0.85],
        poisoned=rng.sample(ids, min(count, rng.randint(1, 2))) if rng.random() < 0.25 else [],
        providers=providers,
        waves=[],
        limits={}
        if size == "large"
        else {"BODY_LIMIT": rng.choice([400, 700, 1500, 100_000]), "CHUNK": rng.choice([1, 3, 10, 1000])},
        as_user=rng.random() < 0.15 and not through,
        tokens=rng.random() < 0.4,
        predicts=rng.random() < 0.4,
    )
    if rng.random() < 0.2:
        plan.switches["token_lifetime"] = rng.choice([1, 2, 90])
    if rng.random() < 0.15:
        plan.switches.update(
            rate_limit=rng.randint(1, 6), window=rng.choice([0.2, 0.5, 1]), retry_after=rng.choice([None, 0, 1, PAST])
        )
    actions = _actions(rng)
    habits = {
        "through": through,
        "plain": plain,
        "clock": _weighted(rng, right=72, step=18, wild=10),
        "cache": rng.random() < 0.3,
        "strays": len(set(actions)) == 1 and actions[0] != "both" and rng.random() < 0.1,
        "own_ids": rng.random() < 0.2,
        "signals": rng.choice([0, 0.2, 0.6]),
        "forces": rng.choice([0, 0, 0.15]),
        "spells": rng.choice([0, 0, 0.3]),
    }
    for action in actions:
        plan.waves.append(_wave(rng, plan, action, ids, habits))
    if habits["own_ids"]:
        _give_request_ids(plan, rng.sample(ids, rng.randint(1, count)), shared=rng.random() < 0.5)
    _put_on_the_way(random.Random(f"way {seed}"), plan, endless=not through)
    if through and doors:
        for wave in plan.waves:
            for task in wave.tasks:
                if at_doors.random() < 0.6:
                    _put_behind_door(at_doors, task)
    _draw_sources(random.Random(f"sources {seed}"), plan, ids)
    _leave_blanks(random.Random(f"blank {seed}"), plan)
    _misplace(random.Random(f"paths {seed}"), plan)
    return plan


def _draw_sources(rng, plan, ids):
    """Give files other forms, and now and then add a process whose file is not what it seems."""
    others = {
        "src.jsonl": ["src.ndjson", "src.json", "src.csv", "src.tsv", "src.jsonl.dat", "src.json.txt", "src.csv.tsv"],
        "src.txt": ["src.list", "src.ids", "src.text.dat", "src.text.csv"],
    }
    for wave in plan.waves:
        for task in wave.tasks:
            drawn = rng.random()
            forms = others.get(task.form, ())
            if forms and drawn < 0.5:
                task.form = forms[int(2 * drawn * len(forms))]
    if rng.random() < 0.25:
        number = 1 + max(task.number for wave in plan.waves for task in wave.tasks)
        mistaken = rng.choice(list(MISTAKEN))
        contents = [one for one in ids if "\n" not in one][: rng.choice([1, 5, len(ids)])]
        options = {"timeout": 1, "retries": 0}
        wave = rng.choice(plan.waves)
        form = f"src{MISTAKEN[mistaken][0]}"
        task = Task(number, "fork", plan.providers[0], [], form, options, mistaken=mistaken, contents=contents)
        task.check = rng.random() < 0.2
        wave.tasks.append(task)


def content(task):
    """What is in a task's file; None stands for a pipe."""
    if task.mistaken:
        return MISTAKEN[task.mistaken][1](task.contents)
    kind = task.form.split(".")[1]
    rows = [{"external_id": one, "request_id": task.request_ids.get(one)} for one in task.ids]
    if kind == "json":
        return json.dumps(rows if task.request_ids else task.ids)
    if kind in ("jsonl", "ndjson"):
        return "".join(json.dumps(row) + "\n" for row in rows)
    if kind in ("csv", "tsv"):
        text = io.StringIO()
        writer = csv.writer(text, delimiter="," if kind == "csv" else "\t", lineterminator="\n")
        writer.writerows([rows[0] if rows else {"external_id": ""}, *(row.values() for row in rows)])
        return text.getvalue()
    return "".join(f"{one}\n" for one in task.ids)


def _actions(rng):
    first = _weighted(rng, release=75, dispatch=25)
    actions = [first]
    for _more in range(rng.choice([0, 0, 1, 1, 2, 3])):
        other = "dispatch" if actions[-1] == "release" else "release"
        actions.append(actions[-1] if rng.random() < 0.6 else other)
    return ["both" if rng.random() < 0.3 else action for action in actions]


def _wave(rng, plan, action, ids, habits):
    count = int(_weighted(rng, **{"1": 35, "2": 25, "3": 12, "4": 12, "5": 5, "6": 4, "7": 3, "8": 4}))
    if habits["through"]:
        count = min(count, 3)
    elif len(ids) > 100:
        count = min(count, 4)
    number = sum(len(wave.tasks) for wave in plan.waves)
    tasks = []
    for each in range(count):
        own = rng.choice(["release", "dispatch"]) if action == "both" else action
        tasks.append(_task(rng, plan, own, ids, habits, number + each))
    wave = Wave(tasks, journal=_weighted(rng, usable=84, small=4, read_only=4, closed=4, folder=2, garbage=2))
    wave.room = rng.randint(60, 300)
    wave.faults = [_fault(rng) for _each in range(rng.choice([0, 1, 1, 2, 3, 5]))]
    aimed = [task for task in tasks if task.signal and task.signal[1] == "hold"]
    if aimed:
        wave.faults.insert(0, ("hold", {"after": rng.randint(0, 2)}))
    wave.holding = rng.choice([0, 0.05, 0.1, 0.2, 1.1 if rng.random() < 0.2 else 0.3])
    for _each in range(rng.choice([0, 0, 0, 1, 2])):
        wave.events.append((rng.uniform(0, 0.3), "expire_tokens", {}))
    return wave


def _task(rng, plan, action, ids, habits, number):
    door = "cold" if rng.random() < 0.02 else "fork"
    chosen = list(ids) if rng.random() < 0.5 else rng.sample(ids, rng.randint(1, len(ids)))
    rng.shuffle(chosen)
    forms = ["external_ids", "interactions", "src.jsonl"] + (["src.txt"] if habits["plain"] else [])
    options = {"timeout": 1, "retries": rng.choices([0, 1, 2], [60, 32, 8])[0]}
    if action == "dispatch":
        options.update(state="dispatched", route="Support")
        if rng.random() < 0.3:
            options["linked_data"] = [{"type": "name", "value": "Jo"}]
    if rng.random() < habits["forces"]:
        options["force"] = True
    if rng.random() < habits["spells"]:
        options["journal_ttl"] = rng.choice([0, 1, 3600])
    if rng.random() < 0.8:
        options["calls_in_flight"] = rng.choice([1, 2, 4, 8, 16])
    if plan.tokens and rng.random() < 0.7:
        options["access_token"] = "issued"
    if habits["cache"]:
        options["token_cache"] = "shared"
    if rng.random() < 0.5:
        options["report"] = "own"
    task = Task(
        number,
        door,
        rng.choice(plan.providers),
        chosen,
        rng.choice(forms),
        options,
        check=rng.random() < 0.04,
        own_journal=habits["strays"] and rng.random() < 0.3,
        delay=rng.choice([0, 0, rng.uniform(0, 0.1)]),
        seed=rng.getrandbits(32),
    )
    if habits["clock"] != "right" and rng.random() < 0.7:
        furthest = 40_000 if habits["clock"] == "step" else 40 * DAY
        task.clock = [
            [since, rng.randint(-furthest, furthest)]
            for since in sorted(rng.sample([0, 0.01, 0.05], rng.randint(1, 2)))
        ]
    if rng.random() < 0.08:
        task.file_size = rng.choice([0, 1000, 8000, 20_000, 34_000, 60_000])
    if rng.random() < habits["signals"]:
        how = _weighted(rng, SIGKILL=55, SIGTERM=30, SIGINT=10, FULL=5)
        when = "hold" if rng.random() < 0.35 else rng.uniform(0, rng.choice([0.05, 1]) * LATEST)
        if how == "FULL" and door != "fork":  # any other would have to start on a full disk
            how = "SIGTERM"
        task.signal = (how, when)
        task.group = rng.random() < 0.5
    return task


def _misplace(rng, plan):
    """Have a process more in some waves, which asks for what another one does, and has to be refused for one of its files."""
    for wave in plan.waves:
        if rng.random() < 0.1:
            like = rng.choice(wave.tasks)
            kept = {name: like.options[name] for name in ("state", "route") if name in like.options}
            task = Task(
                sum(len(each.tasks) for each in plan.waves),
                "fork",
                like.provider,
                list(like.ids),
                "src.jsonl",
                {"timeout": 1, "retries": 0, **kept},
                check=rng.random() < 0.3,
                delay=rng.choice([0, rng.uniform(0, 0.1)]),
                misplaced=rng.choice(MISPLACED),
            )
            wave.tasks.append(task)


def _leave_blanks(rng, plan):
    """Have some tasks leave options and variables of the environment blank, which must come to the same as without them."""
    for task in (task for wave in plan.waves for task in wave.tasks):
        if rng.random() < 0.3:
            task.blank = {name: rng.choice(["", None]) for name in OPTIONS if rng.random() < 0.4}
            task.blank_variables = [name for name in (*VARIABLES, "JOURNAL") if rng.random() < 0.4]


def _put_behind_door(rng, task):
    """Have ansible-playbook do what an engine was to do; it is some seconds at it, and starts on no full disk."""
    task.door = rng.choice(["action", "action", "module"])
    if any("{{" in one for one in task.ids):  # which would be a template in a playbook
        task.form = "src.jsonl"
    for step in task.clock:
        step[0] *= LONGER
    task.file_size = None
    if task.door == "module":
        task.signal = None
    elif task.signal:
        how, when = task.signal
        when = when if when == "hold" else when * LONGER
        task.signal = ("SIGTERM" if how == "FULL" else how, when)


def _put_on_the_way(rng, plan, endless):
    """Put a proxy between the tasks and VCC, answers in the way that are none, and some that have no end; and let tasks end at so many failures."""
    plan.proxied = rng.random() < 0.2
    # What has no end is given up after the time of its attempts and a second.
    endless = endless and rng.random() < 0.1
    if endless:
        plan.limits["WAITING"] = 1
    for wave in plan.waves:
        if rng.random() < 0.3:
            wave.faults.append(_fault_on_the_way(rng, endless))
        if plan.proxied:
            wave.at_proxy = [_fault_at_proxy(rng) for _each in range(rng.choice([0, 1, 2]))]
        for task in wave.tasks:
            if rng.random() < 0.05:
                task.options["max_failures"] = rng.choice([1, 2, 5, 20])


def _fault_on_the_way(rng, endless):
    location = rng.choice(["http://sso.example/\xe9", "http://[bad/", "", "//"])
    choices = [
        (
            "interim",
            {"status": rng.choice([100, 102, 103]), "count": rng.randint(1, 3), "seconds": rng.uniform(0, 0.1)},
        ),
        ("interim", {"status": 101}),
        ("truncated", {"length": rng.randint(0, 40), "taken": rng.random() < 0.5}),
        ("redirect", {"location": location, "length": rng.choice([0, 10, 1_000_000]), "taken": rng.random() < 0.3}),
        ("trickle", {"part": "head", "seconds": 0.002}),
        ("status", {"status": rng.choice([401, 403, 407]), "body": "<html>Sign in</html>"}),
        ("status", {"status": 400, "body": {"message": "The provider is not registered"}}),
    ]
    if endless:
        choices = [
            ("interim", {"status": rng.choice([100, 103]), "count": 0, "seconds": 0.01}),
            ("trickle", {"part": rng.choice(["head", "body"]), "seconds": 0.3}),
            ("redirect", {"length": 1000, "seconds": 0.3}),
        ]
    kind, details = rng.choice(choices)
    path = rng.choice([{}, {}, {}, {"path": "/Auth/connect/token"}])
    # One refusal after the other comes to that of a task as a whole.
    times = rng.choice([1, 1, 2, 40] if details.get("status") == 400 else [1, 1, 2])
    return kind, {**details, **path, "times": times, "after": rng.choice([0, 0, 1, 2])}


def _fault_at_proxy(rng):
    kind, how = rng.choice(
        [
            ("cut", rng.random() < 0.5),
            ("cut", rng.random() < 0.5),
            ("refuse", rng.choice([403, 407, 502, 503])),
            ("silence", rng.choice([0, 10, 1000])),  # the last one stalls the handshake of TLS
        ]
    )
    return kind, {"how": how, "times": rng.choice([1, 1, 2]), "after": rng.choice([0, 0, 1, 2])}


def _fault(rng):
    later = rng.choice([None, 0, 0, 0, PAST])
    kind, details = rng.choice(
        [
            ("status", {"status": 429, "retry_after": rng.choice([None, 0, 0, 0, PAST, 1])}),
            ("status", {"status": rng.choice([500, 502, 503, 504]), "retry_after": later, "taken": rng.random() < 0.5}),
            ("status", {"status": rng.choice([400, 403, 401])}),
            ("status", {"status": 404, "body": "<html>nothing here</html>"}),
            ("status", {"status": rng.choice([201, 202, 204, 409, 418, 501]), "body": ""}),
            ("latency", {"seconds": 1.1 if rng.random() < 0.15 else rng.uniform(0, 0.1)}),
            ("late", {"seconds": 1.1 if rng.random() < 0.15 else rng.uniform(0, 0.1)}),
            ("hold", {}),
            ("cut", {"when": "before"}),
            ("cut", {"when": "after"}),
            ("redirect", {"status": rng.choice([301, 302, 303, 307, 308]), "taken": rng.random() < 0.3}),
            ("html", {"taken": rng.random() < 0.3}),
            ("expired", {}),
            ("garbage", {"taken": rng.random() < 0.5}),
            ("trickle", {"seconds": 0.002}),
            ("too_large", {"status": rng.choice([413, 417])}),
        ]
    )
    path = rng.choice([{}, {}, {}, {}, {}, {}, {"path": "/Auth/connect/token"}, {"path": None}])
    return kind, {**details, **path, "times": rng.choice([1, 1, 1, 2, 4]), "after": rng.choice([0, 0, 1, 2, 5])}


def lives(waves):
    """
    For each key, the lives of its interaction: pairs of what is asked for and of the waves (by number) in which it is.

    Waves in a row that ask for the same action are one life. One with processes that ask for either is a life of its
    own, which asks for "both".
    """
    found = {}
    for number, wave in enumerate(waves):
        actions = {}
        for task in wave.tasks:
            for key in [] if task.check else task.keys:
                actions.setdefault(key, set()).add(task.action)
        for key, asked in actions.items():
            history = found.setdefault(key, [])
            action = "both" if len(asked) > 1 else asked.pop()
            if history and history[-1][0] == action != "both":
                history[-1][1].append(number)
            else:
                history.append((action, [number]))
    return found


def _give_request_ids(plan, ids, shared):
    """
    Have some interactions asked for with a request id of the caller's, the same by all in a life.

    In a life that asks for both actions each process has its own, unless ``shared``: then one action has to be refused.
    """
    named = set(ids)
    for key, history in lives(plan.waves).items():
        for life, (action, numbers) in enumerate(history):
            for task in (task for number in numbers for task in plan.waves[number].tasks):
                if key[1] in named and key in task.keys:
                    task.form = "src.jsonl"
                    whose = life if shared or action != "both" else f"{life}-{task.number}"
                    task.request_ids[key[1]] = f"own-{key[0]}-{whose}-{ids.index(key[1])}"


def last_tasks(plan, action, number):
    """The clean runs that end a round: for each provider, one of all that was asked for. They are numbered from ``number`` on."""
    asked = {key for wave in plan.waves for task in wave.tasks for key in task.keys}
    tasks = []
    for provider in plan.providers:
        ids = sorted(external_id for owner, external_id in asked if owner == provider)
        # A limit that is never met, so that each is looked at alone where VCC refuses many.
        options = {"timeout": 30, "retries": 2, "report": "own", "max_failures": 10_000}
        if action == "dispatch":
            options.update(state="dispatched", route="Support")
        if ids:
            tasks.append(Task(number + len(tasks), "fork", provider, ids, "src.jsonl", options))
    return tasks

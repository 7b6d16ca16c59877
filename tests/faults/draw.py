# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Draw the plan of a round from a seed."""

from __future__ import annotations

import random

from ansible_collections.vonage.vcc.tests.faults.draw_database import add_database
from ansible_collections.vonage.vcc.tests.faults.draw_faults import PAST_DATE, call_fault, network_fault, proxy_fault
from ansible_collections.vonage.vcc.tests.faults.plan import (
    DAY,
    FORBIDDEN_FILES,
    MISLEADING_FILES,
    Plan,
    Task,
    Wave,
    phases,
)

MAX_SIGNAL_DELAY = 0.15  # seconds after the start of an engine
PLAYBOOK_FACTOR = 20  # duration of ansible-playbook in relation to an engine

# Options and environment variables that a task may leave blank if it does not set them.
OPTIONS = (
    "region",
    "account",
    "ca_path",
    "force",
    "idempotency_key",
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

# Styles of ids: for any source, and for any source but lines of text.
PLAIN_STYLES = ("case-{}", "00{}", "Fall \u201e{}\u201c ü", "a,b;{}", 'q"uo\\te {}', "{}", "🐟{}", "a\u202eb\u200b{}")
SPECIAL_STYLES = ("'{}'", "#{}", "{{{}")


def draw(seed, playbooks=True, backend="sqlite"):
    """
    Draw the plan of a seed.

    :param playbooks: whether some tasks run through ansible-playbook; the rest of the plan does not depend on it
    :param backend: "sqlite" or "postgresql" for the journal, or "both" for either of them
    """
    rng = random.Random(seed)
    playbook_rng = random.Random(f"doors {seed}")
    with_playbooks = playbook_rng.random() < 0.04
    size = _weighted(rng, few=80, many=18, large=2)
    if with_playbooks:
        size = "few"
    count = {"few": rng.randint(1, 12), "many": rng.randint(20, 60), "large": rng.randint(150, 250)}[size]
    styles = list(PLAIN_STYLES if rng.random() < 0.7 else PLAIN_STYLES + SPECIAL_STYLES)
    ids = [rng.choice(styles).replace("{}", str(number)) for number in range(count)]
    if size == "large":
        ids = [external_id + "x" * 1000 for external_id in ids]
    plain = not any(external_id[0] in "'#{" for external_id in ids)
    providers = rng.choice([[None], ["crm"], ["crm"], [None, "crm"]])
    plan = Plan(
        seed=seed,
        switches={
            "unknown_id": rng.choice([200, 200, 200, 400, 404]),
            "success_body": rng.choice(["empty", "json"]),
            "too_large": rng.choice([413, 417]),
        },
        live=[(provider, external_id) for provider in providers for external_id in ids if rng.random() < 0.85],
        poisoned=rng.sample(ids, min(count, rng.randint(1, 2))) if rng.random() < 0.25 else [],
        providers=providers,
        waves=[],
        limits={}
        if size == "large"
        else {"BODY_LIMIT": rng.choice([400, 700, 1500, 100_000]), "CHUNK": rng.choice([1, 3, 10, 1000])},
        unprivileged=rng.random() < 0.15 and not with_playbooks,
        tokens=rng.random() < 0.4,
        previews=rng.random() < 0.4,
    )
    if rng.random() < 0.2:
        plan.switches["token_lifetime"] = rng.choice([1, 2, 90])
    if rng.random() < 0.15:
        plan.switches.update(
            rate_limit=rng.randint(1, 6),
            window=rng.choice([0.2, 0.5, 1]),
            retry_after=rng.choice([None, 0, 1, PAST_DATE]),
        )
    actions = _actions(rng)
    habits = {
        "with_playbooks": with_playbooks,
        "plain": plain,
        "clock": _weighted(rng, right=72, step=18, wild=10),
        "cache": rng.random() < 0.3,
        "own_journals": len(set(actions)) == 1 and actions[0] != "both" and rng.random() < 0.1,
        "custom_ids": rng.random() < 0.2,
        "signals": rng.choice([0, 0.2, 0.6]),
        "forces": rng.choice([0, 0, 0.15]),
        "ttls": rng.choice([0, 0, 0.3]),
    }
    for action in actions:
        plan.waves.append(_wave(rng, plan, action, ids, habits))
    if habits["custom_ids"]:
        _assign_request_ids(plan, rng.sample(ids, rng.randint(1, count)), shared=rng.random() < 0.5)
    else:
        _add_keys(random.Random(f"keys {seed}"), plan)
    _add_network_faults(random.Random(f"way {seed}"), plan, endless=not with_playbooks)
    if with_playbooks and playbooks:
        for wave in plan.waves:
            for task in wave.tasks:
                if playbook_rng.random() < 0.6:
                    _use_playbook(playbook_rng, task)
    _vary_sources(random.Random(f"sources {seed}"), plan, ids)
    _blank_options(random.Random(f"blank {seed}"), plan)
    _add_forbidden_files(random.Random(f"paths {seed}"), plan)
    add_database(random.Random(f"database {seed}"), plan, backend, with_playbooks)
    return plan


def final_tasks(plan, action, number):
    """Return the tasks without faults that end a round: for each provider a task with all its interactions, numbered from ``number``."""
    requested = {key for wave in plan.waves for task in wave.tasks for key in task.keys}
    tasks = []
    for provider in plan.providers:
        ids = sorted(external_id for owner, external_id in requested if owner == provider)
        # A limit out of reach, so that the task tries each interaction alone if VCC rejects many.
        options = {"timeout": 30, "retries": 2, "report": "own", "max_failures": 10_000}
        if action == "dispatch":
            options.update(state="dispatched", route="Support")
        if ids:
            tasks.append(Task(number + len(tasks), "fork", provider, ids, "src.jsonl", options))
    return tasks


def _vary_sources(rng, plan, ids):
    """Change the formats of source files, and sometimes add a task with a misleading file."""
    formats = {
        "src.jsonl": ["src.ndjson", "src.json", "src.csv", "src.tsv", "src.jsonl.dat", "src.json.txt", "src.csv.tsv"],
        "src.txt": ["src.list", "src.ids", "src.text.dat", "src.text.csv"],
    }
    for wave in plan.waves:
        for task in wave.tasks:
            drawn = rng.random()
            choices = formats.get(task.source, ())
            if choices and drawn < 0.5:
                task.source = choices[int(2 * drawn * len(choices))]
    if rng.random() < 0.25:
        number = 1 + max(task.number for wave in plan.waves for task in wave.tasks)
        kind = rng.choice(list(MISLEADING_FILES))
        task = Task(
            number, "fork", plan.providers[0], [], f"src{MISLEADING_FILES[kind][0]}", {"timeout": 1, "retries": 0}
        )
        task.misleading_file = kind
        task.misleading_ids = [external_id for external_id in ids if "\n" not in external_id]
        task.misleading_ids = task.misleading_ids[: rng.choice([1, 5, len(ids)])]
        wave = rng.choice(plan.waves)
        task.check = rng.random() < 0.2
        wave.tasks.append(task)


def _actions(rng):
    first = _weighted(rng, release=75, dispatch=25)
    actions = [first]
    for _more in range(rng.choice([0, 0, 1, 1, 2, 3])):
        other = "dispatch" if actions[-1] == "release" else "release"
        actions.append(actions[-1] if rng.random() < 0.6 else other)
    return ["both" if rng.random() < 0.3 else action for action in actions]


def _wave(rng, plan, action, ids, habits):
    count = int(_weighted(rng, **{"1": 35, "2": 25, "3": 12, "4": 12, "5": 5, "6": 4, "7": 3, "8": 4}))
    if habits["with_playbooks"]:
        count = min(count, 3)
    elif len(ids) > 100:
        count = min(count, 4)
    number = sum(len(wave.tasks) for wave in plan.waves)
    tasks = []
    for each in range(count):
        own_action = rng.choice(["release", "dispatch"]) if action == "both" else action
        tasks.append(_task(rng, plan, own_action, ids, habits, number + each))
    wave = Wave(tasks, journal=_weighted(rng, usable=84, small=4, read_only=4, closed=4, folder=2, garbage=2))
    wave.disk_room = rng.randint(60, 300)
    wave.faults = [call_fault(rng) for _each in range(rng.choice([0, 1, 1, 2, 3, 5]))]
    if any(task.signal and task.signal[1] == "hold" for task in tasks):
        wave.faults.insert(0, ("hold", {"after": rng.randint(0, 2)}))
    wave.hold_seconds = rng.choice([0, 0.05, 0.1, 0.2, 1.1 if rng.random() < 0.2 else 0.3])
    for _each in range(rng.choice([0, 0, 0, 1, 2])):
        wave.events.append((rng.uniform(0, 0.3), "expire_tokens", {}))
    return wave


def _task(rng, plan, action, ids, habits, number):
    runner = "cold" if rng.random() < 0.02 else "fork"
    chosen = list(ids) if rng.random() < 0.5 else rng.sample(ids, rng.randint(1, len(ids)))
    rng.shuffle(chosen)
    sources = ["external_ids", "interactions", "src.jsonl"] + (["src.txt"] if habits["plain"] else [])
    options = {"timeout": 1, "retries": rng.choices([0, 1, 2], [60, 32, 8])[0]}
    if action == "dispatch":
        options.update(state="dispatched", route="Support")
        if rng.random() < 0.3:
            options["linked_data"] = [{"type": "name", "value": "Jo"}]
    if rng.random() < habits["forces"]:
        options["force"] = True
    if rng.random() < habits["ttls"]:
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
        runner,
        rng.choice(plan.providers),
        chosen,
        rng.choice(sources),
        options,
        check=rng.random() < 0.04,
        own_journal=habits["own_journals"] and rng.random() < 0.3,
        delay=rng.choice([0, 0, rng.uniform(0, 0.1)]),
        seed=rng.getrandbits(32),
    )
    if habits["clock"] != "right" and rng.random() < 0.7:
        max_error = 40_000 if habits["clock"] == "step" else 40 * DAY
        task.clock = [
            [since, rng.randint(-max_error, max_error)]
            for since in sorted(rng.sample([0, 0.01, 0.05], rng.randint(1, 2)))
        ]
    if rng.random() < 0.08:
        task.file_size = rng.choice([0, 1000, 8000, 20_000, 34_000, 60_000])
    if rng.random() < habits["signals"]:
        how = _weighted(rng, SIGKILL=55, SIGTERM=30, SIGINT=10, FULL=5)
        when = "hold" if rng.random() < 0.35 else rng.uniform(0, rng.choice([0.05, 1]) * MAX_SIGNAL_DELAY)
        if how == "FULL" and runner != "fork":  # other runners cannot start on a full disk
            how = "SIGTERM"
        task.signal = (how, when)
        task.group = rng.random() < 0.5
    return task


def _add_forbidden_files(rng, plan):
    """Add a task with a forbidden file to some waves; it requests the interactions of another task."""
    for wave in plan.waves:
        if rng.random() < 0.1:
            other = rng.choice(wave.tasks)
            options = {name: other.options[name] for name in ("state", "route") if name in other.options}
            task = Task(
                sum(len(each.tasks) for each in plan.waves),
                "fork",
                other.provider,
                list(other.ids),
                "src.jsonl",
                {"timeout": 1, "retries": 0, **options},
                check=rng.random() < 0.3,
                delay=rng.choice([0, rng.uniform(0, 0.1)]),
                forbidden_file=rng.choice(FORBIDDEN_FILES),
            )
            wave.tasks.append(task)


def _blank_options(rng, plan):
    """Leave options and environment variables of some tasks blank, which must not change the result."""
    for task in (task for wave in plan.waves for task in wave.tasks):
        if rng.random() < 0.3:
            task.blank = {name: rng.choice(["", None]) for name in OPTIONS if rng.random() < 0.4}
            task.blank_variables = [name for name in (*VARIABLES, "JOURNAL") if rng.random() < 0.4]


def _use_playbook(rng, task):
    """Let ansible-playbook run a task; it takes seconds, and cannot start on a full disk."""
    task.runner = rng.choice(["action", "action", "module"])
    if any("{{" in external_id for external_id in task.ids):  # a template in a playbook
        task.source = "src.jsonl"
    for step in task.clock:
        step[0] *= PLAYBOOK_FACTOR
    task.file_size = None
    if task.runner == "module":
        task.signal = None
    elif task.signal:
        how, when = task.signal
        when = when if when == "hold" else when * PLAYBOOK_FACTOR
        task.signal = ("SIGTERM" if how == "FULL" else how, when)


def _add_network_faults(rng, plan, endless):
    """Add a proxy and faults of the network, and limit the failures of some tasks."""
    plan.proxied = rng.random() < 0.2
    # MAX_WAIT limits the seconds that the engine waits beyond its attempts for an answer that does not end.
    endless = endless and rng.random() < 0.1
    if endless:
        plan.limits["MAX_WAIT"] = 1
    for wave in plan.waves:
        if rng.random() < 0.3:
            wave.faults.append(network_fault(rng, endless))
        if plan.proxied:
            wave.proxy_faults = [proxy_fault(rng) for _each in range(rng.choice([0, 1, 2]))]
        for task in wave.tasks:
            if rng.random() < 0.05:
                task.options["max_failures"] = rng.choice([1, 2, 5, 20])


def _add_keys(rng, plan):
    """Give most tasks of some rounds one of a few idempotency keys."""
    if rng.random() < 0.25:
        keys = [rng.choice(["CHG{}", "Änderung {}", "{}"]).replace("{}", str(number)) for number in (1, 2)]
        share = rng.choice([0.7, 1])
        for task in (task for wave in plan.waves for task in wave.tasks):
            if rng.random() < share and not task.forbidden_file:
                task.options["idempotency_key"] = rng.choice([keys[0], *keys])


def _assign_request_ids(plan, ids, shared):
    """
    Give some interactions custom request ids, one for each phase.

    In a phase with both actions each task has its own, unless ``shared``: then VCC must reject one of the actions.
    """
    chosen = set(ids)
    for key, history in phases(plan.waves).items():
        for phase, (action, numbers) in enumerate(history):
            for task in (task for number in numbers for task in plan.waves[number].tasks):
                if key[1] in chosen and key in task.keys:
                    task.source = "src.jsonl"
                    label = phase if shared or action != "both" else f"{phase}-{task.number}"
                    task.request_ids[key[1]] = f"own-{key[0]}-{label}-{ids.index(key[1])}"


def _weighted(rng, **weights):
    return rng.choices(list(weights), list(weights.values()))[0]

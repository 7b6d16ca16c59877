# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a round: waves of tasks that run as processes at once, and the faults that they meet."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from dataclasses import dataclass, field

from ansible_collections.vonage.vcc.plugins.module_utils._interactions.idempotency import derive_request_id
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID

DAY = 86400
ENGINE_RUNNERS = ("fork", "cold")  # the runners that do not use ansible-playbook

# The password in the URL of a journal in PostgreSQL, which no process may print.
PASSWORD = "Pa55/word of the journal"

# Events of a database during which a process cannot connect at its start.
AWAY = ("kill", "silence", "failover")

# Files that a task must refuse, because they are another file of the task or belong to another user.
FORBIDDEN_FILES = (
    "report is the log of the journal",
    "report is a link to the journal",
    "report is a pipe",
    "report is the lock of the token cache",
    "token cache is the source",
    "token cache is another file of the user",
    "journal belongs to another user",
)

# Sources whose content contradicts their extension: the extension, and the content for some ids. None stands for a pipe.
MISLEADING_FILES = {
    "JSON as text": (".txt", lambda ids: "".join(json.dumps({"external_id": each}) + "\n" for each in ids)),
    "a JSON array as text": ("", lambda ids: json.dumps(ids, indent=1)),
    "a vault": (".csv", lambda ids: f"$ANSIBLE_VAULT;1.1;AES256\n{''.join(ids).encode().hex()}\n"),
    "a web page": (".list", lambda ids: "<!DOCTYPE html>\n" + "".join(f"<p>{each}</p>\n" for each in ids)),
    "a table as text": (".txt", lambda ids: "external_id\n" + "".join(f"{each}\n" for each in ids)),
    "comments": (".ids", lambda ids: "".join(f"{each}\n" for each in ids) + "# the last ones\n"),
    "quotes": (".txt", lambda ids: "".join(f'"{each}"\n' for each in ids)),
    "blanks": (".csv", lambda ids: "external_id\n" + "".join(f'"{each} "\n' for each in ids)),
    "half of an array": (".json", lambda ids: json.dumps(ids)[:-1]),
    "an unknown extension": (".data", lambda ids: "".join(f"{each}\n" for each in ids)),
    "a pipe": (".txt", lambda _ids: None),
}


@dataclass
class Task:
    """One task of vcc_interaction, which runs as a process."""

    number: int
    runner: str  # "fork" or "cold" for the engine alone, "action" or "module" for ansible-playbook
    provider: str | None
    ids: list
    source: str  # the option with the interactions; for src also ".FORMAT", and ".EXTENSION" if the extension does not imply the format
    options: dict
    check: bool = False
    own_journal: bool = False  # not the journal that all other tasks share
    delay: float = 0.0
    clock: list = field(default_factory=list)  # [seconds from the start, error of the clock from then on]
    file_size: int | None = None  # limit for the size of files, as on a full disk
    signal: tuple | None = None  # (name, seconds from the start, or "hold")
    group: bool = True  # whether the children get the signal too
    request_ids: dict = field(default_factory=dict)  # external id -> custom request id
    seed: int = 0
    forbidden_file: str = ""  # one of FORBIDDEN_FILES
    misleading_file: str = ""  # one of MISLEADING_FILES; such a task requests nothing
    misleading_ids: list = field(default_factory=list)  # the ids in the misleading file
    blank: dict = field(default_factory=dict)  # options that are empty or null
    blank_variables: list = field(default_factory=list)  # empty environment variables; with JOURNAL, it has the journal

    @property
    def action(self):
        """Return the action that the task requests."""
        return "dispatch" if self.options.get("state") == "dispatched" else "release"

    @property
    def force(self):
        """Return the option ``force``."""
        return bool(self.options.get("force"))

    @property
    def idempotency_key(self):
        """Return the option ``idempotency_key``, None for none."""
        return self.options.get("idempotency_key")

    def derived_request_id(self, external_id):
        """Return the request id that the key of the task derives; None without a key."""
        key = self.idempotency_key
        return key and derive_request_id(key, CLIENT_ID, self.provider, self.action, external_id)

    @property
    def ttl(self):
        """Return the option ``journal_ttl``."""
        return self.options.get("journal_ttl", DAY)

    @property
    def clocks(self):
        """Return every error that the clock has at some time."""
        return {0, *(error for _since, error in self.clock)}

    @property
    def keys(self):
        """Return pairs of provider and external id."""
        return [(self.provider, external_id) for external_id in self.ids]


@dataclass
class Wave:
    """Tasks that run at once, and the faults and events in the meantime."""

    tasks: list
    faults: list = field(default_factory=list)  # (kind, details)
    events: list = field(default_factory=list)  # (seconds, method of the contact centre, its arguments)
    journal: str = "usable"  # or "small" for a small disk, or the reason why the journal is unusable
    disk_room: int = 0  # KB on a small disk
    hold_seconds: float = 0.0  # duration of the fault "hold"
    proxy_faults: list = field(default_factory=list)  # (kind, details)
    database_faults: list = field(default_factory=list)  # (kind, details), one after another
    database_events: list = field(default_factory=list)  # (seconds, kind, details)

    @property
    def may_fail_to_connect(self):
        """Return whether a process may not reach the database at its start. Other cuts spare the login."""
        kinds = [kind for kind, _details in self.database_faults]
        return "cut_bytes" in kinds or any(kind in AWAY for _seconds, kind, _details in self.database_events)

    @property
    def is_database_disturbed(self):
        """Return whether there are faults or events of the database."""
        return bool(self.database_faults or self.database_events)

    @property
    def actions(self):
        """Return the set of actions that the tasks request."""
        return {task.action for task in self.tasks}


@dataclass
class Plan:
    """A round: the initial state of the simulator, and waves one after another."""

    seed: int
    switches: dict
    live: list  # keys
    poisoned: list  # external ids
    providers: list
    waves: list
    limits: dict  # constants of the engine
    unprivileged: bool  # whether the processes give up the rights of root
    tokens: bool
    previews: bool  # whether check mode runs before each final task, to compare their results
    proxied: bool = False  # whether all calls use TLS and a proxy
    database: dict | None = None  # place, prepared and isolation, as in Database; None for a journal in a file

    def to_json(self):
        """Return the plan as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text):
        """Return the plan in a JSON text, which may lack fields that have a default."""
        values = json.loads(text)
        for wave in values["waves"]:
            wave["tasks"] = [Task(**task) for task in wave["tasks"]]
        values["waves"] = [Wave(**wave) for wave in values["waves"]]
        return cls(**values)


def source_text(task):
    """Return the content of a task's source file, or None for a pipe."""
    if task.misleading_file:
        return MISLEADING_FILES[task.misleading_file][1](task.misleading_ids)
    kind = task.source.split(".")[1]
    rows = [{"external_id": each, "request_id": task.request_ids.get(each)} for each in task.ids]
    if kind == "json":
        return json.dumps(rows if task.request_ids else task.ids)
    if kind in ("jsonl", "ndjson"):
        return "".join(json.dumps(row) + "\n" for row in rows)
    if kind in ("csv", "tsv"):
        text = io.StringIO()
        writer = csv.writer(text, delimiter="," if kind == "csv" else "\t", lineterminator="\n")
        writer.writerows([rows[0] if rows else {"external_id": ""}, *(row.values() for row in rows)])
        return text.getvalue()
    return "".join(f"{each}\n" for each in task.ids)


def phases(waves):
    """
    Return for each key its phases, as pairs of an action and the numbers of waves.

    Consecutive waves that request the same action are one phase. A wave with both actions is a phase of its own, with
    the action "both".
    """
    found = {}
    for number, wave in enumerate(waves):
        actions = {}
        for task in wave.tasks:
            for key in [] if task.check else task.keys:
                actions.setdefault(key, set()).add(task.action)
        for key, requested in actions.items():
            history = found.setdefault(key, [])
            action = "both" if len(requested) > 1 else requested.pop()
            if history and history[-1][0] == action != "both":
                history[-1][1].append(number)
            else:
                history.append((action, [number]))
    return found

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks that Hypothesis generates, the faults that lose their answers, and the rows and plans that a model expects."""

from __future__ import annotations

import copy
import csv
import json
import tempfile
import typing as t

from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

home = tempfile.TemporaryDirectory()  # gone when the process ends

set_hypothesis_home_dir(home.name)

IDS = ["a", "b", 'ü, "c"']

KEYS = ["key-1", "key-2"]

PROVIDERS = [None, "crm"]

ACCOUNTS = ["day", "night"]

DATA = [
    {},
    {"linked_data": [{"type": "name", "value": "Ann"}]},
    {"linked_data": [{"type": "name", "value": "Ben"}], "routing_data": {"skills": [{"name": "French"}]}},
]

# Faults that lose the answer to a call: the fault, whether the engine must expect an effect, and whether there is one.
LOST = {
    "cut before": ({"kind": "cut", "when": "before"}, True, False),
    "cut after": ({"kind": "cut", "when": "after"}, True, True),
    "no JSON": ({"kind": "garbage", "taken": True}, True, True),
    "a page": ({"kind": "html"}, True, False),
    "elsewhere": ({"kind": "redirect"}, True, False),
    "its own trouble": ({"kind": "status", "status": 503}, True, False),
    "too many": ({"kind": "status", "status": 429}, False, False),
}

# The 429 comes as often as all others together, because it must leave nothing in the journal.
LOSSES = [*LOST, *["too many"] * (len(LOST) - 2)]


class Asked(t.NamedTuple):
    """A task. ``entries`` has triples of external id, request id and index in DATA, as far as the source can have them."""

    state: str
    source: str
    entries: tuple
    provider: str | None
    account: str
    force: bool
    ttl: int
    journaled: bool

    @property
    def action(self):
        return "release" if self.state == "released" else "dispatch"

    @property
    def scope(self):
        return (self.account, self.provider)

    def options(self, folder, journal):
        """Return the options of the task with a journal, and write its file, if any, to ``folder``."""
        given = {"state": self.state, "provider": self.provider, "account": self.account, "force": self.force}
        # One call at a time, because the model needs their order.
        given.update(
            calls_in_flight=1,
            journal_ttl=self.ttl,
            journal=journal if self.journaled else "",
        )
        if self.state == "dispatched":
            given["route"] = "sales"
        if self.source == "external_id":
            given["external_id"] = self.entries[0][0]
            if self.entries[0][1]:
                given["request_id"] = self.entries[0][1]
        elif self.source == "external_ids":
            given["external_ids"] = [entry[0] for entry in self.entries]
        else:
            objects = [
                {"external_id": external_id, **({"request_id": key} if key else {}), **copy.deepcopy(DATA[data])}
                for external_id, key, data in self.entries
            ]
            if self.source == "interactions":
                given["interactions"] = objects
            else:
                given["src"] = str(self._written(folder, objects))
        return given

    def _written(self, folder, objects):
        path = folder / f"ids.{self.source}"
        with path.open("w", encoding="utf-8", newline="") as file:
            if self.source == "jsonl":
                file.writelines(json.dumps(each) + "\n" for each in objects)
            elif self.source == "csv":
                csv.writer(file).writerows(
                    [
                        ("request_id", "external_id"),
                        *((each.get("request_id"), each["external_id"]) for each in objects),
                    ]
                )
            else:
                file.writelines(each["external_id"] + "\n" for each in objects)
        return path

    def worklist(self):
        """Return the distinct interactions as lists of external id and request id; None if entries contradict each other."""
        found = []
        by_id = {}
        for external_id, key, data in self.entries:
            if self.state == "released":
                data = 0
                key = None if self.source == "interactions" else key
            if external_id is None or external_id not in by_id:
                found.append([external_id, key, data])
                if external_id is not None:
                    by_id[external_id] = found[-1]
                continue
            known = by_id[external_id]
            if data != known[2] or (key and known[1] and key != known[1]):
                return None
            known[1] = known[1] or key
        keys = [key for dummy, key, dummy in found if key]
        return None if len(set(keys)) < len(keys) else [each[:2] for each in found]


@st.composite
def asked(draw):
    state = draw(st.sampled_from(["released", "released", "dispatched"]))
    source = draw(st.sampled_from(["external_id", "external_ids", "interactions", "jsonl", "csv", "txt"]))
    nameless = [None] if source == "interactions" and state == "dispatched" else []
    has_key = source in ("external_id", "interactions", "jsonl", "csv")
    has_data = source in ("interactions", "jsonl")
    entry = st.tuples(
        st.sampled_from(IDS + IDS + nameless),
        st.sampled_from([None, None, None, *KEYS]) if has_key else st.none(),
        st.sampled_from([0, 0, 0, 1, 2]) if has_data else st.just(0),
    )
    few = {"min_size": 1, "max_size": 1} if source == "external_id" else {"min_size": source == "csv", "max_size": 4}
    return Asked(
        state,
        source,
        tuple(draw(st.lists(entry, **few))),
        draw(st.sampled_from(PROVIDERS)),
        draw(st.sampled_from([ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[1]])),
        draw(st.sampled_from([False, False, False, True])),
        draw(st.sampled_from([0, 100, 86400])),
        draw(st.sampled_from([True, True, True, True, False])),
    )


class Row(t.NamedTuple):
    """The row that the model expects in the journal."""

    action: str
    request_id: str
    asked: float
    accepted: float | None

    @property
    def time(self):
        return self.asked if self.accepted is None else self.accepted


class Item(t.NamedTuple):
    """An interaction in the plan that the model expects."""

    external_id: str | None
    request_id: str | None
    confirmed: bool
    pending: bool
    own_id: str | None

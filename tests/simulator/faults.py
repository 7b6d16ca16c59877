# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults that are ordered for calls to come."""

from __future__ import annotations

import itertools
import threading
import typing

INVOKE = "/interactions/Invoke"

# What can go wrong, with the details that can be set and their defaults. Whether the call has its effect all the
# same is "taken", where that is left to the caller; for "cut" it is `when`: "before" or "after" the effect. What is
# "late" waits before its effect, what has "latency" behind it. "interim" gives so many interim answers (0: without end)
# before the final one, and waits behind each. "truncated" cuts the head of the answer off behind so many bytes.
# "trickle" sends the head or the body byte by byte. A redirect's body has so many bytes, and may come byte by byte too.
KINDS = {
    "status": {"status": 503, "retry_after": None, "body": None, "taken": False},
    "latency": {"seconds": 1.0},
    "late": {"seconds": 1.0},
    "hold": {},
    "cut": {"when": "before"},
    "interim": {"status": 103, "count": 1, "seconds": 0.0},
    "truncated": {"length": len("HTTP/1.1 200 OK"), "taken": True},
    "redirect": {
        "location": "https://elsewhere.example/",
        "status": 302,
        "length": 0,
        "seconds": 0.0,
        "taken": False,
    },
    "html": {"taken": False},
    "expired": {},
    "garbage": {"taken": False},
    "trickle": {"seconds": 0.1, "part": "body"},
    "too_large": {"status": 413},
}


class Delivery(typing.NamedTuple):
    """How an answer is sent: the seconds between the bytes of its head and body, and what of it is cut off."""

    pause: float = 0.0
    head_pause: float = 0.0
    interim: tuple[int, int, float] = (0, 0, 0.0)  # status, how many (0: without end), the seconds behind each
    head_length: int | None = None
    location: str | None = None  # as it is, even where no URL can be so


class Fault:
    """
    One order. ``entered`` is an Event, set when a call has reached the fault and its effects, if any, are visible.

    Raises ValueError for a kind or detail that is not in KINDS or cannot have that value.
    """

    _ids = itertools.count(1)

    def __init__(self, kind, times=1, path=INVOKE, after=0, **details):
        if kind not in KINDS:
            raise ValueError(f"no such fault: {kind}")
        for name, value in details.items():
            if name not in KINDS[kind]:
                raise ValueError(f"the fault {kind} has no detail {name}")
            default = KINDS[kind][name]
            number = isinstance(default, (int, float))
            if default is not None and not isinstance(value, (int, float) if number else type(default)):
                raise ValueError(f"{name} is like {default!r}")
        if not isinstance(path, (str, type(None))) or not isinstance(times, (int, type(None))):
            raise ValueError("path is a string or None, times is a number or None")
        self.id = next(self._ids)
        self.kind = kind
        self.times = times
        self.path = path
        self.after = int(after)
        self.details = {**KINDS[kind], **details}
        if self.details.get("when") not in (None, "before", "after"):
            raise ValueError("when is before or after")
        if self.details.get("part") not in (None, "head", "body"):
            raise ValueError("part is head or body")
        self.taken = self.details.get("taken", kind in ("latency", "hold", "trickle", "interim"))
        if kind == "cut":
            self.taken = self.details["when"] == "after"
        self.entered = threading.Event()
        self.released = threading.Event()

    def release(self):
        """Answer the calls that a "hold" keeps, and keep none from now on."""
        self.released.set()

    def passes(self, path):
        """Count a call of ``path``, in whatever case. True if the fault has no part in it."""
        if self.path is not None and self.path.lower() != path.lower():
            return True
        if self.after > 0:
            self.after -= 1
            return True
        return self.times == 0


class Faults:
    """All orders, oldest first. The caller sees to it that one thread at a time is in here."""

    def __init__(self):
        self._orders = []

    def add(self, fault):
        self._orders.append(fault)
        return fault

    def take(self, path):
        """The fault for a call, or None. Every fault counts the call, the first one due gets it."""
        due = [fault for fault in self._orders if not fault.passes(path)]
        if not due:
            return None
        if due[0].times is not None:
            due[0].times -= 1
        return due[0]

    def release(self, number=None):
        """Release one fault by its id, or all."""
        for fault in self._orders:
            if number in (None, fault.id):
                fault.release()

    def clear(self):
        """Forget all orders; release what is held."""
        self.release()
        self._orders = []

    def summary(self):
        """Id, kind and whether a call has reached it, of each."""
        return [{"id": fault.id, "kind": fault.kind, "entered": fault.entered.is_set()} for fault in self._orders]

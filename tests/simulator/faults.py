# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults for the next calls."""

from __future__ import annotations

import itertools
import threading
import typing

INVOKE = "/interactions/Invoke"

# The kinds of faults, with their details and defaults:
# - status, redirect, html, expired, garbage, too_large replace the response; with "taken", the call has its effect first
# - latency waits after the effect, late waits before it, hold waits until Fault.release
# - cut closes the connection "before" or "after" the effect
# - interim sends "count" interim responses before the final one (0: without end), and waits after each
# - truncated cuts the head of the response off after "length" bytes
# - trickle sends the head or the body byte by byte; the body of a redirect with "seconds" comes byte by byte too
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
    """How to send a response: the seconds between the bytes of its body and head, interim responses, truncation."""

    pause: float = 0.0
    head_pause: float = 0.0
    interim: tuple[int, int, float] = (0, 0, 0.0)  # status, count (0: without end), seconds after each
    head_length: int | None = None
    location: str | None = None  # the header, which may be an invalid URL


class Fault:
    """
    One fault. The event ``entered`` is set when a call has reached it and any effect of the call is visible.

    Raise ValueError for a kind or detail that is not in KINDS, or an invalid value.
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
        """Respond to the calls that a "hold" keeps waiting, and let later calls pass."""
        self.released.set()

    def passes(self, path):
        """Count a call of ``path``, which ignores case, and return whether the call passes without this fault."""
        if self.path is not None and self.path.lower() != path.lower():
            return True
        if self.after > 0:
            self.after -= 1
            return True
        return self.times == 0


class Faults:
    """All faults, the oldest first. The caller must allow only one thread at a time."""

    def __init__(self):
        self._faults = []

    def add(self, fault):
        """Add a fault, and return it."""
        self._faults.append(fault)
        return fault

    def take(self, path):
        """Return the fault for a call, or None. Every fault counts the call, and the first due fault takes it."""
        due = [fault for fault in self._faults if not fault.passes(path)]
        if not due:
            return None
        if due[0].times is not None:
            due[0].times -= 1
        return due[0]

    def release(self, number=None):
        """Release one fault by its id, or all faults."""
        for fault in self._faults:
            if number in (None, fault.id):
                fault.release()

    def clear(self):
        """Release and forget all faults."""
        self.release()
        self._faults = []

    def summary(self):
        """Return the id and kind of each fault, and whether a call has reached it."""
        return [{"id": fault.id, "kind": fault.kind, "entered": fault.entered.is_set()} for fault in self._faults]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several things at once, each in a thread, and their results as they come."""

from __future__ import annotations

import itertools
import queue
import threading
import typing as t
from concurrent.futures import Future

Item = t.TypeVar("Item")
Result = t.TypeVar("Result")


class Flight(t.Generic[Item, Result]):
    """Does something with each item that is started, up to C(at_once) of them at a time. To be used as a context manager, by one thread.

    :arg act: what to do. What it raises, C(land) raises.
    """

    def __init__(self, act: t.Callable[[Item], Result], at_once: int) -> None:
        self.under_way = 0
        self._act = act
        self._at_once = at_once
        self._threads: list[threading.Thread] = []
        self._numbers = itertools.count()
        self._waiting: queue.PriorityQueue[tuple[float, int, Item | None]] = queue.PriorityQueue()
        self._landed: queue.SimpleQueue[tuple[Item, Future[Result]]] = queue.SimpleQueue()

    def __enter__(self) -> Flight[Item, Result]:
        return self

    def __exit__(self, *exception: object) -> None:
        """Let each thread end with what it is at; nobody waits for that, should the work be broken off."""
        for dummy in self._threads:
            self._waiting.put((float("-inf"), next(self._numbers), None))
        if not self.under_way:
            for thread in self._threads:
                thread.join()

    @property
    def full(self) -> bool:
        return self.under_way >= self._at_once

    def start(self, item: Item, urgency: int = 0) -> None:
        """Start with an item, before the less urgent ones that wait; of equal urgency they go in order."""
        self.under_way += 1
        self._waiting.put((-urgency, next(self._numbers), item))
        # One alone is done by the caller when it waits for it, which saves the thread.
        if self.under_way > 1 and self._at_once > 1:
            for dummy in range(min(self.under_way, self._at_once) - len(self._threads)):
                thread = threading.Thread(target=self._work, daemon=True)
                self._threads.append(thread)
                thread.start()

    def land(self) -> tuple[Item, Result]:
        """Wait for the next item that is done, and return it with its result."""
        if self._threads:
            item, future = self._landed.get()
            self.under_way -= 1
            return item, future.result()
        dummy, dummy, waiting = self._waiting.get()
        item = t.cast(Item, waiting)
        self.under_way -= 1
        return item, self._act(item)

    def _work(self) -> None:
        while True:
            dummy, dummy, item = self._waiting.get()
            if item is None:
                return
            future: Future[Result] = Future()
            try:
                future.set_result(self._act(item))
            except BaseException as exc:
                future.set_exception(exc)
            self._landed.put((item, future))

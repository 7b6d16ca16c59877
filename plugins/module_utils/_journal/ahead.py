# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks of the worklist that are looked up or claimed before they are asked for, so that nobody waits for a store behind a wire."""

from __future__ import annotations

import threading
import typing as t

from .rules import Interaction, Wanted
from .store import Change, Exchanged, Row


class LookedUp(t.NamedTuple):
    """A chunk that is looked up.

    :param after: the place behind which it begins.
    :param rows: what the journal had of it, by external id.
    """

    after: int
    wanted: list[Wanted]
    rows: dict[str, Row]


class Prepared(t.NamedTuple):
    """The claims of a chunk, before their exchange.

    :param after: the place behind which it begins.
    :param chunk: what it is if all claims take effect.
    :param changes: the rows of the claims.
    """

    after: int
    chunk: list[Interaction]
    changes: list[Change]


class Claiming(t.NamedTuple):
    """A chunk that an exchange with the store claims.

    :param after: the place behind which it begins.
    :param chunk: what it is if all claims take effect.
    :param accepted: claims that the same exchange accepts.
    :param now: the time of all of them.
    :param following: the chunk behind it, which the same exchange looks up.
    :param exchange: makes the exchange, or waits for its end.
    """

    after: int
    wanted: list[Wanted]
    chunk: list[Interaction]
    accepted: list[Interaction]
    now: float
    following: list[Wanted]
    exchange: t.Callable[[], Exchanged]

    @property
    def claimed(self) -> list[Interaction]:
        """Return the interactions that have a change in the exchange."""
        return [each for each in self.chunk if each.claim]


class Background:
    """An exchange in a thread of its own, which does not keep the process from ending. Calling it waits for the end."""

    def __init__(self, exchange: t.Callable[..., Exchanged]) -> None:
        self._exchange = exchange
        self._done: Exchanged | None = None
        self._error: BaseException | None = None
        self._sent = threading.Event()
        self._over = threading.Event()
        threading.Thread(target=self._run, name="vcc-journal", daemon=True).start()

    def _run(self) -> None:
        try:
            self._done = self._exchange(sent=self._sent.set)
        except BaseException as exc:
            self._error = exc
        finally:
            self._over.set()
            self._sent.set()

    def wait_until_sent(self) -> None:
        """Wait until all is on its way to the store. Before, both threads would compete for the interpreter, and the store would wait."""
        self._sent.wait()

    def __call__(self) -> Exchanged:
        """Return what the exchange has brought, or raise its error."""
        self.wait()
        if self._done is None:
            raise t.cast(BaseException, self._error)
        return self._done

    def wait(self) -> None:
        """Wait for the end of the exchange. An interrupted ``Thread.join`` would take the thread for ended, so this waits for an event."""
        self._over.wait()

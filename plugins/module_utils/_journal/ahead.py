# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks of the worklist that are looked up and claimed in advance, so that the caller does not wait for a remote store."""

from __future__ import annotations

import threading
import typing as t

from .claims import Claiming, Claims, LookedUp, Prepared, external_ids_of
from .rules import Interaction, Wanted
from .store import Exchanged, Store
from .worklist import Worklist

# Chunks that are looked up at once while nothing must be claimed.
CHUNKS_AT_ONCE = 5


class ChunksAhead:
    """Looks up and claims the chunks of a worklist for the caller, a few of them in advance if the store is remote.

    While the caller sends a chunk, an exchange claims the next one, and the one after that is prepared:

    1. A chunk is looked up, in the exchange that claims the previous chunk. While everything is confirmed, one round trip looks several chunks up.
    2. Its claims are prepared during that exchange, in case the journal has no rows of the chunk. That needs no store.
    3. An exchange claims it, in a thread of its own. The exchange also accepts the interactions that the caller has sent, and looks the next chunk up.
    4. ``take_claimed`` waits for the end of the exchange and returns the chunk. From then on its claims belong to the caller, which sends them, and then
       accepts, releases or keeps each.

    The caller does not send claims before it has them, so ``take_back`` can withdraw them. Until the first claim, and if nothing is claimed in advance,
    the caller looks a chunk up and claims it with ``look_up_to_claim`` and ``claim``.

    Two threads use the store, but never both at once: that of an exchange in advance, and that of the caller, which calls ``wait`` before it uses the
    store. The methods of this class do so themselves. If the store is not remote, nothing happens in advance, and there is one thread.
    """

    def __init__(self, store: Store, worklist: Worklist, claims: Claims) -> None:
        self._store = store
        self._worklist = worklist
        self._claims = claims
        self._looked_up: list[LookedUp] = []  # consecutive chunks
        self._prepared: Prepared | None = None  # the chunk after the one that is being claimed
        self._claiming: Claiming | None = None  # in advance: the caller does not have it yet
        self._background: Background | None = None  # the exchange that may be in progress
        self._accepted: list[Interaction] = []  # for the next exchange

    def look_up(self, after: int) -> LookedUp:
        """Return the chunk after a place with its rows, to plan it. First withdraw claims in advance."""
        self.flush()
        # If the previous chunk is confirmed, the next ones may be too.
        return self._look_up(after, CHUNKS_AT_ONCE if after else 1)

    def look_up_to_claim(self, after: int) -> LookedUp:
        """Return the chunk after a place with its rows, for ``claim``."""
        self.take_back()
        found = self._look_up(after)
        del self._looked_up[:1]
        return found

    def _look_up(self, after: int, count: int = 1) -> LookedUp:
        """Return a chunk with its rows. If that needs a round trip, look several chunks up.

        :param count: the number of chunks in that case.
        """
        while self._looked_up and self._looked_up[0].after != after:
            del self._looked_up[0]
        if not self._looked_up:
            chunks = [LookedUp(after, self._chunk(after), {})]
            while self._store.remote and chunks[-1].wanted and len(chunks) < count:
                chunks.append(LookedUp(chunks[-1].last, self._chunk(chunks[-1].last), {}))
            rows = self._store.rows([name for each in chunks for name in external_ids_of(each.wanted)])
            self._looked_up = [each._replace(rows=rows) for each in chunks]
        found = self._looked_up[0]
        if not self._store.remote:
            self._looked_up = []
        return found

    def _chunk(self, after: int) -> list[Wanted]:
        """Return the chunk of the worklist after a place."""
        with self._worklist.wrap_errors():
            return self._worklist.chunk(after)

    def claim(self, found: LookedUp, accepted: t.Iterable[Interaction]) -> list[Interaction]:
        """Claim a chunk now, and return it.

        :param accepted: interactions to accept in the same exchange.
        """
        return self._end(self._begin(found, accepted))

    def claim_next(self, accepted: t.Collection[Interaction] = ()) -> None:
        """Begin to claim the next chunk if it is looked up, while the caller sends the previous one.

        :param accepted: interactions to accept in the same exchange, or in the next one if no chunk is looked up, which saves an exchange.
        """
        if not (self._looked_up and self._looked_up[0].wanted):
            self._accepted = list(accepted)
            return
        claiming = self._begin(self._looked_up.pop(0), accepted)
        self._background = Background(claiming.exchange)
        self._background.wait_until_sent()
        self._claiming = claiming._replace(exchange=self._background)
        if claiming.following and not claiming.found.rows:
            # The journal probably has no rows of the next chunk either.
            self._prepared = self._claims.prepare(LookedUp(claiming.found.last, claiming.following, {}))

    def take_claimed(self, after: int) -> list[Interaction]:
        """Return the chunk after a place if it is claimed in advance; otherwise return an empty list."""
        self.wait()
        claiming = self._claiming
        if not claiming or claiming.found.after != after:
            return []
        self._claiming = None
        return self._end(claiming)

    def _begin(self, found: LookedUp, accepted: t.Iterable[Interaction]) -> Claiming:
        """Return the exchange that claims a chunk. In a remote store it also looks the next chunk up, unless that is done."""
        following = self._chunk(found.last) if self._store.remote and found.wanted and not self._looked_up else []
        prepared, self._prepared = self._prepared, None
        if not prepared or prepared.found.after != found.after or found.rows:
            prepared = self._claims.prepare(found)
        return self._claims.begin(prepared, self._take_accepted(accepted), following)

    def _end(self, claiming: Claiming) -> list[Interaction]:
        """Make the exchange that claims a chunk, or wait for its end, and return the chunk."""
        exchanged = self._claims.end(claiming)
        if claiming.following:
            self._looked_up = [LookedUp(claiming.found.last, claiming.following, exchanged.rows)]
        return self._claims.claim_lost(claiming, exchanged.done)

    def take_back(self) -> None:
        """Withdraw the claims that the caller does not have yet. A pending row that such a claim has taken over stays pending."""
        self.wait()
        claiming, self._claiming = self._claiming, None
        if claiming:
            self._looked_up, self._prepared = [], None
            exchanged = self._claims.end(claiming)
            claimed = [each for each, ok in zip(claiming.claimed, exchanged.done) if ok]
            self._claims.release([each for each in claimed if each.previous or not each.pending])

    def accept(self, interactions: t.Iterable[Interaction] = ()) -> None:
        """Accept interactions now, with those that wait for the next exchange."""
        self.wait()
        self._claims.accept(self._take_accepted(interactions))

    def _take_accepted(self, interactions: t.Iterable[Interaction]) -> list[Interaction]:
        """Return the interactions that the next exchange must accept: those that wait for it, and these."""
        accepted, self._accepted = [*self._accepted, *interactions], []
        return accepted

    def flush(self) -> None:
        """Withdraw the claims that the caller does not have yet, and accept the interactions that wait for the next exchange."""
        self.take_back()
        self.accept()

    def wait(self) -> None:
        """Wait for the exchange in progress, because only one thread at a time may use the store, even after an interruption."""
        if self._background:
            self._background.wait()
            self._background = None


class Background:
    """An exchange in a thread of its own, which does not delay the end of the process. A call waits for its result."""

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
        """Wait until all statements are sent. Until then, both threads would compete for the interpreter, and the store would wait."""
        self._sent.wait()

    def __call__(self) -> Exchanged:
        """Return the result of the exchange, or raise its error."""
        self.wait()
        if self._done is None:
            raise t.cast(BaseException, self._error)
        return self._done

    def wait(self) -> None:
        """Wait for the end of the exchange. This waits for an event, because an interrupted ``Thread.join`` would mark the thread as ended."""
        self._over.wait()

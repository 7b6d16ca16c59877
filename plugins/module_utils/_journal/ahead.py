# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks of the worklist that are looked up or claimed before they are asked for, so that nobody waits for a store behind a wire."""

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
    """The chunks of a worklist on their way to the caller, of which a few are ahead of it if the store is remote.

    While the caller sends a chunk, an exchange claims the chunk behind it, and the one behind that is prepared:

    1. A chunk is looked up, in the exchange that claims the chunk before it. In a run that finds all confirmed, a turn on the wire looks several up.
    2. Its claims are prepared while that exchange is under way, in case the journal has no rows of it. That needs no store.
    3. An exchange claims it, in a thread of its own. It also accepts what the caller has sent before, and looks the next chunk up.
    4. ``take_claimed`` waits for the end of the exchange and hands the chunk out. From then on its claims are the caller's, which sends them, and then
       accepts, releases or keeps each.

    Nobody sends claims that are not handed out, so ``take_back`` withdraws them. Until the first claim, and where it finds nothing ahead, the caller
    looks a chunk up and claims it with ``look_up_to_claim`` and ``claim``.

    Two threads use the store, but never both at once: that of an exchange ahead, and that of the caller, which calls ``wait`` before it uses the store.
    The methods of this class do so themselves. With a store that is not remote, nothing is ahead, and there is one thread.
    """

    def __init__(self, store: Store, worklist: Worklist, claims: Claims) -> None:
        self._store = store
        self._worklist = worklist
        self._claims = claims
        self._looked_up: list[LookedUp] = []  # chunks that follow one another
        self._prepared: Prepared | None = None  # the chunk behind the one that is being claimed
        self._claiming: Claiming | None = None  # not handed out
        self._background: Background | None = None  # the exchange that may be under way
        self._accepted: list[Interaction] = []  # for the next exchange

    def look_up(self, after: int) -> LookedUp:
        """Return the chunk behind a place with its rows, to plan it. Leave nothing ahead that is claimed."""
        self.flush()
        # Where the chunk before is confirmed, the next ones may be too.
        return self._look_up(after, CHUNKS_AT_ONCE if after else 1)

    def look_up_to_claim(self, after: int) -> LookedUp:
        """Return the chunk behind a place with its rows, for ``claim``."""
        self.take_back()
        found = self._look_up(after)
        del self._looked_up[:1]
        return found

    def _look_up(self, after: int, count: int = 1) -> LookedUp:
        """Return a chunk with its rows. If a turn on the wire is needed for that, look several chunks up.

        :param count: how many chunks.
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
        """Return the chunk of the worklist behind a place."""
        with self._worklist.wrap_errors():
            return self._worklist.chunk(after)

    def claim(self, found: LookedUp, accepted: t.Iterable[Interaction]) -> list[Interaction]:
        """Claim a chunk now, and return it.

        :param accepted: interactions to accept in the same exchange.
        """
        return self._end(self._begin(found, accepted))

    def claim_next(self, accepted: t.Collection[Interaction] = ()) -> None:
        """Begin to claim the next chunk if it is looked up, while the caller sends the one before it.

        :param accepted: interactions to accept in the same exchange, or in the next one if no chunk is looked up, which saves one.
        """
        if not (self._looked_up and self._looked_up[0].wanted):
            self._accepted = list(accepted)
            return
        claiming = self._begin(self._looked_up.pop(0), accepted)
        self._background = Background(claiming.exchange)
        self._background.wait_until_sent()
        self._claiming = claiming._replace(exchange=self._background)
        if claiming.following and not claiming.found.rows:
            # The journal has probably no rows of the next chunk either.
            self._prepared = self._claims.prepare(LookedUp(claiming.found.last, claiming.following, {}))

    def take_claimed(self, after: int) -> list[Interaction]:
        """Hand out the chunk behind a place if it is claimed ahead; return an empty list if not."""
        self.wait()
        claiming = self._claiming
        if not claiming or claiming.found.after != after:
            return []
        self._claiming = None
        return self._end(claiming)

    def _begin(self, found: LookedUp, accepted: t.Iterable[Interaction]) -> Claiming:
        """Return the exchange that claims a chunk. With a remote store it looks the next chunk up, unless that is looked up."""
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
        """Take back the claims that are not handed out. A pending row that such a claim has taken up stays pending."""
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
        """Return what the next exchange must accept: what waits for it, and these interactions."""
        accepted, self._accepted = [*self._accepted, *interactions], []
        return accepted

    def flush(self) -> None:
        """Leave nothing ahead: take back what is not handed out, and accept what waits for the next exchange."""
        self.take_back()
        self.accept()

    def wait(self) -> None:
        """Wait for the exchange that is under way, because only one thread at a time uses the store, also after an interruption."""
        if self._background:
            self._background.wait()
            self._background = None


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

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record notifications: all POSTs that wait for the journal share one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import threading
import typing as t

from ansible_collections.vonage.vcc.plugins.module_utils._errors import VccError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import NotificationLog

from .body import Change, Item

logger = logging.getLogger("vonage.vcc")

# Notifications of one transaction, without those of its last POST.
BATCH = 2000

# Seconds within which a POST is answered, before its client gives up.
ANSWER_TIMEOUT = 8.0

# Seconds before another attempt to write after a failure.
RETRY_AFTER = 2.0

# Seconds without a write after which a health check opens the journal again.
IDLE = 5.0

# Bytes of POSTs that may wait for the journal, and the bytes of each POST besides its body.
MAX_WAITING = 32 * 1024 * 1024
OVERHEAD = 2000


class UnavailableError(Exception):
    """The notifications of a POST are not recorded, or may not be."""


class Post:
    """A POST that waits for the journal.

    :param weight: the bytes that it counts for while it waits.
    :param answer: gets the number of notifications that it was the first to bring.
    :param is_check: whether it only checks the journal.
    """

    def __init__(self, items: list[Item], weight: int, answer: asyncio.Future[int], is_check: bool = False) -> None:
        self.items = items
        self.weight = weight
        self.answer = answer
        self.is_check = is_check

    def refuse(self, reason: str) -> None:
        """Answer that it is not recorded."""
        if not self.answer.done():
            self.answer.set_exception(UnavailableError(reason))
            self.answer.exception()  # so that asyncio does not report an exception that nobody retrieves


class Recorder:
    """A thread that writes notifications to the journal.

    :param open_log: opens the journal.
    :param path: the file of the journal; None for a database.
    :param on_recorded: a function to call with each recorded POST and the changes of its batch, by the ids of notifications. It returns how many are new.
    """

    def __init__(
        self,
        open_log: t.Callable[[], NotificationLog],
        path: str | None,
        on_recorded: t.Callable[[Post, dict[str, Change]], int],
    ) -> None:
        self._open_log = open_log
        self._path = path
        self._file: tuple[int, int] | None = None
        self._on_recorded = on_recorded
        self._loop = asyncio.get_running_loop()
        self._posts: queue.SimpleQueue[Post | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._waiting = 0
        self._refused = 0
        self._is_full = False
        self._last_success = self._loop.time()
        self._reason = ""
        self._next_trial = 0.0
        self.is_writable = True
        # A daemon thread, so that a journal that does not answer does not delay the end of the process.
        self._thread = threading.Thread(target=self._run, name="vcc-notifications", daemon=True)

    async def start(self) -> None:
        """Open the journal. Raises VccError if it cannot be used."""
        self._thread.start()
        await self._opened

    async def record(self, items: list[Item], size: int) -> int:
        """Record notifications, and return the number of new ones. Call ``check_available`` first. Raises UnavailableError.

        :param size: the bytes of the body.
        """
        post = Post(items, size + OVERHEAD, self._loop.create_future())
        return await self._submit(post, ANSWER_TIMEOUT)

    def check_available(self) -> None:
        """Raise UnavailableError if a POST cannot be recorded now."""
        if not self.is_writable and self._loop.time() > self._next_trial:
            # Let one POST in from time to time, because the journal may refuse only the one that it failed at.
            self._next_trial = self._loop.time() + RETRY_AFTER
        elif not self.is_writable:
            self._refused += 1
            raise UnavailableError("The journal cannot be written.")
        if self._waiting >= MAX_WAITING:
            if not self._is_full:
                self._is_full = True
                logger.error(
                    "Too many notifications wait for the journal: the source answers others with 503 until the journal has caught up."
                )
            self._refused += 1
            raise UnavailableError("Too many notifications wait for the journal.")

    async def check(self) -> bool:
        """Return whether the journal can be written. The result may be some seconds old."""
        if self.is_writable and self._loop.time() - self._last_success > IDLE:
            try:
                await self._submit(Post([], OVERHEAD, self._loop.create_future(), is_check=True), ANSWER_TIMEOUT)
            except UnavailableError:
                return False
        return self.is_writable

    async def stop(self, timeout: float) -> None:
        """Write the POSTs that wait, unless the journal cannot be written, and close it."""
        self._stopping.set()
        self._posts.put(None)
        await asyncio.wait([self._ended], timeout=timeout)

    async def _submit(self, post: Post, timeout: float) -> int:
        self._waiting += post.weight
        self._posts.put(post)
        timer = self._loop.call_later(timeout, self._on_timeout, post)
        try:
            return await post.answer
        finally:
            timer.cancel()

    def _on_timeout(self, post: Post) -> None:
        self._mark_failed(f"The journal has not answered within {ANSWER_TIMEOUT:g} seconds.")
        self._refuse(post, "The journal does not answer.")

    def _mark_failed(self, reason: str) -> None:
        """Note that the journal cannot be written. Log it once for each reason, not for each POST."""
        if self.is_writable:
            self._next_trial = self._loop.time() + RETRY_AFTER
        self.is_writable = False
        if reason != self._reason:
            self._reason = reason
            logger.error("The source answers notifications with 503 until the journal records them: %s", reason)

    def _on_failure(self, batch: list[Post], reason: str) -> None:
        self._mark_failed(reason)
        for post in batch:
            self._refuse(post, "The journal cannot be written.")

    def _refuse(self, post: Post, reason: str) -> None:
        """Count a POST that is answered with 503, and answer it."""
        self._refused += not (post.answer.done() or post.is_check)
        post.refuse(reason)

    def _on_written(self, batch: list[Post], changes: dict[str, Change]) -> None:
        self._last_success = self._loop.time()
        if not self.is_writable or (self._is_full and self._waiting < MAX_WAITING // 2):
            logger.warning(
                "The journal records notifications again. In the meantime, the source answered %d POSTs with 503.",
                self._refused,
            )
            self.is_writable, self._is_full, self._refused, self._reason = True, False, 0, ""
        for post in batch:
            self._waiting -= post.weight
            count = self._on_recorded(post, changes)
            if not post.answer.done():
                post.answer.set_result(count)

    def _discard(self, posts: list[Post], reason: str) -> None:
        """Discard POSTs that the journal refuses although it accepts others. They were answered with 503."""
        count = sum(len(post.items) for post in posts)
        noun = "notification" if count == 1 else "notifications"
        logger.error("A POST of %d %s cannot be recorded, although others can: %s", count, noun, reason)
        for post in posts:
            self._waiting -= post.weight
            post.refuse("The journal cannot record these notifications.")

    # The methods below run in the thread.

    def _call_soon(self, function: t.Callable[..., t.Any], *args: t.Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop has ended
            self._stopping.set()

    def _run(self) -> None:
        log: NotificationLog | None = None
        try:
            try:
                log = self._open()
            except BaseException as exc:
                self._call_soon(self._opened.set_exception, exc)
                return
            self._call_soon(self._opened.set_result, None)
            while batch := self._take():
                log = self._write(log, batch)
        finally:
            if log:
                log.close()
            self._call_soon(self._ended.set_result, None)

    def _open(self) -> NotificationLog:
        log = self._open_log()
        self._file = self._identity()
        return log

    def _identity(self) -> tuple[int, int] | None:
        """Return the identity of the file at the path. SQLite would go on writing to a file that was removed or replaced, which no task reads."""
        if not self._path:
            return None
        try:
            info = os.stat(self._path)
        except OSError:
            return None
        return info.st_dev, info.st_ino

    def _take(self) -> list[Post]:
        """Return the next POST and all others that wait; an empty list when the source stops and none waits."""
        batch: list[Post] = []
        count = 0
        while count < BATCH:
            try:
                post = self._posts.get(block=not batch)
            except queue.Empty:
                break
            if post is None:
                if not batch:
                    break
                self._posts.put(None)
                break
            batch.append(post)
            count += len(post.items)
        return batch

    def _write(self, log: NotificationLog | None, batch: list[Post]) -> NotificationLog | None:
        """Write a batch, and repeat it until it succeeds. Each attempt shows whether the journal can be written again, and a repeated notification counts once.

        From the second attempt on, each POST is written alone, including those that have come meanwhile. If any succeeds, those that fail are discarded.
        """
        parts = [batch]
        while True:
            try:
                if log and (any(post.is_check for post in batch) or self._file != self._identity()):
                    log.close()
                    log = None
                log = log or self._open()
                return self._write_parts(log, parts, batch)
            except VccError as exc:
                reason = str(exc)
            except Exception as exc:  # after any error, nothing is recorded
                reason = f"The journal cannot be used ({type(exc).__name__})."
            if log:
                log.close()
                log = None
            self._call_soon(self._on_failure, batch, reason)
            if self._stopping.wait(RETRY_AFTER):
                return None
            self._take_waiting(batch)
            parts = [[post] for post in batch]

    def _take_waiting(self, batch: list[Post]) -> None:
        """Add the POSTs that have come meanwhile."""
        with contextlib.suppress(queue.Empty):
            while True:
                post = self._posts.get_nowait()
                if post is None:
                    self._posts.put(None)
                    return
                batch.append(post)

    def _write_parts(self, log: NotificationLog, parts: list[list[Post]], batch: list[Post]) -> NotificationLog:
        """Write parts of a batch, in a transaction each, and return the open journal.

        Raises the error of a part if nothing new was written, or if the journal cannot be opened again. New notifications that are already written leave the
        batch with their events, because the journal would not report them as new again.
        """
        done: list[tuple[list[Post], dict[str, Change]]] = []
        failed: list[tuple[list[Post], Exception]] = []
        try:
            for part in parts:
                notifications = [item.notification for post in part for item in post.items if item.notification]
                try:
                    done.append((part, log.record_by_id(notifications)))
                except Exception as exc:
                    failed.append((part, exc))
                    log.close()
                    log = self._open()
            if failed and not any(changes for dummy, changes in done):
                log.close()
                raise failed[-1][1]
        except Exception:
            for part, changes in ((part, changes) for part, changes in done if changes):
                batch[:] = [post for post in batch if post not in part]
                self._call_soon(self._on_written, part, changes)
            raise
        for part, changes in done:
            self._call_soon(self._on_written, part, changes)
        for part, error in failed:
            self._call_soon(self._discard, part, str(error))
        return log

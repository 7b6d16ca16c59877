# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the progress of a task that runs in a worker of Ansible."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import signal
import threading
import time
import types
import typing as t

from ansible.utils.display import Display

from ansible_collections.vonage.vcc.plugins.module_utils._interactions.progress import Progress, pauses

# The signals with which Ansible, a terminal or a process manager interrupts a worker.
SIGNALS = (signal.SIGINT, signal.SIGTERM)

# Seconds to wait for a line in progress, for standard error to accept the last line, and between checks for the controller.
WAIT_SECONDS = 1.0


def _duplicate_stderr() -> int | None:
    try:
        return os.dup(2)
    except OSError:
        return None


# The controller imports this file before it forks a worker. A worker needs this copy for its last line: since ansible-core 2.19 it has no standard
# error of its own, and an interrupted controller no longer shows its lines.
_STDERR = _duplicate_stderr()


class ProgressDisplay:
    """A context in which a task shows its progress: on standard error, so that the output of a callback such as JSON stays whole.

    A thread shows the lines through Ansible's display, which hands them to the controller. It only reads ``progress``.
    If a signal or an exception of Ansible interrupts the task, the last line says how far it is. Then the previous handler of the signal runs.

    :param name: the beginning of each line.
    """

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._name = name
        self._display = Display()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._is_interrupted = False
        self._handlers: dict[int, t.Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if handler not in (None, signal.SIG_IGN):
                    self._handlers[number] = handler
                    signal.signal(number, self._on_signal)
        threading.Thread(target=self._show_lines, name="vcc-progress", daemon=True).start()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: types.TracebackType | None
    ) -> None:
        # In this order, because the handler of a signal during _end would wait for a lock of this thread.
        self._restore_handlers()
        self._end()
        if exc and not isinstance(exc, Exception) and not self._is_interrupted:
            # After the timeout of a task, the controller still shows lines. After Ctrl+C it does not.
            show = self._write if isinstance(exc, KeyboardInterrupt) else self._show
            show(self._progress.last_line())

    def _show_lines(self) -> None:
        """Show lines until the task ends."""
        for pause in pauses():
            if self._has_ended(pause):
                return
            with self._lock:
                if not self._ended.is_set():
                    self._show(self._progress.line())

    def _has_ended(self, seconds: float) -> bool:
        """Wait for some seconds, and return whether the task has ended. Interrupt the task if its controller has ended.

        SIGKILL ends only the controller, and so does SIGTERM before ansible-core 2.19. The worker would go on unseen.
        """
        parent = multiprocessing.parent_process()
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._ended.wait(min(left, WAIT_SECONDS)):
                return True
            if parent and os.getppid() != parent.pid:
                os.kill(os.getpid(), signal.SIGTERM)
                return True
        return self._ended.is_set()

    def _show(self, line: str) -> None:
        with contextlib.suppress(OSError):  # the controller is gone
            self._display.display(f"{self._name}: {line}.", stderr=True)

    def _write(self, line: str) -> None:
        """Write a line directly to standard error, unless it blocks."""
        if _STDERR is None:
            return
        with contextlib.suppress(OSError):
            poll = select.poll()
            poll.register(_STDERR, select.POLLOUT)
            if poll.poll(WAIT_SECONDS * 1000):
                os.write(_STDERR, f"{self._name}: {line}.\n".encode())

    def _on_signal(self, number: int, frame: types.FrameType | None) -> None:
        """Show the last line, and run the previous handler of the signal."""
        for each in self._handlers:
            signal.signal(each, signal.SIG_IGN)  # a second signal would cut the line off
        self._is_interrupted = True
        self._end()
        self._write(self._progress.last_line())
        handler = self._handlers[number]
        self._restore_handlers()
        if callable(handler):
            handler(number, frame)
        else:
            os.kill(os.getpid(), number)

    def _end(self) -> None:
        """Show no more lines. Wait for a line in progress, because the result must follow it, and it must not leave the queue to the controller locked."""
        self._ended.set()
        if self._lock.acquire(timeout=WAIT_SECONDS):
            self._lock.release()

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

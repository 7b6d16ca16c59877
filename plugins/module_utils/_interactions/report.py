# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a task: a file with every outcome."""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from .._journal.store import Run
from .._outputs import REPORT, open_output, unwritable
from .._text import isoformat_utc, shown

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Report:
    """A file with a line of JSON for every outcome, written as calls end. Without a path, it writes nothing.

    :param dry_run: whether to check only that the file can be written.
    :param run: the run of the outcomes.
    :ivar problem: why the file is not complete; empty if it is.
    Raises InputError for a link, a device, a pipe and the file of another user, and for a file that is not a report.
    """

    def __init__(self, path: str | None, dry_run: bool = False, run: Run | None = None) -> None:
        self.problem = ""
        self._run = run
        self.path = None if dry_run else path
        self._file: t.TextIO | None = None
        if not path:
            return
        handle = open_output(REPORT, path, dry_run)
        if handle is None:
            return
        if dry_run:
            os.close(handle)
            return
        self._file = os.fdopen(handle, "w", buffering=1, encoding="utf-8")
        try:
            os.ftruncate(handle, 0)
        except OSError as exc:
            self._file.close()
            raise unwritable(REPORT, path, exc.strerror) from None

    def ending(self, at: float) -> str:
        """Return the end of each line of an outcome: the fields that all its lines share, encoded once.

        :param at: when the outcome was known, in seconds since the epoch.
        """
        if not (self._file and self._run):
            return "}"
        common = {
            "at": isoformat_utc(at),
            "run_id": self._run.run_id,
            "reason": self._run.reason,
            "job_id": self._run.job_id,
        }
        return f",{_encode(common)[1:]}"

    def write(self, entry: dict[str, t.Any], ending: str) -> None:
        """Write a line. If that fails, set ``problem``, and write no more."""
        if self._file:
            try:
                self._file.write(f"{_encode(entry)[:-1]}{ending}\n")
            except OSError as exc:
                self._fail(exc)

    def close(self) -> None:
        """Close the file. If that fails, set ``problem``."""
        if self._file:
            try:
                self._file.close()
            except OSError as exc:
                self._fail(exc)

    def _fail(self, exc: OSError) -> None:
        file, self._file = self._file, None
        if file:
            with contextlib.suppress(OSError):
                file.close()
        self.problem = f"The report {shown(self.path or '')} is not complete ({exc.strerror}); the summary and the journal are complete."

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a task: every outcome, in a file."""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from .errors import InputError

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Report:
    """Every outcome as a line of JSON in a file, as the work goes on. Without a path, nothing."""

    def __init__(self, path: str | None) -> None:
        self.problem = ""
        self.path = path
        self._file: t.TextIO | None = None
        if not path:
            return
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(handle, "w", buffering=1, encoding="utf-8")
        except OSError as exc:
            raise InputError(
                f"report {path} cannot be written on the host that runs the task ({exc.strerror})."
            ) from None

    def write(self, entry: dict[str, t.Any]) -> None:
        self._attempt(lambda file: file.write(_encode(entry) + "\n"))

    def close(self) -> None:
        self._attempt(lambda file: file.close())

    def _attempt(self, act: t.Callable[[t.TextIO], t.Any]) -> None:
        if self._file is None:
            return
        try:
            act(self._file)
        except OSError as exc:
            file, self._file = self._file, None
            with contextlib.suppress(OSError):
                file.close()
            self.problem = f"The report {self.path} is not complete ({exc.strerror}): the result and the journal are."

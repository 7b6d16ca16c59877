# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a task: a file with every outcome."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import typing as t

from .._errors import InputError
from .._files import check_file
from .._text import shown

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

# The bytes within which the first line of a report ends.
LONGEST_LINE = 64 * 1024


class Report:
    """A file with a line of JSON for every outcome, written as calls end. Without a path, nothing.

    :param dry_run: whether to only check that the file can be written.
    Raises InputError for a link, a device, a pipe and the file of another user, and for a file that is not a report.
    """

    def __init__(self, path: str | None, dry_run: bool = False) -> None:
        self.problem = ""
        self.path = None if dry_run else path
        self._file: t.TextIO | None = None
        if not path:
            return
        try:
            if dry_run and not os.path.lexists(path):
                check_file(path)
                return
            handle = _opened(path, dry_run)
            if dry_run:
                os.close(handle)
            else:
                self._file = os.fdopen(handle, "w", buffering=1, encoding="utf-8")
        except OSError as exc:
            raise _unwritable(path, exc.strerror) from None

    def write(self, entry: dict[str, t.Any]) -> None:
        """Write a line. If that fails, write no more, and have the reason in ``problem``."""
        if self._file:
            try:
                self._file.write(_encode(entry) + "\n")
            except OSError as exc:
                self._fail(exc)

    def close(self) -> None:
        """Close the file. If that fails, have the reason in ``problem``."""
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
        self.problem = (
            f"The report {shown(self.path or '')} is not complete ({exc.strerror}): the summary and the journal are."
        )


def _opened(path: str, dry_run: bool) -> int:
    """Open the file of a report, and empty it unless ``dry_run`` is true. Raises OSError or InputError."""
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    if not dry_run:
        with contextlib.suppress(FileExistsError):
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    # The check comes before the file is opened, because that starts some devices and waits for the reader of a pipe.
    _check(path, os.lstat(path))
    handle = os.open(path, flags ^ os.O_WRONLY | os.O_RDWR)
    try:
        info = os.fstat(handle)
        _check(path, info)
        if not _is_report(os.pread(handle, LONGEST_LINE, 0)):
            raise _unwritable(
                path,
                "it is a file, but no report of this collection, and would be replaced",
                "set report to another path",
            )
        if not dry_run:
            if stat.S_IMODE(info.st_mode) != 0o600:
                with contextlib.suppress(PermissionError):  # from a file system without modes
                    os.fchmod(handle, 0o600)
            os.ftruncate(handle, 0)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _is_report(begin: bytes) -> bool:
    """Return whether a file with this beginning is empty or an earlier report. Its first line may be cut off."""
    line, whole, dummy = begin.partition(b"\n")
    return not begin or (begin.startswith(b'{"external_id":') and (b'"evidence":' in line or not whole))


def _check(path: str, info: os.stat_result) -> None:
    """Raise InputError unless the file is a regular file of this user's, with one name."""
    if stat.S_ISLNK(info.st_mode):
        raise _unwritable(path, "it is a symbolic link", "set report to the file itself")
    if not stat.S_ISREG(info.st_mode):
        raise _unwritable(path, "it is no regular file", "set report to a file, or leave it out")
    if info.st_uid != os.geteuid():
        raise _unwritable(path, "it belongs to another user", "remove it, or set report to another file")
    if info.st_nlink > 1:
        raise _unwritable(path, "it has another name, a hard link", "remove it, or set report to another file")


def _unwritable(path: str, why: str | None, remedy: str = "") -> InputError:
    advice = f": {remedy}" if remedy else ""
    return InputError(
        f"report {shown(path)} cannot be written on the host that runs the task ({why or 'unknown error'}){advice}."
    )

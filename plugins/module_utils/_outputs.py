# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of JSON lines that a task writes. They replace only an empty file or an earlier one of the same kind."""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from ._errors import InputError
from ._files import check_file
from ._text import shown

# The maximum length of the first line of a file that this collection wrote, in bytes.
LONGEST_LINE = 64 * 1024


class Output(t.NamedTuple):
    """An option that names a file to write.

    :param option: the name of the option, and of the kind of file.
    :param key: a key in the first line of such a file and of no other kind.
    """

    option: str
    key: str


REPORT = Output("report", "evidence")

EXPORT = Output("export", "api_url")


def open_output(output: Output, path: str, dry_run: bool = False) -> int | None:
    """Open a file to write, make it private, and keep its content. Return its descriptor; None for a missing file with ``dry_run``.

    :param dry_run: whether to check only that it can be written; then the descriptor is for reading.
    Raises InputError for a link, a device, a pipe and the file of another user, and for a file with other content.
    """
    try:
        if dry_run and not os.path.lexists(path):
            check_file(path)
            return None
        return _open(output, path, dry_run)
    except OSError as exc:
        raise unwritable(output, path, exc.strerror) from None


def _open(output: Output, path: str, dry_run: bool) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    if not dry_run:
        with contextlib.suppress(FileExistsError):
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    # Check before opening, because opening starts some devices and waits for the reader of a pipe.
    _check(output, path, os.lstat(path))
    handle = os.open(path, flags)
    try:
        info = os.fstat(handle)
        _check(output, path, info)
        if not _is_earlier(output, os.pread(handle, LONGEST_LINE, 0)):
            why = "it already has other content, which the task does not replace"
            raise unwritable(output, path, why, f"set {output.option} to another path")
        if not dry_run and stat.S_IMODE(info.st_mode) != 0o600:
            with contextlib.suppress(PermissionError):  # from a file system without modes
                os.fchmod(handle, 0o600)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _is_earlier(output: Output, begin: bytes) -> bool:
    """Return whether a file with this beginning is empty or an earlier file of the same kind. Its first line may be cut off."""
    line, whole, dummy = begin.partition(b"\n")
    return not begin or (begin.startswith(b'{"external_id":') and (f'"{output.key}":'.encode() in line or not whole))


def _check(output: Output, path: str, info: os.stat_result) -> None:
    """Raise InputError unless the file is a regular file of this user, with one name."""
    option = output.option
    if stat.S_ISLNK(info.st_mode):
        raise unwritable(output, path, "it is a symbolic link", f"set {option} to the file itself")
    if not stat.S_ISREG(info.st_mode):
        raise unwritable(output, path, "it is not a regular file", f"set {option} to a file, or leave it out")
    if info.st_uid != os.geteuid():
        raise unwritable(output, path, "it belongs to another user", f"remove it, or set {option} to another file")
    if info.st_nlink > 1:
        raise unwritable(
            output, path, "it has a second hard link", f"remove that link, or set {option} to another file"
        )


def unwritable(output: Output, path: str, why: str | None, remedy: str = "") -> InputError:
    """Return the error of a file that cannot be written."""
    advice = f": {remedy}" if remedy else ""
    return InputError(
        f"{output.option} {shown(path)} cannot be written on the host that runs the task ({why or 'unknown error'}){advice}."
    )

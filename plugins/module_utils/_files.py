# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private files and folders, and checks of who may have written a file."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat


def make_folder_for(path: str, shared: bool = False) -> None:
    """Create the folder of a file, and missing folders above it, for the owner only (mode 0700). Raises OSError.

    :param shared: create them for the group too if the folder above them is shared with the group.
    """
    folder = os.path.dirname(os.path.abspath(path))
    mask = 0o007 if shared and is_shared(_existing(folder)) else 0o077
    before = os.umask(mask)
    try:
        os.makedirs(folder, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None
    finally:
        os.umask(before)


def check_folder_for(path: str) -> None:
    """Raise the OSError that creating a file and its folders would raise. Create nothing."""
    _check_folder(_existing(os.path.dirname(os.path.abspath(path))), path)


def check_file(path: str) -> None:
    """Raise the OSError that creating a file in an existing folder would raise. Create nothing."""
    folder = os.path.dirname(os.path.abspath(path))
    os.stat(folder)
    _check_folder(folder, path)


def _check_folder(folder: str, path: str) -> None:
    if not os.path.isdir(folder):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def _existing(folder: str) -> str:
    """Return the folder, or the nearest existing folder above it."""
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return folder


def is_shared(folder: str) -> bool:
    """Return whether a folder is shared with a group: the group owns new files in it, and only the owner and the group may write to it.

    A process of group 0 needs no setgid bit in a folder of group 0, because its files belong to that group. Containers of OpenShift run in group 0.
    """
    info = os.stat(folder)
    given = info.st_mode & stat.S_ISGID or info.st_gid == 0 == os.getegid()
    return bool(given and info.st_mode & stat.S_IWGRP and not info.st_mode & stat.S_IWOTH)


def untrusted_reason(path: str) -> str:
    """Return why other users may have written an existing file, or an empty text if they cannot. Raises OSError.

    A file of another user is trusted if the file and its folder are shared with a group of this process.
    """
    info = os.lstat(path)
    if stat.S_ISLNK(info.st_mode):
        return "is a symbolic link"
    if not stat.S_ISREG(info.st_mode):
        return "is not a regular file"
    if info.st_mode & stat.S_IWOTH:
        return "can be written by every user"
    if info.st_uid in (os.geteuid(), 0):
        return ""
    folder = os.stat(os.path.dirname(os.path.abspath(path)))
    shared = (
        info.st_mode & stat.S_IWGRP
        and info.st_gid in (os.getegid(), *os.getgroups())
        and folder.st_gid == info.st_gid
        and folder.st_mode & stat.S_IWGRP
        and not folder.st_mode & stat.S_IWOTH
    )
    return "" if shared else f"belongs to the user {_name_of(info.st_uid)}"


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except (KeyError, OSError):
        return str(user)


def make_file(path: str) -> None:
    """Create a missing file for its owner only (mode 0600); in a folder that is shared with a group, for the group too (mode 0660)."""
    shared = is_shared(os.path.dirname(os.path.abspath(path)))
    before = os.umask(0o117 if shared else 0o177)
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660))
    finally:
        os.umask(before)

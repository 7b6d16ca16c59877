# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of tokens that tasks and forks share."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import tempfile
import time
import typing as t

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

from .._errors import InputError
from .._files import holders, make_folder_for

# Seconds to wait for another process that asks for a token: longer than such a call takes with the default timeout and retries.
LOCK_PATIENCE = 300

# Seconds between two looks at the lock.
LOCK_POLL = 0.02

# No cache has as many bytes.
LARGEST_CACHE = 16 * 1024 * 1024

# What an entry of the cache has, and the key of one.
FIELDS = {"access_token", "renew_at", "expires_at"}

_KEY = re.compile(r"[0-9a-f]{64}")


class TokenCache:
    """Tokens in a file that only its owner can read, shared by tasks and safe under parallel forks.

    The file is a JSON object C({key: {"access_token", "renew_at", "expires_at"}}), the times in seconds of the epoch. It is replaced
    as a whole, never written in place; a file beside it (C(PATH.lock)) is locked meanwhile, so that of many forks one asks for the token.
    A file that is anything else is somebody's, and is refused.

    :arg patience: seconds to wait for the lock.
    """

    def __init__(self, path: str, patience: float = LOCK_PATIENCE) -> None:
        self.path = path
        self._patience = patience

    def check(self) -> None:
        """Raise InputError for a file that is not to be replaced or believed. Writes nothing."""
        self._read()

    @contextlib.contextmanager
    def locked(self) -> t.Iterator[dict[str, t.Any]]:
        """Yield the entries, to be changed in place; what was changed is written at the end. Raises InputError."""
        lock = self._open_lock()
        try:
            self._wait_for(lock)
            entries = self._read()
            before = json.dumps(entries)
            try:
                yield entries
            finally:
                after = json.dumps(entries)
                if after != before:
                    self._write(after)
        finally:
            os.close(lock)

    def _open_lock(self) -> int:
        path = self.path + ".lock"
        try:
            make_folder_for(path)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            lock = os.open(path, flags, 0o600)
        except OSError as exc:
            raise self._unusable(f"{path} is a symbolic link" if os.path.islink(path) else exc.strerror) from None
        info = os.fstat(lock)
        why = (
            "is not a regular file"
            if not stat.S_ISREG(info.st_mode)
            else "belongs to another user"
            if info.st_uid != os.geteuid()
            else "is not empty, so not the lock that it has to be"
            if info.st_size
            else ""
        )
        if why:
            os.close(lock)
            raise self._unusable(f"{path} {why}")
        return lock

    def _wait_for(self, lock: int) -> None:
        if fcntl is None:
            return
        deadline = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    break
                time.sleep(LOCK_POLL)
            except OSError as exc:
                raise InputError(
                    f"The token cache {self.path} cannot be used (its file system locks no files: {exc.strerror}): put token_cache on a local"
                    " disk, or leave it out."
                ) from None
        found = holders(self.path + ".lock")
        raise InputError(
            f"The token cache {self.path} cannot be used ({found or 'another process'} has held {self.path}.lock for {self._patience:g} seconds):"
            f" let that process go on or end it{'' if found else '; fuser names it'}."
        )

    def _read(self) -> dict[str, t.Any]:
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise self._unusable("it is a symbolic link" if os.path.islink(self.path) else exc.strerror) from None
        try:
            info = os.fstat(handle)
            if not stat.S_ISREG(info.st_mode):
                raise self._unusable("it is not a regular file")
            if info.st_uid != os.geteuid():
                raise self._unusable("it belongs to another user")
            with os.fdopen(handle, "rb", closefd=False) as file:
                content = file.read(LARGEST_CACHE)
        except OSError as exc:
            raise self._unusable(exc.strerror) from None
        finally:
            os.close(handle)
        entries = self._entries(content)
        return {} if info.st_mode & 0o022 else entries  # others could have put their token there

    def _entries(self, content: bytes) -> dict[str, t.Any]:
        """What is in the file. Raises InputError for a file that this collection has not written."""
        if not content:
            return {}
        try:
            entries = json.loads(content)
        except (ValueError, RecursionError):
            entries = None
        if isinstance(entries, dict) and all(
            _KEY.fullmatch(key) and isinstance(entry, dict) and entry.keys() >= FIELDS for key, entry in entries.items()
        ):
            return entries
        raise InputError(
            f"The token cache {self.path} cannot be used (it is a file, but no token cache of this collection, and would be replaced):"
            " set token_cache to another path, or remove the file if nobody needs it."
        )

    def _write(self, text: str) -> None:
        try:
            handle, temporary = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(self.path)))  # mode 0600
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                os.replace(temporary, self.path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as exc:
            raise self._unusable(exc.strerror) from None

    def _unusable(self, why: str | None) -> InputError:
        return InputError(
            f"The token cache {self.path} cannot be used ({why or 'unknown error'}): point token_cache at a file of your own in a"
            " folder of your own, or leave it out."
        )

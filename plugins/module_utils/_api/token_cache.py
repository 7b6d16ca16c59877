# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The token cache: a file of tokens that tasks and forks share."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import stat
import tempfile
import time
import typing as t

from .._errors import InputError
from .._files import make_folder_for
from .._locks import holders, waiting_advice

# Seconds to wait for the lock: longer than another process needs for a token with the default timeout and retries.
LOCK_TIMEOUT = 300

# Seconds between two attempts to lock.
LOCK_POLL_INTERVAL = 0.02

# The maximum number of bytes of a cache.
MAX_CACHE_SIZE = 16 * 1024 * 1024

# The fields that each entry must have, and the form of its key.
ENTRY_FIELDS = {"access_token", "renew_at", "expires_at"}

_KEY = re.compile(r"[0-9a-f]{64}")


class TokenCache:
    """Tokens in a file that only its owner can read. Tasks and parallel forks can share it.

    The file is a JSON object ``{KEY: {"access_token", "renew_at", "expires_at"}}``, with times in seconds since the epoch. Each change replaces
    the whole file. Meanwhile the process holds the lock of a second file, ``PATH.lock``, so that only one of many forks requests a token.
    A file with any other contents belongs to the user, so the cache refuses it.

    :param path: the path of the file.
    :param lock_timeout: the seconds to wait for the lock.
    """

    def __init__(self, path: str, lock_timeout: float = LOCK_TIMEOUT) -> None:
        self.path = path
        self._lock_timeout = lock_timeout

    def check(self) -> None:
        """Raise InputError for a file that the cache must not replace or trust. Write nothing."""
        self._read()

    @contextlib.contextmanager
    def locked(self) -> t.Iterator[dict[str, t.Any]]:
        """Lock the file and yield its entries by key; write the changes that the caller made to them. Raises InputError."""
        lock = self._open_lock()
        try:
            self._acquire(lock)
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
        """Open the lock file, and create it and its folder if they are missing; return its descriptor. Raises InputError."""
        path = self.path + ".lock"
        try:
            make_folder_for(path)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            lock = os.open(path, flags, 0o600)
        except OSError as exc:
            raise self._unusable(f"{path} is a symbolic link" if os.path.islink(path) else exc.strerror) from None
        info = os.fstat(lock)
        reason = (
            "is not a regular file"
            if not stat.S_ISREG(info.st_mode)
            else "belongs to another user"
            if info.st_uid != os.geteuid()
            else "is not empty, so it is not a lock file"
            if info.st_size
            else ""
        )
        if reason:
            os.close(lock)
            raise self._unusable(f"{path} {reason}")
        return lock

    def _acquire(self, lock: int) -> None:
        """Wait for the lock. Raises InputError after the timeout, and for a file system without locks."""
        deadline = time.monotonic() + self._lock_timeout
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    break
                time.sleep(LOCK_POLL_INTERVAL)
            except OSError as exc:
                raise InputError(
                    f"The token cache {self.path} cannot be used (its file system does not support locks: {exc.strerror}): put token_cache on a local"
                    " disk, or leave it out."
                ) from None
        found = holders(self.path + ".lock")
        raise InputError(
            f"The token cache {self.path} cannot be used ({found or 'another process'} has held {self.path}.lock for {self._lock_timeout:g} seconds):"
            f" {waiting_advice(found)}."
        )

    def _read(self) -> dict[str, t.Any]:
        """Return the entries of the file; none if it is missing or other users can write to it. Raises InputError."""
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
                content = file.read(MAX_CACHE_SIZE)
        except OSError as exc:
            raise self._unusable(exc.strerror) from None
        finally:
            os.close(handle)
        entries = self._parse(content)
        return {} if info.st_mode & 0o022 else entries  # another user could have written the tokens

    def _parse(self, content: bytes) -> dict[str, t.Any]:
        """Return the entries in the contents of the file. Raises InputError if they are not those of a token cache."""
        if not content:
            return {}
        try:
            entries = json.loads(content)
        except (ValueError, RecursionError):
            entries = None
        if isinstance(entries, dict) and all(
            _KEY.fullmatch(key) and isinstance(entry, dict) and entry.keys() >= ENTRY_FIELDS
            for key, entry in entries.items()
        ):
            return entries
        raise InputError(
            f"The token cache {self.path} cannot be used (it is not a token cache of this collection, and the task does not replace it):"
            " set token_cache to another path, or remove the file if nobody needs it."
        )

    def _write(self, text: str) -> None:
        """Replace the file in one step, readable by its owner only. Raises InputError."""
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

    def _unusable(self, reason: str | None) -> InputError:
        """Return the error for a file that the cache cannot use."""
        return InputError(
            f"The token cache {self.path} cannot be used ({reason or 'unknown error'}): set token_cache to your own file in your own"
            " folder, or leave it out."
        )

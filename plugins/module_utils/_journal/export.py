# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The export of a journal: a file with a line of JSON for every entry."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import typing as t

from .._outputs import EXPORT, open_output, unwritable
from .store import CHUNK

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

# Bytes that one read of an earlier export returns.
_READ_SIZE = 1024 * 1024


class Export:
    """A file of entries, which is opened at once and written later.

    :param dry_run: write nothing; only say whether that would change the file.
    :ivar count: how many entries it has.
    :ivar changed: whether it was missing, or had other content.
    :ivar had_entries: whether it is an earlier export that is not empty.
    Raises InputError for a file that cannot be written.
    """

    def __init__(self, path: str, dry_run: bool = False) -> None:
        self.count = 0
        self.changed = False
        self._path = path
        self._dry_run = dry_run
        is_new = not os.path.lexists(path)
        self._handle = open_output(EXPORT, path, dry_run)
        self.had_entries = self._handle is not None and os.fstat(self._handle).st_size > 0
        self._before = None if is_new or self._handle is None else self._digest(self._handle)

    def close(self) -> None:
        """Close the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def write(self, entries: t.Iterator[dict[str, t.Any]]) -> None:
        """Replace the content of the file with entries. Raises InputError if that fails; the file then has only a part of them."""
        self.count = 0
        digest = hashlib.sha256()
        try:
            if not self._dry_run:
                os.ftruncate(t.cast(int, self._handle), 0)
                os.lseek(t.cast(int, self._handle), 0, os.SEEK_SET)
            while chunk := list(itertools.islice(entries, CHUNK)):
                text = "".join(f"{_encode(entry)}\n" for entry in chunk).encode()
                digest.update(text)
                self.count += len(chunk)
                if not self._dry_run:
                    self._write(text)
        except OSError as exc:
            raise unwritable(EXPORT, self._path, exc.strerror) from None
        self.changed = self._before != digest.digest()

    def _write(self, text: bytes) -> None:
        left = memoryview(text)
        while left:
            left = left[os.write(t.cast(int, self._handle), left) :]

    @staticmethod
    def _digest(handle: int) -> bytes:
        digest = hashlib.sha256()
        while part := os.read(handle, _READ_SIZE):
            digest.update(part)
        return digest.digest()

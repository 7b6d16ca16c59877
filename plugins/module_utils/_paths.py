# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the options that name files."""

from __future__ import annotations

import os
import typing as t
import unicodedata

from ._errors import InputError
from ._location import is_url

# The options that name a file on the host that runs the task.
PATHS = ("src", "report", "journal", "token_cache", "ca_path", "import_from", "export")

# The maximum length of a path in bytes, including the null byte at its end.
PATH_MAX = 4096

# The options that name a file to write, with the suffixes of the files that belong to it.
WRITTEN = {"report": (), "export": (), "journal": ("-wal", "-shm", "-journal"), "token_cache": (".lock",)}


def check_paths(params: t.Mapping[str, t.Any]) -> None:
    """Raise InputError for an option of ``PATHS`` that cannot be a path, or that names the same file as another option."""
    paths = {name: params.get(name) for name in PATHS}
    if is_url(paths["journal"] or ""):
        paths["journal"] = None
    for name in PATHS:
        path = paths[name] or ""
        try:
            os.fsencode(path)
        except ValueError:
            raise InputError(f"{name} is not valid Unicode: write the path in UTF-8.") from None
        if "\0" in path:
            raise InputError(f"{name} has a character that no path can have: remove it.")
        if len(os.fsencode(path)) >= PATH_MAX:
            raise InputError(f"{name} is longer than a path can be: check it.")
    check_distinct(paths)


def check_distinct(paths: t.Mapping[str, str | None]) -> None:
    """Raise InputError if two options name the same file, even by different paths, and the task writes it.

    :param paths: the paths by the names of the options.
    """
    found: dict[t.Any, tuple[str, str]] = {}
    for name in (*WRITTEN, *(name for name in paths if name not in WRITTEN)):
        path = paths.get(name)
        for ending in ("", *WRITTEN.get(name, ())) if path else ():
            file = f"{path}{ending}"
            other, its_file = found.setdefault(_identity(file), (name, file))
            if other == name or not {name, other} & WRITTEN.keys():
                continue
            which = other if its_file == paths[other] else f"{its_file}, which belongs to {other},"
            is_also = name if file == path else f"{file}, which belongs to {name}"
            raise InputError(f"{which} is the same file as {is_also}: set each option to a different file.")


def _identity(path: str) -> t.Any:
    """Return a value that is the same for all paths of a file, despite links and mounts, and for a missing file despite capitals."""
    path = os.path.realpath(path)
    missing: list[str] = []
    while True:
        try:
            info = os.stat(path)
        except OSError:
            path, name = os.path.split(path)
            if name:
                missing.append(unicodedata.normalize("NFC", name).casefold())
                continue
            return tuple(missing)
        return info.st_dev, info.st_ino, tuple(missing)

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create a journal before a task needs it, and let roles use it."""

from __future__ import annotations

import contextlib
import typing as t

from .._errors import InputError
from .._location import is_url
from .backends import open_store
from .store import SetUp


def set_up(journal: str, roles: t.Sequence[str] = (), dry_run: bool = False) -> SetUp:
    """Create a missing journal, bring it to this version, and let roles read and write it. Raises InputError and JournalError.

    :param journal: the path of a file or the URL of a database.
    :param roles: roles of the database.
    """
    if roles and not is_url(journal):
        raise InputError("grant_to names roles of a database, but journal is a file: leave grant_to out.")
    with contextlib.closing(open_store(journal, None, dry_run)) as store:
        return store.set_up(list(roles), dry_run)

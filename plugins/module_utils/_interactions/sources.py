# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source of a task: the options, or the file, that name its interactions."""

from __future__ import annotations

import typing as t

from .._journal.entry import Entry
from .._validation import check_id
from .._words import Action
from .entries import check_request_id, entry_of_option
from .source_files import read_file


class Source(t.NamedTuple):
    """The interactions that a task names, in one of ``external_id``, ``external_ids``, ``interactions`` and ``path``.

    :param action: the action that the task asks for, on which the checks depend.
    :param request_id: the request id of ``external_id``.
    :param file_format: the format of the file at ``path``; "auto" for that of its extension.
    """

    action: Action
    external_id: str | None = None
    request_id: str | None = None
    external_ids: t.Sequence[t.Any] | None = None
    interactions: t.Sequence[t.Mapping[str, t.Any]] | None = None
    path: str | None = None
    file_format: str = "auto"

    @property
    def nameless(self) -> int:
        """The number of interactions without an external id, which only a dispatch can have."""
        return sum(interaction["external_id"] is None for interaction in self.interactions or ())

    def read(self) -> t.Iterator[Entry | list[str]]:
        """Yield an entry for each interaction in order, with duplicates. Entries with only an external id may come together, as a list of ids.

        Raises InputError, with the index or line, for an interaction that cannot exist and for a file that cannot be read.
        """
        if self.external_id is not None:
            if self.request_id is not None:
                check_request_id("request_id", self.request_id)
            yield Entry("external_id", check_id("external_id", self.external_id), self.request_id)
        elif self.external_ids is not None:
            yield [check_id(f"external_ids[{index}]", each) for index, each in enumerate(self.external_ids)]
        elif self.interactions is not None:
            for index, interaction in enumerate(self.interactions):
                yield entry_of_option(f"interactions[{index}]", interaction, self.action)
        elif self.path is not None:
            yield from read_file(self.path, self.file_format, self.action)

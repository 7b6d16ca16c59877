# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bodies of calls: interactions as VCC's JSON, and batches of them that fit into a call."""

from __future__ import annotations

import json
import typing as t

from .._errors import InputError
from .._journal.entry import Entry
from .._journal.rules import Interaction
from .._words import Action

# The longest linked_data and routing_data of one interaction, in bytes of JSON. With the longest ids, they still fit into a call.
MAX_DATA_LENGTH = 80_000

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

# Encodes one string as ``_encode`` does.
_quote = json.encoder.encode_basestring


class Batch(t.NamedTuple):
    """The interactions of one call, and their JSON.

    :param depth: how often the batch was split.
    :param call: the number of the call that it went with, from 1 in each task; None without a call.
    """

    interactions: list[Interaction]
    encoded: list[str]
    depth: int = 0
    call: int | None = None

    def halves(self, mixed: bool = False) -> list[Batch]:
        """Return two batches: the first and the second half, or with ``mixed`` every second interaction and the others."""
        middle = len(self.interactions) // 2
        parts = (slice(1, None, 2), slice(None, None, 2)) if mixed else (slice(None, middle), slice(middle, None))
        return [Batch(self.interactions[part], self.encoded[part], self.depth + 1) for part in parts]


class PayloadBuilder:
    """Encodes the interactions and the calls of a task.

    :param route: the route of a dispatch.
    :param data: linked_data and routing_data of interactions that have none of their own.
    :ivar common: JSON of the route and this data; empty for a release.
    Raises InputError for data that VCC cannot take.
    """

    def __init__(
        self,
        action: Action,
        provider: str | None = None,
        route: str | None = None,
        data: t.Mapping[str, t.Any] | None = None,
    ) -> None:
        self._route = route
        self._data = data or {}
        self.common = self._encode_data("", {}) if action is Action.DISPATCH else ""
        self._begin = f'{{"action":"{action}","requestid":'
        self._head = f'{{"provider":{_encode(provider)},"requests":[' if provider else '{"requests":['
        self.overhead = len(self.body([]))

    def encode_data(self, entry: Entry) -> Entry:
        """Return an entry with its own data as JSON. Raises InputError for data that VCC cannot take."""
        return entry._replace(data=self._encode_data(f"{entry.position}: ", entry.data)) if entry.data else entry

    def encode(self, interaction: Interaction) -> str:
        """Return the JSON of an interaction."""
        # An f-string takes 0.10 s for 100,000 releases, and the encoder 0.57 s.
        external_id = interaction.external_id
        name = "" if external_id is None else f',"externalid":{_quote(external_id)}'
        data = interaction.data or self.common
        rest = f",{data[1:]}" if data else "}"
        return f"{self._begin}{_quote(interaction.request_id or '')}{name}{rest}"

    def body(self, encoded: t.Iterable[str]) -> bytes:
        """Return the body of a call. Its length is ``overhead``, the lengths of the interactions, and a comma between each two."""
        return f"{self._head}{','.join(encoded)}]}}".encode()

    def _encode_data(self, prefix: str, own: t.Mapping[str, t.Any]) -> str:
        """Return the JSON of the route and of the data: of an interaction's own, or else of the task's. Raises InputError."""
        encoded = _encode(_with_vcc_names({"route": self._route, **self._data, **own}))
        try:
            size = len(encoded.encode())
        except UnicodeEncodeError:
            raise InputError(f"{prefix}linked_data or routing_data is not valid Unicode: write it in UTF-8.") from None
        if size > MAX_DATA_LENGTH:
            raise InputError(
                f"{prefix}linked_data and routing_data have {size} bytes of JSON, and one interaction may have at most {MAX_DATA_LENGTH}: shorten them."
            )
        return encoded


def _with_vcc_names(value: t.Any) -> t.Any:
    """Return the options that are set, under VCC's names."""
    if isinstance(value, dict):
        return {name.replace("_", ""): _with_vcc_names(each) for name, each in value.items() if each is not None}
    return [_with_vcc_names(each) for each in value] if isinstance(value, list) else value

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bodies of calls: VCC's own spelling of interactions, and batches that fit into a call."""

from __future__ import annotations

import json
import typing as t

from .._errors import InputError
from .._journal.journal import Interaction
from .._options import DATA_SPEC
from .outcome import ACTIONS, Action, State
from .sources import Entry, entries

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

# JSON of one string, as the encoder above writes it.
_quote = json.encoder.encode_basestring


class Batch(t.NamedTuple):
    """Interactions and their JSON, to be sent in one call."""

    interactions: list[Interaction]
    encoded: list[str]
    depth: int = 0

    def halves(self, mixed: bool = False) -> list[Batch]:
        """Two batches of the same, each with its part of the row or, mixed, with every second one of it."""
        middle = len(self.interactions) // 2
        parts = (slice(1, None, 2), slice(None, None, 2)) if mixed else (slice(None, middle), slice(middle, None))
        return [Batch(self.interactions[part], self.encoded[part], self.depth + 1) for part in parts]


class PayloadBuilder:
    """Spells a task's interactions as VCC wants them.

    :arg params: the options of vcc_interaction, validated.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self.state = State(params["state"])
        self.action = ACTIONS[self.state]
        self._begin = f'{{"action":"{self.action}","requestid":'
        self.nameless = 0
        self._params = params
        self._common = self._spell("", {}) if self.action is Action.DISPATCH else ""
        provider = params["provider"]
        self._head = f'{{"provider":{_encode(provider)},"requests":[' if provider else '{"requests":['
        self.frame = len(self.body([]))

    def entries(self) -> t.Iterator[Entry | list[str]]:
        """Yield what is asked for, as C(sources.entries) does, with what is to be sent of one alone as JSON."""
        for entry in entries(self._params):
            if isinstance(entry, list):
                yield entry
                continue
            if entry.external_id is None:
                self.nameless += 1
            yield entry._replace(data=self._spell(f"{entry.position}: ", entry.data)) if entry.data else entry

    def body(self, objects: t.Iterable[str]) -> bytes:
        """Return the body of a call; all that is not of an object or a comma between two comes to C(frame) bytes."""
        return f"{self._head}{','.join(objects)}]}}".encode()

    def object(self, one: Interaction) -> str:
        """Return an Interaction object as JSON."""
        name = "" if one.external_id is None else f',"externalid":{_quote(one.external_id)}'
        data = one.data or self._common
        more = f",{data[1:]}" if data else "}"
        return f"{self._begin}{_quote(one.request_id or '')}{name}{more}"

    def _spell(self, prefix: str, own: dict[str, t.Any]) -> str:
        """The route and the data of an interaction, or else those of the task. Raises InputError."""
        data = {name: own.get(name, self._params[name]) for name in DATA_SPEC}
        fields = _spelled({"route": self._params["route"], **data})
        encoded = _encode(fields)
        try:
            size = len(encoded.encode())
        except UnicodeEncodeError:
            raise InputError(f"{prefix}linked_data or routing_data is not valid Unicode: write it in UTF-8.") from None
        if size > MAX_DATA_LENGTH:
            raise InputError(
                f"{prefix}linked_data and routing_data come to {size} bytes; a call takes {MAX_DATA_LENGTH} of one interaction: send less."
            )
        return encoded


def _spelled(value: t.Any) -> t.Any:
    """Options in VCC's own spelling, without those that are not set."""
    if isinstance(value, dict):
        return {name.replace("_", ""): _spelled(one) for name, one in value.items() if one is not None}
    return [_spelled(one) for one in value] if isinstance(value, list) else value


# The longest linked_data and routing_data of one interaction, in bytes of JSON: with the longest ids it still fits into a call.
MAX_DATA_LENGTH = 80_000

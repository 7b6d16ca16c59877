# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest of a plan: 64 hexadecimal digits that identify the interactions left to do, so that they can be approved."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

from .._errors import InputError
from .._journal.rules import Interaction
from .._text import shown

# The version of the format. Each format has its own version, so that digests of two formats never match.
VERSION = 1

# The bytes of an item's hash, and of the sum of all.
WIDTH = 512

_FORM = re.compile(r"[0-9a-f]{64}")

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode

# Encodes one string as ``_encode`` does.
_quote = json.encoder.encode_basestring_ascii


def check_plan_digest(value: str) -> str:
    """Return a digest in lower case. Raises InputError for anything but 64 hexadecimal digits."""
    digest = value.lower()
    if not _FORM.fullmatch(digest):
        raise InputError(
            f"plan_digest must be the 64 hexadecimal digits that check mode returns, not '{shown(value, 80)}'."
        )
    return digest


class PlanDigest:
    """The digest of a plan, computed as interactions are added. Its memory does not grow with the plan.

    An item of the plan is canonical JSON: a list of the external id, the custom request id and the SHA-256 of the route and the data, each null if there is
    none. Canonical JSON is ASCII, without white space, and with its names in order. The hash of an item is the first 512 bytes of its SHAKE256. The sum of
    these hashes as numbers, modulo 2**4096, does not depend on the order of the items. The digest is the SHA-256 of three parts: the canonical JSON of the
    scope and a line feed, the number of items and a line feed, and the sum in 512 bytes, the highest first.

    The sum is this wide because the person who needs the approval may have written the list. With sums of 256 bits, that person could find another list
    with the same sum in about 2**32 steps (Wagner's algorithm for the generalized birthday problem takes 2**(2 * sqrt(bits)) steps). With 4096 bits it takes
    2**128 steps, as many as a collision of SHA-256.

    The digest never depends on a request id that the collection creates, on the journal, or on how calls are made.

    :param scope: the values that all items share, such as the API, the account, the provider and the action, as values of JSON.
    :param common: JSON of the route and the data of an item without its own; empty for a release.
    """

    def __init__(self, scope: t.Mapping[str, t.Any], common: str) -> None:
        self.count = 0
        self._sum = 0
        self._begin = hashlib.sha256(f"{_encode({'version': VERSION, **scope})}\n".encode())
        self._common = _hash_of_data(common)

    def add(self, interactions: t.Iterable[Interaction], custom_ids: t.Mapping[int, str]) -> None:
        """Add interactions of the plan.

        :param custom_ids: the custom request ids of those that have one, by ``seq``.
        """
        for each in interactions:
            self._sum += self.item(each.external_id, custom_ids.get(each.seq), each.data)
            self.count += 1

    def item(self, external_id: str | None, request_id: str | None, data: str | None) -> int:
        """Return the hash of an item as a number.

        :param request_id: its custom request id.
        :param data: JSON of its own data with the route.
        """
        name = "null" if external_id is None else _quote(external_id)
        key = "null" if request_id is None else _quote(request_id)
        item = f"[{name},{key},{_hash_of_data(data) if data else self._common}]"
        return int.from_bytes(hashlib.shake_256(item.encode()).digest(WIDTH), "big")

    def hexdigest(self, more: int = 0, count: int = 0) -> str:
        """Return the digest in 64 hexadecimal digits.

        :param more: the sum of the hashes of items to add; negative to leave items out.
        :param count: the number of these items, negative to leave them out.
        """
        total = (self._sum + more) % (1 << (8 * WIDTH))
        whole = self._begin.copy()
        whole.update(b"%d\n" % (self.count + count) + total.to_bytes(WIDTH, "big"))
        return whole.hexdigest()


def _hash_of_data(data: str) -> str:
    """Return JSON of the hash of data, which does not depend on the order of its names; null for none."""
    return f'"{hashlib.sha256(_encode(json.loads(data)).encode()).hexdigest()}"' if data else "null"

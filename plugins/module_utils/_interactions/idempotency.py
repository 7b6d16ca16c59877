# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request ids that are derived from an idempotency key, so that every run and every host sends the same ones."""

from __future__ import annotations

import hashlib


def derive_request_id(key: str, account: str, provider: str | None, action: str, external_id: str) -> str:
    """Return the request id of an interaction: the first 32 hexadecimal digits of the SHA-256 of five lines of UTF-8.

    The lines are the account, the provider, the action, the external id and the key, and each ends with a line feed. This never changes, because
    users compute the ids elsewhere, and because other versions must send the same ids.

    :param account: the option account, or else client_id; empty if neither is set.
    :param provider: None for none.
    :param action: "release" or "dispatch".
    """
    lines = (account, provider or "", action, external_id, key)
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()[:32]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An entry of the worklist."""

from __future__ import annotations

import typing as t


class Entry(t.NamedTuple):
    """An interaction that a task asks for.

    :param position: the place where the task asks for it, for messages: "external_ids[3]", "line 3" and the like.
    :param external_id: None for a dispatch without one.
    :param request_id: a custom request id, or None.
    :param data: linked data and routing data of this interaction alone, or None.
    """

    position: str
    external_id: str | None
    request_id: str | None = None
    data: t.Any = None

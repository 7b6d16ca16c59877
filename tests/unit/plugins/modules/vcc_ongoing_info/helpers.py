# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A contact centre that changes between pages, and columns of results."""

from __future__ import annotations

from urllib.parse import parse_qs

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Recorder

ONGOING = "/stats/interactions/ongoing"


class Shifting(Recorder):
    """A contact centre that calls ``happening`` after each page that is read. ``queries`` has the query of each request."""

    def __init__(self, **switches):
        self.queries = []
        self.happening = lambda page: None
        super().__init__(**switches)

    def handle(self, request, connection):
        if request.path == ONGOING:
            self.queries.append(parse_qs(request.query_string.decode()))
        return super().handle(request, connection)

    def ongoing(self, page, limit):
        answer = super().ongoing(page, limit)
        self.happening(page)
        return answer

    def release(self, *external_ids):
        self.invoke({"requests": [{"action": "release", "externalid": one} for one in external_ids]})


def names(count):
    return [f"case-{number}" for number in range(count)]


def guids(sim):
    return [item["guid"] for item in Recorder.ongoing(sim, 1, 10_000)["items"]]


def listed(result):
    return [item["guid"] for item in result["interactions"]]

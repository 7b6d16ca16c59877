# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Insights Stats endpoints: ongoing interactions, and one interaction by its GUID."""

from __future__ import annotations

import json

import pytest


def test_ongoing_is_paged(client, simulator, clock):
    simulator.dispatch(*(f"id-{number}" for number in range(7)), route="sales")
    clock.now += 5
    pages = [client.stats("ongoing", params={"page": page, "limit": 3}).json() for page in (1, 2, 3, 4)]
    assert [page["meta"] for page in pages] == [
        {"page": 1, "count": 3, "pageCount": 3, "totalCount": 7},
        {"page": 2, "count": 3, "pageCount": 3, "totalCount": 7},
        {"page": 3, "count": 1, "pageCount": 3, "totalCount": 7},
        {"page": 4, "count": 0, "pageCount": 3, "totalCount": 7},
    ]
    items = [item for page in pages for item in page["items"]]
    assert len({item["guid"] for item in items}) == 7
    assert {(item["status"], item["duration"], item["serviceName"]) for item in items} == {("Ongoing", 5, "sales")}
    assert "id-" not in json.dumps(items)


def test_interaction_is_found_by_guid(client, simulator, clock):
    simulator.dispatch("id-1")
    guid = client.stats("ongoing").json()["items"][0]["guid"]
    assert client.stats(guid).json()["channels"][0]["endReason"] is None
    clock.now += 3
    client.release("id-1")
    clock.now += 3
    ended = client.stats(guid).json()
    assert (ended["guid"], ended["duration"], ended["channels"][0]["endReason"]) == (guid, 3, "Released")
    assert client.stats("ongoing").json()["meta"]["totalCount"] == 0


def test_assigned_agent_is_listed_as_party(client, simulator, clock):
    simulator.dispatch("id-1", "id-2", provider="crm")
    clock.now += 5
    simulator.assign("id-1", provider="crm", agent_id="agent-7")
    clock.now += 2
    first, second = client.stats("ongoing").json()["items"]
    assert [channel["party"]["role"] for channel in second["channels"]] == ["Customer"]
    customer, agent = first["channels"]
    assert (customer["party"]["role"], customer["offset"], customer["duration"]) == ("Customer", 0, 7)
    assert (agent["party"]["role"], agent["party"]["id"]) == ("Agent", "agent-7")
    assert (agent["offset"], agent["duration"], agent["endReason"]) == (5, 2, None)
    simulator.assign("id-1", provider="crm")
    assert len(client.stats(first["guid"]).json()["channels"]) == 3
    client.release("id-1", provider="crm")
    channels = client.stats(first["guid"]).json()["channels"]
    assert {channel["endReason"] for channel in channels} == {"Released"}
    assert len({channel["guid"] for channel in channels}) == 3
    for external_id, provider in (("id-1", "crm"), ("id-2", None)):
        with pytest.raises(ValueError, match=external_id):
            simulator.assign(external_id, provider=provider)


def test_unknown_guid_returns_404(client):
    assert client.stats("00000000-0000-0000-0000-000000000000").status_code == 404


def test_statistics_require_their_own_version(client):
    answer = client.stats("ongoing", headers={"accept": "application/vnd.newvoicemedia.v1+json"})
    assert answer.status_code == 400


@pytest.mark.parametrize("query", [{"page": 0}, {"limit": 0}, {"page": "x"}])
def test_invalid_page_returns_400(client, query):
    assert client.stats("ongoing", params=query).status_code == 400

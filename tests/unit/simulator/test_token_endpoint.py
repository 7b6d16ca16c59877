# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The token endpoint, and the tokens that calls present."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote_plus

import pytest
import requests

from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET, SCOPES, Simulator

VALID = {
    "grant_type": "client_credentials",
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "scope": "interactions:write",
}


def without(name):
    return {key: value for key, value in VALID.items() if key != name}


def basic(client_id=CLIENT_ID, client_secret=CLIENT_SECRET):
    return {"authorization": "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()}


def test_token_endpoint_accepts_form_credentials(client):
    assert set("&+% =\"'\\€/") <= set(CLIENT_SECRET)
    answer = client.token_call()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert {**answer.json(), "access_token": ""} == {"access_token": "", "expires_in": 7200, "token_type": "Bearer"}
    client.token = answer.json()["access_token"]
    assert client.release("id-1").status_code == 200


@pytest.mark.parametrize("encode", [str, quote_plus])
def test_token_endpoint_accepts_basic_credentials(client, encode):
    form = {"grant_type": "client_credentials", "scope": "stats"}
    answer = client.token_call(data=form, headers=basic(encode(CLIENT_ID), encode(CLIENT_SECRET)))
    assert answer.status_code == 200
    client.token = answer.json()["access_token"]
    assert client.stats("ongoing").status_code == 200


@pytest.mark.parametrize(
    ("form", "headers", "status", "error"),
    [
        ({**VALID, "client_secret": "wrong"}, {}, 401, "invalid_client"),
        ({**VALID, "client_id": "nobody"}, {}, 401, "invalid_client"),
        (without("client_secret"), {}, 401, "invalid_client"),
        (without("client_id"), {}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "scope": "stats"}, basic(client_secret="wrong"), 401, "invalid_client"),
        ({"grant_type": "client_credentials", "scope": "stats"}, {"authorization": "Basic !"}, 401, "invalid_client"),
        ({**VALID, "scope": "no:such"}, {}, 400, "invalid_scope"),
        ({**VALID, "scope": "stats no:such"}, {}, 400, "invalid_scope"),
        ({**VALID, "scope": " "}, {}, 400, "invalid_scope"),
        ({**VALID, "scope": ""}, {}, 400, "invalid_scope"),
        (without("scope"), {}, 400, "invalid_scope"),
        ({**VALID, "grant_type": "password"}, {}, 400, "unsupported_grant_type"),
        (without("grant_type"), {}, 400, "invalid_request"),
        ({}, {}, 400, "invalid_request"),
        (VALID, basic(), 400, "invalid_request"),
        ({**VALID, "scope": ["stats", "stats"]}, {}, 400, "invalid_request"),
        (json.dumps(VALID), {"content-type": "application/json"}, 400, "invalid_request"),
    ],
    ids=range(17),
)
def test_token_endpoint_rejects_invalid_request(client, form, headers, status, error):
    answer = client.token_call(data=form, headers=headers)
    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert ("www-authenticate" in answer.headers) is (status == 401)


def test_client_gets_only_its_own_scopes(client, simulator):
    simulator.add_client("other", "secret", scopes=("stats",))
    form = {**VALID, "client_id": "other", "client_secret": "secret"}
    assert client.token_call(data=form).json() == {"error": "invalid_scope"}
    assert client.token_call(data={**form, "scope": "stats"}).status_code == 200
    simulator.add_client("other", "changed")
    assert client.token_call(data=form).json() == {"error": "invalid_client"}


def test_token_endpoint_grants_every_documented_scope(client):
    assert client.token_call(data={**VALID, "scope": " ".join(SCOPES)}).status_code == 200


def test_token_expires_after_two_hours(client, clock):
    client.token = client.token_call().json()["access_token"]
    clock.now += 7199
    assert client.release("id-1").status_code == 200
    clock.now += 1
    answer = client.release("id-1")
    assert (answer.status_code, answer.text, answer.headers["www-authenticate"]) == (401, "", "Bearer")


def test_token_lifetime_is_configurable(clock):
    with Simulator(clock=clock, token_lifetime=10) as simulator, requests.Session() as session:
        assert session.post(simulator.token_url, data=VALID, timeout=10).json()["expires_in"] == 10
        token = simulator.issue_token(("stats",))
        simulator.authorise(token, "stats")
        clock.now += 10
        headers = {"accept": "application/vnd.newvoicemedia.v3+json", "authorization": f"Bearer {token}"}
        assert (
            session.get(simulator.url + "/stats/interactions/ongoing", headers=headers, timeout=10).status_code == 401
        )


def test_expire_tokens_ends_every_token(client, simulator):
    simulator.expire_tokens()
    assert client.release("id-1").status_code == 401
    client.token = simulator.issue_token()
    assert client.release("id-1").status_code == 200


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Bearer wrong", "Bearer a=b", "Basic dTpw"])
def test_call_without_valid_token_returns_401(client, simulator, authorization):
    simulator.dispatch("id-1")
    assert client.release("id-1", headers={"authorization": authorization}).status_code == 401
    assert simulator.live() == ["id-1"]


def test_token_without_scope_returns_403(client, simulator):
    client.token = simulator.issue_token(("stats",))
    answer = client.release("id-1")
    assert (answer.status_code, answer.text) == (403, "")
    assert client.call("POST", "/interactions/Register", json={}).status_code == 403
    client.token = simulator.issue_token(("interactions:write",))
    assert client.stats("ongoing").status_code == 403
    assert simulator.effects == []

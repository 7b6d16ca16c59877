# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The endpoints answer as the contract says, errors included."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from urllib.parse import quote_plus

import pytest
import requests
from werkzeug.wrappers import Response

from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET, SCOPES, Simulator

GOOD = {
    "grant_type": "client_credentials",
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "scope": "interactions:write",
}


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


def basic(client_id=CLIENT_ID, client_secret=CLIENT_SECRET):
    return {"authorization": "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()}


# The token endpoint


def test_a_token_is_granted_for_form_fields(client):
    assert set("&+% =\"'\\€/") <= set(CLIENT_SECRET)
    answer = client.token_call()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert {**answer.json(), "access_token": ""} == {"access_token": "", "expires_in": 7200, "token_type": "Bearer"}
    client.token = answer.json()["access_token"]
    assert client.release("id-1").status_code == 200


@pytest.mark.parametrize("encode", [str, quote_plus])
def test_a_token_is_granted_for_basic_credentials(client, encode):
    form = {"grant_type": "client_credentials", "scope": "stats"}
    answer = client.token_call(data=form, headers=basic(encode(CLIENT_ID), encode(CLIENT_SECRET)))
    assert answer.status_code == 200
    client.token = answer.json()["access_token"]
    assert client.stats("ongoing").status_code == 200


@pytest.mark.parametrize(
    ("form", "headers", "status", "error"),
    [
        ({**GOOD, "client_secret": "wrong"}, {}, 401, "invalid_client"),
        ({**GOOD, "client_id": "nobody"}, {}, 401, "invalid_client"),
        (without("client_secret"), {}, 401, "invalid_client"),
        (without("client_id"), {}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "scope": "stats"}, basic(client_secret="wrong"), 401, "invalid_client"),
        ({"grant_type": "client_credentials", "scope": "stats"}, {"authorization": "Basic !"}, 401, "invalid_client"),
        ({**GOOD, "scope": "no:such"}, {}, 400, "invalid_scope"),
        ({**GOOD, "scope": "stats no:such"}, {}, 400, "invalid_scope"),
        ({**GOOD, "scope": " "}, {}, 400, "invalid_scope"),
        ({**GOOD, "scope": ""}, {}, 400, "invalid_scope"),
        (without("scope"), {}, 400, "invalid_scope"),
        ({**GOOD, "grant_type": "password"}, {}, 400, "unsupported_grant_type"),
        (without("grant_type"), {}, 400, "invalid_request"),
        ({}, {}, 400, "invalid_request"),
        (GOOD, basic(), 400, "invalid_request"),
        ({**GOOD, "scope": ["stats", "stats"]}, {}, 400, "invalid_request"),
        (json.dumps(GOOD), {"content-type": "application/json"}, 400, "invalid_request"),
    ],
    ids=range(17),
)
def test_a_token_is_refused(client, form, headers, status, error):
    answer = client.token_call(data=form, headers=headers)
    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert ("www-authenticate" in answer.headers) is (status == 401)


def test_a_client_has_its_own_scopes(client, sim):
    sim.add_client("other", "secret", scopes=("stats",))
    form = {**GOOD, "client_id": "other", "client_secret": "secret"}
    assert client.token_call(data=form).json() == {"error": "invalid_scope"}
    assert client.token_call(data={**form, "scope": "stats"}).status_code == 200
    sim.add_client("other", "changed")
    assert client.token_call(data=form).json() == {"error": "invalid_client"}


def test_every_documented_scope_can_be_had(client):
    assert client.token_call(data={**GOOD, "scope": " ".join(SCOPES)}).status_code == 200


# Tokens in use


def test_a_token_lasts_two_hours(client, clock):
    client.token = client.token_call().json()["access_token"]
    clock.now += 7199
    assert client.release("id-1").status_code == 200
    clock.now += 1
    answer = client.release("id-1")
    assert (answer.status_code, answer.text, answer.headers["www-authenticate"]) == (401, "", "Bearer")


def test_the_lifetime_of_tokens_can_be_set(clock):
    with Simulator(clock=clock, token_lifetime=10) as sim, requests.Session() as session:
        assert session.post(sim.token_url, data=GOOD, timeout=10).json()["expires_in"] == 10
        token = sim.issue_token(("stats",))
        sim.authorise(token, "stats")
        clock.now += 10
        headers = {"accept": "application/vnd.newvoicemedia.v3+json", "authorization": f"Bearer {token}"}
        assert session.get(sim.url + "/stats/interactions/ongoing", headers=headers, timeout=10).status_code == 401


def test_all_tokens_can_be_ended(client, sim):
    sim.expire_tokens()
    assert client.release("id-1").status_code == 401
    client.token = sim.issue_token()
    assert client.release("id-1").status_code == 200


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Bearer wrong", "Bearer a=b", "Basic dTpw"])
def test_a_call_without_a_valid_token_is_401(client, sim, authorization):
    sim.dispatch("id-1")
    assert client.release("id-1", headers={"authorization": authorization}).status_code == 401
    assert sim.live() == ["id-1"]


def test_a_token_without_the_scope_is_403(client, sim):
    client.token = sim.issue_token(("stats",))
    answer = client.release("id-1")
    assert (answer.status_code, answer.text) == (403, "")
    assert client.call("POST", "/interactions/Register", json={}).status_code == 403
    client.token = sim.issue_token(("interactions:write",))
    assert client.stats("ongoing").status_code == 403
    assert sim.effects == []


# Invoke


@pytest.mark.parametrize("path", ["/interactions/Invoke", "/interactions/invoke"])
def test_a_release_takes_an_interaction_out_of_the_queue(client, sim, path):
    sim.dispatch("id-1", "id-2", "id-3")
    answer = client.invoke({"action": "release", "externalid": "id-2", "requestid": "r-1"}, path=path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert sim.live() == ["id-1", "id-3"]
    assert sim.effects == [
        {"action": "release", "external_id": "id-2", "provider": None, "request_id": "r-1", "found": True}
    ]


def test_the_body_of_a_success_can_be_json(client, sim):
    sim.success_body = "json"
    answer = client.release("id-1")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {"message": "Success"}


def test_a_call_is_recorded(client, sim, clock):
    body = client.release("id-1", "id-2").request.body
    client.call("POST", "/interactions/invoke", data=b"{")
    assert sim.calls == [
        {
            "method": "POST",
            "path": "/interactions/Invoke",
            "status": 200,
            "bytes": len(body),
            "connection": 1,
            "at": clock.now,
            "fault": None,
            "interactions": 2,
        },
        {
            "method": "POST",
            "path": "/interactions/invoke",
            "status": 400,
            "bytes": 1,
            "connection": 1,
            "at": clock.now,
            "fault": None,
            "interactions": 0,
        },
    ]


def test_a_new_connection_has_a_new_number(client, sim):
    client.release("id-1")
    assert client.release("id-1", headers={"connection": "close"}).headers["connection"] == "close"
    client.release("id-1")
    assert [call["connection"] for call in sim.calls] == [1, 1, 2]


def test_dispatch_and_release_in_one_call_are_done_in_order(client, sim):
    answer = client.invoke(
        {"route": "sales", "externalid": "id-1"},
        {"action": "release", "externalid": "id-1"},
        {"action": "dispatch", "route": "sales", "externalid": "id-1"},
        {"action": "dispatch", "route": "sales"},
    )
    assert answer.status_code == 200
    assert sim.live() == ["id-1"]
    assert [(effect["action"], effect["external_id"], effect["found"]) for effect in sim.effects] == [
        ("dispatch", "id-1", False),
        ("release", "id-1", True),
        ("dispatch", "id-1", False),
        ("dispatch", None, False),
    ]


def test_an_id_can_be_dispatched_again(client, sim):
    sim.dispatch("id-1")
    client.release("id-1")
    sim.dispatch("id-1")
    assert sim.live() == ["id-1"]
    client.release("id-1")
    assert sim.live() == []
    assert [effect["found"] for effect in sim.effects] == [True, True]


@pytest.mark.parametrize("name", ["a,b", " ", "", "日本", '"\\/', "\x00", "x" * 1024])
def test_an_external_id_may_hold_any_character(client, sim, name):
    sim.dispatch(name)
    assert client.release(name).status_code == 200
    assert sim.live() == []


def test_an_unknown_id_is_ignored(client, sim):
    sim.dispatch("id-1")
    assert client.release("unknown", "id-1").status_code == 200
    assert [(effect["external_id"], effect["found"]) for effect in sim.effects] == [("unknown", False), ("id-1", True)]


@pytest.mark.parametrize("status", [400, 404])
def test_an_unknown_id_can_refuse_the_whole_call(client, sim, status):
    sim.unknown_id = status
    sim.dispatch("id-1")
    objects = [{"action": "release", "externalid": name, "requestid": name} for name in ("id-1", "unknown")]
    answer = client.invoke(*objects)
    assert answer.status_code == status
    assert answer.json()["message"]
    assert (sim.live(), sim.effects, sim.ignored) == (["id-1"], [], [])
    assert client.invoke(objects[0]).status_code == 200
    assert sim.live() == []
    # Released by now, but the request id is known, which comes first.
    assert client.invoke(objects[0]).status_code == 200
    assert client.release("id-1").status_code == status


def test_an_id_released_twice_in_one_call_is_unknown_the_second_time(client, sim):
    sim.unknown_id = 404
    sim.dispatch("id-1")
    assert client.release("id-1", "id-1").status_code == 404
    assert sim.live() == ["id-1"]


def test_a_request_id_is_processed_once(client, sim):
    sim.dispatch("id-1", "id-2")
    first = {"action": "release", "externalid": "id-1", "requestid": "r-1"}
    second = {"action": "release", "externalid": "id-2", "requestid": "r-1"}
    assert client.invoke(first, second).status_code == 200
    assert client.invoke(first).status_code == 200
    assert sim.live() == ["id-2"]
    assert [effect["external_id"] for effect in sim.effects] == ["id-1"]
    assert [effect["external_id"] for effect in sim.ignored] == ["id-2", "id-1"]


def test_a_request_id_is_processed_once_by_many_threads(sim):
    token = sim.issue_token()
    sim.dispatch(*(f"id-{number}" for number in range(20)))
    objects = [{"action": "release", "externalid": f"id-{n}", "requestid": f"r-{n}"} for n in range(20)]
    headers = {"accept": "application/vnd.newvoicemedia.v1+json", "authorization": f"Bearer {token}"}
    start = threading.Barrier(8)
    answers = []

    def work():
        with requests.Session() as session:
            start.wait(10)
            for item in objects:
                body = {"requests": [item]}
                answer = session.post(sim.url + "/interactions/Invoke", json=body, headers=headers, timeout=30)
                answers.append(answer.status_code)

    threads = [threading.Thread(target=work) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [200] * 160
    assert sorted(effect["request_id"] for effect in sim.effects) == sorted(item["requestid"] for item in objects)
    assert all(effect["found"] for effect in sim.effects)
    assert len(sim.ignored) == 140
    assert len({call["connection"] for call in sim.calls}) == 8


def test_a_poisoned_id_spoils_its_call(client, sim):
    sim.dispatch("id-1", "id-2")
    sim.poison("id-2")
    answer = client.release("id-1", "id-2")
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert (sim.live(), sim.effects) == (["id-1", "id-2"], [])
    assert client.release("id-1").status_code == 200


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"requests": []}', b'{"requests": [{"action": "release"}]}'])
def test_a_malformed_call_is_400(client, body):
    answer = client.call("POST", "/interactions/Invoke", data=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["message"]


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/vnd.newvoicemedia.v3+json"])
def test_a_wrong_version_is_400(client, sim, accept):
    sim.dispatch("id-1")
    client.session.headers.pop("accept")
    answer = client.release("id-1", headers={"accept": accept})
    assert answer.status_code == 400
    assert "accept" in answer.json()["message"]
    assert sim.live() == ["id-1"]


# Providers


def test_only_the_same_provider_releases(client, sim):
    sim.register("other")
    sim.dispatch("id-1", provider="crm")
    sim.dispatch("id-2")
    assert sim.live(provider="crm") == ["id-1"]
    assert sim.live(provider=None) == ["id-2"]
    client.release("id-1")
    client.release("id-1", provider="other")
    client.release("id-2", provider="crm")
    assert sim.live() == ["id-1", "id-2"]
    assert not any(effect["found"] for effect in sim.effects)
    client.release("id-1", provider="crm")
    assert sim.live() == ["id-2"]
    assert sim.effects[-1]["provider"] == "crm"


def test_a_provider_must_be_registered(client, sim):
    answer = client.invoke({"route": "sales", "externalid": "id-1"}, provider="crm")
    assert (answer.status_code, answer.json()) == (400, {"message": "The provider is not registered"})
    sim.register("crm")
    assert client.invoke({"route": "sales", "externalid": "id-1"}, provider="crm").status_code == 200
    assert sim.live(provider="crm") == ["id-1"]


@pytest.mark.parametrize("path", ["/interactions/Register", "/interactions/register"])
@pytest.mark.parametrize("success_body", ["json", "empty"])
def test_a_provider_is_registered(client, sim, path, success_body):
    sim.success_body = success_body
    settings = {"provider": "crm", "agentactionspermitted": {"release": 1}, "endpoint": "https://crm.example/vcc"}
    for _time in range(2):
        answer = client.call("POST", path, json=settings)
        assert answer.status_code == 200
        assert bool(answer.content) is (success_body == "json")
    assert client.invoke({"route": "sales"}, provider="crm").status_code == 200


def test_a_provider_without_permissions_is_400(client):
    assert client.call("POST", "/interactions/Register", json={"provider": "crm"}).status_code == 400
    assert client.invoke({"route": "sales"}, provider="crm").status_code == 400


@pytest.mark.parametrize("notification", ["AssignToAgent", "Release"])
def test_a_provider_is_notified(sim, receiver, notification):
    sim.register("crm", receiver.url + "/vcc?x=1", {"Authorization": "Bearer t0ken", "X-Other": "ä"})
    sim.dispatch("id-1", provider="crm")
    assert sim.notify("id-1", notification=notification, agent="Ada", agent_id="agent-7") == 204
    sim.dispatch("id-2", provider="crm")
    assert sim.notify("id-2", guid="n-2") == 204
    first, second = receiver.received
    assert (first.method, first.full_path) == ("POST", "/vcc?x=1")
    assert first.mimetype == "application/json"
    assert (first.headers["Authorization"], first.headers["X-Other"]) == ("Bearer t0ken", "ä")
    (told,) = first.get_json()
    assert str(uuid.UUID(told.pop("notificationid")))
    assert told == {
        "notification": notification,
        "objectid": "id-1",
        "params": {"AccountName": "Simulated account", "Agent": "Ada", "AgentId": "agent-7"},
    }
    (told,) = second.get_json()
    assert (told["notification"], told["objectid"], told["notificationid"]) == ("AssignToAgent", "id-2", "n-2")
    assert sim.calls == []


def test_the_last_registration_says_where_to_notify(client, sim, receiver):
    sim.register("crm", receiver.url)
    sim.dispatch("id-1", provider="crm")
    client.release("id-1", provider="crm")
    assert sim.notify("id-1", notification="Release") == 204
    settings = {"provider": "crm", "agentactionspermitted": {}, "headers": {"X-Other": "1"}}
    settings["endpoint"] = receiver.url.replace("http:", "https:") + "/second"
    assert client.call("POST", "/interactions/Register", json=settings).status_code == 200
    endpoint, headers, _body = sim.notification("id-1")
    assert (endpoint, headers) == (settings["endpoint"], {"X-Other": "1"})
    assert sim.notify("id-1") is None  # the receiver speaks no TLS
    del settings["endpoint"]
    assert client.call("POST", "/interactions/Register", json=settings).status_code == 200
    with pytest.raises(ValueError, match="endpoint"):
        sim.notify("id-1")
    assert len(receiver.received) == 1


def test_the_provider_of_the_last_dispatch_is_notified(sim, receiver):
    sim.register("crm", receiver.url + "/crm")
    sim.register("other", receiver.url + "/other")
    for provider in ("crm", "other"):
        sim.dispatch("id-1", provider=provider)
        sim.notify("id-1")
    sim.dispatch("id-1")
    with pytest.raises(ValueError, match="endpoint"):
        sim.notify("id-1")
    assert [request.path for request in receiver.received] == ["/crm", "/other"]


def test_the_answer_to_a_notification_is_its_status(sim, receiver):
    sim.register("crm", receiver.url)
    sim.dispatch("id-1", provider="crm")
    receiver.answer = Response(status=302, headers={"Location": receiver.url})
    assert sim.notify("id-1") == 302
    receiver.stop()
    assert sim.notify("id-1") is None


def test_a_notification_that_cannot_be_is_refused(sim):
    sim.register("crm", "https://crm.example/vcc")
    sim.dispatch("id-1", provider="crm")
    with pytest.raises(ValueError, match="AssignToAgent, Release"):
        sim.notify("id-1", notification="Hold")
    with pytest.raises(ValueError, match="id-2"):
        sim.notify("id-2")
    with pytest.raises(ValueError, match="endpoint"):
        sim.register("crm", "ftp://crm.example/vcc")


# Limits


@pytest.mark.parametrize(
    ("status", "message"), [(413, "Payload Too Large"), (417, "Request size limit exceeded")], ids=str
)
def test_a_call_is_no_longer_than_the_limit(client, sim, status, message):
    sim.too_large = status
    body = b'{"requests": [{"route": "sales"}]}'
    headers = {"content-type": "application/json"}
    assert client.call("POST", "/interactions/Invoke", data=body.ljust(100_000), headers=headers).status_code == 200
    answer = client.call("POST", "/interactions/Invoke", data=body.ljust(100_001), headers=headers)
    assert (answer.status_code, answer.json()) == (status, {"message": message})
    assert len(sim.effects) == 1
    assert client.call("POST", "/interactions/Invoke", data=body, headers=headers).status_code == 200
    assert [call["connection"] for call in sim.calls] == [1, 1, 1]


@pytest.mark.parametrize("retry_after", [None, 7])
def test_the_rate_limit_is_over_all_apis(client, sim, clock, retry_after):
    sim.rate_limit, sim.window, sim.retry_after = 3, 60, retry_after
    statuses = [client.release("id-1").status_code for _time in range(2)]
    clock.now += 30
    statuses += [client.stats("ongoing").status_code, client.token_call().status_code]
    answer = client.release("id-1")
    assert [*statuses, answer.status_code] == [200, 200, 200, 200, 429]
    assert answer.text == ""
    assert answer.headers.get("retry-after") == (str(retry_after) if retry_after else None)
    assert len(sim.effects) == 2
    clock.now += 30
    assert [client.release("id-1").status_code for _time in range(3)] == [200, 200, 429]


# Statistics


def test_ongoing_interactions_are_paged(client, sim, clock):
    sim.dispatch(*(f"id-{number}" for number in range(7)), route="sales")
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


def test_one_interaction_is_known_by_its_guid(client, sim, clock):
    sim.dispatch("id-1")
    guid = client.stats("ongoing").json()["items"][0]["guid"]
    assert client.stats(guid).json()["channels"][0]["endReason"] is None
    clock.now += 3
    client.release("id-1")
    clock.now += 3
    ended = client.stats(guid).json()
    assert (ended["guid"], ended["duration"], ended["channels"][0]["endReason"]) == (guid, 3, "Released")
    assert client.stats("ongoing").json()["meta"]["totalCount"] == 0


def test_an_agent_is_a_party_of_the_interaction(client, sim, clock):
    sim.dispatch("id-1", "id-2", provider="crm")
    clock.now += 5
    sim.assign("id-1", provider="crm", agent_id="agent-7")
    clock.now += 2
    first, second = client.stats("ongoing").json()["items"]
    assert [channel["party"]["role"] for channel in second["channels"]] == ["Customer"]
    customer, agent = first["channels"]
    assert (customer["party"]["role"], customer["offset"], customer["duration"]) == ("Customer", 0, 7)
    assert (agent["party"]["role"], agent["party"]["id"]) == ("Agent", "agent-7")
    assert (agent["offset"], agent["duration"], agent["endReason"]) == (5, 2, None)
    sim.assign("id-1", provider="crm")
    assert len(client.stats(first["guid"]).json()["channels"]) == 3
    client.release("id-1", provider="crm")
    channels = client.stats(first["guid"]).json()["channels"]
    assert {channel["endReason"] for channel in channels} == {"Released"}
    assert len({channel["guid"] for channel in channels}) == 3
    for external_id, provider in (("id-1", "crm"), ("id-2", None)):
        with pytest.raises(ValueError, match=external_id):
            sim.assign(external_id, provider=provider)


def test_an_unknown_guid_is_404(client):
    assert client.stats("00000000-0000-0000-0000-000000000000").status_code == 404


def test_statistics_have_their_own_version(client):
    answer = client.stats("ongoing", headers={"accept": "application/vnd.newvoicemedia.v1+json"})
    assert answer.status_code == 400


@pytest.mark.parametrize("query", [{"page": 0}, {"limit": 0}, {"page": "x"}])
def test_a_wrong_page_is_400(client, query):
    assert client.stats("ongoing", params=query).status_code == 400


# HTTP


def test_other_paths_and_methods_are_refused(client):
    assert client.call("GET", "/").status_code == 404
    assert client.call("POST", "/interactions/INVOKE", json={}).status_code == 404
    answer = client.call("GET", "/interactions/Invoke")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    answer = client.call("HEAD", "/stats/interactions/x")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "GET", b"")
    assert client.release("id-1").status_code == 200


def test_a_chunked_body_is_read_to_its_end(client, sim):
    sim.dispatch("id-1")
    pieces = iter([b'{"requests": [{"action": "release", ', b'"externalid": "id-1"}]}'])
    headers = {"content-type": "application/json"}
    assert client.call("POST", "/interactions/Invoke", data=pieces, headers=headers).status_code == 200
    assert client.release("id-1").status_code == 200
    assert [(call["connection"], call["bytes"]) for call in sim.calls] == [(1, 59)] * 2


def test_nothing_listens_after_the_end(clock):
    with Simulator(clock=clock) as sim, requests.Session() as session:
        assert session.get(sim.url, timeout=10).status_code == 404
        before = threading.active_count()
    assert threading.active_count() == before - 2
    with pytest.raises(requests.ConnectionError):
        requests.get(sim.url, timeout=10)


# Its own state


def test_reset_forgets_everything_but_the_clients(client, sim):
    sim.add_client("other", "secret")
    sim.dispatch("id-1", "id-2", provider="crm")
    sim.poison("id-3")
    sim.fault("status")
    sim.unknown_id = 404
    sim.rate_limit = 1
    client.stats("ongoing")
    sim.reset()
    assert (sim.live(), sim.calls, sim.effects, sim.ignored) == ([], [], [], [])
    assert client.release("id-3").status_code == 401
    client.token = client.token_call(data={**GOOD, "client_id": "other", "client_secret": "secret"}).json()[
        "access_token"
    ]
    assert client.release("id-3").status_code == 200
    assert client.invoke({"route": "sales"}, provider="crm").status_code == 400


@pytest.mark.parametrize(
    "switches",
    [{"unknown_id": 500}, {"success_body": "xml"}, {"too_large": 400}, {"rate_limit": "1"}, {"window": None}, {"x": 1}],
    ids=str,
)
def test_a_switch_that_is_not_there_is_refused(switches):
    with pytest.raises(ValueError, match=next(iter(switches))):
        Simulator(**switches)


def test_what_is_read_is_a_copy(client, sim):
    client.release("id-1")
    sim.calls[0]["status"] = sim.effects[0]["found"] = "changed"
    assert (sim.calls[0]["status"], sim.effects[0]["found"]) == (200, False)

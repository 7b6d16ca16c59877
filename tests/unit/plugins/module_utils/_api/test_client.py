# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of VCC's APIs: requests, accepted and rejected responses, and renewed tokens."""

from __future__ import annotations

import contextlib
import html
import json
from urllib.parse import quote

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._api.client import STATS_SCOPE, Client
from ansible_collections.vonage.vcc.plugins.module_utils._connection import Connection
from ansible_collections.vonage.vcc.plugins.module_utils._errors import (
    AuthError,
    InputError,
    NoResponseError,
    RejectedError,
)
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import body_of, validated
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._api.helpers import (
    LASTING,
    ONGOING,
    REGISTER,
    described,
    failure,
    release_body,
)

SECRET = 'eyJhbGciOiJub25lIn0.a"b/c+d&e%f-QmVhcmVyMTIzNDU2.Nzg5MDEyMzQ1Njc4OTA'


class TestInvoke:
    def test_call_sends_documented_request(self, sim, make_http, make_auth):
        token = sim.issue_token()
        http = make_http()
        Client(http, make_auth(http, access_token=token), sim.url).invoke(release_body())
        (request,) = sim.requests
        assert request["path"] == "/interactions/Invoke"
        assert request["body"] == release_body()
        assert request["headers"]["Accept"] == "application/vnd.newvoicemedia.v1+json"
        assert request["headers"]["Authorization"] == f"Bearer {token}"
        assert request["headers"]["Content-Type"] == "application/json"
        assert sim.released == ["a"]

    @pytest.mark.parametrize("success_body", ["empty", "json"])
    def test_empty_and_json_bodies_are_accepted(self, sim, make_client, success_body):
        sim.success_body = success_body
        make_client().invoke(release_body())
        assert sim.released == ["a"]

    def test_calls_reuse_one_connection(self, sim, make_http, make_auth):
        http = make_http()
        client = Client(http, make_auth(http), sim.url)
        for number in range(20):
            sim.success_body = ("empty", "json")[number % 2]
            client.invoke(release_body(str(number)))
        assert len(sim.calls) == 21
        assert {call["connection"] for call in sim.calls} == {1}
        assert client.calls == 20

    def test_api_url_may_have_path(self, sim, make_client):
        exc = failure(make_client(url=sim.url + "/vcc").invoke, release_body(), kind=RejectedError)
        assert sim.calls[-1]["path"] == "/vcc/interactions/Invoke"
        assert exc.status == 404

    def test_body_without_request_ids_is_sent(self, sim, make_client):
        make_client().invoke(body_of("a"))
        assert sim.released == ["a"]

    def test_failed_token_cache_keeps_maybe_processed(self, sim, make_http):
        class FullDisk:
            def token(self):
                return sim.issue_token()

            def renew(self, rejected):
                raise InputError("no space left")

        sim.dispatch("a")
        sim.fault("status", status=503, taken=True)
        sim.fault("expired")
        with pytest.raises(NoResponseError, match="no space left") as caught:
            Client(make_http(retries=1), FullDisk(), sim.url).invoke(body_of("a"))
        assert caught.value.maybe_processed
        assert sim.released == ["a"]


class TestErrors:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirect_is_not_followed(self, sim, make_client, status):
        sim.fault("redirect", status=status, location=f"{sim.url}/elsewhere")
        exc = failure(make_client(retries=5).invoke, release_body(), kind=NoResponseError)
        assert f"gave an answer (status {status})" in str(exc)
        assert [call["path"] for call in sim.calls] == ["/interactions/Invoke"]

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "html"},
            {"kind": "garbage"},
            {"kind": "garbage", "taken": True},
            {"kind": "status", "status": 201, "body": "{}"},
            {"kind": "status", "status": 202},
            {"kind": "status", "status": 204},
            {"kind": "status", "status": 200, "body": "OK"},
            {"kind": "status", "status": 200, "body": "[" * 100_000},
            {"kind": "status", "status": 501},
        ],
        ids=lambda fault: described(fault)[:30],
    )
    def test_other_responses_raise_no_response_error(self, sim, make_client, fault):
        sim.fault(**fault)
        exc = failure(make_client(retries=5).invoke, release_body(), kind=NoResponseError)
        assert exc.maybe_processed
        assert "that VCC never gives" in str(exc)

    def test_rejection_tells_vcc_from_gateway(self, sim, make_client):
        sim.fault("status", status=404, body="<html>")
        assert not failure(make_client().invoke, release_body(), kind=RejectedError).by_vcc
        sim.fault("status", status=404, body="")
        assert failure(make_client().invoke, release_body(), kind=RejectedError).by_vcc
        sim.fault("status", status=404)
        assert failure(make_client().invoke, release_body(), kind=RejectedError).by_vcc

    @pytest.mark.parametrize("status", [400, 403])
    def test_rejection_repeats_message_in_one_short_line(self, sim, make_client, status):
        sim.fault("status", status=status, body={"message": "not\nthis\x1b[31m way " + "x" * 500})
        message = str(failure(make_client().invoke, release_body()))
        assert "(not\\nthis\\x1b[31m way xxx" in message
        assert message.isprintable()
        assert len(message) < 400

    @pytest.mark.parametrize(
        "text",
        [
            SECRET,
            json.dumps(SECRET),
            json.dumps(SECRET).replace("+", "\\u002B").replace("/", "\\/"),
            quote(SECRET, safe=""),
            quote(SECRET, safe="").lower().replace("eyjhbgcioijub25lin0", "eyJhbGciOiJub25lIn0"),
            html.escape(SECRET),
            SECRET[:20],
            SECRET[-20:],
            "x" * 180 + SECRET,
            "\n".join(SECRET),
            " ".join(SECRET),
        ],
    )
    def test_rejection_omits_message_with_secret(self, sim, text):
        params = validated(**sim.options(external_id="a", access_token=sim.issue_token()))
        client = Client.from_connection(Connection.from_params(params), secrets={SECRET})
        with contextlib.closing(client):
            sim.fault("status", status=400, body={"message": f"<{text}>"})
            assert str(failure(client.invoke, release_body())) == "VCC refused the request with status 400"
            sim.fault("status", status=403, body={"message": f"<{text}>"})
            assert str(failure(client.invoke, release_body())).startswith("VCC refuses access (403): ")
            sim.fault("status", status=400, body={"message": "<eyJhb>" + "x" * 200 + text})
            assert "(<eyJhb>xxx" in str(failure(client.invoke, release_body()))

    @pytest.mark.parametrize("body", ['{"message": 17}', '{"message": null}', '["message"]', "17", ""])
    def test_rejection_without_message_names_status(self, sim, make_client, body):
        sim.fault("status", status=400, body=body)
        assert (
            str(failure(make_client().invoke, release_body(), kind=RejectedError))
            == "VCC refused the request with status 400"
        )

    def test_other_thread_may_add_secret_during_rejection(self, sim, make_client):
        class Secret(str):
            def __iter__(self):
                client.secrets.add("a new token")  # as another thread does
                return super().__iter__()

        client = make_client()
        client.secrets.update([Secret("first"), Secret("second")])
        sim.fault("status", status=400, body={"message": "no"})
        assert str(failure(client.invoke, release_body())) == "VCC refused the request with status 400 (no)"

    def test_403_names_write_scope(self, sim, make_client):
        sim.fault("status", status=403)
        exc = failure(make_client().invoke, release_body(), kind=AuthError)
        assert str(exc) == "VCC refuses access (403): give the API client the scope interactions:write."


class TestRegister:
    def body(self, **others):
        """Return a body with all required properties."""
        permitted = dict.fromkeys(("release", "hold", "transferToAgent", "transferToRoute"), 0)
        return json.dumps({"provider": "tickets", "agentactionspermitted": permitted, **others}).encode()

    def test_register_sends_documented_request(self, sim, make_client):
        client = make_client()
        client.register(self.body())
        (request,) = sim.requests
        assert (request["path"], request["body"]) == (REGISTER, self.body())
        assert request["headers"]["Accept"] == "application/vnd.newvoicemedia.v1+json"
        assert request["headers"]["Content-Type"] == "application/json"
        assert (sim.calls[0]["method"], client.calls) == ("POST", 1)

    @pytest.mark.parametrize("fault", LASTING, ids=described)
    def test_other_responses_to_registration_raise_error(self, sim, make_client, fault):
        sim.fault(path=REGISTER, **fault)
        client = make_client(retries=5)
        failure(client.register, self.body())
        assert client.calls == 1

    def test_rejected_registration_raises_error(self, sim, make_client):
        exc = failure(make_client().register, b'{"provider": "tickets"}', kind=RejectedError)
        assert (exc.status, exc.by_vcc, exc.maybe_processed) == (400, True, False)


class TestOngoing:
    @pytest.fixture
    def client(self, sim, make_http, make_auth):
        http = make_http()
        auth = make_auth(http, access_token=sim.issue_token(["stats"]), scope=STATS_SCOPE)
        return Client(http, auth, sim.url, STATS_SCOPE)

    def test_ongoing_returns_items_and_meta(self, sim, client):
        sim.dispatch("a", "b", "c")
        items, meta = client.ongoing(2, 2)
        assert items == sim.ongoing(2, 2)["items"]
        assert meta == {"page": 2, "count": 1, "pageCount": 2, "totalCount": 3}
        (request,) = sim.requests
        assert (request["path"], request["body"]) == (ONGOING, b"")
        assert request["headers"]["Accept"] == "application/vnd.newvoicemedia.v3+json"
        assert (sim.calls[0]["method"], client.calls) == ("GET", 1)

    @pytest.mark.parametrize("meta", [None, [], "x", 1])
    def test_invalid_meta_counts_as_empty(self, sim, client, meta):
        sim.fault("status", status=200, body={"items": [], "meta": meta}, path=ONGOING)
        assert client.ongoing(1, 1) == ([], {})

    def test_403_names_stats_scope(self, sim, client):
        sim.fault("status", status=403, path=ONGOING)
        assert "give the API client the scope stats." in str(failure(client.ongoing, 1, 1, kind=AuthError))

    def test_ongoing_tells_vcc_from_gateway(self, sim, client):
        sim.fault("status", status=404, path=ONGOING, body="<html>")
        exc = failure(client.ongoing, 1, 1, kind=RejectedError)
        assert (exc.status, exc.by_vcc) == (404, False)


class TestFromConnection:
    def test_client_has_scope_and_collects_secrets(self, sim):
        secrets = set()
        params = validated(**sim.options(external_id="a", access_token=None))
        client = Client.from_connection(Connection.from_params(params), STATS_SCOPE, secrets)
        with contextlib.closing(client):
            assert secrets == {CLIENT_SECRET}
            assert client.ongoing(1, 1)[0] == []
            assert secrets == {CLIENT_SECRET, client.authenticate().value}
            failure(client.invoke, release_body(), kind=AuthError)

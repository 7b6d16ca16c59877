# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The OpenAPI document is valid, and the contract rejects requests and responses that break it."""

from __future__ import annotations

import json

import openapi_spec_validator
import pytest
from jsonschema_path import SchemaPath
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIRequest
from openapi_core.templating.paths.exceptions import OperationNotFound, PathNotFound
from openapi_core.validation.request import V31RequestValidator
from openapi_core.validation.request.exceptions import SecurityValidationError
from openapi_core.validation.schemas.validators import SchemaValidator
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from ansible_collections.vonage.vcc.tests.simulator.contract import contract, parse_json, sentence

V1 = "application/vnd.newvoicemedia.v1+json"
V3 = "application/vnd.newvoicemedia.v3+json"
INVOKE = "/interactions/Invoke"
REGISTER = "/interactions/Register"
PERMITTED = {"release": 1, "hold": 0, "transferToAgent": 1, "transferToRoute": 0}


def request(path, body, **changes):
    headers = {"accept": V1, "authorization": "Bearer token"}
    arguments = {"method": "POST", "content_type": "application/json", "headers": headers, **changes}
    data = body if body is None or isinstance(body, bytes) else json.dumps(body)
    return Request(EnvironBuilder(path=path, data=data, **arguments).get_environ())


def release(**properties):
    return {"requests": [{"action": "release", "externalid": "id-1", **properties}]}


def dispatch(**properties):
    return {"requests": [{"route": "sales", **properties}]}


ACCEPTED = [
    (INVOKE, release()),
    (INVOKE, release(requestid="r-1", own="property")),
    (INVOKE, {"provider": "crm", **release()}),
    (INVOKE, dispatch()),
    (INVOKE, dispatch(action="dispatch", externalid="id-1", requestid="r-1")),
    (
        INVOKE,
        dispatch(linkeddata=[{"type": "url", "value": "https://x.example", "label": "l", "owner": 1, "key": "k"}]),
    ),
    (INVOKE, dispatch(routingdata={"interactiontype": "nonlive", "skills": [{"name": "x", "expiryafter": 0}]})),
    (INVOKE, dispatch(routingdata={"personalqueue": {"agent": "7", "loggedintimeout": 5, "loggedouttimeout": 0}})),
    (INVOKE, b'{"requests": [{"route": "\\ud800"}]}'),
    ("/interactions/invoke", release()),
    (REGISTER, {"provider": "crm", "agentactionspermitted": PERMITTED}),
    (
        REGISTER,
        {"provider": "crm", "agentactionspermitted": {}, "endpoint": "https://x.example", "headers": {"a": "b"}},
    ),
    ("/interactions/register", {"provider": "crm", "agentactionspermitted": PERMITTED}),
]
REJECTED = [
    (INVOKE, {}),
    (INVOKE, []),
    (INVOKE, {"requests": []}),
    (INVOKE, {"requests": {}}),
    (INVOKE, {"requests": [7]}),
    (INVOKE, {"requests": [{"action": "release"}]}),
    (INVOKE, {"requests": [{"externalid": "id-1"}]}),
    (INVOKE, {"requests": [{"action": "dispatch", "externalid": "id-1"}]}),
    (INVOKE, {"provider": 1, **release()}),
    (INVOKE, release(externalid=7)),
    (INVOKE, release(externalid=None)),
    (INVOKE, release(requestid=["r-1"])),
    (INVOKE, release(action="Release")),
    (INVOKE, {"requests": [{"action": "release", "externalid": "id-1"}, {"action": "release"}]}),
    (INVOKE, dispatch(linkeddata={})),
    (INVOKE, dispatch(linkeddata=[{"type": "url"}])),
    (INVOKE, dispatch(linkeddata=[{"value": "url"}])),
    (INVOKE, dispatch(routingdata={"interactiontype": "email"})),
    (INVOKE, dispatch(routingdata={"personalqueue": {"loggedintimeout": "5"}})),
    (INVOKE, dispatch(routingdata={"personalqueue": {"loggedintimeout": -1}})),
    (INVOKE, dispatch(routingdata={"skills": [{"expiryafter": 1}]})),
    (REGISTER, {"provider": "crm"}),
    (REGISTER, {"agentactionspermitted": PERMITTED}),
    (REGISTER, {"provider": "crm", "agentactionspermitted": {"release": 2}}),
    (REGISTER, {"provider": "crm", "agentactionspermitted": {"release": True}}),
    (REGISTER, {"provider": "crm", "agentactionspermitted": PERMITTED, "endpoint": "http://x.example"}),
    (REGISTER, {"provider": "crm", "agentactionspermitted": PERMITTED, "headers": {"a": 1}}),
    (INVOKE, b"{"),
    (INVOKE, b"\xff"),
    (INVOKE, b""),
    (INVOKE, b'{"requests": [{"route": NaN}]}'),
    (INVOKE, b'{"requests": [{"action": "release", "externalid": "id-1",}]}'),
    (INVOKE, b"[" * 90_000),
]


@pytest.fixture(scope="module")
def plain():
    """Return openapi-core's own validator, without the compiled schemas."""
    return V31RequestValidator(SchemaPath.from_dict(contract().document))


def test_document_is_valid():
    openapi_spec_validator.validate(contract().document)


def test_document_does_not_use_format():
    def keys(node):
        if isinstance(node, dict):
            yield from node
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from keys(child)

    assert "required" in set(keys(contract().document))
    assert "format" not in set(keys(contract().document))


@pytest.mark.parametrize(("path", "body"), ACCEPTED)
def test_valid_request_is_accepted(path, body, plain):
    assert contract().request_error(request(path, body)) is None
    assert not list(plain.iter_errors(WerkzeugOpenAPIRequest(request(path, body))))


@pytest.mark.parametrize(("path", "body"), REJECTED, ids=range(len(REJECTED)))
def test_invalid_request_is_rejected(path, body):
    error = contract().request_error(request(path, body))
    assert error is not None
    assert 0 < len(sentence(error)) <= 500


@pytest.mark.parametrize(("path", "body"), [pair for pair in REJECTED if not isinstance(pair[1], bytes)])
def test_compiled_schema_is_as_strict_as_openapi_core(path, body, plain):
    assert list(plain.iter_errors(WerkzeugOpenAPIRequest(request(path, body))))


def test_error_names_invalid_object():
    body = {"requests": [{"action": "release", "externalid": f"id-{number}"} for number in range(1000)]}
    assert contract().request_error(request(INVOKE, body)) is None
    del body["requests"][729]["externalid"]
    assert "$.requests[729]: 'externalid' is a required property" in sentence(
        contract().request_error(request(INVOKE, body))
    )


def test_valid_request_uses_only_compiled_schema(monkeypatch):
    monkeypatch.setattr(SchemaValidator, "validate", None)
    assert contract().request_error(request(INVOKE, release())) is None
    with pytest.raises(TypeError):
        contract().request_error(request(INVOKE, {}))


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", V3, V1 + ", */*"])
def test_accept_header_must_match_exactly(accept):
    headers = {"authorization": "Bearer token"}
    if accept is not None:
        headers["accept"] = accept
    assert "accept" in sentence(contract().request_error(request(INVOKE, release(), headers=headers)))


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_body_must_be_json(content_type):
    assert contract().request_error(request(INVOKE, release(), content_type=content_type)) is not None


def test_content_type_may_have_charset():
    assert contract().request_error(request(INVOKE, release(), content_type="application/json; charset=utf-8")) is None


@pytest.mark.parametrize("authorization", [None, "Bearer", "Basic dTpw", "token"])
def test_bearer_token_is_required(authorization):
    headers = {"accept": V1}
    if authorization is not None:
        headers["authorization"] = authorization
    error = contract().request_error(request(INVOKE, release(), headers=headers))
    assert isinstance(error, SecurityValidationError)


def test_unknown_path_and_method_are_rejected():
    assert isinstance(contract().request_error(request("/interactions/INVOKE", release())), PathNotFound)
    wrong = request(INVOKE, None, method="GET", content_type=None)
    assert isinstance(contract().request_error(wrong), OperationNotFound)
    assert contract().methods(wrong) == ["POST"]
    assert contract().methods(request("/stats/interactions/x", None)) == ["GET"]


@pytest.mark.parametrize("query", ["page=0", "page=x", "limit=0", "limit=-1", "page=1.5", "page="])
def test_page_and_limit_must_be_positive_integers(query):
    headers = {"accept": V3, "authorization": "Bearer token"}
    ongoing = {"method": "GET", "headers": headers, "content_type": None}
    assert contract().request_error(request("/stats/interactions/ongoing?page=2&limit=5", None, **ongoing)) is None
    assert contract().request_error(request(f"/stats/interactions/ongoing?{query}", None, **ongoing)) is not None


JSON = "application/json"


@pytest.mark.parametrize(
    ("path", "response", "valid"),
    [
        (INVOKE, Response(status=200), True),
        (INVOKE, Response('{"message": "no"}', status=400, content_type=JSON), True),
        (INVOKE, Response('{"message": 1}', status=400, content_type=JSON), False),
        (INVOKE, Response('{"error": "no"}', status=400, content_type=JSON), False),
        (INVOKE, Response('{"message": "no"}', status=400, content_type="text/html"), False),
        (INVOKE, Response("no", status=400, content_type=JSON), False),
        (INVOKE, Response(status=400), False),
        (INVOKE, Response(status=201), False),
        (INVOKE, Response(status=302), False),
        ("/Auth/connect/token", Response('{"error": "invalid_client"}', status=401, content_type=JSON), True),
        ("/Auth/connect/token", Response('{"error": "wrong"}', status=401, content_type=JSON), False),
        ("/Auth/connect/token", Response('{"access_token": "x"}', status=200, content_type=JSON), False),
    ],
    ids=range(12),
)
def test_response_is_validated(path, response, valid):
    assert (contract().response_error(request(path, release()), response) is None) is valid


def test_simulator_does_not_send_invalid_response(client, simulator, monkeypatch, capsys):
    module = "ansible_collections.vonage.vcc.tests.simulator.simulator"
    monkeypatch.setattr(f"{module}._success", lambda body: Response("created", status=201))
    simulator.dispatch("id-1")
    assert client.release("id-1").status_code == 500
    assert "/interactions/Invoke answered 201" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "{", "", "'a'", "[" * 90_000])
def test_parse_json_rejects_invalid_json(text):
    with pytest.raises(ValueError):
        parse_json(text)

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulator: a contact centre with VCC's endpoints, faults and control commands, served on a loopback port."""

from __future__ import annotations

import contextlib
import json
import ssl
import sys
import threading
import traceback
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import unquote_plus, urlsplit

from openapi_core.templating.paths.exceptions import OperationNotFound, PathError
from openapi_core.validation.request.exceptions import SecurityValidationError
from werkzeug.wrappers import Response

from .contact_centre import ContactCentre, RequestError, TokenError
from .contract import contract, parse_json, sentence
from .faults import INVOKE, Delivery, Fault, Faults
from .server import Server

BODY_LIMIT = 100_000  # bytes of a request
TIMEOUT = 10  # seconds for a provider to accept a notification
TOKEN = "/Auth/connect/token"
CONTROL = "/_simulator/"
HTML = "<!doctype html><html><head><title>Sign in</title></head><body>Sign in to the proxy.</body></html>"
MESSAGES = {400: "Bad Request", 413: "Payload Too Large", 417: "Request size limit exceeded"}


class Simulator(ContactCentre):
    """
    A contact centre that is a context manager and serves ``url`` and ``token_url``.

    :param port: the loopback port; 0 selects a free one
    :param tls: an ssl.SSLContext for HTTPS, or None for HTTP
    :param switches: arguments of ContactCentre
    """

    def __init__(self, *, port=0, tls=None, **switches):
        self.stopping = threading.Event()
        self._port = port
        self._tls = tls
        self._server = None
        self._contract = contract()
        self._faults = Faults()
        self._calls = []
        super().__init__(**switches)

    def __enter__(self):
        self._server = Server(self, self._port, self._tls)
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self._server.port}"
        self.token_url = self.url + TOKEN
        self._server.start()
        return self

    def __exit__(self, *_exception):
        self.stopping.set()
        with self.lock:
            self._faults.clear()
        self._server.stop()

    def reset(self):
        """Forget everything but the clients, reset the switches, and respond to held calls."""
        with self.lock:
            self._faults.clear()
            self._calls = []
            super().reset()

    def fault(self, kind, times=1, path=INVOKE, after=0, **details):
        """
        Add a fault for the next ``times`` calls (None: all) of ``path`` (None: any), after the first ``after`` calls.

        Return the Fault. Raise ValueError for a kind or detail that is not in faults.KINDS.
        """
        with self.lock:
            return self._faults.add(Fault(kind, times=times, path=path, after=after, **details))

    @property
    def calls(self):
        """
        Return a dict for each call, in order of arrival.

        Keys: method, path, status (None: cut, or no response yet), bytes (of the body), connection (a number for each
        TCP connection), at (by the clock), fault (its kind or None) and interactions (number of Interaction objects).
        """
        with self.lock:
            return [dict(call) for call in self._calls]

    def settle(self):
        """Wait until every connection so far is closed, so that all requests of clients that have ended are processed."""
        parts = urlsplit(self.url)
        with contextlib.closing(self._connection(parts)) as last:
            last.request("GET", f"{CONTROL}state", headers={"Connection": "close"})
            last.getresponse().read()
        self._server.settle()

    def _connection(self, parts):
        """Return a connection to the simulator itself, without verification of its certificate."""
        if not self._tls:
            return HTTPConnection(parts.netloc, timeout=TIMEOUT)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return HTTPSConnection(parts.netloc, timeout=TIMEOUT, context=context)

    def notify(self, external_id, **details):
        """
        Post a notification to the endpoint of its provider; ContactCentre.notification has the arguments.

        Return the status of the response, or None without one. Raise ValueError if there is no endpoint.
        """
        endpoint, headers, body = self.notification(external_id, **details)
        parts = urlsplit(endpoint)
        connect = {"http": HTTPConnection, "https": HTTPSConnection}[parts.scheme]
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            with contextlib.closing(connect(parts.netloc, timeout=TIMEOUT)) as connection:
                connection.request("POST", target, json.dumps(body), {"Content-Type": "application/json", **headers})
                return connection.getresponse().status
        except (HTTPException, OSError):
            return None

    # Calls

    def handle(self, request, connection):
        """Return the Response to a request and its Delivery; None in place of the Response closes the connection."""
        if request.path.startswith(CONTROL):
            return self._control(request), Delivery()
        body = request.get_data()
        call = {
            "method": request.method,
            "path": request.path,
            "status": None,
            "bytes": len(body),
            "connection": connection,
            "at": self.clock(),
            "fault": None,
            "interactions": _count_interactions(body),
        }
        with self.lock:
            self._calls.append(call)
            fault = self._faults.take(request.path)
            call["fault"] = fault and fault.kind
        response, delivery = self._apply(fault, request) if fault else (self._answer(request), Delivery())
        with self.lock:
            call["status"] = response and response.status_code
        return response, delivery

    def _apply(self, fault, request):
        kind, details = fault.kind, fault.details
        response, delivery = self._answer(request) if fault.taken else None, Delivery()
        fault.entered.set()
        if kind == "hold":
            fault.released.wait()
        elif kind == "latency":
            self.stopping.wait(details["seconds"])
        elif kind == "late":
            self.stopping.wait(details["seconds"])
            response = self._answer(request)
        elif kind == "cut":
            response = None
        elif kind == "status":
            response = _error_response(details["status"], retry_after=details["retry_after"], body=details["body"])
        elif kind == "too_large":
            response = _error_response(details["status"])
        elif kind == "expired":
            response = _error_response(401)
        elif kind == "interim":
            delivery = Delivery(interim=(details["status"], details["count"], details["seconds"]))
        elif kind == "truncated":
            response = response or _success("json")
            delivery = Delivery(head_length=details["length"])
        elif kind == "redirect":
            response = Response("x" * details["length"], details["status"])
            delivery = Delivery(pause=details["seconds"], location=details["location"])
        elif kind == "html":
            response = Response(HTML, content_type="text/html")
        elif kind == "garbage":
            response = Response('{"message": ', content_type="application/json")
        elif kind == "trickle" and response.status_code == 200:
            part = {"head": "head_pause", "body": "pause"}[details["part"]]
            delivery = Delivery(**{part: details["seconds"]})
            if not response.get_data():
                response = _success("json")
        return (None if self.stopping.is_set() else response), delivery

    def _answer(self, request):
        """Return the response without a fault, after its validation against the contract."""
        try:
            response = self._token(request) if request.path == TOKEN else self._api(request)
        except RequestError as error:
            response = _error_response(error.status, error.message, error.retry_after)
            if error.status == 405:
                response.headers["Allow"] = ", ".join(self._contract.methods(request))
        except TokenError as error:
            response = _response({"error": error.error}, error.status, {"Cache-Control": "no-store"})
            if error.status == 401:
                response.headers["WWW-Authenticate"] = "Basic"
        except Exception:
            traceback.print_exc()
            return _response(status=500)
        error = self._contract.response_error(request, response)
        if error is None or isinstance(error, PathError):  # the document cannot describe unknown paths
            return response
        print(f"simulator: {request.path} answered {response.status}: {sentence(error)}", file=sys.stderr)
        return _response({"message": "The simulator broke its own contract"}, 500)

    def _error(self, request):
        """Return the error in the parameters or the body of a request, or None. Raise RequestError with 401, 404 or 405."""
        error = self._contract.request_error(request)
        if isinstance(error, OperationNotFound):
            raise RequestError(405, "Method not allowed")
        if isinstance(error, PathError):
            raise RequestError(404, "No such endpoint")
        if isinstance(error, SecurityValidationError):
            raise RequestError(401)
        return error

    def _token(self, request):
        error = self._error(request)
        form, basic = request.form, request.authorization
        if not basic or basic.type != "basic":
            basic = None
        if form.get("grant_type", "client_credentials") != "client_credentials":
            raise TokenError("unsupported_grant_type")
        if "grant_type" in form and not form.get("scope"):
            raise TokenError("invalid_scope")
        repeated = any(len(form.getlist(name)) > 1 for name in ("grant_type", "client_id", "client_secret", "scope"))
        if error or repeated or (basic and ("client_id" in form or "client_secret" in form)):
            raise TokenError("invalid_request")
        if basic:
            # RFC 6749, section 2.3.1, requires form-encoding inside Basic; most clients do not encode them.
            pairs = [(basic.username, basic.password), (unquote_plus(basic.username), unquote_plus(basic.password))]
        else:
            pairs = [(form.get("client_id", ""), form.get("client_secret", ""))]
        token, lifetime = self.grant(pairs, form["scope"])
        return _response(
            {"access_token": token, "expires_in": int(lifetime), "token_type": "Bearer"},
            headers={"Cache-Control": "no-store"},
        )

    def _api(self, request):
        self.admit()
        if len(request.get_data()) > BODY_LIMIT:
            raise RequestError(self.too_large)
        error = self._error(request)
        area, _slash, name = request.path[1:].rpartition("/")
        self.authorise(request.authorization.token, "interactions:write" if area == "interactions" else "stats")
        if error:
            raise RequestError(400, sentence(error))
        if area != "interactions":
            if name != "ongoing":
                return _response(self.interaction(name))
            page, limit = (request.args.get(*default, type=int) for default in (("page", 1), ("limit", 25)))
            return _response(self.ongoing(page, limit))
        body = parse_json(request.get_data())
        if name.lower() == "invoke":
            self.invoke(body)
        else:
            self.register(body["provider"], body.get("endpoint"), body.get("headers"))
        return _success(self.success_body)

    # Control commands

    def _control(self, request):
        """Run a control command of another process, with a JSON object for the arguments and one for the result."""
        try:
            body = parse_json(request.get_data() or b"{}")
            result = self._command(f"{request.method} {request.path.removeprefix(CONTROL)}", body)
        except (TypeError, ValueError) as error:
            return _response({"message": f"{type(error).__name__}: {error}"}, 400)
        return _response({"message": "No such command"}, 404) if result is NotImplemented else _response(result or {})

    def _command(self, command, body):
        """Return the result of a command with the arguments in ``body``, or NotImplemented for an unknown command."""
        commands = {
            "GET state": self._state,
            "POST dispatch": lambda external_ids, **others: self.dispatch(*external_ids, **others),
            "POST register": self.register,
            "POST assign": self.assign,
            "POST notify": lambda **details: {"status": self.notify(**details)},
            "POST faults": lambda **details: {"id": self.fault(**details).id},
            "POST faults/release": self._release,
            "POST clients": self.add_client,
            "POST tokens": lambda **scopes: {"access_token": self.issue_token(**scopes)},
            "PUT behaviour": self.behave,
            "POST poison": lambda external_ids: self.poison(*external_ids),
            "POST expire": self.expire_tokens,
            "POST reset": self.reset,
        }
        return commands[command](**body) if command in commands else NotImplemented

    def _release(self, id=None):
        with self.lock:
            self._faults.release(id)

    def _state(self):
        with self.lock:
            calls, effects, ignored = self.calls, self.effects, self.ignored
            return {
                "live": self.live(),
                "calls": calls,
                "effects": effects,
                "ignored": ignored,
                "faults": self._faults.summary(),
                "counts": {
                    "calls": len(calls),
                    "token_calls": sum(call["path"] == TOKEN for call in calls),
                    "invoke_calls": sum(call["path"].lower() == INVOKE.lower() for call in calls),
                    "effects": len(effects),
                    "ignored": len(ignored),
                    "connections": len({call["connection"] for call in calls}),
                },
            }


def _response(value=None, status=200, headers=None):
    """Return a JSON response, or an empty one without a value."""
    response = Response("" if value is None else json.dumps(value), status, headers, content_type="application/json")
    if value is None:
        del response.headers["Content-Type"]
    return response


def _success(body):
    return _response({"message": "Success"} if body == "json" else None)


def _error_response(status, message="", retry_after=None, body=None):
    """Return an error response: a 4xx about the request itself has a message, other errors have no body."""
    if body is None and status in (400, 404, 405, 413, 417):
        body = {"message": message or MESSAGES.get(status, "")}
    response = _response(body, status)
    if isinstance(body, str):
        response.set_data(body)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _count_interactions(body):
    """Return the number of Interaction objects in a body, which may be invalid otherwise."""
    try:
        requests = parse_json(body)["requests"]
    except (KeyError, TypeError, ValueError):
        return 0
    return len(requests) if isinstance(requests, list) else 0

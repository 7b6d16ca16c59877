# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The payload: what is sent again, what counts as an answer, and what may have happened all the same."""

from __future__ import annotations

import contextlib
import email.utils
import html
import http.server
import json
import random
import socket
import ssl
import threading
import time
from urllib.parse import quote

import pytest
import trustme

from ansible_collections.vonage.vcc.plugins.module_utils._api.client import STATS_SCOPE, Client
from ansible_collections.vonage.vcc.plugins.module_utils._connection import connection
from ansible_collections.vonage.vcc.plugins.module_utils._errors import (
    ApiError,
    AuthError,
    InputError,
    NoResponseError,
    RejectedError,
)
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Clock, body_of, validated

REGISTER = "/interactions/Register"
ONGOING = "/stats/interactions/ongoing"

# The orders to the simulator after which a call is worth repeating.
PASSING = [
    {"kind": "status", "status": 429},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 502},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 504},
    {"kind": "cut", "when": "before"},
    {"kind": "cut", "when": "after"},
    {"kind": "hold"},
]

# Those after which it is not, and the status that VCC or something in between gives.
LASTING = [
    {"kind": "status", "status": 400},
    {"kind": "status", "status": 403},
    {"kind": "status", "status": 404},
    {"kind": "status", "status": 409},
    {"kind": "too_large", "status": 413},
    {"kind": "too_large", "status": 417},
    {"kind": "status", "status": 501},
    {"kind": "redirect", "status": 302},
    {"kind": "html"},
    {"kind": "garbage"},
]


def described(order):
    return "-".join(str(part) for part in order.values())


def a_call(*external_ids):
    """A body with request ids, so that VCC takes it once however often it comes."""
    requests = [{"action": "release", "requestid": f"for {each}", "externalid": each} for each in external_ids or ["a"]]
    return json.dumps({"requests": requests}).encode()


@pytest.fixture
def client(sim, make_http, make_auth):
    """Makes a client of the simulator. A short timeout, since some faults hold the answer back."""

    def make(url=None, **others):
        http = make_http(**{"timeout": 0.3, **others})
        return Client(http, make_auth(http, access_token=sim.issue_token()), url or sim.url)

    return make


SECRET = 'eyJhbGciOiJub25lIn0.a"b/c+d&e%f-QmVhcmVyMTIzNDU2.Nzg5MDEyMzQ1Njc4OTA'


def failure(act, *arguments, kind=ApiError):
    with pytest.raises(kind) as caught:
        act(*arguments)
    return caught.value


@contextlib.contextmanager
def listening(handle):
    """A socket on loopback whose connections go to C(handle) one by one; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, dummy = server.accept()
                    with connection:
                        handle(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def nobody():
    """A port of this host on which no one listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


class TestCall:
    def test_as_the_contract_says(self, sim, make_http, make_auth):
        token = sim.issue_token()
        http = make_http()
        Client(http, make_auth(http, access_token=token), sim.url).invoke(a_call())
        (request,) = sim.requests
        assert request["path"] == "/interactions/Invoke"
        assert request["body"] == a_call()
        assert request["headers"]["Accept"] == "application/vnd.newvoicemedia.v1+json"
        assert request["headers"]["Authorization"] == f"Bearer {token}"
        assert request["headers"]["Content-Type"] == "application/json"
        assert sim.released == ["a"]

    @pytest.mark.parametrize("success_body", ["empty", "json"])
    def test_nothing_and_json_are_a_success(self, sim, client, success_body):
        sim.success_body = success_body
        client().invoke(a_call())
        assert sim.released == ["a"]

    def test_many_calls_take_one_connection(self, sim, make_http, make_auth):
        http = make_http()
        one = Client(http, make_auth(http), sim.url)
        for number in range(20):
            sim.success_body = ("empty", "json")[number % 2]
            one.invoke(a_call(str(number)))
        assert len(sim.calls) == 21
        assert {call["connection"] for call in sim.calls} == {1}
        assert one.calls == 20

    def test_an_api_url_may_have_a_path(self, sim, client):
        exc = failure(client(url=sim.url + "/vcc").invoke, a_call(), kind=RejectedError)
        assert sim.calls[-1]["path"] == "/vcc/interactions/Invoke"
        assert exc.status == 404


class TestSentAgain:
    @pytest.mark.parametrize("order", PASSING, ids=described)
    def test_with_the_same_bytes(self, sim, client, order):
        sim.fault(**order)
        one = client(retries=1)
        one.invoke(a_call("ä", "b"))
        assert one.calls == 2
        assert sim.bodies() == [a_call("ä", "b")] * 2
        assert sim.released == ["ä", "b"]

    @pytest.mark.parametrize("order", PASSING, ids=described)
    def test_as_often_as_wanted_and_no_more(self, sim, client, order):
        if order["kind"] == "hold":
            sim.fault("latency", times=None, seconds=0.5)
        else:
            sim.fault(times=None, **order)
        one = client(retries=2)
        exc = failure(one.invoke, a_call(), kind=NoResponseError)
        assert one.calls == len(sim.calls) == 3
        assert sim.url in str(exc)
        assert str(exc).endswith(": run the task again later.")

    @pytest.mark.parametrize("order", PASSING, ids=described)
    def test_not_at_all_with_no_retries(self, sim, client, clock, order):
        sim.fault(**order)
        failure(client(retries=0).invoke, a_call(), kind=NoResponseError)
        assert len(sim.calls) == 1
        assert clock.slept == []

    @pytest.mark.parametrize("order", LASTING, ids=described)
    def test_not_what_would_fail_again(self, sim, client, clock, order):
        sim.fault(**order)
        failure(client(retries=5).invoke, a_call())
        assert len(sim.calls) == 1
        assert clock.slept == []

    def test_after_different_faults_in_a_row(self, sim, client):
        orders = [order for order in PASSING if order["kind"] != "hold"]
        for order in orders:
            sim.fault(**order)
        one = client(retries=len(orders), timeout=30)
        one.invoke(a_call())
        assert one.calls == len(orders) + 1
        assert sim.released == ["a"]
        assert len(set(sim.bodies())) == 1

    def test_when_no_one_listens(self, client, clock, nobody):
        exc = failure(client(url=f"http://127.0.0.1:{nobody}", retries=3).invoke, a_call(), kind=NoResponseError)
        assert "gave no answer (no connection)" in str(exc)
        assert len(clock.slept) == 3


class TestWaits:
    @pytest.mark.parametrize("status", [429, 503])
    def test_as_many_seconds_as_the_server_asks_for(self, sim, client, clock, status):
        sim.fault("status", status=status, retry_after=7)
        client(retries=1).invoke(a_call())
        assert clock.slept == [7]

    @pytest.mark.parametrize("status", [429, 503])
    def test_until_the_date_that_the_server_gives(self, sim, client, clock, status):
        sim.fault("status", status=status, retry_after=email.utils.formatdate(time.time() + 50, usegmt=True))
        client(retries=1).invoke(a_call())
        (slept,) = clock.slept
        assert 40 < slept <= 50

    @pytest.mark.parametrize("value", ["0", "Sun, 06 Nov 1994 08:49:37 GMT"])
    def test_not_for_what_is_over(self, sim, client, clock, value):
        sim.fault("status", status=429, retry_after=value)
        client(retries=1).invoke(a_call())
        assert clock.slept == [0]

    @pytest.mark.parametrize("value", [None, "soon", "-5", "1e3", "Sun, 99 Nov 1994", ""])
    def test_without_a_hint_that_makes_sense_they_grow(self, sim, client, clock, monkeypatch, value):
        monkeypatch.setattr(random, "uniform", lambda low, high: low)
        sim.fault("status", times=None, status=429, retry_after=value)
        failure(client(retries=5, timeout=30).invoke, a_call())
        first, *later = clock.slept
        assert len(later) == 4
        assert first <= later[0]
        assert later[0] > 0
        assert all(after >= 2 * before for before, after in zip(later, later[1:]))

    def test_they_have_jitter(self, sim, client, clock):
        sim.fault("status", times=None, status=503)
        waits = []
        for dummy in range(3):
            failure(client(retries=3, timeout=30).invoke, a_call())
            waits.append(tuple(clock.slept))
            clock.slept.clear()
        assert len(set(waits)) == 3
        for same in zip(*waits):
            assert max(same) - min(same) <= 1

    def test_a_wait_beyond_the_budget_is_not_begun(self, sim, client, clock):
        sim.fault("status", status=429, retry_after=3600)
        exc = failure(client(retries=5, timeout=30).invoke, a_call(), kind=NoResponseError)
        assert "429 and asks to wait 3600 s" in str(exc)
        assert clock.slept == []

    @pytest.mark.parametrize("retry_after", ["9" * 30, "Fri, 31 Dec 9999 23:59:59 GMT"])
    def test_nor_is_one_beyond_all_measure(self, sim, client, clock, retry_after):
        sim.fault("status", status=503, retry_after=retry_after)
        failure(client(retries=5, timeout=30).invoke, a_call(), kind=NoResponseError)
        assert clock.slept == []

    @pytest.mark.parametrize(("asked", "slept"), [(7, 7), (3600, 60)])
    def test_what_ends_a_call_holds_back_the_next(self, sim, client, clock, asked, slept):
        sim.fault("status", status=429, retry_after=asked)
        one = client(retries=0)
        failure(one.invoke, a_call(), kind=NoResponseError)
        assert clock.slept == []
        one.invoke(a_call())
        assert clock.slept == [slept]

    def test_all_of_them_together_keep_to_the_budget(self, sim, client, clock):
        """(5 + 1) x 30 + 60 seconds."""
        sim.fault("status", times=None, status=429, retry_after=100)
        failure(client(retries=5, timeout=30).invoke, a_call(), kind=NoResponseError)
        assert clock.slept == [100, 100]

    def test_the_attempts_count_too(self, sim, client, clock):
        sim.fault("status", times=None, status=429, retry_after=10)

        class Slow(Clock):
            def __call__(self):
                self.now += 20
                return self.now

        slow = Slow()
        failure(client(retries=20, timeout=5, sleep=slow.sleep, clock=slow).invoke, a_call(), kind=NoResponseError)
        assert 2 <= len(slow.slept) < 10

    def test_a_body_that_comes_byte_by_byte_in_time_is_taken(self, sim, client):
        sim.fault("trickle", seconds=0.01)
        client(retries=0).invoke(a_call())
        assert sim.released == ["a"]


class TestPacing:
    def test_calls_keep_their_distance(self, client, clock):
        one = client(requests_per_minute=30)
        for dummy in range(4):
            one.invoke(a_call())
        assert clock.slept == [2, 2, 2]

    def test_the_token_and_retries_count(self, sim, make_http, make_auth, clock):
        sim.fault("status", status=429, retry_after=0)
        http = make_http(retries=1, requests_per_minute=60)
        Client(http, make_auth(http), sim.url).invoke(a_call())
        assert len(sim.calls) == 3
        assert sum(clock.slept) == 2

    def test_a_pause_is_not_made_up_for(self, client, clock):
        one = client(requests_per_minute=30)
        one.invoke(a_call())
        clock.now += 1000
        for dummy in range(3):
            one.invoke(a_call())
        assert clock.slept == [2, 2]

    def test_without_a_limit_there_is_no_distance(self, client, clock):
        one = client()
        for dummy in range(4):
            one.invoke(a_call())
        assert clock.slept == []


class TestNoAnswer:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, sim, client, status):
        sim.fault("redirect", status=status, location=f"{sim.url}/elsewhere")
        exc = failure(client(retries=5).invoke, a_call(), kind=NoResponseError)
        assert f"answered with status {status}" in str(exc)
        assert [call["path"] for call in sim.calls] == ["/interactions/Invoke"]

    @pytest.mark.parametrize(
        "order",
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
        ids=lambda order: described(order)[:30],
    )
    def test_only_200_with_nothing_or_json_is_a_success(self, sim, client, order):
        sim.fault(**order)
        exc = failure(client(retries=5).invoke, a_call(), kind=NoResponseError)
        assert exc.maybe_processed
        assert "in a way that VCC does not" in str(exc)

    def test_a_refusal_says_whose_it_is(self, sim, client):
        sim.fault("status", status=404, body="<html>")
        assert not failure(client().invoke, a_call(), kind=RejectedError).by_vcc
        sim.fault("status", status=404, body="")
        assert failure(client().invoke, a_call(), kind=RejectedError).by_vcc
        sim.fault("status", status=404)
        assert failure(client().invoke, a_call(), kind=RejectedError).by_vcc

    @pytest.mark.parametrize("status", [400, 403])
    def test_the_reason_is_repeated_in_one_short_line(self, sim, client, status):
        sim.fault("status", status=status, body={"message": "not\nthis\x1b[31m way " + "x" * 500})
        said = str(failure(client().invoke, a_call()))
        assert "(not\\nthis\\x1b[31m way xxx" in said
        assert said.isprintable()
        assert len(said) < 400

    @pytest.mark.parametrize(
        "spelled",
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
    def test_a_reason_with_a_secret_in_whatever_spelling_is_not_repeated(self, sim, spelled):
        given = validated(**sim.options(external_id="a", access_token=sim.issue_token()))
        client = Client.from_connection(connection(given), secrets={SECRET})
        with contextlib.closing(client):
            sim.fault("status", status=400, body={"message": f"<{spelled}>"})
            assert str(failure(client.invoke, a_call())) == "VCC refused it with status 400"
            sim.fault("status", status=403, body={"message": f"<{spelled}>"})
            assert str(failure(client.invoke, a_call())).startswith("VCC refuses access (403): ")
            sim.fault("status", status=400, body={"message": "<eyJhb>" + "x" * 200 + spelled})
            assert "(<eyJhb>xxx" in str(failure(client.invoke, a_call()))

    @pytest.mark.parametrize("body", ['{"message": 17}', '{"message": null}', '["message"]', "17", ""])
    def test_without_a_reason_there_is_none(self, sim, client, body):
        sim.fault("status", status=400, body=body)
        assert str(failure(client().invoke, a_call(), kind=RejectedError)) == "VCC refused it with status 400"

    def test_a_missing_right_is_named(self, sim, client):
        sim.fault("status", status=403)
        exc = failure(client().invoke, a_call(), kind=AuthError)
        assert str(exc) == "VCC refuses access (403): give the API client the scope interactions:write."


class TestUncertain:
    """Whether an attempt may have taken effect, although the call failed."""

    @pytest.mark.parametrize(
        ("orders", "maybe_processed"),
        [
            ([{"kind": "status", "status": 429}], False),
            ([{"kind": "status", "status": 429}] * 2, False),
            ([{"kind": "status", "status": 400}], False),
            ([{"kind": "status", "status": 403}], False),
            ([{"kind": "status", "status": 404}], False),
            ([{"kind": "too_large"}], False),
            ([{"kind": "expired"}, {"kind": "expired"}], False),
            ([{"kind": "status", "status": 429}, {"kind": "status", "status": 400}], False),
            ([{"kind": "status", "status": 500}], True),
            ([{"kind": "status", "status": 502}], True),
            ([{"kind": "status", "status": 503}], True),
            ([{"kind": "status", "status": 504}], True),
            ([{"kind": "cut", "when": "before"}], True),
            ([{"kind": "cut", "when": "after"}], True),
            ([{"kind": "hold"}], True),
            ([{"kind": "redirect"}], True),
            ([{"kind": "html"}], True),
            ([{"kind": "cut", "when": "after"}, {"kind": "status", "status": 429}], True),
            ([{"kind": "cut", "when": "after"}, {"kind": "status", "status": 400}], True),
            ([{"kind": "hold"}, {"kind": "status", "status": 403}], True),
            ([{"kind": "status", "status": 503}, {"kind": "status", "status": 404}], True),
        ],
        ids=lambda value: "+".join(map(described, value)) if isinstance(value, list) else None,
    )
    def test_by_what_was_answered(self, sim, client, orders, maybe_processed):
        for order in orders:
            sim.fault(**order)
        exc = failure(client(retries=len(orders) - 1).invoke, a_call())
        assert exc.maybe_processed is maybe_processed

    def test_not_when_no_one_listens(self, client, nobody):
        assert not failure(
            client(url=f"http://127.0.0.1:{nobody}").invoke, a_call(), kind=NoResponseError
        ).maybe_processed

    def test_not_when_no_connection_comes_about_in_time(self, client):
        with socket.socket() as full, contextlib.ExitStack() as stack:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for dummy in range(8):  # as many as it takes to fill the queue of those that wait
                other = stack.enter_context(socket.socket())
                other.setblocking(False)
                other.connect_ex(full.getsockname())
            exc = failure(
                client(url=f"http://127.0.0.1:{full.getsockname()[1]}").invoke, a_call(), kind=NoResponseError
            )
        assert "the connection timed out" in str(exc)
        assert not exc.maybe_processed

    def test_when_the_answer_breaks_off(self, sim, client):
        def answer(connection):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

        with listening(answer) as port:
            exc = failure(client(url=f"http://127.0.0.1:{port}").invoke, a_call(), kind=NoResponseError)
        assert exc.maybe_processed

    @pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n", b"HTTP/1.1 999999\r\n\r\n", b"\xff" * 70000])
    def test_when_the_answer_is_no_http(self, client, answer):
        def reply(connection):
            connection.recv(65536)
            connection.sendall(answer)

        with listening(reply) as port:
            exc = failure(client(url=f"http://127.0.0.1:{port}").invoke, a_call(), kind=NoResponseError)
        assert exc.maybe_processed


class TestSurroundings:
    """What the environment may and may not change."""

    @pytest.mark.parametrize("door", ["home", "variable"])
    def test_a_netrc_file_replaces_no_token(self, sim, make_http, make_auth, tmp_path, monkeypatch, door):
        home = tmp_path / "home"
        home.mkdir()
        (home / ".netrc").write_text(
            "machine 127.0.0.1 login mallory password s3cret\ndefault login eve password s3cret\n"
        )
        (home / ".netrc").chmod(0o600)
        if door == "variable":
            monkeypatch.setenv("NETRC", str(home / ".netrc"))
        http = make_http()
        Client(http, make_auth(http), sim.url).invoke(a_call())
        token_call, api_call = sim.requests
        assert "Authorization" not in token_call["headers"]
        assert api_call["headers"]["Authorization"].startswith("Bearer ")

    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_no_proxy_stands_before_this_host_itself(self, sim, client, monkeypatch, nobody, variable, host):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{nobody}")
        client(url=sim.url.replace("127.0.0.1", host)).invoke(a_call())
        assert sim.released == ["a"]

    @pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
    def test_a_proxy_is_used_for_all_others(self, client, monkeypatch, variable):
        seen = []

        def refuse(connection):
            seen.append(connection.recv(65536).decode())
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        with listening(refuse) as port:
            monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
            exc = failure(client(url="https://vcc.invalid").invoke, a_call(), kind=NoResponseError)
        assert "(the proxy refuses the way there with status 403)" in str(exc)
        assert not exc.maybe_processed
        assert seen[0].startswith("CONNECT vcc.invalid:443 ")
        assert "Bearer" not in "".join(seen)

    def test_a_proxy_that_is_down_is_tried_again(self, client, clock, monkeypatch, nobody):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{nobody}")
        exc = failure(client(url="https://vcc.invalid", retries=2).invoke, a_call(), kind=NoResponseError)
        assert "the proxy cannot be used" in str(exc)
        assert len(clock.slept) == 2
        assert not exc.maybe_processed


class _Accepting(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


class _Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, *arguments):
        pass


def certificate(folder, name):
    """A certificate of its own making for a host name, and its key."""
    authority = trustme.CA()
    authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "cert.pem")
    return folder / "cert.pem", folder / "key.pem"


class TestCertificates:
    @pytest.fixture
    def serve(self, tmp_path):
        """Starts an HTTPS server that accepts everything; returns its URL and its certificate."""
        with contextlib.ExitStack() as stack:

            def start(name="localhost"):
                cert, key = certificate(tmp_path, name)
                server = stack.enter_context(_Quiet(("127.0.0.1", 0), _Accepting))
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(key)
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
                thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
                thread.start()
                stack.callback(thread.join)
                stack.callback(server.shutdown)
                return f"https://localhost:{server.server_port}", str(cert)

            yield start

    def test_one_that_is_not_trusted_fails_at_once(self, serve, client, clock):
        url, dummy = serve()
        one = client(url=url, retries=5, timeout=10)
        exc = failure(one.invoke, a_call(), kind=NoResponseError)
        assert "gave no answer (its certificate cannot be trusted)" in str(exc)
        assert "ca_path" in str(exc)
        assert not exc.maybe_processed
        assert one.calls == 1
        assert clock.slept == []

    def test_one_that_is_given_is_trusted(self, serve, client):
        url, cert = serve()
        client(url=url, verify=cert, timeout=10).invoke(a_call())

    def test_one_of_the_environment_is_trusted(self, serve, client, monkeypatch):
        url, cert = serve()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", cert)
        client(url=url, timeout=10).invoke(a_call())

    def test_one_for_another_name_is_not(self, serve, client):
        url, cert = serve("other.example")
        exc = failure(client(url=url, verify=cert, timeout=10).invoke, a_call(), kind=NoResponseError)
        assert "certificate cannot be trusted" in str(exc)

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    def test_any_is_taken_where_none_is_asked_for(self, serve, client, monkeypatch, tmp_path):
        url, dummy = serve()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none"))
        client(url=url, verify=False, timeout=10).invoke(a_call())

    def test_plain_http_behind_https_is_no_answer(self, sim, client):
        exc = failure(client(url=sim.url.replace("http://", "https://")).invoke, a_call(), kind=NoResponseError)
        assert "gave no answer (the TLS connection failed)" in str(exc)
        assert sim.released == []


def test_a_body_needs_no_request_ids_to_be_sent(sim, client):
    client().invoke(body_of("a"))
    assert sim.released == ["a"]


class TestRegister:
    def body(self, **others):
        permitted = dict.fromkeys(("release", "hold", "transferToAgent", "transferToRoute"), 0)
        return json.dumps({"provider": "tickets", "agentactionspermitted": permitted, **others}).encode()

    def test_as_the_contract_says(self, sim, client):
        one = client()
        one.register(self.body())
        (request,) = sim.requests
        assert (request["path"], request["body"]) == (REGISTER, self.body())
        assert request["headers"]["Accept"] == "application/vnd.newvoicemedia.v1+json"
        assert request["headers"]["Content-Type"] == "application/json"
        assert (sim.calls[0]["method"], one.calls) == ("POST", 1)

    @pytest.mark.parametrize("order", LASTING, ids=described)
    def test_only_200_with_nothing_or_json_is_a_success(self, sim, client, order):
        sim.fault(path=REGISTER, **order)
        one = client(retries=5)
        failure(one.register, self.body())
        assert one.calls == 1

    def test_what_the_contract_does_not_allow_is_refused(self, sim, client):
        exc = failure(client().register, b'{"provider": "tickets"}', kind=RejectedError)
        assert (exc.status, exc.by_vcc, exc.maybe_processed) == (400, True, False)


class TestOngoing:
    @pytest.fixture
    def one(self, sim, make_http, make_auth):
        http = make_http()
        auth = make_auth(http, access_token=sim.issue_token(["stats"]), scope=STATS_SCOPE)
        return Client(http, auth, sim.url, STATS_SCOPE)

    def test_a_page_and_its_meta(self, sim, one):
        sim.dispatch("a", "b", "c")
        items, meta = one.ongoing(2, 2)
        assert items == sim.ongoing(2, 2)["items"]
        assert meta == {"page": 2, "count": 1, "pageCount": 2, "totalCount": 3}
        (request,) = sim.requests
        assert (request["path"], request["body"]) == (ONGOING, b"")
        assert request["headers"]["Accept"] == "application/vnd.newvoicemedia.v3+json"
        assert (sim.calls[0]["method"], one.calls) == ("GET", 1)

    @pytest.mark.parametrize("meta", [None, [], "x", 1])
    def test_a_meta_that_is_none_is_empty(self, sim, one, meta):
        sim.fault("status", status=200, body={"items": [], "meta": meta}, path=ONGOING)
        assert one.ongoing(1, 1) == ([], {})

    def test_a_missing_right_names_the_scope(self, sim, one):
        sim.fault("status", status=403, path=ONGOING)
        assert "give the API client the scope stats." in str(failure(one.ongoing, 1, 1, kind=AuthError))

    def test_a_refusal_says_whose_it_is(self, sim, one):
        sim.fault("status", status=404, path=ONGOING, body="<html>")
        exc = failure(one.ongoing, 1, 1, kind=RejectedError)
        assert (exc.status, exc.by_vcc) == (404, False)


class TestFromConnection:
    def test_the_scope_of_its_token_and_its_secrets(self, sim):
        secrets = set()
        given = validated(**sim.options(external_id="a", access_token=None))
        client = Client.from_connection(connection(given), STATS_SCOPE, secrets)
        with contextlib.closing(client):
            assert secrets == {CLIENT_SECRET}
            assert client.ongoing(1, 1)[0] == []
            assert secrets == {CLIENT_SECRET, client.authenticate().value}
            failure(client.invoke, a_call(), kind=AuthError)


def test_a_renewal_that_cannot_be_kept_leaves_the_doubt_about_an_earlier_attempt(sim, make_http):
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


def test_a_call_that_waits_for_its_turn_heeds_a_limit_that_another_meets_meanwhile(sim, clock, make_http):
    waits = []

    def sleep(seconds):
        if not waits:
            http.limiter.hold_back(30)  # as the other call's thread does
        waits.append(seconds)
        clock.sleep(seconds)

    http = make_http(requests_per_minute=60, sleep=sleep)
    for dummy in range(2):
        http.send("GET", sim.url + "/nothing", "VCC at")
    assert waits == pytest.approx([1, 29])

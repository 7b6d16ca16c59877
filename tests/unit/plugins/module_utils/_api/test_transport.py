# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies between a task and VCC: proxies, gateways, answers that are none, and peers that never come to an end."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import urllib.request

import pytest
import requests

from ansible_collections.vonage.vcc.plugins.module_utils import _connection, _options, ongoing, providers
from ansible_collections.vonage.vcc.plugins.module_utils._api import http
from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError, NoResponseError
from ansible_collections.vonage.vcc.plugins.module_utils._interactions import sender, task
from ansible_collections.vonage.vcc.tests.simulator.proxy import HOST, Proxy, certificate_for
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Clock, Recorder, validated, validated_by

TOKEN = "/Auth/connect/token"
PERMITTED = {"release": False, "hold": False, "transfer_to_agent": False, "transfer_to_route": False}
BY_PROXY = f"https://{HOST}"


@pytest.fixture
def impatient(monkeypatch):
    """A call has no time but that of its attempts."""
    monkeypatch.setattr(http, "MAX_WAIT", 0.2)


@pytest.fixture
def behind(tmp_path, monkeypatch):
    """A simulator behind a proxy: yields both, and the options of a task that takes that way."""
    with Recorder(tls=certificate_for(tmp_path / "ca.pem")) as sim, Proxy(sim.url) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        given = {"api_url": BY_PROXY, "auth_url": BY_PROXY + TOKEN, "ca_path": str(tmp_path / "ca.pem"), "timeout": 5}
        yield sim, proxy, sim.options(**given, journal=str(tmp_path / "kept" / "journal.db"))


@contextlib.contextmanager
def answering(*answers, hold=False):
    """A port of loopback that answers each request with the next of some bytes, and then cuts the connection or, to hold, keeps it."""
    over = threading.Event()

    def serve():
        with contextlib.suppress(OSError):
            for answer in answers:
                connection, dummy = server.accept()
                with connection:
                    request = connection.recv(65536)
                    if request.startswith(b"POST"):  # whole, or what is left of it would make the end a reset
                        head, dummy, body = request.partition(b"\r\n\r\n")
                        length = int(re.search(rb"Content-Length: (\d+)", head)[1])
                        while len(body) < length:
                            body += connection.recv(65536)
                    connection.sendall(answer)
                    if hold:
                        over.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        over.set()
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        thread.join()


def run(given, check=False):
    clients = {}
    try:
        return task.run(validated(**given), check, False, clients)
    finally:
        for client in clients.values():
            client.close()


def states(result):
    return [(one["state"], one["evidence"]) for one in result["interactions"]]


class TestProxy:
    @pytest.mark.parametrize("reset", [False, True])
    @pytest.mark.parametrize("state", ["released", "dispatched"])
    def test_a_cut_behind_it_leaves_open_whether_vcc_has_it(self, behind, state, reset):
        sim, proxy, given = behind
        given.update(state=state, external_id="a", route="Support")
        sim.dispatch(*(["a"] if state == "released" else []))
        proxy.fault("cut", how=reset, after=1)  # the token's answer comes through
        assert states(run(given)) == [("unknown", "none")]
        assert len(sim.effects) == 1
        again = run(given)
        assert states(again) == [(state, "api")]
        assert len(sim.effects) == 1, "the second request has the id of the first"
        assert len(sim.ignored) == 1

    def test_a_retry_behind_it_has_the_same_request_id(self, behind, monkeypatch):
        sim, proxy, given = behind
        monkeypatch.setattr(http.random, "uniform", lambda low, high: low)
        sim.dispatch("a")
        proxy.fault("cut", after=1)
        assert states(run({**given, "external_id": "a", "retries": 1})) == [("released", "api")]
        assert (len(sim.effects), len(sim.ignored)) == (1, 1)

    def test_a_cut_leaves_open_whether_a_provider_is_registered(self, behind):
        dummy, proxy, given = behind
        proxy.fault("cut", after=1)
        params = validated_by(
            {"argument_spec": _options.PROVIDER_SPEC}, **{**given, "name": "crm", "agent_actions_permitted": PERMITTED}
        )
        with pytest.raises(Exception, match="may or may not be registered"):
            providers.run(params, False, False, set())

    @pytest.mark.parametrize(
        ("status", "said"),
        [
            (407, "wants a user and a password): put them into the proxy's URL"),
            (401, "refuses the way there with status 401): have the proxy let this host through"),
            (403, "refuses the way there with status 403): have the proxy let this host through"),
        ],
    )
    def test_what_it_refuses_is_not_tried_again_and_not_sent(self, behind, status, said):
        sim, proxy, given = behind
        proxy.fault("refuse", how=status, times=None)
        result = run({**given, "external_id": "a", "access_token": "t0ken", "retries": 5})
        assert said in result["msg"]
        assert states(result) == [("failed", "none")]
        assert (proxy.tunnels, sim.calls) == (1, [])

    @pytest.mark.parametrize("length", [0, 10, 1000], ids=["nothing", "part of an answer", "no TLS behind it"])
    def test_one_that_never_answers_is_given_up(self, behind, impatient, length):
        sim, proxy, given = behind
        proxy.fault("silence", how=length, times=None)
        result = run({**given, "external_id": "a", "access_token": "t0ken", "timeout": 1})
        assert states(result) == [("failed", "none")]
        assert sim.calls == []

    @pytest.mark.parametrize(
        ("proxy", "why"),
        [
            ("http://u:s3cret@", "it has no host"),
            ("ftp://proxy.example:21", "it is no URL of a proxy"),
            ("http://proxy.example:port", "it is no URL of a proxy"),
            ("socks5://proxy.example", "SOCKS needs the Python library PySocks"),
        ],
    )
    @pytest.mark.parametrize("check", [False, True])
    def test_one_that_cannot_be_is_named_by_its_variable_before_any_claim(
        self, behind, tmp_path, monkeypatch, proxy, why, check
    ):
        dummy, dummy, given = behind
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        result = run({**given, "external_id": "a", "access_token": "t0ken"}, check)
        assert result["failed"]
        assert f"The proxy of the environment variable HTTPS_PROXY cannot be used ({why})" in result["msg"]
        assert "s3cret" not in result["msg"]
        assert not (tmp_path / "kept" / "journal.db").exists()

    def test_one_without_a_scheme_is_taken_for_http(self, behind, monkeypatch):
        sim, proxy, given = behind
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http://", ""))
        sim.dispatch("a")
        assert states(run({**given, "external_id": "a"})) == [("released", "api")]

    def test_a_401_of_something_in_between_renews_no_token(self, sim, task):
        sim.fault("status", times=None, status=401, body="<html>Sign in</html>")
        result = task(external_id="a")
        assert result["msg"].startswith("Interaction 'a' is not released: A proxy or gateway before VCC refused it")
        assert len(sim.token_calls) == 1

    @pytest.mark.parametrize("status", [401, 403, 407])
    def test_nor_are_the_credentials_blamed_for_it(self, sim, task, status):
        sim.fault("status", path=TOKEN, times=None, status=status, body="<html>Sign in</html>")
        result = task(external_id="a", retries=3)
        assert "A proxy or gateway before the token endpoint" in result["msg"]
        assert "client_secret" not in result["msg"]
        assert len(sim.calls) == 1


class TestSurroundings:
    @pytest.mark.parametrize("variables", [{}, {"NO_PROXY": "other.example"}, {"HTTPS_PROXY": "http://127.0.0.1:1"}])
    def test_the_system_is_never_asked_for_proxies(self, behind, monkeypatch, variables):
        """On macOS that kills a forked process."""
        dummy, dummy, given = behind
        monkeypatch.delenv("HTTPS_PROXY")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

        def as_on_a_mac(host=None):
            if host is None or not urllib.request.getproxies_environment():
                pytest.fail("the system is asked")
            return urllib.request.proxy_bypass_environment(host)

        for module in (urllib.request, requests.utils, requests.compat):
            monkeypatch.setattr(module, "getproxies", as_on_a_mac)
            monkeypatch.setattr(module, "proxy_bypass", as_on_a_mac)
        given["api_url"] = given["auth_url"] = "https://vcc.invalid"
        assert run({**given, "external_id": "a"})["summary"]["failed"] == 1

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    @pytest.mark.parametrize(
        ("text", "why"),
        [(None, "does not exist"), ("", "has no certificate in PEM format"), ("x", "has no certificate in PEM format")],
    )
    def test_authorities_that_cannot_be_read_are_named_by_their_variable(
        self, behind, tmp_path, monkeypatch, variable, text, why
    ):
        dummy, dummy, given = behind
        path = tmp_path / "bundle.pem"
        if text is not None:
            path.write_text(text)
        monkeypatch.setenv(variable, str(path))
        result = run({**given, "external_id": "a", "ca_path": None})
        assert result["msg"].startswith(f"The environment variable {variable} names {path}, which {why} on the host")
        assert not (tmp_path / "kept" / "journal.db").exists()

    @pytest.mark.parametrize("check", [False, True])
    def test_those_of_the_option_too(self, behind, tmp_path, check):
        dummy, dummy, given = behind
        (tmp_path / "empty.pem").touch()
        result = run({**given, "external_id": "a", "ca_path": str(tmp_path / "empty.pem")}, check)
        assert "has no certificate in PEM format" in result["msg"]
        assert result["msg"].startswith("ca_path ")

    def test_without_verification_nothing_but_the_result_warns(self, behind, recwarn):
        sim, dummy, given = behind
        sim.dispatch("a")
        result = run({**given, "external_id": "a", "validate_certs": False})
        assert result["warnings"] == [_connection.UNVERIFIED]
        assert not recwarn.list


class TestFinalAnswer:
    @pytest.mark.parametrize("status", [100, 102, 103, 199])
    @pytest.mark.parametrize("path", ["/interactions/Invoke", TOKEN])
    def test_an_interim_answer_is_none(self, sim, task, status, path):
        sim.dispatch("a", "b")
        sim.fault("interim", path=path, status=status, count=3, seconds=0.01)
        assert states(task(external_id="a")) == [("released", "api")]
        sim.fault("interim", status=status, seconds=0.01)
        sim.fault("status", status=400, after=1)
        assert states(task(external_id="b")) == [("released", "api")]

    def test_behind_one_each_call_has_its_own_answer(self, sim, task, monkeypatch):
        """Each later call is refused, and none of that is reported released."""
        monkeypatch.setattr(sender, "BODY_LIMIT", 150)
        ids = [f"case-{number}" for number in range(6)]
        sim.dispatch(*ids)
        sim.fault("interim", seconds=0.05)
        sim.fault("status", status=400, times=None)
        result = task(external_ids=ids)
        assert [one["external_id"] for one in result["interactions"] if one["state"] == "released"] == sim.released
        assert result["summary"]["released"] == 1

    def test_switching_protocols_is_no_answer(self, sim, task):
        sim.fault("interim", status=101)
        assert states(task(external_id="a")) == [("unknown", "none")]

    @pytest.mark.parametrize("length", [0, 8, 15, 16, 17, 40])
    def test_a_head_that_is_cut_off_is_no_answer(self, sim, task, length):
        sim.dispatch("a")
        sim.fault("truncated", length=length, taken=False)
        assert states(task(external_id="a")) == [("unknown", "none")]
        assert sim.live() == ["a"]

    def test_nor_is_one_over_tls(self, behind):
        sim, dummy, given = behind
        sim.fault("truncated", taken=False)
        assert states(run({**given, "external_id": "a"})) == [("unknown", "none")]

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
            b"HTTP/2.0 200\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n",
        ],
        ids=lambda answer: repr(answer[-12:]),
    )
    def test_what_no_server_sends_is_an_outcome(self, sim, task, answer):
        with answering(answer) as url:
            result = task(external_id="a", api_url=url, access_token="t0ken")
        assert states(result) == [("unknown", "none")]
        assert "gave no answer (" in result["msg"]


LOCATIONS = ["http://sso.example/\xe9", "http://[bad/", "//", "\x00", "http://sso.example:port/"]


class TestRedirect:
    @pytest.mark.parametrize("location", LOCATIONS)
    @pytest.mark.parametrize("path", ["/interactions/Invoke", TOKEN])
    def test_its_address_is_not_looked_at(self, sim, task, location, path):
        sim.fault("redirect", path=path, location=location, times=None)
        result = task(external_id="a")
        assert "answered with status 302" in result["msg"]
        assert result["summary"]["requested"] == 1

    def test_not_by_the_other_modules_either(self, sim):
        sim.fault("redirect", path=None, location=LOCATIONS[0], times=None)
        given = sim.options(access_token=sim.issue_token(["stats"]))
        del given["journal"]
        with pytest.raises(NoResponseError, match="302"):
            ongoing.run(validated_by({"argument_spec": _options.ONGOING_SPEC}, **given), set())
        params = validated_by(
            {"argument_spec": _options.PROVIDER_SPEC},
            **given,
            journal="",
            name="crm",
            agent_actions_permitted=PERMITTED,
        )
        with pytest.raises(Exception, match="may or may not be registered"):
            providers.run(params, False, False, set())

    def test_nor_is_its_body(self, sim, task):
        sim.fault("redirect", length=1000, seconds=1)
        assert "answered with status 302" in task(external_id="a", timeout=5)["msg"]


class TestBound:
    """A call ends in time, whatever the peer does."""

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "trickle", "part": "head", "seconds": 0.1},
            {"kind": "trickle", "part": "body", "seconds": 0.1},
            {"kind": "interim", "status": 100, "count": 0, "seconds": 0.02},
            {"kind": "interim", "status": 103, "count": 200, "seconds": 0.02},
        ],
        ids=lambda fault: "-".join(map(str, fault.values())),
    )
    @pytest.mark.parametrize("path", ["/interactions/Invoke", TOKEN])
    def test_of_an_answer_that_goes_on_and_on(self, sim, task, impatient, fault, path):
        sim.fault(path=path, **fault)
        result = task(external_id="a", timeout=1)
        assert "(it was given up, having taken too long): run the task again later." in result["msg"]
        assert states(result) == [("unknown" if "Invoke" in path else "failed", "none")]

    def test_of_waits_for_the_limits_that_other_calls_meet(self, sim, make_http):
        held = [60.0] * 3

        def sleep(seconds):
            clock.sleep(seconds)
            if held:
                http.limiter.hold_back(held.pop())  # as another call does meanwhile

        clock = Clock()
        http = make_http(timeout=1, sleep=sleep, clock=clock)
        http.limiter.hold_back(30)
        with pytest.raises(NoResponseError, match="keeps answering other calls with status 429"):
            http.send("POST", sim.url + "/interactions/Invoke", "VCC at", body=b"{}")
        assert sim.calls == []

    def test_of_a_handshake_that_stalls(self, task, impatient):
        with answering(b"\x16\x03\x03", hold=True) as url:
            result = task(
                external_id="a", api_url=url.replace("http:", "https:"), access_token="t0ken", timeout=1, retries=0
            )
        assert states(result) == [("failed", "none")]

    def test_what_is_given_up_before_it_is_sent_never_is(self, sim, make_http, monkeypatch):
        """Its name is looked up for longer than the call may take."""
        found, go_on = threading.Event(), threading.Event()
        look_up = socket.getaddrinfo

        def slowly(*arguments, **others):
            go_on.wait(20)
            try:
                return look_up(*arguments, **others)
            finally:
                found.set()

        monkeypatch.setattr(http, "MAX_WAIT", 0)
        session = make_http(timeout=0.2)
        monkeypatch.setattr(socket, "getaddrinfo", slowly)
        with pytest.raises(NoResponseError, match="given up") as caught:
            session.send("POST", sim.url + "/interactions/Invoke", "VCC at", body=b"{}")
        assert not caught.value.maybe_processed
        go_on.set()
        assert found.wait(20)
        for thread in threading.enumerate():
            if thread.name.startswith("vcc-attempt"):
                thread.join(20)
        assert sim.calls == []


def test_certificates_are_looked_at_before_the_session(tmp_path):
    with pytest.raises(InputError, match=r"ca_path .* does not exist"):
        http.Http(1, 0, str(tmp_path / "none.pem"))

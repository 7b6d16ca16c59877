# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies and gateways between a task and VCC."""

from __future__ import annotations

import urllib.request

import pytest
import requests

from ansible_collections.vonage.vcc.plugins.module_utils._api import http
from ansible_collections.vonage.vcc.plugins.module_utils._errors import NoResponseError
from ansible_collections.vonage.vcc.plugins.modules import vcc_provider
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import validated_by
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._api.helpers import (
    PERMITTED,
    TOKEN,
    failure,
    release_body,
    run,
    serving,
    states,
)


class TestEnvironment:
    """The proxies of environment variables."""

    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_loopback_uses_no_proxy(self, sim, make_client, monkeypatch, closed_port, variable, host):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{closed_port}")
        make_client(url=sim.url.replace("127.0.0.1", host)).invoke(release_body())
        assert sim.released == ["a"]

    @pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
    def test_other_hosts_use_proxy(self, make_client, monkeypatch, variable):
        seen = []

        def refuse(connection):
            seen.append(connection.recv(65536).decode())
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        with serving(refuse) as port:
            monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
            exc = failure(make_client(url="https://vcc.invalid").invoke, release_body(), kind=NoResponseError)
        assert "(the proxy refuses the connection with status 403)" in str(exc)
        assert not exc.maybe_processed
        assert seen[0].startswith("CONNECT vcc.invalid:443 ")
        assert "Bearer" not in "".join(seen)

    def test_unreachable_proxy_is_retried(self, make_client, clock, monkeypatch, closed_port):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port}")
        exc = failure(make_client(url="https://vcc.invalid", retries=2).invoke, release_body(), kind=NoResponseError)
        assert "the proxy cannot be used" in str(exc)
        assert len(clock.slept) == 2
        assert not exc.maybe_processed

    @pytest.mark.parametrize("variables", [{}, {"NO_PROXY": "other.example"}, {"HTTPS_PROXY": "http://127.0.0.1:1"}])
    def test_system_is_never_asked_for_proxies(self, proxied, monkeypatch, variables):
        """On macOS, such a question kills a forked process."""
        dummy, dummy, options = proxied
        monkeypatch.delenv("HTTPS_PROXY")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

        def ask_macos(host=None):
            if host is None or not urllib.request.getproxies_environment():
                pytest.fail("the system is asked")
            return urllib.request.proxy_bypass_environment(host)

        for module in (urllib.request, requests.utils, requests.compat):
            monkeypatch.setattr(module, "getproxies", ask_macos)
            monkeypatch.setattr(module, "proxy_bypass", ask_macos)
        options["api_url"] = options["auth_url"] = "https://vcc.invalid"
        assert run({**options, "external_id": "a"})["summary"]["failed"] == 1

    @pytest.mark.parametrize(
        ("proxy", "reason"),
        [
            ("http://u:s3cret@", "it has no host"),
            ("ftp://proxy.example:21", "it is not the URL of a proxy"),
            ("http://proxy.example:port", "it is not the URL of a proxy"),
            ("socks5://proxy.example", "SOCKS needs the Python library PySocks"),
        ],
    )
    @pytest.mark.parametrize("check", [False, True])
    def test_unusable_proxy_fails_task_before_any_claim(self, proxied, tmp_path, monkeypatch, proxy, reason, check):
        dummy, dummy, options = proxied
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        result = run({**options, "external_id": "a", "access_token": "t0ken"}, check)
        assert result["failed"]
        assert f"The proxy of the environment variable HTTPS_PROXY cannot be used ({reason})" in result["msg"]
        assert "s3cret" not in result["msg"]
        assert not (tmp_path / "kept" / "journal.db").exists()

    def test_proxy_without_scheme_uses_http(self, proxied, monkeypatch):
        sim, proxy, options = proxied
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http://", ""))
        sim.dispatch("a")
        assert states(run({**options, "external_id": "a"})) == [("released", "api")]


class TestFaults:
    """Faults of a proxy, and refusals of a gateway."""

    @pytest.mark.parametrize("reset", [False, True])
    @pytest.mark.parametrize("state", ["released", "dispatched"])
    def test_cut_behind_proxy_leaves_state_unknown(self, proxied, state, reset):
        sim, proxy, options = proxied
        options.update(state=state, external_id="a", route="Support")
        sim.dispatch(*(["a"] if state == "released" else []))
        proxy.fault("cut", how=reset, after=1)  # the response with the token passes
        assert states(run(options)) == [("unknown", "none")]
        assert len(sim.effects) == 1
        again = run(options)
        assert states(again) == [(state, "api")]
        assert len(sim.effects) == 1, "the second request has the id of the first"
        assert len(sim.ignored) == 1

    def test_retry_behind_proxy_has_same_request_id(self, proxied, monkeypatch):
        sim, proxy, options = proxied
        monkeypatch.setattr(http.random, "uniform", lambda low, high: low)
        sim.dispatch("a")
        proxy.fault("cut", after=1)
        assert states(run({**options, "external_id": "a", "retries": 1})) == [("released", "api")]
        assert (len(sim.effects), len(sim.ignored)) == (1, 1)

    def test_cut_behind_proxy_leaves_registration_unknown(self, proxied):
        dummy, proxy, options = proxied
        proxy.fault("cut", after=1)
        params = validated_by(
            vcc_provider.SPEC,
            **{**options, "name": "crm", "agent_actions_permitted": PERMITTED},
        )
        with pytest.raises(Exception, match="may or may not be registered"):
            vcc_provider.run(params, False, False, set())

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (407, "requires a user and a password): put them into the proxy's URL"),
            (401, "refuses the connection with status 401): allow the host of this URL in the proxy"),
            (403, "refuses the connection with status 403): allow the host of this URL in the proxy"),
        ],
    )
    def test_refused_tunnel_is_not_retried(self, proxied, status, message):
        sim, proxy, options = proxied
        proxy.fault("refuse", how=status, times=None)
        result = run({**options, "external_id": "a", "access_token": "t0ken", "retries": 5})
        assert message in result["msg"]
        assert states(result) == [("failed", "none")]
        assert (proxy.tunnels, sim.calls) == (1, [])

    @pytest.mark.parametrize("length", [0, 10, 1000], ids=["nothing", "part of an answer", "no TLS behind it"])
    def test_silent_proxy_is_abandoned(self, proxied, short_wait, length):
        sim, proxy, options = proxied
        proxy.fault("silence", how=length, times=None)
        result = run({**options, "external_id": "a", "access_token": "t0ken", "timeout": 1})
        assert states(result) == [("failed", "none")]
        assert sim.calls == []

    def test_401_of_gateway_renews_no_token(self, sim, task):
        sim.fault("status", times=None, status=401, body="<html>Sign in</html>")
        result = task(external_id="a")
        assert result["msg"].startswith(
            "Interaction 'a' is not released: A proxy or gateway before VCC refused the request"
        )
        assert len(sim.token_calls) == 1

    @pytest.mark.parametrize("status", [401, 403, 407])
    def test_rejection_of_gateway_does_not_blame_credentials(self, sim, task, status):
        sim.fault("status", path=TOKEN, times=None, status=status, body="<html>Sign in</html>")
        result = task(external_id="a", retries=3)
        assert "A proxy or gateway before the token endpoint" in result["msg"]
        assert "client_secret" not in result["msg"]
        assert len(sim.calls) == 1

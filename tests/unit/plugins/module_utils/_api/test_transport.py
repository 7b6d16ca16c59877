# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP session: final responses, redirects and netrc."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._api.client import Client
from ansible_collections.vonage.vcc.plugins.module_utils._errors import NoResponseError
from ansible_collections.vonage.vcc.plugins.module_utils._interactions import sender
from ansible_collections.vonage.vcc.plugins.modules import vcc_ongoing_info, vcc_provider
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import validated_by
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._api.helpers import (
    PERMITTED,
    TOKEN,
    answering,
    release_body,
    run,
    states,
)


class TestFinalResponse:
    @pytest.mark.parametrize("status", [100, 102, 103, 199])
    @pytest.mark.parametrize("path", ["/interactions/Invoke", TOKEN])
    def test_interim_response_is_skipped(self, sim, task, status, path):
        sim.dispatch("a", "b")
        sim.fault("interim", path=path, status=status, count=3, seconds=0.01)
        assert states(task(external_id="a")) == [("released", "api")]
        sim.fault("interim", status=status, seconds=0.01)
        sim.fault("status", status=400, after=1)
        assert states(task(external_id="b")) == [("released", "api")]

    def test_calls_get_their_own_responses_after_interim_one(self, sim, task, monkeypatch):
        """VCC rejects each later call, and the task reports none of its interactions as released."""
        monkeypatch.setattr(sender, "BODY_LIMIT", 150)
        ids = [f"case-{number}" for number in range(6)]
        sim.dispatch(*ids)
        sim.fault("interim", seconds=0.05)
        sim.fault("status", status=400, times=None)
        result = task(external_ids=ids)
        assert [each["external_id"] for each in result["interactions"] if each["state"] == "released"] == sim.released
        assert result["summary"]["released"] == 1

    def test_switching_protocols_leaves_state_unknown(self, sim, task):
        sim.fault("interim", status=101)
        assert states(task(external_id="a")) == [("unknown", "none")]

    @pytest.mark.parametrize("length", [0, 8, 15, 16, 17, 40])
    def test_truncated_head_leaves_state_unknown(self, sim, task, length):
        sim.dispatch("a")
        sim.fault("truncated", length=length, taken=False)
        assert states(task(external_id="a")) == [("unknown", "none")]
        assert sim.live() == ["a"]

    def test_truncated_head_over_tls_leaves_state_unknown(self, proxied):
        sim, dummy, options = proxied
        sim.fault("truncated", taken=False)
        assert states(run({**options, "external_id": "a"})) == [("unknown", "none")]

    @pytest.mark.parametrize(
        "response",
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
        ids=lambda response: repr(response[-12:]),
    )
    def test_malformed_response_leaves_state_unknown(self, sim, task, response):
        with answering(response) as url:
            result = task(external_id="a", api_url=url, access_token="t0ken")
        assert states(result) == [("unknown", "none")]
        assert "gave no answer (" in result["msg"]


LOCATIONS = ["http://sso.example/\xe9", "http://[bad/", "//", "\x00", "http://sso.example:port/"]


class TestRedirect:
    @pytest.mark.parametrize("location", LOCATIONS)
    @pytest.mark.parametrize("path", ["/interactions/Invoke", TOKEN])
    def test_redirect_address_is_ignored(self, sim, task, location, path):
        sim.fault("redirect", path=path, location=location, times=None)
        result = task(external_id="a")
        assert "status 302" in result["msg"]
        assert result["summary"]["requested"] == 1

    def test_other_modules_ignore_redirect_address(self, sim):
        sim.fault("redirect", path=None, location=LOCATIONS[0], times=None)
        options = sim.options(access_token=sim.issue_token(["stats"]))
        del options["journal"]
        with pytest.raises(NoResponseError, match="302"):
            vcc_ongoing_info.run(validated_by(vcc_ongoing_info.SPEC, **options), set())
        params = validated_by(
            vcc_provider.SPEC,
            **options,
            journal="",
            name="crm",
            agent_actions_permitted=PERMITTED,
        )
        with pytest.raises(Exception, match="may or may not be registered"):
            vcc_provider.run(params, False, False, set())

    def test_redirect_body_is_not_read(self, sim, task):
        sim.fault("redirect", length=1000, seconds=1)
        assert "gave an answer (status 302)" in task(external_id="a", timeout=5)["msg"]


@pytest.mark.parametrize("source", ["home", "variable"])
def test_netrc_file_does_not_replace_token(sim, make_http, make_auth, tmp_path, monkeypatch, source):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine 127.0.0.1 login mallory password s3cret\ndefault login eve password s3cret\n")
    (home / ".netrc").chmod(0o600)
    if source == "variable":
        monkeypatch.setenv("NETRC", str(home / ".netrc"))
    http = make_http()
    Client(http, make_auth(http), sim.url).invoke(release_body())
    token_call, api_call = sim.requests
    assert "Authorization" not in token_call["headers"]
    assert api_call["headers"]["Authorization"].startswith("Bearer ")

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VCC behind TLS, with certificates of an authority of the test's own: whom a task trusts, and what becomes of it where it cannot."""

from __future__ import annotations

import contextlib
import datetime
import functools
import ssl

import pytest
import trustme

from ansible_collections.vonage.vcc.plugins.module_utils import _connection, _options, ongoing, providers
from ansible_collections.vonage.vcc.plugins.module_utils._api import http
from ansible_collections.vonage.vcc.plugins.module_utils._errors import NoResponseError
from ansible_collections.vonage.vcc.plugins.module_utils._interactions import task
from ansible_collections.vonage.vcc.plugins.modules import vcc_token
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Recorder, summary, validated, validated_by

DAY = 86400
HERE = ("127.0.0.1", "localhost")


class Authority:
    """A certificate authority. C(path) is its own certificate."""

    def __init__(self, folder):
        folder.mkdir()
        self._ca = trustme.CA()
        self.path = str(folder / "authority.pem")
        self._ca.cert_pem.write_to_path(self.path)

    def certified(self, hosts=HERE, since=-DAY, until=DAY):
        """The server's side of TLS, with a certificate for these hosts, from and to so many seconds from now."""
        begins, ends = (
            datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=when) for when in (since, until)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*hosts, not_before=begins, not_after=ends).configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


@pytest.fixture
def serve(authority):
    """Starts a simulator with a certificate of the authority."""
    with contextlib.ExitStack() as stack:
        yield lambda **certificate: stack.enter_context(Recorder(tls=authority.certified(**certificate)))


@pytest.fixture
def release(tmp_path, monkeypatch):
    """Releases one interaction, without waiting for another attempt."""
    monkeypatch.setattr(http, "Http", functools.partial(http.Http, sleep=lambda seconds: pytest.fail("a wait")))

    def do(sim, **given):
        params = validated(**sim.options(external_id="a", journal=str(tmp_path / "journal.db"), retries=5, **given))
        clients = {}
        try:
            return task.run(params, False, False, clients)
        finally:
            for client in clients.values():
                client.close()

    return do


# What is wrong with a certificate.
WRONG = {
    "another host": {"hosts": ["api.example"]},
    "another address": {"hosts": ["127.0.0.2"]},
    "expired": {"since": -2 * DAY, "until": -60},
    "not yet valid": {"since": 3600},
}


def check_refused(sim, called, result):
    assert summary(result) == {"requested": 1, "failed": 1}
    assert sim.requests == []
    assert result["failed"]
    sentence = f"{called} gave no answer (its certificate cannot be trusted): check the address, ca_path and any proxy in between."
    assert sentence in result["msg"]


def test_an_authority_that_is_given_is_trusted(serve, release, authority):
    sim = serve()
    result = release(sim, ca_path=authority.path)
    assert (summary(result), sim.released) == ({"requested": 1, "released": 1}, ["a"])
    assert "warnings" not in result


@pytest.mark.parametrize("wrong", WRONG)
def test_a_certificate_that_is_not_good_gets_no_credentials(serve, release, authority, wrong):
    sim = serve(**WRONG[wrong])
    check_refused(sim, f"The token endpoint {sim.token_url}", release(sim, ca_path=authority.path))


@pytest.mark.parametrize("wrong", WRONG)
def test_a_certificate_that_is_not_good_gets_no_token(serve, release, authority, wrong):
    sim = serve(**WRONG[wrong])
    result = release(sim, ca_path=authority.path, access_token=sim.issue_token())
    check_refused(sim, f"VCC at {sim.url}/interactions/Invoke", result)


@pytest.mark.parametrize("given", ["none", "another"])
def test_an_authority_that_is_not_known_is_not_trusted(serve, release, tmp_path, given):
    sim = serve()
    ca_path = None if given == "none" else Authority(tmp_path / "another").path
    check_refused(sim, f"The token endpoint {sim.token_url}", release(sim, ca_path=ca_path))


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("wrong", WRONG)
def test_any_certificate_will_do_where_none_is_wanted_but_for_a_warning(serve, release, wrong):
    sim = serve(**WRONG[wrong])
    result = release(sim, validate_certs=False)
    assert (summary(result), sim.released) == ({"requested": 1, "released": 1}, ["a"])
    assert result["warnings"] == [_connection.UNVERIFIED]


# What the other modules do.
OTHERS = {
    "vcc_token": (_options.TOKEN_SPEC, {}, vcc_token.get),
    "vcc_ongoing_info": (_options.ONGOING_SPEC, {}, lambda params: ongoing.run(params, set())),
    "vcc_provider": (
        _options.PROVIDER_SPEC,
        {"name": "crm", "journal": ""},
        lambda params: providers.run(params, False, False, set()),
    ),
}


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("module", OTHERS)
def test_the_other_modules_are_no_less_careful(serve, authority, module):
    sim = serve()
    spec, own, run = OTHERS[module]
    usual = sim.options(**own)
    if "journal" not in own:
        del usual["journal"]

    def act(**given):
        return run(validated_by(spec, **usual, **given))

    with pytest.raises(NoResponseError, match="its certificate cannot be trusted"):
        act()
    assert sim.requests == []
    assert "warnings" not in act(ca_path=authority.path)
    assert act(validate_certs=False)["warnings"] == [_connection.UNVERIFIED]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VCC behind TLS, with certificates of an authority of the test's own: whom a task trusts, and what becomes of it where it cannot."""

from __future__ import annotations

import contextlib
import functools
import shutil
import ssl
import subprocess
import time

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils import client, interactions, ongoing, options, providers
from ansible_collections.vonage.vcc.plugins.module_utils.errors import UnansweredError
from ansible_collections.vonage.vcc.plugins.modules import vcc_token
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Recorder, summary, validated, validated_by

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make certificates")

DAY = 86400
HERE = "IP:127.0.0.1,DNS:localhost"
SETTINGS = """
[req]
distinguished_name = none
[none]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[ca]
default_ca = this
[this]
database = index
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""


class Authority:
    """A certificate authority in a folder. C(path) is its own certificate."""

    def __init__(self, folder):
        folder.mkdir()
        self._folder = folder
        self.path = str(folder / "authority.pem")
        (folder / "settings").write_text(SETTINGS)
        (folder / "index").touch()
        self._new("authority", "-x509", "-extensions", "authority", "-out", "authority.pem")

    def _openssl(self, command, *arguments):
        subprocess.run(
            ["openssl", command, "-config", "settings", *arguments], cwd=self._folder, check=True, capture_output=True
        )

    def _new(self, name, *arguments):
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
        self._openssl("req", "-new", *key, "-subj", f"/CN={name}", *arguments)

    def certified(self, hosts=HERE, since=-DAY, until=DAY):
        """The server's side of TLS, with a certificate for these hosts, from and to so many seconds from now."""
        begins, ends = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + when)) for when in (since, until))
        self._new("server", "-addext", f"subjectAltName={hosts}", "-out", "server.csr")
        signing = ("-cert", "authority.pem", "-keyfile", "authority.key", "-in", "server.csr", "-out", "server.pem")
        self._openssl("ca", "-batch", "-notext", "-startdate", begins, "-enddate", ends, *signing)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / "server.pem", self._folder / "server.key")
        return context


class Behind(Recorder):
    """A simulator that speaks TLS."""

    def __init__(self, context):
        super().__init__()
        self._context = context

    def __enter__(self):
        super().__enter__()
        server = self._server
        accept = server.get_request
        # The handshake waits for the connection's own thread.
        server.ssl_context = self._context

        def get_request():
            connection, address = accept()
            return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

        server.get_request = get_request
        self.url = self.url.replace("http://", "https://")
        self.token_url = self.token_url.replace("http://", "https://")
        return self


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


@pytest.fixture
def serve(authority):
    """Starts a simulator with a certificate of the authority."""
    with contextlib.ExitStack() as stack:
        yield lambda **certificate: stack.enter_context(Behind(authority.certified(**certificate)))


@pytest.fixture
def release(tmp_path, monkeypatch):
    """Releases one interaction, without waiting for another attempt."""
    monkeypatch.setattr(client, "Http", functools.partial(client.Http, sleep=lambda seconds: pytest.fail("a wait")))

    def do(sim, **given):
        params = validated(**sim.options(external_id="a", journal=str(tmp_path / "journal.db"), retries=5, **given))
        sessions = {}
        try:
            return interactions.run(params, False, False, sessions)
        finally:
            for session in sessions.values():
                session.http.close()

    return do


# What is wrong with a certificate.
WRONG = {
    "another host": {"hosts": "DNS:api.example"},
    "another address": {"hosts": "IP:127.0.0.2"},
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
    assert result["warnings"] == [options.UNVERIFIED]


# What the other modules do.
OTHERS = {
    "vcc_token": (options.TOKEN_SPEC, {}, vcc_token.get),
    "vcc_ongoing_info": (options.ONGOING_SPEC, {}, lambda params: ongoing.run(params, set())),
    "vcc_provider": (
        options.PROVIDER_SPEC,
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

    with pytest.raises(UnansweredError, match="its certificate cannot be trusted"):
        act()
    assert sim.requests == []
    assert "warnings" not in act(ca_path=authority.path)
    assert act(validate_certs=False)["warnings"] == [options.UNVERIFIED]

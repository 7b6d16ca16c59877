# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS: the certificates that a task trusts, and its result if it does not trust them."""

from __future__ import annotations

import contextlib
import datetime
import functools
import http.server
import ssl
import threading

import pytest
import trustme

from ansible_collections.vonage.vcc.plugins.module_utils import _connection
from ansible_collections.vonage.vcc.plugins.module_utils._api import client
from ansible_collections.vonage.vcc.plugins.module_utils._api.http import Http
from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError, NoResponseError
from ansible_collections.vonage.vcc.plugins.module_utils._interactions import task
from ansible_collections.vonage.vcc.plugins.modules import vcc_ongoing_info, vcc_provider, vcc_token
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Recorder, summary, validated, validated_by
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._api.helpers import failure, release_body, run

DAY = 86400
HOSTS = ("127.0.0.1", "localhost")


class Authority:
    """A certificate authority. ``path`` is the path of its own certificate."""

    def __init__(self, folder):
        folder.mkdir()
        self._ca = trustme.CA()
        self.path = str(folder / "authority.pem")
        self._ca.cert_pem.write_to_path(self.path)

    def certified(self, hosts=HOSTS, since=-DAY, until=DAY):
        """Return a server context with a certificate for these hosts. Its validity is in seconds from now."""
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
    """Releases one interaction; fails if the call is retried."""
    monkeypatch.setattr(client, "Http", functools.partial(Http, sleep=lambda seconds: pytest.fail("a wait")))

    def do(sim, **others):
        params = validated(**sim.options(external_id="a", journal=str(tmp_path / "journal.db"), retries=5, **others))
        clients = {}
        try:
            return task.run(params, False, False, clients)
        finally:
            for client in clients.values():
                client.close()

    return do


# The properties of invalid certificates.
WRONG = {
    "other host": {"hosts": ["api.example"]},
    "other address": {"hosts": ["127.0.0.2"]},
    "expired": {"since": -2 * DAY, "until": -60},
    "not yet valid": {"since": 3600},
}


def check_failed(sim, server, result):
    """Check that a certificate failed the task, and that no request was sent."""
    assert summary(result) == {"requested": 1, "failed": 1}
    assert sim.requests == []
    assert result["failed"]
    sentence = f"{server} gave no answer (its certificate cannot be trusted): check the address, ca_path and any proxy in between."
    assert sentence in result["msg"]


def test_authority_of_ca_path_is_trusted(serve, release, authority):
    sim = serve()
    result = release(sim, ca_path=authority.path)
    assert (summary(result), sim.released) == ({"requested": 1, "released": 1}, ["a"])
    assert "warnings" not in result


@pytest.mark.parametrize("wrong", WRONG)
def test_invalid_certificate_gets_no_credentials(serve, release, authority, wrong):
    sim = serve(**WRONG[wrong])
    check_failed(sim, f"The token endpoint {sim.token_url}", release(sim, ca_path=authority.path))


@pytest.mark.parametrize("wrong", WRONG)
def test_invalid_certificate_gets_no_token(serve, release, authority, wrong):
    sim = serve(**WRONG[wrong])
    result = release(sim, ca_path=authority.path, access_token=sim.issue_token())
    check_failed(sim, f"VCC at {sim.url}/interactions/Invoke", result)


@pytest.mark.parametrize("other", [False, True])
def test_unknown_authority_is_not_trusted(serve, release, tmp_path, other):
    sim = serve()
    ca_path = Authority(tmp_path / "other").path if other else None
    check_failed(sim, f"The token endpoint {sim.token_url}", release(sim, ca_path=ca_path))


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("wrong", WRONG)
def test_any_certificate_is_accepted_with_warning_without_verification(serve, release, wrong):
    sim = serve(**WRONG[wrong])
    result = release(sim, validate_certs=False)
    assert (summary(result), sim.released) == ({"requested": 1, "released": 1}, ["a"])
    assert result["warnings"] == [_connection.UNVERIFIED]


# The spec, the options and the function of the other modules.
OTHER_MODULES = {
    "vcc_token": (vcc_token.SPEC["argument_spec"], {}, vcc_token.run),
    "vcc_ongoing_info": (
        vcc_ongoing_info.SPEC["argument_spec"],
        {},
        lambda params: vcc_ongoing_info.run(params, set()),
    ),
    "vcc_provider": (
        vcc_provider.SPEC["argument_spec"],
        {"name": "crm", "journal": ""},
        lambda params: vcc_provider.run(params, False, False, set()),
    ),
}


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("module", OTHER_MODULES)
def test_other_modules_verify_certificates(serve, authority, module):
    sim = serve()
    spec, own, run_module = OTHER_MODULES[module]
    options = sim.options(**own)
    if "journal" not in own:
        del options["journal"]

    def call(**others):
        return run_module(validated_by(spec, **options, **others))

    with pytest.raises(NoResponseError, match="its certificate cannot be trusted"):
        call()
    assert sim.requests == []
    assert "warnings" not in call(ca_path=authority.path)
    assert call(validate_certs=False)["warnings"] == [_connection.UNVERIFIED]


class _AcceptingHandler(http.server.BaseHTTPRequestHandler):
    """Accepts every call."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


class _QuietServer(http.server.ThreadingHTTPServer):
    """Prints no errors of connections."""

    def handle_error(self, *arguments):
        pass


def certificate(folder, name):
    """Create a certificate for a host name, and return its path and that of its key."""
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
                server = stack.enter_context(_QuietServer(("127.0.0.1", 0), _AcceptingHandler))
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(key)
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
                thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
                thread.start()
                stack.callback(thread.join)
                stack.callback(server.shutdown)
                return f"https://localhost:{server.server_port}", str(cert)

            yield start

    def test_untrusted_certificate_is_not_retried(self, serve, make_client, clock):
        url, dummy = serve()
        client = make_client(url=url, retries=5, timeout=10)
        exc = failure(client.invoke, release_body(), kind=NoResponseError)
        assert "gave no answer (its certificate cannot be trusted)" in str(exc)
        assert "ca_path" in str(exc)
        assert not exc.maybe_processed
        assert client.calls == 1
        assert clock.slept == []

    def test_certificate_of_option_is_trusted(self, serve, make_client):
        url, cert = serve()
        make_client(url=url, verify=cert, timeout=10).invoke(release_body())

    def test_certificate_of_environment_is_trusted(self, serve, make_client, monkeypatch):
        url, cert = serve()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", cert)
        make_client(url=url, timeout=10).invoke(release_body())

    def test_certificate_for_other_name_is_rejected(self, serve, make_client):
        url, cert = serve("other.example")
        exc = failure(make_client(url=url, verify=cert, timeout=10).invoke, release_body(), kind=NoResponseError)
        assert "certificate cannot be trusted" in str(exc)

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    def test_any_certificate_is_accepted_without_verification(self, serve, make_client, monkeypatch, tmp_path):
        url, dummy = serve()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none"))
        make_client(url=url, verify=False, timeout=10).invoke(release_body())

    def test_https_url_of_plain_http_server_fails(self, sim, make_client):
        exc = failure(
            make_client(url=sim.url.replace("http://", "https://")).invoke, release_body(), kind=NoResponseError
        )
        assert "gave no answer (the TLS connection failed)" in str(exc)
        assert sim.released == []


class TestAuthorities:
    """Certificate authorities that cannot be read."""

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    @pytest.mark.parametrize(
        ("text", "reason"),
        [(None, "does not exist"), ("", "has no certificate in PEM format"), ("x", "has no certificate in PEM format")],
    )
    def test_unreadable_authorities_of_environment_are_named(
        self, proxied, tmp_path, monkeypatch, variable, text, reason
    ):
        dummy, dummy, options = proxied
        path = tmp_path / "bundle.pem"
        if text is not None:
            path.write_text(text)
        monkeypatch.setenv(variable, str(path))
        result = run({**options, "external_id": "a", "ca_path": None})
        assert result["msg"].startswith(f"The environment variable {variable} names {path}, which {reason} on the host")
        assert not (tmp_path / "kept" / "journal.db").exists()

    @pytest.mark.parametrize("check", [False, True])
    def test_unreadable_authorities_of_option_are_named(self, proxied, tmp_path, check):
        dummy, dummy, options = proxied
        (tmp_path / "empty.pem").touch()
        result = run({**options, "external_id": "a", "ca_path": str(tmp_path / "empty.pem")}, check)
        assert "has no certificate in PEM format" in result["msg"]
        assert result["msg"].startswith("ca_path ")

    def test_only_result_warns_without_verification(self, proxied, recwarn):
        sim, dummy, options = proxied
        sim.dispatch("a")
        result = run({**options, "external_id": "a", "validate_certs": False})
        assert result["warnings"] == [_connection.UNVERIFIED]
        assert not recwarn.list

    def test_missing_authorities_fail_before_any_session(self, tmp_path):
        with pytest.raises(InputError, match=r"ca_path .* does not exist"):
            Http(1, 0, str(tmp_path / "none.pem"))

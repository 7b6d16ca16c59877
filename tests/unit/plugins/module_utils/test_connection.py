# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection of a task: hosts, URLs, credentials, numbers and paths."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._connection import Connection, journal_scope
from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Invalid, validated


def connect(**given):
    """Return the connection of a task with these options; None removes an option."""
    params = {"external_id": "a", "region": "emea", "client_id": "client", "client_secret": "s3cret", **given}
    return Connection.from_params(validated(**{name: value for name, value in params.items() if value is not None}))


def connection_refusal(**given):
    """Return the message of the error for a connection with these options."""
    with pytest.raises(InputError) as caught:
        connect(**given)
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


class TestHosts:
    @pytest.mark.parametrize("region", ["emea", "nam", "apac"])
    def test_region_gives_hosts_of_release_guide(self, region):
        assert connect(region=region).api_url == f"https://{region}.api.newvoicemedia.com"
        assert connect(region=region).auth_url == f"https://{region}.newvoicemedia.com/Auth/connect/token"

    @pytest.mark.parametrize("region", ["emea", "nam", "apac"])
    def test_domain_gives_hosts_of_api_reference(self, region):
        assert connect(region=region, domain="cc.vonage.com").api_url == f"https://{region}.api.cc.vonage.com"
        assert (
            connect(region=region, domain="cc.vonage.com").auth_url
            == f"https://{region}.cc.vonage.com/Auth/connect/token"
        )

    def test_unknown_region_is_refused(self):
        with pytest.raises(Invalid, match="value of region must be one of: emea, nam, apac, got: emae"):
            connect(region="emae")

    @pytest.mark.parametrize(
        "domain",
        [
            "localhost",
            "evil.example/",
            "evil.example/x",
            "a@evil.example",
            "evil.example:1",
            "a b.c",
            ".a.b",
            "a..b",
            "a.b\n",
        ],
    )
    def test_domain_must_be_host_name(self, domain):
        assert connection_refusal(domain=domain).startswith("domain must be a host name such as newvoicemedia.com")

    def test_urls_replace_both_hosts(self):
        own = connect(api_url="https://proxy.example/vcc/", auth_url="https://proxy.example/token")
        assert (own.api_url, own.auth_url) == ("https://proxy.example/vcc", "https://proxy.example/token")

    def test_both_urls_need_no_region(self):
        assert (
            connect(region=None, api_url="https://a.example", auth_url="https://b.example").api_url
            == "https://a.example"
        )

    def test_url_replaces_its_host(self):
        assert connect(api_url="https://a.example").auth_url == "https://emea.newvoicemedia.com/Auth/connect/token"
        assert connect(auth_url="https://a.example").api_url == "https://emea.api.newvoicemedia.com"

    def test_missing_region_is_refused(self):
        said = connection_refusal(region=None)
        assert "region" in said
        assert "VCC_REGION" in said

    def test_missing_auth_url_is_refused(self):
        assert connection_refusal(region=None, api_url="https://a.example").startswith("auth_url is missing")

    def test_access_token_needs_no_auth_url(self):
        ready = connect(
            region=None, api_url="https://a.example", client_id=None, client_secret=None, access_token="t0ken"
        )
        assert (ready.auth_url, ready.access_token) == (None, "t0ken")


@pytest.mark.parametrize("option", ["api_url", "auth_url"])
class TestUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "https://proxy.example",
            "https://proxy.example:8443/vcc",
            "https://[2001:db8::1]/x",
            "HTTPS://PROXY.example",
            "http://127.0.0.1:8080",
            "http://127.1.2.3",
            "http://[::1]:8080/x",
            "http://localhost:8080",
            "http://LOCALHOST",
        ],
    )
    def test_https_and_http_to_loopback_are_kept(self, option, url):
        assert getattr(connect(**{option: url}), option) == url

    @pytest.mark.parametrize(
        "url",
        [
            "http://proxy.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "http://2130706433",
            "http://[2001:db8::1]",
        ],
    )
    def test_plain_http_to_other_host_is_refused(self, option, url):
        assert connection_refusal(**{option: url}) == (
            f"{option} must begin with https://: plain http is allowed only for localhost, because it does not protect the credentials."
        )

    @pytest.mark.parametrize(
        "url",
        [
            "https://user:pass@proxy.example",
            "https://user@proxy.example",
            "https://@proxy.example",
            "http://proxy.example\\@127.0.0.1",
        ],
    )
    def test_user_in_url_is_refused(self, option, url):
        said = connection_refusal(**{option: url})
        assert said.startswith(f"{option} must be a URL ")
        assert "pass" not in said.replace("password", "")

    @pytest.mark.parametrize(
        "url",
        [
            "proxy.example",
            "/interactions",
            "ftp://proxy.example",
            "file:///etc/passwd",
            "https://",
            "https:///path",
            "https://proxy.example/?a=b",
            "https://proxy.example?",
            "https://proxy.example/?",
            "https://proxy.example/#part",
            "https://proxy.example#",
            "https://proxy.example/a b",
            "https://proxy.example/\n",
            " https://proxy.example",
            "https://prüfung.example",
            "https://[::1",
            "https://proxy.example:99999",
            "https://proxy.example\\x",
        ],
    )
    def test_bad_base_url_is_refused(self, option, url):
        assert (
            connection_refusal(**{option: url}) == f"{option} must be a URL such as https://emea.api.newvoicemedia.com."
        )


class TestJournalScope:
    """The API URL and the account without credentials, for modules that make no call."""

    @pytest.mark.parametrize(
        ("given", "scope"),
        [
            ({"region": "nam"}, ("https://nam.api.newvoicemedia.com", "")),
            ({"region": "nam", "domain": "cc.vonage.com"}, ("https://nam.api.cc.vonage.com", "")),
            ({"api_url": "https://proxy.example/vcc/"}, ("https://proxy.example/vcc", "")),
            ({"region": "emea", "client_id": "me"}, ("https://emea.api.newvoicemedia.com", "me")),
            ({"region": "emea", "client_id": "me", "account": "us"}, ("https://emea.api.newvoicemedia.com", "us")),
            ({"region": "emea", "client_id": "me", "account": ""}, ("https://emea.api.newvoicemedia.com", "me")),
        ],
    )
    def test_scope_of_options(self, given, scope):
        assert journal_scope(validated(external_id="a", **given)) == scope

    @pytest.mark.parametrize(
        "given",
        [{"region": "apac", "client_id": "me"}, {"region": "apac", "api_url": "https://x.example/", "account": "us"}],
    )
    def test_scope_equals_that_of_connection(self, given):
        params = validated(external_id="a", access_token="t0ken", **given)
        assert journal_scope(params) == Connection.from_params(params)[:1] + Connection.from_params(params)[2:3]

    def test_missing_region_is_refused(self):
        with pytest.raises(InputError, match=r"^The region of the VCC account is missing"):
            journal_scope(validated(external_id="a"))

    def test_bad_url_is_refused(self):
        with pytest.raises(InputError, match=r"^api_url must begin with https://"):
            journal_scope(validated(external_id="a", api_url="http://proxy.example"))


class TestCredentials:
    @pytest.mark.parametrize("absent", [None, ""])
    def test_missing_credentials_are_refused(self, absent):
        said = connection_refusal(client_id=absent, client_secret=absent)
        assert said.startswith("The credentials are missing: set client_id and client_secret")
        assert "VCC_CLIENT_SECRET" in said

    @pytest.mark.parametrize("option", ["client_id", "client_secret"])
    def test_half_of_credentials_is_refused(self, option):
        assert connection_refusal(**{option: None}).startswith(f"{option} is missing: set it or VCC_{option.upper()}")

    @pytest.mark.parametrize("token", ["t0ken\n", "a b", "a\tb", "tökén", "a\r\nX-Header: b", "\x7f"])
    def test_token_outside_header_characters_is_refused_without_value(self, token):
        said = connection_refusal(access_token=token)
        assert said == "access_token has a character that no token has: check how it was copied."

    def test_secrets_of_connection(self):
        assert connect(access_token="t0ken").secrets == {"s3cret", "t0ken"}

    def test_account_defaults_to_client_id(self):
        assert connect().account == "client"
        assert connect(account="main").account == "main"
        assert connect(client_id=None, client_secret=None, access_token="t0ken").account == ""

    def test_equal_options_give_equal_connections(self):
        assert connect() == connect()
        assert len({connect(), connect(), connect(timeout=31)}) == 2


class TestNumbersAndPaths:
    @pytest.mark.parametrize(
        ("option", "value", "lowest"),
        [("timeout", 0, 1), ("timeout", -1, 1), ("retries", -1, 0), ("requests_per_minute", 0, 1)],
    )
    def test_number_below_minimum_is_refused(self, option, value, lowest):
        assert connection_refusal(**{option: value}) == f"{option} must be {lowest} or more, not {value}."

    def test_minimum_is_accepted(self):
        lowest = connect(timeout=1, retries=0, requests_per_minute=1)
        assert (lowest.timeout, lowest.retries, lowest.requests_per_minute) == (1, 0, 1)

    @pytest.mark.parametrize(
        ("option", "value", "said"),
        [
            ("timeout", 3601, "timeout must be 3600 or less, not 3601."),
            ("retries", 10**12 + 1, "retries must be 1000000000000 or less."),
            ("requests_per_minute", 10**5000, "requests_per_minute must be 1000000000000 or less."),
            ("retries", -(10**5000), "retries must be 0 or more."),
            ("timeout", True, "timeout must be a whole number, not True."),
        ],
        ids=["timeout", "retries", "digits", "negative digits", "bool"],
    )
    def test_number_above_maximum_or_boolean_is_refused(self, option, value, said):
        assert connection_refusal(**{option: value}) == said

    @pytest.mark.parametrize("option", ["ca_path", "token_cache", "journal", "src", "report"])
    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("/tmp/a\0b", "has a character that no path can have: remove it."),
            ("/tmp/\ud800", "is not valid Unicode: write the path in UTF-8."),
        ],
        ids=["null", "surrogate"],
    )
    def test_bad_path_is_refused(self, option, path, said):
        source = {"external_id": None} if option == "src" else {}
        assert connection_refusal(**source, **{option: path}) == f"{option} {said}"

    def test_verify_of_certificate_options(self, tmp_path):
        file = tmp_path / "ca.pem"
        file.touch()
        assert connect().verify is True
        assert connect(ca_path=str(file)).verify == str(file)
        assert connect(validate_certs=False, ca_path=str(file)).verify is False

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task may ask for, and what it is told otherwise."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._connection import Connection, journal_scope
from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._validation import https_url
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Invalid, check_raw_types, task_of, validated

# Ids that an interaction may have.
GOOD_IDS = [
    "case-4711",
    "a,b,,c",
    "Zürich/Ωmega 東京 🎧",
    "two  spaces inside",
    "no-break\u00a0space, zero\u200bwidth and soft\u00adhyphen inside",
    "I \u2764\ufe0f",
    "quotes \" and ' and \\",
    "{{ not_a_template }}",
    "line separator \u2028 inside",
    "-1",
    "#",
    "null",
    "x" * 1024,
    "🎧" * 1024,
]

# What shows nothing at the ends of an id: blanks, widths of nothing, marks of direction, a soft hyphen, fillers, variants.
UNSEEN = " \u00a0\u1680\u2003\u3000\u2028\u2029\u200b\u200d\u200e\u2060\ufeff\u00ad\U000e0001\u034f\u2800\u3164\ufe0f"

# Ids that none can have, and what is said of them.
BAD_IDS = [
    ("", "is empty"),
    ("   ", "is empty"),
    ("\u3000", "is empty"),
    ("x" * 1025, "has 1025 characters; a"),
    ("ä" * 1025, "has 1025 characters"),
    ("a\x00b", "has a control character"),
    ("a\tb", "has a control character"),
    ("a\nb", "has a control character"),
    ("\x1b[31m", "has a control character"),
    ("a\x7fb", "has a control character"),
    ("a\x85b", "has a control character"),
    ("a\x9fb", "has a control character"),
    ("a\ud800b", "is not valid Unicode"),
    *(
        (f"{char}a", f"begins with white space or a character that cannot be seen (U+{ord(char):04X})")
        for char in UNSEEN
    ),
    *((f"a{char}", f"ends with white space or a character that cannot be seen (U+{ord(char):04X})") for char in UNSEEN),
]


def names(ids):
    """Short names for parametrised ids."""
    return [ascii(one[:12]) for one in ids]


good_ids = pytest.mark.parametrize("external_id", GOOD_IDS, ids=names(GOOD_IDS))
bad_ids = pytest.mark.parametrize(("external_id", "said"), BAD_IDS, ids=names(one for one, dummy in BAD_IDS))


def asked_for(**given):
    """The external ids that a task with these options asks for."""
    return [external_id for entry in task_of(**given).source.read() for external_id in ids_of(entry)]


def ids_of(entry):
    """The external ids of an item that C(Source.read) yields."""
    return entry if isinstance(entry, list) else [entry.external_id]


def refusal(**given):
    """What a task with these options is told."""
    with pytest.raises(InputError) as caught:
        asked_for(**given)
    return str(caught.value)


class TestExactlyOneInput:
    def test_none_is_refused_by_ansible(self):
        with pytest.raises(Invalid, match="one of the following is required: external_id, external_ids, src"):
            validated()

    @pytest.mark.parametrize(
        "given",
        [
            {"external_id": "a", "external_ids": ["b"]},
            {"external_id": "a", "src": "f"},
            {"external_ids": ["a"], "src": "f"},
            {"external_id": "a", "external_ids": ["b"], "src": "f"},
            {"interactions": [], "src": "f"},
        ],
        ids="+".join,
    )
    def test_two_are_refused_by_ansible(self, given):
        with pytest.raises(Invalid, match="mutually exclusive"):
            validated(**given)

    def test_a_null_is_none(self):
        assert (
            refusal(external_id=None)
            == "Say which interactions are meant, with one of external_id, external_ids, src and interactions."
        )

    @pytest.mark.parametrize("given", [{"external_ids": ["a"]}, {"src": "f"}], ids="".join)
    def test_a_request_id_goes_with_external_id_only(self, given):
        with pytest.raises(Invalid, match=r"required by 'request_id': external_id"):
            validated(request_id="mine", **given)

    def test_an_unknown_state_is_refused(self):
        with pytest.raises(Invalid, match="value of state must be one of: released, dispatched, got: parked"):
            validated(external_id="a", state="parked")


class TestExternalIds:
    @good_ids
    def test_a_good_one_is_kept_as_it_is(self, external_id):
        assert asked_for(external_id=external_id) == [external_id]
        assert asked_for(external_ids=["a", external_id]) == ["a", external_id]

    @bad_ids
    def test_a_bad_one_is_refused_by_name_or_index(self, external_id, said):
        assert refusal(external_id=external_id).startswith(f"external_id {said}")
        assert refusal(external_ids=["a", "b", external_id, ""]).startswith(f"external_ids[2] {said}")

    def test_order_and_duplicates_are_left_to_the_journal(self):
        assert asked_for(external_ids=["b", "a", "b"]) == ["b", "a", "b"]

    def test_numbers_become_text(self):
        assert asked_for(external_ids=[17, "a"]) == ["17", "a"]

    def test_an_empty_list_asks_for_nothing(self):
        assert asked_for(external_ids=[]) == []

    @pytest.mark.parametrize(("external_id", "said"), [one for one in BAD_IDS if one[0]])
    def test_a_request_id_has_the_same_limits(self, external_id, said):
        assert refusal(external_id="a", request_id=external_id).startswith(f"request_id {said}")

    def test_a_good_request_id_is_handed_on(self):
        (entry,) = task_of(external_id="a", request_id="my key, 1").source.read()
        assert entry.request_id == "my key, 1"

    @pytest.mark.parametrize(("provider", "said"), [one for one in BAD_IDS if one[0]])
    def test_a_provider_has_the_same_limits(self, provider, said):
        assert refusal(external_id="a", provider=provider).startswith(f"provider {said}")

    @pytest.mark.parametrize("provider", [None, "", "ticket system, EU"])
    def test_a_provider_may_be_left_out(self, provider):
        assert asked_for(external_id="a", provider=provider) == ["a"]


def to(**given):
    """The connection of a task with these options."""
    params = {"external_id": "a", "region": "emea", "client_id": "client", "client_secret": "s3cret", **given}
    return Connection.from_params(validated(**{name: value for name, value in params.items() if value is not None}))


def connection_refusal(**given):
    with pytest.raises(InputError) as caught:
        to(**given)
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


class TestHosts:
    @pytest.mark.parametrize("region", ["emea", "nam", "apac"])
    def test_the_guides_hosts_by_region(self, region):
        assert to(region=region).api_url == f"https://{region}.api.newvoicemedia.com"
        assert to(region=region).auth_url == f"https://{region}.newvoicemedia.com/Auth/connect/token"

    @pytest.mark.parametrize("region", ["emea", "nam", "apac"])
    def test_the_newer_hosts_by_domain(self, region):
        assert to(region=region, domain="cc.vonage.com").api_url == f"https://{region}.api.cc.vonage.com"
        assert (
            to(region=region, domain="cc.vonage.com").auth_url == f"https://{region}.cc.vonage.com/Auth/connect/token"
        )

    def test_an_unknown_region_is_refused_by_ansible(self):
        with pytest.raises(Invalid, match="value of region must be one of: emea, nam, apac, got: emae"):
            to(region="emae")

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
    def test_a_domain_is_a_host_name(self, domain):
        assert connection_refusal(domain=domain).startswith("domain has to be a host name such as newvoicemedia.com")

    def test_urls_of_ones_own_replace_both_hosts(self):
        own = to(api_url="https://proxy.example/vcc/", auth_url="https://proxy.example/token")
        assert (own.api_url, own.auth_url) == ("https://proxy.example/vcc", "https://proxy.example/token")

    def test_with_both_urls_no_region_is_needed(self):
        assert to(region=None, api_url="https://a.example", auth_url="https://b.example").api_url == "https://a.example"

    def test_one_url_may_be_of_ones_own(self):
        assert to(api_url="https://a.example").auth_url == "https://emea.newvoicemedia.com/Auth/connect/token"
        assert to(auth_url="https://a.example").api_url == "https://emea.api.newvoicemedia.com"

    def test_a_missing_region_is_named(self):
        said = connection_refusal(region=None)
        assert "region" in said
        assert "VCC_REGION" in said

    def test_a_missing_auth_url_is_named(self):
        assert connection_refusal(region=None, api_url="https://a.example").startswith("auth_url is missing")

    def test_a_ready_token_needs_no_auth_url(self):
        ready = to(region=None, api_url="https://a.example", client_id=None, client_secret=None, access_token="t0ken")
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
    def test_https_anywhere_and_http_to_this_host(self, option, url):
        assert getattr(to(**{option: url}), option) == url

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
    def test_plain_http_to_another_host_is_refused(self, option, url):
        assert connection_refusal(**{option: url}) == (
            f"{option} has to begin with https://: over plain http, credentials are sent to this host itself only."
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
    def test_a_user_in_it_is_refused(self, option, url):
        said = connection_refusal(**{option: url})
        assert said.startswith(f"{option} has to be a URL ")
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
    def test_what_no_path_can_be_put_behind_is_refused(self, option, url):
        assert (
            connection_refusal(**{option: url})
            == f"{option} has to be a URL such as https://emea.api.newvoicemedia.com."
        )


class TestCalledByVcc:
    """An URL that VCC is to call, which may have a query and has to have https."""

    @pytest.mark.parametrize(
        "url",
        [
            "https://hooks.example",
            "https://hooks.example/",
            "https://hooks.example:8443/a/b?c=d&e=f",
            "https://hooks.example?key=1",
            "https://[2001:db8::1]/x",
            "https://127.0.0.1/",
        ],
    )
    def test_a_good_one_is_kept_as_it_is(self, url):
        assert https_url("endpoint", url) == url

    @pytest.mark.parametrize("url", ["http://hooks.example", "http://127.0.0.1", "http://localhost:8080/x"])
    def test_plain_http_is_refused_to_this_host_too(self, url):
        with pytest.raises(InputError) as caught:
            https_url("endpoint", url)
        assert str(caught.value) == "endpoint has to begin with https://, since VCC calls no other."

    @pytest.mark.parametrize("url", ["https://user:pass@hooks.example", "https://user@hooks.example"])
    def test_a_user_in_it_is_refused(self, url):
        with pytest.raises(InputError) as caught:
            https_url("endpoint", url)
        assert str(caught.value) == "endpoint has to be a URL without a user and password in it."

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "hooks.example",
            "ftp://hooks.example",
            "https://",
            "https:///path",
            "https://hooks.example/#part",
            "https://hooks.example/a b",
            "https://hooks.example/\n",
            "https://hooks.example/\r\nX: y",
            "https://prüfung.example",
            "https://hooks.example:0",
            "https://hooks.example\\x",
        ],
    )
    def test_what_is_none_is_refused(self, url):
        with pytest.raises(InputError, match=r"^endpoint has to be a URL such as "):
            https_url("endpoint", url)


class TestJournalScope:
    """Whose entries are meant, where no call is made and no credentials are needed."""

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
    def test_by_the_options(self, given, scope):
        assert journal_scope(validated(external_id="a", **given)) == scope

    @pytest.mark.parametrize(
        "given",
        [{"region": "apac", "client_id": "me"}, {"region": "apac", "api_url": "https://x.example/", "account": "us"}],
    )
    def test_it_is_that_of_the_connection(self, given):
        params = validated(external_id="a", access_token="t0ken", **given)
        assert journal_scope(params) == Connection.from_params(params)[:1] + Connection.from_params(params)[2:3]

    def test_a_missing_region_is_named(self):
        with pytest.raises(InputError, match=r"^The region of the VCC account is missing"):
            journal_scope(validated(external_id="a"))

    def test_a_wrong_url_is_named(self):
        with pytest.raises(InputError, match=r"^api_url has to begin with https://"):
            journal_scope(validated(external_id="a", api_url="http://proxy.example"))


class TestCredentials:
    @pytest.mark.parametrize("absent", [None, ""])
    def test_none_at_all(self, absent):
        said = connection_refusal(client_id=absent, client_secret=absent)
        assert said.startswith("The credentials are missing: set client_id and client_secret")
        assert "VCC_CLIENT_SECRET" in said

    @pytest.mark.parametrize("option", ["client_id", "client_secret"])
    def test_one_of_two(self, option):
        assert connection_refusal(**{option: None}).startswith(f"{option} is missing: set it or VCC_{option.upper()}")

    @pytest.mark.parametrize("token", ["t0ken\n", "a b", "a\tb", "tökén", "a\r\nX-Header: b", "\x7f"])
    def test_a_token_that_fits_no_header_is_refused_without_its_text(self, token):
        said = connection_refusal(access_token=token)
        assert said == "access_token has a character that no token has: check how it was copied."

    def test_the_secrets_are_known_to_who_has_to_hide_them(self):
        assert to(access_token="t0ken").secrets == {"s3cret", "t0ken"}

    def test_the_account_is_the_client_unless_it_has_a_name(self):
        assert to().account == "client"
        assert to(account="main").account == "main"
        assert to(client_id=None, client_secret=None, access_token="t0ken").account == ""

    def test_equal_options_are_one_connection(self):
        assert to() == to()
        assert len({to(), to(), to(timeout=31)}) == 2


class TestNumbersAndFiles:
    @pytest.mark.parametrize(
        ("option", "value", "lowest"),
        [("timeout", 0, 1), ("timeout", -1, 1), ("retries", -1, 0), ("requests_per_minute", 0, 1)],
    )
    def test_what_is_too_low_is_refused(self, option, value, lowest):
        assert connection_refusal(**{option: value}) == f"{option} has to be {lowest} or more, not {value}."

    def test_the_lowest_are_taken(self):
        lowest = to(timeout=1, retries=0, requests_per_minute=1)
        assert (lowest.timeout, lowest.retries, lowest.requests_per_minute) == (1, 0, 1)

    @pytest.mark.parametrize(
        ("option", "value", "said"),
        [
            ("timeout", 3601, "timeout has to be 3600 or less, not 3601."),
            ("retries", 10**12 + 1, "retries has to be 1000000000000 or less."),
            ("requests_per_minute", 10**5000, "requests_per_minute has to be 1000000000000 or less."),
            ("retries", -(10**5000), "retries has to be 0 or more."),
            ("timeout", True, "timeout has to be a whole number, not True."),
        ],
        ids=["timeout", "retries", "digits", "negative digits", "bool"],
    )
    def test_what_no_clock_can_count_is_refused(self, option, value, said):
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
    def test_what_no_path_can_be_is_refused(self, option, path, said):
        source = {"external_id": None} if option == "src" else {}
        assert connection_refusal(**source, **{option: path}) == f"{option} {said}"

    @pytest.mark.parametrize("value", [True, 4.5, {"a": 1}], ids=["bool", "float", "dict"])
    @pytest.mark.parametrize("option", ["external_ids", "interactions"])
    def test_what_ansible_would_make_a_list_of_is_refused(self, option, value):
        with pytest.raises(InputError, match=f"{option} has to be a list"):
            check_raw_types({option: value})

    @pytest.mark.parametrize(
        ("given", "position"),
        [
            ({"timeout": float("inf")}, "timeout"),
            (
                {"routing_data": {"personal_queue": {"logged_in_timeout": float("nan")}}},
                "routing_data.personal_queue.logged_in_timeout",
            ),
            (
                {"interactions": [{"routing_data": {"skills": [{"expiry_after": float("-inf")}]}}]},
                "interactions[0].routing_data.skills[0].expiry_after",
            ),
        ],
        ids=["option", "queue", "skill"],
    )
    def test_a_number_without_end_is_refused(self, given, position):
        with pytest.raises(InputError) as caught:
            check_raw_types(given)
        assert str(caught.value).startswith(f"{position} has to be a number that ends, not ")

    def test_the_time_limit_of_the_journal(self):
        assert refusal(external_id="a", journal_ttl=-1) == "journal_ttl has to be 0 or more, not -1."
        assert asked_for(external_id="a", journal_ttl=0) == ["a"]

    def test_defaults(self, tmp_path):
        params = validated(external_id="a")
        assert params["journal"] == str(tmp_path / "home/.ansible/vonage_vcc/journal.db")
        assert (params["journal_ttl"], params["force"], params["state"]) == (86400, False, "released")
        assert (params["timeout"], params["retries"], params["validate_certs"]) == (30, 5, True)
        assert (params["token_cache"], params["requests_per_minute"]) == (None, None)

    def test_whom_to_trust(self, tmp_path):
        file = tmp_path / "ca.pem"
        file.touch()
        assert to().verify is True
        assert to(ca_path=str(file)).verify == str(file)
        assert to(validate_certs=False, ca_path=str(file)).verify is False


class TestEnvironment:
    @pytest.mark.parametrize(
        ("option", "text", "value"),
        [
            ("region", "nam", "nam"),
            ("domain", "cc.vonage.com", "cc.vonage.com"),
            ("api_url", "https://a.example", "https://a.example"),
            ("auth_url", "https://b.example", "https://b.example"),
            ("account", "main", "main"),
            ("client_id", "id", "id"),
            ("client_secret", "s3cret,%&", "s3cret,%&"),
            ("access_token", "t0ken", "t0ken"),
            ("token_cache", "/nowhere/tokens", "/nowhere/tokens"),
            ("validate_certs", "no", False),
            ("ca_path", "/nowhere/ca.pem", "/nowhere/ca.pem"),
            ("timeout", "7", 7),
            ("retries", "0", 0),
            ("requests_per_minute", "60", 60),
            ("journal", "/nowhere/journal.db", "/nowhere/journal.db"),
            ("journal", "none", ""),
        ],
    )
    def test_each_has_a_variable_that_the_task_overrides(self, monkeypatch, option, text, value):
        monkeypatch.setenv(f"VCC_{option.upper()}", text)
        assert validated(external_id="a")[option] == value
        others = {"region": "apac", "validate_certs": True, "timeout": 9, "retries": 9, "requests_per_minute": 9}
        own = others.get(option, "/own")
        assert validated(external_id="a", **{option: own})[option] == own

    def test_an_empty_string_stands_for_no_journal(self):
        assert validated(external_id="a", journal="")["journal"] == ""

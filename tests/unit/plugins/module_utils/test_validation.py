# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of options: sources, ids, types and the URLs that VCC calls."""

from __future__ import annotations

import datetime

import pytest

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

# Characters that are invisible at the ends of an id: spaces, zero-width characters, direction marks, a soft hyphen, fillers, variants.
INVISIBLE = (
    " \u00a0\u1680\u2003\u3000\u2028\u2029\u200b\u200d\u200e\u2060\ufeff\u00ad\U000e0001\u034f\u2800\u3164\ufe0f"
)

# Ids that no interaction can have, and the beginning of the error.
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
    *((f"{char}a", f"begins with white space or an invisible character (U+{ord(char):04X})") for char in INVISIBLE),
    *((f"a{char}", f"ends with white space or an invisible character (U+{ord(char):04X})") for char in INVISIBLE),
]


def names(ids):
    """Return short names for parametrised ids."""
    return [ascii(text[:12]) for text in ids]


good_ids = pytest.mark.parametrize("external_id", GOOD_IDS, ids=names(GOOD_IDS))
bad_ids = pytest.mark.parametrize(("external_id", "said"), BAD_IDS, ids=names(one for one, dummy in BAD_IDS))


def read_ids(**given):
    """Return the external ids of a task with these options."""
    return [external_id for entry in task_of(**given).source.read() for external_id in ids_of(entry)]


def ids_of(entry):
    """Return the external ids of an item that ``Source.read`` yields."""
    return entry if isinstance(entry, list) else [entry.external_id]


def refusal(**given):
    """Return the message of the error for a task with these options."""
    with pytest.raises(InputError) as caught:
        read_ids(**given)
    return str(caught.value)


class TestSource:
    def test_missing_source_is_refused(self):
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
    def test_two_sources_are_refused(self, given):
        with pytest.raises(Invalid, match="mutually exclusive"):
            validated(**given)

    def test_null_is_no_source(self):
        assert refusal(external_id=None) == "Set exactly one of external_id, external_ids, src and interactions."

    @pytest.mark.parametrize("given", [{"external_ids": ["a"]}, {"src": "f"}], ids="".join)
    def test_request_id_needs_external_id(self, given):
        with pytest.raises(Invalid, match=r"required by 'request_id': external_id"):
            validated(request_id="mine", **given)

    def test_unknown_state_is_refused(self):
        with pytest.raises(Invalid, match="value of state must be one of: released, dispatched, got: parked"):
            validated(external_id="a", state="parked")


class TestExternalIds:
    @good_ids
    def test_good_id_is_kept(self, external_id):
        assert read_ids(external_id=external_id) == [external_id]
        assert read_ids(external_ids=["a", external_id]) == ["a", external_id]

    @bad_ids
    def test_bad_id_is_refused_with_its_position(self, external_id, said):
        assert refusal(external_id=external_id).startswith(f"external_id {said}")
        assert refusal(external_ids=["a", "b", external_id, ""]).startswith(f"external_ids[2] {said}")

    def test_order_and_duplicates_are_kept(self):
        assert read_ids(external_ids=["b", "a", "b"]) == ["b", "a", "b"]

    def test_number_becomes_text(self):
        assert read_ids(external_ids=[17, "a", datetime.date(2026, 1, 5)]) == ["17", "a", "2026-01-05"]

    def test_empty_list_has_no_id(self):
        assert read_ids(external_ids=[]) == []

    @pytest.mark.parametrize(("external_id", "said"), [one for one in BAD_IDS if one[0]])
    def test_bad_request_id_is_refused(self, external_id, said):
        assert refusal(external_id="a", request_id=external_id).startswith(f"request_id {said}")

    def test_good_request_id_is_kept(self):
        (entry,) = task_of(external_id="a", request_id="my key, 1").source.read()
        assert entry.request_id == "my key, 1"

    @pytest.mark.parametrize(("provider", "said"), [one for one in BAD_IDS if one[0]])
    def test_bad_provider_is_refused(self, provider, said):
        assert refusal(external_id="a", provider=provider).startswith(f"provider {said}")

    @pytest.mark.parametrize("provider", [None, "", "ticket system, EU"])
    def test_provider_is_optional(self, provider):
        assert read_ids(external_id="a", provider=provider) == ["a"]


class TestRawTypes:
    """Options as they are in the task, before Ansible converts them."""

    @pytest.mark.parametrize("value", [True, 4.5, {"a": 1}], ids=["bool", "float", "dict"])
    @pytest.mark.parametrize("option", ["external_ids", "interactions"])
    def test_value_that_is_no_list_is_refused(self, option, value):
        with pytest.raises(InputError, match=f"{option} must be a list"):
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
    def test_infinite_number_is_refused(self, given, position):
        with pytest.raises(InputError) as caught:
            check_raw_types(given)
        assert str(caught.value).startswith(f"{position} must be a finite number, not ")

    @pytest.mark.parametrize("value", [True, 1.50, datetime.datetime(2026, 11, 28, 10)], ids=str)
    @pytest.mark.parametrize("option", ["account", "idempotency_key"])
    def test_text_whose_spelling_is_lost_is_refused(self, option, value):
        """Each derives other request ids than the words from which YAML has read it."""
        with pytest.raises(InputError, match=f"^{option} is neither text nor a whole number: write it as a string"):
            check_raw_types({"external_id": "a", option: value})
        for value in (4711, "1.50", datetime.date(2026, 11, 28)):
            check_raw_types({"external_id": "a", option: value})


def test_limit_of_journal_ttl():
    assert refusal(external_id="a", journal_ttl=-1) == "journal_ttl must be 0 or more, not -1."
    assert read_ids(external_id="a", journal_ttl=0) == ["a"]


class TestHttpsUrl:
    """A URL that VCC calls: it may have a query, and must begin with https."""

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
    def test_good_url_is_kept(self, url):
        assert https_url("endpoint", url) == url

    @pytest.mark.parametrize("url", ["http://hooks.example", "http://127.0.0.1", "http://localhost:8080/x"])
    def test_plain_http_to_loopback_is_refused(self, url):
        with pytest.raises(InputError) as caught:
            https_url("endpoint", url)
        assert str(caught.value) == "endpoint must begin with https://, because VCC calls only https URLs."

    @pytest.mark.parametrize("url", ["https://user:pass@hooks.example", "https://user@hooks.example"])
    def test_user_in_url_is_refused(self, url):
        with pytest.raises(InputError) as caught:
            https_url("endpoint", url)
        assert str(caught.value) == "endpoint must be a URL without a user and password in it."

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
    def test_bad_url_is_refused(self, url):
        with pytest.raises(InputError, match=r"^endpoint must be a URL such as "):
            https_url("endpoint", url)

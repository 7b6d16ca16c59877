# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source: its answers, its records in the journal, and its events for the rules."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor

import jinja2
import pytest
import trustme
import yaml

from ansible_collections.vonage.vcc.plugins.module_utils import _options
from ansible_collections.vonage.vcc.plugins.plugin_utils._notifications import settings
from ansible_collections.vonage.vcc.tests.unit.extensions.helpers import (
    PATH,
    TOKEN,
    Source,
    notification,
    recorded,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import journal_rows


class TestNotifications:
    def test_notification_is_recorded_and_becomes_an_event(self, source, journal):
        posted = notification("case-1 ü😀 {{ 1 }}", Extra={"deep": [1, None, True, 0.5]})
        assert source.post(posted) == (200, {"recorded": 1, "repeated": 0, "ignored": 0})
        row = journal_rows(journal)["case-1 ü😀 {{ 1 }}"]
        assert (row["action"], row["request_id"], row["account"], row["provider"]) == ("release", "n-1", "main", "crm")
        assert row["accepted"] is not None
        assert source.events(1) == [
            {
                "notification": posted,
                "provider": "crm",
                "kind": "Release",
                "external_id": "case-1 ü😀 {{ 1 }}",
                "recorded": True,
                "state_before": "not known",
                "state_after": "released",
            }
        ]

    def test_each_notification_of_a_list_is_an_event_in_its_order(self, source, journal):
        kinds = ["Release", "AssignToAgent", "Release", "AssignToAgent"]
        posted = [notification("case-1", kind, f"n-{number}") for number, kind in enumerate(kinds)]
        assert source.post(*posted)[1]["recorded"] == 4
        events = source.events(4)
        assert [event["notification"] for event in events] == posted
        states = ["not known", "released", "not known", "released", "not known"]
        assert [(event["state_before"], event["state_after"]) for event in events] == list(zip(states, states[1:]))
        assert journal_rows(journal) == {}

    def test_single_object_is_taken_as_a_list_of_one(self, source_with_file):
        status, dummy, text = source_with_file.post_raw(json.dumps(notification()))
        assert (status, json.loads(text)["recorded"]) == (200, 1)

    def test_repeated_notification_is_recorded_once_and_has_one_event(self, source, journal):
        first = notification("case-1", "Release", "n-1")
        assert source.post(first, first) == (200, {"recorded": 1, "repeated": 1, "ignored": 0})
        assert source.post(notification("case-1", "AssignToAgent", "n-2"), first)[1] == {
            "recorded": 1,
            "repeated": 1,
            "ignored": 0,
        }
        assert journal_rows(journal) == {}
        assert [event["kind"] for event in source.events(2)] == ["Release", "AssignToAgent"]
        assert source.has_no_more_events()

    def test_external_id_that_is_a_number_is_text_in_the_journal(self, source, journal):
        assert source.post(notification(4711))[0] == 200
        assert list(journal_rows(journal)) == ["4711"]
        (event,) = source.events(1)
        assert (event["external_id"], event["notification"]["objectid"]) == ("4711", 4711)

    def test_other_notifications_are_events_that_the_journal_does_not_have(self, source, journal):
        others = [notification("case-1", "Transfer", "n-1"), notification(None, "Release", "n-2")]
        assert source.post(*others) == (200, {"recorded": 0, "repeated": 0, "ignored": 2})
        assert recorded(journal) == set()
        assert source.events(2) == [
            {
                "notification": each,
                "provider": "crm",
                "kind": each["notification"],
                "external_id": None,
                "recorded": False,
            }
            for each in others
        ]

    def test_empty_list_is_answered(self, source_with_file):
        assert source_with_file.post() == (200, {"recorded": 0, "repeated": 0, "ignored": 0})

    def test_large_list_is_recorded_in_one_piece(self, source, journal):
        posted = [notification(f"case-{number}", number=f"n-{number}") for number in range(2500)]
        assert source.post(*posted)[1]["recorded"] == 2500
        assert len(recorded(journal)) == len(journal_rows(journal)) == 2500
        assert [event["external_id"] for event in source.events(2500)] == [each["objectid"] for each in posted]

    def test_posts_at_once_get_their_own_answers(self, source, journal):
        """Half of the POSTs have an invalid notification, which must not affect the others."""

        def post(number):
            good = notification(f"case-{number}", number=f"n-{number}")
            return source.post(
                good, {**good, "notificationid": ""} if number % 2 else notification("same", number="same")
            )

        with ThreadPoolExecutor(20) as threads:
            answers = list(threads.map(post, range(100)))
        assert [status for status, dummy in answers] == [200, 400] * 50
        assert sum(said["recorded"] for status, said in answers if status == 200) == 51
        assert recorded(journal) == {"same", *(f"n-{number}" for number in range(0, 100, 2))}

    def test_records_have_scope_of_tasks_with_same_options(self, journal, monkeypatch):
        for name, value in {"JOURNAL": journal, "REGION": "nam", "CLIENT_ID": "client-1"}.items():
            monkeypatch.setenv(f"VCC_{name}", value)
        with Source(None, region="", account=None, provider=17) as source:
            source.post(notification())
        row = journal_rows(journal)["case-1"]
        assert (row["api_url"], row["account"], row["provider"]) == (
            "https://nam.api.newvoicemedia.com",
            "client-1",
            "17",
        )


def test_endpoint_uses_the_collection_of_the_source_and_no_other(tmp_path, file, monkeypatch):
    """The package ansible of PyPI also installs a package ansible_collections."""
    other = tmp_path / "site-packages" / "ansible_collections"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise ImportError('the wrong one')\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(other.parent))
    with Source(str(file)) as source:
        assert source.post(notification())[0] == 200


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "why"),
        [
            (b"", "The body is not JSON."),
            (b"[", "The body is not JSON."),
            (b"[NaN]", "The body is not JSON."),
            (b'[{"a": 1e999}]', "The body is not JSON."),
            (b'[{"a": %s}]' % (b"9" * 5000), "The body is not JSON."),
            ("[]".encode("utf-16"), "The body is not UTF-8."),
            (b'["\xff"]', "The body is not UTF-8."),
            (b"[" * 200_000, "The body is nested too deeply."),
            (b"[1]", "notifications[0] is not an object: give VCC's notifications unchanged."),
            (
                b"{}",
                "notifications[0] has no notification or no notificationid: give VCC's notifications unchanged.",
            ),
            (
                json.dumps([notification("good"), notification("bad", number="")]).encode(),
                "notifications[1] has no notification or no notificationid: give VCC's notifications unchanged.",
            ),
            (
                json.dumps([notification("case\x1f1")]).encode(),
                "notifications[0].objectid has a control character, which an id cannot have: remove it.",
            ),
            (
                json.dumps([notification(number="\ud800")]).encode(),
                "notifications[0].notificationid is not valid Unicode: write it in UTF-8.",
            ),
            (json.dumps([notification(Agent="\ud800")]).encode(), "notifications[0] is not valid Unicode."),
            (
                json.dumps([notification("x" * 1025)]).encode(),
                "notifications[0].objectid has 1025 characters; an id has at most 1024.",
            ),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_body_that_is_no_notification_is_refused_as_a_whole(self, source_with_file, file, body, why):
        status, dummy, text = source_with_file.post_raw(body)
        assert (status, text) == (400, f"{why}\n")
        assert recorded(file) == set()
        assert source_with_file.has_no_more_events()

    @pytest.mark.parametrize(
        "authorization",
        [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {TOKEN}0", f"Basic {TOKEN}", TOKEN, "Bearer é"],
    )
    def test_post_without_the_token_is_refused(self, source_with_file, file, authorization):
        given = authorization.encode() if authorization else None
        status, headers, dummy = source_with_file.post_raw(json.dumps([notification()]), Authorization=given)
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert recorded(file) == set()

    def test_scheme_of_authorization_may_have_any_case(self, source_with_file):
        assert source_with_file.post(notification(), Authorization=f"bearer  {TOKEN}")[0] == 200

    def test_second_authorization_is_refused(self, source_with_file):
        with source_with_file.connect() as connection:
            connection.putrequest("POST", "/")
            for token in (TOKEN, "wrong"):
                connection.putheader("Authorization", f"Bearer {token}")
            connection.putheader("Content-Length", "2")
            connection.endheaders(b"[]")
            assert connection.getresponse().status == 401

    def test_refusals_do_not_fill_the_log_and_show_no_token(self, source_with_file):
        for number in range(20):
            source_with_file.post_raw(b"[]", Authorization=f"Bearer secret-{number}")
        refusals = [line for line in source_with_file.lines if "Refused" in line]
        assert refusals == ["WARNING Refused a request with 401: It has no token, or a wrong one."]

    @pytest.mark.parametrize(
        ("headers", "why"),
        [
            ({"Content_Type": "text/plain"}, "type"),
            ({"Content_Type": "application/x-www-form-urlencoded"}, "type"),
            ({"Content_Type": "application/json; charset=utf-16"}, "type"),
            ({"Content_Encoding": "gzip"}, "compressed"),
        ],
        ids=str,
    )
    def test_other_type_or_encoding_of_content_is_refused(self, source_with_file, file, headers, why):
        body = json.dumps([notification()]).encode()
        if "Content_Encoding" in headers:
            body = gzip.compress(body)
        status, dummy, text = source_with_file.post_raw(body, **headers)
        assert status == 415
        assert why in text
        assert recorded(file) == set()

    @pytest.mark.parametrize("content_type", [None, "application/json; charset=UTF-8", "application/cloudevents+json"])
    def test_any_content_type_of_json_is_accepted(self, source_with_file, content_type):
        assert source_with_file.post(notification(), Content_Type=content_type)[0] == 200

    @pytest.mark.parametrize("chunked", [False, True])
    def test_large_body_is_refused(self, file, chunked):
        with Source(str(file), max_body=1000) as source:
            body = json.dumps([notification(Filler="x" * 1000)]).encode()
            status, dummy, text = source.post_raw(iter([body]) if chunked else body)
            assert (status, text) == (413, "Its body has more than 1000 bytes.\n")
            assert source.post(notification())[0] == 200

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_other_methods_are_refused(self, source_with_file, method):
        status, headers, dummy = source_with_file.request(method, Authorization=f"Bearer {TOKEN}")
        assert (status, headers["Allow"]) == (405, "POST")

    def test_request_that_is_no_http_is_refused(self, source_with_file):
        with source_with_file.connect() as connection:
            connection.connect()
            connection.sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
            assert b" 400 " in connection.sock.recv(1000).split(b"\r\n")[0]
        assert source_with_file.post(notification())[0] == 200


class TestHealth:
    def test_health_path_returns_only_status(self, source):
        assert source.health() == (200, "")
        assert source.request("GET", "/", Authorization=None)[0] == 401

    def test_health_path_is_an_option(self, file):
        with Source(str(file), health_path="/ready") as source:
            assert source.request("GET", "/ready")[0] == 200
            assert source.health()[0] == 401


class TestTls:
    def test_certificate_and_key_serve_https(self, tmp_path, file):
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        issued.cert_chain_pems[0].write_to_path(str(tmp_path / "tls.crt"))
        issued.private_key_pem.write_to_path(str(tmp_path / "tls.key"))
        files = {"certfile": str(tmp_path / "tls.crt"), "keyfile": str(tmp_path / "tls.key")}
        with Source(str(file), **files) as source:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content_Type": "application/json"}
            body = json.dumps([notification()])
            assert source.request("POST", "/", body, authority=str(tmp_path / "ca.pem"), **headers)[0] == 200
            with source.connect(str(tmp_path / "ca.pem")) as connection:
                plain = http.client.HTTPConnection("localhost", connection.port, timeout=10)
                with pytest.raises((http.client.HTTPException, OSError)):
                    plain.request("GET", "/health")
                    plain.getresponse()
                plain.close()

    def test_plain_http_off_the_loopback_has_warning(self, file):
        with Source(str(file), host="0.0.0.0") as source:
            assert any(
                line.startswith("WARNING Tokens and notifications come over plain http") for line in source.lines
            )


def refusal(journal, **options):
    """Return the message of the error with which the source fails to start."""
    with pytest.raises(Exception) as caught, Source(str(journal), **options):
        pass
    assert type(caught.value).__name__ == "SourceError"
    return str(caught.value)


class TestConfiguration:
    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"token": None}, "token is missing: set it to the token that VCC sends"),
            ({"token": " "}, "token is missing"),
            ({"token": 20261123}, "token must be text, but its template gives another type"),
            ({"token": "a b"}, "token has a character that no token has"),
            ({"tokn": "x"}, "tokn is not an option of this source; its options are host, port, token,"),
            ({"provider": ""}, "provider is missing"),
            ({"provider": "  "}, "provider is empty"),
            ({"journal": ""}, "journal is missing: set it or VCC_JOURNAL in the environment of"),
            ({"journal": "none"}, "journal is missing"),
            (
                {"journal": "journal.db"},
                "journal must be an absolute path or a URL such as postgresql://user@host/database, not 'journal.db'.",
            ),
            ({"journal": "mysql://u:s3cret@h/d"}, "journal must be an absolute path, or a URL such as"),
            ({"account": ""}, "The account is missing: set account or client_id"),
            ({"region": ""}, "The region of the VCC account is missing: set region (emea, nam, apac)"),
            ({"region": jinja2.Undefined()}, "region is neither text nor a number: set the variables"),
            ({"region": "eu"}, "region must be emea, nam or apac, not 'eu'."),
            ({"region": "", "api_url": "http://vcc.example"}, "api_url must begin with https://"),
            ({"port": 70000}, "port must be a whole number from 0 to 65535."),
            ({"port": True}, "port must be a whole number"),
            ({"port": "http"}, "port must be a whole number"),
            ({"max_body": 0}, "max_body must be a whole number from 1 to"),
            ({"health_path": "health"}, "health_path must be the path of a URL, such as /health."),
            ({"host": "no-such-host.invalid"}, "The source cannot listen on no-such-host.invalid port 0 ("),
            ({"keyfile": "/tmp/x"}, "certfile is missing: set it, because keyfile needs it."),
            ({"certfile": "tls.crt"}, "certfile must be an absolute path, not 'tls.crt'."),
            (
                {"certfile": "/no/such/file"},
                "certfile or keyfile cannot be used (/no/such/file: No such file or directory)",
            ),
            ({"certfile": str(PATH)}, "certfile or keyfile cannot be used"),
        ],
        ids=str,
    )
    def test_wrong_option_is_refused_with_sentence(self, file, options, why):
        said = refusal(options.pop("journal", file), **options)
        assert said.startswith(why)
        assert "s3cret" not in said

    def test_journal_that_cannot_be_written_is_refused(self, tmp_path):
        (tmp_path / "file").touch()
        assert refusal(tmp_path).startswith(f"The journal {tmp_path} cannot be used")
        assert refusal(tmp_path / "file" / "journal.db").startswith(
            f"The journal {tmp_path}/file/journal.db cannot be used"
        )

    def test_message_about_wrong_password_does_not_show_it(self, postgresql_server):
        postgresql_server.create_role("events", "right")
        try:
            said = refusal(postgresql_server.url(user="events", password="wr0ng", tcp=True))
        finally:
            postgresql_server.execute("DROP ROLE events")
        assert "password authentication failed" in said
        assert "wr0ng" not in said

    def test_port_in_use_is_refused(self, file):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            assert refusal(file, port=port) == (
                f"The source cannot listen on 127.0.0.1 port {port} (Address already in use): check host and port, and that no other process has the port."
            )

    def test_encrypted_key_is_refused(self, tmp_path, file):
        from cryptography.hazmat.primitives import serialization

        issued = trustme.CA().issue_cert("localhost")
        key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
        encrypted = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
        path = tmp_path / "both.pem"
        path.write_bytes(issued.cert_chain_pems[0].bytes() + encrypted)
        assert "or the key is encrypted" in refusal(file, certfile=str(path))

    def test_options_of_the_connection_are_those_of_tasks(self):
        spec = {**_options.CONNECTION_SPEC, **_options.JOURNAL_SPEC}
        assert settings.DEFAULTS["domain"] == spec["domain"]["default"]
        assert list(settings.REGIONS) == spec["region"]["choices"]
        assert set(settings.FROM_ENVIRONMENT) <= set(spec)

    def test_documentation_has_every_option(self):
        text = PATH.read_text(encoding="utf-8")
        documented = yaml.safe_load(text.split('DOCUMENTATION = r"""')[1].split('"""')[0])["options"]
        assert set(documented) == set(settings.OPTIONS)
        defaults = {name: option["default"] for name, option in documented.items() if "default" in option}
        assert defaults == settings.DEFAULTS
        (example,) = yaml.safe_load(text.split('EXAMPLES = r"""')[1].split('"""')[0])
        assert set(example["vonage.vcc.provider_notifications"]) <= set(settings.OPTIONS)

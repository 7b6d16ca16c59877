# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vcc_provider refuses wrong options before any call."""

from __future__ import annotations

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import (
    InputError,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.modules.vcc_provider.helpers import HIDDEN, HOOK, REGISTER


class TestInput:
    """Input that is refused before any call, also in check mode. The message shows no value that may be a secret."""

    @pytest.fixture
    def said(self, sim, refused, tmp_path):
        def do(**given):
            says = {str(refused(InputError, check=check, **given)) for check in (True, False)}
            assert sim.calls == []
            assert list(tmp_path.iterdir()) == []
            (text,) = says
            assert HIDDEN not in text
            assert "\n" not in text
            return text

        return do

    @pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x00", "x" * 1025, "a\ud800"])
    def test_invalid_name_is_refused(self, said, name):
        assert said(name=name).startswith("name ")

    @pytest.mark.parametrize(
        ("endpoint", "why"),
        [
            ("http://hooks.example/", "begin with https://, because VCC calls only https URLs."),
            ("http://127.0.0.1/", "begin with https://, because VCC calls only https URLs."),
            (f"https://user:{HIDDEN}@hooks.example/", "be a URL without a user and password in it."),
            (f"https://{HIDDEN}@hooks.example/", "be a URL without a user and password in it."),
            (f"ftp://hooks.example/{HIDDEN}", "be a URL such as "),
            (f"hooks.example/{HIDDEN}", "be a URL such as "),
            (f"https:///{HIDDEN}", "be a URL such as "),
            (f"https://hooks.example/\r\nX: {HIDDEN}", "be a URL such as "),
            (f"https://hooks.example/ {HIDDEN}", "be a URL such as "),
            (f"https://hooks.example/ü{HIDDEN}", "be a URL such as "),
            (f"https://hooks.example/#{HIDDEN}", "be a URL such as "),
            (f"https://hooks.example:70000/{HIDDEN}", "be a URL such as "),
        ],
    )
    def test_invalid_endpoint_is_refused(self, said, endpoint, why):
        assert said(endpoint=endpoint).startswith(f"endpoint must {why}")

    @pytest.mark.parametrize("name", ["", "X Y", "X:", "X\r\nY", "X\n", "Größe", "X\x00", "(X)", '"X"'])
    def test_invalid_header_name_is_refused(self, said, name):
        assert said(endpoint=HOOK, headers={name: HIDDEN}).startswith("headers has a name that no HTTP header can have")

    @pytest.mark.parametrize("value", ["{}\r\nX: y", "{}\n", "\n{}", "{}\r", "ü{}", "{}\x00", "{}\t", "{}\x7f", "🎧{}"])
    def test_invalid_header_value_is_refused(self, said, value):
        text = said(endpoint=HOOK, headers={"X-Key": value.format(HIDDEN)})
        assert text.startswith("headers.X-Key has a character that no HTTP header can have")

    @pytest.mark.parametrize("value", [[HIDDEN], {"a": HIDDEN}, None, True, 1.5], ids=repr)
    def test_header_value_of_other_type_is_refused(self, said, value):
        assert said(endpoint=HOOK, headers={"X-Key": value}).startswith(
            "headers.X-Key is neither text nor a whole number"
        )

    @pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
    @pytest.mark.parametrize("value", ["{}", "{} ", " {}", "", "{}  "])
    def test_authorization_without_type_is_refused(self, said, name, value):
        text = said(endpoint=HOOK, headers={name: value.format(HIDDEN)})
        assert text.startswith(f"headers.{name} must have the form 'type credentials'")

    def test_header_names_that_differ_only_in_capitals_are_refused(self, said):
        text = said(endpoint=HOOK, headers={"X-Key": HIDDEN, "x-kEY": HIDDEN})
        assert text == "headers has two names that differ only in capitals: remove one of them."

    @pytest.mark.parametrize("endpoint", [None, ""])
    def test_headers_without_endpoint_are_refused(self, said, endpoint):
        text = said(endpoint=endpoint, headers={"X-Key": HIDDEN})
        assert text == "headers need endpoint, which is missing: set endpoint, or leave headers out."

    def test_settings_over_size_limit_are_refused(self, said):
        text = said(endpoint=HOOK, headers={"X-Key": HIDDEN * 12_000})
        assert text.startswith("The settings of 'tickets' have 108")

    def test_settings_of_maximum_size_are_sent(self, sim, register, refused):
        register(endpoint=HOOK, headers={"X": ""}, journal="")
        room = 99_999 - len(sim.bodies(REGISTER)[0])
        register(endpoint=HOOK, headers={"X": "x" * room}, journal="")
        assert len(sim.bodies(REGISTER)[1]) == 99_999
        assert "have 100000 bytes" in str(refused(InputError, endpoint=HOOK, headers={"X": "x" * (room + 1)}))

    def test_missing_credentials_are_refused(self, said):
        assert said(client_id=None, client_secret=None).startswith("The credentials are missing")

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The location of a journal: whether a text is a URL, and which parts of a URL are secrets."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils import _location

ODD = [
    "hush",
    "h:ush",
    "h?ush",
    "h#ush",
    "h&u=sh",
    "h%20ush",
    "h%40u%2Fsh",
    "hüsh",
    "h[u]sh",
    "h ush",
    "h\\us'h\"",
    "h+ush",
]


class TestScheme:
    @pytest.mark.parametrize(
        "journal", ["postgresql://", "postgres://", "postgresql:///vcc", "postgres://u:p@h:1,g/d?a=b"]
    )
    def test_url_is_recognised(self, journal):
        assert _location.is_url(journal)
        assert _location.has_scheme(journal)
        assert _location.backend_of(journal) == "postgresql"

    @pytest.mark.parametrize(
        "journal",
        [
            "mysql://u:p@h/d",
            "postgressql://u:p@h/d",
            "PostgreSQL://u:p@h/d",
            "postgresql+psycopg://u:p@h/d",
            "jdbc:postgresql://u:p@h/d",
            "postgresql:/u:p@h/d",
            "postgres:u:p@h/d",
            " postgresql://u:p@h/d",
        ],
    )
    def test_mistyped_url_is_recognised_with_its_password(self, journal):
        assert not _location.is_url(journal)
        assert _location.has_scheme(journal)
        assert "p" in _location.secrets_of(journal)

    @pytest.mark.parametrize(
        "journal", ["/a/b", "a/b.db", "~/a", "$HOME/a", "a:b", "/a://b", "./postgresql://h", "1a://b", ""]
    )
    def test_path_is_no_url_and_has_no_secret(self, journal):
        assert not _location.is_url(journal)
        assert not _location.has_scheme(journal)
        assert _location.without_password(journal) == journal
        assert _location.secrets_of(journal) == set()
        assert _location.backend_of(journal) == ("sqlite" if journal else "none")

    @pytest.mark.parametrize("journal", [None, 1, [], {}])
    def test_other_values_hold_no_secret(self, journal):
        assert _location.secrets_of(journal) == set()


class TestPassword:
    @pytest.mark.parametrize("password", ODD)
    @pytest.mark.parametrize(
        ("url", "masked"),
        [
            ("postgresql://vcc:{}@h/d", "postgresql://vcc@h/d"),
            ("postgres://vcc:{}@h:5432/d?sslmode=require", "postgres://vcc@h:5432/d?sslmode=require"),
            ("postgresql://vcc:{}@h1:1,h2:2", "postgresql://vcc@h1:1,h2:2"),
            ("postgresql://vcc:{}@[::1]:5/d", "postgresql://vcc@[::1]:5/d"),
            ("postgresql://:{}@h/d", "postgresql://@h/d"),
            ("postgresql://vcc:{}@", "postgresql://vcc@"),
            ("postgresql:///d?password={}", "postgresql:///d"),
            ("postgresql://h/d?password={}&port=1", "postgresql://h/d?port=1"),
            ("postgresql://h/d?port=1&sslpassword={}&host=h", "postgresql://h/d?port=1&host=h"),
            ("postgresql://h/d?p%61ssword={}", "postgresql://h/d"),
            ("postgresql://h/d?pasword={}", "postgresql://h/d"),
            ("postgresql://h/d?oauth_client_secret={}&user=u", "postgresql://h/d?user=u"),
        ],
    )
    def test_password_is_found_in_any_part_of_url(self, url, masked, password):
        encoded = quote(password, safe="")
        journal = url.format(encoded)
        assert _location.secrets_of(journal) == {password, encoded}
        assert _location.without_password(journal) == masked
        assert not _location.is_ambiguous(journal)

    def test_several_passwords_are_found(self):
        journal = "postgresql://vcc:on%65@h/d?password=two&sslpassword=thr%65e&port=1"
        assert _location.secrets_of(journal) == {"on%65", "one", "two", "thr%65e", "three"}
        assert _location.without_password(journal) == "postgresql://vcc@h/d?port=1"

    @pytest.mark.parametrize("password", ["h@ush", "@hush", "hush@", "hu/sh", "h/u@s/h", "h?u@sh", "h@u?sh", "h/u?sh"])
    def test_ambiguous_password_is_removed(self, password):
        journal = f"postgresql://vcc:{password}@h/d?port=1"
        assert password in _location.secrets_of(journal)
        assert _location.without_password(journal) == "postgresql://vcc@h/d?port=1"
        assert _location.is_ambiguous(journal)

    @pytest.mark.parametrize("password", ["h:ush", "h?ush", "h?u=sh", "h&ush", "h#ush", "h%ush"])
    def test_password_with_characters_that_need_no_encoding_is_removed(self, password):
        journal = f"postgresql://vcc:{password}@h/d?port=1"
        assert password in _location.secrets_of(journal)
        assert _location.without_password(journal) == "postgresql://vcc@h/d?port=1"
        assert not _location.is_ambiguous(journal)

    @pytest.mark.parametrize(
        "journal",
        [
            "postgresql://h:5432/d?options=a@b:c",
            "postgresql:///d?host=@abstract&user=a@b",
            "postgresql://user@h:5432/d?sslmode=verify-full&sslrootcert=/a/b&passfile=/c&target_session_attrs=read-write&connect_timeout=3",
            "postgresql:///d?service=x&application_name=y&keepalives_idle=1&ssl_min_protocol_version=TLSv1.3&channel_binding=require",
            "postgresql://h/d?",
            "postgresql://vcc@h",
        ],
    )
    def test_url_without_password_is_unchanged(self, journal):
        assert _location.secrets_of(journal) == set()
        assert _location.without_password(journal) == journal
        assert not _location.is_ambiguous(journal)

    @pytest.mark.parametrize("password", ODD)
    def test_libpq_reads_same_password(self, password):
        psycopg = pytest.importorskip("psycopg")
        journal = f"postgresql://vcc:{quote(password, safe='')}@h/d?port=1"
        parameters = psycopg.conninfo.conninfo_to_dict(journal)
        assert parameters["password"] == password
        without = {name: value for name, value in parameters.items() if name != "password"}
        assert psycopg.conninfo.conninfo_to_dict(_location.without_password(journal)) == without

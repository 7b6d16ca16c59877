# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option journal: a URL is not changed, and a mistyped URL is refused."""

from __future__ import annotations

import os

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import task_of, validated

URLS = [
    "postgresql://vcc@db.example/vcc",
    "postgres://vcc@db.example/vcc",
    "postgresql://~/~",
    "postgresql://$HOME:$HOME@h/$HOME?passfile=~/.pgpass",
    "postgresql:///vcc?host=/run/../postgresql//&service=x",
    "postgresql://",
    "postgresql://h/../../vcc",
]

MISTYPED = [
    "mysql://vcc:hush-hush@h/d",
    "postgressql://vcc:hush-hush@h/d",
    "PostgreSQL://vcc:hush-hush@h/d",
    "POSTGRES://vcc:hush-hush@h/d",
    "postgresql:/vcc:hush-hush@h/d",
    "postgres:vcc:hush-hush@h/d",
    "postgresql//vcc:hush-hush@h/d",
    " postgresql://vcc:hush-hush@h/d",
    "jdbc:postgresql://h/d?user=vcc&password=hush-hush",
]


def options(**given):
    return validated(external_ids=[], **given)


REFUSED = "journal must be a path, or a URL such as postgresql://user@host/database."


class TestUrl:
    @pytest.mark.parametrize("url", URLS)
    def test_url_is_not_changed(self, url):
        assert options(region="emea", journal=url)["journal"] == url
        assert task_of(external_ids=[], journal=url).journal_path == url

    @pytest.mark.parametrize("url", URLS)
    def test_url_may_come_from_environment(self, url, monkeypatch):
        monkeypatch.setenv("VCC_JOURNAL", url)
        assert options(region="emea")["journal"] == url

    def test_option_goes_before_the_environment(self, monkeypatch):
        monkeypatch.setenv("VCC_JOURNAL", "postgresql://db.example/vcc")
        assert options(region="emea", journal="postgres:///other")["journal"] == "postgres:///other"
        assert options(region="emea", journal="")["journal"] == ""

    def test_url_is_not_compared_with_paths(self, tmp_path, monkeypatch):
        """The report has a path that resembles the URL."""
        monkeypatch.chdir(tmp_path)
        url = "postgresql://h/report.json"
        assert task_of(external_ids=[], journal=url, report=url.replace("//", "/")).journal_path == url
        assert list(tmp_path.iterdir()) == []


class TestMistypedUrl:
    @pytest.mark.parametrize("url", MISTYPED)
    def test_mistyped_url_is_refused(self, url):
        with pytest.raises(InputError) as caught:
            options(region="emea", journal=url)
        assert str(caught.value) == REFUSED

    @pytest.mark.parametrize("url", MISTYPED)
    def test_message_names_variable(self, url, monkeypatch):
        monkeypatch.setenv("VCC_JOURNAL", url)
        with pytest.raises(InputError) as caught:
            options(region="emea")
        assert str(caught.value) == f"VCC_JOURNAL in the environment of {os.uname().nodename}: {REFUSED}"

    @pytest.mark.parametrize("path", ["postgresql", "./postgresql://h", "folder/postgres:db", "a:b"])
    def test_paths_stay_paths(self, path):
        assert options(region="emea", journal=path)["journal"] == path

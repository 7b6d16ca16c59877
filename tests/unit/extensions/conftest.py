# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of the event source provider_notifications."""

from __future__ import annotations

import importlib.util
import os

import pytest

from ansible_collections.vonage.vcc.tests.unit.extensions.helpers import Source


@pytest.fixture(autouse=True)
def _aiohttp():
    """Skip a test if this Python lacks aiohttp, which the endpoint needs, but fail in CI."""
    if not importlib.util.find_spec("aiohttp"):
        if os.environ.get("CI") == "true":
            pytest.fail("no aiohttp")
        pytest.skip("no aiohttp")


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    """No settings of the machine reach a test."""
    for name in list(os.environ):
        if name.startswith("VCC_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(params=["sqlite", "postgresql"])
def journal(request, tmp_path):
    """The journal: a file, and then a database."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql_url")
    return str(tmp_path / "kept" / "journal.db")


@pytest.fixture
def file(tmp_path):
    """The path of a journal."""
    return tmp_path / "kept" / "journal.db"


@pytest.fixture
def source(journal):
    """The source with either journal."""
    with Source(journal) as source:
        yield source


@pytest.fixture
def source_with_file(file):
    """The source with a journal in a file, for tests that do not depend on the kind of journal."""
    with Source(str(file)) as source:
        yield source

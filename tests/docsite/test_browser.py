# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The browser reports elements that a page cuts off, its requests for the network, and missing files."""

from __future__ import annotations

import struct

import pytest

WIDE = '<div class="wide" style="width: 700px">text</div>'
LONG = '<p style="white-space: nowrap; overflow-x: {overflow}">' + "text " * 200 + "</p>"


@pytest.fixture
def show(browser, tmp_path):
    """Return a function that opens a page with this body in a window of 400 pixels, and returns its layout."""

    def show(body):
        page = tmp_path / "page.html"
        page.write_text(f"<!DOCTYPE html><html><head><title>Page</title></head><body>{body}</body></html>")
        return browser.open(page, width=400)

    return show


def test_page_that_fits_has_no_problems(show):
    assert show("<p>text</p>") == (400, 400, [], [], [])


def test_page_that_is_too_wide_is_cut_off(show):
    layout = show(WIDE)
    assert layout.width == 400
    assert layout.content > 700
    assert layout.cut_off == ["div.wide"]


def test_hidden_text_is_cut_off(show):
    assert show(LONG.format(overflow="hidden")).cut_off == ["p"]


@pytest.mark.parametrize("body", [LONG.format(overflow="auto"), f'<div style="overflow-x: scroll">{WIDE}</div>'])
def test_text_that_scrolls_is_not_cut_off(show, body):
    layout = show(body)
    assert layout.cut_off == []
    assert layout.content == 400


def test_requests_for_the_network_are_reported(show):
    layout = show('<script src="https://cdn.example/script.js"></script>')
    assert layout.requests == ["https://cdn.example/script.js"]
    assert layout.errors == ["net::ERR_NAME_NOT_RESOLVED"]


def test_missing_file_is_reported(show):
    assert show('<img src="no.png" alt="">').errors == ["net::ERR_FILE_NOT_FOUND"]


def test_error_of_script_is_reported(show):
    assert show("<script>no()</script>").errors == ["Uncaught"]


def test_missing_page_raises_error(browser, tmp_path):
    with pytest.raises(AssertionError, match="ERR_FILE_NOT_FOUND"):
        browser.open(tmp_path / "no.html", width=400)


def test_picture_shows_whole_page(browser, show, tmp_path):
    show('<div style="height: 2000px"></div>')
    browser.take_picture(tmp_path / "page.png")
    header = (tmp_path / "page.png").read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", header[16:])
    assert width == 400
    assert height > 2000

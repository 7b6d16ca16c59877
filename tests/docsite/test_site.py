# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every link and anchor of the built site exists, and no page cuts off its text; pictures are in docs/build/pictures."""

from __future__ import annotations

import functools
import html.parser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

SITE = Path(__file__).parents[2] / "docs" / "build" / "html"
PICTURES = SITE.with_name("pictures")
PAGES = sorted(SITE.rglob("*.html"))
WIDTHS = (1280, 400)

# The search page needs its index, and has no content of its own.
READ = [page for page in PAGES if page.name != "search.html"]


class _Parser(html.parser.HTMLParser):
    """Collects the anchors of a page, and the addresses that it links to or loads."""

    def __init__(self):
        super().__init__()
        self.anchors = set()
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name in ("href", "src", "data"):
                self.addresses.append(value or "")


@functools.cache
def parse(page):
    """Return the anchors and the addresses of a page."""
    parser = _Parser()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.anchors, parser.addresses


def broken(page, address):
    """Return whether an address leads nowhere. Addresses of other hosts count as right."""
    parts = urlsplit(address)
    if parts.scheme in ("http", "https", "mailto", "data"):
        return False
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if parts.scheme or parts.netloc or not target.is_file() or not target.is_relative_to(SITE):
        return True
    return bool(parts.fragment) and unquote(parts.fragment) not in parse(target)[0]


def test_site_is_built():
    assert (SITE / "index.html").is_file(), "make docs builds the site"
    assert len(PAGES) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_anchors_exist(page):
    addresses = parse(page)[1]
    assert addresses
    assert [address for address in addresses if broken(page, address)] == []


def test_no_page_has_a_table_of_contents():
    """The theme has one beside each page, and shows an error in place of a second one."""
    assert [page for page in PAGES if 'class="contents' in page.read_text(encoding="utf-8")] == []


def test_broken_links_are_found(tmp_path):
    """Check the check itself."""
    page = SITE / "index.html"
    for address in ("no.html", "index.html#no", "#no", "../rst/index.rst", "ftp://example", "file:///etc/passwd"):
        assert broken(page, address), address
    for address in ("index.html", "", "https://example.com/no#no"):
        assert not broken(page, address), address


# The classes of tables that must be scrolled to be read, and the room that the widest table needs for its words side by side.
SCROLLING = """[...document.querySelectorAll(".table-wrapper")].filter((each) => each.scrollWidth > each.clientWidth).map(
    (each) => each.firstElementChild.className)"""
NEEDED = """Math.max(0, ...[...document.querySelectorAll("table")].map((table) => {
    table.style.width = "min-content"; return table.scrollWidth; }))"""


@pytest.fixture(scope="session")
def look(browser):
    """Return a function that opens a page once for each width, and returns its layout, the tables that scroll, and the room that tables need."""

    @functools.cache
    def look(page, width):
        return browser.open(page, width), browser.evaluate(SCROLLING), browser.evaluate(NEEDED)

    return look


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", READ, ids=lambda page: page.stem)
def test_page_fits_window(look, page, width):
    """In a narrow window, only tables scroll that have three columns and not the class stack."""
    layout, scrolling, dummy = look(page, width)
    assert layout.content <= layout.width == width
    assert layout.cut_off == []
    assert layout.requests == []
    assert layout.errors == []
    assert [each for each in scrolling if width > 400 or "stack" in each.split()] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_pictures_are_taken(browser, look, width):
    pages = {
        "first": SITE / "index.html",
        "module": SITE / "vcc_interaction_module.html",
        "guide": SITE / "docsite" / "guide_postgresql.html",
        "table": max(READ, key=lambda page: look(page, 400)[2]),
    }
    PICTURES.mkdir(exist_ok=True)
    for name, page in pages.items():
        picture = PICTURES / f"{name}-{width}.png"
        picture.unlink(missing_ok=True)
        browser.open(page, width)
        browser.take_picture(picture)
        assert picture.stat().st_size > 10_000

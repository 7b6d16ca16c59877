# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of report_run in a browser: it fits wide and narrow windows, and loads nothing; its pictures are in docs/build/pictures."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import COLLECTION, TIMEOUT, Recorder, validated

PICTURES = Path(__file__).parents[2] / "docs" / "build" / "pictures"
IDS = [
    "<script>document.title = 'hacked'</script>",
    '"><img src="https://elsewhere.example/pixel.png" onerror="document.title = 1">',
    "{{ lookup('pipe', 'id') }}",
    "😀 שלום עליכם",
    "x" * 500,
]
REASON = "CHG0031337, the queue is closed " + "for <b>the</b> holiday " * 20


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a run in which most interactions are released, some fail and some stay unknown."""
    folder = tmp_path_factory.mktemp("report")

    journal = folder / "elsewhere.db"
    cases = [f"case-{number}" for number in range(2000)]
    with Recorder() as simulator:
        simulator.poison(*IDS)
        simulator.fault("cut", when="after", after=14)
        given = {"external_ids": [*cases[:1000], *IDS, *cases[1000:]], "reason": REASON[:500].strip()}
        params = validated(**simulator.options(journal=str(journal), calls_in_flight=1, **given))
        counts = run(params, False, False, {})["summary"]
    assert min(counts[name] for name in ("released", "failed", "unknown")) > 0
    with contextlib.closing(sqlite3.connect(journal, isolation_level=None)) as database:
        message = "</td><svg onload=\"document.title = 'hacked'\"> " + "the cause " * 100 + "y" * 1000
        altered = database.execute("UPDATE attempt SET message = ? WHERE state = 'unknown'", (message,))
        assert altered.rowcount > 0
        # Spread the attempts over half an hour, so that the timeline has many bars.
        database.execute("UPDATE attempt SET at = at + 31 * number * number % 1800")
    done = subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", "vonage.vcc.report_run", "-e", "vcc_html=run.html"],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]),
            "ANSIBLE_HOME": str(folder / "ansible"),
            "HOME": str(folder),
            "VCC_JOURNAL": str(journal),
        },
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return folder / "run.html"


def text_of(browser, selector):
    """Return the texts of the elements of a selector."""
    return browser.evaluate(f"[...document.querySelectorAll({selector!r})].map((each) => each.textContent.trim())")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_page_fits_window(browser, page, width, scheme):
    """The policy of the page allows its style: without it, the words of the table's head would be seen in a narrow window."""
    browser.emulate(scheme=scheme)
    layout = browser.open(page, width)
    PICTURES.mkdir(parents=True, exist_ok=True)
    picture = PICTURES / f"report-{width}-{scheme}.png"
    browser.take_picture(picture)
    assert picture.stat().st_size > 10_000
    assert layout.content <= layout.width == width
    assert layout.cut_off == []
    assert layout.requests == []
    assert layout.errors == []
    dark = browser.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark is (scheme == "dark")


def test_foreign_text_is_shown_as_text(browser, page):
    browser.open(page, 1280)
    assert set(IDS) <= set(text_of(browser, "td.name"))
    assert REASON[:500].strip() in text_of(browser, "p.lead")
    assert "hacked" not in browser.evaluate("document.title")
    assert text_of(browser, "script, img, b, [onload]") == []


def test_bars_are_inside_the_chart(browser, page):
    """The bars of the timeline are tall enough to be seen."""
    browser.open(page, 1280)
    boxes = browser.evaluate(
        """[...document.querySelectorAll("rect")].map((each) => {
            const box = each.getBoundingClientRect(), chart = each.ownerSVGElement.getBoundingClientRect();
            return [each.getAttribute("class"), box.height, box.left >= chart.left && box.right <= chart.right,
                box.top >= chart.top && box.bottom <= chart.bottom];
        })"""
    )
    assert {box[0] for box in boxes} == {"accepted", "failed", "unknown"}
    assert min(box[1] for box in boxes) >= 2.9
    assert all(inside for box in boxes for inside in box[2:])


def test_page_works_with_keyboard_and_screen_reader(browser, page):
    """The keyboard reaches the table of the timeline, which fits; the chart has a name and a description, and the cells their headings."""
    browser.open(page, 400)
    assert text_of(browser, "#chart-title") == ["Interactions over time"]
    assert "The table below has the same numbers." in text_of(browser, "#chart-desc")[0]
    assert browser.evaluate("""(() => { const each = document.querySelector("summary"); each.focus();
        return document.activeElement === each && each.tabIndex === 0; })()""")
    opened = "document.querySelector('details').open = true, document.documentElement.scrollWidth"
    assert browser.evaluate(opened) == 400
    assert browser.evaluate("document.querySelector('details table').getBoundingClientRect().height") > 100
    heads = len(text_of(browser, "table.list:first-of-type thead th[scope=col]"))
    rows = len(text_of(browser, "table.list tbody tr[role=row]"))
    assert (heads % 5, rows) == (0, len(text_of(browser, "td.name")))
    assert len(text_of(browser, "td[role=cell]")) == 5 * rows

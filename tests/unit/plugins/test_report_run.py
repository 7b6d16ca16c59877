# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a run, written by real runs of ansible-playbook and parsed; tests/docsite looks at it in a browser."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html.parser
import os
import re
import sqlite3

import pytest
from jinja2 import Environment, nodes

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import COLLECTION, column, mode, summary

TEMPLATES = COLLECTION / "playbooks" / "templates"
MACROS = ("number", "interactions", "moment", "clock", "text")
VOID = ("meta", "rect", "line")
HOSTILE = [
    "<script>alert(1)</script>",
    "{{ 7 * 6 }}{% raw %}",
    "\"'><img src=x onerror=alert(1)>&amp;",
    "😀 שלום עליכם",
    "x" * 500,
]


class Page(html.parser.HTMLParser):
    """A well-formed page: its texts, rows and attributes.

    ``texts`` has the texts by the names of their elements, ``rows`` the cells of each row of the lists of interactions.
    """

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.open, self.texts, self.attributes, self.rows = [], {}, [], []
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")
        if ("role", "row") in attrs:
            self.rows.append([])
        if tag == "td" and ("role", "cell") in attrs:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag][-1] += data
        if self.rows and self.rows[-1] and "td" in self.open:
            self.rows[-1][-1] += data

    @property
    def interactions(self):
        """The cells of each interaction that the page lists, by its external id."""
        return {row[0]: [cell.strip() for cell in row[1:]] for row in self.rows if row}

    @property
    def counts(self):
        return [" ".join(text.split()) for text in self.texts["li"]]

    @property
    def facts(self):
        return dict(zip(self.texts["dt"], self.texts["dd"]))

    @property
    def policy(self):
        ((dummy, dummy, value),) = [each for each in self.attributes if "default-src" in (each[2] or "")]
        return value


@pytest.fixture
def journal(task, tmp_path):
    """The journal that tasks and playbooks share."""
    task.journal = str(tmp_path / "elsewhere.db")
    return task.journal


@pytest.fixture
def report(play, journal, tmp_path):
    """Writes the page of a run. Checks its policy, and returns it."""

    def run(*arguments, **given):
        code, printed = play("report_run", {"vcc_html": "run.html", **given}, *arguments)
        assert code == 0, printed
        assert "changed=1 " in printed
        page = Page(tmp_path / "run.html")
        check_policy(page)
        return page

    return run


def check_policy(page):
    """Check that a page has no script, that its only links are its own anchors, and that its policy allows only its style."""
    assert not {"script", "link", "iframe", "img", "object", "form"} & set(page.texts)
    assert [each for each in page.attributes if each[1] in ("src", "style", "srcset") or each[1].startswith("on")] == []
    ids = {value for dummy, name, value in page.attributes if name == "id"}
    links = {value for dummy, name, value in page.attributes if name == "href"}
    assert links <= {f"#{each}" for each in ids}
    (style,) = page.texts["style"]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert page.policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def alter(journal, statement, *values):
    """Change the history in a way in which the collection never changes it."""
    with contextlib.closing(sqlite3.connect(journal, isolation_level=None)) as database:
        assert database.execute(statement, values).rowcount > 0


def test_page_shows_the_run(sim, task, play, journal, tmp_path):
    """Check mode predicts the page, and a second run changes nothing."""
    sim.poison("b")
    given = {"calls_in_flight": 1, "reason": "CHG0031337, the queue is closed"}
    first = task(external_ids=["a", "b"], **given)
    assert summary(first)["failed"] == 1
    sim.fault("cut", when="after")
    result = task(external_ids=["c"], reason="CHG2")
    assert summary(result)["unknown"] == 1
    for arguments, changed in ((["--check"], 1), ([], 1), ([], 0), (["--check"], 0)):
        code, printed = play("report_run", {"vcc_html": "run.html", "vcc_run_id": first["run_id"]}, *arguments)
        assert code == 0, printed
        assert f"changed={changed} " in printed
        assert os.path.exists(tmp_path / "run.html") is (arguments == [] or not changed)
    assert f"Run {first['run_id']}: 1 released, 0 dispatched, 1 failed, 0 unknown" in printed
    assert mode(tmp_path / "run.html") == 0o600

    page = Page(tmp_path / "run.html")
    check_policy(page)
    assert page.counts == ["1 released", "1 failed", "0 unknown"]
    assert page.texts["h1"] == ["Release of interactions"]
    assert "CHG0031337, the queue is closed" in page.texts["p"]
    assert page.facts["Run id"] == first["run_id"]
    assert (page.facts["API"], page.facts["Provider"]) == (sim.url, "none")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", page.facts["Started"])
    assert re.fullmatch(r"\d+ s", page.facts["Duration"])
    (row,) = page.interactions.items()
    requests = dict(zip(column(first, "external_id"), column(first, "request_id")))
    calls = dict(zip(column(first, "external_id"), column(first, "call")))
    assert row[0] == "b"
    assert row[1][0].startswith("VCC refused the request with status 400")
    assert row[1][1:3] == [requests["b"], str(calls["b"])]
    assert "VCC did not accept 1 interaction." in page.texts["p"][1]
    # One accepted and one failed interaction: a bar of each.
    assert sorted(value for tag, name, value in page.attributes if (tag, name) == ("rect", "class")) == [
        "accepted",
        "failed",
    ]


def test_last_run_is_the_default(sim, task, report, journal):
    task(external_ids=["a"])
    sim.fault("cut", when="after")
    last = task(external_ids=["b"], reason="CHG2")
    page = report()
    assert page.facts["Run id"] == last["run_id"]
    assert page.counts == ["0 released", "0 failed", "1 unknown"]
    assert list(page.interactions) == ["b"]
    assert "it sends the same request ids, and VCC processes each of them once" in page.texts["p"][1]

    alter(journal, "UPDATE attempt SET at = at + ?", 25 * 60 * 60)
    page = report(vcc_run_id=last["run_id"])
    assert re.fullmatch(r"25 h 00 min \d\d s", page.facts["Duration"])
    assert re.fullmatch(r"\d\d-\d\d \d\d:\d\d:\d\d", page.interactions["b"][-1])


def test_foreign_text_stays_text(sim, task, report, journal):
    sim.poison(*HOSTILE)
    sim.register("crm")
    reason = ("<script>{{ 7 * 6 }}</script> שלום 😀 " * 20)[:500]
    ids = [{"external_id": each} for each in ["a", *HOSTILE]]
    result = task(state="dispatched", route="sales", interactions=ids, provider="crm", reason=reason.strip())
    assert summary(result)["failed"] == len(HOSTILE)
    message = "</td></table><svg onload=alert(1)>{{ lookup('pipe', 'id') }}" + "y" * 2000
    alter(journal, "UPDATE attempt SET message = ? WHERE state = 'failed'", message)
    alter(journal, "UPDATE run SET job_id = ?", "</dd><b>{{ 7 * 6 }}")
    page = report()
    assert page.counts == ["1 dispatched", f"{len(HOSTILE)} failed", "0 unknown"]
    assert page.texts["h1"] == ["Dispatch of interactions"]
    assert page.texts["p"][0] == reason.strip()
    assert (page.facts["Provider"], page.facts["Job of AAP or AWX"]) == ("crm", "</dd><b>{{ 7 * 6 }}")
    assert set(page.interactions) == set(HOSTILE)
    assert {row[0] for row in page.interactions.values()} == {message}


def test_long_list_ends_with_advice(sim, task, report, journal):
    """Refuse 1,005 interactions in a few calls."""
    sim.fault("status", status=403, times=None)
    result = task(external_ids=[f"case-{number}" for number in range(1005)])
    assert summary(result)["failed"] == 1005
    page = report()
    assert page.counts == ["0 released", "1,005 failed", "0 unknown"]
    assert len(page.interactions) == 1000
    (advice,) = [text for text in page.texts["p"] if text.startswith("This page lists")]
    assert "the last 1,000 of them, and 5 more are in the journal" in advice
    (command,) = page.texts["code"]
    assert f'{{"run_id": "{result["run_id"]}", "state": "failed", "export": "failed.jsonl"}}' in command


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"vcc_html": ""}, "vcc_html must be the path of the page to write, whose name ends in .html"),
        ({"vcc_html": "ids.txt"}, "vcc_html must be the path of the page to write, whose name ends in .html"),
        ({"vcc_html": "other.html"}, "vcc_html is other.html, which exists on localhost and is not a page"),
        ({"vcc_html": "link.html"}, "vcc_html is link.html, which exists on localhost and is not a page"),
        ({"vcc_html": "folder.html"}, "vcc_html is folder.html, which exists on localhost and is not a page"),
        ({"vcc_run_id": "0" * 32}, f"does not know the run {'0' * 32}: set vcc_run_id to the run_id"),
        ({"vcc_run_id": "x"}, "run_id must be the 32 hexadecimal digits"),
        ({"vcc_journal": "empty.db"}, "empty.db has no history of a run: set vcc_journal to the journal of the run."),
        ({"vcc_html": "none/run.html"}, "vcc_html is none/run.html, and its folder does not exist on localhost"),
        ({"vcc_html": "other.html/run.html"}, "and its folder does not exist on localhost"),
    ],
    ids=str,
)
def test_refused_job_writes_nothing(task, play, journal, tmp_path, given, said):
    """The message says what to do, in check mode too."""
    task(external_ids=["a"])
    (tmp_path / "other.html").write_text("<p>precious</p>")
    (tmp_path / "target.html").write_text('<meta name="generator" content="vonage.vcc.report_run">')
    (tmp_path / "link.html").symlink_to("target.html")
    (tmp_path / "folder.html").mkdir()
    code, printed = play("report_run", {"vcc_html": "run.html", **given}, "--check")
    assert code != 0
    assert said in printed
    code, printed = play("report_run", {"vcc_html": "run.html", **given})
    assert code != 0
    assert said in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "run.html").exists()
    assert (tmp_path / "other.html").read_text() == "<p>precious</p>"
    assert (tmp_path / "link.html").is_symlink()
    assert not any((tmp_path / "folder.html").iterdir())
    assert not (tmp_path / "empty.db").exists()


def is_safe(node):
    """Return whether an expression of a template is escaped: by a filter, by a macro of the template, or as a constant of it."""
    if isinstance(node, nodes.Filter):
        return node.name in ("e", "int")
    if isinstance(node, nodes.Call):
        return isinstance(node.node, nodes.Name) and node.node.name in MACROS
    if isinstance(node, nodes.CondExpr):
        return is_safe(node.expr1) and is_safe(node.expr2)
    if isinstance(node, nodes.Concat):
        return all(map(is_safe, node.nodes))
    return isinstance(node, (nodes.TemplateData, nodes.Const))


def test_templates_escape_every_expression():
    template = Environment().parse((TEMPLATES / "report_run.html.j2").read_text(encoding="utf-8"))
    assert {macro.name for macro in template.find_all(nodes.Macro)} == {*MACROS, "seconds_of"}
    shown = [node for output in template.find_all(nodes.Output) for node in output.nodes]
    assert len(shown) > 100
    assert [node for node in shown if not is_safe(node)] == []
    style = Environment().parse((TEMPLATES / "report_run.css.j2").read_text(encoding="utf-8"))
    assert [type(node) for output in style.find_all(nodes.Output) for node in output.nodes] == [nodes.TemplateData]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter from_text: the texts that it reads, and the values that it returns unchanged."""

from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.vonage.vcc.plugins.filter.from_text import FilterModule

from_text = FilterModule().filters()["from_text"]

SCALARS = st.none() | st.booleans() | st.integers() | st.text()
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(st.lists(DATA) | st.dictionaries(st.text(), DATA), st.sampled_from([None, 2, "\t"]), st.booleans())
def test_json(data, indent, escaped):
    assert from_text(json.dumps(data, indent=indent, ensure_ascii=escaped)) == data


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("- external_id: case-1\r\n- external_id: case-2\r\n", [{"external_id": "case-1"}, {"external_id": "case-2"}]),
        ("{release: true, hold: yes}", {"release": "true", "hold": "yes"}),
        ('[{"a": "b"},]', [{"a": "b"}]),
        (
            "a: 007\nb: 12:30:45\nc: 2026-11-28\nd: 1_000\ne: .inf",
            dict(zip("abcde", ("007", "12:30:45", "2026-11-28", "1_000", ".inf"))),
        ),
        ("a:\nb: ~\nc: null\nd: ''", {"a": None, "b": None, "c": None, "d": ""}),
        ("a: '{{ x }}'\nb: \"\\\\1\"", {"a": "{{ x }}", "b": "\\1"}),
        ("a: &x [b]\nc: *x", {"a": ["b"], "c": ["b"]}),
        ("# a comment\na: b # another\n", {"a": "b"}),
    ],
    ids=repr,
)
def test_yaml(text, data):
    assert from_text(text) == data


class Tagged(str):
    """Text of a type of its own, as that of Ansible for the answers of a survey, which str() leaves as it is."""


Tagged.__str__ = lambda self: self


@pytest.mark.parametrize("text", ["a: b", '{"a": "b"}'])
def test_text_of_another_type(text):
    assert from_text(Tagged(text)) == {"a": "b"}
    ids = from_text(Tagged("a\nb"), lines=True)
    assert ids == ["a", "b"]
    assert {type(each) for each in ids} == {str}


@pytest.mark.parametrize(
    "text",
    [
        "case-1",
        "4711",
        "Authorization: Bearer a: b",
        "[{'a': 'b'}",
        "a: *b",
        "a: !vault b",
        "a: !!timestamp 2026-11-28",
        "? [a]\n: b",
        "&a [*a]",
        "a: 1\n---\nb: 2",
        "a: \x01",
        "\n".join(["a0: &a0 [x, x]", *(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(20))]),
        "[" * 5000,
        "{" * 5000,
        '{"a":' * 100_000,
    ],
    ids="{:.30}".format,
)
def test_text_that_is_neither_json_nor_yaml_is_unchanged(text):
    assert from_text(text) == text


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("value", [None, "", True, 1.5, datetime.datetime(2026, 11, 28), [], ["a"], {"a": 1}], ids=repr)
def test_other_values_are_unchanged(value, lines):
    assert from_text(value, lines=lines) is value or value == ""


def test_number_is_unchanged():
    assert from_text(7) == 7


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("text", [" ", "\n", "\r\n\r\n \t\r\n"], ids=repr)
def test_blank_text_is_empty(text, lines):
    assert from_text(text, lines=lines) == ""


ID = st.text(st.characters(exclude_characters="\r\n["), min_size=1).filter(lambda each: each.strip(" \t") == each)


@given(st.lists(ID, min_size=1), st.sampled_from(["\n", "\r\n", "\r", "\n \n"]))
def test_lines(ids, end):
    assert from_text(end.join(["", *ids, ""]), lines=True) == ids


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("case-1", ["case-1"]),
        ("a,b\nc;d", ["a,b", "c;d"]),
        ("  007 \r\n\r\n a b\t\r\n", ["007", "a b"]),
        ("{{ x }}\n{% y %}\n{a: 1}\n[1\n2]3", ["{{ x }}", "{% y %}", "{a: 1}", "[1", "2]3"]),
        ('["a", "b"]', ["a", "b"]),
        (' [\n "007",\n "a, b", 7\n]\n', ["007", "a, b", 7]),
        ("[]", []),
        ("- a\n- b", ["- a", "- b"]),
        (4711, [4711]),
        (datetime.date(2026, 11, 28), [datetime.date(2026, 11, 28)]),
    ],
    ids=repr,
)
def test_ids(text, ids):
    assert from_text(text, lines=True) == ids


@pytest.mark.parametrize("text", ["[a, b]", "['a']", "[a]\n[b]", '["a",]', "[007]"], ids=repr)
def test_invalid_json_in_brackets_is_no_list_of_ids(text):
    assert from_text(text, lines=True) == text

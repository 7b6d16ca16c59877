# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of interactions: CSV and TSV."""

from __future__ import annotations

import csv
import io

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._interactions.source_files import (
    MAX_LINE_LENGTH,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import task_of
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils.test_validation import (
    BAD_IDS,
    good_ids,
    read_ids,
    refusal,
)


class TestCsv:
    def ids(self, src, content, name="ids.csv"):
        return read_ids(src=src(content, name))

    @pytest.mark.parametrize(
        ("content", "ids"),
        [
            ("external_id\na\nb\n", ["a", "b"]),
            ("\ufeffexternal_id\r\na\r\nb", ["a", "b"]),
            ("\nexternal_id\n\na\n\n\nb\n\n", ["a", "b"]),
            ("external_id\na\n   \nb\n", ["a", "b"]),
            ("name,external_id,queue\nAda,a,sales\nBo,b,\n", ["a", "b"]),
            ('external_id,note\n"a,b","x\ny"\n"say ""hi""",\n', ["a,b", 'say "hi"']),
            ('external_id\n#1\n"""a"""\n[]\n"a,"\n', ["#1", '"a"', "[]", "a,"]),
            ("external_id\na\u2028b\n", ["a\u2028b"]),
            ("external_id\n", []),
        ],
    )
    def test_ids_come_from_column_external_id(self, src, content, ids):
        assert self.ids(src, content) == ids

    def test_extension_in_capitals(self, src):
        assert self.ids(src, "external_id\na\n", "IDS.CSV") == ["a"]

    @good_ids
    def test_valid_id_is_unchanged(self, src, external_id):
        text = io.StringIO()
        csv.writer(text).writerows([("n", "external_id"), (1, external_id)])
        assert self.ids(src, text.getvalue()) == [external_id]

    @pytest.mark.parametrize(
        ("external_id", "said"), [each for each in BAD_IDS if each[0] not in ("a\nb", "a\ud800b", "a\x00b")]
    )
    def test_invalid_id_is_rejected_with_line(self, src, external_id, said):
        path = src(f"n,external_id\n1,a\n\n2,{external_id}\n", "ids.csv")
        assert refusal(src=path).startswith(f"src {path}, line 4 {said}")

    def test_null_character_is_rejected_with_line(self, src):
        path = src("external_id\na\x00b\n", "ids.csv")
        assert refusal(src=path).startswith(f"src {path}, line 2 ")

    def test_id_with_line_feed_is_rejected_with_line(self, src):
        path = src('external_id\n"a\nb"\n', "ids.csv")
        assert refusal(src=path).startswith(f"src {path}, line 3 has a control character")

    @pytest.mark.parametrize(
        ("content", "line"),
        [
            ("a\nb\n", 1),
            ("externalid\na\n", 1),
            ("External_Id\na\n", 1),
            ("\nexternal_id;name\na;b\n", 2),
            ("external_id,external_id\na,b\n", 1),
        ],
    )
    def test_wrong_header_is_rejected_with_line(self, src, content, line):
        path = src(content, "ids.csv")
        assert refusal(src=path).startswith(
            f"src {path}, line {line} is not a header with one column external_id; its columns: "
        )

    @pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
    def test_blank_file_has_no_ids(self, src, content):
        assert read_ids(src=src(content, "ids.csv")) == []

    @pytest.mark.parametrize(
        "content", ['external_id\na\n"b', 'external_id\na\n"b"c\n'], ids=["open quote", "text behind a quote"]
    )
    def test_invalid_csv_is_rejected_with_line(self, src, content):
        path = src(content, "ids.csv")
        assert refusal(src=path).startswith(f"src {path}, line 3 is not CSV (")

    def test_short_row_has_no_id(self, src):
        path = src("name,external_id\nAda,a\nBo\n", "ids.csv")
        assert refusal(src=path).startswith(f"src {path}, line 3 is empty")

    def test_long_row_is_rejected_rather_than_cut(self, src):
        """The rest of the id could be the id of another interaction."""
        path = src("external_id\ncase-1\ncase-2,EU\n", "ids.csv")
        assert f"src {path}, line 3 has 2 columns" in refusal(src=path)

    def test_request_ids_come_from_filled_cells(self, src):
        path = src("request_id,external_id\nr1,a\n,b\n", "ids.csv")
        assert [(entry.external_id, entry.request_id) for entry in task_of(src=path).source.read()] == [
            ("a", "r1"),
            ("b", None),
        ]


class TestTsv:
    """Tables as in CSV, with tabs between the columns."""

    @pytest.mark.parametrize(
        ("content", "ids"),
        [
            ("external_id\na,b\n", ["a,b"]),
            ('name\texternal_id\nAda\ta;b\nBo\t"say ""hi"""\n', ["a;b", 'say "hi"']),
            ("external_id\trequest_id\na\t\n", ["a"]),
        ],
    )
    def test_tabs_separate_columns(self, src, content, ids):
        assert read_ids(src=src(content, "ids.tsv")) == ids

    def test_long_row_is_rejected(self, src):
        path = src("external_id\na\tb\n", "ids.tsv")
        assert (
            refusal(src=path)
            == f"src {path}, line 2 has 2 columns and the header 1: remove the extra tabs, because an id has none."
        )

    def test_commas_do_not_separate_columns(self, src):
        path = src("name,external_id\nAda,a\n", "ids.tsv")
        assert refusal(src=path).startswith(f"src {path}, line 1 is not a header with one column external_id")


class TestCells:
    def test_cell_as_long_as_line(self, src, monkeypatch):
        before = csv.field_size_limit(131072)
        try:
            path = src(f"external_id,note\na,{'x' * 140_000}\n", "ids.csv")
            assert read_ids(src=path) == ["a"]
            assert read_ids(src=src(f'external_id,note\na,"{"x" * 900_000}"\n', "ids.csv")) == ["a"]
        finally:
            csv.field_size_limit(before)

    def test_too_long_cell_is_rejected_before_it_fills_memory(self, src):
        path = src('external_id\n"' + ("x" * 1000 + "\n") * 2000 + '"\n', "ids.csv")
        assert "is not CSV (field larger than field limit" in refusal(src=path)

    def test_csv_limit_of_process_is_never_lowered(self, src):
        before = csv.field_size_limit(10 * MAX_LINE_LENGTH)
        try:
            read_ids(src=src("external_id\na\n", "ids.csv"))
            assert csv.field_size_limit() == 10 * MAX_LINE_LENGTH
        finally:
            csv.field_size_limit(before)

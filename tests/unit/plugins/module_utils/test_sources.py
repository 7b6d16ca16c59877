# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of interactions: what each kind of file may hold, and what is said of one that holds something else."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
import tracemalloc

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils.sources import MAX_LINE_LENGTH, entries
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import PATIENCE, validated
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils.test_options import (
    BAD_IDS,
    asked_for,
    bad_ids,
    good_ids,
    ids_of,
    refusal,
)


@pytest.fixture
def src(tmp_path):
    """Writes a file and returns its path."""

    def write(content, name="ids.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return str(path)

    return write


class TestLines:
    """Any file but .jsonl and .csv: one id a line."""

    @pytest.mark.parametrize(
        ("content", "ids"),
        [
            ("a\nb\n", ["a", "b"]),
            ("a\nb", ["a", "b"]),
            ("a\r\nb\r\n", ["a", "b"]),
            ("\ufeffa\nb\n", ["a", "b"]),
            ("\ufeff", []),
            ("", []),
            ("\n\n", []),
            ("\na\n\r\n   \n\nb\n", ["a", "b"]),
            ('a,b\n"c"\n', ["a,b", '"c"']),
            (" a \n", [" a "]),
            ("a\u2028b\u2029c\n", ["a\u2028b\u2029c"]),
            ("b\na\nb\n", ["b", "a", "b"]),
        ],
    )
    def test_what_a_line_is(self, src, content, ids):
        assert asked_for(src=src(content)) == ids

    @pytest.mark.parametrize("name", ["ids", "ids.txt", "ids.list", "csv", "ids.jsonl.txt"])
    def test_whatever_the_name(self, src, name):
        assert asked_for(src=src('external_id\n{"external_id": "a"}\n', name)) == [
            "external_id",
            '{"external_id": "a"}',
        ]

    @good_ids
    def test_a_good_id_is_kept_as_it_is(self, src, external_id):
        assert asked_for(src=src(f"a\n{external_id}\n")) == ["a", external_id]

    @pytest.mark.parametrize(
        ("external_id", "said"), [one for one in BAD_IDS if one[0].strip() and one[0] not in ("a\nb", "a\ud800b")]
    )
    def test_a_bad_id_is_refused_by_line(self, src, external_id, said):
        path = src(f"a\n\n{external_id}\nb\n")
        assert refusal(src=path).startswith(f"src {path}, line 3 {said}")

    @pytest.mark.parametrize(
        "line", [b"caf\xe9", b"a\xed\xa0\x80b", b"\xff\xfea\x00"], ids=["latin-1", "surrogate", "utf-16"]
    )
    def test_what_is_not_utf_8_is_refused_by_line(self, src, line):
        path = src(b"a\n" + line + b"\nb\n")
        assert refusal(src=path) == f"src {path}, line 2 is not UTF-8: save the file as UTF-8."

    def test_a_carriage_return_within_a_line_is_a_control_character(self, src):
        path = src("a\rb\n")
        assert refusal(src=path).startswith(f"src {path}, line 1 has a control character")

    def test_a_byte_order_mark_within_the_file_belongs_to_the_id(self, src):
        assert asked_for(src=src("a\n\ufeffb\n")) == ["a", "\ufeffb"]

    @pytest.mark.parametrize("name", ["ids.txt", "ids.jsonl", "ids.csv"])
    def test_a_line_without_end_is_refused_before_it_fills_the_memory(self, src, name):
        path = src(b"external_id\n" * (name == "ids.csv") + b"x" * (MAX_LINE_LENGTH + 1), name)
        line = 2 if name == "ids.csv" else 1
        assert (
            refusal(src=path)
            == f"src {path}, line {line} is longer than {MAX_LINE_LENGTH} bytes: is it a list of interactions?"
        )

    @pytest.mark.parametrize("number", [1, 100, 101, 250])
    @pytest.mark.parametrize("bad", ["x" * 1025, "a\tb", "a\x7f"], ids=["long", "tab", "delete"])
    def test_a_bad_id_among_many_is_refused_by_line(self, src, number, bad):
        lines = [bad if line == number else f"case-{line}" for line in range(1, 251)]
        path = src("\n\n".join(lines))
        assert refusal(src=path).startswith(f"src {path}, line {2 * number - 1} has ")

    def test_many_are_kept_in_order(self, src):
        ids = [f"case-{number}" if number % 97 else f"Fälle {number}" for number in range(1001)]
        assert asked_for(src=src("\n".join(ids))) == ids

    def test_a_file_that_is_missing_is_named(self, tmp_path):
        path = tmp_path / "none.txt"
        assert (
            refusal(src=str(path))
            == f"src {path} cannot be read on the host that runs the task (No such file or directory)."
        )

    def test_a_folder_is_no_file(self, tmp_path):
        assert (
            refusal(src=str(tmp_path))
            == f"src {tmp_path} cannot be read on the host that runs the task (Is a directory)."
        )

    def test_a_path_may_begin_with_the_home_folder(self, monkeypatch, tmp_path, src):
        src("a\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert asked_for(src="~/ids.txt") == ["a"]


class TestJsonLines:
    def ids(self, src, content, name="ids.jsonl"):
        return asked_for(src=src(content, name))

    @pytest.mark.parametrize("name", ["ids.jsonl", "ids.JSONL"])
    def test_each_line_is_an_object_with_an_external_id(self, src, name):
        content = '\ufeff{"external_id": "a"}\r\n\n  \n{"other": [1, {}], "external_id": "b,c"}'
        assert self.ids(src, content, name) == ["a", "b,c"]

    @good_ids
    @pytest.mark.parametrize("ascii_only", [True, False])
    def test_a_good_id_is_kept_as_it_is(self, src, external_id, ascii_only):
        assert self.ids(src, json.dumps({"external_id": external_id}, ensure_ascii=ascii_only)) == [external_id]

    @bad_ids
    def test_a_bad_id_is_refused_by_line(self, src, external_id, said):
        path = src('{"external_id": "a"}\n' + json.dumps({"external_id": external_id}) + "\n", "ids.jsonl")
        assert refusal(src=path).startswith(f"src {path}, line 2 {said}")

    def test_a_whole_number_is_taken_as_text(self, src):
        assert self.ids(src, '{"external_id": 4711}\n{"external_id": 0}') == ["4711", "0"]

    @pytest.mark.parametrize("value", ["1.5", "true", "false", "[]", '["a"]', "{}"])
    def test_no_other_kind_of_value_is_an_id(self, src, value):
        path = src(f'{{"external_id": {value}}}', "ids.jsonl")
        assert refusal(src=path) == f"src {path}, line 1 is neither text nor a whole number: write it as a string."

    @pytest.mark.parametrize(
        "line", ["case-1", "{", '{"external_id": "a"', "{'external_id': 'a'}", "[" * 100_000, "9" * 5_000]
    )
    def test_what_is_not_json_is_refused_by_line(self, src, line):
        path = src('{"external_id": "a"}\n\n' + line, "ids.jsonl")
        said = refusal(src=path)
        assert said.startswith(f"src {path}, line 3 ")
        assert said.endswith(
            (" is not JSON: each line has to be an object with external_id.", "each line has to be an object with one.")
        )

    @pytest.mark.parametrize(
        "line", ["{}", '{"external_id": null}', '{"externalid": "a"}', "[]", '["external_id"]', '"a"', "17", "null"]
    )
    def test_an_object_without_external_id_is_refused_by_line(self, src, line):
        path = src(line, "ids.jsonl")
        assert refusal(src=path) == f"src {path}, line 1 has no external_id: each line has to be an object with one."

    def test_an_object_may_have_a_request_id(self, src):
        path = src(
            '{"external_id": "a", "request_id": "r1"}\n{"external_id": "b", "request_id": null}\n{"external_id": "c"}',
            "ids.jsonl",
        )
        assert [(entry.external_id, entry.request_id) for entry in entries(validated(src=path))] == [
            ("a", "r1"),
            ("b", None),
            ("c", None),
        ]

    @bad_ids
    def test_a_bad_request_id_is_refused_by_line(self, src, external_id, said):
        path = src(json.dumps({"external_id": "a", "request_id": external_id}), "ids.jsonl")
        assert refusal(src=path).startswith(f"src {path}, line 1: request_id {said}")


class TestCsv:
    def ids(self, src, content, name="ids.csv"):
        return asked_for(src=src(content, name))

    @pytest.mark.parametrize(
        ("content", "ids"),
        [
            ("external_id\na\nb\n", ["a", "b"]),
            ("\ufeffexternal_id\r\na\r\nb", ["a", "b"]),
            ("\nexternal_id\n\na\n\n\nb\n\n", ["a", "b"]),
            ("external_id\na\n   \nb\n", ["a", "b"]),
            ("name,external_id,queue\nAda,a,sales\nBo,b,\n", ["a", "b"]),
            ('external_id,note\n"a,b","x\ny"\n"say ""hi""",\n', ["a,b", 'say "hi"']),
            ("external_id\n a \n", [" a "]),
            ("external_id\na\u2028b\n", ["a\u2028b"]),
            ("external_id\n", []),
        ],
    )
    def test_the_column_external_id_counts(self, src, content, ids):
        assert self.ids(src, content) == ids

    def test_the_ending_may_be_in_capitals(self, src):
        assert self.ids(src, "external_id\na\n", "IDS.CSV") == ["a"]

    @good_ids
    def test_a_good_id_is_kept_as_it_is(self, src, external_id):
        text = io.StringIO()
        csv.writer(text).writerows([("n", "external_id"), (1, external_id)])
        assert self.ids(src, text.getvalue()) == [external_id]

    @pytest.mark.parametrize(
        ("external_id", "said"), [one for one in BAD_IDS if one[0] not in ("a\nb", "a\ud800b", "a\x00b")]
    )
    def test_a_bad_id_is_refused_by_line(self, src, external_id, said):
        path = src(f"n,external_id\n1,a\n\n2,{external_id}\n", "ids.csv")
        assert refusal(src=path).startswith(f"src {path}, line 4 {said}")

    def test_a_null_character_is_refused_by_line(self, src):
        path = src("external_id\na\x00b\n", "ids.csv")
        assert refusal(src=path).startswith(f"src {path}, line 2 ")

    def test_an_id_over_two_lines_is_refused_by_line(self, src):
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
    def test_a_wrong_header_is_refused_by_line(self, src, content, line):
        path = src(content, "ids.csv")
        assert refusal(src=path).startswith(
            f"src {path}, line {line} is no header with one column external_id; its columns: "
        )

    @pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
    def test_a_file_without_header_is_refused(self, src, content):
        path = src(content, "ids.csv")
        assert refusal(src=path) == f"src {path} is empty: a CSV file needs a header with the column external_id."

    @pytest.mark.parametrize(
        "content", ['external_id\na\n"b', 'external_id\na\n"b"c\n'], ids=["open quote", "text behind a quote"]
    )
    def test_what_is_not_csv_is_refused_by_line(self, src, content):
        path = src(content, "ids.csv")
        assert refusal(src=path).startswith(f"src {path}, line 3 is not CSV (")

    def test_a_row_that_is_too_short_has_no_id(self, src):
        path = src("name,external_id\nAda,a\nBo\n", "ids.csv")
        assert refusal(src=path).startswith(f"src {path}, line 3 is empty")

    def test_a_row_that_is_too_long_is_refused_rather_than_cut(self, src):
        """The id that is left would be another interaction's."""
        path = src("external_id\ncase-1\ncase-2,EU\n", "ids.csv")
        assert f"src {path}, line 3 has 2 columns" in refusal(src=path)

    def test_a_column_request_id_counts_where_it_is_filled(self, src):
        path = src("request_id,external_id\nr1,a\n,b\n", "ids.csv")
        assert [(entry.external_id, entry.request_id) for entry in entries(validated(src=path))] == [
            ("a", "r1"),
            ("b", None),
        ]


class TestStreaming:
    @pytest.mark.parametrize(
        ("name", "first", "second"),
        [
            ("ids.jsonl", '{"external_id": "a"}\n', '{"external_id": "b"}\n'),
            ("ids.csv", "external_id\na\n", "b\n"),
        ],
    )
    def test_an_id_is_there_before_the_next_line_is_written(self, tmp_path, name, first, second):
        path = tmp_path / name
        os.mkfifo(path)
        taken = threading.Event()
        story = []

        def write():
            with open(path, "w", encoding="utf-8", buffering=1) as file:
                file.write(first)
                story.append("second line" if taken.wait(PATIENCE / 10) else "given up")
                file.write(second)

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        for entry in entries(validated(src=str(path))):
            story.append(entry.external_id)
            taken.set()
        writer.join(PATIENCE)
        assert story in (["a", "second line", "b"], ["second line", "a", "b"])

    @pytest.mark.parametrize(("name", "lines"), [("ids.txt", 200_000), ("ids.jsonl", 20_000), ("ids.csv", 20_000)])
    def test_memory_does_not_grow_with_the_file(self, tmp_path, name, lines):
        path = tmp_path / name
        form = '{{"external_id": "case-{0:020d}"}}\n' if name == "ids.jsonl" else "case-{0:020d}\n"
        with open(path, "w", encoding="utf-8") as file:
            file.write("external_id\n" if name == "ids.csv" else "")
            file.writelines(form.format(number) for number in range(lines))
        asked = entries(validated(src=str(path)))
        first = len(ids_of(next(asked)))
        tracemalloc.start()
        try:
            assert sum(len(ids_of(entry)) for entry in asked) == lines - first
            assert tracemalloc.get_traced_memory()[1] < 300_000  # bytes
        finally:
            tracemalloc.stop()

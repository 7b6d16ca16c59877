# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of interactions: what each kind of file may hold, and what is said of one that holds something else."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import tracemalloc

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._interactions.source_files import (
    MAX_JSON_LENGTH,
    MAX_LINE_LENGTH,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import PATIENCE, PYTHONPATH, Invalid, task_of
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils.test_connection_and_validation import (
    BAD_IDS,
    GOOD_IDS,
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
            ('a,b\nc"d"e\n"\n', ["a,b", 'c"d"e', '"']),
            ("a\u2028b\u2029c\n", ["a\u2028b\u2029c"]),
            ("b\na\nb\n", ["b", "a", "b"]),
        ],
    )
    def test_what_a_line_is(self, src, content, ids):
        assert asked_for(src=src(content)) == ids

    @pytest.mark.parametrize("external_id", [one for one in GOOD_IDS if one != "#"])
    def test_a_good_id_is_kept_as_it_is(self, src, external_id):
        assert asked_for(src=src(f"a\n{external_id}\n")) == ["a", external_id]

    @pytest.mark.parametrize(
        "external_id",
        [
            "-1",
            "--",
            "*",
            "[EU] case-1",
            "{{{7}",
            "{7}-[8]",
            "<4711.abc@mail.example>",
            "a#",
            "it's",
            "a: b",
            "$1",
            "%",
            "=",
        ],
    )
    def test_so_is_one_that_looks_odd(self, src, external_id):
        assert asked_for(src=src(f"{external_id}\na\n{external_id}\n")) == [external_id, "a", external_id]

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
        assert refusal(src=str(tmp_path)) == f"src {tmp_path} is a folder: give the path of a file."

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
        assert said.startswith((f"src {path}, line 3 is not JSON: each line", f"src {path}, line 3 has no external_id"))

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            *((line, "has no external_id: each ") for line in ("{}", '{"external_id": null}', '{"externalid": "a"}')),
            *((line, "has no external_id: each ") for line in ('"a"', "17", "null")),
            *((line, "is a JSON array, not an object") for line in ("[]", '["external_id"]', '[{"external_id": "a"}]')),
        ],
    )
    def test_what_is_no_object_with_external_id_is_refused_by_line(self, src, line, said):
        path = src(line, "ids.jsonl")
        assert refusal(src=path).startswith(f"src {path}, line 1 {said}")

    def test_an_object_may_have_a_request_id(self, src):
        path = src(
            '{"external_id": "a", "request_id": "r1"}\n{"external_id": "b", "request_id": null}\n{"external_id": "c"}',
            "ids.jsonl",
        )
        assert [(entry.external_id, entry.request_id) for entry in task_of(src=path).source.read()] == [
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
            ('external_id\n#1\n"""a"""\n[]\n"a,"\n', ["#1", '"a"', "[]", "a,"]),
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
    def test_a_blank_file_asks_for_nothing(self, src, content):
        assert asked_for(src=src(content, "ids.csv")) == []

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
        assert [(entry.external_id, entry.request_id) for entry in task_of(src=path).source.read()] == [
            ("a", "r1"),
            ("b", None),
        ]


class TestTsv:
    """As CSV, with tabs between the columns."""

    @pytest.mark.parametrize(
        ("content", "ids"),
        [
            ("external_id\na,b\n", ["a,b"]),
            ('name\texternal_id\nAda\ta;b\nBo\t"say ""hi"""\n', ["a;b", 'say "hi"']),
            ("external_id\trequest_id\na\t\n", ["a"]),
        ],
    )
    def test_tabs_part_the_columns(self, src, content, ids):
        assert asked_for(src=src(content, "ids.tsv")) == ids

    def test_a_row_that_is_too_long_is_refused(self, src):
        path = src("external_id\na\tb\n", "ids.tsv")
        assert refusal(src=path) == f"src {path}, line 2 has 2 columns and the header 1: an id has no tabs."

    def test_commas_are_no_tabs(self, src):
        path = src("name,external_id\nAda,a\n", "ids.tsv")
        assert refusal(src=path).startswith(f"src {path}, line 1 is no header with one column external_id")


class TestJson:
    """An array of ids, of objects, or of both."""

    @pytest.mark.parametrize(
        ("content", "ids"),
        [
            ("[]", []),
            ('["a", 4711, "b,c"]', ["a", "4711", "b,c"]),
            ('\ufeff[\r\n  "a",\r\n  "#1"\r\n]\r\n', ["a", "#1"]),
            ('[{"external_id": "a"}, {"external_id": 5, "other": [1]}]', ["a", "5"]),
            ('[{"external_id": "a"}, "b", 3]', ["a", "b", "3"]),
            ('["\\u00e4", "ä"]', ["ä", "ä"]),
        ],
    )
    def test_what_an_array_asks_for(self, src, content, ids):
        assert asked_for(src=src(content, "ids.json")) == ids

    @good_ids
    def test_a_good_id_is_kept_as_it_is(self, src, external_id):
        assert asked_for(src=src(json.dumps(["a", external_id]), "ids.json")) == ["a", external_id]

    @bad_ids
    def test_a_bad_id_is_refused_by_place(self, src, external_id, said):
        path = src(json.dumps(["a", external_id]), "ids.json")
        assert refusal(src=path).startswith(f"src {path}, item 2 {said}")
        path = src(json.dumps([{"external_id": "a"}, {"external_id": external_id}]), "ids.json")
        assert refusal(src=path).startswith(f"src {path}, item 2 {said}")

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ('["a",\n"b"', ", line 2, column 4 is not JSON (Expecting ',' delimiter): check the file."),
            ("['a']", ", line 1, column 2 is not JSON (Expecting value): check the file."),
            (
                '{"external_id": "a"}\n{"external_id": "b"}\n',
                ", line 2, column 1 is not JSON (Extra data): for one JSON object a line, set src_format to jsonl.",
            ),
            (
                '{"external_id": "a"}',
                " is no JSON array of ids or of objects with external_id; for one JSON object a line, set src_format to jsonl.",
            ),
            ("[" * 100_000, " has a number with too many digits or brackets within too many others: check the file."),
            (
                "[" + "9" * 5_000 + "]",
                " has a number with too many digits or brackets within too many others: check the file.",
            ),
            ('["a", {"id": "b"}]', ", item 2 has no external_id: each object must have one."),
            ('["a", null]', ", item 2 is neither text nor a whole number: write it as a string."),
            ('["a", ["b"]]', ", item 2 is neither text nor a whole number: write it as a string."),
            ("[1.5]", ", item 1 is neither text nor a whole number: write it as a string."),
            ("[true]", ", item 1 is neither text nor a whole number: write it as a string."),
            ('[{"external_id": "a"}, 1.5]', ", item 2 is neither text nor a whole number: write it as a string."),
            (b'["a",\n"caf\xe9"]', ", line 2 is not UTF-8: save the file as UTF-8."),
        ],
    )
    def test_what_is_no_array_of_ids_is_refused_by_place(self, src, content, said):
        path = src(content, "ids.json")
        assert refusal(src=path) == f"src {path}{said}"

    def test_an_object_may_have_data_and_a_request_id(self, src):
        one = {"external_id": "a", "request_id": "r", "linked_data": [{"type": "name", "value": "Jo"}]}
        path = src(json.dumps([one]), "ids.json")
        (entry,) = task_of(state="dispatched", route="sales", src=path).source.read()
        assert (entry.request_id, entry.data["linked_data"][0]["value"]) == ("r", "Jo")

    def test_a_hundred_thousand_objects_are_taken(self, src):
        path = src(json.dumps([{"external_id": f"case-{number}"} for number in range(100_000)]), "ids.json")
        assert len(asked_for(src=path)) == 100_000

    def test_what_would_fill_the_memory_is_refused(self, src):
        path = src("[]", "ids.json")
        os.truncate(path, MAX_JSON_LENGTH + 1)
        assert refusal(src=path) == (
            f"src {path} is longer than {MAX_JSON_LENGTH} bytes, which is too much for one JSON array: give one object a line, as jsonl."
        )


class TestFormat:
    """The extension says what a file is, unless src_format does."""

    CONTENT = {
        "text": "a\nb\n",
        "csv": "n,external_id\n1,a\n2,b\n",
        "tsv": "n\texternal_id\n1\ta\n2\tb\n",
        "jsonl": '{"external_id": "a"}\n{"external_id": "b"}\n',
        "json": '["a", "b"]',
    }

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            *((name, "text") for name in ("ids", "ids.txt", "ids.list", "ids.ids", ".ids", "IDS.TXT", "csv")),
            *((name, "jsonl") for name in ("a.jsonl", "a.ndjson", "a.txt.NDJSON")),
            *(("a.csv", "csv"), ("a.tsv", "tsv"), ("a.json", "json")),
        ],
    )
    @pytest.mark.parametrize("given", [{}, {"src_format": "auto"}], ids=str)
    def test_by_the_extension(self, src, name, kind, given):
        assert asked_for(src=src(self.CONTENT[kind], name), **given) == ["a", "b"]

    @pytest.mark.parametrize("kind", CONTENT)
    @pytest.mark.parametrize("name", ["ids", "ids.txt", "ids.csv", "ids.json", "ids.2026-01-31"])
    def test_by_src_format(self, src, name, kind):
        assert asked_for(src=src(self.CONTENT[kind], name), src_format=kind) == ["a", "b"]

    @pytest.mark.parametrize("name", ["ids.yml", "ids.xlsx", "ids.csv.bak", "ids.2026-01-31", "ids.txt.gz", "ids.log"])
    def test_an_unknown_extension_is_refused(self, src, name):
        path = src("a\n", name)
        assert refusal(src=path) == (
            f"src {path} ends in .{name.rpartition('.')[2]}, which says nothing of its format:"
            " set src_format to text, csv, tsv, jsonl or json."
        )

    def test_an_unknown_format_is_refused(self, src):
        with pytest.raises(
            Invalid, match="value of src_format must be one of: auto, text, csv, tsv, jsonl, json, got: xml"
        ):
            asked_for(src=src("a\n"), src_format="xml")


# What is said of a line that is no id.
JSON = "looks like JSON, not like an id: set src_format to json or jsonl, or give such ids as CSV."
HTML = "looks like HTML or XML, not like an id: check how the file came about, or give such ids as CSV."
QUOTES = "is in quotes, which would count as part of the id: remove them, or give the ids as CSV."
COMMENT = "begins with #, but a list of ids has no comments: remove the line, or give ids that begin with # as CSV."
BULLETS = "looks like YAML or a list with bullets: leave nothing but an id in each line, or give the ids as CSV."


class TestNotWhatItSeems:
    """A file that is something else than its name or format says. Each line would do as an id otherwise."""

    @pytest.mark.parametrize("name", ["ids.txt", "ids.csv", "ids.tsv", "ids.jsonl", "ids.json"])
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"$ANSIBLE_VAULT;1.1;AES256\n6162\n", "is encrypted by ansible-vault: decrypt it first"),
            (b"\xef\xbb\xbf\n$ANSIBLE_VAULT;1.1;AES256\n6162\n", "is encrypted by ansible-vault: decrypt it first"),
            (b"-----BEGIN PGP MESSAGE-----\n\nhQEM\n-----END PGP MESSAGE-----\n", "is encrypted or a key"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n", "stands for a file in Git LFS"),
            (b"{\\rtf1\\ansi\n\\pard case-1\\par\n}\n", "is a document of a word processor"),
            (b"%PDF-1.7\n1 0 obj\n", "is a PDF document"),
            (b"PK\x03\x04\x14\x00", "is a zip archive or a workbook such as .xlsx"),
            (gzip.compress(b"case-1\n"), "is compressed by gzip"),
            ("a\nb\n".encode("utf-16"), "is not UTF-8 but UTF-16"),
        ],
        ids=["vault", "vault behind a mark", "pgp", "lfs", "rtf", "pdf", "zip", "gzip", "utf-16"],
    )
    def test_is_refused_whatever_its_name(self, src, name, content, said):
        path = src(content, name)
        assert refusal(src=path).startswith(f"src {path} {said}")

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ('{"external_id": "case-1"}', JSON),
            ('{"external_id": "case-1"', JSON),
            ("{'external_id': 'case-1'}", JSON),
            ('["case-1", "case-2"]', JSON),
            ('["' + "x" * 2000 + '"]', JSON),
            ('[{"external_id": 1},', "ends with a separator"),
            ('[{"external_id": 1}', JSON),
            ("[4711]", JSON),
            ("[4711", JSON),
            ("[null]", JSON),
            ("[[1]]", JSON),
            *((line, JSON) for line in ("[", "{", "]", "}", "[]", "[{", "}]")),
            ("<!DOCTYPE html>", HTML),
            ('<?xml version="1.0"?>', HTML),
            ("<html>", HTML),
            ('<p class="a">case-1', HTML),
            ("</body>", HTML),
            ("<br/>", HTML),
            ("<!-- case-1", HTML),
            ('"case-1"', QUOTES),
            ("'case-1'", QUOTES),
            ("`case-1`", QUOTES),
            ('"case-1",', QUOTES),
            ("\u201ccase-1\u201d", QUOTES),
            ("\u201ecase-1\u201c", QUOTES),
            ('""', QUOTES),
            ("# the cases of today", COMMENT),
            ("#", COMMENT),
            ("#4711", COMMENT),
            ("case-1,", "ends with a separator, which would count as part of the id"),
            ("case-1;", "ends with a separator, which would count as part of the id"),
            ("---", BULLETS),
            ("- case-1", BULLETS),
            ("* case-1", BULLETS),
            ("$ANSIBLE_VAULT;1.1;AES256", "is of something encrypted, not an id: decrypt it first."),
            ("-----BEGIN PGP MESSAGE-----", "is of something encrypted, not an id: decrypt it first."),
            ("<<<<<<< HEAD", "is the mark of a conflict in Git: resolve it first."),
            (">>>>>>> theirs", "is the mark of a conflict in Git: resolve it first."),
        ],
    )
    @pytest.mark.parametrize("other", ["case-2", "Fälle 2"])
    def test_a_line_that_is_no_id_is_refused(self, src, line, said, other):
        path = src(f"{other}\n\n{line}\n{other}\n")
        assert refusal(src=path).startswith(f"src {path}, line 3 {said}")

    @pytest.mark.parametrize(
        ("content", "remedy"),
        [
            ("\nexternal_id\na\n", "set src_format to tsv"),
            ("External ID\na\n", "set src_format to tsv"),
            ("external_id,name\na,b\n", "set src_format to csv"),
            ('"name", "externalId"\na,b\n', "set src_format to csv"),
            ("name;external_id\na;b\n", "save the table with commas between its columns, as .csv"),
            ("name\texternal_id\na\tb\n", "set src_format to tsv"),
        ],
    )
    def test_a_table_is_no_text(self, src, content, remedy):
        path = src(content)
        line = 2 if content.startswith("\n") else 1
        assert refusal(src=path) == f"src {path}, line {line} is the header of a table, not an id: {remedy}."

    def test_external_id_is_an_id_where_no_header_can_be(self, src):
        assert asked_for(src=src("a\nexternal_id\n")) == ["a", "external_id"]

    @pytest.mark.parametrize("number", [1, 4_000, 9_999])
    @pytest.mark.parametrize("line", ['{"a": 1}', "#1", '"a"', "<p>", "a ", " a", "a\u200b"])
    def test_one_among_many_is_found(self, src, number, line):
        lines = [line if place == number else f"case-{place}" for place in range(1, 10_000)]
        path = src("\n".join(lines))
        assert refusal(src=path).startswith(f"src {path}, line {number} ")

    @pytest.mark.parametrize(("name", "said"), [("a.csv", "is no header with one column"), ("a.jsonl", "is not JSON")])
    def test_a_web_page_is_neither_table_nor_json(self, src, name, said):
        path = src("<!DOCTYPE html>\n<title>Sign in</title>\n", name)
        assert refusal(src=path).startswith(f"src {path}, line 1 {said}")


class TestCells:
    def test_a_cell_may_be_as_long_as_a_line(self, src, monkeypatch):
        before = csv.field_size_limit(131072)
        try:
            path = src(f"external_id,note\na,{'x' * 140_000}\n", "ids.csv")
            assert asked_for(src=path) == ["a"]
            assert asked_for(src=src(f'external_id,note\na,"{"x" * 900_000}"\n', "ids.csv")) == ["a"]
        finally:
            csv.field_size_limit(before)

    def test_a_longer_one_over_many_lines_is_refused_before_it_fills_the_memory(self, src):
        path = src('external_id\n"' + ("x" * 1000 + "\n") * 2000 + '"\n', "ids.csv")
        assert "is not CSV (field larger than field limit" in refusal(src=path)

    def test_the_limit_of_the_process_is_never_lowered(self, src):
        before = csv.field_size_limit(10 * MAX_LINE_LENGTH)
        try:
            asked_for(src=src("external_id\na\n", "ids.csv"))
            assert csv.field_size_limit() == 10 * MAX_LINE_LENGTH
        finally:
            csv.field_size_limit(before)


class TestNoFile:
    """What has no end, or would keep the task waiting."""

    @pytest.mark.parametrize("name", ["ids.txt", "ids.csv", "ids.json", "ids.jsonl"])
    def test_a_pipe_is_refused_at_once(self, tmp_path, name):
        path = tmp_path / name
        os.mkfifo(path)
        assert refusal(src=str(path)) == (
            f"src {path} is a pipe or a device, not a file: write the interactions to a file first."
        )

    def test_so_is_a_link_to_one(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        os.symlink("pipe", tmp_path / "ids.txt")
        assert "is a pipe or a device" in refusal(src=str(tmp_path / "ids.txt"))

    @pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
    def test_so_is_a_device(self, path):
        assert "is a pipe or a device" in refusal(src=path)

    @pytest.mark.parametrize("source", ["pipe", "terminal", "null"])
    def test_so_is_the_standard_input(self, source):
        """Another process, whose standard input is none of the test's own."""
        code = (
            "from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import task_of;"
            "list(task_of(src='/dev/stdin').source.read())"
        )
        ours, theirs = {
            "pipe": os.pipe,
            "terminal": os.openpty,
            "null": lambda: (-1, os.open(os.devnull, os.O_RDONLY)),
        }[source]()
        if source == "pipe":
            ours, theirs = theirs, ours
        try:
            done = subprocess.run(
                [sys.executable, "-c", code],
                stdin=theirs,
                check=False,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                env={**os.environ, "PYTHONPATH": PYTHONPATH},
            )
        finally:
            os.close(theirs)
            if ours >= 0:
                os.close(ours)
        assert "src /dev/stdin is a pipe or a device, not a file" in done.stderr


class TestStreaming:
    @pytest.mark.parametrize(("name", "lines"), [("ids.txt", 200_000), ("ids.jsonl", 20_000), ("ids.csv", 20_000)])
    def test_memory_does_not_grow_with_the_file(self, tmp_path, name, lines):
        path = tmp_path / name
        form = '{{"external_id": "case-{0:020d}"}}\n' if name == "ids.jsonl" else "case-{0:020d}\n"
        with open(path, "w", encoding="utf-8") as file:
            file.write("external_id\n" if name == "ids.csv" else "")
            file.writelines(form.format(number) for number in range(lines))
        asked = task_of(src=str(path)).source.read()
        first = len(ids_of(next(asked)))
        tracemalloc.start()
        try:
            assert sum(len(ids_of(entry)) for entry in asked) == lines - first
            assert tracemalloc.get_traced_memory()[1] < 300_000  # bytes
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", '"case-1",5\n', "line 1 looks like part of a table"),
        ("a.txt", "a\nexternal_id: case-1\n", "line 2 looks like part of a table, a page or a file of settings"),
        ("a.txt", "external_ids: [case-1, case-2]\n", "line 1 "),
        ("a.txt", "case-1<br>\n", "line 1 looks like"),
        ("a.txt", "case-1</td>\n", "line 1 looks like"),
        ("a.txt", '<a href="mailto:x@y">\n', "line 1 "),
        ("a.txt", "ENC[AES256_GCM,data:x]\n", "line 1 looks like"),
        ("a.txt", "age-encryption.org/v1\nx\n", "line 1 looks like"),
        ("a.txt", "external_id|name\ncase-1|Ann\n", "line 1 is the header of a table"),
        ("a.tsv", 'external_id\tname\na\t"x\nb\ty\nc\tz"\n', "line 2 has a double quote that does not end in its line"),
        ("a.json", '[{"external_id": "a", "external_id": "b"}]', "has an object with external_id twice"),
        ("a.jsonl", '{"external_id": "a", "external_id": "b"}\n', "line 1 has an object with external_id twice"),
        ("a.csv", "external_id, request_id\na,r\n", "line 1 has a column ' request_id': name it request_id"),
        ("a.csv", "external_id,Request-ID\na,r\n", "line 1 has a column 'Request-ID'"),
        ("a.csv", "external_id;name\na;Ann\n", "Save the table with commas"),
    ],
)
def test_what_could_be_meant_otherwise_is_refused(src, name, content, said):
    assert said in refusal(src=src(content, name))


def test_what_only_resembles_that_is_taken(src):
    ids = ["<4711.abc@mail.example>", 'q"uo', "a<b", "O'Brien, Ann", "tables", "external-1", '5" disk']
    assert asked_for(src=src("\n".join(ids))) == ids
    assert asked_for(src=src('external_id\tname\n"a"\t"x"\nb\t5" y\n', "a.tsv")) == ["a", "b"]

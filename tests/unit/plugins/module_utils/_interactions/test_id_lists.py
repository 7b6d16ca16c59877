# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of ids, one a line, and files with other content."""

from __future__ import annotations

import gzip

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._interactions.source_files import (
    MAX_LINE_LENGTH,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils.test_validation import (
    BAD_IDS,
    GOOD_IDS,
    read_ids,
    refusal,
)


class TestLines:
    """Text: one id a line."""

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
    def test_lines(self, src, content, ids):
        assert read_ids(src=src(content)) == ids

    @pytest.mark.parametrize("external_id", [each for each in GOOD_IDS if each != "#"])
    def test_valid_id_is_unchanged(self, src, external_id):
        assert read_ids(src=src(f"a\n{external_id}\n")) == ["a", external_id]

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
    def test_odd_id_is_unchanged(self, src, external_id):
        assert read_ids(src=src(f"{external_id}\na\n{external_id}\n")) == [external_id, "a", external_id]

    @pytest.mark.parametrize(
        ("external_id", "said"), [each for each in BAD_IDS if each[0].strip() and each[0] not in ("a\nb", "a\ud800b")]
    )
    def test_invalid_id_is_rejected_with_line(self, src, external_id, said):
        path = src(f"a\n\n{external_id}\nb\n")
        assert refusal(src=path).startswith(f"src {path}, line 3 {said}")

    @pytest.mark.parametrize(
        "line", [b"caf\xe9", b"a\xed\xa0\x80b", b"\xff\xfea\x00"], ids=["latin-1", "surrogate", "utf-16"]
    )
    def test_line_that_is_not_utf_8_is_rejected(self, src, line):
        path = src(b"a\n" + line + b"\nb\n")
        assert refusal(src=path) == f"src {path}, line 2 is not UTF-8: save the file as UTF-8."

    def test_carriage_return_within_line_is_control_character(self, src):
        path = src("a\rb\n")
        assert refusal(src=path).startswith(f"src {path}, line 1 has a control character")

    @pytest.mark.parametrize("name", ["ids.txt", "ids.jsonl", "ids.csv"])
    def test_too_long_line_is_rejected_before_it_fills_memory(self, src, name):
        path = src(b"external_id\n" * (name == "ids.csv") + b"x" * (MAX_LINE_LENGTH + 1), name)
        line = 2 if name == "ids.csv" else 1
        assert (
            refusal(src=path)
            == f"src {path}, line {line} is longer than {MAX_LINE_LENGTH} bytes: check that the file is a list of interactions."
        )

    @pytest.mark.parametrize("number", [1, 100, 101, 250])
    @pytest.mark.parametrize("bad", ["x" * 1025, "a\tb", "a\x7f"], ids=["long", "tab", "delete"])
    def test_invalid_id_among_many_is_rejected_with_line(self, src, number, bad):
        lines = [bad if line == number else f"case-{line}" for line in range(1, 251)]
        path = src("\n\n".join(lines))
        assert refusal(src=path).startswith(f"src {path}, line {2 * number - 1} has ")

    def test_many_ids_keep_their_order(self, src):
        ids = [f"case-{number}" if number % 97 else f"Fälle {number}" for number in range(1001)]
        assert read_ids(src=src("\n".join(ids))) == ids

    def test_missing_file_is_rejected(self, tmp_path):
        path = tmp_path / "none.txt"
        assert (
            refusal(src=str(path))
            == f"src {path} cannot be read on the host that runs the task (No such file or directory): check the path and its permissions."
        )

    def test_folder_is_rejected(self, tmp_path):
        assert refusal(src=str(tmp_path)) == f"src {tmp_path} is a folder: give the path of a file."

    def test_path_may_begin_with_home_folder(self, monkeypatch, tmp_path, src):
        src("a\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert read_ids(src="~/ids.txt") == ["a"]


# Messages about lines that are not ids.
JSON = "looks like JSON, not like an id: set src_format to json or jsonl, or give such ids as CSV."

HTML = "looks like HTML or XML, not like an id: check the file, or give such ids as CSV."

QUOTES = "is in quotes, which would count as part of the id: remove them, or give the ids as CSV."

COMMENT = "begins with #, but a list of ids has no comments: remove the line, or give ids that begin with # as CSV."

BULLETS = "looks like YAML or a list with bullets: write only an id in each line, or give the ids as CSV."


class TestOtherFiles:
    """Files whose content does not match their name or format, although each line could be an id."""

    @pytest.mark.parametrize("name", ["ids.txt", "ids.csv", "ids.tsv", "ids.jsonl", "ids.json"])
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"$ANSIBLE_VAULT;1.1;AES256\n6162\n", "is encrypted by ansible-vault: decrypt it first"),
            (b"\xef\xbb\xbf\n$ANSIBLE_VAULT;1.1;AES256\n6162\n", "is encrypted by ansible-vault: decrypt it first"),
            (b"-----BEGIN PGP MESSAGE-----\n\nhQEM\n-----END PGP MESSAGE-----\n", "is encrypted or a key"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n",
                "is only a pointer to a file in Git LFS",
            ),
            (b"{\\rtf1\\ansi\n\\pard case-1\\par\n}\n", "is a document of a word processor"),
            (b"%PDF-1.7\n1 0 obj\n", "is a PDF document"),
            (b"PK\x03\x04\x14\x00", "is a zip archive or a workbook such as .xlsx"),
            (gzip.compress(b"case-1\n"), "is compressed by gzip"),
            ("a\nb\n".encode("utf-16"), "is not UTF-8 but UTF-16"),
        ],
        ids=["vault", "vault behind a mark", "pgp", "lfs", "rtf", "pdf", "zip", "gzip", "utf-16"],
    )
    def test_other_file_is_rejected_whatever_its_name(self, src, name, content, said):
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
            ("$ANSIBLE_VAULT;1.1;AES256", "is part of an encrypted text, not an id: decrypt the file first."),
            ("-----BEGIN PGP MESSAGE-----", "is part of an encrypted text, not an id: decrypt the file first."),
            ("<<<<<<< HEAD", "is a conflict marker of Git, not an id: resolve the conflict first."),
            (">>>>>>> theirs", "is a conflict marker of Git, not an id: resolve the conflict first."),
        ],
    )
    @pytest.mark.parametrize("other", ["case-2", "Fälle 2"])
    def test_line_that_is_not_an_id_is_rejected(self, src, line, said, other):
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
    def test_header_of_table_is_rejected(self, src, content, remedy):
        path = src(content)
        line = 2 if content.startswith("\n") else 1
        assert refusal(src=path) == f"src {path}, line {line} is the header of a table, not an id: {remedy}."

    def test_external_id_is_an_id_below_first_line(self, src):
        assert read_ids(src=src("a\nexternal_id\n")) == ["a", "external_id"]

    @pytest.mark.parametrize("number", [1, 4_000, 9_999])
    @pytest.mark.parametrize("line", ['{"a": 1}', "#1", '"a"', "<p>", "a ", " a", "a\u200b"])
    def test_line_that_is_not_an_id_is_found_among_many(self, src, number, line):
        lines = [line if place == number else f"case-{place}" for place in range(1, 10_000)]
        path = src("\n".join(lines))
        assert refusal(src=path).startswith(f"src {path}, line {number} ")

    @pytest.mark.parametrize(
        ("name", "said"), [("a.csv", "is not a header with one column"), ("a.jsonl", "is not JSON")]
    )
    def test_web_page_is_rejected_as_table_and_json(self, src, name, said):
        path = src("<!DOCTYPE html>\n<title>Sign in</title>\n", name)
        assert refusal(src=path).startswith(f"src {path}, line 1 {said}")

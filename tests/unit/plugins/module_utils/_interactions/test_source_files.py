# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of interactions: JSON, JSON Lines, formats, and files that cannot be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._interactions.source_files import (
    MAX_JSON_LENGTH,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import PYTHONPATH, TIMEOUT, Invalid, task_of
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils.test_validation import (
    bad_ids,
    good_ids,
    ids_of,
    read_ids,
    refusal,
)


class TestJsonLines:
    def ids(self, src, content, name="ids.jsonl"):
        return read_ids(src=src(content, name))

    @pytest.mark.parametrize("name", ["ids.jsonl", "ids.JSONL"])
    def test_each_line_is_object_with_external_id(self, src, name):
        content = '\ufeff{"external_id": "a"}\r\n\n  \n{"other": [1, {}], "external_id": "b,c"}'
        assert self.ids(src, content, name) == ["a", "b,c"]

    @good_ids
    @pytest.mark.parametrize("ascii_only", [True, False])
    def test_valid_id_is_unchanged(self, src, external_id, ascii_only):
        assert self.ids(src, json.dumps({"external_id": external_id}, ensure_ascii=ascii_only)) == [external_id]

    @bad_ids
    def test_invalid_id_is_rejected_with_line(self, src, external_id, said):
        path = src('{"external_id": "a"}\n' + json.dumps({"external_id": external_id}) + "\n", "ids.jsonl")
        assert refusal(src=path).startswith(f"src {path}, line 2 {said}")

    def test_whole_number_becomes_text(self, src):
        assert self.ids(src, '{"external_id": 4711}\n{"external_id": 0}') == ["4711", "0"]

    @pytest.mark.parametrize("value", ["1.5", "true", "false", "[]", '["a"]', "{}"])
    def test_other_type_of_id_is_rejected(self, src, value):
        path = src(f'{{"external_id": {value}}}', "ids.jsonl")
        assert refusal(src=path) == f"src {path}, line 1 is neither text nor a whole number: write it as a string."

    @pytest.mark.parametrize(
        "line", ["case-1", "{", '{"external_id": "a"', "{'external_id': 'a'}", "[" * 100_000, "9" * 5_000]
    )
    def test_invalid_json_is_rejected_with_line(self, src, line):
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
    def test_line_without_object_and_external_id_is_rejected(self, src, line, said):
        path = src(line, "ids.jsonl")
        assert refusal(src=path).startswith(f"src {path}, line 1 {said}")

    def test_object_with_request_id(self, src):
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
    def test_invalid_request_id_is_rejected_with_line(self, src, external_id, said):
        path = src(json.dumps({"external_id": "a", "request_id": external_id}), "ids.jsonl")
        assert refusal(src=path).startswith(f"src {path}, line 1: request_id {said}")


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
    def test_array_of_ids_and_objects(self, src, content, ids):
        assert read_ids(src=src(content, "ids.json")) == ids

    @good_ids
    def test_valid_id_is_unchanged(self, src, external_id):
        assert read_ids(src=src(json.dumps(["a", external_id]), "ids.json")) == ["a", external_id]

    @bad_ids
    def test_invalid_id_is_rejected_with_item(self, src, external_id, said):
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
                ", line 2, column 1 is not JSON (Extra data): set src_format to jsonl if each line is a JSON object.",
            ),
            (
                '{"external_id": "a"}',
                " is not a JSON array of ids or of objects with external_id: correct the file, or set src_format to jsonl if each line is a JSON object.",
            ),
            ("[" * 100_000, " has a number with too many digits, or too many nested brackets: check the file."),
            (
                "[" + "9" * 5_000 + "]",
                " has a number with too many digits, or too many nested brackets: check the file.",
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
    def test_other_json_is_rejected_with_place(self, src, content, said):
        path = src(content, "ids.json")
        assert refusal(src=path) == f"src {path}{said}"

    def test_object_with_data_and_request_id(self, src):
        fields = {"external_id": "a", "request_id": "r", "linked_data": [{"type": "name", "value": "Jo"}]}
        path = src(json.dumps([fields]), "ids.json")
        (entry,) = task_of(state="dispatched", route="sales", src=path).source.read()
        assert (entry.request_id, entry.data["linked_data"][0]["value"]) == ("r", "Jo")

    def test_hundred_thousand_objects(self, src):
        path = src(json.dumps([{"external_id": f"case-{number}"} for number in range(100_000)]), "ids.json")
        assert len(read_ids(src=path)) == 100_000

    def test_file_too_large_for_memory_is_rejected(self, src):
        path = src("[]", "ids.json")
        os.truncate(path, MAX_JSON_LENGTH + 1)
        assert refusal(src=path) == (
            f"src {path} is longer than {MAX_JSON_LENGTH} bytes, too long for one JSON array: write one object in each line, and set src_format to jsonl."
        )


class TestFormat:
    """The extension decides the format of a file, unless src_format does."""

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
    def test_format_of_extension(self, src, name, kind, given):
        assert read_ids(src=src(self.CONTENT[kind], name), **given) == ["a", "b"]

    @pytest.mark.parametrize("kind", CONTENT)
    @pytest.mark.parametrize("name", ["ids", "ids.txt", "ids.csv", "ids.json", "ids.2026-01-31"])
    def test_format_of_option(self, src, name, kind):
        assert read_ids(src=src(self.CONTENT[kind], name), src_format=kind) == ["a", "b"]

    @pytest.mark.parametrize("name", ["ids.yml", "ids.xlsx", "ids.csv.bak", "ids.2026-01-31", "ids.txt.gz", "ids.log"])
    def test_unknown_extension_is_rejected(self, src, name):
        path = src("a\n", name)
        assert refusal(src=path) == (
            f"src {path} has the extension .{name.rpartition('.')[2]}, which does not tell its format:"
            " set src_format to text, csv, tsv, jsonl or json."
        )

    def test_unknown_format_is_rejected(self, src):
        with pytest.raises(
            Invalid, match="value of src_format must be one of: auto, text, csv, tsv, jsonl, json, got: xml"
        ):
            read_ids(src=src("a\n"), src_format="xml")


class TestOtherThanRegularFiles:
    """Files that have no end, or that could keep the task waiting."""

    @pytest.mark.parametrize("name", ["ids.txt", "ids.csv", "ids.json", "ids.jsonl"])
    def test_pipe_is_rejected_at_once(self, tmp_path, name):
        path = tmp_path / name
        os.mkfifo(path)
        assert refusal(src=str(path)) == (
            f"src {path} is a pipe or a device, not a file: write the interactions to a file first."
        )

    def test_link_to_pipe_is_rejected(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        os.symlink("pipe", tmp_path / "ids.txt")
        assert "is a pipe or a device" in refusal(src=str(tmp_path / "ids.txt"))

    @pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
    def test_device_is_rejected(self, path):
        assert "is a pipe or a device" in refusal(src=path)

    @pytest.mark.parametrize("source", ["pipe", "terminal", "null"])
    def test_standard_input_is_rejected(self, source):
        """Another process reads its standard input, which is not that of the test."""
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
                timeout=TIMEOUT,
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
        ("a.txt", "a\nexternal_id: case-1\n", "line 2 looks like part of a table, a web page or a settings file"),
        ("a.txt", "external_ids: [case-1, case-2]\n", "line 1 "),
        ("a.txt", "case-1<br>\n", "line 1 looks like"),
        ("a.txt", "case-1</td>\n", "line 1 looks like"),
        ("a.txt", '<a href="mailto:x@y">\n', "line 1 "),
        ("a.txt", "ENC[AES256_GCM,data:x]\n", "line 1 looks like"),
        ("a.txt", "age-encryption.org/v1\nx\n", "line 1 looks like"),
        ("a.txt", "external_id|name\ncase-1|Ann\n", "line 1 is the header of a table"),
        ("a.tsv", 'external_id\tname\na\t"x\nb\ty\nc\tz"\n', "line 2 has a double quote that the line does not close"),
        ("a.json", '[{"external_id": "a", "external_id": "b"}]', "has an object with external_id twice"),
        ("a.jsonl", '{"external_id": "a", "external_id": "b"}\n', "line 1 has an object with external_id twice"),
        ("a.csv", "external_id, request_id\na,r\n", "line 1 has a column ' request_id': name it request_id"),
        ("a.csv", "external_id,Request-ID\na,r\n", "line 1 has a column 'Request-ID'"),
        ("a.csv", "external_id;name\na;Ann\n", "Save the table with commas"),
    ],
)
def test_ambiguous_content_is_rejected(src, name, content, said):
    assert said in refusal(src=src(content, name))


def test_content_that_only_resembles_ambiguous_content_is_accepted(src):
    ids = ["<4711.abc@mail.example>", 'q"uo', "a<b", "O'Brien, Ann", "tables", "external-1", '5" disk']
    assert read_ids(src=src("\n".join(ids))) == ids
    assert read_ids(src=src('external_id\tname\n"a"\t"x"\nb\t5" y\n', "a.tsv")) == ["a", "b"]

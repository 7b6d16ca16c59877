# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which interactions a task means: those that its options name, or those in a file."""

from __future__ import annotations

import codecs
import csv
import functools
import io
import json
import operator
import os
import re
import stat
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .._errors import InputError
from .._options import DATA_SPEC, validated
from .._text import COLUMN_LENGTH, shown, shown_names
from .._validation import MAX_ID_LENGTH, check_data, check_id, check_texts, check_types

# The longest line of a source file, in bytes.
MAX_LINE_LENGTH = 1024 * 1024

# Bytes of a source file that are read at once.
BLOCK_LENGTH = 16 * 1024

# The longest JSON array, in bytes, since it is read as a whole.
MAX_JSON_LENGTH = 64 * 1024 * 1024

# What a file's name says of its format.
EXTENSIONS = {
    **dict.fromkeys(("", ".txt", ".list", ".ids"), "text"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
}

# The first bytes of files that may pass for text, or whose first line would be said to be not UTF-8, and what to say of them.
MAGIC = {
    b"$ANSIBLE_VAULT;": "is encrypted by ansible-vault: decrypt it first, with ansible-vault decrypt",
    b"-----BEGIN ": "is encrypted or a key: decrypt it first",
    b"version https://git-lfs": "stands for a file in Git LFS: fetch that first, with git lfs pull",
    b"{\\rtf": "is a document of a word processor: save it as plain text in UTF-8",
    b"%PDF-": "is a PDF document: save its ids as plain text in UTF-8",
    b"PK\x03\x04": "is a zip archive or a workbook such as .xlsx: unpack it, or save it as CSV in UTF-8",
    b"\x1f\x8b": "is compressed by gzip: unpack it first",
    b"\xff\xfe": "is not UTF-8 but UTF-16: save the file as UTF-8",
    b"\xfe\xff": "is not UTF-8 but UTF-16: save the file as UTF-8",
}

_LIKE_JSON = "looks like JSON, not like an id: set src_format to json or jsonl, or give such ids as CSV"

# What no line of a list of ids is, with what to say of it. An id that looks so can be given in any other format.
_NO_IDS = [
    (re.compile(pattern), said)
    for pattern, said in (
        (
            "#",
            "begins with #, but a list of ids has no comments: remove the line, or give ids that begin with # as CSV",
        ),
        (
            r"""(["'`\u2018\u201a\u201c\u201d\u201e\u00ab\u2039]).*["'`\u2019\u2018\u201c\u201d\u00bb\u203a][,;]?$""",
            "is in quotes, which would count as part of the id: remove them, or give the ids as CSV",
        ),
        (".*[,;]$", "ends with a separator, which would count as part of the id: remove it, or give the ids as CSV"),
        (r"[\[\]{}(),:; ]+$|[\[{]\s*[\"']|\[\s*[{]|\[\s*-?[0-9]+\s*(,|$)", _LIKE_JSON),
        (
            r"<(!|\?|/?[A-Za-z][A-Za-z0-9:-]*(\s[^@]*)?/?>)",
            "looks like HTML or XML, not like an id: check how the file came about, or give such ids as CSV",
        ),
        (r"\$ANSIBLE_VAULT;|-----(BEGIN|END) ", "is of something encrypted, not an id: decrypt it first"),
        (r"(<<<<<<<|>>>>>>>) ", "is the mark of a conflict in Git: resolve it first"),
        (
            r"[-*] |---$",
            "looks like YAML or a list with bullets: leave nothing but an id in each line, or give the ids as CSV",
        ),
    )
]

# First and last characters of lines that are worth a look.
_SUSPECT = frozenset(" #$\"'`\u2018\u201a\u201c\u201e\u00ab\u2039()[]{}<>,:;-*")

_first_of = operator.itemgetter(0)

_last_of = operator.itemgetter(-1)


def entries(params: t.Mapping[str, t.Any]) -> t.Iterator[Entry | list[str]]:
    """Yield each interaction that was asked for, in order, duplicates included; those that are but an external id many at once, as a list of them.

    Raises InputError for what no interaction can have and for a file that cannot be read, naming the index or line.
    """
    dispatched = params["state"] == "dispatched"
    if params["external_id"] is not None:
        request_id = params["request_id"]
        if request_id is not None:
            _check_request_id("request_id", request_id)
        yield Entry("external_id", check_id("external_id", params["external_id"]), request_id)
    elif params["external_ids"] is not None:
        yield [check_id(f"external_ids[{index}]", one) for index, one in enumerate(params["external_ids"])]
    elif params["interactions"] is not None:
        for index, interaction in enumerate(params["interactions"]):
            position = f"interactions[{index}]"
            yield _dispatch(position, interaction) if dispatched else _release(position, interaction)
    else:
        yield from _from_file(params["src"], params["src_format"], dispatched)


def _dispatch(position: str, interaction: t.Mapping[str, t.Any]) -> Entry:
    check_data(f"{position}: ", interaction)
    data = {name: interaction[name] for name in DATA_SPEC if interaction[name] is not None}
    if interaction["external_id"] is not None:
        return _entry(position, interaction["external_id"], interaction["request_id"], data)
    if interaction["request_id"] is not None:
        _check_request_id(f"{position}: request_id", interaction["request_id"])
    return Entry(position, None, interaction["request_id"], data or None)


def _release(position: str, interaction: t.Mapping[str, t.Any]) -> Entry:
    # Its request id is the one of the dispatch, with which VCC would ignore a release.
    if interaction["external_id"] is None:
        raise InputError(f"{position} has no external_id, without which nothing can be released: leave it out.")
    return Entry(position, check_id(position, interaction["external_id"]))


def _from_file(path: str, kind: str, dispatched: bool) -> t.Iterator[Entry | list[str]]:
    kind = _kind(path) if kind == "auto" else kind
    try:
        with _opened(path) as file:
            _check_magic(path, file)
            if kind == "json":
                yield from _from_json(path, file, dispatched)
                return
            blocks = _blocks(path, file)
            if kind == "jsonl":
                yield from _from_jsonl(path, _lines(blocks), dispatched)
            elif kind == "text":
                yield from _from_texts(path, blocks)
            else:
                yield from _from_csv(path, _lines(blocks), "," if kind == "csv" else "\t")
    except OSError as exc:
        raise InputError(f"src {path} cannot be read on the host that runs the task ({exc.strerror}).") from None


def _kind(path: str) -> str:
    extension = os.path.splitext(path)[1]
    kind = EXTENSIONS.get(extension.lower())
    if not kind:
        raise InputError(
            f"src {path} ends in {extension}, which says nothing of its format: set src_format to text, csv, tsv, jsonl or json."
        )
    return kind


def _opened(path: str) -> io.FileIO:
    """Open a regular file, and nothing that could keep the task waiting. Raises OSError or InputError."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        if stat.S_ISDIR(mode):
            raise InputError(f"src {path} is a folder: give the path of a file.")
        raise InputError(f"src {path} is a pipe or a device, not a file: write the interactions to a file first.")
    return io.FileIO(handle)


# What no id has in it, and what a line with any of that has, which is quick to look for.
_NO_ID = re.compile(
    r"""external_ids?["']?\s*[:=]"""
    r"|</?(a|b|br|body|div|h[1-6]|head|html|i|li|p|pre|script|span|table|t[dhr]|title|ul)\b[^>]*>|\bENC\[|^age-encryption\.org"
    r"""|^(["']).*\2\s*[,;|\t]""",
    re.IGNORECASE,
)

_MARKS = ("external_id", "EXTERNAL_ID", "<", "ENC[", "age-encryption.org", '",', '";', '"|', '"\t', "',", "';")


def _check_magic(path: str, file: io.FileIO) -> None:
    """Raise InputError for a file whose first bytes say that it holds no list of interactions, whatever its name."""
    head = file.read(BLOCK_LENGTH).removeprefix(codecs.BOM_UTF8).lstrip()
    file.seek(0)
    for magic, said in MAGIC.items():
        if head.startswith(magic):
            raise InputError(f"src {path} {said}.")


def _blocks(path: str, file: io.FileIO) -> t.Iterator[tuple[int, list[str]]]:
    """Yield (number of the first line, lines without their ends) for many lines at a time, split at line feeds only."""
    number = 1
    rest = b""
    while block := file.read(BLOCK_LENGTH):
        whole, end, rest = (rest + block).rpartition(b"\n")
        if end:
            # Only a line that begins in an earlier block can be as long as that.
            _check_length(path, number, whole.partition(b"\n")[0])
            lines = _decoded(path, number, whole)
            if b"\r" in whole:
                lines = [line.removesuffix("\r") for line in lines]
            yield number, lines
            number += len(lines)
        _check_length(path, number, rest)
    if rest:
        yield number, _decoded(path, number, rest)


def _check_length(path: str, number: int, line: bytes) -> None:
    if len(line) >= MAX_LINE_LENGTH:
        raise InputError(
            f"src {path}, line {number} is longer than {MAX_LINE_LENGTH} bytes: is it a list of interactions?"
        )


def _decoded(path: str, number: int, lines: bytes) -> list[str]:
    if number == 1:
        lines = lines.removeprefix(codecs.BOM_UTF8)
    try:
        return lines.decode().split("\n")
    except UnicodeDecodeError as exc:
        number += lines.count(b"\n", 0, exc.start)
        raise InputError(f"src {path}, line {number} is not UTF-8: save the file as UTF-8.") from None


def _lines(blocks: t.Iterator[tuple[int, list[str]]]) -> t.Iterator[tuple[int, str]]:
    for number, lines in blocks:
        yield from enumerate(lines, number)


def _from_texts(path: str, blocks: t.Iterator[tuple[int, list[str]]]) -> t.Iterator[list[str]]:
    first = True
    for number, lines in blocks:
        ids = [text for text in lines if text and not text.isspace()]
        if first and ids:
            first = False
            _check_no_header(f"src {path}, line {number + lines.index(ids[0])}", ids[0])
        # What nothing is wrong with as a whole needs no look at each.
        whole = "".join(ids)
        if (
            not (whole.isascii() and whole.isprintable())
            or max(map(len, ids), default=0) > MAX_ID_LENGTH
            or not _SUSPECT.isdisjoint([*map(_first_of, ids), *map(_last_of, ids)])
            or any(mark in whole for mark in _MARKS)
        ):
            for place, text in enumerate(lines, number):
                if text.strip():
                    _check_line(f"src {path}, line {place}", text)
        yield ids


def _check_no_header(position: str, text: str) -> None:
    """Raise InputError for a first line that is the header of a table, however that spells external_id."""
    for delimiter, remedy in (
        ("\t", "set src_format to tsv"),
        (",", "set src_format to csv"),
        (";", "save the table with commas between its columns, as .csv"),
        ("|", "save the table with commas between its columns, as .csv"),
    ):
        if "externalid" in (re.sub("[^a-z]", "", cell.lower()) for cell in text.split(delimiter)):
            raise InputError(f"{position} is the header of a table, not an id: {remedy}.")


def _check_line(position: str, text: str) -> None:
    """Raise InputError for a line of text that is no id, or that something else than a list of ids has."""
    if text[0] in _SUSPECT or text[-1] in _SUSPECT:
        for pattern, said in _NO_IDS:
            if pattern.match(text):
                raise InputError(f"{position} {said}.")
        if text[0] in "[{" and _is_json(text):
            raise InputError(f"{position} {_LIKE_JSON}.")
    if _NO_ID.search(text):
        raise InputError(
            f"{position} looks like part of a table, a page or a file of settings, not like an id: check the file, or give such ids as CSV."
        )
    check_id(position, text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


class _AmbiguousError(Exception):
    """An object has two values of one name."""


def _unambiguous(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, dummy in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _AmbiguousError(f"has an object with {shown(twice, COLUMN_LENGTH)} twice: leave one of them")
    return fields


def _from_json(path: str, file: io.FileIO, dispatched: bool) -> t.Iterator[Entry | list[str]]:
    if os.fstat(file.fileno()).st_size > MAX_JSON_LENGTH:
        raise InputError(
            f"src {path} is longer than {MAX_JSON_LENGTH} bytes, which is too much for one JSON array: give one object a line, as jsonl."
        )
    text = "\n".join(_decoded(path, 1, file.readall()))
    try:
        items = json.loads(text, object_pairs_hook=_unambiguous) if text.strip() else []
    except _AmbiguousError as exc:
        raise InputError(f"src {path} {exc}.") from None
    except json.JSONDecodeError as exc:
        remedy = "for one JSON object a line, set src_format to jsonl" if exc.msg == "Extra data" else "check the file"
        raise InputError(
            f"src {path}, line {exc.lineno}, column {exc.colno} is not JSON ({exc.msg}): {remedy}."
        ) from None
    except (ValueError, RecursionError):
        raise InputError(
            f"src {path} has a number with too many digits or brackets within too many others: check the file."
        ) from None
    if not isinstance(items, list):
        raise InputError(
            f"src {path} is no JSON array of ids or of objects with external_id; for one JSON object a line, set src_format to jsonl."
        )
    numbered = enumerate(items, 1)
    if not any(isinstance(item, dict) for item in items):
        yield [check_id(f"src {path}, item {number}", item) for number, item in numbered]
        return
    for number, item in numbered:
        position = f"src {path}, item {number}"
        yield _from_object(position, item, dispatched) if isinstance(item, dict) else _entry(position, item, None)


def _from_jsonl(path: str, lines: t.Iterator[tuple[int, str]], dispatched: bool) -> t.Iterator[Entry]:
    for number, text in lines:
        if not text.strip():
            continue
        position = f"src {path}, line {number}"
        try:
            fields = json.loads(text, object_pairs_hook=_unambiguous)
        except _AmbiguousError as exc:
            raise InputError(f"{position} {exc}.") from None
        except (ValueError, RecursionError):
            raise InputError(f"{position} is not JSON: each line has to be an object with external_id.") from None
        if isinstance(fields, list):
            raise InputError(f"{position} is a JSON array, not an object with external_id: set src_format to json.")
        if not isinstance(fields, dict):
            raise InputError(f"{position} has no external_id: each line has to be an object with one.")
        yield _from_object(position, fields, dispatched)


def _from_object(position: str, fields: dict[str, t.Any], dispatched: bool) -> Entry:
    if fields.get("external_id") is None:
        raise InputError(f"{position} has no external_id: each object must have one.")
    data = _validated_data(position, fields) if dispatched else None
    return _entry(position, fields["external_id"], fields.get("request_id"), data)


def _from_csv(path: str, lines: t.Iterator[tuple[int, str]], delimiter: str) -> t.Iterator[Entry]:
    # The limit is the whole process's: it is never lowered.
    if csv.field_size_limit() < MAX_LINE_LENGTH:
        csv.field_size_limit(MAX_LINE_LENGTH)
    reader = csv.reader((text + "\n" for dummy, text in lines), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    before = 0
    try:
        for row in reader:
            position = f"src {path}, line {reader.line_num}"
            begin, before = before + 1, reader.line_num
            # Few programs put quotes around the cells of such a table, but its texts may begin with one.
            if delimiter == "\t" and reader.line_num > begin:
                raise InputError(
                    f"src {path}, line {begin} has a double quote that does not end in its line: double it, or save the table as CSV."
                )
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = row
                if header.count("external_id") != 1:
                    other = len(header) == 1 and any(mark in header[0] for mark in ";\t")
                    remedy = (
                        " Save the table with commas between its columns, or set src_format to tsv." if other else ""
                    )
                    raise InputError(
                        f"{position} is no header with one column external_id; its columns: {shown_names(header)}.{remedy}"
                    )
                near = [
                    name
                    for name in header
                    if name != "request_id" and re.sub(r"[\W_]", "", name.lower()) == "requestid"
                ]
                if near:
                    raise InputError(
                        f"{position} has a column {shown(near[0], COLUMN_LENGTH)!r}: name it request_id if it is one, or leave it out."
                    )
                continue
            if len(row) > len(header):
                remedy = "put an id with a comma in double quotes" if delimiter == "," else "an id has no tabs"
                raise InputError(f"{position} has {len(row)} columns and the header {len(header)}: {remedy}.")
            fields = dict(zip(header, row))
            yield _entry(position, fields.get("external_id", ""), fields.get("request_id") or None)
    except csv.Error as exc:
        raise InputError(f"src {path}, line {reader.line_num} is not CSV ({exc}).") from None


def _entry(position: str, external_id: t.Any, request_id: t.Any, data: dict[str, t.Any] | None = None) -> Entry:
    if request_id is not None:
        request_id = _check_request_id(f"{position}: request_id", request_id)
    return Entry(position, check_id(position, external_id), request_id, data or None)


@functools.lru_cache(None)
def _data_validator() -> ArgumentSpecValidator:
    return ArgumentSpecValidator(DATA_SPEC)


def _validated_data(position: str, fields: dict[str, t.Any]) -> dict[str, t.Any] | None:
    """What of C(DATA_SPEC) a line of a file has, checked as the options of a task are."""
    given = {name: fields[name] for name in DATA_SPEC if fields.get(name) not in (None, "")}
    if not given:
        return None
    check_types(DATA_SPEC, given, f"{position}: ")
    check_texts(DATA_SPEC, given, f"{position}: ")
    try:
        validation = validated(_data_validator(), given)
    except InputError as exc:
        raise InputError(f"{position}: {exc}") from None
    if validation.error_messages:
        raise InputError(f"{position}: {shown(validation.error_messages[0])}.")
    data: dict[str, t.Any] = validation.validated_parameters
    check_data(f"{position}: ", data)
    return {name: data[name] for name in given}


def _check_request_id(position: str, value: t.Any) -> str:
    return check_id(position, value, "give a key that is new, or leave it out", "a request_id")


class Entry(t.NamedTuple):
    """One interaction that was asked for, and where: C(position) is "external_ids[3]", "line 3" and the like.

    C(external_id) is None for a dispatch that names none. C(data) is what of C(DATA_SPEC) it has of its own.
    """

    position: str
    external_id: str | None
    request_id: str | None = None
    data: t.Any = None

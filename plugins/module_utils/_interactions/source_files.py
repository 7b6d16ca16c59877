# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of interactions: text, CSV, TSV, JSON Lines and JSON."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
import stat
import typing as t

from .._errors import InputError
from .._journal.entry import Entry
from .._text import COLUMN_LENGTH, shown, shown_names
from .._validation import check_id
from .._words import Action
from .entries import entry_of_object, make_entry
from .id_lists import check_first_line, check_lines

# The longest line of a file, in bytes.
MAX_LINE_LENGTH = 1024 * 1024

# The bytes that are read at once.
BLOCK_LENGTH = 16 * 1024

# The longest JSON array, in bytes. It is read as a whole.
MAX_JSON_LENGTH = 64 * 1024 * 1024

# The format of a file by its extension.
EXTENSIONS = {
    **dict.fromkeys(("", ".txt", ".list", ".ids"), "text"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
}

# The first bytes of files that are not lists of interactions, with the message for each.
MAGIC = {
    b"$ANSIBLE_VAULT;": "is encrypted by ansible-vault: decrypt it first, with ansible-vault decrypt",
    b"-----BEGIN ": "is encrypted or a key: decrypt it first",
    b"version https://git-lfs": "is only a pointer to a file in Git LFS: fetch the file first, with git lfs pull",
    b"{\\rtf": "is a document of a word processor: save it as plain text in UTF-8",
    b"%PDF-": "is a PDF document: save its ids as plain text in UTF-8",
    b"PK\x03\x04": "is a zip archive or a workbook such as .xlsx: unpack it, or save it as CSV in UTF-8",
    b"\x1f\x8b": "is compressed by gzip: unpack it first",
    b"\xff\xfe": "is not UTF-8 but UTF-16: save the file as UTF-8",
    b"\xfe\xff": "is not UTF-8 but UTF-16: save the file as UTF-8",
}

# The lines of a file, with the number of the first: a block of them at a time.
Blocks = t.Iterator[tuple[int, list[str]]]

# Lines with their numbers.
Lines = t.Iterator[tuple[int, str]]


def read_file(path: str, file_format: str, action: Action) -> t.Iterator[Entry | list[str]]:
    """Yield an entry for each interaction of a file in order. Entries with only an external id may come together, as a list of ids.

    :param file_format: text, csv, tsv, jsonl or json, or "auto" for the format of the extension.
    :param action: the action that the task asks for. Only a dispatch has data.
    Raises InputError, with the line, for a file that cannot be read or has anything but interactions.
    """
    if file_format == "auto":
        file_format = _format_of(path)
    try:
        with _open_regular_file(path) as file:
            _check_magic(path, file)
            if file_format == "json":
                yield from _read_json(path, file, action)
                return
            blocks = _blocks(path, file)
            if file_format == "jsonl":
                yield from _read_jsonl(path, _lines(blocks), action)
            elif file_format == "text":
                yield from _read_text(path, blocks)
            else:
                yield from _read_table(path, _lines(blocks), "," if file_format == "csv" else "\t")
    except OSError as exc:
        raise InputError(
            f"src {path} cannot be read on the host that runs the task ({exc.strerror}): check the path and its permissions."
        ) from None


def _format_of(path: str) -> str:
    """Return the format of a file by its extension. Raises InputError for an unknown one."""
    extension = os.path.splitext(path)[1]
    file_format = EXTENSIONS.get(extension.lower())
    if not file_format:
        raise InputError(
            f"src {path} has the extension {extension}, which does not tell its format: set src_format to text, csv, tsv, jsonl or json."
        )
    return file_format


def _open_regular_file(path: str) -> io.FileIO:
    """Open a regular file. Raises OSError, and InputError for a pipe or a device, which could keep the task waiting."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        if stat.S_ISDIR(mode):
            raise InputError(f"src {path} is a folder: give the path of a file.")
        raise InputError(f"src {path} is a pipe or a device, not a file: write the interactions to a file first.")
    return io.FileIO(handle)


def _check_magic(path: str, file: io.FileIO) -> None:
    """Raise InputError for a file whose first bytes show that it is not a list of interactions, whatever its name."""
    head = file.read(BLOCK_LENGTH).removeprefix(codecs.BOM_UTF8).lstrip()
    file.seek(0)
    for magic, message in MAGIC.items():
        if head.startswith(magic):
            raise InputError(f"src {path} {message}.")


def _blocks(path: str, file: io.FileIO) -> Blocks:
    """Yield the lines without their ends, split at line feeds only."""
    number = 1
    rest = b""
    while block := file.read(BLOCK_LENGTH):
        whole, end, rest = (rest + block).rpartition(b"\n")
        if end:
            # Only a line that begins in an earlier block can be too long.
            _check_length(path, number, whole.partition(b"\n")[0])
            lines = _decode_lines(path, number, whole)
            if b"\r" in whole:
                lines = [line.removesuffix("\r") for line in lines]
            yield number, lines
            number += len(lines)
        _check_length(path, number, rest)
    if rest:
        yield number, _decode_lines(path, number, rest)


def _check_length(path: str, number: int, line: bytes) -> None:
    """Raise InputError for a line that is too long."""
    if len(line) >= MAX_LINE_LENGTH:
        raise InputError(
            f"src {path}, line {number} is longer than {MAX_LINE_LENGTH} bytes: check that the file is a list of interactions."
        )


def _decode_lines(path: str, number: int, lines: bytes) -> list[str]:
    """Return bytes as lines of text. Raises InputError, with the line, for bytes that are not UTF-8.

    :param number: the number of the first line.
    """
    if number == 1:
        lines = lines.removeprefix(codecs.BOM_UTF8)
    try:
        return lines.decode().split("\n")
    except UnicodeDecodeError as exc:
        number += lines.count(b"\n", 0, exc.start)
        raise InputError(f"src {path}, line {number} is not UTF-8: save the file as UTF-8.") from None


def _lines(blocks: Blocks) -> Lines:
    """Yield the lines of blocks one by one."""
    for number, lines in blocks:
        yield from enumerate(lines, number)


def _read_text(path: str, blocks: Blocks) -> t.Iterator[list[str]]:
    """Yield the ids of a list of ids, one per line."""
    first = True
    for number, lines in blocks:
        ids = [text for text in lines if text and not text.isspace()]
        if first and ids:
            first = False
            check_first_line(f"src {path}, line {number + lines.index(ids[0])}", ids[0])
        check_lines(path, number, lines, ids)
        yield ids


class _AmbiguousError(Exception):
    """A JSON object has two values with the same name."""


def _unambiguous(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    """Return the object of these pairs. Raises _AmbiguousError for a name that occurs twice."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, dummy in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _AmbiguousError(f"has an object with {shown(twice, COLUMN_LENGTH)} twice: remove one of them")
    return fields


def _read_json(path: str, file: io.FileIO, action: Action) -> t.Iterator[Entry | list[str]]:
    """Yield the entries of a JSON array of ids and objects."""
    if os.fstat(file.fileno()).st_size > MAX_JSON_LENGTH:
        raise InputError(
            f"src {path} is longer than {MAX_JSON_LENGTH} bytes, too long for one JSON array: write one object in each line, and set src_format to jsonl."
        )
    text = "\n".join(_decode_lines(path, 1, file.readall()))
    try:
        items = json.loads(text, object_pairs_hook=_unambiguous) if text.strip() else []
    except _AmbiguousError as exc:
        raise InputError(f"src {path} {exc}.") from None
    except json.JSONDecodeError as exc:
        remedy = (
            "set src_format to jsonl if each line is a JSON object" if exc.msg == "Extra data" else "check the file"
        )
        raise InputError(
            f"src {path}, line {exc.lineno}, column {exc.colno} is not JSON ({exc.msg}): {remedy}."
        ) from None
    except (ValueError, RecursionError):
        raise InputError(
            f"src {path} has a number with too many digits, or too many nested brackets: check the file."
        ) from None
    if not isinstance(items, list):
        raise InputError(
            f"src {path} is not a JSON array of ids or of objects with external_id: correct the file, or set src_format to jsonl if each line is a JSON object."
        )
    numbered = enumerate(items, 1)
    if not any(isinstance(item, dict) for item in items):
        yield [check_id(f"src {path}, item {number}", item) for number, item in numbered]
        return
    for number, item in numbered:
        position = f"src {path}, item {number}"
        yield entry_of_object(position, item, action) if isinstance(item, dict) else make_entry(position, item)


def _read_jsonl(path: str, lines: Lines, action: Action) -> t.Iterator[Entry]:
    """Yield the entries of JSON objects, one per line."""
    for number, text in lines:
        if not text.strip():
            continue
        position = f"src {path}, line {number}"
        try:
            fields = json.loads(text, object_pairs_hook=_unambiguous)
        except _AmbiguousError as exc:
            raise InputError(f"{position} {exc}.") from None
        except (ValueError, RecursionError):
            raise InputError(f"{position} is not JSON: each line must be an object with external_id.") from None
        if isinstance(fields, list):
            raise InputError(f"{position} is a JSON array, not an object with external_id: set src_format to json.")
        if not isinstance(fields, dict):
            raise InputError(f"{position} has no external_id: each line must be an object with one.")
        yield entry_of_object(position, fields, action)


def _read_table(path: str, lines: Lines, delimiter: str) -> t.Iterator[Entry]:
    """Yield the entries of a table with the column external_id, and optionally request_id."""
    # The limit applies to the whole process, so it must never be lowered.
    if csv.field_size_limit() < MAX_LINE_LENGTH:
        csv.field_size_limit(MAX_LINE_LENGTH)
    reader = csv.reader((text + "\n" for dummy, text in lines), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    last = 0
    try:
        for row in reader:
            position = f"src {path}, line {reader.line_num}"
            begin, last = last + 1, reader.line_num
            # Few programs put the cells of a TSV file in quotes, but a text in it may begin with a quote.
            if delimiter == "\t" and reader.line_num > begin:
                raise InputError(
                    f"src {path}, line {begin} has a double quote that the line does not close:"
                    " put that cell in double quotes and double each quote in it, or save the table as CSV."
                )
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = row
                _check_header(position, header)
                continue
            if len(row) > len(header):
                remedy = (
                    "put an id with a comma in double quotes"
                    if delimiter == ","
                    else "remove the extra tabs, because an id has none"
                )
                raise InputError(f"{position} has {len(row)} columns and the header {len(header)}: {remedy}.")
            fields = dict(zip(header, row))
            yield make_entry(position, fields.get("external_id", ""), fields.get("request_id") or None)
    except csv.Error as exc:
        raise InputError(f"src {path}, line {reader.line_num} is not CSV ({exc}): correct the file.") from None


def _check_header(position: str, header: list[str]) -> None:
    """Raise InputError for a header without the column external_id, or with a column that may be meant as request_id."""
    if header.count("external_id") != 1:
        other = len(header) == 1 and any(mark in header[0] for mark in ";\t")
        remedy = " Save the table with commas between its columns, or set src_format to tsv." if other else ""
        raise InputError(
            f"{position} is not a header with one column external_id; its columns: {shown_names(header)}.{remedy}"
        )
    near = [name for name in header if name != "request_id" and re.sub(r"[\W_]", "", name.lower()) == "requestid"]
    if near:
        raise InputError(
            f"{position} has a column {shown(near[0], COLUMN_LENGTH)!r}: name it request_id if it has request ids, or remove it."
        )

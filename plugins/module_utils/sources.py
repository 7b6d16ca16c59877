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
import os
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .errors import InputError
from .options import DATA_SPEC, MAX_ID_LENGTH, Entry, check_data, check_data_texts, check_id, check_kinds, validated

# The longest line of a source file, in bytes.
MAX_LINE_LENGTH = 1024 * 1024

# Bytes of a source file that are read at once.
BLOCK_LENGTH = 16 * 1024


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
        yield from _from_file(params["src"], dispatched)


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


def _from_file(path: str, dispatched: bool) -> t.Iterator[Entry | list[str]]:
    kind = os.path.splitext(path)[1].lower()
    try:
        with open(path, "rb", buffering=0) as file:
            blocks = _blocks(path, file)
            if kind == ".jsonl":
                yield from _from_jsonl(path, _lines(blocks), dispatched)
            elif kind == ".csv":
                yield from _from_csv(path, _lines(blocks))
            else:
                yield from _from_texts(path, blocks)
    except OSError as exc:
        raise InputError(f"src {path} cannot be read on the host that runs the task ({exc.strerror}).") from None


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
    for number, lines in blocks:
        ids = [text for text in lines if text and not text.isspace()]
        # What nothing is wrong with as a whole needs no look at each.
        whole = "".join(ids)
        if not (whole.isascii() and whole.isprintable()) or max(map(len, ids), default=0) > MAX_ID_LENGTH:
            for place, text in enumerate(lines, number):
                if text.strip():
                    check_id(f"src {path}, line {place}", text)
        yield ids


def _from_jsonl(path: str, lines: t.Iterator[tuple[int, str]], dispatched: bool) -> t.Iterator[Entry]:
    for number, text in lines:
        if not text.strip():
            continue
        position = f"src {path}, line {number}"
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            raise InputError(f"{position} is not JSON: each line has to be an object with external_id.") from None
        if not isinstance(fields, dict) or fields.get("external_id") is None:
            raise InputError(f"{position} has no external_id: each line has to be an object with one.")
        data = _validated_data(position, fields) if dispatched else None
        yield _entry(position, fields["external_id"], fields.get("request_id"), data)


def _from_csv(path: str, lines: t.Iterator[tuple[int, str]]) -> t.Iterator[Entry]:
    reader = csv.reader((text + "\n" for dummy, text in lines), strict=True)
    header: list[str] | None = None
    try:
        for row in reader:
            position = f"src {path}, line {reader.line_num}"
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = row
                if header.count("external_id") != 1:
                    raise InputError(
                        f"{position} is no header with one column external_id; its columns: {', '.join(header)}."
                    )
                continue
            if len(row) > len(header):
                raise InputError(
                    f"{position} has {len(row)} columns and the header {len(header)}: put an id with a comma in double quotes."
                )
            fields = dict(zip(header, row))
            yield _entry(position, fields.get("external_id", ""), fields.get("request_id") or None)
    except csv.Error as exc:
        raise InputError(f"src {path}, line {reader.line_num} is not CSV ({exc}).") from None
    if header is None:
        raise InputError(f"src {path} is empty: a CSV file needs a header with the column external_id.")


def _entry(position: str, external_id: t.Any, request_id: t.Any, data: dict[str, t.Any] | None = None) -> Entry:
    if request_id is not None:
        request_id = _check_request_id(f"{position}: request_id", request_id)
    return Entry(position, check_id(position, external_id), request_id, data or None)


@functools.lru_cache(None)
def _data_validator() -> ArgumentSpecValidator:
    return ArgumentSpecValidator(DATA_SPEC)


def _validated_data(position: str, fields: dict[str, t.Any]) -> dict[str, t.Any] | None:
    """What of C(DATA_SPEC) a line of a file has, checked as the options of a task are."""
    given = {name: fields[name] for name in DATA_SPEC if fields.get(name) is not None}
    if not given:
        return None
    check_kinds(DATA_SPEC, given, f"{position}: ")
    check_data_texts(f"{position}: ", given)
    try:
        validation = validated(_data_validator(), given)
    except InputError as exc:
        raise InputError(f"{position}: {exc}") from None
    if validation.error_messages:
        raise InputError(f"{position}: {validation.error_messages[0]}.")
    data: dict[str, t.Any] = validation.validated_parameters
    check_data(f"{position}: ", data)
    return {name: data[name] for name in given}


def _check_request_id(position: str, value: t.Any) -> str:
    return check_id(position, value, "give a key that is new, or leave it out", "a request_id")

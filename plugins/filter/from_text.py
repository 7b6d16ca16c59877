# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the list or dictionary that a survey, a form or ``-e NAME=VALUE`` can only give as text."""

from __future__ import annotations

DOCUMENTATION = r"""
name: from_text
short_description: Read a list or a dictionary from text
version_added: 1.0.0
description:
  - The playbooks of the collection use this filter for variables that a survey can only give as text. It never fails.
  - It returns the list or dictionary of JSON or YAML text. It returns any other value unchanged, including text that is neither a list nor a dictionary, so
    that the playbook can report the mistake.
  - In YAML text, plain words, numbers and dates stay text, so that an id such as V(007) is not altered.
options:
  _input:
    description: The value of the variable, text or not.
    type: raw
    required: true
  lines:
    description:
      - Whether text is a list of ids, one in each line. Blank lines, and blanks at the ends of a line, do not count.
      - Text that begins with V([) and ends with V(]) is a list in JSON instead.
    type: bool
    default: false
author:
  - The vonage.vcc authors (@vonage)
"""

EXAMPLES = r"""
- name: Release the interactions of a survey, which has their ids in a text area
  vonage.vcc.vcc_interaction:
    external_ids: "{{ survey_ids | vonage.vcc.from_text(lines=true) }}"

- name: Dispatch the interactions of a survey, which has them as JSON or YAML
  vonage.vcc.vcc_interaction:
    state: dispatched
    route: Back office
    interactions: "{{ survey_interactions | vonage.vcc.from_text }}"
"""

RETURN = r"""
_value:
  description: The list or dictionary of the text; the input itself if it is not text, or if the text is neither.
  type: raw
"""

import datetime
import json
import re
import typing as t

import yaml

# The characters to strip from the ends of a text, or of a line of ids.
BLANKS = " \t\r\n"

# The maximum number of values that YAML aliases add to a text. A few lines of nested aliases can expand to more values than fit into memory.
MAX_ALIASED = 1_000_000


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A YAML loader that reads every plain scalar except null as text."""

    yaml_implicit_resolvers: dict[str, list[t.Any]] = {}


_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(~|null|Null|NULL|)$"), ["~", "n", "N", ""])


def from_text(value: t.Any, lines: bool = False) -> t.Any:
    """Return the list or dictionary that a text represents. Return any other value unchanged, including text that is neither.

    :param lines: whether the text is a list of ids, one per line, unless it is a list in JSON.
    """
    if lines and (_is_date(value) or (isinstance(value, int) and not isinstance(value, bool))):
        return [value]  # ansible-core 2.19 reads the only id in the answer of a survey as a number or a date
    if not isinstance(value, str):
        return value
    value = str.__str__(value)  # plain text, because libyaml does not read Ansible's own types
    text = value.strip(BLANKS)
    if not text:
        return ""
    if not lines:
        return _data(text, value)
    if text.startswith("[") and text.endswith("]"):
        return _json(text, value)
    found = (line.strip(BLANKS) for line in re.split(r"[\r\n]", text))
    return [line for line in found if line]


def _is_date(value: t.Any) -> bool:
    return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)


def _data(text: str, default: str) -> t.Any:
    """Return the list or dictionary of JSON or YAML text, or the default."""
    data = _json(text, None)
    if data is None:
        try:
            data = yaml.load(text, _Loader)  # noqa: S506 - derived from SafeLoader
            if _count(data, {}) > MAX_ALIASED + len(text):
                return default
            json.dumps(data)  # refuses a date with a tag, or a list within itself
        except (yaml.YAMLError, RecursionError, TypeError, ValueError):
            return default
    return data if isinstance(data, (dict, list)) else default


def _count(data: t.Any, known: dict[int, int]) -> int:
    """Return the number of values in data. Each use of a YAML alias counts, but takes no further time.

    :param known: the counts so far, by the ``id()`` of the list or dictionary.
    """
    if not isinstance(data, (dict, list)):
        return 1
    if id(data) not in known:
        known[id(data)] = 1  # ends the recursion of a value within itself
        known[id(data)] += sum(_count(each, known) for each in (data.values() if isinstance(data, dict) else data))
    return known[id(data)]


def _json(text: str, default: t.Any) -> t.Any:
    """Return the list or dictionary of JSON text, or the default."""
    try:
        data = json.loads(text)
    except (RecursionError, ValueError):
        return default
    return data if isinstance(data, (dict, list)) else default


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"from_text": from_text}

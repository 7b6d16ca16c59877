# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules with options that work, strategies for options of any type, and a network that reaches this host alone."""

from __future__ import annotations

import functools
import socket
import tempfile

from hypothesis import strategies as st

from ansible_collections.vonage.vcc.plugins.module_utils._api import client
from ansible_collections.vonage.vcc.plugins.module_utils._api.http import Http
from ansible_collections.vonage.vcc.plugins.module_utils._interactions import task
from ansible_collections.vonage.vcc.plugins.modules import (
    vcc_interaction,
    vcc_journal,
    vcc_journal_info,
    vcc_ongoing_info,
    vcc_provider,
    vcc_token,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    Clock,
)

home = tempfile.TemporaryDirectory()  # gone when the process ends

# The number of waits after which the test ends a task that would retry for years.
ENOUGH = 20


def by_interaction(params, check):
    return task.run(params, check, True, {})


# For each module: its spec, its function, and the options of a task that works.
MODULES = {
    "vcc_interaction": (vcc_interaction.SPEC, by_interaction, {"external_id": "a"}),
    "vcc_provider": (
        vcc_provider.SPEC["argument_spec"],
        lambda params, check: vcc_provider.run(params, check, True, set()),
        {"name": "crm", "endpoint": "https://hooks.example/", "headers": {"X-Key": "k"}},
    ),
    "vcc_token": (vcc_token.SPEC["argument_spec"], lambda params, check: vcc_token.run(params), {}),
    "vcc_ongoing_info": (
        vcc_ongoing_info.SPEC["argument_spec"],
        lambda params, check: vcc_ongoing_info.run(params, set()),
        {},
    ),
    "vcc_journal": (
        vcc_journal.SPEC,
        lambda params, check: vcc_journal.run(params, check, True),
        {"notifications": [{"notification": "Release", "objectid": "a", "notificationid": "n"}]},
    ),
    "vcc_journal_info": (
        vcc_journal_info.SPEC["argument_spec"],
        lambda params, check: vcc_journal_info.run(params),
        {},
    ),
}

# Any character, such as control characters, surrogates and all kinds of blanks.
CHARACTERS = st.characters(exclude_categories=())

TEXTS = st.one_of(
    st.text(CHARACTERS, max_size=20),
    st.sampled_from(
        [
            *(
                "",
                " ",
                "\0",
                "a\0b",
                "\n",
                "a\r\nb",
                "\x1b[31m",
                "\x7f",
                "\x85",
                "\u2028",
                "\ufeff",
                "\ud800",
                "\udcff",
            ),
            *(
                "null",
                "true",
                "no",
                "0",
                "-1",
                "1e3",
                "1.5",
                "NaN",
                "\u0661",
                "[]",
                "{}",
                "a,b",
                "{{ a }}",
                "'",
                '"',
                "%s",
            ),
            *("x" * 1025, "ü" * 100_000, ".", "a/", "a/b", "~nobody/x", "$HOME", "there.txt", "there.txt/x", "folder"),
            *("http://", "https://", "https://[::1", "https://a b", "https://x:99999", "https://a@b", "//x", "https:x"),
            *("http://127.0.0.1:1\r\nX: y", "https://\u2100.example", "https://" + "a" * 64 + ".example", "HTTPS://x"),
            *("https://xn--a.example", "https://a..b", "https://.", "https://%00.example", "http://localhost:0"),
        ]
    ),
)

NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from(["inf", "-Infinity", "nan", "1e999", "9" * 400]),
    st.sampled_from([0, -1, 1, 2, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**20, 10**400, -(10**400), 1e308]),
)

SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)

VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=10,
)


def is_inside(path):
    """Return whether a path stays in the folder of the test, because a test of root could write anywhere."""
    return not path.lstrip().startswith("/") and ".." not in path


def fitting(option):
    """Return values with the type or the suboptions of an option, some of which are invalid."""
    kind = option.get("type", "str")
    if option.get("choices"):
        return st.sampled_from(option["choices"])
    if kind == "int":
        return NUMBERS
    if kind == "bool":
        return st.booleans()
    if kind == "list":
        inner = {"type": option.get("elements", "str"), "options": option.get("options")}
        return st.lists(fitting(inner) | VALUES, max_size=4)
    if kind == "path":
        return TEXTS.filter(is_inside)
    if kind == "dict" and option.get("options"):
        inner = {name: fitting(one) | VALUES for name, one in option["options"].items()}
        return st.fixed_dictionaries({}, optional=inner)
    return st.dictionaries(TEXTS, VALUES, max_size=4) if kind == "dict" else TEXTS


class Endless(Exception):
    """A task would retry without end."""


class Network:
    """A network that reaches only this host, and counts each look-up of a host."""

    def __init__(self, monkeypatch):
        self.calls = self.waits = 0
        self._find = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self.find)
        monkeypatch.setattr(client, "Http", functools.partial(Http, sleep=self.wait, clock=Clock()))

    def find(self, host, *others, **more):
        self.calls += 1
        if host not in ("127.0.0.1", "localhost"):
            raise socket.gaierror(socket.EAI_NONAME, "not in this test")
        return self._find(host, *others, **more)

    def wait(self, seconds):
        self.waits += 1
        if self.waits > ENOUGH:
            raise Endless

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is given for an option: a task ends with a result, or with one sentence and without a call."""

from __future__ import annotations

import functools
import json
import os
import socket
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from ansible_collections.vonage.vcc.plugins.module_utils import client, interactions, ongoing, options, providers
from ansible_collections.vonage.vcc.plugins.module_utils.client import Http
from ansible_collections.vonage.vcc.plugins.module_utils.errors import InputError, VccError
from ansible_collections.vonage.vcc.plugins.modules import vcc_journal, vcc_journal_info, vcc_token
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Clock, Invalid, validated_by

home = tempfile.TemporaryDirectory()  # gone when the process ends
set_hypothesis_home_dir(home.name)

# Tries after which a task that would wait and try for years is left alone.
ENOUGH = 20


def by_interaction(params, check):
    return interactions.run(params, check, True, {})


# Of each module: its spec, what it does, and a task that works.
MODULES = {
    "vcc_interaction": (options.INTERACTION_SPEC, by_interaction, {"external_id": "a"}),
    "vcc_provider": (
        options.PROVIDER_SPEC,
        lambda params, check: providers.run(params, check, True, set()),
        {"name": "crm", "endpoint": "https://hooks.example/", "headers": {"X-Key": "k"}},
    ),
    "vcc_token": (options.TOKEN_SPEC, lambda params, check: vcc_token.get(params), {}),
    "vcc_ongoing_info": (options.ONGOING_SPEC, lambda params, check: ongoing.run(params, set()), {}),
    "vcc_journal": (
        options.KEPT_JOURNAL_SPEC,
        lambda params, check: vcc_journal.keep(params, check, True),
        {"notifications": [{"notification": "Release", "objectid": "a", "notificationid": "n"}]},
    ),
    "vcc_journal_info": (options.JOURNAL_INFO_SPEC, lambda params, check: vcc_journal_info.show(params), {}),
}

# Any character there is: controls, surrogates, blanks of all kinds, others.
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
    st.sampled_from([0, -1, 1, 2, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**20, 10**400, -(10**400), 1e308]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=10,
)


def is_inside(path):
    """Whether nothing is written outside of the test's folder: as root, a test could write anywhere."""
    return not path.lstrip().startswith("/") and ".." not in path


def fitting(option):
    """Values of the type that an option has, or with the suboptions that it has, bad ones among them."""
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


@st.composite
def tasks(draw, module):
    """The options of a task that works but for one or some of them."""
    spec, dummy, works = MODULES[module]
    every = spec.get("argument_spec", spec)
    names = draw(
        st.lists(st.sampled_from(sorted(every)), min_size=1, max_size=4, unique=True),
    )
    bad = {
        name: draw(fitting(every[name]) if every[name].get("type") == "path" else fitting(every[name]) | VALUES)
        for name in names
    }
    if module == "vcc_interaction" and set(bad) & set(options.SOURCES):
        works = {}
    if module == "vcc_interaction" and bad.get("state") == "dispatched":
        works = {"route": "sales", **works}
    if module == "vcc_journal" and "older_than" in bad:
        works = {}
    return {**works, **bad}


class Endless(Exception):
    """A task that would go on trying."""


class Wire:
    """Nothing is reached but this host, and every look-up of a host is counted."""

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


@pytest.fixture
def wire(monkeypatch):
    return Wire(monkeypatch)


def arguments(module, **given):
    """The options as they come to the module. Raises Invalid."""
    try:
        return validated_by(MODULES[module][0], **given)
    except (TypeError, OverflowError) as exc:
        # Ansible's own code stumbles over infinite numbers, and over a list for a dictionary. No module can help that, an action plugin can.
        assert module != "vcc_interaction"
        raise Invalid from exc


@pytest.fixture
def act(sim, wire, tmp_path, monkeypatch):
    """Does a task with these options in a folder of its own; returns its result, None where Ansible refuses them."""

    def do(module, check=False, **given):
        wire.calls = wire.waits = 0
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            # So deep that no path leads out of the test's folder.
            deep = os.path.join(folder, *"abcdefgh")
            os.makedirs(os.path.join(deep, "folder"))
            with open(os.path.join(deep, "there.txt"), "w", encoding="utf-8") as file:
                file.write("a\nb\n")
            monkeypatch.chdir(deep)
            spec, run, dummy = MODULES[module]
            params = spec.get("argument_spec", spec)
            usual = {"api_url": sim.url, "auth_url": sim.token_url, "retries": 0, "timeout": 5}
            usual.update(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, journal="journal.db")
            if "journal" not in params:
                del usual["journal"]
            try:
                if module == "vcc_interaction":
                    options.check_given(given)
                result = run(arguments(module, **{**usual, **given}), check)
            except Invalid:
                return None
            except VccError as exc:
                result = {"failed": True, "msg": str(exc)}
                bad = isinstance(exc, InputError)
            except Endless:
                return None
            else:
                bad = module == "vcc_interaction" and "failed" in result and "summary" not in result
            finally:
                monkeypatch.chdir(tmp_path)
            json.dumps(result)
            if result.get("failed"):
                assert "Traceback" not in result["msg"]
                assert result["msg"].endswith(".")
            if bad:
                assert wire.calls == 0
            return result

    return do


def corpus(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize("module", MODULES)
def test_the_usual_works(act, wire, module):
    """So that what the others find is not due to the rest of the task."""
    result = act(module, **MODULES[module][2])
    assert not result.get("failed")
    assert bool(wire.calls) == (not module.startswith("vcc_journal"))


@pytest.mark.parametrize("module", MODULES)
def test_ends_with_a_result_or_a_sentence(act, module):
    @corpus(100)
    @given(task=tasks(module), check=st.booleans())
    def holds(task, check):
        act(module, check, **task)

    holds()


@pytest.mark.parametrize(
    ("module", "given", "said"),
    [
        ("vcc_interaction", {"routing_data": [None]}, "routing_data has to be a dictionary."),
        ("vcc_interaction", {"routing_data": False}, "routing_data has to be a dictionary."),
        (
            "vcc_interaction",
            {"routing_data": {"personal_queue": [1]}},
            "routing_data.personal_queue has to be a dictionary.",
        ),
        (
            "vcc_interaction",
            {"external_id": None, "interactions": [{"external_id": "a", "routing_data": 1.5}]},
            "interactions[0].routing_data has to be a dictionary.",
        ),
        (
            "vcc_journal",
            {"notifications": None},
            "Say what to do with the journal, with one of older_than and notifications.",
        ),
    ],
)
def test_what_ansible_lets_through_or_stumbles_over(act, module, given, said):
    assert act(module, **{**MODULES[module][2], **given})["msg"] == said


# The option that has the address, which VCC's credentials or its token are sent to.
ADDRESSES = [(module, name) for module in MODULES for name in ("api_url", "auth_url")]


@pytest.mark.parametrize(("module", "option"), [one for one in ADDRESSES if not one[0].startswith("vcc_journal")])
@pytest.mark.parametrize("url", ["http://vcc.example", "http://127.0.0.1.example/x", "http://10.0.0.1:8080"])
def test_nothing_is_sent_over_plain_http(act, wire, sim, module, option, url):
    result = act(module, **{**MODULES[module][2], option: url})
    assert (
        result["msg"]
        == f"{option} has to begin with https://: over plain http, credentials are sent to this host itself only."
    )
    assert (wire.calls, sim.requests) == (0, [])

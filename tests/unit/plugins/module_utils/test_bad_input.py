# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is given for an option: a task ends with a result, or with one sentence and without a call."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import tempfile

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from ansible_collections.vonage.vcc.plugins.module_utils import _options
from ansible_collections.vonage.vcc.plugins.module_utils._api import http
from ansible_collections.vonage.vcc.plugins.module_utils._api.http import Http
from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError, VccError
from ansible_collections.vonage.vcc.plugins.module_utils._interactions import task
from ansible_collections.vonage.vcc.plugins.modules import (
    vcc_interaction,
    vcc_journal,
    vcc_journal_info,
    vcc_ongoing_info,
    vcc_provider,
    vcc_token,
)
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    Clock,
    Invalid,
    call_main,
    check_raw_types,
    validated_by,
)

home = tempfile.TemporaryDirectory()  # gone when the process ends
set_hypothesis_home_dir(home.name)

# Tries after which a task that would wait and try for years is left alone.
ENOUGH = 20


def by_interaction(params, check):
    return task.run(params, check, True, {})


# Of each module: its spec, what it does, and a task that works.
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
    if module == "vcc_interaction" and set(bad) & set(_options.SOURCES):
        works = {}
    if module == "vcc_interaction" and bad.get("state") == "dispatched":
        works = {"route": "sales", **works}
    if module == "vcc_journal" and "older_than" in bad:
        works = {}
    return {**works, **bad}


class Endless(Exception):
    """A task that would go on trying."""


class Network:
    """Nothing is reached but this host, and every look-up of a host is counted."""

    def __init__(self, monkeypatch):
        self.calls = self.waits = 0
        self._find = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self.find)
        monkeypatch.setattr(http, "Http", functools.partial(Http, sleep=self.wait, clock=Clock()))

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
def network(monkeypatch):
    return Network(monkeypatch)


@pytest.fixture
def complete(sim, network, tmp_path, monkeypatch):
    """Completes the options of a task, for as long as it is in a folder of its own."""

    @contextlib.contextmanager
    def begin(module, given):
        network.calls = network.waits = 0
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder, monkeypatch.context() as patch:
            # So deep that no path leads out of the test's folder.
            deep = os.path.join(folder, *"abcdefgh")
            os.makedirs(os.path.join(deep, "folder"))
            with open(os.path.join(deep, "there.txt"), "w", encoding="utf-8") as file:
                file.write("a\nb\n")
            patch.chdir(deep)
            usual = {"api_url": sim.url, "auth_url": sim.token_url, "retries": 0, "timeout": 5}
            usual.update(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, journal="journal.db")
            spec = MODULES[module][0]
            if "journal" not in spec.get("argument_spec", spec):
                del usual["journal"]
            yield {**usual, **given}

    return begin


@pytest.fixture
def act(complete, network):
    """Does a task with these options; returns its result, None where Ansible refuses them."""

    def do(module, check=False, **given):
        with complete(module, given) as every:
            try:
                if module == "vcc_interaction":
                    check_raw_types(given)
                result = MODULES[module][1](validated_by(MODULES[module][0], **every), check)
            except Invalid:
                return None
            except VccError as exc:
                result = {"failed": True, "msg": str(exc)}
                bad = isinstance(exc, InputError)
            except Endless:
                return None
            else:
                bad = module == "vcc_interaction" and "failed" in result and "summary" not in result
            json.dumps(result)
            if result.get("failed"):
                assert "Traceback" not in result["msg"]
                assert result["msg"].endswith(".")
            if bad:
                assert network.calls == 0
            return result

    return do


@pytest.fixture
def enter(complete):
    """Runs a module's main function with these options; returns its result, None where it would go on trying."""

    def run(module, check=False, **given):
        with complete(module, given) as every:
            try:
                return call_main(module, check, True, **every)[0]
            except Endless:
                return None

    return run


def corpus(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize("module", MODULES)
def test_the_usual_works(act, network, module):
    """So that what the others find is not due to the rest of the task."""
    result = act(module, **MODULES[module][2])
    assert not result.get("failed")
    assert bool(network.calls) == (not module.startswith("vcc_journal"))


@pytest.mark.parametrize("module", MODULES)
def test_ends_with_a_result_or_a_sentence(act, module):
    @corpus(100)
    @given(task=tasks(module), check=st.booleans())
    def holds(task, check):
        act(module, check, **task)

    holds()


def can_be_sent(task):
    """Whether the controller takes it: ansible-core 2.19 and later refuse what is no Unicode."""
    try:
        json.dumps(task, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize("module", MODULES)
def test_a_module_ends_so_too(enter, network, module):
    """With Ansible's own code before and after: how it reads the options, and hides secrets in what is printed."""
    assert not enter(module, **MODULES[module][2]).get("failed")

    @corpus(100)
    @given(task=tasks(module), check=st.booleans())
    def holds(task, check):
        assume(can_be_sent(task))
        result = enter(module, check, **task)
        if result and result.get("failed"):
            assert "Traceback" not in result["msg"]
            assert "exception" not in result

    holds()


WHAT_STUMBLES = [
    *((module, "timeout", float("inf"), "timeout has to be a number that ends, not inf.") for module in MODULES),
    ("vcc_provider", "retries", "-Infinity", "retries has to be a number that ends, not -Infinity."),
    ("vcc_ongoing_info", "page_size", float("-inf"), "page_size has to be a number that ends, not -inf."),
    ("vcc_journal", "older_than", float("inf"), "older_than has to be a number that ends, not inf."),
    ("vcc_provider", "agent_actions_permitted", 3, "agent_actions_permitted has to be a dictionary."),
    ("vcc_provider", "agent_actions_permitted", False, "agent_actions_permitted has to be a dictionary."),
    (
        "vcc_interaction",
        "routing_data",
        '{"personal_queue": {"agent": "a", "logged_in_timeout": "inf"}}',
        _options.CONVERSION_FAILED,
    ),
]


@pytest.mark.parametrize(("module", "option", "value", "said"), WHAT_STUMBLES)
def test_a_module_says_what_ansible_stumbles_over(enter, network, sim, module, option, value, said):
    works = {} if option == "older_than" else MODULES[module][2]
    result = enter(module, **{**works, option: value})
    assert (result["failed"], result["changed"], result["msg"]) == (True, False, said)
    assert (network.calls, sim.requests) == (0, [])


@pytest.mark.parametrize(
    ("module", "secret"),
    [
        *((module, {"client_secret": "Infinity"}) for module in MODULES),
        ("vcc_provider", {"endpoint": "https://hooks.example/", "headers": {"X-Key": "Infinity"}}),
    ],
)
def test_early_failure_masks_secrets(enter, module, secret):
    works = {} if module == "vcc_journal" else MODULES[module][2]
    result = enter(module, **{**works, **secret, "timeout": "-Infinity"})
    assert (result["failed"], result["msg"]) == (True, "timeout has to be a number that ends, not -********.")


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("VCC_REQUESTS_PER_MINUTE", "inf", "requests_per_minute has to be a whole number, not 'inf'."),
        ("VCC_ACCOUNT", "M\udcfcnchen", "account is not valid Unicode: write it in UTF-8."),
    ],
)
@pytest.mark.parametrize("module", MODULES)
def test_so_for_a_variable_of_the_environment(enter, network, monkeypatch, module, variable, text, said):
    monkeypatch.setenv(variable, text)
    result = enter(module, **MODULES[module][2])
    named = f"{variable} in the environment of {os.uname().nodename}: {said}"
    assert (result["failed"], result["changed"], result["msg"]) == (True, False, named)
    assert network.calls == 0


def test_a_line_of_a_file_is_named_too(act, tmp_path):
    path = tmp_path / "skills.jsonl"
    path.write_text('{"external_id": "a", "routing_data": {"skills": [{"name": "x", "expiry_after": "inf"}]}}\n')
    result = act("vcc_interaction", state="dispatched", route="sales", src=str(path))
    said = "routing_data.skills[0].expiry_after has to be a number that ends, not inf."
    assert result["msg"] == f"src {path}, line 1: {said}"


def test_a_number_that_would_take_forever_to_write_is_refused(act):
    assert (
        act("vcc_interaction", external_id="a", timeout="1e999999999")["msg"]
        == "timeout has to be a number of fewer digits."
    )


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
    ],
)
def test_what_ansible_lets_through_or_stumbles_over(act, module, given, said):
    assert act(module, **{**MODULES[module][2], **given})["msg"] == said


# The option that has the address, which VCC's credentials or its token are sent to.
ADDRESSES = [(module, name) for module in MODULES for name in ("api_url", "auth_url")]


@pytest.mark.parametrize(("module", "option"), [one for one in ADDRESSES if not one[0].startswith("vcc_journal")])
@pytest.mark.parametrize("url", ["http://vcc.example", "http://127.0.0.1.example/x", "http://10.0.0.1:8080"])
def test_nothing_is_sent_over_plain_http(act, network, sim, module, option, url):
    result = act(module, **{**MODULES[module][2], option: url})
    assert (
        result["msg"]
        == f"{option} has to begin with https://: over plain http, credentials are sent to this host itself only."
    )
    assert (network.calls, sim.requests) == (0, [])

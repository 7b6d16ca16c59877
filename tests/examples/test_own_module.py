# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the module of the guide in a collection of its own, beside the installed one, and run it against the simulator."""

from __future__ import annotations

import json

import pytest
import yaml

from ansible_collections.vonage.vcc.tests.examples.conftest import Home
from ansible_collections.vonage.vcc.tests.examples.documents import GUIDES, example_with, rst_examples

(GUIDE,) = [path for path in GUIDES if path.stem == "guide_auth"]
EXAMPLES = rst_examples(GUIDE)
MODULE = example_with("def main", EXAMPLES).text
BUILD = example_with("collection init", EXAMPLES)
(PLAY,) = yaml.safe_load(example_with("hosts:", EXAMPLES).text)
CALL = "ansible localhost -m example.vcc_tools.vcc_call_info -a guid={guid}"

TOKEN, STATS = "/Auth/connect/token", "/stats/interactions/"


@pytest.fixture(scope="module")
def built(installed, tmp_path_factory):
    """Return the folders of collections, after the commands of the guide have built and installed the collection of the module."""
    home = Home(tmp_path_factory.mktemp("own"))
    home.write({"vcc_call_info.py": MODULE})
    home.run("\n".join(BUILD.commands))
    return ":".join(str(each.folder / ".ansible" / "collections") for each in (home, installed))


@pytest.fixture
def guid(home, built, simulator):
    """Return the guid of an ongoing interaction."""
    home.environment["ANSIBLE_COLLECTIONS_PATH"] = built
    simulator.dispatch("case-1")
    (guid,) = [item["guid"] for item in simulator.ongoing(page=1, limit=10)["items"]]
    return guid


def made(simulator):
    """Return the calls so far as pairs of address and status, and forget them."""
    return [(TOKEN if call["path"] == TOKEN else STATS, call["status"]) for call in simulator.calls]


def test_every_block_is_covered():
    assert [example.language for example in EXAMPLES] == ["python", "console", "yaml"]
    assert len(MODULE.split('"""\n')[2].strip().splitlines()) <= 40


def test_play(home, simulator, guid):
    task = {**PLAY["tasks"][0], "example.vcc_tools.vcc_call_info": {"guid": guid}}
    printed = home.play([{**PLAY, "tasks": [task, *PLAY["tasks"][1:]]}])
    assert f'"guid": "{guid}"' in printed
    assert "changed=0 " in printed


def test_token_is_reused_and_renewed_and_masked(home, simulator, guid):
    home.environment["VCC_TOKEN_CACHE"] = str(home.folder / "tokens")
    before = len(simulator.calls)
    printed = home.run(f"{CALL.format(guid=guid)} -vvvv; {CALL.format(guid=guid)} -vvvv")
    first = json.loads((home.folder / "tokens").read_text())
    simulator.expire_tokens()
    printed += home.run(f"{CALL.format(guid=guid)} -vvvv")
    second = json.loads((home.folder / "tokens").read_text())
    calls = made(simulator)[before:]
    assert calls == [(TOKEN, 200), (STATS, 200), (STATS, 200), (STATS, 401), (TOKEN, 200), (STATS, 200)]
    tokens = {entry["access_token"] for cache in (first, second) for entry in cache.values()}
    assert len(tokens) == 2
    assert printed.count(f'"guid": "{guid}"') >= 3
    assert [token for token in tokens if token in printed] == []


def test_failures_are_sentences(home, simulator, guid):
    home.environment["VCC_CLIENT_SECRET"] = "wrong"
    printed = home.run(f"{CALL.format(guid=guid)} || true")
    assert (
        '"msg": "VCC refused the client credentials (invalid_client): check client_id, client_secret and region."'
        in printed
    )
    assert "Traceback" not in printed
    home.environment["VCC_CLIENT_SECRET"] = home.environment["VCC_CLIENT_ID"]
    printed = home.run(f"{CALL.format(guid='no')} || true")
    assert "VCC does not show the interaction: HTTP Error 404" in printed

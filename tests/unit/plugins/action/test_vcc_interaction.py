# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action door: which door it takes, and what it makes sure of before either."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("ansible.plugins.action", reason="needs a controller's Python")

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

try:
    from ansible.template import trust_as_template
except ImportError:  # before ansible-core 2.19

    def trust_as_template(template):
        return template


from ansible_collections.vonage.vcc.plugins.action import vcc_interaction

IMPLICIT = {
    "ansible_python_interpreter": trust_as_template("{{ ansible_playbook_python }}"),
    "ansible_playbook_python": sys.executable,
}


class Task(SimpleNamespace):
    """As much of a task as an action plugin asks for."""

    def __init__(self, args=None, **others):
        defaults = {
            "action": "vonage.vcc.vcc_interaction",
            "async_val": 0,
            "check_mode": False,
            "delegate_to": None,
            "diff": False,
            "environment": [],
        }
        super().__init__(args=args or {}, **{**defaults, **others})


def action(task, task_vars=None, transport="local", become=None, basedir="/"):
    loader = DataLoader()
    loader.set_basedir(str(basedir))
    connection = SimpleNamespace(transport=transport, become=become, _shell=SimpleNamespace(tmpdir=None))
    templar = Templar(loader=loader, variables=task_vars or {})
    return vcc_interaction.ActionModule(task, connection, None, loader, templar, None)


@pytest.fixture(autouse=True)
def _no_sessions(monkeypatch):
    monkeypatch.setattr(vcc_interaction, "_sessions", {})


@pytest.mark.parametrize(
    ("task", "task_vars", "others", "here"),
    [
        ({}, {}, {}, True),
        ({}, IMPLICIT, {}, True),
        ({}, {"ansible_python_interpreter": "auto_silent"}, {}, True),
        ({}, {"ansible_python_interpreter": sys.executable}, {}, True),
        ({}, {"ansible_python_interpreter": "/opt/other/bin/python3"}, {}, False),
        ({}, {}, {"transport": "ssh"}, False),
        ({}, {}, {"become": object()}, False),
        ({"async_val": 10}, {}, {}, False),
        ({"environment": [{"VCC_REGION": "nam"}]}, {}, {}, False),
        ({"environment": [{}, None]}, {}, {}, True),
        (
            {"delegate_to": "elsewhere"},
            {"ansible_delegated_vars": {"elsewhere": {"ansible_python_interpreter": "/opt/other/bin/python3"}}},
            {},
            False,
        ),
        ({"delegate_to": "elsewhere"}, {"ansible_delegated_vars": {"elsewhere": IMPLICIT}, **IMPLICIT}, {}, True),
    ],
)
def test_door(task, task_vars, others, here):
    assert action(Task(**task), task_vars, **others)._is_plain_local(task_vars) is here


@pytest.mark.parametrize("error", ["REQUESTS_IMPORT_ERROR", "SQLITE_IMPORT_ERROR"])
def test_a_missing_library_is_the_module_s_to_report(monkeypatch, error):
    monkeypatch.setattr(vcc_interaction, error, "Traceback ...")
    assert action(Task())._is_plain_local({}) is False


def run(sim, basedir="/", **options):
    task = Task(sim.options(**options))
    return action(task, IMPLICIT, basedir=basedir).run(task_vars=IMPLICIT)


def test_items_of_a_loop_share_one_token_and_one_connection(sim):
    sim.dispatch("case-1", "case-2", "case-3")
    for external_id in ("case-1", "case-2", "case-3"):
        assert run(sim, external_id=external_id)["summary"]["api_calls"] == 1
    assert len(sim.token_calls) == 1
    assert len({call["connection"] for call in sim.calls}) == 1


def test_other_credentials_get_a_token_of_their_own(sim):
    sim.add_client("other", "other secret")
    run(sim, external_id="case-1")
    run(sim, external_id="case-1", client_id="other", client_secret="other secret")
    assert len(sim.token_calls) == 2


def test_a_relative_path_begins_in_the_playbook_s_folder(sim, tmp_path):
    sim.dispatch("case-1")
    (tmp_path / "ids.txt").write_text("case-1\n", encoding="utf-8")
    run(sim, tmp_path, src="ids.txt", journal="kept/journal.db", report="report.jsonl", token_cache="tokens/cache.json")
    assert sim.released == ["case-1"]
    assert {path.name for path in tmp_path.iterdir()} >= {"kept", "report.jsonl", "tokens"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"external_ids": "case-1,case-2"}, "external_ids has to be a list, not a string"),
        ({"external_ids": ["case-1", {"id": 2}]}, "external_ids[1] is neither text nor a whole number"),
        ({"external_ids": ["case-1", None]}, "external_ids[1] is neither text nor a whole number"),
        ({"external_id": ["case-1"]}, "external_id is neither text nor a whole number"),
        ({"external_id": True}, "external_id is neither text nor a whole number"),
        ({"external_id": "case-1", "provider": {"name": "x"}}, "provider is neither text nor a whole number"),
        (
            {"external_id": "case-1", "colour": "red"},
            "Unsupported parameters for (vonage.vcc.vcc_interaction) module: colour",
        ),
        ({}, "one of the following is required: external_id, external_ids, src"),
    ],
)
def test_refuses_before_any_call(sim, options, message):
    result = run(sim, **options)
    assert result["failed"] is True
    assert result["msg"].startswith(message)
    assert sim.calls == []


def test_a_whole_number_is_an_id(sim):
    sim.dispatch("4711")
    assert run(sim, external_id=4711)["changed"] is True
    assert sim.live() == []


def test_hides_secrets_and_minted_tokens(sim, tmp_path):
    """A server that repeats the token, and an id that holds the secret."""
    sim.add_client("other", "an-open-secret")
    cache = tmp_path / "tokens.json"
    options = {"client_id": "other", "client_secret": "an-open-secret", "token_cache": str(cache)}
    run(sim, external_id="case-1", **options)
    ((token,),) = ([entry["access_token"]] for entry in json.loads(cache.read_text(encoding="utf-8")).values())
    vcc_interaction._sessions.clear()
    sim.fault("status", status=400, body=json.dumps({"message": f"who is {token}?"}))

    result = run(sim, external_id="case an-open-secret", **options)

    assert result["failed"] is True
    assert "who is" in result["msg"]
    assert "an-open-secret" not in str(result)
    assert token not in str(result)

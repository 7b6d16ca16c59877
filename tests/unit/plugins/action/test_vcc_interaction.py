# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action door: when it is taken, and that it comes to the same as the module door."""

from __future__ import annotations

import collections.abc
import json
import os
import re
import sys

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import become_loader, connection_loader
from ansible.template import Templar, trust_as_template
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ansible_collections.vonage.vcc.plugins.action import vcc_interaction
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Recorder, call_main, run_module
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.generated_tasks import LOST, asked

# A task that needs no network: it asks for nothing.
NOTHING = {"external_ids": [], "region": "emea", "access_token": "t0ken", "journal": ""}


class Vaulted(collections.abc.Sequence):
    """As ansible-core before 2.19 has a !vault value: no text, but it says what it holds."""

    __ENCRYPTED__ = True

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text

    def __getitem__(self, index):
        return self.text[index]

    def __len__(self):
        return len(self.text)


class Unsafe(str):
    """As ansible-core before 2.19 has an !unsafe value: it never turns into mere text."""

    def _itself(self):
        return self

    __str__ = _itself

    def __getitem__(self, index):
        return Unsafe(super().__getitem__(index))

    def encode(self, *_arguments, **_options):
        raise AssertionError("what this returned would not be mere bytes")


class Door(vcc_interaction.ActionModule):
    """The action plugin up to where it would start the module."""

    def _execute_module(self, **arguments):
        self.handed_over = arguments
        return {"door": "module"}


@pytest.fixture(autouse=True)
def _no_clients(monkeypatch):
    """A worker of Ansible begins without any."""
    clients = {}
    monkeypatch.setattr(vcc_interaction, "_clients", clients)
    yield
    for client in clients.values():
        client.close()


@pytest.fixture
def door(tmp_path):
    """Makes the action of a task, in a playbook that lies in the test's folder."""

    def make(args=None, transport="local", become=None, variables=None, **fields):
        loader = DataLoader()
        loader.set_basedir(str(tmp_path))
        task = Task()
        task.action = "vonage.vcc.vcc_interaction"
        task.args = NOTHING if args is None else args
        for name, value in {"check_mode": False, "diff": False, **fields}.items():
            setattr(task, name, value)
        play_context = PlayContext()
        connection = connection_loader.get(transport, play_context, os.devnull)
        if become:
            connection.set_become_plugin(become_loader.get(become))
        templar = Templar(loader=loader, variables=variables or {})
        return Door(task, connection, play_context, loader, templar, None)

    return make


def taken(action, task_vars=None):
    """Which door a task goes through."""
    result = action.run(task_vars=task_vars or {})
    if result.get("door") == "module":
        return "module"
    assert result["summary"]["requested"] == 0, result
    return "action"


class TestWhichDoor:
    def test_a_plain_local_task(self, door):
        assert taken(door()) == "action"

    @pytest.mark.parametrize(
        "condition",
        [
            {"transport": "ssh"},
            {"become": "sudo"},
            {"async_val": 30},
            {"environment": [{"HTTPS_PROXY": "https://proxy.example"}]},
            {"environment": [{}, {"A": "b"}]},
        ],
        ids="-".join,
    )
    def test_what_is_not_the_same_as_running_the_module(self, door, condition):
        assert taken(door(**condition)) == "module"

    @pytest.mark.parametrize("environment", [None, [], [{}], [None]])
    def test_an_empty_environment_is_none(self, door, environment):
        assert taken(door(environment=environment)) == "action"

    @pytest.mark.parametrize(
        ("interpreter", "which"),
        [
            (sys.executable, "action"),
            ("auto", "action"),
            ("auto_silent", "action"),
            ("/opt/other/bin/python", "module"),
            ("{{ ansible_playbook_python }}", "action"),
            ("{{ ansible_playbook_python }}3", "module"),
        ],
    )
    def test_the_interpreter_counts(self, door, interpreter, which):
        """The implicit localhost has the controller's own, as a template."""
        variables = {
            "ansible_playbook_python": sys.executable,
            "ansible_python_interpreter": trust_as_template(interpreter),
        }
        assert taken(door(variables=variables), variables) == which

    def test_so_does_that_of_the_environment(self, door, monkeypatch):
        monkeypatch.setenv("ANSIBLE_PYTHON_INTERPRETER", "/opt/other/bin/python")
        assert taken(door()) == "module"

    @pytest.mark.parametrize(
        ("interpreter", "which"), [(sys.executable, "action"), ("/opt/other/bin/python", "module")]
    )
    def test_a_delegate_brings_its_own(self, door, interpreter, which):
        variables = {
            "ansible_python_interpreter": "/opt/of/the/host/bin/python",
            "ansible_delegated_vars": {"localhost": {"ansible_python_interpreter": interpreter}},
        }
        assert taken(door(delegate_to="localhost"), variables) == which

    @pytest.mark.parametrize("name", ["REQUESTS_IMPORT_ERROR", "SQLITE_IMPORT_ERROR"])
    def test_a_library_that_the_controller_lacks(self, door, monkeypatch, name):
        monkeypatch.setattr(vcc_interaction, name, "Traceback")
        assert taken(door()) == "module"

    def test_the_module_gets_what_it_needs(self, door):
        action = door(async_val=30)
        action.run(task_vars={"some": "variable"})
        assert action.handed_over == {"task_vars": {"some": "variable"}, "wrap_async": True}
        action = door(become="sudo")
        action.run(task_vars={})
        assert not action.handed_over["wrap_async"]


class TestWhatIsGiven:
    """Ansible makes text of what is none, and a list of a string, before the engine sees it."""

    @pytest.mark.parametrize("transport", ["local", "ssh"])
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"external_ids": "a,b"}, "external_ids has to be a list, not a string: an id may hold commas"),
            ({"external_ids": ["a", None]}, "external_ids[1] is neither text nor a whole number"),
            ({"external_ids": [{"id": "a"}]}, "external_ids[0] is neither text nor a whole number"),
            ({"external_ids": ["a", "b", 1.5]}, "external_ids[2] is neither text nor a whole number"),
            ({"external_ids": [True]}, "external_ids[0] is neither text nor a whole number"),
            ({"external_id": {"a": "b"}}, "external_id is neither text nor a whole number"),
            ({"external_id": ["a"]}, "external_id is neither text nor a whole number"),
            ({"external_id": "a", "request_id": 1.5}, "request_id is neither text nor a whole number"),
            ({"external_id": "a", "provider": ["p"]}, "provider is neither text nor a whole number"),
        ],
    )
    def test_is_refused_at_either_door(self, door, transport, given, said):
        result = door({"region": "emea", "access_token": "t0ken", **given}, transport).run(task_vars={})
        assert result["failed"]
        assert result["msg"].startswith(said)

    @pytest.mark.parametrize("kind", [Vaulted, Unsafe])
    def test_vaulted_and_unsafe_texts_are_text(self, door, sim, kind):
        sim.register("crm")
        given = sim.options(
            state=kind("dispatched"),
            route=kind("sales"),
            provider=kind("crm"),
            interactions=[
                {"external_id": kind("a"), "linked_data": [{"type": kind("name"), "value": kind("Ada")}]},
                {"external_id": kind("{{ b }}")},
            ],
        )
        wrapped = {name: kind(value) if isinstance(value, str) else value for name, value in given.items()}
        result = door({**wrapped, "timeout": kind("20")}).run(task_vars={})
        assert result["summary"]["dispatched"] == 2, result
        assert [type(one["external_id"]) for one in result["interactions"]] == [str, str]
        assert b'"linkeddata":[{"type":"name","value":"Ada"}]' in sim.bodies()[0]
        listed = door(sim.options(external_ids=[kind("a"), kind("{{ b }}")], provider=kind("crm"))).run(task_vars={})
        assert [one["external_id"] for one in listed["interactions"]] == ["a", "{{ b }}"]
        assert sim.live(provider="crm") == []

    @pytest.mark.parametrize("kind", [Vaulted, Unsafe])
    def test_so_they_are_where_the_module_runs(self, door, kind):
        action = door({"external_id": kind("a"), "external_ids": [kind("b")]}, transport="ssh")
        assert action.run(task_vars={})["door"] == "module"

    def test_numbers_are_text_with_a_warning(self, door):
        action = door({**NOTHING, "external_ids": [83, "a", 45045], "retries": 1}, check_mode=True)
        result = action.run(task_vars={})
        assert [one["external_id"] for one in result["interactions"]] == ["83", "a", "45045"]
        (warning,) = result["warnings"]
        assert warning.startswith(
            "A bare number is taken as text: external_ids[0] as '83', external_ids[2] as '45045'."
        )

    def test_so_they_are_wherever_a_text_is_wanted(self, door):
        data = {
            "linked_data": [{"type": "name", "value": 1}],
            "routing_data": {
                "personal_queue": {"agent": 2, "logged_in_timeout": 60},
                "skills": [{"name": "French"}, {"name": 3, "expiry_after": 5}],
            },
        }
        given = {
            **NOTHING,
            "state": "dispatched",
            "route": 4,
            "provider": 5,
            "interactions": [{"external_id": 6, **data}],
        }
        del given["external_ids"]
        (warning,) = door(given, check_mode=True).run(task_vars={})["warnings"]
        assert warning.startswith(
            "A bare number is taken as text: interactions[0].external_id as '6', interactions[0].linked_data[0].value as '1',"
            " interactions[0].routing_data.personal_queue.agent as '2', interactions[0].routing_data.skills[1].name as '3',"
            " route as '4' and 1 more."
        )

    def test_the_same_warning_comes_from_the_module(self, door, sim, tmp_path):
        given = sim.options(external_id=83, client_id=CLIENT_ID)
        (warning,) = door(given, check_mode=True).run(task_vars={})["warnings"]
        (by_module,) = run_module(tmp_path, True, **given)[0]["warnings"]
        # Some versions of ansible-core write it in an object.
        assert warning == (by_module if isinstance(by_module, str) else by_module["event"]["msg"])

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({}, "one of the following is required: external_id, external_ids, src"),
            ({"external_id": "a", "external_ids": ["b"]}, "parameters are mutually exclusive"),
            ({"external_id": "a", "region": "mars"}, "value of region must be one of: emea, nam, apac, got: mars"),
            (
                {"external_id": "a", "colour": "blue"},
                "Unsupported parameters for (vonage.vcc.vcc_interaction) module: colour",
            ),
            ({"external_id": "a", "timeout": "soon"}, "timeout"),
        ],
    )
    def test_what_ansible_refuses(self, door, given, said):
        result = door({"access_token": "t0ken", **given}).run(task_vars={})
        assert result["failed"]
        assert said in result["msg"]

    def test_the_environment_of_the_controller_serves(self, door, sim, monkeypatch):
        for name, value in sim.options().items():
            monkeypatch.setenv(f"VCC_{name.upper()}", str(value))
        assert door({"external_id": "a"}).run(task_vars={})["changed"]
        assert sim.released == ["a"]


class TestTheSame:
    """Both doors, for one input."""

    def story(self, run, folder):
        """What the same three tasks come to: in check mode, for real, and again."""
        (folder / "ids.txt").write_text("a\nbad\nü\n")
        given = {"src": "ids.txt", "report": "report.jsonl", "journal": "sub/journal.db"}
        results = [run(check=True, **given), run(check=False, **given), run(check=False, **given)]
        for result in results:
            result.pop("invocation", None)
            for one in result["interactions"]:
                one["request_id"] = bool(one["request_id"])
        files = sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))
        return results, files, (folder / "report.jsonl").stat().st_mode

    def test_comes_to_the_same(self, sim, door, tmp_path):
        sim.poison("bad")
        there = tmp_path / "there"
        there.mkdir()

        def by_action(check, **given):
            return door(sim.options(**given), check_mode=check, diff=True).run(task_vars={})

        def by_module(check, **given):
            return run_module(there, check, True, **sim.options(**given))[0]

        module_results, module_files, module_mode = self.story(by_module, there)
        for each in sorted(there.rglob("*"), reverse=True):
            each.rmdir() if each.is_dir() else each.unlink()
        there.rmdir()
        sim.reset()
        sim.poison("bad")
        action_results, action_files, action_mode = self.story(by_action, tmp_path)
        assert action_results == module_results
        assert action_files == module_files
        assert action_mode == module_mode
        assert [result["summary"]["released"] for result in action_results] == [3, 2, 0]

    @pytest.mark.parametrize(
        "given",
        [
            {"external_id": ""},
            {"external_id": "a", "client_secret": "wr0ng"},
            {"external_id": "a", "timeout": "inf"},
            {"external_id": "a", "routing_data": "personal_queue={'agent': 'a', 'logged_in_timeout': 'inf'}"},
            {"src": "none.txt"},
            {},
        ],
    )
    def test_fails_the_same(self, sim, door, tmp_path, given):
        by_module = run_module(tmp_path, **sim.options(**given))[0]
        by_action = door(sim.options(**given)).run(task_vars={})
        for result in (by_module, by_action):
            result.pop("invocation", None)
        assert by_action == {**by_module, "msg": by_module["msg"].replace("src none.txt", f"src {tmp_path}/none.txt")}

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("TIMEOUT", "abc"),
            ("TIMEOUT", "0"),
            ("TOKEN_CACHE", "x"),
            ("CA_PATH", "/nowhere"),
            ("JOURNAL", "/dev/null/x"),
        ],
    )
    def test_says_the_same_of_the_environment(self, sim, door, monkeypatch, variable, value):
        monkeypatch.setenv(f"VCC_{variable}", value)
        given = sim.options(external_id="a")
        given.pop(variable.lower(), None)
        by_module = call_main("vcc_interaction", **given)[0]
        by_action = door(given).run(task_vars={})
        assert by_module["msg"].startswith(f"VCC_{variable} in the environment of {os.uname().nodename}: ")
        assert by_action["msg"] == by_module["msg"]
        assert sim.calls == []

    def test_takes_the_same_for_not_set(self, sim, door, tmp_path):
        blank = dict.fromkeys(
            ["region", "account", "timeout", "requests_per_minute", "provider", "request_id", "src"], ""
        )
        given = sim.options(**{**blank, "retries": None, "interactions": None}, external_id="a", journal="none")
        results = [call_main("vcc_interaction", **given)[0], door(given).run(task_vars={})]
        assert [result["changed"] for result in results] == [True, True]
        assert sim.released == ["a", "a"]
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(("how", "examples"), [("process", 2), ("main", 30)])
    def test_comes_to_the_same_whatever_came_before(self, door, tmp_path, how, examples):
        """A task without an answer, what check mode says then, another task, and the first one again; with the module as a process, or but its code."""

        def by_action(check, **given):
            return door(given, check_mode=check, diff=True).run(task_vars={})

        def by_module(check, **given):
            if how == "process":
                return run_module(tmp_path, check, True, **given)[0]
            return call_main("vcc_interaction", check, True, **given)[0]

        @given(
            first=asked().filter(lambda one: one.journaled and len(one.entries) > 1 and one.worklist()),
            second=asked().filter(lambda one: one.journaled and len(one.entries) > 1),
            loss=st.sampled_from(sorted(LOST)),
        )
        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],  # a smaller example is not worth what it takes
            suppress_health_check=list(HealthCheck),
        )
        def holds(first, second, loss):
            history = [(first, loss, False), (first, None, True), (second, None, False), (first, None, False)]
            told = [
                self.told(history, run, tmp_path / folder, how == "process")
                for run, folder in ((by_action, "action"), (by_module, "module"))
            ]
            assert told[0] == told[1]

        holds()

    def told(self, history, run, folder, warned):
        """What a history comes to at one door: results, and what VCC did, with request ids numbered as they come."""
        for path in folder.glob("kept/*"):
            path.unlink()
        (folder / "kept").mkdir(parents=True, exist_ok=True)
        results = []
        with Recorder() as sim:
            sim.register("crm")
            for asked_for, loss, check in history:
                if loss:
                    sim.fault(**LOST[loss][0])
                result = run(check, **sim.options(**asked_for.options(folder)))
                result.pop("invocation", None)
                # ansible-core's way to write them differs, and in this process it writes those of a module elsewhere.
                warnings = result.pop("warnings", ())
                result["warnings"] = len(warnings) if warned else None
                results.append(result)
            text = json.dumps([results, sim.effects, sim.ignored], sort_keys=True)
            text = text.replace(str(folder), "FOLDER").replace(sim.url, "URL")
        numbers = {}
        return json.loads(
            re.sub("[0-9a-f]{32}", lambda found: f"random {numbers.setdefault(found.group(), len(numbers))}", text)
        )


class TestLoop:
    def test_its_items_share_a_token_and_a_connection(self, door, sim):
        for name in "abc":
            assert door(sim.options(external_id=name)).run(task_vars={})["changed"]
        assert len(sim.token_calls) == 1
        assert len({call["connection"] for call in sim.calls}) == 1

    def test_its_items_may_be_of_different_accounts(self, door, sim):
        sim.add_client("second", "s3cret")
        for client in ({}, {"client_id": "second", "client_secret": "s3cret"}, {}):
            door(sim.options(external_id="a", **client)).run(task_vars={})
        assert len(sim.token_calls) == 2


class TestSecrets:
    def test_of_the_task(self, door, sim):
        sim.add_client("second", "very-s3cret")
        sim.fault("status", status=400, body={"message": "no very-s3cret, please"})
        result = door(sim.options(external_id="a", client_id="second", client_secret="very-s3cret")).run(task_vars={})
        assert "VCC refused it with status 400: " in result["msg"]
        assert "very-s3cret" not in json.dumps(result)

    @pytest.mark.parametrize("secret", ["very-s3cret", 'very "s3cret" \\', "sécret 🎧", "12345"])
    def test_of_the_environment(self, door, sim, monkeypatch, secret):
        sim.add_client("second", secret)
        monkeypatch.setenv("VCC_CLIENT_SECRET", secret)
        options = sim.options(external_id=f"about {secret}", client_id="second")
        del options["client_secret"]
        result = door(options).run(task_vars={})
        assert result["changed"]
        assert result["interactions"][0]["external_id"] == "about ********"
        assert json.dumps(secret)[1:-1] not in json.dumps(result)

    def test_a_token_that_the_task_got_itself(self, door, sim):
        options = sim.options(external_id="a")
        door(options).run(task_vars={})
        token = sim.requests[-1]["headers"]["Authorization"].split()[1]
        sim.fault("status", status=400, body={"message": f"not with {token}"})
        result = door(sim.options(external_id="b")).run(task_vars={})
        assert "VCC refused it with status 400: " in result["msg"]
        assert token not in json.dumps(result)

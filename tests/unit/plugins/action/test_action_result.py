# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin returns the result of the module."""

from __future__ import annotations

import json
import os
import re

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Recorder, call_main, run_module
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.generated_tasks import LOST, asked


class TestSameResult:
    """The action plugin and the module return the same result for the same input."""

    def run_three_times(self, run, folder):
        """Run a task in check mode, for real and again. Return the results, the files, and the mode of the report."""
        (folder / "ids.txt").write_text("a\nbad\nü\n")
        given = {"src": "ids.txt", "report": "report.jsonl", "journal": "sub/journal.db"}
        results = [run(check=True, **given), run(check=False, **given), run(check=False, **given)]
        for result in results:
            result.pop("invocation", None)
            result.pop("run_id", None)
            location = result["journal"].pop("location")
            assert location == (str(folder / "sub" / "journal.db"))
            for one in result["interactions"]:
                one["request_id"] = bool(one["request_id"])
        files = sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))
        return results, files, (folder / "report.jsonl").stat().st_mode

    def test_results_and_files_are_equal(self, sim, make_action, tmp_path):
        sim.poison("bad")
        there = tmp_path / "there"
        there.mkdir()

        def by_action(check, **given):
            return make_action(sim.options(**given), check_mode=check, diff=True).run(task_vars={})

        def by_module(check, **given):
            return run_module(there, check, True, **sim.options(**given))[0]

        module_results, module_files, module_mode = self.run_three_times(by_module, there)
        for each in sorted(there.rglob("*"), reverse=True):
            each.rmdir() if each.is_dir() else each.unlink()
        there.rmdir()
        sim.reset()
        sim.poison("bad")
        action_results, action_files, action_mode = self.run_three_times(by_action, tmp_path)
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
    def test_failures_are_equal(self, sim, make_action, tmp_path, given):
        by_module = run_module(tmp_path, **sim.options(**given))[0]
        by_action = make_action(sim.options(**given)).run(task_vars={})
        for result in (by_module, by_action):
            result.pop("invocation", None)
            result.pop("run_id", None)
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
    def test_messages_about_environment_are_equal(self, sim, make_action, monkeypatch, variable, value):
        monkeypatch.setenv(f"VCC_{variable}", value)
        given = sim.options(external_id="a")
        given.pop(variable.lower(), None)
        by_module = call_main("vcc_interaction", **given)[0]
        by_action = make_action(given).run(task_vars={})
        assert by_module["msg"].startswith(f"VCC_{variable} in the environment of {os.uname().nodename}: ")
        assert by_action["msg"] == by_module["msg"]
        assert sim.calls == []

    def test_blank_options_count_as_unset(self, sim, make_action, tmp_path):
        blank = dict.fromkeys(
            ["region", "account", "timeout", "requests_per_minute", "provider", "request_id", "src"], ""
        )
        given = sim.options(**{**blank, "retries": None, "interactions": None}, external_id="a", journal="none")
        results = [call_main("vcc_interaction", **given)[0], make_action(given).run(task_vars={})]
        assert [result["changed"] for result in results] == [True, True]
        assert sim.released == ["a", "a"]
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(("how", "examples"), [("process", 2), ("main", 30)])
    def test_results_are_equal_after_generated_tasks(self, make_action, tmp_path, how, examples):
        """Run a task whose answer is lost, the same task in check mode, another task, and the first task again.

        The module runs as a process, or in this process by its main function.
        """

        def by_action(check, **given):
            return make_action(given, check_mode=check, diff=True).run(task_vars={})

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
            phases=[Phase.generate],  # without shrinking, which takes too long
            suppress_health_check=list(HealthCheck),
        )
        def holds(first, second, loss):
            history = [(first, loss, False), (first, None, True), (second, None, False), (first, None, False)]
            outcomes = [
                self.run_history(history, run, tmp_path / folder, how == "process")
                for run, folder in ((by_action, "action"), (by_module, "module"))
            ]
            assert outcomes[0] == outcomes[1]

        holds()

    def run_history(self, history, run, folder, warned):
        """Run a history of tasks, and return their results and the effects at VCC. Request ids are numbered in order of appearance."""
        for path in folder.glob("kept/*"):
            path.unlink()
        (folder / "kept").mkdir(parents=True, exist_ok=True)
        results = []
        with Recorder() as sim:
            sim.register("crm")
            for asked_for, loss, check in history:
                if loss:
                    sim.fault(**LOST[loss][0])
                result = run(check, **sim.options(**asked_for.options(folder, str(folder / "journal.db"))))
                result.pop("invocation", None)
                # Their form depends on the version of ansible-core, which writes those of a main function in this process elsewhere.
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
    def test_items_share_token_and_connection(self, make_action, sim):
        for name in "abc":
            assert make_action(sim.options(external_id=name)).run(task_vars={})["changed"]
        assert len(sim.token_calls) == 1
        assert len({call["connection"] for call in sim.calls}) == 1

    def test_items_of_different_accounts_use_own_tokens(self, make_action, sim):
        sim.add_client("second", "s3cret")
        for client in ({}, {"client_id": "second", "client_secret": "s3cret"}, {}):
            make_action(sim.options(external_id="a", **client)).run(task_vars={})
        assert len(sim.token_calls) == 2


class TestSecrets:
    def test_secret_of_task_is_not_in_result(self, make_action, sim):
        sim.add_client("second", "very-s3cret")
        sim.fault("status", status=400, body={"message": "no very-s3cret, please"})
        result = make_action(sim.options(external_id="a", client_id="second", client_secret="very-s3cret")).run(
            task_vars={}
        )
        assert "VCC refused the request with status 400: " in result["msg"]
        assert "very-s3cret" not in json.dumps(result)

    @pytest.mark.parametrize("secret", ["very-s3cret", 'very "s3cret" \\', "sécret 🎧", "12345"])
    def test_secret_of_environment_is_masked(self, make_action, sim, monkeypatch, secret):
        sim.add_client("second", secret)
        monkeypatch.setenv("VCC_CLIENT_SECRET", secret)
        options = sim.options(external_id=f"about {secret}", client_id="second")
        del options["client_secret"]
        result = make_action(options).run(task_vars={})
        assert result["changed"]
        assert result["interactions"][0]["external_id"] == "about ********"
        assert json.dumps(secret)[1:-1] not in json.dumps(result)

    def test_requested_token_is_not_in_result(self, make_action, sim):
        options = sim.options(external_id="a")
        make_action(options).run(task_vars={})
        token = sim.requests[-1]["headers"]["Authorization"].split()[1]
        sim.fault("status", status=400, body={"message": f"not with {token}"})
        result = make_action(sim.options(external_id="b")).run(task_vars={})
        assert "VCC refused the request with status 400: " in result["msg"]
        assert token not in json.dumps(result)

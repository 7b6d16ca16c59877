# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin runs a task in Ansible's own process if that equals running the module."""

from __future__ import annotations

import sys

import pytest
from ansible.template import trust_as_template

from ansible_collections.vonage.vcc.plugins.action import vcc_interaction


def runner_of(action, task_vars=None):
    """Return whether the action plugin ran a task itself ("action") or started the module ("module")."""
    result = action.run(task_vars=task_vars or {})
    if result.get("action") == "module":
        return "module"
    assert result["summary"]["requested"] == 0, result
    return "action"


class TestExecution:
    def test_local_task_runs_in_action(self, make_action):
        assert runner_of(make_action()) == "action"

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
    def test_module_runs_if_result_would_differ(self, make_action, condition):
        assert runner_of(make_action(**condition)) == "module"

    @pytest.mark.parametrize("environment", [None, [], [{}], [None]])
    def test_task_with_empty_environment_runs_in_action(self, make_action, environment):
        assert runner_of(make_action(environment=environment)) == "action"

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
    def test_action_runs_only_with_interpreter_of_controller(self, make_action, interpreter, which):
        """The implicit localhost has the interpreter of the controller as a template."""
        variables = {
            "ansible_playbook_python": sys.executable,
            "ansible_python_interpreter": trust_as_template(interpreter),
        }
        assert runner_of(make_action(variables=variables), variables) == which

    def test_module_runs_with_other_interpreter_of_environment(self, make_action, monkeypatch):
        monkeypatch.setenv("ANSIBLE_PYTHON_INTERPRETER", "/opt/other/bin/python")
        assert runner_of(make_action()) == "module"

    @pytest.mark.parametrize(
        ("interpreter", "which"), [(sys.executable, "action"), ("/opt/other/bin/python", "module")]
    )
    def test_interpreter_of_delegate_decides(self, make_action, interpreter, which):
        variables = {
            "ansible_python_interpreter": "/opt/of/the/host/bin/python",
            "ansible_delegated_vars": {"localhost": {"ansible_python_interpreter": interpreter}},
        }
        assert runner_of(make_action(delegate_to="localhost"), variables) == which

    @pytest.mark.parametrize("name", ["REQUESTS_IMPORT_ERROR", "SQLITE_IMPORT_ERROR"])
    def test_module_runs_if_controller_lacks_library(self, make_action, monkeypatch, name):
        monkeypatch.setattr(vcc_interaction, name, "Traceback")
        assert runner_of(make_action()) == "module"

    def test_module_gets_task_vars_and_async(self, make_action):
        action = make_action(async_val=30)
        action.run(task_vars={"some": "variable"})
        assert action.handed_over == {"task_vars": {"some": "variable"}, "wrap_async": True}
        action = make_action(become="sudo")
        action.run(task_vars={})
        assert not action.handed_over["wrap_async"]

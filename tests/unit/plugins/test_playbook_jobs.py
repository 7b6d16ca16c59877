# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks as jobs of AAP and AWX run them: with the answers of a survey, in slices, and on hosts; real runs of ansible-playbook."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import signal
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import TIMEOUT

IDS = ["case-1", "case-2", "case-3"]

# Ids that an operator may enter into a text area, and the text that the browser sends.
ODD_IDS = ["007", "1_000", "True", "a, b", "C:\\new\\1", 'it\'s "quoted"', "{{ x }}", "{% y %}", "{a: 1}", "[x] y"]
TEXT_AREA = "\r\n".join(["", *ODD_IDS, "  ", ""])

TELLS = "Nothing has been done: localhost is not in the inventory of this job"
LOST = "The task ended without a result, so VCC may have processed some of the interactions: run the job"
UNSENT = "Nothing has been sent: see the error above."


@pytest.mark.parametrize(
    ("name", "text"),
    [("release_interactions", TEXT_AREA), ("release_interactions", json.dumps(ODD_IDS)), ("drain_route", TEXT_AREA)],
    ids=["lines", "json", "drain"],
)
def test_ids_in_text_are_released(sim, play, name, text):
    # The setting changes ansible-core 2.16 alone.
    code, printed = play(name, {"vcc_external_ids": text}, env={"ANSIBLE_JINJA2_NATIVE": "true"})
    assert code == 0, printed
    assert sorted(sim.released) == sorted(ODD_IDS)
    assert f"{len(ODD_IDS)} requested: {len(ODD_IDS)} released" in printed


@pytest.mark.parametrize("external_id", ["[1]", "{{ x }}"])
def test_id_that_looks_like_list_or_template_is_released(sim, play, external_id):
    code, printed = play("release_interaction", {"vcc_external_id": external_id})
    assert code == 0, printed
    assert sim.released == [external_id]


@pytest.mark.parametrize(
    ("answer", "external_id", "said"),
    [
        (7, "7", "A number without quotes is used as text: external_ids[0] as '7'"),
        (datetime.date(2026, 11, 28), "2026-11-28", "1 requested: 1 released"),
    ],
    ids=str,
)
def test_id_that_has_become_another_type_is_released(sim, play, answer, external_id, said):
    """ansible-core 2.19 and newer convert such an answer. A warning says that leading zeros are lost."""
    code, printed = play("release_interactions", {"vcc_external_ids": answer})
    assert code == 0, printed
    assert sim.released == [external_id]
    assert said in printed


DISPATCH = {
    "vcc_route": "sales",
    "vcc_interactions": [
        {"external_id": "{{ x }}", "linked_data": [{"type": "name", "value": "Zoë \U0001f600"}]},
        {"external_id": "007", "routing_data": {"personal_queue": {"agent": "ann", "logged_in_timeout": 30}}},
        {"external_id": "case-3"},
    ],
    "vcc_linked_data": [{"type": "url", "value": "https://crm.example/?a=1,2", "label": "it's \\1"}],
    "vcc_routing_data": {"interaction_type": "nonlive", "skills": [{"name": "French", "expiry_after": 60}]},
    "vcc_force": False,
    "vcc_max_failures": 5,
    "vcc_journal_ttl": 60,
    "vcc_requests_per_minute": 6000,
    "vcc_validate_certs": True,
}
REGISTER = {
    "vcc_provider": "crm",
    "vcc_endpoint": "https://hooks.example/",
    "vcc_headers": {"Authorization": "Bearer {{ x }}", "X-Number": "007"},
    "vcc_agent_actions_permitted": {"release": True, "hold": False},
    "vcc_force": True,
}


@pytest.mark.parametrize(
    ("name", "given", "path", "write"),
    [
        ("dispatch_interaction", DISPATCH, "/interactions/Invoke", yaml.safe_dump),
        ("dispatch_interaction", DISPATCH, "/interactions/Invoke", lambda data: json.dumps(data, indent="\t")),
        ("register_provider", REGISTER, "/interactions/Register", yaml.safe_dump),
    ],
    ids=["yaml", "json", "provider"],
)
def test_text_equals_data(sim, play, name, given, path, write):
    """The call is the same, whether the variables are lists, dictionaries, numbers and booleans, or text."""
    others = {"vcc_journal": "none", **({"vcc_idempotency_key": "CHG1"} if "vcc_route" in given else {})}
    texts = {
        variable: value if isinstance(value, str) else write(value).removesuffix("\n...\n")
        for variable, value in given.items()
    }
    for variables in (given, texts):
        code, printed = play(name, {**variables, **others})
        assert code == 0, printed
    first, second = map(json.loads, sim.bodies(path))
    assert first == second


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("release_interactions", {"vcc_external_ids": "[a, b]"}, "vcc_external_ids must be a list, or text"),
        ("release_interactions", {"vcc_external_ids": {"a": 1}}, "vcc_external_ids must be a list, or text"),
        (
            "release_interactions",
            {"vcc_external_ids": "\r\n"},
            "Set exactly one of vcc_external_ids (a list of ids) and vcc_src",
        ),
        ("release_interactions", {"vcc_external_ids": 1.5}, 'write a single id as a list, such as ["1.50"]'),
        ("release_interaction", {"vcc_external_id": True}, "external_id is neither text nor a whole number"),
        ("release_interaction", {"vcc_external_id": None}, "vcc_external_id is missing"),
        ("drain_route", {"vcc_external_ids": "['a']"}, "vcc_external_ids must be a list, or text"),
        (
            "dispatch_interaction",
            {"vcc_interactions": "case-1"},
            "vcc_interactions must be a list, or JSON or YAML",
        ),
        (
            "dispatch_interaction",
            {"vcc_interactions": "{}"},
            "vcc_interactions must be a list, or JSON or YAML",
        ),
        (
            "dispatch_interaction",
            {"vcc_external_id": "a", "vcc_linked_data": "type: name"},
            "vcc_linked_data must be a list, or JSON or YAML text of one, such as [{",
        ),
        (
            "dispatch_interaction",
            {"vcc_external_id": "a", "vcc_routing_data": "- live"},
            "vcc_routing_data must be a dictionary, or JSON or YAML text of one, such as {",
        ),
        (
            "register_provider",
            {"vcc_provider": "crm", "vcc_agent_actions_permitted": "release"},
            "vcc_agent_actions_permitted must be a dictionary, or JSON or YAML text",
        ),
        (
            "register_provider",
            {"vcc_provider": "crm", "vcc_headers": "Authorization: Bearer s3cret: *s3cret"},
            "vcc_headers must be a dictionary, or JSON or YAML text",
        ),
    ],
    ids=str,
)
def test_message_names_the_variable(sim, play, name, given, said):
    code, printed = play(name, {"vcc_route": "sales", **given})
    assert code != 0
    assert said in printed
    assert "s3cret" not in printed
    assert sim.calls == []


def slices(start, given, folder, **environment):
    """Run the slices of a job at once, one inventory each, of which one has localhost. Return the output and the exit status of each."""
    given = {"vcc_route": "sales", "vcc_interactions": json.dumps([{"external_id": each} for each in IDS]), **given}
    inventory = folder / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"web2": {}, "localhost": {"ansible_connection": "local"}}}}))
    processes = [
        start("dispatch_interaction", given, "-i", str(each), env=environment) for each in ("web1,", inventory, "web3,")
    ]
    return [(" ".join(process.communicate(timeout=TIMEOUT)[0].split()), process.returncode) for process in processes]


def dispatched(sim):
    """Return the external ids of all dispatches, sorted."""
    return sorted(effect["external_id"] for effect in sim.effects if effect["action"] == "dispatch")


def test_only_slice_with_localhost_dispatches(sim, start, tmp_path):
    names = {"awx_job_template_name": "Dispatch", "awx_workflow_job_name": "Dispatch"}
    for given in ({"awx_job_id": 7}, {"awx_job_id": 7, **names}):
        sim.reset()
        ends = slices(start, {**given, "vcc_journal": "none"}, tmp_path)
        assert [code for dummy, code in ends] == [0, 0, 0]
        assert [TELLS in printed for printed, dummy in ends] == [True, False, True]
        assert ["3 requested: 3 dispatched" in printed for printed, dummy in ends] == [False, True, False]
        assert dispatched(sim) == IDS


@pytest.mark.parametrize("name", ["release_interaction", "release_interactions", "drain_route"])
def test_slice_without_localhost_releases_nothing(sim, play, name):
    given = {"vcc_external_id": "a"} if name == "release_interaction" else {"vcc_external_ids": ["a"]}
    code, printed = play(name, {"awx_job_id": 7, "vcc_reason": "CHG-1", **given}, "-i", "web1,")
    assert code == 0
    assert TELLS in printed
    assert "add localhost" in printed.lower()
    assert UNSENT not in printed
    assert sim.calls == []


@pytest.mark.parametrize("names", [{}, {"awx_workflow_job_name": "Nightly"}], ids=str)
def test_job_that_is_no_slice_fails_without_localhost(sim, play, names):
    """In a workflow or alone, only the failure shows that the job has done nothing."""
    given = {"awx_job_id": 7, "awx_job_template_name": "Release", "vcc_external_ids": ["a"], **names}
    code, printed = play("release_interactions", given, "-i", "web1,")
    assert code != 0
    assert TELLS in printed
    assert UNSENT in printed
    assert sim.calls == []


@pytest.mark.parametrize(
    ("given", "environment"),
    [
        ({"vcc_idempotency_key": "CHG1"}, {}),
        ({}, {"VCC_IDEMPOTENCY_KEY": "CHG1"}),
        ({"vcc_journal": ""}, {"VCC_JOURNAL": "URL"}),
        ({"vcc_journal": "URL"}, {"VCC_JOURNAL": ""}),
    ],
    ids=str,
)
def test_slices_with_same_key_or_journal_dispatch_once(sim, start, tmp_path, postgresql_url, given, environment):
    """With a key, or a journal in PostgreSQL, each slice works through the list, and VCC processes each interaction once."""
    given, environment = (
        {name: postgresql_url if value == "URL" else value for name, value in each.items()}
        for each in (given, environment)
    )
    environment.setdefault("VCC_JOURNAL", "none")
    ends = slices(start, {"awx_job_id": 7, **given}, tmp_path, **environment)
    assert [code for dummy, code in ends] == [0, 0, 0], ends
    assert [TELLS in printed for printed, dummy in ends] == [False] * 3
    assert dispatched(sim) == IDS


def test_slices_with_same_request_id_dispatch_once(sim, start, tmp_path):
    ends = slices(
        start,
        {
            "awx_job_id": 7,
            "vcc_interactions": "",
            "vcc_external_id": "a",
            "vcc_request_id": "our-1",
            "vcc_journal": "none",
        },
        tmp_path,
    )
    assert [code for dummy, code in ends] == [0, 0, 0], ends
    assert dispatched(sim) == ["a"]


def test_outside_of_aap_the_implicit_localhost_works(sim, play):
    code, printed = play("release_interaction", {"vcc_external_id": "a"}, "-i", "web1,")
    assert code == 0, printed
    assert sim.released == ["a"]


@pytest.mark.parametrize("hosts", [None, " \n", []], ids=repr)
def test_blank_hosts_are_not_set(sim, play, hosts):
    code, printed = play("release_interaction", {"vcc_external_id": "a", "vcc_hosts": hosts}, "-i", "web1,")
    assert code == 0, printed
    assert sim.released == ["a"]


@pytest.mark.parametrize("hosts", [" web1 ", ["web1"]], ids=repr)
def test_message_names_host_without_variables(sim, play, tmp_path, hosts):
    """The task runs on a host other than the controller, on which no variable is set."""
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nunset VCC_API_URL VCC_AUTH_URL VCC_CLIENT_ID VCC_CLIENT_SECRET\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    given = {
        "vcc_external_id": "a",
        "vcc_hosts": hosts,
        "ansible_connection": "local",
        "ansible_python_interpreter": str(python),
    }
    for more, missing in (
        (
            {},
            "The region of the VCC account is missing: set region (emea, nam or apac) or VCC_REGION in the environment of",
        ),
        ({"vcc_region": "emea"}, "The credentials are missing: set client_id and client_secret (or VCC_CLIENT_ID and"),
        ({"vcc_region": "emea", "vcc_client_id": "c"}, "client_secret is missing: set it or VCC_CLIENT_SECRET in the"),
    ):
        code, printed = play("release_interaction", {**given, **more}, "-i", "web1,")
        assert code != 0
        assert missing in printed
        assert f"in the environment of {os.uname().nodename}, where the task runs" in printed
        assert "The playbooks of the collection take each option as a variable, such as vcc_region" in printed
        assert "1 requested" not in printed
    variables = {"vcc_api_url": sim.url, "vcc_auth_url": sim.token_url, "vcc_client_id": sim.options()["client_id"]}
    variables["vcc_client_secret"] = sim.options()["client_secret"]
    code, printed = play("release_interaction", {**given, **variables}, "-i", "web1,")
    assert code == 0, printed
    assert sim.released == ["a"]


def test_killed_drain_leaves_no_list_of_ids(sim, start, tmp_path, temporary):
    (tmp_path / "waiting.txt").write_text("case-4711\n")
    hold = sim.fault("hold")
    process = start("drain_route", {"vcc_src": "waiting.txt", "vcc_journal": "none"})
    assert hold.entered.wait(TIMEOUT)
    os.killpg(process.pid, signal.SIGSTOP)
    family = [process.pid, *descendants(process.pid)]
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(TIMEOUT)
    hold.release()
    found = [*tmp_path.rglob("*"), *temporary.rglob("*")]
    holders = [path for path in found if path.is_file() and b"case-4711" in path.read_bytes()]
    assert holders == [tmp_path / "waiting.txt"]


def descendants(pid):
    """Return the ids of the processes that a process has started, directly or not; Ansible's workers have sessions of their own."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def test_drain_stops_if_the_file_has_changed(sim, start, tmp_path):
    """The file changes while the playbook counts the ongoing interactions."""
    file = tmp_path / "waiting.txt"
    file.write_text("case-1\n")
    hold = sim.fault("hold", path="/stats/interactions/ongoing")
    process = start("drain_route", {"vcc_src": str(file), "vcc_queue": "sales"})
    assert hold.entered.wait(TIMEOUT)
    file.write_text("case-1\ncase-2\n")
    hold.release()
    printed = " ".join(process.communicate(timeout=TIMEOUT)[0].split())
    assert process.returncode != 0
    assert (
        f"vcc_src is {file}, which has changed since its interactions were counted: nothing has been released"
        in printed
    )
    assert sim.released == []


@pytest.mark.parametrize(
    ("name", "given", "line"),
    [
        ("dispatch_interaction", {}, UNSENT),
        ("release_interaction", {}, UNSENT),
        ("release_interactions", {}, UNSENT),
        ("drain_route", {"vcc_external_ids": ["a", "b"], "vcc_limit": 1}, UNSENT),
        ("release_interactions", {"vcc_external_ids": ["a"], "vcc_region": "wrong"}, UNSENT),
        ("release_interactions", {"vcc_external_ids": ["a"], "vcc_client_secret": "wrong"}, "1 requested: 0 released"),
    ],
    ids=str,
)
def test_failed_job_without_effects_has_summary(sim, play, name, given, line):
    code, printed = play(name, given, env={"ANSIBLE_SHOW_CUSTOM_STATS": "true"})
    assert code != 0
    assert line in printed
    assert "0 requested" not in printed
    statistics = printed.split("CUSTOM STATS:")[1]
    assert "'unknown': 0" in statistics.replace('"', "'")
    assert sim.effects == []


@pytest.mark.parametrize(
    "result",
    [{"timedout": {"period": 5}}, {"module_stdout": ""}, {"msg": "Unexpected failure during task execution: x"}],
    ids=str,
)
def test_task_without_result_has_unknown_counts(sim, play, result):
    """The playbook fails before its task; the variable stands for the result of a task that has died."""
    code, printed = play("release_interactions", {"vcc_result": result})
    assert code != 0
    assert LOST in printed


def test_task_that_timeout_ends_has_unknown_counts(sim, play):
    """VCC processes the release, but the task no longer waits for the answer."""
    hold = sim.fault("hold", path="/interactions/Invoke")
    environment = {"ANSIBLE_SHOW_CUSTOM_STATS": "true", "ANSIBLE_TASK_TIMEOUT": "5"}
    code, printed = play("release_interactions", {"vcc_external_ids": ["a"]}, env=environment)
    hold.release()
    assert code != 0
    assert hold.entered.is_set(), printed
    assert LOST in printed
    assert UNSENT not in printed
    statistics = printed.split("CUSTOM STATS:")[1].replace('"', "'").replace("None", "null")
    assert statistics.count(": null") == 7


@pytest.mark.parametrize(
    ("given", "code", "line"),
    [
        ({"vcc_provider": "crm"}, 0, "Provider crm: registered"),
        ({"vcc_provider": "crm", "vcc_endpoint": "http://no.example"}, 2, "Provider crm: failed"),
    ],
)
def test_registration_has_summary(sim, play, given, code, line):
    ended, printed = play("register_provider", given, env={"ANSIBLE_SHOW_CUSTOM_STATS": "true"})
    assert ended == code, printed
    assert line in printed
    statistics = printed.split("CUSTOM STATS:")[1].replace('"', "'").lower()
    assert f"'failed': {str(code != 0).lower()}" in statistics
    if not code:
        assert "Provider crm: unchanged" in play("register_provider", given)[1]
        assert "Provider crm: unchanged" in play("register_provider", given, "--check")[1]

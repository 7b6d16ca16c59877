# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Follow the recipe of docs/examples/aap: build the context of the image, and run each playbook in a container; test_aap.py of the unit tests reads it."""

from __future__ import annotations

import concurrent.futures
import functools
import json
import os
import re
import shlex
import subprocess

import pytest
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ansible_collections.vonage.vcc.tests.examples.documents import AAP, copy_checkout, example_with, markdown_examples
from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.runner import container
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET, Simulator
from ansible_collections.vonage.vcc.tests.tools.environment import search_path

EXAMPLES = markdown_examples(AAP / "README.md")
PASSWORD = "a-long-random-string"
IDS = ["case-1", "case-2", "case-3"]
LINES = "\n".join(IDS)  # as a text area has them

# For each playbook of the project: the answers of its survey, and the effects at VCC.
ANSWERS = {
    "dispatch_interaction": (
        {"vcc_route": "sales", "vcc_interactions": json.dumps([{"external_id": each} for each in IDS])},
        [("dispatch", each) for each in IDS],
    ),
    "drain_route": ({"vcc_external_ids": LINES, "vcc_limit": 3}, [("release", each) for each in IDS]),
    "register_provider": ({"vcc_provider": "crm", "vcc_agent_actions_permitted": '{"release": true}'}, []),
    "release_interaction": ({"vcc_external_id": "case-1"}, [("release", "case-1")]),
    "release_interactions": ({"vcc_external_ids": LINES}, [("release", each) for each in IDS]),
}


def execute(command, folder, home):
    """Run a command of the recipe in a folder, and return its output."""
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env={"HOME": str(home), "LC_ALL": "C.UTF-8", "PATH": search_path()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=container.TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="session")
def context(tmp_path_factory):
    """Return the context of the image, made by the commands of the recipe in a copy of the checkout."""
    home = tmp_path_factory.mktemp("home")
    copy_checkout(home / "clone")
    collect, enter, build, push = example_with("ansible-builder", EXAMPLES).commands
    assert build.split()[:3] == ["ansible-builder", "build", "--tag"]
    assert push == f"podman push {build.split()[3]}"
    create = (
        "ansible-builder create --output-filename Containerfile"  # the part of `build` that needs no container engine
    )
    execute("\n".join([collect, enter, create]), home / "clone", home)
    return home / "clone" / enter.split()[1] / "context"


@pytest.fixture(scope="session")
def collections(context, tmp_path_factory):
    """Return the folder of collections that the image has."""
    folder = tmp_path_factory.mktemp("collections")
    folder.chmod(0o755)
    (install,) = re.findall(
        r"^RUN .*?(ansible-galaxy collection install .*)$", (context / "Containerfile").read_text(), re.MULTILINE
    )
    assert f'"{container.COLLECTIONS}"' in install
    command = install.replace("$ANSIBLE_GALAXY_CLI_COLLECTION_OPTS", "--offline").replace(
        container.COLLECTIONS, str(folder)
    )
    execute(command, context / "_build", folder.parent)
    return folder


@pytest.fixture
def simulator():
    with Simulator() as simulator:
        simulator.add_client(CLIENT_ID, CLIENT_SECRET)
        simulator.register("crm")
        yield simulator


@pytest.fixture
def effects(simulator):
    """Return a function that lists the effects at the simulator by external id, as pairs of action and external id."""
    return lambda: sorted((effect["action"], effect["external_id"]) for effect in simulator.effects)


def credential(kind, **inputs):
    """Return the variables of a credential: AWX renders the injectors of its type with the inputs that are not blank."""
    types = AAP / "credential-types"
    required = yaml.safe_load((types / f"{kind}-inputs.yml").read_text(encoding="utf-8"))["required"]
    assert all(inputs[name] for name in required)
    injectors = yaml.safe_load((types / f"{kind}-injectors.yml").read_text(encoding="utf-8"))
    given = {name: value for name, value in inputs.items() if value}
    render = ImmutableSandboxedEnvironment().from_string
    return {name: render(template).render(given) for name, template in injectors["env"].items()}


@pytest.fixture
def vcc(simulator):
    """The variables of a credential for VCC."""
    return credential(
        "vcc",
        region="emea",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        account="",
        api_url=simulator.url,
        auth_url=simulator.token_url,
    )


@pytest.fixture(scope="session")
def server():
    if reason := programs.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from ansible_collections.vonage.vcc.tests.postgresql.server import Server  # needs psycopg

    with Server(fsync=False, tls=True) as server:
        server.create_role("vcc", PASSWORD)
        yield server


@pytest.fixture
def database(server):
    """The name of an empty database."""
    name = server.create_database()
    server.execute(f"ALTER DATABASE {name} OWNER TO vcc")
    yield name
    server.drop_database(name)


@pytest.fixture
def journal(server, database):
    """The variables of a credential for the journal."""
    return credential("journal", url=f"postgresql://vcc@localhost:{server.port}/{database}", password=PASSWORD)


@pytest.fixture
def run(collections, vcc):
    """Return a function that runs a playbook of the project in a container of its own, with the credential for VCC."""
    if reason := container.missing():
        pytest.skip(reason)

    inventory = {"all": {"hosts": {"localhost": yaml.safe_load(example_with("ansible_remote_tmp", EXAMPLES).text)}}}

    def run(playbook, variables=None, journal=None, authorities=None, project=AAP / "project", **options):
        result = container.run(
            f"{playbook}.yml",
            collections,
            project,
            inventory,
            variables,
            {**vcc, **(journal or {})},
            authorities=authorities,
            **options,
        )
        assert CLIENT_SECRET not in result.printed
        assert PASSWORD not in result.printed
        return result

    return run


@pytest.fixture
def run_with_journal(run, journal, server):
    """Return a function that runs a playbook of the project in a container of its own, with both credentials."""
    return functools.partial(run, journal=journal, authorities=server.ca_path)


def test_image_has_the_libraries(context, collections, tmp_path):
    """ansible-builder finds the requirements in the collection that is installed as the image installs it."""
    found = yaml.safe_load(execute(f"ansible-builder introspect {shlex.quote(str(collections))}", tmp_path, tmp_path))
    assert sorted(re.match(r"[\w\[\]]+", line)[0] for line in found["python"]) == [
        "psycopg",
        "psycopg[binary]",
        "requests",
    ]
    text = (context / "Containerfile").read_text()
    assert 'ARG EE_BASE_IMAGE="registry.example/ee-minimal:latest"' in text
    assert re.search(r'^ARG ANSIBLE_INSTALL_REFS="ansible-core\S* ansible-runner\S*"$', text, re.MULTILINE)


def test_image_with_a_collection_of_automation_hub(tmp_path):
    before, after = (AAP / "execution-environment.yml").read_text(encoding="utf-8").split("  galaxy:\n")
    assert "additional_build_files:\n" in after
    (tmp_path / "execution-environment.yml").write_text(
        before + example_with("prepend_galaxy", EXAMPLES).text, encoding="utf-8"
    )
    (tmp_path / "ansible.cfg").write_text("[galaxy]\n", encoding="utf-8")
    execute("ansible-builder create --output-filename Containerfile", tmp_path, tmp_path)
    lines = (tmp_path / "context" / "Containerfile").read_text().splitlines()
    copy = lines.index("COPY _build/configs/ansible.cfg /etc/ansible/ansible.cfg")
    (install,) = [number for number, line in enumerate(lines) if "ansible-galaxy collection install" in line]
    assert copy < install
    assert (tmp_path / "context" / "_build" / "configs" / "ansible.cfg").exists()
    assert yaml.safe_load((tmp_path / "context" / "_build" / "requirements.yml").read_text()) == {
        "collections": [{"name": "vonage.vcc", "version": "1.0.0"}]
    }


def test_container_is_bare(run, tmp_path):
    """The user has neither a name nor a home, and can write to nothing but the folder of the job and /tmp."""
    script = """\
        echo "uid $(id -u), gid $(id -g), groups $(id -G), home ${HOME-none}"
        for folder in / /etc /usr/share/ansible/collections; do touch $folder/file; done
    """
    tasks = [{"ansible.builtin.shell": script, "ignore_errors": True}]
    play = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    printed = run("play", project=tmp_path).printed
    assert re.search(r"uid 1\d{9}, gid 0, groups 0, home none", printed)
    assert printed.count("Read-only file system") >= 3


def test_every_playbook_has_answers():
    assert {path.stem for path in (AAP / "project").iterdir()} == {*ANSWERS, "prune_journal", "report_run"}


@pytest.mark.parametrize("playbook", ANSWERS)
def test_playbook(run_with_journal, effects, playbook):
    answers, expected = ANSWERS[playbook]
    result = run_with_journal(playbook, answers)
    assert result.code == 0, result.printed
    assert re.search(r"changed=1\b", result.printed), result.printed
    assert effects() == expected
    assert "vcc_summary" in result.artifacts or not expected


def test_report(run_with_journal):
    """The page of a run is written by a user without a home folder."""
    assert run_with_journal("release_interactions", {"vcc_external_ids": LINES}).code == 0
    result = run_with_journal("report_run", {"vcc_html": "/tmp/run.html", "vcc_run_id": ""})
    assert result.code == 0, result.printed
    assert "3 released, 0 dispatched, 0 failed, 0 unknown" in " ".join(result.printed.split())
    assert re.search(r"changed=1\b", result.printed), result.printed


def test_prune(run_with_journal, server, database, effects):
    """Of two interactions, the one that was released 31 days ago is forgotten."""
    assert run_with_journal("release_interactions", {"vcc_external_ids": "case-1\ncase-2"}).code == 0
    past = 31 * 24 * 60 * 60
    server.execute(
        f"UPDATE vcc_journal.interaction SET requested_at = requested_at - {past}, accepted_at = accepted_at - {past} WHERE external_id = 'case-1'",
        database=database,
    )
    result = run_with_journal("prune_journal")
    assert result.code == 0, result.printed
    assert server.execute("SELECT external_id FROM vcc_journal.interaction", database=database) == [("case-2",)]
    assert run_with_journal("prune_journal", {"vcc_older_than": 0}).code == 0
    assert server.execute("SELECT external_id FROM vcc_journal.interaction", database=database) == []


def test_workflow(run_with_journal, run, effects, tmp_path):
    """The check passes its result on to the playbook that decides about the approval, and to the release, which makes no call if its list is another one.

    After the release, a relaunch changes nothing.
    """
    answers = {"vcc_external_ids": LINES}
    checked = run_with_journal("release_interactions", answers, check=True)
    assert checked.artifacts["vcc_summary"]["released"] == 3, checked.printed
    assert effects() == []
    (tmp_path / "decide.yml").write_text(example_with("vcc_summary.released <= 100", EXAMPLES).text)
    assert run("decide", {**answers, **checked.artifacts}, project=tmp_path).code == 0
    refused = run("decide", {**answers, "vcc_summary": {"released": 101}}, project=tmp_path)
    assert refused.code == 2
    assert "101 interactions are left to release: that needs an approval." in refused.printed
    digest = checked.artifacts["vcc_plan_digest"]
    assert checked.artifacts["vcc_summary"]["plan_digest"] == digest
    assert f"plan digest: {digest}" in checked.printed
    changed = run_with_journal("release_interactions", {"vcc_external_ids": f"{LINES}\ncase-4", **checked.artifacts})
    assert changed.code == 2
    assert "1 interaction is new, and none is done or removed" in " ".join(changed.printed.split())
    assert "vcc_plan_digest" not in changed.artifacts
    assert effects() == []
    for released in (3, 0):
        result = run_with_journal("release_interactions", {**answers, **checked.artifacts})
        assert result.artifacts["vcc_summary"]["released"] == released, result.printed
        assert result.artifacts["vcc_plan_digest"] == ""
        assert effects() == [("release", each) for each in IDS]


def test_two_containers_without_a_journal_dispatch_once(run, effects):
    """Two containers at once, and another later, have nothing in common but the idempotency key."""
    answers = {**ANSWERS["dispatch_interaction"][0], "vcc_idempotency_key": "CHG-4711", "vcc_journal": "none"}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = [
            future.result() for future in [pool.submit(run, "dispatch_interaction", answers) for dummy in range(2)]
        ]
    results.append(run("dispatch_interaction", answers))
    for result in results:
        assert result.code == 0, result.printed
        assert re.search(r"changed=1\b", result.printed)
    assert effects() == [("dispatch", each) for each in IDS]


def test_two_containers_with_one_journal_dispatch_once(run_with_journal, effects):
    """Two containers, one after the other, have nothing in common but the URL of the journal."""
    for changed in (1, 0):
        result = run_with_journal("dispatch_interaction", ANSWERS["dispatch_interaction"][0])
        assert result.code == 0, result.printed
        assert re.search(rf"changed={changed}\b", result.printed), result.printed
        assert effects() == [("dispatch", each) for each in IDS]

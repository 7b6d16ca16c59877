# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of docs/examples/aap agree with the collection and with each other; tests/runner runs them."""

from __future__ import annotations

import re

import pytest
import yaml
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ansible_collections.vonage.vcc.plugins.module_utils import _options
from ansible_collections.vonage.vcc.tests.examples.documents import (
    AAP,
    PLAYBOOKS,
    POSTGRESQL_GUIDE,
    ROOT,
    example_with,
    head_commands,
    head_comment,
    markdown_examples,
    playbook_variables,
    read,
)

README = read(AAP / "README.md")
EXAMPLES = markdown_examples(AAP / "README.md")
PROJECT = {path.stem: path for path in (AAP / "project").iterdir()}
PUBLIC = {path.stem: path for path in PLAYBOOKS if path.stem != "demo"}
KINDS = ("vcc", "journal")

# The lines by which AWX finds the playbooks of a project. It needs no more of a file.
PLAYBOOK_LINE = re.compile(r"\s*-?\s*(hosts|(ansible\.builtin\.)?(include|import_playbook)):")

# The keys that AWX allows for a field of a credential type.
FIELD_KEYS = {
    "id",
    "label",
    "type",
    "choices",
    "default",
    "format",
    "help_text",
    "multiline",
    "secret",
    "ask_at_runtime",
}

(PLAY,) = yaml.safe_load(read(AAP / "controller.yml"))
TASKS = {
    module.split(".")[-1]: arguments
    for task in PLAY["tasks"]
    for module, arguments in task.items()
    if module.startswith("awx.awx.")
}
TEMPLATES = {template["name"]: template for template in PLAY["vars"]["vcc_job_templates"]}
WORKFLOW = TASKS["workflow_job_template"]
SURVEYS = {
    **{name: template["survey"] for name, template in TEMPLATES.items()},
    WORKFLOW["name"]: WORKFLOW["survey_spec"]["spec"],
}


def known_variables(playbook):
    """Return the variables of a playbook: of the collection, or of the project alone."""
    return (
        playbook_variables()[playbook]
        if playbook in PUBLIC
        else set(re.findall(r"\bvcc_\w+", head_comment(PROJECT[playbook])))
    )


def credential_type(kind):
    """Return the inputs and the injectors of a credential type."""
    return [yaml.safe_load(read(AAP / "credential-types" / f"{kind}-{part}.yml")) for part in ("inputs", "injectors")]


class TestReadme:
    def test_lists_every_file(self):
        listed = re.findall(r"^\| `([\w./-]+)` \| \D", README.split("## Build")[0], re.MULTILINE)
        assert sorted(name.rstrip("/") for name in listed) == sorted(
            path.name for path in AAP.iterdir() if path.suffix != ".md"
        )
        rows = re.findall(r"^\| `(\w+)\.yml` \| ", README.split("## Build")[1], re.MULTILINE)
        assert sorted(rows) == sorted(PROJECT)
        for kind in KINDS:
            assert f"from `{kind}-inputs.yml` and `{kind}-injectors.yml`" in README

    def test_names_variables_of_playbooks(self):
        """Check the answers that it lists for each playbook."""
        for name, answers in re.findall(r"^\| `(\w+)\.yml` \| (.*) \|$", README.split("## Build")[1], re.MULTILINE):
            named = set(re.findall(r"vcc_\w+", answers))
            assert named <= known_variables(name), name

    def test_set_up_reads_the_vault_that_it_creates(self):
        """Without --ask-vault-pass, ansible-playbook does not read a vault."""
        create, export, play = example_with("controller.yml", EXAMPLES).commands
        vault = create.removeprefix("ansible-vault create ")
        assert {"--ask-vault-pass", "-e", f"@{vault}", *head_commands(AAP / "controller.yml")} == {
            *play.split()[2:5],
            play,
        }
        assert re.findall(r"(\w+)=", export) == ["CONTROLLER_HOST", "CONTROLLER_OAUTH_TOKEN"]
        needed = set(re.findall(r'"\{\{ (vcc_\w+) \}\}"', read(AAP / "controller.yml"))) - set(PLAY["vars"])
        (described,) = re.findall(r"^The vault sets (.*)$", README, re.MULTILINE)
        assert set(re.findall(r"`(vcc_\w+)`", described)) | {"vcc_project_url"} == needed

    def test_context_of_the_image_is_no_part_of_the_collection(self):
        """The recipe makes it in a clone, of which the next collection is built."""
        folder = (AAP / "context").relative_to(ROOT).as_posix()
        assert folder in yaml.safe_load(read(ROOT / "galaxy.yml"))["build_ignore"]
        assert f"/{folder}/" in read(ROOT / ".gitignore").split()

    def test_links_exist(self):
        links = re.findall(r"\]\(([^)#]+)\)", README)
        assert links
        assert [link for link in links if not (AAP / link).exists()] == []

    def test_inventory_is_that_of_the_controller(self):
        shown = yaml.safe_load(example_with("ansible_remote_tmp", EXAMPLES).text)
        python = shown["ansible_python_interpreter"]
        assert TASKS["host"]["variables"] == {**shown, "ansible_python_interpreter": f"{{{{ '{python}' }}}}"}

    def test_version_is_that_of_the_collection(self):
        version = yaml.safe_load(read(ROOT / "galaxy.yml"))["version"]
        text = read(AAP / "execution-environment.yml")
        assert re.findall(r"vonage-vcc-([\d.]+)\.tar\.gz", text) == [version] * 2
        assert yaml.safe_load(example_with("prepend_galaxy", EXAMPLES).text.split("additional")[0])["galaxy"] == {
            "collections": [{"name": "vonage.vcc", "version": version}]
        }
        assert set(re.findall(r"vcc-ee:([\d.]+\d)", README + read(AAP / "controller.yml"))) == {version}


class TestProject:
    def test_has_every_public_playbook(self):
        assert set(PROJECT) == {*PUBLIC, "prune_journal"}
        for name in PUBLIC:
            (play,) = yaml.safe_load(read(PROJECT[name]))
            assert play.pop("name")
            assert play == {"ansible.builtin.import_playbook": f"vonage.vcc.{name}"}

    @pytest.mark.parametrize("name", PROJECT)
    def test_awx_finds_the_playbook(self, name):
        assert any(PLAYBOOK_LINE.match(line) for line in read(PROJECT[name]).splitlines())


@pytest.mark.parametrize("kind", KINDS)
class TestCredentialTypes:
    def test_inputs_are_valid(self, kind):
        inputs, _injectors = credential_type(kind)
        assert set(inputs) == {"fields", "required"}
        names = [field["id"] for field in inputs["fields"]]
        assert len(set(names)) == len(names)
        assert set(inputs["required"]) <= set(names)
        for field in inputs["fields"]:
            assert {"id", "label", "type"} <= set(field) <= FIELD_KEYS
            assert field["type"] == "string"
            assert bool(field.get("secret")) is (field["id"] in ("client_secret", "password"))

    def test_injectors_use_exactly_the_fields(self, kind):
        """Render them as AWX checks them: a name that is no field is an error."""
        inputs, injectors = credential_type(kind)
        assert set(injectors) == {"env"}
        given = {field["id"]: f"<{field['id']}>" for field in inputs["fields"]}
        render = ImmutableSandboxedEnvironment(undefined=StrictUndefined).from_string
        rendered = [render(template).render(given) for template in injectors["env"].values()]
        assert sorted(value for value in rendered if value.startswith("<")) == sorted(given.values())
        assert all(template.isascii() for template in injectors["env"].values())


class TestCredentials:
    def test_injectors_set_the_variables_of_the_collection(self):
        inputs, injectors = credential_type("vcc")
        assert injectors["env"] == {
            f"VCC_{field['id'].upper()}": f"{{{{ {field['id']} }}}}" for field in inputs["fields"]
        }
        assert {field["id"] for field in inputs["fields"]} <= set(_options.CONNECTION_SPEC)
        (region,) = [field for field in inputs["fields"] if field["id"] == "region"]
        assert region["choices"] == list(_options.CONNECTION_SPEC["region"]["choices"])

    def test_type_of_the_journal_sets_variables_of_the_guide(self):
        inputs, injectors = credential_type("journal")
        assert set(injectors["env"]) <= set(re.findall(r"``([A-Z_]+)``", read(POSTGRESQL_GUIDE)))
        assert {field["id"] for field in inputs["fields"]} == set(re.findall(r"{{ (\w+) }}", str(injectors["env"])))

    def test_controller_has_the_inputs(self):
        assert list(PLAY["vars"]["vcc_credential_types"].values()) == list(KINDS)
        for credential in PLAY["vars"]["vcc_credentials"]:
            inputs, _injectors = credential_type(PLAY["vars"]["vcc_credential_types"][credential["name"]])
            assert set(inputs["required"]) <= set(credential["inputs"]) <= {field["id"] for field in inputs["fields"]}


class TestController:
    @pytest.mark.parametrize("name", SURVEYS)
    def test_survey_is_valid(self, name):
        """AWX requires these keys, and a default of the type of the answer."""
        for question in SURVEYS[name]:
            assert {"variable", "question_name", "type", "required"} <= set(question)
            kind = {"integer": int, "text": str, "textarea": str}[question["type"]]
            assert isinstance(question.get("default", kind()), kind)
        assert len({question["variable"] for question in SURVEYS[name]}) == len(SURVEYS[name])

    @pytest.mark.parametrize("name", TEMPLATES)
    def test_survey_asks_for_variables_of_the_playbook(self, name):
        playbook = TEMPLATES[name]["playbook"].removesuffix(".yml")
        known = known_variables(playbook)
        assert {question["variable"] for question in TEMPLATES[name]["survey"]} <= known

    def test_workflow_checks_then_asks_then_releases(self):
        nodes = {node["identifier"]: node for node in WORKFLOW["workflow_nodes"]}
        order = ["check"]
        while following := nodes[order[-1]].get("related"):
            ((kind, (node,)),) = following.items()
            assert kind == "success_nodes"
            order.append(node["identifier"])
        assert order == ["check", "approve", "release"] == list(nodes)
        jobs = [nodes[name]["unified_job_template"] for name in order]
        assert [job["type"] for job in jobs] == ["job_template", "workflow_approval", "job_template"]
        assert jobs[0] == jobs[2]
        assert [nodes[name].get("job_type") for name in order] == ["check", None, "run"]
        assert TASKS["job_template"]["ask_job_type_on_launch"] is True
        # Answers of the workflow reach its jobs only if the survey of their template asks for them too.
        asked = {question["variable"] for question in TEMPLATES[jobs[0]["name"]]["survey"]}
        assert {question["variable"] for question in SURVEYS[WORKFLOW["name"]]} <= asked
        assert f"The workflow `{WORKFLOW['name']}` has" in README

    def test_schedule_prunes_the_journal(self):
        schedule = TASKS["schedule"]
        template = TEMPLATES[schedule["unified_job_template"]]
        assert template["playbook"] == "prune_journal.yml"
        assert set(schedule["extra_data"]) == {question["variable"] for question in template["survey"]}
        assert re.fullmatch(r"DTSTART:\d{8}T\d{6}Z RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=SU", schedule["rrule"])

    def test_head_names_every_variable(self):
        """Check the variables that it neither sets nor gets from a loop."""
        text = read(AAP / "controller.yml").split("\n\n", 2)[2]
        used = set(re.findall(r"\bvcc_\w+", "\n".join(line for line in text.splitlines() if "variable:" not in line)))
        assert used - set(PLAY["vars"]) - {"vcc_older_than"} == set(
            re.findall(r"\bvcc_\w+", head_comment(AAP / "controller.yml"))
        )

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation and code agree about commands, variables and versions; tests/examples runs the examples."""

from __future__ import annotations

import importlib
import re

import pytest
import yaml
from jinja2 import Environment, nodes

from ansible_collections.vonage.vcc.plugins.module_utils import _options
from ansible_collections.vonage.vcc.plugins.module_utils._api import transport
from ansible_collections.vonage.vcc.plugins.module_utils._interactions import progress, source_files
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.outcome import State
from ansible_collections.vonage.vcc.plugins.module_utils._journal import (
    postgresql_connection,
    postgresql_schema,
)
from ansible_collections.vonage.vcc.tests.examples.documents import (
    BENCHMARK,
    CONTRIBUTING,
    ENVIRONMENT_PAGE,
    EVENTS_GUIDE,
    GUIDES,
    MODULES,
    PLAYBOOKS,
    PLAYBOOKS_PAGE,
    POSTGRESQL_GUIDE,
    README,
    ROOT,
    SPEED_GUIDE,
    TROUBLESHOOTING,
    example_with,
    head_commands,
    head_comment,
    markdown_examples,
    message_templates,
    playbook_commands,
    playbook_variables,
    read,
    rst_examples,
)
from ansible_collections.vonage.vcc.tests.tools import matrix
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import SPECS as MODULE_SPECS
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import Clock

MAKEFILE = read(ROOT / "Makefile")
TARGETS = dict(re.findall(r"^([a-z]+):.*## (.*)$", MAKEFILE, re.MULTILINE))
SPECS = [
    _options.CONNECTION_SPEC,
    _options.JOURNAL_SPEC,
    _options.KEY_SPEC,
    _options.REASON_SPEC,
    _options.PROGRESS_SPEC,
]
VARIABLES = {f"VCC_{name.upper()}": name for spec in SPECS for name in spec}


def make_commands(text):
    """Return the targets of the make commands in a text, which are in lines with a prompt or in backticks."""
    return set(re.findall(r"(?:^ *\$ .*?|`[^`\n]*?)\bmake ([a-z]+)", text, re.MULTILINE))


def names_in(template):
    """Return the variables of the collection that a template uses."""
    names = {node.name for node in Environment().parse(template).find_all(nodes.Name)}
    return {name for name in names if name.startswith("vcc_")}


def variables_of(node, expression=False):
    """Return the variables of the collection that YAML uses, and those that it sets."""
    used, defined = set(), set()
    inner = []
    if isinstance(node, dict):
        defined |= {node[key] for key in node if key == "register"} | set(node.get("vars") or ())
        inner = [
            (value, key in ("when", "that", "until", "changed_when", "failed_when")) for key, value in node.items()
        ]
    elif isinstance(node, list):
        inner = [(each, expression) for each in node]
    elif isinstance(node, str):
        used = names_in(f"{{{{ {node} }}}}" if expression else node)
    for each in inner:
        below = variables_of(*each)
        used, defined = used | below[0], defined | below[1]
    return used, defined


def section(path, title):
    """Return the part of a Markdown file under a heading."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", read(path), re.MULTILINE | re.DOTALL)[1]


def first_column(text):
    """Return the texts in backticks in the first column of a Markdown table."""
    cells = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


class TestMakeCommands:
    def test_ci_runs_commands_of_readme(self):
        run_by_ci = re.findall(r"^run make ([a-z]+)$", read(ROOT / ".ci" / "run"), re.MULTILINE)
        """`make check` builds the documentation in its session docs-test, as `make docs` does."""
        named = make_commands(read(README))
        assert {"demo", "test"} <= named - {"docs"} <= set(run_by_ci)
        assert read(ROOT / "noxfile.py").count("    build_docs(session)\n") == 2

    @pytest.mark.parametrize(
        "path", [README, CONTRIBUTING, BENCHMARK, *GUIDES], ids=lambda path: str(path.relative_to(ROOT))
    )
    def test_commands_are_targets(self, path):
        assert make_commands(read(path)) <= set(TARGETS)

    def test_contributing_lists_every_target(self):
        rows = {row.removeprefix("make ") for row in first_column(read(CONTRIBUTING)) if row.startswith("make ")}
        assert rows == set(TARGETS) - {"help", "venv"}

    def test_every_target_is_phony(self):
        phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split()
        assert set(phony) == set(TARGETS)

    def test_documents_name_variables_of_makefile(self):
        texts = "".join(map(read, [CONTRIBUTING, BENCHMARK, *GUIDES]))
        named = set(re.findall(r"make [a-z]+ ([A-Z]+)=|`([A-Z]+)=\d", texts))
        assert {name for names in named for name in names if name} == {"BACKEND", "OPTIONS", "ROUNDS"}
        assert re.findall(r"^([A-Z]+) \?= (\d+)$", MAKEFILE, re.MULTILINE) == [("ROUNDS", "1000"), ("SEED", "1")]
        assert all(f"$({name})" in MAKEFILE for name in ("BACKEND", "OPTIONS", "ROUNDS", "SEED"))
        assert "plays 1,000 rounds" in read(CONTRIBUTING)

    def test_documents_name_existing_options_of_benchmark(self):
        parser = read(ROOT / "tests" / "benchmark" / "benchmark.py")
        texts = "".join(map(read, [CONTRIBUTING, BENCHMARK]))
        named = set(re.findall(r"(--[a-z-]+)", " ".join(re.findall(r"OPTIONS=.*", texts))))
        assert named >= {"--only", "--quick", "--repeat"}
        assert [name for name in named if f'"{name}"' not in parser] == []


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_images_of_guides_exist(path):
    images = re.findall(r"^ *\.\. (?:figure|image):: (\S+)$", read(path), re.MULTILINE)
    assert [image for image in images if not (path.parent / image).is_file()] == []
    assert bool(images) is (path.stem in ("guide_audit", "guide_speed"))


class TestContributing:
    def test_places_exist(self):
        places = first_column(section(CONTRIBUTING, "Where things are"))
        # Some stand in the folder of the first of their row.
        paths = [place if (ROOT / place).exists() else f"plugins/module_utils/{place}" for place in places]
        assert len(paths) > 20
        assert [path for path in paths if not (ROOT / path).exists()] == []

    def test_files_to_look_at_first_exist(self):
        named = re.findall(r"`([\w/.]+)`", section(CONTRIBUTING, "Where to look first"))
        assert len(named) > 8
        assert [name for name in named if not (ROOT / name).exists()] == []

    def test_sessions_of_nox_exist(self):
        """Check CONTRIBUTING and the Makefile."""
        defined = set(re.findall(r"^def (\w+)\(session", read(ROOT / "noxfile.py"), re.MULTILINE))
        defined |= {pair.name for pair in matrix.PAIRS}
        brought = re.findall(r"^\[sessions\.(\w+)", read(ROOT / "antsibull-nox.toml"), re.MULTILINE)
        defined |= {name.replace("_", "-") for name in brought}
        named = re.findall(r"nox -s ([\w. -]+?)(?: --|`|$)", read(CONTRIBUTING) + MAKEFILE, re.MULTILINE)
        assert len(named) > 4
        assert {name for names in named for name in names.split()} <= defined


class TestEnvironmentVariables:
    def test_specs_have_every_variable(self):
        """Check every module, so that the two specs have all variables."""
        for spec in MODULE_SPECS.values():
            found = {name for option in spec.values() if "fallback" in option for name in option["fallback"][1]}
            assert found == {variable for variable, name in VARIABLES.items() if name in spec}

    def test_page_lists_every_variable_with_its_option(self):
        rows = re.findall(r"^  \* - ``(VCC_\w+)``\n    - ``(\w+)``\n", read(ENVIRONMENT_PAGE), re.MULTILINE)
        assert len(rows) == len(VARIABLES)
        assert dict(rows) == VARIABLES

    def test_page_lists_every_variable_of_others(self):
        """The code reads some variables by itself, and libpq, requests and SQLite read others."""
        code = "".join(read(path) for path in (ROOT / "plugins").rglob("*.py"))
        used = set(re.findall(r"""environ(?:\.get\(|\[)"([A-Z_]+)""", code)) | {*transport.CA_VARIABLES}
        named = set(re.findall(r"``([A-Z_]+)``", read(ENVIRONMENT_PAGE).split("Variables of other programs")[1]))
        assert used <= named
        in_guide = re.findall(r"``(PG[A-Z]+)``", read(POSTGRESQL_GUIDE))
        assert set(in_guide) <= named

    def test_page_has_defaults(self):
        text = " ".join(read(ENVIRONMENT_PAGE).split())
        for name, words in (
            ("domain", "by default ``{}``"),
            ("timeout", "by default {}"),
            ("retries", "by default {} times"),
        ):
            assert words.format(_options.CONNECTION_SPEC[name]["default"]) in text
        assert f"default journal: ``{_options.JOURNAL_SPEC['journal']['default']}``" in text
        *first, last = (f"``{region}``" for region in _options.CONNECTION_SPEC["region"]["choices"])
        assert f"{', '.join(first)} or {last}" in text

    @pytest.mark.parametrize(
        "path", [README, *GUIDES, *PLAYBOOKS, *(ROOT / "plugins").rglob("*.py")], ids=lambda path: path.name
    )
    def test_files_name_only_known_variables(self, path):
        assert set(re.findall(r"\bVCC_\w+", read(path))) <= set(VARIABLES) | {"VCC_"}

    @pytest.mark.parametrize(("fragment", "spec"), [("connection", SPECS[0]), ("journal", SPECS[1])])
    def test_each_option_names_its_variable(self, fragment, spec):
        name = f"ansible_collections.vonage.vcc.plugins.doc_fragments.{fragment}"
        documented = yaml.safe_load(importlib.import_module(name).ModuleDocFragment.DOCUMENTATION)["options"]
        assert set(documented) == set(spec)
        for name, option in documented.items():
            assert f"E(VCC_{name.upper()})" in " ".join(option["description"]), name


class TestPlaybookVariables:
    SHARED = yaml.safe_load(read(ROOT / "playbooks" / "vars" / "connection.yml"))
    TASKS = ROOT / "playbooks" / "tasks"

    def expected(self, path):
        """Return the variables that a playbook expects from its user."""
        used, defined = variables_of(yaml.safe_load(read(path)))
        shared, _defined = variables_of([self.SHARED[name] for name in used & set(self.SHARED)])
        return (used | shared) - defined - set(self.SHARED)

    def test_connection_has_every_option(self):
        assert set(self.SHARED["vcc_connection"]) == set(_options.CONNECTION_SPEC)
        for name, template in self.SHARED["vcc_connection"].items():
            assert names_in(template) - {"vcc_folder", "vcc_relative"} == {f"vcc_{name}"}

    PUBLIC = [path for path in PLAYBOOKS if path.stem != "demo"]

    def test_page_has_every_playbook(self):
        assert sorted(playbook_variables()) == [path.stem for path in self.PUBLIC]

    @pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
    def test_page_lists_variables_of_playbook(self, path):
        expected = self.expected(path)
        assert expected >= {f"vcc_{name}" for name in _options.CONNECTION_SPEC}
        assert playbook_variables()[path.stem] == expected

    @pytest.mark.parametrize("path", [*PUBLIC, *sorted(TASKS.iterdir())], ids=lambda path: path.stem)
    def test_no_playbook_sets_variable_of_user(self, path):
        """A variable that the user sets with -e would replace it."""
        _used, defined = variables_of(yaml.safe_load(read(path)))
        assert not defined & set().union(*playbook_variables().values())

    @pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
    def test_comment_names_the_page(self, path):
        """The page is the only place that lists them."""
        assert str(PLAYBOOKS_PAGE.relative_to(ROOT)) in head_comment(path)
        assert head_commands(path) == [command for command in playbook_commands() if f".{path.stem} " in command]

    def test_page_has_defaults(self):
        text = read(PLAYBOOKS_PAGE)
        assert "The default is 1000." in text
        assert "1000 if vcc_limit |" in read(ROOT / "playbooks" / "drain_route.yml")
        formats = MODULE_SPECS["vcc_interaction"]["src_format"]["choices"]
        *first, last = (f"``{name}``" for name in formats if name != "auto")
        assert f"{', '.join(first)} or {last}" in text


class TestRulebook:
    PATH = ROOT / "extensions" / "eda" / "rulebooks" / "provider_notifications.yml"
    EXAMPLES = rst_examples(EVENTS_GUIDE)
    VARIABLES = example_with("vcc_webhook_token:", EXAMPLES).text
    VARIABLES_USED = variables_of(yaml.safe_load(read(PATH)))[0]

    def test_comment_and_guide_name_its_variables(self):
        assert set(re.findall(r"\bvcc_\w+", head_comment(self.PATH))) == self.VARIABLES_USED
        assert set(yaml.safe_load(self.VARIABLES)) <= self.VARIABLES_USED

    def test_guide_has_defaults_of_rulebook(self):
        shown = re.findall(r"^(\w+): (\S+) # the default$", self.VARIABLES, re.MULTILINE)
        assert len(shown) == 2
        assert dict(shown) == dict(re.findall(r"(\w+) \| default\('?([\w.]+)'?, true\)", read(self.PATH)))

    def test_comment_has_command_of_guide(self):
        assert example_with("$ ansible-rulebook", self.EXAMPLES).commands == [
            head_comment(self.PATH).split("\n\n")[1].strip()
        ]


class TestTroubleshooting:
    """The page has some words of each message, with … in place of the parts that vary."""

    TEXT = read(TROUBLESHOOTING)
    CELLS = re.findall(r"^  \* - (``(?:.*\n(?! *- ))*.*)$", TEXT, re.MULTILINE)
    WORDS = [words for cell in CELLS for words in re.findall(r"``(.*?)``", cell)]
    MESSAGES = [*message_templates(), *(f"src … {words}." for words in source_files.MAGIC.values())]

    # Parts of messages without an entry, because other parts explain more: of _api/token_cache.py, _validation.py and _interactions/source_files.py.
    PARTS = {
        "a token must be printable ASCII without spaces",
        "it belongs to another user",
        "it is not a regular file",
        "src … ….",
    }

    def matches(self, words, message):
        parts = map(re.escape, filter(None, words.split("…")))
        return re.search(".*".join(parts), message)

    def test_every_message_is_on_the_page(self):
        assert len(self.MESSAGES) > 100
        unknown = [each for each in self.MESSAGES if not any(self.matches(words, each) for words in self.WORDS)]
        assert set(unknown) <= self.PARTS <= set(self.MESSAGES)

    def test_every_message_of_the_page_exists(self):
        """The words in brackets are those of SQLite, PostgreSQL and the file system."""
        brackets = self.TEXT.split("The words in the brackets, and what to do:")[1].split("Files of interactions")[0]
        own = [words for words in self.WORDS if f"``{words}``" not in brackets and words not in ("failed", "unknown")]
        code = "".join(read(path) for folder in ("plugins", "extensions") for path in (ROOT / folder).rglob("*.py"))
        known = [*self.MESSAGES, *re.findall(r'"([^"\n]+)"', code)]
        assert [words for words in own if not any(self.matches(words, each) for each in known)] == []

    def test_page_has_every_error_of_postgresql_that_the_code_knows(self):
        known = [pattern for pattern, dummy in postgresql_connection._CONNECTING]
        assert [pattern for pattern in known if not any(re.search(pattern, words) for words in self.WORDS)] == []


class TestPostgresqlGuide:
    TEXT = " ".join(read(POSTGRESQL_GUIDE).split())
    SQL = [example.text for example in rst_examples(POSTGRESQL_GUIDE) if example.language == "sql"]

    def test_sql_is_that_of_the_code(self):
        """The SQL that an administrator executes makes the same schema and grants the same rights as the collection."""
        schema, grants, dummy, migration = self.SQL[1:5]
        assert schema == f"{postgresql_schema.TABLES.lstrip()}{postgresql_schema._VERSION};\n"
        assert grants == postgresql_schema._GRANTS.lstrip().format(role="vcc")
        assert migration == postgresql_schema.UPGRADE

    @pytest.mark.parametrize(
        ("said", "seconds"),
        [
            (r"repeats the work for up to (\d+) seconds", postgresql_connection.RETRY_SECONDS),
            (r"Each host of the URL has (\d+) seconds", postgresql_connection.CONNECT_TIMEOUT),
            (r"ends the connection after (\d+) seconds", postgresql_connection.ANSWER_TIMEOUT),
            (r"The statement waits for up to (\d+) seconds", postgresql_connection.LOCK_TIMEOUT),
            (r"instead of (\d+)\. Calls", postgresql_connection.ANSWER_TIMEOUT),
            (r"or after (\d+) minutes while it prunes", postgresql_connection.LONG_ANSWER_TIMEOUT / 60),
        ],
    )
    def test_limits_are_those_of_the_code(self, said, seconds):
        assert [float(found) for found in re.findall(said, self.TEXT)] == [seconds]


class TestSpeedGuide:
    def test_lines_of_progress_are_those_of_the_code(self):
        """The second line comes 20 seconds after the beginning, while the task waits."""
        clock = Clock(0)
        work = progress.Work(
            state=State.RELEASED,
            counts={"requested": 100_000, "released": 18_200, "unchanged": 0, "failed": 0, "unknown": 0},
            calls=lambda: 19 if clock.now == 20 else 20,
            waiting=lambda: "" if clock.now == 20 else "VCC answers 429, waiting 21 s",
            advice=lambda: progress.rerun_advice(
                "/home/ops/.ansible/vonage_vcc/journal.db", 86400, False, False, 0, 100_000
            ),
            requests_per_minute=None,
            dry_run=False,
        )
        shown = progress.Progress(clock)
        shown.begin(work)
        lines = []
        for dummy in range(2):
            clock.now += 20
            lines.append(shown.line())
        lines.append(shown.last_line())
        text = "".join(example.text for example in rst_examples(SPEED_GUIDE) if example.language == "text")
        assert text == "".join(f"vcc_interaction [localhost]: {line}.\n" for line in lines)


class TestVersions:
    """The first page of the site has the versions, and the README the oldest ones."""

    TEXT = read(next(path for path in GUIDES if path.stem == "guide_introduction")).split("What it needs")[1]

    def test_documents_have_versions_of_ansible_core(self):
        *others, last = matrix.CORES
        assert f"The tests use {', '.join(others)} and {last}." in self.TEXT
        oldest = yaml.safe_load(read(ROOT / "meta" / "runtime.yml"))["requires_ansible"]
        assert oldest.startswith(f">={others[0]}")
        assert all(f"ansible-core {others[0]} or newer" in text for text in (self.TEXT, read(README)))

    def test_documents_have_oldest_python(self):
        (oldest,) = re.findall(r'^min_python_version = "(.*)"$', read(ROOT / "antsibull-nox.toml"), re.MULTILINE)
        assert all(f"Python {oldest} or newer with `" in text for text in (self.TEXT, read(README)))
        assert any(pair.python == oldest for pair in matrix.PAIRS)

    def test_documents_have_version_of_collection(self):
        version = yaml.safe_load(read(ROOT / "galaxy.yml"))["version"]
        for path in (README, *GUIDES):
            assert set(re.findall(r"vonage-vcc-([\d.]+)\.tar", read(path))) <= {version}, path


class TestReadme:
    def test_links_exist_and_read_well_on_a_forge(self):
        """A forge shows the roles of a guide as they are written, so no link leads to one."""
        links = re.findall(r"\]\(([^)]+)\)", read(README))
        assert len(links) > 4
        assert [link for link in links if not (ROOT / link).is_file()] == []
        assert [link for link in links if link.endswith(".rst") and re.search(r":\w+:`", read(ROOT / link))] == []

    def test_is_short(self):
        assert len(read(README).splitlines()) < 110


def test_every_module_has_a_spec():
    assert sorted(MODULE_SPECS) == MODULES


def test_contributing_has_no_examples():
    assert markdown_examples(CONTRIBUTING) == []

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Examples in the documentation: code blocks in Markdown and reStructuredText, and commands in the comments of playbooks."""

from __future__ import annotations

import ast
import re
import shutil
import textwrap
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
BENCHMARK = ROOT / "tests" / "benchmark" / "README.md"
GUIDES = sorted((ROOT / "docs" / "docsite" / "rst").glob("*.rst"))
AUDIT_GUIDE, EVENTS_GUIDE, POSTGRESQL_GUIDE, SPEED_GUIDE = (
    next(path for path in GUIDES if path.stem == f"guide_{name}") for name in ("audit", "events", "postgresql", "speed")
)
ENVIRONMENT_PAGE, PLAYBOOKS_PAGE, TROUBLESHOOTING = (
    ROOT / "docs" / "docsite" / "rst" / f"guide_{name}.rst" for name in ("environment", "playbooks", "troubleshooting")
)
AAP = ROOT / "docs" / "examples" / "aap"
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("vcc_*.py"))
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
NOT_COPIED = (
    ".ansible",
    ".git",
    ".hypothesis",
    ".mypy_cache",
    ".nox",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "build",
)


class Example(NamedTuple):
    """One code block."""

    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Return the commands of a console block; a line without a prompt continues the command before it."""
        commands: list[str] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                commands.append(line.removeprefix("$ "))
            else:
                commands[-1] += f"\n{line}"
        return commands


def read(path: Path) -> str:
    """Return the text of a file."""
    return path.read_text(encoding="utf-8")


def copy_checkout(folder: Path) -> None:
    """Copy this checkout to a folder that does not exist, without what tools have left in it."""
    shutil.copytree(ROOT.resolve(), folder, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED, "__pycache__"))


def markdown_examples(path: Path) -> list[Example]:
    """Return the fenced code blocks of a Markdown file; fail if one cannot be parsed."""
    text = read(path)
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert 2 * len(blocks) == len(re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE)), path
    return [Example(*block) for block in blocks]


def rst_examples(path: Path) -> list[Example]:
    """Return the code blocks of a reStructuredText file; fail if one cannot be parsed."""
    text = read(path)
    blocks = re.findall(r"^( *)\.\. code-block:: (\w+)\n\n((?:\1 +[^\n]*\n|\n(?=\n*\1 ))+)", text, re.MULTILINE)
    directives = r"^ *\.\. (?:code|code-block|sourcecode|literalinclude|parsed-literal)::"
    assert len(blocks) == len(re.findall(directives + r"|^(?! *\.\. ).*::$", text, re.MULTILINE)), path
    return [Example(language, textwrap.dedent(block)) for _indent, language, block in blocks]


def example_with(words: str, examples: list[Example]) -> Example:
    """Return the only example that contains these words."""
    (example,) = [each for each in examples if words in each.text]
    return example


def playbook_rows() -> dict[str, list[str]]:
    """Return the playbooks in the table of the README, each with the arguments of its examples."""
    rows = re.findall(r"^\| `vonage\.vcc\.(\w+)` \| (.*) \|$", read(README), re.MULTILINE)
    return {name: re.findall(r"`(-e .*?)`", text) for name, text in rows if not name.startswith("vcc_")}


def playbook_variables() -> dict[str, set[str]]:
    """Return the variables of each playbook, as its page lists them: those of its section, and of the sections for several playbooks."""
    parts = re.split(r"^(.+)\n-+$", read(PLAYBOOKS_PAGE), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2]))
    listed = {
        title: {
            name for row in re.findall(r"^  \* - (``vcc_.*)$", text, re.MULTILINE) for name in re.findall(r"\w+", row)
        }
        for title, text in sections.items()
    }
    some = "To dispatch or release"
    named = re.findall(r"``(\w+_\w+)``", sections[some].split(":")[0])
    found = {
        title: listed["In each playbook"] | names for title, names in listed.items() if re.fullmatch(r"\w+_\w+", title)
    }
    return {title: names | listed[some] if title in named else names for title, names in found.items()}


def playbook_commands() -> list[str]:
    """Return the commands of the page on playbooks."""
    return [command for example in rst_examples(PLAYBOOKS_PAGE) for command in example.commands]


def head_comment(path: Path) -> str:
    """Return the comment at the head of a YAML file, without the licence."""
    lines = read(path).split("\n\n")[1].splitlines()
    assert all(line.startswith("#") for line in lines), path
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)


def head_commands(path: Path) -> list[str]:
    """Return the commands in the comment at the head of a playbook."""
    commands = re.findall(r"^  (ansible-playbook .*(?:\n {4}\S.*)*)", head_comment(path), re.MULTILINE)
    return [re.sub(r"\n *", " ", command) for command in commands]


def module_examples(module: str) -> list[dict]:
    """Return the tasks in the EXAMPLES of a module."""
    text = read(ROOT / "plugins" / "modules" / f"{module}.py")
    return yaml.safe_load(re.search(r'^EXAMPLES = r"""\n(.*?)"""', text, re.MULTILINE | re.DOTALL)[1])


# The calls whose first argument is a message.
MESSAGE_CALL = re.compile(r"(Error|_unwritable|_unusable|\bwarnings\.append)$")


def message_templates() -> list[str]:
    """Return the messages of errors in the code and of the checks in the playbooks, with … in place of the parts that vary."""
    found = []
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(read(path))):
            if isinstance(node, ast.Call) and MESSAGE_CALL.search(ast.unparse(node.func)):
                found += [text for text in map(_template, node.args[:1]) if text.strip("… .():")]
    for path in [*PLAYBOOKS, *(ROOT / "playbooks" / "tasks").glob("*.yml")]:
        if path.stem != "demo":
            found += _values("fail_msg", yaml.safe_load(read(path)))
    return [re.sub(r"\{\{.*?\}\}", "…", text) for text in found]


def _values(wanted: str, node: object) -> list[str]:
    """Return the texts of a key anywhere in YAML."""
    if isinstance(node, list):
        return [text for each in node for text in _values(wanted, each)]
    if not isinstance(node, dict):
        return []
    below = [text for each in node.values() for text in _values(wanted, each)]
    return [*([node[wanted]] if wanted in node else []), *below]


def _template(node: ast.expr) -> str:
    """Return the text of an expression, with … for each part that is not written there."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_template, node.values))
    if isinstance(node, ast.BinOp):
        return _template(node.left) + _template(node.right)
    return "…"

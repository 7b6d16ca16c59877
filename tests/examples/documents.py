# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Examples in the documentation: code blocks in Markdown and reStructuredText, and commands in the comments of playbooks."""

from __future__ import annotations

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
EVENTS_GUIDE, POSTGRESQL_GUIDE, SPEED_GUIDE = (
    next(path for path in GUIDES if path.stem == f"guide_{name}") for name in ("events", "postgresql", "speed")
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

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one file of the collection says of another is true."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
MODULES = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")} - {"__init__"}
PLAYBOOKS = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
RULEBOOKS = {path.stem for path in (ROOT / "extensions" / "eda" / "rulebooks").glob("*.yml")}


def pins(path: Path) -> set[str]:
    """The lines of a requirements file that set a version, without blanks."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line.replace(" ", "") for line in lines if re.match(r"\w.*==", line)}


def test_there_are_modules_playbooks_and_rulebooks():
    assert MODULES
    assert PLAYBOOKS
    assert RULEBOOKS


def test_action_group_holds_every_module():
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert set(runtime["action_groups"]["vcc"]) == MODULES


def test_readme_names_every_module_playbook_and_rulebook_and_no_other():
    named = set(re.findall(r"vonage\.vcc\.(\w+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named - {"vcc"} == MODULES | PLAYBOOKS | RULEBOOKS


def test_sanity_tests_ignore_nothing():
    assert not list((ROOT / "tests" / "sanity").glob("ignore*"))


def test_simulator_has_the_versions_of_the_other_requirements():
    simulator = pins(ROOT / "tests" / "simulator" / "requirements.txt")
    assert simulator
    assert simulator <= pins(ROOT / "tests" / "constraints.txt")

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


def test_fidelity_guide_names_every_property_of_the_contract_and_tests_that_exist():
    guide = (ROOT / "docs" / "docsite" / "rst" / "guide_fidelity.rst").read_text(encoding="utf-8")
    contract = (ROOT / "tests" / "simulator" / "openapi.yaml").read_text(encoding="utf-8")
    schemas = yaml.safe_load(contract)["components"]["schemas"].values()
    properties = {name for schema in schemas for name in _properties(schema)}
    assert properties
    assert properties <= set(re.findall(r"``(\w+)``", guide))
    handled = re.findall(r"^    - .*``([\w/]+\.py)``", guide, re.MULTILINE)
    assert len(handled) > 20
    assert [name for name in handled if not (ROOT / "plugins" / "module_utils" / name).exists()] == []
    shown = re.findall(r"``(test_\w+\.py)((?:::\w+)+)``", guide)
    assert len(shown) == guide.count("  * - ") - guide.count("  * - **") - 1
    for file, names in shown:
        (path,) = (ROOT / "tests").rglob(file)
        code = path.read_text(encoding="utf-8")
        for name in names.split("::")[1:]:
            assert re.search(rf"^ *(def|class) {name}\b", code, re.MULTILINE), f"{file} has no {name}"


def _properties(schema: dict) -> set[str]:
    """The names of a schema's properties, and of those inside it."""
    inside = schema.get("properties", {})
    inner = [*inside.values(), schema.get("items")]
    return {*inside, *(name for one in filter(None, inner) for name in _properties(one))}

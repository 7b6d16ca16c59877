# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of the collection agree with each other."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
MODULES = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")} - {"__init__"}
PLAYBOOKS = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
RULEBOOKS = {path.stem for path in (ROOT / "extensions" / "eda" / "rulebooks").glob("*.yml")}


def pins(path: Path) -> set[str]:
    """Return the lines of a requirements file that set a version, without blanks."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line.replace(" ", "") for line in lines if re.match(r"\w.*==", line)}


def test_collection_has_modules_playbooks_and_rulebooks():
    assert MODULES
    assert PLAYBOOKS
    assert RULEBOOKS


def test_action_group_has_every_module():
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert set(runtime["action_groups"]["vcc"]) == MODULES


def test_readme_names_exactly_the_modules_playbooks_and_rulebooks():
    named = set(re.findall(r"vonage\.vcc\.(\w+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named - {"vcc"} == MODULES | PLAYBOOKS | RULEBOOKS


def test_sanity_has_no_ignore_entries():
    assert not list((ROOT / "tests" / "sanity").glob("ignore*"))


def test_simulator_requirements_match_constraints():
    simulator = pins(ROOT / "tests" / "simulator" / "requirements.txt")
    assert simulator
    assert simulator <= pins(ROOT / "tests" / "constraints.txt")


MODULE_UTILS = ROOT / "plugins" / "module_utils"

# The packages of module_utils, and the packages that each of them may import.
ARROWS = {"_api": set(), "_journal": set(), "_interactions": {"_api", "_journal"}}


def _imports(path: Path) -> set[str]:
    """Return the modules that a file imports: those of the collection relative to module_utils, such as "_journal.rules", others by their names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            package = path.relative_to(MODULE_UTILS).parent.parts[: 2 - node.level]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {".".join([*package, name]) for name in names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    return found


def test_imports_between_packages_go_one_way():
    for path in MODULE_UTILS.rglob("*.py"):
        package = path.relative_to(MODULE_UTILS).parts[0]
        imported = {name.split(".")[0] for name in _imports(path)} & ARROWS.keys() - {package}
        assert imported <= ARROWS.get(package, ARROWS.keys()), path


def test_imports_between_files_have_no_circle():
    graph = {
        ".".join(path.relative_to(MODULE_UTILS).with_suffix("").parts): _imports(path)
        for path in MODULE_UTILS.rglob("*.py")
    }
    tuple(TopologicalSorter(graph).static_order())


def test_only_module_and_options_import_ansible():
    found = {
        path.name for path in MODULE_UTILS.rglob("*.py") if any(name.startswith("ansible") for name in _imports(path))
    }
    assert found == {"_module.py", "_options.py"}


def test_fidelity_guide_names_every_property_and_only_existing_tests():
    guide = (ROOT / "docs" / "docsite" / "rst" / "guide_fidelity.rst").read_text(encoding="utf-8")
    contract = (ROOT / "tests" / "simulator" / "openapi.yaml").read_text(encoding="utf-8")
    schemas = yaml.safe_load(contract)["components"]["schemas"].values()
    properties = {name for schema in schemas for name in _properties(schema)}
    assert properties
    assert properties <= set(re.findall(r"``(\w+)``", guide))
    handled = re.findall(r"^    - .*``([\w/]+\.py)``", guide, re.MULTILINE)
    assert len(handled) > 20
    folders = [ROOT / "plugins" / "module_utils", ROOT / "plugins" / "modules"]
    assert [name for name in handled if not any((folder / name).exists() for folder in folders)] == []
    shown = re.findall(r"``(test_\w+\.py)((?:::\w+)+)``", guide)
    assert len(shown) == guide.count("  * - ") - guide.count("  * - **") - 1
    for file, names in shown:
        (path,) = (ROOT / "tests").rglob(file)
        code = path.read_text(encoding="utf-8")
        for name in names.split("::")[1:]:
            assert re.search(rf"^ *(def|class) {name}\b", code, re.MULTILINE), f"{file} has no {name}"


def _properties(schema: dict) -> set[str]:
    """Return the names of a schema's properties, including nested ones."""
    inside = schema.get("properties", {})
    inner = [*inside.values(), schema.get("items")]
    return {*inside, *(name for one in filter(None, inner) for name in _properties(one))}

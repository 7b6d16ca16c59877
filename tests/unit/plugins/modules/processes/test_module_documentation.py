# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of a module agrees with its argument spec."""

from __future__ import annotations

import importlib

import pytest
import yaml

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    COLLECTION,
    SPECS,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.modules.processes.helpers import TASKS


def documented(module):
    """Return the options in the documentation of a module, including those of its fragments."""
    package = "ansible_collections.vonage.vcc.plugins"
    text = yaml.safe_load(importlib.import_module(f"{package}.modules.{module}").DOCUMENTATION)
    found = dict(text["options"])
    for name in text["extends_documentation_fragment"]:
        dummy, dummy, fragment, *attribute = name.split(".")
        class_ = importlib.import_module(f"{package}.doc_fragments.{fragment}").ModuleDocFragment
        more = getattr(class_, attribute[0].upper() if attribute else "DOCUMENTATION")
        found.update(yaml.safe_load(more)["options"])
    return found


def essence(found, nested):
    """Return the properties of options that both documentation and argument spec have."""
    return {
        name: {
            **{key: option[key] for key in ("type", "elements", "default", "choices") if key in option},
            **({"required": True} if option.get("required") else {}),
            **({"options": essence(option[nested], nested)} if nested in option else {}),
        }
        for name, option in found.items()
    }


@pytest.mark.parametrize("module", SPECS)
def test_the_documentation_has_the_options_of_the_argument_spec(module):
    assert essence(documented(module), "suboptions") == essence(SPECS[module], "options")


def test_every_module_is_tested():
    assert {path.stem for path in (COLLECTION / "plugins" / "modules").glob("vcc_*.py")} == set(SPECS)
    assert set(SPECS) - {"vcc_interaction"} == set(TASKS)

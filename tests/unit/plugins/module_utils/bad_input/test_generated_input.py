# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any input of any option ends with a result or a sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ansible_collections.vonage.vcc.plugins.module_utils import _options
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils.bad_input.helpers import MODULES, VALUES, fitting


@st.composite
def tasks(draw, module):
    """Return the options of a task that works, except that up to four of them have generated values."""
    spec, dummy, works = MODULES[module]
    every = spec.get("argument_spec", spec)
    names = draw(
        st.lists(st.sampled_from(sorted(every)), min_size=1, max_size=4, unique=True),
    )
    bad = {
        name: draw(fitting(every[name]) if every[name].get("type") == "path" else fitting(every[name]) | VALUES)
        for name in names
    }
    if module == "vcc_interaction" and set(bad) & set(_options.SOURCES):
        works = {}
    if module == "vcc_interaction" and bad.get("state") == "dispatched":
        works = {"route": "sales", **works}
    if module == "vcc_journal" and "older_than" in bad:
        works = {}
    return {**works, **bad}


def corpus(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def can_be_sent(task):
    """Return whether the controller accepts a task: ansible-core 2.19 and later refuse invalid Unicode."""
    try:
        json.dumps(task, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize("module", MODULES)
def test_usual_task_works(act, network, module):
    """A failure of the other tests then comes from the generated values."""
    result = act(module, **MODULES[module][2])
    assert not result.get("failed")
    assert bool(network.calls) == (not module.startswith("vcc_journal"))


@pytest.mark.parametrize("module", MODULES)
def test_generated_task_ends_with_result_or_sentence(act, module):
    @corpus(100)
    @given(task=tasks(module), check=st.booleans())
    def holds(task, check):
        act(module, check, **task)

    holds()


@pytest.mark.parametrize("module", MODULES)
def test_generated_module_run_has_no_traceback(enter, network, module):
    """The run includes Ansible's own code, which reads the options and masks secrets in the output."""
    assert not enter(module, **MODULES[module][2]).get("failed")

    @corpus(100)
    @given(task=tasks(module), check=st.booleans())
    def holds(task, check):
        assume(can_be_sent(task))
        result = enter(module, check, **task)
        if result and result.get("failed"):
            assert "Traceback" not in result["msg"]
            assert "exception" not in result

    holds()

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the examples of the guides with the installed collection; test_plugins.py and test_postgresql.py run those of other guides."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.vonage.vcc.tests.examples.documents import GUIDES, example_with, rst_examples

GUIDE = {path.stem.removeprefix("guide_"): path for path in GUIDES}

# The languages of the blocks of each guide that is tested here.
BLOCKS = {GUIDE[name]: languages for name, languages in {"introduction": "yaml"}.items()}


@pytest.mark.parametrize("path", BLOCKS, ids=lambda path: path.stem)
def test_every_block_is_covered(path):
    assert " ".join(example.language for example in rst_examples(path)) == BLOCKS[path]


def test_introduction(home, effects):
    plays = yaml.safe_load(example_with("closed cases", rst_examples(GUIDE["introduction"])).text)
    assert "changed=1 " in home.play(plays)
    assert effects() == [("release", "case-4711"), ("release", "case-4712")]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run every example of the README with the installed collection; test_documents.py checks the make commands."""

from __future__ import annotations

import yaml

from ansible_collections.vonage.vcc.tests.examples.documents import (
    README,
    example_with,
    markdown_examples,
    playbook_commands,
    playbook_rows,
)

BLOCKS = markdown_examples(README)
CONSOLE = [block for block in BLOCKS if block.language == "console" and not block.text.startswith("$ make ")]
YAML = [block for block in BLOCKS if block.language == "yaml"]
CASES = ("case-4711", "case-4712")


def test_every_block_is_covered():
    assert {block.language for block in BLOCKS} == {"console", "yaml"}
    assert len(CONSOLE) == 2
    assert len(YAML) == 1


def test_install(installed):
    """The fixture runs the commands of the example."""
    assert "vonage.vcc" in installed.run("ansible-galaxy collection list")


def test_first_playbook(home, effects):
    plays = yaml.safe_load(example_with("closed cases\n", YAML).text)
    assert "changed=1 " in home.play(plays)
    assert effects() == [("release", case) for case in CASES]
    assert "changed=0 " in home.play(plays)


def test_ad_hoc_command(home, simulator, effects):
    del home.environment["VCC_CLIENT_ID"], home.environment["VCC_CLIENT_SECRET"]
    assert "localhost | CHANGED" in home.run("\n".join(example_with("export VCC_REGION", CONSOLE).commands))
    assert effects() == [("release", "case-4711")]


def test_playbooks_of_readme_are_on_their_page():
    """test_guides.py runs the commands of that page."""
    rows = playbook_rows()
    assert {name for name in rows if not rows[name]} == {"demo", "provider_notifications"}
    shown = {f"ansible-playbook vonage.vcc.{name} {arguments}" for name, each in rows.items() for arguments in each}
    assert shown <= set(playbook_commands())

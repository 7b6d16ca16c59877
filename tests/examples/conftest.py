# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A home folder with the collection installed as the README shows, and a simulator for the examples."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.tests.examples.documents import (
    README,
    copy_checkout,
    example_with,
    markdown_examples,
)
from ansible_collections.vonage.vcc.tests.simulator import Simulator
from ansible_collections.vonage.vcc.tests.tools.environment import search_path, without_settings
from ansible_collections.vonage.vcc.tests.unit import conftest as unit

# The database of a test, and the end of its server.
postgresql_programs = unit.postgresql_programs
postgresql_server = unit.postgresql_server
postgresql_url = unit.postgresql_url
pytest_unconfigure = unit.pytest_unconfigure

COMMAND_TIMEOUT = 120  # seconds

# Credentials as the examples write them: in the environment and in variables.
CLIENT = "..."
NAMES = ("vault_vcc_client_id", "vault_vcc_client_secret", "vcc_client_id", "vcc_client_secret")
VARIABLES = {**dict.fromkeys(NAMES, CLIENT), "vcc_notification_token": "t0ken", "webhook_token": "t0ken"}


class Home:
    """A user's home folder with a working folder, and an environment without other settings for the collection."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        self.environment = {
            **without_settings(),
            "HOME": str(folder),
            "PATH": search_path(),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_REMOTE_TEMP": str(folder / ".ansible" / "tmp"),  # Ansible does not expand ~ from HOME here
        }

    def run(self, script: str, cwd: Path | None = None, **variables: str) -> str:
        """Run commands in a shell that ends at the first failure, and return their output."""
        done = subprocess.run(
            ["bash", "-eu"],
            input=script,
            cwd=cwd or self.work,
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    def play(self, plays: list[dict], options: str = "") -> str:
        """Run a playbook with these plays and variables for the credentials, and return its output."""
        self.write({"play.yml": json.dumps(plays), "vars.yml": json.dumps(VARIABLES)})
        return self.run(f"ansible-playbook play.yml -e @vars.yml {options}")

    def run_tasks(self, tasks: list[dict]) -> str:
        """Run tasks in a play of their own, with credentials from the environment."""
        return self.play([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}])

    def write(self, files: dict[str, str]) -> None:
        """Write files into the working folder."""
        for name, content in files.items():
            (self.work / name).write_text(content, encoding="utf-8")


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """Return a home where the commands of the README have built and installed the collection."""
    home = Home(tmp_path_factory.mktemp("home"))
    clone = home.folder / "clone"
    copy_checkout(clone)
    for command in example_with("collection install", markdown_examples(README)).commands:
        home.run(command, cwd=clone)
    return home


@pytest.fixture
def simulator():
    with Simulator() as simulator:
        simulator.add_client(CLIENT, CLIENT)
        for provider in ("crm", "ticket-system"):
            simulator.register(provider)
        yield simulator


@pytest.fixture
def home(installed, simulator, tmp_path):
    """Return a home for one test that has the installed collection and uses the simulator in place of VCC."""
    home = Home(tmp_path / "home")
    (home.folder / ".ansible").mkdir()
    (home.folder / ".ansible" / "collections").symlink_to(installed.folder / ".ansible" / "collections")
    home.environment.update(
        VCC_API_URL=simulator.url, VCC_AUTH_URL=simulator.token_url, VCC_CLIENT_ID=CLIENT, VCC_CLIENT_SECRET=CLIENT
    )
    return home


@pytest.fixture
def effects(simulator):
    """Return a function that lists the effects at the simulator in order, as pairs of action and external id."""
    return lambda: [(effect["action"], effect["external_id"]) for effect in simulator.effects]

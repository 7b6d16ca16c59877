# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A home in which the collection is installed as the README says, and a simulated contact centre that examples reach from there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.tests.examples.documents import README, ROOT, markdown_examples
from ansible_collections.vonage.vcc.tests.simulator import Simulator

PATIENCE = 120  # seconds for a command
NOT_COPIED = (".ansible", ".git", ".hypothesis", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".venv")

# The credentials as the examples write them, in the environment and in variables.
CLIENT = "..."
NAMES = ("vault_vcc_client_id", "vault_vcc_client_secret", "vcc_client_id", "vcc_client_secret")
VARIABLES = {**dict.fromkeys(NAMES, CLIENT), "vcc_notification_token": "t0ken", "webhook_token": "t0ken"}


class Home:
    """A user's home folder, and a working folder in it. The environment has nothing else that the collection would look at."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ANSIBLE_", "VCC_", "PYTEST_"))
            and not name.upper().endswith(("_PROXY", "_CA_BUNDLE"))
        }
        self.environment = {
            **kept,
            "HOME": str(folder),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_REMOTE_TEMP": str(folder / ".ansible" / "tmp"),  # ~ is not taken from HOME there
        }

    def run(self, script: str, cwd: Path | None = None, **variables: str) -> str:
        """Type commands into a shell, which ends at the first that fails. Returns all that they print."""
        done = subprocess.run(
            ["bash", "-eu"],
            input=script,
            cwd=cwd or self.work,
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    def play(self, plays: list[dict], options: str = "") -> str:
        """Run a playbook of these plays, with variables for the credentials. Returns what it prints."""
        self.write({"play.yml": json.dumps(plays), "vars.yml": json.dumps(VARIABLES)})
        return self.run(f"ansible-playbook play.yml -e @vars.yml {options}")

    def do(self, tasks: list[dict]) -> str:
        """Run tasks that stand alone, with the credentials of the environment."""
        return self.play([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}])

    def write(self, files: dict[str, str]) -> None:
        """Write files into the working folder."""
        for name, content in files.items():
            (self.work / name).write_text(content, encoding="utf-8")


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The home of a user who has built and installed the collection with the commands of the README."""
    home = Home(tmp_path_factory.mktemp("home"))
    clone = home.folder / "clone"
    shutil.copytree(ROOT.resolve(), clone, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED, "__pycache__"))
    (block,) = [one for one in markdown_examples(README) if "collection install" in one.text]
    for command in block.commands:
        home.run(command, cwd=clone)
    return home


@pytest.fixture
def sim():
    with Simulator() as simulator:
        simulator.add_client(CLIENT, CLIENT)
        for provider in ("crm", "ticket-system"):
            simulator.register(provider)
        yield simulator


@pytest.fixture
def home(installed, sim, tmp_path):
    """The same with a working folder and a journal of the test's own, and the simulator in place of VCC."""
    home = Home(tmp_path / "home")
    (home.folder / ".ansible").mkdir()
    (home.folder / ".ansible" / "collections").symlink_to(installed.folder / ".ansible" / "collections")
    home.environment.update(
        VCC_API_URL=sim.url, VCC_AUTH_URL=sim.token_url, VCC_CLIENT_ID=CLIENT, VCC_CLIENT_SECRET=CLIENT
    )
    return home


@pytest.fixture
def effects(sim):
    """The actions that had an effect at the simulator, each with its external id, in order."""
    return lambda: [(effect["action"], effect["external_id"]) for effect in sim.effects]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The versions that `make check` runs with, and the Pythons of this machine that can run them."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

# For each ansible-core series: the tested release, and the pip that its ansible-test installs in new virtual environments.
CORES = {
    "2.16": ("2.16.19", "23.1.2"),
    "2.19": ("2.19.14", "24.2"),
    "2.21": ("2.21.5", "25.2"),
}

# Pythons that can run the controller of a series, the preferred one first.
CONTROLLERS = {
    "2.16": ("3.11", "3.12", "3.10"),
    "2.19": ("3.11", "3.12", "3.13"),
    "2.21": ("3.13", "3.14", "3.12"),
}

# Pythons that can run ansible-rulebook, the preferred one first, and the oldest Java for its rule engine.
RULEBOOK_PYTHONS = ("3.11", "3.12")
RULEBOOK_JAVA = 17

# Unit tests that only some pairs run, or `make test` alone. The simulator and the PostgreSQL servers of tests do not use Ansible. Tests that start modules
# as processes are slow, so they run on the oldest Python and with the newest ansible-core. Tests of faults, servers and plans of PostgreSQL are slow too, and
# do not depend on ansible-core. Tests that start ansible-playbook are the slowest: `make test` runs them with ansible-core 2.19, units-2.21 runs only a part of
# them, and the sessions of integration and runner also run playbooks.
SELECTED_PAIRS = {
    "tests/unit/extensions/": ("units-2.21",),
    "tests/unit/postgresql/": (),
    "tests/unit/simulator/": (),
    "tests/unit/plugins/modules/": ("units-2.19-on-3.9", "units-2.21"),
    "tests/unit/plugins/module_utils/_journal/test_postgresql_faults.py": ("units-2.19-on-3.9",),
    "tests/unit/plugins/module_utils/_journal/test_postgresql_plans.py": (),
    "tests/unit/plugins/module_utils/_journal/test_postgresql_servers.py": ("units-2.19-on-3.9",),
    "tests/unit/plugins/plugin_utils/": ("units-2.21",),
    "tests/unit/plugins/test_playbook_jobs.py": (),
    "tests/unit/plugins/test_playbooks.py": ("units-2.21",),
    "tests/unit/plugins/test_report_run.py": ("units-2.21",),
    "tests/unit/plugins/test_throwaway_jobs.py": (),
}


@dataclasses.dataclass(frozen=True)
class Pair:
    """One command with one ansible-core on one Python: a command of ansible-test, or "runner"."""

    command: str
    core: str
    target: str | None = None
    """The Python for the tests, if it is not the controller's."""

    @property
    def controller(self) -> str | None:
        """Return the first installed Python that can run this ansible-core, or None."""
        return next((version for version in CONTROLLERS[self.core] if find_python(version)), None)

    @property
    def python(self) -> str:
        """Return the Python for the tests; if none is installed, the preferred one."""
        return self.target or self.controller or CONTROLLERS[self.core][0]

    @property
    def name(self) -> str:
        """Return the name of the nox session."""
        return f"{self.command}-{self.core}" + (f"-on-{self.target}" if self.target else "")

    @property
    def missing(self) -> str | None:
        """Return the reason why this machine cannot run the pair, or None if it can."""
        if not self.controller:
            return f"no Python {', '.join(CONTROLLERS[self.core])} with venv and ensurepip"
        if self.target and not find_python(self.target):
            return f"no Python {self.target} with venv and ensurepip"
        if self.command == "integration" and not shutil.which("ssh-keygen"):
            return "no ssh-keygen (package openssh-client)"
        return None

    @property
    def excluded(self) -> list[str]:
        """Return the unit tests that this pair leaves to other pairs, if this machine can run these."""
        if self.command != "units":
            return []
        unavailable = {pair.name for pair in PAIRS if pair.missing}
        return [
            tests for tests, pairs in SELECTED_PAIRS.items() if self.name not in pairs and unavailable.isdisjoint(pairs)
        ]


# `make test` runs the unit tests and the integration target with ansible-core 2.19 on its preferred Python.
PAIRS = (
    Pair("sanity", "2.19"),
    Pair("sanity", "2.21"),
    Pair("units", "2.19", target="3.9"),
    Pair("units", "2.21"),
    Pair("integration", "2.16"),
    Pair("integration", "2.21"),
)

# Jobs through ansible-runner: with the oldest ansible-core, which is in execution environments of AAP, and with the newest.
RUNNERS = (Pair("runner", "2.16"), Pair("runner", "2.21"))


@functools.cache
def pyenv_folders() -> tuple[str, ...]:
    """Return the folders of pyenv's interpreters, the newest first.

    pyenv's shims are on PATH for every installed version, but fail for versions that are not selected.
    """
    root = os.environ.get("PYENV_ROOT")
    if not root and shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False).stdout.strip()
    if not root:
        return ()

    def version(folder: Path) -> tuple[int, ...]:
        return tuple(int(part) if part.isdigit() else -1 for part in folder.parent.name.split("."))

    return tuple(str(folder) for folder in sorted(Path(root).glob("versions/*/bin"), key=version, reverse=True))


def interpreter_path() -> str:
    """Return PATH with pyenv's interpreters before its shims."""
    return os.pathsep.join([*pyenv_folders(), os.environ.get("PATH", os.defpath)])


def can_make_environments(python: str) -> bool:
    """Return whether an interpreter works and has the modules that Debian packages separately."""
    return subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode == 0


@functools.cache
def find_python(version: str) -> str | None:
    """Return an interpreter of a version such as "3.11" that can create virtual environments, or None."""
    for folder in interpreter_path().split(os.pathsep):
        python = shutil.which(f"python{version}", path=folder)
        if python and can_make_environments(python):
            return python
    return None


def rulebook_python() -> str | None:
    """Return the first interpreter that can run ansible-rulebook, or None."""
    return next(filter(None, map(find_python, RULEBOOK_PYTHONS)), None)


def rulebook_missing() -> str | None:
    """Return the reason why this machine cannot run ansible-rulebook, or None if it can."""
    if not rulebook_python():
        return f"no Python {', '.join(RULEBOOK_PYTHONS)} with venv and ensurepip"
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=os.path.join(home, "bin") if home else None)
    output = java and subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', output or "")
    if not version or int(version[1]) < RULEBOOK_JAVA:
        return f"no Java {RULEBOOK_JAVA} or newer (package openjdk-{RULEBOOK_JAVA}-jre-headless)"
    return None

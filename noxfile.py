# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks of `make test`. Those that antsibull-nox brings are set in antsibull-nox.toml, the others are here."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import antsibull_nox
import nox
from antsibull_nox.sessions.collections import prepare_collections

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / "tests" / "tools"))

import matrix

nox.needs_version = ">=2026.8"
nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = False
os.environ["UV_PYTHON_DOWNLOADS"] = "never"
os.environ["UV_CONSTRAINT"] = str(ROOT / "tests" / "constraints.txt")

antsibull_nox.load_antsibull_nox_toml()


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, code, YAML and types: ruff, yamllint, mypy."""
    session.install("ansible-core", "mypy", "ruff", "types-requests", "yamllint")
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")
    session.run("yamllint", "--strict", ".")
    session.run("mypy")


@nox.session
def changelog(session: nox.Session) -> None:
    """Check the changelog and its fragments."""
    session.install("antsibull-changelog")
    session.run("antsibull-changelog", "lint")


@nox.session
def package(session: nox.Session) -> None:
    """Build the collection, import it as Galaxy would, install it offline and run its playbooks from there."""
    session.install("-r", "tests/simulator/requirements.txt")
    session.install("ansible-builder", "ansible-core", "galaxy-importer", "requests")
    session.run("python", "tests/tools/check_package.py")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure what the collection costs beside what one would do without it."""
    session.install("-r", "tests/simulator/requirements.txt")
    session.install("ansible-core", "matplotlib", "requests")
    session.run("python", "tests/benchmark/benchmark.py", *session.posargs)


@nox.session(python=matrix.rulebook_python())
def rulebook(session: nox.Session) -> None:
    """Run the rulebook in ansible-rulebook, and let the simulator notify it."""
    if missing := matrix.rulebook_missing():
        session.skip(missing)
    session.install("-r", "tests/simulator/requirements.txt")
    session.install("ansible-core", "ansible-rulebook", "pytest", "requests")
    session.run("pytest", "tests/rulebook", *session.posargs)


@nox.session
def torture(session: nox.Session) -> None:
    """Play some rounds of faults; `make torture` plays many."""
    session.install("-r", "tests/simulator/requirements.txt")
    session.install("ansible-core", "pytest", "requests")
    session.run("pytest", "tests/torture", *session.posargs)


def ansible_test(session: nox.Session, pair: matrix.Pair) -> None:
    """Run ansible-test in a copy of the collection, which it wants in an ansible_collections tree."""
    release, pip = matrix.CORES[pair.core]
    session.install(f"ansible-core=={release}", env={"UV_CONSTRAINT": ""})
    seed = Path.home() / ".ansible" / "test" / "cache" / f"get_pip_{pip.replace('.', '_')}.py"
    if not seed.exists():
        seed.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "tests" / "tools" / "get_pip.py", seed)
    copy = prepare_collections(
        session, ansible_core_version=pair.core, install_in_site_packages=False, install_out_of_tree=True
    )
    where = "--local" if pair.command == "sanity" else "--venv"
    with session.chdir(copy.current_path):
        session.run(
            "ansible-test",
            pair.command,
            where,
            "--python",
            pair.python,
            "--color",
            "no",
            *(argument for tests in pair.left_out for argument in ("--exclude", tests)),
            *session.posargs,
            env={"PATH": matrix.interpreter_path()},
        )


def add_ansible_test(pair: matrix.Pair) -> None:
    """Make the session of one pair; on a machine without its Python it is skipped."""

    def run(session: nox.Session) -> None:
        if pair.missing:
            session.skip(pair.missing)
        ansible_test(session, pair)

    run.__doc__ = f"Run ansible-test {pair.command} with ansible-core {pair.core} on Python {pair.python}."
    python = matrix.find_python(pair.controller) if pair.controller else None
    nox.session(name=pair.name, python=python, tags=[pair.command])(run)


for wanted in matrix.PAIRS:
    add_ansible_test(wanted)

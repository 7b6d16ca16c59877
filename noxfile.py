# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions of `make test`, which have the tag "test", and of `make check`, which are all other default sessions.

antsibull-nox.toml configures the sessions that antsibull-nox provides.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import antsibull_nox
import nox
from antsibull_nox.sessions.collections import prepare_collections

ROOT = Path(__file__).parent
COLLECTIONS = ROOT / ".ansible" / "collections"
sys.path.insert(0, str(ROOT / "tests" / "tools"))

import environment
import matrix

nox.needs_version = ">=2026.8"
nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = False
os.environ["UV_PYTHON_DOWNLOADS"] = "never"
os.environ["UV_CONSTRAINT"] = str(ROOT / "tests" / "constraints.txt")

antsibull_nox.load_antsibull_nox_toml()


def test_session(function):
    """Turn a function into a session of `make test`, which uses the Python and the ansible-core of .venv."""
    return nox.session(default=False, tags=["test"], venv_backend="none")(function)


def venv_environment() -> dict[str, str]:
    """Return an environment in which the programs of .venv come first and find the collection."""
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_HOME": str(COLLECTIONS.parent),
        "PATH": environment.search_path(),
    }


def pytest_in_venv(session: nox.Session, *arguments: str) -> None:
    """Run pytest in .venv, and keep a report of skipped tests."""
    report = ROOT / ".nox" / "skipped" / f"{session.name}.xml"  # for summary.py
    command = (sys.executable, "-m", "pytest", f"--junit-xml={report}")
    session.run(*command, *arguments, *session.posargs, env=venv_environment())


@test_session
def units(session: nox.Session) -> None:
    """Run the unit tests with the Python and the ansible-core of .venv."""
    pytest_in_venv(session, "--numprocesses", "auto")


@test_session
def integration(session: nox.Session) -> None:
    """Run the integration target with the ansible-core of .venv: the action plugin, the module and the playbooks."""
    session.chdir("tests/integration/targets/vcc")
    session.run("bash", "runme.sh", env=venv_environment())


@test_session
def faults(session: nox.Session) -> None:
    """Run a dozen rounds of the fault tests on each backend. The session torture of `make check` runs more; `make torture` runs any number."""
    pytest_in_venv(session, "--numprocesses", "auto", "-k", "test_round", "tests/faults")


@test_session
def examples(session: nox.Session) -> None:
    """Build and install the collection, and run the examples of README, guides, modules and playbooks."""
    pytest_in_venv(session, "--numprocesses", "auto", "tests/examples")


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, code, YAML and types: ruff, yamllint, mypy."""
    session.install("ansible-core", "mypy", "psycopg", "ruff", "types-requests", "yamllint")
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")
    session.run("yamllint", "--strict", ".")
    session.run("mypy")


@nox.session
def changelog(session: nox.Session) -> None:
    """Check the changelog and its fragments."""
    session.install("antsibull-changelog")
    session.run("antsibull-changelog", "lint")


def build_docs(session: nox.Session) -> None:
    """Build the documentation as a site."""
    session.install("ansible-core", "ansible-pygments", "antsibull-docs", "furo", "sphinx")
    session.run("python", "tests/docsite/build.py")


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the documentation as a site, and print its address."""
    build_docs(session)


@nox.session(name="docs-test")
def docs_test(session: nox.Session) -> None:
    """Build the documentation as a site, check its links, and open its pages and that of a run in a browser."""
    session.install("-r", "tests/simulator/requirements.txt")
    session.install("pytest", "pytest-xdist", "psycopg[binary]", "requests", "trustme")
    build_docs(session)
    report = ROOT / ".nox" / "skipped" / f"{session.name}.xml"  # for summary.py
    session.run("pytest", f"--junit-xml={report}", "tests/docsite", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build the collection, import it as Galaxy does, install it offline and read its documentation."""
    session.install("ansible-builder", "ansible-core", "galaxy-importer", "requests")
    session.run("python", "tests/tools/check_package.py")


def benchmark(session: nox.Session, *arguments: str) -> None:
    """Run the benchmark."""
    session.install("ansible-core", "matplotlib", "psycopg[binary]", "requests", "trustme")
    session.run("python", "tests/benchmark/benchmark.py", *arguments)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure the cost of the collection in comparison with alternatives."""
    benchmark(session, *session.posargs)


@nox.session(name="bench-self-test")
def bench_self_test(session: nox.Session) -> None:
    """Run each part of the benchmark once with few interactions."""
    benchmark(session, "--self-test")


def install_rulebook(session: nox.Session) -> None:
    """Install ansible-rulebook and the requirements of its tests."""
    if missing := matrix.rulebook_missing():
        session.skip(missing)
    session.install("-r", "tests/simulator/requirements.txt")
    session.install("ansible-core", "ansible-rulebook", "psycopg[binary]", "pytest", "requests", "trustme")


@nox.session(python=matrix.rulebook_python())
def rulebook(session: nox.Session) -> None:
    """Run the rulebook in ansible-rulebook with notifications from the simulator, and end it under load."""
    install_rulebook(session)
    session.run("pytest", "tests/rulebook", "tests/unit/extensions", *session.posargs)


@nox.session(python=matrix.rulebook_python(), default=False)
def load(session: nox.Session) -> None:
    """Measure the rate of notifications that the rulebook accepts, and look for lost ones after SIGTERM and SIGKILL."""
    install_rulebook(session)
    session.run("python", "tests/rulebook/load.py", *session.posargs, env={"PYTHONPATH": str(COLLECTIONS)})


@nox.session(venv_backend="none")
def torture(session: nox.Session) -> None:
    """Run the fault tests that `make test` leaves out, in .venv: regressions, broken engines, and sixty more rounds."""
    pytest_in_venv(session, "--numprocesses", "auto", "-k", "not test_round", "tests/faults")
    session.run("make", "torture", "ROUNDS=60", "SEED=101")


def ansible_test(session: nox.Session, pair: matrix.Pair) -> None:
    """Run ansible-test in a copy of the collection, because it requires a tree of ansible_collections."""
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
            *(argument for tests in pair.excluded for argument in ("--exclude", tests)),
            *session.posargs,
            env={"PATH": matrix.interpreter_path()},
        )


def runner(session: nox.Session, pair: matrix.Pair) -> None:
    """Run jobs through ansible-runner, as AAP and AWX do, with a journal in PostgreSQL, and the examples for AAP in containers."""
    session.install(f"ansible-core=={matrix.CORES[pair.core][0]}", env={"UV_CONSTRAINT": ""})
    session.install("-r", "tests/simulator/requirements.txt")
    session.install(
        "ansible-builder", "ansible-runner", "psycopg[binary]", "pytest", "pytest-xdist", "requests", "trustme"
    )
    report = ROOT / ".nox" / "skipped" / f"{session.name}.xml"  # for summary.py
    session.run("pytest", "--numprocesses", "2", f"--junit-xml={report}", "tests/runner", *session.posargs)


def add_session(pair: matrix.Pair, command: Callable[[nox.Session, matrix.Pair], None], what: str) -> None:
    """Add the session of one pair. It is skipped if its Python is missing."""

    def run(session: nox.Session) -> None:
        if pair.missing:
            session.skip(pair.missing)
        command(session, pair)

    run.__doc__ = f"Run {what} with ansible-core {pair.core} on Python {pair.python}."
    python = matrix.find_python(pair.controller) if pair.controller else None
    nox.session(name=pair.name, python=python, tags=[pair.command])(run)


for each in matrix.PAIRS:
    add_session(each, ansible_test, f"ansible-test {each.command}")
for each in matrix.RUNNERS:
    add_session(each, runner, "jobs through ansible-runner")

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs whose folders are gone at their end, as in containers: real Ansible processes, which share nothing but a journal in PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import COLLECTION, PYTHONPATH, TIMEOUT, processes_at

IDS = [f"case-{number:02d}" for number in range(20)]
CREATED = "This task makes the journal"
NONE = "This task has no journal"

# With an environment, the task runs as a module.
ENGINES = {"action plugin": {}, "module": {"environment": {"LANG": "C"}}}


class Container:
    """A folder with the home, the settings and the temporary files of one job."""

    def __init__(self, folder, environment):
        self.folder = folder
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": PYTHONPATH,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            **environment,
        }
        for variable, name in (("HOME", "home"), ("ANSIBLE_HOME", "ansible"), ("TMPDIR", "tmp")):
            (folder / name).mkdir()
            self.environment[variable] = str(folder / name)
        self._process = None

    def start(self, program, *arguments):
        """Start a program of Ansible."""
        with open(self.folder / "output", "wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"ansible.cli.{program}", *arguments],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def start_play(self, tasks, *options):
        """Start a playbook with these tasks."""
        play = {"hosts": "localhost", "gather_facts": False, "tasks": tasks}
        (self.folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
        self.start("playbook", "play.yml", *options)

    def end(self, expected=0):
        """Wait for the end with a status, and return the output in one line."""
        code = self._process.wait(TIMEOUT)
        printed = (self.folder / "output").read_text(encoding="utf-8")
        assert code == expected, printed
        return " ".join(printed.split())

    def processes(self):
        """Return the ids of the processes that have the environment of the container."""
        return processes_at(self.environment["HOME"])

    def kill(self):
        """Kill all processes of the job at once, as the end of a container does."""
        deadline = time.monotonic() + TIMEOUT
        while left := self.processes():
            assert time.monotonic() < deadline
            for number in (signal.SIGSTOP, signal.SIGKILL):  # so that none goes on when another ends
                for process in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, number)
        if self._process:
            self._process.wait(TIMEOUT)


@pytest.fixture
def container(sim):
    """Makes containers with the connection to the simulator and a journal, None for the default one. Each is gone at its end."""

    @contextlib.contextmanager
    def make(journal, **variables):
        environment = {name: value for name, value in sim.environment(Path()).items() if name != "VCC_TOKEN_CACHE"}
        environment["VCC_JOURNAL"] = journal or ""
        # The path of a socket in TMPDIR must be short.
        with tempfile.TemporaryDirectory(prefix="vcc-") as folder:
            made = Container(Path(folder), {**environment, **variables})
            try:
                yield made
            finally:
                made.kill()

    return make


@pytest.fixture
def job(container):
    """Runs tasks in a container of their own, and returns all that they printed."""

    def run(journal, tasks, *options):
        with container(journal) as made:
            made.start_play(tasks, *options)
            return made.end()

    return run


@pytest.fixture
def jobs_at_once(sim, container):
    """Runs jobs with these lists of ids at once: none gets an answer before all have made their calls. Returns the output of each."""

    def run(journal, *lists):
        holds = [sim.fault("hold") for dummy in lists]
        with contextlib.ExitStack() as stack:
            made = [stack.enter_context(container(journal)) for dummy in lists]
            for each, external_ids in zip(made, lists):
                each.start_play([dispatch(external_ids)])
            for hold in holds:
                assert hold.entered.wait(TIMEOUT)
            for hold in holds:
                hold.release()
            return [each.end() for each in made]

    return run


@pytest.fixture
def schemas(postgresql_server, postgresql_url):
    """Returns the number of schemas of a journal in the database of the test."""
    database = postgresql_url.rpartition("/")[2].partition("?")[0]
    query = "SELECT count(*) FROM pg_namespace WHERE nspname = 'vcc_journal'"
    return lambda: postgresql_server.execute(query, database=database)[0][0]


def dispatch(external_ids=tuple(IDS), **others):
    """Return a task that dispatches."""
    options = {
        "state": "dispatched",
        "route": "sales",
        "interactions": [{"external_id": each} for each in external_ids],
    }
    return {"vonage.vcc.vcc_interaction": options, **others}


def release(**others):
    """Return a task that releases."""
    return {"vonage.vcc.vcc_interaction": {"external_ids": IDS}, **others}


def effects(sim, action="dispatch"):
    """Return the external ids of the effects of an action, sorted."""
    return sorted(each["external_id"] for each in sim.effects if each["action"] == action)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_second_job_changes_nothing(sim, job, postgresql_url, engine):
    first, second = (job(postgresql_url, [dispatch(**engine)]) for dummy in range(2))
    assert "changed=1 " in first
    assert CREATED in first
    assert "changed=0 " in second
    assert "WARNING" not in second
    assert effects(sim) == IDS


@pytest.mark.parametrize(("journal", "warning"), [(None, CREATED), ("none", NONE)])
def test_without_a_lasting_journal_each_job_dispatches_and_warns(sim, job, journal, warning):
    printed = [job(journal, [dispatch()]) for dummy in range(2)]
    assert [warning in each and "changed=1 " in each for each in printed] == [True, True]
    assert effects(sim) == sorted(IDS * 2)


def test_check_mode_predicts_dispatching_and_releasing_jobs(sim, job, postgresql_url, schemas):
    """Each run is a job of its own: check mode, twice for real, and check mode again; first the jobs dispatch, then they release."""
    for task, action, done in ((dispatch, "dispatch", "dispatched"), (release, "release", "released")):
        made = schemas()
        predicted = job(postgresql_url, [task()], "--check", "--diff")
        assert "changed=1 " in predicted
        assert f"+{IDS[0]}: {done}" in predicted
        assert effects(sim, action) == []
        assert schemas() == made
        for changed in (1, 0):
            assert f"changed={changed} " in job(postgresql_url, [task()])
            assert effects(sim, action) == IDS
        repeated = job(postgresql_url, [task()], "--check", "--diff")
        assert "changed=0 " in repeated
        assert f"+{IDS[0]}" not in repeated
    assert sim.live() == []


def test_job_after_a_killed_one_sends_the_same_request_ids(sim, job, container, postgresql_url):
    """The first job is killed after the effect of its call and before the answer, and its container is gone."""
    hold = sim.fault("hold")
    with container(postgresql_url) as killed:
        killed.start_play([dispatch()])
        assert hold.entered.wait(TIMEOUT)
    hold.release()
    assert effects(sim) == IDS
    assert "changed=1 " in job(postgresql_url, [dispatch()])
    assert "changed=0 " in job(postgresql_url, [dispatch()])
    assert len(sim.invoke_calls) == 2
    assert effects(sim) == IDS


def test_jobs_with_same_list_at_once_dispatch_once(sim, job, jobs_at_once, postgresql_url):
    """They use the same request ids. All begin with an empty database, and one of them makes the schema."""
    printed = jobs_at_once(postgresql_url, *[IDS] * 4)
    assert len(printed) == len(sim.invoke_calls) == 4
    assert sum(CREATED in each for each in printed) == 1
    assert effects(sim) == IDS
    assert "changed=0 " in job(postgresql_url, [dispatch()])


def test_jobs_with_parts_of_list_at_once_dispatch_all(sim, job, jobs_at_once, postgresql_url):
    """The slices of a job run in this way."""
    assert len(jobs_at_once(postgresql_url, *(IDS[number::4] for number in range(4)))) == 4
    assert len(sim.invoke_calls) == 4
    assert effects(sim) == IDS
    assert "changed=0 " in job(postgresql_url, [dispatch()])


@pytest.fixture
def url_with_password(postgresql_server, postgresql_url):
    """The URL of the database for a role that may make the schema, with a password, over TLS; the same without the password; and the password."""
    database = postgresql_url.rpartition("/")[2].partition("?")[0]
    password = "p%s/sw: rd"
    role = postgresql_server.create_role(f"{database}_role", password)
    postgresql_server.execute(f"GRANT CREATE ON DATABASE {database} TO {role}")
    yield tuple(postgresql_server.url(database, role, each, tcp=True) for each in (password, None)), password
    postgresql_server.drop_database(database)
    postgresql_server.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize("program", ["ansible", "ansible-playbook"])
def test_password_of_the_url_stays_hidden(sim, container, url_with_password, program):
    """It comes from the option or the environment. It is neither in the output at the highest verbosity nor in a remaining file, not even after a failure."""
    (url, location), password = url_with_password
    wrong = url.replace("//", "//other_")
    for variable, option, code in ((url, "", 0), ("", url, 0), ("", wrong, 2)):
        with container(variable) as made:
            options = {"external_id": "a", **({"journal": option} if option else {})}
            if program == "ansible":
                made.start("adhoc", "localhost", "-vvvv", "-m", "vonage.vcc.vcc_interaction", "-a", json.dumps(options))
            else:
                made.start_play([{"vonage.vcc.vcc_interaction": options, **ENGINES["module"]}], "-vvvv")
            printed = made.end(code)
            assert f'"location": "{location}"' in printed or code
            assert "FAILED" in printed or not code
            (made.folder / "play.yml").unlink(missing_ok=True)
            texts = [path.read_text(errors="replace") for path in made.folder.rglob("*") if path.is_file()]
            secrets = [password, quote(password, safe="")]
            assert [text for text in texts for secret in secrets if secret in text] == []
    assert sim.released == ["a"]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers of the tests of plugins: a clock, a simulator that keeps its requests, and other processes."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.testing import patch_module_args

from ansible_collections.vonage.vcc.plugins.module_utils import _options
from ansible_collections.vonage.vcc.plugins.module_utils._interactions import raw_types
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import Task
from ansible_collections.vonage.vcc.plugins.module_utils._location import is_url
from ansible_collections.vonage.vcc.plugins.modules import vcc_interaction
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET, Simulator

# The folder of the collection, and the search path with which another Python finds the collection and all modules of this one.
COLLECTION = Path(_options.__file__).parents[2]
PYTHONPATH = os.pathsep.join([str(COLLECTION.parents[2]), *filter(None, sys.path)])

# The argument spec of each module.
SPECS = {
    name: importlib.import_module(f"ansible_collections.vonage.vcc.plugins.modules.{name}").SPEC["argument_spec"]
    for name in ("vcc_interaction", "vcc_journal", "vcc_journal_info", "vcc_ongoing_info", "vcc_provider", "vcc_token")
}

# Seconds to wait for an event, enough for a slow machine; only a failing test waits for so long.
TIMEOUT = 60


class Clock:
    """A clock that moves only when the test, or a sleeper, moves it. ``slept`` has the length of every sleep."""

    def __init__(self, now=1_800_000_000.0):
        self.now = now
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


class Recorder(Simulator):
    """A simulator that also keeps the requests: ``requests`` has a dict of path, headers and body for each."""

    def __init__(self, **switches):
        self.requests = []
        super().__init__(**switches)

    def handle(self, request, connection):
        self.requests.append({"path": request.path, "headers": dict(request.headers), "body": request.get_data()})
        return super().handle(request, connection)

    def bodies(self, path="/interactions/Invoke"):
        return [request["body"] for request in self.requests if request["path"] == path]

    @property
    def invoke_calls(self):
        return [call for call in self.calls if call["path"] == "/interactions/Invoke"]

    @property
    def token_calls(self):
        return [call for call in self.calls if call["path"] == "/Auth/connect/token"]

    @property
    def released(self):
        """The external ids in the order in which they were released."""
        return [effect["external_id"] for effect in self.effects]

    def options(self, **others):
        """The options of a task that speaks to this simulator and does not wait between its attempts."""
        return {
            "api_url": self.url,
            "auth_url": self.token_url,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "retries": 0,
            "journal": "",
            **others,
        }

    def environment(self, folder):
        """The environment of a task that speaks to this simulator and keeps its files in ``folder``."""
        return {
            "VCC_API_URL": self.url,
            "VCC_AUTH_URL": self.token_url,
            "VCC_CLIENT_ID": CLIENT_ID,
            "VCC_CLIENT_SECRET": CLIENT_SECRET,
            "VCC_JOURNAL": str(folder / "elsewhere.db"),
            "VCC_TOKEN_CACHE": str(folder / "tokens.json"),
        }


def body_of(*external_ids, provider=None):
    """Return the body of a call that releases these external ids."""
    requests = [{"action": "release", "externalid": external_id} for external_id in external_ids]
    return json.dumps({"requests": requests, **({"provider": provider} if provider else {})}).encode()


def task_of(**given):
    """Return the task that these options of vcc_interaction describe. Raises InputError, or Invalid."""
    return Task.from_params(validated(**{"region": "emea", "access_token": "t", "journal": "", **given}))


class Invalid(Exception):
    """An error of Ansible's own validation of options."""


def check_raw_types(given):
    """Check options of vcc_interaction as the action plugin does, before Ansible converts them."""
    spec = vcc_interaction.SPEC["argument_spec"]
    raw_types.check_raw_types(spec, _options.without_blanks(spec, given))


def validated(**given):
    """Return the options of vcc_interaction as Ansible validates them. Raises Invalid."""
    return validated_by(vcc_interaction.SPEC, **given)


def validated_by(spec, /, **given):
    """Return the options of a module as Ansible validates them. Raises Invalid, or InputError for a value that breaks Ansible's conversion."""
    validator = ArgumentSpecValidator(**(spec if "argument_spec" in spec else {"argument_spec": spec}))
    validation = _options.validated(validator, given)
    if validation.errors.errors:
        raise Invalid(validation.errors.msg)
    return validation.validated_parameters


@contextlib.contextmanager
def python(script, *arguments, **popen):
    """Another Python that runs a script on this collection. At the end it is killed if it still runs."""
    env = {**os.environ, "PYTHONPATH": PYTHONPATH, **popen.pop("env", {})}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, env=env, text=True, **{**pipes, **popen}) as process:
        try:
            yield process
        finally:
            process.kill()


_TOGETHER = """
def together():
    print(flush=True)
    input()
"""


def at_once(count, script, *arguments):
    """Start ``count`` processes, and return their outputs. A script that calls ``together()`` waits there for all others."""
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(python(_TOGETHER + script, *arguments)) for dummy in range(count)]
        for process in processes:
            process.stdout.readline()
        for process in processes:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write("\n")
                process.stdin.flush()
        outputs = [process.communicate(timeout=TIMEOUT) for process in processes]
        assert [error for dummy, error in outputs if error] == []
        return [output for output, dummy in outputs]


def processes_at(home):
    """Return the ids of the processes whose home is a folder; workers of Ansible have sessions of their own."""
    mark = f"HOME={home}\0".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in environment.read_bytes():
                found.append(int(environment.parent.name))
    return found


def run_module(folder, check=False, diff=False, env=None, module="vcc_interaction", **given):
    """Run a module's file as Ansible does on a target, in ``folder``. Returns its result, exit status and all that it printed."""
    arguments = {"ANSIBLE_MODULE_ARGS": {**given, "_ansible_check_mode": check, "_ansible_diff": diff}}
    process = subprocess.run(
        [sys.executable, str(COLLECTION / "plugins" / "modules" / f"{module}.py")],
        input=json.dumps(arguments),
        env={**os.environ, "PYTHONPATH": PYTHONPATH, **(env or {})},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    printed = process.stdout + process.stderr
    assert process.stdout, printed
    result = json.loads(process.stdout)
    result.pop("invocation", None)  # which ansible-core 2.21 leaves out
    return result, process.returncode, printed


def call_main(module, check=False, diff=False, **given):
    """Call a module's main function in this process, which is faster. Returns its result, exit status and all that it printed."""
    main = importlib.import_module(f"ansible_collections.vonage.vcc.plugins.modules.{module}").main
    printed, errors = io.StringIO(), io.StringIO()
    code = None
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch_module_args({**given, "_ansible_check_mode": check, "_ansible_diff": diff}))
        stack.enter_context(contextlib.redirect_stdout(printed))
        # If other tests have imported the code of Ansible's controller, the warnings are written here.
        stack.enter_context(contextlib.redirect_stderr(errors))
        try:
            main()
        except SystemExit as exc:
            code = exc.code
    everything = errors.getvalue() + printed.getvalue()
    assert code is not None, everything
    result = json.loads(printed.getvalue())
    result.pop("invocation", None)
    return result, code, everything


ENGINE = """
import json
import signal
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background inherits as ignored
print(json.dumps(run(json.loads(sys.argv[1]), False, False, {})))
"""


def engine(**given):
    """Another Python in which the engine runs a task with these options, one call at a time, and prints its result."""
    return python(ENGINE, json.dumps(validated(**{"calls_in_flight": 1, **given})))


@contextlib.contextmanager
def background(act, *arguments):
    """Run ``act`` in a thread; at the end its result is in the list that is yielded."""
    results = []
    thread = threading.Thread(target=lambda: results.append(act(*arguments)), daemon=True)
    thread.start()
    yield results
    thread.join(TIMEOUT)
    assert results, "the thread did not come to an end"


def journal_rows(journal):
    """Return the rows of a journal by external id, each a dict of id, request_id, accepted, action, asked, api_url, account and provider.

    :param journal: its path or URL.
    """
    path = str(journal)
    if is_url(path):
        return _database_rows(path)
    with contextlib.closing(sqlite3.connect(f"file:{quote(path)}?mode=rw", uri=True)) as db:
        db.row_factory = sqlite3.Row
        rows = db.execute("SELECT * FROM interaction JOIN scope ON scope.id = interaction.scope ORDER BY external_id")
        return {row["external_id"]: dict(row) for row in rows}


def _database_rows(url):
    import psycopg  # not every Python that runs tests has it

    query = """
SELECT row.id, coalesce(long_external_id, external_id) AS external_id, action, request_id, requested_at AS asked, accepted_at AS accepted,
    api_url, account, provider
FROM vcc_journal.interaction AS row JOIN vcc_journal.scope AS scope ON scope.id = row.scope ORDER BY external_id
"""
    with contextlib.closing(psycopg.connect(url, row_factory=psycopg.rows.dict_row)) as db:
        return {row["external_id"]: row for row in db.execute(query)}


def snapshot(folder):
    """Return names, times, modes and contents of everything in a folder."""
    return {
        str(each.relative_to(folder)): (
            each.stat().st_mtime_ns,
            each.stat().st_mode,
            each.is_file() and each.read_bytes(),
        )
        for each in [folder, *folder.rglob("*")]
    }


def summary(result):
    """Return the counts in the summary, without zeros and without the number of calls."""
    return {name: count for name, count in result["summary"].items() if count and name != "api_calls"}


def column(result, name):
    return [one[name] for one in result["interactions"]]


def mode(path):
    return Path(path).stat().st_mode & 0o7777

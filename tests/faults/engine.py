# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""
Run a job: one task of the engine in its own process. Or serve as the Python that forks such processes.

``engine.py JOB`` runs the job in that file. ``engine.py --serve FD`` reads commands from a Unix socket, one line of JSON
each: ``{"spawn": JOB}`` comes with the descriptor for the child's output, and the reply is the child's process id;
``{"reap": PID}`` waits for the child, and the reply is its exit status. The children end with the socket.

A job is a JSON object: ``options`` of vcc_interaction, ``check``, ``seed``, ``clock`` (a list of [seconds from the start,
error of the clock from then on]), ``file_size`` (RLIMIT_FSIZE), ``user`` (the user id), ``temporary`` (a folder for
temporary files), ``environment`` (variables), ``limits`` (constants of modules; small ones need many calls and claims
for few interactions, and little time) and ``defect`` (a name from DEFECTS, or null).
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import resource
import signal
import socket
import sys
import tempfile
import time

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from sitecustomize import set_clock

from ansible_collections.vonage.vcc.plugins.module_utils import _options, _paths
from ansible_collections.vonage.vcc.plugins.module_utils._api import client, http
from ansible_collections.vonage.vcc.plugins.module_utils._api.attempt import Attempt
from ansible_collections.vonage.vcc.plugins.module_utils._api.client import Client
from ansible_collections.vonage.vcc.plugins.module_utils._interactions import (
    outcome,
    result,
    sender,
    source_files,
    task,
)
from ansible_collections.vonage.vcc.plugins.module_utils._journal import (
    ahead,
    audit,
    claims,
    journal,
    postgresql_connection,
    postgresql_rows,
    rules,
    sqlite_file,
    store,
    worklist,
)
from ansible_collections.vonage.vcc.plugins.modules import vcc_interaction

# The modules whose constants a job can change.
MODULES = (ahead, client, http, journal, postgresql_connection, result, sender, store, worklist)

# Defects of the engine that the campaign must detect.


def _sends_nothing(_job):
    Client.invoke = lambda self, body, on_request: None


def _new_request_ids(_job):
    """Send pending interactions with a new request id."""
    claim = rules.claim

    def claim_anew(*arguments):
        one = claim(*arguments)
        return one._replace(request_id=os.urandom(16).hex()) if one.pending else one

    rules.claim = claim_anew


def _reuses_request_ids(_job):
    """Send custom request ids that VCC has processed for another claim."""
    journal.check_request_ids = lambda *_arguments: None


def _ignores_key(_job):
    """Derive other request ids in each run."""
    task.derive_request_id = lambda *_arguments: os.urandom(16).hex()


def _no_claims(_job):
    """Do not write claims to the journal before a call."""

    def claim_nothing(self, after, accepted=()):
        self.accept(accepted)
        chunk = self.plan(after)
        return [one._replace(request_id=one.request_id or os.urandom(16).hex(), claim=-1) for one in chunk]

    journal.Journal.claim = claim_nothing


def _no_confirmations(_job):
    """Do not mark rows as accepted."""
    begin = claims.Claims.begin
    claims.Claims.begin = lambda self, prepared, _accepted, following: begin(self, prepared, [], following)
    claims.Claims.accept = lambda self, interactions: None


def _early_confirmations(_job):
    """Mark rows as accepted before the call."""
    claim = journal.Journal.claim

    def claim_and_accept(self, *asked):
        chunk = claim(self, *asked)
        self.accept([one for one in chunk if not one.confirmed])
        return chunk

    journal.Journal.claim = claim_and_accept


def _denies_sending(_job):
    """Treat a request as not sent after it was sent."""
    Attempt.mark_sent = classmethod(lambda cls: None)


def _allows_same_file(_job):
    """Do not notice that two options name the same file."""
    _paths.check_distinct = lambda paths: None


def _trusts_any_journal(_job):
    """Use the journal of another user."""
    sqlite_file.untrusted_reason = lambda path: ""


def _omits_results(_job):
    """Omit every third interaction from the result."""
    add = result.Result.add
    result.Result.add = lambda self, outcome: add(
        self, outcome._replace(interactions=[one for one in outcome.interactions if one.seq % 3])
    )


def _optimistic_results(_job):
    """Report an unknown outcome as success."""
    sender.Sender._failed_outcomes = lambda self, batch, *details, **others: [
        outcome.Outcome(batch.interactions, self._state, True, outcome.Evidence.API)
    ]


def _reads_any_file(_job):
    """Read each line of any file as an id."""
    source_files._check_magic = lambda *_arguments: None
    source_files.check_first_line = source_files.check_lines = lambda *_arguments: None


def _hangs(_job):
    time.sleep(3600)


def _crashes(_job):
    raise RuntimeError("a bug")


def _prints_secrets(job):
    print(job["options"]["client_secret"])


def _calls_in_check_mode(job):
    """Make calls in check mode."""
    job["check"] = False


def _forgets_failures(_job):
    """Do not record how interactions ended that VCC has not accepted."""
    audit.Audit.record = lambda self, interactions: None


def _forgets_acceptances(_job):
    """Do not record which interactions VCC has accepted."""
    marks = audit.Audit.marks
    audit.Audit.marks = lambda self, claimed: (marks(self, claimed)[0], [])


def _miscounts_calls(_job):
    """Number the calls of a task from 2."""
    invoke = Client.invoke
    Client.invoke = lambda self, body, on_request: invoke(self, body, lambda number: on_request(number + 1))


# Defects of a journal in PostgreSQL.


def _swaps_always(_job):
    """Take every change of rows for one that took effect."""
    postgresql_rows.Swap.done = lambda self, *others: [True] * len(self._changes)


def _claims_twice(_job):
    """After the answer to a claim was lost, ask with other request ids than those that the claim has written."""
    done = postgresql_rows.Swap.done
    end = ahead.ChunksAhead._end
    repeated = []

    def note(self, db, written, again):
        repeated.extend([True] * again)
        return done(self, db, written, again)

    def end_anew(self, claiming):
        chunk = end(self, claiming)
        if not repeated:
            return chunk
        repeated.clear()
        return [one if one.confirmed else one._replace(request_id=os.urandom(16).hex()) for one in chunk]

    postgresql_rows.Swap.done = note
    ahead.ChunksAhead._end = end_anew


def _gives_up_at_once(_job):
    """Do not repeat work after a lost connection."""
    postgresql_connection.RETRY_SECONDS = -1


def _waits_for_ever(_job):
    """Do not end a connection whose peer does not answer."""
    postgresql_connection._Watchdog._end = staticmethod(lambda db: None)


def _prints_password(job):
    print(job["options"]["journal"])


DEFECTS = {
    defect.__name__.strip("_"): defect
    for defect in (
        _sends_nothing,
        _new_request_ids,
        _reuses_request_ids,
        _ignores_key,
        _no_claims,
        _no_confirmations,
        _early_confirmations,
        _denies_sending,
        _allows_same_file,
        _trusts_any_journal,
        _omits_results,
        _optimistic_results,
        _reads_any_file,
        _hangs,
        _crashes,
        _prints_secrets,
        _calls_in_check_mode,
        _forgets_failures,
        _forgets_acceptances,
        _miscounts_calls,
        _swaps_always,
        _claims_twice,
        _gives_up_at_once,
        _waits_for_ever,
        _prints_password,
    )
}


def validate(options):
    """Return the options as the module gets them."""
    validation = _options.validated(ArgumentSpecValidator(**vcc_interaction.SPEC), options)
    if validation.errors.errors:
        raise ValueError(validation.errors.msg)
    return validation.validated_parameters


def run_job(job):
    """Run a job, and print its result as a line of JSON."""
    os.dup2(1, 2)  # a pipe, which works on a full disk too
    faulthandler.register(signal.SIGUSR1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed(job["seed"])
    set_clock(job["clock"])
    for name, value in job["limits"].items():
        modules = [module for module in MODULES if hasattr(module, name)]
        if not modules:
            raise ValueError(f"no module of the engine has the constant {name}")
        for module in modules:
            setattr(module, name, value)
    os.environ.update(job["environment"])
    tempfile.tempdir = job["temporary"]
    if job["user"] is not None:
        os.setgroups([])
        os.setresgid(*[job["user"]] * 3)
        os.setresuid(*[job["user"]] * 3)
    if job["file_size"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_size"], resource.RLIM_INFINITY))
    if job["defect"]:
        DEFECTS[job["defect"]](job)
    returned = task.run(validate(job["options"]), job["check"], False, {})
    print(json.dumps(returned), flush=True)


def warm_up():
    """Import modules that the engine imports late, because an unprivileged user may not be able to read them."""
    connection = {
        "api_url": "http://127.0.0.1:1",
        "auth_url": "http://127.0.0.1:1/",
        "client_id": "c",
        "client_secret": "s",
    }
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as source:
        source.write('{"external_id": "x"}\n')
        source.flush()
        params = validate(
            {**connection, "src": source.name, "journal": "", "retries": 0, "token_cache": "/dev/null/none"}
        )
        task.run(params, False, False, {})
        task.run({**params, "token_cache": None}, False, False, {})
        task.run({**params, "journal": "postgresql://127.0.0.1:1/none"}, False, False, {})


def serve(channel):
    """Fork a child for each job, and return in the child the path of its job."""
    children = set()
    while True:
        # The campaign sends one command at a time, so the descriptor belongs to this command.
        message, descriptors, _flags, _address = socket.recv_fds(channel, 65536, 1)
        if not message:
            break
        command = json.loads(message)
        if "spawn" in command:
            pid = os.fork()
            if not pid:
                channel.close()
                os.dup2(descriptors[0], 1)
                os.close(descriptors[0])
                return command["spawn"]
            os.close(descriptors[0])
            children.add(pid)
            reply = pid
        else:
            children.discard(command["reap"])
            reply = os.waitstatus_to_exitcode(os.waitpid(command["reap"], 0)[1])
        channel.sendall(json.dumps(reply).encode() + b"\n")
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    sys.exit()


def main():
    if sys.argv[1] == "--serve":
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the campaign too
        warm_up()
        path = serve(socket.socket(fileno=int(sys.argv[2])))
    else:
        warm_up()
        path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    run_job(job)


if __name__ == "__main__":
    main()

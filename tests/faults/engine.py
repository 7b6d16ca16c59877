# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""
One run of the engine in a process of its own, as an order says; or a warm Python that forks such processes.

``engine.py ORDER`` does the order in that file. ``engine.py --serve FD`` reads commands from a Unix socket, a line of
JSON each: ``{"spawn": ORDER}``, with the descriptor of the child's output, is answered with the child's id;
``{"reap": PID}`` waits for its end, and is answered with its exit status. The children end with the socket.

An order is a JSON object: ``options`` of vcc_interaction, ``check``, ``seed``, ``clock`` (a list of [seconds from the
start, by how much the clock is wrong from then on]), ``file_size`` (RLIMIT_FSIZE), ``user`` (to become), ``temporary``
(a folder for files that do not last), ``environment`` (variables), ``limits`` (constants of modules, to need many calls
and claims for few interactions, and little time) and ``lie`` (below).
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

from ansible_collections.vonage.vcc.plugins.module_utils import _connection, _options
from ansible_collections.vonage.vcc.plugins.module_utils._api import client, http
from ansible_collections.vonage.vcc.plugins.module_utils._api.client import Client
from ansible_collections.vonage.vcc.plugins.module_utils._api.transport import Attempt
from ansible_collections.vonage.vcc.plugins.module_utils._interactions import result, sender, sources, task
from ansible_collections.vonage.vcc.plugins.module_utils._journal import journal, sqlite

# Engines that break their word, to show that the campaign notices.


def _sends_nothing(_order):
    Client.invoke = lambda self, body: None


def _new_ids(_order):
    """Asks with a new request id for what is pending."""
    judge = journal.Journal._classify

    def judge_anew(self, *row):
        one = judge(self, *row)
        return one._replace(request_id=os.urandom(16).hex()) if one.pending else one

    journal.Journal._classify = judge_anew


def _reuses_ids(_order):
    """Asks with request ids that VCC has had for something else."""
    journal.Journal._check_request_ids = lambda self, *_places: None


def _no_claims(_order):
    """Does not note what it asks for before it has an answer: its claims are of no row."""

    def claim_nothing(self, after, accepted=()):
        self.accept(accepted)
        chunk = self.plan(after)
        return [one._replace(request_id=one.request_id or os.urandom(16).hex(), claim=-1) for one in chunk]

    journal.Journal.claim = claim_nothing


def _no_proof(_order):
    """Does not note what was accepted."""
    journal.Journal._accept = lambda self, done: None


def _early_proof(_order):
    """Notes as accepted what it has yet to send."""
    claim = journal.Journal.claim

    def claim_and_accept(self, *asked):
        chunk = claim(self, *asked)
        self.accept([one for one in chunk if not one.confirmed])
        return chunk

    journal.Journal.claim = claim_and_accept


def _denies_it(_order):
    """Takes what it has sent for what it has not."""
    Attempt.begin_to_send = classmethod(lambda cls: None)


def _mixes_files(_order):
    """Does not see which of its files are one."""
    _connection.check_distinct = lambda paths: None


def _believes_anyone(_order):
    """Takes the journal of a stranger for its own."""
    sqlite.distrust = lambda path: ""


def _keeps_silent(_order):
    """Does not report every third interaction."""
    add = result.Result.add
    result.Result.add = lambda self, outcome: add(
        self, outcome._replace(interactions=[one for one in outcome.interactions if one.seq % 3])
    )


def _optimist(_order):
    """Reports as released what is not known to be."""
    sender.Sender._undone = lambda self, batch, *details, **others: [
        result.Outcome(batch.interactions, self._payload.state, True, "api")
    ]


def _reads_anything(_order):
    """Takes each line of a file for an id, whatever it is."""
    sources._check_magic = sources._check_no_header = sources._check_line = lambda *_arguments: None


def _hangs(_order):
    time.sleep(3600)


def _crashes(_order):
    raise RuntimeError("a bug")


def _tells_secrets(order):
    print(order["options"]["client_secret"])


def _predicts_with_a_call(order):
    """Does in check mode what it should predict."""
    order["check"] = False


LIES = {
    lie.__name__.strip("_"): lie
    for lie in (
        _sends_nothing,
        _new_ids,
        _reuses_ids,
        _no_claims,
        _no_proof,
        _early_proof,
        _denies_it,
        _mixes_files,
        _believes_anyone,
        _keeps_silent,
        _optimist,
        _reads_anything,
        _hangs,
        _crashes,
        _tells_secrets,
        _predicts_with_a_call,
    )
}


def validated(given):
    validation = _options.validated(ArgumentSpecValidator(**_options.INTERACTION_SPEC), given)
    if validation.errors.errors:
        raise ValueError(validation.errors.msg)
    return validation.validated_parameters


def obey(order):
    """Do the order, and print the result as a line of JSON."""
    os.dup2(1, 2)  # a pipe, which can be written on a full disk too
    faulthandler.register(signal.SIGUSR1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed(order["seed"])
    set_clock(order["clock"])
    for module in (client, http, journal, result, sender):
        for name, value in order["limits"].items():
            if hasattr(module, name):
                setattr(module, name, value)
    os.environ.update(order["environment"])
    tempfile.tempdir = order["temporary"]
    if order["user"] is not None:
        os.setgroups([])
        os.setresgid(*[order["user"]] * 3)
        os.setresuid(*[order["user"]] * 3)
    if order["file_size"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_size"], resource.RLIM_INFINITY))
    if order["lie"]:
        LIES[order["lie"]](order)
    outcome = task.run(validated(order["options"]), order["check"], False, {})
    print(json.dumps(outcome), flush=True)


def warm_up():
    """Import what the engine imports only as it goes: another user may not be allowed to."""
    given = {"api_url": "http://127.0.0.1:1", "auth_url": "http://127.0.0.1:1/", "client_id": "c", "client_secret": "s"}
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as source:
        source.write('{"external_id": "x"}\n')
        source.flush()
        params = validated({**given, "src": source.name, "journal": "", "retries": 0, "token_cache": "/dev/null/none"})
        task.run(params, False, False, {})
        task.run({**params, "token_cache": None}, False, False, {})


def serve(channel):
    """Fork a child for each order. Returns, in the child alone, the path of its order."""
    children = set()
    while True:
        # One command at a time is on its way, so its descriptor cannot be another's.
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
            answer = pid
        else:
            children.discard(command["reap"])
            answer = os.waitstatus_to_exitcode(os.waitpid(command["reap"], 0)[1])
        channel.sendall(json.dumps(answer).encode() + b"\n")
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    sys.exit()


def main():
    if sys.argv[1] == "--serve":
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, which is for the campaign
        warm_up()
        path = serve(socket.socket(fileno=int(sys.argv[2])))
    else:
        warm_up()
        path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        order = json.load(file)
    obey(order)


if __name__ == "__main__":
    main()

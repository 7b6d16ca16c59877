# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs for the processes of a round: the options of a task, and the files that it uses."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.tests.faults.plan import ENGINE_RUNNERS, source_text
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.simulator.proxy import HOST

CERTIFICATE_FILE = "authority.pem"
TOKEN_PATH = "/Auth/connect/token"
OTHER_UID = 12345  # a user that is neither root nor the user of the processes


class Jobs:
    """
    Writes jobs into the folder of a round.

    :param journal: the path or the URL of the journal that the tasks share
    :param user: the user id of the processes, or None if they keep that of this process
    :param limits: constants of the engine
    :param defect: the name of a defect of the engine, or None
    """

    def __init__(self, folder, journal, simulator, proxy, user, limits, defect):
        self._folder = folder
        self._journal = journal
        self._simulator = simulator
        self._proxy = proxy
        self._user = user
        self._limits = limits
        self._defect = defect
        self._protected = {}  # number of a task -> files that it must not change, with their state

    def write(self, task):
        """Write the job of a process or, for ansible-playbook, a playbook, and return its path."""
        url = f"https://{HOST}" if self._proxy else self._simulator.url
        options = {
            "api_url": url,
            "auth_url": url + TOKEN_PATH,
            "journal": "" if task.own_journal else str(self._journal),
            **task.options,
        }
        if self._proxy:
            options["ca_path"] = str(self._folder / CERTIFICATE_FILE)
        if task.provider:
            options["provider"] = task.provider
        if options.get("access_token"):
            options["access_token"] = self._simulator.issue_token()
        if options.get("token_cache"):
            options["token_cache"] = str(self._folder / "used" / "tokens.json")
        if options.get("report"):
            options["report"] = self._create_file(self._folder / f"report-{task.number}.jsonl")
        options.update(self._source_options(task))
        options = {**task.blank, **options}
        if "JOURNAL" in task.blank_variables and not task.own_journal:
            options["journal"] = None  # the environment has it
        if task.forbidden_file:
            self._add_forbidden_file(task, options)
        path = self._folder / f"job-{task.number}.json"
        if task.runner in ENGINE_RUNNERS:
            job = {
                "options": {**options, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
                "environment": self.variables(task),
                "check": task.check,
                "seed": task.seed,
                "clock": task.clock,
                "file_size": task.file_size,
                "user": self._user,
                "temporary": str(self._temporary(task)),
                "limits": self._limits,
                "defect": self._defect,
            }
        else:
            (self._folder / f"home-{task.number}").mkdir(exist_ok=True)
            step = {"vonage.vcc.vcc_interaction": options}
            if task.runner == "module":
                step["environment"] = {"RUN_THE_MODULE": "because the task has an environment"}
            python = {"ansible_python_interpreter": sys.executable}
            job = [{"hosts": "localhost", "gather_facts": False, "vars": python, "tasks": [step]}]
        path.write_text(json.dumps(job), encoding="utf-8")
        return path

    def variables(self, task):
        """Return environment variables of a task: blank ones, the journal if it is not an option, and the proxy."""
        variables = {f"VCC_{name}": "" for name in task.blank_variables}
        if "VCC_JOURNAL" in variables:
            variables["VCC_JOURNAL"] = str(self._journal)
        if self._is_remote:
            variables["HOME"] = str(self._temporary(task))
        return {**variables, "HTTPS_PROXY": self._proxy.url} if self._proxy else variables

    @property
    def _is_remote(self):
        return not isinstance(self._journal, Path)

    def _temporary(self, task):
        """Return the folder of a task for temporary files. With a journal in PostgreSQL, tasks share no folder, not even that of the user."""
        if not self._is_remote:
            return self._folder / "used"
        folder = self._folder / f"home-{task.number}"
        if not folder.exists():
            folder.mkdir()
            if self._user is not None:
                shutil.chown(folder, self._user)
        return folder

    def is_unchanged(self, task):
        """Return whether a task has left its forbidden file and its source as they were."""
        return all(_state_of(path) == state for path, state in self._protected[task.number])

    def _create_file(self, path):
        """Create a file that the processes can write, and return its path."""
        path.touch()
        if self._user is not None:
            shutil.chown(path, self._user)
        return str(path)

    def _add_forbidden_file(self, task, options):
        """Give a task a file that it must refuse, and remember the state of that file."""
        own = self._folder / f"file-{task.number}"
        places = {
            "report is the log of the journal": ("report", f"{self._journal}-wal"),
            "report is a link to the journal": ("report", str(own)),
            "report is a pipe": ("report", str(own)),
            "report is the lock of the token cache": ("report", f"{own}.lock"),
            "token cache is the source": ("token_cache", options["src"]),
            "token cache is another file of the user": ("token_cache", str(own)),
            "journal belongs to another user": ("journal", str(own)),
        }
        name, path = places[task.forbidden_file]
        options[name] = path
        if task.forbidden_file == "report is a link to the journal":
            own.symlink_to(self._journal)
        elif task.forbidden_file == "report is a pipe":
            os.mkfifo(own)
        elif task.forbidden_file == "report is the lock of the token cache":
            options["token_cache"] = str(own)
        elif task.forbidden_file == "token cache is another file of the user":
            self._create_file(own)
            own.write_text("case-1\n", encoding="utf-8")
        elif task.forbidden_file == "journal belongs to another user":
            with contextlib.closing(
                Journal(str(own), options["api_url"], CLIENT_ID, task.provider, 0, task.action)
            ) as journal:
                journal.add_all([[*task.ids]])
                journal.accept(journal.claim(0))
            own.chmod(0o666)
            if os.geteuid() == 0:
                os.chown(own, OTHER_UID, OTHER_UID)
        self._protected[task.number] = [(path, _state_of(path)) for path in (own, Path(options["src"]))]

    def _source_options(self, task):
        """Write the source of a task, and return the options that name its interactions."""
        if not task.source.startswith("src"):
            entries = task.ids if task.source == "external_ids" else [{"external_id": each} for each in task.ids]
            return {task.source: entries}
        kind, *extension = task.source.split(".")[1:] or [""]
        path = self._folder / f"source-{task.number}.{(extension or [kind])[0]}".rstrip(".")
        text = source_text(task)
        if text is None:
            os.mkfifo(path)
        else:
            path.write_text(text, encoding="utf-8")
        return {"src": str(path), **({"src_format": kind} if extension else {})}


def _state_of(path):
    """Return the content of a regular file, or the mode of anything else; None if there is nothing."""
    if not path.is_symlink() and path.is_file():
        return path.read_bytes()
    return path.lstat().st_mode if os.path.lexists(path) else None

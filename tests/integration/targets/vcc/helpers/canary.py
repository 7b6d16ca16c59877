# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run test_canary.yml at the highest verbosity, search all its processes for secrets, and check that its files are private.

Usage: canary.py VARS.JSON PART, with debug, modules or ad-hoc as PART. secrets.py searches the output and the remaining files afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

from canaries import CANARIES, holds_secret, spellings

# The format of results. With ANSIBLE_DEBUG, Ansible itself prints the input and output of each module, no_log or not, so that round uses
# only the action plugin. ansible-core 2.16 has one format, and 2.19 and later have tracebacks on demand.
ROUNDS = {
    "debug": {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_DEBUG": "1"},
    "modules": {
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        "ANSIBLE_CALLBACK_FORMAT_PRETTY": "1",
        "ANSIBLE_DISPLAY_TRACEBACK": "always",
        "ANSIBLE_LOG_PATH": "{work}/canary.log",
    },
}
PAUSE = 0.05
PATHS = ("/interactions/Invoke", "/interactions/Register", "/stats/interactions/ongoing")


def troubles(sim):
    """Return the cases: names, orders to the simulator, options, and the modules to run in addition to the action plugin."""
    usual = {"client_id": sim["client_id"], "client_secret": sim["client_secret"]}
    told = [sim["client_secret"], CANARIES["token"]]

    def repeat(path):
        """Return the answer of a server that repeats its input: raw, as in the body, and as in a URL. A task can mask the secrets that it knows."""
        secrets = told + [CANARIES["header"]] * (path == "/interactions/Register")
        texts = [text for secret in secrets for text in (secret, json.dumps(secret), quote(secret, safe=""))]
        return {"message": " and ".join(texts)}

    def trouble(name, modules=(), options=(), fault=None, journal="/journal.db", fails=True):
        orders = [["POST", "dispatch", {"external_ids": ["case-1", "case-2"]}]]
        for path in PATHS if fault else ():
            body = {"body": repeat(path)} if fault["kind"] == "status" else {}
            orders.append(["POST", "faults", {"path": path, "times": None, **body, **fault}])
        return {
            "name": name,
            "orders": orders,
            "options": {**usual, **dict(options)},
            "modules": modules,
            "journal": journal,
            "fails": fails,
        }

    every = ["interaction", "provider", "ongoing", "journal", "journal_info", "token"]
    ready = {"access_token": CANARIES["token"]}
    alone = {**ready, "client_id": None, "client_secret": None}
    return [
        trouble("nothing", every, fails=False),
        trouble("a token that is refused and replaced", ["provider"], ready, fails=False),
        trouble("400", ["interaction", "provider", "ongoing"], ready, {"kind": "status", "status": 400}),
        trouble("400 and no object", fault={"kind": "status", "status": 400, "body": sim["client_secret"]}),
        trouble("403", [], ready, {"kind": "status", "status": 403}),
        trouble("500", [], fault={"kind": "status", "status": 500}),
        trouble("a page", ["ongoing"], fault={"kind": "html"}),
        trouble(
            "a redirect", fault={"kind": "redirect", "location": "https://x.example/" + quote(sim["client_secret"])}
        ),
        trouble("a cut connection", fault={"kind": "cut", "when": "after"}),
        trouble("a timeout", [], {"timeout": 1}, {"kind": "hold"}),
        trouble("a wrong secret", ["provider", "token"], {"client_secret": CANARIES["wrong"]}),
        trouble(
            "a token endpoint that says too much", ["token"], fault={"kind": "status", "path": None, "status": 400}
        ),
        trouble("a token that is refused", ["interaction"], alone),
        trouble("a token with a blank", [], {"access_token": f"{CANARIES['token']} {CANARIES['token']}"}),
        trouble("a wrong option", ["provider"], {"domain": "nowhere"}),
        trouble("a URL with a password", [], {"api_url": f"https://someone:{quote(CANARIES['wrong'])}@vcc.example"}),
        trouble("a journal that cannot be written", ["journal"], journal="/file/journal.db"),
    ]


class Watch(threading.Thread):
    """Read the command line and the environment of every process of this script, except the variables that a user sets."""

    def __init__(self, home, secrets):
        super().__init__(daemon=True)
        self._mark = b"HOME=" + os.fsencode(home)
        self._secrets = secrets
        self.over = threading.Event()
        self.seen = set()
        self.found = set()

    def run(self):
        while not self.over.wait(PAUSE):
            for folder in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    environment = (folder / "environ").read_bytes().split(b"\0")
                    if self._mark not in environment:
                        continue
                    command = (folder / "cmdline").read_bytes()
                    self.seen.add(command)
                    others = b"\0".join(one for one in environment if not one.startswith(b"VCC_"))
                    for kind, content in (("environment", others), ("command line", command)):
                        if holds_secret(content, self._secrets):
                            self.found.add((kind, command[:100]))


def show(work, name, command, variables):
    """Run a command of Ansible at the highest verbosity, with its output in a file."""
    with open(Path(work, "output", f"canary-{name}"), "w+b") as output:
        done = subprocess.run(
            [*command, "-vvvv"],
            env={**os.environ, **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
            umask=0,
            check=False,
        )
        if done.returncode:
            output.seek(0)
            sys.exit(output.read().decode(errors="replace"))


# The files that remain after a round.
LEFT = {"journal.db", "report.jsonl", "tokens", "cache.json", "cache.json.lock"}


def open_to_others(folder):
    """Return the files that other users may read or write, with a umask that forbids nothing."""
    left = {path.name: path.stat().st_mode & 0o077 for path in folder.rglob("*") if path.name != "file"}
    assert set(left) == LEFT, left
    return sorted(name for name, mode in left.items() if mode)


def play(settings, name):
    """Run the cases of one round, and return the files that other users may read."""
    every = troubles(settings["sim"])
    gone_through = {
        "debug": [{**one, "modules": []} for one in every if not one["modules"] or one["name"] in ("nothing", "400")],
        "modules": [one for one in every if one["modules"]],
    }
    work = settings["work"]
    told = Path(work, "canary.json")
    told.write_text(json.dumps({"canary": CANARIES, "round": name, "troubles": gone_through[name]}), encoding="utf-8")
    variables = {key: value.format(work=work) for key, value in ROUNDS[name].items()}
    show(work, name, ["ansible-playbook", "-e", f"@{sys.argv[1]}", "-e", f"@{told}", "test_canary.yml"], variables)
    return open_to_others(Path(work, "canary", name))


def command(settings):
    """Run a module by itself, with secrets in the environment."""
    sim = settings["sim"]
    variables = {"VCC_API_URL": sim["url"], "VCC_AUTH_URL": sim["token_url"], "VCC_ACCESS_TOKEN": CANARIES["token"]}
    variables.update({f"VCC_{name.upper()}": sim[name] for name in ("client_id", "client_secret")})
    arguments = ["ansible", "localhost", "-m", "vonage.vcc.vcc_ongoing_info", "-D"]
    show(settings["work"], "ad-hoc", arguments, variables)
    return []


if __name__ == "__main__":
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    part = sys.argv[2]
    watch = Watch(os.environ["HOME"], spellings(settings["sim"]["client_secret"], *CANARIES.values()))
    watch.start()
    readable = command(settings) if part == "ad-hoc" else play(settings, part)
    watch.over.set()
    watch.join()
    modules = sum(b"AnsiballZ_vcc_" in one for one in watch.seen)
    print(
        f"{len(watch.seen)} processes seen, {modules} of them modules, {len(watch.found)} with a secret: {sorted(watch.found)}"
    )
    print(f"open to others: {readable}")
    sys.exit(bool(watch.found) or bool(readable) or not watch.seen or (not modules and part != "debug"))

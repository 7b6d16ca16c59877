# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the collection, import it as Galaxy would, install it offline, and use it from there.

Wants ansible-core, ansible-builder, galaxy-importer, requests and what the simulator needs in the Python that runs it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

# What VCC would post, as a rulebook hands it on.
NOTIFICATIONS = [{"notification": "Release", "objectid": "case-5", "notificationid": str(uuid.uuid4()), "params": {}}]

# Playbooks, each with extra variables that let it change something.
PLAYBOOKS = {
    "register_provider": {"vcc_provider": "crm"},
    "dispatch_interaction": {"vcc_route": "sales", "vcc_external_id": "case-4", "vcc_provider": "crm"},
    "drain_route": {"vcc_external_ids": ["case-4"], "vcc_provider": "crm"},
    "note_notifications": {"vcc_notifications": quote(json.dumps(NOTIFICATIONS)), "vcc_provider": "crm"},
    "release_interaction": {"vcc_external_id": "case-1"},
    "release_interactions": {"vcc_external_ids": ["case-2", "case-3"]},
}

SHIPPED = {
    "CHANGELOG.rst",
    "CONTRIBUTING.md",
    "FILES.json",
    "LICENSE",
    "LICENSES",
    "MANIFEST.json",
    "README.md",
    "changelogs",
    "docs",
    "extensions",
    "meta",
    "playbooks",
    "plugins",
}


def run(*command: str | Path, **options) -> str:
    """Run a command, show what it says and return it; end this program if it fails."""
    print("$", *command, flush=True)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )
    print(done.stdout, flush=True)
    if done.returncode:
        sys.exit(f"{command[0]} failed with exit code {done.returncode}")
    return done.stdout


@contextlib.contextmanager
def simulator() -> Iterator[dict[str, str]]:
    """Start a simulator; gives the environment in which the collection finds it."""
    command = [sys.executable, "-m", "tests.simulator", "--stop-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        told = json.loads(process.stdout.readline())
        yield {
            "VCC_API_URL": told["url"],
            "VCC_AUTH_URL": told["token_url"],
            "VCC_CLIENT_ID": told["client_id"],
            "VCC_CLIENT_SECRET": told["client_secret"],
        }
        process.communicate()


def check(place: Path) -> None:
    """Do it all in an empty folder."""
    run("ansible-galaxy", "collection", "build", "--output-path", place)
    (tarball,) = place.glob("*.tar.gz")

    with tarfile.open(tarball) as archive:
        surplus = {name.split("/")[0] for name in archive.getnames()} - SHIPPED
    if surplus:
        sys.exit(f"Add to build_ignore in galaxy.yml, or to SHIPPED here: {', '.join(sorted(surplus))}")

    # galaxy-importer exits with 0 after errors that Galaxy would refuse the collection for.
    log = run(sys.executable, "-m", "galaxy_importer.main", tarball.name, cwd=place)
    if any(line.startswith("ERROR:") for line in log.splitlines()):
        sys.exit("galaxy-importer found errors")

    collections = place / "collections"
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_HOME": str(place / "ansible"),
        "VCC_JOURNAL": str(place / "journal.db"),
    }
    run("ansible-galaxy", "collection", "install", "--offline", "-p", collections, tarball, env=environment)
    installed = collections / "ansible_collections" / "vonage" / "vcc"
    for module in sorted((installed / "plugins" / "modules").glob("*.py")):
        run("ansible-doc", f"vonage.vcc.{module.stem}", env=environment, cwd=place)

    shipped = {playbook.stem for playbook in (installed / "playbooks").glob("*.yml")}
    if shipped != set(PLAYBOOKS):
        sys.exit(f"PLAYBOOKS here names {', '.join(sorted(PLAYBOOKS))}, but built are {', '.join(sorted(shipped))}")
    with simulator() as connection:
        for name, variables in PLAYBOOKS.items():
            log = run(
                *("ansible-playbook", f"vonage.vcc.{name}", "-e", json.dumps(variables)),
                env={**environment, **connection},
                cwd=place,
            )
            if "changed=1" not in log:
                sys.exit(f"vonage.vcc.{name} changed nothing")

    requirements = run("ansible-builder", "introspect", collections)
    if "requests" not in requirements:
        sys.exit("ansible-builder does not find requests in meta/execution-environment.yml")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder))

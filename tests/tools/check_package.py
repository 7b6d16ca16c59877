# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the collection, import it as Galaxy does, install it offline, and read its documentation.

The Python that runs this must have ansible-core, ansible-builder, galaxy-importer and requests.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

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
    """Run a command, print and return its output; exit if it fails."""
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


def with_repository(tarball: Path, folder: Path) -> Path:
    """Return a copy of a tarball with an address of its repository, which Galaxy requires and the owner of the namespace fills in."""
    folder.mkdir()
    copy = folder / tarball.name
    with tarfile.open(tarball) as source, tarfile.open(copy, "w:gz") as target:
        for member in source:
            content = source.extractfile(member)
            data = content.read() if content else b""
            if member.name == "MANIFEST.json":
                manifest = json.loads(data)
                manifest["collection_info"]["repository"] = "https://repository.example/vcc"
                data = json.dumps(manifest).encode()
                member.size = len(data)
            target.addfile(member, io.BytesIO(data))
    return copy


def check(place: Path) -> None:
    """Run all checks in an empty folder."""
    run("ansible-galaxy", "collection", "build", "--output-path", place)
    (tarball,) = place.glob("*.tar.gz")

    with tarfile.open(tarball) as archive:
        surplus = {name.split("/")[0] for name in archive.getnames()} - SHIPPED
    if surplus:
        sys.exit(f"Add to build_ignore in galaxy.yml, or to SHIPPED here: {', '.join(sorted(surplus))}")

    # galaxy-importer exits with 0 even after errors for which Galaxy rejects the collection.
    imported = with_repository(tarball, place / "import")
    log = run(sys.executable, "-m", "galaxy_importer.main", imported.name, cwd=imported.parent)
    if any(line.startswith("ERROR:") for line in log.splitlines()):
        sys.exit("galaxy-importer found errors")

    collections = place / "collections"
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_HOME": str(place / "ansible"),
    }
    run("ansible-galaxy", "collection", "install", "--offline", "-p", collections, tarball, env=environment)
    installed = collections / "ansible_collections" / "vonage" / "vcc"
    for module in sorted((installed / "plugins" / "modules").glob("*.py")):
        run("ansible-doc", f"vonage.vcc.{module.stem}", env=environment, cwd=place)

    requirements = run("ansible-builder", "introspect", collections)
    for library in ("psycopg[binary]", "requests"):
        if library not in requirements:
            sys.exit(f"ansible-builder does not find {library} in meta/execution-environment.yml")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder))

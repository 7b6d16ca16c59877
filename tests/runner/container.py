# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""
A container for a job without a container engine: a root folder of its own, in which a random user runs ansible-runner.

The root has the programs of this machine and the Python of the tests, the collection at the place where ansible-builder puts it, and /runner, the
folder of the job. Only /runner and /tmp can be written to. The user has no name, group 0 and no HOME, as in OpenShift.
"""

from __future__ import annotations

import functools
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

TIMEOUT = 120  # seconds
COLLECTIONS = "/usr/share/ansible/collections"
AUTHORITIES = "/etc/pki/tls/certs/ca-bundle.crt"

# The variables that AWX sets for each job.
ENVIRONMENT = {
    "ANSIBLE_COLLECTIONS_PATH": f"/runner/requirements_collections:~/.ansible/collections:{COLLECTIONS}",
    "ANSIBLE_FORCE_COLOR": "True",
    "ANSIBLE_HOST_KEY_CHECKING": "False",
    "AWX_PRIVATE_DATA_DIR": "/runner",
}

FILES = {
    "etc/group": "root:x:0:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
}


# All mounts and processes in them end with the first process.
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")


@functools.cache
def missing():
    """Return the reason why this machine cannot run a container, or None if it can."""
    for program in ("unshare", "setpriv", "chroot"):
        if not shutil.which(program):
            return f"no {program}"
    mount = [*NAMESPACES, "mount", "-t", "tmpfs", "tmpfs", "/tmp"]  # only in a namespace of its own
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return "no right to make namespaces and mounts (run as root)"
    return None


class Result(NamedTuple):
    """The end of a job."""

    code: int
    printed: str
    artifacts: dict
    """What the job has passed on by set_stats."""


def _system():
    """Return the folders of this machine that programs need, by their paths: for each, a folder to bind, or the target of a link."""
    found = {}
    for path in [Path("/", name) for name in ("bin", "lib", "lib64", "sbin")]:
        if path.is_symlink():
            found[path] = os.readlink(path)
        elif path.is_dir():
            found[path] = None
    # /usr/share has a folder for the collection instead.
    found.update((path, None) for path in Path("/usr").iterdir() if path.name != "share" and path.is_dir())
    # The virtual environment and its Python, by every name that leads there.
    prefixes = {path for prefix in (sys.prefix, sys.base_prefix) for path in (Path(prefix), Path(prefix).resolve())}
    for path in sorted(prefixes):
        if path.parts[1] != "usr" and found.keys().isdisjoint(path.parents):
            found[path] = None
    return found


def _script(root, job, collections, authorities, command):
    """Return the shell commands that make the root, enter it and run a command in it."""
    lines = ["set -eu", f"mount -t tmpfs -o mode=755 tmpfs {root}", f"cd {root}"]
    lines += ["mkdir -p etc dev proc runner tmp", "mount -t tmpfs -o mode=1777 tmpfs tmp"]
    bound = {**_system(), Path(COLLECTIONS): None}
    sources = {Path(COLLECTIONS): collections}
    for path, link in bound.items():
        inside = shlex.quote(str(path).lstrip("/"))
        if link:
            lines.append(f"ln -s {shlex.quote(link)} {inside}")
            continue
        source = shlex.quote(str(sources.get(path, path)))
        lines += [
            f"mkdir -p {inside}",
            f"mount --bind {source} {inside}",
            f"mount -o remount,bind,ro {inside}",
        ]
    lines.append(f"mkdir -p {os.path.dirname(AUTHORITIES)[1:]}")
    lines += [f"printf %s {shlex.quote(content)} > {name}" for name, content in FILES.items()]
    if authorities:
        lines.append(f"cp {shlex.quote(str(authorities))} {AUTHORITIES[1:]}")
    user = random.randrange(1_000_000_000, 2_000_000_000)
    lines += [
        "mount --rbind /dev dev",
        "mount -t proc proc proc",
        f"chown -R {user}:0 {shlex.quote(str(job))}",
        f"mount --bind {shlex.quote(str(job))} runner",
        "mount -o remount,ro .",
        f"exec chroot . setpriv --reuid={user} --regid=0 --clear-groups --no-new-privs "
        f"env -i --chdir=/runner PATH={shlex.quote(sys.prefix)}/bin:/usr/bin:/bin {shlex.join(command)}",
    ]
    return "\n".join(lines)


def run(playbook, collections, project, inventory, variables=None, environment=None, authorities=None, check=False):
    """
    Run a playbook of a project in a container, and return its Result. The folder of the job is gone then.

    :param collections: the folder that stands at /usr/share/ansible/collections
    :param project: the folder of the project, which is copied
    :param inventory: the inventory, as a dictionary
    :param variables: extra variables
    :param environment: the variables of the credentials
    :param authorities: a file of certificates that stands where images of Red Hat have it
    :param check: whether the type of the job is check
    """
    with tempfile.TemporaryDirectory(prefix="vcc-") as name:
        folder = Path(name)
        shutil.copytree(project, folder / "job" / "project")
        files = {
            "env/cmdline": "--check" if check else "",
            "env/envvars": json.dumps({**ENVIRONMENT, **(environment or {})}),
            "env/extravars": json.dumps({"awx_job_id": 4711, "tower_job_id": 4711, **(variables or {})}),
            "inventory/hosts.json": json.dumps(inventory),
        }
        for path, content in files.items():
            (folder / "job" / path).parent.mkdir(exist_ok=True)
            (folder / "job" / path).write_text(content, encoding="utf-8")
        (folder / "root").mkdir()
        command = ["ansible-runner", "run", "/runner", "--playbook", playbook]
        script = _script(folder / "root", folder / "job", collections, authorities, command)
        done = subprocess.run(
            [*NAMESPACES, "sh", "-c", script],
            env={"PATH": os.environ.get("PATH", os.defpath)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        events = [
            json.loads(path.read_text(encoding="utf-8"))
            for path in (folder / "job").glob("artifacts/*/job_events/*.json")
        ]
        (stats,) = [event["event_data"] for event in events if event["event"] == "playbook_on_stats"] or [{}]
        return Result(done.returncode, done.stdout, stats.get("artifact_data") or {})

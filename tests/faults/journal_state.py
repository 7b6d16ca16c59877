# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""States of the journal that keep a process from using it, and a small disk for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess


@contextlib.contextmanager
def unusable(journal, reason, user):
    """
    Make a journal unusable while the context lasts, and restore it afterwards.

    :param reason: "read_only", "closed" (its folder), "folder" (in place of the journal) or "garbage"; "usable" changes nothing
    :param user: the user id of the processes, or None if they keep that of this process
    :return: whether processes may still use the journal
    """
    folder, aside = journal.parent, journal.parent.with_name("aside")
    unprivileged = user is not None or os.geteuid() != 0
    if reason in ("read_only", "closed") and not (unprivileged and journal.exists()):
        reason = "folder"
    has_log = folder.exists() and any(path.name != journal.name for path in folder.iterdir())
    if reason == "read_only":
        journal.chmod(0o400)
    elif reason == "closed":
        folder.chmod(0o500)
    elif reason in ("folder", "garbage"):
        folder.rename(aside)
        folder.mkdir(mode=0o755)
        if reason == "folder":
            journal.mkdir()
        else:
            journal.write_bytes(b"no journal " * 1000)
            journal.chmod(0o666)
    try:
        yield reason == "usable" or (reason == "closed" and has_log)
    finally:
        if reason == "read_only":
            journal.chmod(0o600)
        elif reason == "closed":
            folder.chmod(0o755)
        elif reason in ("folder", "garbage"):
            shutil.rmtree(folder)
            aside.rename(folder)


@contextlib.contextmanager
def small_disk(folder, room):
    """
    Mount a small disk in place of a folder while the context lasts; only root can do so.

    :param room: KB that remain on the disk
    :return: whether the disk is mounted
    """
    copy = folder.with_name("copy")
    used = sum(-(-path.stat().st_size // 4096) * 4 for path in folder.iterdir())
    mount = ["mount", "-t", "tmpfs", "-o", f"size={used + room}k", "none", folder]
    subprocess.run(["cp", "-a", folder, copy], check=True)
    mounted = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True, check=False).returncode
    try:
        if mounted:
            subprocess.run(["cp", "-a", f"{copy}/.", folder], check=True)
        yield mounted
        if mounted:
            shutil.rmtree(copy)
            subprocess.run(["cp", "-a", folder, copy], check=True)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)
            shutil.rmtree(folder)
            copy.rename(folder)
        else:
            shutil.rmtree(copy)

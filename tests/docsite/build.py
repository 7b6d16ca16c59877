# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the documentation as a site in docs/build/html, without the network: warnings are errors.

The Python that runs this must have ansible-core, antsibull-docs, Sphinx and the theme of conf.py.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "docs" / "build"
RST = BUILD / "rst"
HTML = BUILD / "html"

# antsibull-docs takes the collection from here.
COLLECTIONS = ROOT / ".ansible" / "collections"

# The guide that becomes the first page of the site, and the section that lists the modules too.
FIRST = "guide_introduction"
REFERENCE = "Reference"

# The pages of Ansible's own documentation to which pages of the collection refer: the role and the name of each reference, and the page.
ANSIBLE_PAGES = """
std:label ansible_configuration_settings reference_appendices/config.html
std:label action_plugins plugins/action.html
std:label common_return_values reference_appendices/common_return_values.html
std:label ansible_collections.ansible.builtin.uri_module collections/ansible/builtin/uri_module.html
std:envvar ANSIBLE_HOME reference_appendices/config.html#envvar-ANSIBLE_HOME
"""


def run(module: str, *arguments: str | Path) -> None:
    """Run a program of this Python; show its output and exit if it fails."""
    done = subprocess.run(
        [Path(sys.executable).with_name(module), *arguments],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "PYTHONWARNINGS": "ignore",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout)
        sys.exit(f"{module} failed with exit code {done.returncode}")


def write_inventory(path: Path) -> None:
    """Write an inventory for Sphinx, so that it knows Ansible's pages without the network."""
    rows = [line.split() for line in ANSIBLE_PAGES.strip().splitlines()]
    entries = "".join(f"{name} {role} -1 {page} -\n" for role, name, page in rows)
    head = "# Sphinx inventory version 2\n# Project: Ansible\n# Version: \n# The remainder of this file is compressed using zlib.\n"
    path.write_bytes(head.encode() + zlib.compress(entries.encode()))


def write_index() -> None:
    """Write the first page: the introduction, and all pages in the order of extra-docs.yml."""
    guides = RST / "docsite"
    text = (guides / f"{FIRST}.rst").read_text(encoding="utf-8")
    (guides / f"{FIRST}.rst").unlink()
    (RST / "environment_variables.rst").unlink()  # of plugins, which have none
    sections = yaml.safe_load((ROOT / "docs" / "docsite" / "extra-docs.yml").read_text(encoding="utf-8"))["sections"]
    for section in sections:
        pages = [f"docsite/{page}" for page in section["toctree"] if page != FIRST]
        if section["title"] == REFERENCE:
            plugins = [path.stem for kind in ("module", "filter") for path in sorted(RST.glob(f"*_{kind}.rst"))]
            pages += [f"{page.rsplit('_', 1)[0]} <{page}>" for page in plugins]
        text += "\n".join(["", ".. toctree::", "  :maxdepth: 1", f"  :caption: {section['title']}", "", ""])
        text += "".join(f"  {page}\n" for page in pages)
    text += "  changelog\n"
    (RST / "index.rst").write_text(text, encoding="utf-8")


def tidy() -> None:
    """Take the tables of contents out of the pages of plugins and of the changelog, because the theme has one beside each page."""
    for path in RST.glob("*.rst"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"^\.\. contents::.*\n( +.*\n)*", "", text, flags=re.MULTILINE), encoding="utf-8")


def build() -> None:
    """Build the site anew."""
    shutil.rmtree(BUILD, ignore_errors=True)
    RST.mkdir(parents=True, mode=0o755)
    run(
        "antsibull-docs",
        *("--config-file", HERE / "antsibull-docs.cfg"),
        "collection",
        "--use-current",
        "--squash-hierarchy",
        "--fail-on-error",
        *("--dest-dir", RST),
        "vonage.vcc",
    )
    tidy()
    write_index()
    write_inventory(BUILD / "ansible.inv")
    # The guides name pictures by their places in the repository, seen from docs/docsite/rst.
    for picture in (*(ROOT / "docs").glob("*.svg"), *(ROOT / "docs").glob("*.png")):
        shutil.copy(picture, BUILD)
    run("sphinx-build", "--builder", "html", "--fail-on-warning", "--keep-going", "--conf-dir", HERE, RST, HTML)


if __name__ == "__main__":
    build()
    print(f"The documentation is in {HTML}; its first page is {(HTML / 'index.html').as_uri()}")

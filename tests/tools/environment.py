# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Environment variables for the programs that tests start."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def search_path() -> str:
    """Return PATH with the folder of the running Python first, because .venv holds the programs that belong to it."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def without_settings() -> dict[str, str]:
    """Return the environment without variables that change how the collection, Ansible, an HTTP client or libpq behaves."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "PG", "PYTEST_", "VCC_"))
        and not name.upper().endswith(("_PROXY", "_CA_BUNDLE"))
    }

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run commands at once, and fail if one of them does. The argument is JSON: a list of commands."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

with contextlib.ExitStack() as stack:
    processes = [stack.enter_context(subprocess.Popen(command)) for command in json.loads(sys.argv[1])]
sys.exit(max(process.returncode for process in processes))

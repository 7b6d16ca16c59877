# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a command, and print as JSON the time and the memory that it and its descendants take. Their output goes to the file of the first argument.

It is a small process of its own, because until the command runs, the kernel counts the memory of its parent as the command's.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

with open(sys.argv[1], "wb") as log:
    started = time.perf_counter()
    code = subprocess.call(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    wall = time.perf_counter() - started
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = usage.ru_utime + usage.ru_stime
print(json.dumps({"code": code, "wall": wall, "cpu": cpu, "memory": usage.ru_maxrss * 1024}))

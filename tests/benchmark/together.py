# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run commands, so many at once, and fail if one of them does. Arguments: a list of commands as JSON, and how many run at once."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(int(sys.argv[2])) as pool:
    codes = list(pool.map(subprocess.call, json.loads(sys.argv[1])))
sys.exit(any(codes))

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""
A clock that can be wrong, in every Python with this folder on PYTHONPATH, which imports it before all that keeps ``time.time``.

``FAULT_CLOCK`` is a JSON object: ``start``, and ``steps``, a list of [seconds from the start, by how much the clock is
wrong from then on]. The modules that ansible-playbook starts go by it too.
"""

from __future__ import annotations

import json
import os
import time

_right_time = time.time
clock = json.loads(os.environ.get("FAULT_CLOCK", '{"start": 0, "steps": []}'))


def set_clock(steps):
    """Let this process go by other steps, from now on."""
    clock.update(start=_right_time(), steps=steps)


def _time():
    now = _right_time()
    past = [wrong for since, wrong in clock["steps"] if now - clock["start"] >= since]
    return now + (past[-1] if past else 0)


time.time = _time

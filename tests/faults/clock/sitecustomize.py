# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""
Give the clock an error in every Python that has this folder on PYTHONPATH.

Python imports this file before any module that keeps a reference to ``time.time``. ``FAULT_CLOCK`` is a JSON object with
``start`` and ``steps``, a list of [seconds from the start, error of the clock from then on]. The modules that
ansible-playbook starts use it too.
"""

from __future__ import annotations

import json
import os
import time

_true_time = time.time
clock = json.loads(os.environ.get("FAULT_CLOCK", '{"start": 0, "steps": []}'))


def set_clock(steps):
    """Set the steps of this process, counted from now."""
    clock.update(start=_true_time(), steps=steps)


def _time():
    now = _true_time()
    errors = [error for since, error in clock["steps"] if now - clock["start"] >= since]
    return now + (errors[-1] if errors else 0)


time.time = _time

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""
A simulator of Vonage Contact Center, for tests and demonstrations.

In a test, ``with Simulator() as simulator`` serves one on ``simulator.url``. ``python -m tests.simulator`` serves one for
other processes, which control it over HTTP; ``Simulator._command`` has the list of commands.
"""

from __future__ import annotations

from .contact_centre import CLIENT_ID, CLIENT_SECRET, SCOPES
from .simulator import Simulator

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "SCOPES", "Simulator"]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules, with options of a task of each."""

from __future__ import annotations

ONGOING = "/stats/interactions/ongoing"
TOKEN = "/Auth/connect/token"
REGISTER = "/interactions/Register"
RELEASED = [{"notification": "Release", "objectid": "a", "notificationid": "n-1"}]

# The options of a task of each module.
TASKS = {
    "vcc_provider": {"name": "tickets"},
    "vcc_token": {},
    "vcc_ongoing_info": {},
    "vcc_journal": {"notifications": RELEASED},
    "vcc_journal_info": {},
}

CALLING = ["vcc_provider", "vcc_token", "vcc_ongoing_info"]

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of providers, and the bodies of their calls."""

from __future__ import annotations

import json

REGISTER = "/interactions/Register"
HIDDEN = "hush-hush"
HOOK = "https://hooks.example/vcc"

# A registration with every setting, and another with added, changed and removed settings.
FULL = {
    "endpoint": HOOK,
    "headers": {"Authorization": f"Bearer {HIDDEN}-1", "X-Old": f"{HIDDEN}-2", "X-Same": f"{HIDDEN}-3"},
    "agent_actions_permitted": {"release": True},
}

OTHER = {
    "endpoint": f"{HOOK}/2",
    "headers": {"Authorization": f"Bearer {HIDDEN}-4", "X-New": f"{HIDDEN}-5", "X-Same": f"{HIDDEN}-3"},
    "agent_actions_permitted": {"release": True, "hold": True},
}


def bodies(sim):
    return [json.loads(body) for body in sim.bodies(REGISTER)]

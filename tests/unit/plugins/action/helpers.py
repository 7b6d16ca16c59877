# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action plugin that does not start modules."""

from __future__ import annotations

from ansible_collections.vonage.vcc.plugins.action import vcc_interaction

# A task without interactions, which needs no network.
NOTHING = {"external_ids": [], "region": "emea", "access_token": "t0ken", "journal": ""}


class ActionWithoutModule(vcc_interaction.ActionModule):
    """The action plugin, without the start of the module."""

    def _execute_module(self, **arguments):
        self.handed_over = arguments
        return {"action": "module"}

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action plugin that does not start modules, and values as older versions of ansible-core have them."""

from __future__ import annotations

from ansible_collections.vonage.vcc.plugins.action import vcc_interaction

# A task that needs no network: it asks for nothing.
NOTHING = {"external_ids": [], "region": "emea", "access_token": "t0ken", "journal": ""}


class ActionWithoutModule(vcc_interaction.ActionModule):
    """The action plugin up to where it would start the module."""

    def _execute_module(self, **arguments):
        self.handed_over = arguments
        return {"action": "module"}

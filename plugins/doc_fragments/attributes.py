# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Document the attributes that all modules have."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and predict the changes without making them.
  diff_mode:
    description: Shows the details of the changes, or of the predicted changes in check mode.
  idempotent:
    description: A second run with the same options changes nothing.
  platform:
    description: Operating systems that the module can run on.
    platforms: posix
    support: full
"""

    ACTIONGROUP_VCC = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/vonage.vcc.vcc) in C(module_defaults) to set options for all modules of this collection.
    support: full
    membership:
      - vonage.vcc.vcc
"""

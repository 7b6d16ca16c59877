# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation of every module says about where the journal is."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  journal:
    description:
      - Path of the journal, a SQLite file, on the host that runs the engine; not on a network file system. A module that writes to it makes it
        with mode 0600 where it is missing.
      - A file that every user can write to is refused, and so is that of another user but root, since what it says may be false. The module
        M(vonage.vcc.vcc_journal_info) shows any journal that it can read.
      - Users of a group can share one in a folder of that group which no one else can write to and which has the setgid bit (C(chmod 2770)). There it is
        made with mode 0660. In containers of OpenShift, whose group is 0, a folder of group 0 that the group can write to needs no setgid bit. One that
        was made before can be shared with C(chgrp) and C(chmod 660).
      - Entries are kept apart by the URL of the API, the account and the provider. Another O(region), O(domain) or O(api_url) that leads to the same
        API counts as another API.
      - The word V(none) stands for no journal, also in the environment. Then nothing is remembered across tasks. So does an empty string that
        stands in a task.
      - If not set, the environment variable E(VCC_JOURNAL) is used, which must be an absolute path. An empty variable counts as not set.
      - Where the user has no home folder, the default is C(vonage_vcc/journal.db) in the folder that E(ANSIBLE_HOME) names.
    type: path
    default: ~/.ansible/vonage_vcc/journal.db
"""

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Document the journal option for all modules that use it."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  journal:
    description:
      - The journal, which records the actions that tasks requested and the actions that VCC accepted. It is either the path of a SQLite file or the URL of a
        PostgreSQL database.
      - The file is on the host that runs the task. It must not be on a network file system. A module that writes to a missing journal creates it with
        mode 0600.
      - Use a database for jobs that share no folder, such as jobs in containers, in pipelines and on several nodes. Its URL has the form of libpq, such as
        V(postgresql://vcc@db.example/vcc). It needs C(psycopg) 3.1 or newer on the host that runs the task.
      - The environment variables and files of libpq count as well, such as E(PGPASSFILE), E(PGPASSWORD), E(PGSERVICE) and E(PGSSLROOTCERT). A password in the
        URL is masked in all output. For a database on another host, the default of C(sslmode) is C(verify-full).
      - The first task that writes creates the schema C(vcc_journal) in the database, if its role may. The guide on PostgreSQL says how to create it beforehand
        and which rights a role needs.
      - The module refuses a file that every user can write to, and a file of another user except root, because its contents may be false. The module
        M(vonage.vcc.vcc_journal_info) shows any journal that it can read.
      - The users of a group can share a journal. Its folder must belong to that group, must not be writable for others, and must have the setgid bit
        (C(chmod 2770)). In such a folder, the module creates the journal with mode 0660. Share an existing journal with C(chgrp) and C(chmod 660).
      - In containers of OpenShift, whose group is 0, a folder of group 0 that the group can write to needs no setgid bit.
      - The entries of each combination of API URL, account and provider are separate. Another O(region), O(domain) or O(api_url) that leads to the same
        API counts as another API.
      - The word V(none) disables the journal, also in the environment. So does an empty string in a task. Without a journal, a task does not know the actions
        of earlier tasks.
      - If not set, the environment variable E(VCC_JOURNAL) is used, which must be an absolute path or a URL. An empty variable counts as not set.
      - If the user has no home folder, the default is C(vonage_vcc/journal.db) in the folder of E(ANSIBLE_HOME).
    type: str
    default: ~/.ansible/vonage_vcc/journal.db
"""

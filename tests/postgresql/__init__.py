# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""
PostgreSQL servers that tests start for themselves, and a proxy that causes faults between a client and a server.

Unit tests use the fixtures ``postgresql_server``, ``postgresql_url`` and ``pgbouncer``. This starts a server by hand, until Enter:

    python -c 'from ansible_collections.vonage.vcc.tests.postgresql.server import Server
    with Server() as server: input(server.url())'
"""

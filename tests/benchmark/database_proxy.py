# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lead clients to a PostgreSQL server that seems to be far away. Arguments: the folder of collections, the port of the server, seconds of a round trip.

It prints its port. For each line that it reads, it prints how many requests there were since the line before. It is a process of its own, so that it does
not wait for the benchmark.
"""

from __future__ import annotations

import sys
import types

sys.path.insert(0, sys.argv[1])

from ansible_collections.vonage.vcc.tests.postgresql.proxy import Proxy

with Proxy(types.SimpleNamespace(port=int(sys.argv[2])), delay=float(sys.argv[3]) / 2, tcp=True) as proxy:
    print(proxy.port, flush=True)
    for dummy in sys.stdin:
        print(proxy.requests, flush=True)
        proxy.requests = 0

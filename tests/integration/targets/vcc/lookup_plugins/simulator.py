# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import urllib.request

from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: simulator
short_description: Give the simulator orders
description: Sends orders to the control surface of the simulator, in this process. That is much faster than a task for each.
options:
  _terms:
    description: The simulator's URL, and then the orders, each a list of method, command and body.
"""


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        url, orders = terms
        return [order(url, *one) for one in orders]


def order(url, method, command, body):
    """Send one order and return the answer. Raises HTTPError if the simulator refuses it."""
    request = urllib.request.Request(
        f"{url}/_simulator/{command}",
        method=method,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return json.load(answer)

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The practical limit: release the external ids of a file in batches, with requests and nothing else.

There is no journal, no retry, no check of the ids and no report. What it sends has the form of what the collection sends.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import requests

BODY_LIMIT = 100_000
HEAD = b'{"requests":['
TAIL = b"]}"


def bodies(path):
    """Yield request bodies of less than BODY_LIMIT bytes."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    batch = []
    size = len(HEAD) + len(TAIL)
    with open(path, encoding="utf-8") as file:
        for line in file:
            one = {"action": "release", "requestid": os.urandom(16).hex(), "externalid": line.rstrip("\n")}
            encoded = encode(one).encode()
            if size + len(encoded) >= BODY_LIMIT:
                yield HEAD + b",".join(batch) + TAIL
                batch = []
                size = len(HEAD) + len(TAIL)
            batch.append(encoded)
            size += len(encoded) + 1
    if batch:
        yield HEAD + b",".join(batch) + TAIL


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--src", required=True, help="a file of external ids, one a line")
    parser.add_argument("--url", required=True)
    parser.add_argument("--token-url", required=True)
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--client-secret", required=True)
    parser.add_argument("--in-flight", type=int, default=1, help="calls at once")
    arguments = parser.parse_args()

    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=arguments.in_flight))
    form = {
        "grant_type": "client_credentials",
        "client_id": arguments.client_id,
        "client_secret": arguments.client_secret,
        "scope": "interactions:write",
    }
    answer = session.post(arguments.token_url, data=form, timeout=30)
    answer.raise_for_status()
    session.headers.update(
        {
            "Authorization": f"Bearer {answer.json()['access_token']}",
            "Accept": "application/vnd.newvoicemedia.v1+json",
            "Content-Type": "application/json",
        }
    )

    def send(body):
        session.post(f"{arguments.url}/interactions/Invoke", data=body, timeout=30).raise_for_status()

    if arguments.in_flight == 1:
        for body in bodies(arguments.src):
            send(body)
        return
    room = threading.Semaphore(arguments.in_flight)  # bodies are made no faster than they are sent

    def send_one(body):
        try:
            send(body)
        finally:
            room.release()

    with ThreadPoolExecutor(arguments.in_flight) as pool:
        sent = []
        for body in bodies(arguments.src):
            room.acquire()
            sent.append(pool.submit(send_one, body))
        for one in sent:
            one.result()


if __name__ == "__main__":
    main()

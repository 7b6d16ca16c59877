# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The practical limit: release the external ids of a file with requests. Arguments: the file, and how many calls to make at once.

The script keeps no journal, retries nothing, checks nothing and reports nothing. Its bodies have the form and the size of the collection's.
"""

from __future__ import annotations

import json
import os
import sys
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
            entry = {"action": "release", "requestid": os.urandom(16).hex(), "externalid": line.rstrip("\n")}
            encoded = encode(entry).encode()
            if size + len(encoded) >= BODY_LIMIT:
                yield HEAD + b",".join(batch) + TAIL
                batch = []
                size = len(HEAD) + len(TAIL)
            batch.append(encoded)
            size += len(encoded) + 1
    if batch:
        yield HEAD + b",".join(batch) + TAIL


def main(path, threads):
    url, token_url, client_id, client_secret = (
        os.environ[f"VCC_{name}"] for name in ("API_URL", "AUTH_URL", "CLIENT_ID", "CLIENT_SECRET")
    )
    session = requests.Session()
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    response = session.post(token_url, data={**form, "scope": "interactions:write"}, timeout=30)
    response.raise_for_status()
    session.headers["Authorization"] = f"Bearer {response.json()['access_token']}"
    session.headers["Accept"] = "application/vnd.newvoicemedia.v1+json"
    session.headers["Content-Type"] = "application/json"
    left = bodies(path)
    lock = threading.Lock()

    def send():
        while True:
            with lock:
                body = next(left, None)
            if body is None:
                return
            session.post(f"{url}/interactions/Invoke", data=body, timeout=30).raise_for_status()

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(send) for _number in range(threads)]:
            future.result()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

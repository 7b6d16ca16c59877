# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take VCC's notifications, record them in the journal, and pass them to the rules."""

from __future__ import annotations

DOCUMENTATION = r"""
---
short_description: Take the notifications of Vonage Contact Center
description:
  - An event source of ansible-rulebook, and the endpoint to which Vonage Contact Center (VCC) posts the notifications of a provider.
  - Writes the notifications of a POST to the journal of the collection in one transaction, and answers 200 only when they are durable. POSTs that arrive
    together share a transaction.
  - Then passes one event per notification to the rulebook. A notification that VCC repeats is recorded once and has one event.
  - Answers 503 with Retry-After while the journal cannot be written, or while the rules are too far behind; 400 for a body that is not a notification; 401
    without the token; 413 for a body that is too large; 415 for a body that is compressed or not JSON.
  - Runs the endpoint in a process of its own, which ends with ansible-rulebook.
options:
  host:
    description: The address to listen on.
    type: str
    default: 127.0.0.1
  port:
    description: The TCP port to listen on; 0 for any free port, which the log names.
    type: int
    default: 5000
  token:
    description: The token that VCC sends in the header C(Authorization), after C(Bearer). It must be text, see the example.
    type: str
    required: true
  certfile:
    description: Absolute path of a certificate in PEM, with which the endpoint speaks https; without it, it speaks http.
    type: str
  keyfile:
    description: Absolute path of the key of the certificate, if it is not in the same file. It must not be encrypted.
    type: str
  health_path:
    description: The path for health checks. A GET of this path needs no token. The source answers 200 if it can write the journal, and 503 if not.
    type: str
    default: /health
  max_body:
    description: The largest body of a POST, in bytes.
    type: int
    default: 1048576
  provider:
    description: Name of the provider whose endpoint this is.
    type: str
    required: true
  journal:
    description:
      - The journal of the tasks that release, as an absolute path or the URL of a PostgreSQL database.
      - If it is not set, the environment variable VCC_JOURNAL is used. The options below also have environment variables, such as VCC_REGION.
    type: str
    required: true
  region:
    description: Region of the account, C(emea), C(nam) or C(apac), as in the tasks that release.
    type: str
  domain:
    description: Domain of the hosts of VCC, as in the tasks that release.
    type: str
    default: newvoicemedia.com
  api_url:
    description: URL of the API, as in the tasks that release. It replaces O(region).
    type: str
  account:
    description: Name of the account, as in the tasks that release.
    type: str
  client_id:
    description: The id of the API client, which is the name of the account if O(account) is not set.
    type: str
"""

EXAMPLES = r"""
- vonage.vcc.provider_notifications:
    host: 0.0.0.0
    port: 5000
    # As text, because ansible-rulebook would turn digits into a number.
    token: "{{ vcc_webhook_token | string | tojson }}"
    certfile: /etc/vcc/tls.crt
    keyfile: /etc/vcc/tls.key
    provider: crm
    journal: postgresql://vcc@db.example/vcc
    region: emea
    account: production
"""

import asyncio
import contextlib
import importlib
import json
import logging
import os
import sys
import types
import typing as t

logger = logging.getLogger("vonage.vcc.provider_notifications")

# Seconds for the endpoint to answer its open requests. It needs less.
STOP_TIMEOUT = 20.0

CRITICAL = "50"


class SourceError(Exception):
    """The endpoint cannot run. Its text is a sentence for the operator."""


async def main(queue: asyncio.Queue[t.Any], args: dict[str, t.Any]) -> None:
    """Run the endpoint in a process, and put its events into the queue of ansible-rulebook.

    Raises SourceError if the endpoint cannot start, or if it ends by itself.
    """
    given = {name: value for name, value in args.items() if name not in ("feedback", "eda_feedback_queue")}
    for name, value in given.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):  # such as the template of an unset variable
            raise SourceError(
                f"{name} is neither text nor a number: set the variables that the rulebook takes it from."
            ) from None
    options = json.dumps(given)
    pipe = asyncio.subprocess.PIPE
    # It has its own process group, so that Ctrl+C reaches it only through ansible-rulebook.
    process = await asyncio.create_subprocess_exec(
        sys.executable, os.path.abspath(__file__), stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )
    log = asyncio.ensure_future(_pass_log(process))
    events = asyncio.ensure_future(_pass_events(process, queue))
    try:
        process.stdin.write(f"{options}\n".encode())
        await asyncio.wait([log, events], return_when=asyncio.FIRST_COMPLETED)
        if events.done():
            events.result()
        await log
        code = await process.wait()
        if code:
            raise SourceError(log.result() or f"The process of the endpoint has ended with exit code {code}.")
    except asyncio.CancelledError:
        logger.info("The source stops")
        raise
    finally:
        events.cancel()
        await _stop(process, log)


async def _stop(process: asyncio.subprocess.Process, log: asyncio.Future[str]) -> None:
    """Let the endpoint answer its open requests, and end it."""
    process.stdin.close()
    waiting = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait([waiting], timeout=STOP_TIMEOUT)
    finally:
        if process.returncode is None:
            process.kill()
        log.cancel()


async def _pass_events(process: asyncio.subprocess.Process, queue: asyncio.Queue[t.Any]) -> None:
    """Put the events of the endpoint into a queue, as fast as the queue accepts them."""
    with contextlib.suppress(asyncio.IncompleteReadError):  # at its end
        while True:
            size = int.from_bytes(await process.stdout.readexactly(4), "big")
            for event in json.loads(await process.stdout.readexactly(size)):
                await queue.put(event)


async def _pass_log(process: asyncio.subprocess.Process) -> str:
    """Log the lines of the endpoint. Return the last critical one, which says why it ends; empty for none."""
    reason = ""
    while line := await process.stderr.readline():
        level, dummy, text = line.decode(errors="replace").rstrip("\n").partition(" ")
        if level == CRITICAL:
            reason = text
        elif level.isdigit():
            logger.log(int(level), "%s", text)
        else:
            logger.error("%s %s", level, text)
    return reason


def serve() -> int:
    """Run the endpoint in this process, with the collection of this file, even if Python finds other ansible_collections."""
    del sys.path[0]  # the folder of this file
    folder = os.path.abspath(__file__)
    for dummy in range(5):
        folder = os.path.dirname(folder)
    for name in ("ansible_collections.vonage.vcc", "ansible_collections.vonage", "ansible_collections"):
        package = types.ModuleType(name)
        package.__path__ = [folder]
        sys.modules[name] = package
        folder = os.path.dirname(folder)
    server = importlib.import_module("ansible_collections.vonage.vcc.plugins.plugin_utils._notifications.server")
    return int(server.main())


if __name__ == "__main__":
    # Threads that wait for a journal without an answer must not delay the end of the process.
    code = serve()
    os._exit(code)

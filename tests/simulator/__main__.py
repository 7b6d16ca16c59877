# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Serve a simulator until SIGTERM or SIGINT, or while a command runs that gets its address by environment variables."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from ..tools.environment import search_path
from . import CLIENT_ID, CLIENT_SECRET, Simulator

# `make` puts the link to this checkout there.
COLLECTIONS = Path(__file__).parents[2] / ".ansible" / "collections"


def write(path, text):
    """Write a file that only its owner can read, and put it in place in one step."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).replace(path)


def run(command, connection, stop):
    """
    Run a command with the collection, the connection to the simulator and a new journal, and return its exit status.

    :param stop: an event that ends the command
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VCC_")}
    with tempfile.TemporaryDirectory(prefix="vcc-simulator-") as folder:
        environment = {
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            **inherited,
            "PATH": search_path(),
            "VCC_API_URL": connection["url"],
            "VCC_AUTH_URL": connection["token_url"],
            "VCC_CLIENT_ID": connection["client_id"],
            "VCC_CLIENT_SECRET": connection["client_secret"],
            "VCC_JOURNAL": str(Path(folder) / "journal.db"),
        }
        try:
            process = subprocess.Popen(command, env=environment)
        except FileNotFoundError:
            print(f"python -m tests.simulator: no such command: {command[0]}", file=sys.stderr)
            return 127  # as a shell does

        def terminate():
            stop.wait()
            process.terminate()

        threading.Thread(target=terminate, daemon=True).start()
        code = process.wait()
        return code if code >= 0 else 128 - code  # as a shell does


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="loopback port; 0 selects a free one")
    parser.add_argument("--ready-file", metavar="PATH", type=Path, help="also write the printed line to this file")
    parser.add_argument("--client-id", default=CLIENT_ID)
    parser.add_argument("--client-secret", default=CLIENT_SECRET)
    parser.add_argument("--stop-with-stdin", action="store_true", help="also exit when standard input closes")
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        help="serve while this command runs, such as bash; it gets VCC_API_URL, VCC_AUTH_URL, VCC_CLIENT_ID, VCC_CLIENT_SECRET and VCC_JOURNAL",
    )
    arguments = parser.parse_args()

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # A terminal sends SIGINT to the command too, which decides whether to exit.
    signal.signal(signal.SIGINT, lambda *_: arguments.command or stop.set())
    if arguments.stop_with_stdin:

        def watch():
            while os.read(0, 4096):  # not sys.stdin, because its lock would block the exit
                pass
            stop.set()

        threading.Thread(target=watch, daemon=True).start()

    with Simulator(port=arguments.port) as simulator:
        simulator.add_client(arguments.client_id, arguments.client_secret)
        connection = {
            "url": simulator.url,
            "token_url": simulator.token_url,
            "client_id": arguments.client_id,
            "client_secret": arguments.client_secret,
        }
        if arguments.command:
            return run(arguments.command, connection, stop)
        line = json.dumps(connection)
        print(line, flush=True)
        if arguments.ready_file:
            write(arguments.ready_file, line + "\n")
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())

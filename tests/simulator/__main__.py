# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Serve a simulator until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import threading
from pathlib import Path

from . import CLIENT_ID, CLIENT_SECRET, Simulator


def write(path, text):
    """Write a file that only its owner can read, in one step."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).replace(path)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="loopback port; 0 takes a free one")
    parser.add_argument("--ready-file", metavar="PATH", type=Path, help="also write the printed line to this file")
    parser.add_argument("--client-id", default=CLIENT_ID)
    parser.add_argument("--client-secret", default=CLIENT_SECRET)
    parser.add_argument("--stop-with-stdin", action="store_true", help="also end when standard input closes")
    arguments = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if arguments.stop_with_stdin:

        def watch():
            while os.read(0, 4096):  # not sys.stdin: its lock, held here, would spoil the exit
                pass
            stop.set()

        threading.Thread(target=watch, daemon=True).start()

    with Simulator(port=arguments.port) as simulator:
        simulator.add_client(arguments.client_id, arguments.client_secret)
        line = json.dumps(
            {
                "url": simulator.url,
                "token_url": simulator.token_url,
                "client_id": arguments.client_id,
                "client_secret": arguments.client_secret,
            }
        )
        print(line, flush=True)
        if arguments.ready_file:
            write(arguments.ready_file, line + "\n")
        stop.wait()


if __name__ == "__main__":
    main()

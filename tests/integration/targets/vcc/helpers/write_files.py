# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write files: write_files.py FOLDER JSON, where JSON is a list of objects with name and content."""

from __future__ import annotations

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for file in json.loads(sys.argv[2]):
        (folder / file["name"]).write_bytes(file["content"].encode())

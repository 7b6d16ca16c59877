# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Search the output and the remaining files of the tests for secrets and tokens: secrets.py VARS.JSON"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from canaries import CANARIES, TOKEN, spellings

if __name__ == "__main__":
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    work = Path(settings["work"])
    kept = {work / "vars.json", work / "ready", work / "simulator.log", work / "canary.json"}
    spelled = spellings(settings["sim"]["client_secret"], *CANARIES.values())
    looked_at = found = 0
    for path in sorted(work.rglob("*")):
        if path in kept or not path.is_file():
            continue
        content = path.read_bytes()
        looked_at += 1
        has_secret = any(text in content for text in spelled)
        # A token cache may hold tokens, but no other secret.
        if has_secret or (path.parent.name != "tokens" and TOKEN.search(content)):
            found += 1
            print(f"{path}: {'a secret' if has_secret else 'a token'}")
    print(f"{found} of {looked_at} files hold a secret")
    sys.exit(found > 0 or looked_at < 10)

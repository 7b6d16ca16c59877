# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look for the client secret and for tokens in what the tests have printed and left behind: secrets.py VARS.JSON"""

from __future__ import annotations

import json
import re
import shlex
import sys
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote, quote_plus

TOKEN = re.compile(rb"simulated-token-[0-9a-f]{32}")


def spellings(secret):
    """The secret as it may be written in a log: raw, in JSON, in a repr, in a shell, in a URL, in a form, in base64."""
    texts = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
        shlex.quote(secret)[1:-1],
        b64encode(secret.encode()).decode().rstrip("="),
    }
    return {text.encode() for text in texts}


if __name__ == "__main__":
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    work = Path(settings["work"])
    kept = {work / "vars.json", work / "ready", work / "simulator.log"}
    spelled = spellings(settings["sim"]["client_secret"])
    looked_at = found = 0
    for path in sorted(work.rglob("*")):
        if path in kept or not path.is_file() or path.parent.name == "tokens":
            continue
        content = path.read_bytes()
        looked_at += 1
        has_secret = any(text in content for text in spelled)
        if has_secret or TOKEN.search(content):
            found += 1
            print(f"{path}: {'the client secret' if has_secret else 'a token'}")
    print(f"{found} of {looked_at} files hold a secret")
    sys.exit(found > 0 or looked_at < 10)

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of the tests, in addition to the client secret of the simulator, and their possible spellings."""

from __future__ import annotations

import html
import json
import re
import shlex
from base64 import b64encode
from urllib.parse import quote, quote_plus

# A header's value, an existing token and a wrong secret. Each has characters that need escaping; the secret has non-ASCII characters too.
CANARIES = {
    "header": "he\"a'd\\e%41r {k} <k> ~^`+!",
    "token": "t\"o'k\\e%41n-+=/&<k>{k}!",
    "wrong": "wr\"o'n\\g% s€cr=e+t&!",
}

TOKEN = re.compile(rb"simulated-token-[0-9a-f]{32}")


def spellings(*secrets):
    """Return the spellings of each secret in a log: raw, in JSON once or twice, in a repr, YAML, a shell, a URL, a form, XML, base64."""
    texts = set()
    for secret in secrets:
        inner = json.dumps(secret)[1:-1]
        texts |= {
            secret,
            inner,
            json.dumps(inner)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            repr(secret)[1:-1],
            repr(inner)[1:-1],
            repr(repr(secret)[1:-1])[1:-1],
            secret.replace("'", "''"),
            quote(secret),
            quote(secret, safe=""),
            quote_plus(secret),
            shlex.quote(secret)[1:-1],
            html.escape(secret),
            *_in_base64(secret.encode()),
        }
    return {text.encode() for text in texts}


def _in_base64(secret):
    """Yield the parts that are the same in any text, such as after a client id and a colon. Four letters hold three bytes."""
    for before in range(3):
        text = b64encode(bytes(before) + secret).decode()
        yield text[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]


def holds_secret(content, spelled):
    return any(text in content for text in spelled) or bool(TOKEN.search(content))

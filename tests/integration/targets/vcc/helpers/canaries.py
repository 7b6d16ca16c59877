# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that are given in the tests, besides the simulator's client secret, and the ways in which one may be written."""

from __future__ import annotations

import html
import json
import re
import shlex
from base64 import b64encode
from urllib.parse import quote, quote_plus

# A header's value, a ready token and a wrong secret: each has characters that need escaping somewhere, and the secret others than ASCII.
CANARIES = {
    "header": "he\"a'd\\e%41r {k} <k> ~^`+!",
    "token": "t\"o'k\\e%41n-+=/&<k>{k}!",
    "wrong": "wr\"o'n\\g% s€cr=e+t&!",
}

TOKEN = re.compile(rb"simulated-token-[0-9a-f]{32}")


def spellings(*secrets):
    """Each secret as it may be written in a log: raw, in JSON once or twice, in a repr, YAML, a shell, a URL, a form, XML, base64."""
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
    """What of it is the same in whatever text it stands, such as behind a client id and a colon: four letters hold three bytes."""
    for before in range(3):
        text = b64encode(bytes(before) + secret).decode()
        yield text[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]


def holds_secret(content, spelled):
    return any(text in content for text in spelled) or bool(TOKEN.search(content))

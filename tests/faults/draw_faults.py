# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Draw single faults: kind and details, for the simulator or the proxy."""

from __future__ import annotations

PAST_DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
TOKEN_PATH = "/Auth/connect/token"


def network_fault(rng, endless):
    """Draw a fault of a network device between the task and VCC; with ``endless``, an answer that does not end."""
    location = rng.choice(["http://sso.example/\xe9", "http://[bad/", "", "//"])
    choices = [
        (
            "interim",
            {"status": rng.choice([100, 102, 103]), "count": rng.randint(1, 3), "seconds": rng.uniform(0, 0.1)},
        ),
        ("interim", {"status": 101}),
        ("truncated", {"length": rng.randint(0, 40), "taken": rng.random() < 0.5}),
        ("redirect", {"location": location, "length": rng.choice([0, 10, 1_000_000]), "taken": rng.random() < 0.3}),
        ("trickle", {"part": "head", "seconds": 0.002}),
        ("status", {"status": rng.choice([401, 403, 407]), "body": "<html>Sign in</html>"}),
        ("status", {"status": 400, "body": {"message": "The provider is not registered"}}),
    ]
    if endless:
        choices = [
            ("interim", {"status": rng.choice([100, 103]), "count": 0, "seconds": 0.01}),
            ("trickle", {"part": rng.choice(["head", "body"]), "seconds": 0.3}),
            ("redirect", {"length": 1000, "seconds": 0.3}),
        ]
    kind, details = rng.choice(choices)
    path = rng.choice([{}, {}, {}, {"path": TOKEN_PATH}])
    # Many rejections in a row end the whole task.
    times = rng.choice([1, 1, 2, 40] if details.get("status") == 400 else [1, 1, 2])
    return kind, {**details, **path, "times": times, "after": rng.choice([0, 0, 1, 2])}


def proxy_fault(rng):
    """Draw a fault of the proxy."""
    kind, how = rng.choice(
        [
            ("cut", rng.random() < 0.5),
            ("cut", rng.random() < 0.5),
            ("refuse", rng.choice([403, 407, 502, 503])),
            ("silence", rng.choice([0, 10, 1000])),  # the last one stalls the TLS handshake
        ]
    )
    return kind, {"how": how, "times": rng.choice([1, 1, 2]), "after": rng.choice([0, 0, 1, 2])}


def call_fault(rng):
    """Draw a fault of VCC's answer to a call."""
    later = rng.choice([None, 0, 0, 0, PAST_DATE])
    kind, details = rng.choice(
        [
            ("status", {"status": 429, "retry_after": rng.choice([None, 0, 0, 0, PAST_DATE, 1])}),
            ("status", {"status": rng.choice([500, 502, 503, 504]), "retry_after": later, "taken": rng.random() < 0.5}),
            ("status", {"status": rng.choice([400, 403, 401])}),
            ("status", {"status": 404, "body": "<html>nothing here</html>"}),
            ("status", {"status": rng.choice([201, 202, 204, 409, 418, 501]), "body": ""}),
            ("latency", {"seconds": 1.1 if rng.random() < 0.15 else rng.uniform(0, 0.1)}),
            ("late", {"seconds": 1.1 if rng.random() < 0.15 else rng.uniform(0, 0.1)}),
            ("hold", {}),
            ("cut", {"when": "before"}),
            ("cut", {"when": "after"}),
            ("redirect", {"status": rng.choice([301, 302, 303, 307, 308]), "taken": rng.random() < 0.3}),
            ("html", {"taken": rng.random() < 0.3}),
            ("expired", {}),
            ("garbage", {"taken": rng.random() < 0.5}),
            ("trickle", {"seconds": 0.002}),
            ("too_large", {"status": rng.choice([413, 417])}),
        ]
    )
    path = rng.choice([{}, {}, {}, {}, {}, {}, {"path": TOKEN_PATH}, {"path": None}])
    return kind, {**details, **path, "times": rng.choice([1, 1, 1, 2, 4]), "after": rng.choice([0, 0, 1, 2, 5])}

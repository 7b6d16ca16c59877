# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few ways a task can fail, each with one sentence for the user."""

from __future__ import annotations

from ._text import LONGEST_MESSAGE, shown


class VccError(Exception):
    """Base of all: C(str()) is one sentence that an operator can act on, printable and without any secret."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message, LONGEST_MESSAGE))


class InputError(VccError):
    """What was asked for cannot be done as it stands; raised before any call."""


class JournalError(VccError):
    """The journal cannot be read or written."""


class ApiError(VccError):
    """A call to VCC did not succeed.

    C(maybe_processed) is true when an attempt of the call may have taken effect all the same.
    """

    def __init__(self, message: str, maybe_processed: bool = False) -> None:
        super().__init__(message)
        self.maybe_processed = maybe_processed


class AuthError(ApiError):
    """VCC refuses the credentials or the token (401, 403): no further call can succeed."""


class RejectedError(ApiError):
    """VCC refused the call with a status of 4xx.

    C(by_vcc) is false when the answer has a body that is not JSON, so comes from something in between.
    """

    def __init__(self, message: str, status: int, by_vcc: bool, maybe_processed: bool = False) -> None:
        super().__init__(message, maybe_processed)
        self.status = status
        self.by_vcc = by_vcc


class StoppedError(VccError):
    """VCC has refused so much that a task sends no more."""


class NoResponseError(ApiError):
    """No answer that can be relied on: no connection, a timeout, 429 or 5xx to the last retry, a redirect, a page of HTML."""

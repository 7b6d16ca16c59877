# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exceptions of the collection.

::

    VccError                    a failure of a task, with a sentence for the user
        InputError              the task cannot be done with its options, files or settings
        JournalError            the journal cannot be read or written
        StoppedError            VCC has rejected so many calls that the task stops sending
        ApiError                a call failed
            AuthError           VCC rejects the credentials or the token
            RejectedError       VCC, or a proxy before it, rejects the call with another 4xx
            NoResponseError     no response from VCC, or an unreliable one
"""

from __future__ import annotations

from ._text import LONGEST_MESSAGE, shown


class VccError(Exception):
    """A failure of a task. Its text is one printable sentence that an operator can act on, without any secret."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message, LONGEST_MESSAGE))


class InputError(VccError):
    """The task cannot be done with its options, files or settings.

    Most are raised before the first call. A line of ``src``, or the token cache, can also fail later.
    """


class JournalError(VccError):
    """The journal cannot be read or written."""


class StoppedError(VccError):
    """VCC has rejected so many calls or interactions that the task stops sending."""


class ApiError(VccError):
    """A call failed.

    :param maybe_processed: whether VCC may nevertheless have processed an attempt of the call.
    """

    def __init__(self, message: str, maybe_processed: bool = False) -> None:
        super().__init__(message)
        self.maybe_processed = maybe_processed


class AuthError(ApiError):
    """VCC rejects the credentials or the token with 401 or 403, so no further call can succeed."""


class RejectedError(ApiError):
    """VCC, or a proxy before it, rejects a call with a 4xx other than those of AuthError.

    :param status: the status.
    :param by_vcc: whether VCC may have rejected it. A proxy or gateway did if the status is 407, or the body is neither empty nor JSON.
    """

    def __init__(self, message: str, status: int, by_vcc: bool, maybe_processed: bool = False) -> None:
        super().__init__(message, maybe_processed)
        self.status = status
        self.by_vcc = by_vcc


class NoResponseError(ApiError):
    """No reliable response: no connection, a timeout, 429 or 5xx after the last retry, a redirect, or an HTML page."""

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The failure limits: the number of failures after which a task stops sending."""

from __future__ import annotations

import re

from .._errors import NoResponseError, RejectedError, StoppedError, VccError
from .._text import counted

# The task stops after this number of consecutive calls without VCC's own answer.
MAX_CONSECUTIVE_FAILURES = 3

# VCC rejects the task as a whole if it accepts no call and rejects this number of calls in the same way ...
MIN_REJECTED_CALLS = 20

# ... including this number of calls with a single interaction.
MIN_REJECTED_ALONE = 8


class FailureLimit:
    """Counts failed calls, and says when the task must stop.

    :param max_failures: the number of rejected interactions that stops the task. None stops it only if VCC rejects the task as a whole.
    """

    def __init__(self, max_failures: int | None) -> None:
        self.accepts = False
        self._max_failures = max_failures
        self._consecutive = 0
        self._rejected_calls = 0
        self._rejected_alone = 0
        self._answers: set[str] = set()

    def count_acceptance(self) -> None:
        """Count a call that VCC accepted. From now on ``accepts`` is true."""
        self._consecutive = 0
        self.accepts = True

    def count_missing(self, alone: bool) -> None:
        """Count a release that VCC answered with 404. If it was alone, VCC evidently accepts releases."""
        self._consecutive = 0
        self.accepts = self.accepts or alone

    def count_no_response(self, error: NoResponseError) -> VccError | None:
        """Count a call without VCC's own answer; return the error that stops the task, if any."""
        self._consecutive += 1
        return error if self._consecutive >= MAX_CONSECUTIVE_FAILURES else None

    def count_rejection(self, error: RejectedError, alone: bool) -> None:
        """Count a call that VCC rejected.

        :param alone: whether it had a single interaction.
        """
        self._consecutive = 0
        self._rejected_calls += 1
        self._rejected_alone += alone
        # A word with a digit, such as an id, may differ from call to call.
        self._answers.add(re.sub(r"\S*\d\S*", str(error.status), str(error)))

    def too_many_failures(self) -> VccError | None:
        """Return the error that stops the task if VCC rejected ``max_failures`` interactions."""
        if self._max_failures is None or self._rejected_alone < self._max_failures:
            return None
        which = "it" if self._rejected_alone == 1 else "them"
        return StoppedError(
            f"VCC has refused {counted(self._rejected_alone)}, and max_failures allows no more: correct {which}, or set max_failures higher."
        )

    def rejects_all(self) -> bool:
        """Return whether VCC seems to reject the task as a whole. Never with ``max_failures``."""
        return (
            self._max_failures is None
            and not self.accepts
            and len(self._answers) == 1
            and self._rejected_calls >= MIN_REJECTED_CALLS
            and self._rejected_alone >= MIN_REJECTED_ALONE
        )

    def all_rejected(self, error: RejectedError) -> VccError:
        """Return the error that stops a task that VCC rejects as a whole."""
        return StoppedError(
            f"VCC has refused {self._rejected_calls} calls in the same way and accepted none: {error}. Check the provider and the other options that"
            " all interactions share, or set max_failures to continue nevertheless."
        )

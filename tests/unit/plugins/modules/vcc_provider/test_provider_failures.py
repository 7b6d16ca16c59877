# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vcc_provider registers again after failures and interruptions."""

from __future__ import annotations

import contextlib
import json
import sqlite3

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import (
    ApiError,
    AuthError,
    JournalError,
    NoResponseError,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    TIMEOUT,
    at_once,
    background,
    python,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.modules.vcc_provider.helpers import (
    FULL,
    HIDDEN,
    HOOK,
    OTHER,
    REGISTER,
    bodies,
)

REGISTERING = """
import json
import sys
from ansible_collections.vonage.vcc.plugins.module_utils._errors import ApiError
from ansible_collections.vonage.vcc.plugins.modules.vcc_provider import run
try:
    print(json.dumps(run(json.loads(sys.argv[1]), False, False, set())))
except ApiError as exc:
    print(json.dumps(str(exc)))
"""


class TestFailure:
    """After a failure, the next run sends its registration even if VCC had accepted it before, because the current one is unknown."""

    @pytest.mark.parametrize(
        ("order", "said"),
        [
            ({"kind": "cut", "when": "before"}, "may or may not be registered: VCC at {url} gave no answer"),
            ({"kind": "cut", "when": "after"}, "may or may not be registered: VCC at {url} gave no answer"),
            (
                {"kind": "status", "status": 400, "body": {"message": "no such thing"}},
                "is not registered: VCC refused the request with status 400",
            ),
            (
                {"kind": "status", "status": 403},
                "is not registered: VCC refuses access (403): give the API client the scope interactions:write.",
            ),
            ({"kind": "status", "status": 409}, "is not registered: VCC refused the request with status 409"),
            ({"kind": "too_large"}, "is not registered: VCC refused the request with status 413"),
            ({"kind": "status", "status": 429}, "is not registered: VCC at {url} keeps answering with status 429"),
            ({"kind": "status", "status": 500}, "may or may not be registered: VCC at {url} keeps answering with"),
            ({"kind": "status", "status": 503}, "may or may not be registered: VCC at {url} keeps answering with"),
            ({"kind": "html"}, "may or may not be registered: {host} gave an answer (status 200) that VCC never"),
            ({"kind": "garbage"}, "may or may not be registered: {host} gave an answer (status 200) that VCC never"),
            ({"kind": "redirect"}, "may or may not be registered: {host} gave an answer (status 302) that VCC never"),
            (
                {"kind": "expired", "times": 2},
                "is not registered: VCC refuses a token that it has just issued (401): check account, region",
            ),
        ],
        ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
    )
    def test_failure_is_one_sentence_and_the_next_run_sends_again(self, sim, register, refused, order, said):
        register(**FULL)
        sim.fault(path=REGISTER, **order)
        said = said.format(url=sim.url + REGISTER, host=sim.url)
        failure = refused(**OTHER)
        assert str(failure).startswith(f"The provider 'tickets' {said}")
        assert failure.maybe_processed == ("may or may not" in said)
        assert "\n" not in str(failure)
        assert HIDDEN not in str(failure)
        assert "such thing" not in str(failure) and "Payload" not in str(failure)
        for settings in (FULL, OTHER):
            predicted = register(check=True, diff=True, **settings)
            assert (predicted["changed"], predicted["changed_settings"]) == (True, [])
            assert predicted["diff"]["before"] == "tickets: not known to be registered\n"
        sent = len(bodies(sim))
        assert register(**FULL)["evidence"] == "api"
        assert len(bodies(sim)) == sent + 1
        assert not register(**FULL)["changed"]

    @pytest.mark.parametrize("status", [400, 403])
    def test_message_of_server_is_shown_only_without_headers(self, sim, refused, status):
        """A server may repeat the values of headers in any spelling."""
        for given, said in (({}, True), ({"endpoint": HOOK}, True), (FULL, False)):
            sim.fault("status", status=status, body={"message": "no such thing"}, path=REGISTER)
            assert ("(no such thing)" in str(refused(**given))) is said

    def test_an_expired_token_is_renewed(self, sim, register):
        sim.fault("expired", path=REGISTER)
        assert register()["changed"]
        first, second = bodies(sim)
        assert first == second
        assert len(sim.token_calls) == 2

    def test_503_is_retried(self, sim, register):
        sim.fault("status", status=503, path=REGISTER, retry_after="0")
        assert register(retries=1)["changed"]
        assert not register()["changed"]

    def test_expired_access_token_is_named(self, sim, refused):
        failure = refused(access_token="old", client_id=None, client_secret=None, kind=ApiError)
        assert str(failure).startswith("The provider 'tickets' is not registered: VCC refused the access token (401)")

    def test_a_token_without_the_scope_is_named(self, sim, refused):
        said = str(refused(access_token=sim.issue_token(["stats"])))
        assert "(403): give the API client the scope interactions:write." in said

    @pytest.mark.parametrize("wrong", ["secret", "address"])
    def test_failed_token_request_keeps_confirmation(self, sim, register, refused, wrong):
        register(**FULL)
        if wrong == "secret":
            refused(AuthError, client_secret="wrong", **OTHER)
        else:
            refused(NoResponseError, auth_url=f"{sim.url}/nowhere", **OTHER)
        assert len(bodies(sim)) == 1
        assert not register(**FULL)["changed"]

    def test_unusable_journal_fails_before_call(self, sim, refused, folder):
        (folder / "journal.db").mkdir(parents=True)
        assert "cannot be used" in str(refused(JournalError))
        assert sim.calls == []

    def test_message_names_journal_that_fails_after_call(self, sim, register, folder):
        hold = sim.fault("hold", path=REGISTER)
        with background(register) as results:
            assert hold.entered.wait(TIMEOUT)
            with contextlib.closing(sqlite3.connect(folder / "journal.db")) as db:
                db.execute("DROP TABLE registration")
            hold.release()
        (result,) = results
        assert (result["failed"], result["changed"]) == (True, True)
        assert result["msg"].startswith(
            "The provider 'tickets' is registered, but the journal could not record it, so the next run registers it again: The journal "
        )


class TestInterrupted:
    def test_run_that_is_killed_before_its_record_confirms_nothing(self, sim, register, given):
        register(**FULL)
        hold = sim.fault("hold", path=REGISTER)
        with python(REGISTERING, json.dumps(given(**OTHER))) as process:
            assert hold.entered.wait(TIMEOUT)
            process.kill()
            process.wait(TIMEOUT)
        hold.release()
        for settings in (FULL, OTHER):
            assert register(check=True, **settings)["changed"]
        assert register(**FULL)["evidence"] == "api"
        assert [body["endpoint"] for body in bodies(sim)] == [HOOK, f"{HOOK}/2", HOOK]

    def test_two_runs_at_once_confirm_nothing(self, sim, register, given):
        """It is unknown which of them VCC processed last."""
        holds = [sim.fault("hold", path=REGISTER) for dummy in range(2)]
        with contextlib.ExitStack() as stack:
            processes = []
            for settings, hold in zip((FULL, OTHER), holds):
                processes.append(stack.enter_context(python(REGISTERING, json.dumps(given(**settings)))))
                assert hold.entered.wait(TIMEOUT)
            for hold in holds:
                hold.release()
            outputs = [process.communicate(timeout=TIMEOUT) for process in processes]
        assert [error for dummy, error in outputs] == ["", ""]
        assert [json.loads(output)["evidence"] for output, dummy in outputs] == ["api", "api"]
        for settings in (FULL, OTHER):
            assert register(check=True, **settings)["changed"]
        assert register(**FULL)["evidence"] == "api"

    def test_four_runs_at_once_do_not_fail(self, sim, given):
        results = [json.loads(output) for output in at_once(4, "together()" + REGISTERING, json.dumps(given()))]
        assert {result["evidence"] for result in results} <= {"api", "journal"}
        assert len(bodies(sim)) == sum(result["changed"] for result in results) > 0

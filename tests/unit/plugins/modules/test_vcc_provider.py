# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Providers: how they are registered, what the journal knows of it, and what nobody gets to see."""

from __future__ import annotations

import contextlib
import json
import sqlite3

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils import _connection
from ansible_collections.vonage.vcc.plugins.module_utils._errors import (
    ApiError,
    AuthError,
    InputError,
    JournalError,
    NoResponseError,
)
from ansible_collections.vonage.vcc.plugins.module_utils._journal.registrations import OVERLAP_SECONDS, Registration
from ansible_collections.vonage.vcc.plugins.modules import vcc_provider
from ansible_collections.vonage.vcc.plugins.modules.vcc_provider import run
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    PATIENCE,
    Recorder,
    at_once,
    background,
    python,
    snapshot,
    validated_by,
)

REGISTER = "/interactions/Register"
HIDDEN = "hush-hush"
HOOK = "https://hooks.example/vcc"

# A registration with every setting, and one that differs in each way a setting can.
FULL = {
    "endpoint": HOOK,
    "headers": {"Authorization": f"Bearer {HIDDEN}-1", "X-Old": f"{HIDDEN}-2", "X-Same": f"{HIDDEN}-3"},
    "agent_actions_permitted": {"release": True},
}
OTHER = {
    "endpoint": f"{HOOK}/2",
    "headers": {"Authorization": f"Bearer {HIDDEN}-4", "X-New": f"{HIDDEN}-5", "X-Same": f"{HIDDEN}-3"},
    "agent_actions_permitted": {"release": True, "hold": True},
}


def actions(*permitted):
    """What a diff says of each action."""
    return [
        f"agent_actions_permitted.{name}: {'permitted' if name in permitted else 'not permitted'}"
        for name in ("hold", "release", "transfer_to_agent", "transfer_to_route")
    ]


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


@pytest.fixture
def given(sim, folder):
    """Makes the options of a task that registers the provider "tickets"."""

    def make(**others):
        others = {"name": "tickets", "journal": str(folder / "journal.db"), **others}
        return validated_by(vcc_provider.SPEC["argument_spec"], **sim.options(**others))

    return make


@pytest.fixture
def register(given):
    """Does a task and returns its result."""

    def do(check=False, diff=False, secrets=None, **others):
        result = run(given(**others), check, diff, set() if secrets is None else secrets)
        json.dumps(result)
        return result

    return do


@pytest.fixture
def refused(register):
    """What a task says that fails."""

    def do(kind=ApiError, **others):
        with pytest.raises(kind) as caught:
            register(**others)
        return caught.value

    return do


def bodies(sim):
    return [json.loads(body) for body in sim.bodies(REGISTER)]


def lines(*texts):
    return "".join(f"{text}\n" for text in texts)


class TestWire:
    def test_what_is_not_given_is_not_sent(self, sim, register):
        assert register() == {"changed": True, "provider": "tickets", "changed_settings": [], "evidence": "api"}
        assert bodies(sim) == [
            {
                "provider": "tickets",
                "agentactionspermitted": {"release": 0, "hold": 0, "transferToAgent": 0, "transferToRoute": 0},
            }
        ]
        assert not any(isinstance(value, bool) for value in bodies(sim)[0]["agentactionspermitted"].values())

    def test_every_setting_in_the_spelling_of_vcc(self, sim, register):
        register(
            endpoint=f"{HOOK}/@team?key=1@2",
            headers={"Authorization": "Basic dTpw", "X-Number": 7, "X-Empty": "", "!#$%&'*+-.^_`|~": "\x20~"},
            agent_actions_permitted=dict.fromkeys(("release", "hold", "transfer_to_agent", "transfer_to_route"), True),
        )
        assert bodies(sim) == [
            {
                "provider": "tickets",
                "endpoint": f"{HOOK}/@team?key=1@2",
                "headers": {
                    "Authorization": "Basic dTpw",
                    "X-Number": "7",
                    "X-Empty": "",
                    "!#$%&'*+-.^_`|~": "\x20~",
                },
                "agentactionspermitted": {"release": 1, "hold": 1, "transferToAgent": 1, "transferToRoute": 1},
            }
        ]

    @pytest.mark.parametrize(
        ("option", "spelled"),
        [
            ("release", "release"),
            ("hold", "hold"),
            ("transfer_to_agent", "transferToAgent"),
            ("transfer_to_route", "transferToRoute"),
        ],
    )
    def test_each_permission_is_its_own(self, sim, register, option, spelled):
        register(agent_actions_permitted={option: True})
        permitted = bodies(sim)[0]["agentactionspermitted"]
        assert [name for name, value in permitted.items() if value] == [spelled]

    def test_headers_and_scope_of_the_call(self, sim, register):
        register()
        token, call = sim.requests
        assert b"scope=interactions%3Awrite" in token["body"]
        assert call["headers"]["Accept"] == "application/vnd.newvoicemedia.v1+json"
        assert call["headers"]["Content-Type"] == "application/json"
        assert [one["method"] for one in sim.calls] == ["POST", "POST"]

    @pytest.mark.parametrize("empty", [{"endpoint": ""}, {"headers": {}}, {"endpoint": HOOK, "headers": {}}])
    def test_an_empty_setting_is_none(self, sim, register, empty):
        register(**empty)
        assert set(bodies(sim)[0]) == {
            "provider",
            "agentactionspermitted",
            *(["endpoint"] if empty.get("endpoint") else []),
        }

    def test_vcc_then_knows_the_provider_and_where_to_notify_it(self, sim, register):
        register(**FULL)
        sim.dispatch("a", provider="tickets")
        endpoint, headers, dummy = sim.notification("a")
        assert (endpoint, headers) == (FULL["endpoint"], FULL["headers"])


class TestProof:
    def test_a_second_run_makes_no_call(self, sim, register):
        register(**FULL)
        calls = sim.calls
        second = register(diff=True, **FULL)
        assert sim.calls == calls
        diff = second.pop("diff")
        assert diff["before"] == diff["after"] != ""
        assert second == {"changed": False, "provider": "tickets", "changed_settings": [], "evidence": "journal"}

    def test_a_number_and_its_text_are_the_same_header(self, sim, register):
        register(endpoint=HOOK, headers={"X-Number": 7})
        assert not register(endpoint=HOOK, headers={"X-Number": "7"})["changed"]

    def test_an_empty_setting_is_the_same_as_none(self, register):
        register()
        assert not register(endpoint="", headers={})["changed"]

    def test_every_change_is_sent_as_a_whole_and_then_known(self, sim, register):
        for settings in (FULL, OTHER, FULL):
            assert register(**settings)["changed"]
            assert not register(**settings)["changed"]
        assert [body["endpoint"] for body in bodies(sim)] == [HOOK, f"{HOOK}/2", HOOK]
        assert bodies(sim)[0] == bodies(sim)[2]

    def test_force_sends_what_is_known(self, sim, register):
        register(**FULL)
        forced = register(force=True, diff=True, **FULL)
        assert (forced["changed"], forced["changed_settings"], forced["evidence"]) == (True, [], "api")
        assert forced["diff"]["before"] == forced["diff"]["after"]
        assert len(bodies(sim)) == 2
        assert not register(**FULL)["changed"]

    def test_without_a_journal_nothing_is_known(self, sim, register, tmp_path):
        for dummy in range(2):
            result = register(journal="", diff=True, **FULL)
            assert (result["changed"], result["changed_settings"]) == (True, [])
            assert result["diff"]["before"] == "tickets: not known to be registered\n"
        assert len(bodies(sim)) == 2
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("other", [{"name": "orders"}, {"account": "second"}], ids=["name", "account"])
    def test_another_provider_or_account_proves_nothing(self, sim, register, other):
        register()
        assert register(**other)["changed"]
        assert len(bodies(sim)) == 2
        assert not register()["changed"]
        assert not register(**other)["changed"]

    def test_another_api_proves_nothing(self, sim, register):
        register()
        with Recorder() as second:
            elsewhere = {"api_url": second.url, "auth_url": second.token_url}
            assert register(**elsewhere)["changed"]
            assert len(bodies(second)) == 1
        assert not register()["changed"]

    def test_interactions_of_the_provider_are_left_alone(self, sim, register, task, rows):
        register()
        sim.dispatch("a", provider="tickets")
        task(external_id="a", provider="tickets")
        before = rows()
        register(**FULL)
        assert rows() == before
        assert not task(external_id="a", provider="tickets")["changed"]
        assert not register(**FULL)["changed"]

    def test_no_verification_is_warned_about(self, register):
        for changed in (True, False):
            result = register(validate_certs=False)
            assert (result["changed"], result["warnings"]) == (changed, [_connection.UNVERIFIED])


class TestDiff:
    def test_a_first_registration(self, register):
        assert register(diff=True, **FULL)["diff"] == {
            "before_header": "VCC provider tickets",
            "after_header": "VCC provider tickets",
            "before": "tickets: not known to be registered\n",
            "after": lines(
                *actions("release"),
                "endpoint: registered",
                "headers.Authorization: registered",
                "headers.X-Old: registered",
                "headers.X-Same: registered",
            ),
        }

    def test_each_setting_that_changes_is_named_without_a_value(self, register):
        register(**FULL)
        result = register(diff=True, **OTHER)
        assert result["changed_settings"] == [
            "agent_actions_permitted.hold",
            "endpoint",
            "headers.Authorization",
            "headers.X-New",
            "headers.X-Old",
        ]
        assert result["diff"]["before"] == lines(
            *actions("release"),
            "endpoint: registered with another value",
            "headers.Authorization: registered with another value",
            "headers.X-Old: registered",
            "headers.X-Same: registered",
        )
        assert result["diff"]["after"] == lines(
            *actions("hold", "release"),
            "endpoint: registered",
            "headers.Authorization: registered",
            "headers.X-New: registered",
            "headers.X-Same: registered",
        )
        assert "hooks.example" not in json.dumps(result)

    @pytest.mark.parametrize(
        ("before", "after"),
        [((), ()), ((), ("hold",)), (("hold",), ()), (("hold", "release"), ("hold", "transfer_to_route"))],
        ids=str,
    )
    @pytest.mark.parametrize("check", [True, False])
    def test_which_actions_were_and_are_permitted(self, register, check, before, after):
        register(agent_actions_permitted=dict.fromkeys(before, True))
        diff = register(check=check, diff=True, agent_actions_permitted=dict.fromkeys(after, True))["diff"]
        assert diff["before"] == lines(*actions(*before))
        assert diff["after"] == lines(*actions(*after))

    def test_a_name_is_shown_as_a_terminal_can(self, register):
        diff = register(diff=True, name="a\u202eb")["diff"]
        assert diff["before_header"] == diff["after_header"] == r"VCC provider a\u202eb"
        assert diff["before"] == "a\\u202eb: not known to be registered\n"

    @pytest.mark.parametrize(
        ("before", "after", "named"),
        [
            (FULL, {**FULL, "endpoint": f"{HOOK}/2"}, ["endpoint"]),
            ({}, {"endpoint": HOOK}, ["endpoint"]),
            ({"endpoint": HOOK}, {}, ["endpoint"]),
            ({"endpoint": HOOK}, {"endpoint": HOOK, "headers": {"X": ""}}, ["headers.X"]),
            ({"endpoint": HOOK, "headers": {"X": ""}}, {"endpoint": HOOK}, ["headers.X"]),
            (
                {"endpoint": HOOK, "headers": {"X": "1", "Y": "2"}},
                {"endpoint": HOOK, "headers": {"X": "2", "Y": "1"}},
                ["headers.X", "headers.Y"],
            ),
            (
                {"agent_actions_permitted": {"transfer_to_agent": True}},
                {"agent_actions_permitted": {"transfer_to_route": True}},
                ["agent_actions_permitted.transfer_to_agent", "agent_actions_permitted.transfer_to_route"],
            ),
        ],
    )
    def test_only_what_changes_is_a_changed_setting(self, register, before, after, named):
        register(**before)
        result = register(**after)
        assert (result["changed"], result["changed_settings"]) == (True, named)
        assert "diff" not in result


class TestCheckMode:
    @pytest.mark.parametrize(
        ("before", "after"),
        [([], FULL), ([FULL], FULL), ([FULL], OTHER), ([OTHER], FULL), ([FULL], {**FULL, "force": True}), ([FULL], {})],
        ids=["new", "same", "other", "back", "force", "fewer"],
    )
    def test_it_predicts_the_real_run_and_does_nothing(self, sim, register, tmp_path, before, after):
        for settings in before:
            register(**settings)
        calls, files = sim.calls, snapshot(tmp_path)
        predicted = register(check=True, diff=True, **after)
        assert sim.calls == calls
        assert snapshot(tmp_path) == files
        real = register(diff=True, **after)
        assert predicted["evidence"] == ("predicted" if real["changed"] else "journal")
        assert {**predicted, "evidence": ""} == {**real, "evidence": ""}

    def test_without_a_journal_it_predicts_a_change(self, sim, register, tmp_path):
        assert register(check=True, journal="")["changed"]
        assert sim.calls == []
        assert list(tmp_path.iterdir()) == []


class TestSecrets:
    def test_no_value_is_in_the_journal_or_its_log(self, register, folder):
        register(**FULL)
        with contextlib.closing(sqlite3.connect(folder / "journal.db")) as reader:
            # While another reads, SQLite leaves what it writes in the log.
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM registration").fetchall()
            register(**OTHER)
            files = {each.name: each.read_bytes() for each in folder.iterdir()}
        assert len(files["journal.db-wal"]) > 0
        for content in files.values():
            for value in (HIDDEN, "Bearer", "hooks.example"):
                assert value.encode() not in content

    def test_equal_values_leave_no_equal_marks(self, register, folder):
        """Each hash has the setting's name in it and a key of its registration, so that nothing can be compared or looked up."""
        same = {"endpoint": HOOK, "headers": {"A": HIDDEN, "B": HIDDEN}}
        register(**same)
        register(name="orders", **same)
        with contextlib.closing(sqlite3.connect(folder / "journal.db")) as db:
            found = [json.loads(text) for (text,) in db.execute("SELECT settings FROM registration")]
        marks = [each[name] for each in found for name in ("headers.A", "headers.B")]
        assert len(set(marks)) == 4

    @pytest.mark.parametrize("check", [True, False], ids=["check", "run"])
    def test_no_value_is_in_the_result(self, register, check):
        register(**FULL)
        assert HIDDEN not in json.dumps(register(check=check, diff=True, **OTHER))

    def test_the_caller_learns_what_to_hide(self, sim, register):
        secrets = set()
        register(secrets=secrets)
        token = sim.requests[-1]["headers"]["Authorization"].split()[1]
        assert secrets == {CLIENT_SECRET, token}


class TestFailure:
    """What VCC has not accepted is sent again, and so is what it had accepted before, since nobody knows what it has now."""

    @pytest.mark.parametrize(
        ("order", "said"),
        [
            ({"kind": "cut", "when": "before"}, "may or may not be registered: VCC at {url} gave no answer"),
            ({"kind": "cut", "when": "after"}, "may or may not be registered: VCC at {url} gave no answer"),
            (
                {"kind": "status", "status": 400, "body": {"message": "no such thing"}},
                "is not registered: VCC refused it with status 400",
            ),
            (
                {"kind": "status", "status": 403},
                "is not registered: VCC refuses access (403): give the API client the scope interactions:write.",
            ),
            ({"kind": "status", "status": 409}, "is not registered: VCC refused it with status 409"),
            ({"kind": "too_large"}, "is not registered: VCC refused it with status 413"),
            ({"kind": "status", "status": 429}, "is not registered: VCC at {url} keeps answering with status 429"),
            ({"kind": "status", "status": 500}, "may or may not be registered: VCC at {url} keeps answering with"),
            ({"kind": "status", "status": 503}, "may or may not be registered: VCC at {url} keeps answering with"),
            ({"kind": "html"}, "may or may not be registered: {host} answered with status 200 in a way that VCC does"),
            ({"kind": "garbage"}, "may or may not be registered: {host} answered with status 200 in a way that VCC"),
            ({"kind": "redirect"}, "may or may not be registered: {host} answered with status 302 in a way that VCC"),
            (
                {"kind": "expired", "times": 2},
                "is not registered: VCC refuses a token that it has just given out (401): check account, region",
            ),
        ],
        ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
    )
    def test_it_is_said_in_one_sentence_and_the_next_run_sends_again(self, sim, register, refused, order, said):
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
    def test_the_reason_is_repeated_where_there_are_no_headers(self, sim, refused, status):
        """Of headers, nobody knows in which spelling a server repeats them."""
        for given, said in (({}, True), ({"endpoint": HOOK}, True), (FULL, False)):
            sim.fault("status", status=status, body={"message": "no such thing"}, path=REGISTER)
            assert ("(no such thing)" in str(refused(**given))) is said

    def test_an_expired_token_is_renewed(self, sim, register):
        sim.fault("expired", path=REGISTER)
        assert register()["changed"]
        first, second = bodies(sim)
        assert first == second
        assert len(sim.token_calls) == 2

    def test_a_passing_trouble_is_waited_out(self, sim, register):
        sim.fault("status", status=503, path=REGISTER, retry_after="0")
        assert register(retries=1)["changed"]
        assert not register()["changed"]

    def test_a_ready_token_that_has_expired_is_named(self, sim, refused):
        failure = refused(access_token="old", client_id=None, client_secret=None, kind=ApiError)
        assert str(failure).startswith("The provider 'tickets' is not registered: VCC refused the access token (401)")

    def test_a_token_without_the_scope_is_named(self, sim, refused):
        said = str(refused(access_token=sim.issue_token(["stats"])))
        assert "(403): give the API client the scope interactions:write." in said

    @pytest.mark.parametrize("wrong", ["secret", "address"])
    def test_without_a_token_what_is_known_stays_known(self, sim, register, refused, wrong):
        register(**FULL)
        if wrong == "secret":
            refused(AuthError, client_secret="wrong", **OTHER)
        else:
            refused(NoResponseError, auth_url=f"{sim.url}/nowhere", **OTHER)
        assert len(bodies(sim)) == 1
        assert not register(**FULL)["changed"]

    def test_a_journal_that_cannot_be_used_fails_before_the_call(self, sim, refused, folder):
        (folder / "journal.db").mkdir(parents=True)
        assert "cannot be used" in str(refused(JournalError))
        assert sim.calls == []

    def test_a_journal_that_breaks_behind_the_call_is_said(self, sim, register, folder):
        hold = sim.fault("hold", path=REGISTER)
        with background(register) as results:
            assert hold.entered.wait(PATIENCE)
            with contextlib.closing(sqlite3.connect(folder / "journal.db")) as db:
                db.execute("DROP TABLE registration")
            hold.release()
        (result,) = results
        assert (result["failed"], result["changed"]) == (True, True)
        assert result["msg"].startswith(
            "The provider 'tickets' is registered, but the next run will not know: The journal "
        )


class TestInterrupted:
    def test_a_run_that_is_killed_before_its_note_proves_nothing(self, sim, register, given):
        register(**FULL)
        hold = sim.fault("hold", path=REGISTER)
        with python(REGISTERING, json.dumps(given(**OTHER))) as process:
            assert hold.entered.wait(PATIENCE)
            process.kill()
            process.wait(PATIENCE)
        hold.release()
        for settings in (FULL, OTHER):
            assert register(check=True, **settings)["changed"]
        assert register(**FULL)["evidence"] == "api"
        assert [body["endpoint"] for body in bodies(sim)] == [HOOK, f"{HOOK}/2", HOOK]

    def test_two_at_once_prove_nothing(self, sim, register, given):
        """Which of them VCC took last is not known."""
        holds = [sim.fault("hold", path=REGISTER) for dummy in range(2)]
        with contextlib.ExitStack() as stack:
            processes = []
            for settings, hold in zip((FULL, OTHER), holds):
                processes.append(stack.enter_context(python(REGISTERING, json.dumps(given(**settings)))))
                assert hold.entered.wait(PATIENCE)
            for hold in holds:
                hold.release()
            outputs = [process.communicate(timeout=PATIENCE) for process in processes]
        assert [error for dummy, error in outputs] == ["", ""]
        assert [json.loads(output)["evidence"] for output, dummy in outputs] == ["api", "api"]
        for settings in (FULL, OTHER):
            assert register(check=True, **settings)["changed"]
        assert register(**FULL)["evidence"] == "api"

    def test_of_many_at_once_none_fails(self, sim, given):
        results = [json.loads(output) for output in at_once(4, "together()" + REGISTERING, json.dumps(given()))]
        assert {result["evidence"] for result in results} <= {"api", "journal"}
        assert len(bodies(sim)) == sum(result["changed"] for result in results) > 0


class TestRegistration:
    """The note alone, by the test's clock."""

    @pytest.fixture
    def one(self, folder, clock):
        with contextlib.ExitStack() as stack:

            def make():
                registration = Registration(str(folder / "journal.db"), "https://api.example", "main", "p", clock=clock)
                stack.callback(registration.close)
                return registration

            yield make

    def test_what_was_accepted_is_known(self, one):
        first = one()
        assert first.compare({"a": "1"}) is None
        first.begin()
        assert one().compare({"a": "1"}) is None
        first.accept({"a": "1", "b": "2"})
        assert one().compare({"a": "1", "c": "2"}) == {"a": "same", "b": "removed", "c": "added"}
        assert one().compare({"a": "2", "b": "2"}) == {"a": "changed", "b": "same"}

    def test_a_new_beginning_ends_what_was_known(self, one):
        first = one()
        first.begin()
        first.accept({"a": "1"})
        one().begin()
        assert first.compare({"a": "1"}) is None

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_neither_of_two_is_known(self, one, order):
        both = [one(), one()]
        for registration in both:
            registration.begin()
        for index in order:
            both[index].accept({"a": str(index)})
        assert one().compare({"a": "1"}) is None

    def test_one_that_was_overtaken_takes_nothing_away(self, one, clock):
        first, second = one(), one()
        first.begin()
        clock.now += OVERLAP_SECONDS + 1
        second.begin()
        second.accept({"a": "1"})
        first.accept({"a": "2"})
        first.cancel()
        assert one().compare({"a": "1"}) == {"a": "same"}

    @pytest.mark.parametrize(("later", "known"), [(OVERLAP_SECONDS - 1, False), (OVERLAP_SECONDS + 1, True)])
    def test_one_that_never_ended_counts_for_a_while(self, one, clock, later, known):
        one().begin()
        clock.now += later
        second = one()
        second.begin()
        second.accept({"a": "1"})
        assert (one().compare({"a": "1"}) is not None) is known

    def test_runs_in_short_order_behind_a_killed_one_come_to_rest(self, one, clock):
        one().begin()
        for dummy in range(4):
            clock.now += OVERLAP_SECONDS / 2
            run = one()
            run.begin()
            run.accept({"a": "1"})
        assert one().compare({"a": "1"}) == {"a": "same"}

    def test_one_that_fails_takes_no_notice_of_another_away(self, one):
        """The first is still under way when the third comes, and may be the last that VCC takes."""
        first, second, third = one(), one(), one()
        first.begin()
        second.begin()
        second.cancel()
        third.begin()
        third.accept({"a": "3"})
        first.accept({"a": "1"})
        assert one().compare({"a": "3"}) is None

    def test_one_that_failed_counts_no_more(self, one):
        first, second = one(), one()
        first.begin()
        first.cancel()
        second.begin()
        second.accept({"a": "1"})
        assert one().compare({"a": "1"}) == {"a": "same"}


class TestInput:
    """What is refused, in check mode too, before any call and without a value that may be a secret."""

    @pytest.fixture
    def said(self, sim, refused, tmp_path):
        def do(**given):
            says = {str(refused(InputError, check=check, **given)) for check in (True, False)}
            assert sim.calls == []
            assert list(tmp_path.iterdir()) == []
            (text,) = says
            assert HIDDEN not in text
            assert "\n" not in text
            return text

        return do

    @pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x00", "x" * 1025, "a\ud800"])
    def test_a_name_that_no_provider_has(self, said, name):
        assert said(name=name).startswith("name ")

    @pytest.mark.parametrize(
        ("endpoint", "why"),
        [
            ("http://hooks.example/", "begin with https://, since VCC calls no other."),
            ("http://127.0.0.1/", "begin with https://, since VCC calls no other."),
            (f"https://user:{HIDDEN}@hooks.example/", "be a URL without a user and password in it."),
            (f"https://{HIDDEN}@hooks.example/", "be a URL without a user and password in it."),
            (f"ftp://hooks.example/{HIDDEN}", "be a URL such as "),
            (f"hooks.example/{HIDDEN}", "be a URL such as "),
            (f"https:///{HIDDEN}", "be a URL such as "),
            (f"https://hooks.example/\r\nX: {HIDDEN}", "be a URL such as "),
            (f"https://hooks.example/ {HIDDEN}", "be a URL such as "),
            (f"https://hooks.example/ü{HIDDEN}", "be a URL such as "),
            (f"https://hooks.example/#{HIDDEN}", "be a URL such as "),
            (f"https://hooks.example:70000/{HIDDEN}", "be a URL such as "),
        ],
    )
    def test_an_endpoint_that_vcc_does_not_call(self, said, endpoint, why):
        assert said(endpoint=endpoint).startswith(f"endpoint has to {why}")

    @pytest.mark.parametrize("name", ["", "X Y", "X:", "X\r\nY", "X\n", "Größe", "X\x00", "(X)", '"X"'])
    def test_a_name_that_no_header_has(self, said, name):
        assert said(endpoint=HOOK, headers={name: HIDDEN}).startswith("headers has a name that no HTTP header can have")

    @pytest.mark.parametrize("value", ["{}\r\nX: y", "{}\n", "\n{}", "{}\r", "ü{}", "{}\x00", "{}\t", "{}\x7f", "🎧{}"])
    def test_a_value_that_no_header_has(self, said, value):
        text = said(endpoint=HOOK, headers={"X-Key": value.format(HIDDEN)})
        assert text.startswith("headers.X-Key has a character that no HTTP header can have")

    @pytest.mark.parametrize("value", [[HIDDEN], {"a": HIDDEN}, None, True, 1.5], ids=repr)
    def test_a_value_that_is_no_text(self, said, value):
        assert said(endpoint=HOOK, headers={"X-Key": value}).startswith(
            "headers.X-Key is neither text nor a whole number"
        )

    @pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
    @pytest.mark.parametrize("value", ["{}", "{} ", " {}", "", "{}  "])
    def test_an_authorization_without_its_type(self, said, name, value):
        text = said(endpoint=HOOK, headers={name: value.format(HIDDEN)})
        assert text.startswith(f"headers.{name} has to have the form 'type credentials'")

    def test_names_that_differ_in_capitals(self, said):
        text = said(endpoint=HOOK, headers={"X-Key": HIDDEN, "x-kEY": HIDDEN})
        assert text == "headers has a name twice, which differs in capitals only: leave one of them."

    @pytest.mark.parametrize("endpoint", [None, ""])
    def test_headers_without_an_endpoint(self, said, endpoint):
        text = said(endpoint=endpoint, headers={"X-Key": HIDDEN})
        assert text == "headers are sent to endpoint, which is missing: set it, or leave headers out."

    def test_more_than_a_call_takes(self, said):
        text = said(endpoint=HOOK, headers={"X-Key": HIDDEN * 12_000})
        assert text.startswith("The settings of 'tickets' come to 108")

    def test_the_most_that_a_call_takes_is_taken(self, sim, register, refused):
        register(endpoint=HOOK, headers={"X": ""}, journal="")
        room = 99_999 - len(sim.bodies(REGISTER)[0])
        register(endpoint=HOOK, headers={"X": "x" * room}, journal="")
        assert len(sim.bodies(REGISTER)[1]) == 99_999
        assert "come to 100000 bytes" in str(refused(InputError, endpoint=HOOK, headers={"X": "x" * (room + 1)}))

    def test_missing_credentials(self, said):
        assert said(client_id=None, client_secret=None).startswith("The credentials are missing")

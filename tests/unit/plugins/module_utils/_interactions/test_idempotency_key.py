# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request ids that are derived from an idempotency key: the same for every run, with or without a journal."""

from __future__ import annotations

import contextlib
import json
import shlex
import sqlite3
import subprocess

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._interactions.idempotency import derive_request_id
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import Notification, NotificationLog
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import column, summary

DAY = 86400

# Each (key, account, provider, action, external id), and the request id that every version and every other program must derive.
VECTORS = [
    (("CHG0031337", "my-client", None, "dispatch", "case-4711"), "a80c80b0b5be490cbaa00e6f1bc8e278"),
    (("2026-11-28", "my-client", "ticket-system", "release", "case 4711, ü"), "1dc4dc1833cee9935cd1333b4ce1ae19"),
    (("nightly", "", None, "release", "0"), "ee9dc697755ece730e1dd9fb7670c0ae"),
]


@pytest.fixture
def age(folder):
    """Makes the rows of the journal older."""

    def do(seconds):
        with contextlib.closing(sqlite3.connect(folder / "journal.db")) as db:
            db.execute("UPDATE interaction SET asked = asked - ?, accepted = accepted - ?", (seconds, seconds))
            db.commit()

    return do


@pytest.fixture
def open_journal(sim, folder):
    """Opens the journal of the tasks, for a task that releases."""
    with contextlib.ExitStack() as stack:

        def make():
            return stack.enter_context(
                contextlib.closing(Journal(str(folder / "journal.db"), sim.url, CLIENT_ID, None, DAY))
            )

        yield make


@pytest.fixture
def lose_journal(folder):
    """Removes the journal, as the end of a container does."""

    def lose():
        for file in folder.glob("journal.db*"):
            file.unlink()

    return lose


class TestDerivation:
    @pytest.mark.parametrize(("fields", "request_id"), VECTORS, ids=str)
    def test_vectors_never_change(self, fields, request_id):
        assert derive_request_id(*fields) == request_id

    @pytest.mark.parametrize(("fields", "request_id"), VECTORS, ids=str)
    def test_shell_derives_same_request_id(self, fields, request_id):
        """The command is that of the guide."""
        key, account, provider, action, external_id = (shlex.quote(each or "") for each in fields)
        command = f"printf '%s\\n' {account} {provider} {action} {external_id} {key} | sha256sum | cut -c-32"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
        assert done.stdout == f"{request_id}\n"

    @pytest.mark.parametrize("position", range(5))
    def test_each_field_counts(self, position):
        fields = ["key", "account", "provider", "release", "case"]
        changed = [f"{each}x" if index == position else each for index, each in enumerate(fields)]
        assert derive_request_id(*fields) != derive_request_id(*changed)


class TestWithoutJournal:
    def test_each_interaction_is_dispatched_once(self, sim, dispatch, tmp_path):
        (tmp_path / "ids.txt").write_text("a\nb\nc\n")
        sources = (
            {"external_id": "a"},
            {"external_ids": ["a", "b"]},
            {
                "interactions": [
                    {"external_id": "a"},
                    {"external_id": "b", "linked_data": [{"type": "x", "value": "y"}]},
                ]
            },
            {"src": str(tmp_path / "ids.txt")},
        )
        for source in sources:
            result = dispatch(journal="", idempotency_key="CHG1", **source)
            assert result["changed"]
            assert "warnings" not in result
        assert sorted(sim.live()) == ["a", "b", "c"]
        assert len(sim.effects) == 3

    def test_another_key_is_another_operation(self, sim, dispatch):
        for key in ("CHG1", "CHG2", "CHG1"):
            dispatch(journal="", idempotency_key=key, external_id="a")
        assert len(sim.effects) == 2

    def test_request_id_is_derived_from_account_and_provider(self, sim, dispatch):
        sim.register("tickets")
        for provider in (None, "tickets"):
            result = dispatch(journal="", idempotency_key="CHG1", external_id="a", provider=provider)
            assert column(result, "request_id") == [derive_request_id("CHG1", CLIENT_ID, provider, "dispatch", "a")]

    def test_check_mode_shows_request_ids(self, sim, dispatch):
        result = dispatch(journal="", idempotency_key="CHG1", external_id="a", check=True)
        assert column(result, "request_id") == [derive_request_id("CHG1", CLIENT_ID, None, "dispatch", "a")]
        assert sim.calls == []


class TestWithJournal:
    def test_second_run_changes_nothing_after_any_time(self, sim, dispatch, age):
        dispatch(idempotency_key="CHG1", external_ids=["a", "b"])
        age(100 * DAY)
        for check in (True, False):
            result = dispatch(idempotency_key="CHG1", external_ids=["a", "b"], check=check)
            assert (result["changed"], column(result, "evidence")) == (False, ["journal", "journal"])
        assert len(sim.effects) == 2

    def test_another_key_dispatches_again_after_ttl(self, sim, dispatch, age):
        dispatch(idempotency_key="CHG1", external_id="a")
        assert not dispatch(idempotency_key="CHG2", external_id="a")["changed"]
        age(2 * DAY)
        assert dispatch(idempotency_key="CHG2", external_id="a")["changed"]
        assert len(sim.effects) == 2

    def test_operation_stays_done_after_the_opposite_one(self, sim, dispatch, task):
        dispatch(idempotency_key="CHG1", external_id="a")
        task(external_id="a")
        before = len(sim.calls)
        assert not dispatch(idempotency_key="CHG1", external_id="a")["changed"]
        assert len(sim.calls) == before
        assert sim.live() == []
        assert dispatch(idempotency_key="CHG2", external_id="a")["changed"]
        assert sim.live() == ["a"]

    def test_operation_stays_done_after_assignment(self, sim, task, folder, clock):
        sim.dispatch("a")
        task(idempotency_key="CHG1", external_id="a")
        path = str(folder / "journal.db")
        with contextlib.closing(NotificationLog(path, sim.url, CLIENT_ID, None, clock=clock)) as log:
            log.record([Notification("AssignToAgent", "a", "n-1")])
        assert not task(idempotency_key="CHG1", external_id="a")["changed"]
        assert task(external_id="a")["changed"]

    def test_lost_answer_is_repeated_with_its_request_id(self, sim, dispatch, lose_journal):
        sim.fault("cut", when="after")
        first = dispatch(external_id="a")
        second = dispatch(idempotency_key="CHG1", external_id="a")
        assert column(second, "request_id") == column(first, "request_id")
        lose_journal()
        sim.fault("cut", when="after")
        unknown = dispatch(idempotency_key="CHG2", external_id="b")
        assert column(unknown, "state") == ["unknown"]
        lose_journal()
        assert column(dispatch(idempotency_key="CHG2", external_id="b"), "request_id") == column(unknown, "request_id")
        assert [effect["external_id"] for effect in sim.effects] == ["a", "b"]

    def test_lost_answer_is_not_done_after_the_opposite_one(self, sim, dispatch, task):
        sim.fault("cut", when="before")
        dispatch(idempotency_key="CHG1", external_id="a")
        task(external_id="a")
        assert dispatch(idempotency_key="CHG1", external_id="a")["changed"]
        assert sim.live() == ["a"]

    @pytest.mark.parametrize("check", [True, False])
    def test_rejected_repetition_leaves_the_opposite_action_confirmed(self, sim, dispatch, task, check):
        """VCC has processed nothing since the release."""
        sim.fault("cut", when="before")
        dispatch(idempotency_key="CHG1", external_id="a")
        sim.dispatch("a")
        task(external_id="a")
        sim.poison("a")
        assert column(dispatch(idempotency_key="CHG1", external_id="a"), "state") == ["unknown"]
        before = len(sim.calls)
        assert not task(external_id="a", check=check)["changed"]
        assert len(sim.calls) == before
        sim.reset()
        assert dispatch(idempotency_key="CHG1", external_id="a")["changed"]

    def test_rejected_repetition_leaves_the_opposite_action_pending(self, sim, dispatch, task):
        """Otherwise, the dispatch would get another request id, and VCC would dispatch a second time."""
        sim.fault("cut", when="before")
        task(idempotency_key="CHG1", external_id="a")
        sim.fault("cut", when="after")
        lost = dispatch(external_id="a")
        sim.fault("too_large")
        assert column(task(idempotency_key="CHG1", external_id="a"), "state") == ["unknown"]
        assert column(dispatch(external_id="a"), "request_id") == column(lost, "request_id")
        assert sim.live() == ["a"]

    def test_rejected_repetition_whose_answer_may_be_lost_confirms_nothing(self, sim, dispatch, task):
        """The first attempt of the repetition may have come after the release."""
        sim.fault("cut", when="before")
        dispatch(idempotency_key="CHG1", external_id="a")
        sim.dispatch("a")
        task(external_id="a")
        sim.poison("a")
        sim.fault("cut", when="before")
        assert column(dispatch(idempotency_key="CHG1", external_id="a", retries=1), "state") == ["unknown"]
        sim.reset()
        sim.dispatch("a")
        assert task(external_id="a")["changed"]

    def test_rejected_interaction_can_be_sent_again(self, sim, dispatch):
        sim.poison("a")
        assert summary(dispatch(idempotency_key="CHG1", external_ids=["a", "b"]))["failed"] == 1
        sim.reset()
        assert summary(dispatch(idempotency_key="CHG1", external_ids=["a", "b"])) == {
            "requested": 2,
            "dispatched": 1,
            "unchanged": 1,
        }


class TestRefusals:
    @pytest.mark.parametrize("key", ["", " ", "a\nb", "x" * 1025], ids=["empty", "blank", "control", "long"])
    def test_invalid_key_is_refused(self, sim, dispatch, key):
        if key == "":
            assert dispatch(idempotency_key=key, external_id="a")["changed"], "an empty option is not set"
            return
        assert dispatch(idempotency_key=key, external_id="a")["msg"].startswith("idempotency_key ")
        assert sim.calls == []

    @pytest.mark.parametrize(
        ("source", "said"),
        [
            (
                {"external_id": "a", "request_id": "mine"},
                "external_id has a request_id, but the task also has idempotency_key",
            ),
            ({"interactions": [{"external_id": "a", "request_id": "mine"}]}, "interactions[0] has a request_id, but"),
            ({"interactions": [{"external_id": "a"}, {}]}, "interactions[1] has no external_id, but"),
        ],
    )
    def test_request_id_or_missing_external_id_is_refused(self, sim, dispatch, source, said):
        assert said in dispatch(idempotency_key="CHG1", **source)["msg"]
        assert sim.calls == []

    def test_request_id_in_a_file_is_refused(self, sim, dispatch, tmp_path):
        (tmp_path / "ids.jsonl").write_text(json.dumps({"external_id": "a", "request_id": "mine"}) + "\n")
        assert "line 1 has a request_id" in dispatch(idempotency_key="CHG1", src=str(tmp_path / "ids.jsonl"))["msg"]
        assert sim.calls == []

    def test_release_ignores_the_request_ids_of_the_dispatch(self, sim, task):
        sim.dispatch("a")
        given = [{"external_id": "a", "request_id": "mine"}]
        result = task(idempotency_key="CHG1", interactions=given)
        assert column(result, "request_id") == [derive_request_id("CHG1", CLIENT_ID, None, "release", "a")]

    @pytest.mark.parametrize("lost", [False, True], ids=["accepted", "pending"])
    def test_force_needs_a_new_key(self, sim, dispatch, lost):
        if lost:
            sim.fault("cut", when="after")
        dispatch(idempotency_key="CHG1", external_ids=["a", "b"])
        before = len(sim.calls)
        for check in (True, False):
            result = dispatch(idempotency_key="CHG1", external_ids=["b", "c"], force=True, check=check)
            assert result["msg"] == (
                "The idempotency_key has been used for 'b' before, so VCC would ignore the request: force needs a new idempotency_key."
            )
        assert len(sim.calls) == before
        assert dispatch(idempotency_key="CHG2", external_ids=["b", "c"], force=True)["changed"]


@pytest.mark.parametrize("lost", [False, True], ids=["accepted", "pending"])
def test_release_at_same_time_does_not_change_request_id(sim, dispatch, open_journal, lost):
    """The release claims first and is answered last, so the journal does not know which action came last. VCC has processed the dispatch."""
    release = open_journal()
    release.add_all([["a"]])
    claimed = release.claim(0)
    if lost:
        sim.fault("cut", when="after")
    dispatch(idempotency_key="CHG1", external_id="a")
    release.accept(claimed)
    again = dispatch(idempotency_key="CHG1", external_id="a")
    assert column(again, "request_id") == [derive_request_id("CHG1", CLIENT_ID, None, "dispatch", "a")]
    assert again["changed"] is lost
    assert len(sim.effects) == 1

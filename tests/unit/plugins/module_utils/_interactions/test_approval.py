# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task with the digest of an approved plan: it does that plan, or makes no call."""

from __future__ import annotations

import contextlib
import functools
import sqlite3

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._interactions import task as task_module
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._location import is_url
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import column, journal_rows, summary
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.helpers import released, source_of

DIFFERS = "The plan differs from plan_digest: "

UNKNOWN = (
    " The digest does not show how many are new, removed or done since the approval:"
    " check the list and the options, run check mode again, and get its plan_digest approved."
)


@pytest.fixture
def approve(task):
    """Return a function that returns the digest of a plan."""
    return lambda **given: task(check=True, **given)["plan_digest"]


@pytest.fixture
def refused(sim, task, journal):
    """Return a function that runs a task which must change nothing, for real and in check mode, and returns the message."""
    task(external_id="first")  # so that there is a journal

    def run(**given):
        before = len(sim.requests), content(journal)
        results = [task(check=check, **given) for check in (False, True)]
        assert (len(sim.requests), content(journal)) == before
        assert results[0].pop("run_id")
        assert results[0] == results[1]
        assert (results[0]["failed"], results[0]["changed"], results[0]["summary"]["api_calls"]) == (True, False, 0)
        assert results[0]["plan_digest"] == task(check=True, **{**given, "plan_digest": None})["plan_digest"]
        return results[0]["msg"]

    return run


def content(location):
    """Return the rows of a journal; for a file, its complete content, except for the scopes that tasks have opened."""
    if is_url(location):
        return journal_rows(location)
    with contextlib.closing(sqlite3.connect(location)) as db:
        return [line for line in db.iterdump() if not line.startswith('INSERT INTO "scope"')]


def others(count):
    return [f"other-{number}" for number in range(count)]


class TestApproved:
    def test_same_plan_runs(self, sim, task, journal, approve):
        task(external_ids=["z", "b"])
        digest = approve(external_ids=["a", "b", "c"])
        result = task(external_ids=["c", "a", "b", "a"], plan_digest=digest.upper(), diff=True)
        assert summary(result) == {"requested": 3, "released": 2, "unchanged": 1}
        assert column(result, "external_id") == ["c", "a", "b"]
        assert column(result, "evidence") == ["api", "api", "journal"]
        assert result["interactions"][2]["request_id"] == journal_rows(journal)["b"]["request_id"]
        assert result["plan_digest"] == digest
        assert result["diff"]["before"] == "c: not known to be released\na: not known to be released\nb: released\n"
        assert sim.released == ["b", "z", "a", "c"]

    def test_second_run_changes_nothing(self, sim, task, journal, approve):
        given = {"external_ids": others(1500), "plan_digest": approve(external_ids=others(1500))}
        assert task(**given)["changed"]
        calls = len(sim.requests)
        for check in (True, False):
            result = task(check=check, **given)
            assert "failed" not in result
            assert (result["changed"], summary(result)) == (False, {"requested": 1500, "unchanged": 1500})
            assert result["plan_digest"] == approve(external_ids=["other-0"])
        assert len(sim.requests) == calls

    def test_pending_interaction_stays_in_plan(self, sim, task, journal, approve):
        digest = approve(external_ids=["a", "b"])
        sim.fault("cut", when="after")
        assert task(external_ids=["a", "b"], plan_digest=digest)["summary"]["unknown"] == 2
        result = task(external_ids=["a", "b"], plan_digest=digest)
        assert summary(result) == {"requested": 2, "released": 2}
        assert sim.released == ["a", "b"]
        assert len(sim.ignored) == 2

    def test_approved_dispatch_with_data_and_request_ids_runs_once(self, sim, dispatch, task, journal):
        given = {
            "interactions": [{"external_id": "a", "request_id": "r-1", "linked_data": [{"type": "name", "value": "1"}]}]
        }
        digest = dispatch(check=True, **given)["plan_digest"]
        assert dispatch(**given, plan_digest=digest)["changed"]
        assert not dispatch(**given, plan_digest=digest)["changed"]
        assert len(sim.effects) == 1

    def test_approved_plan_with_idempotency_key_runs_once(self, sim, task, approve):
        given = {"external_ids": ["a", "b"], "idempotency_key": "CHG1"}
        given["plan_digest"] = approve(**given)
        assert task(**given)["changed"]
        assert not task(**given, journal_ttl=1)["changed"]
        assert sim.released == ["a", "b"]

    def test_report_has_all_interactions(self, task, journal, approve, tmp_path):
        task(external_id="b")
        report = tmp_path / "report.jsonl"
        given = {"external_ids": ["a", "b"], "report": str(report)}
        result = task(**given, plan_digest=approve(**given))
        assert sorted(report.read_text().count(f'"{each}"') for each in ("a", "b")) == [1, 1]
        assert summary(result) == {"requested": 2, "released": 1, "unchanged": 1}

    def test_message_about_rejection_names_next_step(self, sim, task, journal, approve):
        sim.poison("bad")
        result = task(external_ids=["a", "bad"], plan_digest=approve(external_ids=["a", "bad"]))
        assert result["msg"].endswith(" Run check mode again for a plan_digest of the interactions that are left.")
        sim.poison("worse")
        result = task(external_ids=["bad", "worse"], plan_digest=approve(external_ids=["bad", "worse"]))
        assert result["msg"].endswith(" If you run the task again, it sends only the interactions that are left.")


class TestRefused:
    def test_plan_with_new_interactions_at_end_is_refused(self, refused, approve):
        digest = approve(external_ids=["a", "b"])
        assert refused(external_ids=["a", "b", "c", "d"], plan_digest=digest) == (
            f"{DIFFERS}2 interactions are new, and none is done or removed."
            " Run check mode again, and get its plan_digest approved: it covers the 4 interactions that are left."
        )

    def test_plan_with_new_interaction_anywhere_is_refused(self, refused, approve):
        digest = approve(external_ids=others(30))
        said = refused(external_ids=[*others(7), "new", *others(30)], plan_digest=digest)
        assert said.startswith(f"{DIFFERS}1 interaction is new, and none is done or removed. ")

    def test_plan_that_is_done_in_part_is_refused(self, task, refused, approve):
        ids = others(250)
        task(external_ids=["before", ids[9]])
        digest = approve(external_ids=["before", *ids])
        task(external_ids=ids[10:12])
        task(external_ids=[ids[3], "elsewhere"])
        assert refused(external_ids=["before", *ids], plan_digest=digest) == (
            f"{DIFFERS}3 of the 249 approved interactions were done after the approval, and none is new or removed."
            " Run check mode again, and get its plan_digest approved: it covers the 246 interactions that are left."
        )

    def test_plan_with_done_and_new_interactions_is_refused(self, task, refused, approve):
        digest = approve(external_ids=["a", "b", "c"])
        task(external_ids=["b"])
        assert refused(external_ids=["a", "b", "c", "d", "e"], plan_digest=digest).startswith(
            f"{DIFFERS}1 of the 3 approved interactions was done after the approval, 2 are new, and none is removed. "
        )

    @pytest.mark.parametrize(
        ("given", "begin"),
        [
            ({"external_ids": ["a", "b"]}, "2 of 2 interactions are"),
            ({"external_ids": ["a", "b", "x"]}, "3 of 3 interactions are"),
            ({"external_ids": ["a"]}, "1 of 1 interaction is"),
            ({"external_ids": ["done"]}, "0 of 1 interaction are"),
            ({"external_ids": ["a", "b", "c"], "account": "another"}, "3 of 3 interactions are"),
            ({"external_ids": ["a", "b", "c"], "force": True}, "3 of 3 interactions are"),
            ({"external_ids": []}, "0 of 0 interactions are"),
        ],
        ids=str,
    )
    def test_refusal_says_if_number_of_changes_is_unknown(self, task, refused, approve, given, begin):
        task(external_ids=["done"])
        digest = approve(external_ids=["a", "b", "c"])
        assert refused(**given, plan_digest=digest) == f"{DIFFERS}{begin} left to release.{UNKNOWN}"

    def test_plan_with_other_route_is_refused(self, sim, dispatch):
        digest = dispatch(check=True, external_id="a")["plan_digest"]
        result = dispatch(external_id="a", route="service", plan_digest=digest)
        assert result["msg"] == f"{DIFFERS}1 of 1 interaction is left to dispatch.{UNKNOWN}"
        assert sim.requests == []

    def test_result_lists_interactions_that_are_left(self, sim, task, folder, approve, tmp_path):
        """The report of an earlier run is not replaced."""
        report = tmp_path / "report.jsonl"
        task(external_ids=["b"], report=str(report))
        before = report.read_bytes()
        result = task(external_ids=["a", "b"], plan_digest=approve(external_ids=["b"]), report=str(report), diff=True)
        assert column(result, "state") == ["failed", "released"]
        assert column(result, "evidence") == ["none", "journal"]
        assert column(result, "message") == [
            "not sent, because the plan differs from plan_digest: run check mode again, and get its plan_digest approved.",
            "",
        ]
        assert summary(result) == {"requested": 2, "unchanged": 1, "failed": 1}
        assert result["diff"]["before"] == result["diff"]["after"]
        assert result["journal"]["backend"] == "sqlite"
        assert report.read_bytes() == before

    def test_interaction_with_expired_confirmation_counts_as_new(self, sim, task, folder, approve):
        released(folder, sim, ["a"], age=50)
        digest = approve(external_ids=["b", "a"], journal_ttl=100)
        result = task(external_ids=["b", "a"], journal_ttl=40, plan_digest=digest)
        assert result["msg"].startswith(f"{DIFFERS}1 interaction is new, and none is done or removed. ")
        assert sim.requests == []

    def test_unreadable_journal_fails_task(self, sim, task, folder, approve):
        released(folder, sim, others(50), age=10)
        digest = approve(external_ids=["a"])
        (folder / "journal.db").write_bytes(b"no database" * 1000)
        result = task(external_ids=["a"], plan_digest=digest)
        assert "journal" in result["msg"]
        assert "plan_digest" not in result
        assert sim.requests == []


class TestMeanwhile:
    """Another process changes the journal between the comparison and the first call."""

    @pytest.fixture
    def meanwhile(self, monkeypatch):
        """Return a function that sets an action to run after the comparison."""

        def set_up(act):
            compare = task_module.compare

            def compared(*arguments):
                compare(*arguments)
                act()

            monkeypatch.setattr(task_module, "compare", compared)

        return set_up

    def test_interaction_whose_confirmation_ends_is_not_sent(self, sim, task, journal, approve, meanwhile):
        """The interaction was not in the approved plan."""
        task(external_ids=["b"])
        given = {"external_ids": ["a", "b"], "plan_digest": approve(external_ids=["a", "b"])}
        meanwhile(functools.partial(release_and_dispatch, journal, sim, "b"))
        assert summary(task(**given)) == {"requested": 2, "released": 1, "unchanged": 1}
        assert [effect["external_id"] for effect in sim.effects] == ["b", "a"]

    def test_interaction_that_is_done_is_not_sent(self, sim, task, folder, approve, meanwhile):
        given = {"external_ids": ["a", "b"], "plan_digest": approve(external_ids=["a", "b"])}
        meanwhile(lambda: released(folder, sim, ["b"], age=0))
        result = task(**given)
        assert column(result, "evidence") == ["api", "journal"]
        assert sim.released == ["a"]


def release_and_dispatch(location, sim, external_id):
    """Record in a journal that an interaction was dispatched anew."""
    account = next(iter(journal_rows(location).values()))["account"]
    opened = Journal(location, sim.url, account, None, 0, action="dispatch")
    opened.add_all([[external_id]])
    opened.accept(opened.claim(0))
    opened.close()


def test_long_plan_is_compared_completely(task, folder, sim, approve):
    """The plan has several chunks, and any number of interactions may be done since the approval."""
    ids = others(4500)
    src = source_of(folder, ids)
    digest = approve(src=src)
    assert digest == approve(external_ids=list(reversed(ids)))
    assert task(external_ids=ids[1000:3300])["summary"]["released"] == 2300
    calls = len(sim.requests)
    result = task(src=src, plan_digest=digest)
    assert result["msg"].startswith(
        f"{DIFFERS}2300 of the 4500 approved interactions were done after the approval, and none is new"
    )
    assert summary(result) == {"requested": 4500, "unchanged": 2300, "failed": 2200}
    assert len(result["interactions"]) == 100
    assert len(sim.requests) == calls
    assert task(src=src, plan_digest=result["plan_digest"])["summary"]["released"] == 2200

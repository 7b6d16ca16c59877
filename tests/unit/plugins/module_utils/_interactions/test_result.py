# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a task: its outcomes, its message and its diff."""

from __future__ import annotations

import json

import pytest

from ansible_collections.vonage.vcc.tests.simulator import CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    column,
    summary,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.helpers import (
    long_ids,
)


class TestResult:
    def test_every_outcome_at_once(self, sim, task):
        task(external_ids=["p", "q"])
        sim.poison("bad")
        sim.fault("cut", when="after", after=4)
        result = task(external_ids=["p", "a", "b", "bad", "c", "d", "q"])
        assert [call["interactions"] for call in sim.invoke_calls[1:]] == [5, 2, 3, 1, 2]
        assert result["summary"] == {
            "requested": 7,
            "released": 2,
            "unchanged": 2,
            "failed": 1,
            "unknown": 2,
            "api_calls": 5,
        }
        assert column(result, "external_id") == ["p", "a", "b", "bad", "c", "d", "q"]
        assert column(result, "state") == ["released"] * 3 + ["failed"] + ["unknown"] * 2 + ["released"]
        assert column(result, "evidence") == ["journal", "api", "api", "status", "none", "none", "journal"]
        assert result["msg"].startswith(
            "Of 7 interactions 1 failed and 2 may or may not be released; the first is 'bad': "
        )

    def test_message_names_first_requested_interaction(self, sim, task):
        """It does not name the first that failed: unsent interactions fail after rejected ones."""
        ids = long_ids(300)
        sim.poison(ids[5], ids[299])
        sim.fault("status", status=403, after=10)
        result = task(external_ids=ids)
        first = next(entry for entry in result["interactions"] if entry["state"] != "released")
        assert f"the first is '{first['external_id']}': " in result["msg"]

    def test_thousand_interactions_are_listed(self, task):
        ids = [str(number) for number in range(1000)]
        assert column(task(external_ids=ids), "external_id") == ids

    def test_only_failed_and_unknown_are_listed_above_thousand(self, sim, task):
        ids = [str(number) for number in range(1001)]
        sim.poison("700", "500")
        result = task(external_ids=ids)
        assert column(result, "external_id") == ["500", "700"]
        assert summary(result) == {"requested": 1001, "released": 999, "failed": 2}
        assert task(external_ids=ids[:500])["summary"]["unchanged"] == 500
        assert task(external_ids=[*ids[:500], *"abc", *(f"x{number}" for number in range(600))])["interactions"] == []

    def test_hundred_failures_are_listed_and_report_has_all(self, sim, task, tmp_path):
        """The result lists those that the task asked for first, although releases have another order in calls."""
        ids = [str(number) for number in range(1300, 0, -1)]
        sim.fault("cut", times=None)
        result = task(external_ids=ids)
        assert column(result, "external_id") == ids[:100]
        assert summary(result) == {"requested": 1300, "unknown": 1300}
        assert result["msg"].startswith("Of 1300 interactions 1300 may or may not be released; the first is '1300': ")
        assert result["msg"].endswith(
            " The first 100 are in the result, and 1200 more are not: set report to get a file with all of them."
        )
        assert len(json.dumps(result)) < 50_000
        report = tmp_path / "report.jsonl"
        result = task(external_ids=ids, report=str(report))
        assert column(result, "external_id") == ids[:100]
        assert result["msg"].endswith(f", and 1200 more are not: report {report} has all of them.")
        lines = [json.loads(line) for line in report.read_text().splitlines()]
        assert sorted(line["external_id"] for line in lines) == sorted(ids)

    def test_message_counts_only_unlisted_failures(self, sim, task):
        ids = [str(number) for number in range(1102)]
        task(external_ids=ids[:1001])
        sim.fault("cut", times=None)
        result = task(external_ids=ids[:1101])
        assert column(result, "external_id") == ids[1001:1101]
        assert result["msg"].endswith("If you run the task again, it sends only the interactions that are left.")
        assert "The first 100 are in the result, and 1 more are not: " in task(external_ids=ids)["msg"]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"journal": ""}, "The task has no journal, so running it again sends all interactions again."),
            ({"force": True}, "The task has force, so running it again sends all interactions again."),
            (
                {"journal": "", "idempotency_key": "CHG-1"},
                "Run the task again with the same idempotency_key: VCC processes each interaction once.",
            ),
            ({"idempotency_key": "CHG-1"}, "If you run the task again, it sends only the interactions that are left."),
        ],
    )
    def test_message_says_what_another_run_sends(self, sim, task, options, said):
        sim.poison("bad")
        result = task(external_ids=["a", "bad"], **options)
        assert summary(result) == {"requested": 2, "released": 1, "failed": 1}
        assert result["msg"].endswith(f" {said}")

    def test_message_says_that_another_run_may_repeat_a_dispatch_without_an_id(self, sim, dispatch):
        sim.poison("bad")
        result = dispatch(interactions=[{"linked_data": [{"type": "x", "value": "1"}]}, {"external_id": "bad"}])
        assert summary(result) == {"requested": 2, "dispatched": 1, "failed": 1}
        assert result["msg"].endswith(
            ": it sends only the interactions that are left, but may dispatch the 1 without an external id a second time."
        )

    def test_warning_without_certificate_validation(self, task):
        assert "warnings" not in task(external_id="a")
        for check in (True, False):
            (warning,) = task(external_id="b", validate_certs=False, check=check)["warnings"]
            assert warning.startswith("validate_certs is false")

    @pytest.mark.parametrize(
        "order",
        [
            None,
            {"kind": "status", "status": 403},
            {"kind": "html"},
            {"kind": "cut"},
            {"kind": "expired", "times": None},
        ],
    )
    def test_result_has_no_secret(self, sim, task, order):
        if order:
            sim.fault(**order)
        clients = {}
        text = json.dumps(task(external_id="a", clients=clients), ensure_ascii=False)
        (client,) = list(clients.values())
        (token,) = client.secrets - {CLIENT_SECRET} if order is None else [client.authenticate().value]
        assert CLIENT_SECRET in client.secrets
        assert token in client.secrets
        assert all(secret not in text for secret in client.secrets)


class TestDiff:
    def test_diff_names_each_interaction(self, sim, task):
        task(external_id="a")
        sim.poison("c")
        result = task(external_ids=["a", "b", "c"], diff=True)
        assert result["diff"] == {
            "before_header": "VCC interactions",
            "after_header": "VCC interactions",
            "before": "a: released\nb: not known to be released\nc: not known to be released\n",
            "after": "a: released\nb: released\nc: not known to be released\n",
        }

    def test_diff_counts_many_interactions(self, sim, task):
        ids = [str(number) for number in range(1200)]
        task(external_ids=ids[:200])
        sim.poison("1199")
        result = task(external_ids=ids, diff=True)
        assert result["diff"]["before"] == "200 interactions: released\n1000 interactions: not known to be released\n"
        assert result["diff"]["after"] == "1199 interactions: released\n1 interaction: not known to be released\n"

    def test_diff_of_second_run_has_no_change(self, task):
        task(external_ids=["a", "b"])
        diff = task(external_ids=["a", "b"], diff=True)["diff"]
        assert diff["before"] == diff["after"]

    def test_diff_only_in_diff_mode(self, task):
        assert "diff" not in task(external_id="a")

    def test_check_mode_predicts_diff(self, sim, task):
        task(external_id="b")
        predicted = task(external_ids=["a", "b"], check=True, diff=True)
        assert predicted["diff"]["before"] != predicted["diff"]["after"]
        assert task(external_ids=["a", "b"], diff=True)["diff"] == predicted["diff"]

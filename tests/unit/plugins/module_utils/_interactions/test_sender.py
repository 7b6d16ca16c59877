# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outcomes of calls: not found, refused access, no response, and unknown."""

from __future__ import annotations

import json

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import JournalError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    column,
    summary,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.helpers import (
    by_id,
    long_ids,
)


class TestNotFound:
    """The contract does not say how VCC answers the release of an interaction that it does not have."""

    def test_200_for_unknown_id(self, sim, task):
        sim.unknown_id = 200
        sim.dispatch("a")
        result = task(external_ids=["a", "never"])
        assert summary(result) == {"requested": 2, "released": 2}
        assert column(result, "evidence") == ["api", "api"]

    @pytest.mark.parametrize("ids", [["never"], ["a", "never", "b"], ["never", "a", "gone", "b"]], ids=len)
    def test_404_for_unknown_id(self, sim, task, ids):
        sim.unknown_id = 404
        sim.dispatch("a", "b")
        result = task(external_ids=ids)
        assert "failed" not in result
        found = by_id(result)
        for external_id in ids:
            expected = ("released", True, "api") if external_id in "ab" else ("released", False, "status")
            assert (
                found[external_id]["state"],
                found[external_id]["changed"],
                found[external_id]["evidence"],
            ) == expected
        assert found["never"]["message"].startswith("VCC answered 404")
        assert result["changed"] is ("a" in ids)
        assert sorted(sim.released) == [external_id for external_id in ("a", "b") if external_id in ids]

    def test_404_confirms_nothing_for_later(self, sim, task, rows):
        sim.unknown_id = 404
        task(external_id="a")
        assert rows() == {}
        sim.dispatch("a")
        assert task(external_id="a")["changed"]
        assert sim.live() == []

    def test_400_for_unknown_id(self, sim, task):
        sim.unknown_id = 400
        sim.dispatch("a", "b")
        result = task(external_ids=["a", "never", "b"])
        assert column(result, "state") == ["released", "failed", "released"]
        assert "There is no such interaction" in by_id(result)["never"]["message"]
        assert sim.live() == []

    def test_404_of_proxy_releases_nothing(self, sim, task):
        sim.fault("status", status=404, body="<html>no such page</html>", times=None)
        result = task(external_ids=["a", "b", "c", "d"])
        assert summary(result) == {"requested": 4, "failed": 4}
        assert set(column(result, "evidence")) == {"status"}
        assert "check api_url" in result["msg"]
        assert len(sim.invoke_calls) == 1


class TestStopped:
    def test_refused_access_stops_task(self, sim, task):
        ids = long_ids(400)
        sim.fault("status", status=403, after=1)
        result = task(external_ids=ids)
        assert len(sim.invoke_calls) == 2
        done = len(sim.released)
        assert 0 < done < 200
        assert summary(result) == {"requested": 400, "released": done, "failed": 400 - done}
        refused = sim.invoke_calls[1]["interactions"]
        assert column(result, "evidence") == ["api"] * done + ["status"] * refused + ["none"] * (400 - done - refused)
        assert result["interactions"][done]["message"].startswith("VCC refuses access (403)")
        assert result["interactions"][-1]["message"].startswith("not sent: VCC refuses access (403)")

    def test_next_run_continues(self, sim, task):
        ids = long_ids(400)
        sim.fault("status", status=403, after=1)
        task(external_ids=ids)
        result = task(external_ids=ids)
        assert "failed" not in result
        assert sim.released == ids
        assert sim.ignored == []

    @pytest.mark.parametrize(
        ("credentials", "said"),
        [
            ({"client_secret": "wr0ng"}, "VCC refused the client credentials (invalid_client)"),
            (
                {"client_id": "reader", "client_secret": "r3ader"},
                "no token for the scope interactions:write (invalid_scope)",
            ),
            ({"client_id": None, "client_secret": None, "access_token": "0ld"}, "VCC refused the access token (401)"),
        ],
    )
    def test_nothing_is_sent_without_access(self, sim, task, credentials, said):
        sim.add_client("reader", "r3ader", scopes=("stats",))
        result = task(external_ids=["a", "b"], **credentials)
        assert summary(result) == {"requested": 2, "failed": 2}
        assert said in result["msg"]
        assert "0ld" not in json.dumps(result)
        assert "r3ader" not in json.dumps(result)
        assert sim.released == []

    def test_nothing_is_claimed_without_token(self, task, rows):
        result = task(external_ids=["a", "b"], client_secret="wr0ng")
        assert rows() == {}
        assert column(result, "request_id") == [None, None]
        assert column(result, "evidence") == ["none", "none"]
        assert result["summary"]["api_calls"] == 0

    def test_confirmed_interaction_needs_no_token(self, task):
        task(external_id="b")
        result = task(external_ids=["a", "b"], client_secret="wr0ng")
        assert summary(result) == {"requested": 2, "unchanged": 1, "failed": 1}

    def test_three_consecutive_lost_answers_stop_task(self, sim, task):
        ids = long_ids(500)
        sim.fault("status", status=503, times=None)
        result = task(external_ids=ids)
        assert len(sim.invoke_calls) == 3
        sent = sum(call["interactions"] for call in sim.invoke_calls)
        assert summary(result) == {"requested": 500, "unknown": sent, "failed": 500 - sent}
        assert column(result, "state") == ["unknown"] * sent + ["failed"] * (500 - sent)
        assert set(column(result, "evidence")) == {"none"}
        assert result["interactions"][-1]["message"].startswith("not sent: VCC at ")
        assert f"Of 500 interactions {500 - sent} failed and {sent} may or may not be released" in result["msg"]

    def test_answer_in_between_restarts_count(self, sim, task):
        ids = long_ids(500)
        for number in (0, 1, 3, 4):
            sim.fault("status", status=503, after=number)
        result = task(external_ids=ids)
        assert [call["status"] for call in sim.invoke_calls] == [503, 503, 200, 503, 503, 200]
        assert result["summary"]["failed"] == 0

    def test_three_rejections_of_proxy_stop_task(self, sim, task):
        sim.fault("status", status=407, body="<html>", times=None)
        result = task(external_ids=long_ids(500))
        assert len(sim.invoke_calls) == 3
        assert summary(result) == {"requested": 500, "failed": 500}


class TestUnknown:
    @pytest.mark.parametrize(
        "order",
        [
            {"kind": "status", "status": 500},
            {"kind": "cut", "when": "before"},
            {"kind": "cut", "when": "after"},
            {"kind": "redirect"},
            {"kind": "html"},
            {"kind": "garbage", "taken": True},
        ],
        ids=lambda order: "-".join(map(str, order.values())),
    )
    def test_lost_answer_is_repeated_with_same_request_id(self, sim, task, order):
        sim.dispatch("a")
        sim.fault(**order)
        first = task(external_id="a")
        assert not first["changed"]
        assert summary(first) == {"requested": 1, "unknown": 1}
        assert column(first, "evidence") == ["none"]
        assert first["msg"].startswith("Interaction 'a' may or may not be released: ")
        second = task(external_id="a")
        assert summary(second) == {"requested": 1, "released": 1}
        assert column(second, "request_id") == column(first, "request_id")
        assert sim.released == ["a"]
        assert sim.live() == []

    def test_interactions_of_split_batch_may_have_been_processed(self, sim, task):
        sim.poison("a")
        sim.fault("status", status=403, after=1)
        first = task(external_ids=["a", "b", "c"])
        assert summary(first) == {"requested": 3, "unknown": 3}
        assert (
            "VCC refused an earlier call with this interaction and others, but may have released this one"
            in first["msg"]
        )
        second = task(external_ids=["a", "b", "c"])
        assert column(second, "request_id") == column(first, "request_id")
        assert column(second, "state") == ["unknown", "released", "released"]

    def test_429_is_failure(self, sim, task):
        sim.fault("status", status=429)
        result = task(external_id="a")
        assert summary(result) == {"requested": 1, "failed": 1}
        assert "429" in result["msg"]

    def test_retry_decides_lost_answer(self, sim, task):
        sim.fault("cut", when="after")
        sim.fault("status", status=503)
        result = task(external_id="a", retries=2)
        assert summary(result) == {"requested": 1, "released": 1}
        assert result["summary"]["api_calls"] == 3
        assert sim.released == ["a"]
        assert len(sim.ignored) == 1

    @pytest.mark.parametrize("ids", [["a"], ["a", "b", "c"]], ids=len)
    def test_rejection_after_lost_answer_is_unknown(self, sim, task, rows, ids):
        sim.fault("cut", when="after")
        sim.fault("status", status=400, times=None)
        result = task(external_ids=ids, retries=1)
        assert summary(result) == {"requested": len(ids), "unknown": len(ids)}
        assert set(column(result, "evidence")) == {"status"}
        assert "An earlier attempt, whose answer was lost, may have released it." in result["msg"]
        assert list(rows()) == ids

    def test_next_run_repeats_unknown_interaction(self, sim, task):
        sim.fault("cut", when="after")
        sim.fault("status", status=400)
        first = task(external_id="a", retries=1)
        second = task(external_id="a")
        assert column(first, "request_id") == column(second, "request_id")
        assert sim.released == ["a"]

    @pytest.mark.parametrize(
        "order",
        [{"kind": "status", "status": 400}, {"kind": "status", "status": 403}, {"kind": "status", "status": 429}],
    )
    def test_pending_interaction_of_earlier_run_stays_unknown(self, sim, task, order):
        sim.fault("cut", when="after")
        task(external_id="a")
        sim.fault(**order)
        result = task(external_id="a")
        assert summary(result) == {"requested": 1, "unknown": 1}
        assert summary(task(external_id="a")) == {"requested": 1, "released": 1}
        assert sim.released == ["a"]

    def test_running_calls_count_after_worklist_error(self, sim, task, monkeypatch):
        ids = long_ids(1200)
        for name in ("claim", "plan"):
            real = getattr(Journal, name)

            def broken(self, after, *others, real=real):
                if after:
                    raise JournalError("The temporary journal cannot be used (disk I/O error).")
                return real(self, after, *others)

            monkeypatch.setattr(Journal, name, broken)
        result = task(external_ids=ids, calls_in_flight=4)
        released = len(sim.released)
        assert 0 < released <= 1000
        assert summary(result) == {"requested": 1200, "released": released, "failed": 1200 - released}
        assert "disk I/O error" in result["msg"]

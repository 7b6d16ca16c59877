# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exactness after any history: check mode predicts the run, a second run does nothing, and the contact centre agrees with the result.

Hypothesis generates histories of tasks, lost answers, moved clocks, notifications and other senders. A model has the expected state after each step.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import tempfile

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ansible_collections.vonage.vcc.plugins.module_utils._interactions import task as task_module
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import (
    ASSIGN,
    RELEASE,
    Notification,
    NotificationLog,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import column, validated
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.generated_tasks import (
    ACCOUNTS,
    IDS,
    LOSSES,
    LOST,
    PROVIDERS,
    Item,
    Row,
    asked,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._interactions.kept_journals import (
    KeptDatabase,
    KeptFile,
)


class Histories(RuleBasedStateMachine):
    """The engine with its journal and a simulator, and a model of both."""

    def __init__(self, sim, clock, folder, database):
        super().__init__()
        self.sim = sim
        self.clock = clock
        self.place = tempfile.TemporaryDirectory(dir=folder)
        self.folder = type(folder)(self.place.name)
        self.journal = KeptDatabase(database) if database else KeptFile(self.folder / "kept" / "journal.db")
        self.clients = {}
        self.rows = {}  # (scope, external id) -> Row
        self.used = {}  # (scope, custom request id that VCC may have processed) -> (external id, action, time)
        self.taken = set()  # the request ids that VCC has processed
        self.known = {}  # (account, request id that VCC may have processed) -> (scope, external id, action), as far as the journal must know it
        self.live = dict.fromkeys(
            ((provider, external_id) for provider in PROVIDERS for external_id in [*IDS, None]), 0
        )
        self.last = None
        self.notices = 0

    @initialize()
    def begin(self):
        self.sim.reset()
        self.clock.now = 1_800_000_000.0
        for provider in PROVIDERS[1:]:
            self.sim.register(provider)

    def teardown(self):
        for client in self.clients.values():
            client.close()
        self.journal.close()
        self.place.cleanup()

    # Steps of a history

    @rule(task=asked(), trouble=st.sampled_from([None, None, None, "expired", "too_large"]), approved=st.booleans())
    def do(self, task, trouble, approved):
        """Predict a task, run it, maybe with the digest of the predicted plan, and run it again. Meanwhile VCC may end a token or find a call too large."""
        self.last = task
        self._do(task, trouble, approved)

    @rule(task=asked(), loss=st.sampled_from(LOSSES))
    def lose(self, task, loss):
        """Run a task whose answer is lost."""
        self.last = task
        self._lose(task, loss)

    @rule(force=st.booleans())
    def repeat(self, force):
        """Run the last task once more."""
        if self.last:
            self._do(self.last._replace(force=force), None)

    @rule(loss=st.sampled_from(LOSSES), force=st.booleans())
    def lose_again(self, loss, force):
        if self.last:
            self._lose(self.last._replace(force=force), loss)

    @rule(seconds=st.sampled_from([-150.0, -20.0, 30.0, 99.0, 100.0, 86400.0]))
    def pass_time(self, seconds):
        self.clock.now += seconds

    @rule(external_id=st.sampled_from(IDS), provider=st.sampled_from(PROVIDERS))
    def dispatch_elsewhere(self, external_id, provider):
        self.sim.dispatch(external_id, provider=provider)
        self.live[provider, external_id] += 1

    @rule(older_than=st.sampled_from([0, 100, 86400]))
    def prune(self, older_than):
        if not self.journal.exists():
            return
        before = self.clock.now - older_than
        old = [key for key, row in self.rows.items() if row.time <= before]
        for dry_run in (True, False):
            with contextlib.closing(JournalMaintenance(self.journal.location, dry_run, self.clock)) as journal:
                pruned = journal.prune(older_than)
            assert pruned["interactions"] == len(old)
        assert pruned["interactions"] == len(old)
        for key in old:
            del self.rows[key]
        if any(pruned.values()):
            self.used = {key: used for key, used in self.used.items() if used[2] > before}
        self._forget()

    @rule(
        external_id=st.sampled_from(IDS),
        provider=st.sampled_from(PROVIDERS),
        kinds=st.lists(st.sampled_from([RELEASE, ASSIGN]), min_size=1, max_size=2),
    )
    def notify(self, external_id, provider, kinds):
        """Record notifications of VCC about an interaction of the first account."""
        given = []
        for kind in kinds:
            self.notices += 1
            given.append(Notification(kind, external_id, f"notice-{self.notices}"))
        key = ((ACCOUNTS[0], provider), external_id)
        row = known = self.rows.pop(key, None)
        for kind, dummy, notice_id in given:
            if kind == RELEASE:
                same = row is not None and row.action == "release"
                row = Row(
                    "release",
                    row.request_id if same else notice_id,
                    known.asked if known else self.clock.now,
                    self.clock.now,
                )
            elif row and row.action == "release" and row.accepted is not None:
                row = None
        if row:
            self.rows[key] = row
        scope = (self.sim.url, *key[0])
        said = []
        for predict in (True, False):
            with contextlib.closing(
                NotificationLog(self.journal.location, *scope, dry_run=predict, clock=self.clock)
            ) as journal:
                said.append(journal.record(given))
        assert said[0] == said[1]
        with contextlib.closing(NotificationLog(self.journal.location, *scope, clock=self.clock)) as journal:
            assert journal.record(given) == []

    @rule()
    def lose_the_journal(self):
        self.journal.lose()
        self.rows.clear()
        self.used.clear()
        self._forget()

    def _forget(self):
        """Forget the request ids that are no longer in the journal."""
        kept = {(scope[0], row.request_id) for (scope, dummy), row in self.rows.items()}
        kept |= {(scope[0], request_id) for scope, request_id in self.used}
        self.known = {key: claim for key, claim in self.known.items() if key in kept}

    # Invariants

    @invariant()
    def journal_equals_model(self):
        assert self.journal.rows() == self.rows

    @invariant()
    def live_interactions_equal_model(self):
        for provider in PROVIDERS:
            live = [external_id for external_id in IDS for dummy in range(self.live[provider, external_id])]
            assert sorted(self.sim.live(provider)) == sorted(live)

    # The model

    def _run(self, task, check, plan_digest=None):
        options = {**task.options(self.folder, self.journal.location), "plan_digest": plan_digest}
        return task_module.run(validated(**self.sim.options(**options)), check, True, self.clients)

    def _plan(self, task):
        """Return the plan of a task; None if the engine must refuse the task."""
        wanted = task.worklist()
        if wanted is None:
            return None
        rows = self.rows if task.journaled else {}
        items = []
        for external_id, own in wanted:
            if own and task.journaled and self._is_used_up(task, external_id, own):
                return None
            row = rows.get((task.scope, external_id))
            if row is None or row.action != task.action:
                items.append(Item(external_id, own, False, False, own))
                continue
            young = self._is_young(task, row)
            pending = young and row.accepted is None
            if young and not task.force:
                items.append(Item(external_id, row.request_id, not pending, pending, own))
            else:
                items.append(Item(external_id, own, False, pending, own))
        return items

    def _is_young(self, task, row):
        return not task.ttl or abs(self.clock.now - row.time) < task.ttl

    def _is_used_up(self, task, external_id, request_id):
        """Return whether VCC would ignore a task with this custom request id, as far as the journal knows."""
        this = (task.scope, external_id, task.action)
        for (scope, other), row in self.rows.items():
            if scope[0] == task.account and row.request_id == request_id and (scope, other, row.action) != this:
                return True
        for (scope, known), (other, action, dummy) in self.used.items():
            if scope[0] == task.account and known == request_id:
                row = self.rows.get((scope, other))
                stands = row is not None and row.action == action and self._is_young(task, row) and not task.force
                if (scope, other, action) != this or not stands:
                    return True
        return False

    def _predict(self, task):
        """Return the result of check mode, which must change nothing and make no call."""
        before = (self.journal.state(), len(self.sim.calls))
        predicted = self._run(task, check=True)
        assert (self.journal.state(), len(self.sim.calls)) == before
        return predicted

    def _do(self, task, trouble, approved=False):
        items = self._plan(task)
        predicted = self._predict(task)
        if items is None:
            calls = len(self.sim.calls)
            real = self._run(task, check=False)
            assert real["failed"]
            assert "request" in real["msg"] or "linked_data" in real["msg"]
            assert (predicted, len(self.sim.calls)) == (real, calls)
            return
        left = [item for item in items if not item.confirmed]
        if trouble == "expired" and left:
            self.sim.fault("expired")
        if trouble == "too_large" and len(left) > 1:
            self.sim.fault("too_large")
        plan_digest = predicted["plan_digest"]
        if not approved:
            del predicted["plan_digest"]
        real = self._run_for_real(task, items, took=True, plan_digest=plan_digest if approved else None)
        note(json.dumps([predicted, real]))
        assert "failed" not in real
        self._check_prediction(predicted, real, items)
        again = task._replace(force=False)
        if task.journaled and self._plan(again) is not None:
            self._check_second_run(again, real)

    def _check_prediction(self, predicted, real, items):
        """Check that the prediction is the result, except for the fields that only a call can fill."""
        ids = column(predicted, "request_id")
        assert ids == [item.request_id for item in items]
        for told, entry, item in zip(ids, real["interactions"], items):
            assert told in (entry["request_id"], None)
            assert entry["evidence"] == ("journal" if item.confirmed else "api")
        assert column(predicted, "evidence") == ["journal" if item.confirmed else "predicted" for item in items]
        assert predicted["summary"]["api_calls"] == 0
        same = []
        for result in (predicted, real):
            same.append(json.loads(json.dumps(result)))
            same[-1].pop("run_id", None)
            del same[-1]["summary"]["api_calls"]
            for entry in same[-1]["interactions"]:
                del entry["request_id"], entry["evidence"], entry["call"]
        assert same[0] == same[1]
        assert column(real, "changed") == [not item.confirmed for item in items]
        assert real["changed"] == (not all(item.confirmed for item in items))

    def _check_second_run(self, task, before):
        """Check that a second run changes nothing."""
        calls = len(self.sim.calls)
        items = self._plan(task)
        again = self._run_for_real(task, items, took=True)
        named = [entry["external_id"] is not None for entry in again["interactions"]]
        assert column(again, "changed") == [not each for each in named]
        assert again["changed"] == (not all(named))
        if all(named):
            assert again["diff"]["before"] == again["diff"]["after"] == before["diff"]["after"]
            assert (again["summary"]["api_calls"], len(self.sim.calls)) == (0, calls)
            assert column(again, "request_id") == column(before, "request_id")

    def _lose(self, task, loss):
        items = self._plan(task)
        if items is None or all(item.confirmed for item in items):
            return
        fault, maybe_processed, took = LOST[loss]
        self._predict(task)
        self.sim.fault(**fault)
        real = self._run_for_real(task, items, took, answered=False)
        expected = [
            task.state if item.confirmed else "unknown" if maybe_processed or item.pending else "failed"
            for item in items
        ]
        assert column(real, "state") == expected
        assert (real["failed"], real["changed"]) == (True, False)
        assert not any(column(real, "changed"))
        for item, entry in zip(items, real["interactions"]):
            assert item.request_id in (entry["request_id"], None)
            assert bool(entry["message"]) == (not item.confirmed)

    def _run_for_real(self, task, items, took, answered=True, plan_digest=None):
        """Run a task, check that VCC did what the model expects, and update the model."""
        effects, ignored, calls = len(self.sim.effects), len(self.sim.ignored), len(self.sim.invoke_calls)
        real = self._run(task, False, plan_digest)
        assert column(real, "external_id") == [item.external_id for item in items]
        assert set(column(real, "provider")) <= {task.provider}
        assert real["summary"]["requested"] == len(items)
        assert real["summary"]["api_calls"] == len(self.sim.invoke_calls) - calls
        assert all(column(real, "request_id"))
        new = [[], []]
        for item, entry in zip(items, real["interactions"]):
            if item.confirmed:
                continue
            claim = (task.scope, item.external_id, task.action)
            known = self.known.get((task.account, entry["request_id"])) if task.journaled else None
            assert known in (None, claim)
            if took:
                again = entry["request_id"] in self.taken
                # VCC may ignore only a request id that repeats an unanswered call. All others must be new.
                assert item.pending or not (again and known)
                new[again].append(self._effect(task, entry))
            kept = answered if item.external_id is None else entry["state"] != "failed"
            if kept and task.journaled:
                self.known[task.account, entry["request_id"]] = claim
            if kept and task.journaled and item.own_id == entry["request_id"]:
                used = (item.external_id, task.action, self.clock.now)
                self.used.setdefault((task.scope, item.own_id), used)
            # A failed interaction leaves the journal unchanged.
            if task.journaled and item.external_id is not None and entry["state"] != "failed":
                key = (task.scope, item.external_id)
                row = self.rows.get(key)
                kept = row and row.request_id == entry["request_id"] and row.accepted is None
                asked_at = row.asked if kept else self.clock.now
                self.rows[key] = Row(task.action, entry["request_id"], asked_at, self.clock.now if answered else None)
        if task.action == "release":
            new = [sorted(group, key=lambda effect: effect["external_id"]) for group in new]
        assert [self.sim.effects[effects:], self.sim.ignored[ignored:]] == new
        return real

    def _effect(self, task, entry):
        """Return the effect that the model expects of an interaction."""
        found = False
        key = (task.provider, entry["external_id"])
        if entry["request_id"] not in self.taken:
            if task.action == "dispatch":
                self.live[key] += 1
            elif self.live[key]:
                self.live[key] -= 1
                found = True
        self.taken.add(entry["request_id"])
        return {
            "action": task.action,
            "external_id": entry["external_id"],
            "provider": task.provider,
            "request_id": entry["request_id"],
            "found": found,
        }


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_generated_histories(backend, sim, clock, tmp_path, monkeypatch, request):
    """Play the same 100 histories each time, or HISTORIES new ones of the seed in the option ``--hypothesis-seed``. Each backend plays all of them."""
    histories = os.environ.get("HISTORIES")
    database = request.getfixturevalue("postgresql_url") if backend == "postgresql" else None
    monkeypatch.setattr(task_module, "Journal", functools.partial(Journal, clock=clock))
    run_state_machine_as_test(
        lambda: Histories(sim, clock, tmp_path, database),
        settings=settings(
            max_examples=int(histories or 100),
            stateful_step_count=12,
            deadline=None,
            derandomize=not histories,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

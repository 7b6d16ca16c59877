# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a task can do with a journal in PostgreSQL, over a connection with or without faults, with checks of the outcome."""

from __future__ import annotations

import contextlib

from ansible_collections.vonage.vcc.plugins.module_utils._journal.audit import new_run
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._journal.notifications import Notification, NotificationLog
from ansible_collections.vonage.vcc.plugins.module_utils._journal.registrations import Registration
from ansible_collections.vonage.vcc.plugins.module_utils._words import AttemptState
from ansible_collections.vonage.vcc.tests.unit.plugins.module_utils._journal.helpers import (
    API,
    NOTHING_OLD,
    TTL,
    as_entries,
)


def opened(url, provider=None, **others):
    return contextlib.closing(Journal(url, API, "main", provider, TTL, **others))


def entries(url, *external_ids):
    """Return the rows of interactions by external id, as another process finds them."""
    with contextlib.closing(JournalMaintenance(url, dry_run=True)) as journal:
        found, count, dummy = journal.entries(external_ids=external_ids, page_size=1000)
        assert count == len(found)
        return {each["external_id"]: each for each in found}


def states(url, *external_ids):
    found = entries(url, *external_ids)
    return [found[each]["state"] if each in found else None for each in external_ids]


def claim_and_accept(url, direct, name):
    """Release new, pending, dispatched and confirmed interactions, of which VCC accepts some and rejects some."""
    new, pending, dispatched, confirmed, rejected, rejected_again, unknown = ids = [f"{name}-{n}" for n in range(7)]
    with opened(direct) as journal:
        journal.add_all(as_entries(pending, confirmed))
        before = {each.external_id: each for each in journal.claim(0)}
        journal.accept([before[confirmed]])
    with opened(direct, action="dispatch") as journal:
        journal.add_all(as_entries(dispatched, rejected_again))
        journal.accept(journal.claim(0))
    dispatches = entries(direct, dispatched, rejected_again)

    with opened(url) as journal:
        journal.add_all(as_entries(*ids))
        assert [each.confirmed for each in journal.plan(0)] == [each == confirmed for each in ids]
        claimed = {each.external_id: each for each in journal.claim(0)}
        found = entries(direct, *ids)
        assert [claimed[each].request_id for each in ids] == [found[each]["request_id"] for each in ids]
        assert claimed[pending].request_id == before[pending].request_id
        assert len({each.request_id for each in claimed.values()}) == 7
        assert [found[each]["state"] for each in ids] == [
            "released" if each == confirmed else "pending" for each in ids
        ]

        journal.accept([claimed[each] for each in (new, pending, dispatched)])
        journal.release_claim([claimed[each] for each in (rejected, rejected_again)])
        journal.keep_pending([claimed[unknown]])
    assert states(direct, *ids) == ["released", "released", "released", "released", None, "dispatched", "pending"]
    found = entries(direct, *ids)
    assert found[rejected_again] == dispatches[rejected_again]
    for external_id in (new, pending, dispatched, unknown):
        assert found[external_id]["request_id"] == claimed[external_id].request_id


def claim_chunks(url, direct, name):
    """Claim two chunks, of which the first is accepted together with the claim of the second."""
    ids = [f"{name}-{number:04}" for number in range(1100)]
    with opened(url, action="dispatch") as journal:
        journal.add_all([ids])
        first = journal.claim(0)
        second = journal.claim(first[-1].seq, first[:-1])
        journal.accept(second)
        assert journal.claim(second[-1].seq) == []
    with opened(direct, action="dispatch", dry_run=True) as journal:
        journal.add_all([ids])
        planned = journal.plan(0)
        planned += journal.plan(planned[-1].seq)
    assert [each.confirmed for each in planned] == [each != ids[999] for each in ids]
    assert [each.request_id for each in planned] == [each.request_id for each in first + second]


def use_request_ids(url, direct, name):
    """Use two custom request ids, of which VCC accepts one and rejects the other."""
    one, two = f"{name}-1", f"{name}-2"
    with opened(url) as journal:
        journal.add_all(as_entries((one, f"key-{one}"), (two, f"key-{two}")))
        accepted, rejected = journal.claim(0)
        assert [accepted.request_id, rejected.request_id] == [f"key-{one}", f"key-{two}"]
        journal.accept([accepted])
        journal.release_claim([rejected])
    assert states(direct, one, two) == ["released", None]
    with opened(direct) as journal:
        uses = {use.request_id for use in journal._store.uses([f"key-{one}", f"key-{two}"])}
    assert f"key-{one}" in uses


def record_notifications(url, direct, name):
    """Record a release, an assignment, and a repeated notification."""
    one, two = f"{name}-1", f"{name}-2"
    with opened(direct) as journal:
        journal.add_all(as_entries(two))
        journal.accept(journal.claim(0))
    given = [
        Notification("Release", one, f"{name}-n-1"),
        Notification("AssignToAgent", two, f"{name}-n-2"),
        Notification("Release", one, f"{name}-n-1"),
    ]
    with contextlib.closing(NotificationLog(url, API, "main", None)) as notifications:
        assert notifications.record(given) == [(one, "not known", "released"), (two, "released", "not known")]
        assert notifications.record(given) == []
    assert states(direct, one, two) == ["released", None]


def register(url, direct, name):
    """Register a provider twice: VCC accepts the first call, and the second fails."""
    with contextlib.closing(Registration(url, API, "main", name)) as registration:
        assert registration.compare({"a": "1"}) is None
        registration.begin()
        assert registration.compare({"a": "1"}) is None
        registration.accept({"a": "1"})
        with contextlib.closing(Registration(direct, API, "main", name)) as other:
            assert other.compare({"a": "1"}) == {"a": "same"}
        registration.begin()
        registration.cancel()
        with contextlib.closing(Registration(direct, API, "main", name)) as other:
            other.begin()
            other.accept({"a": "2"})
            assert registration.compare({"a": "2"}) == {"a": "same"}


def prune(url, direct, name):
    """Prune and count all rows."""
    keep(direct, f"{name}-1", f"{name}-2")
    with contextlib.closing(JournalMaintenance(url)) as journal:
        assert journal.entries(external_ids=[f"{name}-1"])[1] == 1
        assert journal.counts()["interactions"] == 2
        assert journal.prune(0) == {**NOTHING_OLD, "interactions": 2}
    assert states(direct, f"{name}-1", f"{name}-2") == [None, None]


def record_history(url, direct, name):
    """Record interactions that are accepted, rejected and unanswered. Each has one outcome, even if an answer of the database is lost."""
    run = new_run(1_800_000_000.0, name, None)
    ids = [f"{name}-{number}" for number in range(5)]
    with opened(url, begin_run=lambda started: run) as journal:
        journal.add_all(as_entries(*ids))
        first, second, third, rejected, unknown = journal.claim(0)
        for call, accepted in enumerate([[first, third], [second]], 1):
            journal.ended(accepted, AttemptState.ACCEPTED, call)
            journal.accept(accepted)
        journal.ended([rejected], AttemptState.FAILED, 3, "refused")
        journal.release_claim([rejected])
        journal.ended([unknown], AttemptState.UNKNOWN, 4, "no answer")
        journal.keep_pending([unknown])
    with contextlib.closing(JournalMaintenance(direct, dry_run=True)) as journal:
        found = journal.entries(run_id=run.run_id, history=True)[0]
    assert sorted((each["external_id"], each["state"], each["call"], each["message"]) for each in found) == [
        (ids[0], "released", 1, ""),
        (ids[1], "released", 2, ""),
        (ids[2], "released", 1, ""),
        (ids[3], "failed", 3, "refused"),
        (ids[4], "unknown", 4, "no answer"),
    ]


def keep(url, *external_ids):
    """Record releases that VCC has accepted."""
    with opened(url) as journal:
        journal.add_all(as_entries(*external_ids))
        journal.accept(journal.claim(0))


ALL = [claim_and_accept, claim_chunks, use_request_ids, record_notifications, register, prune, record_history]

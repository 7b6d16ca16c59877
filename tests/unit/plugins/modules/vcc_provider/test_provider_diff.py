# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vcc_provider predicts and shows changes, without secrets."""

from __future__ import annotations

import contextlib
import json
import sqlite3

import pytest

from ansible_collections.vonage.vcc.tests.simulator import CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    snapshot,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.modules.vcc_provider.helpers import FULL, HIDDEN, HOOK, OTHER


def actions(*permitted):
    """Return the lines of a diff about the actions."""
    return [
        f"agent_actions_permitted.{name}: {'permitted' if name in permitted else 'not permitted'}"
        for name in ("hold", "release", "transfer_to_agent", "transfer_to_route")
    ]


def lines(*texts):
    return "".join(f"{text}\n" for text in texts)


class TestDiff:
    def test_diff_of_first_registration_has_every_setting(self, register):
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

    def test_diff_names_changed_settings_without_values(self, register):
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
    def test_diff_shows_permitted_actions_before_and_after(self, register, check, before, after):
        register(agent_actions_permitted=dict.fromkeys(before, True))
        diff = register(check=check, diff=True, agent_actions_permitted=dict.fromkeys(after, True))["diff"]
        assert diff["before"] == lines(*actions(*before))
        assert diff["after"] == lines(*actions(*after))

    def test_diff_shows_escapes_of_name(self, register):
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
    def test_changed_settings_are_only_those_that_differ(self, register, before, after, named):
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
    def test_check_mode_predicts_the_run_and_makes_no_call(self, sim, register, tmp_path, before, after):
        for settings in before:
            register(**settings)
        calls, files = sim.calls, snapshot(tmp_path)
        predicted = register(check=True, diff=True, **after)
        assert sim.calls == calls
        assert snapshot(tmp_path) == files
        real = register(diff=True, **after)
        assert predicted["evidence"] == ("predicted" if real["changed"] else "journal")
        assert {**predicted, "evidence": ""} == {**real, "evidence": ""}

    def test_check_mode_without_journal_predicts_change(self, sim, register, tmp_path):
        assert register(check=True, journal="")["changed"]
        assert sim.calls == []
        assert list(tmp_path.iterdir()) == []


class TestSecrets:
    def test_no_value_is_in_the_journal_or_its_log(self, register, folder):
        register(**FULL)
        with contextlib.closing(sqlite3.connect(folder / "journal.db")) as reader:
            # While another connection reads, SQLite keeps written pages in the log.
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM registration").fetchall()
            register(**OTHER)
            files = {each.name: each.read_bytes() for each in folder.iterdir()}
        assert len(files["journal.db-wal"]) > 0
        for content in files.values():
            for value in (HIDDEN, "Bearer", "hooks.example"):
                assert value.encode() not in content

    def test_equal_values_have_different_hashes(self, register, folder):
        """Each hash includes the name of the setting and a key of the registration, so that values cannot be compared or looked up."""
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

    def test_caller_gets_secrets_to_mask(self, sim, register):
        secrets = set()
        register(secrets=secrets)
        token = sim.requests[-1]["headers"]["Authorization"].split()[1]
        assert secrets == {CLIENT_SECRET, token}

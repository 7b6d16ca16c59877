# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task compares the files of its paths, because it must not write a file that another option reads or writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils import _paths
from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import call_main, snapshot

NAMES = {"src": "ids.txt", "report": "report.jsonl", "journal": "journal.db", "token_cache": "tokens.json"}

# An option, the ending of a file beside the path of another option, and that other option.
COLLISIONS = [
    ("report", "", "src"),
    ("report", "", "journal"),
    ("report", "-wal", "journal"),
    ("report", "-shm", "journal"),
    ("report", "-journal", "journal"),
    ("report", "", "token_cache"),
    ("report", ".lock", "token_cache"),
    ("report", "", "ca_path"),
    ("token_cache", "", "src"),
    ("token_cache", "", "journal"),
    ("token_cache", "-wal", "journal"),
    ("token_cache", "", "ca_path"),
    ("journal", "", "src"),
    ("journal", ".lock", "token_cache"),
    ("journal", "", "ca_path"),
    ("src", "-wal", "journal"),
    ("src", ".lock", "token_cache"),
    ("ca_path", "-shm", "journal"),
]


@pytest.fixture
def paths(tmp_path):
    """The paths of a task. Only its source exists."""
    found = {name: str(tmp_path / "given" / file) for name, file in NAMES.items()}
    (tmp_path / "given").mkdir()
    Path(found["src"]).write_text("a\nb\n")
    return found


class TestTask:
    @pytest.fixture
    def refused(self, sim, task, tmp_path, paths):
        """Runs a task that must change nothing, in check mode and for real. Returns its message."""

        def say(**given):
            before = snapshot(tmp_path)
            said = {task(check=check, **paths, **given)["msg"] for check in (True, False)}
            assert snapshot(tmp_path) == before
            assert sim.calls == []
            (sentence,) = said
            return sentence

        return say

    @pytest.mark.parametrize(("name", "ending", "other"), COLLISIONS)
    def test_same_path_is_refused(self, refused, paths, name, ending, other):
        paths[other] = paths.get(other, f"{paths['src']}.pem")
        paths[name] = paths[other] + ending
        Path(paths["src"]).write_text("a\n")
        Path(paths.get("ca_path", paths["src"])).touch()
        said = refused()
        assert " is the same file as " in said
        assert name in said
        assert other in said

    @pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
    @pytest.mark.parametrize(("name", "ending", "other"), [one for one in COLLISIONS if "ca_path" not in one])
    def test_link_to_existing_file_is_refused(self, refused, paths, name, ending, other, link):
        target = Path(paths[other] + ending)
        target.touch()
        Path(paths[name]).unlink(missing_ok=True)
        if link == "symlink_to":
            Path(paths[name]).symlink_to(target)
        else:
            os.link(target, paths[name])
        assert " is the same file as " in refused()

    @pytest.mark.parametrize("check", [False, True])
    def test_link_to_missing_file_is_refused(self, sim, task, paths, check):
        Path(paths["report"]).symlink_to(paths["journal"])
        assert "report is the same file as journal: " in task(**paths, check=check)["msg"]
        assert not Path(paths["journal"]).exists()
        assert sim.calls == []

    @pytest.mark.parametrize("there", [False, True])
    def test_same_file_in_linked_folder_is_refused(self, refused, paths, tmp_path, there):
        (tmp_path / "link").symlink_to(tmp_path / "given")
        paths["report"] = str(tmp_path / "link" / "journal.db-wal")
        if there:
            Path(paths["journal"] + "-wal").touch()
        assert f"report is the same file as {paths['journal']}-wal, which belongs to journal: " in refused()

    @pytest.mark.parametrize("spelled", ["given/./journal.db", "x/../given/journal.db", "given//journal.db"])
    def test_other_spelling_of_same_path_is_refused(self, refused, paths, tmp_path, spelled):
        paths["report"] = f"{tmp_path}/{spelled}"
        assert "report is the same file as journal: " in refused()

    def test_missing_file_with_other_capitals_is_refused(self, refused, paths, tmp_path):
        """The file system may treat both names as the same."""
        paths["report"] = str(tmp_path / "given" / "Journal.DB")
        assert "report is the same file as journal: " in refused()

    def test_paths_that_only_begin_like_journal_are_accepted(self, sim, task, paths):
        """The journal exists, and its log has another name."""
        task(external_id="z", journal=paths["journal"])
        result = task(**{**paths, "report": paths["journal"] + "-walrus", "token_cache": paths["journal"] + ".json"})
        assert "failed" not in result
        assert sim.released == ["z", "a", "b"]

    def test_two_options_may_read_same_file(self, paths):
        _paths.check_distinct({"src": paths["src"], "ca_path": paths["src"], "report": None, "journal": ""})


@pytest.mark.parametrize(
    ("module", "given", "said"),
    [
        ("vcc_provider", {"name": "crm", "journal": "t.lock"}, "journal is the same file as t.lock, which belongs to"),
        ("vcc_provider", {"name": "crm", "token_cache": "j-wal"}, "j-wal, which belongs to journal, is the same file"),
        ("vcc_journal", {"older_than": 1, "token_cache": "j"}, "journal is the same file as token_cache"),
        (
            "vcc_journal",
            {
                "notifications": [{"notification": "Release", "objectid": "a", "notificationid": "1"}],
                "token_cache": "j",
            },
            "journal is the same file as token_cache",
        ),
        ("vcc_journal_info", {"ca_path": "j"}, "journal is the same file as ca_path"),
        ("vcc_token", {"ca_path": "t"}, "token_cache is the same file as ca_path"),
        ("vcc_ongoing_info", {"ca_path": "t"}, "token_cache is the same file as ca_path"),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_every_module_compares_its_paths(sim, tmp_path, monkeypatch, module, given, said, check):
    monkeypatch.chdir(tmp_path)
    options = {**sim.options(token_cache="t"), "journal": "j", **given}
    if module in ("vcc_token", "vcc_ongoing_info"):
        del options["journal"]
    before = snapshot(tmp_path)
    result, code, dummy = call_main(module, check=check, **options)
    assert code == 1
    assert result["msg"].startswith(said)
    assert snapshot(tmp_path) == before
    assert sim.calls == []


@pytest.mark.parametrize("path", ["/" + "x" * 4095, "/" + "ü" * 2048])
def test_path_that_is_too_long_for_any_file_is_refused(path):
    with pytest.raises(InputError, match=r"^src is longer than a path can be: check it\.$"):
        _paths.check_paths({"src": path})
    _paths.check_paths({"src": path[:-1]})

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Foreign text: printable and of limited length in messages; exact in results, except for control characters and surrogates."""

from __future__ import annotations

import contextlib
import json
import sqlite3

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils._errors import ApiError, InputError
from ansible_collections.vonage.vcc.plugins.module_utils._journal.entry import Entry
from ansible_collections.vonage.vcc.plugins.module_utils._journal.journal import Journal
from ansible_collections.vonage.vcc.plugins.module_utils._journal.maintenance import JournalMaintenance
from ansible_collections.vonage.vcc.plugins.module_utils._text import clean, shown, shown_names, without_user
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import task_of

# Control sequences of a terminal, characters that change the direction of text, line breaks, and a surrogate.
STRANGE = "\x1b]0;owned\x07 \x9b31m \x7f \u202e \u2066 \u200b \ufeff \u2028 \x85 \r\n \ud83d"


class TestShown:
    @pytest.mark.parametrize("text", ["", "case-1", "Größe 🎧", "x" * 1024])
    def test_printable_text_is_shown_unchanged(self, text):
        assert shown(text) == text

    def test_unprintable_characters_are_shown_as_escapes(self):
        said = shown(STRANGE)
        assert said.isprintable()
        assert (
            said
            == (
                r"\x1b]0;owned\x07 \x9b31m \x7f \u202e \u2066 \u200b \ufeff \u2028 \x85 \r\n \ud83d"  # as Python writes them
            )
        )
        assert shown(said) == said

    @pytest.mark.parametrize("text", ["x" * 11, "x" * 100_000, "\u202e" * 2, "xxxxxxx\x1b", "xxxxxxxxxx\x1b"])
    def test_long_text_is_cut(self, text):
        said = shown(text, 10)
        assert len(said) == 10
        assert said.endswith("…")

    def test_only_first_of_many_names_are_shown(self):
        assert shown_names(["a", "b\x1b"]) == r"a, b\x1b"
        assert shown_names([f"c{number}" for number in range(40)]).endswith("c8, c9 and 30 more")
        assert len(shown_names(["x" * 100_000] * 40)) < 600

    def test_every_error_is_printable_and_of_limited_length(self):
        for exc in (InputError(f"{STRANGE} is wrong"), ApiError(STRANGE * 10_000, True)):
            assert str(exc).isprintable()
            assert len(str(exc)) <= 10_000


class TestClean:
    def test_only_control_characters_and_surrogates_are_replaced(self):
        text = "a\u200fb Größe 🎧\xa0c"
        assert clean(text) == text
        assert clean("a\x1bb\x9bc\x00\n\x7f\ud83d") == "a\ufffdb\ufffdc" + "\ufffd" * 4
        clean(STRANGE).encode()


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "masked"),
        [
            ("https://api.example/v1", "https://api.example/v1"),
            ("https://ann:hush@api.example/v1", "https://********@api.example/v1"),
            ("https://hush@api.example", "https://********@api.example"),
            ("https://ann:hu/sh@api.example", "https://********@api.example"),
            ("https://ann:hu//sh@api.example", "https://********@api.example"),
            ("https://ann:hu@sh@api.example", "https://********@api.example"),
            ("ann:hush@api.example", "********@api.example"),
            ("https:// ann:hu sh@[bad", "https://********@[bad"),
            ("", ""),
        ],
    )
    def test_user_and_password_of_a_url_are_masked(self, url, masked):
        assert without_user(url) == masked

    @pytest.mark.parametrize("name", ["api_url", "auth_url"])
    @pytest.mark.parametrize("password", ["hush", "hu/sh", "12/hush", "hu:sh", ""])
    def test_url_with_a_password_is_refused(self, name, password):
        """Because of a slash in the password, the user looks like a host."""
        said = refusal({"external_id": "a", name: f"https://ann:{password}@api.example"})
        assert said.startswith(f"{name} must be a URL ")
        assert "hush" not in said and "ann" not in said


def refusal(given):
    """Return the error message for the input of a task, which must be printable."""
    with pytest.raises(InputError) as caught:
        list(task_of(**given).source.read())
    said = str(caught.value)
    assert said.isprintable()
    return said


class TestFiles:
    """Messages that quote a file or an option."""

    @pytest.fixture
    def src(self, tmp_path):
        def write(name, text):
            path = tmp_path / name
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            return {"src": str(path), "state": "dispatched", "route": "r"}

        return write

    def test_message_shows_escapes_of_header(self, src):
        said = refusal(src("ids.csv", "na\x1b]0;owned\x07me,b\n1,2\n"))
        assert r"its columns: na\x1b]0;owned\x07me, b." in said

    def test_message_shortens_long_header(self, src):
        said = refusal(src("ids.csv", ",".join(["x" * 20_000] * 40) + "\n"))
        assert said.endswith("x…, " + "x" * 49 + "… and 30 more.")
        assert len(said) < 1000

    @pytest.mark.parametrize(
        "line",
        [
            {"linked_data": [{"type": "url", "value": "x", "na\x1b]0;owned\x07me": "y"}]},
            {"linked_data": [{"type": "url", "value": "x", "k" * 100_000: "y"}]},
            {"routing_data": {"interaction_type": "\x1b]0;owned\x07\u202e"}},
            {"routing_data": {"interaction_type": "t" * 100_000}},
            {"routing_data": {"skills": [{"name": "a", "expiry_after": "\x9b31m"}]}},
        ],
        ids=str,
    )
    def test_message_of_ansible_about_a_line_is_printable(self, src, line):
        said = refusal(src("ids.jsonl", json.dumps({"external_id": "a", **line})))
        assert ", line 1: " in said
        assert len(said) < 2000

    @pytest.mark.parametrize(
        "given",
        [
            {"domain": "\x1b]0;owned\x07"},
            {"domain": "x" * 100_000},
            {"journal_ttl": "\x1finf\x1f"},
            {"src": "/\x1b]0;owned\x07.txt"},
        ],
        ids=lambda given: str(given)[:30],
    )
    def test_message_about_option_is_short_and_printable(self, given):
        assert len(refusal({**({} if "src" in given else {"external_id": "a"}), **given})) < 2000


class TestIds:
    """An id cannot have control characters, but it can have other unprintable characters."""

    ODD = "a\u202eb\u200bc"
    SHOWN = r"a\u202eb\u200bc"

    def test_id_is_escaped_in_messages_and_diffs_and_exact_elsewhere(self, sim, task):
        sim.poison(self.ODD)
        result = task(external_ids=[self.ODD, "d"], diff=True)
        assert f"the first is '{self.SHOWN}': " in result["msg"]
        assert f"{self.SHOWN}: not known to be released\n" in result["diff"]["after"]
        assert [one["external_id"] for one in result["interactions"]] == [self.ODD, "d"]

    def test_message_of_a_server_is_printable(self, sim, task):
        sim.fault("status", status=400, body={"message": STRANGE}, times=None)
        result = task(external_id=self.ODD)
        (one,) = result["interactions"]
        for said in (result["msg"], one["message"]):
            assert said.isprintable()
            assert r"(\x1b]0;owned\x07 " in said

    def test_message_about_a_duplicate_is_printable(self, task):
        same = {"external_id": self.ODD, "linked_data": [{"type": "url", "value": "1"}]}
        result = task(state="dispatched", route="r", interactions=[same, {"external_id": self.ODD}])
        assert f"asks for '{self.SHOWN}' a second time" in result["msg"]

    def test_message_shows_escapes_of_ids_in_altered_journal(self, folder):
        path = str(folder / "journal.db")
        scope = ("https://api.example", "main", None, 0, "dispatch")
        with contextlib.closing(Journal(path, *scope)) as journal:
            journal.add_all([Entry("interactions[0]", "z", self.ODD)])
            journal.claim(0)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE own_request SET external_id = ?", (f"\x1b]0;owned\x07{'x' * 100_000}",))
            db.execute("UPDATE interaction SET external_id = ?", ("\x1b]0;\u202e",))
            db.commit()
        with contextlib.closing(Journal(path, *scope)) as journal, pytest.raises(InputError) as caught:
            journal.add_all([Entry("interactions[0]", self.ODD, self.ODD)])
        said = str(caught.value)
        assert said.startswith(f"The request_id '{self.SHOWN}' of '{self.SHOWN}' has been used for '\\x1b]0;")
        assert len(said) < 2000
        with contextlib.closing(JournalMaintenance(path, dry_run=True)) as journal:
            (entry,), *dummy = journal.entries(page_size=10)
        assert entry["external_id"] == "\ufffd]0;\u202e"

    def test_result_replaces_control_characters_of_request_id_in_altered_journal(self, sim, task, folder):
        sim.fault("cut")
        task(external_id="a")
        with contextlib.closing(sqlite3.connect(folder / "journal.db")) as db:
            db.execute("UPDATE interaction SET request_id = ?", ("k\x9b31m",))
            db.commit()
        (one,) = task(external_id="a")["interactions"]
        assert (one["state"], one["request_id"]) == ("released", "k\ufffd31m")

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module ends with a result or a sentence, for any option."""

from __future__ import annotations

import json
import os

import pytest
import trustme

from ansible_collections.vonage.vcc.plugins.module_utils import _options
from ansible_collections.vonage.vcc.tests.simulator import CLIENT_ID, CLIENT_SECRET
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    PYTHONPATH,
    run_module,
    snapshot,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.modules.processes.helpers import (
    CALLING,
    ONGOING,
    REGISTER,
    TASKS,
    TOKEN,
)

every = pytest.mark.parametrize("module", TASKS)
calling = pytest.mark.parametrize("module", CALLING)


def shown(printed):
    """Return the output without the escapes of JSON."""
    return json.dumps(json.loads(printed), ensure_ascii=False).replace("\\\\", "\\").replace('\\"', '"')


@every
class TestEveryModule:
    def test_every_option_of_the_connection_is_accepted(self, sim, act, tmp_path, module):
        """Therefore module_defaults can set them for the action group."""
        trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        given = {
            "region": "emea",
            "domain": "cc.vonage.com",
            "api_url": sim.url,
            "auth_url": sim.token_url,
            "account": "main",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "access_token": sim.issue_token(["interactions:write", "stats"]),
            "token_cache": str(tmp_path / "tokens.json"),
            "validate_certs": True,
            "ca_path": str(tmp_path / "ca.pem"),
            "timeout": 9,
            "retries": 0,
            "requests_per_minute": 600,
        }
        assert set(given) == set(_options.CONNECTION_SPEC)
        result, code, printed = act(module, **given)
        assert code == 0, printed
        assert not result.get("failed")
        assert "Traceback" not in printed

    def test_check_mode_predicts_first_run_and_second_run_changes_nothing(self, sim, act, tmp_path, module):
        before = snapshot(tmp_path)
        predicted, *others = act(module, check=True, diff=True)
        assert snapshot(tmp_path) == before
        real, *more = act(module, diff=True)
        assert set(predicted) == set(real)
        assert predicted["changed"] is real["changed"] is (module in ("vcc_provider", "vcc_journal"))
        again, *rest = act(module, diff=True)
        assert again["changed"] is False
        for code, printed in (others, more, rest):
            assert code == 0
            assert CLIENT_SECRET not in shown(printed)

    def test_an_option_that_does_not_exist_is_refused(self, sim, refused, module):
        assert "colour" in refused(module, colour="blue")
        assert sim.calls == []

    @pytest.mark.parametrize("library", ["requests", "sqlite3"])
    def test_a_missing_library_is_named(self, sim, act, tmp_path, module, library):
        absent = tmp_path / "absent"
        absent.mkdir()
        (absent / f"{library}.py").write_text("raise ImportError('not here')\n")
        result, code, dummy = act(module, env={"PYTHONPATH": os.pathsep.join([str(absent), PYTHONPATH])})
        assert code == 1
        assert result["msg"].startswith(f"Failed to import the required Python library ({library}) on ")
        assert sim.calls == []


@calling
class TestCallingModules:
    def test_wrong_credentials_are_named(self, refused, module):
        said = refused(module, client_secret="wrong")
        assert said == "VCC refused the client credentials (invalid_client): check client_id, client_secret and region."

    def test_missing_credentials_are_named(self, sim, refused, module):
        said = refused(module, client_id=None, client_secret=None)
        assert "credentials are missing: set client_id and client_secret" in said
        assert sim.calls == []

    @pytest.mark.parametrize("missing", ["client_id", "client_secret"])
    def test_client_credentials_need_both_parts(self, sim, refused, module, missing):
        assert "missing: set" in refused(module, **{missing: None})
        assert sim.calls == []

    def test_a_scope_that_was_not_granted_is_named(self, sim, refused, module):
        sim.add_client("poor", "very-s3cret", scopes=["users:read"])
        scope = "stats" if module == "vcc_ongoing_info" else "interactions:write"
        said = refused(module, client_id="poor", client_secret="very-s3cret")
        assert f"no token for the scope {scope} (invalid_scope)" in said

    def test_a_token_endpoint_without_an_answer_is_named(self, sim, refused, module):
        sim.fault("cut", path=TOKEN)
        assert refused(module).startswith(f"The token endpoint {sim.token_url} gave no answer")

    def test_options_come_from_environment(self, sim, tmp_path, module):
        dummy, code, printed = run_module(tmp_path, env=sim.environment(tmp_path), module=module, **TASKS[module])
        assert code == 0, printed
        assert (tmp_path / "elsewhere.db").exists() is (module == "vcc_provider")
        assert (tmp_path / "tokens.json").exists()
        assert CLIENT_SECRET not in shown(printed)

    def test_disabled_verification_has_warning(self, act, module):
        result, dummy, dummy = act(module, validate_certs=False)
        assert "validate_certs is false" in json.dumps(result["warnings"])


@pytest.mark.parametrize(("module", "path"), [("vcc_provider", REGISTER), ("vcc_ongoing_info", ONGOING)])
def test_message_of_a_server_with_a_token_is_not_repeated(sim, act, tmp_path, module, path):
    cache = tmp_path / "tokens.json"
    act(module, token_cache=str(cache))
    (entry,) = json.loads(cache.read_text()).values()
    sim.fault("status", status=400, path=path, body={"message": f"not with {entry['access_token']}"})
    force = {"force": True} if module == "vcc_provider" else {}
    result, code, printed = act(module, token_cache=str(cache), **force)
    assert code == 1
    assert "VCC refused the request with status 400" in result["msg"]
    assert "not with" not in printed
    assert entry["access_token"] not in printed


class TestBareNumbers:
    """YAML converts numbers without quotes before a module gets them."""

    ADVICE = " Put it in quotes, since YAML reads 0123 as 83 and 12:30:45 as 45045."

    def warnings_of(self, result):
        """Return the texts of the warnings, whose form depends on the version of ansible-core."""
        return [one if isinstance(one, str) else one["event"]["msg"] for one in result["warnings"]]

    @pytest.mark.parametrize(
        ("module", "given", "named"),
        [
            ("vcc_provider", {"name": 83}, "name as '83'"),
            (
                "vcc_journal_info",
                {"external_ids": ["a", 83, 45045]},
                "external_ids[1] as '83', external_ids[2] as '45045'",
            ),
            ("vcc_journal_info", {"account": 1.1}, "account as '1.1'"),
            ("vcc_ongoing_info", {"queue": 5, "page_size": 50}, "queue as '5'"),
            (
                "vcc_journal_info",
                {"external_ids": list(range(8))},
                ", ".join(f"external_ids[{number}] as '{number}'" for number in range(5)) + " and 3 more",
            ),
        ],
    )
    def test_bare_number_has_one_warning(self, act, module, given, named):
        result, code, dummy = act(module, **given)
        assert code == 0
        assert self.warnings_of(result) == [f"A number without quotes is used as text: {named}.{self.ADVICE}"]

    def test_warning_shows_no_secret_number(self, sim, act):
        sim.add_client("second", "4711")
        result, code, dummy = act("vcc_token", client_id="second", client_secret=4711)
        assert code == 0
        assert self.warnings_of(result) == [f"A number without quotes is used as text: client_secret.{self.ADVICE}"]

    @pytest.mark.parametrize(
        ("module", "given"),
        [
            ("vcc_journal_info", {"external_ids": ["83"], "page": 1, "older_than": 5}),
            ("vcc_ongoing_info", {"page_size": 50, "timeout": 20}),
            ("vcc_provider", {"force": True}),
        ],
    )
    def test_quoted_numbers_and_numeric_options_have_no_warning(self, act, module, given):
        result, code, dummy = act(module, **given)
        assert (code, result.get("warnings", [])) == (0, [])

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An option of a module or a variable of the environment that is empty or null counts as not set."""

from __future__ import annotations

import os
import pwd

import pytest

from ansible_collections.vonage.vcc.plugins.module_utils import _options
from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.modules import (
    vcc_interaction,
    vcc_journal,
    vcc_journal_info,
    vcc_ongoing_info,
    vcc_provider,
    vcc_token,
)
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import (
    CLIENT_ID,
    CLIENT_SECRET,
    Invalid,
    call_main,
    check_raw_types,
    run_module,
    task_of,
    validated,
    validated_by,
)

# For each module: its spec, and the options of a task that works.
MODULES = {
    "vcc_interaction": (vcc_interaction.SPEC, {"external_ids": ["a"]}),
    "vcc_provider": (vcc_provider.SPEC["argument_spec"], {"name": "crm"}),
    "vcc_token": (vcc_token.SPEC["argument_spec"], {}),
    "vcc_ongoing_info": (vcc_ongoing_info.SPEC["argument_spec"], {}),
    "vcc_journal": (vcc_journal.SPEC, {"older_than": 1}),
    "vcc_journal_info": (vcc_journal_info.SPEC["argument_spec"], {}),
}
VARIABLES = [f"VCC_{name.upper()}" for name in {**_options.CONNECTION_SPEC, **_options.JOURNAL_SPEC}]

every = pytest.mark.parametrize("module", MODULES)
blank = pytest.mark.parametrize("nothing", ["", None], ids=["empty", "null"])


def place(variable):
    return f"{variable} in the environment of {os.uname().nodename}: "


@pytest.fixture
def homeless(monkeypatch):
    """This user has no home folder."""

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)


class TestOptions:
    @every
    @blank
    def test_blank_option_is_not_set(self, module, nothing):
        spec, works = MODULES[module]
        usual = validated_by(spec, **works)
        names = [name for name in spec.get("argument_spec", spec) if name not in works and name != "journal"]
        assert len(names) > 14
        for name in names:
            assert validated_by(spec, **works, **{name: nothing}) == usual, name
        assert validated_by(spec, **works, **dict.fromkeys(names, nothing)) == usual

    @blank
    def test_environment_replaces_blank_option(self, monkeypatch, nothing):
        monkeypatch.setenv("VCC_REGION", "nam")
        monkeypatch.setenv("VCC_RETRIES", "0")
        params = validated(external_id="a", region=nothing, retries=nothing)
        assert (params["region"], params["retries"]) == ("nam", 0)

    @blank
    def test_blank_sources_do_not_exclude_another_source(self, nothing):
        ways = {"external_id": "a", "external_ids": ["b"], "src": "/f", "interactions": [{"external_id": "c"}]}
        for name, value in ways.items():
            given = {**dict.fromkeys(ways, nothing), name: value}
            check_raw_types(given)
            params = validated(**given)
            assert [one for one in ways if params[one] is not None] == [name]

    @blank
    def test_blank_suboption_is_null(self, nothing):
        links = [{"type": "url", "value": "https://a.example", "label": nothing, "owner": nothing, "key": nothing}]
        routing = {
            "interaction_type": nothing,
            "personal_queue": {"agent": "ann", "logged_in_timeout": nothing, "logged_out_timeout": nothing},
            "skills": [{"name": "French", "expiry_after": nothing}],
        }
        one = {"external_id": "a", "request_id": nothing, "linked_data": nothing, "routing_data": routing}
        (params,) = validated(interactions=[one], linked_data=links)["interactions"]
        assert params["request_id"] is params["linked_data"] is params["routing_data"]["interaction_type"] is None
        assert params["routing_data"]["personal_queue"]["logged_in_timeout"] is None
        assert params["routing_data"]["skills"] == [{"name": "French", "expiry_after": None}]
        assert validated(external_id="a", linked_data=links)["linked_data"][0]["label"] is None

    def test_an_empty_id_is_refused(self):
        for given in ({"external_id": ""}, {"external_ids": [""]}, {"interactions": [{"external_id": ""}]}):
            with pytest.raises(InputError, match="is empty"):
                list(task_of(**given).source.read())

    @blank
    def test_unknown_option_is_refused(self, nothing):
        for given in ({"jurnal": nothing}, {"routing_data": {"personal_qeue": nothing}}):
            with pytest.raises(Invalid, match=r"jurnal|personal_qeue"):
                validated(external_id="a", **given)

    def test_false_zero_and_empty_lists_are_set(self):
        given = {"retries": 0, "validate_certs": False, "journal_ttl": 0, "force": False, "external_ids": []}
        params = validated(**given)
        assert {name: params[name] for name in given} == given


class TestEnvironment:
    @every
    def test_blank_variable_is_not_set(self, monkeypatch, module):
        spec, works = MODULES[module]
        usual = validated_by(spec, **works)
        for variable in VARIABLES:
            monkeypatch.setenv(variable, "")
        assert validated_by(spec, **works) == usual

    @pytest.mark.parametrize("module", ["vcc_provider", "vcc_interaction"])
    def test_process_with_blank_variables_uses_default_journal(self, sim, tmp_path, module):
        """The second run finds the result of the first in this journal."""
        given = sim.options(**MODULES[module][1], retries=1)
        del given["journal"]
        env = dict.fromkeys(VARIABLES, "")
        first, second = (run_module(tmp_path, False, False, env, module, **given)[0] for dummy in range(2))
        assert (first["changed"], second["changed"]) == (True, False)
        assert (tmp_path / "home/.ansible/vonage_vcc/journal.db").exists()

    @pytest.mark.parametrize(
        ("variable", "text", "said"),
        [
            ("VCC_REGION", "mars", "region must be emea, nam or apac, not 'mars'."),
            ("VCC_TIMEOUT", "abc", "timeout must be a whole number, not 'abc'."),
            ("VCC_TIMEOUT", "1e999999999", "timeout must be a whole number, not '1e999999999'."),
            ("VCC_TIMEOUT", "0", "timeout must be 1 or more, not 0."),
            ("VCC_RETRIES", " ", "retries must be a whole number, not ' '."),
            ("VCC_VALIDATE_CERTS", "perhaps", "validate_certs must be true or false, not 'perhaps'."),
            ("VCC_API_URL", "vcc", "api_url must be a URL such as https://emea.api.newvoicemedia.com."),
            ("VCC_DOMAIN", "mars", "domain must be a host name such as newvoicemedia.com, not 'mars'."),
            (
                "VCC_CA_PATH",
                "/nowhere",
                "ca_path /nowhere does not exist on the host that makes the calls: name a file",
            ),
            ("VCC_REGION", "\x1b]0;owned\x07" * 9, "region must be emea, nam or apac, not '\\x1b]0;owned"),
        ],
    )
    def test_message_names_the_variable_and_its_host(self, sim, monkeypatch, variable, text, said):
        usual = {"VCC_REGION": "emea", "VCC_CLIENT_ID": CLIENT_ID, "VCC_CLIENT_SECRET": CLIENT_SECRET}
        for name, value in {**usual, variable: text}.items():
            monkeypatch.setenv(name, value)
        for module in ("vcc_ongoing_info", "vcc_interaction"):
            result, code, printed = call_main(module, **MODULES[module][1])
            assert code == 1
            assert result["msg"].startswith(place(variable) + said), result["msg"]
            assert len(result["msg"]) < 300
            assert CLIENT_SECRET not in printed

    def test_message_about_option_does_not_name_variable(self, monkeypatch):
        monkeypatch.setenv("VCC_TIMEOUT", "abc")
        monkeypatch.setenv("VCC_REGION", "emea")
        result = call_main("vcc_ongoing_info", client_id=CLIENT_ID, client_secret=CLIENT_SECRET, timeout=0)[0]
        assert result["msg"] == "timeout must be 1 or more, not 0."

    def test_message_names_the_host_of_a_missing_variable(self):
        assert f"or VCC_REGION in the environment of {os.uname().nodename}, " in call_main("vcc_ongoing_info")[0]["msg"]
        said = call_main("vcc_ongoing_info", region="emea")[0]["msg"]
        assert (
            f"VCC_CLIENT_ID and VCC_CLIENT_SECRET in the environment of {os.uname().nodename}, where the task runs)"
            in said
        )


class TestNoJournal:
    @pytest.mark.parametrize("word", ["none", "None", "NONE"])
    def test_word_none_means_no_journal(self, monkeypatch, word):
        assert validated(external_id="a", journal=word)["journal"] == ""
        monkeypatch.setenv("VCC_JOURNAL", word)
        assert validated(external_id="a")["journal"] == ""

    def test_empty_option_means_no_journal(self, monkeypatch):
        monkeypatch.setenv("VCC_JOURNAL", "/nowhere/journal.db")
        assert validated(external_id="a", journal="")["journal"] == ""
        assert validated(external_id="a", journal=None)["journal"] == "/nowhere/journal.db"

    def test_empty_variable_means_default_journal(self, monkeypatch):
        usual = validated(external_id="a")["journal"]
        assert usual
        monkeypatch.setenv("VCC_JOURNAL", "")
        assert validated(external_id="a")["journal"] == usual

    def test_paths_that_resemble_none_are_paths(self, tmp_path):
        assert validated(external_id="a", journal="./none")["journal"] == "./none"
        assert validated(external_id="a", journal="none.db")["journal"] == "none.db"


class TestPaths:
    @pytest.mark.parametrize("variable", ["VCC_JOURNAL", "VCC_TOKEN_CACHE", "VCC_CA_PATH"])
    @pytest.mark.parametrize("path", ["x", "./x", "a/../../x", "$NOTHING/x", "~nobody-of-that-name/x"])
    def test_relative_path_in_environment_is_refused(self, monkeypatch, variable, path):
        monkeypatch.setenv(variable, path)
        with pytest.raises(InputError) as caught:
            validated(external_id="a")
        option = variable[4:].lower()
        said = f"{option} must be an absolute path, not '{path}': a relative path begins in a folder that depends on how the task is run."
        assert str(caught.value) == place(variable) + said

    @pytest.mark.parametrize("path", ["/x", "~/x", "$HOME/x", "${HOME}/x"])
    def test_absolute_path_in_environment_is_accepted(self, monkeypatch, tmp_path, path):
        monkeypatch.setenv("VCC_JOURNAL", path)
        assert validated(external_id="a")["journal"] == path.replace("~", "$HOME").replace("{", "").replace(
            "}", ""
        ).replace("$HOME", str(tmp_path / "home"))

    @pytest.mark.parametrize("option", ["journal", "token_cache", "ca_path", "report", "src"])
    @pytest.mark.parametrize("path", ["~nobody-of-that-name/x", "$NOTHING/x"])
    def test_path_of_an_unknown_user_is_refused(self, option, path):
        given = {"external_ids": ["a"], option: path}
        if option == "src":
            del given["external_ids"]
        with pytest.raises(InputError, match=r"does not lead to an absolute path on .*Write the absolute path"):
            validated(**given)

    def test_journal_without_home_folder_is_in_ansible_home(self, homeless, monkeypatch):
        monkeypatch.setenv("ANSIBLE_HOME", "/srv/ansible")
        assert validated(external_id="a")["journal"] == "/srv/ansible/vonage_vcc/journal.db"
        assert validated(external_id="a", journal="/own")["journal"] == "/own"

    def test_journal_with_home_folder_ignores_ansible_home(self, monkeypatch, tmp_path):
        monkeypatch.setenv("ANSIBLE_HOME", "/srv/ansible")
        assert validated(external_id="a")["journal"] == str(tmp_path / "home/.ansible/vonage_vcc/journal.db")

    @pytest.mark.parametrize("home", [None, "", "relative", "~/x"])
    def test_journal_without_home_folder_and_ansible_home_is_refused(self, homeless, monkeypatch, home):
        if home is not None:
            monkeypatch.setenv("ANSIBLE_HOME", home)
        with pytest.raises(InputError) as caught:
            validated(external_id="a")
        assert str(caught.value).startswith("The journal has no path: this user has no home folder on ")
        assert validated(external_id="a", journal="none")["journal"] == ""
        validated_by(vcc_token.SPEC["argument_spec"])  # a token needs no journal


class TestVariables:
    @pytest.mark.parametrize(
        ("option", "text", "value"),
        [
            ("region", "nam", "nam"),
            ("domain", "cc.vonage.com", "cc.vonage.com"),
            ("api_url", "https://a.example", "https://a.example"),
            ("auth_url", "https://b.example", "https://b.example"),
            ("account", "main", "main"),
            ("client_id", "id", "id"),
            ("client_secret", "s3cret,%&", "s3cret,%&"),
            ("access_token", "t0ken", "t0ken"),
            ("token_cache", "/nowhere/tokens", "/nowhere/tokens"),
            ("validate_certs", "no", False),
            ("ca_path", "/nowhere/ca.pem", "/nowhere/ca.pem"),
            ("timeout", "7", 7),
            ("retries", "0", 0),
            ("requests_per_minute", "60", 60),
            ("journal", "/nowhere/journal.db", "/nowhere/journal.db"),
            ("journal", "none", ""),
        ],
    )
    def test_task_overrides_variable(self, monkeypatch, option, text, value):
        monkeypatch.setenv(f"VCC_{option.upper()}", text)
        assert validated(external_id="a")[option] == value
        others = {"region": "apac", "validate_certs": True, "timeout": 9, "retries": 9, "requests_per_minute": 9}
        own = others.get(option, "/own")
        assert validated(external_id="a", **{option: own})[option] == own

    def test_empty_string_disables_journal(self):
        assert validated(external_id="a", journal="")["journal"] == ""

    def test_defaults(self, tmp_path):
        params = validated(external_id="a")
        assert params["journal"] == str(tmp_path / "home/.ansible/vonage_vcc/journal.db")
        assert (params["journal_ttl"], params["force"], params["state"]) == (86400, False, "released")
        assert (params["timeout"], params["retries"], params["validate_certs"]) == (30, 5, True)
        assert (params["token_cache"], params["requests_per_minute"]) == (None, None)

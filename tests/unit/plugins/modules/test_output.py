# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of modules: it has no user and password of a URL, and no control characters."""

from __future__ import annotations

import contextlib
import io

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.vonage.vcc.plugins.module_utils._module import create_module, exit_module
from ansible_collections.vonage.vcc.tests.postgresql import programs
from ansible_collections.vonage.vcc.tests.unit.plugins.helpers import call_main

# The password is also a part of a word in the error message.
USER = "ann:pass"
URL = f"https://{USER}@api.example/v1"
MASKED = "https://********@api.example/v1"

TASKS = {
    "vcc_interaction": {"external_id": "a", "journal": ""},
    "vcc_provider": {"name": "tickets", "journal": ""},
    "vcc_token": {},
    "vcc_ongoing_info": {},
    "vcc_journal": {"older_than": 9},
    "vcc_journal_info": {},
}
CREDENTIALS = {"client_id": "c", "client_secret": "s3cret-s3cret", "region": "emea", "retries": 0}

every = pytest.mark.parametrize("module", TASKS)


@pytest.fixture
def usual(tmp_path):
    """Makes the options of a task that needs no network and no file of the user."""

    def make(module):
        journal = {"journal": str(tmp_path / "journal.db")} if module.startswith("vcc_journal") else {}
        return {**CREDENTIALS, **TASKS[module], **journal}

    return make


@every
@pytest.mark.parametrize("name", ["api_url", "auth_url", "domain"])
@pytest.mark.parametrize("source", ["option", "environment"])
def test_password_of_url_is_in_no_output(monkeypatch, usual, module, name, source):
    given = usual(module)
    if source == "option":
        given[name] = URL
    else:
        monkeypatch.setenv(f"VCC_{name.upper()}", URL)
    result, dummy, printed = call_main(module, **given)
    assert USER not in printed
    assert MASKED in printed or "invocation" not in printed  # which ansible-core 2.21 leaves out
    if not module.startswith("vcc_journal"):
        assert f"{name} must be a" in result["msg"]
        assert "user and password" in result["msg"] or name == "domain"


@every
def test_password_of_url_is_not_in_errors_of_ansible(usual, module):
    for wrong in ({"colour": "blue"}, {"timeout": "x"}, {"timeout": float("inf")}):
        result, code, printed = call_main(module, **{**usual(module), "api_url": URL, **wrong})
        assert code == 1
        assert USER not in printed
        assert next(iter(wrong)) in result["msg"]


def test_password_of_endpoint_is_in_no_output(usual):
    dummy, code, printed = call_main("vcc_provider", **usual("vcc_provider"), endpoint=URL)
    assert code == 1
    assert USER not in printed


@pytest.fixture
def closed():
    """The address of a database at a port where nothing listens."""
    return f"127.0.0.1:{programs.free_port()}/vcc"


JOURNALS = [
    "postgresql://vcc:hu%40sh-hush@{}",
    "postgresql://vcc:hush?hush@{}?connect_timeout=2",
    "postgresql://vcc:hush@hush@{}",
    "postgresql://vcc:hush/hush@{}",
    "postgresql://vcc:hush%zzhush@{}",
    "postgresql://vcc@{}?password=hush-hush&connect_timeout=2",
    "postgresql://vcc@{}?sslpassword=h%75sh&connect_timeout=2",
    "postgresql://vcc@{}?pasword=hush-hush",
    "mysql://vcc:hush-hush@{}",
    "PostgreSQL://vcc:hush-hush@{}",
    "postgresql:/vcc:hush-hush@{}",
]

keeping = pytest.mark.parametrize("module", [name for name in TASKS if name not in ("vcc_token", "vcc_ongoing_info")])


@keeping
@pytest.mark.parametrize("source", ["option", "environment"])
@pytest.mark.parametrize("journal", JOURNALS)
def test_password_of_unusable_journal_is_in_no_output(monkeypatch, usual, module, journal, source, closed):
    pytest.importorskip("psycopg")
    journal = journal.format(closed)
    given = {**usual(module), "journal": journal}
    if source == "environment":
        monkeypatch.setenv("VCC_JOURNAL", given.pop("journal"))
    result, code, printed = call_main(module, **given)
    assert code == 1
    assert "journal" in result["msg"]
    for hidden in ("hush", "h%75sh", "hu%40sh", "hu@sh", journal):
        assert hidden not in printed
    for wrong in ({"colour": "blue"}, {"timeout": "x"}, {"timeout": float("inf")}):
        dummy, code, printed = call_main(module, **{**given, **wrong})
        assert code == 1
        assert "hush" not in printed


@keeping
def test_password_of_usable_journal_is_in_no_output(usual, module, postgresql_server, postgresql_url, sim):
    role = postgresql_server.create_role("talker", "h:u@s/h hush")
    database = postgresql_url.partition("?")[0].rpartition("/")[2]
    postgresql_server.execute(f'GRANT CREATE ON DATABASE "{database}" TO {role}')
    try:
        url = postgresql_server.url(database, role, "h:u@s/h hush", tcp=True)
        given = {**usual(module), **sim.options(), "region": None, "journal": url}
        result, code, printed = call_main(module, diff=True, **{k: v for k, v in given.items() if v is not None})
        assert code == 0, printed
        for hidden in ("h:u@s/h", "h%3Au", url):
            assert hidden not in printed
        if "journal" in result:
            assert result["journal"]["location"] == postgresql_server.url(database, role, tcp=True)
    finally:
        postgresql_server.execute(f"DROP OWNED BY {role}", database=database)
        postgresql_server.execute(f"DROP ROLE {role}")


@every
def test_messages_of_ansible_are_printable(usual, module):
    for wrong in ({"na\x1b]0;owned\x07me": 1}, {"region": "\x1b]0;owned\x07\u202e\x9b"}, {"timeout": "\x1b]0;\x07"}):
        result, code, dummy = call_main(module, **{**usual(module), **wrong})
        assert code == 1
        assert result["msg"].isprintable()
        assert r"\x1b]0;" in result["msg"]


def test_a_warning_is_printable():
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch_module_args({}))
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(contextlib.redirect_stderr(errors))  # where other tests have imported Ansible's controller
        stack.enter_context(pytest.raises(SystemExit))
        exit_module(create_module(argument_spec={}), {"changed": False, "warnings": ["\x1b]0;owned\x07\u202e"]})
    assert r"\\x1b]0;owned\\x07\\u202e" in printed.getvalue()


def test_a_diff_of_the_journal_is_printable(usual):
    notification = {"notification": "Release", "objectid": "a\u202eb", "notificationid": "n-1"}
    given = {**usual("vcc_journal"), "older_than": None, "notifications": [notification]}
    result, code, dummy = call_main("vcc_journal", diff=True, **{k: v for k, v in given.items() if v is not None})
    assert code == 0
    assert result["diff"]["after"] == "a\\u202eb: released\n"

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create a module, run it, and return its result to Ansible."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ._api.transport import REQUESTS_IMPORT_ERROR
from ._errors import InputError, VccError
from ._journal.backends import missing_library
from ._journal.sqlite_errors import SQLITE_IMPORT_ERROR
from ._location import secrets_of
from ._options import (
    CONVERSION_ERRORS,
    CONVERSION_FAILED,
    from_environment,
    name_variables,
    with_defaults,
    without_blanks,
)
from ._text import LONGEST_MESSAGE, shown, without_user
from ._validation import check_types, number_warnings, secret_texts

# The options that may have a user and a password, although they are refused there.
URLS = ("api_url", "auth_url", "endpoint", "domain")


class Module(AnsibleModule):  # type: ignore[misc]
    """An AnsibleModule that treats blank options as not set, and fails with a sentence in place of Ansible's traceback.

    Its output has no control characters and no password of a URL.

    :ivar given: the options of the task without blanks, before Ansible converts them.
    :ivar variables: the environment variables that set an option, by the name of the option.
    """

    params: dict[str, t.Any]
    given: t.Mapping[str, t.Any] = {}
    variables: t.Mapping[str, str] = {}

    def __init__(self, **spec: t.Any) -> None:
        try:
            super().__init__(supports_check_mode=True, **spec)
            return
        except InputError as exc:
            refusal = str(exc)
        except CONVERSION_ERRORS:
            refusal = CONVERSION_FAILED
        # Ansible does not know yet which values are secret, and the message may repeat one.
        self.no_log_values.update(secret_texts(self.argument_spec, self.given))
        self.params = {}
        self.fail_json(changed=False, msg=refusal)

    def _load_params(self) -> None:
        super()._load_params()
        self.given = without_blanks(self.argument_spec, self.params)
        self.variables = from_environment(self.argument_spec, self.given)
        # Before Ansible converts them, because it would compute all digits of 1e999999999.
        check_types(self.argument_spec, self.given)
        self.params = with_defaults(self.argument_spec, self.given)

    def fail_json(self, msg: str, **result: t.Any) -> None:
        """Fail with a message."""
        self._mask_urls()
        super().fail_json(msg=shown(msg, LONGEST_MESSAGE), **result)

    def exit_json(self, **result: t.Any) -> None:
        """End with a result."""
        self._mask_urls()
        super().exit_json(**result)

    def _mask_urls(self) -> None:
        """Mask users and passwords in the options that the result repeats."""
        for options in (self.given, self.params):
            self.no_log_values.update(secrets_of(options.get("journal")))
        for name in URLS:
            if isinstance(self.params.get(name), str):
                self.params[name] = without_user(self.params[name])


def create_module(**spec: t.Any) -> Module:
    """Return a module.

    :param spec: the arguments of AnsibleModule, such as ``argument_spec``.
    """
    module = Module(**spec)
    for warning in number_warnings(spec["argument_spec"], module.given):
        module.warn(shown(warning, LONGEST_MESSAGE))
    return module


def run_module(module: Module, run: t.Callable[[set[str]], dict[str, t.Any]]) -> None:
    """Run a module, and end with its result.

    :param run: returns the result. It adds each secret to its argument, and may raise VccError.
    """
    psycopg = missing_library(module.params.get("journal")) or ("psycopg", None)
    for library, error in (("requests", REQUESTS_IMPORT_ERROR), ("sqlite3", SQLITE_IMPORT_ERROR), psycopg):
        if error:
            module.fail_json(msg=missing_required_lib(library), exception=error)
    secrets: set[str] = set()
    try:
        result = run(secrets)
    except VccError as exc:
        result = {"failed": True, "changed": False, "msg": str(exc)}
    exit_module(module, result, secrets)


def exit_module(module: Module, result: dict[str, t.Any], secrets: t.Iterable[str] = ()) -> None:
    """End with a result, in which ``secrets`` are masked."""
    module.no_log_values.update(secrets)
    if "warnings" in result:
        result["warnings"] = [shown(warning, LONGEST_MESSAGE) for warning in result["warnings"]]
    if result.get("failed"):
        module.fail_json(**{**result, "msg": name_variables(result["msg"], module.variables)})
    module.exit_json(**result)

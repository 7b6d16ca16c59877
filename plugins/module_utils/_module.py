# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module begins and ends; of the rooms, the only one that knows AnsibleModule."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ._api.transport import REQUESTS_IMPORT_ERROR
from ._errors import InputError, VccError
from ._journal.sqlite import SQLITE_IMPORT_ERROR
from ._options import CONVERSION_ERRORS, CONVERSION_FAILED, from_environment, settled, told, without_blanks
from ._text import LONGEST_MESSAGE, URLS, shown, without_user
from ._validation import check_types, check_unicode, number_warnings


class Module(AnsibleModule):  # type: ignore[misc]
    """A module whose blank options are not set, and which keeps the others as they stand in the task: Ansible makes texts and lists of them.

    It shows neither what a terminal would obey, in Ansible's own messages too, nor a password in a URL.
    """

    params: dict[str, t.Any]
    given: dict[str, t.Any]
    variables: t.Mapping[str, str] = {}

    def _load_params(self) -> None:
        super()._load_params()
        self.given = without_blanks(self.argument_spec, self.params)
        self.variables = from_environment(self.argument_spec, self.given)
        self.params = settled(self.argument_spec, self.given)

    def fail_json(self, msg: str, **result: t.Any) -> None:
        self._mask_urls()
        super().fail_json(msg=shown(msg, LONGEST_MESSAGE), **result)

    def exit_json(self, **result: t.Any) -> None:
        self._mask_urls()
        super().exit_json(**result)

    def _mask_urls(self) -> None:
        """Mask users and passwords in what the result says of the invocation."""
        for name in URLS:
            if isinstance(self.params.get(name), str):
                self.params[name] = without_user(self.params[name])


def create_module(**spec: t.Any) -> Module:
    """Make a module, of what AnsibleModule takes. Where an option stops that, the module fails with a sentence."""
    refusals: list[str] = []
    try:
        module = Module(supports_check_mode=True, **spec)
    except InputError as exc:
        refusals.append(str(exc))
    except CONVERSION_ERRORS:
        pass
    else:
        for warning in number_warnings(spec["argument_spec"], module.given):
            module.warn(shown(warning, LONGEST_MESSAGE))
        return module

    def look_at(name: str, option: dict[str, t.Any]) -> t.Callable[[t.Any], None]:
        def look(value: t.Any) -> None:
            try:
                check_types({name: option}, {name: value})
                check_unicode(name, value)
            except InputError as exc:
                refusals.append(str(exc))

        return look

    # One that only looks at the options, so that it stumbles over none.
    looking = {
        name: {"type": look_at(name, option), "no_log": option.get("no_log")}
        for name, option in spec["argument_spec"].items()
    }
    module = AnsibleModule(argument_spec=looking, supports_check_mode=True)
    module.fail_json(changed=False, msg=(refusals or [CONVERSION_FAILED])[0])
    raise AssertionError


def check_libraries(module: Module) -> None:
    """Fail if a library is missing that Python itself does not bring, or brings in most builds only."""
    for library, error in (("requests", REQUESTS_IMPORT_ERROR), ("sqlite3", SQLITE_IMPORT_ERROR)):
        if error:
            module.fail_json(msg=missing_required_lib(library), exception=error)


def exit_module(module: Module, result: dict[str, t.Any], secrets: t.Iterable[str] = ()) -> None:
    """End with a result, in which C(secrets) are masked."""
    module.no_log_values.update(secrets)
    if "warnings" in result:
        result["warnings"] = [shown(warning, LONGEST_MESSAGE) for warning in result["warnings"]]
    if result.get("failed"):
        module.fail_json(**{**result, "msg": told(result["msg"], module.variables)})
    module.exit_json(**result)


def run_module(module: Module, act: t.Callable[[set[str]], dict[str, t.Any]]) -> None:
    """Do what a module is for and end with its result.

    :arg act: returns the result; to the set that it is given it adds what must not be in any output. May raise VccError.
    """
    check_libraries(module)
    secrets: set[str] = set()
    try:
        result = act(secrets)
    except VccError as exc:
        result = {"failed": True, "changed": False, "msg": str(exc)}
    exit_module(module, result, secrets)

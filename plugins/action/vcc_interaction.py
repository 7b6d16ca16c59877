# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run vcc_interaction in Ansible's own process if the result equals that of the module; otherwise run the module."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import typing as t

from ansible import constants as C
from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase

# The controller imports this file, and requests with it, once, before it forks its workers.
from ansible_collections.vonage.vcc.plugins.module_utils._api.client import Client
from ansible_collections.vonage.vcc.plugins.module_utils._api.transport import REQUESTS_IMPORT_ERROR
from ansible_collections.vonage.vcc.plugins.module_utils._connection import Connection
from ansible_collections.vonage.vcc.plugins.module_utils._errors import InputError
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.progress import Progress
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.raw_types import check_raw_types
from ansible_collections.vonage.vcc.plugins.module_utils._interactions.task import run
from ansible_collections.vonage.vcc.plugins.module_utils._journal.backends import missing_library
from ansible_collections.vonage.vcc.plugins.module_utils._journal.sqlite_errors import SQLITE_IMPORT_ERROR
from ansible_collections.vonage.vcc.plugins.module_utils._location import is_url, secrets_of
from ansible_collections.vonage.vcc.plugins.module_utils._options import (
    from_environment,
    name_variables,
    validated,
    without_blanks,
)
from ansible_collections.vonage.vcc.plugins.module_utils._paths import PATHS
from ansible_collections.vonage.vcc.plugins.module_utils._text import LONGEST_MESSAGE, shown
from ansible_collections.vonage.vcc.plugins.module_utils._validation import number_warnings
from ansible_collections.vonage.vcc.plugins.modules.vcc_interaction import SPEC
from ansible_collections.vonage.vcc.plugins.plugin_utils._progress_display import ProgressDisplay

# A worker process runs all items of a loop, and ends with the task. So the items share a client.
_clients: dict[Connection, Client] = {}


class ActionModule(ActionBase):  # type: ignore[misc]
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        try:
            args = _plain(self._task.args)
            check_raw_types(SPEC["argument_spec"], without_blanks(SPEC["argument_spec"], args))
            if self._is_plain_local(task_vars or {}):
                result.update(self._run_here(args, (task_vars or {}).get("inventory_hostname", "localhost")))
                return result
        except InputError as exc:
            result.update(failed=True, changed=False, msg=str(exc))
            return result
        wrap_async = self._task.async_val and not self._connection.has_native_async
        result.update(self._execute_module(task_vars=task_vars, wrap_async=wrap_async))
        if not wrap_async:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _is_plain_local(self, task_vars: dict[str, t.Any]) -> bool:
        """Return whether a module would run as this user, in this environment and with this Python."""
        return (
            self._connection.transport == "local"
            and not self._connection.become
            and not self._task.async_val
            and not any(self._task.environment or [])
            and self._is_own_interpreter(task_vars)
            and not REQUESTS_IMPORT_ERROR
            and not SQLITE_IMPORT_ERROR
        )

    def _is_own_interpreter(self, task_vars: dict[str, t.Any]) -> bool:
        if self._task.delegate_to:
            task_vars = task_vars.get("ansible_delegated_vars", {}).get(self._task.delegate_to, task_vars)
        interpreter = self._templar.template(C.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars))
        return bool(interpreter.startswith("auto") or interpreter == sys.executable)

    def _run_here(self, args: dict[str, t.Any], host: str) -> dict[str, t.Any]:
        validation = validated(ArgumentSpecValidator(**SPEC), args)
        params = validation.validated_parameters
        if validation.errors.errors:
            message = validation.errors.msg
            if isinstance(validation.errors.errors[0], UnsupportedError):
                message = f"Unsupported parameters for ({self._task.action}) module: {message}"
            result: dict[str, t.Any] = {"failed": True, "msg": shown(message, LONGEST_MESSAGE)}
        else:
            # A module on a local connection runs in the folder of the playbook.
            for name in PATHS:
                if params.get(name) and not is_url(params[name]):
                    params[name] = os.path.join(self._loader.get_basedir(), params[name])
            missing = missing_library(params["journal"])
            if missing:
                return {"failed": True, "msg": missing_required_lib(missing[0]), "exception": missing[1]}
            progress = Progress() if params["progress"] else None
            shown_by = (
                ProgressDisplay(progress, f"vcc_interaction [{shown(host)}]") if progress else contextlib.nullcontext()
            )
            with shown_by:
                result = run(params, self._task.check_mode, self._task.diff, _clients, progress)
        spec = SPEC["argument_spec"]
        if result.get("failed"):
            result["msg"] = name_variables(result["msg"], from_environment(spec, without_blanks(spec, args)))
        numbers = number_warnings(spec, args)
        if numbers:
            result["warnings"] = numbers + result.get("warnings", [])
        if "warnings" in result:
            result["warnings"] = [shown(warning, LONGEST_MESSAGE) for warning in result["warnings"]]
        secrets = {params[name] for name in ("client_secret", "access_token") if params.get(name)}
        secrets |= secrets_of(params.get("journal"))
        for client in _clients.values():
            secrets |= client.secrets
        return _without(secrets, result)


def _plain(value: t.Any) -> t.Any:
    """Return a copy with plain text in place of Ansible's own types, which are slow to copy, and of vaulted values."""
    if isinstance(value, str):
        return str.__str__(value)  # because str() returns !unsafe text as it is
    if isinstance(value, t.Mapping):
        return {_plain(name): _plain(each) for name, each in value.items()}
    if getattr(value, "__ENCRYPTED__", False):  # of !vault, in ansible-core before 2.19
        return str.__str__(str(value))
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _without(secrets: set[str], result: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a result without secrets. Ansible's own function is slow, so call it only if the result has a secret."""
    text = json.dumps(result)
    found = any(json.dumps(secret)[1:-1] in text for secret in secrets)
    return t.cast("dict[str, t.Any]", remove_values(result, secrets)) if found else result

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options: the specs that plugins share, and which options the task or the environment sets."""

from __future__ import annotations

import functools
import os
import re
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator, ValidationResult
from ansible.module_utils.common.parameters import set_fallbacks
from ansible.module_utils.errors import AnsibleFallbackNotFound
from ansible.module_utils.parsing.convert_bool import boolean

from ._connection import DOMAIN, REGIONS
from ._errors import InputError
from ._location import check_scheme, has_scheme, is_url
from ._paths import check_paths
from ._text import place, shown
from ._validation import Spec, check_data, check_texts, check_types

# The options that name interactions, of which a task must have one.
SOURCES = ("external_id", "external_ids", "src", "interactions")

# The value of journal for no journal.
NONE = "none"


def with_environment(spec: dict[str, dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    """Return a spec whose unset options come from environment variables: VCC_ and the name of the option in capitals."""
    return {name: {**option, "fallback": (_variable, [f"VCC_{name.upper()}"])} for name, option in spec.items()}


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise AnsibleFallbackNotFound
    return value


def without_blanks(spec: Spec, args: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the options of a task without those that are empty or null. Required options stay.

    An empty journal in a task means no journal. An empty id is a mistake, unless another option names the interactions.
    """
    kept: dict[str, t.Any] = {}
    for name, value in args.items():
        option = spec.get(name, {"required": True})  # so that Ansible refuses an unknown option
        if option.get("required") or (name == "journal" and value == ""):
            pass
        elif value is None or value == "":
            continue
        elif "options" in option:
            value = _without_nested_blanks(option["options"], value)
        kept[name] = value
    if "external_id" in args and not any(name in kept for name in SOURCES):
        kept["external_id"] = args["external_id"]
    return kept


def _without_nested_blanks(spec: Spec, value: t.Any) -> t.Any:
    if isinstance(value, t.Mapping):
        kept = without_blanks(spec, value)
        # An empty request id is a mistake if the interaction has no other id, because nothing would identify a second dispatch.
        if "request_id" in value and not kept.get("external_id"):
            kept["request_id"] = value["request_id"]
        return kept
    return [_without_nested_blanks(spec, each) for each in value] if isinstance(value, (list, tuple)) else value


def from_environment(spec: Spec, args: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return the environment variables that set options, by the names of the options."""
    found: dict[str, str] = {}
    for name, option in spec.items():
        if "fallback" in option and name not in args:
            (variable,) = option["fallback"][1]
            if os.environ.get(variable):
                found[name] = variable
    return found


def with_defaults(spec: Spec, args: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the options of ``without_blanks`` with those from the environment and the default journal. Raises InputError for an invalid variable or path."""
    variables = from_environment(spec, args)
    settings = dict(args)
    set_fallbacks(spec, settings)
    if str(settings.get("journal", "")).lower() == NONE:
        settings["journal"] = ""
    try:
        for name in variables:
            if settings[name]:
                _check_variable(name, spec[name], settings[name])
        for name, option in spec.items():
            if option.get("type") == "path" and isinstance(settings.get(name), str):
                _check_path(name, settings[name])
        if "journal" in spec and isinstance(settings.get("journal"), str):
            settings["journal"] = _location(settings["journal"])
    except InputError as exc:
        raise InputError(name_variables(str(exc), variables)) from None
    if "journal" in spec and "journal" not in settings:
        settings["journal"] = _default_journal(spec["journal"]["default"])
    return settings


def _location(journal: str) -> str:
    """Return the URL of a journal unchanged, or its path with ``~`` and variables expanded. Raises InputError."""
    check_scheme(journal)
    if is_url(journal):
        return journal
    _check_path("journal", journal)
    return _expanded(journal)


def name_variables(message: str, variables: t.Mapping[str, str]) -> str:
    """Return the message of a failure. If it is about an option from the environment, put the name of the variable before it."""
    for name, variable in variables.items():
        # "journal ..." and "The token cache ..."
        if re.match(rf"(The )?{name.replace('_', '[ _]')}\b", message):
            return f"{place(variable)}: {message}"
    return message


def journal_path(params: t.Mapping[str, t.Any]) -> str:
    """Return the path of the journal for a module that needs one. Raises InputError if the task has none."""
    path: str = params["journal"]
    if not path:
        raise InputError(
            "journal is empty or none, but this module needs a journal: set it to the path of a journal, or to the URL of a database."
        )
    check_paths(params)
    return path


def _check_variable(name: str, option: t.Mapping[str, t.Any], value: str) -> None:
    """Raise InputError for an invalid value of a variable, because Ansible's message would name an option that the task does not set."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name} is not valid Unicode: write it in UTF-8.") from None
    if name == "journal" and (is_url(value) or has_scheme(value)):
        return
    other = f"not {value!r:.60}"
    if option["type"] == "int" and not re.fullmatch(r"[+-]?[0-9]{1,20}", value.strip()):
        raise InputError(f"{name} must be a whole number, {other}.")
    if option["type"] == "bool":
        try:
            boolean(value)
        except TypeError:
            raise InputError(f"{name} must be true or false, {other}.") from None
    choices = option.get("choices")
    if choices and value not in choices:
        raise InputError(f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}, {other}.")
    if (option["type"] == "path" or name == "journal") and not os.path.isabs(_expanded(value)):
        raise InputError(
            f"{name} must be an absolute path, {other}: a relative path begins in a folder that depends on how the task is run."
        )


def _check_path(name: str, path: str) -> None:
    """Raise InputError for a path with an unknown user or variable, because Ansible would use it in the current folder."""
    if path.startswith(("~", "$")) and not os.path.isabs(_expanded(path)):
        raise InputError(
            f"{name} {path!r:.200} does not lead to an absolute path on {os.uname().nodename}: "
            "it names a user or a variable that is not known there. Write the absolute path."
        )


def _default_journal(path: str) -> str:
    if os.path.isabs(_expanded(path)):
        return _expanded(path)
    home = _expanded(os.environ.get("ANSIBLE_HOME", ""))
    if os.path.isabs(home):
        return os.path.join(home, "vonage_vcc", "journal.db")
    raise InputError(
        f"The journal has no path: this user has no home folder on {os.uname().nodename}, and HOME is not set there. "
        "Set journal, VCC_JOURNAL, HOME or ANSIBLE_HOME to an absolute path."
    )


def _expanded(path: str) -> str:
    return os.path.expanduser(os.path.expandvars(path))


# The connection and auth options of every module: their environment variables are VCC_ and the option's name in capitals.
CONNECTION_SPEC = with_environment(
    {
        "region": {"type": "str", "choices": list(REGIONS)},
        "domain": {"type": "str", "default": DOMAIN},
        "api_url": {"type": "str"},
        "auth_url": {"type": "str"},
        "account": {"type": "str"},
        "client_id": {"type": "str"},
        "client_secret": {"type": "str", "no_log": True},
        "access_token": {"type": "str", "no_log": True},
        "token_cache": {"type": "path", "no_log": False},
        "validate_certs": {"type": "bool", "default": True},
        "ca_path": {"type": "path"},
        "timeout": {"type": "int", "default": 30},
        "retries": {"type": "int", "default": 5},
        "requests_per_minute": {"type": "int"},
    }
)

JOURNAL_SPEC = with_environment({"journal": {"type": "str", "default": "~/.ansible/vonage_vcc/journal.db"}})

# The option idempotency_key of the tasks that dispatch or release.
KEY_SPEC = with_environment({"idempotency_key": {"type": "str", "no_log": False}})

# The option reason of the tasks that dispatch or release.
REASON_SPEC = with_environment({"reason": {"type": "str"}})

# The option progress of vcc_interaction, which only the action plugin uses.
PROGRESS_SPEC = with_environment({"progress": {"type": "bool", "default": True}})

_LINKED_DATA: dict[str, t.Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "type": {"type": "str", "required": True},
        "value": {"type": "str", "required": True},
        "label": {"type": "str"},
        "owner": {"type": "str"},
        "key": {"type": "str", "no_log": False},
    },
}

_ROUTING_DATA: dict[str, t.Any] = {
    "type": "dict",
    "options": {
        "interaction_type": {"type": "str", "choices": ["live", "nonlive", "chat"]},
        "personal_queue": {
            "type": "dict",
            "options": {
                "agent": {"type": "str", "required": True},
                "logged_in_timeout": {"type": "int"},
                "logged_out_timeout": {"type": "int"},
            },
        },
        "skills": {
            "type": "list",
            "elements": "dict",
            "options": {"name": {"type": "str", "required": True}, "expiry_after": {"type": "int"}},
        },
    },
}

# The data of an interaction that is dispatched.
DATA_SPEC = {"linked_data": _LINKED_DATA, "routing_data": _ROUTING_DATA}

# The exceptions of Ansible's own check for a value that it cannot convert, and the message if that value is not known.
CONVERSION_ERRORS = (OverflowError, TypeError, UnicodeEncodeError)

CONVERSION_FAILED = "An option has an infinite number, such as inf, or another value where a dictionary must be: check the numbers and the dictionaries."


def validated(validator: ArgumentSpecValidator, args: t.Mapping[str, t.Any]) -> ValidationResult:
    """Let Ansible check the options that are set. Raises InputError for a value that ends Ansible's check with a Python error."""
    args = with_defaults(validator.argument_spec, without_blanks(validator.argument_spec, args))
    try:
        return validator.validate(args)
    except CONVERSION_ERRORS:
        check_types(validator.argument_spec, args)
        raise InputError(CONVERSION_FAILED) from None


@functools.lru_cache(None)
def _data_validator() -> ArgumentSpecValidator:
    return ArgumentSpecValidator(DATA_SPEC)


def validated_data(position: str, fields: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """Return linked_data and routing_data of an object in a file, checked as the options of a task are. Raises InputError."""
    given = {name: fields[name] for name in DATA_SPEC if fields.get(name) not in (None, "")}
    if not given:
        return None
    check_types(DATA_SPEC, given, f"{position}: ")
    check_texts(DATA_SPEC, given, f"{position}: ")
    try:
        validation = validated(_data_validator(), given)
    except InputError as exc:
        raise InputError(f"{position}: {exc}") from None
    if validation.error_messages:
        raise InputError(f"{position}: {shown(validation.error_messages[0])}.")
    data: dict[str, t.Any] = validation.validated_parameters
    check_data(f"{position}: ", data)
    return {name: data[name] for name in given}

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection of a task to VCC: hosts, URLs and credentials."""

from __future__ import annotations

import re
import typing as t

from ._errors import InputError
from ._paths import check_paths
from ._text import place, shown, without_user
from ._validation import check_number, check_token, checked_url

REGIONS = ("emea", "nam", "apac")

DOMAIN = "newvoicemedia.com"

# The hosts of the release guide, and the newer ones of the API reference.
TOKEN_URL = "https://{region}.{domain}/Auth/connect/token"

API_URL = "https://{region}.api.{domain}"

# The longest timeout, in seconds.
LONGEST_TIMEOUT = 3600

# The warning of every module if validate_certs is false.
UNVERIFIED = "validate_certs is false: anyone on the network path to VCC can read the token and change the calls."

# For messages: how users of the playbooks set an option.
IN_PLAYBOOKS = "The playbooks of the collection take each option as a variable, such as vcc_region or vcc_client_id."


class Connection(t.NamedTuple):
    """The URLs, account and credentials of calls to VCC. Tasks with equal connections can share a client and its token."""

    api_url: str
    auth_url: str | None
    account: str
    client_id: str | None
    client_secret: str | None
    access_token: str | None
    token_cache: str | None
    verify: bool | str
    timeout: int
    retries: int
    requests_per_minute: int | None

    @classmethod
    def from_params(cls, params: t.Mapping[str, t.Any]) -> Connection:
        """Return the connection of a task, from its validated options. Raises InputError."""
        api_url = _api_url(params)
        region = params["region"]
        auth_url = params["auth_url"] or (TOKEN_URL.format(region=region, domain=params["domain"]) if region else None)
        client_id, client_secret, access_token = (
            params[name] or None for name in ("client_id", "client_secret", "access_token")
        )
        _check_credentials(client_id, client_secret, access_token, auth_url)
        check_number(params, "timeout", 1, LONGEST_TIMEOUT)
        check_number(params, "retries", 0)
        check_number(params, "requests_per_minute", 1)
        check_paths(params)
        ca_path = params["ca_path"]
        return cls(
            api_url=api_url,
            auth_url=checked_url("auth_url", auth_url) if auth_url else None,
            account=_account(params),
            client_id=client_id,
            client_secret=client_secret,
            access_token=access_token,
            token_cache=params["token_cache"] or None,
            verify=(ca_path or True) if params["validate_certs"] else False,
            timeout=params["timeout"],
            retries=params["retries"],
            requests_per_minute=params["requests_per_minute"],
        )

    @property
    def secrets(self) -> set[str]:
        """Return the texts that no output may contain."""
        return {secret for secret in (self.client_secret, self.access_token) if secret}


def journal_scope(params: t.Mapping[str, t.Any]) -> tuple[str, str]:
    """Return the API URL and the account, which separate the rows of a journal. Needs no credentials. Raises InputError."""
    return _api_url(params), _account(params)


def _account(params: t.Mapping[str, t.Any]) -> str:
    return params["account"] or params["client_id"] or ""


def _api_url(params: t.Mapping[str, t.Any]) -> str:
    region, domain = params["region"], params["domain"]
    if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", domain):
        raise InputError(f"domain must be a host name such as {DOMAIN}, not '{shown(without_user(domain))}'.")
    api_url = params["api_url"] or (API_URL.format(region=region, domain=domain) if region else None)
    if not api_url:
        raise InputError(
            f"The region of the VCC account is missing: set region (emea, nam or apac) or {place('VCC_REGION')}, where the task runs, "
            f"or else api_url and auth_url. {IN_PLAYBOOKS}"
        )
    return checked_url("api_url", api_url)


def _check_credentials(
    client_id: str | None, client_secret: str | None, access_token: str | None, auth_url: str | None
) -> None:
    """Raise InputError for credentials that are incomplete or cannot be sent."""
    if bool(client_id) != bool(client_secret) and not access_token:
        missing = "client_secret" if client_id else "client_id"
        raise InputError(
            f"{missing} is missing: set it or {place('VCC_' + missing.upper())}, where the task runs; the client credentials need both. "
            f"{IN_PLAYBOOKS}"
        )
    if not client_secret and not access_token:
        raise InputError(
            "The credentials are missing: set client_id and client_secret "
            f"(or {place('VCC_CLIENT_ID and VCC_CLIENT_SECRET')}, where the task runs), or access_token. {IN_PLAYBOOKS}"
        )
    if client_id and client_secret and not auth_url:
        raise InputError(
            "auth_url is missing: set it or region, because api_url alone does not say where to get tokens."
        )
    if access_token:
        try:
            check_token(access_token)
        except ValueError:
            raise InputError("access_token has a character that no token has: check how it was copied.") from None

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQL of request ids in PostgreSQL: those that are kept without a row, and the uses of all."""

from __future__ import annotations

# ruff: noqa: S608 -- queries are built from constants alone
import typing as t

from .claim_ids import claim_of
from .postgresql_rows import KEY, Statement, column, joined, key_of
from .store import Scope

# The parameters: scope, action, time, whether they are unanswered, and the columns of pairs.
KEEP = f"""
INSERT INTO vcc_journal.custom_request AS kept (scope, request_id, external_id, action, requested_at, unanswered)
SELECT %s, request_id, external_id, %s, %s, %s FROM unnest({column()}, {column(null="''")}) AS new (request_id, external_id)
ON CONFLICT (scope, request_id) DO UPDATE SET unanswered = false WHERE kept.unanswered AND NOT excluded.unanswered
"""

# The parameters: the columns of pairs, scope and action.
FORGET = f"""
DELETE FROM vcc_journal.custom_request WHERE ctid = ANY (ARRAY(
    SELECT used.ctid FROM unnest({column()}, {column(null="''")}) AS gone (request_id, external_id)
    CROSS JOIN LATERAL (
        SELECT ctid FROM vcc_journal.custom_request
        WHERE scope = %s AND action = %s AND request_id = gone.request_id AND external_id IS NOT DISTINCT FROM gone.external_id LIMIT 1
    ) AS used
))
"""

_USES = """
SELECT wanted.request_id, used.scope, {external_id}, used.action, {processed}, coalesce(now.accepted_at, now.requested_at), {unanswered}
FROM {wanted} CROSS JOIN LATERAL (SELECT * FROM {table} LIMIT 100) AS used JOIN vcc_journal.scope AS scope ON scope.id = used.scope
LEFT JOIN vcc_journal.interaction AS now ON (now.scope, now.external_id, now.action) = (used.scope, {key}, used.action)
WHERE (scope.api_url, scope.account) = (%s, %s)
"""


def statements_of_uses(request_ids: t.Sequence[str], scope: Scope) -> tuple[dict[str, str], list[Statement]]:
    """Return the request ids by their keys in an index, and the statements that find their uses in all scopes of an API and an account.

    The rows of the statements have such a key or a request id, the id of a scope, and the fields of a ``Use`` from ``external_id`` on.
    """
    keys = {key_of(request_id): request_id for request_id in request_ids}
    claims = [(claim, each) for each in request_ids for claim in [claim_of(each)] if claim is not None]
    row = "coalesce(used.long_external_id, used.external_id)"
    one = f"unnest({column()}) AS wanted (request_id)"
    two = f"unnest({column('bigint')}, {column()}) AS wanted (id, request_id)"
    here = (scope.api_url, scope.account)
    statements: list[Statement] = [
        (
            _USES.format(
                external_id="used.external_id",
                key=KEY.format("used.external_id"),
                processed="true",
                unanswered="used.unanswered",
                wanted=f"{one} CROSS JOIN (SELECT id FROM vcc_journal.scope WHERE (api_url, account) = (%s, %s)) AS any_scope",
                table="vcc_journal.custom_request WHERE (scope, request_id) = (any_scope.id, wanted.request_id)",
            ),
            (joined(keys), *here, *here),
        ),
        (
            _USES.format(
                external_id=row,
                key="used.external_id",
                processed="false",
                unanswered="false",
                wanted=two,
                table="vcc_journal.interaction WHERE id = wanted.id AND interaction.request_id = wanted.request_id",
            ),
            (joined(str(claim) for claim, each in claims), joined(each for claim, each in claims), *here),
        ),
        (
            _USES.format(
                external_id=row,
                key="used.external_id",
                processed="false",
                unanswered="false",
                wanted=one,
                table="vcc_journal.interaction WHERE id & 1 = 1 AND interaction.request_id = wanted.request_id",
            ),
            (joined(request_ids), *here),
        ),
    ]
    return keys, statements

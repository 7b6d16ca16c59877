# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store in a PostgreSQL database: the SQL of rows, custom request ids, registrations and notifications.

A change is a compare-and-swap in a statement of its own, so no lock is held across a turn on the wire. Every piece of work can be repeated: the ids of
the rows that it writes tell whether an attempt whose answer was lost has taken effect. Locks are taken in the order of the external ids for new rows,
and of the ids for others, so that sessions do not deadlock.

A column of values goes over the wire as one text, which psycopg handles much quicker than an array. No id has the character that divides them. A value
that all new rows have in common goes over the wire once.
"""

from __future__ import annotations

# ruff: noqa: S608 -- queries are put together from constants alone
import contextlib
import hashlib
import operator
import time
import typing as t

with contextlib.suppress(ImportError):  # ``backends`` reports it
    import psycopg

from .._errors import JournalError
from .claim_ids import claim_of
from .postgresql_connection import LONG_ANSWER_TIMEOUT, PostgresqlConnection, pipeline
from .postgresql_schema import (
    SCHEMA_VERSION,
    check_facts,
    create_schema,
    grant,
    make_scope,
    read_facts,
    roles_without_rights,
)
from .store import Change, Exchanged, Query, Registered, Row, Scope, Store, Use

_DIVIDER = "\x1f"

# The longest text, in bytes of UTF-8, that an index takes as it is. An entry of an index has at most 2,704 bytes.
_LONGEST_KEY = 2000

# No id begins with this.
_HASHED = "\x01"

# The SQL of ``key_of``.
_KEY = f"""
CASE WHEN octet_length({{0}}) <= {_LONGEST_KEY} THEN {{0}} ELSE E'\\x01' || encode(sha256(convert_to({{0}}, 'UTF8')), 'hex') END
"""

# How often in succession changes may fail to take effect. Other processes never come first so often, but a trigger or a policy may.
ATTEMPTS = 100

# Rows that a block of pruning looks at.
_BLOCK = 10_000

# The planner must use the indexes even before it has statistics, and in their order, in which rows are locked. A claim must survive a crash of the server.
# A time that is read has all its digits, because it is compared when the row is replaced.
# The end of a transaction need not be durable if that of a later one, in the same turn, makes it so. Where a middlebox forgets a connection in the
# middle of a transaction, the server must let go of its locks before the next attempt gives up.
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_SETTINGS = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
    set_config('extra_float_digits', '3', true),
    set_config('idle_in_transaction_session_timeout', '15s', true), set_config('synchronous_commit', {commit}, true)
"""
_DURABLE = _SETTINGS.format(
    commit="CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END"
)
_DURABLE_LATER = _SETTINGS.format(commit="'off'")
_COMMIT = "COMMIT"


def _column(kind: str = "text", null: str = "NULL") -> str:
    """Return the SQL of a column of values that is a parameter."""
    cast = "" if kind == "text" else f"::{kind}[]"
    return f"string_to_array(%s, E'\\x1f', {null}){cast}"


_NEW_COLUMNS = "id, external_id, long_external_id, action, request_id, requested_at, accepted_at"
_NEW = ", ".join(
    [
        _column("bigint"),
        _column(),
        _column(null="''"),
        _column(),
        _column(),
        _column("double precision"),
        _column("double precision", "''"),
    ]
)

# The columns of new rows, with the values that all of them have in common.
_VALUES = (
    "new.id, new.external_id, new.long_external_id, coalesce(new.action, %s), new.request_id, coalesce(new.requested_at, %s),"
    " new.accepted_at"
)

_ROWS = f"""
SELECT string_agg(row.id::text, E'\\x1f'), string_agg(wanted.external_id, E'\\x1f'), string_agg(row.action, E'\\x1f'),
    string_agg(row.request_id, E'\\x1f'), string_agg(row.requested_at::text, E'\\x1f'), string_agg(coalesce(row.accepted_at::text, ''), E'\\x1f')
FROM unnest({_column()}) AS wanted (external_id)
CROSS JOIN LATERAL (
    SELECT * FROM vcc_journal.interaction WHERE scope = %s AND external_id = wanted.external_id LIMIT 1
) AS row
"""

_INSERT = f"""
WITH put AS (
    INSERT INTO vcc_journal.interaction (scope, {_NEW_COLUMNS})
    SELECT %s, {_VALUES} FROM unnest({_NEW}) AS new ({_NEW_COLUMNS}) ORDER BY new.external_id COLLATE "C"
    ON CONFLICT DO NOTHING RETURNING id
)
SELECT string_agg(id::text, E'\\x1f') FROM put
"""

# The rows that are still as they were seen, locked in the order of their ids.
_LOCKED = f"""
seen AS MATERIALIZED (
    SELECT * FROM unnest({_column("bigint")}, {_column("double precision", "''")}, {{new}}) AS seen (seen_id, seen_accepted_at, {{columns}})
),
locked AS MATERIALIZED (
    SELECT row.id AS locked_id FROM vcc_journal.interaction AS row, seen
    WHERE row.id = seen_id AND row.accepted_at IS NOT DISTINCT FROM seen_accepted_at ORDER BY row.id FOR UPDATE OF row
)
"""

_UPDATE = f"""
WITH {_LOCKED.format(new=_NEW, columns=_NEW_COLUMNS)},
put AS (
    UPDATE vcc_journal.interaction AS row SET ({_NEW_COLUMNS}) = ROW ({_VALUES})
    FROM locked JOIN seen AS new ON seen_id = locked_id WHERE row.id = locked_id RETURNING seen_id
)
SELECT string_agg(seen_id::text, E'\\x1f') FROM put
"""

_DELETE = f"""
WITH {_LOCKED.format(new=_column("bigint"), columns="ignored")},
gone AS (DELETE FROM vcc_journal.interaction AS row USING locked WHERE row.id = locked_id RETURNING row.id)
SELECT string_agg(id::text, E'\\x1f') FROM gone
"""

_THERE = f"""
SELECT string_agg(row.id::text, E'\\x1f') FROM unnest({_column("bigint")}) AS wanted (id)
CROSS JOIN LATERAL (SELECT id FROM vcc_journal.interaction WHERE id = wanted.id LIMIT 1) AS row
"""

_MARK = "UPDATE vcc_journal.interaction SET accepted_at = %s WHERE id BETWEEN %s AND %s"

_TIME = "coalesce(accepted_at, requested_at)"

# The interactions of all scopes, or those with some ids, which are found by their index in each scope.
_ALL = "vcc_journal.scope AS scope JOIN vcc_journal.interaction AS row ON row.scope = scope.id"
_WANTED = """
unnest(string_to_array(%(external_ids)s, E'\\x1f')) AS wanted (external_id) CROSS JOIN vcc_journal.scope AS scope
CROSS JOIN LATERAL (
    SELECT * FROM vcc_journal.interaction AS known WHERE known.scope = scope.id AND known.external_id = wanted.external_id LIMIT 1
) AS row
"""

_MATCHING = f"""
FROM (
    SELECT row.*, api_url, account, provider, {_TIME} AS time,
        CASE WHEN accepted_at IS NULL THEN 'pending' WHEN action = 'release' THEN 'released' ELSE 'dispatched' END AS state
    FROM {{known}}
) AS known
WHERE (%(provider)s::text IS NULL OR provider = %(provider)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(before)s::double precision IS NULL OR time <= %(before)s)
    AND (%(after)s::double precision IS NULL OR time > %(after)s)
"""

# What is pruned of a table: its key, and the time of a row.
_OLD = {
    "interactions": ("interaction", "id", _TIME),
    "notifications": ("notification", "scope, id", "recorded_at"),
    "request_ids": ("custom_request", "scope, request_id", "requested_at"),
}


# A statement and its values.
_Statement = tuple[str, t.Sequence[t.Any]]


class PostgresqlStore(Store):
    """The rows of one scope in a PostgreSQL database; without a scope, only what a store says of all scopes."""

    remote = True

    def __init__(self, url: str, scope: Scope | None, dry_run: bool = False) -> None:
        self._connection = PostgresqlConnection(url)
        self.location = self._connection.location
        self.created = False
        self._scope: int | None = None
        self._attempts = 0
        try:
            key = key_of(_DIVIDER.join(scope or ()))
            facts = self._connection.run(lambda db, again: read_facts(db, key))
            self._offset = facts.time - time.monotonic()
            check_facts(self.location, facts, dry_run, is_needed=scope is not None)
            self._version: int | None = facts.version
            # Check mode predicts what a run does.
            self.created = facts.version is None and dry_run
            if facts.version is None and not dry_run and scope is not None:
                self._create()
            if scope is not None and self._version is not None:
                self._key = scope
                self._scope = facts.scope
                if self._scope is None and not dry_run:
                    self._scope = self._connection.run(lambda db, again: make_scope(db, key, scope))
        except BaseException:
            self.close()
            raise

    def _create(self) -> None:
        # Of an attempt whose answer was lost, nobody knows whether it has made it.
        self.created = self._connection.run(lambda db, again: create_schema(db) or again) or self.created
        self._version = SCHEMA_VERSION

    def set_up(self, roles: list[str], dry_run: bool) -> tuple[bool, list[str]]:
        """Make the schema if there is none, and let roles read and write it, or with ``dry_run`` do nothing.

        Return whether there was none, and which roles could not.
        """
        is_missing = self._version is None
        if is_missing and not dry_run:
            check_facts(self.location, self._connection.run(lambda db, again: read_facts(db)), dry_run, is_needed=True)
            self._create()
        without = self._connection.run(lambda db, again: roles_without_rights(db, roles))
        if without and not dry_run:
            self._connection.run(lambda db, again: grant(db, without))
        return is_missing, without

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def clock(self) -> float:
        """Return the time of the server, in seconds of the epoch."""
        return float(self._offset + time.monotonic())

    def transaction(self) -> t.ContextManager[None]:
        """Return a context that does nothing: each change stands alone."""
        return contextlib.nullcontext()

    def rows(self, external_ids: t.Sequence[str]) -> dict[str, Row]:
        """Return the rows of interactions by their external ids; an interaction without a row is missing."""
        return self.exchange(look_up=external_ids).rows

    def check(self, external_ids: t.Sequence[str]) -> None:
        """Do nothing: the server looks after its pages."""

    def has_claims(self, first: int, last: int) -> bool:
        """Return False, since a claim with the id of another one loses like any other."""
        return False

    def swap(self, changes: t.Sequence[Change]) -> list[bool]:
        """Replace each row that is still the one that was seen. Return for each change whether it took effect."""
        return self.exchange(changes=changes).done

    def mark(self, first: int, last: int, accepted_at: float) -> int:
        """Mark all rows with an id from ``first`` to ``last`` as accepted, and return how many there are."""
        return self.exchange([(first, last)], accepted_at).marked

    def exchange(
        self,
        marks: t.Sequence[tuple[int, int]] = (),
        accepted_at: float = 0.0,
        changes: t.Sequence[Change] = (),
        look_up: t.Sequence[str] = (),
    ) -> Exchanged:
        """Mark rows as accepted, each run of them by its first and last id; replace rows; and look other rows up: in one turn on the wire."""
        if self._scope is None or not (marks or changes or look_up):
            return Exchanged(0, [], {})
        swap = _Swap(self._scope, changes)
        wanted = {key_of(external_id): external_id for external_id in look_up}
        mark_rows: list[_Statement] = [(_MARK, (accepted_at, *mark)) for mark in marks]
        look_up_rows: list[_Statement] = [(_ROWS, (_joined(wanted), self._scope))] if wanted else []

        def work(db: t.Any, again: bool) -> Exchanged:
            with pipeline(db):
                marked = _in_transaction(db, mark_rows, _DURABLE_LATER if changes else _DURABLE)
                cursors = swap.send(db, look_up_rows)
            rows = _rows_of(cursors.pop(0).fetchone(), wanted) if wanted else {}
            written = _claims(cursors)
            if marks and changes and not written:
                # A transaction that writes nothing makes nothing durable.
                with pipeline(db):
                    marked = _in_transaction(db, mark_rows)
            return Exchanged(sum(each.rowcount for each in marked), swap.done(db, written, again), rows)

        exchanged: Exchanged = self._connection.run(work)
        if changes:
            self._count_attempt(any(exchanged.done))
        return exchanged

    def _count_attempt(self, has_taken_effect: bool) -> None:
        """Raise JournalError if changes fail to take effect again and again, because nobody would ever stop to repeat them."""
        self._attempts = 0 if has_taken_effect else self._attempts + 1
        if self._attempts >= ATTEMPTS:
            raise JournalError(
                f"The journal {self.location} cannot be used (its database has not taken a change at {ATTEMPTS} attempts): look for triggers and policies"
                " on the tables of the schema vcc_journal."
            )

    def uses(self, request_ids: t.Sequence[str]) -> list[Use]:
        """Return the uses of request ids in all scopes of the API and the account."""
        if self._scope is None or not request_ids:
            return []
        keys = {key_of(request_id): request_id for request_id in request_ids}
        claims = [(claim, each) for each in request_ids for claim in [claim_of(each)] if claim is not None]
        used = """
SELECT wanted.request_id, used.scope, {external_id}, used.action, {processed}, coalesce(now.accepted_at, now.requested_at)
FROM {wanted} CROSS JOIN LATERAL (SELECT * FROM {table} LIMIT 100) AS used JOIN vcc_journal.scope AS scope ON scope.id = used.scope
LEFT JOIN vcc_journal.interaction AS now ON (now.scope, now.external_id, now.action) = (used.scope, {key}, used.action)
WHERE (scope.api_url, scope.account) = (%s, %s)
"""
        row = "coalesce(used.long_external_id, used.external_id)"
        one = f"unnest({_column()}) AS wanted (request_id)"
        two = f"unnest({_column('bigint')}, {_column()}) AS wanted (id, request_id)"
        here = (self._key.api_url, self._key.account)
        statements = [
            (
                used.format(
                    external_id="used.external_id",
                    key=_KEY.format("used.external_id"),
                    processed="true",
                    wanted=f"{one} CROSS JOIN vcc_journal.scope AS any_scope",
                    table="vcc_journal.custom_request WHERE (scope, request_id) = (any_scope.id, wanted.request_id)",
                ),
                (_joined(keys), *here),
            ),
            (
                used.format(
                    external_id=row,
                    key="used.external_id",
                    processed="false",
                    wanted=two,
                    table="vcc_journal.interaction WHERE id = wanted.id AND interaction.request_id = wanted.request_id",
                ),
                (_joined(str(claim) for claim, each in claims), _joined(each for claim, each in claims), *here),
            ),
            (
                used.format(
                    external_id=row,
                    key="used.external_id",
                    processed="false",
                    wanted=one,
                    table="vcc_journal.interaction WHERE id & 1 = 1 AND interaction.request_id = wanted.request_id",
                ),
                (_joined(request_ids), *here),
            ),
        ]

        def work(db: t.Any, again: bool) -> list[Use]:
            with pipeline(db):
                found = _in_transaction(db, statements)
            return [
                Use(keys.get(request_id, request_id), scope == self._scope, external_id, action, processed, changed_at)
                for cursor in found
                for request_id, scope, external_id, action, processed, changed_at in cursor.fetchall()
            ]

        return t.cast("list[Use]", self._connection.run(work))

    def keep_request_ids(self, action: str, now: float, pairs: t.Iterable[tuple[str, str | None]]) -> None:
        """Keep custom request ids that VCC may have had, each with its external id."""
        found = sorted((key_of(request_id), external_id) for request_id, external_id in pairs)
        if not found:
            return
        query = f"""
INSERT INTO vcc_journal.custom_request (scope, request_id, external_id, action, requested_at)
SELECT %s, request_id, external_id, %s, %s FROM unnest({_column()}, {_column(null="''")}) AS new (request_id, external_id)
ON CONFLICT DO NOTHING
"""
        self._write(query, (self._scope, action, now, *_pairs(found)))

    def forget_request_ids(self, action: str, pairs: t.Iterable[tuple[str, str | None]]) -> None:
        """Forget custom request ids of which VCC has processed nothing, if they were kept for the same action of the same interaction."""
        found = sorted((key_of(request_id), external_id) for request_id, external_id in pairs)
        if not found:
            return
        query = f"""
DELETE FROM vcc_journal.custom_request AS used
USING unnest({_column()}, {_column(null="''")}) AS gone (request_id, external_id)
WHERE used.scope = %s AND used.action = %s AND used.request_id = gone.request_id AND used.external_id IS NOT DISTINCT FROM gone.external_id
"""
        self._write(query, (*_pairs(found), self._scope, action))

    def _write(self, query: str, values: t.Sequence[t.Any]) -> None:
        """Change rows in a transaction of its own, which does no more when it is repeated."""

        def work(db: t.Any, again: bool) -> None:
            with pipeline(db):
                _in_transaction(db, [(query, values)])

        self._connection.run(work)

    def registration(self) -> Registered | None:
        """Return how the provider of the scope is registered."""
        if self._scope is None:
            return None
        query = "SELECT key, settings, requested_at, accepted_at FROM vcc_journal.registration WHERE scope = %s"
        row = self._connection.run(lambda db, again: db.execute(query, (self._scope,)).fetchone())
        return Registered(bytes(row[0]), *row[1:]) if row else None

    def swap_registration(self, seen: bytes | None, registered: Registered | None) -> bool:
        """Replace the registration with the key that was seen, None for none. Return whether it was still there."""
        if registered is None:
            query = "DELETE FROM vcc_journal.registration WHERE scope = %s AND key = %s"
            values: tuple[t.Any, ...] = (self._scope, seen)
        elif seen is None:
            query = (
                "INSERT INTO vcc_journal.registration (scope, key, settings, requested_at, accepted_at) VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING"
            )
            values = (self._scope, *registered)
        else:
            query = "UPDATE vcc_journal.registration SET (key, settings, requested_at, accepted_at) = (%s, %s, %s, %s) WHERE scope = %s AND key = %s"
            values = (*registered, self._scope, seen)

        def work(db: t.Any, again: bool) -> bool:
            if seen is None and registered is None:
                return False
            with pipeline(db):
                (cursor,) = _in_transaction(db, [(query, values)])
            if cursor.rowcount or not again:
                return bool(cursor.rowcount)
            known = db.execute("SELECT key FROM vcc_journal.registration WHERE scope = %s", (self._scope,)).fetchone()
            return (bytes(known[0]) if known else None) == (registered.key if registered else None)

        return bool(self._connection.run(work))

    def recorded(self, notification_ids: t.Sequence[str]) -> set[str]:
        """Return which notifications are recorded."""
        keys = {key_of(notification_id): notification_id for notification_id in notification_ids}
        if self._scope is None or not keys:
            return set()
        query = f"""
SELECT wanted.id FROM unnest({_column()}) AS wanted (id)
CROSS JOIN LATERAL (SELECT 1 FROM vcc_journal.notification WHERE scope = %s AND id = wanted.id LIMIT 1) AS known
"""

        def work(db: t.Any, again: bool) -> set[str]:
            with pipeline(db):
                (cursor,) = _in_transaction(db, [(query, (_joined(keys), self._scope))])
            return {keys[key] for (key,) in cursor.fetchall()}

        return t.cast("set[str]", self._connection.run(work))

    def record(self, notification_ids: t.Sequence[str], now: float, changes: t.Sequence[Change] = ()) -> bool:
        """Record notifications and replace rows, all or nothing. Return whether it took effect: nothing of it has come in between."""
        keys = sorted(map(key_of, notification_ids))
        query = f"""
INSERT INTO vcc_journal.notification (scope, id, recorded_at) SELECT %s, id, %s FROM unnest({_column()}) AS new (id)
ON CONFLICT DO NOTHING
"""
        swap = _Swap(t.cast(int, self._scope), changes)

        def work(db: t.Any, again: bool) -> bool:
            with db.transaction() as transaction:
                db.execute(_DURABLE)
                recorded = db.execute(query, (self._scope, now, _joined(keys))).rowcount
                # What an attempt without an answer has recorded, it has recorded with its changes.
                if again and not recorded:
                    return True
                if recorded == len(keys) and all(swap.done(db, _claims(swap.execute(db)), False)):
                    return True
                raise psycopg.Rollback(transaction)
            return False

        has_taken_effect = bool(self._connection.run(work))
        self._count_attempt(has_taken_effect)
        return has_taken_effect

    def schema_version(self) -> int | None:
        """Return the version of the tables, None if there are none."""
        return self._version

    def description(self) -> dict[str, str | None]:
        """Return ``{"backend", "location", "host", "database"}``."""
        return {
            "backend": "postgresql",
            "location": self.location,
            "host": self._connection.host,
            "database": self._connection.database,
        }

    def counts(self) -> dict[str, int]:
        """Return how many interactions of all scopes are in which state, and how many registrations of providers are known."""
        names = ("released", "dispatched", "pending", "interactions", "providers")
        if self._version is None:
            return dict.fromkeys(names, 0)
        query = """
SELECT count(*) FILTER (WHERE accepted_at IS NOT NULL AND action = 'release'), count(*) FILTER (WHERE accepted_at IS NOT NULL AND action <> 'release'),
    count(*) FILTER (WHERE accepted_at IS NULL), count(*),
    (SELECT count(*) FROM vcc_journal.registration WHERE accepted_at IS NOT NULL)
FROM vcc_journal.interaction
"""
        row = self._connection.run(lambda db, again: db.execute(query).fetchone(), LONG_ANSWER_TIMEOUT)
        return dict(zip(names, row))

    def search(self, query: Query, limit: int, offset: int) -> tuple[list[tuple[Row, Scope]], int]:
        """Return a page of the rows of all scopes that match, the latest first, and how many match on all pages."""
        if self._version is None:
            return [], 0
        values: dict[str, t.Any] = query._asdict()
        matching = _MATCHING.format(known=_ALL if query.external_ids is None else _WANTED)
        if query.external_ids is not None:
            values["external_ids"] = _joined(sorted(set(map(key_of, query.external_ids))))
        values.update(limit=limit, offset=offset)
        page = (
            "SELECT id, coalesce(long_external_id, external_id) AS name, action, request_id, requested_at, accepted_at, api_url, account, provider"
            f" {matching} ORDER BY time DESC, name, api_url, account, provider LIMIT %(limit)s OFFSET %(offset)s"
        )

        def work(db: t.Any, again: bool) -> tuple[list[t.Any], int]:
            rows = db.execute(page, values).fetchall()
            return rows, db.execute(f"SELECT count(*) {matching}", values).fetchone()[0]

        rows, matched = self._connection.run(work, LONG_ANSWER_TIMEOUT)
        return [(Row(*row[:6]), Scope(*row[6:9])) for row in rows], matched

    def prune(self, before: float, dry_run: bool) -> dict[str, int]:
        """Delete what is of a time or older in all scopes, or with ``dry_run`` nothing. Return how many rows of each kind that is."""
        if self._version is None:
            return dict.fromkeys(_OLD, 0)
        prune = self._count_old if dry_run else self._delete_old
        return {name: prune(before, *old) for name, old in _OLD.items()}

    def _count_old(self, before: float, table: str, key: str, changed_at: str) -> int:
        query = f"SELECT count(*) FROM vcc_journal.{table} WHERE {changed_at} <= %s"
        count: int = self._connection.run(
            lambda db, again: db.execute(query, (before,)).fetchone()[0], LONG_ANSWER_TIMEOUT
        )
        return count

    def _delete_old(self, before: float, table: str, key: str, changed_at: str) -> int:
        """Delete the old rows of a table block by block, in the order of its key."""
        query = f"""
WITH block AS MATERIALIZED (SELECT {key} FROM vcc_journal.{table} {{beyond}} ORDER BY {key} LIMIT {_BLOCK}),
gone AS (
    DELETE FROM vcc_journal.{table} WHERE ({key}) IN (SELECT {key} FROM block) AND {changed_at} <= %s RETURNING 1
)
SELECT (SELECT count(*) FROM gone), {key} FROM (SELECT *, row_number() OVER (ORDER BY {key}) AS place FROM block) AS numbered WHERE place = {_BLOCK}
UNION ALL SELECT (SELECT count(*) FROM gone), {", ".join(["NULL"] * (key.count(",") + 1))} WHERE (SELECT count(*) FROM block) < {_BLOCK}
"""
        known = self._count_old(before, table, key, changed_at)
        deleted = 0
        is_lost = False
        place: tuple[t.Any, ...] = ()
        while True:
            beyond = f"WHERE ({key}) > ({', '.join(['%s'] * len(place))})" if place else ""
            statement, values = query.format(beyond=beyond), (*place, before)

            def work(db: t.Any, again: bool, statement: str = statement, values: t.Any = values) -> t.Any:
                with pipeline(db):
                    (cursor,) = _in_transaction(db, [(statement, values)])
                return again, *cursor.fetchone()

            again, count, *last = self._connection.run(work, LONG_ANSWER_TIMEOUT)
            deleted += int(count)
            is_lost = is_lost or again
            if last[0] is None:
                # A lost answer had a count too.
                return max(deleted, known - self._count_old(before, table, key, changed_at)) if is_lost else deleted
            place = tuple(last)


class _Swap:
    """Changes of rows, as statements: new rows, replaced rows and deleted rows each have one."""

    def __init__(self, scope: int, changes: t.Sequence[Change]) -> None:
        self._changes = changes
        new = [row for old, row in changes if row and old is None]
        replaced = [(old, row) for old, row in changes if old and row]
        deleted = [old for old, row in changes if old and row is None]
        self._statements: list[_Statement] = []
        if replaced:
            after = [row for old, row in replaced]
            self._statements.append(
                (_UPDATE, (*_seen(old for old, row in replaced), *_columns(after), *_in_common(after)))
            )
        if deleted:
            self._statements.append((_DELETE, (*_seen(deleted), "")))
        if new:
            self._statements.append((_INSERT, (scope, *_in_common(new), *_columns(new))))

    def send(self, db: t.Any, before: t.Sequence[_Statement]) -> list[t.Any]:
        """Send each statement in a transaction of its own into a pipeline, the first one behind those before; return all cursors."""
        first, rest = self._statements[:1], self._statements[1:]
        transactions = [[*before, *first], *([each] for each in rest)]
        return [cursor for statements in transactions for cursor in _in_transaction(db, statements)]

    def execute(self, db: t.Any) -> list[t.Any]:
        """Execute the statements in the transaction that is open; return their cursors."""
        return [db.execute(*statement) for statement in self._statements]

    def done(self, db: t.Any, written: set[int], again: bool) -> list[bool]:
        """Return for each change whether it took effect, also in an attempt whose answer was lost.

        Of a row that is deleted, nobody can tell who has deleted it: such a change has not taken effect then.

        :param written: the ids that the statements return.
        """
        done = [(old or row).claim in written if old or row else True for old, row in self._changes]  # type: ignore[union-attr]
        if again and not all(done):
            unsure = [row.claim for (dummy, row), ok in zip(self._changes, done) if row and not ok]
            there = _claims([db.execute(_THERE, (_joined(map(str, unsure)),))])
            done = [ok or bool(row and row.claim in there) for ok, (dummy, row) in zip(done, self._changes)]
        return done


def _in_transaction(db: t.Any, statements: t.Sequence[_Statement], settings: str = _DURABLE) -> list[t.Any]:
    """Send statements into a pipeline in a transaction of their own; return their cursors."""
    if not statements:
        return []
    db.execute(_BEGIN)
    db.execute(settings)
    cursors = [db.execute(query, values) for query, values in statements]
    db.execute(_COMMIT)
    return cursors


def key_of(text: str) -> str:
    """Return what an index has of a text: the text itself, or the hash of one that is too long."""
    if len(text) * 4 <= _LONGEST_KEY or len(text.encode()) <= _LONGEST_KEY:
        return text
    return _HASHED + hashlib.sha256(text.encode()).hexdigest()


def _joined(values: t.Iterable[str]) -> str:
    return _DIVIDER.join(values)


def _pairs(pairs: list[tuple[str, str | None]]) -> tuple[str, str]:
    """Return the columns of pairs of a request id and an external id."""
    return _joined(request_id for request_id, dummy in pairs), _joined(each or "" for dummy, each in pairs)


def _columns(rows: list[Row]) -> tuple[str, ...]:
    """Return the columns of rows; without those that ``_in_common`` has, and those that are empty."""
    claims, external_ids, actions, request_ids, requested_at, accepted_at = zip(*rows)
    keys = list(map(key_of, external_ids))
    is_long = any(map(operator.is_not, keys, external_ids))
    return (
        _joined(map(str, claims)),
        _joined(keys),
        _joined("" if key == name else name for key, name in zip(keys, external_ids)) if is_long else "",
        _joined(actions) if len(set(actions)) > 1 else "",
        _joined(request_ids),
        _joined(map(repr, map(float, requested_at))) if len(set(requested_at)) > 1 else "",
        "" if accepted_at.count(None) == len(rows) else _joined(map(_text_of, accepted_at)),
    )


def _in_common(rows: list[Row]) -> tuple[str, float]:
    """Return the action and the time that all rows have if their columns are empty."""
    return rows[0].action, rows[0].requested_at


def _seen(rows: t.Iterable[Row]) -> tuple[str, str]:
    """Return the columns that say how rows were seen."""
    found = list(rows)
    return _joined(str(row.claim) for row in found), _joined(_text_of(row.accepted_at) for row in found)


def _text_of(accepted_at: float | None) -> str:
    return "" if accepted_at is None else repr(float(accepted_at))


def _claims(cursors: t.Iterable[t.Any]) -> set[int]:
    """Return the ids in the results of statements, each of which is one text."""
    texts = [cursor.fetchone()[0] for cursor in cursors]
    return {int(claim) for text in texts if text for claim in text.split(_DIVIDER)}


def _rows_of(columns: t.Sequence[str | None], wanted: t.Mapping[str, str]) -> dict[str, Row]:
    """Return the rows in columns of text, by external id."""
    if columns[0] is None:
        return {}
    claims, keys, actions, request_ids, requested_at, accepted_at = (
        t.cast(str, text).split(_DIVIDER) for text in columns
    )
    names = [wanted[key] for key in keys]
    return dict(
        zip(
            names,
            map(
                Row,
                map(int, claims),
                names,
                actions,
                request_ids,
                map(float, requested_at),
                (float(each) if each else None for each in accepted_at),
            ),
        )
    )

# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of a journal in PostgreSQL: their SQL, and their transfer.

A column of values is transferred as one text, which psycopg handles much faster than an array. No id has the character that separates them. A value that
all new rows share is transferred once.
"""

from __future__ import annotations

# ruff: noqa: S608 -- queries are built from constants alone
import hashlib
import operator
import typing as t

from .postgresql_connection import LOCK_TIMEOUT, LONG_ANSWER_TIMEOUT, PostgresqlConnection, pipeline
from .store import CHUNK, Change, Row

DIVIDER = "\x1f"

# The longest text, in bytes of UTF-8, that goes into an index unchanged. An entry of an index has at most 2,704 bytes.
_LONGEST_KEY = 2000

# No id begins with this.
_HASHED = "\x01"

# The SQL of ``key_of``.
KEY = f"""
CASE WHEN octet_length({{0}}) <= {_LONGEST_KEY} THEN {{0}} ELSE E'\\x01' || encode(sha256(convert_to({{0}}, 'UTF8')), 'hex') END
"""

# The SQL that limits how long a transaction waits for a lock, unless the user sets a limit.
LIMIT_LOCKS = (
    "set_config('lock_timeout',"
    f" CASE current_setting('lock_timeout') WHEN '0' THEN '{LOCK_TIMEOUT}s' ELSE current_setting('lock_timeout') END, true)"
)

# Rows to fetch at once while all are read.
_AT_ONCE = 5 * CHUNK

# A statement and its values.
Statement = tuple[str, t.Sequence[t.Any]]

# The settings of each transaction:
# - enable_*: the planner must use the indexes even without statistics, and read them in order, because that is the order of the locks.
# - jit: with these settings, all statements seem so costly that the server would compile them, which takes longer than they do.
# - extra_float_digits: a time needs all its digits, because it is compared when the row is replaced.
# - search_path: no function or operator of another role may replace one of PostgreSQL.
# - idle_in_transaction_session_timeout: if a connection is lost within a transaction, its locks must end before the next attempt gives up.
# - synchronous_commit: a claim must survive a crash of the server. A commit need not be durable if a later one of the same round trip makes it so.
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_SETTINGS = f"""
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
    set_config('jit', 'off', true), set_config('extra_float_digits', '3', true),
    set_config('search_path', 'pg_catalog', true),
    set_config('idle_in_transaction_session_timeout', '15s', true), set_config('synchronous_commit', {{commit}}, true),
    {LIMIT_LOCKS}
"""
DURABLE = _SETTINGS.format(
    commit="CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END"
)
DURABLE_LATER = _SETTINGS.format(commit="'off'")
_COMMIT = "COMMIT"


def column(kind: str = "text", null: str = "NULL") -> str:
    """Return the SQL of a column of values that is a parameter."""
    cast = "" if kind == "text" else f"::{kind}[]"
    return f"string_to_array(%s, E'\\x1f', {null}){cast}"


_NEW_COLUMNS = "id, external_id, long_external_id, action, request_id, requested_at, accepted_at"
_NEW = ", ".join(
    [
        column("bigint"),
        column(),
        column(null="''"),
        column(),
        column(),
        column("double precision"),
        column("double precision", "''"),
    ]
)

# The columns of new rows, with the values that all of them share.
_VALUES = (
    "new.id, new.external_id, new.long_external_id, coalesce(new.action, %s), coalesce(new.request_id, ''), coalesce(new.requested_at, %s),"
    " new.accepted_at"
)

# A chunk of new interactions often lies in a gap between the rows, which is quick to check: the index orders texts as Python does.
ROWS = f"""
SELECT string_agg(row.id::text, E'\\x1f'), string_agg(wanted.external_id, E'\\x1f'), string_agg(row.action, E'\\x1f'),
    string_agg(row.request_id, E'\\x1f'), string_agg(row.requested_at::text, E'\\x1f'), string_agg(coalesce(row.accepted_at::text, ''), E'\\x1f')
FROM unnest({column()}) AS wanted (external_id)
CROSS JOIN LATERAL (
    SELECT * FROM vcc_journal.interaction WHERE scope = %s AND external_id = wanted.external_id LIMIT 1
) AS row
WHERE EXISTS (SELECT FROM vcc_journal.interaction AS any_row WHERE any_row.scope = %s AND any_row.external_id BETWEEN %s AND %s)
"""

_INSERT = f"""
WITH put AS (
    INSERT INTO vcc_journal.interaction (scope, {_NEW_COLUMNS})
    SELECT %s, {_VALUES} FROM unnest({_NEW}) AS new ({_NEW_COLUMNS}) ORDER BY new.external_id COLLATE "C"
    ON CONFLICT DO NOTHING RETURNING id
)
SELECT string_agg(id::text, E'\\x1f') FROM put
"""

# The rows that are still as they were seen, locked in the order of their ids. A row that another session has locked is about to be replaced. Waiting for it
# would lock its replacement, out of order.
_LOCKED = f"""
seen AS MATERIALIZED (
    SELECT * FROM unnest({column("bigint")}, {column("double precision", "''")}, {{new}}) AS seen (seen_id, seen_accepted_at, {{columns}})
),
locked AS MATERIALIZED (
    SELECT row.id AS locked_id FROM vcc_journal.interaction AS row, seen
    WHERE row.id = seen_id AND row.accepted_at IS NOT DISTINCT FROM seen_accepted_at ORDER BY row.id FOR UPDATE OF row SKIP LOCKED
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

# A pending row is deleted if VCC has processed nothing of it, so its custom request id is forgotten: in the same statement, because a missing row does not
# show whether an attempt with a lost answer has deleted it.
_DELETE = f"""
WITH {_LOCKED.format(new=column("bigint"), columns="ignored")},
gone AS (DELETE FROM vcc_journal.interaction AS row USING locked WHERE row.id = locked_id RETURNING row.*),
forgotten AS (
    DELETE FROM vcc_journal.custom_request AS used USING gone
    WHERE gone.accepted_at IS NULL AND (used.scope, used.request_id, used.action) = (gone.scope, {KEY.format("gone.request_id")}, gone.action)
        AND used.external_id = coalesce(gone.long_external_id, gone.external_id)
)
SELECT string_agg(id::text, E'\\x1f') FROM gone
"""

_EXISTING = f"""
SELECT string_agg(row.id::text, E'\\x1f') FROM unnest({column("bigint")}) AS wanted (id)
CROSS JOIN LATERAL (SELECT id FROM vcc_journal.interaction WHERE id = wanted.id LIMIT 1) AS row
"""

MARK = "UPDATE vcc_journal.interaction SET accepted_at = %s WHERE id BETWEEN %s AND %s"


class Swap:
    """Changes of rows as statements: one each for new, replaced and deleted rows."""

    def __init__(self, scope: int, changes: t.Sequence[Change]) -> None:
        self._changes = changes
        new = [row for old, row in changes if row and old is None]
        replaced = [(old, row) for old, row in changes if old and row]
        deleted = [old for old, row in changes if old and row is None]
        self._statements: list[Statement] = []
        if replaced:
            after = [row for old, row in replaced]
            self._statements.append(
                (_UPDATE, (*_seen(old for old, row in replaced), *_columns(after), *_shared_values(after)))
            )
        if deleted:
            self._statements.append((_DELETE, (*_seen(deleted), "")))
        if new:
            self._statements.append((_INSERT, (scope, *_shared_values(new), *_columns(new))))

    def send(self, db: t.Any, before: t.Sequence[Statement]) -> list[t.Any]:
        """Send each statement in a transaction of its own into a pipeline, the first one after those of ``before``; return all cursors."""
        first, rest = self._statements[:1], self._statements[1:]
        transactions = [[*before, *first], *([each] for each in rest)]
        return [cursor for statements in transactions for cursor in in_transaction(db, statements)]

    def execute(self, db: t.Any) -> list[t.Any]:
        """Execute the statements in the open transaction; return their cursors."""
        return [db.execute(*statement) for statement in self._statements]

    def done(self, db: t.Any, written: set[int], again: bool) -> list[bool]:
        """Return for each change whether it took effect, even in an attempt with a lost answer.

        A deletion in such an attempt counts as without effect, because it is not known which process has deleted the row.

        :param written: the ids that the statements return.
        """
        done = [(old or row).claim in written if old or row else True for old, row in self._changes]  # type: ignore[union-attr]
        if again and not all(done):
            unsure = [row.claim for (dummy, row), ok in zip(self._changes, done) if row and not ok]
            existing = claims_of([execute(db, _EXISTING, (joined(map(str, unsure)),))])
            done = [ok or bool(row and row.claim in existing) for ok, (dummy, row) in zip(done, self._changes)]
        return done


def in_transaction(db: t.Any, statements: t.Sequence[Statement], settings: str | None = None) -> list[t.Any]:
    """Send statements into a pipeline in a transaction of their own; return their cursors."""
    if not statements:
        return []
    db.execute(_BEGIN)
    db.execute(settings or DURABLE)
    cursors = [db.execute(query, values) for query, values in statements]
    db.execute(_COMMIT)
    return cursors


def execute(db: t.Any, query: str, values: t.Any = ()) -> t.Any:
    """Execute a statement in a transaction of its own, in one round trip; return its cursor."""
    with pipeline(db):
        (cursor,) = in_transaction(db, [(query, values)])
    return cursor


def number_of_rows(cursor: t.Any) -> int:
    """Return the number of rows that a statement has changed: the value of its only row, if it returns one."""
    return int(cursor.fetchone()[0] if cursor.description else cursor.rowcount)


def read_page(
    connection: PostgresqlConnection, page: str, counts: str, values: t.Any
) -> tuple[list[t.Any], tuple[int, int]]:
    """Return the rows of a query, and the only row of a second query, which counts the rows on all pages and the recent ones."""

    def work(db: t.Any, again: bool) -> tuple[list[t.Any], tuple[int, int]]:
        return execute(db, page, values).fetchall(), execute(db, counts, values).fetchone()

    found: tuple[list[t.Any], tuple[int, int]] = connection.run(work, LONG_ANSWER_TIMEOUT)
    return found


def read_all(
    connection: PostgresqlConnection,
    query: str,
    values: t.Any,
    make: t.Callable[[t.Any], t.Any],
    take: t.Callable[[t.Iterator[t.Any]], None],
) -> None:
    """Pass all rows of a query, converted by ``make``, to ``take``; again from the beginning if the connection was lost. Memory does not grow with them."""

    def work(db: t.Any, again: bool) -> None:
        with db.transaction():
            db.execute(DURABLE)
            with db.cursor("vcc_rows") as cursor:
                cursor.itersize = _AT_ONCE
                cursor.execute(query, values)
                take(map(make, cursor))

    connection.run(work, LONG_ANSWER_TIMEOUT)


def key_of(text: str) -> str:
    """Return the key of a text in an index: the text itself, or its hash if it is too long."""
    if len(text) * 4 <= _LONGEST_KEY or len(text.encode()) <= _LONGEST_KEY:
        return text
    return _HASHED + hashlib.sha256(text.encode()).hexdigest()


def joined(values: t.Iterable[str]) -> str:
    """Return a column of values as one text."""
    return DIVIDER.join(values)


def pairs_of(pairs: t.Iterable[tuple[str, str | None]]) -> tuple[str, str] | None:
    """Return the columns of pairs of a request id and an external id, in the order of locking; None for no pairs."""
    found = sorted((key_of(request_id), external_id or "") for request_id, external_id in pairs)
    if not found:
        return None
    return joined(request_id for request_id, dummy in found), joined(external_id for dummy, external_id in found)


def _columns(rows: list[Row]) -> tuple[str, ...]:
    """Return the columns of rows. A column is empty if ``_shared_values`` has its value, or if no row has a value."""
    claims, external_ids, actions, request_ids, requested_at, accepted_at = zip(*rows)
    keys = list(map(key_of, external_ids))
    is_long = any(map(operator.is_not, keys, external_ids))
    return (
        joined(map(str, claims)),
        joined(keys),
        joined("" if key == name else name for key, name in zip(keys, external_ids)) if is_long else "",
        joined(actions) if len(set(actions)) > 1 else "",
        joined(request_ids),
        joined(map(repr, map(float, requested_at))) if len(set(requested_at)) > 1 else "",
        "" if accepted_at.count(None) == len(rows) else joined(map(_text_of, accepted_at)),
    )


def _shared_values(rows: list[Row]) -> tuple[str, float]:
    """Return the action and the time that all rows share if these columns are empty."""
    return rows[0].action, rows[0].requested_at


def _seen(rows: t.Iterable[Row]) -> tuple[str, str]:
    """Return the columns with the ids and times of rows as they were seen."""
    found = list(rows)
    return joined(str(row.claim) for row in found), joined(_text_of(row.accepted_at) for row in found)


def _text_of(accepted_at: float | None) -> str:
    return "" if accepted_at is None else repr(float(accepted_at))


def claims_of(cursors: t.Iterable[t.Any]) -> set[int]:
    """Return the ids in the results of statements, each of which is one text."""
    texts = [cursor.fetchone()[0] for cursor in cursors]
    return {int(claim) for text in texts if text for claim in text.split(DIVIDER)}


def rows_of(columns: t.Sequence[str | None], wanted: t.Mapping[str, str]) -> dict[str, Row]:
    """Return the rows in columns of text, by external id."""
    if columns[0] is None:
        return {}
    claims, keys, actions, request_ids, requested_at, accepted_at = (
        t.cast(str, text).split(DIVIDER) for text in columns
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

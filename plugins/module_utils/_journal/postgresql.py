# Copyright (c) 2026 The vonage.vcc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store in a PostgreSQL database.

A change is a compare-and-swap in a statement of its own, so no lock outlasts a round trip. All work can be repeated: the ids of the rows that it writes
show whether an attempt with a lost answer has taken effect. New rows are locked in the order of their external ids, and others in the order of their ids, so
that sessions do not deadlock.
"""

from __future__ import annotations

# ruff: noqa: S608 -- queries are built from constants alone
import contextlib
import itertools
import random
import time
import typing as t

with contextlib.suppress(ImportError):  # ``backends`` reports it
    import psycopg

from .._errors import JournalError
from .postgresql_connection import PostgresqlConnection, pipeline
from .postgresql_history import History, statement_of_mark
from .postgresql_request_ids import FORGET, KEEP, statements_of_uses
from .postgresql_rows import (
    DIVIDER,
    DURABLE,
    DURABLE_LATER,
    MARK,
    ROWS,
    Statement,
    Swap,
    claims_of,
    column,
    execute,
    in_transaction,
    joined,
    key_of,
    number_of_rows,
    pairs_of,
    rows_of,
)
from .postgresql_schema import (
    EARLIER_VERSIONS,
    SCHEMA_VERSION,
    check_facts,
    check_roles,
    create_schema,
    grant,
    make_scope,
    may_grant,
    migrate,
    owns_tables,
    read_facts,
    roles_without_rights,
)
from .postgresql_search import COUNTED, PRUNED, AllScopes
from .store import (
    Attempt,
    Change,
    Ended,
    Exchanged,
    Found,
    PastOutcome,
    Query,
    Registered,
    Row,
    RunCounts,
    Scope,
    SetUp,
    Store,
    Use,
)

# The maximum number of consecutive exchanges without effect. Other processes never win so often, but a trigger or a policy may prevent every change.
ATTEMPTS = 100

# Seconds between two of these attempts, at most.
LONGEST_PAUSE = 0.5


class PostgresqlStore(Store):
    """The rows of one scope in a PostgreSQL database; without a scope, only the methods for all scopes work."""

    remote = True

    def __init__(self, url: str, scope: Scope | None, dry_run: bool = False) -> None:
        self._connection = PostgresqlConnection(url)
        self.location = self._connection.location
        self.created = False
        self._scope: int | None = None
        self._attempts = 0
        try:
            key = key_of(DIVIDER.join(scope or ()))
            self._facts = facts = self._connection.run(lambda db, again: read_facts(db, key))
            self._offset = facts.time - time.monotonic()
            check_facts(self.location, facts, dry_run, is_needed=scope is not None)
            self._version: int | None = facts.version
            # Check mode predicts that a run creates it.
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
        # An attempt with a lost answer may have created it.
        has_schema = self._facts.has_schema
        self.created = self._connection.run(lambda db, again: create_schema(db, has_schema) or again) or self.created
        self._version = SCHEMA_VERSION

    def set_up(self, roles: list[str], dry_run: bool) -> SetUp:
        """Create the schema if it is missing, bring it to this version, and let roles read and write it. With ``dry_run`` change nothing."""
        is_missing = self._version is None
        is_old = self._version in EARLIER_VERSIONS
        self._connection.run(lambda db, again: check_roles(db, roles))
        if is_missing:
            check_facts(self.location, self._facts, dry_run, is_needed=True)
        if is_missing and not dry_run:
            self._create()
        if is_old:
            self._migrate(dry_run)
        without = self._connection.run(lambda db, again: roles_without_rights(db, roles))
        # PostgreSQL only warns if a role may not grant a right.
        if without and self._version is not None and not self._connection.run(lambda db, again: may_grant(db)):
            raise JournalError(
                f"The journal {self.location} cannot be used by {', '.join(without)} (the role of its URL may not grant the rights): run the task as the"
                " owner of the schema vcc_journal."
            )
        if without and not dry_run:
            self._connection.run(lambda db, again: grant(db, without))
        return SetUp(is_missing, is_old, without)

    def _migrate(self, dry_run: bool) -> None:
        if not self._connection.run(lambda db, again: owns_tables(db)):
            raise JournalError(
                f"The journal {self.location} cannot be updated to this version (the role of its URL does not own its tables): run the task as the role"
                " that owns them."
            )
        if not dry_run:
            self._connection.run(lambda db, again: migrate(db))
            self._version = SCHEMA_VERSION

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def clock(self) -> float:
        """Return the time of the server, in seconds since the epoch."""
        return float(self._offset + time.monotonic())

    def transaction(self) -> t.ContextManager[None]:
        """Return a context that does nothing, because each change is separate."""
        return contextlib.nullcontext()

    def rows(self, external_ids: t.Sequence[str]) -> dict[str, Row]:
        """Return the rows of interactions by their external ids; an interaction without a row is missing."""
        return self.exchange(look_up=external_ids).rows

    def check(self, external_ids: t.Sequence[str]) -> None:
        """Do nothing: the server checks its pages when it reads them."""

    def has_claims(self, first: int, last: int) -> bool:
        """Return False: a claim with the id of another row takes no effect, like any lost claim."""
        return False

    def swap(self, changes: t.Sequence[Change]) -> list[bool]:
        """Replace each row that is still as it was seen. Return for each change whether it took effect."""
        return self.exchange(changes=changes).done

    def mark(self, first: int, last: int, accepted_at: float, attempt: Attempt | None = None) -> int:
        """Mark all rows with an id from ``first`` to ``last`` as accepted, and return their number."""
        return self.exchange([(first, last)], accepted_at, attempts=[attempt]).marked

    def exchange(
        self,
        marks: t.Sequence[tuple[int, int]] = (),
        accepted_at: float = 0.0,
        changes: t.Sequence[Change] = (),
        look_up: t.Sequence[str] = (),
        sent: t.Callable[[], object] | None = None,
        attempts: t.Sequence[Attempt | None] = (),
    ) -> Exchanged:
        """Mark rows as accepted, each series of them by its first and last id; replace rows; and look other rows up: in one round trip."""
        if self._scope is None or not (marks or changes or look_up):
            return Exchanged(0, [], {})
        swap = Swap(self._scope, changes)
        wanted = {key_of(external_id): external_id for external_id in look_up}
        mark_rows = [
            statement_of_mark(self._scope, first, last, accepted_at, attempt)
            if attempt
            else (MARK, (accepted_at, first, last))
            for (first, last), attempt in itertools.zip_longest(marks, attempts)
        ]
        look_up_rows: list[Statement] = (
            [(ROWS, (joined(wanted), self._scope, self._scope, min(wanted), max(wanted)))] if wanted else []
        )

        def work(db: t.Any, again: bool) -> Exchanged:
            with pipeline(db):
                marked = in_transaction(db, mark_rows, DURABLE_LATER if changes else DURABLE)
                cursors = swap.send(db, look_up_rows)
                if sent:
                    sent()
            rows = rows_of(cursors.pop(0).fetchone(), wanted) if wanted else {}
            written = claims_of(cursors)
            if marks and changes and not written:
                # The transaction that should make the marks durable has written nothing.
                with pipeline(db):
                    marked = in_transaction(db, mark_rows)
            return Exchanged(sum(map(number_of_rows, marked)), swap.done(db, written, again), rows)

        exchanged: Exchanged = self._connection.run(work)
        if changes:
            self._count_attempt(any(exchanged.done))
        return exchanged

    def _count_attempt(self, has_taken_effect: bool) -> None:
        """Wait a little after changes that have not taken effect, because the caller repeats them at once.

        Raises JournalError after ``ATTEMPTS`` of them, because the caller would repeat them forever.
        """
        self._attempts = 0 if has_taken_effect else self._attempts + 1
        if self._attempts >= ATTEMPTS:
            raise JournalError(
                f"The journal {self.location} cannot be used (changes had no effect in {ATTEMPTS} attempts): look for triggers and policies"
                " on the tables of the schema vcc_journal, and for a session that holds locks on them."
            )
        if self._attempts > 1:
            time.sleep(min(0.001 * 2**self._attempts, LONGEST_PAUSE) * random.uniform(0.5, 1.0))

    def uses(self, request_ids: t.Sequence[str]) -> list[Use]:
        """Return the uses of request ids in all scopes of the API and the account."""
        if self._version is None or not request_ids:
            return []
        keys, statements = statements_of_uses(request_ids, self._key)

        def work(db: t.Any, again: bool) -> list[Use]:
            with pipeline(db):
                found = in_transaction(db, statements)
            return [
                Use(keys.get(request_id, request_id), scope == self._scope, *use)
                for cursor in found
                for request_id, scope, *use in cursor.fetchall()
            ]

        return t.cast("list[Use]", self._connection.run(work))

    def keep_request_ids(
        self, action: str, now: float, pairs: t.Iterable[tuple[str, str | None]], unanswered: bool = False
    ) -> None:
        """Keep request ids that VCC may have received and that no row has, each with its external id.

        :param unanswered: whether VCC's answer is not known. A request id that is kept as answered stays so.
        """
        columns = pairs_of(pairs)
        if columns:
            values = (self._scope, action, now, unanswered, *columns)
            self._connection.run(lambda db, again: execute(db, KEEP, values))

    def forget_request_ids(self, action: str, pairs: t.Iterable[tuple[str, str | None]]) -> None:
        """Forget custom request ids of which VCC has processed nothing, if they were kept for the same action of the same interaction."""
        columns = pairs_of(pairs)
        if columns:
            self._connection.run(lambda db, again: execute(db, FORGET, (*columns, self._scope, action)))

    def registration(self) -> Registered | None:
        """Return how the provider of the scope is registered."""
        if self._scope is None:
            return None
        query = "SELECT key, settings, requested_at, accepted_at FROM vcc_journal.registration WHERE scope = %s"
        row = self._connection.run(lambda db, again: execute(db, query, (self._scope,)).fetchone())
        return Registered(bytes(row[0]), *row[1:]) if row else None

    def swap_registration(self, seen: bytes | None, registered: Registered | None) -> bool:
        """Replace the registration if its key is still ``seen``, None for no registration. Return whether it was."""
        if seen is None and registered is None:
            return False
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
            cursor = execute(db, query, values)
            if cursor.rowcount or not again:
                return bool(cursor.rowcount)
            known = execute(db, "SELECT key FROM vcc_journal.registration WHERE scope = %s", (self._scope,)).fetchone()
            return (bytes(known[0]) if known else None) == (registered.key if registered else None)

        return bool(self._connection.run(work))

    def recorded(self, notification_ids: t.Sequence[str]) -> set[str]:
        """Return which notifications are recorded."""
        keys = {key_of(notification_id): notification_id for notification_id in notification_ids}
        if self._scope is None or not keys:
            return set()
        query = f"""
SELECT wanted.id FROM unnest({column()}) AS wanted (id)
CROSS JOIN LATERAL (SELECT 1 FROM vcc_journal.notification WHERE scope = %s AND id = wanted.id LIMIT 1) AS known
"""

        def work(db: t.Any, again: bool) -> set[str]:
            return {keys[key] for (key,) in execute(db, query, (joined(keys), self._scope)).fetchall()}

        return t.cast("set[str]", self._connection.run(work))

    def record(self, notification_ids: t.Sequence[str], now: float, changes: t.Sequence[Change] = ()) -> bool:
        """Record notifications and replace rows, all or nothing. Return False if another process has recorded or replaced one of them first."""
        keys = sorted(map(key_of, notification_ids))
        query = f"""
INSERT INTO vcc_journal.notification (scope, id, recorded_at) SELECT %s, id, %s FROM unnest({column()}) AS new (id)
ON CONFLICT DO NOTHING
"""
        swap = Swap(t.cast(int, self._scope), changes)

        def work(db: t.Any, again: bool) -> bool:
            with db.transaction() as transaction:
                db.execute(DURABLE)
                recorded = db.execute(query, (self._scope, now, joined(keys))).rowcount
                # An attempt with a lost answer has recorded them, together with its changes.
                if again and not recorded:
                    return True
                if recorded == len(keys) and all(swap.done(db, claims_of(swap.execute(db)), False)):
                    return True
                raise psycopg.Rollback(transaction)
            return False

        has_taken_effect = bool(self._connection.run(work))
        self._count_attempt(has_taken_effect)
        return has_taken_effect

    def record_attempts(self, attempts: t.Sequence[tuple[Attempt, t.Sequence[Ended]]], dry_run: bool = False) -> int:
        """Add attempts of the scope to the history, unless ``dry_run`` is set. Return the number of interactions that it did not have."""
        return self._history.record(self._scope, attempts, dry_run)

    @property
    def _history(self) -> History:
        return History(self._connection, self._version)

    def history(self, query: Query, limit: int, offset: int, recent: float) -> tuple[list[PastOutcome], int, int]:
        """Return a page of the matching outcomes of all scopes, the latest first, the number of matches, and the number of those accepted after ``recent``."""
        return self._history.search(query, limit, offset, recent)

    def run_counts(self, run_id: str, parts: int) -> RunCounts | None:
        """Return the results of a run; None for a run that the journal does not have."""
        return self._history.run_counts(run_id, parts)

    def export(self, query: Query, history: bool, take: t.Callable[[t.Iterator[t.Any]], None]) -> None:
        """Pass all matches to ``take``, in the order of a search: rows with their scopes, or outcomes of the history."""
        if history:
            self._history.export(query, take)
        elif self._version is not None:
            AllScopes(self._connection).export(query, take)
        else:
            take(iter(()))

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
        """Return the number of interactions of all scopes in each state, and the number of known registrations of providers."""
        return dict.fromkeys(COUNTED, 0) if self._version is None else AllScopes(self._connection).counts()

    def search(self, query: Query, limit: int, offset: int, recent: float) -> Found:
        """Return a page of the matching rows of all scopes, the latest first, and the number of matches on all pages."""
        if self._version is None:
            return Found([], 0, 0)
        return AllScopes(self._connection).search(query, limit, offset, recent)

    def prune(self, before: float, dry_run: bool) -> dict[str, int]:
        """Delete the rows of all scopes that are not later than ``before``; with ``dry_run`` only count them. Return the number of each kind."""
        if self._version is None:
            return dict.fromkeys(PRUNED, 0)
        return AllScopes(self._connection).prune(before, dry_run, self._history.exists)

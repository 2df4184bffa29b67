"""`PostgreSQLStore`."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import psycopg.errors
from psycopg import AsyncCursor
from psycopg.rows import TupleRow, tuple_row

from typed_sessions.stores.base import (
    MOVES_KEPT,
    REVOCATIONS_KEPT,
    Conflict,
    Created,
    Exists,
    Found,
    Gone,
    Lifetime,
    Listed,
    Moved,
    Record,
    Revoked,
    Updated,
    WriteRequest,
)
from typed_sessions.stores.moments import Clock, moment, reading
from typed_sessions.stores.postgresql.connections import Connection, Connections, Pool
from typed_sessions.stores.postgresql.statements import Statements
from typed_sessions.stores.postgresql.tables import Tables

__all__ = ["PostgreSQLStore"]

_Parameters: TypeAlias = dict[str, object]

_LONGEST_SPAN: Final = timedelta(days=366 * 9999)
"""A longer one ends no record earlier or later, and the server can add it."""

_VERSION_BITS: Final = 63


class PostgreSQLStore:
    """Keeps records in tables of a PostgreSQL database, which it makes when it is used first.

    Nothing depends on the state of a connection: it works behind a pooler that hands the server's connections around
    between transactions. The tables are `table`, `table_revocations` and `table_versions`; see
    `typed_sessions.stores.postgresql.tables` for the privileges that a role needs. What is answered is as durable as
    `synchronous_commit` says, which is on by default.

    Args:
        url_or_pool: `postgresql://user:password@host/database`, or all else that libpq takes; or a pool that is opened
            and closed elsewhere.
        table: the name of the table of records; with its schema, if that is not the first in the search path.
        clock: the time, in seconds since the epoch; the server's by default.
        connections: how many there are at most in each event loop, unless a pool is given.
        blocking: for threads without an event loop: each call blocks its thread until it is answered, or for as long as
            `time_left` says. It takes a URL.

    Raises:
        ConfigurationError: if the URL or the name of the table is none. At first use: if the server is too old, the
            role may not do what it has to, or the tables are of a newer release.
    """

    def __init__(
        self,
        url_or_pool: str | Pool,
        *,
        table: str = "typed_sessions",
        clock: Clock | None = None,
        connections: int = 10,
        blocking: bool = False,
    ) -> None:
        tables = Tables.named(table)
        self._statements: Final = Statements.on(tables, clock_given=clock is not None)
        self.never_waits: Final = blocking
        self._connections: Final = Connections(
            url_or_pool, size=connections, prepare=tables.bring_up_to_date, blocking=blocking
        )
        self._clock: Final = clock

    async def create(self, key: str, write: WriteRequest) -> Created:
        parameters = {"key": _stored_key(key), **self._written(write)}
        if write.subject is None:
            row = await self._row(self._statements.create, parameters)
            return Exists() if row is None else _record(row)
        row = await self._row(self._statements.create_for_subject, parameters)
        if row is None or not row[0]:
            return Revoked()
        _, *columns = row
        return Exists() if columns[0] is None else _record(columns)

    async def load(self, key: str) -> Found:
        row = await self._row(self._statements.load, self._timed({"key": _stored_key(key)}))
        if row is None:
            return None
        *columns, target = row
        record = _record(columns)
        return record if target is None else Moved(target.hex(), moved_at=record.created, as_of=record.as_of)

    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        parameters = {
            "key": _stored_key(key),
            "version": version,
            "new_key": _stored_key(move_to or key),
            "restart": write.restart,
            "moves_kept": MOVES_KEPT,
            **self._written(write),
        }

        async def updated(connection: Connection) -> Updated:
            try:
                return await self._updated(connection, version, parameters)
            except psycopg.errors.UniqueViolation:
                await connection.rollback()
            if not await _rows(connection, self._statements.vacate, parameters):
                raise ValueError("a record is to move to a key that another one has")
            return await self._updated(connection, version, parameters)

        return await self._connections.use(updated)

    async def touch(self, key: str, lifetime: Lifetime) -> Record | None:
        parameters = self._timed({"key": _stored_key(key), **_spans(lifetime)})
        row = await self._row(self._statements.touch, parameters)
        return None if row is None else _record(row)

    async def delete(self, key: str, *, version: int | None = None) -> bool:
        parameters = self._timed({"key": _stored_key(key), "version": version})
        row = await self._row(self._statements.delete, parameters)
        return row is not None and bool(row[0])

    async def delete_expired(self, limit: int = 1000) -> int:
        parameters = self._timed({"limit": limit, "revocations_kept": REVOCATIONS_KEPT})
        row = await self._row(self._statements.delete_expired, parameters)
        return 0 if row is None else int(row[0])

    async def ids_of(self, subject: str) -> Sequence[Listed]:
        parameters = self._timed({"subject": _stored_text(subject)})
        rows = await self._connections.use(lambda connection: _rows(connection, self._statements.ids_of, parameters))
        return [
            Listed(key.hex(), _aware(created), _aware(last_seen), _aware(expires_at), _text(device))
            for key, created, last_seen, expires_at, device in rows
        ]

    async def delete_subject(self, subject: str, *, spare: str | None = None) -> datetime:
        parameters = self._timed(
            {
                "subject": _stored_text(subject),
                "subject_hash": _hash(subject),
                "spare": None if spare is None else _stored_key(spare),
            }
        )

        async def revoked(connection: Connection) -> datetime:
            revocation, deletion = _cursor(connection), _cursor(connection)
            # What is sent in a pipeline is one transaction, and one round trip.
            async with connection.pipeline():
                await revocation.execute(self._statements.revoke, parameters, prepare=False, binary=True)
                await deletion.execute(self._statements.delete_of_subject, parameters, prepare=False)
            [[time]] = await revocation.fetchall()
            return _aware(time)

        return await self._connections.use(revoked)

    async def now(self, subject: str | None = None) -> datetime:  # noqa: ARG002 - there is one clock for all
        if self._clock is not None:
            return moment(reading(self._clock))
        [[time]] = await self._connections.use(lambda connection: _rows(connection, self._statements.now, {}))
        return _aware(time)

    async def close(self) -> None:
        await self._connections.close()

    async def _row(self, statement: bytes, parameters: _Parameters) -> TupleRow | None:
        rows = await self._connections.use(lambda connection: _rows(connection, statement, parameters))
        return rows[0] if rows else None

    async def _updated(self, connection: Connection, version: int, parameters: _Parameters) -> Updated:
        moves = parameters["new_key"] != parameters["key"]
        rows = await _rows(connection, self._statements.move if moves else self._statements.update, parameters)
        if rows:
            return _record(rows[0])
        for was_updated, *columns in await _rows(connection, self._statements.update_or_tell, parameters):
            record = _record(columns)
            if was_updated:
                return record
            return Conflict(record) if record.version != version else Revoked()
        return Gone()

    def _written(self, write: WriteRequest) -> _Parameters:
        subject = write.subject
        return self._timed(
            {
                "new_version": secrets.randbits(_VERSION_BITS),
                "payload": write.payload,
                "subject": None if subject is None else _stored_text(subject),
                "device": None if write.device is None else _stored_text(write.device),
                "subject_hash": None if subject is None else _hash(subject),
                "as_of": write.as_of,
                "revocations_kept": REVOCATIONS_KEPT,
                **_spans(write.lifetime),
            }
        )

    def _timed(self, parameters: _Parameters) -> _Parameters:
        if self._clock is None:
            return parameters
        return {**parameters, "now": moment(reading(self._clock))}


def _cursor(connection: Connection) -> AsyncCursor[TupleRow]:
    # Whatever kind of cursors and rows the connection makes.
    return AsyncCursor(connection, row_factory=tuple_row)


async def _rows(connection: Connection, statement: bytes, parameters: _Parameters) -> list[TupleRow]:
    cursor = _cursor(connection)
    await cursor.execute(statement, parameters, prepare=False, binary=True)
    return await cursor.fetchall()


def _record(columns: Sequence[Any]) -> Record:
    payload, version, created, last_seen, expires_at, as_of, issued, subject, device = columns
    return Record(
        payload=payload,
        version=version,
        created=_aware(created),
        last_seen=_aware(last_seen),
        expires_at=_aware(expires_at),
        as_of=_aware(as_of),
        issued=_aware(issued),
        subject=_text(subject),
        device=_text(device),
    )


def _text(stored: bytes | None) -> str | None:
    return None if stored is None else stored.decode("utf-8", "surrogatepass")


def _aware(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC)


def _stored_key(key: str) -> bytes:
    return bytes.fromhex(key)


def _stored_text(text: str) -> bytes:
    # As bytes: a text could hold neither NUL nor what the database's encoding lacks.
    return text.encode("utf-8", "surrogatepass")


def _hash(subject: str) -> bytes:
    return hashlib.sha256(_stored_text(subject)).digest()


def _spans(lifetime: Lifetime) -> _Parameters:
    return {
        "idle": _addable(lifetime.idle),
        "absolute": None if lifetime.absolute is None else _addable(lifetime.absolute),
    }


def _addable(span: timedelta) -> timedelta:
    return max(timedelta(0), min(span, _LONGEST_SPAN))

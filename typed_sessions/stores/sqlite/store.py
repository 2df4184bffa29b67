"""`SQLiteStore`: the operations, in SQL."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from os import PathLike
from typing import Final, TypeVar

from attrs import evolve

from typed_sessions.errors import ConfigurationError
from typed_sessions.stores.base import (
    Conflict,
    Created,
    Exists,
    Found,
    Gone,
    Lifetime,
    Listed,
    Record,
    Revoked,
    Updated,
    WriteRequest,
)
from typed_sessions.stores.moments import (
    Clock,
    Microseconds,
    expiry,
    is_known_since,
    kept_since,
    moment,
    reading,
    revoked_at,
)
from typed_sessions.stores.row import StoredRow
from typed_sessions.stores.sqlite.file import SQLiteFile
from typed_sessions.stores.sqlite.worker import Work, Worker

__all__ = ["SQLiteStore"]

T = TypeVar("T")

_BUSY_TIMEOUT: Final = timedelta(seconds=2)

_VERSION_BITS: Final = 63
"""What a column holds. Random, so that a key that is used again never has a version that it had before."""

# The columns are in the order of `StoredRow`.
_LOAD: Final = """
    SELECT payload, version, created, last_seen, expires_at, issued, subject, device, target
    FROM records WHERE key = ? AND expires_at > ?
"""
_WRITE: Final = """
    INSERT INTO records (key, payload, version, created, last_seen, expires_at, issued, subject, device, target)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET
        payload = excluded.payload, version = excluded.version, created = excluded.created,
        last_seen = excluded.last_seen, expires_at = excluded.expires_at, issued = excluded.issued,
        subject = excluded.subject, device = excluded.device, target = excluded.target
"""
_TOUCH: Final = "UPDATE records SET last_seen = ?, expires_at = ? WHERE key = ?"
_DELETE: Final = "DELETE FROM records WHERE key = ?"
_DELETE_EXPIRED: Final = """
    DELETE FROM records WHERE rowid IN (SELECT rowid FROM records WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
"""
_LIST: Final = """
    SELECT key, created, last_seen, expires_at, device FROM records WHERE subject = ? AND expires_at > ?
    ORDER BY last_seen DESC
"""
_DELETE_SUBJECT: Final = "DELETE FROM records WHERE subject = ? AND key IS NOT ?"
_REVOKED: Final = "SELECT revoked FROM revocations WHERE subject = ?"
_REVOKE: Final = "INSERT OR REPLACE INTO revocations (subject, revoked) VALUES (?, ?)"
_FORGET_REVOCATIONS: Final = "DELETE FROM revocations WHERE revoked < ?"


class SQLiteStore:
    """Keeps records in a file, which processes of one machine may share.

    What has been answered is on the disk: it outlives the process, and a power cut. The writes that wait while one is
    written go to the disk together, in the order in which they came, so that many at once take hardly longer than one;
    a load does not wait for them. The file is made readable for its owner only.

    Args:
        path: of the file, which is made if there is none; in a directory on a disk of this machine.
        clock: the time, in seconds since the epoch; the system's by default.
        busy_timeout: how long to wait for another process that writes.
        blocking: for threads without an event loop: each call blocks its thread until it is answered, or for as long as
            `time_left` says. One of the threads that wait writes for all of them, and waits for the disk however long
            that takes. Other stores, and other processes, may have the same file open, blocking or not.

    Raises:
        ConfigurationError: there can be no such file, or another user may put sessions into it. Any method raises it
            if that is found later, if the file is the database of something else, or that of a later release, or if it
            cannot be shared where it is.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        clock: Clock | None = None,
        busy_timeout: timedelta = _BUSY_TIMEOUT,
        blocking: bool = False,
    ) -> None:
        if str(path) == ":memory:":
            raise ConfigurationError("SQLiteStore needs a file: what is to stay in memory belongs in a MemoryStore")
        file = SQLiteFile.at(path, busy_timeout)
        self.never_waits: Final = blocking
        self._clock: Final = clock
        self._writer: Final = Worker(file, read_only=False)
        self._reader: Final = Worker(file, read_only=True)

    async def create(self, key: str, write: WriteRequest) -> Created:
        return await self._do(self._writer, lambda connection: self._create(connection, key, write))

    async def load(self, key: str) -> Found:
        return await self._do(self._reader, lambda connection: self._load(connection, key))

    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        return await self._do(self._writer, lambda connection: self._update(connection, key, version, write, move_to))

    async def touch(self, key: str, lifetime: Lifetime) -> Record | None:
        return await self._do(self._writer, lambda connection: self._touch(connection, key, lifetime))

    async def delete(self, key: str, *, version: int | None = None) -> bool:
        return await self._do(self._writer, lambda connection: self._delete(connection, key, version))

    async def delete_expired(self, limit: int = 1000) -> int:
        return await self._do(self._writer, lambda connection: self._delete_expired(connection, limit))

    async def ids_of(self, subject: str) -> Sequence[Listed]:
        return await self._do(self._reader, lambda connection: self._ids_of(connection, subject))

    async def delete_subject(self, subject: str, *, spare: str | None = None) -> datetime:
        return await self._do(self._writer, lambda connection: self._delete_subject(connection, subject, spare))

    async def now(self, subject: str | None = None) -> datetime:  # noqa: ARG002 - there is one clock for all
        return moment(self._now())

    async def close(self) -> None:
        for worker in (self._writer, self._reader):
            if self.never_waits:
                worker.end()
            else:
                await asyncio.to_thread(worker.end)

    async def _do(self, worker: Worker, work: Work[T]) -> T:
        return worker.wait(work) if self.never_waits else await worker.do(work)

    def _create(self, connection: sqlite3.Connection, key: str, write: WriteRequest) -> Created:
        now = self._now()
        if _live(connection, key, now) is not None:
            return Exists()
        if not _may_be_of(connection, write, now):
            return Revoked()
        created = StoredRow.of(write, _new_version(), created=now, issued=now, now=now)
        return _write(connection, key, created).record(now)

    def _load(self, connection: sqlite3.Connection, key: str) -> Found:
        now = self._now()
        present = _found(connection, key, now)
        return None if present is None else present.found(now)

    def _update(
        self, connection: sqlite3.Connection, key: str, version: int, write: WriteRequest, move_to: str | None
    ) -> Updated:
        now = self._now()
        present = _live(connection, key, now)
        if present is None:
            return Gone()
        if present.version != version:
            return Conflict(present.record(now))
        if write.subject != present.subject and not _may_be_of(connection, write, now):
            return Revoked()
        if move_to is not None:
            if _live(connection, move_to, now) is not None:
                raise ValueError("a record is to move to a key that another one has")
            _write(connection, key, StoredRow.of_move(move_to, now=now))
        created, issued = now if write.restart else present.created, present.issued if move_to is None else now
        updated = StoredRow.of(write, _new_version(), created=created, issued=issued, now=now)
        return _write(connection, move_to or key, updated).record(now)

    def _touch(self, connection: sqlite3.Connection, key: str, lifetime: Lifetime) -> Record | None:
        now = self._now()
        present = _live(connection, key, now)
        if present is None:
            return None
        touched = evolve(present, last_seen=now, expires_at=expiry(present.created, now, lifetime))
        connection.execute(_TOUCH, (touched.last_seen, touched.expires_at, key))
        return touched.record(now)

    def _delete(self, connection: sqlite3.Connection, key: str, version: int | None) -> bool:
        present = _live(connection, key, self._now())
        if present is None or version not in {None, present.version}:
            return False
        connection.execute(_DELETE, (key,))
        return True

    def _delete_expired(self, connection: sqlite3.Connection, limit: int) -> int:
        now = self._now()
        connection.execute(_FORGET_REVOCATIONS, (kept_since(now),))
        return connection.execute(_DELETE_EXPIRED, (now, limit)).rowcount

    def _ids_of(self, connection: sqlite3.Connection, subject: str) -> list[Listed]:
        return [
            Listed(key, moment(created), moment(last_seen), moment(expires_at), device)
            for key, created, last_seen, expires_at, device in connection.execute(_LIST, (subject, self._now()))
        ]

    def _delete_subject(self, connection: sqlite3.Connection, subject: str, spare: str | None) -> datetime:
        now = self._now()
        revoked = revoked_at(now, _revoked(connection, subject))
        connection.execute(_REVOKE, (subject, revoked))
        connection.execute(_DELETE_SUBJECT, (subject, spare))
        return moment(revoked)

    def _now(self) -> Microseconds:
        return reading(self._clock)


def _found(connection: sqlite3.Connection, key: str, now: Microseconds) -> StoredRow | None:
    row = connection.execute(_LOAD, (key, now)).fetchone()
    return None if row is None else StoredRow(*row)


def _live(connection: sqlite3.Connection, key: str, now: Microseconds) -> StoredRow | None:
    present = _found(connection, key, now)
    return None if present is None or present.target is not None else present


def _write(connection: sqlite3.Connection, key: str, record: StoredRow) -> StoredRow:
    connection.execute(
        _WRITE,
        (
            key,
            record.payload,
            record.version,
            record.created,
            record.last_seen,
            record.expires_at,
            record.issued,
            record.subject,
            record.device,
            record.target,
        ),
    )
    return record


def _may_be_of(connection: sqlite3.Connection, write: WriteRequest, now: Microseconds) -> bool:
    if write.subject is None:
        return True
    return is_known_since(write.as_of, _revoked(connection, write.subject), now)


def _revoked(connection: sqlite3.Connection, subject: str) -> Microseconds | None:
    row = connection.execute(_REVOKED, (subject,)).fetchone()
    return None if row is None else int(row[0])


def _new_version() -> int:
    return secrets.randbits(_VERSION_BITS)

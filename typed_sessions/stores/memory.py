"""`MemoryStore`: records in the memory of this process, for tests and for development in one process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush
from itertools import count
from threading import Lock
from typing import Final

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

__all__ = ["MemoryStore"]

_SPARE_ENDS: Final = 64
"""So many ends that are out of date may wait besides as many as there are records."""


class MemoryStore:
    """Keeps records until the process ends. It holds only so many: a full one forgets what is needed least.

    Those that have expired go first, then the one that was seen longest ago. Other processes see none of them: an
    application that is served by several needs another store. All threads of the process may use it.

    Args:
        max_records: how many records it holds at most.
        clock: the time, in seconds since the epoch; the system's by default.

    Raises:
        ConfigurationError: if it could not hold any.
    """

    never_waits: Final = True

    def __init__(self, max_records: int = 100_000, *, clock: Clock | None = None) -> None:
        if max_records < 1:
            raise ConfigurationError(f"max_records is {max_records}: a MemoryStore has to hold at least one record")
        self._max_records: Final = max_records
        self._clock: Final = clock
        self._records: Final[OrderedDict[str, StoredRow]] = OrderedDict()
        """The one seen longest ago first."""
        self._ends: Final[list[tuple[Microseconds, str]]] = []
        """A heap. An end that is not its record's any more stays until it is met, or until there are too many."""
        self._keys: Final[dict[str, set[str]]] = {}
        """Of each subject."""
        self._revocations: Final[OrderedDict[str, Microseconds]] = OrderedDict()
        """When the sessions of a subject were ended last; the longest ago first."""
        self._versions: Final = count(1)
        self._lock: Final = Lock()
        """Held for each call, of whichever thread."""

    async def create(self, key: str, write: WriteRequest) -> Created:
        with self._lock:
            now = self._now()
            if self._live(key, now) is not None:
                return Exists()
            if not self._may_be_of(write, now):
                return Revoked()
            self._forget(key)
            self._make_room(now, 1)
            created = StoredRow.of(write, next(self._versions), created=now, issued=now, now=now)
            return self._keep(key, created).record(now)

    async def load(self, key: str) -> Found:
        with self._lock:
            now = self._now()
            present = self._found(key, now)
            return None if present is None else present.found(now)

    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        with self._lock:
            now = self._now()
            present = self._live(key, now)
            if present is None:
                return Gone()
            if present.version != version:
                return Conflict(present.record(now))
            if write.subject != present.subject and not self._may_be_of(write, now):
                return Revoked()
            if move_to is not None:
                if self._live(move_to, now) is not None:
                    raise ValueError("a record is to move to a key that another one has")
                self._forget(move_to)
            self._forget(key)
            created, issued = now if write.restart else present.created, present.issued
            if move_to is not None:
                issued = now
                self._make_room(now, 2)
                self._keep(key, StoredRow.of_move(move_to, now=now))
            updated = StoredRow.of(write, next(self._versions), created=created, issued=issued, now=now)
            return self._keep(move_to or key, updated).record(now)

    async def touch(self, key: str, lifetime: Lifetime) -> Record | None:
        with self._lock:
            now = self._now()
            present = self._live(key, now)
            if present is None:
                return None
            self._forget(key)
            touched = evolve(present, last_seen=now, expires_at=expiry(present.created, now, lifetime))
            return self._keep(key, touched).record(now)

    async def delete(self, key: str, *, version: int | None = None) -> bool:
        with self._lock:
            present = self._live(key, self._now())
            if present is None or version not in (None, present.version):
                return False
            self._forget(key)
            return True

    async def delete_expired(self, limit: int = 1000) -> int:
        with self._lock:
            now = self._now()
            self._forget_revocations(now)
            deleted = 0
            while deleted < limit and self._forget_expired(now):
                deleted += 1
            return deleted

    async def ids_of(self, subject: str) -> Sequence[Listed]:
        with self._lock:
            now = self._now()
            live = [
                present.listed(key)
                for key in self._keys.get(subject, ())
                if (present := self._live(key, now)) is not None
            ]
            return sorted(live, key=lambda listed: listed.last_seen, reverse=True)

    async def delete_subject(self, subject: str, *, spare: str | None = None) -> datetime:
        with self._lock:
            now = self._now()
            self._forget_revocations(now)
            revoked = self._revocations[subject] = revoked_at(now, self._revocations.pop(subject, None))
            for key in self._keys.get(subject, set[str]()) - {spare}:
                self._forget(key)
            return moment(revoked)

    async def now(self, subject: str | None = None) -> datetime:  # noqa: ARG002 - there is one clock for all
        return moment(self._now())

    async def close(self) -> None:
        """Do nothing: there is nothing to give back, and the records are needed when the store is used again."""

    def _now(self) -> Microseconds:
        return reading(self._clock)

    def _found(self, key: str, now: Microseconds) -> StoredRow | None:
        present = self._records.get(key)
        return None if present is None or present.expires_at <= now else present

    def _live(self, key: str, now: Microseconds) -> StoredRow | None:
        present = self._found(key, now)
        return None if present is None or present.target is not None else present

    def _may_be_of(self, write: WriteRequest, now: Microseconds) -> bool:
        return write.subject is None or is_known_since(write.as_of, self._revocations.get(write.subject), now)

    def _keep(self, key: str, present: StoredRow) -> StoredRow:
        self._records[key] = present
        if present.subject is not None:
            self._keys.setdefault(present.subject, set()).add(key)
        if len(self._ends) > 2 * len(self._records) + _SPARE_ENDS:
            self._ends[:] = [(other.expires_at, of) for of, other in self._records.items()]
            heapify(self._ends)
        else:
            heappush(self._ends, (present.expires_at, key))
        return present

    def _forget(self, key: str) -> None:
        """Delete a record if there is one. Its end stays until it is met."""
        present = self._records.pop(key, None)
        if present is None or present.subject is None:
            return
        keys = self._keys[present.subject]
        keys.remove(key)
        if not keys:
            del self._keys[present.subject]

    def _make_room(self, now: Microseconds, needed: int) -> None:
        while self._records and len(self._records) + needed > self._max_records:
            if not self._forget_expired(now):
                self._forget(next(iter(self._records)))

    def _forget_expired(self, now: Microseconds) -> bool:
        """Delete one record that has expired, and return True if there was one."""
        while self._ends and self._ends[0][0] <= now:
            expires_at, key = heappop(self._ends)
            present = self._records.get(key)
            if present is not None and present.expires_at == expires_at:
                self._forget(key)
                return True
        return False

    def _forget_revocations(self, now: Microseconds) -> None:
        while self._revocations and next(iter(self._revocations.values())) < kept_since(now):
            self._revocations.popitem(last=False)

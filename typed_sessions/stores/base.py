"""`SessionStore`, the contract of whatever keeps sessions on the server, and the values that pass through it.

A store keeps *records*. It knows a record by its key, which is made of the identifier in the visitor's cookie and does
not lead back to it (see `typed_sessions.stores.identifiers`). It never looks into the payload.

What a store answers is a value: "not found" is one, and so is "somebody was faster". What keeps it from answering is an
exception: `StoreUnavailableError`, with its cause. After that nobody knows whether a change took place; each one has
either taken place or not, never in part.

Time is the store's own. Spans come in, moments go out, so that the clocks of many application servers never matter.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeAlias, runtime_checkable

from attrs import field, frozen
from typing_extensions import override

from typed_sessions.errors import StoreUnavailableError

__all__ = [
    "MOVES_KEPT",
    "REVOCATIONS_KEPT",
    "Conflict",
    "Created",
    "Exists",
    "Found",
    "Gone",
    "Lifetime",
    "Listed",
    "Moved",
    "PlacedStore",
    "Record",
    "Revoked",
    "SessionStore",
    "Updated",
    "WriteRequest",
    "no_longer_than",
    "time_left",
]

REVOCATIONS_KEPT: Final = timedelta(days=1)
"""How long a store knows when the sessions of a subject were ended: longer than any request is in flight."""

MOVES_KEPT: Final = timedelta(minutes=2)
"""How long a store knows which key a record has moved to: as long as requests may be under way with the former one."""


@frozen
class Lifetime:
    """How long a record lives: both ends apply, and the earlier one ends it."""

    idle: timedelta
    """After its last update or touch."""
    absolute: timedelta | None = None
    """After it was created, whatever happens to it; None if it has no such end."""


@frozen
class WriteRequest:
    """What a request wants a record to be."""

    payload: bytes = field(repr=False)
    lifetime: Lifetime
    subject: str | None = field(default=None, repr=False)
    """Whose session it is, for `ids_of` and `delete_subject`; None if it is nobody's."""
    as_of: datetime | None = None
    """From which moment, by the store's clock, the request knows that the session may be its subject's. A revocation of
    that subject after this moment refuses the record to be made the subject's. None if there was no such moment."""
    restart: bool = False
    """Whether an update counts as a creation for the absolute lifetime."""
    device: str | None = field(default=None, repr=False)
    """What a list of the subject's sessions shows of the device; None if nothing is known of it."""


@frozen
class Record:
    """A live record, as it was at one moment."""

    payload: bytes = field(repr=False)
    version: int
    """Another one after each update. `touch` does not change it."""
    created: datetime
    last_seen: datetime
    """When it was created, updated or touched last."""
    expires_at: datetime
    """From then on it is not there."""
    as_of: datetime
    """The store's time when it answered."""
    issued: datetime
    """When it got the key that it has: when it was created, or moved last."""
    subject: str | None = field(default=None, repr=False)
    device: str | None = field(default=None, repr=False)


@frozen
class Moved:
    """The record has another key by now. Who asks for this one has not heard of that yet."""

    target: str = field(repr=False)
    """The key that it got. It may have moved on since, or be gone."""
    moved_at: datetime
    as_of: datetime
    """The store's time when it answered."""


@frozen
class Listed:
    """A live record as a list of a subject's shows it: without what it holds."""

    key: str = field(repr=False)
    created: datetime
    last_seen: datetime
    expires_at: datetime
    device: str | None = field(default=None, repr=False)


@frozen
class Exists:
    """There is a live record of that key already. It was left as it is."""


@frozen
class Conflict:
    """The record has another version by now. It was left as it is."""

    present: Record


@frozen
class Gone:
    """There is no live record of that key: it was deleted, or has moved or expired. None was made."""


@frozen
class Revoked:
    """The sessions of that subject were ended after the moment from which the request knows. Nothing was written."""


Found: TypeAlias = Record | Moved | None
Created: TypeAlias = Record | Exists | Revoked
Updated: TypeAlias = Record | Conflict | Gone | Revoked


@runtime_checkable
class SessionStore(Protocol):
    """Keeps records. `typed_sessions.testing` has the tests that each store has to pass.

    Every method may raise StoreUnavailableError, and nothing else for what may go wrong outside the program. Every
    change is atomic and, once it is answered, as durable as the store is. A method that is cancelled may or may not
    have taken place. All methods may be called at once, from tasks of one event loop.

    A store whose methods block until they can answer, and never wait for an event loop, may say so by an attribute
    `never_waits = True`. Then they may be called in any thread, in many at once, without any event loop. What they
    block for must take no longer than `time_left`.

    A key is a text of 64 hexadecimal digits. Records that have expired are not there, whether or not they have been
    deleted yet.
    """

    async def create(self, key: str, write: WriteRequest) -> Created:
        """Make a record, unless there is one: `Exists`.

        Refused with `Revoked` if the sessions of its subject have been ended since `write.as_of`, or if nobody can
        know: that is None, or longer ago than REVOCATIONS_KEPT. A revocation that is more than a second ahead of the
        store's time was made before the clock was set back: whoever has a time by the present clock knows of it.
        """
        ...

    async def load(self, key: str) -> Found:
        """Return the live record, or None if it is unknown or has expired. Changes nothing.

        If the record has moved away from this key, `Moved`, for MOVES_KEPT. To all other methods such a key is free.
        """
        ...

    async def update(self, key: str, version: int, write: WriteRequest, *, move_to: str | None = None) -> Updated:
        """Replace a live record if it still has this version (compare-and-swap), and return it as it is then.

        If there is none: `Gone`. If it has another version: `Conflict`. `Revoked` is as in `create`, for a record whose
        subject changes; one that was the subject's when the sessions were ended was spared, and stays the subject's.

        Args:
            key: of the record.
            version: what the record has as far as the caller knows.
            write: what it is to be. The time that it was created stays, unless `write.restart`.
            move_to: the key that it has from then on. Nobody may have it yet. In the same step the former key becomes
                `Moved`.
        """
        ...

    async def touch(self, key: str, lifetime: Lifetime) -> Record | None:
        """Count a live record as seen now, and return it, or None if there is none."""
        ...

    async def delete(self, key: str, *, version: int | None = None) -> bool:
        """Delete a record, and return True if there was a live one. What is in flight cannot bring it back.

        Args:
            key: of the record.
            version: what the record must have; one that has another by now is left as it is.
        """
        ...

    async def delete_expired(self, limit: int = 1000) -> int:
        """Delete at most so many of the records that have expired, and return how many.

        What is kept of revocations is deleted, too, once no request can be as old. A store that does all that by itself
        returns 0.
        """
        ...

    async def ids_of(self, subject: str) -> Sequence[Listed]:
        """Return the live records of a subject, the one seen last first."""
        ...

    async def delete_subject(self, subject: str, *, spare: str | None = None) -> datetime:
        """Delete all records of a subject but the one to be spared, and keep the time, which is returned.

        From then on nothing that is older becomes the subject's: see `WriteRequest.as_of`. The time is kept for
        REVOCATIONS_KEPT. It is the very time with which `as_of` is compared: a request that ended the other sessions
        may name it as its own, and is not refused.
        """
        ...

    async def now(self) -> datetime:
        """Return the store's time, aware, in UTC."""
        ...

    async def close(self) -> None:
        """Give back what the store holds: connections, threads. It opens again when it is used again."""
        ...


@runtime_checkable
class PlacedStore(SessionStore, Protocol):
    """A store that keeps the records of a subject together: on one of several servers, say.

    The first four digits of a key say the place. A record of a subject has a key in the place of its subject: an update
    that makes it somebody else's, or nobody's, moves it to another key. One that does not is a ValueError.

    A move from one place to another may take several steps. If it breaks off, the record is there as it was, or as it
    was to be, or not at all; never twice. If a subject's sessions are ended meanwhile, it may be gone, whosever it was.
    """

    def place_of(self, subject: str) -> str:
        """Return the place of a subject: four hexadecimal digits in small letters, always the same ones."""
        ...

    @override
    async def now(self, subject: str | None = None) -> datetime:
        """Return the time of the place of a subject: each may have a clock of its own."""
        ...


_until: Final[ContextVar[float | None]] = ContextVar("until", default=None)
"""When a blocking store has to have answered, by this machine's monotonic clock."""


class no_longer_than:  # noqa: N801 -- it is used as a function; each request comes by here
    """Lets blocking stores know that they have so much time for all that they are asked in the block."""

    __slots__ = ("_seconds", "_token")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._token = _until.set(time.monotonic() + self._seconds)

    def __exit__(self, *raised: object) -> None:
        _until.reset(self._token)


def time_left() -> float | None:
    """Return how many seconds a store may block for at most: the timeout of its driver. None if nobody has said.

    Raises:
        StoreUnavailableError: there is no time left.
    """
    until = _until.get()
    if until is None:
        return None
    left = until - time.monotonic()
    if left <= 0:
        raise StoreUnavailableError("the session store took longer than SESSION_STORE_TIMEOUT")
    return left

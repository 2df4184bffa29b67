"""`StoredRow`: a record as a store in this process has it, in numbers."""

from __future__ import annotations

from typing import Final, Self

from attrs import field, frozen

from typed_sessions.stores.base import MOVES_KEPT, Found, Lifetime, Listed, Moved, Record, WriteRequest
from typed_sessions.stores.moments import Microseconds, expiry, moment

__all__ = ["StoredRow"]

_MOVES_KEPT: Final = Lifetime(MOVES_KEPT)


@frozen
class StoredRow:
    """All of a record but its key; or the note that a record has moved away from its key."""

    payload: bytes = field(repr=False)
    version: int
    created: Microseconds
    last_seen: Microseconds
    expires_at: Microseconds
    issued: Microseconds
    subject: str | None = field(default=None, repr=False)
    device: str | None = field(default=None, repr=False)
    target: str | None = field(default=None, repr=False)
    """The key that the record has moved to; None if this is a record."""

    @classmethod
    def of(
        cls, write: WriteRequest, version: int, *, created: Microseconds, issued: Microseconds, now: Microseconds
    ) -> Self:
        """Return what is stored of what a request writes now."""
        expires_at = expiry(created, now, write.lifetime)
        return cls(write.payload, version, created, now, expires_at, issued, write.subject, write.device)

    @classmethod
    def of_move(cls, target: str, *, now: Microseconds) -> Self:
        """Return what is stored under the key that a record moves away from now."""
        return cls(b"", 0, now, now, expiry(now, now, _MOVES_KEPT), now, target=target)

    def found(self, now: Microseconds) -> Found:
        """Return what a load answers now."""
        if self.target is None:
            return self.record(now)
        return Moved(self.target, moved_at=moment(self.created), as_of=moment(now))

    def record(self, now: Microseconds) -> Record:
        """Return it as an answer that is given now."""
        return Record(
            payload=self.payload,
            version=self.version,
            created=moment(self.created),
            last_seen=moment(self.last_seen),
            expires_at=moment(self.expires_at),
            as_of=moment(now),
            issued=moment(self.issued),
            subject=self.subject,
            device=self.device,
        )

    def listed(self, key: str) -> Listed:
        """Return it as the list of its subject shows it."""
        return Listed(key, moment(self.created), moment(self.last_seen), moment(self.expires_at), self.device)

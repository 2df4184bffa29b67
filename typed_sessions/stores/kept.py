"""`Kept`: a record as a store in this process has it, in numbers."""

from __future__ import annotations

from attrs import field, frozen

from typed_sessions.stores.base import Listed, Record, Written
from typed_sessions.stores.moments import Microseconds, expiry, moment

__all__ = ["Kept", "kept"]


@frozen
class Kept:
    """All of a record but its key."""

    payload: bytes = field(repr=False)
    version: int
    created: Microseconds
    last_seen: Microseconds
    expires_at: Microseconds
    subject: str | None = field(repr=False)

    def record(self, now: Microseconds) -> Record:
        """Return it as an answer that is given now."""
        return Record(
            payload=self.payload,
            version=self.version,
            created=moment(self.created),
            last_seen=moment(self.last_seen),
            expires_at=moment(self.expires_at),
            as_of=moment(now),
            subject=self.subject,
        )

    def listed(self, key: str) -> Listed:
        """Return it as the list of its subject shows it."""
        return Listed(key, moment(self.created), moment(self.last_seen), moment(self.expires_at))


def kept(written: Written, version: int, *, created: Microseconds, now: Microseconds) -> Kept:
    """Return what is kept of what a request writes now."""
    expires_at = expiry(created, now, written.lifetime)
    return Kept(written.payload, version, created, now, expires_at, written.subject)

"""Times of records as whole microseconds since the epoch, which every database keeps exactly, and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from typed_sessions.stores.base import REVOCATIONS_KEPT, Lifetime

__all__ = [
    "SET_BACK",
    "Clock",
    "Microseconds",
    "expiry",
    "in_microseconds",
    "is_known_since",
    "kept_since",
    "moment",
    "moments",
    "reading",
    "revoked_at",
]

Clock: TypeAlias = Callable[[], float]
"""Returns the time, in seconds since the epoch."""

Microseconds: TypeAlias = int
"""Since the epoch."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST: Final[Microseconds] = 0
_LAST: Final[Microseconds] = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
"""A record that is to live longer than a `datetime` can say lives as long as that."""

_REVOCATIONS_KEPT: Final = REVOCATIONS_KEPT // _MICROSECOND

SET_BACK: Final = timedelta(seconds=1)
"""A revocation that is further ahead of the clock was made before the clock was set back."""

_SET_BACK: Final = SET_BACK // _MICROSECOND


def reading(clock: Clock | None) -> Microseconds:
    """Return what a clock says; None is the system's, looked up each time, for tests that replace it."""
    return round((time.time() if clock is None else clock()) * 1_000_000)


def moment(microseconds: Microseconds) -> datetime:
    """Return an aware time, in UTC."""
    return _EPOCH + timedelta(0, 0, microseconds)


def moments(microseconds: Iterable[bytes]) -> list[datetime]:
    """Return the same of several times, written out in digits."""
    return [_EPOCH + timedelta(0, 0, int(each)) for each in microseconds]


def in_microseconds(moment: datetime) -> Microseconds:
    """Return the number of an aware time."""
    return (moment - _EPOCH) // _MICROSECOND


def expiry(created: Microseconds, last_seen: Microseconds, lifetime: Lifetime) -> Microseconds:
    """Return when a record ends: the earlier of its two ends. Spans may be as long as a `timedelta` can be."""
    ends = last_seen + lifetime.idle // _MICROSECOND
    if lifetime.absolute is not None:
        ends = min(ends, created + lifetime.absolute // _MICROSECOND)
    return max(_FIRST, min(ends, _LAST))


def kept_since(now: Microseconds) -> Microseconds:
    """Return the time of the oldest revocation that a store still has to know."""
    return now - _REVOCATIONS_KEPT


def is_known_since(as_of: datetime | None, revoked: Microseconds | None, now: Microseconds) -> bool:
    """Return True if a record may be made its subject's by who knows of the subject from this moment.

    Args:
        as_of: `WriteRequest.as_of`.
        revoked: when the sessions of the subject were ended last, as far as that is kept.
        now: the store's time.
    """
    if as_of is None:
        return False
    since = in_microseconds(as_of)
    if revoked is not None and _is_ahead(revoked, now):
        return kept_since(now) <= since <= now
    return since >= kept_since(now) and (revoked is None or since >= revoked)


def revoked_at(now: Microseconds, latest: Microseconds | None) -> Microseconds:
    """Return the time of a revocation that is made now: not before the latest one, unless the clock was set back."""
    return now if latest is None or _is_ahead(latest, now) else max(now, latest)


def _is_ahead(revoked: Microseconds, now: Microseconds) -> bool:
    """Return True if a revocation was made before the clock was set back."""
    return revoked - now > _SET_BACK

"""`ManualClock`: a time that a test sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["ManualClock"]

_START: Final = datetime(2027, 1, 15, 8, 0, 0, 250_000, tzinfo=UTC)


class ManualClock:
    """A clock that stands still until it is set forward.

    Attributes:
        now: the time, aware.
    """

    def __init__(self, now: datetime = _START) -> None:
        self.now: datetime = now

    def __call__(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self.now.timestamp()

    def forward(self, span: timedelta) -> None:
        """Let time pass."""
        self.now += span

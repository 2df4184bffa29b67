"""`SealedSince`: a sealer that opens only what was sealed since a moment."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from typed_sessions.reports import Reason, Refused
from typed_sessions.sealing.base import Genuine, Sealer

__all__ = ["SealedSince"]


class SealedSince:
    """Seals as another sealer does, and opens what that opens, unless it is of before a moment.

    Args:
        sealer: the other one.
        moment: in seconds since the epoch, as texts have the time. What was sealed in that second is opened.
    """

    def __init__(self, sealer: Sealer, moment: int) -> None:
        self._sealer: Final = sealer
        self._moment: Final = moment

    @property
    def overhead(self) -> int:
        return self._sealer.overhead

    def seal(self, payload: bytes) -> str:
        return self._sealer.seal(payload)

    def open(self, text: str) -> tuple[bytes, int] | Refused:
        outcome = self._sealer.open(text)
        if isinstance(outcome, Refused):
            return outcome
        sealed_at = self._sealer.claimed_time(text)  # which is verified by now
        return Refused(Reason.ENDED) if sealed_at is None or sealed_at < self._moment else outcome

    def claimed_time(self, text: str) -> int | None:
        return self._sealer.claimed_time(text)

    def verify(self, signed: str, signatures: Collection[bytes]) -> Genuine | Refused:
        outcome = self._sealer.verify(signed, signatures)
        is_before = isinstance(outcome, Genuine) and outcome.sealed_at < self._moment
        return Refused(Reason.ENDED) if is_before else outcome

"""`Sealer`: a payload made safe to hand to a visitor, and what holds whatever the sealer."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from attrs import field, frozen

from typed_sessions.errors import ConfigurationError
from typed_sessions.reports import Reason, Refused
from typed_sessions.sealing.base64url import from_base64, to_base64

__all__ = [
    "Clock",
    "Genuine",
    "KeylessSealer",
    "SealedSince",
    "Sealer",
    "as_datetime",
    "newest",
    "progress",
    "system_clock",
]

Clock = Callable[[], float]
"""Returns the time, in seconds since the epoch."""


def system_clock() -> float:
    """Return the system's time. It is looked up at each call, for whoever replaces it in tests."""
    return time.time()


MOST_COOKIES: Final = 20
"""How many cookies of one name that differ in what is signed are verified: a header has room for thousands."""


@frozen
class Genuine:
    """What was sealed under one of the keys, and is of the right age."""

    sealed_at: int
    """In seconds since the epoch."""
    signatures: tuple[bytes, ...] = field(repr=False)
    """Those that are genuine, of all that were given."""


class Sealer(Protocol):
    """Makes a payload safe to hand to a visitor, and tells whether what comes back is genuine."""

    @property
    def overhead(self) -> int:
        """How many characters a text has at most beside its payload in base64. Until the year 2106."""
        ...

    def seal(self, payload: bytes) -> str:
        """Return the text that goes into the cookie; made of characters that need no quoting there (RFC 6265)."""
        ...

    def open(self, text: str) -> tuple[bytes, int] | Refused:
        """Return the payload of a genuine text and its age in seconds, or why it is refused. Raises nothing."""
        ...

    def claimed_time(self, text: str, /) -> int | None:
        """Return when a text says that it was sealed, in seconds since the epoch; None if it does not say.

        Nobody has verified that.
        """
        ...

    def verify(self, signed: str, signatures: Collection[bytes]) -> Genuine | Refused:
        """Return when something was sealed, and with which of these signatures, without opening it. Raises nothing.

        What follows the last dot of a text is its signature, and what is before that is signed. `newest` asks this once
        of each thing that was signed, however many signatures come with it.
        """
        ...


class KeylessSealer:
    """Stands where there is no secret key: no text is genuine, and none can be made."""

    @property
    def overhead(self) -> int:
        return 0

    def seal(self, payload: bytes) -> str:  # noqa: ARG002 -- a Sealer
        """Raise ConfigurationError."""
        raise ConfigurationError("a session cookie needs a SECRET_KEY (app.secret_key)")

    def open(self, text: str) -> tuple[bytes, int] | Refused:  # noqa: ARG002 -- a Sealer
        return Refused(Reason.SIGNATURE)

    def claimed_time(self, text: str) -> int | None:  # noqa: ARG002 -- a Sealer
        return None

    def verify(self, signed: str, signatures: Collection[bytes]) -> Genuine | Refused:  # noqa: ARG002 -- a Sealer
        return Refused(Reason.SIGNATURE)


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


def newest(texts: Iterable[str], sealers: Sequence[Sealer]) -> tuple[str | Refused, int]:
    """Return the genuine text that was sealed last, the first of these, and how many genuine ones came.

    Where none is genuine, the refusal that came furthest is returned.
    """
    found: str | None = None
    moment, count, refusal = 0, 0, Refused(Reason.MALFORMED)
    for signed, texts_of in _by_what_was_signed(texts).items():
        genuine: set[bytes] = set()  # sealers may share a salt, and verify the same
        for sealer in sealers:
            outcome = sealer.verify(signed, texts_of)
            if isinstance(outcome, Refused):
                refusal = max(refusal, outcome, key=progress)
                continue
            genuine.update(outcome.signatures)
            if found is None or outcome.sealed_at > moment:
                spellings = texts_of[outcome.signatures[0]]
                usual = f"{signed}.{to_base64(outcome.signatures[0]).decode()}"  # which every sealer takes
                found, moment = usual if usual in spellings else spellings[0], outcome.sealed_at
        count += sum(len(texts_of[signature]) for signature in genuine)
    return found or refusal, count


def progress(refused: Refused) -> int:
    """Return how far the reading of a cookie came: of several refusals the furthest one tells most."""
    return list(Reason).index(refused.reason)


def as_datetime(claimed_time: int | None) -> datetime | None:
    """Return a time that a text claims as a datetime; None if it claims none, or one past the calendar's end."""
    try:
        return None if claimed_time is None else datetime.fromtimestamp(claimed_time, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _by_what_was_signed(texts: Iterable[str]) -> dict[str, dict[bytes, list[str]]]:
    """Return what texts claim was sealed, in the order that they came in: with each signature, and the texts of that.

    A signature has many spellings in base64: it takes no key to make a thousand different texts of one.
    """
    found: dict[str, dict[bytes, list[str]]] = {}
    for text in texts:
        signed, _, signature = text.rpartition(".")
        if signed in found or (len(found) < MOST_COOKIES and "." in signed):
            found.setdefault(signed, {}).setdefault(_code(signature), []).append(text)
    return found


def _code(signature: str) -> bytes:
    """Return what a signature stands for; nothing, which no code is, where it is no base64."""
    try:
        return from_base64(signature.encode("utf-8", "replace"))
    except ValueError:
        return b""

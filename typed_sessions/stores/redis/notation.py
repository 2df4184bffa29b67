"""How scripts are told texts and spans, and how they answer: as bytes."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

from typed_sessions.stores.base import Lifetime, Record, WriteRequest
from typed_sessions.stores.moments import moments

__all__ = ["as_bytes", "as_text", "as_written", "new_version", "optional", "spans", "split_off"]

_LONGEST: Final = 1 << 62
"""In microseconds: no span needs more."""

_MICROSECOND: Final = timedelta(microseconds=1)


def new_version() -> int:
    """Return one that no record has had."""
    return secrets.randbits(63)


def as_bytes(text: str) -> bytes:
    """Return a text as it is stored, whatever it holds."""
    return text.encode("utf-8", "surrogatepass")


def as_text(stored: bytes) -> str:
    """Return what `as_bytes` was given."""
    return stored.decode("utf-8", "surrogatepass")


def optional(text: str | None) -> bytes:
    """Return a text, or None, as scripts take it."""
    return b"" if text is None else b"+" + as_bytes(text)


def spans(lifetime: Lifetime) -> tuple[bytes, bytes]:
    """Return the idle and the absolute lifetime as scripts take them."""
    absolute = lifetime.absolute
    return _span(lifetime.idle), b"" if absolute is None else _span(absolute)


def _span(span: timedelta) -> bytes:
    return b"%d" % min(span // _MICROSECOND, _LONGEST)


def split_off(answer: bytes, size: bytes) -> tuple[bytes | None, bytes]:
    """Return what an answer begins with, which is None where the size is a dash, and what follows that."""
    if size == b"-":
        return None, answer
    return answer[: int(size)], answer[int(size) :]


def as_written(answer: bytes, version: int, write: WriteRequest) -> Record:
    """Return the record as it is now. Its payload did not have to come back."""
    as_of, created, last_seen, expires_at, issued = moments(answer.split(b" ")[1:])
    return Record(write.payload, version, created, last_seen, expires_at, as_of, issued, write.subject, write.device)

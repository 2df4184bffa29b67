"""A load by plain commands: what a thread asks most, without a script.

The server has the time and the record told one after the other, in one round trip, which takes it a fourth of what a
script does. The time comes first: what is ended in between, and is later, counts as ended since.

What is not as it nearly always is, such as a record that has moved, is for the script to tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from redis.exceptions import InvalidResponse

from typed_sessions.stores.redis.script import packed_words

__all__ = ["LiveRow", "PlainRow", "plain_load", "read_plain_row"]

LiveRow: TypeAlias = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes | None, bytes | None]
"""Seconds and microseconds of the time; the version; when it was created, seen, ends and was issued, in microseconds;
the payload, the subject and the device."""

PlainRow: TypeAlias = LiveRow | tuple[()]
"""That, or nothing for a key that nobody has."""

_FIELDS: Final = (
    b"version", b"created", b"last_seen", b"expires_at", b"issued", b"target", b"payload", b"subject", b"device"
)  # fmt: skip
_NOBODY: Final = b"*%d\r\n" % len(_FIELDS) + b"$-1\r\n" * len(_FIELDS)
_NOTHING_MORE: Final = b"$-1\r\n" * 2
_BEFORE: Final = b"*1\r\n$4\r\nTIME\r\n*%d\r\n$5\r\nHMGET\r\n" % (2 + len(_FIELDS))
_AFTER: Final = packed_words(_FIELDS)

_LINES: Final = 18
"""Of an answer, before the payload: 5 of the time; one that says how many fields follow; two for each of the five
numbers; one for there being no target, and the size of the payload."""


def plain_load(name: bytes) -> bytes:
    """Return the request for the record of a name."""
    return b"%b$%d\r\n%b\r\n%b" % (_BEFORE, len(name), name, _AFTER)


def read_plain_row(more: Callable[[], bytes]) -> PlainRow | None:
    """Read the answer; None if it is for the script to tell.

    Args:
        more: returns what the server says next.
    """
    answer = more()
    while True:
        row = _usual(answer)
        if row is not None:
            return row
        if _is_whole(answer):
            return () if answer.endswith(_NOBODY) else None
        answer += more()


def _usual(answer: bytes) -> LiveRow | None:
    """Return what a live record says, if that is what the answer is, and all of it is there."""
    lines = answer.split(b"\r\n", _LINES)
    if len(lines) <= _LINES or lines[6] == b"$-1" or lines[16] != b"$-1":
        return None
    _, _, seconds, _, rest, _, _, version, _, created, _, seen, _, ends, _, issued, _, length, texts = lines
    size = int(length[1:])
    payload, subject, device, end = texts[:size], None, None, size + 2
    if texts[end:] != _NOTHING_MORE:
        try:
            subject, end = _text(texts, end)
            device, end = _text(texts, end)
        except ValueError:  # there is more to come
            return None
        if end != len(texts):
            return None
    return seconds, rest, version, created, seen, ends, issued, payload, subject, device


def _text(texts: bytes, at: int) -> tuple[bytes | None, int]:
    line = texts.index(b"\r\n", at)
    size, start = int(texts[at + 1 : line]), line + 2
    if size < 0:
        return None, start
    if len(texts) < start + size + 2:
        raise ValueError
    return texts[start : start + size], start + size + 2


def _is_whole(answer: bytes) -> bool:
    """Return True if both commands are answered."""
    end: int | None = 0
    for _ in range(2):
        end = None if end is None else _end(answer, end)
    if end is not None and end != len(answer):
        raise InvalidResponse("the server answers more than it was asked")
    return end is not None


def _end(answer: bytes, at: int) -> int | None:
    """Return where something ends that the server says; None if there is more of it to come."""
    line = answer.find(b"\r\n", at)
    if line < 0:
        return None
    kind, end = answer[at : at + 1], line + 2
    if kind in (b"-", b"+", b":"):
        return end
    size = int(answer[at + 1 : line])
    if kind == b"$":
        end += size + 2 if size >= 0 else 0
        return end if end <= len(answer) else None
    if kind != b"*":
        raise InvalidResponse("the server answers what nobody understands")
    whole: int | None = end
    for _ in range(max(size, 0)):
        whole = None if whole is None else _end(answer, whole)
    return whole

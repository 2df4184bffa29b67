"""What the scripts answer, as values, and what they are asked, as bytes and texts."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from typed_sessions.stores.base import Found, Listed, Moved, Record, WriteRequest
from typed_sessions.stores.moments import in_microseconds, moment
from typed_sessions.stores.redis.notation import as_text, optional, spans, split_off

__all__ = [
    "Pending",
    "Taken",
    "found",
    "listed_in",
    "moment_of",
    "pending",
    "record_of",
    "requested",
    "taken",
]


@frozen
class Pending:
    """A record that was staged, and not settled yet."""

    version: bytes
    former: str = field(repr=False)
    """The key that it comes from."""
    subject: str | None = field(repr=False)


@frozen
class Taken:
    """The note of a move that has taken place."""

    target: str = field(repr=False)
    version: bytes
    """Of the record there."""
    created: bytes
    """When the record was created: in microseconds, as a script takes it."""
    at: bytes


def requested(key: str, version: int, write: WriteRequest) -> tuple[bytes, ...]:
    """Return what the scripts take that write a record, but for the time before it."""
    return (
        key.encode(),
        b"%d" % version,
        write.payload,
        *spans(write.lifetime),
        b"" if write.as_of is None else b"%d" % in_microseconds(write.as_of),
        optional(write.subject),
        optional(write.device),
        b"%d" % write.restart,
    )


def moment_of(microseconds: bytes) -> datetime:
    """Return a time that a script has answered."""
    return moment(int(microseconds))


def found(answer: bytes) -> Found:
    """Return what a load has found, which is settled."""
    match answer.split(b" ", 1)[0]:
        case b"present":
            return record_of(answer)
        case b"moved":
            _, now, moved_at, target, _, _ = answer.split()
            return Moved(target.decode(), moved_at=moment_of(moved_at), as_of=moment_of(now))
        case _:
            return None


def record_of(answer: bytes) -> Record:
    """Return the record that an answer shows."""
    line, _, rest = answer.partition(b"\n")
    _, now, version, created, last_seen, expires_at, issued, payload_size, subject_size, device_size = line.split()
    payload, rest = rest[: int(payload_size)], rest[int(payload_size) :]
    subject, rest = _first(rest, subject_size)
    device, _ = _first(rest, device_size)
    return Record(
        payload=payload,
        version=int(version),
        created=moment_of(created),
        last_seen=moment_of(last_seen),
        expires_at=moment_of(expires_at),
        as_of=moment_of(now),
        issued=moment_of(issued),
        subject=subject,
        device=device,
    )


def pending(answer: bytes) -> Pending | None:
    """Return what an answer tells of a record that is pending; None if it does not."""
    if not answer.startswith(b"pending "):
        return None
    line, _, subject = answer.partition(b"\n")
    _, version, former, *_ = line.split()
    return Pending(version, former.decode(), as_text(subject[1:]) if subject[:1] == b"+" else None)


def taken(answer: bytes) -> Taken | None:
    """Return the note that a load has found; None if it is none."""
    if not answer.startswith(b"moved "):
        return None
    _, _, moved_at, target, version, created = answer.split()
    return Taken(target.decode(), version, created, moved_at)


def listed_in(answer: bytes) -> tuple[list[Listed], list[str]]:
    """Return the live records of a subject, and the keys of those that are pending."""
    listed, unsettled = list[Listed](), list[str]()
    while answer:
        line, _, rest = answer.partition(b"\n")
        key, created, last_seen, expires_at, is_pending, size = line.split()
        device, answer = _first(rest, size)
        if is_pending == b"1":
            unsettled.append(key.decode())
        else:
            listed.append(Listed(key.decode(), moment_of(created), moment_of(last_seen), moment_of(expires_at), device))
    return listed, unsettled


def _first(answer: bytes, size: bytes) -> tuple[str | None, bytes]:
    """Return the text that an answer begins with, None where the size is a dash, and what follows it."""
    text, rest = split_off(answer, size)
    return None if text is None else as_text(text), rest

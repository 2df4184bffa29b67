"""What is in the payload of a record."""

from __future__ import annotations

import secrets
from typing import Final

from msgspec import field
from typing_extensions import TypeVar

from typed_sessions.codec.codec import Loaded
from typed_sessions.core.loading import undeclared_reported
from typed_sessions.core.rules import Format, Rules
from typed_sessions.core.state import LoadResult
from typed_sessions.reports import Reason, Refused
from typed_sessions.schema.values import Value
from typed_sessions.serializers.base import serializer_name
from typed_sessions.stores.identifiers import Identifier

__all__ = ["Attempt", "name_of", "packed", "payload_in", "read", "was_written_by"]

S = TypeVar("S", default=dict[str, object])

_END: Final = b"\n"
"""After the name of a format, the token of an attempt, and its stamp. The payload in that format follows."""

_HEADERS: Final = 3


class Attempt(Value):
    """One attempt to write a record. Its token is in the record, so that it is known again if no answer comes."""

    identifier: Identifier
    stamp: int
    """The time, by this machine's clock, in seconds since the epoch."""
    token: bytes = field(default_factory=lambda: secrets.token_hex(6).encode())


def packed(attempt: Attempt, name: bytes, payload: bytes) -> bytes:
    """Return contents as a record keeps them: with the name of their format, and the token and time of the attempt."""
    return _END.join((name, attempt.token, b"%d" % attempt.stamp, payload))


def payload_in(kept: bytes, name: bytes) -> bytes | None:
    """Return the payload of a record that is in the format of a name; None if it is in another one."""
    parts = kept.split(_END, _HEADERS)
    return parts[_HEADERS] if len(parts) > _HEADERS and parts[0] == name else None


def was_written_by(attempt: Attempt, kept: bytes) -> bool:
    """Return True if a record is what an attempt wrote."""
    return kept.partition(_END)[2].startswith(attempt.token + _END)


def read(kept: bytes, rules: Rules[S]) -> LoadResult[S] | Refused:
    """Return what a record holds, which some release of this application has written."""
    refused = Refused(Reason.UNREADABLE)
    for format_ in rules.formats:
        payload = payload_in(kept, name_of(format_))
        if payload is None:
            continue
        outcome = format_.codec.decode(payload, rules.on_bad_field)
        if isinstance(outcome, Loaded):
            opened = LoadResult(outcome.contents, outcome.snapshot, new=False, reports=outcome.reports)
            return undeclared_reported(opened, rules)
        refused = outcome
    return refused


def name_of(format_: Format[S]) -> bytes:
    """Return what records say of their format. A name of the user's may hold the line break that ends it there."""
    return (serializer_name(format_.codec.serializer) or "").encode("unicode_escape")

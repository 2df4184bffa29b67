"""What is in the payload of a record, and which records are no sessions."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

from attrs import field, frozen
from typing_extensions import TypeVar

from typed_sessions.engine import Format, Policy, undeclared_reported
from typed_sessions.identifiers import Identifier, key_of
from typed_sessions.payloads import Decoded
from typed_sessions.reports import Reason, Refused
from typed_sessions.serializers.base import serializer_name
from typed_sessions.session import Opened, Origin
from typed_sessions.stores.base import Lifetime, Written

__all__ = ["Attempt", "moved_key", "moved_note", "packed", "read", "taken_in_key", "taken_in_note", "was_written_by"]

S = TypeVar("S", default=dict[str, object])

_END: Final = b"\n"
"""Between the name of a format, the token of an attempt, and the payload in that format."""

_TOKEN_SIZE: Final = 6
"""In bytes."""

JUST_NOW: Final = timedelta(minutes=1)
"""How long requests may be under way that the browser sent before it knew of a new cookie."""


def _new_token() -> bytes:
    return secrets.token_hex(_TOKEN_SIZE).encode()


@frozen
class Attempt:
    """One attempt to write a record. Its token is in the record, so that it is known again if no answer comes."""

    identifier: Identifier
    token: bytes = field(factory=_new_token, repr=False)


def packed(attempt: Attempt, format_: Format[S], payload: bytes) -> bytes:
    """Return contents as a record keeps them: with the name of their format, and the token of the attempt."""
    return _name_of(format_) + _END + attempt.token + _END + payload


def was_written_by(attempt: Attempt, kept: bytes) -> bool:
    """Return True if a record is what an attempt wrote."""
    return kept.partition(_END)[2].startswith(attempt.token + _END)


def read(kept: bytes, policy: Policy[S]) -> Opened[S] | Refused:
    """Return what a record holds, which some release of this application has written."""
    name, _, rest = kept.partition(_END)
    _, end, payload = rest.partition(_END)
    refused = Refused(Reason.UNREADABLE)
    for format_ in policy.formats if end else ():
        if _name_of(format_) != name:
            continue
        outcome = format_.codec.decode(payload, policy.on_bad_field)
        if isinstance(outcome, Decoded):
            origin = Origin(format_.codec, payload, outcome)
            return undeclared_reported(Opened(outcome.contents, origin, new=False, reports=outcome.reports), policy)
        refused = outcome
    return refused


def _name_of(format_: Format[S]) -> bytes:
    return (serializer_name(format_.codec.serializer) or "").encode()


def moved_key(identifier: Identifier) -> str:
    """Return the key of the note that a session was moved away from an identifier just now."""
    return key_of(f"moved:{identifier.text}")


def moved_note() -> Written:
    """Return the record under `moved_key`."""
    return Written(b"", Lifetime(JUST_NOW))


def taken_in_key(signed: str) -> str:
    """Return the key of the note that a signed cookie was taken in.

    It is made of what is signed. The signature has several spellings in base64, each of which verifies.
    """
    return key_of(signed.rpartition(".")[0])


def taken_in_note(remaining: timedelta) -> Written:
    """Return the record under `taken_in_key`, for a cookie that is valid for so long."""
    return Written(b"", Lifetime(remaining + _LEEWAY))


_LEEWAY: Final = timedelta(days=1)
"""How much longer than it would be valid a signed cookie is refused: clocks differ."""

"""What is in the payload of a record."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, Final

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

if TYPE_CHECKING:
    from typed_sessions.sealing.encrypted import DailyKeys

__all__ = ["Attempt", "Parts", "name_of", "payload_in", "read", "resealed", "was_written_by"]

S = TypeVar("S", default=dict[str, object])

_END: Final = b"\n"
"""After the name of a format, the token of an attempt, and its stamp. The payload in that format follows."""

_HEADERS: Final = 3

_ENCRYPTED: Final = b"\\encrypted "
"""Before the id of the key and the name of the format, if the payload is encrypted. No name begins like that: where
something is escaped in one, another letter follows the backslash."""

_STAMP: Final = re.compile(rb"[0-9]{1,12}")


class Attempt(Value):
    """One attempt to write a record. Its token is in the record, so that it is known again if no answer comes."""

    identifier: Identifier
    stamp: int
    """The time, by this machine's clock, in seconds since the epoch."""
    token: bytes = field(default_factory=lambda: secrets.token_hex(6).encode())


class Parts(Value):
    """What a record keeps, decrypted."""

    name: bytes
    """Of the format, see `name_of`."""
    token: bytes
    """Of the attempt to write it."""
    payload: bytes

    def packed(self, stamp: int, key: str, rules: Rules[Any]) -> bytes:
        """Return them as a record keeps them, with the time in seconds since the epoch.

        What the rules have encrypted is read under no other key than that of the record.
        """
        keys = _writing_keys(rules)
        if keys is None:
            return _END.join((self.name, self.token, b"%d" % stamp, self.payload))
        head = b"%s%s %s\n%s\n%d\n" % (_ENCRYPTED, keys.current, self.name, self.token, stamp)
        return head + keys.encrypted(self.payload, head + key.encode(), stamp)


def _writing_keys(rules: Rules[Any]) -> DailyKeys | None:
    return rules.record_keys if rules.settings.encryption == "on" else None


def payload_in(kept: bytes, name: bytes) -> bytes | None:
    """Return the payload of a record that is in the format of a name; None if it is in another one, or encrypted."""
    parts = kept.split(_END, _HEADERS)
    return parts[_HEADERS] if len(parts) > _HEADERS and parts[0] == name else None


def was_written_by(attempt: Attempt, kept: bytes) -> bool:
    """Return True if a record is what an attempt wrote."""
    return kept.partition(_END)[2].startswith(attempt.token + _END)


def resealed(kept: bytes, key: str, rules: Rules[Any], *, move_to: str) -> bytes:
    """Return what a record keeps as it would be written now: the very same, if it is under that key already."""
    keys, is_encrypted = _writing_keys(rules), kept.startswith(_ENCRYPTED)
    is_current = kept.startswith(b"%s%s " % (_ENCRYPTED, keys.current)) if keys else not is_encrypted
    if is_current and (key == move_to or not is_encrypted):
        return kept
    parts = _parts_of(kept, key, rules)
    return kept if isinstance(parts, Refused) else parts.packed(int(rules.clock()), move_to, rules)


def read(kept: bytes, key: str, rules: Rules[S]) -> LoadResult[S] | Refused:
    """Return what the record of a key holds, which some release of this application has written."""
    parts = _parts_of(kept, key, rules)
    if isinstance(parts, Refused):
        return parts
    refused = Refused(Reason.UNREADABLE)
    for codec in dict.fromkeys(format_.codec for format_ in rules.formats if name_of(format_) == parts.name):
        outcome = codec.decode(parts.payload, rules.settings.on_bad_field)
        if isinstance(outcome, Loaded):
            opened = LoadResult(outcome.contents, outcome.snapshot, new=False, reports=outcome.reports)
            return undeclared_reported(opened, rules)
        refused = outcome
    return refused


def _parts_of(kept: bytes, key: str, rules: Rules[Any]) -> Parts | Refused:
    found, keys = kept.split(_END, _HEADERS), rules.record_keys
    if len(found) <= _HEADERS:
        return Refused(Reason.UNREADABLE)
    name, token, stamp, payload = found
    if not name.startswith(_ENCRYPTED):
        return Parts(name, token, payload)
    key_id, _, name = name.removeprefix(_ENCRYPTED).partition(b" ")
    if keys is None or key_id not in keys.ids:
        return Refused(Reason.SIGNATURE if keys else Reason.UNREADABLE)
    if not _STAMP.fullmatch(stamp):
        return Refused(Reason.TAMPERED)
    head = kept[: len(kept) - len(payload)]
    decrypted = keys.decrypted(payload, head + key.encode(), int(stamp), key_id)
    return Refused(Reason.TAMPERED) if decrypted is None else Parts(name, token, decrypted)


def name_of(format_: Format[S]) -> bytes:
    """Return what records say of their format. A name of the user's may hold the line break that ends it there."""
    return (serializer_name(format_.codec.serializer) or "").encode("unicode_escape")

"""`Form`: the short way of one schema in one notation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, Final, TypeAlias

import msgspec

from typed_sessions.codec.compiled.notations import Notation
from typed_sessions.codec.contents import Contents
from typed_sessions.codec.payloads import Lowered, Read
from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.places import MAX_DEPTH, is_deeper
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.types import Mismatch

__all__ = ["PLAIN", "THE_LONG_WAY", "Form", "Plain"]

Plain: TypeAlias = dict[str, Any]
"""What msgspec writes and reads, by key."""

PLAIN: Final = frozenset({NoneType, bool, int, str})
"""The types of what is written as it is."""
_TEXT: Final = frozenset({str})

THE_LONG_WAY: Final = (
    Unusual,
    Mismatch,
    msgspec.MsgspecError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What is raised where something is not as it nearly always is. The long way finds out what it is, and says it."""


class Form(ABC):
    """The short way between contents and their payload. What it raises `THE_LONG_WAY` for, only the long way knows."""

    def __init__(self, schema: Schema[Any], notation: Notation) -> None:
        self._schema: Final = schema
        self._encode: Final = notation.encode
        self._tagged: Final = notation.tagged
        self._untagged: Final = notation.untagged
        self._tags: Final = notation.tags
        self._is_strict: Final = notation.is_strict
        self._marks: Final = notation.container_marks
        self._any: Final = notation.decoder(Any)
        self._split: Final = notation.decoder(dict[str, msgspec.Raw])
        self._keeps_order: Final = notation.keeps_order

    @abstractmethod
    def read(self, payload: bytes) -> Read[Any]:
        """Return what a payload holds."""

    @abstractmethod
    def payload(self, contents: Contents[Any], version: int = 0) -> bytes:
        """Return contents, and their version if they have one, as they are written, to compare with another payload.

        That they read back is not proven.
        """

    @abstractmethod
    def lower(self, contents: Contents[Any], version: int = 0, *, unless: bytes = b"") -> Lowered[Any]:
        """Return contents, and their version if they have one, as a payload of which msgspec reads what was written.

        Args:
            contents: what is stored.
            version: of the payload.
            unless: a payload that need not be read, where it is the same.
        """

    @abstractmethod
    def look(self, read: Read[Any]) -> Read[Any] | Lowered[Any] | None:
        """Return what a look at contents shows that were read.

        Returns:
            What was read, if nothing has changed since; a draft, if something has, in which all else is as it came;
            None where a look does not tell.
        """

    def keeps(self, payload: bytes) -> bool:  # noqa: ARG002 -- of a class
        """Return True if no code of the user's changes what is read of a payload. It raises what such code refuses."""
        return True

    @abstractmethod
    def differs(self, before: Read[Any], after: Lowered[Any]) -> bool:
        """Return True if a draft that reads back does not hold values equal to those of an earlier payload."""

    def _refuse_tag(self, keyed: Mapping[str, object]) -> None:
        """Leave alone a dict whose only key is a tag: it means something else, or is written with another key."""
        if not self._tags.isdisjoint(keyed):
            raise Unusual

    def _refuse_keys(self, keys: Iterable[object]) -> None:
        """Leave alone keys that are no text, or are of a subclass: what is read of them is another key."""
        if not _TEXT.issuperset(map(type, keys)):
            raise Unusual

    def _refuse_depth(self, payload: bytes) -> None:
        """Leave alone what may nest too deep. Most payloads have too few containers for that."""
        if len(payload) < MAX_DEPTH:
            return
        containers = len(payload) - len(payload.translate(None, self._marks))
        if containers >= MAX_DEPTH and is_deeper({"": self._any(payload)}, MAX_DEPTH):
            raise Unusual

    def _changed(self, value: object, raw: msgspec.Raw | None) -> Any:
        """Return what msgspec writes of a key that holds anything; unset if that is what it has read.

        What means the same and is spelled otherwise, such as a dict in another order, is left alone: that is no change,
        and yet to be written where anything else changes.
        """
        plain = self._tagged(value)
        part = self._encode(plain)
        if raw is not None:
            if part == bytes(raw):
                return msgspec.UNSET
            before = self._any(raw)
            if before == plain if type(value) in PLAIN else same(self._untagged(before), value):
                raise Unusual
        self._prove(part, plain)
        return plain

    def _prove(self, part: bytes, plain: object) -> None:
        """Leave alone what msgspec does not read back, or nests too deep."""
        self._refuse_depth(part)
        if self._any(part) != plain:
            raise Unusual

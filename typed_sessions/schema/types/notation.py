"""How a format writes what JSON lacks, as far as generated code needs to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import frozen

from typed_sessions.schema.sameness import same

__all__ = ["Convert", "Notation", "Spelling"]

Convert: TypeAlias = Callable[[Any], Any]


@frozen
class Spelling:
    """How one format writes the values of one type that JSON lacks: as a dict with one key, the tag."""

    tag: str
    write: Convert
    """Makes the content of a value of exactly this type. Raises ValueError for one that would not come back."""
    read: Convert
    """Makes the value of a content. Raises ValueError, or TypeError, for what is none."""
    native: type | None = None
    """The type as which msgspec reads and writes the content by itself; None if the content is text."""
    reads_exactly: bool = False
    """True if `read` refuses what `write` would not have written."""

    def read_exactly(self, content: Any) -> Any:
        """Return the value of a content as `write` makes it. Raises ValueError, or TypeError, for any other."""
        value = self.read(content)
        if not self.reads_exactly and self.write(value) != content:
            raise ValueError("written in another way")
        return value


@frozen
class Notation:
    """What generated code needs to know of one built-in serializer."""

    encode: Callable[[object], bytes]
    """Makes a payload of plain values. Raises Unusual for what msgspec does not write."""
    encode_unescaped: Callable[[object], bytes]
    """Makes the same of what msgspec is known to write, with text that may not be ASCII."""
    decoder: Callable[[Any], Convert]
    """Makes what reads a payload, or a part of one, as a type. It raises MsgspecError, or UnicodeDecodeError."""
    spellings: Mapping[type, Spelling]
    """How each type is written, but for containers."""
    tuple_tag: str
    tags: frozenset[str]
    tagged: Convert
    """Makes plain values of those of an undeclared key. Raises Unusual for what would not come back."""
    untagged: Convert
    """Makes values of the plain ones of an undeclared key. Raises Unusual for what is no tag's content."""
    last_tag: Callable[[bytes], int]
    """Returns a place in a payload after which there is certainly no tag: before its begin where it holds none."""
    is_strict: bool
    """True if `untagged` raises for what `tagged` would not have written."""
    exact_float: Callable[[float], float]
    """Returns a number that is written as the serializer writes it. Raises Unusual for another."""
    container_marks: bytes
    """The bytes with which containers begin."""
    keeps_order: bool = True
    """False if keys are sorted."""

    def are_alike(self, one: object, other: object) -> bool:
        """Return True if two plain values are written alike, or are the same in another order.

        For values of JSON's own types at every depth: a tuple is written as a list is.
        """
        return self.encode(one) == self.encode(other) or same(one, other)

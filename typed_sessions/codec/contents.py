"""The two views of what a session holds: the live data, and the mapping of what is stored.

A declared field is *stored* when its value differs from its default, or when the default itself was stored, by key or
by a payload, and has not changed since. Undeclared keys are stored while they are there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol, Self

from typing_extensions import TypeVar

from typed_sessions.codec.declared_contents import DeclaredContents, unread_among
from typed_sessions.codec.keyed_contents import KeyedContents
from typed_sessions.codec.loaded_from import LoadedFrom
from typed_sessions.schema.schema import Schema

__all__ = ["Contents", "contents_of"]

S = TypeVar("S", default=dict[str, object])


class Contents(Protocol[S]):
    """The live data of a session and the stored view of it. Each change of one shows in the other."""

    @property
    def schema(self) -> Schema[S]:
        """What a session holds."""
        ...

    loaded_from: LoadedFrom | None
    """What they were loaded from; None if that does not tell what has changed."""

    @property
    def data(self) -> S:
        """The live object. Reading it makes defaults that were generated for this visitor count as stored."""
        ...

    def keys(self) -> list[str]:
        """Return the stored keys: first those stored by key, in that order, then those stored through the data."""
        ...

    def read(self, key: str) -> object:
        """Return the live value under a stored key. Raises KeyError."""
        ...

    def get(self, key: str, default: object = None) -> object:
        """Return the live value under a key, or the default if it is not stored."""
        ...

    def store(self, key: str, value: object) -> None:
        """Store a value under a key. Raises FieldTypeError, with nothing changed."""
        ...

    def update(self, values: Mapping[str, object]) -> None:
        """Store values under their keys: all of them or, whatever is raised, none. Raises FieldTypeError."""
        ...

    def remove(self, key: str) -> None:
        """Take a stored key out; a declared field has its default again. Raises KeyError."""
        ...

    def clear(self) -> None:
        """Take all stored keys out, in place: those who hold the live data see the defaults."""
        ...

    def replace(self, data: object) -> None:
        """Make another object the live data. Raises FieldTypeError, with nothing changed."""
        ...

    def take(self, other: Self, keys: Collection[str]) -> None:
        """Make of keys what other contents hold of them, past the class's own converters and validators.

        The live data stays the same object, unless it is frozen.
        """
        ...

    def copied(self, memo: dict[int, Any] | None = None) -> Contents[S]:
        """Return contents of their own that hold the same. Nothing is looked at, so nothing changes here.

        Args:
            memo: that of `copy.deepcopy`, for deep copies of all values; without it, both hold the same ones.
        """
        ...

    def declares(self, key: str) -> bool:
        """Return True if the schema declares a key; without a schema every key counts as declared."""
        ...

    def stored(self) -> dict[str, object]:
        """Return what is stored, in the order of `keys`, with the live values."""
        ...

    def shown(self) -> dict[str, object]:
        """Return the same, for who looks at it and changes nothing that it holds."""
        ...

    def __contains__(self, key: object) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...


def contents_of(schema: Schema[S], stored: Mapping[str, object]) -> Contents[S]:
    """Return contents that hold what was stored: declared fields with values of their types, and undeclared keys.

    Raises:
        Exception: what the class's own converters and validators raise.
    """
    if schema.keyed:
        return KeyedContents(schema, dict(stored))
    fields = schema.fields
    declared = {key: value for key, value in stored.items() if key in fields}
    extras = {key: value for key, value in stored.items() if key not in fields}
    data = schema.construct(declared)
    explicit = frozenset(schema.defaults_among(declared, data))
    return DeclaredContents(schema, data, extras, unread_among(schema, declared, data), explicit, dict.fromkeys(stored))

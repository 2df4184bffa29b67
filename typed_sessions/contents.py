"""The two views of what a session holds: the live data, and the mapping of what is stored.

A declared field is *stored* when its value differs from its default, or when the default itself was stored, by key or
by a payload, and has not changed since. Undeclared keys are stored while they are there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Generic, cast

from typing_extensions import TypeVar, override

from typed_sessions.schema import Field, Schema

__all__ = ["Contents", "contents_of"]

S = TypeVar("S", default=dict[str, object])


class Contents(ABC, Generic[S]):
    """The live data of a session and the stored view of it. Each change of one shows in the other."""

    def __init__(self, schema: Schema[S]) -> None:
        self.schema = schema

    @property
    @abstractmethod
    def data(self) -> S:
        """The live object. Reading it makes defaults that were generated for this visitor count as stored."""

    @abstractmethod
    def keys(self) -> list[str]:
        """Return the stored keys: first those stored by key, in that order, then those stored through the data."""

    @abstractmethod
    def read(self, key: str) -> object:
        """Return the live value under a stored key. Raises KeyError."""

    def check(self, key: str, value: object) -> None:
        """Refuse a value that no converter could make fit its field. Raises FieldTypeError."""

    @abstractmethod
    def store(self, key: str, value: object) -> None:
        """Store a value under a key. Raises FieldTypeError, with nothing changed."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Take a stored key out; a declared field has its default again. Raises KeyError."""

    @abstractmethod
    def clear(self) -> None:
        """Take all stored keys out, in place: those who hold the live data see the defaults."""

    @abstractmethod
    def replace(self, data: object) -> None:
        """Make another object the live data. Raises FieldTypeError, with nothing changed."""

    @abstractmethod
    def declares(self, key: str) -> bool:
        """Return True if the schema declares a key; without a schema every key counts as declared."""

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def stored(self) -> dict[str, object]:
        """Return what is stored, in order, with the live values."""
        return {key: self.read(key) for key in self.keys()}


def contents_of(schema: Schema[S], stored: Mapping[str, object]) -> Contents[S]:
    """Return contents that hold what was stored: declared fields with values of their types, and undeclared keys.

    Raises:
        Exception: what the class's own converters and validators raise.
    """
    if schema.keyed:
        return _KeyedContents(schema, stored)
    return _DeclaredContents(schema, stored)


class _KeyedContents(Contents[S]):
    """Contents of a TypedDict, or of no schema: the live data is a dict, and all of it is stored."""

    def __init__(self, schema: Schema[S], stored: Mapping[str, object]) -> None:
        super().__init__(schema)
        self._dict: dict[str, object] = dict(stored)

    @property
    @override
    def data(self) -> S:
        return cast("S", self._dict)  # S is a TypedDict, or dict[str, object]

    @override
    def keys(self) -> list[str]:
        return list(self._dict)

    @override
    def __contains__(self, key: object) -> bool:
        return key in self._dict

    @override
    def read(self, key: str) -> object:
        return self._dict[key]

    @override
    def check(self, key: str, value: object) -> None:
        if key in self.schema.fields:
            self.schema.admit(key, value)

    @override
    def store(self, key: str, value: object) -> None:
        self._dict[key] = self.schema.admit(key, value) if key in self.schema.fields else value

    @override
    def remove(self, key: str) -> None:
        del self._dict[key]

    @override
    def clear(self) -> None:
        self._dict.clear()

    @override
    def replace(self, data: object) -> None:
        self._dict = cast("dict[str, object]", self.schema.adopt(data))

    @override
    def declares(self, key: str) -> bool:
        return self.schema.open or key in self.schema.fields


class _DeclaredContents(Contents[S]):
    """Contents of a declared class, beside a dict of undeclared keys."""

    def __init__(self, schema: Schema[S], stored: Mapping[str, object]) -> None:
        super().__init__(schema)
        fields = schema.fields
        declared = {name: value for name, value in stored.items() if name in fields}
        self._data = schema.construct(declared)
        self._extras = {key: value for key, value in stored.items() if key not in fields}
        self._pinned = {key: key in fields and fields[key].is_default(stored[key]) for key in stored}
        """The keys stored by key, in order; True for a field whose default itself was stored."""
        self._vacant = {
            name
            for name, field in fields.items()
            if name not in declared and _is_generated(field, schema.read(self._data, name))
        }
        """The fields whose generated value nobody has seen yet, so that it does not count as stored."""

    @property
    @override
    def data(self) -> S:
        self._vacant.clear()
        return self._data

    @override
    def keys(self) -> list[str]:
        stored = dict.fromkeys(name for name in self.schema.fields if self._is_stored(name))
        by_key = [key for key in self._pinned if key in self._extras or key in stored]
        return by_key + [name for name in stored if name not in self._pinned]

    @override
    def __contains__(self, key: object) -> bool:
        return key in self._extras or (isinstance(key, str) and key in self.schema.fields and self._is_stored(key))

    @override
    def read(self, key: str) -> object:
        if key in self._extras:
            return self._extras[key]
        if key not in self:
            raise KeyError(key)
        return self.schema.read(self._data, key)

    @override
    def check(self, key: str, value: object) -> None:
        if key in self.schema.fields and not self.schema.fields[key].converts:
            self.schema.admit(key, value)

    @override
    def store(self, key: str, value: object) -> None:
        if key not in self.schema.fields:
            self._extras[key] = value
            self._pinned.setdefault(key, False)
            return
        was_stored = self._is_stored(key)
        self._data = self.schema.assign(self._data, key, value)
        if not was_stored:
            self._pinned.pop(key, None)
        self._pinned[key] = self.schema.fields[key].is_default(self.schema.read(self._data, key))
        self._vacant.discard(key)

    @override
    def remove(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self._pinned.pop(key, None)
        if key in self._extras:
            del self._extras[key]
        else:
            self._restore_defaults([key])

    @override
    def clear(self) -> None:
        self._pinned.clear()
        self._extras.clear()
        self._restore_defaults(list(self.schema.fields))

    @override
    def replace(self, data: object) -> None:
        self._data = self.schema.adopt(data)
        self._vacant.clear()

    @override
    def declares(self, key: str) -> bool:
        return key in self.schema.fields

    def _restore_defaults(self, names: list[str]) -> None:
        self._data = self.schema.restore_defaults(self._data, names)
        self._vacant.update(
            name for name in names if _is_generated(self.schema.fields[name], self.schema.read(self._data, name))
        )

    def _is_stored(self, name: str) -> bool:
        if name in self._vacant:
            return False
        try:
            value = self.schema.read(self._data, name)
        except AttributeError:  # the program deleted the attribute: the next request has the default
            return False
        if not self.schema.fields[name].is_default(value):
            if self._pinned.get(name):
                self._pinned[name] = False  # the default that was stored has changed since
            return True
        if self._pinned.get(name):
            return True
        self._pinned.pop(name, None)
        return False


def _is_generated(field: Field, fresh: object) -> bool:
    """Return True if a fresh default was made for one visitor; a clock may not show that of two at set-up."""
    return field.generated or (field.factory and not field.is_default(fresh))

"""The two views of what a session holds: the live data, and the mapping of what is stored.

A declared field is *stored* when its value differs from its default, or when the default itself was stored, by key or
by a payload, and has not changed since. Undeclared keys are stored while they are there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import NoneType
from typing import Any, Final, Generic, TypeAlias, cast

from typing_extensions import TypeVar, override

from typed_sessions.schema import Schema

__all__ = ["Contents", "contents_in_parts", "contents_of"]

S = TypeVar("S", default=dict[str, object])


class Contents(ABC, Generic[S]):
    """The live data of a session and the stored view of it. Each change of one shows in the other."""

    __slots__ = ("schema",)

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

    def get(self, key: str, default: object = None) -> object:
        """Return the live value under a key, or the default if it is not stored."""
        return self.read(key) if key in self else default

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

    @abstractmethod
    def stored(self) -> dict[str, object]:
        """Return what is stored, in the order of `keys`, with the live values."""

    @abstractmethod
    def laid_out(self, departed: Departed, converted: Convert) -> LaidOut:
        """Return what is stored in the form that two functions give it.

        Args:
            departed: makes of an object the fields that are not their defaults; of a dict, of all that is in it.
            converted: makes the same of values by name.
        """

    def is_as_loaded(self, wire: object, compare: Callable[[S, Any], bool]) -> bool:  # noqa: ARG002 -- may say more
        """Return True if a look shows that nothing has changed, False if it takes more than that.

        Args:
            wire: what the contents were made of.
            compare: looks whether data is what was made of it.
        """
        return False

    @abstractmethod
    def __contains__(self, key: object) -> bool: ...

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())


LaidOut: TypeAlias = tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]
"""What is stored, of that the declared fields, and the keys of all else."""
Departed: TypeAlias = Callable[[Any], dict[str, Any]]
Convert: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def contents_of(schema: Schema[S], stored: Mapping[str, object]) -> Contents[S]:
    """Return contents that hold what was stored: declared fields with values of their types, and undeclared keys.

    Raises:
        Exception: what the class's own converters and validators raise.
    """
    fields = schema.fields
    declared = {key: value for key, value in stored.items() if key in fields}
    return contents_in_parts(schema, stored, declared, {key: stored[key] for key in stored if key not in declared})


def contents_in_parts(
    schema: Schema[S],
    order: Iterable[str],
    declared: dict[str, Any],
    extras: dict[str, Any],
    pinned: Iterable[str] | None = None,
) -> Contents[S]:
    """Return contents that hold these values of declared fields and of other keys, stored in an order.

    Args:
        schema: what a session holds.
        order: all keys.
        declared: values of declared fields.
        extras: values of other keys.
        pinned: the fields whose value is their default; None if that is to be found out.

    Raises:
        Exception: what the class's own converters and validators raise.
    """
    if not schema.keyed:
        return _DeclaredContents(schema, order, declared, extras, pinned)
    if not declared:
        return _KeyedContents(schema, extras)
    return _KeyedContents(schema, {**dict.fromkeys(order), **declared, **extras})


class _KeyedContents(Contents[S]):
    """Contents of a TypedDict, or of no schema: the live data is a dict, and all of it is stored."""

    __slots__ = ("_dict",)

    def __init__(self, schema: Schema[S], stored: dict[str, Any]) -> None:
        super().__init__(schema)
        self._dict = stored

    @property
    @override
    def data(self) -> S:
        return cast("S", self._dict)  # S is a TypedDict, or dict[str, object]

    @override
    def keys(self) -> list[str]:
        return list(self.stored())

    @override
    def stored(self) -> dict[str, object]:
        self._drop_superseded()
        return {**self._dict}

    @override
    def laid_out(self, departed: Departed, converted: Convert) -> LaidOut:
        self._drop_superseded()
        laid_out, fields = departed(self._dict), self.schema.fields
        declared = {key: value for key, value in laid_out.items() if key in fields}
        if len(declared) == len(laid_out):
            return laid_out, declared, ()
        return laid_out, declared, tuple([key for key in laid_out if key not in fields])

    @override
    def __contains__(self, key: object) -> bool:
        self._drop_superseded()
        return key in self._dict

    @override
    def read(self, key: str) -> object:
        self._drop_superseded()
        return self._dict[key]

    def _drop_superseded(self) -> None:
        if not self.schema.renamed:
            return
        for former in _superseded(self.schema, self._dict, self._dict):
            del self._dict[former]

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

    __slots__ = ("_data", "_extras", "_order", "_pinned", "_used_by_key", "_vacant")

    def __init__(
        self,
        schema: Schema[S],
        order: Iterable[str],
        declared: dict[str, Any],
        extras: dict[str, Any],
        pinned: Iterable[str] | None,
    ) -> None:
        self.schema = schema
        self._data = data = schema.construct(declared)
        self._extras = extras
        self._order: dict[str, None] = dict.fromkeys(order)
        """The keys stored by key, in order."""
        self._pinned = frozenset(schema.defaults_among(declared, data) if pinned is None else pinned)
        """The fields whose default itself was stored, by key."""
        self._vacant = _vacant_among(schema, declared, data) if schema.varying else _NONE
        """The fields whose generated value nobody has seen yet, so that it does not count as stored."""
        self._used_by_key = False
        """True once something was stored or removed by key: then the data does not tell what is stored."""

    @property
    @override
    def data(self) -> S:
        self._vacant = _NONE
        return self._data

    @override
    def keys(self) -> list[str]:
        return list(self.stored())

    @override
    def stored(self) -> dict[str, object]:
        return self.laid_out(self.schema.departed, _as_they_are)[0]

    @override
    def is_as_loaded(self, wire: object, compare: Callable[[S, Any], bool]) -> bool:
        if self._used_by_key or not _SCALARS.issuperset(map(type, self._extras.values())):
            return False
        return compare(self._data, wire)

    @override
    def laid_out(self, departed: Departed, converted: Convert) -> LaidOut:
        try:
            declared = departed(self._data)
        except AttributeError:  # the program deleted one: the next request has its default
            names = [name for name in self.schema.fields if self._is_stored(name)]
            declared = self._converted(names, converted)
        else:
            if self._vacant or self._pinned:
                self._settle_defaults(declared, converted)
        extras = self._extras
        if self.schema.renamed:
            for former in _superseded(self.schema, extras, declared):
                del extras[former]
        laid_out = {**self._order, **extras, **declared}
        if len(laid_out) > len(extras) + len(declared):
            for key in [key for key in self._order if key not in extras and key not in declared]:
                del self._order[key]  # it has its default: stored through the data, it comes after those stored by key
                del laid_out[key]
        return laid_out, declared, tuple(extras)

    def _settle_defaults(self, departed: dict[str, Any], converted: Convert) -> None:
        """Make of the fields that have departed from their defaults those that are stored."""
        for name in self._vacant:
            departed.pop(name, None)
        self._pinned -= departed.keys()  # the default that was stored has changed since
        departed.update(self._converted(self._pinned, converted))

    def _converted(self, names: Iterable[str], converted: Convert) -> dict[str, Any]:
        return converted({name: self.schema.read(self._data, name) for name in names})

    @override
    def __contains__(self, key: object) -> bool:
        if key in self._extras:
            return key not in self.schema.renamed or key in self.stored()
        return isinstance(key, str) and key in self.schema.fields and self._is_stored(key)

    @override
    def read(self, key: str) -> object:
        if key not in self:
            raise KeyError(key)
        return self._extras[key] if key in self._extras else self.schema.read(self._data, key)

    @override
    def get(self, key: str, default: object = None) -> object:
        if key in self._extras and not self.schema.renamed:
            return self._extras[key]
        return super().get(key, default)

    @override
    def check(self, key: str, value: object) -> None:
        if key in self.schema.fields and not self.schema.fields[key].converts:
            self.schema.admit(key, value)

    @override
    def store(self, key: str, value: object) -> None:
        self._used_by_key = True
        if key not in self.schema.fields:
            self._extras[key] = value
            self._order.setdefault(key)
            return
        was_stored = self._is_stored(key)
        self._data = self.schema.assign(self._data, key, value)
        if not was_stored:
            self._order.pop(key, None)
        self._order[key] = None
        is_default = self.schema.fields[key].is_default(self.schema.read(self._data, key))
        self._pinned = self._pinned | {key} if is_default else self._pinned - {key}
        self._vacant -= {key}

    @override
    def remove(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self._used_by_key = True
        self._order.pop(key, None)
        self._pinned -= {key}
        if key in self._extras:
            del self._extras[key]
        else:
            self._restore_defaults([key])

    @override
    def clear(self) -> None:
        self._used_by_key = True
        self._order.clear()
        self._pinned = _NONE
        self._extras.clear()
        self._restore_defaults(self.schema.fields)

    @override
    def replace(self, data: object) -> None:
        self._used_by_key = True
        self._data = self.schema.adopt(data)
        self._vacant = _NONE

    @override
    def declares(self, key: str) -> bool:
        return key in self.schema.fields

    def _restore_defaults(self, names: Collection[str]) -> None:
        self._data = data = self.schema.restore_defaults(self._data, names)
        fields = self.schema.fields
        self._vacant |= {name for name in names if not fields[name].is_default(self.schema.read(data, name))}

    def _is_stored(self, name: str) -> bool:
        if name in self._vacant:
            return False
        try:
            value = self.schema.read(self._data, name)
        except AttributeError:  # the program deleted the attribute: the next request has the default
            return False
        if not self.schema.fields[name].is_default(value):
            self._pinned -= {name}  # the default that was stored has changed since
            return True
        if name in self._pinned:
            return True
        self._order.pop(name, None)
        return False


def _superseded(schema: Schema[Any], extras: Iterable[str], declared: Collection[str]) -> list[str]:
    """Return the undeclared keys that are earlier names of fields which are not stored any more.

    Such a key was kept beside the field for a rollback. Alone, the next request would read it as the field's value, and
    so bring back what the field has dropped since, such as a login.
    """
    return [key for key in extras if key in schema.renamed and schema.renamed[key] not in declared]


_NONE: Final[frozenset[str]] = frozenset()
_SCALARS: Final = frozenset({NoneType, bool, int, float, str})
"""What nobody can change in its place."""


def _vacant_among(schema: Schema[S], declared: Mapping[str, object], data: S) -> frozenset[str]:
    return frozenset(
        name
        for name in schema.varying
        if name not in declared and not schema.fields[name].is_default(schema.read(data, name))
    )


def _as_they_are(values: dict[str, Any]) -> dict[str, Any]:
    return values

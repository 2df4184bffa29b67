"""The two views of what a session holds: the live data, and the mapping of what is stored.

A declared field is *stored* when its value differs from its default, or when the default itself was stored, by key or
by a payload, and has not changed since. Undeclared keys are stored while they are there.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import NoneType
from typing import Any, Final, Generic, Protocol, Self, TypeAlias, cast

from msgspec import UNSET
from typing_extensions import TypeVar

from typed_sessions.schema.schema import Schema
from typed_sessions.schema.values import Value

__all__ = ["Contents", "DeclaredContents", "KeyedContents", "contents_of", "vacant_among"]

S = TypeVar("S", default=dict[str, object])


class Contents(Protocol[S]):
    """The live data of a session and the stored view of it. Each change of one shows in the other."""

    @property
    def schema(self) -> Schema[S]:
        """What a session holds."""
        ...

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

    def laid_out(self, departed: Departed, converted: Convert) -> LaidOut:
        """Return what is stored in the form that two functions give it.

        Args:
            departed: makes of an object the fields that are not their defaults; of a dict, of all that is in it.
            converted: makes the same of values by name.
        """
        ...

    def __contains__(self, key: object) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...


LaidOut: TypeAlias = tuple[dict[str, Any], tuple[str, ...]]
"""What is stored, and the keys of that which belongs to no declared field."""
Find: TypeAlias = Callable[[Any, Any, dict[str, Any], frozenset[str]], dict[str, Any]]
Departed: TypeAlias = Callable[[Any], dict[str, Any]]
Convert: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


_NONE: Final[frozenset[str]] = frozenset()
_SCALARS: Final = frozenset({NoneType, bool, int, float, str})
"""What nobody can change in its place."""


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
    pinned = frozenset(schema.defaults_among(declared, data))
    return DeclaredContents(schema, data, extras, pinned, vacant_among(schema, declared, data), dict.fromkeys(stored))


class KeyedContents(Value, Generic[S]):
    """Contents of a TypedDict, or of no schema: the live data is a dict, and all of it is stored."""

    schema: Schema[S]
    values: dict[str, Any]
    """The live data. Who takes it from here changes nothing."""
    touched: set[str] | None = set()  # noqa: RUF012 -- each instance has its own
    """The keys whose values may have changed, by key or because somebody has them; None for all."""

    @property
    def data(self) -> S:
        self.touched = None
        return cast("S", self.values)  # S is a TypedDict, or dict[str, object]

    def keys(self) -> list[str]:
        self._drop_superseded()
        return list(self.values)

    def stored(self) -> dict[str, object]:
        self._drop_superseded()
        self.touched = None
        return {**self.values}

    def laid_out(self, departed: Departed, converted: Convert) -> LaidOut:  # noqa: ARG002 -- all that is there departs
        self._drop_superseded()
        laid_out, fields = departed(self.values), self.schema.fields
        return laid_out, tuple([key for key in laid_out if key not in fields])

    def __contains__(self, key: object) -> bool:
        self._drop_superseded()
        return key in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def get(self, key: str, default: object = None) -> object:
        return self.read(key) if key in self else default

    def read(self, key: str) -> object:
        self._drop_superseded()
        value = self.values[key]
        if type(value) not in _SCALARS:
            self._touch(key)
        return value

    def _touch(self, key: str) -> None:
        touched = self.touched  # which another thread may make None
        if touched is not None:
            touched.add(key)

    def _drop_superseded(self) -> None:
        if not self.schema.renamed:
            return
        for former in _superseded(self.schema, self.values, self.values):
            del self.values[former]

    def store(self, key: str, value: object) -> None:
        if type(self.values) is not dict:
            self.update({key: value})
            return
        if key in self.schema.fields:
            value = self.schema.validate(key, value)
        self.values[key] = value
        self._touch(key)

    def update(self, values: Mapping[str, object]) -> None:
        schema, live = self.schema, self.values
        admitted = {
            key: schema.validate(key, value) if key in schema.fields else value for key, value in values.items()
        }
        if type(live) is dict:
            live.update(admitted)
        else:
            _update_or_restore(live, admitted)
        for key in admitted:
            self._touch(key)

    def remove(self, key: str) -> None:
        del self.values[key]
        self._touch(key)

    def clear(self) -> None:
        self.touched = None
        self.values.clear()

    def replace(self, data: object) -> None:
        self.touched = None
        self.values = cast("dict[str, object]", self.schema.adopt(data))

    def take(self, other: Self, keys: Collection[str]) -> None:
        for key in keys:
            if key in other.values:
                self.values[key] = other.values[key]
            else:
                self.values.pop(key, None)
            self._touch(key)

    def copied(self, memo: dict[int, Any] | None = None) -> Contents[S]:
        values = {**self.values} if memo is None else copy.deepcopy(self.values, memo)
        return KeyedContents(self.schema, values, None)

    def declares(self, key: str) -> bool:
        return self.schema.open or key in self.schema.fields


def _no_keys(payload: bytes) -> tuple[str, ...]:  # noqa: ARG001 -- there is no payload
    return ()


class DeclaredContents(Value, Generic[S]):
    """Contents of a declared class, beside a dict of undeclared keys."""

    schema: Schema[S]
    _data: S
    _extras: dict[str, Any]
    _pinned: frozenset[str]
    """The fields whose default itself was stored, by key."""
    _vacant: frozenset[str]
    """The fields whose generated value nobody has seen yet, so that it does not count as stored."""
    _order: dict[str, None] | None
    """The keys stored by key, in order. None until somebody asks: they are those of the payload then."""
    _payload: bytes = b""
    """What the contents were loaded from."""
    _split: Callable[[bytes], Iterable[str]] = _no_keys
    """Finds the keys of a payload."""
    has_extras_by_key: bool = False
    """True once an undeclared key was stored, or taken out."""
    has_shared_extras: bool = False
    """True once somebody has what an undeclared key holds, and may change it in its place."""
    _has_unpinned: bool = False
    """True once a default that was stored is so no more, which the data does not show."""

    @property
    def data(self) -> S:
        self._vacant = _NONE
        return self._data

    def keys(self) -> list[str]:
        return list(self.stored())

    def stored(self) -> dict[str, object]:
        self.has_shared_extras = True
        return self.laid_out(self.schema.non_defaults, _as_they_are)[0]

    def changes(self, wire: object, find: Find, unproven: dict[str, Any]) -> dict[str, Any] | None:
        """Return what has changed in the data; None where the data alone does not tell.

        Args:
            wire: what the data was made of.
            find: finds it, given the data, what it was made of, `unproven`, and the fields whose default itself was
                stored.
            unproven: gets the values of which `find` does not prove that they come back.
        """
        if self._has_unpinned or self._vacant:
            return None
        changes = find(self._data, wire, unproven, self._pinned)
        if UNSET in changes.values():
            for name in [name for name, value in changes.items() if value is UNSET]:
                self._ordered().pop(name, None)  # it has its default: see `laid_out`
        if changes and self._pinned:
            fields, data = self.schema.fields, self._data
            self._unpin(name for name in changes if not fields[name].is_default(self.schema.read(data, name)))
        return changes

    def _unpin(self, names: Iterable[str]) -> None:
        """Count defaults no longer as stored: a field was given another value since, or taken out."""
        unpinned = self._pinned.intersection(names)
        if unpinned:
            self._pinned -= unpinned
            self._has_unpinned = True

    @property
    def extras(self) -> dict[str, Any]:
        """The undeclared keys."""
        return self._extras

    @property
    def order(self) -> dict[str, None] | None:
        """The keys stored by key, in order, and perhaps some that are no longer stored; None if they are as loaded."""
        return self._order

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
        order = self._order
        if order is None:
            order = self._ordered()
        laid_out = {**order, **extras, **declared}
        if len(laid_out) > len(extras) + len(declared):
            for key in [key for key in order if key not in extras and key not in declared]:
                del order[key]  # it has its default: stored through the data, it comes after those stored by key
                del laid_out[key]
        return laid_out, tuple(extras)

    def _ordered(self) -> dict[str, None]:
        """Return the keys stored by key, in order; at first, those of the payload."""
        if self._order is None:
            self._order = dict.fromkeys(self._split(self._payload))
        return self._order

    def _settle_defaults(self, departed: dict[str, Any], converted: Convert) -> None:
        """Make of the fields that have departed from their defaults those that are stored."""
        for name in self._vacant:
            departed.pop(name, None)
        self._unpin(departed)
        departed.update(self._converted(self._pinned, converted))

    def _converted(self, names: Iterable[str], converted: Convert) -> dict[str, Any]:
        return converted({name: self.schema.read(self._data, name) for name in names})

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: object) -> bool:
        if key in self._extras:
            return key not in self.schema.renamed or key in self.stored()
        return isinstance(key, str) and key in self.schema.fields and self._is_stored(key)

    def read(self, key: str) -> object:
        if key not in self:
            raise KeyError(key)
        return self._shared(key) if key in self._extras else self.schema.read(self._data, key)

    def get(self, key: str, default: object = None) -> object:
        if key in self._extras and not self.schema.renamed:
            return self._shared(key)
        return self.read(key) if key in self else default

    def _shared(self, key: str) -> object:
        """Return what an undeclared key holds, for somebody who may change it."""
        value = self._extras[key]
        if type(value) not in _SCALARS:
            self.has_shared_extras = True
        return value

    def store(self, key: str, value: object) -> None:
        field = self.schema.fields.get(key)
        if field is None:
            self._store_undeclared(key, value)
            return
        assignment = self.schema.assign(self._data, {key: value})
        is_default, was_stored = field.is_default(assignment.values[key]), self._is_stored(key)
        self._data = assignment.commit()
        self._note_stored(key, is_default=is_default, was_stored=was_stored)

    def update(self, values: Mapping[str, object]) -> None:
        fields = self.schema.fields
        declared = {key: value for key, value in values.items() if key in fields}
        judged: dict[str, tuple[bool, bool]] = {}
        if declared:
            assignment = self.schema.assign(self._data, declared)
            for name, value in assignment.values.items():
                judged[name] = fields[name].is_default(value), self._is_stored(name)
            self._data = assignment.commit()
        for key, value in values.items():
            if key in judged:
                is_default, was_stored = judged[key]
                self._note_stored(key, is_default=is_default, was_stored=was_stored)
            else:
                self._store_undeclared(key, value)

    def _store_undeclared(self, key: str, value: object) -> None:
        self.has_extras_by_key = True
        self._extras[key] = value
        self._ordered().setdefault(key)

    def _note_stored(self, name: str, *, is_default: bool, was_stored: bool) -> None:
        """Take note that a field was stored by key."""
        order = self._ordered()
        if not was_stored:
            order.pop(name, None)
        order[name] = None
        if is_default:
            self._pinned |= {name}
        else:
            self._unpin([name])
        self._vacant -= {name}

    def remove(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        if key not in self._extras:
            self._restore_defaults([key])
        self._forget(key)

    def _forget(self, key: str) -> None:
        """Take note that a key is not stored any more."""
        if key in self._extras:
            self.has_extras_by_key = True
            del self._extras[key]
        self._ordered().pop(key, None)
        self._unpin([key])

    def clear(self) -> None:
        self._restore_defaults(self.schema.fields)
        self._order = {}
        self._unpin(self._pinned)
        self.has_extras_by_key = True
        self._extras.clear()

    def replace(self, data: object) -> None:
        self._data = self.schema.adopt(data)
        self._vacant = _NONE

    def take(self, other: Self, keys: Collection[str]) -> None:
        schema, live = self.schema, other.stored()
        declared = {key: schema.read(other._data, key) for key in keys if key in schema.fields}
        if declared:
            self._data = schema.put(self._data, declared)
        for key in keys:
            if key not in live:
                self._forget(key)
            elif key in declared:
                is_default = schema.fields[key].is_default(declared[key])
                self._note_stored(key, is_default=is_default, was_stored=key in self._ordered())
            else:
                self._store_undeclared(key, live[key])
        self._vacant |= other._vacant.intersection(declared)

    def copied(self, memo: dict[int, Any] | None = None) -> Contents[S]:
        if memo is None:
            data, extras = self.schema.duplicate(self._data), {**self._extras}
        else:
            data, extras = copy.deepcopy(self._data, memo), copy.deepcopy(self._extras, memo)
        return DeclaredContents(self.schema, data, extras, self._pinned, self._vacant, {**self._ordered()})

    def declares(self, key: str) -> bool:
        return key in self.schema.fields

    def _restore_defaults(self, names: Collection[str]) -> None:
        data = self.schema.restore_defaults(self._data, names)
        fields = self.schema.fields
        self._data = data
        self._vacant |= {name for name in names if not fields[name].is_default(self.schema.read(data, name))}

    def _is_stored(self, name: str) -> bool:
        if name in self._vacant:
            return False
        try:
            value = self.schema.read(self._data, name)
        except AttributeError:  # the program deleted the attribute: the next request has the default
            return False
        if not self.schema.fields[name].is_default(value):
            self._unpin([name])
            return True
        if name in self._pinned:
            return True
        self._ordered().pop(name, None)
        return False


def _update_or_restore(values: dict[str, Any], more: Mapping[str, object]) -> None:
    """Store values in a dict of a class of the user's, which may refuse any of them: then it is as it was."""
    base: Any = OrderedDict if isinstance(values, OrderedDict) else dict
    former = list(base.items(values))
    try:
        for key, value in more.items():
            values[key] = value  # noqa: PERF403 -- the class's own way, one by one
    except BaseException:
        base.clear(values)
        for key, value in former:
            base.__setitem__(values, key, value)
        raise


def _superseded(schema: Schema[Any], extras: Iterable[str], declared: Collection[str]) -> list[str]:
    """Return the undeclared keys that are earlier names of fields which are not stored any more.

    Such a key was kept beside the field for a rollback. Alone, the next request would read it as the field's value, and
    so bring back what the field has dropped since, such as a login.
    """
    return [key for key in extras if key in schema.renamed and schema.renamed[key] not in declared]


def vacant_among(schema: Schema[S], declared: Mapping[str, object], data: S) -> frozenset[str]:
    """Return the fields of fresh data that were made for this visitor alone, and that nobody has seen yet."""
    if not schema.varying:
        return _NONE
    return frozenset(
        name
        for name in schema.varying
        if name not in declared and not schema.fields[name].is_default(schema.read(data, name))
    )


def _as_they_are(values: dict[str, Any]) -> dict[str, Any]:
    return values

"""The two views of what a session holds: the live data, and the mapping of what is stored.

A declared field is *stored* when its value differs from its default, or when the default itself was stored, by key or
by a payload, and has not changed since. Undeclared keys are stored while they are there.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import NoneType
from typing import Any, Final, Generic, Protocol, Self, cast

from msgspec import UNSET, Raw
from typing_extensions import TypeVar

from typed_sessions.schema.schema import Schema
from typed_sessions.schema.values import Value

__all__ = [
    "Contents",
    "DeclaredContents",
    "KeyedContents",
    "LoadedFrom",
    "ReadFrom",
    "contents_of",
    "unread_among",
]

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


class ReadFrom(Protocol):
    """What contents were read from."""

    @property
    def source(self) -> bytes:
        """The payload: after migration, where there was one."""
        ...

    @property
    def decoded(self) -> Any:
        """What msgspec read of it, which has nothing in common with the data that could be changed."""
        ...

    @property
    def made(self) -> tuple[object, ...]:
        """The values that were made of that, and are told by being the same."""
        ...

    @property
    def raws(self) -> Mapping[str, Raw] | None:
        """The undeclared keys as they came, but for `_permanent`; None if there are none."""
        ...


class LoadedFrom(ReadFrom, Protocol):
    """The same, with what takes longer to tell."""

    def keys(self) -> Iterable[str]:
        """Return the keys of the payload, in order."""
        ...

    def explicit_defaults(self) -> frozenset[str]:
        """Return the fields of which the payload holds the default itself."""
        ...


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
    explicit = frozenset(schema.defaults_among(declared, data))
    return DeclaredContents(schema, data, extras, unread_among(schema, declared, data), explicit, dict.fromkeys(stored))


class KeyedContents(Value, Generic[S]):
    """Contents of a TypedDict, or of no schema: the live data is a dict, and all of it is stored."""

    schema: Schema[S]
    values: dict[str, Any]
    """The live data. Who takes it from here changes nothing."""
    touched: set[str] | None = set()  # noqa: RUF012 -- each instance has its own
    """The keys whose values may have changed, by key or because somebody has them; None for all."""
    loaded_from: LoadedFrom | None = None

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

    def shown(self) -> dict[str, object]:
        self._drop_superseded()
        return {**self.values}

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
            self.values.pop(former, None)

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
        validated = {
            key: schema.validate(key, value) if key in schema.fields else value for key, value in values.items()
        }
        if type(live) is dict:
            live.update(validated)
        else:
            _update_or_restore(live, validated)
        for key in validated:
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


class DeclaredContents(Value, Generic[S]):
    """Contents of a declared class, beside a dict of undeclared keys."""

    schema: Schema[S]
    live: S
    """The live data. Who takes it from here changes nothing."""
    extras: dict[str, Any]
    """The undeclared keys."""
    unread: frozenset[str] = frozenset()
    """The fields whose generated default nobody has read yet, so that it does not count as stored."""
    known_explicit: frozenset[str] | None = None
    """The same as `explicit`; None until somebody asks."""
    order: dict[str, None] | None = None
    """The keys stored by key, in order, and perhaps some that are no longer stored. None for those of the payload."""
    loaded_from: LoadedFrom | None = None
    has_extras_by_key: bool = False
    """True once an undeclared key was stored, or taken out."""
    has_shared_extras: bool = False
    """True once somebody has what an undeclared key holds, and may change it in its place."""
    no_longer_explicit: frozenset[str] = frozenset()
    """The fields whose default itself was stored, and have had another value since."""
    differing: tuple[Any, ...] = ()
    """What was seen to have changed, as msgspec writes it, before anybody asked which defaults the payload holds."""
    seen_not_default: frozenset[str] = frozenset()
    """The fields that were seen to hold another value than their default before anybody asked that."""

    @property
    def data(self) -> S:
        self.unread = _NONE
        return self.live

    def keys(self) -> list[str]:
        return list(self.stored())

    def stored(self) -> dict[str, object]:
        self.has_shared_extras = True
        extras, declared = self.extras, self._declared()
        if self.schema.renamed:
            for former in _superseded(self.schema, extras, declared):
                extras.pop(former, None)  # another thread may have done so
        order = self.ordered()
        stored: dict[str, object] = {**order, **extras, **declared}
        if len(stored) > len(extras) + len(declared):
            for key in [key for key in stored if key not in extras and key not in declared]:
                order.pop(key, None)  # it has its default: stored through the data, it comes after those stored by key
                del stored[key]
        return stored

    def shown(self) -> dict[str, object]:
        has_shared_extras = self.has_shared_extras
        stored = self.stored()
        self.has_shared_extras = has_shared_extras
        return stored

    def _declared(self) -> dict[str, object]:
        """Return the fields that are stored."""
        fields, explicit = self.schema.fields, self.explicit  # first: another thread may store more defaults meanwhile
        try:
            declared = self.schema.non_defaults(self.live)
        except AttributeError as error:  # the program deleted one: the next request has its default
            if error.obj is not self.live:
                raise
            declared = {name: self.schema.read(self.live, name) for name in fields if self._is_stored(name)}
        else:
            for name in self.unread:
                declared.pop(name, None)
            if not explicit.isdisjoint(declared):
                self.note_not_default(explicit.intersection(declared))
            for name in self.explicit:
                declared[name] = self.schema.read(self.live, name)
        return declared

    @property
    def explicit(self) -> frozenset[str]:
        """The fields whose default itself is stored."""
        explicit = self.known_explicit
        if explicit is None:
            found = _NONE if self.loaded_from is None else self.loaded_from.explicit_defaults()
            changed = {name for seen in self.differing for name in found if getattr(seen, name) is not UNSET}
            self.no_longer_explicit |= changed | (found & self.seen_not_default)
            explicit = found - self.no_longer_explicit
            if self.known_explicit is None:  # another thread may have come so far, and stored more
                self.known_explicit = explicit
            explicit = self.known_explicit
        return explicit

    def _came(self, name: str) -> bool:
        """Return True if the payload holds a field, as far as that is told without looking at its keys."""
        return self.loaded_from is not None and getattr(self.loaded_from.decoded, name, UNSET) is not UNSET

    def note_changed(self, changed: Any, gone: Collection[str]) -> None:
        """Take note of fields that were seen to have changed.

        Args:
            changed: a Struct in which they are set, as msgspec writes them.
            gone: those that have their defaults again: stored once more, they come after the others.
        """
        if gone:
            self.ordered()
            self.forget_order(gone)
        if self.known_explicit is None:
            self.differing = (*self.differing, changed)
        elif self.known_explicit:
            fields, live = self.schema.fields, self.live
            names = [name for name in self.known_explicit if getattr(changed, name) is not UNSET]
            self.note_not_default(name for name in names if not fields[name].is_default(self.schema.read(live, name)))

    def forget_order(self, names: Iterable[str]) -> None:
        """Take note that fields have their defaults: stored once more, they come after the others."""
        if self.order is not None:
            for name in names:
                self.order.pop(name, None)

    def note_not_default(self, names: Iterable[str]) -> None:
        """Count defaults no longer as stored: fields were seen to hold another value, or were taken out."""
        if self.known_explicit is None and self.loaded_from is not None:
            self.seen_not_default = self.seen_not_default.union(names)
            return
        found = self.explicit.intersection(names)
        if found:
            self.known_explicit = self.explicit - found
            self.no_longer_explicit |= found

    def ordered(self) -> dict[str, None]:
        """Return the keys stored by key, in order; at first, those of the payload."""
        if self.order is None:
            self.order = dict.fromkeys(() if self.loaded_from is None else self.loaded_from.keys())
        return self.order

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: object) -> bool:
        if key in self.extras:
            return key not in self.schema.renamed or key in self.stored()
        return isinstance(key, str) and key in self.schema.fields and self._is_stored(key)

    def read(self, key: str) -> object:
        if key not in self:
            raise KeyError(key)
        if key not in self.extras:
            return self.schema.read(self.live, key)
        self.has_shared_extras = True  # somebody has what it holds, and may change it
        return self.extras[key]

    def get(self, key: str, default: object = None) -> object:
        if key in self.extras and not self.schema.renamed:
            value = self.extras[key]
            if type(value) not in _SCALARS:
                self.has_shared_extras = True
            return value
        return self.read(key) if key in self else default

    def store(self, key: str, value: object) -> None:
        field = self.schema.fields.get(key)
        if field is None:
            self._store_undeclared(key, value)
            return
        assignment = self.schema.assign(self.live, {key: value})
        is_default, was_stored = field.is_default(assignment.values[key]), self._is_stored(key)
        self.live = assignment.commit()
        self._note_stored(key, is_default=is_default, was_stored=was_stored)

    def update(self, values: Mapping[str, object]) -> None:
        fields = self.schema.fields
        declared = {key: value for key, value in values.items() if key in fields}
        were_stored: dict[str, tuple[bool, bool]] = {}
        if declared:
            assignment = self.schema.assign(self.live, declared)
            for name, value in assignment.values.items():
                were_stored[name] = fields[name].is_default(value), self._is_stored(name)
            self.live = assignment.commit()
        for key, value in values.items():
            if key in were_stored:
                is_default, was_stored = were_stored[key]
                self._note_stored(key, is_default=is_default, was_stored=was_stored)
            else:
                self._store_undeclared(key, value)

    def _store_undeclared(self, key: str, value: object) -> None:
        self.has_extras_by_key = True
        self.extras[key] = value
        self.ordered().setdefault(key)

    def _note_stored(self, name: str, *, is_default: bool, was_stored: bool) -> None:
        """Take note that a field was stored by key."""
        if self.order is not None or not was_stored or not self._came(name):
            order = self.ordered()
            if not was_stored:
                order.pop(name, None)
            order[name] = None
        if is_default:
            self.known_explicit = self.explicit | {name}
        else:
            self.note_not_default([name])
        self.unread -= {name}

    def remove(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        if key not in self.extras:
            self._restore_defaults([key])
        self._forget(key)

    def _forget(self, key: str) -> None:
        """Take note that a key is not stored any more."""
        if key in self.extras:
            self.has_extras_by_key = True
            del self.extras[key]
        self.ordered().pop(key, None)
        self.note_not_default([key])

    def clear(self) -> None:
        self._restore_defaults(self.schema.fields)
        self.order = {}
        self.note_not_default(self.explicit)
        self.has_extras_by_key = True
        self.extras.clear()

    def replace(self, data: object) -> None:
        self.live = self.schema.adopt(data)
        self.unread = _NONE

    def take(self, other: Self, keys: Collection[str]) -> None:
        schema, live = self.schema, other.stored()
        declared = {key: schema.read(other.live, key) for key in keys if key in schema.fields}
        if declared:
            self.live = schema.put(self.live, declared)
        for key in keys:
            if key not in live:
                self._forget(key)
            elif key in declared:
                is_default = schema.fields[key].is_default(declared[key])
                self._note_stored(key, is_default=is_default, was_stored=key in self.ordered())
            else:
                self._store_undeclared(key, live[key])
        self.unread |= other.unread.intersection(declared)

    def copied(self, memo: dict[int, Any] | None = None) -> Contents[S]:
        if memo is None:
            data, extras = self.schema.duplicate(self.live), {**self.extras}
        else:
            data, extras = copy.deepcopy(self.live, memo), copy.deepcopy(self.extras, memo)
        return DeclaredContents(self.schema, data, extras, self.unread, self.explicit, {**self.ordered()})

    def declares(self, key: str) -> bool:
        return key in self.schema.fields

    def _restore_defaults(self, names: Collection[str]) -> None:
        data = self.schema.restore_defaults(self.live, names)
        fields = self.schema.fields
        self.live = data
        self.unread |= {name for name in names if not fields[name].is_default(self.schema.read(data, name))}

    def _is_stored(self, name: str) -> bool:
        if name in self.unread:
            return False
        try:
            value = self.schema.read(self.live, name)
        except AttributeError as error:  # the program deleted the attribute: the next request has the default
            if error.obj is not self.live:
                raise
            return False
        if not self.schema.fields[name].is_default(value):
            self.note_not_default([name])
            return True
        if name in self.explicit:
            return True
        self.ordered().pop(name, None)
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
    keys = (*extras,)  # which another thread may change
    return [key for key in keys if key in schema.renamed and schema.renamed[key] not in declared]


def unread_among(schema: Schema[S], declared: Mapping[str, object], data: S) -> frozenset[str]:
    """Return the fields of fresh data that were made for this visitor alone, and that nobody has seen yet."""
    if not schema.varying:
        return _NONE
    return frozenset(
        name
        for name in schema.varying
        if name not in declared and not schema.fields[name].is_default(schema.read(data, name))
    )

"""`DeclaredContents`: the contents of a declared class, beside what is undeclared."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, Self

from msgspec import UNSET
from typing_extensions import TypeVar

from typed_sessions.codec.loaded_from import LoadedFrom
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.values import Value

__all__ = ["DeclaredContents", "unread_among"]

S = TypeVar("S", default=dict[str, object])

_NONE: Final[frozenset[str]] = frozenset()


class DeclaredContents(Value, Generic[S]):
    """Contents of a declared class, beside a dict of undeclared keys."""

    schema: Schema[S]
    live: S
    """The live data. Who takes it from here changes nothing."""
    extras: dict[str, Any]
    """The undeclared keys."""
    unread: frozenset[str] = frozenset()
    """The fields whose generated default nobody has read yet, so that it does not count as stored."""
    explicit: frozenset[str] = frozenset()
    """The fields whose default itself is stored."""
    order: dict[str, None] | None = None
    """The keys stored by key, in order, and perhaps some that are no longer stored. None for those of the payload."""
    loaded_from: LoadedFrom | None = None
    has_extras_by_key: bool = False
    """True once an undeclared key was stored, or taken out."""
    no_longer_explicit: frozenset[str] = frozenset()
    """The fields whose default itself was stored, and have had another value since."""

    @property
    def data(self) -> S:
        self.unread = _NONE
        return self.live

    def keys(self) -> list[str]:
        return list(self.stored())

    def stored(self) -> dict[str, object]:
        extras, declared = self.extras, self._declared()
        if self.schema.renamed:
            for former in self.schema.superseded(extras, declared):
                extras.pop(former, None)  # another thread may have done so
        order = self.ordered()
        stored: dict[str, object] = {**order, **extras, **declared}
        if len(stored) > len(extras) + len(declared):
            for key in [key for key in stored if key not in extras and key not in declared]:
                order.pop(key, None)  # it has its default: stored through the data, it comes after those stored by key
                del stored[key]
        return stored

    def shown(self) -> dict[str, object]:
        return self.stored()

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
        if self.explicit:
            fields, live = self.schema.fields, self.live
            names = [name for name in self.explicit if getattr(changed, name) is not UNSET]
            self.note_not_default(name for name in names if not fields[name].is_default(self.schema.read(live, name)))

    def forget_order(self, names: Iterable[str]) -> None:
        """Take note that fields have their defaults: stored once more, they come after the others."""
        if self.order is not None:
            for name in names:
                self.order.pop(name, None)

    def note_not_default(self, names: Iterable[str]) -> None:
        """Count defaults no longer as stored: fields were seen to hold another value, or were taken out."""
        found = self.explicit.intersection(names)
        if found:
            self.explicit -= found
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
        return self.extras[key] if key in self.extras else self.schema.read(self.live, key)

    def get(self, key: str, default: object = None) -> object:
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
            self.explicit |= {name}
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

    def copied(self, memo: dict[int, Any] | None = None) -> DeclaredContents[S]:
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


def unread_among(schema: Schema[S], declared: Mapping[str, object], data: S) -> frozenset[str]:
    """Return the fields of fresh data that were made for this visitor alone, and that nobody has seen yet."""
    if not schema.varying:
        return _NONE
    return frozenset(
        name
        for name in schema.varying
        if name not in declared and not schema.fields[name].is_default(schema.read(data, name))
    )

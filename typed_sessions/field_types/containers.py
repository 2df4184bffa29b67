"""Types of containers: lists, sets, tuples and dicts."""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import override

from typed_sessions.field_types.base import JSON, SOME_KEY, FieldType, Mismatch, Wire, indexed, iterated, within
from typed_sessions.narrowing import is_dict, is_sequence

__all__ = ["Items", "Positions", "Table"]


class Items(FieldType):
    """A container of any length whose items have one type: list, set, frozenset, `tuple[T, ...]`."""

    def __init__(self, cls: type, item: FieldType) -> None:
        self.cls: Callable[[list[object]], object] = cls
        self.text = f"{cls.__name__}[{item.text}{', ...' if cls is tuple else ''}]"
        self._container = cls
        self._item = item
        self._ordered = cls in (list, tuple)

    @override
    def admit(self, value: object) -> object:
        items = self._each(value, self._item.admit)
        return value if _holds(value, self._container, items) else self.cls(items)

    @override
    def lower(self, value: object, wire: Wire) -> object:
        items = self._each(value, lambda item: self._item.lower(item, wire))
        if not self._ordered:
            items.sort(key=repr)
        return tuple(items) if self._container is tuple and tuple in wire else items

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        if not is_sequence(plain):
            raise Mismatch.of(self, plain)
        items = indexed(plain, lambda item: self._item.lift(item, wire))
        try:
            return self.cls(items)
        except TypeError as error:  # an unhashable item of a set
            raise Mismatch.of(self, plain) from error

    def _each(self, value: object, convert: Callable[[object], object]) -> list[object]:
        if not isinstance(value, self._container):
            raise Mismatch.of(self, value)
        return indexed(iterated(value), convert)


class Positions(FieldType):
    """A tuple of fixed length, each position with a type of its own."""

    def __init__(self, items: tuple[FieldType, ...]) -> None:
        self.text = f"tuple[{', '.join(item.text for item in items) or '()'}]"
        self._items = items

    @override
    def admit(self, value: object) -> object:
        items = self._each(value, (tuple,), lambda item_type, item: item_type.admit(item))
        return value if _holds(value, tuple, items) else tuple(items)

    @override
    def lower(self, value: object, wire: Wire) -> object:
        items = self._each(value, (tuple,), lambda item_type, item: item_type.lower(item, wire))
        return tuple(items) if tuple in wire else items

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        return tuple(self._each(plain, (tuple, list), lambda item_type, item: item_type.lift(item, wire)))

    def _each(
        self, value: object, accepted: tuple[type, ...], convert: Callable[[FieldType, object], object]
    ) -> list[object]:
        if not isinstance(value, accepted):
            raise Mismatch.of(self, value)
        items = list(iterated(value))
        if len(items) != len(self._items):
            raise Mismatch(self.text, f"{type(value).__name__} of length {len(items)}")
        position = iter(self._items)
        return indexed(items, lambda item: convert(next(position), item))


class Table(FieldType):
    """A dict whose keys have one type and whose values have one type; keys are written as text."""

    def __init__(self, key: FieldType, value: FieldType) -> None:
        self.text = f"dict[{key.text}, {value.text}]"
        self._key = key
        self._value = value

    @override
    def admit(self, value: object) -> object:
        if not is_dict(value):
            raise Mismatch.of(self, value)
        items = {self._admitted_key(key): within(SOME_KEY, self._value.admit, item) for key, item in value.items()}
        if type(value) is dict and all(map(_is, items, value)) and all(map(_is, items.values(), value.values())):
            return value
        return items

    @override
    def lower(self, value: object, wire: Wire) -> object:
        if not is_dict(value):
            raise Mismatch.of(self, value)
        return {
            str(self._key.lower(self._admitted_key(key), JSON)): within(
                SOME_KEY, lambda item: self._value.lower(item, wire), item
            )
            for key, item in value.items()
        }

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        if not is_dict(plain):
            raise Mismatch.of(self, plain)
        return {
            self._lifted_key(key): within(SOME_KEY, lambda item: self._value.lift(item, wire), item)
            for key, item in plain.items()
        }

    def _admitted_key(self, key: object) -> object:
        try:
            return self._key.admit(key)
        except Mismatch as mismatch:
            raise mismatch.within(" (a key)") from mismatch

    def _lifted_key(self, text: object) -> object:
        try:
            return self._key.lift(text, JSON)
        except Mismatch as mismatch:
            if isinstance(text, str) and _is_canonical_integer(text):
                return self._key.lift(int(text), JSON)
            raise mismatch.within(" (a key)") from mismatch


def _holds(value: object, cls: type, items: list[object]) -> bool:
    """Return True if a container is of exactly this class and holds these very items."""
    return type(value) is cls and all(map(_is, items, iterated(value)))


def _is(one: object, other: object) -> bool:
    return one is other


def _is_canonical_integer(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdigit() and str(int(text)) == text

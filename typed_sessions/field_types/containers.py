"""Types of containers: lists, sets, tuples and dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from operator import is_
from typing import Any, Final, cast

from typing_extensions import override

from typed_sessions.field_types.base import (
    JSON,
    SOME_KEY,
    Affinity,
    FieldType,
    Mismatch,
    Reading,
    Wire,
    indexed,
    iterated,
    name_of,
    named,
)
from typed_sessions.field_types.scalars import Simple
from typed_sessions.narrowing import is_dict, is_sequence, is_set
from typed_sessions.places import VALUE_KEY

__all__ = ["Items", "Positions", "Table"]

_TEXTS: Final[frozenset[type]] = frozenset({str})
_NUMBERS: Final[frozenset[type]] = frozenset({int})


class Items(FieldType):
    """A container of any length whose items have one type: list, set, frozenset, `tuple[T, ...]`."""

    def __init__(self, cls: type[Any], item: FieldType) -> None:
        self.text = f"{cls.__name__}[{item.text}{', ...' if cls is tuple else ''}]"
        self.cls: type[Any] = cls
        self._make: Callable[[list[object]], object] = cls
        self.item = item
        self._ordered = cls in (list, tuple)

    @override
    def admit(self, value: object) -> object:
        items = self._of(value)
        admitted = self.item.all_admitted(items)
        if admitted is None:
            admitted = indexed(items, self.item.admit)
        return value if _holds(value, self.cls, admitted) else self._make(admitted)

    @override
    def lower(self, value: object, wire: Wire) -> object:
        items = self._of(value)
        plain = self.item.all_lowered(items, wire)
        if plain is None:
            plain = indexed(items, lambda item: self.item.lower(item, wire))
        if not self._ordered:
            plain.sort(key=repr)
        return tuple(plain) if self.cls is tuple and tuple in wire else plain

    @override
    def lift(self, plain: object, reading: Reading) -> object:
        if not is_sequence(plain) and type(plain) is not self.cls:  # a set, from an undeclared key or a migration
            raise Mismatch.of(self, plain)
        items = iterated(plain)
        lifted = self.item.all_lifted(items, reading)
        if lifted is None:
            lifted = indexed(items, lambda item: self.item.lift(item, reading))
        try:
            return self._make(lifted)
        except TypeError as error:  # an unhashable item of a set
            raise Mismatch.of(self, plain) from error

    @override
    def claims(self, value: object) -> bool:
        return type(value) is self.cls

    @override
    def plain_types(self, wire: Wire) -> frozenset[type]:
        return frozenset({tuple if self.cls is tuple and tuple in wire else list})

    @override
    def affinity(self, plain: object, wire: Wire) -> Affinity:
        if is_set(plain):
            return Affinity.OF_ITS_TYPE if type(plain) is self.cls else Affinity.NONE
        return super().affinity(plain, wire) if is_sequence(plain) else Affinity.NONE

    @override
    def parts(self) -> Iterable[FieldType]:
        return (self.item,)

    def _of(self, value: object) -> list[object]:
        if not isinstance(value, self.cls):
            raise Mismatch.of(self, value)
        return iterated(value)


class Positions(FieldType):
    """A tuple of fixed length, each position with a type of its own."""

    def __init__(self, items: tuple[FieldType, ...]) -> None:
        self.text = f"tuple[{', '.join(item.text for item in items) or '()'}]"
        self.items = items

    @override
    def admit(self, value: object) -> object:
        items = self._each(value, (tuple,), lambda item_type, item: item_type.admit(item))
        return value if _holds(value, tuple, items) else tuple(items)

    @override
    def lower(self, value: object, wire: Wire) -> object:
        items = self._each(value, (tuple,), lambda item_type, item: item_type.lower(item, wire))
        return tuple(items) if tuple in wire else items

    @override
    def lift(self, plain: object, reading: Reading) -> object:
        return tuple(self._each(plain, (tuple, list), lambda item_type, item: item_type.lift(item, reading)))

    @override
    def claims(self, value: object) -> bool:
        return is_sequence(value) and type(value) is tuple and len(value) == len(self.items)

    @override
    def plain_types(self, wire: Wire) -> frozenset[type]:
        return frozenset({tuple if tuple in wire else list})

    @override
    def affinity(self, plain: object, wire: Wire) -> Affinity:
        fits = is_sequence(plain) and len(plain) == len(self.items)
        return super().affinity(plain, wire) if fits else Affinity.NONE

    @override
    def parts(self) -> Iterable[FieldType]:
        return self.items

    def _each(
        self, value: object, accepted: tuple[type, ...], convert: Callable[[FieldType, object], object]
    ) -> list[object]:
        if not isinstance(value, accepted):
            raise Mismatch.of(self, value)
        items = iterated(value)
        if len(items) != len(self.items):
            raise Mismatch(self.text, f"{type(value).__name__} of length {len(items)}")
        position = iter(self.items)
        return indexed(items, lambda item: convert(next(position), item))


class Table(FieldType):
    """A dict whose keys have one type and whose values have one type; keys are written as text.

    One that looks like a named member of a union is named itself, so that no later release takes it for that member.
    """

    def __init__(self, key: FieldType, value: FieldType) -> None:
        self.text = f"dict[{key.text}, {value.text}]"
        self.key = key
        self.value = value
        self._by_number = key.plain_types(JSON) == _NUMBERS
        self._plain: frozenset[type] = frozenset()
        """The type of values that are their own plain form, in a dict by text; empty if they are not."""
        if isinstance(key, Simple) and key.cls is str and isinstance(value, Simple) and value.cls is not float:
            self._plain = frozenset({value.cls})

    @override
    def admit(self, value: object) -> object:
        if not is_dict(value):
            raise Mismatch.of(self, value)
        if type(value) is dict and self._is_plain(value):
            return value
        entries = {**value}  # at once: another thread may change it
        keys, items = [*entries], [*entries.values()]
        admitted_keys = self.key.all_admitted(keys) or [self._admitted_key(key) for key in keys]
        admitted = self.value.all_admitted(items) or [self._at_key(self.value.admit, item) for item in items]
        if type(value) is dict and all(map(is_, admitted_keys, keys)) and all(map(is_, admitted, items)):
            return value
        return dict(zip(admitted_keys, admitted, strict=True))

    @override
    def lower(self, value: object, wire: Wire) -> object:
        if not is_dict(value):
            raise Mismatch.of(self, value)
        entries = {**value}  # at once: another thread may change it
        if self._is_plain(entries):
            return entries if name_of(entries, wire) is None else named(self.text, entries, wire)
        items, texts = [*entries.values()], self._key_texts([*entries])
        lowered = self.value.all_lowered(items, wire) or [self._at_key(self.value.lower, item, wire) for item in items]
        plain: dict[str, object] = dict(zip(texts, lowered, strict=True))
        if len(plain) != len(entries):
            raise Mismatch(f"{self.key.text} with a text of its own for each", "two of one text", " (a key)")
        return plain if name_of(plain, wire) is None else named(self.text, plain, wire)

    @override
    def lift(self, plain: object, reading: Reading) -> object:
        name = name_of(plain, reading.wire)
        if is_dict(plain) and name == self.text:
            plain = plain[VALUE_KEY]
        elif name is not None:  # what another type wrote
            raise Mismatch.of(self, plain)
        if not is_dict(plain):
            raise Mismatch.of(self, plain)
        if self._is_plain(plain):
            return {**plain}
        items, lift = [*plain.values()], self.value.lift
        keys = self._lifted_keys([*plain])
        lifted = self.value.all_lifted(items, reading) or [self._at_key(lift, item, reading) for item in items]
        try:
            return dict(zip(keys, lifted, strict=True))
        except TypeError as error:  # a key that has no hash, such as a signalling NaN
            raise Mismatch.of(self, plain) from error

    @override
    def claims(self, value: object) -> bool:
        return type(value) is dict

    @override
    def plain_types(self, wire: Wire) -> frozenset[type]:
        return frozenset({dict})

    @override
    def affinity(self, plain: object, wire: Wire) -> Affinity:
        return Affinity.OF_ITS_TYPE if is_dict(plain) else Affinity.NONE

    @override
    def parts(self) -> Iterable[FieldType]:
        return (self.key, self.value)

    def _is_plain(self, value: dict[object, object]) -> bool:
        return len(self._plain) > 0 and {*map(type, value.values())} <= self._plain and {*map(type, value)} <= _TEXTS

    def _at_key(self, convert: Callable[..., object], *arguments: object) -> object:
        try:
            return convert(*arguments)
        except Mismatch as mismatch:
            raise mismatch.within(SOME_KEY) from mismatch

    def _admitted_key(self, key: object) -> object:
        try:
            return self.key.admit(key)
        except Mismatch as mismatch:
            raise mismatch.within(" (a key)") from mismatch

    def _key_texts(self, keys: list[object]) -> list[str]:
        plain = self.key.all_lowered(keys, JSON)
        if plain is not None and {*map(type, plain)} <= {str}:
            return cast("list[str]", plain)
        if plain is not None and self._by_number:
            with suppress(ValueError):  # an integer with more digits than Python writes
                return [*map(str, plain)]
        return [self._key_text(key) for key in keys]

    def _key_text(self, key: object) -> str:
        plain = self.key.lower(self._admitted_key(key), JSON)
        try:
            return str(plain)
        except ValueError as error:  # an integer with more digits than Python writes
            raise Mismatch(f"{self.key.text} of fewer digits", "a longer one", " (a key)") from error

    def _lifted_keys(self, texts: list[object]) -> list[object]:
        plain = _numbers(texts) if self._by_number else texts
        keys = None if plain is None else self.key.all_lifted(plain, Reading(JSON))
        return [self._lifted_key(text) for text in texts] if keys is None else keys

    def _lifted_key(self, text: object) -> object:
        if self._by_number and isinstance(text, str) and _is_canonical_integer(text):
            text = int(text)
        try:
            return self.key.lift(text, Reading(JSON))
        except Mismatch as mismatch:
            raise mismatch.within(" (a key)") from mismatch


def _holds(value: object, cls: type, items: list[object]) -> bool:
    """Return True if a container is of exactly this class and holds these very items."""
    return type(value) is cls and all(map(is_, items, iterated(value)))


def _numbers(texts: list[object]) -> list[object] | None:
    """Return the integers that are written so; None if any of them is not written as Python would."""
    if {*map(type, texts)} <= {str}:
        with suppress(ValueError):
            numbers = [*map(int, cast("list[str]", texts))]
            if [*map(str, numbers)] == texts:
                return cast("list[object]", numbers)
    return None


def _is_canonical_integer(text: str) -> bool:
    try:
        return str(int(text)) == text
    except ValueError:  # no number, or one with more digits than Python converts
        return False

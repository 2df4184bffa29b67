"""Types of containers: lists, sets, tuples and dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from itertools import accumulate, chain, islice, pairwise
from operator import is_
from typing import Any, Final, cast

from typing_extensions import override

from typed_sessions.schema.narrowing import is_dict, is_sequence, is_set
from typed_sessions.schema.places import TYPE_KEY, VALUE_KEY
from typed_sessions.schema.types.base import (
    JSON,
    SOME_KEY,
    Affinity,
    FieldType,
    Mismatch,
    NativeTypes,
    Reading,
    in_bulk,
    indexed,
    iterated,
    name_of,
    named,
)
from typed_sessions.schema.types.classes import all_parts
from typed_sessions.schema.types.scalars import Simple

__all__ = ["Items", "Positions", "Table"]

_TEXTS: Final[frozenset[type]] = frozenset({str})
_NUMBERS: Final[frozenset[type]] = frozenset({int})
_SEQUENCES: Final[frozenset[type]] = frozenset({list, tuple})
_WITH_MOMENTS: Final[frozenset[type]] = frozenset({datetime})


class Items(FieldType):
    """A container of any length whose items have one type: list, set, frozenset, `tuple[T, ...]`."""

    def __init__(self, cls: type[Any], item: FieldType) -> None:
        self.text: str = f"{cls.__name__}[{item.text}{', ...' if cls is tuple else ''}]"
        self.cls: type[Any] = cls
        self._make: Callable[[list[object]], object] = cls
        self.item = item
        self._ordered = cls in (list, tuple)

    @override
    def validate(self, value: object) -> object:
        items = self._of(value)
        admitted = in_bulk(items, self.item.all_validated, self.item.validate)
        return value if _holds(value, self.cls, admitted) else self._make(admitted)

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        item = self.item
        plain = in_bulk(
            self._of(value), lambda some: item.all_unstructured(some, native), lambda one: item.unstructure(one, native)
        )
        return self._laid_out(plain, native)

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        if not is_sequence(plain) and type(plain) is not self.cls:  # a set, from an undeclared key or a migration
            raise Mismatch.of(self, plain)
        item = self.item
        lifted = in_bulk(
            iterated(plain), lambda some: item.all_structured(some, reading), lambda one: item.structure(one, reading)
        )
        try:
            return self._make(lifted)
        except TypeError as error:  # an unhashable item of a set
            raise Mismatch.of(self, plain) from error

    @override
    def all_validated(self, items: list[object]) -> list[object] | None:
        if not {*map(type, items)} <= {self.cls}:
            return None
        held = [*chain.from_iterable(_lists(items))]
        return items if _is_as_it_was(self.item.all_validated(held), held) else None

    @override
    def all_unstructured(self, items: list[object], native: NativeTypes) -> list[object] | None:
        if not {*map(type, items)} <= {self.cls}:
            return None
        rows = _rows(_lists(items), lambda held: self.item.all_unstructured(held, native))
        return None if rows is None else [self._laid_out(row, native) for row in rows]

    @override
    def all_structured(self, items: list[object], reading: Reading) -> list[object] | None:
        if not {*map(type, items)} <= _SEQUENCES:
            return None
        rows = _rows(_lists(items), lambda held: self.item.all_structured(held, reading))
        with suppress(TypeError):  # an unhashable item of a set
            return None if rows is None else [*map(self._make, rows)]
        return None

    @override
    def matches(self, value: object) -> bool:
        return type(value) is self.cls

    @override
    def plain_types(self, native: NativeTypes) -> frozenset[type]:
        return frozenset({tuple if self.cls is tuple and tuple in native else list})

    @override
    def affinity(self, plain: object, native: NativeTypes) -> Affinity:
        if is_set(plain):
            return Affinity.OF_ITS_TYPE if type(plain) is self.cls else Affinity.NONE
        return super().affinity(plain, native) if is_sequence(plain) else Affinity.NONE

    @override
    def parts(self) -> Iterable[FieldType]:
        return (self.item,)

    def _of(self, value: object) -> list[object]:
        if not isinstance(value, self.cls):
            raise Mismatch.of(self, value)
        return iterated(value)

    @cached_property
    def _place(self) -> Callable[[object], str]:
        """What the items of a set are put in order by."""
        may_hold_moments = any(
            not part.plain_types(_WITH_MOMENTS).isdisjoint({datetime, object}) for part in all_parts([self.item])
        )
        return _place if may_hold_moments else repr

    def _laid_out(self, plain: list[object], native: NativeTypes) -> object:
        """Return the plain form of a container of these; those of a set are put in order."""
        if not self._ordered:
            plain = sorted(plain, key=self._place)
        return tuple(plain) if self.cls is tuple and tuple in native else plain


class Positions(FieldType):
    """A tuple of fixed length, each position with a type of its own."""

    def __init__(self, items: tuple[FieldType, ...]) -> None:
        self.text: str = f"tuple[{', '.join(item.text for item in items) or '()'}]"
        self.items = items

    @override
    def validate(self, value: object) -> object:
        items = self._each(value, (tuple,), lambda item_type, item: item_type.validate(item))
        return value if _holds(value, tuple, items) else tuple(items)

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        items = self._each(value, (tuple,), lambda item_type, item: item_type.unstructure(item, native))
        return tuple(items) if tuple in native else items

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        return tuple(self._each(plain, (tuple, list), lambda item_type, item: item_type.structure(item, reading)))

    @override
    def all_validated(self, items: list[object]) -> list[object] | None:
        rows = self._all(items, {tuple}, lambda item_type, column: item_type.all_validated(column))
        return items if rows is not None and all(map(_holds_all, rows, items)) else None

    @override
    def all_unstructured(self, items: list[object], native: NativeTypes) -> list[object] | None:
        rows = self._all(items, {tuple}, lambda item_type, column: item_type.all_unstructured(column, native))
        return rows if rows is None or tuple in native else cast("list[object]", _lists(rows))

    @override
    def all_structured(self, items: list[object], reading: Reading) -> list[object] | None:
        return self._all(items, _SEQUENCES, lambda item_type, column: item_type.all_structured(column, reading))

    @override
    def matches(self, value: object) -> bool:
        return is_sequence(value) and type(value) is tuple and len(value) == len(self.items)

    @override
    def plain_types(self, native: NativeTypes) -> frozenset[type]:
        return frozenset({tuple if tuple in native else list})

    @override
    def affinity(self, plain: object, native: NativeTypes) -> Affinity:
        fits = is_sequence(plain) and len(plain) == len(self.items)
        return super().affinity(plain, native) if fits else Affinity.NONE

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

    def _all(
        self,
        items: list[object],
        accepted: AbstractSet[type],
        convert: Callable[[FieldType, list[object]], list[object] | None],
    ) -> list[object] | None:
        """Return tuples of what is converted position by position, of all at once; None if one has to look at each."""
        if not self.items or not {*map(type, items)} <= accepted:
            return None
        try:
            columns = zip(*cast("list[list[object]]", items), strict=True)
            converted = [convert(*each) for each in zip(self.items, map(iterated, columns), strict=True)]
        except ValueError:  # another length
            return None
        if None in converted:
            return None
        return [*zip(*cast("list[list[object]]", converted), strict=True)]


class Table(FieldType):
    """A dict whose keys have one type and whose values have one type; keys are written as text.

    One that looks like a named member of a union is named itself, so that no later release takes it for that member.
    """

    def __init__(self, key: FieldType, value: FieldType) -> None:
        self.text: str = f"dict[{key.text}, {value.text}]"
        self.key = key
        self.value = value
        self._by_number = key.plain_types(JSON) == _NUMBERS
        self._plain: frozenset[type] = frozenset()
        """The type of values that are their own plain form, in a dict by text; empty if they are not."""
        if isinstance(key, Simple) and key.cls is str and isinstance(value, Simple) and value.cls is not float:
            self._plain = frozenset({value.cls})

    @override
    def validate(self, value: object) -> object:
        if not is_dict(value):
            raise Mismatch.of(self, value)
        if type(value) is dict and self._is_plain(value):
            return value
        entries = {**value}  # at once: another thread may change it
        keys, items = [*entries], [*entries.values()]
        admitted_keys = in_bulk(keys, self.key.all_validated, self.key.validate, _at_a_key)
        admitted = in_bulk(items, self.value.all_validated, self.value.validate, _under_a_key)
        if type(value) is dict and all(map(is_, admitted_keys, keys)) and all(map(is_, admitted, items)):
            return value
        return dict(zip(admitted_keys, admitted, strict=True))

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        if not is_dict(value):
            raise Mismatch.of(self, value)
        entries = {**value}  # at once: another thread may change it
        if self._is_plain(entries):
            return entries if name_of(entries, native) is None else named(self.text, entries, native)
        items, texts = [*entries.values()], self._key_texts([*entries])
        held = self.value
        lowered = in_bulk(
            items,
            lambda some: held.all_unstructured(some, native),
            lambda one: held.unstructure(one, native),
            _under_a_key,
        )
        plain: dict[str, object] = dict(zip(texts, lowered, strict=True))
        if len(plain) != len(entries):
            raise Mismatch(f"{self.key.text} with a text of its own for each", "two of one text", " (a key)")
        return plain if name_of(plain, native) is None else named(self.text, plain, native)

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        name = name_of(plain, reading.native)
        if is_dict(plain) and name == self.text:
            plain = plain[VALUE_KEY]
        elif name is not None:  # what another type wrote
            raise Mismatch.of(self, plain)
        if not is_dict(plain):
            raise Mismatch.of(self, plain)
        if self._is_plain(plain):
            return {**plain}
        keys, held = self._lifted_keys([*plain]), self.value
        lifted = in_bulk(
            [*plain.values()],
            lambda some: held.all_structured(some, reading),
            lambda one: held.structure(one, reading),
            _under_a_key,
        )
        try:
            return dict(zip(keys, lifted, strict=True))
        except TypeError as error:  # a key that has no hash, such as a signalling NaN
            raise Mismatch.of(self, plain) from error

    @override
    def matches(self, value: object) -> bool:
        return type(value) is dict

    @override
    def plain_types(self, native: NativeTypes) -> frozenset[type]:
        return frozenset({dict})

    @override
    def affinity(self, plain: object, native: NativeTypes) -> Affinity:
        return Affinity.OF_ITS_TYPE if is_dict(plain) else Affinity.NONE

    @override
    def parts(self) -> Iterable[FieldType]:
        return (self.key, self.value)

    @override
    def all_validated(self, items: list[object]) -> list[object] | None:
        tables = self._tables(items)
        if tables is None:
            return None
        keys, values = _columns(tables)
        admitted = self.key.all_validated(keys), self.value.all_validated(values)
        return items if all(map(_is_as_it_was, admitted, (keys, values))) else None

    @override
    def all_unstructured(self, items: list[object], native: NativeTypes) -> list[object] | None:
        tables = self._tables(items)
        if tables is None:
            return None
        lowered = self._rebuilt(tables, self._key_texts, lambda values: self.value.all_unstructured(values, native))
        return None if lowered is None or _any_has_a_name(lowered, native) else lowered

    @override
    def all_structured(self, items: list[object], reading: Reading) -> list[object] | None:
        tables = self._tables(items)
        if tables is None or _any_has_a_name(tables, reading.native):
            return None
        return self._rebuilt(tables, self._lifted_keys, lambda values: self.value.all_structured(values, reading))

    def _tables(self, items: list[object]) -> list[dict[object, object]] | None:
        """Return copies of what all are dicts, for another thread may change them; None if not all are."""
        if not {*map(type, items)} <= {dict}:
            return None
        return [{**table} for table in cast("list[dict[object, object]]", items)]

    def _rebuilt(
        self,
        tables: list[dict[object, object]],
        convert_keys: Callable[[list[object]], Iterable[object]],
        convert_values: Callable[[list[object]], list[object] | None],
    ) -> list[object] | None:
        """Return dicts of what is converted of all keys and all values; None if one has to look at each."""
        if all(map(self._is_plain, tables)):
            return [*tables]
        keys, values = _columns(tables)
        converted = convert_values(values)
        if converted is None:
            return None
        try:
            pairs = iter(zip(convert_keys(keys), converted, strict=True))
            rebuilt = [dict(islice(pairs, len(table))) for table in tables]
        except (Mismatch, TypeError):  # a key that does not fit, or has no hash
            return None
        return None if any(map(_differ_in_length, rebuilt, tables)) else [*rebuilt]

    def _is_plain(self, value: dict[object, object]) -> bool:
        return len(self._plain) > 0 and {*map(type, value.values())} <= self._plain and {*map(type, value)} <= _TEXTS

    def _key_texts(self, keys: list[object]) -> list[str]:
        plain = self.key.all_unstructured(keys, JSON)
        if plain is not None and {*map(type, plain)} <= {str}:
            return cast("list[str]", plain)
        if plain is not None and self._by_number:
            with suppress(ValueError):  # an integer with more digits than Python writes
                return [*map(str, plain)]
        return [self._key_text(key) for key in keys]

    def _key_text(self, key: object) -> str:
        (admitted,) = indexed([key], self.key.validate, step=_at_a_key)
        plain = self.key.unstructure(admitted, JSON)
        try:
            return str(plain)
        except ValueError as error:  # an integer with more digits than Python writes
            raise Mismatch(f"{self.key.text} of fewer digits", "a longer one", " (a key)") from error

    def _lifted_keys(self, texts: list[object]) -> list[object]:
        return in_bulk(texts, self._all_lifted_keys, self._lifted_key, _at_a_key)

    def _all_lifted_keys(self, texts: list[object]) -> list[object] | None:
        plain = _numbers(texts) if self._by_number else texts
        return None if plain is None else self.key.all_structured(plain, Reading(JSON))

    def _lifted_key(self, text: object) -> object:
        if self._by_number and isinstance(text, str) and _is_canonical_integer(text):
            text = int(text)
        return self.key.structure(text, Reading(JSON))


def _at_a_key(_index: int) -> str:
    return " (a key)"


def _under_a_key(_index: int) -> str:
    return SOME_KEY


def _holds(value: object, cls: type, items: list[object]) -> bool:
    """Return True if a container is of exactly this class and holds these very items."""
    return type(value) is cls and all(map(is_, items, iterated(value)))


def _holds_all(items: object, value: object) -> bool:
    return all(map(is_, iterated(items), iterated(value)))


def _any_has_a_name(dicts: Iterable[object], native: NativeTypes) -> bool:
    return any(is_dict(each) and TYPE_KEY in each and name_of(each, native) is not None for each in dicts)


def _columns(tables: list[dict[object, object]]) -> tuple[list[object], list[object]]:
    """Return the keys of many dicts, and their values."""
    return [*chain.from_iterable(tables)], [*chain.from_iterable(table.values() for table in tables)]


def _is_as_it_was(converted: list[object] | None, items: list[object]) -> bool:
    return converted is not None and all(map(is_, converted, items))


def _differ_in_length(one: dict[object, object], other: dict[object, object]) -> bool:
    return len(one) != len(other)


def _lists(containers: list[object]) -> list[list[object]]:
    """Return the items of each container."""
    return [*map(list, cast("list[list[object]]", containers))]


def _rows(
    held: list[list[object]], convert: Callable[[list[object]], list[object] | None]
) -> list[list[object]] | None:
    """Return what is converted of the items of many containers, of all at once; None if one has to look at each."""
    items = [*chain.from_iterable(held)]
    converted = convert(items)
    if converted is None or converted is items:
        return None if converted is None else held
    ends = accumulate(map(len, held), initial=0)
    return [converted[start:end] for start, end in pairwise(ends)]


def _place(plain: object) -> str:
    """Return what puts the items of a set in order, the same one when a time has lost its fraction of a second."""
    if isinstance(plain, datetime):
        return (plain if plain.tzinfo is None else plain.astimezone(UTC)).isoformat()
    if is_sequence(plain):
        return ",".join(map(_place, plain))
    if is_dict(plain):
        return ",".join(f"{key!r}:{_place(item)}" for key, item in plain.items())
    return repr(plain)


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

"""Plain values of a type, a few of every sort, as a release writes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import NoneType
from typing import Final
from uuid import UUID

from markupsafe import Markup

from typed_sessions.schema.narrowing import is_sequence
from typed_sessions.schema.types import FieldType, NativeTypes, Reading
from typed_sessions.schema.types.base import JSON, attempt
from typed_sessions.schema.types.bounded import Bounded
from typed_sessions.schema.types.choices import Choice, Enumeration
from typed_sessions.schema.types.containers import Items, Positions, Table
from typed_sessions.schema.types.scalars import Anything, Scalar, Simple
from typed_sessions.schema.types.union import OneOf
from typed_sessions.tools.lock.declarations import LockedClass, Opaque

__all__ = ["Samples"]

_VALUES: Final[Mapping[type, tuple[object, ...]]] = {
    NoneType: (None,),
    bool: (False, True),
    int: (7, 0, -1, 2**40),
    float: (0.5, -1e300),
    str: ("text", "", "é"),
    bytes: (b"\xff", b""),
    Markup: (Markup("<b>"), Markup()),
    UUID: (UUID(int=7), UUID(int=2**127)),
    Decimal: (Decimal("1.50"), Decimal(-7)),
    dt.datetime: (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), dt.datetime(1999, 12, 31, 23, tzinfo=dt.UTC)),
    dt.date: (dt.date(2026, 1, 2), dt.date(1999, 12, 31)),
    dt.time: (dt.time(3, 4, 5), dt.time(23, 59, 59, 999999)),
    dt.timedelta: (dt.timedelta(days=1, seconds=2), dt.timedelta(microseconds=-1)),
}
_ANYTHING: Final[tuple[object, ...]] = (None, True, 7, 0.5, "text", [1], {"key": 1})

_TIMES: Final[Mapping[type, tuple[object, ...]]] = {
    dt.datetime: (dt.datetime(2026, 1, 2), dt.datetime(2026, 1, 2, tzinfo=dt.UTC)),  # noqa: DTZ001 -- one of each
    dt.time: (dt.time(3), dt.time(3, tzinfo=dt.UTC)),
}

_TEXTS: Final[Mapping[type, str | bytes]] = {str: "x", Markup: Markup("x"), bytes: b"x"}
_LONGEST: Final = 10_000
"""How long a value at a bound is made at most."""


class Samples:
    """Makes plain values of types, as a serializer with a wire is given them."""

    def __init__(self, wire: NativeTypes, other: FieldType | None = None) -> None:
        self._wire = wire
        self._other = other
        self._bounds = list(_bounded_within(other, set())) if other is not None else []
        """The bounds that the other release sets, which what is written may lie beyond."""
        self._classes: list[FieldType] = []
        """The classes that are being made: one that holds itself is left out inside."""

    def of(self, field_type: FieldType) -> list[object]:
        """Return plain values of a type; none if it has none that can be made."""
        match field_type:
            case Bounded(inner=inner):
                return [
                    plain for plain in (*self._at_bounds(field_type), *self.of(inner)) if self._fits(field_type, plain)
                ]
            case Simple() | Scalar():
                own = [field_type.unstructure(value, self._wire) for value in _VALUES[field_type.cls]]
                return [*own, *self._at_others_bounds(field_type)]
            case Anything():
                return list(_ANYTHING)
            case Enumeration():
                return [field_type.unstructure(member, self._wire) for member in field_type.members]
            case Choice():
                return [field_type.unstructure(value, self._wire) for value in field_type.values]
            case OneOf(members=members):
                return [
                    field_type.written(member, plain, self._wire) for member in members for plain in self.of(member)
                ]
            case LockedClass():
                return self._of_class(field_type)
            case Opaque(sample=sample):
                return [sample]
            case _:
                return self._of_container(field_type)

    def _of_container(self, field_type: FieldType) -> list[object]:
        match field_type:
            case Items(cls=cls, item=item):
                held: list[list[object]] = [[], *([plain] for plain in self.of(item))]
                held += [list(items) for items in self._at_others_bounds(field_type) if is_sequence(items)]
                return [tuple(items) for items in held] if cls is tuple and tuple in self._wire else list(held)
            case Positions(items=items):
                made = [list(row) for row in _rows([self.of(item) for item in items])]
                return [tuple(row) for row in made] if tuple in self._wire else list(made)
            case Table(key=key, value=value):
                pairs = _rows([Samples(JSON, self._other).of(key), self.of(value)])
                return [{}, *({str(text): plain} for text, plain in pairs), *self._at_others_bounds(field_type)]
            case _:
                return []

    def _of_class(self, locked: LockedClass) -> list[object]:
        if locked in self._classes:
            return []
        self._classes.append(locked)
        try:
            attributes = {name: self.of(held) for name, held in locked.types.items()}
        finally:
            self._classes.pop()
        return [*self._instances(attributes, locked), *self._without_absent(attributes, locked)]

    def _instances(self, attributes: Mapping[str, list[object]], locked: LockedClass) -> list[object]:
        """Return dicts of all attributes that can be made; none if a required one cannot."""
        if any(name in locked.required and not plain for name, plain in attributes.items()):
            return []
        made = {name: plain for name, plain in attributes.items() if plain}
        return [dict(zip(made, row, strict=True)) for row in _rows(list(made.values()))]

    def _without_absent(self, attributes: Mapping[str, list[object]], locked: LockedClass) -> list[object]:
        if not locked.may_be_absent:
            return []
        kept = {name: plain for name, plain in attributes.items() if name not in locked.may_be_absent}
        return self._instances(kept, locked) or [{}]

    def _at_others_bounds(self, field_type: FieldType) -> list[object]:
        """Return values of a type without bounds at those which the other release sets to the same type."""
        alike = [bounded for bounded in self._bounds if bounded.inner.text == field_type.text]
        plain = [plain for bounded in alike for plain in self._at_bounds(bounded)]
        return [each for each in plain if self._fits(field_type, each)]

    def _at_bounds(self, bounded: Bounded) -> Iterable[object]:
        """Return values at the bounds of a type, and next to them."""
        for name, bound in bounded.bounds.items():
            if name.endswith("_length") and isinstance(bound, int):
                for length in (bound, bound + 1):
                    yield from self._of_length(bounded.inner, min(length, _LONGEST))
            elif isinstance(bound, (int, float)) and not isinstance(bound, bool):
                yield from (bound - 1, bound, bound + 1)
            elif name == "tz":
                yield from self._with_and_without_time_zone(bounded.inner)

    def _with_and_without_time_zone(self, field_type: FieldType) -> Iterable[object]:
        if isinstance(field_type, Scalar) and field_type.cls in _TIMES:
            for value in _TIMES[field_type.cls]:
                yield from attempt(field_type.unstructure, value, self._wire)

    def _of_length(self, field_type: FieldType, length: int) -> Iterable[object]:
        if isinstance(field_type, Items):
            items = next(iter(self.of(field_type.item)), None)
            yield [items] * length
        elif isinstance(field_type, Table):
            value = next(iter(self.of(field_type.value)), None)
            yield {str(number): value for number in range(length)}
        elif isinstance(field_type, (Simple, Scalar)) and field_type.cls in _TEXTS:
            yield field_type.unstructure(_TEXTS[field_type.cls] * length, self._wire)

    def _fits(self, field_type: FieldType, plain: object) -> bool:
        return bool(attempt(field_type.structure, plain, Reading(self._wire)))


def _bounded_within(field_type: FieldType, seen: set[FieldType]) -> Iterator[Bounded]:
    """Yield the types with bounds that a type holds, itself included."""
    if field_type in seen:
        return
    seen.add(field_type)
    if isinstance(field_type, Bounded):
        yield field_type
    for part in field_type.parts():
        yield from _bounded_within(part, seen)


def _rows(columns: Sequence[Sequence[object]]) -> list[tuple[object, ...]]:
    """Return rows in which every value of every column has a place; none if a column has no value."""
    if not all(columns):
        return []
    count = max(map(len, columns), default=1)
    return [tuple(column[row % len(column)] for column in columns) for row in range(count)]

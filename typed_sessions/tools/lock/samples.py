"""Plain values of a type, a few of every sort, as a release writes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy
from decimal import Decimal
from types import NoneType
from typing import Final
from uuid import UUID

from markupsafe import Markup

from typed_sessions.schema.types.base import JSON, FieldType, NativeTypes, Reading, attempt
from typed_sessions.schema.types.classes import Declared, Foreign, WithNames
from typed_sessions.schema.types.containers import Items, Positions, Table
from typed_sessions.schema.types.scalars import Choice, Enumeration, Scalar, Simple
from typed_sessions.schema.types.union import OneOf
from typed_sessions.schema.types.wrappers import Alias, Bounded

__all__ = ["VALUES", "Samples", "plain_of_unknown", "within"]

_OFFSET: Final = dt.timezone(-dt.timedelta(hours=23, minutes=59, seconds=59, microseconds=999999))
VALUES: Final[Mapping[type, tuple[object, ...]]] = {
    NoneType: (None,),
    bool: (False, True),
    int: (7, 0, -1, 2**40, -(2**63)),
    float: (0.5, -1e300, -2.2250738585072014e-308),
    str: ("text", "", "é"),
    bytes: (b"\xff", b""),
    Markup: (Markup("<b>"), Markup()),
    UUID: (UUID(int=7), UUID(int=2**127)),
    Decimal: (Decimal("1.50"), Decimal(-7)),
    dt.datetime: (
        dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        dt.datetime(2000, 12, 31, 23, 59, 59, 999999, _OFFSET),
    ),
    dt.date: (dt.date(2026, 1, 2), dt.date.max),
    dt.time: (dt.time(3, 4, 5), dt.time(23, 59, 59, 999999, _OFFSET)),
    dt.timedelta: (
        dt.timedelta(days=1, seconds=2),
        dt.timedelta(days=-999999999, hours=23, minutes=59, seconds=59, microseconds=999999),
    ),
}
"""Values of each type. Where all are of a bounded size, the one that takes most room is among them."""
_ANYTHING: Final[tuple[object, ...]] = (None, True, 7, 0.5, "text", [1], {"key": 1})

_TIMES: Final[Mapping[type, tuple[object, ...]]] = {
    dt.datetime: (dt.datetime(2026, 1, 2), dt.datetime(2026, 1, 2, tzinfo=dt.UTC)),  # noqa: DTZ001 -- one of each
    dt.time: (dt.time(3), dt.time(3, tzinfo=dt.UTC)),
}

_TEXTS: Final[Mapping[type, str | bytes]] = {str: "x", Markup: Markup("x"), bytes: b"x"}
_LONGEST: Final = 10_000
"""How long a value at a bound is made at most."""


def within(field_type: FieldType) -> list[FieldType]:
    """Return a type and all that it holds, each once, in the order of the declarations."""
    found: dict[FieldType, None] = {}
    waiting = [field_type]
    while waiting:
        held = waiting.pop()
        if held not in found:
            found[held] = None
            waiting += reversed([*held.parts])
    return [*found]


def plain_of_unknown(text: str) -> dict[str, object]:
    """Return the one plain value that is taken to be of a type of which a lock has nothing but the name."""
    return {"__unknown__": text}


class Samples:
    """Makes plain values of types, as a serializer with a native is given them.

    Args:
        native: the types that the serializer brings back.
        other: the type by which another release reads the values: some are made that lie just beyond its bounds.
    """

    def __init__(self, native: NativeTypes, other: FieldType | None = None) -> None:
        self._native = native
        self._bounds = [] if other is None else [held for held in within(other) if isinstance(held, Bounded)]
        self._around: list[FieldType] = []
        """The classes and aliases around a value, which may hold themselves."""

    def of(self, field_type: FieldType) -> list[object]:
        """Return plain values of a type; none if it has none that can be made."""
        match field_type:
            case Bounded(inner=inner):
                return self._fitting(field_type, [*self._at_bounds(field_type), *self.of(inner)])
            case Simple(cls=cls) | Scalar(cls=cls):
                values = [field_type.unstructure(value, self._native) for value in VALUES[cls]]
                return [*values, *self._at_others_bounds(field_type)]
            case Enumeration(members=values) | Choice(values=values):
                return [field_type.unstructure(value, self._native) for value in values]
            case OneOf(members=members):
                held = [(member, plain) for member in members for plain in self.of(member)]
                return [field_type.written(member, plain, self._native) for member, plain in held]
            case Items() | Positions() | Table():
                return [*self._containers(field_type), *self._at_others_bounds(field_type)]
            case Alias() | WithNames():
                return self._named(field_type)
            case _:  # which says nothing of its values
                return [plain_of_unknown(field_type.text)] if isinstance(field_type, Foreign) else [*_ANYTHING]

    def _containers(self, field_type: Items | Positions | Table) -> list[object]:
        if isinstance(field_type, Table):
            keys = copy(self)
            keys._native = JSON  # noqa: SLF001 -- its own, of a copy
            pairs = _rows([[*map(str, keys.of(field_type.key))], self.of(field_type.value)])
            return [{}, *({key: value} for key, value in pairs)]
        if isinstance(field_type, Items):
            made = [[], *([item] for item in self.of(field_type.item))]
            is_tuple = field_type.cls is tuple
        else:
            made = _rows([self.of(item) for item in field_type.items])
            is_tuple = True
        return [tuple(each) if is_tuple and tuple in self._native else each for each in made]

    def _named(self, field_type: Alias | WithNames) -> list[object]:
        if field_type in self._around:
            return []
        self._around.append(field_type)
        try:
            return self.of(field_type.inner) if isinstance(field_type, Alias) else self._instances(field_type)
        finally:
            self._around.pop()

    def _instances(self, cls: WithNames) -> list[object]:
        made = {name: self.of(held) for name, held in cls.types.items()}
        always = {name: plain for name, plain in made.items() if name in cls.required}
        is_always_whole = isinstance(cls, Declared) or len(always) == len(made)
        return [*_dicts(made, cls.required), *([] if is_always_whole else _dicts(always, cls.required))]

    def _at_others_bounds(self, field_type: FieldType) -> list[object]:
        """Return values of a type without bounds at those which the other release sets to the same type."""
        alike = [bounded for bounded in self._bounds if bounded.inner.text == field_type.text]
        return self._fitting(field_type, [plain for bounded in alike for plain in self._at_bounds(bounded)])

    def _at_bounds(self, bounded: Bounded) -> Iterator[object]:
        """Yield values at the bounds of a type, and next to them."""
        for name, bound in bounded.bounds.items():
            if name.endswith("_length") and isinstance(bound, int):
                for length in (bound, bound + 1):
                    yield from self._of_length(bounded.inner, min(length, _LONGEST))
            elif isinstance(bound, (int, float)) and not isinstance(bound, bool):
                yield from (bound - 1, bound, bound + 1)
            elif name == "tz" and isinstance(bounded.inner, Scalar):
                for value in _TIMES.get(bounded.inner.cls, ()):
                    yield from attempt(bounded.inner.unstructure, value, self._native)

    def _of_length(self, field_type: FieldType, length: int) -> Iterator[object]:
        if isinstance(field_type, Items):
            yield _distinct(field_type.item, length) or self.of(field_type.item)[:1] * length
        elif isinstance(field_type, Table):
            yield dict.fromkeys(map(str, range(length)), next(iter(self.of(field_type.value)), None))
        elif isinstance(field_type, (Simple, Scalar)) and field_type.cls in _TEXTS:
            yield field_type.unstructure(_TEXTS[field_type.cls] * length, self._native)

    def _fitting(self, field_type: FieldType, plain: list[object]) -> list[object]:
        return [each for each in plain if attempt(field_type.structure, each, Reading(self._native))]


def _distinct(field_type: FieldType, length: int) -> list[object]:
    """Return as many values as a set is to hold; none where they are not simply numbered."""
    if isinstance(field_type, Simple) and field_type.cls in (int, str):
        return [*map(field_type.cls, range(length))]
    return []


def _dicts(columns: Mapping[str, list[object]], required: Collection[str]) -> list[object]:
    """Return dicts of all attributes that can be made; none if a required one cannot."""
    made = {name: plain for name, plain in columns.items() if plain or name in required}
    return [dict(zip(made, row, strict=True)) for row in _rows([*made.values()])]


def _rows(columns: Sequence[Sequence[object]]) -> list[list[object]]:
    """Return rows in which every value of every column has a place; none if a column has no value."""
    if not all(columns):
        return []
    count = max(map(len, columns), default=1)
    return [[column[row % len(column)] for column in columns] for row in range(count)]

"""Equality that also tells types apart."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import attrs
import msgspec

from typed_sessions.schema.narrowing import PLAIN, is_dict, is_sequence, is_set

__all__ = ["attribute_names", "attribute_of", "is_model", "is_told_by_text", "parts_in_both", "same"]

_PLAIN: Final = PLAIN | {bytes, date, timedelta, UUID}
"""The types whose values are the same where they are equal, and of one type."""
_TEXT: Final = frozenset({str})
_DECIMAL: Final = frozenset({Decimal})


def same(one: object, other: object) -> bool:
    """Return True if two values are equal and of equal types at every depth.

    `1`, `1.0` and `True` are different session contents although Python calls them equal, and so are `0.0` and `-0.0`,
    `Decimal("1.0")` and `Decimal("1.00")`, and one instant in two time zones. Two instances of a class without
    `__eq__` are the same contents if their fields are. The order of a mapping's keys does not count.
    """
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if is_dict(one) and is_dict(other):
        are_text = _TEXT.issuperset(map(type, one)) and _TEXT.issuperset(map(type, other))
        has_same_keys = one.keys() == other.keys() if are_text else _same_members(one.keys(), other.keys())
        return has_same_keys and _same_items(one.values(), [other[key] for key in one])
    if is_sequence(one) and is_sequence(other):
        return _same_items(one, other)
    if is_set(one) and is_set(other):
        return _same_members(one, other) or _same_moments(one, other)
    cls: Any = type(one)
    names = attribute_names(cls)
    if names is not None:
        return all(same(attribute_of(one, name, None), attribute_of(other, name, None)) for name in names)
    return _same_scalars(one, other)


def parts_in_both(one: object, other: object) -> Iterator[tuple[object, object, object]]:
    """Yield what two containers, or two instances of a declared class, both hold, each with its key, index or name."""
    cls: Any = type(one)
    if is_dict(one) and is_dict(other):
        yield from ((key, item, other[key]) for key, item in one.items() if key in other)
    elif is_sequence(one) and is_sequence(other):
        yield from ((index, *pair) for index, pair in enumerate(zip(one, other, strict=False)))
    elif type(one) is type(other):
        names = attribute_names(cls) or ()
        yield from ((name, attribute_of(one, name, None), attribute_of(other, name, None)) for name in names)


def is_model(cls: type[Any]) -> bool:
    """Return True for a model of pydantic's, be pydantic imported or not."""
    return hasattr(cls, "__pydantic_root_model__")


def attribute_of(instance: object, name: str, *default: object) -> object:
    """Return an attribute as `getattr` does. Of one that is deprecated pydantic warns programs, not us who store it."""
    cls: Any = type(instance)
    if name not in _deprecated(cls):
        return getattr(instance, name, *default)
    held = vars(instance)
    if name not in held and not default:
        raise AttributeError(name)
    return held.get(name, *default)


@lru_cache(maxsize=1024)
def _deprecated(cls: Any) -> frozenset[str]:
    """Return the names of the attributes of a model that pydantic warns of where they are read."""
    fields: Any = cls.model_fields.items() if is_model(cls) else ()
    return frozenset(name for name, field in fields if field.deprecation_message is not None)


@lru_cache(maxsize=1024)
def attribute_names(cls: Any) -> tuple[str, ...] | None:
    """Return the names of a declared class's attributes, or None for any other class."""
    if attrs.has(cls):
        return tuple(field.name for field in attrs.fields(cls))
    if issubclass(cls, msgspec.Struct):
        return tuple(cls.__struct_fields__)
    if is_model(cls):
        return tuple(cls.model_fields)
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls))
    return None


def _same_members(one: AbstractSet[object], other: AbstractSet[object]) -> bool:
    types = {*map(type, one)}
    if len(types) == 1 and {*map(type, other)} == types:
        return one == other
    return {(type(member), member) for member in one} == {(type(member), member) for member in other}


def _same_items(one: Collection[object], other: Collection[object]) -> bool:
    """Return True if two collections hold the same, one by one. Plain items are compared all at once."""
    if len(one) != len(other):
        return False
    types = [*map(type, one)]
    if _PLAIN.issuperset(types):
        return types == [*map(type, other)] and [*one] == [*other]
    if _DECIMAL.issuperset(types):
        return types == [*map(type, other)] and [*map(str, one)] == [*map(str, other)]
    return all(map(same, one, other))


def _same_moments(one: set[object] | frozenset[object], other: set[object] | frozenset[object]) -> bool:
    """Return True for sets of the same times, some of which Python calls different."""
    if len(one) != len(other):
        return False
    ours, theirs = ([_shown(each) for each in held if isinstance(each, (datetime, time))] for held in (one, other))
    return len(ours) == len(one) and {*ours} == {*theirs}


def _same_scalars(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return (one == other and math.copysign(1, one) == math.copysign(1, other)) or (one != one and other != other)  # noqa: PLR0124 -- NaN
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return Decimal.__str__(one) == Decimal.__str__(other)  # which says all of it, as `as_tuple` does
    if isinstance(one, (datetime, time)) and isinstance(other, (datetime, time)):
        return _shown(one) == _shown(other)
    return bool(one == other)


def is_told_by_text(moment: datetime | time) -> bool:
    """Return False for an hour that comes twice and is told by `fold` alone, of which ISO 8601 says nothing."""
    return not moment.fold or moment.utcoffset() is not None


def _shown(moment: datetime | time) -> tuple[type, object, datetime | time]:
    """Return what a clock shows, and where: an hour that a zone repeats equals none elsewhere (PEP 495).

    Where no zone is known, which of two such hours it is, is all that `fold` says.
    """
    offset = moment.utcoffset()
    return type(moment), moment.fold if offset is None else offset, moment.replace(tzinfo=None, fold=0)

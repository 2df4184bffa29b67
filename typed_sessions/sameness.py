"""Equality that also tells types apart."""

from __future__ import annotations

import dataclasses

import attrs
import msgspec

from typed_sessions.narrowing import is_dict, is_sequence

__all__ = ["same"]


def same(one: object, other: object) -> bool:
    """Return True if two values are equal and of equal types at every depth.

    `1`, `1.0` and `True` are different session contents although Python calls them equal, and two instances of a
    class without `__eq__` are the same contents if their fields are. The order of a mapping's keys does not count.
    """
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if is_dict(one) and is_dict(other):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if is_sequence(one) and is_sequence(other):
        return len(one) == len(other) and all(map(same, one, other))
    names = _attributes(type(one))
    if names is None:
        return bool(one == other)
    return all(same(getattr(one, name, None), getattr(other, name, None)) for name in names)


def _attributes(cls: type[object]) -> tuple[str, ...] | None:
    """Return the names of a declared class's attributes, or None for any other class."""
    if attrs.has(cls):
        return tuple(field.name for field in attrs.fields(cls))
    if issubclass(cls, msgspec.Struct):
        return cls.__struct_fields__
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls))
    return None

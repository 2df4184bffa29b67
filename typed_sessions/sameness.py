"""Equality that also tells types apart."""

from __future__ import annotations

import attrs

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
    cls: type[object] = type(one)
    if attrs.has(cls):
        return all(
            same(getattr(one, field.name, None), getattr(other, field.name, None)) for field in attrs.fields(cls)
        )
    return bool(one == other)

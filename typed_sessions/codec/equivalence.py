"""`Equivalence`: what tells whether two ways to write the value of a field mean the same."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from types import NoneType
from typing import Any

from typed_sessions.schema.narrowing import is_sequence
from typed_sessions.schema.sameness import same
from typed_sessions.schema.types.base import FieldType
from typed_sessions.schema.types.containers import Items
from typed_sessions.schema.types.scalars import KNOWN
from typed_sessions.schema.types.union import OneOf

__all__ = ["Equivalence"]


class Equivalence:
    """What tells whether the value of a field that may be written in several ways is the one that came.

    Args:
        encode: writes a part of a payload.
        are_same: compares what is written.
        field_type: the type of the field.
    """

    usual: Callable[[Any], Any]
    """Makes, of what came, what would be written of the same."""

    def __init__(
        self, encode: Callable[[object], bytes], are_same: Callable[[Any, Any], bool], field_type: FieldType
    ) -> None:
        self._encode = encode
        self._are_same = are_same
        self._container = _container(field_type)
        """The class of a container whose items each stand for themselves."""

    def is_same(self, before: object, value: object) -> bool:
        """Return True if what is written means what came."""
        if self._differ_in_a_part(before, value):
            return False
        return self._are_same(self.usual(before), value)

    def _differ_in_a_part(self, before: object, value: object) -> bool:
        """Return True if one item tells two plain sequences apart, as it nearly always does. False decides nothing."""
        usual, encode = self.usual, self._encode
        if self._container is None or not is_sequence(before) or not is_sequence(value):
            return False
        if len(before) < len(value):
            return True
        if self._container is list:
            pairs = zip(before, value, strict=False)
            pair = next((pair for pair in pairs if encode(pair[0]) != encode(pair[1])), None)
            return len(before) != len(value) or (pair is not None and not same(usual([pair[0]]), [pair[1]]))
        known = {*map(encode, value)}
        gone = [*islice((item for item in before if encode(item) not in known), 1)]
        return not known.issuperset(map(encode, usual(gone)))


def _container(field_type: FieldType) -> type | None:
    """Return the class of a container whose items each stand for themselves, also of one that may be None."""
    if isinstance(field_type, OneOf):
        others = [member for member in field_type.members if member is not KNOWN[NoneType]]
        return _container(others[0]) if len(others) == 1 else None
    return field_type.cls if isinstance(field_type, Items) and field_type.cls is not tuple else None

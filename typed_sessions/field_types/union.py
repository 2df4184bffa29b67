"""The type of a value that may be of several types."""

from __future__ import annotations

from typing import Final

from typing_extensions import override

from typed_sessions.field_types.base import FieldType, Mismatch, Wire, attempt
from typed_sessions.narrowing import is_dict
from typed_sessions.sameness import same

__all__ = ["OneOf"]


class OneOf(FieldType):
    """A union. A value whose plain form another member would claim is written with the name of its type."""

    _TYPE: Final = "__type__"
    _VALUE: Final = "__value__"

    def __init__(self, members: tuple[FieldType, ...]) -> None:
        self.text = " | ".join(member.text for member in members)
        self._members = members

    @override
    def admit(self, value: object) -> object:
        return self._claimed(value)[1]

    @override
    def lower(self, value: object, wire: Wire) -> object:
        member, admitted = self._claimed(value)
        plain = member.lower(admitted, wire)
        try:
            if same(self.lift(plain, wire), member.lift(plain, wire)):
                return plain
        except Mismatch:
            pass
        return {self._TYPE: member.text, self._VALUE: plain}

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        if is_dict(plain) and plain.keys() == {self._TYPE, self._VALUE}:
            for member in self._members:
                if member.text == plain[self._TYPE]:
                    return member.lift(plain[self._VALUE], wire)
        lifted = [(member, value) for member in self._members for value in attempt(member.lift, plain, wire)]
        for member, value in lifted:
            if member.admit(value) is value and type(value) is type(plain):
                return value
        for _, value in lifted:
            return value
        raise Mismatch.of(self, plain)

    def _claimed(self, value: object) -> tuple[FieldType, object]:
        """Return the member whose value this is, and the value as that member holds it."""
        claims = [(member, admitted) for member in self._members for admitted in attempt(member.admit, value)]
        for member, admitted in claims:
            if admitted is value:
                return member, admitted
        for claim in claims:
            return claim
        raise Mismatch.of(self, value)

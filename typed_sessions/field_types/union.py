"""The type of a value that may be of several types."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, partial
from types import NoneType

from typing_extensions import override

from typed_sessions.field_types.base import JSON, Affinity, FieldType, Mismatch, Reading, Wire, attempt
from typed_sessions.field_types.containers import Table
from typed_sessions.field_types.scalars import Simple
from typed_sessions.narrowing import is_dict, is_sequence
from typed_sessions.places import TYPE_KEY, VALUE_KEY

__all__ = ["OneOf"]


class OneOf(FieldType):
    """A union. Each plain type belongs to one member; values of the others are written with the name of their type.

    A member is chosen without a look inside, so that the time to read or write a nested value stays linear.
    """

    def __init__(self, members: tuple[FieldType, ...]) -> None:
        self.text = " | ".join(member.text for member in members)
        self.members = members
        dicts = sum(dict in member.plain_types(JSON) for member in members)
        self._least = Affinity.POSSIBLE if dicts > 1 else Affinity.PARTIAL
        """What a member needs to be tried. A dict that several classes know in part may be of one that is gone."""
        self._bare = lru_cache(maxsize=8)(self._written_bare)

    @override
    def admit(self, value: object) -> object:
        return self._member_of(value).admit(value)

    @override
    def lower(self, value: object, wire: Wire) -> object:
        member = self._member_of(value)
        return self.written(member, member.lower(value, wire), wire)

    def written(self, member: FieldType, plain: object, wire: Wire) -> object:
        """Return how the plain form of a member's value is written: with the member's name where it needs one."""
        if member in self._bare(wire) and not self._is_named(plain):
            return plain
        return {TYPE_KEY: member.text, VALUE_KEY: plain}

    @override
    def lift(self, plain: object, reading: Reading) -> object:
        if is_dict(plain) and self._is_named(plain):
            for member in self.members:
                if member.text == plain[TYPE_KEY]:
                    return member.lift(plain[VALUE_KEY], reading)
            raise Mismatch.of(self, plain)  # of a member that is gone: no other one is written like this
        for member in self._candidates(plain, reading.wire):
            if is_dict(plain) or is_sequence(plain):
                return member.lift(
                    plain, reading
                )  # no second try inside a container: the time would double at each depth
            for value in attempt(member.lift, plain, reading):
                return value
        raise Mismatch.of(self, plain)

    @override
    def claims(self, value: object) -> bool:
        return any(member.claims(value) for member in self.members)

    @override
    def plain_types(self, wire: Wire) -> frozenset[type]:
        return frozenset[type]().union(*(member.plain_types(wire) for member in self.members))

    @override
    def parts(self) -> Iterable[FieldType]:
        return self.members

    def _member_of(self, value: object) -> FieldType:
        """Return the member that a value is of, or the first that a type checker would take it for."""
        claiming = [member for member in self.members if member.claims(value)]
        if len(claiming) == 1:
            return claiming[0]
        for member in claiming or self.members:
            if attempt(member.admit, value):
                return member
        raise Mismatch.of(self, value)

    def _candidates(self, plain: object, wire: Wire) -> list[FieldType]:
        """Return the members that a plain form may stand for, the likeliest first."""
        bare = self._bare(wire)
        suiting = [(member.affinity(plain, wire), member in bare, member) for member in self.members]
        ranked = sorted(suiting, key=_rank, reverse=True)
        return [member for affinity, _, member in ranked if affinity >= self._least]

    def _written_bare(self, wire: Wire) -> frozenset[FieldType]:
        """Return the members whose plain forms no other member's can be taken for; JSON's own types go first."""
        bare: set[FieldType] = set()
        taken: set[type] = set()
        for member in sorted(self.members, key=partial(_precedence, wire)):
            types = member.plain_types(wire)
            others = taken - {NoneType} if object in types else taken & (types | {object})
            if not others:
                bare.add(member)
                taken |= types
        return frozenset(bare)

    def _is_named(self, plain: object) -> bool:
        return is_dict(plain) and plain.keys() == {TYPE_KEY, VALUE_KEY}


def _rank(candidate: tuple[Affinity, bool, FieldType]) -> tuple[bool, Affinity, bool]:
    """Return how likely a candidate is. A dict of any keys goes first, if it is the classes that are named."""
    affinity, is_bare, member = candidate
    return is_bare and isinstance(member.unbounded, Table), affinity, is_bare


def _precedence(wire: Wire, member: FieldType) -> int:
    """Return where a member stands in the choice of plain types: what may be written as anything comes last."""
    if isinstance(member.unbounded, Simple):
        return 0
    return 2 if object in member.plain_types(wire) else 1

"""The type of a value that may be of several types."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, lru_cache, partial
from types import NoneType
from typing import Final, TypeAlias

from typing_extensions import override

from typed_sessions.schema.narrowing import is_dict, is_sequence
from typed_sessions.schema.places import TYPE_KEY, VALUE_KEY
from typed_sessions.schema.types.base import (
    JSON,
    Affinity,
    FieldType,
    Mismatch,
    NativeTypes,
    Reading,
    attempt,
    name_of,
    named,
)
from typed_sessions.schema.types.classes import Foreign, WithNames, all_parts
from typed_sessions.schema.types.containers import Items, Positions, Table
from typed_sessions.schema.types.scalars import Anything, Choice, Enumeration, Scalar, Simple

__all__ = ["OneOf"]


Chosen: TypeAlias = dict[tuple[int, int], tuple[object, FieldType | None, object]]
"""For a union and a value, by their identities: the value, its member, and the value as the member holds it."""

ByMember: TypeAlias = tuple[list[object], list[FieldType | None]]
"""Values, or plain forms without a name, and the member of each; None for what is None."""

_chosen: Final[ContextVar[Chosen | None]] = ContextVar("_chosen", default=None)
"""What has been found while one value is admitted or written. Without it the time would double at each depth."""


class OneOf(FieldType):
    """A union. Each plain type belongs to one member; values of the others are written with the name of their type.

    A member is chosen without a look inside, so that the time to read or write a nested value stays linear.

    A dict without a name is never read as a class where the union has a type of dicts: its keys may be a visitor's, who
    would choose the class by them.
    """

    def __init__(self, members: tuple[FieldType, ...]) -> None:
        self.text: str = " | ".join(member.text for member in members)
        self.members = members
        self._bare = lru_cache(maxsize=8)(self._written_bare)
        self._plain = lru_cache(maxsize=8)(self._written_as_they_are)
        self._of_names = lru_cache(maxsize=64)(self._candidates_for_names)
        self._by_class: dict[type, FieldType] = {}
        self._by_plain_type: dict[tuple[NativeTypes, type], list[FieldType]] = {}

    @override
    def validate(self, value: object) -> object:
        member = self._claimant(value)
        if member is not None:
            return member.validate(value)
        with _choosing() as chosen:
            return self._choice(value, chosen)[1]

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        member = self._claimant(value)
        if member is not None:
            return self.written(member, member.unstructure(value, native), native)
        with _choosing() as chosen:
            member, _ = self._choice(value, chosen)
            return self.written(member, member.unstructure(value, native), native)

    def written(self, member: FieldType, plain: object, native: NativeTypes) -> object:
        """Return how the plain form of a member's value is written: with the member's name where it needs one."""
        names = self._names(native)
        if member in self._bare(native) and not (is_dict(plain) and name_of(plain, names) is not None):
            return plain
        return named(member.text, plain, names)

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        if is_dict(plain):
            name = name_of(plain, self._names(reading.native))
            if name is not None:
                if name not in self._by_name:
                    raise Mismatch.of(self, plain)  # of a member that is gone: no other one is written like this
                return self._by_name[name].structure(plain[VALUE_KEY], reading)
        for member in self._candidates(plain, reading.native):
            try:
                return member.structure(plain, reading)
            except Mismatch:
                if is_dict(plain) or is_sequence(plain):
                    raise  # no second try inside a container: the time would double at each depth
        raise Mismatch.of(self, plain)

    @override
    def all_validated(self, items: list[object]) -> list[object] | None:
        return self._all(items, JSON, self._as_held, lambda member, some: member.all_validated(some))

    @override
    def all_unstructured(self, items: list[object], native: NativeTypes) -> list[object] | None:
        def convert(member: FieldType, some: list[object]) -> list[object] | None:
            lowered = member.all_unstructured(some, native)
            if lowered is None:
                return None
            if member not in self._bare(native):
                names = self._names(native)
                return [named(member.text, plain, names) for plain in lowered]
            if not any(is_dict(plain) and TYPE_KEY in plain for plain in lowered):
                return lowered
            return [self.written(member, plain, native) for plain in lowered]

        return self._all(items, native, self._as_held, convert)

    @override
    def all_structured(self, items: list[object], reading: Reading) -> list[object] | None:
        native = reading.native
        return self._all(items, native, self._as_written, lambda member, some: member.all_structured(some, reading))

    def _all(
        self,
        items: list[object],
        native: NativeTypes,
        told: Callable[[list[object], NativeTypes], ByMember | None],
        convert: Callable[[FieldType, list[object]], list[object] | None],
    ) -> list[object] | None:
        """Convert values member by member; None if one has to look at each.

        Args:
            items: the values, or their plain forms.
            native: the types that the serializer brings back.
            told: returns of which member each is, and what the member takes it as; None if one has to look at each.
            convert: converts what a member has; None if one has to look at each.
        """
        if {*map(type, items)} <= self._plain(native):
            return items
        if self._optional is not None:
            return _by_member(items, [None if item is None else self._optional for item in items], convert)
        found = told(items, native)
        return None if found is None else _by_member(*found, convert)

    def _as_held(self, items: list[object], native: NativeTypes) -> ByMember | None:  # noqa: ARG002 -- of values it says nothing
        members = [*map(self._claimant, items)]
        return None if None in members else (items, members)

    def _as_written(self, items: list[object], native: NativeTypes) -> ByMember | None:
        names = self._names(native)
        members: list[FieldType | None] = []
        plains: list[object] = []
        for item in items:
            name = name_of(item, names) if is_dict(item) and TYPE_KEY in item else None
            if is_dict(item) and name is not None:
                if name not in self._by_name:
                    return None
                members.append(self._by_name[name])
                plains.append(item[VALUE_KEY])
                continue
            candidates = self._candidates(item, native)
            if not candidates or (len(candidates) > 1 and not is_dict(item) and not is_sequence(item)):
                return None
            members.append(candidates[0])
            plains.append(item)
        return plains, members

    @cached_property
    def _by_name(self) -> Mapping[str, FieldType]:
        """The members by the names that their values are written with."""
        return {member.text: member for member in self.members[::-1]}  # of two of one name, the first one counts

    @cached_property
    def _least(self) -> Affinity:
        """What a member needs to be tried. A dict that several classes know in part may be of one that is gone."""
        dicts = sum(dict in member.plain_types(JSON) for member in self.members)
        return Affinity.POSSIBLE if dicts > 1 else Affinity.PARTIAL

    @cached_property
    def _claims_classes(self) -> bool:
        return all(isinstance(member.unbounded, _TOLD_BY_CLASS) for member in self.members)

    @cached_property
    def _optional(self) -> FieldType | None:
        """The member beside None, if there is no other, and it needs no name."""
        others = [member for member in self.members if not (isinstance(member, Simple) and member.cls is NoneType)]
        if len(others) != 1 or len(self.members) == 1 or not isinstance(others[0], WithNames | Scalar | Choice):
            return None
        return None if isinstance(others[0], WithNames) and TYPE_KEY in others[0].types else others[0]

    @override
    def matches(self, value: object) -> bool:
        return any(member.matches(value) for member in self.members)

    @override
    def plain_types(self, native: NativeTypes) -> frozenset[type]:
        return frozenset[type]().union(*(member.plain_types(native) for member in self.members))

    @override
    def parts(self) -> Iterable[FieldType]:
        return self.members

    def _claimant(self, value: object) -> FieldType | None:
        """Return the member that a value is of; None if it may be of several, or is of none."""
        member = self._by_class.get(type(value))
        if member is not None:
            return member
        claiming = [member for member in self.members if member.matches(value)]
        if len(claiming) != 1:
            return None
        if self._claims_classes:
            self._by_class[type(value)] = claiming[0]
        return claiming[0]

    def _choice(self, value: object, chosen: Chosen) -> tuple[FieldType, object]:
        """Return the first member that a type checker would take a value for, and the value as it holds it."""
        key = id(self), id(value)
        if key not in chosen:
            claiming = [member for member in self.members if member.matches(value)]
            found = ((member, each) for member in claiming or self.members for each in attempt(member.validate, value))
            member, admitted = next(found, (None, None))
            chosen[key] = value, member, admitted
        _, member, admitted = chosen[key]
        if member is None:
            raise Mismatch.of(self, value)
        return member, admitted

    def _candidates(self, plain: object, native: NativeTypes) -> list[FieldType]:
        """Return the members that a plain form without a name may stand for, the likeliest first."""
        known = self._by_plain_type.get((native, type(plain)))
        if known is not None:
            return known
        if is_dict(plain) and plain.keys() <= self._declared:
            return self._of_names(native, frozenset(plain))
        candidates = self._suiting(plain, native)
        if self._are_told_by_class or not (is_dict(plain) or is_sequence(plain)):
            self._by_plain_type[native, type(plain)] = candidates
        return candidates

    def _candidates_for_names(self, native: NativeTypes, names: frozenset[object]) -> list[FieldType]:
        """Return the same for a dict of these keys: no member is told by what is under them."""
        return self._suiting(dict.fromkeys(names), native)

    def _suiting(self, plain: object, native: NativeTypes) -> list[FieldType]:
        bare = self._bare(native)
        nameless = [member for member in self.members if member not in self._always_named]
        suiting = [(member.affinity(plain, native), member in bare, member) for member in nameless]
        ranked = sorted(suiting, key=_rank, reverse=True)
        return [member for affinity, _, member in ranked if affinity >= self._least]

    @cached_property
    def _declared(self) -> frozenset[str]:
        """The names that members declare."""
        return frozenset[str]().union(*(member.types for member in self.members if isinstance(member, WithNames)))

    def _written_bare(self, native: NativeTypes) -> frozenset[FieldType]:
        """Return the members whose plain forms no other member's can be taken for; JSON's own types go first."""
        bare: set[FieldType] = set()
        taken: set[type] = set()
        for member in sorted(self.members, key=partial(_precedence, native)):
            types = member.plain_types(native)
            others = taken - {NoneType} if object in types else taken & (types | {object})
            if not others and member not in self._always_named:
                bare.add(member)
                taken |= types
        return frozenset(bare)

    def _written_as_they_are(self, native: NativeTypes) -> frozenset[type]:
        """Return the types whose values are their own plain forms, whatever they are."""
        return frozenset(
            member.cls for member in self._bare(native) if isinstance(member, Simple) and member.cls is not float
        )

    @cached_property
    def _are_told_by_class(self) -> bool:
        """True if the class of a plain form without a name says which members it may stand for."""
        nameless = [member.unbounded for member in self.members if member not in self._always_named]
        return not any(isinstance(member, (WithNames, Positions)) for member in nameless)

    @cached_property
    def _always_named(self) -> frozenset[FieldType]:
        """The members that would make a class of what another member writes as a dict."""
        return frozenset(
            member
            for member in self.members
            if any(_takes_dicts_of(member, other, set()) for other in self.members if other is not member)
        )

    @cached_property
    def _holds_dicts(self) -> bool:
        """True if a member's values are dicts, whose contents may look like a name."""
        return bool(self._always_named) or any(map(_is_dict_type, self.members))

    def _names(self, native: NativeTypes) -> NativeTypes:
        """Return the native types by which names are written."""
        return native if self._holds_dicts else JSON


def _by_member(
    items: list[object],
    members: Sequence[FieldType | None],
    convert: Callable[[FieldType, list[object]], list[object] | None],
) -> list[object] | None:
    """Convert what each member has of some items at once; None if one has to look at each. Some may have no member."""
    converted = [*items]
    for member in dict.fromkeys(members):
        if member is not None:
            indices = [index for index, its in enumerate(members) if its is member]
            some = convert(member, [items[index] for index in indices])
            if some is None:
                return None
            for index, item in zip(indices, some, strict=True):
                converted[index] = item
    return converted


_TOLD_BY_CLASS: Final = (Simple, Scalar, Enumeration, Items, Table, WithNames, Foreign, Anything)
"""The types that claim values by their class alone."""


@contextmanager
def _choosing() -> Generator[Chosen]:
    """Keep what is found of unions until the outermost of them is done."""
    chosen = _chosen.get()
    if chosen is not None:
        yield chosen
        return
    chosen = Chosen()
    token = _chosen.set(chosen)
    try:
        yield chosen
    finally:
        _chosen.reset(token)


def _takes_dicts_of(one: FieldType, other: FieldType, seen: set[tuple[FieldType, FieldType]]) -> bool:
    """Return True if one type would read a dict of another's as a class, or as a TypedDict, at any depth."""
    if (one, other) in seen:
        return False
    seen.add((one, other))
    one, other = one.unbounded, other.unbounded
    if isinstance(one, OneOf) or isinstance(other, OneOf):
        ones, others = (held.members if isinstance(held, OneOf) else (held,) for held in (one, other))
    elif isinstance(one, Foreign):
        return _is_dict_type(other) and not isinstance(other, Foreign)
    elif isinstance(other, Foreign):
        return any(isinstance(part, WithNames) and part.makes_class for part in all_parts([one]))
    elif isinstance(other, Anything):
        return any(isinstance(part, WithNames) for part in all_parts([one]))
    elif isinstance(one, WithNames) and (one.makes_class or isinstance(other, Table)):
        return _is_dict_type(other)
    elif isinstance(one, (Table, WithNames)) and isinstance(other, (Table, WithNames)):
        ones, others = _values_of(one), _values_of(other)
    elif isinstance(one, (Items, Positions)) and isinstance(other, (Items, Positions)):
        ones, others = tuple(one.parts()), tuple(other.parts())
    else:
        return False
    return any(_takes_dicts_of(part, its, seen) for part in ones for its in others)


def _values_of(held: Table | WithNames) -> tuple[FieldType, ...]:
    return (held.value,) if isinstance(held, Table) else tuple(held.parts())


def _is_dict_type(member: FieldType) -> bool:
    member = member.unbounded
    return isinstance(member, (Table, Anything, Foreign)) or (isinstance(member, WithNames) and not member.makes_class)


def _rank(candidate: tuple[Affinity, bool, FieldType]) -> tuple[Affinity, bool]:
    """Return how likely a candidate is."""
    affinity, is_bare, _ = candidate
    return affinity, is_bare


def _precedence(native: NativeTypes, member: FieldType) -> int:
    """Return where a member stands in the choice of plain types: what may be written as anything comes last."""
    if isinstance(member.unbounded, Simple):
        return 0
    return 2 if object in member.plain_types(native) else 1

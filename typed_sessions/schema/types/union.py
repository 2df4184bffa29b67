"""The type of a value that may be of several types."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, lru_cache
from itertools import combinations
from types import NoneType, UnionType
from typing import Any, Final, TypeAlias, Union, cast, get_args, get_origin

from attrs import frozen
from msgspec import Raw
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
    all_parts,
    attempt,
    name_of,
    named,
)
from typed_sessions.schema.types.classes import Declared, Foreign, Keyed, WithNames
from typed_sessions.schema.types.containers import Listed, Table
from typed_sessions.schema.types.emitter import Emitted, Emitter, Write, by_content
from typed_sessions.schema.types.scalars import KNOWN, Anything, Simple, emit_simple_union

__all__ = ["OneOf"]

Chosen: TypeAlias = dict[tuple[int, int], tuple[object, FieldType | None, object]]
"""For a union and a value, by their identities: the value, its member, and the value as the member holds it."""

_chosen: Final[ContextVar[Chosen | None]] = ContextVar("_chosen", default=None)
"""What has been found while one value is validated or written. Without it the time would double at each depth."""


class OneOf(FieldType):
    """A union. Each plain type belongs to one member; values of the others are written with the name of their type.

    A member is chosen by what is outside, so that the time to read or write a nested value stays linear.

    A dict without a name is never read as a class where the union has a type of dicts: its keys may be a visitor's, who
    would choose the class by them.
    """

    matches_by_class = False

    def __init__(self, members: tuple[FieldType, ...]) -> None:
        self.text: str = " | ".join(member.text for member in members)
        self.members: tuple[FieldType, ...] = members
        self.parts: Iterable[FieldType] = members
        self._bare = lru_cache(maxsize=8)(self._written_bare)
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
    def emit(self, emitter: Emitter) -> Emitted | None:
        """Return the code of a union whose members are told by the class of a value."""
        others = [member for member in self.members if member is not KNOWN[NoneType]]
        if (simple := emit_simple_union(self.members, emitter)) is not None:
            return simple
        if len(others) == 1:
            return _emit_optional(emitter.emitted(others[0]), emitter)
        native = emitter.native
        bare, names = self._bare(native), self._names(native)
        cases: list[Case] = []
        for member in self.members:
            classes, item = member.classes, emitter.emitted(member)
            if classes is None or not item.closed or item.wire_type is Raw:
                return None
            kinds: frozenset[object] = frozenset(_tag_or_type(held, emitter) for held in member.plain_types(native))
            if member not in bare:
                item, kinds = emitter.named(member.text, item, in_tuple=tuple in names), frozenset({(member.text,)})
            cases.append(Case(classes, kinds, item))
        if any(not one.classes.isdisjoint(other.classes) for one, other in combinations(cases, 2)):
            return None
        wire_type: Any = Union[tuple(case.item.wire_type for case in cases)]  # noqa: UP007 -- of values
        try:
            emitter.notation.decoder(wire_type)
        except TypeError:  # msgspec does not tell them
            return _emit_raw(cases, emitter, names)
        return _emit_read(wire_type, cases, emitter)

    @cached_property
    def _by_name(self) -> Mapping[str, FieldType]:
        """The members by the names that their values are written with."""
        return {member.text: member for member in self.members[::-1]}  # of two of one name, the first one counts

    def _claimant(self, value: object) -> FieldType | None:
        """Return the member that a value is of; None if it may be of several, or is of none."""
        member = self._by_class.get(type(value))
        if member is not None:
            return member
        claiming = [member for member in self.members if member.matches(value)]
        if len(claiming) != 1:
            return None
        if all(member.unbounded.matches_by_class for member in self.members):
            self._by_class[type(value)] = claiming[0]
        return claiming[0]

    def _choice(self, value: object, chosen: Chosen) -> tuple[FieldType, object]:
        """Return the first member that a type checker would take a value for, and the value as it holds it."""
        key = id(self), id(value)
        if key not in chosen:
            claiming = [member for member in self.members if member.matches(value)]
            found = ((member, each) for member in claiming or self.members for each in attempt(member.validate, value))
            member, validated = next(found, (None, None))
            chosen[key] = value, member, validated
        _, member, validated = chosen[key]
        if member is None:
            raise Mismatch.of(self, value)
        return member, validated

    def _candidates(self, plain: object, native: NativeTypes) -> list[FieldType]:
        """Return the members that a plain form without a name may stand for, the likeliest first."""
        known = self._by_plain_type.get((native, type(plain)))
        if known is not None:
            return known
        bare = self._bare(native)
        nameless = [member for member in self.members if member not in self._always_named]
        suiting = [(member.affinity(plain, native), member in bare, member) for member in nameless]
        ranked = sorted(suiting, key=lambda candidate: candidate[:2], reverse=True)
        dicts = sum(dict in member.plain_types(JSON) for member in self.members)
        # A dict that several classes know in part may be of one that is gone.
        least = Affinity.POSSIBLE if dicts > 1 else Affinity.PARTIAL
        candidates = [member for affinity, _, member in ranked if affinity >= least]
        if all(member.unbounded.suits_by_class for member in nameless) or not (is_dict(plain) or is_sequence(plain)):
            self._by_plain_type[native, type(plain)] = candidates
        return candidates

    def _written_bare(self, native: NativeTypes) -> frozenset[FieldType]:
        """Return the members whose plain forms no other member's can be taken for; JSON's own types go first."""

        def precedence(member: FieldType) -> int:
            """Return where a member stands in the choice: what may be written as anything comes last."""
            return 0 if isinstance(member.unbounded, Simple) else 1 + (object in member.plain_types(native))

        bare: set[FieldType] = set()
        taken: set[type] = set()
        for member in sorted(self.members, key=precedence):
            types = member.plain_types(native)
            others = taken - {NoneType} if object in types else taken & (types | {object})
            if not others and member not in self._always_named:
                bare.add(member)
                taken |= types
        return frozenset(bare)

    @cached_property
    def _always_named(self) -> frozenset[FieldType]:
        """The members that would make a class of what another member writes as a dict."""
        pairs = [(one, other) for one in self.members for other in self.members if one is not other]
        return frozenset(one for one, other in pairs if _takes_dicts_of(one, other, set()))

    @cached_property
    def _holds_dicts(self) -> bool:
        """True if a member's values are dicts, whose contents may look like a name."""
        return bool(self._always_named) or any(map(_is_dict_type, self.members))

    def _names(self, native: NativeTypes) -> NativeTypes:
        """Return the native types by which names are written."""
        return native if self._holds_dicts else JSON


@frozen
class Case:
    """A member of a union in generated code."""

    classes: frozenset[type]
    """The classes of its values."""
    kinds: frozenset[object]
    """What its plain forms are told by: their types, a tag, or a name."""
    item: Emitted


def _emit_optional(item: Emitted, emitter: Emitter) -> Emitted | None:
    if item.wire_type in (Any, Raw):
        return None
    wire_type: Any = Union[item.wire_type, None]  # noqa: UP007 -- of a value, which may be a constraint

    def unless_none(name: str, write: Write | None) -> Write | None:
        return write and emitter.short(name, lambda value: f"(None if {value} is None else {write(value)})")

    def unchanged(value: str, part: str) -> str:
        is_same = emitter.unchanged(item)(value, part)
        return f"({value} is None if {part} is None else {value} is not None and {is_same})"

    encode, decode = unless_none("encode_optional", item.encode), unless_none("decode_optional", item.decode)
    return Emitted(wire_type, encode, decode, unchanged, item.closed)


def _emit_read(wire_type: Any, cases: list[Case], emitter: Emitter) -> Emitted:
    """Return the code of a union whose members msgspec tells when it reads."""
    encode, decode, unchanged = (["cls = type(value)"] for _ in range(3))
    read: set[type] = set()
    for case in sorted(cases, key=lambda case: float in case.classes):  # which reads integers, too
        its = _read_classes(case.item.wire_type) - read
        read |= its
        are_read = emitter.module.name(its, "READ")
        encode += [f"if {_is_one_of(case.classes, emitter)}: return {case.item.encoded('value')}"]
        decode += [f"if {_is_one_of(its, emitter)}: return {case.item.decoded('value')}"]
        is_same = f"type(part) in {are_read} and {emitter.unchanged(case.item)('value', 'part')}"
        unchanged += [f"if {_is_one_of(case.classes, emitter)}: return {is_same}"]
    otherwise = f"return {emitter.unusual}()"
    return emitter.functions(
        "union", wire_type, [*encode, otherwise], [*decode, otherwise], [*unchanged, "return False"]
    )


def _emit_raw(cases: list[Case], emitter: Emitter, names: NativeTypes) -> Emitted:
    """Return the code of a union whose members are told before msgspec reads them: as each is written alone."""
    notation = emitter.notation
    read, tags = notation.decoder(Any), notation.tags
    numbers = {kind: number for number, case in enumerate(cases) for kind in case.kinds}

    def number_of(raw: Raw) -> int | None:
        """Return which member a plain form is of; None if it may be of several, or is of none."""
        plain = read(raw)
        kind: object = cast("type[object]", type(plain))
        if is_dict(plain) and plain.keys() == {TYPE_KEY, VALUE_KEY}:
            kind = (name_of({**plain, TYPE_KEY: notation.untagged(plain[TYPE_KEY])}, names),)
        elif is_dict(plain) and len(plain) == 1 and not tags.isdisjoint(plain):
            (kind,) = plain
        return numbers.get(kind)

    raw, write = emitter.module.name(Raw, "Raw"), emitter.module.name(notation.encode, "write")
    encode, decode = ["cls = type(value)"], [f"number = {emitter.module.name(number_of, 'number_of')}(value)"]
    for number, case in enumerate(cases):
        encode += [f"if {_is_one_of(case.classes, emitter)}: return {raw}({write}({case.item.encoded('value')}))"]
        reading = emitter.call(notation.decoder(case.item.wire_type), "read")
        decode += [f"if number == {number}: return {case.item.decoded(reading('value'))}"]
    encoded = emitter.function("encode_union", [*encode, f"return {emitter.unusual}()"])
    member = emitter.function("decode_member", [*decode, f"return {emitter.unusual}()"])
    check = [f"item = {member('value')}", f"if {encoded('item')} != value: {emitter.unusual}()", "return item"]
    return by_content(Raw, encoded, emitter.function("decode_union", check))


def _tag_or_type(held: type, emitter: Emitter) -> object:
    """Return what plain forms of a type are told by in what msgspec reads as anything."""
    if held is tuple:
        return emitter.notation.tuple_tag
    spelling = emitter.notation.spellings.get(held) if held in emitter.native else None
    return held if spelling is None else spelling.tag


def _is_one_of(classes: Iterable[type], emitter: Emitter) -> str:
    return " or ".join(f"cls is {emitter.module.name(cls, cls.__name__)}" for cls in classes) or "False"


def _read_classes(wire_type: Any) -> frozenset[type]:
    """Return the classes of what msgspec reads as a type."""
    origin, arguments = get_origin(wire_type), get_args(wire_type)
    if origin in (Union, UnionType):
        return frozenset[type]().union(*map(_read_classes, arguments))
    return _read_classes(arguments[0]) if hasattr(wire_type, "__metadata__") else frozenset({origin or wire_type})


@contextmanager
def _choosing() -> Generator[Chosen]:
    """Keep what is found of unions until the outermost of them is done."""
    outer = _chosen.get()
    chosen: Chosen = {} if outer is None else outer
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
    ones: Iterable[FieldType]
    others: Iterable[FieldType]
    if isinstance(one, OneOf) or isinstance(other, OneOf):
        ones, others = (held.members if isinstance(held, OneOf) else (held,) for held in (one, other))
    elif isinstance(one, Foreign):
        return _is_dict_type(other) and not isinstance(other, Foreign)
    elif isinstance(other, Foreign):
        return any(isinstance(part, Declared) for part in all_parts([one]))
    elif isinstance(other, Anything):
        return any(isinstance(part, WithNames) for part in all_parts([one]))
    elif isinstance(one, Declared) or (isinstance(one, WithNames) and isinstance(other, Table)):
        return _is_dict_type(other)
    elif isinstance(one, (Table, WithNames)) and isinstance(other, (Table, WithNames)):
        ones, others = (held.parts if isinstance(held, WithNames) else (held.value,) for held in (one, other))
    elif isinstance(one, Listed) and isinstance(other, Listed):
        ones, others = one.parts, other.parts
    else:
        return False
    return any(_takes_dicts_of(part, its, seen) for part in ones for its in others)


def _is_dict_type(member: FieldType) -> bool:
    return isinstance(member.unbounded, (Table, Anything, Foreign, Keyed))

"""`Form`: the short way of one schema in one notation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final, TypeAlias, Union

import msgspec
from typing_extensions import override

from typed_sessions.compiled.notations import Notation, notation_of
from typed_sessions.compiled.plans import Planner, are_names
from typed_sessions.contents import Contents
from typed_sessions.field_types import Mismatch, Wire
from typed_sessions.places import MAX_DEPTH, is_deeper
from typed_sessions.schema import Schema
from typed_sessions.serializers.base import AnySerializer
from typed_sessions.serializers.stock_tags import TheLongWay

__all__ = ["Form", "Lowered", "Read", "form_of"]

Plain: TypeAlias = dict[str, Any]
"""What msgspec writes and reads, by key."""


class Read:
    """What a payload holds."""

    __slots__ = ("declared", "extras", "is_exact", "order", "wire")

    def __init__(
        self, order: Mapping[str, Any], declared: Plain, extras: Plain, wire: object, *, is_exact: bool
    ) -> None:
        self.order = order
        """The keys, in the order of the payload."""
        self.declared = declared
        """The values of the declared fields."""
        self.extras = extras
        """The values of the other keys."""
        self.wire = wire
        """What msgspec read. It has nothing in common with the values that could be changed."""
        self.is_exact = is_exact
        """True if there is one way to write this, so that contents that are written in another way are others."""


class Lowered:
    """Contents as msgspec writes them, and their payload."""

    __slots__ = ("declared", "payload", "plain")

    def __init__(self, plain: Plain, declared: Plain, payload: bytes) -> None:
        self.plain = plain
        self.declared = declared
        """Of that, what belongs to the declared fields."""
        self.payload = payload


class Form(ABC):
    """The short way between contents and their payload. What it returns None for is for the long way."""

    def __init__(self, notation: Notation) -> None:
        self._encode: Final = notation.encode
        self._tagged: Final = notation.tagged
        self._untagged: Final = notation.untagged
        self._tags: Final = notation.tags
        self._is_strict: Final = notation.is_strict
        self._marks: Final = notation.container_marks
        self._any: Final = notation.decoder(Any)

    def read(self, payload: bytes) -> Read | None:
        """Return what a payload holds."""
        try:
            return self._read(payload)
        except _THE_LONG_WAY:
            return None

    def lower(self, contents: Contents[Any], more: Plain | None = None) -> Lowered | None:
        """Return the payload of contents, and of what else is to be in it. Nothing is proven by that."""
        try:
            plain, declared = self._lower(contents)
            if more:
                plain.update(more)
            return Lowered(plain, declared, self._encode(plain))
        except _THE_LONG_WAY:
            return None

    def reads_back(self, lowered: Lowered) -> object:
        """Return what msgspec reads of a payload, if that is what was written; None if it is not."""
        try:
            return self._read_back(lowered)
        except _THE_LONG_WAY:
            return None

    @abstractmethod
    def differs(self, before: Read, after: Lowered, wire: object) -> bool:
        """Return True if two payloads do not hold equal values. `wire` is what `reads_back` gave for the later one."""

    @abstractmethod
    def _read(self, payload: bytes) -> Read: ...

    @abstractmethod
    def _lower(self, contents: Contents[Any]) -> tuple[Plain, Plain]:
        """Return the plain values of all keys, and those of the declared ones alone."""

    @abstractmethod
    def _read_back(self, lowered: Lowered) -> object: ...

    def _refuse_tags(self, keyed: Mapping[str, object]) -> None:
        """Leave alone a dict whose only key is a tag: it means something else, or is written with another key."""
        if len(keyed) == 1 and not self._tags.isdisjoint(keyed):
            raise TheLongWay

    def _refuse_depth(self, payload: bytes) -> None:
        """Leave alone what may nest too deep. Most payloads have too few containers for that."""
        containers = len(payload) - len(payload.translate(None, self._marks))
        if containers >= MAX_DEPTH and is_deeper({"": self._any(payload)}, MAX_DEPTH):
            raise TheLongWay


class DeclaredForm(Form):
    """The short way of a declared class or TypedDict: each field has its own type, other keys hold anything."""

    def __init__(self, schema: Schema[Any], notation: Notation, wire: Wire, *, whole_seconds: bool) -> None:
        super().__init__(notation)
        planner = Planner(notation, wire, whole_seconds=whole_seconds)
        plans = {name: planner.plan(field.type) for name, field in schema.fields.items()}
        struct: Any = msgspec.defstruct(
            "Wire",
            [(name, Union[plan.wire, msgspec.UnsetType], msgspec.UNSET) for name, plan in plans.items()],  # noqa: UP007
        )
        self._decode: Final = notation.decoder(struct)
        self._split: Final = notation.decoder(dict[str, msgspec.Raw])
        self._open: Final = frozenset(name for name, plan in plans.items() if not plan.closed)
        lift = planner.lift_of(plans)
        lower_values = planner.lower_values_of(plans)
        lower_data = lower_values if schema.keyed else planner.lower_data_of(plans, schema.fields)
        wire_of = planner.wire_of(struct, plans)
        functions = planner.module.compiled()
        self._wire_of: Final[Callable[[Plain], object]] = functions[wire_of]
        self._lift: Final[Callable[[Any], Plain]] = functions[lift]
        self._lower_values: Final[Callable[[Any], Plain]] = functions[lower_values]
        self._lower_data: Final[Callable[[Any], Plain]] = functions[lower_data]

    @override
    def _read(self, payload: bytes) -> Read:
        raws = self._split(payload)
        wire = self._decode(payload)
        declared = self._lift(wire)
        is_exact = not self._open
        if not is_exact:
            self._refuse_depth(payload)
        if len(declared) == len(raws):
            return Read(raws, declared, {}, wire, is_exact=is_exact)
        self._refuse_tags(raws)
        extras: Plain = {}
        for key in raws:
            if key not in declared:
                extras[key] = value = self._any(raws[key])
                if type(value) not in _PLAIN:
                    self._refuse_depth(bytes(raws[key]))
                    extras[key] = self._untagged(value)
                    is_exact = is_exact and self._is_strict
        return Read(raws, declared, extras, wire, is_exact=is_exact)

    @override
    def _lower(self, contents: Contents[Any]) -> tuple[Plain, Plain]:
        plain, declared = contents.laid_out(self._lower_data, self._lower_values)
        if len(plain) > len(declared):
            for key in plain.keys() - declared.keys():
                if type(plain[key]) not in _PLAIN:
                    plain[key] = self._tagged(plain[key])
            self._refuse_tags(plain)
        return plain, declared

    @override
    def _read_back(self, lowered: Lowered) -> object:
        wire = self._decode(lowered.payload)
        if wire != self._wire_of(lowered.declared):
            return None
        plain = lowered.plain
        for key in plain.keys() - lowered.declared.keys() if len(plain) > len(lowered.declared) else ():
            if type(plain[key]) not in _PLAIN:
                part = self._encode(plain[key])
                self._refuse_depth(part)
                if self._any(part) != plain[key]:
                    return None
        if self._open:
            self._refuse_depth(lowered.payload)
        return wire

    @override
    def differs(self, before: Read, after: Lowered, wire: object) -> bool:
        if wire != before.wire or len(after.plain) != len(before.order):
            return True
        undeclared = after.plain.keys() - after.declared.keys() if before.extras else ()
        return any(key not in before.order or self._any(before.order[key]) != after.plain[key] for key in undeclared)


class OpenForm(Form):
    """The short way without a schema: every key holds anything."""

    def __init__(self, notation: Notation) -> None:
        super().__init__(notation)
        self._decode: Final = notation.decoder(dict[str, Any])

    @override
    def _read(self, payload: bytes) -> Read:
        wire: Plain = self._decode(payload)
        self._refuse_depth(payload)
        self._refuse_tags(wire)
        values = {key: item if type(item) in _PLAIN else self._untagged(item) for key, item in wire.items()}
        return Read(values, {}, values, payload, is_exact=self._is_strict)

    @override
    def _lower(self, contents: Contents[Any]) -> tuple[Plain, Plain]:
        plain: Plain = self._tagged(contents.stored())
        return plain, {}

    @override
    def _read_back(self, lowered: Lowered) -> object:
        plain = self._decode(lowered.payload)
        self._refuse_depth(lowered.payload)
        return plain if plain == lowered.plain else None

    @override
    def differs(self, before: Read, after: Lowered, wire: object) -> bool:
        return bool(self._decode(before.wire) != wire)


_PLAIN: Final = frozenset({NoneType, bool, int, str})

_THE_LONG_WAY: Final = (
    TheLongWay,
    Mismatch,
    msgspec.MsgspecError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What is raised where something is not as it nearly always is. The long way finds out what it is, and says it."""


def form_of(schema: Schema[Any], serializer: AnySerializer, wire: Wire, *, whole_seconds: bool) -> Form | None:
    """Return the short way of a schema in the notation of a built-in serializer; None where there is none.

    Args:
        schema: what a session holds.
        serializer: what writes it.
        wire: the types that the serializer brings back by itself.
        whole_seconds: whether it keeps no more of a datetime.
    """
    notation = notation_of(serializer)
    if notation is None or not are_names(schema.fields):
        return None
    if schema.open:
        return OpenForm(notation)
    return DeclaredForm(schema, notation, wire, whole_seconds=whole_seconds)

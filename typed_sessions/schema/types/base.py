"""The protocol of a field type, and where a value does not fit."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from enum import IntEnum
from typing import Any, Final, TypeAlias
from uuid import UUID

from markupsafe import Markup
from typing_extensions import override

from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.narrowing import PLAIN, is_dict, is_sequence
from typed_sessions.schema.places import TYPE_KEY, VALUE_KEY
from typed_sessions.schema.types.emitter import Emitted, Emitter

NativeTypes: TypeAlias = frozenset[type]
"""The types beyond JSON's that a serializer brings back as they were."""

NATIVE_CANDIDATES: Final[tuple[object, ...]] = (
    *((1,), b"\xff", UUID(int=1), dt.datetime(2000, 1, 2, 3, 4, 5, tzinfo=dt.UTC), Markup("<b>")),
)
"""A value of each type that may be in a `NativeTypes`, to find out with."""


class NaiveDatetime:
    """Stands, in a `NativeTypes`, for datetimes without a time zone: tagged JSON would bring back an aware one."""


NAIVE_CANDIDATE: Final = dt.datetime(2000, 1, 2, 3, 4, 5)  # noqa: DTZ001 -- naive on purpose
"""A naive datetime, to find out with."""

JSON: Final[NativeTypes] = frozenset()
"""The native types of a serializer that has JSON's types alone."""


class Reading:
    """One reading of a payload: what its serializer brings back by itself, and what was passed over."""

    def __init__(self, native: NativeTypes) -> None:
        self.native = native
        self.unknown: dict[str, int] = {}
        """How many keys a declared class did not know, by the name of the class."""
        self.generated = False
        """True if a declared class made a default for what was missing."""


class Mismatch(Unusual):
    """A value does not fit a type. Says where and what was expected and found, never the value."""

    def __init__(self, expected: str, found: str, path: str = "") -> None:
        super().__init__(expected, found, path)
        self.expected: str = expected
        self.found: str = found
        self.path: str = path

    @classmethod
    def of(cls, expected: FieldType, value: object) -> Mismatch:
        """Return the mismatch of a value that is of another type altogether."""
        return cls(expected.text, type(value).__name__)

    def within(self, step: str) -> Mismatch:
        """Return the same mismatch as seen from the container that holds the value."""
        return type(self)(self.expected, self.found, step + self.path)

    @override
    def __str__(self) -> str:
        return f"must be {self.expected}, not {self.found}"


class OutOfBounds(Mismatch):
    """A value is of its type, and outside the bounds that the annotation sets."""


class FieldType(ABC):
    """A type that a field may have."""

    text: str
    """The type as its author would write it."""
    classes: frozenset[type] | None = None
    """The classes of which exactly this type's values are; None if a class does not tell them."""
    json_types: frozenset[type] = frozenset()
    """The types that plain forms of this type have where nothing is native; none of its own if they are its parts'."""
    native_type: type | None = None
    """The only one that they have where it is native."""
    parts: Iterable[FieldType] = ()
    """The types of what a value of this type holds."""
    matches_by_class: bool = True
    """True if `matches` goes by the class of a value alone."""
    suits_by_class: bool = True
    """True if `affinity` goes by the class of a plain form alone."""

    @abstractmethod
    def validate(self, value: object) -> object:
        """Return the value as this type holds it: itself wherever it fits.

        What a type checker accepts is accepted: a `bool` for `int`, an `int` for `float`, a subclass of `str`.

        Raises:
            Mismatch: the type does not allow the value.
        """

    @abstractmethod
    def unstructure(self, value: object, native: NativeTypes) -> object:
        """Return the plain form of a value.

        Raises:
            Mismatch: the type does not allow the value, or it has no plain form that comes back.
        """

    @abstractmethod
    def structure(self, plain: object, reading: Reading) -> object:
        """Return the value that a plain form stands for. The plain form may come from any program that had the key.

        Raises:
            Mismatch: the plain form is of no such value.
        """

    def emit(self, emitter: Emitter) -> Emitted | None:  # noqa: ARG002 -- of most types
        """Return the generated code of this type; None if only the type itself knows what its values are."""
        return None

    def explained(self, emitter: Emitter) -> Emitted:
        """Return generated code that asks the type itself about each value; whether it comes back is tried."""
        notation, native = emitter.notation, emitter.native
        needs_tags = any(not part.plain_types(native) <= _JSON_WITHOUT_DICTS for part in all_parts([self]))

        def encode(value: object) -> object:
            plain = self.unstructure(value, native)
            return notation.tagged(plain) if needs_tags else plain

        def decode(part: object) -> object:
            reading = Reading(native)
            value = self.structure(notation.untagged(part) if needs_tags else part, reading)
            if reading.unknown or reading.generated:  # which is for the explaining path to report, and to remember
                raise Unusual
            return value

        return Emitted(Any, emitter.call(encode, "unstructure"), emitter.call(decode, "structure"), closed=False)

    def are_plain(self, items: Collection[object]) -> bool:  # noqa: ARG002 -- of what JSON has
        """Return True if all are values of exactly this type, and their own plain forms."""
        return False

    def matches(self, value: object) -> bool:
        """Return True if a value is of exactly this type, by what is outside."""
        if self.classes is not None:
            return type(value) in self.classes
        return any(part.matches(value) for part in self.parts)

    def plain_types(self, native: NativeTypes) -> frozenset[type]:
        """Return the types that plain forms of this type have; `object` if that cannot be said."""
        if self.native_type in native:
            return frozenset({self.native_type})
        return self.json_types or frozenset[type]().union(*(part.plain_types(native) for part in self.parts))

    def affinity(self, plain: object, native: NativeTypes) -> Affinity:
        """Return how well a plain form suits this type, by what is outside."""
        return Affinity.OF_ITS_TYPE if type(plain) in self.plain_types(native) else Affinity.POSSIBLE

    def content_of(self, plain: object, native: NativeTypes) -> object:
        """Return what stands beside this type's name; what has no name, as it is. Raises Mismatch for another's."""
        name = name_of(plain, native)
        if name is None or not is_dict(plain):
            return plain
        if name != self.text:
            raise Mismatch.of(self, plain)
        return plain[VALUE_KEY]

    @property
    def unbounded(self) -> FieldType:
        """The type without bounds, and without the name of an alias."""
        return self


_JSON_WITHOUT_DICTS: Final = PLAIN | {list}
"""The types of plain forms that hold no tag, and nothing that needs one."""


class Affinity(IntEnum):
    """How well a plain form suits a member of a union."""

    NONE = 0
    PARTIAL = 1
    """A dict that lacks some names of a class, and has some that the class does not declare."""
    POSSIBLE = 2
    OF_ITS_TYPE = 3
    EXACT = 4


def named(name: str, plain: object, native: NativeTypes) -> dict[str, object]:
    """Return a plain form beside the name of its type.

    Where tuples are native the name is in one: no JSON of a visitor's makes a tuple, so none can look like this.
    """
    return {TYPE_KEY: (name,) if tuple in native else name, VALUE_KEY: plain}


def name_of(plain: object, native: NativeTypes) -> str | None:
    """Return the name that a plain form has beside it; None if it has none."""
    if not is_dict(plain) or plain.keys() != {TYPE_KEY, VALUE_KEY}:
        return None
    name = plain[TYPE_KEY]
    if tuple in native:
        name = name[0] if is_sequence(name) and type(name) is tuple and len(name) == 1 else None
    return name if isinstance(name, str) else None


def holds_name(plain: object, native: NativeTypes) -> bool:
    """Return True if a plain value has, at any depth, a name beside it."""
    if is_dict(plain):
        return name_of(plain, native) is not None or any(holds_name(item, native) for item in plain.values())
    return is_sequence(plain) and any(holds_name(item, native) for item in plain)


def indexed(items: Iterable[object], convert: Callable[[object], object], step: str = "[{}]") -> list[object]:
    """Convert each item; a mismatch says at which, by its index in the step of a path."""
    converted: list[object] = []
    try:
        converted.extend(map(convert, items))  # how many there are says where it stopped
    except Mismatch as mismatch:
        raise mismatch.within(step.format(len(converted))) from mismatch
    return converted


def all_parts(field_types: Iterable[FieldType]) -> set[FieldType]:
    """Return types and all that is in them."""
    seen: set[FieldType] = set()
    waiting = list(field_types)
    while waiting:
        field_type = waiting.pop()
        if field_type not in seen:
            seen.add(field_type)
            waiting += field_type.parts
    return seen


def attempt(convert: Callable[..., object], *arguments: object) -> list[object]:
    """Return what a conversion gives, or nothing if the value does not fit."""
    try:
        return [convert(*arguments)]
    except Mismatch:
        return []

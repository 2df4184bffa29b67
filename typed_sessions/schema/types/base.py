"""The protocol of a field type, and where a value does not fit."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any, Final, TypeAlias
from uuid import UUID

from markupsafe import Markup
from typing_extensions import override

from typed_sessions.schema.narrowing import is_dict, is_sequence
from typed_sessions.schema.places import SOME_KEY, TYPE_KEY, VALUE_KEY

__all__ = [
    "JSON",
    "NAIVE_CANDIDATE",
    "NATIVE_CANDIDATES",
    "SOME_KEY",
    "Affinity",
    "FieldType",
    "Mismatch",
    "NaiveDatetime",
    "NativeTypes",
    "OutOfBounds",
    "Reading",
    "attempt",
    "holds_name",
    "in_bulk",
    "indexed",
    "iterated",
    "name_of",
    "named",
]

NativeTypes: TypeAlias = frozenset[type]
"""The types beyond JSON's that a serializer brings back as they were."""

NATIVE_CANDIDATES: Final[tuple[object, ...]] = (
    (1,),
    b"\xff",
    UUID(int=1),
    dt.datetime(2000, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    Markup("<b>"),
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

    def pass_over(self, owner: str, keys: int) -> None:
        """Note that a value of a declared class came with so many keys that the class does not know."""
        if keys:
            self.unknown[owner] = self.unknown.get(owner, 0) + keys


class Mismatch(Exception):  # noqa: N818 -- never leaves the library
    """A value does not fit a type. Says where and what was expected and found, never the value."""

    def __init__(self, expected: str, found: str, path: str = "") -> None:
        super().__init__(expected, found, path)
        self.expected = expected
        self.found = found
        self.path = path

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

    def all_validated(self, items: list[object]) -> list[object] | None:  # noqa: ARG002 -- a scalar's look at them
        """Return what `validate` makes of each value; None if one has to look at each."""
        return None

    def all_unstructured(self, items: list[object], native: NativeTypes) -> list[object] | None:  # noqa: ARG002 -- as above
        """Return what `unstructure` makes of each value; None if one has to look at each."""
        return None

    def all_structured(self, items: list[object], reading: Reading) -> list[object] | None:  # noqa: ARG002 -- as above
        """Return what `structure` makes of each plain form; None if one has to look at each."""
        return None

    @abstractmethod
    def matches(self, value: object) -> bool:
        """Return True if a value is of exactly this type, judged without a look inside."""

    @abstractmethod
    def plain_types(self, native: NativeTypes) -> frozenset[type]:
        """Return the types that plain forms of this type have; `object` if that cannot be said."""

    def affinity(self, plain: object, native: NativeTypes) -> Affinity:
        """Return how well a plain form suits this type, judged without a look inside."""
        return Affinity.OF_ITS_TYPE if type(plain) in self.plain_types(native) else Affinity.POSSIBLE

    @property
    def unbounded(self) -> FieldType:
        """The type without bounds."""
        return self

    def parts(self) -> Iterable[FieldType]:
        """Return the types of what a value of this type holds."""
        return ()


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
    if not is_dict(plain) or len(plain) != 2 or TYPE_KEY not in plain or VALUE_KEY not in plain:  # noqa: PLR2004 -- both
        return None
    name = plain[TYPE_KEY]
    if tuple in native:
        if not is_sequence(name) or type(name) is not tuple or len(name) != 1:
            return None
        name = name[0]
    return name if isinstance(name, str) else None


def holds_name(plain: object, native: NativeTypes) -> bool:
    """Return True if a plain value has, at any depth, a name beside it."""
    if is_dict(plain):
        return name_of(plain, native) is not None or any(holds_name(item, native) for item in plain.values())
    return is_sequence(plain) and any(holds_name(item, native) for item in plain)


def iterated(value: Any) -> list[object]:
    """Return the items of a container."""
    return list(value)


Step: TypeAlias = Callable[[int], str]
"""Makes the step of a path from the index of an item."""

BY_INDEX: Final[Step] = "[{}]".format


def indexed(
    items: list[object] | tuple[object, ...],
    convert: Callable[[object], object],
    start: int = 0,
    step: Step = BY_INDEX,
) -> list[object]:
    """Convert each item; a mismatch says at which. `start` is the index of the first one."""
    converted: list[object] = []
    try:
        for item in items:
            converted.append(convert(item))  # noqa: PERF401 -- how many there are says where it stopped
    except Mismatch as mismatch:
        raise mismatch.within(step(start + len(converted))) from mismatch
    return converted


def in_bulk(
    items: list[object],
    convert_all: Callable[[list[object]], list[object] | None],
    convert: Callable[[object], object],
    step: Step = BY_INDEX,
) -> list[object]:
    """Convert many items at once, and only where that fails each of them; a mismatch says at which."""
    converted: list[object] = []
    for start in range(0, len(items), _MANY):
        some = items[start : start + _MANY]
        at_once = convert_all(some)
        converted += indexed(some, convert, start, step) if at_once is None else at_once
    return converted


_MANY: Final = 64
"""How many items are converted at once: so many are looked at one by one if one of them does not fit."""


def attempt(convert: Callable[..., object], *arguments: object) -> list[object]:
    """Return what a conversion gives, or nothing if the value does not fit."""
    try:
        return [convert(*arguments)]
    except Mismatch:
        return []

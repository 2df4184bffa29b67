"""Types of what a lock names: the classes themselves may be gone."""

from __future__ import annotations

from typing_extensions import override

from typed_sessions.schema.types import FieldType, Mismatch, Reading, Wire
from typed_sessions.schema.types.classes import Keyed
from typed_sessions.schema.types.containers import Items

__all__ = ["LockedClass", "LockedSet", "Opaque"]


class Opaque(FieldType):
    """A type that only a user's converter knows: nothing can be said of it but its name."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sample: object = {"__opaque__": text}
        """The one plain form that is known to be of the type."""

    @override
    def admit(self, value: object) -> object:
        return value

    @override
    def lower(self, value: object, wire: Wire) -> object:
        return value

    @override
    def lift(self, plain: object, reading: Reading) -> object:
        if plain != self.sample:
            raise Mismatch.of(self, plain)
        return plain

    @override
    def claims(self, value: object) -> bool:
        return value == self.sample

    @override
    def plain_types(self, wire: Wire) -> frozenset[type]:
        return frozenset({object})


class LockedClass(Keyed):
    """A declared class of a lock, as a type of dicts: it is written as one, and nothing else of it is locked."""

    def __init__(self, text: str, *, makes_class: bool) -> None:
        super().__init__(text, {}, frozenset())
        self.makes_class = makes_class

    def declare(self, name: str, field_type: FieldType, former_names: tuple[str, ...], *, required: bool) -> None:
        """Take an attribute. The class comes first: it may hold itself."""
        self.types[name] = field_type
        self.former_names[name] = former_names
        if required:
            self.required: frozenset[str] = self.required | {name}

    @property
    def may_be_absent(self) -> frozenset[str]:
        """The keys of a TypedDict that are written only while they are there."""
        return frozenset(() if self.makes_class else self.types.keys() - self.required)

    @override
    def lift(self, plain: object, reading: Reading) -> object:
        return Attributes(self._lifted(plain, reading, ".{}"))

    @override
    def all_lifted(self, items: list[object], reading: Reading) -> list[object] | None:
        return None  # each is to be told from a dict


class Attributes(dict[str, object]):
    """What a class holds, which is not the same as a dict of the same keys."""


class LockedSet(Items):
    """A set or a frozenset, lifted as a list of its own kind: what stands for a class here has no hash."""

    def __init__(self, name: str, item: FieldType) -> None:
        super().__init__(list, item)
        self.text: str = f"{name}[{item.text}]"
        self._make = Members


class Members(list[object]):
    """What a set holds."""

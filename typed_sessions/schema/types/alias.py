"""An alias that contains itself, such as `JSON = dict[str, "JSON"] | list["JSON"] | str | int | None`."""

from __future__ import annotations

from collections.abc import Iterable

from typing_extensions import override

from typed_sessions.schema.types.base import Affinity, FieldType, Reading, Wire
from typed_sessions.schema.types.union import OneOf

__all__ = ["Alias"]


class Alias(FieldType):
    """What an alias stands for, by the alias's name: written out, it would have no end."""

    target: FieldType
    """Set by the compiler once it knows it."""

    def __init__(self, name: str) -> None:
        self.text: str = name
        self.is_recursive = False
        self.outermost: Alias = self
        """While it is compiled: the outermost alias around it that it contains again."""

    @property
    @override
    def unbounded(self) -> FieldType:
        return self.target.unbounded if hasattr(self, "target") else self

    @override
    def admit(self, value: object) -> object:
        return self.target.admit(value)

    @override
    def lower(self, value: object, wire: Wire) -> object:
        return self.target.lower(value, wire)

    @override
    def lift(self, plain: object, reading: Reading) -> object:
        return self.target.lift(plain, reading)

    @override
    def all_admitted(self, items: list[object]) -> list[object] | None:
        return self.target.all_admitted(items)

    @override
    def all_lowered(self, items: list[object], wire: Wire) -> list[object] | None:
        return self.target.all_lowered(items, wire)

    @override
    def all_lifted(self, items: list[object], reading: Reading) -> list[object] | None:
        return self.target.all_lifted(items, reading)

    @override
    def claims(self, value: object) -> bool:
        return self.target.claims(value)

    @override
    def plain_types(self, wire: Wire) -> frozenset[type]:
        return self.target.plain_types(wire)

    @override
    def affinity(self, plain: object, wire: Wire) -> Affinity:
        return self.target.affinity(plain, wire)

    @override
    def parts(self) -> Iterable[FieldType]:
        return (self.target,)

    def holds_itself_bare(self) -> bool:
        """Return True if the alias is a member of the union that it stands for, with no container between."""
        seen: set[FieldType] = set()
        waiting: list[FieldType] = [self.target]
        while waiting:
            held = waiting.pop()
            if held is self:
                return True
            if held not in seen and isinstance(held, (Alias, OneOf)):
                seen.add(held)
                waiting += held.parts() if isinstance(held, OneOf) or hasattr(held, "target") else ()
        return False

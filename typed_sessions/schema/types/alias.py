"""An alias that contains itself, such as `JSON = dict[str, "JSON"] | list["JSON"] | str | int | None`."""

from __future__ import annotations

from collections.abc import Iterable

from typing_extensions import override

from typed_sessions.schema.types.base import Affinity, FieldType, NativeTypes, Reading
from typed_sessions.schema.types.emitter import Emitted, Emitter
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
    def validate(self, value: object) -> object:
        return self.target.validate(value)

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        return self.target.unstructure(value, native)

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        return self.target.structure(plain, reading)

    @override
    def emit(self, emitter: Emitter) -> Emitted:
        return emitter.emitted(self.target)

    @override
    def matches(self, value: object) -> bool:
        return self.target.matches(value)

    @override
    def classes(self) -> frozenset[type] | None:
        return self.target.classes()

    @override
    def plain_types(self, native: NativeTypes) -> frozenset[type]:
        return self.target.plain_types(native)

    @override
    def affinity(self, plain: object, native: NativeTypes) -> Affinity:
        return self.target.affinity(plain, native)

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

"""An alias that contains itself, such as `JSON = dict[str, "JSON"] | list["JSON"] | str | int | None`."""

from __future__ import annotations

from typing_extensions import override

from typed_sessions.schema.types.base import FieldType, NativeTypes, Reading, Wrapper
from typed_sessions.schema.types.emitter import Emitted, Emitter
from typed_sessions.schema.types.union import OneOf

__all__ = ["Alias"]


class Alias(Wrapper):
    """What an alias stands for, by the alias's name: written out, it would have no end."""

    inner: FieldType
    """Set by the compiler once it knows it."""

    def __init__(self, name: str) -> None:
        self.text: str = name
        self.is_recursive = False
        self.outermost: Alias = self
        """While it is compiled: the outermost alias around it that it contains again."""

    @property
    @override
    def unbounded(self) -> FieldType:
        return self.inner.unbounded if hasattr(self, "inner") else self

    @override
    def validate(self, value: object) -> object:
        return self.inner.validate(value)

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        return self.inner.unstructure(value, native)

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        return self.inner.structure(plain, reading)

    @override
    def emit(self, emitter: Emitter) -> Emitted:
        return emitter.emitted(self.inner)

    def holds_itself_bare(self) -> bool:
        """Return True if the alias is a member of the union that it stands for, with no container between."""
        seen: set[FieldType] = set()
        waiting: list[FieldType] = [self.inner]
        while waiting:
            held = waiting.pop()
            if held is self:
                return True
            if held not in seen and isinstance(held, (Alias, OneOf)):
                seen.add(held)
                waiting += held.parts() if isinstance(held, OneOf) or hasattr(held, "inner") else ()
        return False

"""Types that add something to another one: its name, or bounds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec
from typing_extensions import override

from typed_sessions.errors import SchemaError
from typed_sessions.schema.types.base import Affinity, FieldType, NativeTypes, OutOfBounds, Reading
from typed_sessions.schema.types.containers import Items, Positions, Table
from typed_sessions.schema.types.emitter import Emitted, Emitter
from typed_sessions.schema.types.scalars import Scalar, Simple
from typed_sessions.schema.types.union import OneOf

__all__ = ["Alias", "Bounded", "bounds_of"]

_BOUNDS: Final = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length", "tz")


class Wrapper(FieldType):
    """A type that adds something to another one, its `inner`, whose values it has."""

    inner: FieldType

    @property
    @override
    def unbounded(self) -> FieldType:
        return self.inner.unbounded if hasattr(self, "inner") else self

    @override
    def matches(self, value: object) -> bool:
        return self.inner.matches(value)

    @override
    def affinity(self, plain: object, native: NativeTypes) -> Affinity:
        return self.inner.affinity(plain, native)

    @override
    def parts(self) -> Iterable[FieldType]:
        return (self.inner,)


class Alias(Wrapper):
    """What an alias stands for, by the alias's name: written out, it would have no end."""

    inner: FieldType
    """Set by the compiler once it knows it."""

    def __init__(self, name: str) -> None:
        self.text: str = name
        self.is_recursive = False
        self.outermost: Alias = self
        """While it is compiled: the outermost alias around it that it contains again."""

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
        bare: list[FieldType] = [self.inner]
        for held in bare:  # which gets longer
            if isinstance(held, OneOf) or (isinstance(held, Alias) and hasattr(held, "inner")):
                bare += [part for part in held.parts() if part not in bare]
        return self in bare


class Bounded(Wrapper):
    """A type whose values keep bounds, as msgspec checks them.

    Raises:
        SchemaError: msgspec knows no such bounds for the type; the message begins with `place`.
    """

    def __init__(self, inner: FieldType, bounds: tuple[msgspec.Meta, ...], place: str) -> None:
        self.inner = inner
        self.classes: frozenset[type] | None = inner.classes
        self.bounds: dict[str, object] = bounds_of(bounds)
        self.text: str = inner.text
        self._bounded_text = f"{inner.text} ({', '.join(f'{name}={bound!r}' for name, bound in self.bounds.items())})"
        self.constraint: Any = Annotated[(_native(inner), *bounds)]
        """The type that msgspec checks."""
        try:
            msgspec.json.Decoder(self.constraint)
        except TypeError:
            raise SchemaError(f"{place}: msgspec.Meta has no such bounds for {inner.text}") from None

    @override
    def validate(self, value: object) -> object:
        return self._within_bounds(self.inner.validate(value))

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        self._within_bounds(value)
        return self.inner.unstructure(value, native)

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        return self._within_bounds(self.inner.structure(plain, reading))

    @override
    def emit(self, emitter: Emitter) -> Emitted | None:
        inner = emitter.emitted(self.inner)
        if inner.wire_type is Any:
            return None
        if isinstance(self.inner, Simple) and inner.is_as_it_is:
            return Emitted(self.constraint, unchanged=inner.unchanged)  # msgspec keeps the bounds while it reads
        return inner.checked(emitter.call(self._within_bounds, "within_bounds"))

    def _within_bounds(self, value: object) -> object:
        try:
            msgspec.convert(value, self.constraint)
        except msgspec.ValidationError:
            raise OutOfBounds(self._bounded_text, "one out of bounds") from None
        return value


def bounds_of(marks: Iterable[object]) -> dict[str, object]:
    """Return the bounds that marks of an annotation set; later marks go before earlier ones."""
    return {
        name: bound
        for mark in marks
        if isinstance(mark, msgspec.Meta)
        for name in _BOUNDS
        if (bound := getattr(mark, name)) is not None
    }


def _native(field_type: FieldType) -> Any:
    """Return the type that msgspec checks: without what a container holds, which is checked already."""
    if isinstance(field_type, (Simple, Scalar, Items)):
        return str if issubclass(field_type.cls, str) else field_type.cls
    if isinstance(field_type, Positions):
        return tuple
    return dict if isinstance(field_type, Table) else object

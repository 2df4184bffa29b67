"""Types that add something to another one: its name, or bounds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec
from typing_extensions import override

from typed_sessions.errors import SchemaError
from typed_sessions.schema.types.base import Affinity, FieldType, NativeTypes, OutOfBounds, Reading
from typed_sessions.schema.types.containers import Listed, Table
from typed_sessions.schema.types.emitter import Emitted, Emitter
from typed_sessions.schema.types.scalars import Simple, Single

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
    def validate(self, value: object) -> object:
        return self.inner.validate(value)

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        return self.inner.unstructure(value, native)

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        return self.inner.structure(plain, reading)

    @override
    def matches(self, value: object) -> bool:
        return self.inner.matches(value)

    @override
    def affinity(self, plain: object, native: NativeTypes) -> Affinity:
        return self.inner.affinity(plain, native)


class Alias(Wrapper):
    """What an alias stands for, by the alias's name: written out, it would have no end."""

    def __init__(self, name: str) -> None:
        self.text: str = name
        self.is_recursive = False
        self.outermost: Alias = self
        """While it is compiled: the outermost alias around it that it contains again."""

    def complete(self, inner: FieldType) -> None:
        """Say what it stands for, which the compiler knows only when it is done with that."""
        self.inner: FieldType = inner
        self.parts: Iterable[FieldType] = (inner,)

    @override
    def emit(self, emitter: Emitter) -> Emitted:
        return emitter.emitted(self.inner)


class Bounded(Wrapper):
    """A type whose values keep bounds, as msgspec checks them.

    Raises:
        SchemaError: msgspec knows no such bounds for the type; the message begins with `place`.
    """

    def __init__(self, inner: FieldType, bounds: tuple[msgspec.Meta, ...], place: str) -> None:
        self.inner = inner
        self.parts: Iterable[FieldType] = (inner,)
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
        return self._within_bounds(super().validate(value))

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        return super().unstructure(self._within_bounds(value), native)

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        return self._within_bounds(super().structure(plain, reading))

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
    bounds = ((name, getattr(mark, name)) for mark in marks if isinstance(mark, msgspec.Meta) for name in _BOUNDS)
    return {name: bound for name, bound in bounds if bound is not None}


def _native(field_type: FieldType) -> Any:
    """Return the type that msgspec checks: without what a container holds, which is checked already."""
    if isinstance(field_type, (Single, Listed)):
        return str if issubclass(field_type.cls, str) else field_type.cls
    return dict if isinstance(field_type, Table) else object

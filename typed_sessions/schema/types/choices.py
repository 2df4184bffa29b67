"""Types of a fixed set of values: enumerations and literals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, Flag
from typing import Any, Union, cast

from typing_extensions import override

from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.sameness import same
from typed_sessions.schema.types.base import FieldType, Mismatch, NativeTypes, Reading, attempt
from typed_sessions.schema.types.emitter import Emitted, Emitter, by_content
from typed_sessions.schema.types.scalars import emit_simple_union

__all__ = ["Choice", "Enumeration"]


class Enumeration(FieldType):
    """A member of an `Enum` or `Flag` whose values are text or integers, written by that value."""

    def __init__(self, cls: type[Enum]) -> None:
        self.cls = cls
        self.classes: frozenset[type] | None = frozenset({cls})
        self.json_types: frozenset[type] = frozenset(type(cast("object", member.value)) for member in cls)
        self.text: str = cls.__name__

    @property
    def members(self) -> list[Enum]:
        """The members; of flags, all of them together, too."""
        return [*self.cls, self.cls(~self.cls(0))] if issubclass(self.cls, Flag) else list(self.cls)

    @override
    def validate(self, value: object) -> object:
        if isinstance(value, self.cls):
            return value
        raise Mismatch.of(self, value)

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        if not isinstance(value, self.cls):
            raise Mismatch.of(self, value)
        plain: object = value.value
        return plain

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        return self._member(plain)

    @override
    def emit(self, emitter: Emitter) -> Emitted:
        def encode(member: Any) -> object:
            if type(member) is not self.cls or self._member(member.value) is not member:
                raise Unusual
            return member.value

        types: set[type] = {type(cast("object", member.value)) for member in self.members}
        hint = f"of_{self.text}"
        return by_content(Union[tuple(types)], emitter.call(encode, hint), emitter.call(self._member, hint))  # noqa: UP007

    def _member(self, plain: object) -> Any:
        try:
            member = self.cls(plain)
        except Exception as error:  # a user's `_missing_` may raise anything
            raise Mismatch.of(self, plain) from error
        if type(member.value) is not type(plain):
            raise Mismatch.of(self, plain)
        return member


class Choice(FieldType):
    """A `Literal`: one of a fixed set of values."""

    def __init__(self, text: str, choices: Mapping[tuple[type, object], FieldType]) -> None:
        self.text: str = text
        self.choices = choices
        self._parts: Iterable[FieldType] = dict.fromkeys(choices.values())
        self.classes: frozenset[type] | None = frozenset(cls for cls, _ in choices)
        """Pairs of a value's type and the value, so that `1` is not `True`; each with the type that writes it."""

    @property
    def values(self) -> list[object]:
        """The values, in the order of their declaration."""
        return [value for _, value in self.choices]

    @override
    def validate(self, value: object) -> object:
        self._writer(value)
        return value

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        return self._writer(value).unstructure(value, native)

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        for writer in dict.fromkeys(self.choices.values()):
            for value in attempt(writer.structure, plain, reading):
                if same(writer.unstructure(value, reading.native), plain) and (type(value), value) in self.choices:
                    return value
        raise Mismatch.of(self, plain)

    @override
    def emit(self, emitter: Emitter) -> Emitted | None:
        writers, types = [*self.parts()], frozenset(cls for cls, _ in self.choices)
        inner = emitter.emitted(writers[0]) if len(writers) == 1 else emit_simple_union(writers, emitter)
        if inner is None:
            return None

        def check(value: object) -> object:
            if type(value) not in types or (type(value), value) not in self.choices:
                raise Unusual
            return value

        return inner.checked(emitter.call(check, "choice"))

    @override
    def matches(self, value: object) -> bool:
        return bool(attempt(self._writer, value))

    def _writer(self, value: object) -> FieldType:
        try:
            return self.choices[type(value), value]
        except (KeyError, TypeError):
            raise Mismatch.of(self, value) from None

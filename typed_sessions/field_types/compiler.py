"""From annotations to field types."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin

from cattrs import Converter
from cattrs.errors import StructureHandlerNotFoundError
from cattrs.fns import identity
from msgspec import Meta, Struct

from typed_sessions.annotations import described, is_typed_dict, key_annotations, plain_form, required_keys
from typed_sessions.errors import SchemaError
from typed_sessions.field_types.base import JSON, FieldType
from typed_sessions.field_types.bounded import Bounded, bounds_of
from typed_sessions.field_types.classes import Declared, Foreign, Keyed
from typed_sessions.field_types.containers import Items, Positions, Table
from typed_sessions.field_types.scalars import KNOWN, Choice, Enumeration, Scalar
from typed_sessions.field_types.union import OneOf
from typed_sessions.kinds import Kind, kind_of
from typed_sessions.places import TYPE_KEY, VALUE_KEY

__all__ = ["Compiler"]

_CONTAINERS: Final[Mapping[object, type]] = {cls: cls for cls in (list, set, frozenset, tuple, dict)}


class Compiler:
    """Turns annotations into field types. One class is compiled once, so a class may contain itself."""

    def __init__(self, converter: Converter) -> None:
        self._converter = converter
        self._declared: dict[object, Declared] = {}
        self._keyed: dict[object, Keyed] = {}

    def compile(self, annotation: Any, place: str) -> FieldType:
        """Return the field type of an annotation.

        Raises:
            SchemaError: no session can hold such a type; the message begins with `place`.
        """
        annotation, marks = plain_form(annotation)
        field_type = self._unbounded(annotation, place)
        metas = tuple(mark for mark in marks if isinstance(mark, Meta))
        return Bounded(field_type, metas, place) if bounds_of(metas) else field_type

    def _unbounded(self, annotation: Any, place: str) -> FieldType:
        if annotation is None or annotation is Any:
            annotation = types.NoneType if annotation is None else object
        if isinstance(annotation, type) and annotation in KNOWN:
            return KNOWN[annotation]
        if isinstance(annotation, TypeVar):
            raise SchemaError(
                f"{place}: {annotation.__name__} has no argument; declare the schema as Class[argument], or as a "
                f"function that is annotated to return that"
            )
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            return self._enumeration(annotation, place)
        origin = _unsubscripted(annotation)
        arguments: tuple[Any, ...] = get_args(annotation)
        if origin is Literal:
            return self._choice(described(annotation), arguments, place)
        if origin is Union or origin is types.UnionType:
            return self._union(tuple(self.compile(argument, place) for argument in arguments), place)
        container = _CONTAINERS.get(origin)
        if container is not None:
            if not arguments and annotation not in (tuple[()], typing.Tuple[()]):  # noqa: UP006 -- some write it so
                raise SchemaError(
                    f"{place}: a bare {container.__name__} does not say what it holds; write its arguments"
                )
            return self._container(container, arguments, place)
        if getattr(origin, "__module__", None) == "collections.abc":
            raise SchemaError(
                f"{place}: {described(annotation)} does not say which class comes back; write list or dict"
            )
        return self._of_class(annotation, place)

    def declared(self, annotation: Any, kind: Kind, place: str) -> Declared:
        """Return the field type of a declared class, its attributes compiled."""
        if annotation not in self._declared:
            declared = self._declared[annotation] = Declared(kind, described(annotation))
            for name, member in kind.members.items():
                if member.annotation is None:
                    raise SchemaError(f"{place}: {kind.cls.__qualname__}.{name} has no type annotation")
                declared.types[name] = self.compile(member.annotation, f"{kind.cls.__qualname__}.{name}")
        return self._declared[annotation]

    def keyed(self, annotation: Any, place: str) -> Keyed:
        """Return the field type of a TypedDict, its keys compiled."""
        if annotation not in self._keyed:
            text, annotations = described(annotation), key_annotations(annotation)
            if annotations.keys() >= {TYPE_KEY, VALUE_KEY}:
                raise SchemaError(f"{place}: {TYPE_KEY} and {VALUE_KEY} belong to unions; rename these keys of {text}")
            keyed = self._keyed[annotation] = Keyed(text, annotations, required_keys(annotation))
            for name, item in annotations.items():
                keyed.types[name] = self.compile(item, f"{place}: {text}[{name!r}]")
        return self._keyed[annotation]

    def _of_class(self, annotation: Any, place: str) -> FieldType:
        if is_typed_dict(annotation):
            return self.keyed(annotation, place)
        kind = kind_of(annotation)
        return self._foreign(annotation, place) if kind is None else self.declared(annotation, kind, place)

    def _union(self, members: tuple[FieldType, ...], place: str) -> FieldType:
        texts = [member.text for member in members]
        for text in texts:
            if texts.count(text) > 1:
                raise SchemaError(f"{place}: two members of the union are called {text}; rename one of them")
        return OneOf(members)

    def _choice(self, text: str, values: tuple[Any, ...], place: str) -> FieldType:
        choice = Choice(text, {(type(value), value): self._writer(value, place) for value in values})
        written = [repr(choice.lower(value, JSON)) for value in values]
        if len(set(written)) < len(written):
            raise SchemaError(f"{place}: two values of {text} are written alike, and one would come back as the other")
        return choice

    def _enumeration(self, cls: type[Enum], place: str) -> FieldType:
        if not list(cls) or any(type(member.value) not in (str, int) for member in cls):
            raise SchemaError(f"{place}: {cls.__qualname__} has no values, or some that are neither text nor integers")
        return Enumeration(cls)

    def _writer(self, value: object, place: str) -> FieldType:
        return self.compile(type(value), place)

    def _container(self, origin: type, arguments: tuple[Any, ...], place: str) -> FieldType:
        if origin is tuple and arguments[-1:] != (...,):
            return Positions(tuple(self.compile(argument, place) for argument in arguments))
        if origin is dict:
            key = self.compile(arguments[0], place)
            if not _is_key(key):
                raise SchemaError(f"{place}: keys of type {key.text} cannot be written as text")
            return Table(key, self.compile(arguments[1], place))
        item = self.compile(arguments[0], place)
        if origin in (set, frozenset) and _is_unhashable(item):
            raise SchemaError(f"{place}: a {origin.__name__} holds no {item.text}, which can be changed")
        return Items(origin, item)

    def _foreign(self, annotation: Any, place: str) -> FieldType:
        try:
            self._converter.get_structure_hook(annotation)
            has_no_hook = self._converter.get_unstructure_hook(annotation) is identity
        except StructureHandlerNotFoundError:
            raise SchemaError(
                f"{place}: a session cannot hold {described(annotation)}; declare an attrs class, a "
                f"dataclass or a Struct, or pass a cattrs converter with hooks for it: Sessions(..., converter=...)"
            ) from None
        if has_no_hook:
            raise SchemaError(f"{place}: the converter has no unstructure hook for {described(annotation)} to write it")
        return Foreign(annotation, self._converter)


def _is_key(key: FieldType) -> bool:
    """Return True if each key has a text of its own: the text of `1` and of `"1"` would be the same."""
    key = key.unbounded
    if isinstance(key, (Enumeration, Choice)):
        return key.plain_types(JSON) in (frozenset({str}), frozenset({int}))
    return isinstance(key, Scalar) or key in (KNOWN[str], KNOWN[int])


def _is_unhashable(item: FieldType) -> bool:
    item = item.unbounded
    if isinstance(item, Declared):
        return not _has_hash(item.kind.cls)
    if isinstance(item, (Positions, Items)) and not (isinstance(item, Items) and item.cls in (list, set)):
        return any(map(_is_unhashable, item.parts()))  # a tuple, or a frozenset
    return isinstance(item, (Table, Keyed, Items))


def _has_hash(cls: type[Any]) -> bool:
    if issubclass(cls, Struct) and cls.__hash__ is Struct.__hash__:
        return cls.__struct_config__.frozen or not cls.__struct_config__.eq
    return cls.__hash__ is not None


def _unsubscripted(annotation: Any) -> object:
    return get_origin(annotation) or annotation

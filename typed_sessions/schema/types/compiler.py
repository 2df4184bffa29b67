"""From annotations to field types."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

from cattrs import Converter
from cattrs.errors import StructureHandlerNotFoundError
from cattrs.fns import identity
from msgspec import Meta, Struct

from typed_sessions.errors import SchemaError
from typed_sessions.schema.annotations import (
    described,
    is_typed_dict,
    origin_class,
    plain_form,
    reference_in,
    reference_name,
    required_keys,
    resolved_annotations,
    union_parts,
)
from typed_sessions.schema.kinds.base import Kind
from typed_sessions.schema.kinds.known import kind_of
from typed_sessions.schema.places import MAX_DEPTH, TYPE_KEY, VALUE_KEY
from typed_sessions.schema.types.base import JSON, FieldType
from typed_sessions.schema.types.classes import Adapted, Declared, Foreign, Keyed
from typed_sessions.schema.types.containers import Items, Listed, Positions, Table
from typed_sessions.schema.types.scalars import KNOWN, Choice, Enumeration, Scalar
from typed_sessions.schema.types.union import OneOf
from typed_sessions.schema.types.wrappers import Alias, Bounded, bounds_of

__all__ = ["Compiler"]

N = TypeVar("N", Declared, Keyed)

_CONTAINERS: Final[Mapping[object, type]] = {cls: cls for cls in (list, set, frozenset, tuple, dict)}


class Compiler:
    """Turns annotations into field types. One class, or one alias, is compiled once, so it may contain itself."""

    def __init__(self, converter: Converter) -> None:
        self._converter = converter
        self._classes: dict[object, Declared | Keyed] = {}
        self._waiting: list[Callable[[], None]] = []
        """What is left to do for classes whose members are not compiled yet: an alias does not see into a class."""
        self._aliases: dict[object, Alias] = {}
        self._unfinished: list[Alias] = []
        """The aliases that are being compiled, each within the one before."""

    def compile(self, annotation: Any, place: str, kind: Kind | None = None) -> FieldType:
        """Return the field type of an annotation; `kind` is that of a declared class, where it is known.

        Raises:
            SchemaError: no session can hold such a type; the message begins with `place`.
        """
        field_type = self._declared(annotation, kind, place) if kind else self._compiled(annotation, place)
        while self._waiting:
            self._waiting.pop()()
        return field_type

    def _compiled(self, annotation: Any, place: str) -> FieldType:
        """Return the same. What classes in it hold is left to do."""
        reference = reference_in(annotation)
        annotation, marks = _plain(annotation, place)
        field_type = self._unbounded(annotation, place) if reference is None else self._alias(reference, place)
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
        origin: Any = get_origin(annotation) or annotation
        arguments: tuple[Any, ...] = get_args(annotation)
        if origin is Literal:
            return self._choice(described(annotation), arguments, place)
        if union_parts(annotation):
            return self._union(tuple(self._compiled(argument, place) for argument in arguments), place)
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

    def _of_class(self, annotation: Any, place: str) -> FieldType:
        cls = origin_class(annotation)
        if cls is not None and issubclass(cls, Enum):
            if not list(cls) or any(type(member.value) not in (str, int) for member in cls):
                name = cls.__qualname__
                raise SchemaError(f"{place}: {name} has no values, or some that are neither text nor integers")
            return Enumeration(cls)
        if annotation in self._classes:
            return self._classes[annotation]
        if is_typed_dict(annotation):
            return self._keyed(annotation, place)
        kind = kind_of(annotation)
        return self._foreign(annotation, place) if kind is None else self._declared(annotation, kind, place)

    def _declared(self, annotation: Any, kind: Kind, place: str) -> Declared:
        places = {name: f"{kind.cls.__qualname__}.{name}" for name in kind.members}
        for name, member in kind.members.items():
            _plain(member.annotation, places[name])
            if member.annotation is None:
                raise SchemaError(f"{place}: {places[name]} has no type annotation")
        return self._filled_later(annotation, Declared(kind, described(annotation)), places)

    def _keyed(self, annotation: Any, place: str) -> Keyed:
        text, annotations = described(annotation), resolved_annotations(annotation)
        if annotations.keys() >= {TYPE_KEY, VALUE_KEY}:
            raise SchemaError(f"{place}: {TYPE_KEY} and {VALUE_KEY} belong to unions; rename these keys of {text}")
        places = {name: f"{place}: {text}[{name!r}]" for name in annotations}
        for name, item in annotations.items():
            _plain(item, places[name])
        return self._filled_later(annotation, Keyed(text, annotations, required_keys(annotation)), places)

    def _filled_later(self, annotation: Any, held: N, places: Mapping[str, str]) -> N:
        def fill() -> None:
            held.types.update({name: self._compiled(held.annotations[name], place) for name, place in places.items()})

        self._classes[annotation] = held
        self._waiting.append(fill)
        return held

    def _alias(self, reference: Any, place: str) -> FieldType:
        """Return what an alias stands for; one that contains itself goes by its name."""
        alias = self._aliases.get(reference)
        if alias is None:
            if len(self._unfinished) >= MAX_DEPTH:
                raise SchemaError(f"{place}: the alias {self._unfinished[0].text} has no end")
            alias = self._aliases[reference] = Alias(reference_name(reference))
            self._unfinished.append(alias)
            alias.complete(self._unbounded(plain_form(reference)[0], place))
            self._unfinished.pop()
            if _holds_itself_bare(alias):
                raise SchemaError(f"{place}: the alias {alias.text} is a member of itself")
        else:
            self._note_recursion(alias)
        return alias if alias.is_recursive else alias.inner

    def _note_recursion(self, met: Alias) -> None:
        """Note which of the unfinished aliases contain themselves, now that one is met that was met before."""
        while met not in self._unfinished:
            if met.outermost is met:
                return  # it is finished, and so is all that it contains
            met = met.outermost
        for inner in self._unfinished[self._unfinished.index(met) :]:
            inner.is_recursive = True
            if inner.outermost not in self._unfinished[: self._unfinished.index(met)]:
                inner.outermost = met

    def _union(self, members: tuple[FieldType, ...], place: str) -> FieldType:
        texts = [member.text for member in members]
        for text in texts:
            if texts.count(text) > 1:
                raise SchemaError(f"{place}: two members of the union are called {text}; rename one of them")
        return OneOf(members)

    def _choice(self, text: str, values: tuple[Any, ...], place: str) -> FieldType:
        choice = Choice(text, {(type(value), value): self._compiled(type(value), place) for value in values})
        written = [repr(choice.unstructure(value, JSON)) for value in values]
        if len(set(written)) < len(written):
            raise SchemaError(f"{place}: two values of {text} are written alike, and one would come back as the other")
        return choice

    def _container(self, origin: type, arguments: tuple[Any, ...], place: str) -> FieldType:
        if origin is tuple and arguments[-1:] != (...,):
            return Positions(tuple(self._compiled(argument, place) for argument in arguments))
        if origin is dict:
            key = self._compiled(arguments[0], place)
            if not _is_key(key):
                raise SchemaError(f"{place}: keys of type {key.text} cannot be written as text")
            return Table(key, self._compiled(arguments[1], place))
        item = self._compiled(arguments[0], place)
        if origin in (set, frozenset) and _is_unhashable(item):
            raise SchemaError(f"{place}: a {origin.__name__} holds no {item.text}, which can be changed")
        return Items(origin, item)

    def _foreign(self, annotation: Any, place: str) -> FieldType:
        is_known_to_pydantic = hasattr(origin_class(annotation), "__get_pydantic_core_schema__")
        try:
            self._converter.get_structure_hook(annotation)
            if self._converter.get_unstructure_hook(annotation) is not identity:
                return Foreign(annotation, self._converter)
            refusal = f"the converter has no unstructure hook for {described(annotation)} to write it"
        except StructureHandlerNotFoundError:
            refusal = (
                f"a session cannot hold {described(annotation)}; declare an attrs class, a dataclass or a Struct, or "
                f"pass a cattrs converter with hooks for it: Sessions(..., converter=...)"
            )
        if is_known_to_pydantic:
            return Adapted(annotation, place)
        raise SchemaError(f"{place}: {refusal}")


def _holds_itself_bare(alias: Alias) -> bool:
    """Return True if an alias is a member of the union that it stands for, with no container between."""
    bare: list[FieldType] = [alias.inner]
    for held in bare:  # which gets longer
        if isinstance(held, (OneOf, Alias)):
            bare += [part for part in held.parts if part not in bare]
    return alias in bare


def _plain(annotation: Any, place: str) -> tuple[Any, tuple[object, ...]]:
    """Return an annotation without its wrappers, and what `Annotated` said of it. Raises SchemaError with the place."""
    try:
        return plain_form(annotation)
    except SchemaError as error:
        raise SchemaError(f"{place}: {error}") from error


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
    if isinstance(item, Listed) and item.cls in (tuple, frozenset):
        return any(map(_is_unhashable, item.parts))
    return isinstance(item, (Table, Keyed, Items))


def _has_hash(cls: type[Any]) -> bool:
    if issubclass(cls, Struct) and cls.__hash__ is Struct.__hash__:
        return cls.__struct_config__.frozen or not cls.__struct_config__.eq
    return cls.__hash__ is not None

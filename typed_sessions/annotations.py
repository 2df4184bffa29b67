"""Resolve the annotations of a declared class: strings, inheritance, type arguments and aliases."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, ClassVar, Final, Generic, NewType, Protocol, Union, get_args, get_origin

import typing_extensions
from typing_extensions import get_type_hints, is_typeddict

from typed_sessions.errors import SchemaError
from typed_sessions.markers import Formerly

__all__ = [
    "described",
    "former_names",
    "is_typed_dict",
    "key_annotations",
    "marks_of",
    "origin_class",
    "plain_form",
    "required_keys",
    "resolved_annotations",
    "union_parts",
]

_ALIASES: Final = tuple(
    {module.TypeAliasType for module in (sys.modules["typing"], typing_extensions) if hasattr(module, "TypeAliasType")}
)
_NOT_DECLARING: Final[frozenset[object]] = frozenset({Generic, Protocol, object})
_QUALIFIERS: Final = frozenset(
    {typing_extensions.Required, typing_extensions.NotRequired, typing_extensions.ReadOnly, Final}
)


def is_typed_dict(declared: object) -> bool:
    """Return True for a TypedDict, with or without type arguments."""
    return is_typeddict(_unsubscripted(declared))


def origin_class(declared: object) -> type[Any] | None:
    """Return the class of `Box[int]` and of `Box`, or None for what is no class."""
    origin = _unsubscripted(declared)
    return origin if isinstance(origin, type) else None


def resolved_annotations(declared: object) -> dict[str, Any]:
    """Return what each attribute of a class, or of a generic class with its arguments, is declared to hold.

    Bases come first, a later class overrides an earlier one, and type parameters are replaced by their arguments.

    Raises:
        SchemaError: an annotation names something that cannot be found from the class's module.
    """
    cls = origin_class(declared)
    if cls is None:
        return {}
    arguments = dict(zip(_parameters(cls), get_args(declared), strict=False))
    found: dict[str, Any] = {}
    for base in reversed(_bases(cls)):
        if _unsubscripted(base) not in _NOT_DECLARING:
            found |= resolved_annotations(_substituted(base, arguments))
    hints = _read_hints(cls)
    for name in vars(cls).get("__annotations__", {}):
        if not _is_class_variable(hints[name]):
            found[name] = _substituted(hints[name], arguments)
    return found


def key_annotations(declared: Any) -> dict[str, Any]:
    """Return what each key of a TypedDict, or of a generic one with its arguments, is declared to hold.

    Inherited keys are included.

    Raises:
        SchemaError: an annotation cannot be read.
    """
    cls = _unsubscripted(declared)
    arguments = dict(zip(_parameters(cls), get_args(declared), strict=False))
    found: dict[str, Any] = {}
    for base in filter(is_typed_dict, _bases(cls)):
        found |= key_annotations(_substituted(base, arguments))
    for name, hint in _read_hints(cls).items():
        found.setdefault(name, _substituted(hint, arguments))
    return found


def required_keys(declared: Any) -> frozenset[str]:
    """Return the required keys of a TypedDict, judged by what the annotations resolve to.

    `__required_keys__` alone does not see `NotRequired` in annotations that are text.
    """
    required: set[str] = set(_unsubscripted(declared).__required_keys__)
    for name, annotation in key_annotations(declared).items():
        qualifiers = _qualifiers(annotation)
        if typing_extensions.Required in qualifiers:
            required.add(name)
        elif typing_extensions.NotRequired in qualifiers:
            required.discard(name)
    return frozenset(required)


def former_names(annotation: Any) -> tuple[str, ...]:
    """Return what a field was called in earlier releases, as `Formerly` says."""
    return tuple(name for mark in plain_form(annotation)[1] if isinstance(mark, Formerly) for name in mark.names)


def marks_of(annotation: Any) -> tuple[object, ...]:
    """Return what `Annotated` said of a field, or of one side of its union."""
    declared, marks = plain_form(annotation)
    return sum((plain_form(part)[1] for part in union_parts(declared)), marks)


def union_parts(declared: Any) -> tuple[Any, ...]:
    """Return the sides of a union; of anything else, none."""
    return get_args(declared) if get_origin(declared) in (Union, UnionType) else ()


def plain_form(annotation: Any) -> tuple[Any, tuple[object, ...]]:
    """Return an annotation without its wrappers, and what `Annotated` said of it.

    Wrappers are `Annotated`, `NewType`, type aliases, `Required`, `NotRequired`, `ReadOnly` and `Final`.
    """
    marks: tuple[object, ...] = ()
    while True:
        if get_origin(annotation) is Annotated:
            marks += annotation.__metadata__
            annotation = annotation.__origin__
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif isinstance(annotation, _ALIASES):
            annotation = annotation.__value__
        elif isinstance(get_origin(annotation), _ALIASES):
            alias = get_origin(annotation)
            annotation = _substituted(
                alias.__value__, dict(zip(alias.__type_params__, get_args(annotation), strict=False))
            )
        elif get_origin(annotation) in _QUALIFIERS:
            (annotation,) = get_args(annotation)
        else:
            return annotation, marks


def described(annotation: Any) -> str:
    """Return an annotation as a reader would write it: `int | None`, `list[Item]`."""
    annotation, _ = plain_form(annotation)
    if annotation is type(None):
        return "None"
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if not arguments:
        return getattr(annotation, "__name__", str(annotation))
    if isinstance(origin, type) and origin.__name__ != "UnionType":
        inner = ", ".join("..." if argument is ... else described(argument) for argument in arguments)
        return f"{origin.__name__}[{inner}]"
    if origin is typing_extensions.Literal:
        return f"Literal[{', '.join(map(_choice, arguments))}]"
    return " | ".join(map(described, arguments))


def _choice(value: object) -> str:
    return f"{type(value).__name__}.{value.name}" if isinstance(value, Enum) and value.name else repr(value)


def _read_hints(cls: Any) -> dict[str, Any]:
    try:
        return get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise SchemaError(
            f"{cls.__qualname__}{_place_of(cls, str(error.name))}: the name {error.name!r} in its annotation cannot be "
            f"found from module {cls.__module__}; define it there, outside functions and `if TYPE_CHECKING`"
        ) from error
    except (AttributeError, SyntaxError, TypeError) as error:
        raise SchemaError(f"{cls.__qualname__}: an annotation cannot be read: {error}") from error


def _place_of(cls: type, name: str) -> str:
    """Return the attribute in whose annotation a name stands, for a message."""
    for base in cls.__mro__:
        for attribute, annotation in vars(base).get("__annotations__", {}).items():
            if re.search(rf"\b{re.escape(name)}\b", str(annotation)):
                return f".{attribute}"
    return ""


def _substituted(annotation: Any, arguments: Mapping[Any, object]) -> Any:
    """Replace type parameters in an annotation by their arguments; those without one stay."""
    try:
        if annotation in arguments:
            return arguments[annotation]
    except TypeError:  # an unhashable Literal or Annotated holds no type parameter of its own
        return annotation
    parameters = _parameters(annotation) if get_args(annotation) else ()
    if not parameters:
        return annotation
    return annotation[tuple(arguments.get(parameter, parameter) for parameter in parameters)]


def _qualifiers(annotation: Any) -> set[object]:
    """Return the qualifiers around a key's type, in whatever order they are nested."""
    found: set[object] = set()
    while get_origin(annotation) in _QUALIFIERS or get_origin(annotation) is Annotated:
        found.add(get_origin(annotation))
        annotation = annotation.__origin__ if get_origin(annotation) is Annotated else get_args(annotation)[0]
    return found


def _unsubscripted(annotation: Any) -> Any:
    return get_origin(annotation) or annotation


def _is_class_variable(annotation: object) -> bool:
    return annotation is ClassVar or get_origin(annotation) is ClassVar


def _bases(cls: type) -> tuple[Any, ...]:
    bases: tuple[Any, ...] = getattr(cls, "__orig_bases__", cls.__bases__)
    return bases


def _parameters(annotation: object) -> tuple[Any, ...]:
    parameters: tuple[Any, ...] = getattr(annotation, "__parameters__", ())
    return parameters

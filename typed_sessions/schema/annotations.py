"""Resolve the annotations of a declared class: text, inheritance, type arguments, `Self` and aliases."""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from operator import is_
from types import ModuleType, NoneType, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    ForwardRef,
    Generic,
    Literal,
    NewType,
    Protocol,
    Self,
    Union,
    cast,
    get_args,
    get_origin,
)

import typing_extensions
from typing_extensions import get_original_bases, is_typeddict

from typed_sessions.errors import SchemaError
from typed_sessions.schema.markers import Formerly

ALIASES: Final = tuple(
    {module.TypeAliasType for module in (typing, typing_extensions) if hasattr(module, "TypeAliasType")}
)
"""The classes of type aliases: one, or two where typing_extensions has its own."""
QUALIFIERS: Final = frozenset(
    {typing_extensions.Required, typing_extensions.NotRequired, typing_extensions.ReadOnly, Final}
)
_NOT_DECLARING: Final[frozenset[object]] = frozenset({Generic, Protocol, object})
_NO_NAMES: Final[Mapping[str, object]] = {}


def is_typed_dict(declared: object) -> bool:
    """Return True for a TypedDict, with or without type arguments."""
    return is_typeddict(_unsubscripted(declared))


def origin_class(declared: object) -> type[Any] | None:
    """Return the class of `Box[int]` and of `Box`, or None for what is no class."""
    origin = _unsubscripted(declared)
    return origin if isinstance(origin, type) else None


def origin_and_arguments(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return what `Box[int]` is built of, also where pydantic has made a class of it; of anything else, None and ()."""
    made: Mapping[str, Any] = getattr(annotation, "__pydantic_generic_metadata__", {})
    if made.get("origin") is not None:
        return made["origin"], made["args"]
    return get_origin(annotation), get_args(annotation)


def resolved_annotations(declared: object) -> dict[str, Any]:
    """Return what each attribute of a class, or each key of a TypedDict, is declared to hold.

    Bases come first, a later class overrides an earlier one, and type parameters are replaced by their arguments, as
    `Self` is by the class.

    Raises:
        SchemaError: an annotation cannot be read, or names something that cannot be found from the class's module.
    """
    return {name: substituted(annotation, {Self: declared}) for name, annotation in _inherited(declared).items()}


def _inherited(declared: object) -> dict[str, Any]:
    """Return the same, with `Self` as it is: it means the class that inherits."""
    cls = origin_class(declared)
    if cls is None:
        return {}
    arguments = dict(zip(_parameters(cls), get_args(declared), strict=False))
    bases = [base for base in get_original_bases(cls) if _unsubscripted(base) not in _NOT_DECLARING]
    found: dict[str, Any] = {}
    for base in bases if is_typeddict(cls) else reversed(bases):
        found |= _inherited(substituted(base, arguments))
    own = cast("Mapping[str, Any]", vars(cls))  # of a TypedDict what it inherits, too
    for name, annotation in own.get("__annotations__", {}).items():
        hint = _resolved(annotation, f"{cls.__qualname__}.{name}", cls.__module__, own)
        annotates_again = is_typeddict(cls) and name in found  # what it inherits, without arguments
        if not annotates_again and _unsubscripted(hint) is not ClassVar:
            found[name] = substituted(hint, arguments)
    return found


def required_keys(declared: Any) -> frozenset[str]:
    """Return the required keys of a TypedDict, by what the annotations resolve to.

    `__required_keys__` alone does not see `NotRequired` in annotations that are text.
    """
    required: set[str] = set(_unsubscripted(declared).__required_keys__)
    for name, annotation in resolved_annotations(declared).items():
        _, marks = _unwrapped(annotation)
        if typing_extensions.Required in marks:
            required.add(name)
        elif typing_extensions.NotRequired in marks:
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
    """Return an annotation without its wrappers, and what they said of it: the marks of `Annotated`, and qualifiers.

    Wrappers are `Annotated`, `NewType`, type aliases and `QUALIFIERS`. Raises SchemaError for an alias, or a name,
    that cannot be resolved.
    """
    annotation, marks = _unwrapped(annotation)
    passed: list[object] = []
    while _is_reference(annotation):
        if annotation in passed:
            raise SchemaError(f"{described(annotation)} stands for nothing but itself")
        passed.append(annotation)
        annotation, more = _unwrapped(_referred(annotation))
        marks += more
    return annotation, marks


def reference_in(annotation: Any) -> Any:
    """Return the alias, or the name of something that is no class, that an annotation is; None if it is none."""
    inner, _ = _unwrapped(annotation)
    return inner if _is_reference(inner) else None


def _is_reference(annotation: Any) -> bool:
    """Return True for what names a type that may contain itself: a type alias, or text that names no class."""
    return isinstance(annotation, (ForwardRef, *ALIASES)) or isinstance(get_origin(annotation), ALIASES)


def reference_name(reference: Any) -> str:
    """Return what an alias is called: `JSON`, `Tree[int]`."""
    if isinstance(reference, ForwardRef):
        return reference.__forward_arg__
    arguments = f"[{', '.join(map(described, get_args(reference)))}]" if get_args(reference) else ""
    return f"{_unsubscripted(reference).__name__}{arguments}"


def _unwrapped(annotation: Any) -> tuple[Any, tuple[object, ...]]:
    marks: tuple[object, ...] = ()
    while True:
        if get_origin(annotation) is Annotated:
            marks += annotation.__metadata__
            annotation = annotation.__origin__
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif get_origin(annotation) in QUALIFIERS:
            marks += (get_origin(annotation),)
            (annotation,) = get_args(annotation)
        else:
            return annotation, marks


def _referred(reference: Any) -> Any:
    """Return what a reference stands for. Raises SchemaError for one that cannot be resolved."""
    name = reference_name(reference)
    if isinstance(reference, ForwardRef):
        return _resolved(reference, name, _module_of(reference) or "")
    alias = _unsubscripted(reference)
    try:
        value = alias.__value__  # which a `type` statement evaluates just now
    except NameError as error:
        raise not_found(name, error.name, alias.__module__) from error
    arguments = dict(zip(alias.__type_params__, get_args(reference), strict=False))
    return substituted(_resolved(value, name, alias.__module__), arguments)


def described(annotation: Any, within: tuple[object, ...] = ()) -> str:
    """Return an annotation, `within` the references around it, as a reader would write it: `int | None`."""
    annotation, _ = _unwrapped(annotation)
    if _is_reference(annotation):
        try:
            is_known = annotation not in within
            return described(_referred(annotation), (*within, annotation)) if is_known else reference_name(annotation)
        except SchemaError:  # which an error names
            return reference_name(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is NoneType:
        return "None"
    if not arguments:
        return getattr(annotation, "__name__", str(annotation))
    if origin is Literal:
        choices = (
            f"{type(each).__name__}.{each.name}" if isinstance(each, Enum) and each.name else repr(each)
            for each in arguments
        )
        return f"Literal[{', '.join(choices)}]"
    inner = ["..." if argument is ... else described(argument, within) for argument in arguments]
    return " | ".join(inner) if union_parts(annotation) else f"{origin.__name__}[{', '.join(inner)}]"


def _resolved(annotation: Any, place: str, module: str | ModuleType, in_class: Mapping[str, object] = _NO_NAMES) -> Any:
    """Return an annotation with its text evaluated. Text within it that names no class stays a reference.

    Text is evaluated among the names of its module, which a reference may know itself, and of the class around it.
    Raises SchemaError for what cannot be read, or found.
    """

    def evaluated(text: str | ForwardRef) -> tuple[ForwardRef, Any]:
        """Return text as a reference that knows its module, and what it means."""
        held = _module_of(text) or module
        argument = text if isinstance(text, str) else text.__forward_arg__
        try:
            reference = ForwardRef(argument, is_argument=False, module=held, is_class=True)
            return reference, eval(reference.__forward_code__, {**in_class}, _names_of(reference))  # noqa: S307 -- it is code
        except NameError as error:
            raise not_found(place, error.name, held if isinstance(held, str) else held.__name__) from error
        except Exception as error:  # an annotation may be any expression
            owner, _, name = place.rpartition(".")
            raise SchemaError(f"{owner or name}: an annotation cannot be read, that of {name}: {error}") from error

    def resolve(part: Any) -> Any:
        """Return text within an annotation as the class that it names, or as a reference that knows its module."""
        if not isinstance(part, (str, ForwardRef)):
            return part
        reference, value = evaluated(part)
        if isinstance(value, type) and not get_args(value):
            return value
        names_of_class = {*reference.__forward_code__.co_names} & in_class.keys()
        if _awaits_arguments(value) or not names_of_class <= _names_of(reference).keys():
            return _rebuilt(value, resolve)
        return reference

    if isinstance(annotation, (str, ForwardRef)):
        _, annotation = evaluated(annotation)
    try:
        return NoneType if annotation is None else _rebuilt(annotation, resolve)
    except RecursionError:
        raise SchemaError(
            f"{place}: the annotation has no end; declare a generic alias that contains itself as a TypeAliasType"
        ) from None


def _awaits_arguments(value: Any) -> bool:
    """Return True for what has type parameters in it, or `Self`."""
    return value is Self or bool(_parameters(value)) or any(map(_awaits_arguments, get_args(value)))


def not_found(place: str, name: str | None, module: str) -> SchemaError:
    """Return the error for a name in an annotation that cannot be found from a module."""
    return SchemaError(
        f"{place}: the name {name!r} in its annotation cannot be found from module {module}; define it there, "
        f"outside functions and `if TYPE_CHECKING`"
    )


def _module_of(text: str | ForwardRef) -> str | ModuleType | None:
    """Return the module that a reference knows, by its name if it was imported."""
    module: str | ModuleType | None = getattr(text, "__forward_module__", None)
    return module.__name__ if isinstance(module, ModuleType) and module.__name__ in sys.modules else module


def _names_of(reference: ForwardRef) -> Mapping[str, object]:
    """Return what the module of a reference defines."""
    module = _module_of(reference)
    found = sys.modules.get(module) if isinstance(module, str) else module
    return {} if found is None else vars(found)


def _rebuilt(annotation: Any, replace: Callable[[Any], Any]) -> Any:
    """Return an annotation in which each part that has no parts itself is replaced."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None or origin is Literal:
        return replace(annotation)
    if origin is Annotated:
        inner = _rebuilt(annotation.__origin__, replace)
        return annotation if inner is annotation.__origin__ else Annotated[(inner, *annotation.__metadata__)]
    rebuilt = tuple(_rebuilt(argument, replace) for argument in arguments)
    if all(map(is_, rebuilt, arguments)):
        return annotation
    if origin in (Union, UnionType):
        return Union[rebuilt]  # noqa: UP007 -- of values
    return origin[rebuilt if len(rebuilt) != 1 else rebuilt[0]]


def substituted(annotation: Any, arguments: Mapping[Any, object]) -> Any:
    """Replace type parameters, and `Self`, in an annotation by their arguments; those without one stay."""

    def replace(part: Any) -> Any:
        try:
            return arguments.get(part, part)
        except TypeError:  # what has no hash is no type parameter
            return part

    return _rebuilt(annotation, replace)


def _unsubscripted(annotation: Any) -> Any:
    return get_origin(annotation) or annotation


def _parameters(annotation: object) -> tuple[Any, ...]:
    parameters: tuple[Any, ...] = getattr(annotation, "__parameters__", ())
    return parameters

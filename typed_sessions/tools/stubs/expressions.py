"""Types as a stub has them: names that are to be imported, and what is built of them."""

from __future__ import annotations

import builtins
import inspect
import re
import sys
import types
from collections.abc import Iterator
from enum import Enum
from typing import (
    Annotated,
    Any,
    Final,
    ForwardRef,
    Literal,
    NewType,
    TypeAlias,
    TypeVar,
    Union,
    cast,
)

import typing_extensions
from attrs import frozen

from typed_sessions.errors import SchemaError
from typed_sessions.schema.annotations import ALIASES, QUALIFIERS, origin_and_arguments, plain_form

__all__ = [
    "ANY",
    "NONE",
    "OBJECT",
    "Expression",
    "Name",
    "OneOf",
    "Subscript",
    "Text",
    "expression_of",
    "literal",
    "names_in",
    "one_of",
    "quoted",
]


@frozen
class Text:
    """What means the same in every module: `None`, `...`, or a value in a Literal."""

    text: str


@frozen
class Name:
    """Something that a module defines, at its top or within a class."""

    module: str
    path: str

    @property
    def root(self) -> Name:
        """What of it is imported: `Outer` of `Outer.Inner`."""
        return Name(self.module, self.path.partition(".")[0])


@frozen
class Subscript:
    """A generic with its arguments, or a Literal with its values."""

    head: Name
    items: tuple[Expression, ...]


@frozen
class OneOf:
    """A union."""

    members: tuple[Expression, ...]


Expression: TypeAlias = Text | Name | Subscript | OneOf

NONE: Final = Text("None")
ANY: Final = Name("typing", "Any")
OBJECT: Final = Name("builtins", "object")
_LITERAL: Final = Name("typing", "Literal")


def one_of(*expressions: Expression) -> Expression:
    """Return a union without repetitions, with None at its end."""
    members: dict[Expression, None] = {}
    for expression in expressions:
        members.update(dict.fromkeys(expression.members if isinstance(expression, OneOf) else (expression,)))
    if NONE in members:
        members[NONE] = members.pop(NONE)
    return OneOf(tuple(members)) if len(members) > 1 else next(iter(members))


def literal(*values: object) -> Expression:
    """Return the Literal of some values.

    Raises:
        SchemaError: a value is a member of an enum that cannot be imported.
    """
    return Subscript(_LITERAL, tuple(map(_choice, values)))


def quoted(value: object) -> str:
    """Return a literal in the quotes that formatters choose: double ones, unless more had to be escaped in them."""
    before, quote, rest = repr(value).partition("'")
    body = rest.removesuffix("'")
    if not quote or body == rest or body.count('"') > body.count(r"\'"):
        return repr(value)
    escaped = body.replace(r"\'", "'").replace('"', r"\"")
    return f'{before}"{escaped}"'


def names_in(expression: Expression) -> Iterator[Name]:
    """Yield the names that an expression is built of."""
    match expression:
        case Name():
            yield expression
        case Subscript():
            yield expression.head
            for item in expression.items:
                yield from names_in(item)
        case OneOf():
            for member in expression.members:
                yield from names_in(member)
        case Text():
            pass


def expression_of(annotation: Any) -> Expression:
    """Return a resolved annotation as an expression. What `Annotated` says is left out: no checker reads it.

    Raises:
        SchemaError: it is built of something that no other module can import.
    """
    if annotation is None or annotation is types.NoneType:
        return NONE
    if annotation is ...:
        return Text("...")
    if annotation is Any:
        return ANY
    if isinstance(annotation, TypeVar):
        return _without_argument(annotation)
    if isinstance(annotation, (NewType, *ALIASES)):
        return _named(annotation)
    if isinstance(annotation, ForwardRef):
        return _referred(annotation)
    return _built(annotation)


def _built(annotation: Any) -> Expression:
    origin, arguments = origin_and_arguments(annotation)
    if origin is Annotated or origin in QUALIFIERS:
        return expression_of(arguments[0])
    if origin is Literal:
        return literal(*arguments)
    if origin is Union or origin is types.UnionType:
        return one_of(*map(expression_of, arguments))
    if annotation == tuple[()]:
        return Subscript(Name("builtins", "tuple"), (Text("()"),))
    if arguments:
        return _subscripted(annotation, origin, arguments)
    if isinstance(annotation, type):
        name, parameters = _name_of(annotation), getattr(annotation, "__parameters__", ())
        return Subscript(name, tuple(map(expression_of, parameters))) if parameters else name
    raise SchemaError(f"{annotation!r} cannot be written in a stub")


def _subscripted(annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> Expression:
    head = expression_of(origin) if isinstance(origin, ALIASES) else _name_of(origin)
    if not isinstance(head, Name):  # an alias that only the class knows
        return expression_of(plain_form(annotation)[0])
    return Subscript(head, tuple(map(expression_of, arguments)))


def _without_argument(parameter: TypeVar) -> Expression:
    """Return what a checker takes a type parameter for that was given no argument."""
    default: object = getattr(parameter, "__default__", None)
    known = default is not None and default is not typing_extensions.NoDefault
    return expression_of(default) if known else ANY


def _named(annotation: Any) -> Expression:
    """Return a NewType or an alias by its name, so that a recursive one ends. An alias without one is resolved."""
    try:
        return _name_of(annotation)
    except SchemaError:
        if isinstance(annotation, NewType):
            raise
        return expression_of(annotation.__value__)


def _referred(reference: ForwardRef) -> Expression:
    """Return what text names by that name, so that a recursive alias ends; a longer text is resolved."""
    module, path = str(reference.__forward_module__), reference.__forward_arg__
    named = all(part.isidentifier() for part in path.split(".")) and _found(module, path) is not None
    return Name(module, path) if named else expression_of(plain_form(reference)[0])


def _name_of(named: Any) -> Name:
    path: str = getattr(named, "__qualname__", getattr(named, "__name__", repr(named)))
    module: str = named.__module__
    for candidate in _public_modules(module):
        if _found(candidate, path) is named and (candidate == module or _exports(candidate, path)):
            return Name(candidate, path)
    raise SchemaError(f"{module}.{path} cannot be imported, so no stub can name it; define it at the top of a module")


def _public_modules(module: str) -> Iterator[str]:
    """Yield where something that a module defines may be found, public modules first: pathlib.Path is in `_local`."""
    parts = module.split(".")
    private = [index for index, part in enumerate(parts) if part.startswith("_")]
    if private:
        yield ".".join(parts[: private[0]])
        yield ".".join(part.lstrip("_") for part in parts)
    yield module


def _exports(module: str, path: str) -> bool:
    """Return True if strict type checkers let a module's name be imported from it, as the typing specification says."""
    name = path.partition(".")[0]
    loaded = sys.modules.get(module)
    if module.partition(".")[0] in sys.stdlib_module_names or name in getattr(loaded, "__all__", ()):
        return True
    try:
        source = inspect.getsource(cast("types.ModuleType", loaded))
    except (OSError, TypeError):  # there is no source to read
        return False
    return re.search(rf"\bimport\b[^#\n]*\b{name} as {name}\b", source) is not None


def _found(module: str, path: str) -> object:
    found: object = builtins if module == "builtins" else sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def _choice(value: object) -> Expression:
    if isinstance(value, Enum):
        cls = _name_of(type(value))
        return Name(cls.module, f"{cls.path}.{value.name}")
    return Text(quoted(value))

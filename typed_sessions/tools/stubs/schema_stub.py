"""What a stub says of a schema: its keys, their types, and what the generated class is called."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, TypeGuard, Union, get_args, get_origin

from attrs import frozen
from typing_extensions import ReadOnly

from typed_sessions.errors import ConfigurationError, SchemaError
from typed_sessions.schema.annotations import is_typed_dict, origin_and_arguments, plain_form, resolved_annotations
from typed_sessions.schema.kinds.known import kind_of
from typed_sessions.schema.schema import Schema, class_made_by
from typed_sessions.tools.stubs.expressions import OBJECT, Expression, Name, expression_of

__all__ = ["Key", "SchemaStub", "schema_in", "schema_line"]

_SCHEMA: Final = "# Stub of "

_FRAMEWORK_KEYS: Final = ("_flashes", "_permanent")
"""Keys of the frameworks' own, which no schema declares."""

_UNIVERSAL: Final[frozenset[object]] = frozenset({object, Any})


@frozen
class Key:
    """What a stub says of one key."""

    name: str
    type: Expression
    allows_none: bool
    allows_all: bool
    readonly: bool = False


@frozen
class SchemaStub:
    """What a stub says of one schema."""

    origin: str
    """`module:Schema`, as it was named."""
    name: str
    data: Expression
    keys: Mapping[str, Key]
    """By name, in the order of their declaration."""
    allowed: tuple[str, ...] = ()
    """Undeclared keys that the program uses."""
    options: str = ""
    """What else than the schema the command was given that says what is written, and not where."""

    @property
    def command(self) -> str:
        """What writes the same stub again, after `typed-sessions stubs`."""
        return f"{self.origin}{self.options}"

    @classmethod
    def of(cls, found: object, path: str, allowed: Iterable[str] = (), options: str = "") -> SchemaStub:
        """Return what there is to say of what `module:Schema` names.

        Args:
            found: what was imported: a class, with or without type arguments, a function that makes an instance, a
                `Schema`, or what has one, such as `Sessions`.
            path: the name that it was imported by. It names the class if the schema is `Alias = Generic[int]`.
            allowed: undeclared keys that the program uses.
            options: how the command line asked for that, and for what else it writes.

        Raises:
            ConfigurationError: it is no schema, or holds something that no stub can name.
        """
        declared = _declared_class(found)
        origin, arguments = origin_and_arguments(declared)
        name: str = (origin or declared).__name__
        if declared is found and arguments:
            name = re.split(r"[:.]", path)[-1]
        keys = {key.name: key for key in _keys(declared, name)}
        extras = tuple(sorted(set(allowed) - set(keys)))
        for extra in (*_FRAMEWORK_KEYS, *extras):
            keys.setdefault(extra, Key(extra, OBJECT, allows_none=True, allows_all=True))
        return cls(path, name, expression_of(declared), keys, extras, options)

    @property
    def schema(self) -> str:
        """The full name of the schema: that of its class, or of the alias that stands for a generic one."""
        return f"{self.data.module}.{self.data.path}" if isinstance(self.data, Name) else self.origin.replace(":", ".")

    @property
    def class_name(self) -> str:
        """The name of the class of sessions."""
        return f"{self.name}Session"

    @property
    def update_name(self) -> str:
        """The name of the TypedDict that `update` takes."""
        return f"{self.name}Update"

    @property
    def key_name(self) -> str:
        """The name of the type of the keys that iteration gives."""
        return f"{self.name}Key"

    @property
    def keys_name(self) -> str:
        """The name of the class that iterates over them."""
        return f"{self.name}Keys"

    @property
    def module(self) -> str:
        """The name of the module. It must have no source, because a stub hides the source of its name."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", self.class_name).lower()


def schema_line(stub: SchemaStub) -> str:
    """Return the line by which a file says whose stub it is."""
    return f"{_SCHEMA}{stub.schema}"


def schema_in(text: str) -> str | None:
    """Return the full name of the schema whose stub a file is, if it says so."""
    return next((line.removeprefix(_SCHEMA) for line in text.splitlines() if line.startswith(_SCHEMA)), None)


def _declared_class(found: object) -> Any:
    declared = _declared(found)
    if is_typed_dict(declared) or kind_of(declared) is not None:
        return declared
    return class_made_by(declared)


def _declared(found: Any) -> Any:
    """Return what a schema was declared as.

    Raises:
        SchemaError: it cannot be a schema.
        ConfigurationError: it is one without a class.
    """
    candidates: tuple[object, ...] = (found, getattr(found, "schema", None))
    for candidate in candidates:
        if _is_schema(candidate):
            declared: Any = getattr(candidate, "declared", None)
            if declared is None:
                raise ConfigurationError(f"{candidate!r} does not say which class was declared; name the class itself")
            return declared
    Schema(found)
    return found


def _is_schema(value: object) -> TypeGuard[Schema[Any]]:
    return isinstance(value, Schema)


def _keys(declared: Any, name: str) -> Iterator[Key]:
    kind = kind_of(declared)
    annotations = resolved_annotations(declared)
    if kind is not None:
        annotations = {key: member.annotation for key, member in kind.members.items()}
    for key, annotation in annotations.items():
        plain, (_, marks) = set(_plain_members(annotation)), plain_form(annotation)
        allows_all = not _UNIVERSAL.isdisjoint(plain)
        try:
            expression = expression_of(annotation)
        except SchemaError as error:
            raise SchemaError(f"{name}.{key}: {error}") from None
        yield Key(key, expression, allows_all or types.NoneType in plain, allows_all, ReadOnly in marks)


def _plain_members(annotation: Any) -> Iterator[object]:
    """Yield the members of a union, those of aliases included. Generics are left out; a Literal counts for its None."""
    plain, _ = plain_form(annotation)
    origin = get_origin(plain)
    if origin is Union or origin is types.UnionType:
        for member in get_args(plain):
            yield from _plain_members(member)
    elif origin is None:
        yield plain
    elif origin is Literal and None in get_args(plain):
        yield types.NoneType

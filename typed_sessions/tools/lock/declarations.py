"""Field types from the text of a lock file, without the classes that it was written from."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from enum import Enum, Flag
from typing import Any, Final, TypeGuard, cast

import msgspec
from attrs import frozen
from typing_extensions import override

from typed_sessions.errors import ConfigurationError, SchemaError
from typed_sessions.schema.types import FieldType, Mismatch, NativeTypes, Reading
from typed_sessions.schema.types.base import JSON, attempt, iterated
from typed_sessions.schema.types.bounded import Bounded
from typed_sessions.schema.types.choices import Choice, Enumeration
from typed_sessions.schema.types.classes import Keyed
from typed_sessions.schema.types.containers import Items, Positions, Table
from typed_sessions.schema.types.scalars import KNOWN
from typed_sessions.schema.types.union import OneOf
from typed_sessions.tools.lock.lock import LockedSchema

__all__ = ["Declaration", "Declarations", "LockedClass", "LockedSet", "Members", "Opaque", "declarations_of"]

_KNOWN: Final[Mapping[str, FieldType]] = {known.text: known for known in KNOWN.values()}


@frozen
class Declaration:
    """One field of a locked schema, or one attribute of a locked class."""

    text: str
    """The type, as the lock has it."""
    type: FieldType
    default: str | None
    """None if there is none: the attribute is required, or the key may be absent."""
    may_be_absent: bool
    """True for a key that is written only while it is there."""
    essential: bool
    former_names: tuple[str, ...]

    @property
    def default_values(self) -> list[object]:
        """The default as a value; none if the lock does not have it."""
        try:
            plain = ast.literal_eval(self.default or "...")
        except (ValueError, TypeError, RecursionError):  # an edited lock may have anything there
            return []
        return attempt(self.type.structure, plain, Reading(JSON))


class Opaque(FieldType):
    """A type that only a user's converter knows: nothing can be said of it but its name."""

    def __init__(self, text: str) -> None:
        self.text = text

    @override
    def validate(self, value: object) -> object:
        return value

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        return value

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        if plain != self.sample:
            raise Mismatch.of(self, plain)
        return plain

    @override
    def matches(self, value: object) -> bool:
        return value == self.sample

    @override
    def plain_types(self, native: NativeTypes) -> frozenset[type]:
        return frozenset({object})

    @property
    def sample(self) -> object:
        """The one plain form that is known to be of the type."""
        return {"__opaque__": self.text}


class LockedClass(Keyed):
    """A declared class of a lock, as a type of dicts: it is written as one, and nothing else of it is locked."""

    def __init__(self, text: str, *, makes_class: bool) -> None:
        super().__init__(text, {}, frozenset())
        self.makes_class = makes_class
        self.may_be_absent: frozenset[str] = frozenset()

    def fill(self, attributes: Mapping[str, Declaration]) -> None:
        """Take the attributes, once they are read: the class may hold itself."""
        for name, attribute in attributes.items():
            self.types[name] = attribute.type
            self.former_names[name] = attribute.former_names
        self.may_be_absent = frozenset(name for name, attribute in attributes.items() if attribute.may_be_absent)
        self.required: frozenset[str] = frozenset(
            name for name, attribute in attributes.items() if attribute.default is None and not attribute.may_be_absent
        )

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        return Attributes(self._structured(plain, reading, ".{}"))


class Attributes(dict[str, object]):
    """What a class holds, which is not the same as a dict of the same keys."""


class LockedSet(Items):
    """A set or a frozenset, lifted as a list of its own kind: what stands for a class here has no hash."""

    def __init__(self, name: str, item: FieldType) -> None:
        super().__init__(list, item)
        self.text: str = f"{name}[{item.text}]"

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        return Members(iterated(super().structure(plain, reading)))


class Members(list[object]):
    """What a set holds."""


@frozen
class Declarations:
    """What a lock declares: the fields of the schema, and the classes that they hold."""

    fields: Mapping[str, Declaration]
    classes: Mapping[str, LockedClass]


def declarations_of(locked: LockedSchema) -> Declarations:
    """Return what a lock declares.

    Raises:
        ConfigurationError: a declaration cannot be read; the message has it.
    """
    try:
        reader = _Reader(locked)
        fields = {name: reader.declaration(text) for name, text in locked.fields.items()}
    except ConfigurationError:
        raise
    except Exception as error:  # a file that somebody has edited may hold anything
        raise ConfigurationError(f"the lock cannot be read: {type(error).__name__}; lock the schema again") from error
    return Declarations(fields, reader.classes)


class _Reader:
    def __init__(self, locked: LockedSchema) -> None:
        self._locked = locked
        self._enumerations: dict[str, FieldType] = {
            **{text: Enumeration(_enumeration(Enum, text, members)) for text, members in locked.enums.items()},
            **{text: Enumeration(_enumeration(Flag, text, members)) for text, members in locked.flags.items()},
        }
        self.classes: dict[str, LockedClass] = {}

    def declaration(self, text: str) -> Declaration:
        try:
            (statement,) = ast.parse(f"_: {text}").body
            if isinstance(statement, ast.AnnAssign):
                return self._declared(statement)
        except (SyntaxError, ValueError, TypeError, KeyError, IndexError, SchemaError) as error:
            raise ConfigurationError(f"the lock's declaration {text!r} cannot be read") from error
        raise ConfigurationError(f"the lock's declaration {text!r} is none")

    def _declared(self, statement: ast.AnnAssign) -> Declaration:
        annotation, may_be_absent = statement.annotation, False
        if _is_subscript(annotation, "NotRequired"):
            annotation, may_be_absent = annotation.slice, True
        marks: list[ast.expr] = []
        if _is_subscript(annotation, "Annotated") and all(map(_is_mark, _elements(annotation)[1:])):
            annotation, *marks = _elements(annotation)
        return Declaration(
            text=ast.unparse(annotation),
            type=self._type(annotation),
            default=None if statement.value is None else ast.unparse(statement.value),
            may_be_absent=may_be_absent,
            essential=any(isinstance(mark, ast.Name) for mark in marks),
            former_names=tuple(
                str(ast.literal_eval(name)) for mark in marks if isinstance(mark, ast.Call) for name in mark.args
            ),
        )

    def _type(self, node: ast.expr) -> FieldType:
        text = ast.unparse(node)
        if text in self._locked.classes:
            return self._class(text)
        if text in self._enumerations:
            return self._enumerations[text]
        if text in _KNOWN:
            return _KNOWN[text]
        if isinstance(node, ast.BinOp):
            return OneOf(tuple(self._type(member) for member in _members(node)))
        if isinstance(node, ast.Subscript):
            return self._subscript(node, text)
        return Opaque(text)

    def _subscript(self, node: ast.Subscript, text: str) -> FieldType:
        elements = _elements(node)
        match ast.unparse(node.value):
            case "list" | "set" | "frozenset" as name:
                item = self._type(elements[0])
                return Items(list, item) if name == "list" else LockedSet(name, item)
            case "tuple" if [ast.unparse(element) for element in elements[1:]] == ["..."]:
                return Items(tuple, self._type(elements[0]))
            case "tuple":
                return Positions(tuple(self._type(element) for element in elements))
            case "dict":
                return Table(self._type(elements[0]), self._type(elements[1]))
            case "Literal":
                return Choice(text, dict(map(self._choice, elements)))
            case "Annotated":
                return Bounded(self._type(elements[0]), (msgspec.Meta(**_bounds(elements[1])),), text)
            case _:
                return Opaque(text)

    def _choice(self, node: ast.expr) -> tuple[tuple[type, object], FieldType]:
        if isinstance(node, ast.Attribute):
            writer = self._enumerations[ast.unparse(node.value)]
            if isinstance(writer, Enumeration):
                return (writer.cls, writer.cls[node.attr]), writer
        value: object = ast.literal_eval(node)
        return (type(value), value), KNOWN[type(value)]

    def _class(self, text: str) -> FieldType:
        if text not in self.classes:
            locked = self.classes[text] = LockedClass(text, makes_class=text not in self._locked.typed_dicts)
            attributes = {name: self.declaration(held) for name, held in self._locked.classes[text].items()}
            locked.fill(attributes)
        return self.classes[text]


def _enumeration(base: type[Enum], name: str, members: dict[str, str | int]) -> type[Enum]:
    return cast("type[Enum]", cast("Any", base)(name, members))


def _is_subscript(node: ast.expr, name: str) -> TypeGuard[ast.Subscript]:
    return isinstance(node, ast.Subscript) and ast.unparse(node.value) == name


def _elements(node: ast.Subscript) -> list[ast.expr]:
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def _members(node: ast.expr) -> list[ast.expr]:
    """Return the members of a union, in order."""
    return [*_members(node.left), node.right] if isinstance(node, ast.BinOp) else [node]


def _is_mark(node: ast.expr) -> bool:
    """Return True for what `Annotated` says of a field, and not of its type."""
    return ast.unparse(node.func if isinstance(node, ast.Call) else node) in ("Essential", "Formerly")


def _bounds(node: ast.expr) -> dict[str, Any]:
    words = node.keywords if isinstance(node, ast.Call) else []
    return {str(word.arg): ast.literal_eval(word.value) for word in words}

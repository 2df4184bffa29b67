"""What a lock declares: field types from its text, without the classes that it was written from."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from enum import Enum, Flag
from typing import Any, TypeGuard

import msgspec
from attrs import frozen

from typed_sessions.errors import ConfigurationError
from typed_sessions.schema.types import FieldType, Reading
from typed_sessions.schema.types.alias import Alias
from typed_sessions.schema.types.base import JSON, attempt
from typed_sessions.schema.types.bounded import Bounded
from typed_sessions.schema.types.containers import Items, Positions, Table
from typed_sessions.schema.types.scalars import KNOWN, Choice, Enumeration
from typed_sessions.schema.types.union import OneOf
from typed_sessions.tools.lock.lock import LockedSchema
from typed_sessions.tools.lock.locked_types import LockedClass, LockedSet, Opaque

__all__ = ["Declaration", "Declarations", "declarations_of"]


@frozen
class Declaration:
    """One field of a locked schema, or one attribute of a locked class."""

    text: str
    """The type, as the lock has it."""
    type: FieldType
    required: bool
    """True for an attribute, or a key, that is always there: it has no default."""
    default: str | None
    essential: bool
    former_names: tuple[str, ...]

    @property
    def default_values(self) -> list[object]:
        """The default as a value; none if the lock does not have it."""
        try:
            plain = ast.literal_eval(self.default or "...")
        except (ValueError, TypeError, RecursionError):  # an edited lock may have anything there
            return []
        return attempt(self.type.lift, plain, Reading(JSON))


@frozen
class Declarations:
    """What a lock declares: the fields of the schema, and the classes that they hold."""

    fields: Mapping[str, Declaration]
    classes: Mapping[str, LockedClass]

    def reader_of(self, key: str) -> str | None:
        """Return the field that reads what is stored under a key, its own name or an earlier one; None if none does."""
        renamed = (name for name, field in self.fields.items() if key in field.former_names)
        return key if key in self.fields else next(renamed, None)

    def names_of(self, name: str) -> tuple[str, ...]:
        """Return the keys under which a field is found: the present name goes before earlier ones."""
        return (name, *self.fields[name].former_names)


def declarations_of(locked: LockedSchema) -> Declarations:
    """Return what a lock declares.

    Raises:
        ConfigurationError: a declaration cannot be read; the message has it.
    """
    reader = _Reader(locked)
    try:
        fields = {name: reader.declaration(text) for name, text in locked.fields.items()}
    except ConfigurationError:
        raise
    except Exception as error:  # a file that somebody has edited may hold anything
        raise ConfigurationError(f"the lock cannot be read: {type(error).__name__}; lock the schema again") from error
    return Declarations(fields, reader.classes)


class _Reader:
    def __init__(self, locked: LockedSchema) -> None:
        self._locked = locked
        self._types: dict[str, FieldType] = {known.text: known for known in KNOWN.values()}
        """The types that have a name. A class, or an alias, is here before what it holds, which may be itself."""
        self.classes: dict[str, LockedClass] = {}

    def declaration(self, text: str) -> Declaration:
        try:
            (statement,) = ast.parse(f"_: {text}").body
            if isinstance(statement, ast.AnnAssign):
                return self._declared(statement)
        except RecursionError:
            raise
        except Exception as error:
            raise ConfigurationError(f"the lock's declaration {text!r} cannot be read") from error
        raise ConfigurationError(f"the lock's declaration {text!r} is none")

    def _declared(self, statement: ast.AnnAssign) -> Declaration:
        annotation, required = statement.annotation, statement.value is None
        if _is_subscript(annotation, "NotRequired"):
            annotation, required = annotation.slice, False
        marks: list[ast.expr] = []
        if _is_subscript(annotation, "Annotated") and all(map(_is_mark, _elements(annotation)[1:])):
            annotation, *marks = _elements(annotation)
        formerly = [name for mark in marks if isinstance(mark, ast.Call) for name in mark.args]
        return Declaration(
            text=ast.unparse(annotation),
            type=self._type(annotation),
            required=required,
            default=None if statement.value is None else ast.unparse(statement.value),
            essential=any(isinstance(mark, ast.Name) for mark in marks),
            former_names=tuple(str(ast.literal_eval(name)) for name in formerly),
        )

    def _type(self, node: ast.expr) -> FieldType:
        text, locked = ast.unparse(node), self._locked
        if text in self._types:
            return self._types[text]
        if text in locked.classes:
            return self._class(text, locked.classes[text])
        if text in locked.aliases:
            alias = self._types[text] = Alias(text)
            alias.target = self.declaration(locked.aliases[text]).type
            return alias
        if text in locked.enums or text in locked.flags:
            return self._enumeration(text)
        if isinstance(node, ast.BinOp):
            return OneOf(tuple(self._type(member) for member in _members(node)))
        return self._subscript(node, text) if isinstance(node, ast.Subscript) else Opaque(text)

    def _class(self, text: str, attributes: Mapping[str, str]) -> FieldType:
        cls = LockedClass(text, makes_class=text not in self._locked.typed_dicts)
        self._types[text] = self.classes[text] = cls
        for name, declaration in attributes.items():
            held = self.declaration(declaration)
            cls.declare(name, held.type, held.former_names, required=held.required)
        return cls

    def _enumeration(self, text: str) -> FieldType:
        base: Any = Enum if text in self._locked.enums else Flag
        held = self._types[text] = Enumeration(base(text, self._locked.enums.get(text) or self._locked.flags[text]))
        return held

    def _subscript(self, node: ast.Subscript, text: str) -> FieldType:
        elements = _elements(node)
        match ast.unparse(node.value):
            case "list":
                return Items(list, self._type(elements[0]))
            case "set" | "frozenset" as name:
                return LockedSet(name, self._type(elements[0]))
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
            writer = self._type(node.value)
            if isinstance(writer, Enumeration):
                return (writer.cls, writer.cls[node.attr]), writer
        value: object = ast.literal_eval(node)
        return (type(value), value), KNOWN[type(value)]


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

"""What a lock declares: the types that its text means, made without the classes that it was written from.

The text becomes annotations, with classes made for the ones that it names, and the library's own compiler reads these.
"""

from __future__ import annotations

import ast
import datetime as dt
from collections.abc import Collection, Mapping
from decimal import Decimal
from enum import Enum, Flag
from types import ModuleType
from typing import Annotated, Any, Final, ForwardRef, Literal, NotRequired, TypedDict, cast
from uuid import UUID

import msgspec
from attrs import frozen
from cattrs import Converter
from markupsafe import Markup
from msgspec import Meta
from typing_extensions import TypeAliasType, override

from typed_sessions.errors import ConfigurationError, SchemaError
from typed_sessions.schema.annotations import former_names, plain_form
from typed_sessions.schema.markers import Essential, Formerly, Secret
from typed_sessions.schema.sameness import same
from typed_sessions.schema.types.base import JSON, FieldType, Reading, attempt
from typed_sessions.schema.types.classes import WithNames
from typed_sessions.schema.types.compiler import Compiler
from typed_sessions.tools.lock.lock import LockedSchema, declaration
from typed_sessions.tools.lock.samples import plain_of_unknown, within

__all__ = ["MISSING", "Declaration", "Declarations", "declarations_of"]

MISSING: Final = object()
"""Stands for the default of an attribute, which no lock has."""

_WORDS: Final[Mapping[str, object]] = {
    **{cls.__name__: cls for cls in (list, set, frozenset, tuple, dict, bool, int, float, str, bytes, object, Markup)},
    **{cls.__name__: cls for cls in (UUID, Decimal, dt.datetime, dt.date, dt.time, dt.timedelta)},
    "None": None,
    "Annotated": Annotated,
    "Literal": Literal,
    "NotRequired": NotRequired,
    "Meta": Meta,
    "Essential": Essential,
    "Secret": Secret,
    "Formerly": Formerly,
}
"""What a declaration may use by itself. Nothing else of Python is known where it is evaluated."""


@frozen
class Declaration:
    """One field of a locked schema."""

    text: str
    """The type, as the lock has it."""
    type: FieldType
    default: str | None
    """None if there is none: the key may be absent."""
    essential: bool
    secret: bool
    former_names: tuple[str, ...]

    def has_default_of(self, other: Declaration) -> bool:
        """Return True if two defaults are one value, be it written in two ways: a member of a union may need a name."""
        if self.default == other.default:
            return True
        values = self._default_values()
        return len(values) > 0 and same(values, other._default_values())

    def _default_values(self) -> list[object]:
        """Return the default as a value; none if the lock does not have it."""
        try:
            plain = ast.literal_eval(self.default or "...")
        except (ValueError, TypeError, RecursionError):  # an edited lock may have anything there
            return []
        return attempt(self.type.structure, plain, Reading(JSON))


@frozen
class Declarations:
    """What a lock declares: the fields of the schema, and the classes that they hold."""

    fields: Mapping[str, Declaration]
    classes: Mapping[str, WithNames]

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
    try:
        reader = _Reader(locked)
        fields = {name: reader.declaration(name, text) for name, text in locked.fields.items()}
    except ConfigurationError:
        raise
    except Exception as error:  # a file that somebody has edited may hold anything
        raise ConfigurationError(f"the lock cannot be read: {type(error).__name__}; lock the schema again") from error
    held = [held for field in fields.values() for held in within(field.type)]
    return Declarations(fields, {each.text: each for each in held if isinstance(each, WithNames)})


class _Reader(ast.NodeTransformer):
    """Evaluates declarations, in which all that is no word of a declaration has become a name of its own."""

    def __init__(self, locked: LockedSchema) -> None:
        self._module = ModuleType("lock")
        self._known: dict[str, object] = vars(self._module)
        self._known.update(_WORDS)
        self._names: dict[str, str] = {}
        """By its text, what each class, enumeration, alias and unknown type is called in the module."""
        self._converter = Converter()
        self._compiler = Compiler(self._converter)
        for base, enumerations in ((Enum, locked.enums), (Flag, locked.flags)):
            for text, members in enumerations.items():
                self._name(text, cast("Any", base)(text, members))
        for text in locked.aliases:
            target: Any = ForwardRef(f"target_{len(self._names)}", module=self._module)
            self._name(text, cast("Any", TypeAliasType)(text, target))
        classes = {text: _class(text, held, locked.typed_dicts) for text, held in locked.classes.items()}
        for text, cls in classes.items():  # first all of them: they may hold each other
            self._name(text, cls)
        for text, cls in classes.items():
            cls.__annotations__ = {name: self._read(held)[0] for name, held in locked.classes[text].items()}
        for text, held in locked.aliases.items():
            self._known[self._names[text].replace("type", "target")] = self._read(held)[0]

    def declaration(self, name: str, text: str) -> Declaration:
        annotation, default = self._read(text)
        try:
            field_type = self._compiler.compile(annotation, name)
        except (SchemaError, IndexError) as error:
            raise ConfigurationError(f"the lock's declaration {text!r} cannot be read") from error
        return Declaration(
            text=declaration(field_type),
            type=field_type,
            default=None if default is None else ast.unparse(default),
            essential=Essential in plain_form(annotation)[1],
            secret=Secret in plain_form(annotation)[1],
            former_names=former_names(annotation),
        )

    def _read(self, text: str) -> tuple[Any, ast.expr | None]:
        """Return the annotation of a declaration, and its default, as Python's parser has that."""
        try:
            statement = cast("ast.AnnAssign", ast.parse(f"_: {text}").body[0])
            code = compile(ast.Expression(self.visit(statement.annotation)), "<lock>", "eval")
            return eval(code, {"__builtins__": {}}, self._known), statement.value  # noqa: S307 -- only known words
        except RecursionError:
            raise
        except Exception as error:  # it may be any text
            raise ConfigurationError(f"the lock's declaration {text!r} cannot be read") from error

    @override
    def visit(self, node: ast.AST) -> Any:
        match node:
            case ast.Call(func=ast.Name(id="Meta" | "Formerly")):
                node.args, node.keywords = [*map(self.visit, node.args)], [*map(self.visit, node.keywords)]
            case ast.Attribute(value=value) if ast.unparse(value) in self._names and not node.attr.startswith("_"):
                node = self.generic_visit(node)  # a member of an enumeration
            case ast.Tuple() | ast.BinOp(op=ast.BitOr()) | ast.keyword() | ast.Load() | ast.BitOr():
                node = self.generic_visit(node)
            case ast.Constant() | ast.UnaryOp(operand=ast.Constant()) | ast.Name(id="Annotated" | "Literal"):
                pass
            case _:
                node = self._visit_type(node)
        return node

    def _visit_type(self, node: ast.AST) -> ast.AST:
        text = ast.unparse(node)
        if text not in self._names:
            if text in _WORDS:
                return node
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) in _WORDS:
                return self.generic_visit(node)
        name = self._names.get(text) or self._name(text, self._unknown(text))
        return ast.copy_location(ast.Name(name, ast.Load()), node)

    def _name(self, text: str, value: object) -> str:
        name = self._names[text] = f"type_{len(self._names)}"
        self._known[name] = value
        return name

    def _unknown(self, text: str) -> type:
        """Return what stands for a type that only a user's converter knows: nothing can be said of it but its name."""
        cls, plain = type(text, (), {}), plain_of_unknown(text)

        def structure(found: object, _: object) -> object:
            if found != plain:
                raise ValueError("it is of another type")
            return cls()

        self._converter.register_structure_hook(cls, structure)
        self._converter.register_unstructure_hook(cls, lambda _: plain)
        return cls


def _class(text: str, attributes: Mapping[str, str], typed_dicts: Collection[str]) -> Any:
    """Return a class of the names that a locked one has; its annotations come later, for it may hold itself."""
    if text in typed_dicts:
        return cast("Any", TypedDict)(text, dict.fromkeys(attributes, object))
    fields = [(name, Any, MISSING) if held.endswith(" = ...") else (name, Any) for name, held in attributes.items()]
    return msgspec.defstruct(text, fields, eq=False, kw_only=True)

"""The lock of a schema: what a release says of its sessions, in a small file that is kept in the repository.

A field is written as Python declares it, `"user_id": "int | None = None"`, and read again by Python's own parser.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Flag
from pathlib import Path
from typing import Any, Final

import msgspec

from typed_sessions.errors import ConfigurationError, SchemaError
from typed_sessions.schema.field import Field
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.types.base import JSON, FieldType, attempt
from typed_sessions.schema.types.classes import Keyed, WithNames
from typed_sessions.schema.types.containers import Items, Positions, Table
from typed_sessions.schema.types.scalars import KNOWN, Enumeration
from typed_sessions.schema.types.union import OneOf
from typed_sessions.schema.types.wrappers import Alias, Bounded
from typed_sessions.serializers.base import AnySerializer
from typed_sessions.tools.lock.extents import extent_of
from typed_sessions.tools.lock.samples import within

__all__ = ["LockFile", "LockedSchema", "lock_schema", "read_lock", "write_lock"]

_FORMAT: Final = 1


class LockedSchema(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a release says of a schema. A Struct, for msgspec reads and writes it."""

    version: int
    """To which version the release's migrations lead."""
    largest_cookie: int | None
    """In bytes; None where some field has no bound."""
    fields: dict[str, str]
    aliases: dict[str, str] = {}
    """What each alias that contains itself stands for."""
    classes: dict[str, dict[str, str]] = {}
    """The declared classes that fields hold, at any depth, each with its attributes."""
    enums: dict[str, dict[str, str | int]] = {}
    flags: dict[str, dict[str, str | int]] = {}
    typed_dicts: list[str] = []
    """Which of the classes are TypedDicts: beside one of these, a union writes another class with its name."""
    unbounded: list[str] = []
    """The places that have no bound."""


class LockFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is locked, by the name that the command line gives a schema: `module:Class`."""

    format: int
    schemas: dict[str, LockedSchema]


def lock_schema(schema: Schema[Any], serializer: AnySerializer, *, encrypted: bool = False) -> LockedSchema:
    """Return what a schema says of its sessions.

    Args:
        schema: what they hold.
        serializer: writes their cookies.
        encrypted: whether these are encrypted.

    Raises:
        SchemaError: there is no schema, or two of its types have one name.
    """
    if schema.open:
        raise SchemaError("without a schema there is nothing to lock")
    named = _named_types(schema)
    extent = extent_of(schema, serializer, encrypted=encrypted)
    return LockedSchema(
        version=schema.migrations.version,
        largest_cookie=extent.bytes,
        fields={name: _field_text(schema, field) for name, field in schema.fields.items()},
        aliases={text: declaration(alias.inner) for text, alias in named.items() if isinstance(alias, Alias)},
        classes={text: _attributes(cls) for text, cls in named.items() if isinstance(cls, WithNames)},
        enums=_members(named, flags=False),
        flags=_members(named, flags=True),
        typed_dicts=[text for text, cls in named.items() if isinstance(cls, Keyed)],
        unbounded=list(extent.unbounded),
    )


def read_lock(path: Path) -> LockFile:
    """Return what a file locks; nothing if there is no such file.

    Raises:
        ConfigurationError: it is no lock file, or one of a later release of this library.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=LockFile)
    except FileNotFoundError:
        return LockFile(_FORMAT, {})
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as a lock file: {error}") from error
    if found.format != _FORMAT:
        raise ConfigurationError(f"{path} has the format {found.format}; this release knows {_FORMAT}")
    return found


def write_lock(path: Path, lock: LockFile) -> None:
    """Write what is locked, in an order that makes small differences small.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    ordered = LockFile(lock.format, dict(sorted(lock.schemas.items())))
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error}") from error


def declaration(field_type: FieldType) -> str:
    """Return a type as Python declares it, bounds included."""
    match field_type:
        case Bounded(inner=inner, bounds=bounds):
            settings = ", ".join(f"{name}={bound!r}" for name, bound in bounds.items())
            return f"Annotated[{declaration(inner)}, Meta({settings})]"
        case Items(cls=cls, item=item):
            return f"{cls.__name__}[{declaration(item)}{', ...' if cls is tuple else ''}]"
        case Positions(items=items):
            return f"tuple[{', '.join(map(declaration, items)) or '()'}]"
        case Table(key=key, value=value):
            return f"dict[{declaration(key)}, {declaration(value)}]"
        case OneOf(members=members):
            return " | ".join(map(declaration, members))
        case _:
            return field_type.text


def _field_text(schema: Schema[Any], field: Field) -> str:
    marks = ["Essential"] * field.essential + ["Secret"] * (field.secret is not None)
    text = _marked(declaration(field.type), marks, field.former_names)
    return f"NotRequired[{text}]" if schema.keyed else f"{text} = {_default_text(field)}"


def _marked(text: str, marks: list[str], former_names: tuple[str, ...]) -> str:
    if former_names:
        marks = [*marks, f"Formerly({', '.join(map(repr, former_names))})"]
    return f"Annotated[{', '.join([text, *marks])}]" if marks else text


def _default_text(field: Field) -> str:
    """Return the plain form of a default; an ellipsis for one that is made anew for each visitor."""
    plain = [] if field.generated else attempt(field.type.unstructure, field.default, JSON)
    return repr(plain[0]) if plain else "..."  # also for one that only some serializers take


def _attributes(cls: WithNames) -> dict[str, str]:
    absent = "NotRequired[{}]" if isinstance(cls, Keyed) else "{} = ..."
    return {
        name: ("{}" if name in cls.required else absent).format(_marked(declaration(held), [], cls.former_names[name]))
        for name, held in cls.types.items()
    }


def _members(named: Mapping[str, FieldType], *, flags: bool) -> dict[str, dict[str, str | int]]:
    return {
        text: {member.name: member.value for member in held.cls}
        for text, held in named.items()
        if isinstance(held, Enumeration) and issubclass(held.cls, Flag) is flags
    }


def _named_types(schema: Schema[Any]) -> dict[str, FieldType]:
    """Return the classes, enumerations and aliases that a schema's fields hold, at any depth, by their text."""
    named: dict[str, FieldType] = {}
    known = {known.text for known in KNOWN.values()}
    for field in schema.fields.values():
        for held in within(field.type):
            if not isinstance(held, (WithNames, Enumeration, Alias)):
                continue
            if held.text in known or not _is_one(named.setdefault(held.text, held), held):
                raise SchemaError(f"{schema.name} holds two types called {held.text}; rename one to lock it")
    return named


def _is_one(one: FieldType, other: FieldType) -> bool:
    """Return True if two types of one name are one: an alias may be met by itself, and by text that names it."""
    if isinstance(one, Alias) and isinstance(other, Alias):
        return declaration(one.inner) == declaration(other.inner)
    if isinstance(one, Enumeration) and isinstance(other, Enumeration):
        return one.cls is other.cls
    return one is other

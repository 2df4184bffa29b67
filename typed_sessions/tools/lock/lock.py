"""The lock of a schema: what a release says of its sessions, in a small file that is kept in the repository.

A field is written as Python declares it, `"user_id": "int | None = None"`, and read again by Python's own parser.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, Flag
from pathlib import Path
from typing import Any, Final

import msgspec

from typed_sessions.errors import ConfigurationError, SchemaError
from typed_sessions.schema.schema import Field, Schema
from typed_sessions.schema.types import FieldType, Mismatch
from typed_sessions.schema.types.base import JSON
from typed_sessions.schema.types.bounded import Bounded
from typed_sessions.schema.types.choices import Enumeration
from typed_sessions.schema.types.classes import Keyed, WithNames
from typed_sessions.schema.types.containers import Items, Positions, Table
from typed_sessions.schema.types.scalars import KNOWN
from typed_sessions.schema.types.union import OneOf
from typed_sessions.serializers.base import AnySerializer
from typed_sessions.tools.lock.extents import extent_of

__all__ = ["LockFile", "LockedSchema", "lock_schema", "read_lock", "write_lock"]

_FORMAT: Final = 1


class LockedSchema(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a release says of a schema. A Struct, for msgspec reads and writes it."""

    version: int
    """To which version the release's migrations lead."""
    largest_cookie: int | None
    """In bytes; None where some field has no bound."""
    fields: dict[str, str]
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


def lock_schema(schema: Schema[Any], serializer: AnySerializer) -> LockedSchema:
    """Return what a schema says of its sessions.

    Raises:
        SchemaError: there is no schema, or two of its classes have one name.
    """
    if schema.open:
        raise SchemaError("without a schema there is nothing to lock")
    named = _named_parts(schema)
    extent = extent_of(schema, serializer)
    return LockedSchema(
        version=schema.migrations.version,
        largest_cookie=extent.bytes,
        fields={name: _field_text(schema, field) for name, field in schema.fields.items()},
        classes={text: _attributes(part) for text, part in named.items() if isinstance(part, WithNames)},
        enums=_members(named, flags=False),
        flags=_members(named, flags=True),
        typed_dicts=[text for text, part in named.items() if isinstance(part, Keyed)],
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
    marks = ["Essential"] * field.essential
    marks += [f"Formerly({', '.join(map(repr, field.former_names))})"] if field.former_names else []
    text = declaration(field.type)
    text = f"Annotated[{', '.join([text, *marks])}]" if marks else text
    return f"NotRequired[{text}]" if schema.keyed else f"{text} = {_default_text(field)}"


def _default_text(field: Field) -> str:
    """Return the plain form of a default; an ellipsis for one that is made anew for each visitor."""
    if field.generated:
        return "..."
    try:
        return repr(field.type.unstructure(field.default, JSON))
    except Mismatch:  # one that only some serializers take
        return "..."


def _attributes(part: WithNames) -> dict[str, str]:
    return {name: _attribute_text(part, name) for name in part.types}


def _attribute_text(part: WithNames, name: str) -> str:
    text = declaration(part.types[name])
    if part.former_names[name]:
        text = f"Annotated[{text}, Formerly({', '.join(map(repr, part.former_names[name]))})]"
    if name in part.required:
        return text
    return f"NotRequired[{text}]" if isinstance(part, Keyed) else f"{text} = ..."


def _members(named: Mapping[str, FieldType], *, flags: bool) -> dict[str, dict[str, str | int]]:
    return {
        text: {member.name: member.value for member in part.cls}
        for text, part in named.items()
        if isinstance(part, Enumeration) and issubclass(part.cls, Flag) is flags
    }


def _named_parts(schema: Schema[Any]) -> dict[str, WithNames | Enumeration]:
    """Return the classes and enumerations that a schema's fields hold, at any depth, by their text."""
    named: dict[str, WithNames | Enumeration] = {}
    known = {known.text for known in KNOWN.values()}
    for field in schema.fields.values():
        for part in _parts(field.type, set()):
            if part.text in known or _cls(named.setdefault(part.text, part)) is not _cls(part):
                raise SchemaError(f"{schema.name} holds two types called {part.text}; rename one to lock it")
    return named


def _parts(field_type: FieldType, seen: set[FieldType]) -> Iterator[WithNames | Enumeration]:
    if field_type in seen:
        return
    seen.add(field_type)
    if isinstance(field_type, (WithNames, Enumeration)):
        yield field_type
    for part in field_type.parts():
        yield from _parts(part, seen)


def _cls(part: WithNames | Enumeration) -> type[Enum] | WithNames:
    return part.cls if isinstance(part, Enumeration) else part

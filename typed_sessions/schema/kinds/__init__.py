"""How each kind of declared class is read, built and changed: one module for a kind.

A `Kind` knows one class: the schema of a session, or one nested in it. `schema`, `codec` and `tools` use it.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, get_args, get_origin

import attrs
import msgspec

from typed_sessions.schema.annotations import origin_class, plain_form, reference_in
from typed_sessions.schema.kinds.attrs_class import AttrsKind
from typed_sessions.schema.kinds.base import Kind, Member
from typed_sessions.schema.kinds.dataclass import DataclassKind
from typed_sessions.schema.kinds.struct import StructKind

__all__ = [
    "AttrsKind",
    "DataclassKind",
    "Kind",
    "Member",
    "StructKind",
    "kind_of",
    "marks_within",
]


def kind_of(declared: object) -> Kind | None:
    """Return the adapter of a declared class, with or without type arguments, or None if it is of no known kind."""
    cls = origin_class(declared)
    if cls is None:
        return None
    if attrs.has(cls):
        return AttrsKind(cls, declared)
    if issubclass(cls, msgspec.Struct):
        return StructKind(cls, declared)
    if dataclasses.is_dataclass(cls):
        return DataclassKind(cls, declared)
    return None


def marks_within(annotation: Any) -> list[object]:
    """Return what `Annotated` says anywhere in an annotation, and in the declared classes that it names."""
    return _marks(annotation, set())


def _marks(annotation: Any, seen: set[object]) -> list[object]:
    reference = reference_in(annotation)
    if reference in seen:
        return list(annotation.__metadata__) if get_origin(annotation) is Annotated else []
    if reference is not None:
        seen.add(reference)
    inner, marks = plain_form(annotation)
    found = list(marks)
    for argument in get_args(inner):
        found += _marks(argument, seen)
    kind = kind_of(inner)
    if kind is not None and kind.cls not in seen:
        seen.add(kind.cls)
        for member in kind.members.values():
            found += _marks(member.annotation, seen)
    return found

"""Which kind a class is of."""

from __future__ import annotations

import dataclasses

import attrs
import msgspec

from typed_sessions.schema.annotations import origin_class
from typed_sessions.schema.kinds.attrs_kind import AttrsKind
from typed_sessions.schema.kinds.base import Kind
from typed_sessions.schema.kinds.dataclass_kind import DataclassKind
from typed_sessions.schema.kinds.struct_kind import StructKind

__all__ = ["kind_of"]


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

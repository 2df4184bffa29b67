"""Which kind a class is of."""

from __future__ import annotations

import dataclasses

import attrs
import msgspec

from typed_sessions.errors import SchemaError
from typed_sessions.schema.annotations import origin_class
from typed_sessions.schema.kinds.attrs_kind import AttrsKind
from typed_sessions.schema.kinds.base import Kind
from typed_sessions.schema.kinds.dataclass_kind import DataclassKind
from typed_sessions.schema.kinds.struct_kind import StructKind
from typed_sessions.schema.sameness import is_model

__all__ = ["kind_of"]


def kind_of(declared: object) -> Kind | None:
    """Return the adapter of a declared class, with or without type arguments, or None if it is of no known kind.

    Raises:
        SchemaError: it is of one, and cannot be stored; the message names it.
    """
    cls = origin_class(declared)
    if cls is None:
        return None
    if attrs.has(cls):
        return AttrsKind(cls, declared)
    if issubclass(cls, msgspec.Struct):
        return StructKind(cls, declared)
    if is_model(cls) or hasattr(cls, "__pydantic_fields__"):
        return _kind_of_pydantic(cls, declared)
    if dataclasses.is_dataclass(cls):
        return DataclassKind(cls, declared)
    if hasattr(cls, "__fields__") and hasattr(cls, "__validators__"):
        raise SchemaError(f"{cls.__qualname__} is a model of pydantic 1; declare it with pydantic 2")
    return None


def _kind_of_pydantic(cls: type, declared: object) -> Kind:
    from typed_sessions.schema.kinds.pydantic_kind import (  # noqa: PLC0415 -- imports pydantic, which few have
        ModelKind,
        PydanticDataclassKind,
    )

    return ModelKind(cls) if is_model(cls) else PydanticDataclassKind(cls, declared)

"""What a field may hold: one object for each type that a session can keep.

A field type knows three things of its values: whether a value that a program sets is allowed (`validate`), how a value
is written as a plain one (`unstructure`), and how a plain one becomes a value again (`structure`). A plain value is
made of what JSON has, and of those further types that the serializer at hand brings back by itself: its `NativeTypes`.
"""

from typed_sessions.schema.types.base import (
    NAIVE_CANDIDATE,
    NATIVE_CANDIDATES,
    FieldType,
    Mismatch,
    NaiveDatetime,
    NativeTypes,
    OutOfBounds,
    Reading,
    all_parts,
)
from typed_sessions.schema.types.classes import Declared, declared_keys
from typed_sessions.schema.types.compiler import Compiler

__all__ = [
    "NAIVE_CANDIDATE",
    "NATIVE_CANDIDATES",
    "Compiler",
    "Declared",
    "FieldType",
    "Mismatch",
    "NaiveDatetime",
    "NativeTypes",
    "OutOfBounds",
    "Reading",
    "all_parts",
    "declared_keys",
]

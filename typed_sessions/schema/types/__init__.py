"""What a field may hold: one object for each type that a session can keep. `schema`, `codec` and `tools` use it.

Of its values a type says whether they are allowed (`validate`), how they are written (`unstructure`) and read
(`structure`) as what JSON has, or the serializer brings back by itself, and the same as generated code (`emit`).
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

"""Types that only pydantic knows: `HttpUrl`, `EmailStr`, and classes with a core schema of their own.

It imports pydantic, so the compiler imports it where such a type is met.
"""

from __future__ import annotations

from typing import Any

import pydantic
from typing_extensions import override

from typed_sessions.errors import SchemaError
from typed_sessions.schema.annotations import described, origin_class
from typed_sessions.schema.types.base import FieldType, Mismatch, NativeTypes, Reading, attempt

__all__ = ["Adapted"]


class Adapted(FieldType):
    """A type whose values pydantic validates, writes and reads, in JSON's terms.

    Raises:
        SchemaError: it cannot do so; the message begins with `place`.
    """

    json_types: frozenset[type] = frozenset({object})

    def __init__(self, annotation: Any, place: str) -> None:
        self.text: str = described(annotation)
        cls: Any = origin_class(annotation)
        if cls.__module__ == "pydantic.types" and cls.__qualname__ == "ImportString":
            raise SchemaError(f"{place}: a session cannot hold {self.text}, which runs what a cookie names")
        if hasattr(cls, "get_secret_value"):
            raise SchemaError(
                f"{place}: a session cannot hold {self.text}, of which pydantic writes asterisks; the value itself, as "
                f"str or bytes, could be read in a signed cookie"
            )
        try:
            self._adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(annotation)
        except Exception as error:  # its core schema is code of the user's, or lacks a package
            raise SchemaError(f"{place}: pydantic cannot handle {self.text}: {error}") from error

    @override
    def validate(self, value: object) -> object:
        try:
            validated: object = self._adapter.validate_python(value, strict=True)
        except Exception as error:  # a validator of the user's may raise anything
            raise Mismatch.of(self, value) from error
        if type(validated) is not type(value):
            raise Mismatch.of(self, value)
        return validated

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        validated = self.validate(value)
        try:
            plain: object = self._adapter.dump_python(validated, mode="json", warnings="error")
        except Exception as error:  # a serializer of the user's may raise anything
            raise Mismatch.of(self, value) from error
        return plain

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        try:
            value: object = self._adapter.validate_python(plain)
        except Exception as error:  # a validator of the user's may raise anything
            raise Mismatch.of(self, plain) from error
        return value

    @override
    def matches(self, value: object) -> bool:
        return len(attempt(self.validate, value)) > 0

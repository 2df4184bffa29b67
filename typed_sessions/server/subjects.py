"""Whose session it is, as a store knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typed_sessions.errors import ConfigurationError, FieldTypeError, SerializationError
from typed_sessions.schema.schema import Schema

__all__ = ["named_subject", "subject_of"]


def subject_of(schema: Schema[Any], stored: Mapping[str, object]) -> str | None:
    """Return the subject of what is stored, as it reads back; None if it is nobody's.

    Raises:
        SerializationError: the field does not fit its type, or is a text that no store can look up.
    """
    name = schema.subject
    if name is None or stored.get(name) is None:
        return None
    try:
        return str(schema.validate(name, stored[name]))
    except FieldTypeError as error:
        raise SerializationError(f"session field {name} cannot say whose session it is: {error}") from None


def named_subject(schema: Schema[Any], subject: object) -> str:
    """Return a subject that a program names.

    Raises:
        ConfigurationError: the schema marks no field as the Subject, or the subject is None.
        FieldTypeError: it is no subject.
    """
    name = schema.subject
    if name is None:
        raise ConfigurationError(
            f"{schema.name} does not say whose session it is; mark a field: "
            f"user_id: Annotated[int | None, Subject] = None"
        )
    if subject is None:
        raise ConfigurationError("None is nobody, and the sessions of nobody can be neither listed nor ended")
    return str(schema.validate(name, subject))

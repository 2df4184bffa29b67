"""The short way from contents to a payload and back: a schema and a built-in serializer, compiled for each other.

msgspec reads the fields of a payload as the types that the schema declares, and what is left to do is done by functions
made for it. The short way takes what sessions nearly always are. Whatever else there is, it leaves to the codec's long
way, and says so by one of the errors of `THE_LONG_WAY`: all refusals, resets and messages are the long way's.
"""

from __future__ import annotations

from typing import Any

from typed_sessions.codec.compiled.declared_form import DeclaredForm
from typed_sessions.codec.compiled.form import THE_LONG_WAY, Form
from typed_sessions.codec.compiled.keyed_form import KeyedForm
from typed_sessions.codec.compiled.notations import notation_of
from typed_sessions.codec.compiled.open_form import OpenForm
from typed_sessions.codec.compiled.plans import Planner, are_names
from typed_sessions.codec.compiled.record_form import RecordForm
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.types import NativeTypes
from typed_sessions.serializers.base import AnySerializer

__all__ = ["THE_LONG_WAY", "Form", "form_of"]


def form_of(schema: Schema[Any], serializer: AnySerializer, wire: NativeTypes, *, whole_seconds: bool) -> Form | None:
    """Return the short way of a schema in the notation of a built-in serializer; None where there is none.

    Args:
        schema: what a session holds.
        serializer: what writes it.
        wire: the types that the serializer brings back by itself.
        whole_seconds: whether it keeps no more of a datetime.
    """
    notation = notation_of(serializer)
    if notation is None or not are_names(schema.fields):
        return None
    if schema.open:
        return OpenForm(schema, notation)
    planner = Planner(notation, wire, whole_seconds=whole_seconds)
    plans = {name: planner.plan(field.type) for name, field in schema.fields.items()}
    if schema.keyed:
        return KeyedForm(schema, notation, planner, plans)
    if schema.plain_class is None:
        return DeclaredForm(schema, notation, planner, plans)
    return RecordForm(schema, notation, planner, plans, schema.plain_class)

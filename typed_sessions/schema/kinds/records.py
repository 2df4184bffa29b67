"""Which declared classes are plain records."""

from __future__ import annotations

import inspect
from types import MemberDescriptorType
from typing import Any

import attrs
import msgspec

from typed_sessions.schema.kinds.attrs_class import AttrsKind
from typed_sessions.schema.kinds.base import Kind, is_generated
from typed_sessions.schema.kinds.dataclass import DataclassKind
from typed_sessions.schema.kinds.made import MadeKind
from typed_sessions.schema.kinds.struct import StructKind

__all__ = ["has_plain_attributes", "holds_arguments", "is_record", "takes_positions"]


def is_record(kind: Kind) -> bool:
    """Return True if instances of a class hold what the constructor was given, and nothing of the user's runs."""
    if isinstance(kind, MadeKind):
        return is_record(kind.kind)
    return holds_arguments(kind) and _assigns_plainly(kind) and not _validates(kind)


def holds_arguments(kind: Kind) -> bool:
    """Return True if instances of a class hold what the constructor was given. Validators may have refused it."""
    cls: Any = kind.cls
    if not has_plain_attributes(kind):
        return False
    if cls.__new__ is not object.__new__ and not isinstance(kind, StructKind):
        return False
    if not (_assigns_plainly(kind) or cls.__dict__.get("__attrs_own_setattr__", False)):
        return False  # attrs' own is for assignments: its constructor goes round it
    match kind:
        case AttrsKind():
            return _holds_what_attrs_is_given(cls)
        case DataclassKind():
            return not hasattr(cls, "__post_init__") and is_generated(cls, "<string>")
        case StructKind():
            return not hasattr(cls, "__post_init__") and cls.__init__ is msgspec.Struct.__init__
        case _:
            return False


def has_plain_attributes(kind: Kind) -> bool:
    """Return True if a constructor takes all attributes of its class, and to read one runs nothing of the user's."""
    cls: Any = kind.cls
    if cls.__getattribute__ is not object.__getattribute__ or hasattr(cls, "__getattr__"):
        return False
    return all(member.in_constructor and _holds(cls, name) for name, member in kind.members.items())


def takes_positions(kind: Kind) -> bool:
    """Return True if the constructor takes the values of all attributes in the order of their declaration."""
    parameters = inspect.signature(kind.cls).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    return len(names) == len(parameters) and names == [member.alias for member in kind.members.values()]


def _assigns_plainly(kind: Kind) -> bool:
    cls: Any = kind.cls
    return kind.frozen or cls.__setattr__ in (object.__setattr__, msgspec.Struct.__setattr__)


def _holds(cls: Any, name: str) -> bool:
    """Return True if an attribute gives what it was given: no property, and no other descriptor of the user's."""
    attribute: object = inspect.getattr_static(cls, name, None)
    return isinstance(attribute, MemberDescriptorType) or not hasattr(type(attribute), "__set__")


def _holds_what_attrs_is_given(cls: Any) -> bool:
    converts = any(field.converter is not None for field in attrs.fields(cls))
    hooks = ("__attrs_pre_init__", "__attrs_post_init__")
    return not converts and not any(hasattr(cls, hook) for hook in hooks) and is_generated(cls, "<attrs generated")


def _validates(kind: Kind) -> bool:
    return isinstance(kind, AttrsKind) and any(field.validator is not None for field in attrs.fields(kind.cls))

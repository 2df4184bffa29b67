"""Which declared classes are plain records."""

from __future__ import annotations

import inspect
from types import MemberDescriptorType
from typing import Any

import attrs
import msgspec

from typed_sessions.kinds.attrs_class import AttrsKind
from typed_sessions.kinds.base import Kind
from typed_sessions.kinds.dataclass import DataclassKind
from typed_sessions.kinds.made import MadeKind
from typed_sessions.kinds.struct import StructKind

__all__ = ["is_record", "takes_positions"]


def is_record(kind: Kind) -> bool:
    """Return True if instances of a class hold what the constructor was given, and nothing of the user's runs."""
    if isinstance(kind, MadeKind):
        return is_record(kind.kind)
    cls: Any = kind.cls
    if cls.__new__ is not object.__new__ and not isinstance(kind, StructKind):
        return False
    if cls.__getattribute__ is not object.__getattribute__ or hasattr(cls, "__getattr__"):
        return False
    if not kind.frozen and cls.__setattr__ not in (object.__setattr__, msgspec.Struct.__setattr__):
        return False
    if not all(member.in_constructor and _holds(cls, name) for name, member in kind.members.items()):
        return False
    match kind:
        case AttrsKind():
            return _is_plain_attrs(cls)
        case DataclassKind():
            return not hasattr(cls, "__post_init__") and _is_generated(cls, "<string>")
        case StructKind():
            return not hasattr(cls, "__post_init__") and cls.__init__ is msgspec.Struct.__init__
        case _:
            return False


def takes_positions(kind: Kind) -> bool:
    """Return True if the constructor takes the values of all attributes in the order of their declaration."""
    parameters = inspect.signature(kind.cls).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    return len(names) == len(parameters) and names == [member.alias for member in kind.members.values()]


def _holds(cls: Any, name: str) -> bool:
    """Return True if an attribute gives what it was given: no property, and no other descriptor of the user's."""
    attribute: object = inspect.getattr_static(cls, name, None)
    return isinstance(attribute, MemberDescriptorType) or not hasattr(type(attribute), "__set__")


def _is_plain_attrs(cls: Any) -> bool:
    hooked = any(field.converter is not None or field.validator is not None for field in attrs.fields(cls))
    hooks = ("__attrs_pre_init__", "__attrs_post_init__")
    return not hooked and not any(hasattr(cls, hook) for hook in hooks) and _is_generated(cls, "<attrs generated")


def _is_generated(cls: Any, file_name: str) -> bool:
    """Return True if a constructor is the one that attrs or dataclasses made for this class."""
    code = getattr(inspect.unwrap(cls.__init__), "__code__", None)
    return "__init__" in vars(cls) and code is not None and code.co_filename.startswith(file_name)

"""How each kind of declared class is read, built and changed: one adapter for a kind, attrs first.

An adapter knows one class. It is used for the schema of a session and for every declared class nested in it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

import attrs
from attrs import frozen

from typed_sessions.annotations import origin_class, resolved_annotations

__all__ = ["AttrsKind", "Kind", "Member", "kind_of"]


@frozen
class Member:
    """One attribute of a declared class, as its author wrote it."""

    name: str
    annotation: Any
    alias: str
    """The constructor's name for it."""
    in_constructor: bool
    required: bool
    converts: bool
    """True if the class converts what is assigned to it, so that its type is known only afterwards."""
    factory: bool
    """True if each instance gets a default of its own."""


class Kind(Protocol):
    """What the rest of the library asks of a declared class."""

    @property
    def cls(self) -> type: ...

    @property
    def members(self) -> Mapping[str, Member]:
        """The attributes by name, in the order of their declaration."""
        ...

    def construct(self, values: Mapping[str, object]) -> object:
        """Return a new instance that holds these values, by attribute name, and defaults for the rest.

        The constructor's converters and validators run, and raise what they raise.
        """
        ...

    def assign(self, instance: object, name: str, value: object) -> object:
        """Set an attribute the way the class's author meant it, and return the instance that has it.

        A frozen instance stays as it is: the returned one is its successor.
        """
        ...

    def place(self, instance: object, values: Mapping[str, object]) -> object:
        """Put values into an instance past converters, validators and frozenness; see `assign` for the result."""
        ...


def kind_of(declared: object) -> Kind | None:
    """Return the adapter of a declared class, with or without type arguments, or None if it is of no known kind."""
    cls = origin_class(declared)
    if cls is not None and attrs.has(cls):
        return AttrsKind(cls, declared)
    return None


class AttrsKind:
    """An attrs class: mutable, frozen, with private names, aliases, converters, validators, `init=False`."""

    def __init__(self, cls: type, declared: object) -> None:
        annotations = resolved_annotations(declared)
        self.cls: Final = cls
        self.members: Mapping[str, Member] = {
            field.name: Member(
                name=field.name,
                annotation=annotations.get(field.name, field.type),
                alias=field.alias or field.name,
                in_constructor=field.init,
                required=field.init and field.default is attrs.NOTHING,
                converts=field.converter is not None,
                factory=not field.init or _is_factory(field.default),
            )
            for field in attrs.fields(cls)
        }

    def construct(self, values: Mapping[str, object]) -> object:
        arguments = {
            self.members[name].alias: value for name, value in values.items() if self.members[name].in_constructor
        }
        instance: object = self.cls(**arguments)
        for name, value in values.items():
            if not self.members[name].in_constructor:
                object.__setattr__(instance, name, value)
        return instance

    def assign(self, instance: object, name: str, value: object) -> object:
        member = self.members[name]
        try:
            setattr(instance, name, value)
        except attrs.exceptions.FrozenError:
            if member.in_constructor:
                evolved = _evolved(instance, member.alias, value)
                if self._frozen:
                    return evolved
                value = getattr(evolved, name)  # one frozen attribute of a mutable class: the instance stays
            return self.place(instance, {name: value})
        return instance

    def place(self, instance: object, values: Mapping[str, object]) -> object:
        if self._frozen:
            return self._successor(instance, values)
        for name, value in values.items():
            object.__setattr__(instance, name, value)
        return instance

    @property
    def _frozen(self) -> bool:
        return attrs.inspect(self.cls).is_frozen

    def _successor(self, instance: object, values: Mapping[str, object]) -> object:
        successor = copy.copy(instance)
        for name, value in values.items():
            object.__setattr__(successor, name, value)
        return successor


def _is_factory(default: object) -> bool:
    return isinstance(default, cast("type", attrs.Factory))  # a class, which attrs types as a function


def _evolved(instance: Any, alias: str, value: object) -> object:
    evolved: object = attrs.evolve(instance, **{alias: value})
    return evolved

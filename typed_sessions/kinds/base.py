"""What the rest of the library asks of a declared class."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final, get_origin

from attrs import frozen

__all__ = ["Kind", "Member", "factory_varies"]


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
    varies: bool
    """True if each instance may get a default that is another."""
    max_length: int | None = None
    """How long a value may be, as far as the class itself sees to that."""


def factory_varies(factory: object) -> bool:
    """Return False for a built-in type, such as `list` or `list[str]`, which makes the same each time."""
    return (get_origin(factory) or factory) not in _CONSTANT


_CONSTANT: Final = (bool, int, float, str, bytes, list, tuple, dict, set, frozenset)


class Kind(ABC):
    """A declared class: how its instances are made, read and changed."""

    def __init__(self, cls: type, members: list[Member], *, frozen: bool) -> None:
        self.cls = cls
        self.members: Mapping[str, Member] = {member.name: member for member in members}
        """The attributes by name, in the order of their declaration."""
        self.frozen = frozen
        self._takes_names = all(member.in_constructor and member.alias == name for name, member in self.members.items())

    def construct(self, values: Mapping[str, object]) -> object:
        """Return a new instance that holds these values, by attribute name, and defaults for the rest.

        The constructor's converters and validators run, and raise what they raise.
        """
        if self._takes_names:
            made: object = self.cls(**values)
            return made
        arguments = {
            self.members[name].alias: value for name, value in values.items() if self.members[name].in_constructor
        }
        instance: object = self.cls(**arguments)
        for name, value in values.items():
            if not self.members[name].in_constructor:
                self._force(instance, name, value)
        return instance

    def assign(self, instance: object, name: str, value: object) -> object:
        """Set an attribute the way the class's author meant it, and return the instance that has it.

        A frozen instance stays as it is: the returned one is its successor.
        """
        try:
            setattr(instance, name, value)
        except AttributeError:
            return self._assign_frozen(instance, name, value)
        return instance

    def place(self, instance: object, values: Mapping[str, object]) -> object:
        """Put values into an instance past converters, validators and frozenness; see `assign` for the result."""
        changed = copy.copy(instance) if self.frozen else instance
        for name, value in values.items():
            self._force(changed, name, value)
        return changed

    @abstractmethod
    def replaced(self, instance: Any, alias: str, value: object) -> object:
        """Return a copy with one attribute replaced, as the kind's own function does it."""

    def _force(self, instance: object, name: str, value: object) -> None:
        object.__setattr__(instance, name, value)

    def _assign_frozen(self, instance: object, name: str, value: object) -> object:
        member = self.members[name]
        if member.in_constructor:
            replaced = self.replaced(instance, member.alias, value)
            if self.frozen:
                return replaced
            value = getattr(replaced, name)  # one frozen attribute of a mutable class: the instance stays
        return self.place(instance, {name: value})

"""What the rest of the library asks of a declared class."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from types import MemberDescriptorType
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast, get_origin

from attrs import frozen

__all__ = ["Attributes", "Kind", "Member", "Trial", "factory_varies", "is_generated"]


T = TypeVar("T")


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

Attributes: TypeAlias = tuple[list[object], dict[str, object] | None]
"""All that an instance has, declared or not: what is in its slots, and its `__dict__`, if it has one."""

_ABSENT: Final = object()
_IS_MADE_BY_PYTHON: Final = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE`."""


class Kind(ABC):
    """A declared class: how its instances are made, read and changed."""

    def __init__(self, cls: type, members: list[Member], *, frozen: bool) -> None:
        self.cls = cls
        self.members: Mapping[str, Member] = {member.name: member for member in members}
        """The attributes by name, in the order of their declaration."""
        self.frozen = frozen
        mro: list[Any] = list(cls.__mro__)
        slotted: list[Mapping[str, object]] = [vars(base) for base in mro if "__slots__" in vars(base)]
        self._slots = [each for held in slotted for each in held.values() if isinstance(each, MemberDescriptorType)]
        self._getters: list[Callable[[object], object]] = [slot.__get__ for slot in self._slots]
        self._setters: list[Callable[[object, object], None]] = [slot.__set__ for slot in self._slots]
        self._has_dict = bool(cls.__dictoffset__)
        self._new: Callable[[type], object] = next(b for b in mro if not b.__flags__ & _IS_MADE_BY_PYTHON).__new__
        self._computed = frozenset(self._cached_properties())
        """What a frozen instance keeps of its other attributes: a successor computes it anew."""
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
                self.force(instance, name, value)
        return instance

    def assign(self, instance: object, name: str, value: object) -> None:
        """Set an attribute of an instance that is not frozen the way the class's author meant it."""
        try:
            setattr(instance, name, value)
        except AttributeError:  # one frozen attribute of a mutable class
            if self.members[name].in_constructor:
                value = getattr(self.replaced(instance, {name: value}), name)
            self.force(instance, name, value)

    def place(self, instance: object, values: Mapping[str, object]) -> object:
        """Put values into an instance past converters, validators and frozenness, and return the one that has them.

        A frozen instance stays as it is: the returned one is its successor.
        """
        changed = self._successor(instance) if self.frozen else instance
        for name, value in values.items():
            self.force(changed, name, value)
        return changed

    def succeeded(self, instance: object, values: Mapping[str, object]) -> object:
        """Return the successor of a frozen instance, which its constructor makes: converters and validators run."""
        given = {name: value for name, value in values.items() if self.members[name].in_constructor}
        successor = self.replaced(instance, given) if given else self._successor(instance)
        for name, member in self.members.items():
            if name in values and not member.in_constructor:
                self.force(successor, name, values[name])
            elif not member.in_constructor and not self.has_own_constructor and hasattr(instance, name):
                self.force(successor, name, getattr(instance, name))
        return successor

    def attributes(self, instance: object) -> Attributes:
        """Return all that an instance has. Nothing of the user's runs."""
        named = dict(self._dict_of(instance)) if self._has_dict else None
        try:
            return [get(instance) for get in self._getters], named
        except AttributeError:  # it lacks one
            return [_held_in(slot, instance) for slot in self._slots], named

    def copied(self, instance: object, attributes: Attributes) -> object:  # noqa: ARG002 -- a Struct is copied by it
        """Return a shallow copy of an instance that has these attributes. Nothing of the user's runs."""
        made: object = self._new(self.cls)
        slotted, named = attributes
        for set_slot, value in zip(self._setters, slotted, strict=True):
            if value is not _ABSENT:
                set_slot(made, value)
        if named:
            self._dict_of(made).update(named)
        return made

    def _successor(self, instance: object) -> object:
        """Return a shallow copy of a frozen instance, which is about to get other values."""
        slotted, named = self.attributes(instance)
        if self._computed:
            slotted = [
                _ABSENT if slot.__name__ in self._computed else value
                for slot, value in zip(self._slots, slotted, strict=True)
            ]
            named = named and {name: value for name, value in named.items() if name not in self._computed}
        return self.copied(instance, (slotted, named))

    def _cached_properties(self) -> set[str]:
        """Return the names of what an instance keeps once it was asked for."""
        return {
            name for base in self.cls.__mro__ for name, each in vars(base).items() if isinstance(each, cached_property)
        }

    def carry_over(self, instance: object, before: Attributes, after: Attributes) -> None:
        """Put into an instance what has changed of attributes. Nothing of the user's runs."""
        for slot, former, value in zip(self._slots, before[0], after[0], strict=True):
            if value is former:
                continue
            if value is _ABSENT:
                slot.__delete__(instance)
            else:
                self._put(instance, slot, value)
        if before[1] is None or after[1] is None:
            return
        named = self._dict_of(instance)
        for name, value in after[1].items():
            if before[1].get(name, _ABSENT) is not value:
                named[name] = value
        for name in before[1].keys() - after[1].keys():
            named.pop(name, None)

    @property
    @abstractmethod
    def has_own_constructor(self) -> bool:
        """True if code of the user's runs as an instance is made, beside converters and validators."""

    @abstractmethod
    def replaced(self, instance: Any, values: Mapping[str, object]) -> object:
        """Return a copy with some attributes of the constructor's replaced, as the kind's own function does it."""

    def _put(self, instance: object, slot: MemberDescriptorType, value: object) -> None:
        slot.__set__(instance, value)

    def _dict_of(self, instance: object) -> dict[str, object]:
        attributes: dict[str, object] = object.__getattribute__(instance, "__dict__")
        return attributes

    def force(self, instance: object, name: str, value: object) -> None:
        """Put a value into an instance past converters, validators and frozenness."""
        object.__setattr__(instance, name, value)


class Trial(Generic[T]):
    """A shallow copy of an instance, where changes are tried; the instance gets all of them, or none.

    Args:
        kind: the instance's class.
        instance: what is to be changed. It is not frozen.
    """

    def __init__(self, kind: Kind, instance: T) -> None:
        self._kind = kind
        self._instance = instance
        self._before = kind.attributes(instance)
        self.copy = cast("T", kind.copied(instance, self._before))
        """What is changed: the user's converters, validators and hooks get to see it."""

    def commit(self) -> T:
        """Give the instance what has changed in the copy, past its hooks, and return it."""
        self._kind.carry_over(self._instance, self._before, self._kind.attributes(self.copy))
        return self._instance


def _held_in(slot: MemberDescriptorType, instance: object) -> object:
    try:
        return slot.__get__(instance)
    except AttributeError:
        return _ABSENT


def is_generated(cls: Any, file_name: str) -> bool:
    """Return True if a constructor is the one that attrs or dataclasses made for this class."""
    code = getattr(inspect.unwrap(cls.__init__), "__code__", None)
    return "__init__" in vars(cls) and code is not None and code.co_filename.startswith(file_name)

"""`Kind`: how a declared class is read, built and changed; and `Member`, one attribute of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from functools import cached_property
from operator import attrgetter
from types import MemberDescriptorType
from typing import Any, ClassVar, Final, Self, TypeAlias, get_origin

import attrs

from typed_sessions.schema.generated import are_names
from typed_sessions.schema.sameness import attribute_of

__all__ = ["ABSENT", "Kind", "Member", "State", "factory_varies", "is_generated"]


@attrs.frozen
class Member:
    """One attribute of a declared class, as its author wrote it."""

    name: str
    annotation: Any
    required: bool
    varies: bool
    """True if each instance may get a default that is another."""
    alias: str = attrs.Factory(attrgetter("name"), takes_self=True)
    """The constructor's name for it."""
    in_constructor: bool = True
    converts: bool = False
    """True if the class converts what is assigned to it, so that its type is known only afterwards."""
    validates: bool = False
    source: Any = None
    """What attrs, or pydantic, itself says of it."""
    deprecated: bool = False
    """True if who reads it is warned, as pydantic does it: programs are to be, and not because it is stored."""

    def expression(self, instance: str) -> str:
        """Return the text that reads the attribute of an instance, by its own text."""
        return f"{instance}.__dict__[{self.name!r}]" if self.deprecated else f"{instance}.{self.name}"


def factory_varies(factory: object, absent: object = None) -> bool:
    """Return False for a built-in type, such as `list` or `list[str]`, which makes the same each time."""
    return factory is not absent and (get_origin(factory) or factory) not in _CONSTANT


_CONSTANT: Final = (bool, int, float, str, bytes, list, tuple, dict, set, frozenset)

ABSENT: Final = object()

State: TypeAlias = dict[str, object]
"""All that an instance has, declared or not, in its slots and in its `__dict__`, by name."""

_IS_MADE_BY_PYTHON: Final = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE`."""


class Kind:
    """A declared class: how its instances are made, read, copied and changed."""

    _library: ClassVar[type[Any]] = object
    """The class whose own methods are no code of the user's."""
    remembers_given: ClassVar[bool] = False
    """True if instances know which attributes the constructor was given."""

    def __init__(self, cls: type, members: Iterable[Member], *, frozen: bool, has_own_constructor: bool) -> None:
        self.cls = cls
        self.has_own_constructor = has_own_constructor
        """True if code of the user's runs as an instance is made, beside converters and validators."""
        self.members: Mapping[str, Member] = {member.name: member for member in members}
        """The attributes by name, in the order of their declaration."""
        self.frozen = frozen
        self.make: Callable[[], object] | None = None
        """The function of the user's that makes a new instance; None if the class does."""
        mro: list[Any] = list(cls.__mro__)
        slotted: list[Mapping[str, object]] = [vars(base) for base in mro[::-1] if "__slots__" in vars(base)]
        held = (each for names in slotted for each in names.values() if isinstance(each, MemberDescriptorType))
        self._slots: Mapping[str, MemberDescriptorType] = {slot.__name__: slot for slot in held}
        self._has_dict = bool(cls.__dictoffset__)
        self._new: Callable[[type], object] = next(b for b in mro if not b.__flags__ & _IS_MADE_BY_PYTHON).__new__
        self._arguments = [(member.alias, name) for name, member in self.members.items() if member.in_constructor]
        self._takes_names = all(member.in_constructor and member.alias == name for name, member in self.members.items())

    def made_by(self, make: Callable[[], object]) -> Self:
        """Return the kind of a class whose instances a function makes: its values are the defaults."""
        kind = copy(self)
        kind.make = make
        kind.members = {name: attrs.evolve(each, required=False, varies=True) for name, each in self.members.items()}
        return kind

    def construct(self, values: Mapping[str, object]) -> object:
        """Return a new instance that holds these values, by attribute name, and defaults for the rest.

        The constructor's converters and validators run, and raise what they raise.
        """
        if self.make is not None:
            made = self.make()
            if type(made) is not self.cls:
                raise TypeError(f"the function returned {type(made).__name__}, and {self.cls.__name__} before")
            if not values:
                return made
            values = self._held(made) | dict(values)
        if self._takes_names:
            return self.cls(**values)
        instance = self._called(values)
        for name in values:
            if not self.members[name].in_constructor:
                self.force(instance, name, values[name])
        return instance

    def _called(self, values: Mapping[str, object]) -> object:
        """Return what the constructor makes of those of the values that it takes."""
        return self.cls(**{alias: values[name] for alias, name in self._arguments if name in values})

    def assign(self, instance: object, name: str, value: object) -> None:
        """Set an attribute of an instance that is not frozen the way the class's author meant it."""
        try:
            setattr(instance, name, value)
        except AttributeError:  # one frozen attribute of a mutable class
            if self.members[name].in_constructor:
                value = attribute_of(self.replaced(instance, {name: value}), name)
            self.force(instance, name, value)

    def successor(self, instance: object, values: Mapping[str, object]) -> object:
        """Return what a frozen instance becomes with these values. Its constructor, converters and validators run."""
        given = {name: value for name, value in values.items() if self.members[name].in_constructor}
        made = self.replaced(instance, given) if given else self.copied(instance, computed=False)
        for name, member in self.members.items():
            if name in values and not member.in_constructor:
                self.force(made, name, values[name])
            elif not member.in_constructor and not self.has_own_constructor and hasattr(instance, name):
                self.force(made, name, getattr(instance, name))
        return made

    def put(self, instance: object, values: Mapping[str, object]) -> object:
        """Put all values into an instance, or none, past converters and validators, and return the one that has them.

        A frozen instance stays as it is: the returned one is a copy.
        """
        if self.has_plain_attributes and not self.frozen:
            for name, value in values.items():
                self.force(instance, name, value)
            return instance
        changed = self.copied(instance, computed=not self.frozen)
        before = self.state(changed)
        for name, value in values.items():
            self.force(changed, name, value)
        return changed if self.frozen else self.carried_over(instance, before, changed)

    def state(self, instance: object) -> State:
        """Return all that an instance has. Nothing of the user's runs."""
        held: State = {}
        for name, slot in self._slots.items():
            try:
                held[name] = slot.__get__(instance)
            except AttributeError:  # it lacks this one
                continue
        if self._has_dict:
            held.update(_dict_of(instance))
        return held

    def copied(self, instance: object, *, computed: bool = True) -> object:
        """Return a shallow copy, with what the class has `computed` of its attributes. Nothing of the user's runs."""
        made: object = self._new(self.cls)
        for name, value in self.state(instance).items():
            if computed or name not in self._computed:
                self._put(made, name, value)
        return made

    def carried_over(self, instance: object, before: State, changed: object) -> object:
        """Give an instance what has `changed` in its copy since `before`, and return it. Nothing of the user's runs."""
        after = self.state(changed)
        for name, value in after.items():
            if name not in before or before[name] is not value:
                self._put(instance, name, value)
        for name in before.keys() - after.keys():
            if name in self._slots:
                self._slots[name].__delete__(instance)
            else:
                _dict_of(instance).pop(name, None)
        return instance

    def force(self, instance: object, name: str, value: object) -> None:
        """Put a value into an instance past converters, validators and frozenness."""
        object.__setattr__(instance, name, value)

    def replaced(self, instance: object, values: Mapping[str, object]) -> object:
        """Return a new instance with some of the constructor's attributes replaced, and the others of this one."""
        held = ((alias, values[name] if name in values else getattr(instance, name)) for alias, name in self._arguments)
        return self.cls(**dict(held))

    def _held(self, instance: object) -> dict[str, object]:
        """Return the attributes that an instance has."""
        held = {name: attribute_of(instance, name, ABSENT) for name in self.members}
        return {name: value for name, value in held.items() if value is not ABSENT}

    @cached_property
    def has_plain_attributes(self) -> bool:
        """True if the constructor takes all attributes, and to read or put one runs nothing of the user's."""
        cls: Any = self.cls
        has_own_reading = getattr(cls, "__getattr__", None) is not getattr(self._library, "__getattr__", None)
        if has_own_reading or cls.__getattribute__ is not object.__getattribute__:
            return False
        return all(member.in_constructor and _holds(cls, name) for name, member in self.members.items())

    @property
    def holds_arguments(self) -> bool:
        """True if the class makes its instances, and they hold what it was given. Validators may have refused that."""
        return self.make is None and self._holds_arguments

    @cached_property
    def has_user_code(self) -> bool:
        """True if code of the user's in the class may change or refuse what an instance is made of, or assigned."""
        validates = any(member.validates for member in self.members.values())
        return not self._holds_arguments or not self._assigns_plainly or validates

    @cached_property
    def _holds_arguments(self) -> bool:
        cls: Any = self.cls
        return (
            self.has_plain_attributes
            and cls.__new__ is self._library.__new__
            # attrs' own is for assignments: its constructor goes round it.
            and (self._assigns_plainly or cls.__dict__.get("__attrs_own_setattr__", False))
            and not self.has_own_constructor
            and not any(member.converts for member in self.members.values())
        )

    def arguments(self, values: Iterable[str]) -> str:
        """Return the text of the constructor's arguments, of the expressions for all attributes in their order."""
        aliases = [member.alias for member in self.members.values()]
        parameters = inspect.signature(self.cls).parameters.values()
        names = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
        if len(names) == len(parameters) and names == aliases:
            return ", ".join(values)
        named = zip(aliases, values, strict=True)
        return ", ".join(
            f"{name}={value}" if are_names([name]) else f"**{{{name!r}: {value}}}" for name, value in named
        )

    @property
    def _assigns_plainly(self) -> bool:
        cls: Any = self.cls
        return self.frozen or cls.__setattr__ is self._library.__setattr__

    @cached_property
    def _computed(self) -> frozenset[str]:
        """The names of what an instance keeps once it was asked for."""
        kept = (vars(base).items() for base in self.cls.__mro__)
        return frozenset(name for held in kept for name, each in held if isinstance(each, cached_property))

    def _put(self, instance: object, name: str, value: object) -> None:
        if name in self._slots:
            self._slots[name].__set__(instance, value)
        else:
            _dict_of(instance)[name] = value


def _dict_of(instance: object) -> dict[str, object]:
    attributes: dict[str, object] = object.__getattribute__(instance, "__dict__")
    return attributes


def _holds(cls: Any, name: str) -> bool:
    """Return True if an attribute gives what it was given: no property, and no other descriptor of the user's."""
    attribute: object = inspect.getattr_static(cls, name, None)
    return isinstance(attribute, MemberDescriptorType) or not hasattr(type(attribute), "__set__")


def is_generated(cls: Any, file_name: str) -> bool:
    """Return True if a constructor is the one that attrs or dataclasses made for this class."""
    code = getattr(inspect.unwrap(cls.__init__), "__code__", None)
    return "__init__" in vars(cls) and code is not None and code.co_filename.startswith(file_name)

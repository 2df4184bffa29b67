"""How each kind of declared class is read, built and changed.

A `Kind` knows one class: the schema of a session, or one nested in it. `schema`, `codec` and `tools` use it.
"""

from __future__ import annotations

import dataclasses
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import MISSING
from functools import cached_property
from types import MemberDescriptorType
from typing import Any, Final, Self, TypeAlias, cast, get_origin

import attrs
import msgspec
from typing_extensions import override

from typed_sessions.errors import SchemaError
from typed_sessions.schema.annotations import origin_class, resolved_annotations

__all__ = ["AttrsKind", "DataclassKind", "Kind", "Member", "StructKind", "kind_of"]


def kind_of(declared: object) -> Kind | None:
    """Return the adapter of a declared class, with or without type arguments, or None if it is of no known kind."""
    cls = origin_class(declared)
    if cls is None:
        return None
    if attrs.has(cls):
        return AttrsKind(cls, declared)
    if issubclass(cls, msgspec.Struct):
        return StructKind(cls, declared)
    if dataclasses.is_dataclass(cls):
        return DataclassKind(cls, declared)
    return None


@attrs.frozen
class Member:
    """One attribute of a declared class, as its author wrote it."""

    name: str
    annotation: Any
    alias: str
    """The constructor's name for it."""
    required: bool
    varies: bool
    """True if each instance may get a default that is another."""
    in_constructor: bool = True
    converts: bool = False
    """True if the class converts what is assigned to it, so that its type is known only afterwards."""
    validates: bool = False
    max_length: int | None = None
    """How long a value may be, as far as the class itself sees to that."""


def factory_varies(factory: object) -> bool:
    """Return False for a built-in type, such as `list` or `list[str]`, which makes the same each time."""
    return (get_origin(factory) or factory) not in _CONSTANT


_CONSTANT: Final = (bool, int, float, str, bytes, list, tuple, dict, set, frozenset)

State: TypeAlias = dict[str, object]
"""All that an instance has, declared or not, in its slots and in its `__dict__`, by name."""

_IS_MADE_BY_PYTHON: Final = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE`."""


class Kind(ABC):
    """A declared class: how its instances are made, read, copied and changed."""

    def __init__(self, cls: type, members: Iterable[Member], *, frozen: bool) -> None:
        self.cls = cls
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
            values = {name: getattr(made, name) for name in self.members} | dict(values)
        if self._takes_names:
            return self.cls(**values)
        given = {name: value for name, value in values.items() if self.members[name].in_constructor}
        instance: object = self.cls(**{self.members[name].alias: value for name, value in given.items()})
        for name in values.keys() - given.keys():
            self.force(instance, name, values[name])
        return instance

    def assign(self, instance: object, name: str, value: object) -> None:
        """Set an attribute of an instance that is not frozen the way the class's author meant it."""
        try:
            setattr(instance, name, value)
        except AttributeError:  # one frozen attribute of a mutable class
            if self.members[name].in_constructor:
                value = getattr(self.replaced(instance, {name: value}), name)
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

    @abstractmethod
    def replaced(self, instance: Any, values: Mapping[str, object]) -> object:
        """Return a copy with some attributes of the constructor's replaced, as the kind's own function does it."""

    @property
    @abstractmethod
    def has_own_constructor(self) -> bool:
        """True if code of the user's runs as an instance is made, beside converters and validators."""

    @cached_property
    def has_plain_attributes(self) -> bool:
        """True if the constructor takes all attributes, and to read or put one runs nothing of the user's."""
        cls: Any = self.cls
        if cls.__getattribute__ is not object.__getattribute__ or hasattr(cls, "__getattr__"):
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
            and cls.__new__ in (object.__new__, msgspec.Struct.__new__)
            # attrs' own is for assignments: its constructor goes round it.
            and (self._assigns_plainly or cls.__dict__.get("__attrs_own_setattr__", False))
            and not self.has_own_constructor
            and not any(member.converts for member in self.members.values())
        )

    @property
    def takes_positions(self) -> bool:
        """True if the constructor takes the values of all attributes in the order of their declaration."""
        parameters = inspect.signature(self.cls).parameters.values()
        names = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
        return len(names) == len(parameters) and names == [member.alias for member in self.members.values()]

    @property
    def _assigns_plainly(self) -> bool:
        cls: Any = self.cls
        return self.frozen or cls.__setattr__ in (object.__setattr__, msgspec.Struct.__setattr__)

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


class AttrsKind(Kind):
    """An attrs class."""

    def __init__(self, cls: type, declared: object) -> None:
        if "__attrs_attrs__" not in vars(cls):
            base = next(base for base in cls.__mro__ if "__attrs_attrs__" in vars(base))
            raise SchemaError(
                f"{cls.__qualname__} is based on the attrs class {base.__qualname__} and is none itself, so what it "
                f"adds would not be stored; decorate it, too: @define"
            )
        annotations = resolved_annotations(declared)
        members = [
            Member(
                name=field.name,
                annotation=annotations.get(field.name, field.type),
                alias=field.alias or field.name,
                required=field.init and field.default is attrs.NOTHING,
                varies=not field.init or _varies(field.default),
                in_constructor=field.init,
                converts=field.converter is not None,
                validates=field.validator is not None,
                max_length=_max_length(field.validator),
            )
            for field in attrs.fields(cls)
        ]
        super().__init__(cls, members, frozen=attrs.inspect(cls).is_frozen)

    @property
    @override
    def has_own_constructor(self) -> bool:
        hooks = ("__attrs_pre_init__", "__attrs_post_init__")
        return any(hasattr(self.cls, hook) for hook in hooks) or not is_generated(self.cls, "<attrs generated")

    @override
    def assign(self, instance: Any, name: str, value: object) -> None:
        try:
            setattr(instance, name, value)
        except attrs.exceptions.FrozenError:  # one frozen attribute of a mutable class: nothing has run yet
            attribute = getattr(attrs.fields(self.cls), name)
            converted = attrs.setters.convert(instance, attribute, value)
            self.force(instance, name, attrs.setters.validate(instance, attribute, converted))
        except AttributeError:
            if self.cls.__dict__.get("__attrs_own_setattr__", False):
                raise  # of a converter or validator, which must not run again
            super().assign(instance, name, value)

    @override
    def copied(self, instance: object, *, computed: bool = True) -> object:
        made = super().copied(instance, computed=computed)
        if self.frozen and hasattr(made, _CACHED_HASH):
            self.force(made, _CACHED_HASH, None)  # as in attrs' own copies
        return made

    @cached_property
    @override
    def _computed(self) -> frozenset[str]:
        """The names of what an instance keeps once it was asked for; attrs puts it into slots of its own."""
        bases = [vars(base) for base in self.cls.__mro__ if "__attrs_attrs__" in vars(base)]
        slots = {slot for base in bases for slot in base.get("__slots__", ())}
        return super()._computed | (slots - self.members.keys() - {_CACHED_HASH})

    @override
    def replaced(self, instance: Any, values: Mapping[str, object]) -> object:
        return attrs.evolve(instance, **{self.members[name].alias: values[name] for name in values})


_CACHED_HASH: Final = "_attrs_cached_hash"


def _varies(default: Any) -> bool:
    is_factory = isinstance(default, cast("type", attrs.Factory))  # a class, which attrs types as a function
    made: Any = default
    return is_factory and (bool(made.takes_self) or factory_varies(made.factory))


def _max_length(validator: Any) -> int | None:
    """Return the bound that `attrs.validators.max_len` sets, alone, in a list or as `optional`."""
    if isinstance(validator, _LONGEST):
        return cast("int", validator.max_length)
    if isinstance(validator, _OPTIONAL):
        return _max_length(validator.validator)
    if isinstance(validator, _ALL):
        bounds = [_max_length(part) for part in validator._validators]  # noqa: SLF001 -- attrs offers no other way
        return min((bound for bound in bounds if bound is not None), default=None)
    return None


_LONGEST: Final[type[Any]] = type(attrs.validators.max_len(1))
_OPTIONAL: Final[type[Any]] = type(attrs.validators.optional(attrs.validators.max_len(1)))
_ALL: Final[type[Any]] = type(attrs.validators.and_(attrs.validators.max_len(1)))
"""The classes of validators, which attrs keeps private."""


class DataclassKind(Kind):
    """A dataclass."""

    def __init__(self, cls: Any, declared: object) -> None:
        annotations = resolved_annotations(declared)
        if "__dataclass_params__" not in vars(cls):
            declared_there = resolved_annotations(cls).keys() - {field.name for field in dataclasses.fields(cls)}
            if declared_there:
                raise SchemaError(
                    f"{cls.__qualname__}.{min(declared_there)} would not be stored, because {cls.__qualname__} is no "
                    f"dataclass itself; decorate it, too: @dataclass"
                )
        members = [
            Member(
                name=each.name,
                annotation=annotations.get(each.name, each.type),
                alias=each.name,
                required=each.init and each.default is MISSING is each.default_factory,
                varies=not each.init or (each.default_factory is not MISSING and factory_varies(each.default_factory)),
                in_constructor=each.init,
            )
            for each in dataclasses.fields(cls)
        ]
        super().__init__(cls, members, frozen=cls.__dataclass_params__.frozen)

    @property
    @override
    def has_own_constructor(self) -> bool:
        return hasattr(self.cls, "__post_init__") or not is_generated(self.cls, "<string>")

    @override
    def replaced(self, instance: Any, values: Mapping[str, object]) -> object:
        return dataclasses.replace(instance, **values)


_STRUCT: Final[Any] = msgspec.Struct


class StructKind(Kind):
    """A `msgspec.Struct`."""

    def __init__(self, cls: type[msgspec.Struct], declared: object) -> None:
        annotations = resolved_annotations(declared)
        members = [
            Member(
                name=field.name,
                annotation=annotations.get(field.name, field.type),
                alias=field.name,
                required=field.required,
                varies=field.default_factory is not msgspec.NODEFAULT and factory_varies(field.default_factory),
            )
            for field in msgspec.structs.fields(cls)
        ]
        super().__init__(cls, members, frozen=cls.__struct_config__.frozen)

    @property
    @override
    def has_own_constructor(self) -> bool:
        cls: Any = self.cls
        return hasattr(cls, "__post_init__") or cls.__init__ is not msgspec.Struct.__init__

    @override
    def replaced(self, instance: Any, values: Mapping[str, object]) -> object:
        return msgspec.structs.replace(instance, **values)

    @override
    def copied(self, instance: Any, *, computed: bool = True) -> object:
        missing = [name for name in self.members if not hasattr(instance, name)]
        for name in missing:  # msgspec copies no Struct that lacks an attribute
            self.force(instance, name, None)
        made: object = _STRUCT.__copy__(instance)  # not the one that a class of the user's may have
        for name in missing:
            delattr(instance, name)
            delattr(made, name)
        for name, value in self.state(instance).items():
            if name not in self._slots and (computed or name not in self._computed):
                self._put(made, name, value)
        return made

    @override
    def _put(self, instance: object, name: str, value: object) -> None:
        if name in self._slots:
            self.force(instance, name, value)  # tells the garbage collector what the Struct holds
        else:
            super()._put(instance, name, value)

    @override
    def force(self, instance: Any, name: str, value: object) -> None:
        msgspec.structs.force_setattr(instance, name, value)

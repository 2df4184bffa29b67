"""attrs classes as a kind of declared class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, cast

import attrs
from typing_extensions import override

from typed_sessions.errors import SchemaError
from typed_sessions.schema.annotations import resolved_annotations
from typed_sessions.schema.kinds.base import Kind, Member, factory_varies, is_generated

__all__ = ["AttrsKind"]


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

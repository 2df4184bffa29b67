"""attrs classes: mutable, frozen, with private names, aliases, converters, validators, `init=False`."""

from __future__ import annotations

from typing import Any, Final, cast

import attrs
from typing_extensions import override

from typed_sessions.annotations import resolved_annotations
from typed_sessions.kinds.base import Kind, Member, factory_varies

__all__ = ["AttrsKind"]


class AttrsKind(Kind):
    """An attrs class."""

    def __init__(self, cls: type, declared: object) -> None:
        annotations = resolved_annotations(declared)
        members = [
            Member(
                name=field.name,
                annotation=annotations.get(field.name, field.type),
                alias=field.alias or field.name,
                in_constructor=field.init,
                required=field.init and field.default is attrs.NOTHING,
                converts=field.converter is not None,
                varies=not field.init or _varies(field.default),
                max_length=_max_length(field.validator),
            )
            for field in attrs.fields(cls)
        ]
        super().__init__(cls, members, frozen=attrs.inspect(cls).is_frozen)

    @override
    def replaced(self, instance: Any, alias: str, value: object) -> object:
        replaced: object = attrs.evolve(instance, **{alias: value})
        return replaced


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


def _class_of(validator: object) -> type[Any]:
    """Return the class of a validator: attrs keeps those private."""
    return type(validator)


_LONGEST: Final = _class_of(attrs.validators.max_len(1))
_OPTIONAL: Final = _class_of(attrs.validators.optional(attrs.validators.max_len(1)))
_ALL: Final = _class_of(attrs.validators.and_(attrs.validators.max_len(1)))

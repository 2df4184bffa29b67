"""attrs classes: mutable, frozen, with private names, aliases, converters, validators, `init=False`."""

from __future__ import annotations

from typing import Any, cast

import attrs
from typing_extensions import override

from typed_sessions.annotations import resolved_annotations
from typed_sessions.kinds.base import Kind, Member

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
                factory=not field.init or _is_factory(field.default),
            )
            for field in attrs.fields(cls)
        ]
        super().__init__(cls, members, frozen=attrs.inspect(cls).is_frozen)

    @override
    def replaced(self, instance: Any, alias: str, value: object) -> object:
        replaced: object = attrs.evolve(instance, **{alias: value})
        return replaced


def _is_factory(default: object) -> bool:
    return isinstance(default, cast("type", attrs.Factory))  # a class, which attrs types as a function

"""msgspec's Structs. Attributes go by their own names: `rename` is for msgspec's own messages."""

from __future__ import annotations

from typing import Any

import msgspec
from typing_extensions import override

from typed_sessions.annotations import resolved_annotations
from typed_sessions.kinds.base import Kind, Member, factory_varies

__all__ = ["StructKind"]


class StructKind(Kind):
    """A `msgspec.Struct`."""

    def __init__(self, cls: type[msgspec.Struct], declared: object) -> None:
        annotations = resolved_annotations(declared)
        members = [
            Member(
                name=field.name,
                annotation=annotations.get(field.name, field.type),
                alias=field.name,
                in_constructor=True,
                required=field.required,
                converts=False,
                varies=field.default_factory is not msgspec.NODEFAULT and factory_varies(field.default_factory),
            )
            for field in msgspec.structs.fields(cls)
        ]
        super().__init__(cls, members, frozen=cls.__struct_config__.frozen)

    @override
    def replaced(self, instance: Any, alias: str, value: object) -> object:
        replaced: object = msgspec.structs.replace(instance, **{alias: value})
        return replaced

    @override
    def _force(self, instance: Any, name: str, value: object) -> None:
        msgspec.structs.force_setattr(instance, name, value)

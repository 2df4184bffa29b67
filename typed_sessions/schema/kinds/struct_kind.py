"""`msgspec.Struct` as a kind of declared class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec
from typing_extensions import override

from typed_sessions.schema.annotations import resolved_annotations
from typed_sessions.schema.kinds.base import Kind, Member, factory_varies

__all__ = ["StructKind"]

_STRUCT: Final[Any] = msgspec.Struct


class StructKind(Kind):
    """A `msgspec.Struct`."""

    _library: ClassVar[type[Any]] = msgspec.Struct

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

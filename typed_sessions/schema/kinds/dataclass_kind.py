"""Dataclasses as a kind of declared class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import MISSING
from typing import Any

from typing_extensions import override

from typed_sessions.errors import SchemaError
from typed_sessions.schema.annotations import resolved_annotations
from typed_sessions.schema.kinds.base import Kind, Member, factory_varies, is_generated

__all__ = ["DataclassKind"]


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

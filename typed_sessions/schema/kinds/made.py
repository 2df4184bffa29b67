"""Declared classes whose instances a function of the user's makes: its values are the defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve
from typing_extensions import override

from typed_sessions.schema.kinds.base import Attributes, Kind

__all__ = ["MadeKind"]


class MadeKind(Kind):
    """The class of what a function returns. Its fields need no defaults of their own."""

    def __init__(self, kind: Kind, make: Callable[[], object]) -> None:
        members = [evolve(member, required=False, varies=True) for member in kind.members.values()]
        super().__init__(kind.cls, members, frozen=kind.frozen)
        self.kind = kind
        self._make = make

    @override
    def construct(self, values: Mapping[str, object]) -> object:
        made = self._make()
        if type(made) is not self.cls:
            raise TypeError(f"the function returned {type(made).__name__}, and {self.cls.__name__} before")
        if not values:
            return made
        return self.kind.construct({name: getattr(made, name) for name in self.members} | dict(values))

    @property
    @override
    def has_own_constructor(self) -> bool:
        return self.kind.has_own_constructor

    @override
    def assign(self, instance: object, name: str, value: object) -> None:
        self.kind.assign(instance, name, value)

    @override
    def place(self, instance: object, values: Mapping[str, object]) -> object:
        return self.kind.place(instance, values)

    @override
    def succeeded(self, instance: object, values: Mapping[str, object]) -> object:
        return self.kind.succeeded(instance, values)

    @override
    def copied(self, instance: object, attributes: Attributes) -> object:
        return self.kind.copied(instance, attributes)

    @override
    def carry_over(self, instance: object, before: Attributes, after: Attributes) -> None:
        self.kind.carry_over(instance, before, after)

    @override
    def replaced(self, instance: Any, values: Mapping[str, object]) -> object:
        return self.kind.replaced(instance, values)

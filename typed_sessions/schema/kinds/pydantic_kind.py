"""Models and dataclasses of pydantic as kinds of declared class.

It imports pydantic, so `known` imports it where such a class is met.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from functools import partial
from typing import Annotated, Any, ClassVar, Final, Self

import pydantic
from pydantic import AliasChoices, BaseModel
from pydantic.dataclasses import rebuild_dataclass
from pydantic.fields import FieldInfo
from typing_extensions import override

from typed_sessions.errors import SchemaError
from typed_sessions.schema.annotations import not_found, resolved_annotations, substituted
from typed_sessions.schema.kinds.base import Kind, Member, State, factory_varies
from typed_sessions.schema.kinds.core_schema import Effect, effect_of
from typed_sessions.schema.sameness import attribute_of, is_model, same

__all__ = ["ModelKind", "PydanticDataclassKind"]


class PydanticKind(Kind):
    """A class whose instances pydantic makes, by its own rules. Its constructor goes by aliases."""

    def __init__(
        self, cls: Any, fields: Mapping[str, FieldInfo], annotations: Mapping[str, Any], config: Mapping[str, Any]
    ) -> None:
        if config.get("extra") == "allow":
            raise SchemaError(
                f'{cls.__qualname__} has extra="allow", and what it takes beyond its fields would not be stored; leave '
                f"that out: undeclared keys have their place in session.extras"
            )
        self._effect: Final = effect_of(cls.__pydantic_core_schema__)
        self._frozen_fields: Final = frozenset(name for name, field in fields.items() if field.frozen)
        aliases = _aliases(cls, fields, config)
        members = [
            Member(
                name=name,
                annotation=annotations.get(name, field.annotation),
                alias=aliases[name],
                required=field.init is not False and field.is_required(),
                varies=field.init is False or _varies(field),
                in_constructor=field.init is not False,
                validates=self._effect is not Effect.NONE,
                max_length=_max_length(field),
                deprecated=is_model(cls) and field.deprecation_message is not None,
            )
            for name, field in fields.items()
        ]
        super().__init__(cls, members, frozen=bool(config.get("frozen")))

    @property
    @override
    def has_own_constructor(self) -> bool:
        return self._effect is Effect.ALTERS

    @override
    def assign(self, instance: Any, name: str, value: object) -> None:
        """Set an attribute as `validate_assignment` does, be that on or off: what is set by key is always checked."""
        cls: Any = self.cls
        if name in self._frozen_fields:
            self.force(instance, name, attribute_of(self.replaced(instance, {name: value}), name))
        elif self._assigns_plainly and self.members[name].in_constructor:
            cls.__pydantic_validator__.validate_assignment(instance, name, value)
            self._put_back(instance, {name: value})
        else:
            setattr(instance, name, value)

    @override
    def replaced(self, instance: Any, values: Mapping[str, object]) -> object:
        given = [each for each in self.members.values() if each.in_constructor]
        present = {each.name: attribute_of(instance, each.name, _ABSENT) for each in given}
        held = {name: value for name, value in present.items() if value is not _ABSENT} | dict(values)
        made: object = self.cls(**{self.members[name].alias: value for name, value in held.items()})
        self._put_back(made, held)
        return made

    def _put_back(self, instance: object, values: Mapping[str, object]) -> None:
        """Have an instance hold the very values that it was given, where it holds copies: somebody may have them."""
        for name, value in values.items():
            if same(attribute_of(instance, name), value):
                self.force(instance, name, value)


class ModelKind(PydanticKind):
    """A `BaseModel`. Its private attributes are not stored."""

    _library: ClassVar[type[Any]] = BaseModel
    remembers_given: ClassVar[bool] = True

    def __init__(self, cls: type[BaseModel]) -> None:
        if cls is BaseModel:
            raise SchemaError("BaseModel itself has no fields, so nothing would be stored; name a model based on it")
        _complete(cls, cls.model_rebuild)
        fields = cls.model_fields
        annotations = {name: substituted(_annotation(field), {Self: cls}) for name, field in fields.items()}
        super().__init__(cls, fields, annotations, cls.model_config)

    @override
    def copied(self, instance: object, *, computed: bool = True) -> object:
        made = super().copied(instance, computed=computed)
        for name, held in self.state(made).items():
            if name in _BESIDE:
                self._put(made, name, copy(held))
        return made

    @override
    def carried_over(self, instance: object, before: State, changed: object) -> object:
        super().carried_over(instance, before, changed)
        for name, held in self.state(changed).items():
            if name in _BESIDE:  # which may have changed in its place
                self._put(instance, name, held)
        return instance

    @override
    def force(self, instance: Any, name: str, value: object) -> None:
        self._put(instance, name, value)  # where a field that is deprecated has a descriptor, too
        instance.model_fields_set.add(name)

    @override
    def replaced(self, instance: Any, values: Mapping[str, object]) -> object:
        made = super().replaced(instance, values)
        self._put(made, _FIELDS_SET, {*instance.model_fields_set, *values})
        return made


class PydanticDataclassKind(PydanticKind):
    """A dataclass of pydantic's."""

    def __init__(self, cls: Any, declared: object) -> None:
        if "__pydantic_fields__" not in vars(cls):
            raise SchemaError(
                f"{cls.__qualname__} is based on a dataclass of pydantic and is none itself; decorate it, too"
            )
        _complete(cls, partial(rebuild_dataclass, cls))
        fields = {each.name: cls.__pydantic_fields__[each.name] for each in dataclasses.fields(cls)}
        config = dict(cls.__pydantic_config__)
        config["frozen"] = config.get("frozen") or cls.__dataclass_params__.frozen
        super().__init__(cls, fields, resolved_annotations(declared), config)


_ABSENT: Final = object()

_FIELDS_SET: Final = "__pydantic_fields_set__"
_BESIDE: Final = (_FIELDS_SET, "__pydantic_extra__", "__pydantic_private__")
"""What a model keeps beside its fields, in containers that a copy must not share."""


def _complete(cls: Any, rebuild: Callable[[], object]) -> None:
    """Have pydantic resolve what it could not while the class was made.

    Raises:
        SchemaError: it still cannot; the message names what.
    """
    if cls.__pydantic_complete__:
        return
    try:
        rebuild()
    except pydantic.PydanticUndefinedAnnotation as error:
        raise not_found(cls.__qualname__, error.name, cls.__module__) from error
    except pydantic.PydanticUserError as error:
        raise SchemaError(f"{cls.__qualname__}: {error.message}") from error


def _annotation(field: FieldInfo) -> Any:
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def _varies(field: FieldInfo) -> bool:
    takes_data = getattr(field, "default_factory_takes_validated_data", False)  # of pydantic 2.10 and later
    return field.default_factory is not None and (bool(takes_data) or factory_varies(field.default_factory))


def _max_length(field: FieldInfo) -> int | None:
    """Return how long a value may be: of several bounds pydantic keeps the last."""
    lengths = (getattr(mark, "max_length", None) for mark in reversed(field.metadata))
    return next((length for length in lengths if isinstance(length, int)), None)


def _aliases(cls: type, fields: Mapping[str, FieldInfo], config: Mapping[str, Any]) -> dict[str, str]:
    """Return the constructor's name for each field.

    Raises:
        SchemaError: a field has none, or another field would take what is given under it.
    """
    read = {name: [*_paths(name, field, config)] for name, field in fields.items()}
    found: dict[str, str] = {}
    for name, paths in read.items():
        whole = [path[0] for path in paths if len(path) == 1]
        if not whole:
            raise SchemaError(
                f"{cls.__qualname__}.{name}: its alias is a path into something else; give it a name as well, with "
                f"AliasChoices, or set populate_by_name"
            )
        found[name] = whole[0]
        for other in read.keys() - {name}:
            if any(path[0] == whole[0] for path in read[other]):
                raise SchemaError(f"{cls.__qualname__}.{name}: {other} is read from {whole[0]!r}, too")
    return found


def _paths(name: str, field: FieldInfo, config: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the ways from what a constructor is given to a field's value, its own name first where it counts."""
    if config.get("populate_by_name") or config.get("validate_by_name"):
        yield (name,)
    alias = field.validation_alias if config.get("validate_by_alias") is not False else None
    for choice in alias.choices if isinstance(alias, AliasChoices) else [alias or name]:
        yield (choice,) if isinstance(choice, str) else tuple(map(str, choice.path))

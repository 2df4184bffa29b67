"""The kinds of declared classes: attrs classes, dataclasses and Structs, and which kind a class is of."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any, ClassVar, Final, cast

import attrs
import msgspec
from typing_extensions import override

from typed_sessions.errors import SchemaError
from typed_sessions.schema.annotations import origin_class, resolved_annotations
from typed_sessions.schema.kinds.base import Kind, Member, factory_varies, is_generated
from typed_sessions.schema.sameness import is_model

__all__ = ["kind_of"]


def kind_of(declared: object) -> Kind | None:
    """Return the adapter of a declared class, with or without type arguments, or None if it is of no known kind.

    Raises:
        SchemaError: it is of one, and cannot be stored; the message names it.
    """
    cls = origin_class(declared)
    if cls is None:
        return None
    if attrs.has(cls):
        return AttrsKind(cls, declared)
    if issubclass(cls, msgspec.Struct):
        return StructKind(cls, declared)
    if is_model(cls) or hasattr(cls, "__pydantic_fields__"):
        from typed_sessions.schema.kinds import pydantic_kind  # noqa: PLC0415 -- imports pydantic, which few have

        is_dataclass = not is_model(cls)
        return pydantic_kind.PydanticDataclassKind(cls, declared) if is_dataclass else pydantic_kind.ModelKind(cls)
    if dataclasses.is_dataclass(cls):
        return DataclassKind(cls, declared)
    if hasattr(cls, "__fields__") and hasattr(cls, "__validators__"):
        raise SchemaError(f"{cls.__qualname__} is a model of pydantic 1; declare it with pydantic 2")
    return None


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
                each.name,
                annotations.get(each.name, each.type),
                required=each.init and each.default is dataclasses.MISSING is each.default_factory,
                varies=not each.init or factory_varies(each.default_factory, dataclasses.MISSING),
                in_constructor=each.init,
            )
            for each in dataclasses.fields(cls)
        ]
        is_own = hasattr(cls, "__post_init__") or not is_generated(cls, "<string>")
        super().__init__(cls, members, frozen=cls.__dataclass_params__.frozen, has_own_constructor=is_own)


class StructKind(Kind):
    """A `msgspec.Struct`."""

    _library: ClassVar[type[Any]] = msgspec.Struct

    def __init__(self, cls: Any, declared: object) -> None:
        annotations = resolved_annotations(declared)
        members = [
            Member(
                each.name,
                annotations.get(each.name, each.type),
                required=each.required,
                varies=factory_varies(each.default_factory, msgspec.NODEFAULT),
            )
            for each in msgspec.structs.fields(cls)
        ]
        is_own = hasattr(cls, "__post_init__") or cls.__init__ is not msgspec.Struct.__init__
        super().__init__(cls, members, frozen=cls.__struct_config__.frozen, has_own_constructor=is_own)

    @override
    def copied(self, instance: Any, *, computed: bool = True) -> object:
        missing = [name for name in self.members if not hasattr(instance, name)]
        for name in missing:  # msgspec copies no Struct that lacks an attribute
            self.force(instance, name, None)
        made: object = self._library.__copy__(instance)  # not the one that a class of the user's may have
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


class AttrsKind(Kind):
    """An attrs class."""

    def __init__(self, cls: Any, declared: object) -> None:
        if "__attrs_attrs__" not in vars(cls):
            base = next(base for base in cls.__mro__ if "__attrs_attrs__" in vars(base))
            raise SchemaError(
                f"{cls.__qualname__} is based on the attrs class {base.__qualname__} and is none itself, so what it "
                f"adds would not be stored; decorate it, too: @define"
            )
        annotations = resolved_annotations(declared)
        members = [
            Member(
                field.name,
                annotations.get(field.name, field.type),
                alias=field.alias or field.name,
                required=field.init and field.default is attrs.NOTHING,
                varies=not field.init or _varies(field.default),
                in_constructor=field.init,
                converts=field.converter is not None,
                validates=field.validator is not None,
                source=field,
            )
            for field in attrs.fields(cls)
        ]
        has_hook = any(hasattr(cls, hook) for hook in ("__attrs_pre_init__", "__attrs_post_init__"))
        is_own = has_hook or not is_generated(cls, "<attrs generated")
        super().__init__(cls, members, frozen=attrs.inspect(cls).is_frozen, has_own_constructor=is_own)

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


_CACHED_HASH: Final = "_attrs_cached_hash"


def _varies(default: Any) -> bool:
    is_factory = isinstance(default, cast("type", attrs.Factory))  # a class, which attrs types as a function
    return is_factory and (default.takes_self or factory_varies(default.factory))

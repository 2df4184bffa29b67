"""Models and dataclasses of pydantic as kinds of declared class.

It imports pydantic, so `known` imports it where such a class is met.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from enum import IntEnum
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
from typed_sessions.schema.sameness import attribute_of, is_model, same

__all__ = ["Effect", "ModelKind", "PydanticDataclassKind", "effect_of"]


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
        effect = effect_of(cls.__pydantic_core_schema__)
        self._frozen_fields: Final = frozenset(name for name, field in fields.items() if field.frozen)
        aliases = _aliases(cls, fields, config)
        members = [
            Member(
                name,
                annotations.get(name, field.annotation),
                alias=aliases[name],
                required=field.init is not False and field.is_required(),
                varies=field.init is False or _varies(field),
                in_constructor=field.init is not False,
                validates=effect is not Effect.NONE,
                source=field,
                deprecated=is_model(cls) and field.deprecation_message is not None,
            )
            for name, field in fields.items()
        ]
        is_own = effect is Effect.ALTERS
        super().__init__(cls, members, frozen=bool(config.get("frozen")), has_own_constructor=is_own)

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
        given = self._held(instance) | dict(values)
        made = self._called(given)
        self._put_back(made, {name: value for name, value in given.items() if self.members[name].in_constructor})
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


_FIELDS_SET: Final = "__pydantic_fields_set__"
_BESIDE: Final = (_FIELDS_SET, "__pydantic_extra__", "__pydantic_private__")
"""What a model keeps beside its fields, in containers that a copy must not share."""


def _complete(cls: Any, rebuild: Callable[[], object]) -> None:
    """Have pydantic resolve what it could not while the class was made. Raises SchemaError if it still cannot."""
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


def _aliases(cls: type, fields: Mapping[str, FieldInfo], config: Mapping[str, Any]) -> dict[str, str]:
    """Return the constructor's name for each field. Raises SchemaError if it has none of its own."""
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


class Effect(IntEnum):
    """What becomes of values that are of their types. Told from the core schema, by which pydantic itself goes.

    That is nodes of validation, one in another. A node that is not known here counts as one that alters values, so what
    a later release of pydantic adds is slower, and not wrong.
    """

    NONE = 0
    """They come out equal: the same, but for containers, which are made anew."""
    REFUSES = 1
    """The same, or they are refused, for they keep no bound."""
    ALTERS = 2
    """Anything: code of the user's may run."""


def effect_of(schema: Mapping[str, Any]) -> Effect:
    """Return what a class's core schema does to the values of its fields."""
    known: dict[str, Mapping[str, Any]] = {}
    if schema["type"] == "definitions":
        known = {each["ref"]: each for each in schema["definitions"]}
        schema = schema["schema"]
    if schema["type"] == "definition-ref":
        schema = known.get(schema["schema_ref"], schema)
    if schema["type"] not in _CLASSES or schema.get("custom_init") or schema.get("post_init"):
        return Effect.ALTERS
    return max(_of_keys(schema), _Walk(known).effect(schema["schema"]))


class _Walk:
    """A way through the nodes of a core schema."""

    def __init__(self, known: Mapping[str, Mapping[str, Any]]) -> None:
        self._known = known
        """The nodes that others refer to, by their references."""
        self._passed: set[str] = set()

    def effect(self, node: Mapping[str, Any]) -> Effect:
        if node["type"] == "definition-ref":
            reference: str = node["schema_ref"]
            if reference in self._passed:
                return Effect.NONE  # but for what was found on the way to here
            self._passed.add(reference)
            return self.effect(self._known[reference]) if reference in self._known else Effect.ALTERS
        if node["type"] not in _KNOWN:
            return Effect.ALTERS
        if node["type"] == "union" and not self._is_told_by_class(node):
            return Effect.ALTERS
        return max((_of_keys(node), *map(self.effect, _parts(node))))

    def _is_told_by_class(self, union: Mapping[str, Any]) -> bool:
        """Return True if the class of a value says which choice it is of, so that pydantic tries none that takes it."""
        choices = [self._resolved(choice) for choice in _choices(union)]
        types = ["instance" if choice["type"] in _CLASSES else choice["type"] for choice in choices]
        if {"instance", "typed-dict"} & {*types} and "dict" in types:
            return False  # a dict may become the instance
        told = [each for each in types if each != "instance"]
        return _TOLD_BY_CLASS.issuperset(types) and len(told) == len({*told})

    def _resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._known.get(node["schema_ref"], node) if node["type"] == "definition-ref" else node


def _parts(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the nodes of what a value holds. A class that is nested takes its instances as they are."""
    if node["type"] in ("model-fields", "typed-dict"):
        yield from (field["schema"] for field in node["fields"].values())
    elif node["type"] == "dataclass-args":
        yield from (field["schema"] for field in node["fields"])
    elif node["type"] == "tuple":
        yield from node["items_schema"]
    elif node["type"] == "union":
        yield from _choices(node)
    elif node["type"] not in _CLASSES:
        inner = (node.get(key) for key in ("schema", "items_schema", "keys_schema", "values_schema"))
        yield from (part for part in inner if part is not None)


def _choices(union: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (choice[0] if isinstance(choice, tuple) else choice for choice in union["choices"])


def _of_keys(node: Mapping[str, Any]) -> Effect:
    """Return what the keys of a node do, all of which have to be known."""
    config: Mapping[str, Any] = node.get("config", {})
    keys = {*config, *node} - _HARMLESS
    if not keys and node["type"] != "decimal":  # which refuses what is no number
        return Effect.NONE
    return Effect.REFUSES if keys <= _BOUNDS else Effect.ALTERS


_CLASSES: Final = ("model", "dataclass")
_TOLD_BY_CLASS: Final = frozenset(
    {
        *("none", "bool", "int", "float", "decimal", "str", "bytes", "date", "time", "datetime", "timedelta", "uuid"),
        *("list", "set", "frozenset", "tuple", "dict", "typed-dict", "instance"),
    }
)
"""The nodes that take what is exactly of their class before any other node of a union may."""
_KNOWN: Final = frozenset(
    {
        *(*_TOLD_BY_CLASS, *_CLASSES, "any", "enum", "literal", "is-instance", "nullable", "union", "default"),
        *("model-fields", "dataclass-args"),
    }
)
"""The nodes that give back what they are given, if it is of their type and they have no other keys than these."""
_HARMLESS: Final = frozenset(
    {
        *("type", "ref", "metadata", "serialization", "strict", "config", "schema", "fields", "choices", "expected"),
        *("title", "from_attributes", "populate_by_name", "loc_by_alias", "hide_input_in_errors", "cache_strings"),
        *("validate_by_name", "validate_by_alias", "serialize_by_alias", "extra_fields_behavior", "regex_engine"),
        *("ser_json_timedelta", "ser_json_bytes", "ser_json_inf_nan", "ser_json_temporal", "val_json_bytes"),
        *("items_schema", "keys_schema", "values_schema", "fail_fast", "variadic_item_index", "auto_collapse"),
        *("cls", "cls_name", "cls_repr", "members", "sub_type", "missing", "model_name", "dataclass_name", "total"),
        *("default", "default_factory", "default_factory_takes_data", "copy_default", "validate_default", "slots"),
        *("custom_init", "post_init", "root_model", "frozen", "generic_origin", "extra_behavior", "computed_fields"),
        *("collect_init_only", "microseconds_precision"),  # of text
    }
)
"""The keys, of nodes and of configurations, that do nothing to a value of its type, or are looked at elsewhere."""
_BOUNDS: Final = frozenset(
    {
        *("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "max_digits", "decimal_places"),
        *("allow_inf_nan", "str_min_length", "str_max_length", "tz_constraint", "now_op", "version"),
    }
)
"""The keys by which a node may refuse a value, and does nothing else to it."""

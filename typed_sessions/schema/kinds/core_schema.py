"""What pydantic does to a value that is of its field's type already, told from its core schema.

A core schema is what pydantic itself goes by: nodes of validation, one in another. A node that is not known here counts
as one that alters values, so what a later release of pydantic adds is slower, and not wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, Final

__all__ = ["Effect", "effect_of"]


class Effect(IntEnum):
    """What becomes of values that are of their types."""

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
    """A way through the nodes of a core schema.

    Args:
        known: the nodes that others refer to, by their references.
    """

    def __init__(self, known: Mapping[str, Mapping[str, Any]]) -> None:
        self._known = known
        self._passed: set[str] = set()

    def effect(self, node: Mapping[str, Any]) -> Effect:
        if node["type"] == "definition-ref":
            reference: str = node["schema_ref"]
            if reference in self._passed:
                return Effect.NONE  # but for what was found on the way to here
            self._passed.add(reference)
            return self.effect(self._known[reference]) if reference in self._known else Effect.ALTERS
        if node["type"] not in _KEYS:
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
    keys = {*config, *node} - _HARMLESS - _KEYS.get(node["type"], _NO_KEYS)
    if not keys and node["type"] != "decimal":  # which refuses what is no number
        return Effect.NONE
    return Effect.REFUSES if keys <= _BOUNDS else Effect.ALTERS


_CLASSES: Final = ("model", "dataclass")
_NO_KEYS: Final[frozenset[str]] = frozenset()
_HARMLESS: Final = frozenset(
    {
        *("type", "ref", "metadata", "serialization", "strict", "config"),
        *("title", "from_attributes", "populate_by_name", "loc_by_alias", "hide_input_in_errors", "cache_strings"),
        *("validate_by_name", "validate_by_alias", "serialize_by_alias", "extra_fields_behavior", "regex_engine"),
        *("ser_json_timedelta", "ser_json_bytes", "ser_json_inf_nan", "ser_json_temporal", "val_json_bytes"),
    }
)
"""The keys, of any node and of any configuration, that do nothing to a value of its type."""
_BOUNDS: Final = frozenset(
    {
        *("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "max_digits", "decimal_places"),
        *("allow_inf_nan", "str_min_length", "str_max_length", "tz_constraint", "now_op", "version"),
    }
)
"""The keys by which a node may refuse a value, and does nothing else to it."""
_MOMENT: Final = frozenset({"microseconds_precision"})  # of text
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("any", "none", "bool", "int", "float", "decimal", "str", "bytes", "date", "uuid"), _NO_KEYS),
    **dict.fromkeys(("time", "datetime", "timedelta"), _MOMENT),
    **dict.fromkeys(("list", "set", "frozenset"), frozenset({"items_schema", "fail_fast"})),
    "tuple": frozenset({"items_schema", "variadic_item_index", "fail_fast"}),
    "dict": frozenset({"keys_schema", "values_schema"}),
    "enum": frozenset({"cls", "members", "sub_type", "missing"}),
    "literal": frozenset({"expected"}),
    "is-instance": frozenset({"cls", "cls_repr"}),
    "nullable": frozenset({"schema"}),
    "union": frozenset({"choices", "auto_collapse"}),
    "default": frozenset(
        {"schema", "default", "default_factory", "default_factory_takes_data", "copy_default", "validate_default"}
    ),
    "model": frozenset(
        {"cls", "schema", "custom_init", "root_model", "frozen", "post_init", "generic_origin", "extra_behavior"}
    ),
    "model-fields": frozenset({"fields", "model_name", "computed_fields", "extra_behavior"}),
    "dataclass": frozenset({"cls", "schema", "fields", "frozen", "slots", "post_init", "generic_origin"}),
    "dataclass-args": frozenset({"fields", "dataclass_name", "computed_fields", "collect_init_only"}),
    "typed-dict": frozenset({"fields", "cls", "cls_name", "total", "computed_fields", "extra_behavior"}),
}
"""The nodes that give back what they are given, if it is of their type, each with the keys that say nothing more."""
_TOLD_BY_CLASS: Final = frozenset(
    {
        *("none", "bool", "int", "float", "decimal", "str", "bytes", "date", "time", "datetime", "timedelta", "uuid"),
        *("list", "set", "frozenset", "tuple", "dict", "typed-dict", "instance"),
    }
)
"""The nodes that take what is exactly of their class before any other node of a union may."""

"""Every kind of declared class is made, changed and compared alike."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
import pytest
from attrs import Factory, define, field, frozen

from typed_sessions import FieldTypeError, Schema, SchemaError
from typed_sessions.codec import Codec, Decoded
from typed_sessions.kinds import kind_of
from typed_sessions.sameness import same
from typed_sessions.serializers import TaggedJSONSerializer

T = TypeVar("T")


@define
class AttrsItem:
    sku: str
    price: float = 0.0


@define
class AttrsVisitor:
    user_id: int | None = None
    cart: list[AttrsItem] = Factory(list[AttrsItem])
    _secret: str = ""


@frozen
class FrozenAttrs:
    user_id: int | None = None
    cart: tuple[AttrsItem, ...] = ()
    _secret: str = ""


@dataclass
class DataItem:
    sku: str
    price: float = 0.0


@dataclass
class DataVisitor:
    user_id: int | None = None
    cart: list[DataItem] = dataclasses.field(default_factory=list)
    _secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenData:
    user_id: int | None = None
    cart: tuple[DataItem, ...] = ()
    _secret: str = ""


class StructItem(msgspec.Struct):
    sku: str
    price: float = 0.0


class StructVisitor(msgspec.Struct):
    user_id: int | None = None
    cart: list[StructItem] = msgspec.field(default_factory=list[StructItem])
    _secret: str = ""


class FrozenStruct(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    user_id: int | None = None
    cart: tuple[StructItem, ...] = ()
    _secret: str = ""


KINDS = [
    pytest.param(AttrsVisitor, AttrsItem, id="attrs"),
    pytest.param(FrozenAttrs, AttrsItem, id="attrs-frozen"),
    pytest.param(DataVisitor, DataItem, id="dataclass"),
    pytest.param(FrozenData, DataItem, id="dataclass-frozen"),
    pytest.param(StructVisitor, StructItem, id="struct"),
    pytest.param(FrozenStruct, StructItem, id="struct-frozen"),
]


SCHEMAS = [AttrsVisitor, FrozenAttrs, DataVisitor, FrozenData, StructVisitor, FrozenStruct]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_fields_go_by_attribute_names(schema: Any) -> None:
    assert list(Schema(schema).fields) == ["user_id", "cart", "_secret"]


@pytest.mark.parametrize(("schema", "item"), KINDS)
def test_what_is_written_comes_back(schema: Any, item: Any) -> None:
    codec = Codec(Schema[Any](schema), TaggedJSONSerializer())
    cart = type(codec.schema.create().cart)([item("a", 1.5), item("b")])
    stored = {"user_id": 7, "cart": cart, "_secret": "s"}
    outcome = codec.decode(codec.encode_readable(stored))
    assert isinstance(outcome, Decoded)
    assert type(outcome.contents.data) is schema
    assert same(outcome.contents.stored(), stored)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_field_is_assigned_and_a_frozen_object_has_a_successor(schema: Any) -> None:
    compiled = Schema[Any](schema)
    before = compiled.create()
    after = compiled.assign(before, "user_id", 7)
    assert after.user_id == 7
    assert (after is before) is ("Frozen" not in schema.__name__)


@pytest.mark.parametrize(("schema", "item"), KINDS)
def test_a_nested_value_of_the_wrong_type_is_named(schema: Any, item: Any) -> None:
    compiled = Schema[Any](schema)
    cart = type(compiled.create().cart)([item("a", "1")])
    with pytest.raises(FieldTypeError, match=rf"{schema.__name__}\.cart\[0\]\.price must be float, not str"):
        compiled.assign(compiled.create(), "cart", cart)


@dataclass
class NoInit:
    n: int = dataclasses.field(default=0, init=False)


@define
class AttrsNoInit:
    n: int = field(default=0, init=False)


@pytest.mark.parametrize("schema", [NoInit, AttrsNoInit])
def test_attributes_outside_the_constructor_are_fields(schema: Any) -> None:
    assert Schema[Any](schema).construct({"n": 3}).n == 3


@dataclass
class DataBox(Generic[T]):
    held: T | None = None


class StructBox(msgspec.Struct, Generic[T]):
    held: T | None = None


@pytest.mark.parametrize("schema", [DataBox[int], StructBox[int]])
def test_generic_classes_take_their_arguments(schema: Any) -> None:
    with pytest.raises(FieldTypeError):
        Schema[Any](schema).admit("held", "x")
    assert Schema[Any](schema).admit("held", 7) == 7


@dataclass
class RequiredData:
    user_id: int


class RequiredStruct(msgspec.Struct):
    user_id: int


@pytest.mark.parametrize("schema", [RequiredData, RequiredStruct])
def test_a_required_field_is_named(schema: Any) -> None:
    with pytest.raises(SchemaError, match=rf"{schema.__name__}\.user_id has no default"):
        Schema(schema)


def test_what_is_no_declared_class_has_no_kind() -> None:
    assert kind_of(int) is None
    assert kind_of(7) is None

"""Every kind of declared class is made, changed and compared alike."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Annotated, Any, Generic, NotRequired, Self, TypeVar

import msgspec
import pytest
from attrs import Factory, define, field, frozen, setters, validators
from typing_extensions import ReadOnly, TypedDict, override

from typed_sessions import Essential, FieldTypeError, Schema, SchemaError, SecureCookieSession
from typed_sessions.codec.codec import Codec, Loaded
from typed_sessions.reports import FieldReset, Reason, Refused, UndeclaredNestedKeys
from typed_sessions.schema.kinds.known import kind_of
from typed_sessions.schema.sameness import same
from typed_sessions.serializers import MsgspecJSONSerializer, MsgspecMsgpackSerializer, TaggedJSONSerializer

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
    outcome = codec.decode(codec.write_stored(stored).payload)
    assert isinstance(outcome, Loaded)
    assert type(outcome.contents.data) is schema
    assert same(outcome.contents.stored(), stored)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_field_is_assigned_and_a_frozen_object_has_a_successor(schema: Any) -> None:
    compiled = Schema[Any](schema)
    before = compiled.create()
    after = compiled.assign(before, {"user_id": 7}).commit()
    assert after.user_id == 7
    assert (after is before) is ("Frozen" not in schema.__name__)


class Greeting:
    """What a class computes once of its fields."""

    @cached_property
    def greeting(self) -> str:
        return f"{getattr(self, 'user', None)}, {getattr(self, 'visits', None)}"


@frozen
class GreetedAttrs:
    user: str = ""
    visits: int = field(default=0, init=False)

    @cached_property
    def greeting(self) -> str:
        return f"{self.user}, {self.visits}"


@frozen(slots=False)
class GreetedOpenAttrs(Greeting):
    user: str = ""
    visits: int = field(default=0, init=False)


@dataclass(frozen=True)
class GreetedData(Greeting):
    user: str = ""
    visits: int = dataclasses.field(default=0, init=False)


class GreetedStruct(msgspec.Struct, frozen=True, dict=True):
    user: str = ""
    visits: int = 0

    @cached_property
    def greeting(self) -> str:
        return f"{self.user}, {self.visits}"


@pytest.mark.parametrize("schema", [GreetedAttrs, GreetedOpenAttrs, GreetedData, GreetedStruct])
def test_the_successor_of_a_frozen_object_keeps_nothing_that_was_computed_of_the_former_one(schema: Any) -> None:
    session: SecureCookieSession[Any] = SecureCookieSession({"user": "ada", "visits": 1}, schema=schema)
    assert session.data.greeting == "ada, 1"
    session["visits"] = 2
    assert session.data.greeting == "ada, 2"
    session.update(user="bob", visits=3)
    assert session.data.greeting == "bob, 3"
    del session["visits"]
    assert session.data.greeting == "bob, 0"
    session.clear()
    assert session.data.greeting == ", 0"


@pytest.mark.parametrize(("schema", "item"), KINDS)
def test_a_nested_value_of_the_wrong_type_is_named(schema: Any, item: Any) -> None:
    compiled = Schema[Any](schema)
    cart = type(compiled.create().cart)([item("a", "1")])
    with pytest.raises(FieldTypeError, match=rf"{schema.__name__}\.cart\[0\]\.price must be float, not str"):
        compiled.assign(compiled.create(), {"cart": cart}).commit()


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
        Schema[Any](schema).validate("held", "x")
    assert Schema[Any](schema).validate("held", 7) == 7


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


class Line(TypedDict):
    sku: str
    quantity: NotRequired[int]


class Base(TypedDict, total=False):
    user_id: int | None


class Cart(Base, total=False):
    lines: list[Line]
    seen: ReadOnly[datetime]
    admin: Annotated[bool, Essential]


def cart_codec(serializer: Any = None) -> Codec[Cart]:
    return Codec(Schema[Cart](Cart), serializer or TaggedJSONSerializer())


def test_the_keys_of_a_typeddict_are_fields_inherited_ones_included() -> None:
    fields = Schema[Cart](Cart).fields
    assert list(fields) == ["user_id", "lines", "seen", "admin"]
    assert fields["admin"].essential


@pytest.mark.parametrize(
    "serializer", [TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer()], ids=lambda s: s.name
)
def test_a_typeddict_comes_back_with_its_types(serializer: Any) -> None:
    codec = cart_codec(serializer)
    stored: dict[str, object] = {
        "user_id": None,
        "lines": [{"sku": "a"}, {"sku": "b", "quantity": 2}],
        "seen": datetime(2026, 1, 2, tzinfo=UTC),
        "extra": (1, 2),
    }
    outcome = codec.decode(codec.write_stored(stored).payload)
    assert isinstance(outcome, Loaded)
    assert same(outcome.contents.stored(), stored)
    assert same(dict(outcome.contents.data), stored)


def test_a_key_of_a_typeddict_is_stored_while_it_is_there() -> None:
    session: SecureCookieSession[Cart] = SecureCookieSession(schema=Schema[Cart](Cart))
    assert "user_id" not in session
    session.data["user_id"] = None
    assert session == {"user_id": None}
    session.data["undeclared"] = 1  # type: ignore[typeddict-unknown-key]  # counts as an extra
    assert dict(session.extras) == {"undeclared": 1}
    del session["user_id"]
    assert dict(session.data) == {"undeclared": 1}


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        pytest.param("user_id", "7", r"Cart\.user_id", id="key"),
        pytest.param("lines", [{"sku": "a"}, {"sku": 1}], r"Cart\.lines\[1\]\['sku'\]", id="nested"),
        pytest.param("lines", [{}], r"Cart\.lines\[0\]\['sku'\]", id="missing"),
        pytest.param("lines", [{"sku": "a", "size": 1}], r"Cart\.lines\[0\] must be Line", id="unknown"),
    ],
)
def test_a_wrong_value_in_a_typeddict_is_named(key: str, value: object, place: str) -> None:
    session: SecureCookieSession[Cart] = SecureCookieSession(schema=Schema[Cart](Cart))
    with pytest.raises(FieldTypeError, match=place):
        session[key] = value
    assert not session


def test_a_stored_key_that_does_not_fit_is_reset_alone() -> None:
    outcome = cart_codec().decode(b'{"user_id":"x","lines":[{"sku":"a","gone":1}]}')
    assert isinstance(outcome, Loaded)
    assert outcome.contents.stored() == {"lines": [{"sku": "a"}]}
    assert outcome.reports == (FieldReset("user_id", "int | None"), UndeclaredNestedKeys("Line", 1))
    assert cart_codec().decode(b'{"admin":"yes"}') == Refused(Reason.FIELD, "admin")


class Held(TypedDict, Generic[T], total=False):
    held: T
    more: NotRequired[list[T]]


class HeldDate(Held[date], total=False):
    seen: bool


class HoldsBoth(TypedDict, total=False):
    either: Held[int] | Held[str]


def test_generic_typeddicts_take_their_arguments() -> None:
    assert [field.type.text for field in Schema[Any](Held[date]).fields.values()] == ["date", "list[date]"]
    assert [field.type.text for field in Schema[Any](HeldDate).fields.values()] == ["date", "list[date]", "bool"]
    codec = Codec(Schema[Any](HoldsBoth), MsgspecJSONSerializer())
    for stored in ({"either": {"held": 7}}, {"either": {"held": "a", "more": ["b"]}}):
        outcome = codec.decode(codec.write_stored(stored).payload)
        assert isinstance(outcome, Loaded)
        assert outcome.contents.stored() == stored


class RequiredKey(TypedDict):
    user_id: int


def test_a_required_key_is_named() -> None:
    with pytest.raises(SchemaError, match=r"RequiredKey\.user_id is a required key"):
        Schema[RequiredKey](RequiredKey)  # type: ignore[arg-type]  # the misuse


@define
class Configured:
    limit: int
    cart: list[str]


def configured() -> Configured:
    return Configured(5, ["welcome gift"])


def test_the_values_that_a_function_gives_are_the_defaults() -> None:
    session = SecureCookieSession(schema=configured)
    assert session.data == Configured(5, ["welcome gift"])
    assert not session
    session.data.limit = 6
    session.data.cart.append("a")
    assert session == {"limit": 6, "cart": ["welcome gift", "a"]}
    session.clear()
    assert session.data == Configured(5, ["welcome gift"])


def test_what_a_function_made_comes_back() -> None:
    codec = Codec(Schema(configured), TaggedJSONSerializer())
    outcome = codec.decode(codec.write_stored({"limit": 6}).payload)
    assert isinstance(outcome, Loaded)
    assert outcome.contents.data == Configured(6, ["welcome gift"])


SHARED = Configured(5, [])


def failing() -> Configured:
    raise RuntimeError("no database")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        pytest.param(lambda: SHARED, "is in the default of all visitors", id="one-for-all"),
        pytest.param(lambda: 7, "cannot be the schema of a session", id="no-class"),
        pytest.param(failing, "failing cannot be called without arguments: no database", id="failing"),
    ],
)
def test_a_function_that_makes_no_schema_is_refused(function: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Schema(function)


@define
class Validated:
    text: str = field(default="", validator=validators.max_len(9))


@frozen
class FrozenValidated:
    text: str = field(default="", validator=validators.max_len(9))


@define
class Converting:
    text: str = field(default="", converter=str)


@define
class Initialized:
    text: str = ""

    def __attrs_post_init__(self) -> None:
        """May change anything."""


@define
class OwnAssignment:
    text: str = ""

    @override
    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)


@define(on_setattr=setters.NO_OP)
class OwnAssignmentAndValidated:
    text: str = field(default="", validator=validators.max_len(9))

    @override
    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)


def as_it_is(_: object, __: object, value: object) -> object:
    return value


@define(on_setattr=as_it_is)
class Hooked:
    text: str = ""


@dataclass
class DataWithOwnAssignment:
    text: str = ""

    @override
    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)


@define
class Interned:
    text: str = ""

    def __new__(cls, text: str = "") -> Self:  # noqa: ARG004 -- takes what the constructor takes
        return super().__new__(cls)


@define
class WithAWriter:
    text: str = ""

    def __init__(self, text: str = "") -> None:
        self.__attrs_init__(text)  # type: ignore[attr-defined]  # which attrs makes


@pytest.mark.parametrize(
    ("schema", "holds", "has_user_code"),
    [
        (AttrsVisitor, True, False),
        (FrozenAttrs, True, False),
        (StructVisitor, True, False),
        (configured, False, False),
        (Validated, True, True),
        (FrozenValidated, True, True),
        (Hooked, True, True),
        (Converting, False, True),
        (Initialized, False, True),
        (OwnAssignment, False, True),
        (OwnAssignmentAndValidated, False, True),
        (DataWithOwnAssignment, False, True),
        (Interned, False, True),
        (WithAWriter, False, True),
    ],
)
def test_a_class_that_holds_what_it_is_given_is_told_from_one_with_user_code(
    schema: Any, *, holds: bool, has_user_code: bool
) -> None:
    compiled = Schema[Any](schema)
    assert (compiled.plain_class is not None, compiled.has_user_code) == (holds, has_user_code)

"""Models and dataclasses of pydantic as schemas: by its own rules, and by the laws that all kinds keep."""

from __future__ import annotations

import copy
import secrets
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Final, Generic, Literal, Self, TypeVar
from uuid import UUID

import msgspec
import pydantic
import pytest
from attrs import define
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    ValidationError,
    computed_field,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict, override

from tests.cases import for_each
from typed_sessions import (
    Essential,
    FieldTypeError,
    FieldValueError,
    Formerly,
    Merge,
    Schema,
    SchemaError,
    SecureCookieSession,
    SerializationError,
    Subject,
)
from typed_sessions.codec.codec import Codec, Loaded
from typed_sessions.codec.contents import contents_of
from typed_sessions.reports import FieldReset, Reason, Refused
from typed_sessions.schema.kinds.pydantic_kind import Effect, effect_of
from typed_sessions.serializers import MsgspecJSONSerializer, MsgspecMsgpackSerializer, TaggedJSONSerializer

T = TypeVar("T")

SERIALIZERS: Final[dict[str, Any]] = {
    each.name: each for each in (TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer())
}
EACH_PATH: Final = for_each(
    ("serializer", "generates"), [(name, generates) for name in SERIALIZERS for generates in (True, False)]
)


def codec_of(schema: Any, serializer: str = "tagged-json", *, generates: bool = True) -> Codec[Any]:
    return Codec(Schema[Any](schema), SERIALIZERS[serializer], generates=generates)


def session_of(schema: Any, **stored: object) -> SecureCookieSession[Any]:
    return SecureCookieSession(stored, schema=schema)


def loaded(codec: Codec[Any], payload: bytes) -> Loaded[Any]:
    outcome = codec.decode(payload)
    assert isinstance(outcome, Loaded)
    return outcome


def again(codec: Codec[Any], session: SecureCookieSession[Any]) -> Any:
    """Return the data of a session after it was written and read."""
    outcome = loaded(codec, codec.write_stored(dict(session)).payload)
    assert not outcome.reports
    return outcome.contents.data


class Item(BaseModel):
    sku: str = Field(max_length=4)
    price: float = 0.0


class Visitor(BaseModel):
    user_id: int | None = Field(default=None, ge=1)
    name: str = ""
    cart: list[Item] = []

    @field_validator("name")
    @classmethod
    def strip(cls, name: str) -> str:
        if name == "nobody":
            raise ValueError("nobody has this name")
        return name.strip()


# What its rules refuse


@pytest.mark.parametrize("validates", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_key_takes_what_the_model_takes(*, frozen: bool, validates: bool) -> None:
    class Bounded(Visitor):
        model_config = ConfigDict(frozen=frozen, validate_assignment=validates)

    session = session_of(Bounded, user_id=7)
    session["name"] = " ada "
    assert session["name"] == session.data.name == "ada"
    for key, value in (("user_id", 0), ("name", "nobody")):
        with pytest.raises(
            FieldValueError, match=rf"Bounded\.{key}: its converter or validator refuses the value"
        ) as e:
            session[key] = value
        assert isinstance(e.value.__cause__, ValidationError)
    with pytest.raises(FieldTypeError, match=r"Bounded\.user_id must be int \| None, not str"):
        session["user_id"] = "8"  # which pydantic would convert, and no type checker takes
    assert dict(session) == {"user_id": 7, "name": "ada"}


@EACH_PATH
def test_what_is_stored_and_no_longer_taken_is_reset_by_name(serializer: str, generates: bool) -> None:
    payload = codec_of(None, serializer).payload({"user_id": 0, "name": " ada", "cart": [{"sku": "a"}]})
    outcome = loaded(codec_of(Visitor, serializer, generates=generates), payload)
    assert [(report.field, report.path) for report in outcome.reports if isinstance(report, FieldReset)] == [
        ("user_id", "")
    ]
    assert outcome.contents.data == Visitor(name="ada", cart=[Item(sku="a")])


@EACH_PATH
def test_what_is_set_in_the_data_and_not_taken_is_not_saved(serializer: str, generates: bool) -> None:
    codec = codec_of(Visitor, serializer, generates=generates)
    for change, message in (
        (lambda data: setattr(data, "user_id", 0), "user_id"),
        (lambda data: setattr(data, "user_id", "7"), r"user_id must be int \| None, not str"),
        (lambda data: setattr(data, "name", " ada "), "name would read back as another value"),
        (lambda data: data.cart.append(Item.model_construct(sku="abcde", price=0.0)), r"cart\[0\]"),
    ):
        outcome = loaded(codec, codec.payload({"name": "bob"}))
        change(outcome.contents.data)
        changes = codec.diff(outcome.contents, outcome.snapshot)
        assert changes is not None
        with pytest.raises(SerializationError, match=message):
            codec.encode(outcome.snapshot, changes)


class Span(BaseModel):
    begin: int = 0
    end: int = 0

    @model_validator(mode="after")
    def ends_after_it_begins(self) -> Self:
        if self.end < self.begin:
            raise ValueError("it ends before it begins")
        return self


class FrozenSpan(Span, frozen=True):  # type: ignore[misc]  # mypy takes models for dataclasses
    pass


def test_a_validator_of_the_whole_model_sees_what_is_set_by_key() -> None:
    session = session_of(Span, end=5)
    with pytest.raises(FieldValueError, match=r"Span\.begin"):
        session["begin"] = 6
    session.update(end=9, begin=8)
    assert dict(session) == {"end": 9, "begin": 8}
    with pytest.raises(FieldValueError, match=r"Span\.end"):
        session.update(begin=1, end=0)
    assert session.data == Span(begin=8, end=9)


def test_a_frozen_model_is_validated_once_with_all_values() -> None:
    session = session_of(FrozenSpan, begin=1, end=5)
    session.update(begin=8, end=9)
    assert session.data == FrozenSpan(begin=8, end=9)
    with pytest.raises(FieldValueError, match=r"FrozenSpan\.begin, FrozenSpan\.end: a converter or validator refuses"):
        session.update(begin=3, end=2)
    assert dict(session) == {"begin": 8, "end": 9}


@EACH_PATH
def test_what_the_whole_model_refuses_refuses_the_session(serializer: str, generates: bool) -> None:
    payload = codec_of(None, serializer).payload({"begin": 2, "end": 1})
    outcome = codec_of(Span, serializer, generates=generates).decode(payload)
    # Each alone is refused, or fits: of the two, `begin` is the one.
    assert isinstance(outcome, Loaded)
    assert [report.field for report in outcome.reports if isinstance(report, FieldReset)] == ["begin"]
    assert outcome.contents.data == Span(end=1)


class Validated(BaseModel):
    """With a validator of each kind."""

    before: Annotated[str, pydantic.BeforeValidator(lambda value: value.upper())] = ""
    after: Annotated[str, pydantic.AfterValidator(str.lower)] = ""
    wrapped: Annotated[str, pydantic.WrapValidator(lambda value, inner: inner(value)[:3])] = ""
    plain: Annotated[str, pydantic.PlainValidator(lambda value: str(value).title())] = ""
    seen: list[str] = []

    @model_validator(mode="before")
    @classmethod
    def drop_empty(cls, values: Any) -> Any:
        return {key: value for key, value in values.items() if value != ""} if isinstance(values, dict) else values


@EACH_PATH
def test_validators_of_each_kind_run_when_a_key_is_set_and_when_it_is_read(serializer: str, generates: bool) -> None:
    codec = codec_of(Validated, serializer, generates=generates)
    payload = codec_of(None, serializer).payload(
        {"before": "ab", "after": "AB", "wrapped": "abcdef", "plain": "ab", "seen": ["x"]}
    )
    outcome = loaded(codec, payload)
    expected = {"before": "AB", "after": "ab", "wrapped": "abc", "plain": "Ab", "seen": ["x"]}
    assert outcome.contents.stored() == expected
    session = session_of(Validated, before="ab", after="AB", wrapped="abcdef", plain="ab", seen=["x"])
    assert dict(session) == expected
    session["wrapped"] = "xyzxyz"
    assert again(codec, session) == session.data


class Growing(BaseModel):
    n: Annotated[int, pydantic.AfterValidator(lambda n: n + 1)] = 1


def test_a_validator_that_changes_its_own_result_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"Growing\.n: its converter changes a value that it has converted already"):
        Schema(Growing)


# Names


class Aliased(BaseModel):
    user_id: int | None = Field(default=None, alias="userId")
    name: str = Field(default="", validation_alias=AliasChoices(AliasPath("names", 0), "full name"))
    e_mail: str = Field(default="", serialization_alias="email")


class Camel(BaseModel, alias_generator=to_camel):
    user_id: int | None = None
    name: str = ""
    e_mail: str = ""


class ByName(BaseModel, populate_by_name=True, extra="forbid"):
    user_id: int | None = Field(default=None, alias="userId")
    name: str = Field(default="", validation_alias=AliasPath("names", 0))
    e_mail: str = Field(default="", validation_alias=AliasPath("names", 1))


@pytest.mark.parametrize("schema", [Aliased, Camel, ByName])
@EACH_PATH
def test_keys_are_attribute_names(schema: Any, serializer: str, generates: bool) -> None:
    codec = codec_of(schema, serializer, generates=generates)
    stored = {"user_id": 7, "name": "ada", "e_mail": "a@b"}
    session = session_of(schema)
    session.update(stored)
    assert dict(session) == stored
    assert list(codec_of(None, serializer).decode(codec.write_stored(stored).payload).contents.stored()) == [*stored]  # type: ignore[union-attr]  # it is loaded
    assert again(codec, session) == session.data
    assert session.data.user_id == 7
    with pytest.raises(KeyError):
        session["userId"]


class OddlyNamed(BaseModel):
    n: int = Field(default=0, alias="the number")
    m: int = Field(default=0, alias="class")


class HoldsOddlyNamed(BaseModel):
    held: list[OddlyNamed] = []
    own: str = Field(default="", alias="x-own")


@EACH_PATH
def test_an_alias_need_not_be_a_name(serializer: str, generates: bool) -> None:
    codec = codec_of(HoldsOddlyNamed, serializer, generates=generates)
    odd = OddlyNamed.model_validate({"the number": 7, "class": 8})
    session = session_of(HoldsOddlyNamed, held=[odd], own="x")
    data = again(codec, session)
    assert (data.held[0].n, data.held[0].m, data.own) == (7, 8, "x")


class Clashing(BaseModel):
    name: str = Field(default="", validation_alias=AliasChoices("full", "nick"))
    nick: str = ""


class Crossing(BaseModel, populate_by_name=True):
    name: str = Field(default="", alias="nick")
    nick: str = ""


class OnlyAPath(BaseModel):
    name: str = Field(default="", validation_alias=AliasPath("names", 0))


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (Clashing, r"Clashing\.nick: name is read from 'nick', too"),
        (Crossing, r"Crossing\.nick: name is read from 'nick', too"),
        (OnlyAPath, r"OnlyAPath\.name: its alias is a path into something else"),
    ],
)
def test_names_that_do_not_tell_which_field_is_meant_are_refused(schema: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Schema(schema)


class Marked(BaseModel):
    user_id: Annotated[int | None, Subject, Formerly("uid"), Field(ge=1)] = None
    admin: Annotated[bool, Essential] = False
    count: Annotated[int, Merge("add")] = 0
    nick: Annotated[str, msgspec.Meta(max_length=3)] = ""


def test_the_marks_of_a_field_are_read() -> None:
    schema = Schema(Marked)
    assert schema.subject == "user_id"
    assert schema.renamed == {"uid": "user_id"}
    assert schema.fields["admin"].essential
    assert schema.fields["count"].merge is not None
    codec = codec_of(Marked)
    assert loaded(codec, b'{"uid":7}').contents.data.user_id == 7
    assert codec.decode(b'{"admin":"yes"}') == Refused(Reason.FIELD, "admin")
    with pytest.raises(FieldValueError, match=r"Marked\.nick must be str \(max_length=3\), not one out of bounds"):
        session_of(Marked)["nick"] = "four"


# What is no field


class Beside(BaseModel):
    """With what is not stored: private attributes, and what is computed."""

    n: int = 0
    _note: str = PrivateAttr(default="new")
    _log: list[str] = PrivateAttr(default_factory=list)

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated properties
    @property
    def twice(self) -> int:
        return 2 * self.n

    @computed_field  # type: ignore[prop-decorator]  # as above
    @cached_property
    def thrice(self) -> int:
        return 3 * self.n

    @override
    def model_post_init(self, context: Any, /) -> None:
        self._log.append("made")


class FrozenBeside(Beside, frozen=True):  # type: ignore[misc]  # as above
    pass


@pytest.mark.parametrize("schema", [Beside, FrozenBeside])
def test_private_and_computed_attributes_are_not_stored(schema: Any) -> None:
    session = session_of(schema, n=1)
    assert list(session.schema.fields if hasattr(session, "schema") else Schema[Any](schema).fields) == ["n"]
    session.data._note = "changed"
    assert (session.data.twice, session.data.thrice) == (2, 3)
    assert dict(session) == {"n": 1}
    assert again(codec_of(schema), session)._note == "new"


def test_the_successor_of_a_frozen_model_keeps_nothing_that_was_computed_of_the_former_one() -> None:
    session = session_of(FrozenBeside, n=1)
    assert session.data.thrice == 3
    session["n"] = 2
    assert session.data.thrice == 6
    del session["n"]
    assert session.data.thrice == 0


def test_setting_a_key_leaves_private_attributes_alone() -> None:
    session = session_of(Beside)
    data, log = session.data, session.data._log
    data._note = "changed"
    session["n"] = 3
    assert session.data is data
    assert data._note == "changed"
    assert data._log is log or data._log == ["made"]


def test_copies_share_nothing_of_what_a_model_keeps_beside_its_fields() -> None:
    schema = Schema(Beside)
    one = Beside(n=1)
    other = schema.duplicate(one)
    other._note = "other"
    other.model_fields_set.clear()
    assert one._note == "new"
    assert one.model_fields_set == {"n"}
    assert other == Beside(n=1) or other._note == "other"


def test_a_session_is_copied_with_its_model() -> None:
    session = session_of(Visitor, cart=[Item(sku="a")])
    shallow, deep = copy.copy(session), copy.deepcopy(session)
    assert shallow.data.cart is session.data.cart
    assert deep.data == session.data
    assert deep.data.cart[0] is not session.data.cart[0]
    deep["name"] = "x"
    assert session.data.name == ""


@pytest.mark.parametrize("where", ["schema", "field"])
def test_a_model_that_takes_anything_is_refused(where: str) -> None:
    class Anything(BaseModel, extra="allow"):
        n: int = 0

    class Holder(BaseModel):
        held: list[Anything] = []

    with pytest.raises(SchemaError, match=r'Anything has extra="allow", and what it takes .* would not be stored'):
        Schema[Any](Anything if where == "schema" else Holder)


@pytest.mark.parametrize("extra", ["ignore", "forbid"])
def test_undeclared_keys_are_extras_of_the_session(extra: Literal["ignore", "forbid"]) -> None:
    class Strict(BaseModel, extra=extra):
        n: int = 0

    session = session_of(Strict)
    session["csrf_token"] = "t"
    session["n"] = 1
    assert dict(session.extras) == {"csrf_token": "t"}
    outcome = loaded(codec_of(Strict), codec_of(Strict).write_stored(dict(session)).payload)
    assert outcome.contents.stored() == {"csrf_token": "t", "n": 1}


# Defaults


class Defaults(BaseModel):
    names: list[str] = ["gift"]
    item: Item = Item(sku="a")
    token: str = Field(default_factory=secrets.token_hex)
    built: list[str] = Field(default_factory=list[str])
    converted: int = Field(default="7", validate_default=True)  # which pydantic converts


def test_defaults_are_each_visitors_own() -> None:
    schema = Schema(Defaults)
    one, other = schema.create(), schema.create()
    assert one.names == other.names == ["gift"]
    assert one.names is not other.names
    assert one.item is not other.item
    assert one.converted == 7
    assert [name for name, field in schema.fields.items() if field.generated] == ["token"]
    assert schema.varying == ("token",)
    session = session_of(Defaults)
    assert dict(session) == {}
    session.data.names.append("more")
    assert list(session) == ["names", "token"]
    session.clear()
    assert session.data.names == ["gift"]


def test_a_default_may_be_made_of_the_values_before_it() -> None:
    if not hasattr(pydantic.fields.FieldInfo, "default_factory_takes_validated_data"):
        pytest.skip("since pydantic 2.10")

    class Derived(BaseModel):
        name: str = "x"
        shout: str = Field(default_factory=lambda data: data["name"].upper())

    assert Schema(Derived).varying == ("shout",)
    session = session_of(Derived)
    assert session.data.shout == "X"
    assert dict(session) == {}


class Required(BaseModel):
    user_id: int | None


class RequiredField(BaseModel):
    user_id: int = Field(ge=1)


class WrongDefault(BaseModel):
    n: int = "x"  # type: ignore[assignment]  # the misuse


class DefaultOutOfBounds(BaseModel):
    n: int = Field(default=0, ge=1)


class AnyModel(BaseModel):
    held: BaseModel | None = None


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (BaseModel, "BaseModel itself has no fields"),
        (AnyModel, "BaseModel itself has no fields"),
        (Required, r"Required\.user_id has no default"),
        (RequiredField, r"RequiredField\.user_id has no default"),
        (WrongDefault, r"WrongDefault\.n: the default must be int, not str"),
        (DefaultOutOfBounds, "DefaultOutOfBounds cannot be made again from its own defaults"),
        (Visitor(), r"the schema is the class, not an instance of it: write Visitor, not Visitor\(\)"),
    ],
)
def test_what_cannot_be_a_new_visitor_is_refused(schema: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Schema(schema)


def make_required() -> Required:
    return Required(user_id=None)


def test_a_function_may_make_a_model() -> None:
    session = SecureCookieSession({"user_id": 7}, schema=make_required)
    assert session.data == Required(user_id=7)
    del session["user_id"]
    assert session.data == Required(user_id=None)


# What was set


class Plain(BaseModel):
    user_id: int | None = None
    name: str = ""
    tags: set[str] = set()


@EACH_PATH
def test_what_was_set_is_what_was_stored_and_changes_nothing_of_it(serializer: str, generates: bool) -> None:
    codec = codec_of(Plain, serializer, generates=generates)
    outcome = loaded(codec, codec.payload({"name": "a"}))
    data: Plain = outcome.contents.data
    assert data.model_fields_set == {"name"}
    data.model_fields_set.clear()
    assert outcome.contents.stored() == {"name": "a"}
    data.model_fields_set.add("user_id")
    assert codec.diff(outcome.contents, outcome.snapshot) is None
    outcome.contents.store("tags", {"x"})
    assert "tags" in data.model_fields_set
    assert outcome.contents.stored() == {"name": "a", "tags": {"x"}}


class FrozenPlain(Plain, frozen=True):  # type: ignore[misc]  # as above
    pass


def test_a_successor_knows_what_was_set_and_holds_the_very_values() -> None:
    session = session_of(FrozenPlain, tags={"x"})
    tags = session.data.tags
    names = session["name"] = "ada"
    assert session.data.model_fields_set == {"tags", "name"}
    assert session.data.name is names
    assert session.data.tags is tags


def test_a_value_that_is_set_by_key_is_the_one_that_is_held() -> None:
    session, cart = session_of(Visitor), [Item(sku="a")]
    session["cart"] = cart
    assert session["cart"] is session.data.cart is cart


class FrozenField(BaseModel):
    user_id: int = Field(default=0, frozen=True, ge=0)
    name: str = ""


def test_a_frozen_field_of_a_mutable_model_is_set_by_key() -> None:
    session = session_of(FrozenField, user_id=1)
    data = session.data
    session["user_id"] = 2
    assert session.data is data
    assert data.user_id == 2
    with pytest.raises(FieldValueError, match=r"FrozenField\.user_id"):
        session["user_id"] = -1


class Logged(BaseModel):
    n: int = 0
    log: list[str] = []

    @override
    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        self.log.append(name)


def test_assignment_of_the_users_own_is_used() -> None:
    session = session_of(Logged)
    session["n"] = 3
    assert session.data.log == ["n"]


def test_a_deleted_attribute_has_its_default_in_the_next_request() -> None:
    for generates in (True, False):
        codec = codec_of(Plain, generates=generates)
        outcome = loaded(codec, b'{"user_id":7,"name":"a"}')
        del outcome.contents.data.name
        changes = codec.diff(outcome.contents, outcome.snapshot)
        assert changes is not None
        assert codec.encode(outcome.snapshot, changes).payload == b'{"user_id":7}'


# Kinds of models


class Box(BaseModel, Generic[T]):
    held: T | None = None
    more: list[T] = []


class DateBox(Box[date]):
    seen: bool = False


class Boxes(BaseModel):
    either: Box[int] | Box[str] | None = None
    own: list[Self] = []


def test_generic_models_take_their_arguments() -> None:
    assert [field.type.text for field in Schema(Box[int]).fields.values()] == ["int | None", "list[int]"]
    assert Schema(Box[int]).name == "Box[int]"
    assert [field.type.text for field in Schema(DateBox).fields.values()] == ["date | None", "list[date]", "bool"]
    with pytest.raises(SchemaError, match=r"Box\.held: T has no argument"):
        Schema(Box)


@EACH_PATH
def test_generic_and_recursive_models_come_back(serializer: str, generates: bool) -> None:
    codec = codec_of(Boxes, serializer, generates=generates)
    session = session_of(Boxes, either=Box[str](held="a"), own=[Boxes(either=Box[int](held=7)), Boxes()])
    assert again(codec, session) == session.data


class Late(BaseModel):
    held: Later | None = None
    deferred: list[Deferred] = []


class Later(BaseModel):
    n: int = 0


class Deferred(BaseModel, defer_build=True):
    n: int = 0


def test_a_model_whose_names_come_later_is_complete() -> None:
    session = session_of(Late, held=Later(n=1), deferred=[Deferred(n=2)])
    assert again(codec_of(Late), session) == session.data
    assert session_of(Deferred, n=1).data == Deferred(n=1)


class Numbers(RootModel[list[int]]):
    pass


class HoldsRoot(BaseModel):
    numbers: Numbers | None = None


@EACH_PATH
def test_a_root_model_is_a_field_and_no_schema(serializer: str, generates: bool) -> None:
    codec = codec_of(HoldsRoot, serializer, generates=generates)
    session = session_of(HoldsRoot, numbers=Numbers([1, 2]))
    assert again(codec, session) == session.data
    with pytest.raises(SchemaError, match="Numbers has a value in place of fields; make it a field of a model"):
        Schema[Any](Numbers)  # type: ignore[arg-type]  # the misuse


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    lives: int = 1


class Owner(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] = Cat()
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = []
    other: Cat | dict[str, str] | None = None


@EACH_PATH
def test_members_of_unions_come_back(serializer: str, generates: bool) -> None:
    codec = codec_of(Owner, serializer, generates=generates)
    session = session_of(Owner, pet=Dog(lives=2), pets=[Cat(), Dog()])
    assert again(codec, session) == session.data


@EACH_PATH
def test_a_dict_beside_a_model_stays_a_dict(serializer: str, generates: bool) -> None:
    codec = codec_of(Owner, serializer, generates=generates)
    session = session_of(Owner, other={"kind": "cat", "lives": "8"})
    assert again(codec, session).other == {"kind": "cat", "lives": "8"}


class LeftToRight(BaseModel):
    n: Annotated[int | str, Field(union_mode="left_to_right")] = 0


def test_what_pydantic_makes_another_value_of_is_not_saved() -> None:
    codec = codec_of(LeftToRight)
    contents = contents_of(codec.schema, {})
    contents.data.n = "7"
    with pytest.raises(SerializationError, match="session field n would read back as another value"):
        codec.write(contents)
    contents.store("n", "7")
    assert contents.read("n") == 7


@pydantic.dataclasses.dataclass
class Data:
    user_id: int | None = Field(default=None, alias="userId", ge=1)
    names: list[str] = Field(default_factory=list)
    note: str = ""


@pydantic.dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FrozenData:
    user_id: int | None = Field(default=None, alias="userId", ge=1)
    names: tuple[str, ...] = ()
    note: str = ""


@pydantic.dataclasses.dataclass(config=ConfigDict(validate_assignment=True))
class BoxData(Generic[T]):
    held: T | None = None
    note: str = Field(default="", max_length=3)


@pytest.mark.parametrize("schema", [Data, FrozenData])
@EACH_PATH
def test_dataclasses_of_pydantic_keep_its_rules(schema: Any, serializer: str, generates: bool) -> None:
    codec = codec_of(schema, serializer, generates=generates)
    session = session_of(schema)
    session["user_id"] = 7
    session.update(names=type(session.data.names)(["a"]), note="n")
    assert dict(session) == {"user_id": 7, "names": session.data.names, "note": "n"}
    with pytest.raises(FieldValueError, match=r"Data\.user_id"):
        session["user_id"] = 0
    assert again(codec, session) == session.data
    del session["user_id"]
    assert again(codec, session) == session.data


def test_a_generic_dataclass_of_pydantic_takes_its_argument() -> None:
    session: SecureCookieSession[Any] = SecureCookieSession(schema=BoxData[int])
    session["held"] = 7
    with pytest.raises(FieldTypeError, match=r"BoxData\.held must be int \| None, not str"):
        session["held"] = "7"
    with pytest.raises(FieldValueError, match=r"BoxData\.note"):
        session["note"] = "four"


@pydantic.dataclasses.dataclass
class LateData:
    held: LaterData | None = None
    own: list[LateData] = Field(default_factory=list)


@pydantic.dataclasses.dataclass
class LaterData:
    n: int = 0


def test_a_dataclass_of_pydantic_whose_names_come_later_is_complete() -> None:
    session = session_of(LateData, held=LaterData(n=1), own=[LateData()])
    assert again(codec_of(LateData), session) == session.data


class Undecorated(Data):  # the misuse
    level: int = 0


@pydantic.dataclasses.dataclass
class RequiredData:
    user_id: int = Field(ge=1)


@pydantic.dataclasses.dataclass(config=ConfigDict(extra="allow"))
class OpenData:
    n: int = 0


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (Undecorated, "Undecorated is based on a dataclass of pydantic and is none itself; decorate it, too"),
        (RequiredData, r"RequiredData\.user_id has no default"),
        (OpenData, 'OpenData has extra="allow"'),
    ],
)
def test_what_a_dataclass_of_pydantic_cannot_be_is_refused(schema: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Schema(schema)


def test_models_of_pydantic_1_are_refused() -> None:
    v1 = pytest.importorskip("pydantic.v1")
    former = v1.create_model("Former", n=(int, 0))
    with pytest.raises(SchemaError, match="Former is a model of pydantic 1; declare it with pydantic 2"):
        Schema(former)


def test_a_name_that_cannot_be_found_is_said() -> None:
    annotation: Any = "list[Missing]"
    lost = pydantic.create_model("Lost", n=(annotation, None))
    with pytest.raises(SchemaError, match=r"Lost: the name 'Missing' in its annotation cannot be found from module"):
        Schema(lost)


# Types of pydantic's


class Typed(BaseModel):
    seen: pydantic.AwareDatetime | None = None
    born: pydantic.PastDate | None = None
    size: pydantic.ByteSize = pydantic.ByteSize(0)
    level: pydantic.PositiveInt = 1
    code: pydantic.constr(max_length=3, pattern="^[a-z]*$") = ""  # type: ignore[valid-type]  # as some write it
    key: pydantic.UUID4 | None = None


class Links(BaseModel):
    url: pydantic.HttpUrl | None = None
    urls: list[pydantic.AnyUrl] = []


WITH_URLS: Final = pytest.mark.skipif(
    not hasattr(pydantic.HttpUrl, "__get_pydantic_core_schema__"), reason="classes since pydantic 2.10"
)
LINKS: Final[dict[str, object]] = {
    "url": pydantic.HttpUrl("http://example.org/a"),
    "urls": [pydantic.AnyUrl("x://a"), pydantic.AnyUrl("y://b")],
}
TYPED: Final[dict[str, object]] = {
    "seen": datetime(2026, 1, 2, tzinfo=UTC),
    "born": date(2000, 1, 2),
    "size": pydantic.ByteSize(7),
    "level": 3,
    "code": "abc",
    "key": UUID("e366bc8f-12b1-4b76-976a-75902b95a6e1"),
}


@pytest.mark.parametrize(
    ("schema", "stored"),
    [pytest.param(Typed, TYPED, id="scalars"), pytest.param(Links, LINKS, id="URLs", marks=WITH_URLS)],
)
@EACH_PATH
def test_types_of_pydantic_come_back(schema: Any, stored: dict[str, object], serializer: str, generates: bool) -> None:
    codec = codec_of(schema, serializer, generates=generates)
    outcome = loaded(codec, codec.write_stored(stored).payload)
    assert codec.diff(outcome.contents, outcome.snapshot) is None
    back = outcome.contents.stored()
    assert back == stored
    assert {name: type(value) for name, value in back.items()} == {name: type(value) for name, value in stored.items()}
    first = next(iter(stored))
    outcome.contents.store(first, None)
    assert codec.diff(outcome.contents, outcome.snapshot) is not None


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("seen", datetime(2026, 1, 2), FieldTypeError),  # noqa: DTZ001 -- naive on purpose
        ("born", date(3000, 1, 2), FieldTypeError),
        ("born", "2000-01-02", FieldTypeError),
        ("level", 0, FieldValueError),
        ("code", "ABC", FieldValueError),
        ("key", UUID(int=1), FieldValueError),
    ],
)
def test_types_of_pydantic_refuse_what_they_do_not_take(key: str, value: object, error: type[Exception]) -> None:
    session = session_of(Typed)
    with pytest.raises(error, match=rf"Typed\.{key}"):
        session[key] = value
    assert not session


@WITH_URLS
@pytest.mark.parametrize(("key", "value"), [("url", "http://example.org/a"), ("urls", ["x://a"])])
def test_text_is_no_url(key: str, value: object) -> None:
    session = session_of(Links)
    with pytest.raises(FieldTypeError, match=rf"Links\.{key}"):
        session[key] = value


@define
class Other:
    seen: pydantic.AwareDatetime | None = None


def test_other_kinds_hold_them_too() -> None:
    session = session_of(Other, seen=TYPED["seen"])
    assert again(codec_of(Other), session) == session.data


class Pretending:
    """A type of the user's that pydantic is told of, and cannot handle."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        raise TypeError("not today")


@define
class HoldsPretending:
    held: Pretending | None = None


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (pydantic.SecretStr, r"Held\.held: a session cannot hold SecretStr, of which pydantic writes asterisks"),
        (pydantic.SecretBytes, r"Held\.held: a session cannot hold SecretBytes"),
        (pydantic.Secret[int], r"Held\.held: a session cannot hold Secret\[int\], of which pydantic writes asterisks"),
        (pydantic.ImportString, r"Held\.held: a session cannot hold ImportString, which runs what a cookie names"),
    ],
)
def test_types_of_pydantic_that_no_session_can_hold_are_refused(annotation: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Schema(pydantic.create_model("Held", held=(annotation | None, None)))


def test_a_type_that_pydantic_cannot_handle_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"HoldsPretending\.held: pydantic cannot handle Pretending: not today"):
        Schema(HoldsPretending)


class Encoded(BaseModel):
    code: pydantic.Base64Str = ""
    parsed: pydantic.Json[list[int]] | None = None


def test_what_a_validator_does_not_take_of_its_own_result_is_not_saved() -> None:
    session = session_of(Encoded)
    with pytest.raises(FieldValueError, match=r"Encoded\.parsed"):
        session["parsed"] = [1]
    session["code"] = "YQ=="
    assert session["code"] == "a"
    with pytest.raises(SerializationError, match="code"):
        codec_of(Encoded).write_stored(dict(session))


# What pydantic does to values


class Keys(TypedDict, total=False):
    n: int


PLAIN: Final[dict[str, Any]] = {
    "scalars": tuple[bool, int, float, str, bytes, date, datetime, UUID, None],
    "containers": dict[str, list[set[tuple[int, ...]] | frozenset[str]]],
    "models": list[Cat | Dog | None],
    "recursive": Boxes | None,
    "TypedDict": Keys | str,
    "union": int | float | str | bytes | None,
    "literal": Literal["a", 1] | None,
    "anything": Any,
}
BOUNDED: Final[dict[str, Any]] = {
    "number": Annotated[int, Field(ge=1)],
    "text inside": list[Annotated[str, Field(max_length=3)]],
    "constr": pydantic.constr(pattern="a"),
    "Decimal": Decimal,  # no NaN
    "finite": pydantic.FiniteFloat,
    "UUID4": pydantic.UUID4,
}
ALTERED: Final[dict[str, Any]] = {
    "stripped": list[Annotated[str, pydantic.StringConstraints(strip_whitespace=True)]],
    "after": Annotated[int, pydantic.AfterValidator(abs)],
    "left to right": Annotated[int | str, Field(union_mode="left_to_right")],
    "class or dict": Cat | dict[str, str],
    "two lists": list[int] | list[str],
    "model with a validator": list[Span],
    "type of pydantic's": pydantic.ByteSize,
}


@pytest.mark.parametrize(
    ("annotation", "effect"),
    [
        pytest.param(annotation, effect, id=f"{effect.name}-{name}")
        for effect, types in ((Effect.NONE, PLAIN), (Effect.REFUSES, BOUNDED), (Effect.ALTERS, ALTERED))
        for name, annotation in types.items()
    ],
)
def test_what_pydantic_does_to_values_of_a_type_is_told(annotation: Any, effect: Effect) -> None:
    held: Any = pydantic.create_model("Held", held=(annotation, None))
    assert effect_of(held.__pydantic_core_schema__) is effect


@pytest.mark.parametrize(
    "config",
    [
        ConfigDict(str_strip_whitespace=True),
        ConfigDict(str_to_lower=True),
        ConfigDict(use_enum_values=True, coerce_numbers_to_str=True),
        ConfigDict(revalidate_instances="always"),
    ],
)
def test_a_configuration_that_changes_values_is_told(config: ConfigDict) -> None:
    held: Any = pydantic.create_model("Held", __config__=config, held=(str, ""))
    assert effect_of(held.__pydantic_core_schema__) is Effect.ALTERS


@pytest.mark.parametrize("schema", [Beside, Span, Visitor])
def test_code_of_the_users_is_told(schema: Any) -> None:
    assert Schema[Any](schema).has_user_code
    assert not Schema[Any](schema).never_alters


class OwnConstructor(BaseModel):
    n: int = 0

    def __init__(self, n: int = 0) -> None:
        super().__init__(n=min(n, 9))


def test_a_constructor_of_the_users_own_is_used() -> None:
    assert effect_of(OwnConstructor.__pydantic_core_schema__) is Effect.ALTERS
    assert loaded(codec_of(OwnConstructor), b'{"n":99}').contents.data.n == 9


def test_a_plain_model_is_as_fast_as_any_plain_class() -> None:
    schema = Schema(Plain)
    assert schema.is_pure
    assert schema.never_alters
    assert schema.assigns_plainly


class Pointed(BaseModel):
    point: tuple[int, int] = (0, 0)
    path: tuple[float, ...] = ()
    names: frozenset[str] = frozenset()
    pairs: dict[str, tuple[int, str]] = {}
    n: int = 0


@EACH_PATH
def test_what_pydantic_copies_is_no_change(serializer: str, generates: bool) -> None:
    codec = codec_of(Pointed, serializer, generates=generates)
    for stored in (
        {"point": (0, 0), "path": (), "names": frozenset(), "pairs": {}},
        {"point": (1, 300), "path": (1.5,), "names": frozenset({"a"}), "pairs": {"b": (1000, "c")}},
    ):
        payload = codec.write_stored(stored).payload
        outcome = loaded(codec, payload)
        assert codec.diff(outcome.contents, outcome.snapshot) is None
        assert outcome.contents.stored() == stored
        assert codec.diff(outcome.contents, outcome.snapshot) is None
        outcome.contents.data.n = 1
        changes = codec.diff(outcome.contents, outcome.snapshot)
        assert changes is not None
        again_stored = loaded(codec, codec.encode(outcome.snapshot, changes).payload).contents.stored()
        assert again_stored == {**stored, "n": 1}
        assert outcome.contents.stored() == {**stored, "n": 1}

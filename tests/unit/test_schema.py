"""The classes that can be a schema, and what is refused by name."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, ClassVar, Generic, List, Literal, NewType, NotRequired, TypedDict, TypeVar  # noqa: UP035 -- a misuse
from uuid import UUID

import attrs
import pytest
from attrs import Factory, define, field, frozen, validators
from cattrs import Converter
from msgspec import Meta

from typed_sessions import Essential, FieldTypeError, FieldValueError, Merge, Schema, SchemaError, Subject

T = TypeVar("T")
UserID = NewType("UserID", int)


@define
class Item:
    sku: str
    price: float = 0.0


@define
class Base:
    user_id: int | None = None
    kind: ClassVar[str] = "base"


@define
class Visitor(Base):
    cart: list[Item] = Factory(list[Item])
    _secret: str = "s"
    nick: str = field(default="n", alias="nickname")
    account: UserID = UserID(0)
    admin: Annotated[bool, Essential] = False


@frozen
class Frozen:
    user_id: int | None = None
    tags: tuple[str, ...] = ()


@define
class Box(Generic[T]):
    held: T | None = None
    many: list[T] = Factory(list[T])


@define
class IntBox(Box[int]):
    label: str = ""


@define
class Node:
    name: str = ""
    children: list[Node] = Factory(list["Node"])


def upper(text: str) -> str:
    return text.upper()


def incremented(number: int) -> int:
    return number + 1


@define
class Guarded:
    age: int = field(default=18, validator=validators.ge(0))
    code: str = field(default="", converter=upper)


def test_fields_are_attribute_names_in_declaration_order_bases_first() -> None:
    assert list(Schema(Visitor).fields) == ["user_id", "cart", "_secret", "nick", "account", "admin"]


def test_class_variables_are_no_fields() -> None:
    assert "kind" not in Schema(Visitor).fields


def test_essential_is_read_from_annotated() -> None:
    fields = Schema(Visitor).fields
    assert fields["admin"].essential
    assert not fields["user_id"].essential


def test_private_names_and_aliases_are_constructed_by_attribute_name() -> None:
    data = Schema(Visitor).construct({"_secret": "x", "nick": "y"})
    assert data == Visitor(secret="x", nickname="y")


def test_each_visitor_gets_defaults_of_their_own() -> None:
    schema = Schema(Visitor)
    schema.create().cart.append(Item("a"))
    assert schema.create().cart == []


def test_generated_defaults_are_told_from_constant_ones() -> None:
    @define
    class Generated:
        token: str = Factory(secrets.token_hex)
        cart: list[str] = Factory(list[str])
        n: int = 0

    fields = Schema(Generated).fields
    assert fields["token"].generated
    assert not fields["cart"].generated
    assert not fields["n"].generated


@pytest.mark.parametrize(
    ("schema", "name", "value"),
    [
        pytest.param(Box[int], "held", 3, id="argument"),
        pytest.param(Box[Item], "many", [Item("a")], id="class-argument"),
        pytest.param(IntBox, "many", [1, 2], id="argument-of-a-base"),
    ],
)
def test_generic_classes_take_their_arguments(schema: Callable[[], Any], name: str, value: object) -> None:
    assert Schema(schema).validate(name, value) == value
    with pytest.raises(FieldTypeError, match=name):
        Schema(schema).validate(name, "wrong")


def test_a_class_may_contain_itself() -> None:
    schema = Schema(Node)
    tree = [Node("a", [Node("b")])]
    assert schema.validate("children", tree) is tree


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        pytest.param(True, 1, id="bool-for-int"),
        pytest.param(None, None, id="none"),
        pytest.param(2**70, 2**70, id="big"),
    ],
)
def test_what_a_checker_accepts_is_stored_as_the_type_of_the_field(value: object, stored: object) -> None:
    validated = Schema(Visitor).validate("user_id", value)
    assert (validated, type(validated)) == (stored, type(stored))


def test_a_wrong_type_is_refused_by_the_name_of_the_field_and_not_its_value() -> None:
    with pytest.raises(FieldTypeError) as caught:
        Schema(Visitor).validate("cart", [Item("a"), Item("b", "4711")])  # type: ignore[arg-type]  # the misuse
    assert str(caught.value) == "Visitor.cart[1].price must be float, not str"
    assert isinstance(caught.value, TypeError)


def test_frozen_data_gets_a_successor() -> None:
    schema = Schema(Frozen)
    before = schema.create()
    after = schema.assign(before, {"user_id": 7}).commit()
    assert (before, after) == (Frozen(), Frozen(7))


def test_a_validator_refuses_a_value_and_the_data_stays() -> None:
    schema = Schema(Guarded)
    data = schema.create()
    with pytest.raises(FieldValueError, match=r"Guarded\.age") as caught:
        schema.assign(data, {"age": -1}).commit()
    assert data == Guarded()
    assert isinstance(caught.value, ValueError)


def test_a_converter_runs_before_the_type_is_checked() -> None:
    schema = Schema(Guarded)
    assert schema.assign(schema.create(), {"code": "abc"}).commit().code == "ABC"


def test_one_frozen_attribute_of_a_mutable_class_can_be_set_by_key() -> None:
    @define
    class Half:
        fixed: int = field(default=1, on_setattr=attrs.setters.frozen)

    schema = Schema(Half)
    data = schema.create()
    assert schema.assign(data, {"fixed": 2}).commit() is data
    assert data.fixed == 2


def test_attributes_outside_the_constructor_are_fields() -> None:
    @define
    class Counted:
        n: int = field(init=False, default=0)

    assert Schema(Counted).construct({"n": 3}).n == 3


def test_without_a_class_everything_is_data() -> None:
    schema = Schema()
    assert schema.open
    assert schema.construct({"a": 1}) == {"a": 1}


class NotAttrs:
    pass


@define
class Required:
    user_id: int


@define
class Untyped:
    thing = field(default=1)  # type: ignore[var-annotated]  # the misuse


@define
class BareList:
    items: list = Factory(list)  # type: ignore[type-arg]  # the misuse


@define
class Holds:
    thing: NotAttrs | None = None


@define
class WrongDefault:
    user_id: int = None  # type: ignore[assignment]  # the misuse


@define
class SharedDefault:
    cart: list[str] = []  # noqa: RUF008 -- the misuse


@define
class DriftingConverter:
    n: int = field(default=1, converter=incremented)


@define
class Abstract:
    tags: Sequence[str] = ()


@define
class BadKeys:
    table: dict[tuple[int, int], str] = Factory(dict[tuple[int, int], str])


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        pytest.param(NotAttrs, "NotAttrs cannot be the schema of a session", id="no-declared-class"),
        pytest.param(lambda: 1, "cannot be the schema of a session", id="function"),
        pytest.param(Required, "Required.user_id has no default", id="required-field"),
        pytest.param(Untyped, "Untyped.thing has no type annotation", id="no-annotation"),
        pytest.param(BareList, "BareList.items: a bare list does not say what it holds", id="bare-list"),
        pytest.param(Holds, "Holds.thing: a session cannot hold NotAttrs", id="unknown-class"),
        pytest.param(WrongDefault, "WrongDefault.user_id: the default must be int, not NoneType", id="wrong-default"),
        pytest.param(SharedDefault, "SharedDefault.cart: one list is in the default of all visitors", id="shared"),
        pytest.param(DriftingConverter, "DriftingConverter.n: its converter changes a value", id="drifting-converter"),
        pytest.param(BadKeys, r"BadKeys.table: keys of type tuple\[int, int\] cannot be written", id="keys"),
        pytest.param(Abstract, r"Abstract.tags: Sequence\[str\] does not say which class comes back", id="abstract"),
        pytest.param(Box, "T has no argument", id="generic-without-argument"),
    ],
)
def test_what_cannot_be_a_schema_says_so_by_name(schema: Callable[[], object], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Schema(schema)


def test_a_name_that_cannot_be_resolved_is_named() -> None:
    class Local: ...

    @define
    class Lost:
        thing: Local | None = None

    with pytest.raises(SchemaError, match=r"Lost\.thing: the name 'Local' in its annotation cannot be found"):
        Schema(Lost)


def test_a_converter_with_hooks_makes_a_type_known() -> None:
    converter = Converter()
    converter.register_structure_hook(NotAttrs, lambda _value, _type: NotAttrs())
    converter.register_unstructure_hook(NotAttrs, lambda _value: "not")
    thing = NotAttrs()
    assert Schema(Holds, converter=converter).validate("thing", thing) is thing


def test_a_time_generated_by_the_class_counts_as_generated() -> None:
    @define
    class Timed:
        seen: datetime = Factory(lambda: datetime.now(UTC))

    assert Schema(Timed).fields["seen"].generated


@define
class Preferences:
    tags: list[str] = []  # noqa: RUF008 -- the misuse


@define(eq=False)
class Identity:
    name: str = ""


@define
class SharedInside:
    preferences: Preferences = Factory(Preferences)


@define
class SharedHashable:
    identity: Identity = Identity()  # noqa: RUF009 -- the misuse


@define
class SharedInTuple:
    lists: tuple[list[str], ...] = ([],)


@pytest.mark.parametrize("schema", [SharedInside, SharedHashable, SharedInTuple])
def test_no_two_visitors_share_what_can_be_changed(schema: Callable[[], object]) -> None:
    with pytest.raises(SchemaError, match="is in the default of all visitors"):
        Schema(schema)


def test_visitors_may_share_what_cannot_be_changed() -> None:
    @define
    class Fine:
        tags: tuple[str, ...] = ("a", "b")
        frozen: Frozen = Frozen()

    assert Schema(Fine).create() == Fine()


@define
class Nested:
    token: Annotated[str, Essential] = ""


class Line(TypedDict):
    tenant: NotRequired[Annotated[int, Essential]]


@define
class Deep:
    lines: list[Line] = Factory(list[Line])
    optional: Annotated[str, Essential] | None = None
    inside: list[Annotated[str, Essential]] = Factory(list[str])
    nested: Nested = Factory(Nested)
    plain: str = ""


def test_essential_counts_at_any_depth() -> None:
    essential = {name: field.essential for name, field in Schema(Deep).fields.items()}
    assert essential == {"lines": True, "optional": True, "inside": True, "nested": True, "plain": False}


@define
class BareTypingList:
    items: List = Factory(list)  # type: ignore[type-arg]  # noqa: UP006 -- the misuse


@define
class Unset:
    n: int = field(init=False)


@define
class Unreadable:
    n: "int | " = 1  # type: ignore[valid-type]  # noqa: F722 -- the misuse


class Empty(Enum):
    pass


@define
class HoldsEmpty:
    empty: Empty | None = None


@define
class MixedKeys:
    table: dict[Literal[1, "1"], int] = Factory(dict[Literal[1, "1"], int])


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        pytest.param(BareTypingList, "BareTypingList.items: a bare list", id="typing-list"),
        pytest.param(Unset, "Unset.n has no default", id="never-set"),
        pytest.param(Unreadable, "Unreadable: an annotation cannot be read", id="unreadable"),
        pytest.param(HoldsEmpty, "HoldsEmpty.empty: Empty has no values", id="empty-enum"),
        pytest.param(MixedKeys, r"MixedKeys.table: keys of type", id="keys-of-one-text"),
    ],
)
def test_every_refusal_is_a_schema_error_by_name(schema: Callable[[], object], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Schema(schema)


def test_any_default_that_some_serializer_takes_is_allowed() -> None:
    @define
    class Loose:
        raw: Any = (1, b"x")

    assert Schema(Loose).create().raw == (1, b"x")


def test_an_exception_of_a_validator_is_one_of_the_librarys() -> None:
    def refuse(_instance: object, _attribute: object, _value: object) -> None:
        raise KeyError("as if it were absent")

    @define
    class Picky:
        n: int = field(default=0)

        @n.validator
        def _check(self, attribute: object, value: int) -> None:
            if value:
                refuse(self, attribute, value)

    schema = Schema(Picky)
    with pytest.raises(FieldValueError, match="n"):
        schema.assign(schema.create(), {"n": 1}).commit()


@define
class Bound:
    name: Annotated[str, Meta(max_length=3)] = ""


def test_a_value_out_of_bounds_is_refused_at_its_line() -> None:
    schema = Schema(Bound)
    with pytest.raises(FieldValueError, match=r"Bound\.name must be str \(max_length=3\), not one out of bounds"):
        schema.validate("name", "long")
    with pytest.raises(FieldTypeError, match=r"Bound\.name must be str, not int"):
        schema.validate("name", 7)


def test_a_value_nested_too_deep_is_refused_at_its_line() -> None:
    node = Node()
    for _ in range(sys.getrecursionlimit() + 1000):  # hypothesis may have raised it
        node = Node("n", [node])
    with pytest.raises(FieldTypeError, match="nested too deep"):
        Schema(Node).validate("children", [node])


def test_the_subject_is_found_where_it_is_marked() -> None:
    @define
    class Marked:
        locale: str = "en"
        owner: Annotated[int | None, Subject] = None

    @define
    class MarkedInside:
        owner: Annotated[UUID, Subject()] | None = None

    assert Schema(Marked).subject == "owner"
    assert Schema(MarkedInside).subject == "owner"
    assert Schema().subject is None


@pytest.mark.parametrize("declared", [int | str | None, float | None, bool | None, list[int] | None], ids=str)
def test_a_subject_has_one_name(declared: Any) -> None:
    namespace: dict[str, Any] = {"__annotations__": {"owner": Annotated[declared, Subject]}, "owner": None}
    marked = define(type("Marked", (), namespace))
    with pytest.raises(SchemaError, match=r"Marked.owner: a Subject is an int, a str or a UUID, or None"):
        Schema(marked)


def test_a_session_has_one_subject() -> None:
    @define
    class Two:
        one: Annotated[int | None, Subject] = None
        other: Annotated[int | None, Subject] = None

    with pytest.raises(SchemaError, match=r"Two.other: a session has one Subject, which is one already"):
        Schema(Two)


def test_a_merge_rule_that_is_none_names_the_field() -> None:
    @define
    class Wrong:
        visits: Annotated[int, Merge("sum")] = 0

    with pytest.raises(SchemaError, match=r"Wrong.visits: Merge takes"):
        Schema(Wrong)

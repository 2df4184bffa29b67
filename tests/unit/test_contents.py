"""Both views of a session's contents against a model, and the rules of presence one by one."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import msgspec
import pytest
from attrs import Factory, define, evolve, field, frozen
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pydantic import AfterValidator, BaseModel, Field

from typed_sessions.codec.codec import Codec
from typed_sessions.codec.contents import Contents, contents_of
from typed_sessions.errors import FieldTypeError
from typed_sessions.schema.schema import Schema
from typed_sessions.serializers import TaggedJSONSerializer


@define
class Visitor:
    user_id: int | None = None
    cart: list[str] = Factory(list[str])
    name: str = ""


@frozen
class FrozenVisitor:
    user_id: int | None = None
    cart: list[str] = Factory(list[str])
    name: str = ""


@dataclass
class DataVisitor:
    user_id: int | None = None
    cart: list[str] = dataclasses.field(default_factory=list)
    name: str = ""


@dataclass(frozen=True, slots=True)
class FrozenDataVisitor:
    user_id: int | None = None
    cart: list[str] = dataclasses.field(default_factory=list)
    name: str = ""


class StructVisitor(msgspec.Struct):
    user_id: int | None = None
    cart: list[str] = []
    name: str = ""


class FrozenStructVisitor(msgspec.Struct, frozen=True, rename="camel"):
    user_id: int | None = None
    cart: list[str] = []
    name: str = ""


class ModelVisitor(BaseModel):
    user_id: int | None = None
    cart: list[str] = []
    name: str = ""


class FrozenModelVisitor(BaseModel, frozen=True, populate_by_name=True):
    user_id: int | None = Field(default=None, alias="userId")
    cart: list[str] = []
    name: Annotated[str, AfterValidator(str)] = ""


def replaced_model(model: BaseModel, **values: object) -> BaseModel:
    return model.model_copy(update=values)


@define
class WithMethod:
    name: str = ""

    def shout(self) -> str:
        return self.name.upper()


@define
class Converting:
    age: int = field(default=0, converter=int)


@define
class Tokened:
    token: str = Factory(secrets.token_hex)
    n: int = 0


class KeyedVisitor(TypedDict, total=False):
    user_id: int | None
    cart: list[str]
    price: float


def contents(**stored: object) -> Contents[Visitor]:
    return contents_of(Schema(Visitor), stored)


def test_a_default_is_not_stored() -> None:
    assert contents().keys() == []
    with pytest.raises(KeyError):
        contents().read("user_id")


def test_a_value_set_through_the_data_is_stored() -> None:
    held = contents()
    held.data.user_id = 7
    assert held.stored() == {"user_id": 7}


def test_a_default_set_by_key_is_stored() -> None:
    held = contents()
    held.store("user_id", None)
    assert held.stored() == {"user_id": None}


def test_a_default_in_the_payload_is_stored() -> None:
    assert contents(cart=[]).stored() == {"cart": []}


def test_a_value_put_back_to_the_default_through_the_data_is_not_stored() -> None:
    held = contents(user_id=7)
    held.data.user_id = None
    assert "user_id" not in held


def test_a_stored_default_that_changed_and_changed_back_is_not_stored() -> None:
    held = contents(user_id=None)
    held.data.user_id = 7
    assert held.read("user_id") == 7
    held.data.user_id = None
    assert "user_id" not in held


LOOKS: dict[str, Callable[[Contents[Any], str], bool]] = {
    "contains": lambda held, key: key in held,
    "keys": lambda held, key: key in held.keys(),  # noqa: SIM118 -- which asks in another way
    "stored": lambda held, key: key in held.stored(),
    "read": lambda held, key: held.read(key) is not held,
    "write": lambda held, key: key in json.loads(Codec(held.schema, TaggedJSONSerializer()).write(held).payload),
}
LOOK = pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)


@LOOK
def test_a_stored_default_is_no_longer_stored_once_anybody_saw_another_value(
    look: Callable[[Contents[Any], str], bool],
) -> None:
    held = contents(user_id=None)
    held.data.user_id = 7
    assert look(held, "user_id")
    held.data.user_id = None
    assert held.stored() == {}
    assert "user_id" not in held


@pytest.mark.parametrize("first", [7, None])
def test_a_default_that_replaces_what_was_stored_by_key_is_not_stored(first: int | None) -> None:
    held = contents()
    held.store("user_id", first)
    held.store("user_id", 7)
    held.data.user_id = None
    assert "user_id" not in held
    assert held.stored() == {}


def absent(look: Callable[[Contents[Any], str], bool], held: Contents[Any], key: str) -> bool:
    try:
        return not look(held, key)
    except KeyError:
        return True


@LOOK
def test_a_field_that_somebody_saw_without_a_value_comes_after_those_stored_by_key(
    look: Callable[[Contents[Any], str], bool],
) -> None:
    held = contents(name="n", extra=1)
    held.data.name = ""
    assert absent(look, held, "name")
    held.data.name = "again"
    assert held.keys() == ["extra", "name"]


@pytest.mark.parametrize("key", ["name", "extra"])
def test_what_is_taken_out_and_stored_again_comes_last(key: str) -> None:
    held = contents(name="n", extra=1)
    held.store("user_id", 7)
    held.remove(key)
    held.store(key, "again")
    assert held.keys()[-2:] == ["user_id", key]


def test_what_is_stored_after_clear_has_the_order_of_its_storing() -> None:
    held = contents(name="n", extra=1, user_id=7)
    held.clear()
    for key in ("user_id", "extra", "name"):
        held.store(key, "x" if key == "name" else 1)
    assert held.keys() == ["user_id", "extra", "name"]


def test_a_deleted_attribute_that_is_stored_again_comes_last() -> None:
    held = contents(name="n", extra=1)
    del held.data.name
    held.store("name", "again")
    assert held.keys() == ["extra", "name"]


@pytest.mark.parametrize("schema", [None, KeyedVisitor, Visitor])
def test_contents_leave_alone_what_they_are_made_of(schema: Any) -> None:
    stored: dict[str, object] = {"user_id": 7, "extra": 1}
    held = contents_of(Schema[Any](schema), stored)
    held.store("user_id", 8)
    held.remove("extra")
    assert stored == {"user_id": 7, "extra": 1}


def test_a_method_of_the_class_is_no_key() -> None:
    held = contents_of(Schema(WithMethod), {})
    assert "shout" not in held
    with pytest.raises(KeyError):
        held.read("shout")


@pytest.mark.parametrize("schema", [Visitor, FrozenVisitor, DataVisitor, StructVisitor, ModelVisitor, KeyedVisitor])
def test_a_value_of_the_wrong_type_is_refused_and_nothing_is_changed(schema: Any) -> None:
    held = contents_of(Schema[Any](schema), {"user_id": 7})
    with pytest.raises(FieldTypeError, match=r"user_id must be int \| None, not str"):
        held.store("user_id", "8")
    held.store("anything else", "8")
    assert held.stored() == {"user_id": 7, "anything else": "8"}


def test_a_typeddict_holds_a_value_as_its_field_does() -> None:
    held = contents_of(Schema(KeyedVisitor), {})
    held.store("price", 1)
    assert repr(held.data) == "{'price': 1.0}"


def test_a_typeddict_declares_its_own_keys_alone() -> None:
    held = contents_of(Schema(KeyedVisitor), {"user_id": 7, "extra": 1})
    assert [held.declares(key) for key in held] == [True, False]


@pytest.mark.parametrize(
    ("schema", "extra"), [(Visitor, 1), (FrozenVisitor, 1), (KeyedVisitor, (1,))], ids=["class", "frozen", "typeddict"]
)
def test_what_is_stored_has_the_keys_that_are_no_fields_among_the_others(schema: Any, extra: object) -> None:
    held = contents_of(Schema[Any](schema), {"cart": ["a"], "extra": extra, "user_id": None})
    assert list(held.stored().items()) == [("cart", ["a"]), ("extra", extra), ("user_id", None)]


def test_a_value_that_only_a_converter_makes_fit_is_not_refused_before_it_has_run() -> None:
    held = contents_of(Schema(Converting), {})
    held.store("age", "7")
    assert held.data == Converting(7)


def test_a_nested_change_is_seen_by_key() -> None:
    held = contents()
    held.data.cart.append("a")
    assert held.read("cart") is held.data.cart


def test_a_list_stored_by_key_stays_the_same_object() -> None:
    held, cart = contents(), ["a"]
    held.store("cart", cart)
    cart.append("b")
    assert held.stored() == {"cart": ["a", "b"]}


def test_keys_stored_through_the_data_come_last_in_declaration_order() -> None:
    held = contents()
    held.data.name = "n"
    held.data.user_id = 7
    held.store("extra", 1)
    held.store("cart", ["a"])
    assert held.keys() == ["extra", "cart", "user_id", "name"]


def test_a_removed_field_has_its_default_again() -> None:
    held = contents(cart=["a"])
    data = held.data
    held.remove("cart")
    assert data.cart == []
    assert "cart" not in held


def test_clear_puts_defaults_into_the_live_object() -> None:
    held = contents(user_id=7, cart=["a"], extra=1)
    data = held.data
    held.clear()
    assert data == Visitor()
    data.user_id = 8
    assert held.stored() == {"user_id": 8}


@LOOK
def test_a_deleted_attribute_is_not_stored(look: Callable[[Contents[Any], str], bool]) -> None:
    held = contents(name="n", cart=[], user_id=7)
    del held.data.name
    assert absent(look, held, "name")
    assert held.stored() == {"cart": [], "user_id": 7}
    assert Codec(held.schema, TaggedJSONSerializer()).write(held).payload == b'{"cart":[],"user_id":7}'


def test_a_frozen_object_is_replaced_by_key() -> None:
    held = contents_of(Schema(FrozenVisitor), {})
    before = held.data
    held.store("user_id", 7)
    assert (before, held.data) == (FrozenVisitor(), FrozenVisitor(7))
    held.replace(evolve(held.data, name="n"))
    assert held.stored() == {"user_id": 7, "name": "n"}
    held.clear()
    assert held.data == FrozenVisitor()


def test_replace_refuses_another_class_and_wrong_types() -> None:
    held = contents(user_id=7)
    for wrong in (FrozenVisitor(), Visitor(user_id="7"), None):  # type: ignore[arg-type]  # the misuse
        with pytest.raises(FieldTypeError):
            held.replace(wrong)
    assert held.stored() == {"user_id": 7}


def test_a_generated_default_counts_once_the_data_is_touched() -> None:
    held = contents_of(Schema(Tokened), {})
    assert held.keys() == []
    token = held.data.token
    assert held.stored() == {"token": token}


def test_a_generated_default_that_was_stored_comes_back() -> None:
    held = contents_of(Schema(Tokened), {"token": "t"})
    assert held.data.token == "t"
    assert held.stored() == {"token": "t"}


def test_a_value_for_a_generated_default_is_stored_by_key_before_anybody_saw_the_default() -> None:
    held = contents_of(Schema(Tokened), {})
    held.store("token", "t")
    assert "token" in held
    assert held.stored() == {"token": "t"}


def test_a_generated_default_counts_in_what_replaces_the_data() -> None:
    held = contents_of(Schema(Tokened), {})
    held.replace(Tokened("t"))
    assert "token" in held
    assert held.stored() == {"token": "t"}


def test_a_default_of_the_hour_counts_when_it_is_not_that_of_set_up_and_the_data_was_touched() -> None:
    clock = {"hour": 8}

    @define
    class Clocked:
        hour: int = Factory(lambda: clock["hour"])

    schema = Schema(Clocked)
    clock["hour"] = 9
    held = contents_of(schema, {})
    assert held.keys() == []
    assert held.data.hour == 9
    assert held.stored() == {"hour": 9}
    clock["hour"] = 10
    held.clear()
    assert held.keys() == []
    assert held.data.hour == 10
    assert held.stored() == {"hour": 10}


@define
class Counted:
    """A class that counts the assignments of a field."""

    name: str = field(default="", on_setattr=lambda self, _, value: self.count(value))
    changes: int = 0

    def count(self, value: str) -> str:
        self.changes += 1
        return value


def counted() -> Counted:
    return Counted()


@pytest.mark.parametrize("schema", [Counted, counted], ids=["class", "function"])
def test_what_a_hook_of_the_class_changes_beside_a_stored_field_is_stored(schema: Callable[[], Counted]) -> None:
    held = contents_of(Schema(schema), {})
    held.store("name", "n")
    assert held.stored() == {"name": "n", "changes": 1}


def test_removing_a_generated_default_makes_room_for_a_new_one() -> None:
    held = contents_of(Schema(Tokened), {"token": "t"})
    held.remove("token")
    assert "token" not in held
    assert held.data.token != "t"
    assert "token" in held


KEYS = st.sampled_from(["user_id", "cart", "name", "_flashes", "csrf"])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "user_id": st.none() | st.integers(0, 2),
    "cart": st.lists(st.sampled_from("ab"), max_size=2),
    "name": st.sampled_from(["", "n"]),
    "_flashes": st.integers(0, 1),
    "csrf": st.none(),
}
DEFAULTS: dict[str, Any] = {"user_id": None, "cart": [], "name": ""}


Replace = Callable[..., object]


class TwoViews(RuleBasedStateMachine):
    """A dict that knows which defaults were stored is the model of both views, checked after each step."""

    schema: Schema[Any] = Schema(Visitor)
    replaced: Replace | None = None

    @initialize()
    def start(self) -> None:
        self.held: Contents[Any] = contents_of(self.schema, {})
        self.by_key: dict[str, Any] = {}
        self.through_data: dict[str, Any] = {}

    @rule(key=KEYS, data=st.data())
    def store(self, key: str, data: st.DataObject) -> None:
        value = data.draw(VALUES[key])
        self.held.store(key, value)
        self.through_data.pop(key, None)
        self.by_key[key] = deepcopy(value)

    @rule(key=st.sampled_from(sorted(DEFAULTS)), data=st.data())
    def set_through_the_data(self, key: str, data: st.DataObject) -> None:
        value = data.draw(VALUES[key])
        if self.replaced is None:
            setattr(self.held.data, key, value)
        else:
            self.held.replace(self.replaced(self.held.data, **{key: value}))
        self.note(key, deepcopy(value))

    @rule()
    def change_inside(self) -> None:
        self.held.data.cart.append("c")
        self.note("cart", [*self.value("cart"), "c"])

    @precondition(lambda self: self.model())
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model())))
        self.held.remove(key)
        self.by_key.pop(key, None)
        self.through_data.pop(key, None)

    @rule(key=KEYS)
    def remove_what_is_not_there(self, key: str) -> None:
        if key not in self.model():
            with pytest.raises(KeyError):
                self.held.remove(key)

    @rule()
    def clear(self) -> None:
        self.held.clear()
        self.by_key.clear()
        self.through_data.clear()

    @rule()
    def come_back(self) -> None:
        self.held = contents_of(self.schema, self.held.stored())
        self.by_key, self.through_data = deepcopy(self.model()), {}

    def note(self, key: str, value: object) -> None:
        """Follow a change through the data: a default that was set that way is stored only if it was before."""
        before = self.value(key)
        if value == DEFAULTS[key] and before != value:
            self.by_key.pop(key, None)
            self.through_data.pop(key, None)
        elif key in self.by_key:
            self.by_key[key] = value
        elif value != DEFAULTS[key]:
            self.through_data[key] = value

    def value(self, key: str) -> Any:
        return self.model().get(key, DEFAULTS[key])

    def model(self) -> dict[str, Any]:
        return self.by_key | {key: self.through_data[key] for key in DEFAULTS if key in self.through_data}

    @invariant()
    def both_views_agree_with_the_model(self) -> None:
        model = self.model()
        assert list(self.held.stored().items()) == list(model.items())
        for key in [*DEFAULTS, "_flashes", "csrf"]:
            assert (key in self.held) is (key in model)
        for key, default in DEFAULTS.items():
            assert getattr(self.held.data, key) == model.get(key, default)


class TwoViewsOfAFrozenClass(TwoViews):
    schema = Schema(FrozenVisitor)
    replaced: Replace | None = staticmethod(evolve)


class TwoViewsOfADataclass(TwoViews):
    schema = Schema(DataVisitor)


class TwoViewsOfAFrozenDataclass(TwoViews):
    schema = Schema(FrozenDataVisitor)
    replaced: Replace | None = staticmethod(dataclasses.replace)


class TwoViewsOfAStruct(TwoViews):
    schema = Schema(StructVisitor)


class TwoViewsOfAFrozenStruct(TwoViews):
    schema = Schema(FrozenStructVisitor)
    replaced: Replace | None = staticmethod(msgspec.structs.replace)


class TwoViewsOfAModel(TwoViews):
    schema = Schema(ModelVisitor)


class TwoViewsOfAFrozenModel(TwoViews):
    schema = Schema(FrozenModelVisitor)
    replaced: Replace | None = staticmethod(replaced_model)


TestTwoViews = TwoViews.TestCase
TestTwoViewsOfAFrozenClass = TwoViewsOfAFrozenClass.TestCase
TestTwoViewsOfADataclass = TwoViewsOfADataclass.TestCase
TestTwoViewsOfAFrozenDataclass = TwoViewsOfAFrozenDataclass.TestCase
TestTwoViewsOfAStruct = TwoViewsOfAStruct.TestCase
TestTwoViewsOfAFrozenStruct = TwoViewsOfAFrozenStruct.TestCase
TestTwoViewsOfAModel = TwoViewsOfAModel.TestCase
TestTwoViewsOfAFrozenModel = TwoViewsOfAFrozenModel.TestCase

"""A field that had another name in earlier releases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from attrs import Factory, define

from typed_sessions import Formerly, Schema, SchemaError, SecureCookieSession, UndeclaredKeyError
from typed_sessions.codec.codec import Codec, Loaded, Snapshot
from typed_sessions.codec.contents import Contents
from typed_sessions.reports import FieldReset
from typed_sessions.serializers import TaggedJSONSerializer


@define
class Item:
    sku: Annotated[str, Formerly("id")]
    price: float = 0.0


@define
class Visitor:
    user_id: Annotated[int | None, Formerly("uid", "user")] = None
    cart: list[Item] = Factory(list[Item])


class Keyed(TypedDict, total=False):
    user_id: Annotated[int | None, Formerly("uid")]


def decoded(payload: bytes, schema: Any = Visitor) -> Loaded[Any]:
    outcome = Codec(Schema[Any](schema), TaggedJSONSerializer()).decode(payload)
    assert isinstance(outcome, Loaded)
    return outcome


@pytest.mark.parametrize("name", ["uid", "user", "user_id"])
def test_a_value_under_an_earlier_name_is_the_fields(name: str) -> None:
    contents = decoded(f'{{"a":1,"{name}":7,"b":2}}'.encode()).contents
    assert contents.data == Visitor(7)
    assert list(contents.stored().items()) == [("a", 1), ("user_id", 7), ("b", 2)]


def test_the_present_name_wins_and_the_earlier_one_is_kept() -> None:
    contents = decoded(b'{"uid":1,"user_id":7}').contents
    assert contents.data == Visitor(7)
    assert contents.stored() == {"uid": 1, "user_id": 7}
    assert "uid" in contents
    assert contents.read("uid") == 1


def log_out(contents: Contents[Any]) -> None:
    contents.data.user_id = None


def is_readable(contents: Contents[Any], key: str) -> bool:
    try:
        return contents.read(key) is not None
    except KeyError:
        return False


LOOKS: dict[str, Callable[[Contents[Any], str], bool]] = {
    "contains": lambda contents, key: key in contents,
    "keys": lambda contents, key: key in contents.keys(),  # noqa: SIM118 -- which asks in another way
    "stored": lambda contents, key: key in contents.stored(),
    "read": is_readable,
    "get": lambda contents, key: contents.get(key) is not None,
    "write": lambda contents, key: (
        key.encode() in Codec(contents.schema, TaggedJSONSerializer()).write(contents).payload
    ),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("schema", [Visitor, Keyed])
def test_whoever_looks_first_does_not_see_the_earlier_name_of_what_was_dropped(
    schema: Any, look: Callable[[Contents[Any], str], bool]
) -> None:
    contents = decoded(b'{"uid":1,"user_id":7}', schema).contents
    contents.remove("user_id")
    assert not look(contents, "uid")


@pytest.mark.parametrize("take_out", [log_out, lambda contents: contents.remove("user_id")], ids=["data", "key"])
def test_a_value_under_an_earlier_name_does_not_come_back_when_the_field_is_dropped(
    take_out: Callable[[Contents[Any]], None],
) -> None:
    payload = b'{"uid":1,"user_id":7,"a":2}'
    for compiled in (True, False):
        codec = Codec(Schema(Visitor), TaggedJSONSerializer(), generates=compiled)
        outcome = codec.decode(payload)
        assert isinstance(outcome, Loaded)
        take_out(outcome.contents)
        assert "uid" not in outcome.contents
        with pytest.raises(KeyError):
            outcome.contents.read("uid")
        assert outcome.contents.stored() == {"a": 2}
        changes = codec.diff(outcome.contents, outcome.snapshot)
        assert changes is not None
        assert codec.encode(outcome.snapshot, changes).payload == b'{"a":2}'
        assert codec.write(outcome.contents).payload == b'{"a":2}'


def test_nor_in_a_typeddict() -> None:
    contents = decoded(b'{"uid":1,"user_id":7}', Keyed).contents
    del contents.data["user_id"]
    assert contents.keys() == []
    assert "uid" not in contents
    assert contents.data == {}


@pytest.mark.parametrize("schema", [Visitor, Keyed])
def test_an_earlier_name_is_no_key_to_set(schema: Any) -> None:
    session = SecureCookieSession[Any](schema=schema)
    for put in (session.update, session.extras.update, lambda values: SecureCookieSession(values, schema=schema)):
        with pytest.raises(UndeclaredKeyError, match='no field "uid"; did you mean "user_id"'):
            put({"uid": 7})
    assert not session


@pytest.mark.parametrize("payload", [b'{"uid":1,"user":2}', b'{"user":2,"uid":1}'])
def test_of_several_earlier_names_the_first_counts_and_the_other_is_kept(payload: bytes) -> None:
    contents = decoded(payload).contents
    assert contents.data == Visitor(1)
    assert contents.stored() == {"user_id": 1, "user": 2}


def test_reading_under_an_earlier_name_is_no_change() -> None:
    codec = Codec(Schema(Visitor), TaggedJSONSerializer())
    payload = b'{"uid":7}'
    assert codec.diff(decoded(payload).contents, Snapshot(codec, payload, payload)) is None


@pytest.mark.parametrize(
    ("payload", "goes"), [(b'{"user_id":7,"a":1}', True), (b'{"uid":7,"a":1}', False)], ids=["present", "earlier"]
)
@pytest.mark.parametrize("schema", [Visitor, Keyed])
def test_only_what_was_stored_under_an_earlier_name_takes_the_explaining_path(
    schema: Any, payload: bytes, goes: bool
) -> None:
    outcome = decoded(payload, schema)
    assert (outcome.snapshot.decoded is not None) is goes
    assert outcome.contents.stored() == {"user_id": 7, "a": 1}


def test_an_earlier_name_counts_in_nested_classes() -> None:
    assert decoded(b'{"cart":[{"id":"a"},{"sku":"b"}]}').contents.data.cart == [Item("a"), Item("b")]


def test_an_earlier_name_counts_in_a_typeddict() -> None:
    assert decoded(b'{"uid":7}', Keyed).contents.data == {"user_id": 7}


@define
class Holder:
    held: Keyed | None = None


def test_an_earlier_name_counts_in_a_nested_typeddict() -> None:
    assert decoded(b'{"held":{"uid":7}}', Holder).contents.data == Holder({"user_id": 7})


def test_a_value_that_does_not_fit_is_reset_under_the_present_name() -> None:
    assert decoded(b'{"uid":"x"}').reports == (FieldReset("user_id", "int | None"),)


@define
class Twice:
    one: Annotated[int, Formerly("old")] = 0
    two: Annotated[int, Formerly("old")] = 0


@define
class Taken:
    one: Annotated[int, Formerly("two")] = 0
    two: int = 0


@pytest.mark.parametrize("schema", [Twice, Taken])
def test_an_earlier_name_belongs_to_one_field(schema: Any) -> None:
    with pytest.raises(SchemaError, match="another field is, or was, called"):
        Schema(schema)

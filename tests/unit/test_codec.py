"""From contents to payload and back, and the proof before writing."""

from __future__ import annotations

import ast
import json
import math
import re
import sys
import traceback
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict, cast
from uuid import UUID, uuid4

import pytest
from attrs import Factory, define, field, validators
from flask.json.tag import TaggedJSONSerializer as FlaskSerializer
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from typed_sessions import ConfigurationError, Essential, Schema, SerializationError
from typed_sessions.codec.codec import MAX_DEPTH, MAX_PAYLOAD, Codec, Encoded, Loaded, OnBadField, Snapshot
from typed_sessions.codec.contents import contents_of
from typed_sessions.reports import FieldReset, Reason, Refused, UndeclaredNestedKeys
from typed_sessions.schema.sameness import same
from typed_sessions.serializers import JSONTag, MsgspecJSONSerializer, MsgspecMsgpackSerializer, TaggedJSONSerializer


@define
class Item:
    sku: str
    price: float = 0.0


@define
class Visitor:
    user_id: int | None = None
    cart: list[Item] = Factory(list[Item])
    seen: datetime | None = None
    device: UUID | None = None
    tags: set[str] = Factory(set[str])
    point: tuple[int, int] = (0, 0)
    raw: object = None


class Level(IntEnum):
    LOW = 1


class Named(NamedTuple):
    x: int
    y: int


class JSONWithBytes:
    """A serializer of a user's: `json`, writing bytes, with a name."""

    name = "json-bytes"

    def dumps(self, value: dict[str, object], /) -> bytes:
        return json.dumps(value).encode()

    def loads(self, payload: bytes, /) -> object:
        return json.loads(payload)


SERIALIZERS = [
    pytest.param(TaggedJSONSerializer(), id="tagged-json"),
    pytest.param(FlaskSerializer(), id="flask"),
    pytest.param(json, id="json-module"),
    pytest.param(JSONWithBytes(), id="bytes"),
    pytest.param(MsgspecJSONSerializer(), id="msgspec-json"),
    pytest.param(MsgspecMsgpackSerializer(), id="msgspec-msgpack"),
]

SIXTY_FOUR_BITS = st.integers(-(2**63), 2**63 - 1)

visitors = st.builds(
    Visitor,
    user_id=st.none() | SIXTY_FOUR_BITS,
    cart=st.lists(st.builds(Item, st.text(), st.floats(allow_nan=False, allow_infinity=False)), max_size=3),
    seen=st.none()
    | st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)).map(lambda d: d.replace(microsecond=0)),  # noqa: DTZ001
    device=st.none() | st.uuids(),
    tags=st.sets(st.text(), max_size=3),
    point=st.tuples(SIXTY_FOUR_BITS, SIXTY_FOUR_BITS),
    raw=st.none() | st.lists(SIXTY_FOUR_BITS | st.text()),
)


def tagged(schema: Callable[[], Any] | None = Visitor) -> Codec[Any]:
    return Codec(Schema[Any](schema), TaggedJSONSerializer())


def decoded(codec: Codec[Any], payload: bytes) -> Loaded[Any]:
    outcome = codec.decode(payload)
    assert isinstance(outcome, Loaded)
    return outcome


def stored(visitor: object, names: list[str]) -> dict[str, object]:
    return {name: getattr(visitor, name) for name in names}


@pytest.mark.parametrize("serializer", SERIALIZERS)
@given(visitor=visitors)
def test_what_is_written_comes_back(serializer: Any, visitor: Visitor) -> None:
    codec = Codec(Schema(Visitor), serializer)
    payload = codec.write_stored(stored(visitor, list(codec.schema.fields))).payload
    assert same(decoded(codec, payload).contents.data, visitor)


@given(visitor=visitors)
def test_flask_reads_what_a_schema_wrote(visitor: Visitor) -> None:
    codec = tagged()
    payload = codec.payload(stored(visitor, ["seen", "device", "point", "user_id"]))
    assert FlaskSerializer().loads(payload.decode()) == stored(visitor, ["seen", "device", "point", "user_id"])


class Line(TypedDict):
    sku: str


@define
class Basket:
    items: list[Item] = Factory(list[Item])
    lines: dict[str, Line] = Factory(dict[str, Line])


def test_keys_that_a_nested_class_does_not_know_are_counted_and_passed_over() -> None:
    payload = b'{"items":[{"sku":"a","colour":1},{"sku":"b","colour":2,"size":3}],"lines":{"x":{"sku":"c","n":1}}}'
    outcome = decoded(tagged(Basket), payload)
    assert outcome.contents.data == Basket([Item("a"), Item("b")], {"x": {"sku": "c"}})
    assert outcome.reports == (UndeclaredNestedKeys("Item", 3), UndeclaredNestedKeys("Line", 1))


@define
class Marked:
    label: str = ""
    mark: str = Factory(lambda: uuid4().hex)


@define
class Shelf:
    one: Item | Marked | None = None
    numbered: dict[int, Item | Marked] = Factory(dict[int, Item | Marked])


@pytest.mark.parametrize("compiled", [True, False], ids=["generated path", "explaining path"])
@pytest.mark.parametrize("payload", [b'{"one":%s}', b'{"numbered":{"1":%s}}'], ids=["union", "dict by number"])
@pytest.mark.parametrize("serializer", [TaggedJSONSerializer(), MsgspecJSONSerializer()], ids=["tagged", "msgspec"])
def test_what_a_type_says_of_its_reading_is_said_on_both_paths(serializer: Any, payload: bytes, compiled: bool) -> None:
    codec = Codec(Schema(Shelf), serializer, generates=compiled)
    assert not decoded(codec, payload % b'{"sku":"a","price":1.0}').reports
    outcome = decoded(codec, payload % b'{"sku":"a","price":1.0,"colour":1}')
    assert outcome.reports == (UndeclaredNestedKeys("Item", 1),)
    made = decoded(codec, payload % b'{"__type__":"Marked","__value__":{"label":"a"}}')
    assert codec.diff(made.contents, made.snapshot) is None  # though reading it again makes another mark
    assert same(made.snapshot.stored, made.contents.stored())


def test_nested_classes_that_know_all_their_keys_are_no_report() -> None:
    assert decoded(tagged(Basket), b'{"items":[{"sku":"a"}],"lines":{"x":{"sku":"c"}}}').reports == ()


def test_undeclared_keys_come_back_with_their_types() -> None:
    extras = {"_flashes": [("message", "hi")], "when": datetime(2020, 1, 1, tzinfo=UTC), "b": b"\xff"}
    codec = tagged()
    back = decoded(codec, codec.write_stored(extras).payload).contents.stored()
    assert same(back, extras)


@define
class Times:
    held: set[datetime] = Factory(set[datetime])


def test_tagged_json_keeps_whole_seconds_in_a_set_and_refuses_to_lose_one_of_two() -> None:
    moment = datetime(2020, 1, 2, 3, 4, 5, 678, UTC)
    codec = tagged(Times)
    assert decoded(codec, codec.write_stored({"held": {moment}}).payload).contents.data.held == {
        moment.replace(microsecond=0)
    }
    with pytest.raises(SerializationError, match="held would read back as another value"):
        codec.write_stored({"held": {moment, moment.replace(microsecond=1)}})


def test_the_order_of_keys_is_kept() -> None:
    codec = tagged()
    contents = {"z": 1, "user_id": 7, "a": 2}
    assert list(decoded(codec, codec.payload(contents)).contents) == ["z", "user_id", "a"]


def test_tagged_json_keeps_whole_seconds_in_utc() -> None:
    codec = tagged()
    moment = datetime(2020, 1, 2, 3, 4, 5, 678, timezone(timedelta(hours=2)))
    payload = codec.write_stored({"seen": moment}).payload
    assert decoded(codec, payload).contents.data.seen == datetime(2020, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert codec.payload({"seen": moment}) == payload


@define
class Guarded:
    age: int = field(default=18, validator=validators.ge(0))
    tenant: Annotated[int, Essential] = 0
    other: str = ""


def test_a_field_that_does_not_fit_is_reset_alone_and_reported() -> None:
    outcome = decoded(tagged(Guarded), b'{"age":"x","other":"kept","extra":1}')
    assert outcome.contents.data == Guarded(other="kept")
    assert outcome.contents.stored() == {"other": "kept", "extra": 1}
    assert outcome.reports == (FieldReset("age", "int"),)


def test_a_field_that_its_validator_refuses_is_reset_alone() -> None:
    outcome = decoded(tagged(Guarded), b'{"age":-1,"other":"kept","extra":1}')
    assert outcome.contents.data == Guarded(other="kept")
    assert outcome.contents.stored() == {"other": "kept", "extra": 1}
    assert outcome.reports == (FieldReset("age", "what its own converter and validator take"),)


def test_a_nested_place_that_does_not_fit_is_named() -> None:
    outcome = decoded(tagged(), b'{"cart":[{"sku":"a"},{"sku":"b","price":"x"}]}')
    assert outcome.reports == (FieldReset("cart", "float", "[1].price"),)


def test_an_essential_field_that_does_not_fit_refuses_the_session() -> None:
    assert tagged(Guarded).decode(b'{"tenant":"x","other":"a"}') == Refused(Reason.FIELD, "tenant")


def test_the_setting_refuses_the_session_for_any_field() -> None:
    assert tagged(Guarded).decode(b'{"age":"x"}', OnBadField.REFUSE) == Refused(Reason.FIELD, "age")


def test_fields_that_the_class_refuses_only_together_refuse_the_session() -> None:
    @define
    class Ordered:
        low: int = 0
        high: int = 10

        def __attrs_post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError

    assert tagged(Ordered).decode(b'{"low":8,"high":5}') == Refused(Reason.FIELD, Schema(Ordered).name)


def nested(depth: int) -> bytes:
    return b'{"x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param(b"", Reason.UNREADABLE, id="empty"),
        pytest.param(b"{", Reason.UNREADABLE, id="truncated"),
        pytest.param(b"\xff\xfe", Reason.UNREADABLE, id="no-text"),
        pytest.param(b'{"x":{" u":"zz"}}', Reason.UNREADABLE, id="bad-uuid"),
        pytest.param(b'{"x":{" b":5}}', Reason.UNREADABLE, id="bad-bytes"),
        pytest.param(b'{"x":{" di":{}}}', Reason.UNREADABLE, id="bad-tagged-dict"),
        pytest.param(b"[]", Reason.SHAPE, id="list"),
        pytest.param(b"null", Reason.SHAPE, id="null"),
        pytest.param(b'{" t":[1]}', Reason.SHAPE, id="tuple"),
        pytest.param(nested(MAX_DEPTH + 1), Reason.TOO_DEEP, id="one-too-deep"),
        pytest.param(nested(10_000), Reason.TOO_DEEP, id="far-too-deep"),
        pytest.param(b'{"x":"' + b"a" * MAX_PAYLOAD + b'"}', Reason.TOO_LARGE, id="too-large"),
    ],
)
@pytest.mark.parametrize("schema", [None, Visitor])
def test_what_cannot_be_read_is_refused_with_its_reason(schema: Any, payload: bytes, reason: Reason) -> None:
    assert tagged(schema).decode(payload) == Refused(reason)


def test_the_deepest_payload_is_read_and_written() -> None:
    codec = tagged()
    contents = decoded(codec, nested(MAX_DEPTH)).contents
    assert codec.write_stored(contents.stored()).payload == nested(MAX_DEPTH)


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(st.integers() | st.text() | st.none(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)).map(
        lambda v: json.dumps(v).encode()
    )
)
def test_decoding_never_raises(payload: bytes) -> None:
    assert isinstance(tagged().decode(payload), (Loaded, Refused))


def cyclic() -> list[object]:
    items: list[object] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        pytest.param({"user_id": "7"}, r"user_id must be int \| None, not str", id="wrong-type"),
        pytest.param({"cart": [Item("a"), Item("b", "9")]}, r"cart\[1\].price must be float, not str", id="nested"),  # type: ignore[arg-type]  # the misuse
        pytest.param({"cart": [Item("a", math.nan)]}, r"cart\[0\].price must be a finite number", id="nan"),
        pytest.param({"seen": datetime(70, 1, 1, tzinfo=UTC)}, "seen would read back as another", id="year-70"),
        pytest.param({"raw": {1, 2}}, "raw cannot be written", id="set-under-object"),
        pytest.param({"raw": {1: "a"}}, r"raw \(a key\) must be str", id="number-as-a-key-under-object"),
        pytest.param(
            {"raw": {"a": [math.inf]}}, r"raw\[...\]\[0\] must be a finite number", id="infinity-under-object"
        ),
        pytest.param({"user_id": 7, "extra": object()}, "extra cannot be written", id="undeclared"),
        pytest.param({"raw": cyclic()}, "nested more than 100 deep", id="cycle"),
        pytest.param({"extra": cyclic()}, "nested more than 100 deep", id="undeclared-cycle"),
        pytest.param({"raw": "x" * MAX_PAYLOAD}, "take 1048586 bytes", id="too-large"),
    ],
)
def test_what_would_not_come_back_is_not_written_and_named(contents: dict[str, object], message: str) -> None:
    with pytest.raises(SerializationError, match=message):
        tagged().write_stored(contents)


def test_a_value_that_the_validator_refuses_is_not_written() -> None:
    visitor = Guarded()
    object.__setattr__(visitor, "age", -1)
    taken = (
        r"^session field age would not read back as what its own converter and validator take; what is written is not"
    )
    with pytest.raises(SerializationError, match=taken):
        tagged(Guarded).write_stored({"age": visitor.age})


@pytest.mark.parametrize("contents", [{"raw": ["s3cret \ud800"]}, {"extra": ["s3cret \ud800"]}], ids=["field", "key"])
def test_a_text_that_cannot_be_written_is_not_shown_by_the_error_or_its_cause(contents: dict[str, object]) -> None:
    with pytest.raises(SerializationError, match=r"(raw|extra)\[0\] cannot be written") as caught:
        Codec(Schema(Visitor), MsgspecJSONSerializer()).payload(contents)
    assert caught.value.__cause__ is None  # a UnicodeError holds the text
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


class Stop(TypedDict):
    at: datetime


@define
class Journey:
    last: Stop | None = None
    stops: dict[str, Stop] = Factory(dict[str, Stop])


@pytest.mark.parametrize(
    ("field_name", "value", "place"),
    [
        ("last", {"at": datetime(70, 1, 1, tzinfo=UTC)}, r"last['at']"),
        ("stops", {"s3cret": {"at": datetime(70, 1, 1, tzinfo=UTC)}}, r"stops[...]['at']"),
    ],
)
def test_an_error_names_the_keys_that_a_typeddict_declares_and_no_others(
    field_name: str, value: object, place: str
) -> None:
    with pytest.raises(SerializationError, match=rf"^session field {re.escape(place)} would read back as another"):
        tagged(Journey).write_stored({field_name: value})


def test_an_error_never_holds_the_data() -> None:
    with pytest.raises(SerializationError) as caught:
        tagged().write_stored({"user_id": "s3cret", "cart": []})
    assert "s3cret" not in str(caught.value)


@define
class Left:
    child: Left | Right | None = None


@define
class Right:
    child: Left | Right | None = None


@define
class Forest:
    root: Left | Right | None = None


def test_the_time_for_nested_unions_is_linear() -> None:
    calls: list[int] = []

    class Counting(TaggedJSONSerializer):
        __slots__ = ()

    tree: Left | Right | None = None
    for depth in range(45):
        tree = Left(tree) if depth % 2 else Right(tree)
    codec = Codec(Schema(Forest), Counting())

    def profile(_frame: object, event: str, _arg: object) -> None:
        if event == "call":
            calls.append(1)

    sys.setprofile(profile)
    try:
        payload = codec.payload({"root": tree})
        outcome = codec.decode(payload)
    finally:
        sys.setprofile(None)
    assert isinstance(outcome, Loaded)
    assert len(calls) < 45 * 300


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(date(2020, 1, 1), id="date"),
        pytest.param(Decimal("1.5"), id="decimal"),
        pytest.param(Level.LOW, id="int-enum"),
        pytest.param(OrderedDict(a=1), id="ordered-dict"),
        pytest.param({"a": [Named(1, 2)]}, id="named-tuple"),
        pytest.param(Item("a"), id="class"),
    ],
)
def test_an_untyped_field_takes_only_what_comes_back_as_it_was(raw: object) -> None:
    with pytest.raises(SerializationError, match="raw"):
        tagged().write_stored({"raw": raw})


def test_two_keys_of_one_text_are_refused() -> None:
    @define
    class Table:
        rows: dict[Decimal, int] = Factory(dict[Decimal, int])

    class Odd(Decimal):
        @override
        def __hash__(self) -> int:
            return 7

        @override
        def __eq__(self, other: object) -> bool:
            return self is other

    with pytest.raises(SerializationError, match="a key"):
        tagged(Table).write_stored({"rows": {Odd("1"): 1, Odd("1"): 2}})


def test_a_key_with_more_digits_than_python_converts_resets_the_field() -> None:
    @define
    class Table:
        rows: dict[int, int] = Factory(dict[int, int])

    payload = json.dumps({"rows": {"1" * 5000: 1}}).encode()
    (reset,) = decoded(tagged(Table), payload).reports
    assert isinstance(reset, FieldReset)
    assert reset.field == "rows"


class Broken:
    """A serializer that does not keep its promises."""

    def __init__(self, written: object) -> None:
        self.written = written

    def dumps(self, _value: dict[str, object], /) -> str:
        if isinstance(self.written, Exception):
            raise self.written
        return cast("str", self.written)

    def loads(self, payload: str, /) -> object:
        return payload


@pytest.mark.parametrize("written", [None, 7, bytearray(b"x"), RuntimeError("x")], ids=repr)
def test_a_serializer_that_writes_no_payload_is_refused_at_set_up(written: object) -> None:
    with pytest.raises(ConfigurationError, match=r"Broken.*SESSION_SERIALIZER"):
        Codec(Schema(), Broken(written))


def test_a_serializer_with_a_name_is_called_by_it() -> None:
    broken = Broken(None)
    vars(broken)["name"] = "my-format"
    with pytest.raises(ConfigurationError, match=r"^my-format\.dumps returns neither text nor bytes"):
        Codec(Schema(), broken)


def test_a_serializer_without_a_name_leaves_tagged_payloads_to_tagged_json() -> None:
    codec = Codec(Schema(), json)
    assert codec.decode(b'{"_flashes":[{" t":["message","hi"]}]}') == Refused(Reason.UNREADABLE)
    assert isinstance(codec.decode(b'{"a":{"b":1}}'), Loaded)


def test_an_essential_field_that_its_validator_refuses_is_not_written() -> None:
    @define
    class Aged:
        age: Annotated[int, Essential] = field(default=18, validator=validators.ge(0))

    with pytest.raises(SerializationError, match=r"would not read back: a field does not fit the schema"):
        tagged(Aged).write_stored({"age": -1})


def test_what_its_serializer_cannot_read_is_not_written() -> None:
    class OneWay(JSONWithBytes):
        @override
        def loads(self, payload: bytes, /) -> object:
            raise NotImplementedError

    with pytest.raises(SerializationError, match="would not read back: its payload is not of the configured"):
        Codec(Schema(Visitor), OneWay()).write_stored({"user_id": 7})


def test_a_serializer_that_writes_no_payload_now_and_then_is_named() -> None:
    class Sometimes(JSONWithBytes):
        @override
        def dumps(self, value: dict[str, object], /) -> bytes:
            return super().dumps(value) if not value else cast("bytes", 7)

    with pytest.raises(SerializationError, match="session field user_id cannot be written by Sometimes") as caught:
        Codec(Schema(Visitor), Sometimes()).payload({"user_id": 7})
    assert isinstance(caught.value.__cause__, TypeError)


class Literals:
    """A serializer of a user's that brings back keys of any type."""

    def dumps(self, value: dict[str, object], /) -> str:
        return repr(value)

    def loads(self, payload: str, /) -> object:
        return ast.literal_eval(payload)


@pytest.mark.parametrize("payload", [b"{1: 2}", b"{'a': 1, b'b': 2}"], ids=["number", "bytes-beside-text"])
def test_a_mapping_whose_keys_are_no_text_is_refused(payload: bytes) -> None:
    assert Codec(Schema(), Literals()).decode(payload) == Refused(Reason.SHAPE)


@define
class Endless:
    """A class that recurses without end for some values, and refuses others."""

    one: int = 0
    two: int = 0
    three: int = 0

    def __attrs_post_init__(self) -> None:
        match self.one, self.two, self.three:
            case (1, 0, 0) | (2, 2, 0) | (3, 3, 2):
                raise RecursionError
            case (1, 1, _) | (_, _, 2):
                raise ValueError
            case _:
                pass


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b'{"one":1}', id="at-once"),
        pytest.param(b'{"one":3,"two":3,"three":2}', id="at-once-though-not-without-one-field"),
        pytest.param(b'{"one":1,"two":1}', id="for-a-field-alone"),
        pytest.param(b'{"one":2,"two":2,"three":2}', id="without-the-field-that-is-refused"),
    ],
)
def test_a_class_that_recurses_without_end_for_a_payload_refuses_it(payload: bytes) -> None:
    assert tagged(Endless).decode(payload) == Refused(Reason.TOO_DEEP)


def test_a_cycle_has_no_canonical_form() -> None:
    with pytest.raises(SerializationError, match="nested more than 100 deep"):
        tagged().canonical({"extra": cyclic()})


def test_codecs_of_one_serializer_or_of_one_name_read_the_same() -> None:
    schema = Schema(Visitor)
    named, alike, other = (Codec(schema, each) for each in (JSONWithBytes(), JSONWithBytes(), MsgspecJSONSerializer()))
    unnamed, literal = Codec(schema, json), Codec(schema, Literals())
    assert named.reads_as(named)
    assert named.reads_as(alike)
    assert unnamed.reads_as(Codec(schema, json))
    assert not named.reads_as(other)
    assert not named.reads_as(unnamed)
    assert not unnamed.reads_as(named)
    assert not unnamed.reads_as(literal)


def whole_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


@define
class Rounded:
    at: datetime = field(default=datetime(2020, 1, 1, tzinfo=UTC), converter=whole_second)


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_only_tagged_json_takes_a_moment_for_the_same_without_its_fraction(serializer: Any) -> None:
    codec = Codec(Schema(Rounded), serializer)
    contents: dict[str, object] = {"at": datetime(2020, 1, 2, 3, 4, 5, 678, UTC)}
    if isinstance(serializer, (TaggedJSONSerializer, FlaskSerializer)):
        assert decoded(codec, codec.write_stored(contents).payload).contents.data.at == datetime(
            2020, 1, 2, 3, 4, 5, tzinfo=UTC
        )
    else:
        with pytest.raises(SerializationError, match="field at would read back as another value"):
            codec.write_stored(contents)


def test_undeclared_keys_that_will_read_back_as_others_are_named() -> None:
    codec = Codec(Schema(Visitor), json)
    proven = codec.write_stored({"same": [1], "pair": (1, 2), "user_id": 7, "level": Level.LOW, "last": 1})
    assert proven == Encoded(
        b'{"same": [1], "pair": [1, 2], "user_id": 7, "level": 1, "last": 1}', lossy_keys=("pair", "level")
    )


def test_a_key_that_will_read_back_as_another_is_named() -> None:
    proven = Codec(Schema(), json).write_stored(cast("dict[str, object]", {1: 2, "a": 3}))
    assert proven == Encoded(b'{"1": 2, "a": 3}', lossy_keys=cast("tuple[str]", (1,)))


def test_a_value_that_its_converter_makes_the_default_is_not_written() -> None:
    def below_ten(value: int) -> int:
        return 0 if value > 9 else value

    @define
    class Capped:
        level: int = field(default=0, converter=below_ten)

    with pytest.raises(SerializationError, match=r"^session field level would read back as another value$"):
        tagged(Capped).write_stored({"level": 10})


@define(eq=False)
class Tag:
    name: str


@define
class Tagged:
    tags: set[Tag] = Factory(set[Tag])


def test_members_of_a_set_that_know_no_equality_are_compared_as_they_are_written() -> None:
    codec = Codec(Schema(Tagged), MsgspecJSONSerializer())
    assert codec.write_stored({"tags": {Tag("b"), Tag("a")}}).payload == b'{"tags":[{"name":"a"},{"name":"b"}]}'


@define
class Sighting:
    count: int
    at: datetime


@define
class Sightings:
    all: list[Sighting] = Factory(list[Sighting])


def test_a_field_takes_what_is_held_as_its_own_type_beside_what_loses_its_fraction() -> None:
    codec = tagged(Sightings)
    payload = codec.write_stored({"all": [Sighting(True, datetime(2020, 1, 2, 3, 4, 5, 678, UTC))]}).payload
    assert decoded(codec, payload).contents.data == Sightings([Sighting(1, datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC))])


def frozen_sets(depth: int) -> frozenset[object]:
    return frozenset([frozen_sets(depth - 1)] if depth > 1 else ())


@pytest.mark.parametrize(
    "contents",
    [
        pytest.param({"a": 1, "b": cyclic(), "c": 2}, id="between-others"),
        pytest.param({"user_id": 1, "b": cyclic()}, id="beside-a-field"),
        pytest.param({"b": frozen_sets(MAX_DEPTH)}, id="sets"),
    ],
)
def test_the_key_that_is_nested_too_deep_is_named(contents: dict[str, object]) -> None:
    with pytest.raises(SerializationError, match=r"^session key b is nested more than 100 deep$"):
        tagged().payload(contents)


def test_the_longest_payload_is_read_and_written() -> None:
    codec = tagged()
    extra = "x" * (MAX_PAYLOAD - len(b'{"extra":""}'))
    payload = codec.write_stored({"extra": extra}).payload
    assert len(payload) == MAX_PAYLOAD
    assert decoded(codec, payload).contents.stored() == {"extra": extra}
    assert codec.decode(payload + b" ") == Refused(Reason.TOO_LARGE)
    with pytest.raises(SerializationError, match=r"more than 1048576, most of them session key extra$"):
        codec.payload({"a": 1, "extra": extra, "z": 2})


@pytest.mark.parametrize(
    ("serializer", "contents"),
    [
        pytest.param(JSONWithBytes(), {"a": {" t": [1]}}, id="named"),
        pytest.param(FlaskSerializer(), {"a": {" t": [1]}}, id="of-its-own-tags"),
        pytest.param(json, {"a": {"": 1}}, id="the-empty-key"),
        pytest.param(json, {"a": {" t": [1], "b": 1}}, id="one-key-of-two"),
        pytest.param(json, {" t": [1], "a": 1}, id="outside-of-values"),
    ],
)
def test_what_looks_like_a_tag_and_is_none_is_read(serializer: Any, contents: dict[str, object]) -> None:
    codec = Codec(Schema(), serializer)
    assert decoded(codec, codec.write_stored(contents).payload).contents.stored() == contents


@pytest.mark.parametrize(
    "contents", [{"a": {" t": 1}, "b": 2}, {"a": [0, {"b": {" d": 1}}]}], ids=["at-once", "nested"]
)
def test_tags_are_found_at_any_depth(contents: dict[str, object]) -> None:
    assert Codec(Schema(), json).decode(json.dumps(contents).encode()) == Refused(Reason.UNREADABLE)


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_the_canonical_form_is_the_same_for_any_order_of_keys(serializer: Any) -> None:
    codec = Codec(Schema(), serializer)
    one: dict[str, object] = {"b": [{"z": 1, "a": {"y": 2, "b": 3}}], "a": ({"d": 4, "c": 5},)}
    other: dict[str, object] = {"a": ({"c": 5, "d": 4},), "b": [{"a": {"b": 3, "y": 2}, "z": 1}]}
    assert codec.payload(one) != codec.payload(other) or isinstance(serializer, FlaskSerializer)
    assert codec.canonical(one) == codec.canonical(other)


def test_the_canonical_form_keeps_what_tells_values_apart() -> None:
    codec = Codec(Schema(), TaggedJSONSerializer())
    assert codec.canonical({"a": (2, 1)}) == b'{"a":{" t":[2,1]}}'
    assert codec.canonical({"a": [2, 1]}) == b'{"a":[2,1]}'
    assert codec.canonical(cast("dict[str, object]", {"a": {"a": 3, 1: 2}, 1: 2})) == b'{"1":2,"a":{"1":2,"a":3}}'


def test_the_canonical_form_leaves_containers_of_other_classes_to_the_serializer() -> None:
    codec = Codec(Schema(), TaggedJSONSerializer())
    assert codec.canonical({"a": OrderedDict(b=1, a=2)}) == b'{"a":{"b":1,"a":2}}'
    assert codec.canonical({"a": {"b": Named(1, 2), "a": {}}}) == b'{"a":{"a":{},"b":{" t":[1,2]}}}'

    class Listed(list[object]):
        pass

    assert codec.canonical({"a": Listed([{"b": 1, "a": 2}])}) == b'{"a":[{"b":1,"a":2}]}'


class WritesOneKey:
    """A serializer that writes each key alone, and not two together."""

    def dumps(self, value: dict[str, object], /) -> str:
        if len(value) > 1:
            raise ValueError("too many")
        return json.dumps(value)

    def loads(self, payload: str, /) -> object:
        return json.loads(payload)


def test_of_several_keys_that_cannot_be_written_the_first_is_named() -> None:
    with pytest.raises(SerializationError, match="session key one cannot be written"):
        tagged().payload({"one": object(), "two": object()})


def test_where_no_key_is_to_blame_the_contents_are() -> None:
    with pytest.raises(SerializationError, match=r"^session contents cannot be written by WritesOneKey$"):
        Codec(Schema(Visitor), WritesOneKey()).payload({"a": 1, "b": 2})


BUILT_IN = pytest.mark.parametrize(
    "serializer", [TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer()]
)


def changed(codec: Codec[Any], loaded: Loaded[Any]) -> Encoded:
    """Return what is written of contents that have changed since they were loaded."""
    changes = codec.diff(loaded.contents, loaded.snapshot)
    assert changes is not None
    return codec.encode(loaded.snapshot, changes)


def finds_by_generated_functions(codec: Codec[Any], loaded: Loaded[Any]) -> bool:
    """Return True if the generated path finds what has changed in contents since they were loaded."""
    changes = codec.diff(loaded.contents, loaded.snapshot)
    assert changes is not None
    return changes.is_generated


@BUILT_IN
def test_what_is_usual_goes_the_short_way_unless_it_is_told_not_to(serializer: Any) -> None:
    generated, explained = Codec(Schema(Visitor), serializer), Codec(Schema(Visitor), serializer, generates=False)
    for codec, goes in ((generated, True), (explained, False)):
        payload = codec.write(contents_of(codec.schema, {"user_id": 7})).payload
        loaded = decoded(codec, payload)
        snapshot = loaded.snapshot
        assert (snapshot.decoded is not None) is goes
        assert (snapshot.payload, snapshot.source, snapshot.version, loaded.reports) == (payload, payload, 0, ())
        assert codec.diff(loaded.contents, snapshot) is None
        loaded.contents.data.user_id = 8
        assert finds_by_generated_functions(codec, loaded) is goes
        assert changed(codec, loaded).payload == codec.write(contents_of(codec.schema, {"user_id": 8})).payload


NoName = TypedDict("NoName", {"two words": NotRequired[int]})
VersionIsAField = TypedDict("VersionIsAField", {"_version": NotRequired[int]})  # noqa: UP013 -- as the other


def test_a_codec_without_a_generated_path_says_so() -> None:
    assert Codec(Schema(Visitor), TaggedJSONSerializer()).generated is not None
    for codec in (
        Codec(Schema(Visitor), TaggedJSONSerializer(), generates=False),
        Codec(Schema(Visitor), JSONWithBytes()),
        *(Codec(Schema[Any](schema), TaggedJSONSerializer()) for schema in (NoName, VersionIsAField)),
    ):
        assert codec.generated is None


class Counting(TaggedJSONSerializer):
    """Counts how often a payload is read."""

    __slots__ = ("read",)

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    @override
    def loads(self, payload: str | bytes, /) -> object:
        self.read += 1
        return super().loads(payload)


def test_what_is_written_as_it_came_or_as_this_release_writes_it_is_not_read_back() -> None:
    serializer = Counting()
    codec = Codec(Schema(Visitor), serializer)
    read: list[int] = []
    for payload in (b'{"user_id":7}', b'{"user_id": 7}'):
        loaded = decoded(codec, payload)
        serializer.read = 0
        assert codec.diff(loaded.contents, loaded.snapshot) is None
        read.append(serializer.read)
    assert read == [0, 0]
    contents = contents_of(codec.schema, {"user_id": 7})
    for payload, again in ((b'{"user_id":7}', 0), (b'{"user_id":8}', 1)):
        serializer.read = 0
        assert (codec.diff(contents, Snapshot(codec, payload, payload)) is None) is (again == 0)
        assert serializer.read == again


class TagSeven(JSONTag):
    key = " 7"

    @override
    def check(self, value: object) -> bool:
        return value == 7

    @override
    def to_json(self, value: object) -> object:
        return str(value)

    @override
    def to_python(self, value: str) -> object:
        return int(value)


def test_a_tag_that_is_registered_later_ends_the_generated_path() -> None:
    serializer = TaggedJSONSerializer()
    codec = Codec(Schema(), serializer)
    takes_the_generated_path = [decoded(codec, b'{"a":1}').snapshot.decoded is not None]
    serializer.register(TagSeven, index=0)
    takes_the_generated_path.append(decoded(codec, b'{"a":1}').snapshot.decoded is not None)
    assert takes_the_generated_path == [True, False]
    assert codec.write(contents_of(codec.schema, {"a": 7})).payload == b'{"a":{" 7":"7"}}'
    assert decoded(codec, b'{"a":{" 7":"7"}}').contents.stored() == {"a": 7}


@pytest.mark.parametrize("schema", [None, Visitor])
def test_what_was_read_before_a_tag_was_registered_is_compared_and_written_with_it(schema: Any) -> None:
    serializer = TaggedJSONSerializer()
    codec: Codec[Any] = Codec(Schema[Any](schema), serializer)
    read = decoded(codec, b'{"a":1}')
    assert read.snapshot.decoded is not None
    serializer.register(TagSeven, index=0)
    assert codec.diff(read.contents, read.snapshot) is None
    read.contents.store("a", 7)
    assert not finds_by_generated_functions(codec, read)
    assert changed(codec, read).payload == b'{"a":{" 7":"7"}}'


def test_what_is_to_be_said_of_a_payload_is_in_order() -> None:
    outcome = Codec(Schema(Visitor), TaggedJSONSerializer()).decode(b'{"user_id":"x","cart":[{"sku":"a","colour":1}]}')
    assert isinstance(outcome, Loaded)
    assert [type(report) for report in outcome.reports] == [FieldReset, UndeclaredNestedKeys]


@define
class Positive:
    age: int = field(default=0, validator=validators.ge(0), on_setattr=[])


@BUILT_IN
def test_what_reads_back_is_written_whole_and_as_a_change(serializer: Any) -> None:
    codec = Codec(Schema(Visitor), serializer)
    written = codec.write(contents_of(codec.schema, {"user_id": 7, "extra": "a"}))
    assert written.lossy_keys == ()
    loaded = decoded(codec, written.payload)
    loaded.contents.store("extra", "b")
    assert changed(codec, loaded) == codec.write(contents_of(codec.schema, {"user_id": 7, "extra": "b"}))


@pytest.mark.parametrize("compiled", [True, False], ids=["generated path", "explaining path"])
@pytest.mark.parametrize(
    ("schema", "name", "value"), [(Visitor, "user_id", "seven"), (Positive, "age", -1)], ids=["type", "validator"]
)
def test_what_does_not_read_back_is_refused_by_the_name_of_its_field(
    schema: Any, name: str, value: object, compiled: bool
) -> None:
    codec = Codec(Schema[Any](schema), TaggedJSONSerializer(), generates=compiled)
    contents = contents_of(codec.schema, {})
    setattr(contents.data, name, value)
    with pytest.raises(SerializationError, match=f"session field {name}"):
        codec.write(contents)
    loaded = decoded(codec, b"{}")
    setattr(loaded.contents.data, name, value)
    with pytest.raises(SerializationError, match=f"session field {name}"):
        changed(codec, loaded)


@pytest.mark.parametrize("compiled", [True, False], ids=["generated path", "explaining path"])
def test_the_undeclared_keys_that_come_back_as_others_are_named(compiled: bool) -> None:
    codec = Codec(Schema(Visitor), TaggedJSONSerializer(), generates=compiled)
    written = codec.write(contents_of(codec.schema, {"user_id": 7, "extra": {1: "a"}, "same": "b"}))
    assert written.lossy_keys == ("extra",)
    loaded = decoded(codec, b'{"user_id":7,"same":"b"}')
    loaded.contents.store("extra", {1: "a"})
    assert changed(codec, loaded).lossy_keys == ("extra",)


@pytest.mark.parametrize("compiled", [True, False], ids=["generated path", "explaining path"])
def test_contents_that_were_not_loaded_are_compared_too(compiled: bool) -> None:
    codec = Codec(Schema(Visitor), TaggedJSONSerializer(), generates=compiled)
    snapshot = decoded(codec, b'{"user_id":7}').snapshot
    assert codec.diff(contents_of(codec.schema, {"user_id": 7}), snapshot) is None
    changes = codec.diff(contents_of(codec.schema, {"user_id": 8}), snapshot)
    assert changes is not None
    assert not changes.is_generated
    assert codec.encode(snapshot, changes) == Encoded(b'{"user_id":8}')


@define
class Anything:
    anything: object = None


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("schema", [None, Anything])
def test_what_is_written_has_the_version_that_it_is_given(schema: Any, compiled: bool) -> None:
    codec: Codec[Any] = Codec(Schema[Any](schema), TaggedJSONSerializer(), generates=compiled)
    assert codec.write(contents_of(codec.schema, {"extra": 1}), 3).payload == b'{"extra":1,"_version":3}'


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("schema", [None, Anything])
def test_what_is_too_large_is_refused(schema: Any, compiled: bool) -> None:
    codec: Codec[Any] = Codec(Schema[Any](schema), TaggedJSONSerializer(), generates=compiled)
    with pytest.raises(SerializationError, match="bytes, more than"):
        codec.write(contents_of(codec.schema, {"extra": "a" * MAX_PAYLOAD}))
    loaded = decoded(codec, b"{}")
    loaded.contents.store("extra", "a" * MAX_PAYLOAD)
    with pytest.raises(SerializationError, match="bytes, more than"):
        changed(codec, loaded)


@pytest.mark.parametrize("serializer", [TaggedJSONSerializer(), MsgspecJSONSerializer()])
def test_what_may_be_anything_and_nests_too_deep_is_refused(serializer: Any) -> None:
    payload = nested(MAX_DEPTH + 1).replace(b"x", b"anything")
    assert Codec(Schema(Anything), serializer).decode(payload) == Refused(Reason.TOO_DEEP)


def test_another_spelling_of_what_may_be_anything_is_no_change() -> None:
    codec = Codec(Schema(Anything), MsgspecJSONSerializer())
    spelled = "0b8f1d9e-3c1a-4f7e-9a52-d1b7c6e4a001"
    loaded = decoded(codec, b'{"anything":{" u":"%s"}}' % spelled.encode())
    assert loaded.snapshot.decoded is not None
    assert loaded.contents.data.anything == UUID(spelled)
    assert codec.diff(loaded.contents, loaded.snapshot) is None


@define
class Words:
    words: list[str] = Factory(list[str])


@pytest.mark.parametrize("compiled", [True, False], ids=["generated path", "explaining path"])
def test_a_change_is_found_whatever_the_order_of_keys(compiled: bool) -> None:
    codec = Codec(Schema(Words), TaggedJSONSerializer(), generates=compiled)

    def differs(stored: dict[str, object]) -> tuple[bool, bool]:
        loaded = decoded(codec, b'{"words":["a"],"extra":"b"}')
        other = codec.diff(contents_of(codec.schema, stored), loaded.snapshot) is not None
        for key, value in stored.items():
            loaded.contents.remove(key)
            loaded.contents.store(key, value)
        return other, codec.diff(loaded.contents, loaded.snapshot) is not None

    assert differs({"words": ["b"], "extra": "b"}) == (True, True)
    assert differs({"words": ["a"], "extra": "c"}) == (True, True)
    assert differs({"extra": "b", "words": ["a"]}) == (False, False)


def test_what_the_explaining_path_has_loaded_it_compares() -> None:
    codec = Codec(Schema(Words), TaggedJSONSerializer())
    loaded = decoded(codec, b'{"words":7,"extra":1e+22}')
    assert loaded.snapshot.decoded is None
    assert codec.diff(loaded.contents, loaded.snapshot) is None
    loaded.contents.data.words.append("a")
    assert not finds_by_generated_functions(codec, loaded)
    assert changed(codec, loaded).payload == b'{"extra":1e+22,"words":["a"]}'

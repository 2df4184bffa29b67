"""A codec's generated path gives what the explaining one gives: bytes, contents, refusals, and changes found."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from itertools import product
from typing import Any, NoReturn, get_type_hints

import pytest
from attrs import Factory, define, field, frozen, validators
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, Field, create_model
from typing_extensions import override

from tests.cases import case
from tests.contracts.test_schema_kinds import DECLARATIONS, FIELD, SERIALIZER_OBJECTS, TYPES
from tests.fuzz.payloads import PAYLOADS, Node, Visitor, changed
from tests.strategies import json_objects
from tests.through_data import set_in_data
from typed_sessions.codec.codec import Codec, Loaded, OnBadField
from typed_sessions.codec.contents import Contents, contents_of
from typed_sessions.codec.explaining import ExplainingPath
from typed_sessions.errors import SerializationError
from typed_sessions.reports import Reason, Refused
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema

FEW = settings(max_examples=settings().max_examples // 20)

Pair = tuple[Codec[Any], Codec[Any]]


def both(schema: Schema[Any], serializer: str) -> Pair:
    """A codec that takes the generated path where it can, and one that never does."""
    return Codec(schema, SERIALIZER_OBJECTS[serializer]), Codec(schema, SERIALIZER_OBJECTS[serializer], generates=False)


@lru_cache(maxsize=len(DECLARATIONS) * len(SERIALIZER_OBJECTS))  # a test goes through all of one type for each example
def pair_for(kind: str, name: str, serializer: str) -> Pair:
    return both(schema_for(kind, name), serializer)


@lru_cache(maxsize=len(DECLARATIONS))
def schema_for(kind: str, name: str) -> Schema[Any]:
    return Schema(DECLARATIONS[kind](TYPES[name].annotation, TYPES[name].default))


def payload_or_error(codec: Codec[Any], contents: Contents[Any]) -> bytes | str:
    """What is written of contents that were not loaded."""
    try:
        return codec.write(contents).payload
    except SerializationError as error:
        return str(error)


def changed_payload_or_error(loaded: Loaded[Any]) -> bytes | str | None:
    """What is written of contents that were loaded; None if they have not changed since."""
    codec, snapshot = loaded.snapshot.codec, loaded.snapshot
    changes = codec.diff(loaded.contents, snapshot)
    try:
        return None if changes is None else codec.encode(snapshot, changes).payload
    except SerializationError as error:
        return str(error)


def told(outcome: Loaded[Any] | Refused) -> Any:
    """What a program is told of a payload."""
    if isinstance(outcome, Refused):
        return outcome
    contents, snapshot = outcome.contents, outcome.snapshot
    return dict(contents.stored()), list(contents), outcome.reports, snapshot.payload, snapshot.version


def assert_alike(pair: Pair, payload: bytes, rule: OnBadField = OnBadField.RESET) -> tuple[Any, Any]:
    generated, explained = (codec.decode(payload, rule) for codec in pair)
    if explained == Refused(Reason.UNREADABLE) and isinstance(generated, Loaded):
        assert has_a_key_twice(payload)  # msgspec looks into the value that is overwritten only if it decodes all
    else:
        assert same(told(generated), told(explained))
    return generated, explained


def has_a_key_twice(payload: bytes) -> bool:
    """Return True for JSON that nobody writes: RFC 8259, section 4, leaves open what it means."""

    def count(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found.append(len(dict(pairs)) < len(pairs))
        return dict(pairs)

    found = list[bool]()
    json.loads(payload, object_pairs_hook=count)
    return any(found)


def test_only_a_key_that_is_there_twice_may_hide_a_value_that_nobody_reads() -> None:
    assert_alike(VISITORS["msgspec-json"], b'{"":1e400,"":0}')
    assert_alike(VISITORS["msgspec-json"], b'{"":1e400}')


@pytest.mark.parametrize("name", TYPES)
@FEW
@given(st.data())
def test_every_type_is_written_read_and_changed_alike(name: str, data: st.DataObject) -> None:
    value, after = (data.draw(TYPES[name].values) for _ in range(2))
    extras = data.draw(json_objects())
    for kind, serializer in product(DECLARATIONS, SERIALIZER_OBJECTS):
        with case((kind, serializer)):
            pair = pair_for(kind, name, serializer)
            contents = contents_of(pair[0].schema, {**extras, FIELD: value})
            generated, explained = (payload_or_error(codec, contents) for codec in pair)
            assert generated == explained
            if isinstance(generated, bytes):
                for codec, outcome in zip(pair, assert_alike(pair, generated), strict=True):
                    assert codec.diff(outcome.contents, outcome.snapshot) is None
                one, other = (changed_to(codec, generated, after) for codec in pair)
                assert one == other


def changed_to(codec: Codec[Any], payload: bytes, value: object) -> bytes | str | None:
    """What is written with another value in the data, or by key where it is frozen; None if that is no change."""
    outcome = codec.decode(payload)
    assert isinstance(outcome, Loaded)
    try:
        set_in_data(outcome.contents.data, FIELD, deepcopy(value))
    except AttributeError:
        outcome.contents.store(FIELD, deepcopy(value))
    return changed_payload_or_error(outcome)


@pytest.mark.parametrize("serializer", SERIALIZER_OBJECTS)
@pytest.mark.parametrize("kind", ["attrs", "pydantic"])
def test_what_sessions_are_made_of_takes_the_generated_path(kind: str, serializer: str) -> None:
    codec, _ = both(Schema[Any]({"attrs": Shopper, "pydantic": ModelShopper}[kind]), serializer)
    assert_generated(codec, SHOPPER if kind == "attrs" else MODEL_SHOPPER)


@pytest.mark.parametrize("serializer", SERIALIZER_OBJECTS)
def test_without_a_schema_they_take_the_generated_path_too(serializer: str) -> None:
    codec, _ = both(Schema(), serializer)
    plain = {**SHOPPER, "cart": [{"sku": "a", "qty": 1}]}
    assert_generated(codec, plain)


def assert_generated(codec: Codec[Any], stored: dict[str, object]) -> None:
    """Hold that the generated path alone reads what is stored, finds a change of it, and writes both."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExplainingPath, "decode", never)
        patch.setattr(ExplainingPath, "encode", never)
        payload = codec.write(contents_of(codec.schema, stored)).payload
        outcome = codec.decode(payload)
        assert isinstance(outcome, Loaded)
        assert outcome.snapshot.decoded is not None
        assert codec.diff(outcome.contents, outcome.snapshot) is None
        assert same(outcome.contents.stored(), stored)
        outcome.contents.store("name", "another")
        outcome.contents.store("extra", [("a", 1)])
        changes = codec.diff(outcome.contents, outcome.snapshot)
        assert changes is not None
        assert changes.is_generated
        written = codec.encode(outcome.snapshot, changes).payload
    again = codec.decode(written)
    assert isinstance(again, Loaded)
    assert same(again.contents.stored(), {**stored, "name": "another", "extra": [("a", 1)]})


def never(*_: object) -> NoReturn:
    raise AssertionError("this took the explaining path")


@frozen
class Line:
    sku: str
    qty: int = 0


@define
class Shopper:
    user_id: int | None = None
    name: str = ""
    seen: datetime | None = None
    cart: list[Line] = Factory(list[Line])
    tags: set[str] = Factory(set[str])
    point: tuple[int, int] = (0, 0)
    counts: dict[str, int] = Factory(dict[str, int])


class ModelLine(BaseModel, frozen=True):
    sku: str = Field(alias="stock-keeping unit", max_length=8)
    qty: int = Field(default=0, ge=0)


class ModelShopper(BaseModel):
    user_id: int | None = None
    name: str = Field(default="", alias="full name")
    seen: datetime | None = None
    cart: list[ModelLine] = []
    tags: set[str] = set()
    point: tuple[int, int] = (0, 0)
    counts: dict[str, int] = Field(default_factory=dict, max_length=9)


SHOPPER: dict[str, object] = {
    "_permanent": True,
    "user_id": 7,
    "name": "Žofie",
    "seen": datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC),
    "cart": [Line("a", 1), Line("b", 2)],
    "point": (1, -2),
    "counts": {"a": 1, "b": 2},
    "_flashes": [("message", "Hello"), ("error", Markup("<b>No</b>"))],
}


MODEL_SHOPPER: dict[str, object] = {
    **SHOPPER,
    "cart": [ModelLine(**{"stock-keeping unit": sku}, qty=qty) for sku, qty in (("a", 1), ("b", 2))],
}


@pytest.mark.parametrize("name", SERIALIZER_OBJECTS)
@given(data=st.data())
def test_any_nearly_valid_payload_is_read_alike(name: str, data: st.DataObject) -> None:
    payload = data.draw(PAYLOADS[data.draw(st.sampled_from((name, name, *PAYLOADS)))]())
    for pair, rule in product((VISITORS[name], MODELS[name], OPEN[name]), OnBadField):
        with case(rule):
            for codec, outcome in zip(pair, assert_alike(pair, payload, rule), strict=True):
                if isinstance(outcome, Loaded):
                    assert codec.diff(outcome.contents, outcome.snapshot) is None


@pytest.mark.parametrize("name", SERIALIZER_OBJECTS)
@given(value=json_objects(), data=st.data())
def test_any_change_of_a_payload_is_read_alike(name: str, value: dict[str, object], data: st.DataObject) -> None:
    payload = data.draw(changed(OPEN[name][1].payload(value)))
    for pair in (VISITORS[name], MODELS[name], OPEN[name]):
        assert_alike(pair, payload)


def as_a_model(cls: Any) -> Any:
    """The same fields as those of a class, with the same defaults, in a model of pydantic."""
    defaults, hints = cls(), get_type_hints(cls, include_extras=True)
    fields: Any = {name: (hint, Field(default=getattr(defaults, name))) for name, hint in hints.items()}
    config = ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=True)
    return create_model(cls.__name__, __config__=config, **fields)


VISITORS = {name: both(Schema(Visitor), name) for name in SERIALIZER_OBJECTS}
MODELS = {name: both(Schema[Any](as_a_model(Visitor)), name) for name in SERIALIZER_OBJECTS}
OPEN = {name: both(Schema(), name) for name in SERIALIZER_OBJECTS}
SHOPPERS = {name: both(Schema(Shopper), name) for name in SERIALIZER_OBJECTS}


def append_line(contents: Contents[Any]) -> None:
    contents.data.cart.append(Line("c", 3))


def replace_line(contents: Contents[Any]) -> None:
    contents.data.cart[0] = Line("a", 9)


def equal_line(contents: Contents[Any]) -> None:
    contents.data.cart[0] = Line("a", 1)


def count(contents: Contents[Any]) -> None:
    contents.data.counts["a"] += 1


def reorder_counts(contents: Contents[Any]) -> None:
    contents.data.counts = dict(reversed(list(contents.data.counts.items())))


def true_for_one(contents: Contents[Any]) -> None:
    contents.data.counts["a"] = True


def reorder_keys(contents: Contents[Any]) -> None:
    value = contents.read("user_id")
    contents.remove("user_id")
    contents.store("user_id", value)


def flash(contents: Contents[Any]) -> None:
    flashes: Any = contents.read("_flashes")
    flashes.append(("message", "Bye"))


def true_in_extras(contents: Contents[Any]) -> None:
    contents.store("_permanent", 1)


def unstore(contents: Contents[Any]) -> None:
    contents.remove("name")


def default(contents: Contents[Any]) -> None:
    contents.data.user_id = None


def wrong_items(contents: Contents[Any]) -> None:
    contents.data.cart.append("no line")


def undeclared(contents: Contents[Any]) -> None:
    contents.store("csrf_token", "abc")


def nothing(_: Contents[Any]) -> None:
    """Leave them as they are."""


NO_CHANGES = (equal_line, reorder_counts, true_for_one, reorder_keys, nothing)


@pytest.mark.parametrize("name", SERIALIZER_OBJECTS)
@pytest.mark.parametrize(
    "change",
    [
        append_line, replace_line, equal_line, count, reorder_counts, true_for_one, reorder_keys, flash, true_in_extras,
        unstore, default, wrong_items, undeclared, nothing,
    ],
)  # fmt: skip
def test_changes_are_found_alike(name: str, change: Callable[[Contents[Any]], None]) -> None:
    payload = SHOPPERS[name][1].payload(SHOPPER)
    found: list[tuple[bytes | str | None, bytes | str]] = []
    for codec in SHOPPERS[name]:
        outcome = codec.decode(payload)
        assert isinstance(outcome, Loaded)
        change(outcome.contents)
        found.append((changed_payload_or_error(outcome), payload_or_error(codec, outcome.contents)))
    assert found[0] == found[1]
    assert (found[0][0] is None) is (change in NO_CHANGES)


@pytest.mark.parametrize("name", SERIALIZER_OBJECTS)
@pytest.mark.parametrize("shared", ["cart", "counts", "_flashes", "tags"])
def test_what_is_remembered_of_a_payload_is_not_changed_with_the_data(name: str, shared: str) -> None:
    codec, _ = SHOPPERS[name]
    payload = codec.payload({**SHOPPER, "tags": {"x"}})
    outcome = codec.decode(payload)
    assert isinstance(outcome, Loaded)
    value: Any = outcome.contents.read(shared)
    before = deepcopy(value)
    value.clear()
    assert codec.diff(outcome.contents, outcome.snapshot) is not None
    value.update(before) if isinstance(value, (dict, set)) else value.extend(before)
    assert codec.diff(outcome.contents, outcome.snapshot) is None


def stripped(text: str) -> str:
    return text.strip()


@define
class Checked:
    """A class whose constructor has something to say."""

    age: int = field(default=0, validator=validators.ge(0))
    name: str = field(default="", converter=stripped)
    tags: list[str] = Factory(list[str])

    def __attrs_post_init__(self) -> None:
        if self.name == "nobody":
            raise ValueError("nobody")


@pytest.mark.parametrize("name", SERIALIZER_OBJECTS)
@pytest.mark.parametrize(
    "stored",
    [
        {"age": 7},
        {"age": -1, "tags": ["a"]},
        {"name": " x "},
        {"name": "nobody", "age": 1},
        {"age": 1, "extra": [1, 2]},
    ],
)
def test_a_class_with_converters_and_validators_is_read_and_judged_alike(name: str, stored: dict[str, object]) -> None:
    pair = both(Schema(Checked), name)
    payload = OPEN[name][1].payload(stored)
    for codec, outcome in zip(pair, assert_alike(pair, payload), strict=True):
        assert codec.diff(outcome.contents, outcome.snapshot) is None
        outcome.contents.data.tags.append("more")
        assert codec.diff(outcome.contents, outcome.snapshot) is not None
        outcome.contents.data.name = "nobody"  # which attrs does not refuse here
        assert payload_or_error(codec, outcome.contents) == payload_or_error(pair[1], outcome.contents)
        assert changed_payload_or_error(outcome) == payload_or_error(pair[1], outcome.contents)


@pytest.mark.parametrize("name", SERIALIZER_OBJECTS)
@pytest.mark.parametrize("depth", [90, 99, 100, 101, 2_000])
def test_what_nests_deep_is_read_and_written_alike(name: str, depth: int) -> None:
    tree: Any = 1
    for _ in range(depth):
        tree = [tree]
    for schema in (Schema[Any](), Schema[Any](Shopper)):
        pair = both(schema, name)
        contents = contents_of(schema, {"extra": tree})
        generated, explained = (payload_or_error(codec, contents) for codec in pair)
        assert generated == explained
    node = Node()
    for _ in range(depth // 2):
        node = Node("x", [node])
    pair = VISITORS[name]
    with suppress(RecursionError):
        contents = contents_of(pair[0].schema, {"root": node})
        generated, explained = (payload_or_error(codec, contents) for codec in pair)
        assert generated == explained


class Odd(Enum):
    ONE = "one"

    @classmethod
    @override
    def _missing_(cls, value: object) -> Odd:
        raise RuntimeError(value)


class Text(str):
    __slots__ = ()


@define
class Edges:
    raw: bytes = b""
    ratio: float = 0.0
    ratios: list[float] = Factory(list[float])
    either: float | str = 0.0
    odd: Odd = Odd.ONE


EDGES = {name: both(Schema(Edges), name) for name in SERIALIZER_OBJECTS}


@pytest.mark.parametrize("name", SERIALIZER_OBJECTS)
@pytest.mark.parametrize(
    "stored",
    [
        {"ratio": 2**53 + 1},
        {"ratios": [2**53 + 1]},
        {"either": 2**53 + 1},
        {"ratio": 1, "ratios": [1], "either": 1},
        {"odd": "two"},
        {"odd": 1},
    ],
)
def test_what_a_field_can_hardly_take_is_read_alike(name: str, stored: dict[str, object]) -> None:
    payload = OPEN[name][1].payload(stored)
    for codec, outcome in zip(EDGES[name], assert_alike(EDGES[name], payload), strict=True):
        assert codec.diff(outcome.contents, outcome.snapshot) is None


@pytest.mark.parametrize("name", SERIALIZER_OBJECTS)
@pytest.mark.parametrize(
    "changes",
    [
        {"raw": bytearray(b"x")},
        {"raw": memoryview(b"x")},
        {"ratio": 7},
        {"either": 7},
        {"extra": {Text("a"): 1}},
        {"extra": {1: 2}},
        {"extra": Text("a")},
    ],
)
def test_what_is_of_nearly_the_right_type_is_written_alike(name: str, changes: dict[str, object]) -> None:
    found: list[object] = []
    for codec in EDGES[name]:
        contents = contents_of(codec.schema, {})
        for key, value in changes.items():
            if contents.declares(key):
                setattr(contents.data, key, value)
            else:
                contents.store(key, value)
        try:
            found.append(codec.write(contents))
        except SerializationError as error:
            found.append(str(error))
    assert found[0] == found[1]

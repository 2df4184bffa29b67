"""Every kind of schema keeps the same laws, in every serializer, for every type of field."""

from __future__ import annotations

import collections.abc
import copy
import dataclasses
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from ipaddress import IPv4Address
from itertools import product
from pathlib import PurePosixPath
from typing import Any, Final
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
from cattrs import Converter
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from pydantic.alias_generators import to_camel
from quart import Quart
from typing_extensions import TypedDict

from tests.cases import case, for_each
from tests.strategies import FIELD_VALUES, FieldValues, json_values, short_integers, tag_like_text
from typed_sessions import FieldTypeError, Schema, SchemaError, SecureCookieSession, SerializationError
from typed_sessions.codec.codec import Codec, Loaded, Snapshot
from typed_sessions.codec.contents import Contents
from typed_sessions.core.session import session_from, state_of
from typed_sessions.core.state import Binding, LoadResult
from typed_sessions.quart import Sessions
from typed_sessions.reports import FieldReset
from typed_sessions.schema.places import Comparison
from typed_sessions.schema.sameness import same
from typed_sessions.serializers import MsgspecJSONSerializer, MsgspecMsgpackSerializer, TaggedJSONSerializer

FIELD: Final = "held_value"
"""The one field of a class that is made for a type: of two words, so that `rename` would change it."""

NOTHING: Final = object()
"""Stands for no default."""

SERIALIZER_OBJECTS: dict[str, Any] = {
    serializer.name: serializer
    for serializer in (TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer())
}
SERIALIZERS = pytest.mark.parametrize("serializer", SERIALIZER_OBJECTS)
EACH_SERIALIZER = for_each("serializer", SERIALIZER_OBJECTS)

FEW: Final = settings(max_examples=settings().max_examples // 25)
"""For laws that are tried for hundreds of combinations, each with a few examples of its own."""


def defaulted(default: object, factory: str) -> dict[str, Any]:
    """Return the arguments that give a field its default: a factory where the default could be changed."""
    if default is NOTHING:
        return {}
    return {"default": default} if is_hashable(default) else {factory: lambda: copy.deepcopy(default)}


def is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def attrs_class(annotation: Any, default: object, *, frozen: bool = False) -> Any:
    attribute: Any = attrs.field(type=annotation, **defaulted(default, "factory"))
    return attrs.make_class("Held", {FIELD: attribute}, frozen=frozen, slots=True)


def dataclass_class(annotation: Any, default: object, *, frozen: bool = False) -> Any:
    definition: Any = dataclasses.field(**defaulted(default, "default_factory"))
    return dataclasses.make_dataclass("Held", [(FIELD, annotation, definition)], frozen=frozen, slots=frozen)


def struct_class(annotation: Any, default: object, *, frozen: bool = False) -> Any:
    definition: Any = msgspec.field(**defaulted(default, "default_factory"))
    return msgspec.defstruct(
        "Held", [(FIELD, annotation, definition)], frozen=frozen, rename="camel" if frozen else None
    )


def model_class(annotation: Any, default: object, *, frozen: bool = False) -> Any:
    definition: Any = pydantic.Field(**defaulted(default, "default_factory"))
    config = pydantic.ConfigDict(
        allow_inf_nan=True,  # which the strategies draw
        arbitrary_types_allowed=True,
        frozen=frozen,
        alias_generator=to_camel if frozen else None,
        populate_by_name=True,
    )
    fields: Any = {FIELD: (annotation, definition)}
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of keys that are ReadOnly
        return pydantic.create_model("Held", __config__=config, **fields)


def typed_dict(annotation: Any, default: object) -> Any:
    declare: Any = TypedDict  # checkers read it as a statement alone
    return declare("Held", {FIELD: annotation}, total=default is NOTHING)


def made_by_a_function(annotation: Any, default: object) -> Any:
    cls = attrs_class(annotation, NOTHING)

    def held() -> Any:
        return cls() if default is NOTHING else cls(copy.deepcopy(default))

    return held


def list_of(item: Any) -> Any:
    return list[item]


def dict_of(item: Any) -> Any:
    return dict[str, item]


DECLARATIONS: dict[str, Callable[[Any, object], Any]] = {
    "attrs": attrs_class,
    "frozen attrs": lambda annotation, default: attrs_class(annotation, default, frozen=True),
    "dataclass": dataclass_class,
    "frozen dataclass": lambda annotation, default: dataclass_class(annotation, default, frozen=True),
    "Struct": struct_class,
    "frozen Struct": lambda annotation, default: struct_class(annotation, default, frozen=True),
    "pydantic": model_class,
    "frozen pydantic": lambda annotation, default: model_class(annotation, default, frozen=True),
    "TypedDict": typed_dict,
    "function": made_by_a_function,
}
"""What declares a class with one field, by kind."""

CLASSES: Final = [kind for kind in DECLARATIONS if kind != "function"]
"""The kinds that an annotation can name."""

KINDS = for_each("kind", DECLARATIONS)


def python_values() -> st.SearchStrategy[object]:
    """What a field of type `object` may hold in every serializer: beyond JSON, datetimes of whole seconds in UTC."""
    moments = st.datetimes(datetime(1000, 1, 3), timezones=st.just(UTC))  # noqa: DTZ001 -- hypothesis adds the time zone
    leaves = (
        json_values()
        | short_integers()
        | st.binary(max_size=9)
        | st.uuids()
        | tag_like_text().map(Markup)
        | moments.map(lambda moment: moment.replace(microsecond=0, fold=0))
    )
    return st.recursive(
        leaves,
        lambda parts: st.lists(parts, max_size=3).map(tuple) | st.dictionaries(tag_like_text(), parts, max_size=2),
        max_leaves=6,
    )


TYPES: dict[str, FieldValues] = {**FIELD_VALUES, "object of Python": FieldValues(object, None, python_values())}
EVERY_TYPE = pytest.mark.parametrize("name", TYPES, scope="module")  # all tests of one type, and then those of the next


@lru_cache(maxsize=64)  # more than the kinds and the serializers of one type
def codec_for(kind: str, name: str, serializer: str) -> Codec[Any]:
    return Codec(schema_for(kind, name), SERIALIZER_OBJECTS[serializer])


@lru_cache(maxsize=16)  # more than the kinds
def schema_for(kind: str, name: str) -> Schema[Any]:
    return Schema(DECLARATIONS[kind](TYPES[name].annotation, TYPES[name].default))


def loaded(codec: Codec[Any], payload: bytes) -> Loaded[Any]:
    outcome = codec.decode(payload)
    assert isinstance(outcome, Loaded)
    assert not any(isinstance(report, FieldReset) for report in outcome.reports)
    return outcome


def decoded(codec: Codec[Any], payload: bytes) -> Contents[Any]:
    return loaded(codec, payload).contents


def held_by(data: Any) -> Any:
    return data[FIELD] if isinstance(data, dict) else getattr(data, FIELD)


@EVERY_TYPE
@FEW
@given(st.data())
def test_every_value_of_a_type_comes_back_with_its_type(name: str, data: st.DataObject) -> None:
    # The rest is a loop: hypothesis nests the settings of a test once for each of its parameters, and in CI, where it
    # has no database, asks them all the way down.
    value = data.draw(TYPES[name].values)
    for kind, serializer in product(DECLARATIONS, SERIALIZER_OBJECTS):
        with case((kind, serializer)):
            assert_comes_back(value, kind, serializer, name)


def assert_comes_back(value: object, kind: str, serializer: str, name: str) -> None:
    codec = codec_for(kind, name, serializer)
    assert codec.schema.validate(FIELD, value) is value
    payload = codec.write_stored({FIELD: value}).payload
    outcome = loaded(codec, payload)
    contents = outcome.contents
    assert codec.diff(contents, outcome.snapshot) is None
    back = contents.stored()[FIELD]
    assert held_by(contents.data) is back
    if TYPES[name].holds_moments and serializer == "tagged-json":
        assert type(back) is type(value)
        assert Comparison(whole_seconds=True).came_back(value, back)
    else:
        assert same(back, value)
    assert codec.diff(contents, outcome.snapshot) is None
    assert codec.diff(contents, Snapshot(codec, payload, payload)) is None


@KINDS
@EACH_SERIALIZER
@EVERY_TYPE
def test_a_default_is_not_stored_until_it_is_set_and_then_comes_back(kind: str, serializer: str, name: str) -> None:
    codec, default = codec_for(kind, name, serializer), copy.deepcopy(TYPES[name].default)
    session = session_of(codec, codec.payload({}))
    assert FIELD not in session
    if kind != "TypedDict":
        assert same(held_by(session.data), default)
    session[FIELD] = default
    assert session.modified
    assert same(dict(session_of(codec, codec.write_stored(dict(session)).payload)), {FIELD: default})


@KINDS
@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**40, -(10**40)])
def test_an_integer_of_more_than_64_bits_comes_back_or_is_refused_by_name(kind: str, number: int) -> None:
    for serializer in ("tagged-json", "msgspec-json"):
        codec = codec_for(kind, "int", serializer)
        assert same(decoded(codec, codec.write_stored({FIELD: number}).payload).stored(), {FIELD: number})
    with pytest.raises(SerializationError, match=FIELD):
        codec_for(kind, "int", "msgspec-msgpack").write_stored({FIELD: number})


@KINDS
@SERIALIZERS
@pytest.mark.parametrize("inner_kind", CLASSES)
def test_every_kind_nests_in_every_kind(kind: str, serializer: str, inner_kind: str) -> None:
    inner: Any = DECLARATIONS[inner_kind](set[date], set())
    middle: Any = DECLARATIONS[inner_kind](list_of(inner), [])
    codec: Codec[Any] = Codec(
        Schema[Any](DECLARATIONS[kind](dict_of(middle) | None, None)), SERIALIZER_OBJECTS[serializer]
    )
    value = {"a": middle(**{FIELD: [inner(**{FIELD: {date(2026, 1, 2), date(1, 1, 1)}}), inner()]})}
    payload = codec.write_stored({FIELD: value}).payload
    back = decoded(codec, payload).stored()[FIELD]
    assert same(back, value)


@SERIALIZERS
@pytest.mark.parametrize("made_kind", [kind for kind in CLASSES if kind != "TypedDict"])
@pytest.mark.parametrize("required", [True, False], ids=["required", "with a default of its own"])
def test_a_function_may_make_an_instance_of_any_class(made_kind: str, serializer: str, required: bool) -> None:
    cls: Any = DECLARATIONS[made_kind](list[str], NOTHING if required else [])
    codec: Codec[Any] = Codec(Schema[Any](lambda: cls(**{FIELD: ["gift"]})), SERIALIZER_OBJECTS[serializer])
    session = session_of(codec, codec.payload({}))
    assert held_by(session.data) == ["gift"]
    assert not session
    held_by(session.data).append("more")
    again = session_of(codec, codec.write_stored(dict(session)).payload)
    assert type(again.data) is cls
    assert dict(again) == {FIELD: ["gift", "more"]}
    again.clear()
    assert held_by(again.data) == ["gift"]
    assert dict(session_of(codec, codec.write_stored({FIELD: []}).payload)) == {FIELD: []}


@KINDS
@SERIALIZERS
def test_a_value_of_another_type_is_refused_by_name_and_changes_nothing(kind: str, serializer: str) -> None:
    codec = codec_for(kind, "list of unions", serializer)
    session = session_of(codec, codec.payload({FIELD: ["a"]}))
    with pytest.raises(FieldTypeError, match=rf"{FIELD}\[1\] must be str \| date \| None, not int"):
        session[FIELD] = ["b", 7]
    assert same(dict(session), {FIELD: ["a"]})
    assert not session.modified


class Opaque:
    """A class of no known kind."""


@KINDS
@EVERY_TYPE
def test_every_type_refuses_a_stranger_by_name(kind: str, name: str) -> None:
    schema, stranger = codec_for(kind, name, "tagged-json").schema, Opaque()
    if TYPES[name].annotation is object:  # to which nobody is one
        assert schema.validate(FIELD, stranger) is stranger
        return
    with pytest.raises(FieldTypeError, match=rf"\.{FIELD} must be .*, not Opaque"):
        schema.validate(FIELD, stranger)


@KINDS
@SERIALIZERS
def test_a_stored_value_that_no_longer_fits_is_reset_by_name(kind: str, serializer: str) -> None:
    earlier, codec = codec_for(kind, "str", serializer), codec_for(kind, "list of classes", serializer)
    outcome = codec.decode(earlier.payload({FIELD: "a", "extra": (1, 2)}))
    assert isinstance(outcome, Loaded)
    assert [report.field for report in outcome.reports if isinstance(report, FieldReset)] == [FIELD]
    assert len(outcome.reports) == 1
    assert same(outcome.contents.stored(), {"extra": (1, 2)})


@attrs.define
class AttrsItem:
    sku: str
    price: float = 0.0


@attrs.define
class AttrsVisitor:
    user_id: int | None = None
    cart: list[AttrsItem] = attrs.Factory(list[AttrsItem])
    tags: set[str] = attrs.Factory(set[str])
    seen: datetime | None = None


@attrs.frozen
class FrozenAttrsVisitor:
    user_id: int | None = None
    cart: tuple[AttrsItem, ...] = ()
    tags: set[str] = attrs.Factory(set[str])
    seen: datetime | None = None


@dataclass
class DataItem:
    sku: str
    price: float = 0.0


@dataclass
class DataVisitor:
    user_id: int | None = None
    cart: list[DataItem] = dataclasses.field(default_factory=list)
    tags: set[str] = dataclasses.field(default_factory=set)
    seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class FrozenDataVisitor:
    user_id: int | None = None
    cart: tuple[DataItem, ...] = ()
    tags: set[str] = dataclasses.field(default_factory=set)
    seen: datetime | None = None


class StructItem(msgspec.Struct):
    sku: str
    price: float = 0.0


class StructVisitor(msgspec.Struct):
    user_id: int | None = None
    cart: list[StructItem] = []
    tags: set[str] = msgspec.field(default_factory=set[str])
    seen: datetime | None = None


class FrozenStructVisitor(msgspec.Struct, frozen=True, rename="camel"):
    user_id: int | None = None
    cart: tuple[StructItem, ...] = ()
    tags: set[str] = msgspec.field(default_factory=set[str])
    seen: datetime | None = None


class ModelItem(pydantic.BaseModel):
    sku: str
    price: float = 0.0


class ModelVisitor(pydantic.BaseModel):
    user_id: int | None = None
    cart: list[ModelItem] = []
    tags: set[str] = pydantic.Field(default_factory=set[str])
    seen: datetime | None = None


class FrozenModelVisitor(pydantic.BaseModel, frozen=True, alias_generator=to_camel):
    user_id: int | None = None
    cart: tuple[ModelItem, ...] = ()
    tags: set[str] = set()
    seen: datetime | None = None


class KeyedItem(TypedDict):
    sku: str
    price: float


class KeyedVisitor(TypedDict, total=False):
    user_id: int | None
    cart: list[KeyedItem]
    tags: set[str]
    seen: datetime | None


@attrs.define
class MadeVisitor:
    user_id: int | None
    cart: list[AttrsItem]
    tags: set[str]
    seen: datetime | None


def made_visitor() -> MadeVisitor:
    return MadeVisitor(0, [AttrsItem("gift")], {"new"}, None)


def model_item(sku: str, price: float = 0.0) -> ModelItem:
    return ModelItem(sku=sku, price=price)


def replaced_model(model: pydantic.BaseModel, **values: object) -> pydantic.BaseModel:
    return model.model_copy(update=values)


def keyed_item(sku: str, price: float = 0.0) -> KeyedItem:
    return {"sku": sku, "price": price}


VISITORS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "attrs": (AttrsVisitor, AttrsItem),
    "frozen attrs": (FrozenAttrsVisitor, AttrsItem),
    "dataclass": (DataVisitor, DataItem),
    "frozen dataclass": (FrozenDataVisitor, DataItem),
    "Struct": (StructVisitor, StructItem),
    "frozen Struct": (FrozenStructVisitor, StructItem),
    "pydantic": (ModelVisitor, model_item),
    "frozen pydantic": (FrozenModelVisitor, model_item),
    "TypedDict": (KeyedVisitor, keyed_item),
    "function": (made_visitor, AttrsItem),
}
"""A class with the same four fields of each kind, and what makes an item of its cart."""

SUCCESSORS: dict[str, Callable[..., Any]] = {
    "frozen attrs": attrs.evolve,
    "frozen dataclass": dataclasses.replace,
    "frozen Struct": msgspec.structs.replace,
    "frozen pydantic": replaced_model,
}
"""What makes another instance of a frozen one."""

SEEN: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

EXTRAS: Final[Mapping[str, object]] = {
    "_flashes": [("message", "hi"), ("error", "no")],
    "csrf_token": "0" * 40,
    "nested": {" t": {" t": ((1, (2,)), [])}},
    "device": UUID(int=7),
    "raw": b"\xff",
    "when": SEEN,
}

DECLARED: Final = ("user_id", "cart", "tags", "seen")


def session_of(codec: Codec[Any], payload: bytes) -> SecureCookieSession[Any]:
    outcome = loaded(codec, payload)
    opened = LoadResult(outcome.contents, outcome.snapshot, new=False)
    return session_from(Binding(lambda: opened), SecureCookieSession[Any])


@cache
def visitor_codec(kind: str, serializer: str) -> Codec[Any]:
    return Codec(Schema[Any](VISITORS[kind][0]), SERIALIZER_OBJECTS[serializer])


def filled(kind: str) -> dict[str, object]:
    """Return a value for each declared field, none of them a default."""
    item, cart = VISITORS[kind][1], tuple if kind in SUCCESSORS else list
    return {"user_id": 7, "cart": cart([item("a", 1.5), item("b")]), "tags": {"x", "y"}, "seen": SEEN}


def defaults(kind: str) -> dict[str, object]:
    """Return the value that each declared field has by default; the keys of a TypedDict have none."""
    if kind == "TypedDict":
        return {}
    fresh = visitor_codec(kind, "tagged-json").schema.create()
    return {name: getattr(fresh, name) for name in DECLARED}


def values_for(kind: str, key: str) -> list[object]:
    """Return what a key is set to: a default or an empty value, and others."""
    if key in EXTRAS:
        return [EXTRAS[key], None, [1.5, {"a": ("b",)}]]
    cart = tuple if kind in SUCCESSORS else list
    empty: dict[str, object] = {"user_id": None, "cart": cart(), "tags": set(), "seen": None}
    return [filled(kind)[key], empty[key], defaults(kind).get(key, empty[key])]


def read_data(session: SecureCookieSession[Any], name: str) -> Any:
    data = session.data
    return data[name] if isinstance(data, dict) else getattr(data, name)


def set_in_data(session: SecureCookieSession[Any], kind: str, name: str, value: object) -> None:
    """Set a field as a program does it that has the data in hand."""
    if kind in SUCCESSORS:
        session.replace(SUCCESSORS[kind](session.data, **{name: value}))
    elif kind == "TypedDict":
        session.data[name] = value
    else:
        setattr(session.data, name, value)


class Model:
    """What a session stores, as a dict would say it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.stored: dict[str, Any] = {}
        self.loaded: dict[str, Any] = {}

    def set_in_data(self, key: str, value: object) -> None:
        """A field that gets its default through the data is stored only if the default was stored before."""
        default = defaults(self.kind).get(key, NOTHING)
        if not same(value, default):
            self.stored[key] = value
        elif key in self.stored and not same(self.stored[key], default):
            del self.stored[key]

    def check(self, session: SecureCookieSession[Any]) -> None:
        keys = list(session)
        assert same(dict(session), self.stored)
        assert same(dict(session.items()), self.stored)
        assert len(keys) == len(session) == len(self.stored)
        assert list(reversed(session)) == keys[::-1]
        assert bool(session) is bool(self.stored)
        assert session == self.stored
        for key in (*DECLARED, *EXTRAS, "absent"):
            assert (key in session) is (key in self.stored)
            if key in self.stored:
                assert same(session[key], self.stored[key])
            else:
                with pytest.raises(KeyError):
                    session[key]
        assert dict(session.extras).keys() == self.stored.keys() - set(DECLARED)
        if self.kind == "TypedDict":
            assert same(dict(session.data), self.stored)
        else:
            for name, default in defaults(self.kind).items():
                assert same(getattr(session.data, name), self.stored.get(name, default))
        assert session.modified is not same(self.stored, self.loaded)


def outcome_of(operation: Callable[[], object]) -> object:
    try:
        return operation()
    except KeyError:
        return KeyError


Step = Callable[[SecureCookieSession[Any], Model, str, Any], None]


def set_by_key(session: SecureCookieSession[Any], model: Model, key: str, value: Any) -> None:
    session[key] = value
    model.stored[key] = copy.deepcopy(value)
    assert session[key] is value


def set_through_the_data(session: SecureCookieSession[Any], model: Model, key: str, value: Any) -> None:
    if key in EXTRAS:
        session.extras[key] = value
        model.stored[key] = copy.deepcopy(value)
    else:
        set_in_data(session, model.kind, key, value)
        model.set_in_data(key, copy.deepcopy(value))


def toggle_a_tag(session: SecureCookieSession[Any], model: Model, _key: str, _value: Any) -> None:
    if model.kind == "TypedDict" and "tags" not in model.stored:
        session["tags"], model.stored["tags"] = set(), set()
    read_data(session, "tags").symmetric_difference_update({"x"})
    tags: Any = model.stored["tags"] if "tags" in model.stored else defaults(model.kind)["tags"]
    model.set_in_data("tags", tags ^ {"x"})


def delete(session: SecureCookieSession[Any], model: Model, key: str, _value: Any) -> None:
    deleted = outcome_of(lambda: session.__delitem__(key))
    assert deleted is outcome_of(lambda: model.stored.__delitem__(key))


def pop(session: SecureCookieSession[Any], model: Model, key: str, _value: Any) -> None:
    assert same(outcome_of(lambda: session.pop(key)), outcome_of(lambda: model.stored.pop(key)))


def pop_with_a_default(session: SecureCookieSession[Any], model: Model, key: str, _value: Any) -> None:
    assert same(session.pop(key, NOTHING), model.stored.pop(key, NOTHING))


def pop_the_last(session: SecureCookieSession[Any], model: Model, _key: str, _value: Any) -> None:
    keys = list(session)
    popped: Any = outcome_of(session.popitem)
    if keys:
        assert popped[0] == keys[-1]
        assert same(popped[1], model.stored.pop(keys[-1]))
    else:
        assert popped is KeyError


def set_a_default(session: SecureCookieSession[Any], model: Model, key: str, value: Any) -> None:
    assert same(session.setdefault(key, value), model.stored.setdefault(key, copy.deepcopy(value)))


def update(session: SecureCookieSession[Any], model: Model, key: str, value: Any) -> None:
    session.update({key: value}, csrf_token="t")
    model.stored.update(copy.deepcopy({key: value}), csrf_token="t")


def clear(session: SecureCookieSession[Any], model: Model, _key: str, _value: Any) -> None:
    session.clear()
    model.stored.clear()


STEPS: dict[str, Step] = {
    "set by key": set_by_key,
    "set through the data": set_through_the_data,
    "toggle a tag": toggle_a_tag,
    "delete": delete,
    "pop": pop,
    "pop with a default": pop_with_a_default,
    "pop the last": pop_the_last,
    "set a default": set_a_default,
    "update": update,
    "clear": clear,
}

SAVE: Final = "save and open again"


@pytest.mark.parametrize("kind", DECLARATIONS)
@SERIALIZERS
@settings(max_examples=settings().max_examples // 4)
@given(
    st.lists(
        st.tuples(st.sampled_from([*STEPS, SAVE]), st.sampled_from([*DECLARED, *DECLARED, *EXTRAS]), st.integers(0, 2)),
        max_size=15,
    )
)
def test_a_session_stores_what_a_dict_would_through_any_steps_and_saves(
    kind: str, serializer: str, steps: list[tuple[str, str, int]]
) -> None:
    codec, model = visitor_codec(kind, serializer), Model(kind)
    session = session_of(codec, codec.payload({}))
    live = session.data
    for name, key, choice in steps:
        if name == SAVE:
            session = session_of(codec, codec.write_stored(dict(session)).payload)
            live, model.loaded = session.data, copy.deepcopy(model.stored)
        else:
            STEPS[name](session, model, key, copy.deepcopy(values_for(kind, key)[choice]))
        model.check(session)
        assert kind in SUCCESSORS or session.data is live


REMOVALS: dict[str, Callable[[SecureCookieSession[Any]], object]] = {
    "del": lambda session: [session.__delitem__(key) for key in DECLARED],
    "pop": lambda session: [session.pop(key) for key in DECLARED],
    "popitem": lambda session: [session.popitem() for _ in DECLARED],
    "clear": lambda session: session.clear(),
}


@KINDS
@SERIALIZERS
@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS)
def test_what_is_taken_out_has_its_default_in_the_live_data(
    kind: str, serializer: str, remove: Callable[[SecureCookieSession[Any]], object]
) -> None:
    codec = visitor_codec(kind, serializer)
    session = session_of(codec, codec.write_stored(filled(kind)).payload)
    live, before = session.data, copy.deepcopy(session.data)
    remove(session)
    assert dict(session) == {}
    assert session.modified
    assert same(session.data, codec.schema.create())
    assert same(live, before) if kind in SUCCESSORS else session.data is live
    assert dict(session_of(codec, codec.write_stored(dict(session)).payload)) == {}


@KINDS
@SERIALIZERS
@pytest.mark.parametrize("key", ["user_id", "cart", "undeclared"])
def test_an_absent_key_raises_key_error_and_changes_nothing(kind: str, serializer: str, key: str) -> None:
    codec = visitor_codec(kind, serializer)
    session = session_of(codec, codec.payload({}))
    operations: list[Callable[[], object]] = [
        lambda: session[key],
        lambda: session.__delitem__(key),
        lambda: session.pop(key),
        session.popitem,
    ]
    for operation in operations:
        with pytest.raises(KeyError):
            operation()
    assert session.get(key, NOTHING) is session.pop(key, NOTHING) is NOTHING
    assert not session.modified


@KINDS
@SERIALIZERS
def test_a_visitor_comes_back_with_extras_beside_the_declared_fields(kind: str, serializer: str) -> None:
    codec = visitor_codec(kind, serializer)
    stored = {**EXTRAS, **filled(kind)}
    session = session_of(codec, codec.write_stored(stored).payload)
    assert same(dict(session), stored)
    assert same(dict(session.extras), dict(EXTRAS))
    assert {name: read_data(session, name) for name in DECLARED} == filled(kind)
    assert not session.modified


def set_price(session: SecureCookieSession[Any], price: float) -> None:
    item: Any = read_data(session, "cart")[0]
    if isinstance(item, dict):
        item["price"] = price
    else:
        item.price = price


CHANGES: dict[str, tuple[Callable[[Any], object], Callable[[Any], object]]] = {
    "item of a set": (lambda s: read_data(s, "tags").add("z"), lambda s: read_data(s, "tags").remove("z")),
    "item of a set by key": (lambda s: s["tags"].remove("x"), lambda s: s["tags"].add("x")),
    "attribute of an item": (lambda s: set_price(s, 2.5), lambda s: set_price(s, 1.5)),
    "item of an extra": (lambda s: s.extras["_flashes"].append(("info", "x")), lambda s: s.extras["_flashes"].pop()),
    "depth of an extra": (
        lambda s: s["nested"][" t"][" t"][1].append(1),
        lambda s: s["nested"][" t"][" t"][1].clear(),
    ),
}
"""Changes inside a session, each with what undoes it."""


@KINDS
@SERIALIZERS
@pytest.mark.parametrize(("change", "undo"), CHANGES.values(), ids=CHANGES)
def test_a_nested_change_is_found_in_the_payload_until_it_is_undone(
    kind: str, serializer: str, change: Callable[[Any], object], undo: Callable[[Any], object]
) -> None:
    codec = visitor_codec(kind, serializer)
    payload = codec.write_stored({**EXTRAS, **filled(kind)}).payload
    session = session_of(codec, payload)
    written, contents = Snapshot(codec, payload, payload), state_of(session).open().contents
    assert codec.diff(contents, written) is None
    change(session)
    assert codec.diff(contents, written) is not None
    assert session.modified
    assert same(dict(session_of(codec, codec.write_stored(dict(session)).payload)), dict(session))
    undo(session)
    assert codec.diff(contents, written) is None
    assert not session.modified


@pytest.mark.parametrize("kind", [kind for kind in VISITORS if kind not in SUCCESSORS])
@SERIALIZERS
def test_an_item_put_into_a_list_is_saved(kind: str, serializer: str) -> None:
    codec = visitor_codec(kind, serializer)
    session = session_of(codec, codec.write_stored(filled(kind)).payload)
    read_data(session, "cart").append(VISITORS[kind][1]("c", 0.25))
    assert session.modified
    again = session_of(codec, codec.write_stored(dict(session)).payload)
    assert read_data(again, "cart")[2] == VISITORS[kind][1]("c", 0.25)


@KINDS
@SERIALIZERS
@pytest.mark.parametrize("key", [*DECLARED, *EXTRAS])
def test_an_equal_value_is_no_change(kind: str, serializer: str, key: str) -> None:
    codec = visitor_codec(kind, serializer)
    stored = {**EXTRAS, **filled(kind)}
    session = session_of(codec, codec.write_stored(stored).payload)
    session[key] = copy.deepcopy(stored[key])
    session[key] = session.pop(key)
    assert not session.modified


@KINDS
@SERIALIZERS
def test_an_equal_set_of_another_order_is_no_change(kind: str, serializer: str) -> None:
    one, other = {0, 8}, {8, 0}
    assert list(one) != list(other)
    codec = codec_for(kind, "set", serializer)
    session = session_of(codec, codec.write_stored({FIELD: one}).payload)
    session[FIELD] = other
    assert not session.modified


@KINDS
@SERIALIZERS
def test_a_stored_default_is_kept_apart_from_an_absent_key(kind: str, serializer: str) -> None:
    codec = visitor_codec(kind, serializer)
    session = session_of(codec, codec.payload({}))
    session["seen"] = None
    assert session.modified
    assert dict(session_of(codec, codec.write_stored(dict(session)).payload)) == {"seen": None}
    del session["seen"]
    assert "seen" not in session
    assert not session.modified


@KINDS
@SERIALIZERS
def test_a_stored_default_that_has_changed_since_counts_as_any_other(kind: str, serializer: str) -> None:
    codec = visitor_codec(kind, serializer)
    session = session_of(codec, codec.write_stored({"seen": None}).payload)
    set_in_data(session, kind, "seen", SEEN)
    assert dict(session) == {"seen": SEEN}
    set_in_data(session, kind, "seen", None)
    assert dict(session) == ({"seen": None} if kind == "TypedDict" else {})


@KINDS
@SERIALIZERS
def test_replaced_data_is_what_is_stored(kind: str, serializer: str) -> None:
    codec = visitor_codec(kind, serializer)
    session = session_of(codec, codec.payload({"user_id": 8}))
    data = codec.schema.construct(filled(kind))
    session.replace(data)
    assert session.data is data
    assert same(dict(session), filled(kind))
    assert session.modified
    assert same(dict(session_of(codec, codec.write_stored(dict(session)).payload)), filled(kind))


@KINDS
@SERIALIZERS
def test_data_of_another_class_or_with_a_wrong_field_replaces_nothing(kind: str, serializer: str) -> None:
    codec = visitor_codec(kind, serializer)
    session = session_of(codec, codec.payload({"user_id": 8}))
    wrong = codec.schema.construct(filled(kind))
    (wrong["tags"] if kind == "TypedDict" else wrong.tags).add(7)
    with pytest.raises(FieldTypeError, match="tags"):
        session.replace(wrong)
    with pytest.raises(FieldTypeError, match="the data of this session must be a"):
        session.replace(7)
    assert dict(session) == {"user_id": 8}
    assert not session.modified


@KINDS
@SERIALIZERS
def test_the_payload_goes_by_attribute_names(kind: str, serializer: str) -> None:
    codec = visitor_codec(kind, serializer)
    plain: Any = SERIALIZER_OBJECTS[serializer]
    payload = codec.write_stored(filled(kind)).payload
    loaded = plain.loads(payload.decode() if serializer == "tagged-json" else payload)
    assert list(loaded) == list(DECLARED)
    assert list(loaded["cart"][0]) == ["sku", "price"]


def path_hooks() -> Converter:
    """Return a converter with hooks for two classes that the library does not know."""
    converter = Converter()
    for cls in (PurePosixPath, IPv4Address):
        converter.register_unstructure_hook(cls, str)
        converter.register_structure_hook(cls, lambda text, cls: cls(text))
    return converter


CONVERTER: Final = path_hooks()

HOME, ROOT = PurePosixPath("/home/a b"), PurePosixPath("/")
PLACES: dict[str, tuple[Any, list[Any]]] = {
    "alone": (PurePosixPath, [HOME, ROOT]),
    "or None": (PurePosixPath | None, [None, HOME]),
    "in a list": (list[PurePosixPath], [[], [HOME, ROOT, HOME]]),
    "in a set": (set[IPv4Address], [set(), {IPv4Address("127.0.0.1"), IPv4Address("10.0.0.1")}]),
    "in a tuple": (tuple[IPv4Address, PurePosixPath], [(IPv4Address("127.0.0.1"), HOME)]),
    "in a dict": (dict[str, list[IPv4Address]], [{}, {"a": [IPv4Address("10.0.0.1")]}]),
    "in a union": (int | PurePosixPath | str, [7, HOME, "7", str(HOME)]),
    "in a union of two": (PurePosixPath | IPv4Address, [HOME, IPv4Address("10.0.0.1"), PurePosixPath("10.0.0.1")]),
}


@KINDS
@SERIALIZERS
@pytest.mark.parametrize(("annotation", "values"), PLACES.values(), ids=PLACES)
def test_a_type_that_only_the_converter_knows_comes_back(
    kind: str, serializer: str, annotation: Any, values: list[Any]
) -> None:
    declared = DECLARATIONS[kind](annotation, values[0])
    codec: Codec[Any] = Codec(Schema[Any](declared, converter=CONVERTER), SERIALIZER_OBJECTS[serializer])
    for value in values:
        payload = codec.write_stored({FIELD: value}).payload
        outcome = loaded(codec, payload)
        assert codec.diff(outcome.contents, outcome.snapshot) is None
        assert same(outcome.contents.stored(), {FIELD: value})
        assert codec.diff(outcome.contents, outcome.snapshot) is None
        assert codec.diff(outcome.contents, Snapshot(codec, payload, payload)) is None


@KINDS
@SERIALIZERS
@pytest.mark.parametrize("inner_kind", CLASSES)
def test_the_converter_reaches_into_nested_classes(kind: str, serializer: str, inner_kind: str) -> None:
    inner: Any = DECLARATIONS[inner_kind](dict[str, PurePosixPath] | None, None)
    schema = Schema[Any](DECLARATIONS[kind](list_of(inner), []), converter=CONVERTER)
    codec: Codec[Any] = Codec(schema, SERIALIZER_OBJECTS[serializer])
    stored: dict[str, object] = {FIELD: [inner(**{FIELD: {"home": HOME}}), inner(**{FIELD: None})]}
    assert same(decoded(codec, codec.write_stored(stored).payload).stored(), stored)


@KINDS
@SERIALIZERS
async def test_an_application_keeps_types_that_only_its_converter_knows(kind: str, serializer: Any) -> None:
    app = Quart(__name__)
    app.secret_key = "a secret key that is long enough"
    declared = DECLARATIONS[kind](dict[str, list[PurePosixPath]], {})
    sessions: Sessions[Any] = Sessions(declared, app, serializer=serializer, converter=CONVERTER)

    @app.get("/<name>")
    async def page(name: str) -> str:
        if name != "read":
            sessions.current[FIELD] = {**held_by(sessions.data), name: [PurePosixPath(name)]}
        return repr(held_by(sessions.data))

    client = app.test_client()
    cookie = sessions.cookie_for(sessions.schema.construct({FIELD: {"home": [HOME]}}))
    client.set_cookie("localhost", "session", cookie)
    assert "Set-Cookie" not in (await client.get("/read")).headers
    assert "Set-Cookie" in (await client.get("/b")).headers
    read = await client.get("/read")
    assert await read.get_data(as_text=True) == repr({"home": [HOME], "b": [PurePosixPath("b")]})


UNHOLDABLE: dict[str, tuple[Any, str]] = {
    "bare list": (list, f"{FIELD}.*a bare list does not say what it holds"),
    "bare dict": (dict, f"{FIELD}.*a bare dict does not say what it holds"),
    "function": (Callable[[int], str], f"{FIELD}.*Callable"),
    "bare function": (Callable, f"{FIELD}.*Callable"),
    "class without hooks": (Opaque, f"{FIELD}.*a session cannot hold Opaque.*converter="),
    "list of a class without hooks": (list[Opaque], f"{FIELD}.*a session cannot hold Opaque"),
    "key or None without hooks": (dict[str, Opaque | None], f"{FIELD}.*a session cannot hold Opaque"),
    "path without hooks": (PurePosixPath, f"{FIELD}.*a session cannot hold PurePosixPath"),
    "Sequence": (collections.abc.Sequence[str], f"{FIELD}.*Sequence.* does not say which class comes back"),
    "Mapping": (collections.abc.Mapping[str, int], f"{FIELD}.*Mapping.* does not say which class comes back"),
    "keys that are no text": (dict[float, int], f"{FIELD}.*keys of type float cannot be written as text"),
    "unknown name": ("Missing", "Held.*: the name 'Missing' in its annotation cannot be found"),
    "unknown name inside": ("list[Missing]", "Held.*: the name 'Missing' in its annotation cannot be found"),
}


@KINDS
@pytest.mark.parametrize(("annotation", "message"), UNHOLDABLE.values(), ids=UNHOLDABLE)
def test_a_field_that_no_session_can_hold_is_refused_by_name(kind: str, annotation: Any, message: str) -> None:
    declared = DECLARATIONS[kind](annotation, None)
    with pytest.raises(SchemaError, match=message):
        Schema(declared)


@KINDS
def test_a_field_without_a_default_is_refused_by_name(kind: str) -> None:
    with pytest.raises(SchemaError, match=FIELD):
        Schema(DECLARATIONS[kind](int, NOTHING))


@attrs.define(eq=False)
class Counter:
    """A class that can be changed and yet has a hash, so that every kind takes an instance as a default."""

    count: int = 0


def sharing(kind: str) -> Any:
    shared = Counter()
    if kind == "function":
        cls = attrs_class(Counter, NOTHING)
        return lambda: cls(shared)
    return DECLARATIONS[kind](Counter, shared)


@pytest.mark.parametrize("kind", [kind for kind in DECLARATIONS if kind != "TypedDict"])
def test_a_default_that_visitors_would_share_is_refused_by_name(kind: str) -> None:
    with pytest.raises(SchemaError, match=rf"Held\.{FIELD}: one Counter is in the default of all visitors"):
        Schema(sharing(kind))


@pytest.mark.parametrize("kind", [kind for kind in DECLARATIONS if kind != "TypedDict"])
def test_a_default_of_another_type_is_refused_by_name(kind: str) -> None:
    with pytest.raises(SchemaError, match=rf"Held\.{FIELD}.*must be int, not str"):
        Schema(DECLARATIONS[kind](int, "7"))


@KINDS
@SERIALIZERS
def test_an_application_refuses_at_construction(kind: str, serializer: Any) -> None:
    declared = DECLARATIONS[kind](list[Opaque], None)
    with pytest.raises(SchemaError, match="Opaque"):
        Sessions(declared, Quart(__name__), serializer=serializer)

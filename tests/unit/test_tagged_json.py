"""Tagged JSON, beside Flask's: the same text from the same value, the same value from the same text."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeAlias

import flask.json.tag
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from typing_extensions import override

from tests.cases import case
from tests.strategies import (
    JSON_ALPHABET,
    TAG_LIKE_KEYS,
    any_text,
    edited,
    lossless_values,
    moments,
    tag_like_json,
    tagged_values,
)
from typed_sessions.serializers import JSONTag, TaggedJSONSerializer, TagTuple
from typed_sessions.serializers.tagged_json import PassDict, TagDateTime

AnySerializerClass: TypeAlias = Callable[[], Any]
AnyTagClass: TypeAlias = Callable[[Any], Any]

APP = Flask(__name__)
FLASK = flask.json.tag.TaggedJSONSerializer()

MODES: dict[str, tuple[TaggedJSONSerializer, Callable[[], AbstractContextManager[object]]]] = {
    "as in Quart": (TaggedJSONSerializer(sort_keys=False), nullcontext),
    "as in Flask": (TaggedJSONSerializer(sort_keys=True), APP.app_context),
}
BOTH = pytest.mark.parametrize(
    "serializer_class", [TaggedJSONSerializer, flask.json.tag.TaggedJSONSerializer], ids=["ours", "Flask's"]
)


class TagOrderedDict(JSONTag):
    """The custom tag of Flask's documentation, on our base."""

    __slots__ = ()
    key = " od"

    @override
    def check(self, value: object) -> bool:
        return isinstance(value, OrderedDict)

    @override
    def to_json(self, value: OrderedDict[str, object]) -> object:
        return [[key, self.serializer.tag(item)] for key, item in value.items()]

    @override
    def to_python(self, value: list[tuple[str, object]]) -> object:
        return OrderedDict(value)


class FlaskTagOrderedDict(flask.json.tag.JSONTag):
    """The custom tag of Flask's documentation, on Flask's base."""

    __slots__ = ()
    key = " od"

    @override
    def check(self, value: object) -> bool:
        return isinstance(value, OrderedDict)

    @override
    def to_json(self, value: OrderedDict[str, object]) -> object:
        return [[key, self.serializer.tag(item)] for key, item in value.items()]

    @override
    def to_python(self, value: list[tuple[str, object]]) -> object:
        return OrderedDict(value)


class LastTuple(TagTuple):
    """Another tag of the key of tuples: only the last item."""

    @override
    def to_python(self, value: list[object]) -> object:
        return value[-1]


class Squares(JSONTag):
    """A tag without a key: complex numbers become text, and stay so."""

    @override
    def check(self, value: object) -> bool:
        return isinstance(value, complex)

    @override
    def to_json(self, value: complex) -> object:
        return str(value)

    tag = to_json


CUSTOM = pytest.mark.parametrize("tag_class", [TagOrderedDict, FlaskTagOrderedDict], ids=["our tag", "Flask's tag"])


def outcome(call: Callable[[Any], object], argument: object) -> object:
    """What a call gives, as text that tells types, NaN and -0.0 apart; or the type of what it raises."""
    try:
        return repr(call(argument))
    except Exception as error:  # noqa: BLE001 -- whatever it raises is the outcome
        return type(error)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=tagged_values())
def test_the_same_value_gives_the_same_text_and_the_same_refusal(value: object) -> None:
    for name, (ours, context) in MODES.items():
        with case(name), context():
            assert outcome(ours.dumps, value) == outcome(FLASK.dumps, value)


@settings(max_examples=700, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=tagged_values())
def test_each_reads_what_the_other_wrote(value: object) -> None:
    for name, (ours, context) in MODES.items():
        with case(name), context():
            assert_each_reads(ours, value)


def assert_each_reads(ours: TaggedJSONSerializer, value: object) -> None:
    try:
        text = FLASK.dumps(value)
    except Exception:  # noqa: BLE001 -- what neither writes is no case of this law
        return
    assert outcome(ours.loads, text) == outcome(FLASK.loads, text)
    assert outcome(FLASK.loads, ours.dumps(value)) == outcome(ours.loads, text)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=lossless_values())
def test_values_come_back_as_they_were(value: object) -> None:
    ours = TaggedJSONSerializer()
    assert repr(ours.loads(ours.dumps(value))) == repr(value)


@settings(max_examples=500, deadline=None)
@given(moment=moments())
def test_a_datetime_is_written_or_refused_as_by_flask(moment: datetime) -> None:
    ours = TaggedJSONSerializer()
    assert outcome(ours.dumps, moment) == outcome(FLASK.dumps, moment)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), id="before year 1 in UTC"),
        pytest.param(datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))), id="after year 9999 in UTC"),
    ],
)
def test_a_datetime_that_utc_cannot_hold_raises_in_both(moment: datetime) -> None:
    assert outcome(TaggedJSONSerializer().dumps, moment) is outcome(FLASK.dumps, moment) is OverflowError


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=tag_like_json())
def test_tags_before_what_is_not_theirs_read_as_in_flask(value: object) -> None:
    text = flask.json.dumps(value)
    assert outcome(TaggedJSONSerializer().loads, text) == outcome(FLASK.loads, text)


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=tag_like_json().map(flask.json.dumps).flatmap(lambda text: edited(text, JSON_ALPHABET)))
def test_edited_text_reads_as_in_flask(text: str) -> None:
    assert outcome(TaggedJSONSerializer().loads, text) == outcome(FLASK.loads, text)


@settings(max_examples=300, deadline=None)
@given(payload=st.one_of(any_text(), st.text(JSON_ALPHABET), st.binary()))
def test_arbitrary_payloads_read_as_in_flask(payload: str | bytes) -> None:
    assert outcome(TaggedJSONSerializer().loads, payload) == outcome(FLASK.loads, payload)


@pytest.mark.parametrize("key", TAG_LIKE_KEYS)
def test_a_dict_with_a_tag_like_key_comes_back(key: str) -> None:
    ours = TaggedJSONSerializer()
    assert ours.loads(ours.dumps({key: (1, {key: 2})})) == {key: (1, {key: 2})}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param((1, 2), '{" t":[1,2]}', id="tuple"),
        pytest.param(b"\x00\xff", '{" b":"AP8="}', id="bytes"),
        pytest.param(Markup("<b>"), '{" m":"<b>"}', id="markup"),
        pytest.param(datetime(2026, 11, 5, 7, 8, 9, tzinfo=UTC), '{" d":"Thu, 05 Nov 2026 07:08:09 GMT"}', id="moment"),
        pytest.param({" t": 1}, '{" di":{" t__":1}}', id="dict that looks tagged"),
        pytest.param("é\ud800", '"\\u00e9\\ud800"', id="text in ASCII"),
        pytest.param({"b": 1, "a": 2}, '{"b":1,"a":2}', id="keys in their order"),
        pytest.param({}, "{}", id="nothing"),
    ],
)
def test_the_format_is_pinned(value: object, text: str) -> None:
    assert TaggedJSONSerializer().dumps(value) == text


def test_keys_of_two_types_are_written_in_order_and_refused_sorted() -> None:
    assert TaggedJSONSerializer().dumps({"a": 1, 2: 3}) == '{"a":1,"2":3}'
    with pytest.raises(TypeError):
        TaggedJSONSerializer(sort_keys=True).dumps({"a": 1, 2: 3})


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(RecursionError):
        TaggedJSONSerializer().dumps(value)


@BOTH
@CUSTOM
def test_a_custom_tag_before_the_dict_tags_takes_their_values(
    serializer_class: AnySerializerClass, tag_class: AnyTagClass
) -> None:
    serializer = serializer_class()
    serializer.register(tag_class, index=0)
    value = {"o": OrderedDict({"b": (1, 2), "a": OrderedDict()})}
    text = serializer.dumps(value)
    assert text == '{"o":{" od":[["b",{" t":[1,2]}],["a",{" od":[]}]]}}'
    again = serializer.loads(text)
    assert again == value
    assert type(again["o"]) is OrderedDict


@BOTH
@CUSTOM
def test_a_custom_tag_after_the_dict_tags_is_never_asked(
    serializer_class: AnySerializerClass, tag_class: AnyTagClass
) -> None:
    serializer = serializer_class()
    serializer.register(tag_class)
    assert serializer.dumps(OrderedDict(a=1)) == '{"a":1}'
    assert serializer.loads('{" od":[["a",1]]}') == OrderedDict(a=1)


@BOTH
def test_a_key_that_is_taken_is_refused(serializer_class: AnySerializerClass) -> None:
    serializer = serializer_class()
    with pytest.raises(KeyError, match=" t"):
        serializer.register(LastTuple)
    assert type(serializer.tags[" t"]).__name__ == "TagTuple"
    assert len(serializer.order) == 8


@BOTH
def test_force_takes_a_key_that_is_taken(serializer_class: AnySerializerClass) -> None:
    serializer = serializer_class()
    serializer.register(LastTuple, force=True)
    assert type(serializer.tags[" t"]) is LastTuple
    assert type(serializer.order[-1]) is LastTuple
    assert serializer.loads('{" t":[1,2]}') == 2


@BOTH
@pytest.mark.parametrize(
    ("index", "place"),
    [(None, 8), (0, 0), (3, 3), (8, 8), (99, 8), (-1, 7), (-2, 6), (-99, 0)],
    ids=str,
)
def test_index_is_the_place_in_the_order(serializer_class: AnySerializerClass, index: int | None, place: int) -> None:
    serializer = serializer_class()
    serializer.register(TagOrderedDict, False, index)
    assert [type(tag).__name__ for tag in serializer.order].index("TagOrderedDict") == place
    assert len(serializer.order) == 9


@BOTH
def test_a_tag_without_a_key_is_in_the_order_alone(serializer_class: AnySerializerClass) -> None:
    serializer = serializer_class()
    serializer.register(Squares)
    serializer.register(Squares)
    assert "" not in serializer.tags
    assert serializer.dumps([1j]) == '["1j"]'


@BOTH
def test_the_built_in_tags_are_the_same(serializer_class: AnySerializerClass) -> None:
    serializer = serializer_class()
    assert list(serializer.tags) == [" di", " t", " b", " m", " u", " d"]
    assert [type(tag).__name__ for tag in serializer.order] == [
        "TagDict",
        "PassDict",
        "TagTuple",
        "PassList",
        "TagBytes",
        "TagMarkup",
        "TagUUID",
        "TagDateTime",
    ]
    assert all(tag.serializer is serializer for tag in serializer.order)


@pytest.mark.parametrize("key", ["TagDict", "PassDict", "TagTuple", "PassList", "TagBytes", "TagMarkup", "TagUUID"])
def test_a_subclass_may_choose_its_default_tags(key: str) -> None:
    class Fewer(TaggedJSONSerializer):
        default_tags = tuple(tag for tag in TaggedJSONSerializer.default_tags if tag.__name__ != key)

    assert key not in [type(tag).__name__ for tag in Fewer().order]


@settings(max_examples=300, deadline=None)
@given(value=tagged_values())
def test_tag_gives_what_flask_gives(value: object) -> None:
    assert outcome(TaggedJSONSerializer().tag, value) == outcome(FLASK.tag, value)


@settings(max_examples=300, deadline=None)
@given(value=st.dictionaries(st.sampled_from(TAG_LIKE_KEYS), tag_like_json(), max_size=2))
def test_untag_gives_what_flask_gives(value: dict[str, object]) -> None:
    assert outcome(TaggedJSONSerializer().untag, value) == outcome(FLASK.untag, value)


def test_untag_does_not_look_inside() -> None:
    inner: dict[str, object] = {" t": [1]}
    assert TaggedJSONSerializer().untag({" t": [inner]}) == (inner,)
    assert TaggedJSONSerializer().untag({"a": inner, "b": 1}) == {"a": inner, "b": 1}


@pytest.mark.parametrize("tag_class", [JSONTag, flask.json.tag.JSONTag], ids=["ours", "Flask's"])
@pytest.mark.parametrize("method", ["check", "to_json", "to_python", "tag"])
def test_a_bare_tag_implements_nothing(tag_class: AnyTagClass, method: str) -> None:
    with pytest.raises(NotImplementedError):
        getattr(tag_class(TaggedJSONSerializer()), method)(1)


def test_a_tag_that_only_converts_cannot_read() -> None:
    with pytest.raises(NotImplementedError):
        PassDict(TaggedJSONSerializer()).to_python({})


@pytest.mark.parametrize("text", ["", "no date", "Thu, 99 Jan 1970 00:00:00 GMT"])
def test_a_date_that_is_none_reads_as_none(text: str) -> None:
    assert TagDateTime(TaggedJSONSerializer()).to_python(text) is None


def test_sort_keys_reaches_into_every_depth() -> None:
    text = TaggedJSONSerializer(sort_keys=True).dumps({"b": {"d": 1, "c": ({"f": 1, "e": 2},)}, "a": 1})
    assert text == '{"a":1,"b":{"c":{" t":[{"e":2,"f":1}]},"d":1}}'

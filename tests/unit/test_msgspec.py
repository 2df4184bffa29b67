"""The formats that msgspec writes: lossless, or refused."""

from __future__ import annotations

import datetime as dt
import math
from collections import OrderedDict
from contextlib import suppress
from enum import StrEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from tests.cases import case
from typed_sessions.schema.sameness import same
from typed_sessions.serializers import MsgspecJSONSerializer, MsgspecMsgpackSerializer

EACH: dict[str, Any] = {"json": MsgspecJSONSerializer(), "msgpack": MsgspecMsgpackSerializer()}
SERIALIZERS = pytest.mark.parametrize("serializer", EACH.values(), ids=EACH)

TAG_LIKE = st.sampled_from([" t", " d", " di", " di__", " t__", "__", "", " date"])
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
    | st.text().map(Markup)
    | st.uuids()
    | st.datetimes(timezones=st.none() | OFFSETS, allow_imaginary=False).map(lambda moment: moment.replace(fold=0))
    | st.dates()
    | st.times().map(lambda time: time.replace(fold=0))
    | st.timedeltas()
    | st.decimals(allow_nan=False)
)
hashable = scalars | st.tuples(scalars, scalars) | st.frozensets(scalars, max_size=2)
values = st.recursive(
    scalars | st.sets(hashable, max_size=3) | st.frozensets(hashable, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(TAG_LIKE | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=600, deadline=None)
@given(value=st.dictionaries(TAG_LIKE | st.text(max_size=3), values, max_size=3))
def test_every_value_comes_back_with_its_type(value: dict[str, object]) -> None:
    for name, serializer in EACH.items():
        with case(name):
            assert same(serializer.loads(serializer.dumps(value)), value)


class Word(StrEnum):
    A = "a"


@SERIALIZERS
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(math.nan, id="nan"),
        pytest.param(math.inf, id="infinity"),
        pytest.param("\ud800", id="lone-surrogate"),
        pytest.param({1: "a"}, id="number-as-key"),
        pytest.param(Word.A, id="subclass-of-str"),
        pytest.param(OrderedDict(a=1), id="subclass-of-dict"),
        pytest.param(object(), id="object"),
    ],
)
def test_what_would_not_come_back_is_refused(serializer: Any, value: object) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        serializer.dumps({"value": [value]})


def test_messagepack_refuses_integers_past_64_bits_and_json_keeps_them() -> None:
    with pytest.raises(OverflowError):
        MsgspecMsgpackSerializer().dumps({"n": 2**64})
    serializer = MsgspecJSONSerializer()
    assert serializer.loads(serializer.dumps({"n": 2**70, "m": -(2**70)})) == {"n": 2**70, "m": -(2**70)}


BAD_TAGS: list[dict[str, object]] = [
    {" t": 1},
    {" u": "zz"},
    {" d": "yesterday"},
    {" b": "?"},
    {" n": "x"},
    {" s": [[1]]},
    {" di": {}},
    {" di": 7},
    {" delta": 5},
]


@pytest.mark.parametrize("tagged", BAD_TAGS, ids=str)
def test_a_tag_with_another_content_raises(tagged: dict[str, object]) -> None:
    for serializer, encode in (
        (MsgspecJSONSerializer(), msgspec.json.encode),
        (MsgspecMsgpackSerializer(), msgspec.msgpack.encode),
    ):
        with pytest.raises((TypeError, ValueError)):
            serializer.loads(encode({"value": tagged}))


@SERIALIZERS
@given(payload=st.binary())
def test_reading_raises_nothing_but_value_and_type_errors(serializer: Any, payload: bytes) -> None:
    with suppress(TypeError, ValueError, RecursionError):
        serializer.loads(payload)


def test_the_same_set_is_written_alike() -> None:
    words = [chr(97 + n) for n in range(26)]
    serializer = MsgspecJSONSerializer()
    assert serializer.loads(serializer.dumps({"s": set(words)})) == {"s": set(words)}
    assert serializer.dumps({"s": set(words)}) == serializer.dumps({"s": {*words[13:], *words[:13]}})

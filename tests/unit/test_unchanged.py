"""That a look at contents shows when nothing has changed, and never when something has."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any, NotRequired, TypedDict, cast

import pytest
from attrs import Factory, define

from typed_sessions import Schema
from typed_sessions.codec import Codec
from typed_sessions.contents import contents_of
from typed_sessions.payloads import Read
from typed_sessions.serializers import MsgspecJSONSerializer, MsgspecMsgpackSerializer, TaggedJSONSerializer
from typed_sessions.session import Origin


class Level(Enum):
    LOW = 1
    HIGH = 2


@define
class Entry:
    name: str = ""
    price: float = 0.0


@define
class OtherEntry(Entry):
    more: str = ""


class Address(TypedDict):
    street: str
    floor: NotRequired[int]


@define
class Everything:
    text: str = ""
    number: float = 1.5
    flag: bool | None = None
    moment: datetime | None = None
    level: Level = Level.LOW
    day: date | None = None
    words: list[str] = Factory(list[str])
    entries: list[Entry] = Factory(list[Entry])
    pairs: list[tuple[str, Entry]] = Factory(list[tuple[str, Entry]])
    table: dict[str, list[int]] = Factory(dict[str, list[int]])
    tags: set[str] = Factory(set[str])
    address: Address | None = None


MOMENT = datetime(2026, 4, 2, 8, 51, 37, tzinfo=UTC)


def everything() -> dict[str, object]:
    return {
        "text": "some text",
        "number": 2.5,
        "flag": True,
        "moment": MOMENT,
        "level": Level.HIGH,
        "day": MOMENT.date(),
        "words": ["a word", "another"],
        "entries": [Entry("an entry", 1.25)],
        "pairs": [("a pair", Entry("another entry"))],
        "table": {"key": [1000]},
        "tags": {"a tag"},
        "address": {"street": "a street"},
        "_permanent": True,
    }


def read_of(stored: dict[str, object], serializer: Any) -> tuple[Codec[Everything], Read[Everything]]:
    codec = Codec(Schema(Everything), serializer)
    outcome = codec.decode(codec.draft(contents_of(codec.schema, stored)).payload)
    assert isinstance(outcome, Read)
    return codec, outcome


@pytest.mark.parametrize("serializer", [TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer()])
@pytest.mark.parametrize("stored", [{}, {"text": ""}, everything()], ids=["nothing", "a default", "everything"])
def test_a_look_shows_that_nothing_has_changed(stored: dict[str, object], serializer: Any) -> None:
    codec, outcome = read_of(stored, serializer)
    assert codec.is_unchanged(outcome)
    assert isinstance(outcome.contents.data, Everything)
    assert codec.is_unchanged(outcome)


CHANGES: Mapping[str, Callable[[Everything], object]] = {
    "text": lambda data: setattr(data, "text", "other"),
    "number": lambda data: setattr(data, "number", 2),
    "flag": lambda data: setattr(data, "flag", 1),
    "none": lambda data: setattr(data, "flag", None),
    "moment": lambda data: setattr(data, "moment", MOMENT + timedelta(seconds=1)),
    "level": lambda data: setattr(data, "level", Level.LOW),
    "day": lambda data: setattr(data, "day", date(2026, 4, 3)),
    "a word": lambda data: operator.setitem(data.words, 0, "other"),
    "one word more": lambda data: data.words.append("other"),
    "no words": lambda data: data.words.clear(),
    "an entry": lambda data: setattr(data.entries[0], "name", "other"),
    "another class": lambda data: operator.setitem(data.entries, 0, OtherEntry("an entry", 1.25)),
    "a tuple for a list": lambda data: setattr(data, "words", tuple(data.words)),
    "in a tuple": lambda data: setattr(data.pairs[0][1], "price", 7.5),
    "in a table": lambda data: data.table["key"].append(7),
    "another key": lambda data: data.table.update(other=data.table.pop("key")),
    "a tag": lambda data: data.tags.add("other"),
    "in a dict": lambda data: operator.setitem(cast("Any", data.address), "street", "other"),
    "one key more": lambda data: operator.setitem(cast("Any", data.address), "floor", 1),
    "no attribute": lambda data: delattr(data, "text"),
}


@pytest.mark.parametrize("serializer", [TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer()])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_look_does_not_overlook_a_change(change: Callable[[Everything], object], serializer: Any) -> None:
    codec, outcome = read_of(everything(), serializer)
    change(outcome.contents.data)
    assert not codec.is_unchanged(outcome)


@pytest.mark.parametrize(
    "use",
    [
        lambda contents: contents.store("text", "some text"),
        lambda contents: contents.remove("_permanent"),
        lambda contents: contents.replace(contents.data),
        lambda contents: contents.clear(),
    ],
    ids=["store", "remove", "replace", "clear"],
)
def test_what_was_used_by_key_takes_more_than_a_look(use: Callable[[Any], object]) -> None:
    codec, outcome = read_of(everything(), TaggedJSONSerializer())
    use(outcome.contents)
    assert not codec.is_unchanged(outcome)


def test_an_undeclared_value_that_may_have_changed_takes_more_than_a_look() -> None:
    codec, outcome = read_of({**everything(), "_flashes": [("message", "hello")]}, TaggedJSONSerializer())
    assert not codec.is_unchanged(outcome)


def test_a_look_at_the_contents_that_were_read_says_nothing_of_others() -> None:
    codec = Codec(Schema(Everything), TaggedJSONSerializer())
    payload = b'{"text":"a"}'
    read = codec.decode(payload)
    assert isinstance(read, Read)
    origin = Origin(codec, payload, read)
    assert origin.holds(read.contents) is True
    assert origin.holds(contents_of(Schema(Everything), {"text": "b"})) is False

"""That a diff of contents shows when nothing has changed, and never when something has."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import cache
from random import Random
from secrets import token_hex
from typing import Any, NotRequired, TypedDict, cast
from uuid import UUID

import pytest
from attrs import Factory, define, field, fields, make_class, validators
from cattrs import Converter
from markupsafe import Markup
from typing_extensions import override

from tests.cases import for_each
from typed_sessions import Schema
from typed_sessions.codec.codec import MAX_PAYLOAD, Codec, Loaded
from typed_sessions.codec.contents import contents_of
from typed_sessions.codec.declared_contents import DeclaredContents
from typed_sessions.codec.explaining import ExplainingPath
from typed_sessions.errors import SerializationError
from typed_sessions.serializers import MsgspecJSONSerializer, MsgspecMsgpackSerializer, TaggedJSONSerializer


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
class Most:
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


@define
class Node:
    children: list[Node] = Factory(list["Node"])
    names: set[str] = Factory(set[str])


@define
class Everything(Most):
    address: Address | None = None  # which the generated path leaves to the other, and so it does the next
    node: Node | None = None


class Keyed(TypedDict, total=False):
    text: str
    words: list[str]
    table: dict[str, list[int]]
    moment: datetime


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
        "table": {"key": [1000], "a key": [7]},
        "tags": {"a tag"},
        "address": {"street": "a street"},
        "_permanent": True,
    }


def read_of(stored: dict[str, object], serializer: Any) -> tuple[Codec[Everything], Loaded[Everything]]:
    return decoded(Everything, stored, serializer)


def decoded(schema: Any, stored: dict[str, object], serializer: Any) -> tuple[Codec[Any], Loaded[Any]]:
    codec = Codec(Schema[Any](schema), serializer)
    outcome = codec.decode(codec.write(contents_of(codec.schema, stored)).payload)
    assert isinstance(outcome, Loaded)
    return codec, outcome


@pytest.mark.parametrize("serializer", [TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer()])
@pytest.mark.parametrize("stored", [{}, {"text": ""}, everything()], ids=["nothing", "a default", "everything"])
def test_a_look_shows_that_nothing_has_changed(stored: dict[str, object], serializer: Any) -> None:
    codec, outcome = read_of(stored, serializer)
    assert codec.diff(outcome.contents, outcome.snapshot) is None
    assert isinstance(outcome.contents.data, Everything)
    assert codec.diff(outcome.contents, outcome.snapshot) is None


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
    "nested": lambda data: nest(data, 3),
    "nested too deep": lambda data: nest(data, 60),
}


def nest(data: Everything, depth: int) -> None:
    data.node = Node()
    for _ in range(depth):
        data.node = Node([data.node])


def back_and_forth(data: Everything) -> None:
    data.text = ""
    data.text = "some text"


def to_data(change: Callable[[Everything], object]) -> Callable[[Any], object]:
    return lambda contents: change(contents.data)


CHANGES_OF_CONTENTS = {
    f"data: {name}": to_data(change)
    for name, change in CHANGES.items()
    if name != "a tuple for a list"  # of the wrong type, and written alike: it is found at the next change
}


@pytest.mark.parametrize("serializer", [TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer()])
@for_each("change", CHANGES.values(), ids=CHANGES)
def test_a_look_does_not_overlook_a_change(change: Callable[[Everything], object], serializer: Any) -> None:
    codec, outcome = read_of(everything(), serializer)
    change(outcome.contents.data)
    assert codec.diff(outcome.contents, outcome.snapshot) is not None


def store_beside_the_data(contents: Any) -> None:
    contents.store("extra", "a value")
    contents.data.day = date(2026, 4, 3)


USES: Mapping[str, Callable[[Any], object]] = {
    "store": lambda contents: contents.store("text", "other"),
    "store a default": lambda contents: contents.store("text", ""),
    "store a default that is made of what was read": lambda contents: contents.store("moment", None),
    "store a default list": lambda contents: contents.store("words", []),
    "store what is there": lambda contents: contents.store("text", contents.read("text")),
    "store an equal value": lambda contents: contents.store("number", 2.5),
    "store an extra": lambda contents: contents.store("extra", "a value"),
    "store an extra that is true": lambda contents: contents.store("extra", True),
    "store a mutable extra": lambda contents: contents.store("extra", ["a value", ("of", 2)]),
    "store under a number": lambda contents: contents.store(7, "a value"),
    "store under another text": lambda contents: contents.store(Markup("key"), "a value"),
    "store an extra beside the data": store_beside_the_data,
    "another flag": lambda contents: contents.store("_permanent", False),
    "the same flag": lambda contents: contents.store("_permanent", True),
    "a flag that is none": lambda contents: contents.store("_permanent", 1),
    "remove": lambda contents: contents.remove("text"),
    "remove the flag": lambda contents: contents.remove("_permanent"),
    "replace": lambda contents: contents.replace(contents.data),
    "replace by another": lambda contents: contents.replace(type(contents.data)(text="other")),
    "clear": lambda contents: contents.clear(),
    "look": lambda contents: [key in contents for key in (*contents.schema.fields, "extra")],
    "list": lambda contents: contents.keys(),
}
EXTRAS: Mapping[str, dict[str, object]] = {
    "no extras": {},
    "plain extras": {"_user_id": "7", "_fresh": True},
    "flashes": {"csrf_token": "0f" * 20, "_flashes": [("message", "hello"), ("error", "sorry")]},
}
MORE: Mapping[str, Callable[[Any], object]] = {
    "nothing": lambda _: None,
    "data": lambda contents: setattr(contents.data, "flag", None),
    "a value that comes back": lambda contents: back_and_forth(contents.data),
    "an extra in place": lambda contents: contents.get("_flashes", []).append(("message", "more")),
    "an extra in place, read": lambda contents: contents.read("_flashes").pop() if "_flashes" in contents else None,
    "an extra in place, of all that is stored": lambda contents: contents.stored().get("_flashes", [0]).pop(),
    "an extra taken out": lambda contents: contents.remove("_flashes") if "_flashes" in contents else None,
    "all extras taken out": lambda contents: [contents.remove(key) for key in list(contents.extras)],
}


SERIALIZERS = (
    TaggedJSONSerializer(),
    TaggedJSONSerializer(sort_keys=True),
    MsgspecJSONSerializer(),
    MsgspecMsgpackSerializer(),
)
NAMES = ("tagged", "sorted", "json", "msgpack")


@for_each("serializer", SERIALIZERS, ids=NAMES)
@pytest.mark.parametrize("extras", EXTRAS.values(), ids=EXTRAS)
@pytest.mark.parametrize("schema", [Most, Everything])
@pytest.mark.parametrize("some", [everything(), {"text": "some text"}, {"text": "", "words": []}, {}])
def test_what_was_changed_is_written_as_the_long_way_writes_it(
    some: dict[str, object], schema: Any, extras: dict[str, object], serializer: Any
) -> None:
    stored = {key: value for key, value in (some | extras).items() if schema is Everything or key != "address"}
    first, then, last = {**USES, **CHANGES_OF_CONTENTS}, MORE, {**USES, "nothing": lambda _: None}
    ways = list(itertools.product(first, then, last))
    for names in Random(str((some, extras))).sample(ways, 60):  # noqa: S311 -- nothing secret, and always the same
        uses = (first[names[0]], then[names[1]], last[names[2]])
        generated, explained = (
            changes_of(schema, stored, serializer, uses, compiled=compiled) for compiled in (True, False)
        )
        assert generated == explained, names


@define
class Validated(Most):
    text: str = field(default="", validator=validators.max_len(9))
    words: list[str] = field(factory=list[str], validator=validators.max_len(2))


def stripped(text: str) -> str:
    return text.strip()


@define
class Converting(Most):
    text: str = field(default="", converter=stripped)
    number: float = field(default=1.5, converter=abs)
    words: list[str] = field(factory=list[str], converter=list)


@define
class Deriving(Most):
    """Stores what follows from other fields, as it is when it is made."""

    def __attrs_post_init__(self) -> None:
        self.number = float(len(self.words))


@define
class Consistent(Most):
    """Refuses two values together, each of which it takes."""

    level: Level = field(default=Level.LOW)

    @level.validator
    def _needs_words(self, _: object, level: Level) -> None:
        if level is Level.HIGH and self.flag is None:
            raise ValueError("a high level without a flag")


@define
class Touchy(Most):
    """Has its own word on each assignment."""

    @override
    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value.lower() if isinstance(value, str) else value)


def lowered(_: object, __: object, value: object) -> object:
    return value.lower() if isinstance(value, str) else value


@define(on_setattr=lowered)
class Hooked(Most):
    """The same by attrs, which leaves out what the constructor is given."""


@define
class CheckedEntry:
    name: str = field(default="", validator=validators.max_len(8))
    price: float = 0.0


@define
class ConvertingEntry:
    name: str = field(default="", converter=stripped)
    price: float = field(default=0.0, converter=abs)


@define
class DerivingEntry:
    name: str = ""
    price: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.price = float(len(self.name))


@define
class TouchyEntry:
    name: str = ""
    price: float = 0.0

    @override
    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value.lower() if isinstance(value, str) else value)


@dataclass
class SwappingEntry:
    """Takes its arguments the other way round, by position, and has a word on both."""

    name: str = ""
    price: float = 0.0

    def __init__(self, price: float = 0.0, name: str = "") -> None:
        self.name, self.price = name.title(), price


def holding(entry: type) -> type:
    """Return the class of sessions that hold such entries."""
    return make_class(
        f"Most{entry.__name__}",
        {
            "entries": field(factory=list, type=list[entry]),  # type: ignore[valid-type]
            "pairs": field(factory=list, type=list[tuple[str, entry]]),  # type: ignore[valid-type]
        },
        bases=(Most,),
    )


ENTRIES = [CheckedEntry, ConvertingEntry, DerivingEntry, TouchyEntry, SwappingEntry]
NESTED = [holding(entry) for entry in ENTRIES]


def keyed(entry: Any) -> Any:
    """Return the TypedDict of sessions that hold such entries."""
    types: dict[str, Any] = {"text": str, "words": list[str], "entries": list[entry]}
    return TypedDict(f"Keyed{entry.__name__}", types, total=False)  # type: ignore[operator]  # made at run time


NESTED_KEYED = [keyed(entry) for entry in ENTRIES]

SPELLED: Mapping[str, dict[str, object]] = {
    "everything": everything(),
    "nothing": {},
    "as no class leaves it": {
        "text": " A text ",
        "number": -2.5,
        "words": ["a", "b", "c"],
        "entries": [Entry(" An entry ", -1.25)],
    },
    "as one class leaves it": {"text": "a text", "number": 2.0, "words": ["a", "b"], "level": Level.HIGH, "flag": True}
    | {"entries": [Entry("An entry", 8.0)], "pairs": [("a pair", Entry("an entry", 8.0))]},
}


@for_each("serializer", SERIALIZERS, ids=NAMES)
@pytest.mark.parametrize("stored", SPELLED.values(), ids=SPELLED)
@pytest.mark.parametrize("schema", [Validated, Converting, Deriving, Consistent, Touchy, Hooked, *NESTED])
def test_what_a_class_does_by_itself_is_written_as_the_long_way_writes_it(
    schema: Any, stored: dict[str, object], serializer: Any
) -> None:
    stored = {key: value for key, value in stored.items() if key != "address"}
    payload = written(Most, stored, serializer)
    ways = list(itertools.product({**USES, **CHANGES_OF_CONTENTS, "nothing": MORE["nothing"]}.values(), MORE.values()))
    for uses in Random(str(stored)).sample(ways, 40):  # noqa: S311 -- nothing secret, and always the same
        generated, explained = (
            changes_of_payload(schema, payload, serializer, uses, compiled=compiled) for compiled in (True, False)
        )
        assert generated == explained


@pytest.mark.parametrize("serializer", [TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer()])
@pytest.mark.parametrize(
    ("schema", "stored", "kind"),
    [
        pytest.param(Validated, {"text": "a text"}, "generated", id="validated"),
        pytest.param(NESTED[0], {"entries": [Entry("an entry")]}, "generated", id="validated within"),
        pytest.param(NESTED[1], {"entries": [Entry(" an entry")]}, "explained", id="converted within"),
        pytest.param(NESTED_KEYED[0], {"entries": [Entry("an entry")]}, "generated", id="validated within a dict"),
        pytest.param(NESTED_KEYED[1], {"entries": [Entry(" an entry")]}, "explained", id="converted within a dict"),
        pytest.param(Converting, {"text": "a text", "words": ["a"]}, "generated", id="converted to itself"),
        pytest.param(Converting, {"text": " a text"}, "explained", id="converted"),
        pytest.param(Deriving, {"words": ["a"], "number": 2.0}, "explained", id="derived"),
    ],
)
def test_a_look_drafts_what_a_class_holds_as_it_came(
    schema: Any, stored: dict[str, object], kind: str, serializer: Any
) -> None:
    codec = codec_of(schema, serializer, compiled=True)
    outcome = codec.decode(written(Most, stored, serializer))
    assert isinstance(outcome, Loaded)
    outcome.contents.store("text", "other")
    assert path_of(codec, outcome) == kind


def refuse(_: object, __: object, value: object) -> None:
    if value == "refused":
        raise ZeroDivisionError


@define
class RefusingEntry:
    name: str = field(default="", validator=refuse)
    price: float = 0.0


@define
class Refusing(Most):
    text: str = field(default="", validator=refuse)


@for_each("serializer", SERIALIZERS, ids=NAMES)
@pytest.mark.parametrize("schema", [Refusing, holding(RefusingEntry), keyed(RefusingEntry)])
def test_a_validator_may_raise_anything(schema: Any, serializer: Any) -> None:
    payload = written(Most, {"text": "refused", "entries": [Entry("refused")], "words": ["a word"]}, serializer)
    generated, explained = (
        codec_of(schema, serializer, compiled=compiled).decode(payload) for compiled in (True, False)
    )
    assert isinstance(generated, Loaded)
    assert isinstance(explained, Loaded)
    assert generated.reports == explained.reports != ()
    assert generated.contents.stored() == explained.contents.stored() != {}


DRAFTED = [
    *("store", "store a default", "store an extra", "store a mutable extra", "store an extra beside the data"),
    *("another flag", "remove", "remove the flag", "data", "data: text", "data: moment", "data: day"),
    *("data: one word more", "data: in a tuple", "data: another key", "data: a tag", "all extras taken out"),
]
DRAFTED_EXTRAS = ["an extra in place", "an extra taken out"]
UNCHANGED = ["nothing", "list", "look", "replace", "store what is there", "the same flag"]


@pytest.mark.parametrize("serializer", [TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer()])
@for_each(
    ("name", "extras", "kind"),
    [
        *itertools.product(DRAFTED, EXTRAS, ["generated"]),
        *itertools.product(DRAFTED_EXTRAS, ["flashes"], ["generated"]),
        *itertools.product(UNCHANGED, EXTRAS, ["unchanged"]),
    ],
)
def test_a_look_drafts_what_has_changed_of_what_came(name: str, extras: str, kind: str, serializer: Any) -> None:
    stored = {key: value for key, value in (everything() | EXTRAS[extras]).items() if key not in ("address", "day")}
    codec, outcome = decoded(Most, stored, serializer)
    ({**USES, **MORE, **CHANGES_OF_CONTENTS}[name])(outcome.contents)
    assert path_of(codec, outcome) == kind


DICT_USES: Mapping[str, Callable[[Any], object]] = {
    "nothing": lambda _: None,
    "read": lambda contents: contents.get("text"),
    "store": lambda contents: contents.store("text", "other"),
    "store what is there": lambda contents: contents.store("text", contents.read("text")),
    "store an equal value": lambda contents: contents.store("words", ["a word", "another"]),
    "store another key": lambda contents: contents.store("extra", [("a value", 1), {"key": MOMENT}]),
    "store a flag": lambda contents: contents.store("_permanent", False),
    "store another key that is true": lambda contents: contents.store("extra", True),
    "store under a number": lambda contents: contents.store(7, "a value"),
    "store under another text": lambda contents: contents.store(Markup("key"), "a value"),
    "remove": lambda contents: contents.remove("text"),
    "remove a container": lambda contents: contents.remove("table"),
    "change in place": lambda contents: contents.read("words").append("more"),
    "change far down": lambda contents: contents.get("table")["key"].append(7),
    "change an extra in place": lambda contents: contents.get("_flashes").append(("message", "more")),
    "change the data": lambda contents: contents.data["words"].append("most"),
    "another key in the data": lambda contents: contents.data.update(more=1),
    "take from the data": lambda contents: contents.data.pop("text"),
    "what no serializer takes": lambda contents: contents.store("extra", object()),
    "nested too deep": lambda contents: contents.store("extra", deep(120)),
    "a key like a tag": lambda contents: (contents.clear(), contents.store(" t", [1])),
    "clear": lambda contents: contents.clear(),
    "replace": lambda contents: contents.replace({"text": "other"}),
    "copy": lambda contents: contents.stored()["table"]["key"].append(8),
    "list": lambda contents: [key in contents for key in contents],
}


def deep(depth: int) -> object:
    tree: object = 1
    for _ in range(depth):
        tree = [tree]
    return tree


@for_each("serializer", SERIALIZERS, ids=NAMES)
@pytest.mark.parametrize("extras", EXTRAS.values(), ids=EXTRAS)
@pytest.mark.parametrize("schema", [None, Keyed])
@pytest.mark.parametrize("some", [everything(), {}])
def test_what_was_changed_in_a_dict_is_written_as_the_long_way_writes_it(
    some: dict[str, object], schema: Any, extras: dict[str, object], serializer: Any
) -> None:
    stored = {key: some[key] for key in ("text", "words", "table", "moment", "_permanent") if key in some} | extras
    ways = list(itertools.product(DICT_USES, repeat=2))
    for names in Random(str((some, extras))).sample(ways, 150):  # noqa: S311 -- nothing secret, and always the same
        uses = [DICT_USES[name] for name in names]
        generated, explained = (
            changes_of(schema, stored, serializer, uses, compiled=compiled) for compiled in (True, False)
        )
        assert generated == explained, names


@for_each("serializer", SERIALIZERS, ids=NAMES)
@pytest.mark.parametrize("stored", SPELLED.values(), ids=SPELLED)
@pytest.mark.parametrize("schema", NESTED_KEYED)
def test_what_a_class_in_a_dict_does_by_itself_is_written_as_the_long_way_writes_it(
    schema: Any, stored: dict[str, object], serializer: Any
) -> None:
    payload = written(Most, {key: stored[key] for key in ("text", "words", "entries") if key in stored}, serializer)
    changes = {
        **DICT_USES,
        "an entry": lambda contents: setattr(contents.read("entries")[0], "name", "other"),
        "an entry taken out": lambda contents: contents.get("entries").pop(),
        "an entry in the data": lambda contents: setattr(contents.data["entries"][0], "price", 2.0),
    }
    ways = list(itertools.product(changes.values(), repeat=2))
    for uses in Random(str(stored)).sample(ways, 40):  # noqa: S311 -- nothing secret, and always the same
        generated, explained = (
            changes_of_payload(schema, payload, serializer, uses, compiled=compiled) for compiled in (True, False)
        )
        assert generated == explained


DICT_DRAFTED = [
    *("store", "store another key", "store a flag", "remove", "remove a container"),
    *("change in place", "change far down", "change an extra in place"),
]
DICT_UNCHANGED = ["nothing", "read", "list", "store what is there", "store an equal value"]


@pytest.mark.parametrize("serializer", [TaggedJSONSerializer(), MsgspecJSONSerializer(), MsgspecMsgpackSerializer()])
@for_each(
    ("schema", "name", "kind"),
    [
        *((None, name, "generated") for name in DICT_DRAFTED),
        *((None, name, "unchanged") for name in DICT_UNCHANGED),
        *((Keyed, name, "unchanged") for name in ("nothing", "read", "list")),
    ],
)
def test_a_look_drafts_what_has_changed_in_a_dict(schema: Any, name: str, kind: str, serializer: Any) -> None:
    stored = {key: everything()[key] for key in ("text", "words", "table", "moment")} | EXTRAS["flashes"]
    codec, outcome = decoded(schema, stored, serializer)
    DICT_USES[name](outcome.contents)
    assert path_of(codec, outcome) == kind


@cache
def codec_of(schema: Any, serializer: Any, *, compiled: bool) -> Codec[Any]:
    return Codec(Schema[Any](schema), serializer, generates=compiled)


def changes_of(
    schema: Any,
    stored: dict[str, object],
    serializer: Any,
    uses: Sequence[Callable[[Any], object]],
    *,
    compiled: bool,
) -> tuple[bool, bytes | None, tuple[str, ...]]:
    """Return whether contents are as loaded, after some use, what would be written, and what would be another then."""
    payload = written(schema, stored, serializer, compiled=compiled)
    return changes_of_payload(schema, payload, serializer, uses, compiled=compiled)


def written(schema: Any, stored: dict[str, object], serializer: Any, *, compiled: bool = True) -> bytes:
    writer = SERIALIZERS[0] if isinstance(serializer, TaggedJSONSerializer) else serializer  # not sorted
    codec = codec_of(schema, writer, compiled=compiled)
    return codec.write(contents_of(codec.schema, stored)).payload


def changes_of_payload(
    schema: Any, payload: bytes, serializer: Any, uses: Sequence[Callable[[Any], object]], *, compiled: bool
) -> tuple[bool, bytes | None, tuple[str, ...]]:
    """Return the same of contents that were loaded from a payload."""
    codec = codec_of(schema, serializer, compiled=compiled)
    outcome = codec.decode(payload)
    assert isinstance(outcome, Loaded)
    for use in uses:
        with suppress(LookupError, AttributeError, TypeError):  # there is no such thing in some contents
            use(outcome.contents)
    changes = codec.diff(outcome.contents, outcome.snapshot)
    if changes is None:
        return True, None, ()
    try:
        encoded = codec.encode(outcome.snapshot, changes)
    except SerializationError as error:
        return False, None, (str(error),)
    return False, encoded.payload, encoded.lossy_keys


def path_of(codec: Codec[Any], loaded: Loaded[Any]) -> str:
    """Return which path has found what has changed in contents that were loaded."""
    changes = codec.diff(loaded.contents, loaded.snapshot)
    if changes is None:
        return "unchanged"
    return "explained" if not changes.is_generated else "generated"


def payload_of(loaded: Loaded[Any]) -> bytes | None:
    """Return what is written of contents that were loaded, if they have changed since."""
    codec = loaded.snapshot.codec
    changes = codec.diff(loaded.contents, loaded.snapshot)
    return None if changes is None else codec.encode(loaded.snapshot, changes).payload


def test_a_look_at_the_contents_that_were_read_says_nothing_of_others() -> None:
    codec = Codec(Schema(Everything), TaggedJSONSerializer())
    payload = b'{"text":"a"}'
    read = codec.decode(payload)
    assert isinstance(read, Loaded)
    assert codec.diff(read.contents, read.snapshot) is None
    assert codec.diff(contents_of(Schema(Everything), {"text": "b"}), read.snapshot) is not None


def after_use(
    schema: Any, serializer: Any, payload: bytes, use: Callable[[Any], object], *, compiled: bool
) -> tuple[bool, bytes | None]:
    """Return whether contents are as a payload has them, after some use, and what would be written of them."""
    return changes_of_payload(schema, payload, serializer, [use], compiled=compiled)[:2]


def loaded(schema: Any, serializer: Any, payload: bytes, *, compiled: bool) -> Loaded[Any]:
    outcome = codec_of(schema, serializer, compiled=compiled).decode(payload)
    assert isinstance(outcome, Loaded)
    return outcome


@pytest.mark.parametrize("schema", [None, Keyed, Most, Everything])
@pytest.mark.parametrize("spelling", [b'"\\u0041"', b"-0", b' "A" '])
def test_a_key_that_is_spelled_otherwise_is_no_change(spelling: bytes, schema: Any) -> None:
    payload = b'{"_number":1,"_spelled":' + spelling + b"}"
    for use in (
        lambda contents: contents.store("_number", 1),
        lambda contents: (contents.store("_other", 1), contents.remove("_other")),
    ):
        generated, explained = (
            after_use(schema, SERIALIZERS[2], payload, use, compiled=compiled) for compiled in (True, False)
        )
        assert generated == explained == (True, None)


ODD_FLAGS: Mapping[str, tuple[bytes, object]] = {
    "infinity": (b"null", float("inf")),
    "a tuple": (b"[1]", (1,)),
    "a UUID": (b'"00000000000000000000000000000005"', UUID(int=5)),
    "a moment": (b'"2026-04-02T08:51:37Z"', MOMENT),
    "bytes": (b'"YQ=="', b"a"),
}


@for_each("serializer", SERIALIZERS[:3], ids=NAMES[:3])
@pytest.mark.parametrize("schema", [Keyed, Most, Everything])
@pytest.mark.parametrize(("loaded", "value"), ODD_FLAGS.values(), ids=ODD_FLAGS)
def test_a_flag_that_is_none_is_told_from_what_msgspec_writes_alike(
    loaded: bytes, value: object, schema: Any, serializer: Any
) -> None:
    payload = b'{"_permanent":' + loaded + b"}"
    outcomes = (
        after_use(schema, serializer, payload, lambda contents: contents.store("_permanent", value), compiled=compiled)
        for compiled in (True, False)
    )
    generated, explained = outcomes
    assert generated == explained
    assert not explained[0]


def test_a_key_that_another_thread_stores_while_the_order_is_found_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = codec_of(Most, SERIALIZERS[0], compiled=True)
    payload = b'{"text":"a"}'
    outcome = codec.decode(payload)
    assert isinstance(outcome, Loaded)
    contents = cast("DeclaredContents[Any]", outcome.contents)
    generated: Any = codec.generated
    keys = generated.keys

    def interrupted(text: bytes) -> Any:
        monkeypatch.setattr(generated, "keys", keys)
        contents.store("_theirs", 1)
        return keys(text)

    monkeypatch.setattr(generated, "keys", interrupted)
    contents.store("_ours", 1)
    assert payload_of(outcome) == b'{"text":"a","_ours":1,"_theirs":1}'


@pytest.mark.parametrize("schema", [None, Most])
def test_other_threads_may_touch_what_is_looked_at(schema: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = Codec(Schema[Any](schema), SERIALIZERS[0])
    payload = b'{"_one":[1],"_two":[2],"_three":[3]}'
    outcome = codec.decode(payload)
    assert isinstance(outcome, Loaded)
    form: Any = codec.generated
    changed = form._changed

    def interrupted(value: object, raw: object) -> object:
        outcome.contents.read("_two")
        outcome.contents.store(f"_{len(outcome.contents.keys())}", 1)
        return changed(value, raw)

    monkeypatch.setattr(form, "_changed", interrupted)
    outcome.contents.store("_one", [7])
    assert b'"_one":[7],"_two":[2],"_three":[3]' in (payload_of(outcome) or b"")


def reorder(table: dict[str, Any]) -> None:
    table.update({key: table.pop(key) for key in list(table)[:1]})


REORDERED: Mapping[str, Callable[[Any], object]] = {
    "a field": lambda contents: reorder(contents.data.table),
    "a key": lambda contents: reorder(contents.read("_table")),
    "inside a key": lambda contents: reorder(contents.read("_list")[0]),
    "an equal dict": lambda contents: contents.store("_table", {"b": [], "a": [1]}),
}


@for_each("serializer", SERIALIZERS[:3], ids=NAMES[:3])
@pytest.mark.parametrize("schema", [None, Keyed, Most, Everything])
@pytest.mark.parametrize("use", REORDERED.values(), ids=REORDERED)
def test_another_order_in_a_dict_is_written_where_anything_else_changes(
    use: Callable[[Any], object], schema: Any, serializer: Any
) -> None:
    payload = b'{"table":{"a":[1],"b":[]},"_table":{"a":[1],"b":[]},"_list":[{"a":1,"b":2}]}'

    def and_more(contents: Any) -> None:
        used(contents)
        contents.store("text", "other")

    def used(contents: Any) -> None:
        if schema in {None, Keyed} and use is REORDERED["a field"]:
            reorder(contents.data["table"])
        else:
            use(contents)

    for change, holds in ((used, True), (and_more, False)):
        generated, explained = (
            after_use(schema, serializer, payload, change, compiled=compiled) for compiled in (True, False)
        )
        assert generated == explained
        assert generated[0] is holds


class Shelf:
    """A class that only a converter's hooks know, which keep the list that they are given."""

    def __init__(self, items: list[int]) -> None:
        self.items = items

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shelf) and self.items == other.items

    __hash__ = None  # type: ignore[assignment]


@define
class Shop:
    shelf: Shelf | None = None


@for_each("serializer", SERIALIZERS[:3], ids=NAMES[:3])
def test_a_change_of_what_a_hook_has_kept_is_found(serializer: Any) -> None:
    converter = Converter()
    converter.register_structure_hook(Shelf, lambda plain, _: Shelf(plain))
    converter.register_unstructure_hook(Shelf, lambda shelf: shelf.items)
    codec = Codec(Schema(Shop, converter=converter), serializer)
    payload = b'{"shelf":[1,2]}'
    outcome = codec.decode(payload)
    assert isinstance(outcome, Loaded)
    assert payload_of(outcome) is None
    shelf = outcome.contents.data.shelf
    assert shelf is not None
    shelf.items.append(3)
    assert payload_of(outcome) == b'{"shelf":[1,2,3]}'


@pytest.mark.parametrize("name", ["list", "dict", "set", "type", "value", "wire", "data", "part_0", "defaults"])
def test_a_class_may_be_called_what_generated_text_calls_something_else(name: str) -> None:
    cls: Any = define(type(name, (), {"__annotations__": dict(Most.__annotations__), **defaults_of(Most)}))
    generated, explained = (
        after_use(
            cls, SERIALIZERS[0], b'{"text":"a"}', lambda contents: contents.data.words.append("more"), compiled=compiled
        )
        for compiled in (True, False)
    )
    assert generated == explained == (False, b'{"text":"a","words":["more"]}')


def defaults_of(cls: Any) -> dict[str, object]:
    return {field.name: field.default for field in fields(cls)} | {"__module__": __name__}


class Clamped:
    """A descriptor, which holds no more than ten."""

    def __get__(self, instance: Any, owner: object) -> int:
        return 5 if instance is None else cast("int", instance.__dict__["number"])

    def __set__(self, instance: Any, value: int) -> None:
        instance.__dict__["number"] = min(value, 10)


@dataclass
class Measured:
    number: int = cast("int", Clamped())
    text: str = ""


def test_what_a_descriptor_makes_of_a_payload_is_no_change() -> None:
    payload = b'{"number":50,"text":"a"}'
    generated, explained = (
        after_use(Measured, SERIALIZERS[0], payload, lambda _: None, compiled=compiled) for compiled in (True, False)
    )
    assert generated == explained == (True, None)


@pytest.mark.parametrize("schema", [None, Keyed, Most, Everything])
@pytest.mark.parametrize(
    ("payload", "serializer"),
    [('{"extra":"Jürgen"}'.encode(), TaggedJSONSerializer()), (b'{"extra": "J\\u00fcrgen"}', MsgspecJSONSerializer())],
)
def test_a_key_that_came_in_another_spelling_and_is_stored_again_has_not_changed(
    payload: bytes, serializer: Any, schema: Any
) -> None:
    codec = Codec(Schema[Any](schema), serializer)
    read = codec.decode(payload)
    assert isinstance(read, Loaded)
    read.contents.store("extra", "Jürgen")
    assert payload_of(read) is None


@pytest.mark.parametrize(
    ("schema", "other"),
    [
        *((schema, b'"extra":{" d":"2026-04-02 08:51:37+00:00"}') for schema in (Keyed, Most, Everything)),
        (Everything, b'"extra":1,"node":{"children":[{"children":[],"names":["b","a"]}],"names":[]}'),
    ],
)
def test_what_came_in_another_spelling_is_no_change_where_another_key_is_stored_again(
    schema: Any, other: bytes
) -> None:
    codec = Codec(Schema[Any](schema), MsgspecJSONSerializer())
    payload = b'{"text":"some text",%b}' % other
    read = codec.decode(payload)
    assert isinstance(read, Loaded)
    read.contents.store("text", "some text")
    assert payload_of(read) is None


@pytest.mark.parametrize("schema", [None, Keyed, Most, Everything])
def test_a_value_that_is_stored_again_is_no_change_of_a_payload_with_spaces(schema: Any) -> None:
    codec = codec_of(schema, TaggedJSONSerializer(), compiled=True)
    payload = b'{"_permanent": true, "text": "some text"}'
    read = codec.decode(payload)
    assert isinstance(read, Loaded)
    read.contents.store("text", payload.decode()[-11:-2])
    read.contents.store("words", ["more"])
    read.contents.remove("words")
    assert payload_of(read) is None


TAG_ALONE: Mapping[str, Callable[[Any], object]] = {
    "by key": lambda contents: contents.remove("text"),
    "in the data": lambda contents: setattr(contents.data, "text", ""),
}


@for_each("serializer", SERIALIZERS, ids=NAMES)
@pytest.mark.parametrize("use", TAG_ALONE.values(), ids=TAG_ALONE)
@pytest.mark.parametrize("schema", [None, Keyed, Most])
def test_a_key_like_a_tag_that_is_left_alone_is_written_as_the_long_way_writes_it(
    schema: Any, use: Callable[[Any], object], serializer: Any
) -> None:
    stored: dict[str, object] = {"text": "some text", " t": [1]}
    generated, explained = (
        changes_of(schema, stored, serializer, [use], compiled=compiled) for compiled in (True, False)
    )
    assert generated == explained


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(("stored", "extra"), [({}, b""), ({"extra": 1}, b',"extra":1')], ids=["none", "by key"])
def test_a_field_that_a_look_saw_without_a_value_comes_last(
    stored: dict[str, object], extra: bytes, compiled: bool
) -> None:
    came = loaded(Most, TaggedJSONSerializer(), b'{"text":"some text","flag":true}', compiled=compiled)
    contents: Any = came.contents
    for key, value in stored.items():
        contents.store(key, value)
    for text, written in (("", b'{"flag":true%b}'), ("again", b'{"flag":true%b,"text":"again"}')):
        contents.data.text = text
        assert payload_of(came) == written % extra


@pytest.mark.parametrize("compiled", [True, False])
def test_fields_that_are_stored_through_the_data_again_come_last_by_their_declaration(compiled: bool) -> None:
    came = loaded(Most, TaggedJSONSerializer(), b'{"flag":true,"text":"some text"}', compiled=compiled)
    contents: Any = came.contents
    for key, value in (("number", 2.5), ("extra", 1)):
        contents.store(key, value)
    for key in ("flag", "text"):
        contents.remove(key)
    contents.data.number = 1.5
    assert payload_of(came) is not None
    contents.data.text, contents.data.number, contents.data.flag = "again", 3.5, False
    assert payload_of(came) == b'{"extra":1,"text":"again","number":3.5,"flag":false}'


@pytest.mark.parametrize("compiled", [True, False])
def test_a_stored_default_is_no_longer_stored_once_a_look_saw_another_value(compiled: bool) -> None:
    payload = b'{"text":"","number":1.5,"words":[]}'
    came = loaded(Most, TaggedJSONSerializer(), payload, compiled=compiled)
    contents: Any = came.contents
    data = contents.data
    data.number = float("1.5")
    assert payload_of(came) is None
    data.text = "other"
    assert payload_of(came) is not None
    data.text = ""
    assert payload_of(came) is not None
    assert contents.keys() == ["number", "words"]


def test_a_default_of_the_hour_that_was_stored_and_is_taken_out_is_a_change() -> None:
    clock = {"hour": 8}

    @define
    class Clocked:
        hour: int = Factory(lambda: clock["hour"])

    codec = Codec(Schema(Clocked), TaggedJSONSerializer())
    clock["hour"] = 9
    payload = b'{"hour":9}'
    read = codec.decode(payload)
    assert isinstance(read, Loaded)
    assert payload_of(read) is None
    read.contents.remove("hour")
    assert payload_of(read) is not None


def test_a_generated_default_that_nobody_has_read_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    @define
    class Tokened:
        text: str = field(default="", validator=validators.max_len(9))
        token: str = Factory(token_hex)

    came = loaded(Tokened, TaggedJSONSerializer(), b'{"text":"a"}', compiled=True)
    assert came.contents.keys() == ["text"]
    came.contents.store("text", "b")
    monkeypatch.setattr(ExplainingPath, "encode", None)
    assert payload_of(came) == b'{"text":"b"}'


@define
class Flagged:
    _permanent: bool = False


@pytest.mark.parametrize("compiled", [True, False])
def test_a_flag_that_is_a_field_is_no_undeclared_key(compiled: bool) -> None:
    contents: Any = loaded(Flagged, TaggedJSONSerializer(), b'{"_permanent":true}', compiled=compiled).contents
    assert contents.stored() == {"_permanent": True}
    assert contents.extras == {}


@pytest.mark.parametrize("schema", [None, Most])
def test_a_look_drafts_nothing_that_is_too_large(schema: Any) -> None:
    codec, outcome = decoded(schema, {"text": "some text"}, TaggedJSONSerializer())
    outcome.contents.store("extra", "a" * MAX_PAYLOAD)
    assert path_of(codec, outcome) == "generated"
    with pytest.raises(SerializationError, match="SESSION_MAX_PAYLOAD"):
        payload_of(outcome)


def test_a_payload_is_read_alike_whatever_came_before() -> None:
    paths = {b"{}": True, b'{"extra":1}': True, b'{"text":1}': False}
    for payloads in itertools.product(paths, repeat=3):
        codec = Codec(Schema(Most), TaggedJSONSerializer())
        came = [cast("Loaded[Any]", codec.decode(payload)) for payload in payloads]
        assert [each.snapshot.decoded is not None for each in came] == [paths[payload] for payload in payloads]

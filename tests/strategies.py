"""Hypothesis strategies that tests share: values that sessions hold, and texts that visitors send."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum
from types import NoneType
from typing import Annotated, Any, Final, Literal, NamedTuple, NewType, NotRequired, TypeVar
from uuid import UUID

import attrs
import msgspec
import pydantic
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from markupsafe import Markup
from pydantic.alias_generators import to_camel
from typing_extensions import ReadOnly, TypeAliasType, TypedDict

TAG_LIKE_KEYS: Final = (
    *("", " ", "__", " di", " t", " b", " m", " u", " d", " o"),
    *(" di__", " t__", " b__", " di____", " x", "t", " t "),
)
"""Keys that are tags, that were tags, and that nearly are."""

JSON_ALPHABET: Final = '{}[]":,\\ -+.0123456789eEutdimb_/=ntrfalseNI\x00\n\ud800é'
"""What an edit of JSON text is likely to turn into other JSON."""


@dataclass(frozen=True, slots=True)
class Item:
    """A dataclass instance, which JSON holds as its fields."""

    name: str
    price: Decimal
    sold: datetime
    batch: UUID
    tags: tuple[str, ...] = ()


class Badge:
    """An object with an `__html__` method."""

    def __init__(self, html: str) -> None:
        self.html = html

    def __html__(self) -> str:
        return self.html


class Plain:
    """An object whose `__html__` is not to be called, and which no JSON holds."""

    __html__ = None


class Place(NamedTuple):
    row: int
    seat: str


class Rank(IntEnum):
    LOW = 1
    HIGH = 2


def any_text() -> SearchStrategy[str]:
    """Text over all of Unicode, control characters and lone surrogates included."""
    return st.text(st.characters(), max_size=12)


def encodable_text() -> SearchStrategy[str]:
    """Text that UTF-8 can hold."""
    return st.text(st.characters(codec="utf-8"), max_size=12)


def integers() -> SearchStrategy[int]:
    """Integers, many of them near or past 64 bits."""
    return st.one_of(
        st.integers(-9, 9),
        st.integers(-(2**200), 2**200),
        st.sampled_from((2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64)),
    )


def floats() -> SearchStrategy[float]:
    """Floats, NaN, the infinities and the negative zero included."""
    return st.one_of(st.floats(), st.sampled_from((float("nan"), float("inf"), -float("inf"), -0.0, 5e-324)))


def time_zones() -> SearchStrategy[timezone]:
    """UTC and fixed offsets, odd seconds and microseconds included."""
    day = timedelta(hours=23, minutes=59, seconds=59)
    return st.one_of(st.just(UTC), st.timedeltas(-day, day).map(timezone))


def moments() -> SearchStrategy[datetime]:
    """Datetimes of the years 1 to 9999, naive and aware; near the ends an offset may lead out of these years."""
    ends = st.sampled_from((datetime.min, datetime.max, datetime(1, 1, 1, 12), datetime(999, 12, 31)))  # noqa: DTZ001, DTZ901 -- naive on purpose
    return st.one_of(
        st.datetimes(),
        st.datetimes(timezones=time_zones()),
        st.builds(lambda end, zone: end.replace(tzinfo=zone), ends, time_zones()),
    )


def items() -> SearchStrategy[Item]:
    return st.builds(
        Item,
        name=any_text(),
        price=st.decimals(),
        sold=moments(),
        batch=st.uuids(),
        tags=st.lists(any_text(), max_size=2).map(tuple),
    )


def keys() -> SearchStrategy[str | int | float | bool | None]:
    """Keys that JSON writes: text, a good part of it tag-like, and what it turns into text."""
    return st.one_of(
        st.sampled_from(TAG_LIKE_KEYS),
        any_text(),
        st.one_of(st.none(), st.booleans(), integers(), floats()),
    )


def tagged_leaves() -> SearchStrategy[object]:
    """Values without parts that tagged JSON can carry, or turn into something that it can."""
    return st.one_of(
        st.none(),
        st.booleans(),
        integers(),
        floats(),
        any_text(),
        st.binary(max_size=12),
        st.uuids(),
        any_text().map(Markup),
        moments(),
        st.dates(),
        st.decimals(),
        any_text().map(Badge),
        items(),
        st.sampled_from(Rank),
        st.builds(Place, st.integers(), any_text()),
    )


def tagged_values() -> SearchStrategy[object]:
    """Everything that tagged JSON can carry, nested; with a few values in it that its serializer refuses."""
    refused: SearchStrategy[object] = st.sampled_from(
        (object(), Plain(), {1, 2}, 1j, Item, {(1, 2): 3}, {UUID(int=0): 1}, b"".__hash__)
    )
    carried = tagged_leaves()
    leaves = st.integers(0, 99).flatmap(lambda number: refused if number == 0 else carried)
    return st.recursive(leaves, _containers, max_leaves=12)


def lossless_values() -> SearchStrategy[object]:
    """What tagged JSON gives back as it was: text keys, datetimes of whole seconds in UTC."""
    first = datetime(1000, 1, 1)  # noqa: DTZ001 -- hypothesis adds the time zone
    seconds = st.datetimes(first, timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0, fold=0))
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        integers(),
        floats(),
        any_text(),
        st.binary(max_size=12),
        st.uuids(),
        any_text().map(Markup),
        seconds,
    )
    return st.recursive(
        leaves,
        lambda parts: st.one_of(
            st.lists(parts, max_size=4),
            st.lists(parts, max_size=4).map(tuple),
            st.dictionaries(st.sampled_from(TAG_LIKE_KEYS), parts, max_size=1),
            st.dictionaries(any_text(), parts, max_size=4),
        ),
        max_leaves=12,
    )


def json_values() -> SearchStrategy[object]:
    """What every serializer holds: the plain values of JSON that its readers agree on."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        encodable_text(),
    )
    return st.recursive(
        leaves,
        lambda parts: st.one_of(st.lists(parts, max_size=4), st.dictionaries(_json_keys(), parts, max_size=4)),
        max_leaves=12,
    )


def json_objects() -> SearchStrategy[dict[str, object]]:
    """Dicts of plain JSON values, as a session hands them to its serializer."""
    return st.dictionaries(_json_keys(), json_values(), max_size=5)


def tag_like_json() -> SearchStrategy[object]:
    """JSON in which tags stand before what is theirs, and before what is not."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        integers(),
        any_text(),
        st.sampled_from(("YQ==", "YQ", "Y", "a" * 32)),
        st.sampled_from(("Thu, 01 Jan 1970 00:00:00 GMT", "5 Nov 2026 07:08:09 +0130", "1 Jan 70 0:0 -0000", "-1 x 5")),
    )
    return st.recursive(
        leaves,
        lambda parts: st.one_of(
            st.lists(parts, max_size=3),
            st.dictionaries(st.sampled_from(TAG_LIKE_KEYS), parts, max_size=1),
            st.dictionaries(st.one_of(st.sampled_from(TAG_LIKE_KEYS), any_text()), parts, max_size=3),
        ),
        max_leaves=10,
    )


@st.composite
def edited(draw: st.DrawFn, text: str, alphabet: str | SearchStrategy[str]) -> str:
    """The text after one to three edits: a character replaced, deleted or inserted."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(len(text) - 1, 0)))
        removed = draw(st.integers(0, 1))
        added = draw(st.text(alphabet, min_size=1 - removed, max_size=1))
        text = text[:place] + added + text[place + removed :]
    return text


def _containers(parts: SearchStrategy[object]) -> SearchStrategy[object]:
    pairs: SearchStrategy[Sequence[tuple[object, object]]] = st.lists(st.tuples(keys(), parts), max_size=4)
    return st.one_of(
        st.lists(parts, max_size=4),
        st.lists(parts, max_size=4).map(tuple),
        st.dictionaries(st.sampled_from(TAG_LIKE_KEYS), parts, min_size=1, max_size=1),
        st.dictionaries(any_text(), parts, max_size=4),
        pairs.map(dict),
        pairs.map(OrderedDict),
    )


def _json_keys() -> SearchStrategy[str]:
    return st.one_of(encodable_text(), st.sampled_from(TAG_LIKE_KEYS))


@dataclass(frozen=True)
class FieldValues:
    """A type that a field may have, with values of it that every serializer brings back."""

    annotation: Any
    default: object
    values: SearchStrategy[Any]
    holds_moments: bool = False
    """True if datetimes are in the values, of which tagged JSON keeps the second in UTC."""


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Word(StrEnum):
    A = "a"
    ISO = "2026-01-02"


class Right(Flag):
    READ = 1
    WRITE = 2


class Mode(IntFlag):
    LOUD = 1
    FAST = 2


@attrs.frozen
class Point:
    """A frozen attrs class; it can be in a set, and be a default."""

    x: int = 0
    y: float = 0.0


@attrs.define
class Label:
    """An attrs class that holds a frozen one."""

    name: str
    _at: Point = Point()
    notes: list[str] = attrs.Factory(list[str])


class Line(TypedDict):
    """A TypedDict that holds an attrs class; one key need not be there, one is not to be assigned."""

    sku: str
    label: NotRequired[Label]
    first_seen: ReadOnly[date]


class Wish(TypedDict, total=False):
    colour: Colour
    points: set[Point]


@dataclass
class Parcel:
    """A dataclass that holds a TypedDict."""

    lines: list[Line] = field(default_factory=list)
    wish: Wish | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A frozen dataclass with slots; it can be in a set."""

    text: str = ""
    worth: Decimal = Decimal(0)


class Shipment(msgspec.Struct):
    """A Struct that holds dataclasses, a frozen Struct, and others like itself."""

    parcel: Parcel = msgspec.field(default_factory=Parcel)
    stamps: frozenset[Stamp] = frozenset()
    route: tuple[Stop, ...] = ()
    split_from: Shipment | None = None


class Stop(msgspec.Struct, frozen=True, rename="camel"):
    """A frozen Struct, renamed in msgspec's own messages."""

    place_name: str
    held_for: timedelta = timedelta()


class Seat(pydantic.BaseModel, frozen=True, alias_generator=to_camel):
    """A frozen model of pydantic's, whose constructor goes by other names; it can be in a set."""

    row_number: int = 0
    held_by: str | None = None


class Order(pydantic.BaseModel, arbitrary_types_allowed=True):
    """A model of pydantic's that holds a frozen one, and all other kinds but a Struct."""

    wishes: list[Wish] = []
    stamps: frozenset[Stamp] = frozenset()
    label: Label | None = None
    seats: dict[str, set[Seat]] = pydantic.Field(default_factory=dict)


T = TypeVar("T")
UserID = NewType("UserID", int)
Names = TypeAliasType("Names", list[str])
Pair = TypeAliasType("Pair", tuple[T, T], type_params=(T,))

OFFSETS: Final = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def exact_moments() -> SearchStrategy[datetime]:
    """Datetimes that every serializer writes, with offsets of whole minutes, from the year 1000 on."""
    first, last = datetime(1000, 1, 3), datetime(9999, 12, 29)  # noqa: DTZ001 -- hypothesis adds the time zone
    return st.datetimes(first, last, timezones=OFFSETS)


def finite_floats() -> SearchStrategy[float]:
    return st.floats(allow_nan=False, allow_infinity=False)


def short_integers() -> SearchStrategy[int]:
    """Integers of 64 bits, which is as many as MessagePack has."""
    return st.integers(-9, 9) | st.integers(-(2**63), 2**64 - 1)


def tag_like_text() -> SearchStrategy[str]:
    """Text that a serializer, or a union, may take for a mark of its own; and any other."""
    return encodable_text() | st.sampled_from(
        (*TAG_LIKE_KEYS, "__type__", "__value__", "1", "true", "red", "a", "YQ==")
    )


def points() -> SearchStrategy[Point]:
    return st.builds(Point, short_integers(), finite_floats())


def labels() -> SearchStrategy[Label]:
    return st.builds(Label, encodable_text(), points(), st.lists(encodable_text(), max_size=2))


def lines() -> SearchStrategy[Line]:
    required = {"sku": encodable_text(), "first_seen": st.dates()}
    return st.fixed_dictionaries(required, optional={"label": labels()}).map(_line)


def wishes() -> SearchStrategy[Wish]:
    optional: dict[str, SearchStrategy[Any]] = {
        "colour": st.sampled_from(Colour),
        "points": st.sets(points(), max_size=2),
    }
    return st.fixed_dictionaries({}, optional=optional).map(_wish)


def parcels() -> SearchStrategy[Parcel]:
    return st.builds(Parcel, st.lists(lines(), max_size=2), st.none() | wishes())


def stamps() -> SearchStrategy[Stamp]:
    return st.builds(Stamp, text=encodable_text(), worth=st.decimals(allow_nan=False))


def stops() -> SearchStrategy[Stop]:
    return st.builds(Stop, encodable_text(), spans())


def seats() -> SearchStrategy[Seat]:
    return st.builds(Seat, rowNumber=short_integers(), heldBy=st.none() | encodable_text())


def orders() -> SearchStrategy[Order]:
    return st.builds(
        Order,
        wishes=st.lists(wishes(), max_size=2),
        stamps=st.frozensets(stamps(), max_size=2),
        label=st.none() | labels(),
        seats=st.dictionaries(tag_like_text(), st.sets(seats(), max_size=2), max_size=2),
    )


def shipments() -> SearchStrategy[Shipment]:
    arguments: Mapping[str, SearchStrategy[Any]] = {
        "parcel": parcels(),
        "stamps": st.frozensets(stamps(), max_size=2),
        "route": st.lists(stops(), max_size=2).map(tuple),
    }
    return st.builds(Shipment, **arguments, split_from=st.none() | st.builds(Shipment, **arguments))


def spans() -> SearchStrategy[timedelta]:
    return st.timedeltas(timedelta(days=-1000), timedelta(days=1000))


def times() -> SearchStrategy[time]:
    return st.times().map(lambda moment: moment.replace(fold=0)) | st.times(timezones=OFFSETS)


def _by(keys: SearchStrategy[Any]) -> SearchStrategy[dict[Any, set[int]]]:
    return st.dictionaries(keys, st.sets(short_integers(), max_size=2), max_size=3)


def _pairs(items: SearchStrategy[Any]) -> SearchStrategy[tuple[Any, Any]]:
    return st.tuples(items, items)


def _line(value: Any) -> Line:
    line: Line = value
    return line


def _wish(value: Any) -> Wish:
    wish: Wish = value
    return wish


_TEXTS: Final = encodable_text()
_MOMENT: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

FIELD_VALUES: Final[Mapping[str, FieldValues]] = {
    "none": FieldValues(NoneType, None, st.none()),
    "bool": FieldValues(bool, False, st.booleans()),
    "int": FieldValues(int, 0, short_integers()),
    "float": FieldValues(float, 0.0, finite_floats()),
    "str": FieldValues(str, "", tag_like_text()),
    "bytes": FieldValues(bytes, b"", st.binary(max_size=12)),
    "Markup": FieldValues(Markup, Markup(), tag_like_text().map(Markup)),
    "UUID": FieldValues(UUID, UUID(int=0), st.uuids()),
    "Decimal": FieldValues(Decimal, Decimal(0), st.decimals(allow_nan=False)),
    "date": FieldValues(date, date(2026, 1, 2), st.dates()),
    "time": FieldValues(time, time(), times()),
    "datetime": FieldValues(datetime, _MOMENT, exact_moments(), holds_moments=True),
    "timedelta": FieldValues(timedelta, timedelta(), spans()),
    "Enum": FieldValues(Colour, Colour.RED, st.sampled_from(Colour)),
    "IntEnum": FieldValues(Rank, Rank.LOW, st.sampled_from(Rank)),
    "StrEnum": FieldValues(Word, Word.A, st.sampled_from(Word)),
    "Flag": FieldValues(Right, Right(0), st.sampled_from([Right(0), *Right, Right.READ | Right.WRITE])),
    "IntFlag": FieldValues(Mode, Mode(0), st.sampled_from([Mode(0), *Mode, Mode.LOUD | Mode.FAST])),
    "Literal": FieldValues(Literal["a", 1, True], "a", st.sampled_from(["a", 1, True])),
    "Literal of members": FieldValues(
        Literal[Colour.RED, Rank.LOW, "blue", 2], "blue", st.sampled_from([Colour.RED, Rank.LOW, "blue", 2])
    ),
    "Literal of bytes": FieldValues(Literal[b"a", "a"], "a", st.sampled_from([b"a", "a"])),
    "Literal or None": FieldValues(Literal["a"] | None | int, None, st.sampled_from(["a", None]) | short_integers()),
    "int or None": FieldValues(int | None, None, st.none() | short_integers()),
    "list or None": FieldValues(list[str] | None, None, st.none() | st.lists(_TEXTS, max_size=3)),
    "int, bool or float": FieldValues(int | bool | float, 0, short_integers() | st.booleans() | finite_floats()),
    "str, date or UUID": FieldValues(
        str | date | UUID,
        "",
        tag_like_text() | st.dates() | st.uuids() | st.dates().map(str) | st.uuids().map(str),
    ),
    "date or datetime": FieldValues(
        date | datetime, date(2026, 1, 2), st.dates() | exact_moments(), holds_moments=True
    ),
    "time, timedelta or Decimal": FieldValues(
        time | timedelta | Decimal, time(), times() | spans() | st.decimals(allow_nan=False)
    ),
    "str, Markup or bytes": FieldValues(
        str | Markup | bytes, "", tag_like_text() | tag_like_text().map(Markup) | st.binary(max_size=12)
    ),
    "str, StrEnum or Literal": FieldValues(
        Word | str | Literal[Colour.RED], "", tag_like_text() | st.sampled_from(Word) | st.just(Colour.RED)
    ),
    "int, IntEnum or Flag": FieldValues(
        int | Rank | Right, 0, short_integers() | st.sampled_from(Rank) | st.sampled_from(Right)
    ),
    "containers alike": FieldValues(
        list[int] | set[int] | frozenset[int] | tuple[int, ...],
        (),
        st.lists(short_integers(), max_size=3).flatmap(
            lambda items: st.sampled_from([items, set(items), frozenset(items), tuple(items)])
        ),
    ),
    "tuples of lengths": FieldValues(
        tuple[int] | tuple[int, str] | tuple[()],
        (),
        st.just(()) | st.tuples(short_integers()) | st.tuples(short_integers(), _TEXTS),
    ),
    "lists of types": FieldValues(
        list[int] | list[str], [], st.lists(short_integers(), max_size=3) | st.lists(_TEXTS, max_size=3)
    ),
    "two classes": FieldValues(Point | Label | None, None, st.none() | points() | labels()),
    "classes of kinds": FieldValues(
        Label | Parcel | Stamp | Shipment | Stop | Order | Seat,
        Stamp(),
        labels() | parcels() | stamps() | shipments() | stops() | orders() | seats(),
    ),
    "class or dict": FieldValues(
        Point | dict[str, int],
        Point(),
        points() | st.dictionaries(st.sampled_from(["x", "y", "__type__", "__value__"]), short_integers(), max_size=2),
    ),
    "list of classes or dicts": FieldValues(
        list[Point | dict[str, int]],
        [],
        st.lists(points() | st.dictionaries(st.sampled_from(["x", "y"]), short_integers(), max_size=2), max_size=3),
    ),
    "lists of classes or of dicts": FieldValues(
        list[Point] | list[dict[str, int]],
        [],
        st.lists(points(), min_size=1, max_size=2)
        | st.lists(st.dictionaries(st.sampled_from(["x", "y"]), short_integers(), max_size=2), max_size=2),
    ),
    "TypedDict or class": FieldValues(Wish | Label, {}, wishes() | labels()),
    "dict that looks named": FieldValues(
        dict[str, str] | None,
        None,
        st.none()
        | st.fixed_dictionaries({}, optional={"__value__": _TEXTS})
        | st.fixed_dictionaries({"__type__": st.sampled_from(["None", "dict[str, str]", "a"]), "__value__": _TEXTS}),
    ),
    "two TypedDicts": FieldValues(Line | Wish, {}, lines() | wishes()),
    "list": FieldValues(list[str], [], st.lists(tag_like_text(), max_size=3)),
    "list of unions": FieldValues(
        list[str | date | None],
        [],
        st.lists(st.none() | tag_like_text() | st.dates() | st.dates().map(str), max_size=4),
    ),
    "list of datetimes": FieldValues(list[datetime], [], st.lists(exact_moments(), max_size=3), holds_moments=True),
    "list of lists": FieldValues(
        list[list[tuple[int, ...]]],
        [],
        st.lists(st.lists(st.lists(short_integers(), max_size=2).map(tuple), max_size=2), max_size=2),
    ),
    "set": FieldValues(set[int], set(), st.sets(short_integers(), max_size=4)),
    "set of classes": FieldValues(set[Stamp | Point], set(), st.sets(stamps() | points(), max_size=3)),
    "frozenset": FieldValues(frozenset[Colour], frozenset(), st.frozensets(st.sampled_from(Colour))),
    "frozenset of frozensets": FieldValues(
        frozenset[frozenset[str]], frozenset(), st.frozensets(st.frozensets(_TEXTS, max_size=2), max_size=3)
    ),
    "tuple": FieldValues(
        tuple[int, str, date], (0, "", date(1, 1, 1)), st.tuples(short_integers(), _TEXTS, st.dates())
    ),
    "open tuple": FieldValues(tuple[UUID, ...], (), st.lists(st.uuids(), max_size=3).map(tuple)),
    "empty tuple": FieldValues(tuple[()], (), st.just(())),
    "dict": FieldValues(
        dict[str, list[int]],
        {},
        st.dictionaries(tag_like_text(), st.lists(short_integers(), max_size=2), max_size=3),
    ),
    "dict by int": FieldValues(dict[int, str], {}, st.dictionaries(integers(), _TEXTS, max_size=3)),
    "dict by UUID": FieldValues(dict[UUID, date], {}, st.dictionaries(st.uuids(), st.dates(), max_size=3)),
    "dict by Enum": FieldValues(dict[Colour, set[int]], {}, _by(st.sampled_from(Colour))),
    "dict by IntEnum": FieldValues(dict[Rank, set[int]], {}, _by(st.sampled_from(Rank))),
    "dict by StrEnum": FieldValues(dict[Word, set[int]], {}, _by(st.sampled_from(Word))),
    "dict by Literal": FieldValues(dict[Literal[1, 2], set[int]], {}, _by(st.sampled_from([1, 2]))),
    "dict by date": FieldValues(dict[date, set[int]], {}, _by(st.dates())),
    "dict of dicts": FieldValues(
        dict[str, dict[str, Decimal]],
        {},
        st.dictionaries(
            tag_like_text(), st.dictionaries(tag_like_text(), st.decimals(allow_nan=False), max_size=1), max_size=1
        ),
    ),
    "frozen attrs": FieldValues(Point, Point(), points()),
    "attrs": FieldValues(Label, Label(""), labels()),
    "dataclass": FieldValues(Parcel, Parcel(), parcels()),
    "frozen dataclass": FieldValues(Stamp, Stamp(), stamps()),
    "Struct": FieldValues(Shipment, Shipment(), shipments()),
    "frozen Struct": FieldValues(Stop, Stop(""), stops()),
    "pydantic": FieldValues(Order, Order(), orders()),
    "frozen pydantic": FieldValues(Seat, Seat(), seats()),
    "TypedDict": FieldValues(Line, {"sku": "", "first_seen": date(2026, 1, 2)}, lines()),
    "TypedDict of keys not required": FieldValues(Wish, {}, wishes()),
    "list of classes": FieldValues(list[Shipment | None], [], st.lists(st.none() | shipments(), max_size=2)),
    "dict of classes": FieldValues(dict[str, Label], {}, st.dictionaries(tag_like_text(), labels(), max_size=2)),
    "NewType": FieldValues(UserID, UserID(0), short_integers().map(UserID)),
    "alias": FieldValues(Names, [], st.lists(_TEXTS, max_size=3)),
    "generic alias": FieldValues(Pair[int | str], (0, ""), _pairs(short_integers() | _TEXTS)),
    "Annotated": FieldValues(Annotated[int, "meta"], 0, short_integers()),
    "Annotated inside": FieldValues(list[Annotated[Colour, "meta"]], [], st.lists(st.sampled_from(Colour), max_size=3)),
    "object": FieldValues(object, None, json_values()),
    "Any": FieldValues(dict[str, Any], {}, json_objects()),
}
"""The types that a field may have, by name."""

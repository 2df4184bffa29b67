"""Hypothesis strategies that tests share: values that sessions hold, and texts that visitors send."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from markupsafe import Markup

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

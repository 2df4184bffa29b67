"""Payloads that no session holds, and those that nearly could: a strategy for each format, and the schema for them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag
from typing import Any, Final, Literal, NotRequired
from uuid import UUID

import msgspec
from attrs import Factory, define
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from markupsafe import Markup
from typing_extensions import TypedDict

from tests.strategies import JSON_ALPHABET, TAG_LIKE_KEYS, any_text, edited

pack = msgspec.msgpack.encode


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Rights(IntFlag):
    READ = 1
    WRITE = 2


class Place(TypedDict):
    row: int
    seat: NotRequired[str]


@define
class Item:
    sku: str
    price: Decimal = Decimal(0)


@define
class Node:
    """A class that contains itself, for payloads as deep as may be."""

    label: str = ""
    children: list[Node] = Factory(list["Node"])
    either: Node | Item | dict[str, int] | list[Item] | int | str | None = None


@define
class Visitor:
    """A field of every type."""

    user_id: int | None = None
    ratio: float = 0.0
    name: str = ""
    member: bool = False
    raw: bytes = b""
    html: Markup = Factory(Markup)
    device: UUID | None = None
    price: Decimal = Decimal(0)
    seen: dt.datetime | None = None
    born: dt.date | None = None
    alarm: dt.time | None = None
    stay: dt.timedelta = dt.timedelta()
    level: Level = Level.LOW
    color: Color = Color.RED
    rights: Rights = Rights.READ
    theme: Literal["dark", "light", 7] = "dark"
    tags: set[str] = Factory(set[str])
    marks: frozenset[tuple[int, str]] = frozenset()
    point: tuple[int, int] = (0, 0)
    path: tuple[float, ...] = ()
    counts: dict[int, int] = Factory(dict[int, int])
    visits: dict[dt.date, list[UUID]] = Factory(dict[dt.date, list[UUID]])
    prices: dict[Decimal, str] = Factory(dict[Decimal, str])
    place: Place | None = None
    items: list[Item] = Factory(list[Item])
    root: Node = Factory(Node)
    mixed: UUID | dt.datetime | Decimal | bytes | set[int] | list[int] | None = None
    anything: object = None


FIELDS: Final = tuple(Visitor.__annotations__)
TAGS: Final = (*TAG_LIKE_KEYS, " s", " f", " date", " time", " delta", " n")
TEXTS: Final = (
    *("", "x", "YQ==", "YQ", "é", "\x00", "red", "dark", "0" * 32, "g" * 32, "{" + "0" * 32 + "}", "-0", "1e999999999"),
    *("1E-99999999999999999999", "9" * 4301, "P1D", "P999999999D", "P1000000000D", "-P999999999DT24H", "PT1e9S"),
    *("PT0.0000001S", "0000-01-01", "2026-02-30", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z"),
    *("9999-12-31T23:59:60Z", "2020-01-01T24:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"),
    *(
        "2020-01-01T00:00:00+24:00",
        "2020-01-01T00:00:00+23:59:59.999999",
        "NaN",
        "sNaN",
        "24:00:00",
        "23:59:60",
        "12:00:00+23:59",
    ),
    *("23:59:59.9999999", "Thu, 01 Jan 1970 00:00:00 GMT", "1 Jan 70 0:0 -0000", "1 Jan 2020 0:0:0 +99999999999"),
)
"""What a reader of dates, numbers or base64 may stumble over."""

NUMBERS: Final = (
    *("-0", "-0.0", "0.0", "1.0", "1", "7", "-1", "1e400", "-1e400", "1e-999999999", "9223372036854775808"),
    *("18446744073709551616", "1" + "0" * 400, "9" * 4300, "9" * 4301, "1." + "1" * 2000, "01", "NaN", "-Infinity"),
)
"""Numbers in JSON, in what programs take for JSON, and past what Python reads."""


def texts() -> SearchStrategy[str]:
    return st.one_of(st.sampled_from(TEXTS), any_text())


def keys() -> SearchStrategy[str]:
    return st.one_of(
        st.sampled_from(TAGS),
        st.sampled_from(("__type__", "__value__", "sku", "price", "label", "children", "either", "row", "seat", "7")),
        texts(),
    )


def _joined(parts: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in parts) + "}"


def json_texts() -> SearchStrategy[str]:
    """JSON, and what is nearly JSON: keys twice, tags before what is not theirs, unions that name another type."""
    leaves = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(("null", "true", "false")), texts().map(json.dumps))
    named = st.sampled_from(("Node", "Item", "int", "str", "UUID", "Decimal", "list[Item]", "dict[str, int]", ""))
    return st.recursive(
        leaves,
        lambda parts: st.one_of(
            st.lists(parts, max_size=3).map(lambda items: f"[{','.join(items)}]"),
            st.lists(st.tuples(st.sampled_from(TAGS), parts), min_size=1, max_size=1).map(_joined),
            st.lists(st.tuples(keys(), parts), max_size=3).map(_joined),
            st.tuples(named, parts).map(
                lambda pair: _joined([("__type__", json.dumps(pair[0])), ("__value__", pair[1])])
            ),
        ),
        max_leaves=8,
    )


def json_payloads() -> SearchStrategy[bytes]:
    """An object of fields and other keys, with any JSON under them; often edited afterwards."""
    names = st.one_of(st.sampled_from(FIELDS), keys())
    whole = st.lists(st.tuples(names, json_texts()), max_size=4).map(_joined)
    return st.one_of(
        st.one_of(whole, whole.flatmap(lambda text: edited(text, JSON_ALPHABET)), json_texts()).map(_utf8),
        nested(b'{"anything":', (b"[", b'{"a":', b'{" t":[', b'{" di":{"a__":'), b"1"),
        nested(b'{"root":', (b'{"children":[', b'{"either":'), b"{}"),
    )


def packed_values() -> SearchStrategy[bytes]:
    """MessagePack of everything that it knows: extensions, and keys of every type."""
    numbers = st.one_of(st.integers(-(2**63), 2**64 - 1), st.floats(), st.none(), st.booleans())
    extensions = st.builds(msgspec.msgpack.Ext, st.integers(-128, 127), st.binary(max_size=13))
    leaves: SearchStrategy[bytes] = st.one_of(
        numbers.map(pack),
        texts().map(_utf8).map(_packed_text),
        st.binary(max_size=9).map(pack),
        extensions.map(pack),
        st.datetimes(timezones=st.just(dt.UTC)).map(pack),
    )
    return st.recursive(
        leaves,
        lambda parts: st.one_of(
            st.lists(parts, max_size=3).map(lambda items: bytes([0x90 + len(items)]) + b"".join(items)),
            st.tuples(st.sampled_from(TAGS).map(pack), parts).map(lambda pair: b"\x81" + b"".join(pair)),
            st.lists(st.tuples(st.one_of(keys().map(_utf8).map(_packed_text), parts), parts), max_size=3).map(_packed),
        ),
        max_leaves=8,
    )


def packed_payloads() -> SearchStrategy[bytes]:
    """A map of fields and other keys, with any MessagePack under them; often with changed bytes."""
    names = st.one_of(st.sampled_from(FIELDS).map(pack), packed_values())
    whole = st.lists(st.tuples(names, packed_values()), max_size=4).map(_packed)
    return st.one_of(
        whole,
        whole.flatmap(changed),
        packed_values(),
        nested(b"\x81\xa8anything", (b"\x91", b"\x81\xa1a", b"\x81\xa2 t\x91", b"\x81\xa3 di\x81\xa3a__"), b"\x07"),
        nested(b"\x81\xa4root", (b"\x81\xa8children\x91", b"\x81\xa6either"), b"\x80"),
    )


@st.composite
def changed(draw: st.DrawFn, payload: bytes) -> bytes:
    """The bytes after one to three edits: one replaced, deleted or inserted."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(len(payload) - 1, 0)))
        removed = draw(st.integers(0, 1))
        payload = payload[:place] + draw(st.binary(min_size=1 - removed, max_size=1)) + payload[place + removed :]
    return payload


@st.composite
def nested(draw: st.DrawFn, opening: bytes, steps: tuple[bytes, ...], last: bytes) -> bytes:
    """Containers in containers, around and past every limit, closed as they were opened."""
    chosen = draw(st.lists(st.sampled_from(steps), min_size=1, max_size=4))
    depth = draw(st.one_of(st.integers(1, 120), st.sampled_from((300, 1000, 10_000))))
    path = b"".join(chosen[level % len(chosen)] for level in range(depth))
    if opening[:1] != b"{":
        return opening + path + last
    return opening + path + last + path[::-1].translate(_CLOSING, _NO_BRACKET) + b"}"


_CLOSING: Final = bytes.maketrans(b"[{", b"]}")
_NO_BRACKET: Final = bytes(byte for byte in range(256) if byte not in b"[{")


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _packed_text(text: bytes) -> bytes:
    """Text in MessagePack, also where it is no UTF-8."""
    return b"\xdb" + len(text).to_bytes(4, "big") + text


def _packed(parts: list[tuple[bytes, bytes]]) -> bytes:
    return bytes([0x80 + len(parts)]) + b"".join(key + value for key, value in parts)


PAYLOADS: Final[dict[str, Callable[[], SearchStrategy[bytes]]]] = {
    "tagged-json": json_payloads,
    "msgspec-json": json_payloads,
    "msgspec-msgpack": packed_payloads,
}
"""The nearly valid payloads of each format."""


def salt_of(name: str) -> str:
    return "cookie-session" if name == "tagged-json" else f"cookie-session.{name}"


def dumped(name: str, value: Any) -> bytes:
    """Return a value in a format, without a look at tags."""
    return pack(value) if name == "msgspec-msgpack" else json.dumps(value).encode()

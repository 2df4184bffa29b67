"""How a built-in serializer writes what JSON lacks, as far as the short way needs to know."""

from __future__ import annotations

import datetime as dt
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
from attrs import frozen
from markupsafe import Markup

from typed_sessions.schema.sameness import same
from typed_sessions.serializers import msgspec as lossless
from typed_sessions.serializers import stock_tags
from typed_sessions.serializers.base import AnySerializer
from typed_sessions.serializers.http_dates import exact_http_date
from typed_sessions.serializers.msgspec import MsgspecJSONSerializer, MsgspecMsgpackSerializer
from typed_sessions.serializers.stock_tags import STOCK_TAGS, TheLongWay
from typed_sessions.serializers.tagged_json import TaggedJSONSerializer

__all__ = ["Leaf", "Notation", "notation_of"]

Decode = Callable[[Any], Any]


@frozen
class Leaf:
    """A type that JSON lacks, written as a dict with one key, its tag."""

    tag: str
    content: Any
    """What msgspec reads the content as."""
    lower: Callable[[Any], Any] | None = None
    """Makes the content of a value; None if msgspec does. Raises for what would not come back."""
    lift: Callable[[Any], Any] | None = None
    """Makes the value of a content; None if msgspec does. Raises for what `lower` would not have written."""


@frozen
class Notation:
    """What the short way needs to know of one built-in serializer."""

    encode: Callable[[object], bytes]
    """Makes a payload of plain values."""
    decoder: Callable[[Any], Decode]
    """Makes what reads a payload, or a part of one, as a type."""
    leaves: Mapping[type, Leaf]
    tuple_tag: str
    tags: frozenset[str]
    tagged: Callable[[Any], Any]
    """Makes plain values of those of an undeclared key. Raises for what would not come back."""
    untagged: Callable[[Any], Any]
    """Makes values of the plain ones of an undeclared key."""
    is_strict: bool
    """True if `untagged` raises for what `tagged` would not have written."""
    exact_float: Callable[[float], float]
    """Returns a number that is written as the long way writes it. Raises for another."""
    container_marks: bytes
    """The bytes with which containers begin."""
    keeps_order: bool = True
    """False if keys are sorted."""

    def are_alike(self, one: object, other: object) -> bool:
        """Return True if two plain values are written alike, or are the same in another order.

        For values of JSON's own types at every depth: a tuple is written as a list is.
        """
        return self.encode(one) == self.encode(other) or same(one, other)


def notation_of(serializer: AnySerializer) -> Notation | None:
    """Return the notation of a built-in serializer; None for any other, and for one with tags of the user's."""
    if isinstance(serializer, TaggedJSONSerializer):
        if not serializer.is_stock:
            return None
        return _SORTED_TAGGED_JSON if serializer.sort_keys else _TAGGED_JSON
    return _LOSSLESS.get(type(serializer))


def _iso_format(moment: dt.datetime) -> str:
    text = moment.isoformat()
    if not same(dt.datetime.fromisoformat(text), moment):  # an hour that comes twice, in its own time zone
        raise TheLongWay
    return text


def _iso_moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    if moment.isoformat() != text:
        raise TheLongWay
    return moment


def _aware_moment_text(moment: dt.datetime) -> str:
    if moment.utcoffset() is None:
        raise TheLongWay
    return stock_tags.moment_text(moment)


def _markup_text(markup: Markup) -> str:
    if type(markup) is not Markup:
        raise TheLongWay
    return str.__str__(markup)


def _exact_bytes(data: bytes) -> bytes:
    if type(data) is not bytes:
        raise TheLongWay
    return data


def _base64(data: bytes) -> str:
    return b64encode(_exact_bytes(data)).decode("ascii")


def _from_base64(text: str) -> bytes:
    data = b64decode(text, validate=True)
    if b64encode(data).decode("ascii") != text:
        raise TheLongWay
    return data


def _exact_finite(value: float) -> float:
    if type(value) is not float:
        raise TheLongWay
    return lossless.finite(value)


def _tagged_json(*, sort_keys: bool) -> Notation:
    encode = msgspec.json.Encoder(uuid_format="hex", order="sorted" if sort_keys else None).encode
    return Notation(
        encode=stock_tags.writer(encode),
        decoder=_json_decoder,
        leaves={
            bytes: Leaf(" b", bytes, _exact_bytes),
            UUID: Leaf(" u", UUID),
            Markup: Leaf(" m", str, _markup_text, Markup),
            dt.datetime: Leaf(" d", str, _aware_moment_text, exact_http_date),
        },
        tuple_tag=" t",
        tags=STOCK_TAGS,
        tagged=stock_tags.tagged,
        untagged=stock_tags.untagged,
        is_strict=True,
        exact_float=stock_tags.exact_float,
        container_marks=_JSON_MARKS,
        keeps_order=not sort_keys,
    )


def _json_decoder(annotation: Any) -> Decode:
    decode: Decode = msgspec.json.Decoder(annotation).decode
    return decode


def _msgpack_decoder(annotation: Any) -> Decode:
    decode: Decode = msgspec.msgpack.Decoder(annotation).decode
    return decode


def _lossless(encode: Callable[[object], bytes], decoder: Callable[[Any], Decode], marks: bytes) -> Notation:
    return Notation(
        encode=encode,
        decoder=decoder,
        leaves={
            bytes: Leaf(" b", str, _base64, _from_base64),
            UUID: Leaf(" u", UUID),
            Markup: Leaf(" m", str, _markup_text, Markup),
            dt.datetime: Leaf(" d", str, _iso_format, _iso_moment),
        },
        tuple_tag=" t",
        tags=lossless.TAGS,
        tagged=lossless.tagged,
        untagged=lossless.untagged,
        is_strict=False,
        exact_float=_exact_finite,
        container_marks=marks,
    )


_JSON_MARKS: Final = b"[{"
_MSGPACK_MARKS: Final = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])
"""Arrays and maps. Other bytes may be the same ones, so that there are at most as many containers."""

_TAGGED_JSON: Final = _tagged_json(sort_keys=False)
_SORTED_TAGGED_JSON: Final = _tagged_json(sort_keys=True)
_LOSSLESS: Final[Mapping[type, Notation]] = {
    MsgspecJSONSerializer: _lossless(msgspec.json.Encoder(uuid_format="hex").encode, _json_decoder, _JSON_MARKS),
    MsgspecMsgpackSerializer: _lossless(
        msgspec.msgpack.Encoder(uuid_format="hex").encode, _msgpack_decoder, _MSGPACK_MARKS
    ),
}

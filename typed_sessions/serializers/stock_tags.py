"""Tagged JSON with the stock tags alone, told by the types of values: the short way to what Flask writes.

Whatever is of another type, or would be written in another way than msgspec writes it, is left to
`TaggedJSONSerializer`, which asks one tag after the other, as Flask does.
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from datetime import datetime
from types import NoneType
from typing import Any, Final
from uuid import UUID

import msgspec
from markupsafe import Markup

from typed_sessions.schema.narrowing import is_dict
from typed_sessions.serializers.http_dates import exact_http_date, http_date

__all__ = ["STOCK_TAGS", "TheLongWay", "exact_float", "moment_text", "tagged", "untagged", "writer"]

STOCK_TAGS: Final = frozenset({" di", " t", " b", " m", " u", " d"})
"""The keys that mark a value of another type than JSON's."""

_ESCAPED: Final = " di"
"""Marks a dict whose only key looks like a tag."""

_ESCAPE: Final = "__"
"""What keeps such a key from being one."""

_PLAIN: Final = frozenset({NoneType, bool, int, str})
_DICT: Final = frozenset({dict})
_CONTAINERS: Final = frozenset({dict, list})
_are_text: Final = frozenset({str}).issuperset
_are_plain: Final = _PLAIN.issuperset
_holds_scalars: Final = _CONTAINERS.isdisjoint


class TheLongWay(Exception):  # noqa: N818 -- it says which way to go, and never leaves the library
    """Something is not as it nearly always is: only the long way knows what becomes of it."""


def tagged(value: object) -> Any:
    """Return the tagged form of a value: the value itself where nothing in it needs a tag.

    Raises:
        TheLongWay: there is a value of another type in it, or a key that is no text.
    """
    cls: type[object] = type(value)
    if cls in _PLAIN:
        return value
    write = _WRITERS.get(cls)
    if write is None:
        raise TheLongWay
    return write(value)


def untagged(value: object) -> Any:
    """Return the value that was tagged. Containers that hold a tag are made anew.

    Raises:
        TheLongWay: it would be tagged in another way than it is.
    """
    untag = _UNTAGGERS.get(type(value))
    return value if untag is None else untag(value)


def writer(encode: Callable[[object], bytes]) -> Callable[[object], bytes]:
    """Return the function that makes a payload of plain values in ASCII, as the `json` module writes it.

    It raises TypeError, ValueError or OverflowError where msgspec cannot write something, such as an integer of more
    than 64 bits.
    """

    def written(plain: object) -> bytes:
        payload = encode(plain)
        if payload.isascii() and b"\x7f" not in payload:
            return payload
        return _BEYOND_ASCII.sub(_escaped, payload.decode()).encode("ascii")

    return written


def exact_float(value: float) -> float:
    """Return a number that msgspec writes as `repr` does.

    Raises:
        TheLongWay: it is written in another way, or is none.
    """
    if type(value) is float and (value == 0 or 1e-4 <= abs(value) < 1e16):  # noqa: PLR2004 -- where both write digits
        return value
    raise TheLongWay


def _tagged_dict(value: dict[Any, Any]) -> Any:
    if len(value) == 1:
        ((key, item),) = value.items()
        if key in STOCK_TAGS:
            return {_ESCAPED: {f"{key}{_ESCAPE}": tagged(item)}}
    if not _are_text(map(type, value)):
        raise TheLongWay
    if _are_plain(map(type, value.values())):
        return value
    return {key: item if type(item) in _PLAIN else tagged(item) for key, item in value.items()}


def _tagged_list(value: list[Any] | tuple[Any, ...]) -> Any:
    if _are_plain(map(type, value)):
        return value
    return [_tagged_dict(item) if type(item) in _DICT else tagged(item) for item in value]


def moment_text(value: datetime) -> str:
    """Return the HTTP date of a time that reads back.

    Raises:
        TheLongWay: it does not, or is of another type.
    """
    if type(value) is not datetime or value.year <= _LAST_YEAR_OF_THREE_DIGITS:
        raise TheLongWay
    return http_date(value)


_LAST_YEAR_OF_THREE_DIGITS: Final = 1000
"""And the first of four, which in UTC may be the year before."""

_WRITERS: Final[Mapping[type, Callable[[Any], Any]]] = {
    dict: _tagged_dict,
    list: _tagged_list,
    float: exact_float,
    tuple: lambda value: {" t": [*_tagged_list(value)]},
    bytes: lambda value: {" b": b64encode(value).decode("ascii")},
    Markup: lambda value: {" m": str.__str__(value)},
    UUID: lambda value: {" u": value.hex},
    datetime: lambda value: {" d": moment_text(value)},
}


def _untagged_dict(value: dict[str, Any]) -> Any:
    if len(value) == 1:
        ((key, content),) = value.items()
        read = _READERS.get(key)
        if read is not None:
            return read(content)
    if _holds_scalars(map(type, value.values())):
        return value
    return {key: untagged(item) if type(item) in _CONTAINERS else item for key, item in value.items()}


def _untagged_list(value: list[Any]) -> list[Any]:
    if _holds_scalars(map(type, value)):
        return value
    return [_untagged_dict(item) if type(item) in _DICT else untagged(item) for item in value]


_UNTAGGERS: Final[Mapping[type, Callable[[Any], Any]]] = {dict: _untagged_dict, list: _untagged_list}


def _unescaped(content: object) -> object:
    if is_dict(content) and len(content) == 1:
        ((key, item),) = content.items()
        if isinstance(key, str) and key.endswith(_ESCAPE) and key[: -len(_ESCAPE)] in STOCK_TAGS:
            return {key[: -len(_ESCAPE)]: untagged(item)}
    raise TheLongWay


def _tuple(content: list[Any]) -> object:
    if type(content) is not list:  # whatever a payload has there
        raise TheLongWay
    return tuple(_untagged_list(content))


def _bytes(content: object) -> object:
    text = _text(content).encode()
    data = a2b_base64(text)
    if b2a_base64(data, newline=False) != text:
        raise TheLongWay
    return data


def _uuid(content: object) -> object:
    text = _text(content)
    identifier = msgspec.convert(text, UUID)  # much faster than the class itself
    if identifier.hex != text:
        raise TheLongWay
    return identifier


def _text(content: object) -> str:
    if not isinstance(content, str):
        raise TheLongWay
    return content


_READERS: Final[Mapping[str, Callable[[Any], object]]] = {
    _ESCAPED: _unescaped,
    " t": _tuple,
    " b": _bytes,
    " m": lambda content: Markup(_text(content)),  # noqa: S704 -- it was markup when it was written, and is signed
    " u": _uuid,
    " d": lambda content: exact_http_date(_text(content)),
}

_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7e]")


def _escaped(match: re.Match[str]) -> str:
    point = ord(match[0])
    if point <= 0xFFFF:  # noqa: PLR2004 -- the basic plane
        return f"\\u{point:04x}"
    point -= 0x10000
    return f"\\u{0xD800 | point >> 10:04x}\\u{0xDC00 | point & 0x3FF:04x}"

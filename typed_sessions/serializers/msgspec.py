"""JSON and MessagePack, written by msgspec, lossless.

A value that JSON lacks is an object with one key, its tag, as in tagged JSON; a datetime keeps its microseconds and its
offset. What would not come back as it was is refused: a subclass, NaN, a key that is no text, an integer of more than
64 bits in MessagePack, text that is not Unicode.
"""

from __future__ import annotations

import datetime as dt
import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import NoneType
from typing import Any, ClassVar, Final
from uuid import UUID

import msgspec
from markupsafe import Markup

from typed_sessions.schema.narrowing import is_dict
from typed_sessions.schema.sameness import is_told_by_text

__all__ = ["TAGS", "MsgspecJSONSerializer", "MsgspecMsgpackSerializer", "finite", "tagged", "untagged"]


class MsgspecJSONSerializer:
    """Writes JSON with msgspec."""

    name: ClassVar[str] = "msgspec-json"

    def dumps(self, value: dict[str, object], /) -> bytes:
        """Return compact JSON in UTF-8.

        Raises:
            TypeError: a value is of a type that would not come back, or a key is no text.
            ValueError: a number or a text would not come back.
        """
        return msgspec.json.encode(tagged(value))

    def loads(self, payload: bytes, /) -> object:
        """Return the value that JSON holds.

        Raises:
            ValueError: it is no JSON, or a tag's content is not its own.
        """
        return untagged(msgspec.json.decode(payload))


class MsgspecMsgpackSerializer:
    """Writes MessagePack with msgspec."""

    name: ClassVar[str] = "msgspec-msgpack"

    def dumps(self, value: dict[str, object], /) -> bytes:
        """Return MessagePack.

        Raises:
            TypeError: a value is of a type that would not come back, or a key is no text.
            ValueError: a number or a text would not come back.
            OverflowError: an integer has more than 64 bits.
        """
        return msgspec.msgpack.encode(tagged(value))

    def loads(self, payload: bytes, /) -> object:
        """Return the value that MessagePack holds.

        Raises:
            ValueError: it is no MessagePack, or a tag's content is not its own.
        """
        return untagged(msgspec.msgpack.decode(payload))


_ESCAPED: Final = " di"
"""The tag of a dict whose only key looks like a tag."""

_ESCAPE: Final = "__"
"""What keeps such a key from being one."""

_PLAIN: Final = frozenset({NoneType, bool, int, str})
_TEXT: Final = frozenset({str})


def _tag_items(items: Any) -> list[object]:
    return [*items] if _PLAIN.issuperset(map(type, items)) else [tagged(item) for item in items]


def _untag_items(items: list[Any]) -> list[object]:
    if type(items) is not list:  # whatever a payload has there
        raise ValueError("a tag of a container holds no list")
    return _untagged_list(items)


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError("what has to be text is none")
    return value


def _converted(cls: type[object]) -> Callable[[object], object]:
    """Return the function that reads a type from the text that `msgspec.to_builtins` writes."""

    def convert(content: object) -> object:
        return msgspec.convert(_text(content), cls)

    return convert


def _iso_text(moment: dt.datetime | dt.time) -> str:
    """Return the text of a time. Raises ValueError for one that is not told by it."""
    if not is_told_by_text(moment):
        raise ValueError("fold=1 without an offset would not come back")
    return moment.isoformat()


def _unescaped(content: object) -> object:
    if not is_dict(content) or len(content) != 1:
        raise ValueError("an escaped dict has one key")
    ((key, item),) = content.items()
    return {_text(key).removesuffix(_ESCAPE): untagged(item)}


_WRITERS: Mapping[type, tuple[str, Callable[[Any], object]]] = {
    tuple: (" t", _tag_items),
    set: (" s", lambda value: sorted(_tag_items(value), key=repr)),
    frozenset: (" f", lambda value: sorted(_tag_items(value), key=repr)),
    bytes: (" b", lambda value: b64encode(value).decode("ascii")),
    Markup: (" m", str.__str__),
    UUID: (" u", lambda value: value.hex),
    dt.datetime: (" d", _iso_text),
    dt.date: (" date", dt.date.isoformat),
    dt.time: (" time", _iso_text),
    dt.timedelta: (" delta", msgspec.to_builtins),
    Decimal: (" n", str),
}
"""The tag of each type that JSON lacks, and what is written of a value."""

_READERS: Mapping[str, Callable[[Any], object]] = {
    " t": lambda content: tuple(_untag_items(content)),
    " s": lambda content: set(_untag_items(content)),
    " f": lambda content: frozenset(_untag_items(content)),
    " b": lambda content: b64decode(_text(content), validate=True),
    " m": lambda content: Markup(_text(content)),  # noqa: S704 -- it was markup when it was written, and is signed
    " u": lambda content: UUID(_text(content)),
    " d": lambda content: dt.datetime.fromisoformat(_text(content)),
    " date": lambda content: dt.date.fromisoformat(_text(content)),
    " time": lambda content: dt.time.fromisoformat(_text(content)),
    " delta": _converted(dt.timedelta),
    " n": _converted(Decimal),
    _ESCAPED: _unescaped,
}
"""What makes a value again of what each tag holds."""


def tagged(value: object) -> Any:
    """Return what JSON can hold of a value: the value itself where nothing in it needs a tag.

    Raises:
        TypeError: a value is of a type that would not come back, or a key is no text.
        ValueError: a number would not come back.
    """
    cls: type[object] = type(value)
    if cls in _PLAIN:
        return value
    as_it_is = _TAGGERS.get(cls)
    if as_it_is is not None:
        return as_it_is(value)
    if cls not in _WRITERS:
        raise TypeError(f"a value of type {cls.__name__} would not come back as it is")
    tag, write = _WRITERS[cls]
    return {tag: write(value)}


def finite(value: float) -> float:
    """Return a number that comes back. Raises ValueError for one that does not."""
    if not math.isfinite(value):
        raise ValueError("NaN and infinity would not come back")
    return value


def _tagged_dict(value: dict[Any, Any]) -> Any:
    if not _TEXT.issuperset(map(type, value)):
        raise TypeError("a key that is no text would not come back as it is")
    if len(value) == 1:
        ((key, item),) = value.items()
        if key in _READERS:
            return {_ESCAPED: {f"{key}{_ESCAPE}": tagged(item)}}
    if _PLAIN.issuperset(map(type, value.values())):
        return value
    return {key: tagged(item) for key, item in value.items()}


def _tagged_list(value: list[Any]) -> list[object]:
    return value if _PLAIN.issuperset(map(type, value)) else [tagged(item) for item in value]


def untagged(value: object) -> Any:
    """Return the value that was tagged. Containers that hold a tag are made anew.

    Raises:
        ValueError: it holds what is never written, or a tag's content is not its own.
    """
    cls: type[object] = type(value)
    if cls in _PLAIN:
        return value
    untag = _UNTAGGERS.get(cls)
    if untag is None:
        raise ValueError("a value that is never written")  # MessagePack has extensions, bytes and times of its own
    return untag(value)


def _untagged_dict(value: dict[Any, Any]) -> Any:
    if not _TEXT.issuperset(map(type, value)):
        raise ValueError("a key that is never written")
    if len(value) == 1:
        ((key, content),) = value.items()
        read = _READERS.get(key)
        if read is not None:
            return read(content)
    if _PLAIN.issuperset(map(type, value.values())):
        return value
    return {key: untagged(item) for key, item in value.items()}


def _untagged_list(value: list[Any]) -> list[object]:
    return value if _PLAIN.issuperset(map(type, value)) else [untagged(item) for item in value]


_TAGGERS: Final[Mapping[type, Callable[[Any], Any]]] = {dict: _tagged_dict, list: _tagged_list, float: finite}
_UNTAGGERS: Final[Mapping[type, Callable[[Any], Any]]] = {dict: _untagged_dict, list: _untagged_list, float: finite}
"""What needs no tag of its own, and yet a look."""


TAGS: Final = frozenset(_READERS)
"""The keys that mark a value of another type than JSON's."""

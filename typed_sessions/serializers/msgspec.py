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

from typed_sessions.narrowing import is_dict, is_sequence

__all__ = ["MsgspecJSONSerializer", "MsgspecMsgpackSerializer"]


class MsgspecJSONSerializer:
    """Writes JSON with msgspec."""

    name: ClassVar[str] = "msgspec-json"

    def dumps(self, value: dict[str, object], /) -> bytes:
        """Return compact JSON in UTF-8.

        Raises:
            TypeError: a value is of a type that would not come back, or a key is no text.
            ValueError: a number or a text would not come back.
        """
        return msgspec.json.encode(_tagged(value))

    def loads(self, payload: bytes, /) -> object:
        """Return the value that JSON holds.

        Raises:
            ValueError: it is no JSON, or a tag's content is not its own.
        """
        return _untagged(msgspec.json.decode(payload))


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
        return msgspec.msgpack.encode(_tagged(value))

    def loads(self, payload: bytes, /) -> object:
        """Return the value that MessagePack holds.

        Raises:
            ValueError: it is no MessagePack, or a tag's content is not its own.
        """
        return _untagged(msgspec.msgpack.decode(payload))


_ESCAPED: Final = " di"
"""The tag of a dict whose only key looks like a tag."""

_ESCAPE: Final = "__"
"""What keeps such a key from being one."""

_PLAIN: Final = frozenset({NoneType, bool, int, str})


def _tag_items(items: Any) -> list[object]:
    return [_tagged(item) for item in items]


def _untag_items(items: object) -> list[object]:
    if not is_sequence(items):
        raise ValueError("a tag of a container holds no list")
    return [_untagged(item) for item in items]


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError("what has to be text is none")
    return value


def _converted(cls: type[object]) -> Callable[[object], object]:
    """Return the function that reads a type from the text that `msgspec.to_builtins` writes."""

    def convert(content: object) -> object:
        return msgspec.convert(_text(content), cls)

    return convert


def _unescaped(content: object) -> object:
    if not is_dict(content) or len(content) != 1:
        raise ValueError("an escaped dict has one key")
    ((key, item),) = content.items()
    return {_text(key).removesuffix(_ESCAPE): _untagged(item)}


_WRITERS: Mapping[type, tuple[str, Callable[[Any], object]]] = {
    tuple: (" t", _tag_items),
    set: (" s", lambda value: sorted(_tag_items(value), key=repr)),
    frozenset: (" f", lambda value: sorted(_tag_items(value), key=repr)),
    bytes: (" b", lambda value: b64encode(value).decode("ascii")),
    Markup: (" m", str.__str__),
    UUID: (" u", lambda value: value.hex),
    dt.datetime: (" d", dt.datetime.isoformat),
    dt.date: (" date", dt.date.isoformat),
    dt.time: (" time", dt.time.isoformat),
    dt.timedelta: (" delta", msgspec.to_builtins),
    Decimal: (" n", str),
}
"""The tag of each type that JSON lacks, and what is written of a value."""

_READERS: Mapping[str, Callable[[object], object]] = {
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


def _tagged(value: object) -> object:
    """Return what JSON can hold of a value."""
    cls = type(value)
    if cls in _PLAIN:
        return value
    if isinstance(value, float) and cls is float:
        if not math.isfinite(value):
            raise ValueError("NaN and infinity would not come back")
        return value
    if is_dict(value) and cls is dict:
        return _tagged_dict(value)
    if cls is list:
        return _tag_items(value)
    if cls not in _WRITERS:
        raise TypeError(f"a value of type {cls.__name__} would not come back as it is")
    tag, write = _WRITERS[cls]
    return {tag: write(value)}


def _tagged_dict(value: dict[object, object]) -> object:
    if not all(type(key) is str for key in value):
        raise TypeError("a key that is no text would not come back as it is")
    tagged = {key: _tagged(item) for key, item in value.items()}
    if len(tagged) == 1 and not _READERS.keys().isdisjoint(tagged):
        ((key, item),) = tagged.items()
        return {_ESCAPED: {f"{key}{_ESCAPE}": item}}
    return tagged


def _untagged(value: object) -> object:
    """Return the value that was tagged."""
    if is_dict(value):
        if len(value) == 1:
            ((key, content),) = value.items()
            read = _READERS.get(key) if isinstance(key, str) else None
            if read is not None:
                return read(content)
        return {_text(key): _untagged(item) for key, item in value.items()}
    if is_sequence(value):
        return [_untagged(item) for item in value]
    if type(value) not in _PLAIN and not (isinstance(value, float) and math.isfinite(value)):
        raise ValueError("a value that is never written")  # MessagePack has NaN, extensions, bytes and times of its own
    return value

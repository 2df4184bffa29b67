"""How the built-in formats write what JSON lacks: one table.

A value of such a type is an object with one key, its tag: `(1, 2)` is `{" t": [1, 2]}`. A dict whose only key looks
like a tag is written with another key, under a tag of its own.
"""

from __future__ import annotations

import datetime as dt
import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Container, Iterable, Mapping
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import Any, Final, cast
from uuid import UUID

import msgspec
from markupsafe import Markup

from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.narrowing import PLAIN, is_dict
from typed_sessions.schema.sameness import is_told_by_text
from typed_sessions.schema.types.notation import Convert, Spelling
from typed_sessions.serializers.http_dates import exact_http_date, http_date

__all__ = [
    "ESCAPE",
    "ESCAPED",
    "LOSSLESS",
    "STOCK",
    "TUPLE",
    "TagTypeError",
    "TagValueError",
    "Tags",
    "base64_text",
    "exact_float",
    "finite",
    "is_tagged",
]


class TagTypeError(Unusual, TypeError):
    """A value, or a key of a dict, is of a type that would not come back."""


class TagValueError(Unusual, ValueError):
    """A value would not come back, or a tag's content is not its own."""


TUPLE: Final = " t"
ESCAPED: Final = " di"
ESCAPE: Final = "__"
"""What keeps the only key of a dict from being a tag."""


def base64_text(data: bytes) -> str:
    """Return bytes in base64."""
    return b64encode(data).decode("ascii")


def finite(value: float) -> float:
    """Return a number that comes back. Raises TagValueError for one that does not."""
    if type(value) is not float or not math.isfinite(value):
        raise TagValueError("NaN and infinity would not come back")
    return value


def exact_float(value: float) -> float:
    """Return a number that msgspec writes as Python does. Raises TagValueError for any other."""
    if type(value) is float and (value == 0 or 1e-4 <= abs(value) < 1e16):  # noqa: PLR2004 -- where both write digits
        return value
    raise TagValueError("a number that Python writes in another way")


def _iso_text(moment: dt.datetime | dt.time) -> str:
    if not is_told_by_text(moment):
        raise TagValueError("fold=1 without an offset would not come back")
    return moment.isoformat()


def _http_text(moment: dt.datetime) -> str:
    if moment.year <= _LAST_YEAR_OF_THREE_DIGITS:
        raise TagValueError("a year that HTTP dates do not tell")
    try:
        return http_date(moment)
    except OverflowError:
        raise TagValueError("a time that is past the last year in UTC") from None


_LAST_YEAR_OF_THREE_DIGITS: Final = 1000
"""And the first of four, which in UTC may be the year before."""


def _uuid(text: str) -> UUID:
    """Return the UUID of a text. Raises ValueError for what is none."""
    try:
        return msgspec.convert(text, UUID)  # which takes a quarter of the time
    except msgspec.ValidationError:
        return UUID(text)  # and less


def _hex(value: UUID) -> str:
    return value.hex


def _exact_uuid(text: str) -> UUID:
    """Return the UUID of which `hex` makes a text. Raises ValueError for any other text."""
    try:
        value = msgspec.convert(text, UUID)
    except msgspec.ValidationError:
        raise ValueError("no UUID") from None
    if len(text) != _HEX_DIGITS or text.lower() != text:
        raise ValueError("not as hex writes it")
    return value


_HEX_DIGITS: Final = 32

_BOTH: Final[Mapping[type, Spelling]] = {
    bytes: Spelling(" b", base64_text, partial(b64decode, validate=True)),
    Markup: Spelling(" m", str.__str__, Markup, reads_exactly=True),  # markup when it was written, and signed
    UUID: Spelling(" u", _hex, _uuid, native=UUID),
}

STOCK: Final[Mapping[type, Spelling]] = {
    **_BOTH,
    UUID: Spelling(" u", _hex, _exact_uuid, native=UUID, reads_exactly=True),  # and faster
    dt.datetime: Spelling(" d", _http_text, exact_http_date, reads_exactly=True),
}
"""Flask's: how tagged JSON writes each scalar that JSON lacks."""

LOSSLESS: Final[Mapping[type, Spelling]] = {
    **_BOTH,
    dt.datetime: Spelling(" d", _iso_text, dt.datetime.fromisoformat),
    dt.date: Spelling(" date", dt.date.isoformat, dt.date.fromisoformat),
    dt.time: Spelling(" time", _iso_text, dt.time.fromisoformat),
    dt.timedelta: Spelling(" delta", msgspec.to_builtins, partial(msgspec.convert, type=dt.timedelta)),
    Decimal: Spelling(" n", str, partial(msgspec.convert, type=Decimal)),
}
"""Ours: the same for the msgspec formats."""

_are_text: Final = frozenset({str}).issuperset
_are_plain: Final = PLAIN.issuperset
_are_dicts: Final = frozenset({dict}).issuperset
_values: Final[Callable[[Any], Iterable[Any]]] = cast("Any", dict).values


class Tags:
    """The tags of a format, and values told by their types.

    Args:
        spellings: how each scalar that JSON lacks is written.
        containers: the tags of containers that JSON lacks.
        number: returns a float that comes back; raises TagValueError for another.
        is_strict: whether what `tagged` would write in another way is refused when it is read.
        reads_any_key: whether a payload may hold keys that are no text, as MessagePack may.
    """

    def __init__(
        self,
        spellings: Mapping[type, Spelling],
        containers: Mapping[type, str],
        number: Convert,
        *,
        is_strict: bool = False,
        reads_any_key: bool = False,
    ) -> None:
        self._is_strict: Final = is_strict
        self._reads_any_key: Final = reads_any_key
        self._writers: dict[type, Convert] = {dict: self._tagged_dict, list: self._tagged_list, float: number}
        self._readers: dict[str, Convert] = {ESCAPED: self._unescaped}
        self._untaggers: Mapping[type, Convert] = {dict: self._untagged_dict, list: self._untagged_list, float: finite}
        for cls, tag in containers.items():
            self._writers[cls] = partial(self._tagged_items, tag, is_sorted=cls is not tuple)
            self._readers[tag] = partial(self._untagged_items, cls)
        for cls, spelling in spellings.items():
            self._writers[cls] = partial(_tagged_scalar, spelling.tag, spelling.write)
            reads_exactly = is_strict and not spelling.reads_exactly
            self._readers[spelling.tag] = _reader(spelling.read_exactly if reads_exactly else spelling.read)
        self.keys: Final = frozenset(self._readers)
        """The keys that mark a value of another type than JSON's."""

    def tagged(self, value: object) -> Any:
        """Return what JSON can hold of a value: the value itself where nothing in it needs a tag.

        Raises:
            TagTypeError: a value is of a type that would not come back, or a key is no text.
            TagValueError: a value would not come back.
        """
        cls: type[object] = type(value)
        if cls in PLAIN:
            return value
        write = self._writers.get(cls)
        if write is None:
            raise TagTypeError(f"a value of type {cls.__name__} would not come back as it is")
        return write(value)

    def untagged(self, value: object) -> Any:
        """Return the value that was tagged. Containers that hold a tag are made anew.

        Raises:
            TagValueError: it holds what is never written, or a tag's content is not its own.
        """
        cls: type[object] = type(value)
        if cls in PLAIN:
            return value
        untag = self._untaggers.get(cls)
        if untag is None:
            raise TagValueError("a value that is never written")  # MessagePack has bytes and times of its own
        return untag(value)

    def _tagged_dict(self, value: dict[Any, Any]) -> Any:
        if not _are_text(map(type, value)):
            raise TagTypeError("a key that is no text would not come back as it is")
        if is_tagged(value, self.keys):
            ((key, item),) = value.items()
            return {ESCAPED: {f"{key}{ESCAPE}": self.tagged(item)}}
        if _are_plain(map(type, value.values())):
            return value
        tagged = self.tagged
        return {key: item if type(item) in PLAIN else tagged(item) for key, item in value.items()}

    def _tagged_list(self, value: Iterable[Any]) -> Any:
        if _are_plain(map(type, value)) or (_are_rows(value) and _have_text_keys(value)):
            return value
        return [self.tagged(item) for item in value]

    def _tagged_items(self, tag: str, value: Iterable[Any], *, is_sorted: bool) -> dict[str, list[object]]:
        items = [*self._tagged_list(value)]
        return {tag: sorted(items, key=repr) if is_sorted else items}

    def _untagged_dict(self, value: dict[Any, Any]) -> Any:
        if len(value) == 1:
            for key, content in value.items():
                read = self._readers.get(key)
                if read is not None:
                    return read(content)
        if self._reads_any_key and not _are_text(map(type, value)):
            raise TagValueError("a key that is never written")
        if _are_plain(map(type, value.values())):
            return value
        untagged = self.untagged
        return {key: item if type(item) in PLAIN else untagged(item) for key, item in value.items()}

    def _untagged_list(self, value: list[Any]) -> list[object]:
        if _are_plain(map(type, value)):
            return value
        if _are_rows(value) and (not self._reads_any_key or _have_text_keys(value)):
            return value
        untagged = self.untagged
        return [item if type(item) in PLAIN else untagged(item) for item in value]

    def _untagged_items(self, cls: type[Any], content: Any) -> object:
        items: list[object] = content
        if type(content) is not list:  # whatever a payload has there
            raise TagValueError("a tag of a container holds no list")
        if not _are_plain(map(type, items)):
            items = self._untagged_list(items)
        try:
            return cls(items)
        except TypeError:
            raise TagValueError("an item of a set has no hash") from None

    def _unescaped(self, content: object) -> object:
        if not is_dict(content) or len(content) != 1:
            raise TagValueError("an escaped dict has one key")
        ((key, item),) = content.items()
        name: Any = _unescaped_key(key)
        if self._is_strict and (name == key or name not in self.keys):
            raise TagValueError("a key that is never escaped")
        return {name: self.untagged(item)}


def _are_rows(items: Iterable[Any]) -> bool:
    """Return True if all items are dicts with plain values, and none has a single key, which may be a tag."""
    return (
        _are_dicts(map(type, items))
        and 1 not in map(len, items)
        and _are_plain(map(type, chain.from_iterable(map(_values, items))))
    )


def _have_text_keys(dicts: Iterable[Any]) -> bool:
    return _are_text(map(type, chain.from_iterable(dicts)))


def is_tagged(value: Mapping[Any, object], keys: Container[object]) -> bool:
    """Return True if the only key of a dict is a tag."""
    return len(value) == 1 and next(iter(value)) in keys


def _tagged_scalar(tag: str, write: Convert, value: object) -> dict[str, object]:
    return {tag: write(value)}


def _reader(read: Convert) -> Convert:
    def scalar(content: object) -> object:
        if type(content) is not str:
            raise TagValueError("what has to be text is none")
        try:
            return read(content)
        except ValueError:
            raise TagValueError("a tag's content is not its own") from None

    return scalar


_unescaped_key: Final = _reader(lambda text: text.removesuffix(ESCAPE))

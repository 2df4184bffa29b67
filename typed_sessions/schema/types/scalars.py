"""Types of single values: those of JSON, those written as text, enumerations and literals."""

from __future__ import annotations

import binascii
import datetime as dt
import math
import types
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from enum import Enum, Flag
from functools import partial
from typing import Any, Final, cast
from uuid import UUID

import msgspec
from markupsafe import Markup
from typing_extensions import override

from typed_sessions.schema.narrowing import PLAIN, is_dict, is_sequence
from typed_sessions.schema.places import TYPE_KEY, VALUE_KEY
from typed_sessions.schema.sameness import is_told_by_text, same
from typed_sessions.schema.types.base import (
    NATIVE_CANDIDATES,
    SOME_KEY,
    Affinity,
    FieldType,
    Mismatch,
    NaiveDatetime,
    NativeTypes,
    Reading,
    attempt,
    indexed,
    name_of,
    named,
)

__all__ = ["KNOWN", "Anything", "Choice", "Enumeration", "Scalar", "Simple"]

_TEXT: Final = frozenset({str})
_JSON_TYPES: Final = (bool, int, float, str, list, tuple, dict)
_NATIVE_TYPES: Final = frozenset(type(value) for value in NATIVE_CANDIDATES)


class Anything(FieldType):
    """`object` and `Any`: whatever the serializer brings back as it was."""

    text = "object"

    @override
    def validate(self, value: object) -> object:
        return value

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        if type(value) in PLAIN:
            return value
        if (copied := _copied(value)) is not None:
            return copied
        if type(value) in _NATIVE_TYPES and type(value) not in native:
            raise Mismatch("a value that the serializer brings back", type(value).__name__)
        if is_dict(value) and type(value) is dict:
            plain = self._each(value, partial(self.unstructure, native=native))
            return plain if name_of(value, native) is None else named(self.text, plain, native)
        if is_sequence(value) and type(value) in (list, tuple):
            return self._each(value, partial(self.unstructure, native=native))
        if _is_subclass_instance(value):
            raise Mismatch("a plain value", f"{type(value).__name__}, which would come back as another type")
        return _finite(value)

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        if type(plain) in PLAIN:
            return plain
        if (copied := _copied(plain)) is not None:
            return copied
        name = name_of(plain, reading.native)
        if is_dict(plain) and name == self.text:
            plain = plain[VALUE_KEY]
        elif name is not None:  # what another type wrote
            raise Mismatch.of(self, plain)
        if type(plain) in (dict, list, tuple):
            return self._each(plain, partial(self.structure, reading=reading))
        return self.unstructure(plain, reading.native)

    @override
    def matches(self, value: object) -> bool:
        return True

    @override
    def plain_types(self, native: NativeTypes) -> frozenset[type]:
        return frozenset({object})

    @override
    def all_unstructured(self, items: list[object], native: NativeTypes) -> list[object] | None:
        with suppress(Mismatch):  # one by one it is found where
            return [self.unstructure(item, native) for item in items]
        return None

    @override
    def all_structured(self, items: list[object], reading: Reading) -> list[object] | None:
        with suppress(Mismatch):
            return [self.structure(item, reading) for item in items]
        return None

    def _each(self, value: object, convert: Callable[[object], object]) -> object:
        """Convert each item of a container."""
        if is_dict(value):
            if not all(type(key) is str for key in value):
                raise Mismatch("str", "another type", " (a key)")
            try:
                return {key: convert(item) for key, item in value.items()}
            except Mismatch as mismatch:
                raise mismatch.within(SOME_KEY) from mismatch
        items = indexed(cast("list[object] | tuple[object, ...]", value), convert)
        return items if isinstance(value, list) else tuple(items)


def _copied(value: object) -> object | None:
    """Return a copy of a list or dict that holds nothing but plain values, and no name; None of anything else."""
    cls: type[object] = type(value)
    if cls is list and is_sequence(value):
        return [*value] if PLAIN.issuperset(map(type, value)) else None
    if cls is dict and is_dict(value) and TYPE_KEY not in value and _TEXT.issuperset(map(type, value)):
        return {**value} if PLAIN.issuperset(map(type, value.values())) else None
    return None


class Simple(FieldType):
    """A type that JSON has: its values are their own plain form."""

    def __init__(self, cls: type[Any], exact: Callable[[Any], object], widened: type | None = None) -> None:
        self.cls: type[Any] = cls
        self.text: str = "None" if cls is types.NoneType else cls.__name__
        self._exact = exact
        self._accepted = (cls,) if widened is None else (cls, widened)

    @override
    def validate(self, value: object) -> object:
        if type(value) is self.cls:
            return value
        if isinstance(value, self._accepted):
            exact = self._exact(value)
            if exact == value:
                return exact
        raise Mismatch.of(self, value)

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        return _finite(self.validate(value))

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        return _finite(self.validate(plain))

    @override
    def all_validated(self, items: list[object]) -> list[object] | None:
        return items if _are_all(items, self.cls) else None

    @override
    def all_unstructured(self, items: list[object], native: NativeTypes) -> list[object] | None:
        if not _are_all(items, self.cls) or (self.cls is float and not all(map(math.isfinite, cast("Any", items)))):
            return None
        return items

    @override
    def all_structured(self, items: list[object], reading: Reading) -> list[object] | None:
        return self.all_unstructured(items, reading.native)

    @override
    def matches(self, value: object) -> bool:
        return type(value) is self.cls

    @override
    def plain_types(self, native: NativeTypes) -> frozenset[type]:
        return frozenset({self.cls})

    @override
    def affinity(self, plain: object, native: NativeTypes) -> Affinity:
        return super().affinity(plain, native) if isinstance(plain, self._accepted) else Affinity.NONE


class Enumeration(FieldType):
    """A member of an `Enum` or `Flag` whose values are text or integers, written by that value."""

    def __init__(self, cls: type[Enum]) -> None:
        self.cls = cls
        self.text: str = cls.__name__

    @property
    def members(self) -> list[Enum]:
        """The members; of flags, all of them together, too."""
        return [*self.cls, self.cls(~self.cls(0))] if issubclass(self.cls, Flag) else list(self.cls)

    @override
    def validate(self, value: object) -> object:
        if isinstance(value, self.cls):
            return value
        raise Mismatch.of(self, value)

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        if not isinstance(value, self.cls):
            raise Mismatch.of(self, value)
        plain: object = value.value
        return plain

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        try:
            member = self.cls(plain)
        except Exception as error:  # a user's `_missing_` may raise anything
            raise Mismatch.of(self, plain) from error
        if type(member.value) is not type(plain):
            raise Mismatch.of(self, plain)
        return member

    @override
    def matches(self, value: object) -> bool:
        return isinstance(value, self.cls)

    @override
    def plain_types(self, native: NativeTypes) -> frozenset[type]:
        return frozenset(type(cast("object", member.value)) for member in self.cls)


class Choice(FieldType):
    """A `Literal`: one of a fixed set of values."""

    def __init__(self, text: str, choices: Mapping[tuple[type, object], FieldType]) -> None:
        self.text: str = text
        self.choices = choices
        """Pairs of a value's type and the value, so that `1` is not `True`; each with the type that writes it."""

    @property
    def values(self) -> list[object]:
        """The values, in the order of their declaration."""
        return [value for _, value in self.choices]

    @override
    def validate(self, value: object) -> object:
        self._writer(value)
        return value

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        return self._writer(value).unstructure(value, native)

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        for writer in dict.fromkeys(self.choices.values()):
            for value in attempt(writer.structure, plain, reading):
                if same(writer.unstructure(value, reading.native), plain) and (type(value), value) in self.choices:
                    return value
        raise Mismatch.of(self, plain)

    @override
    def all_validated(self, items: list[object]) -> list[object] | None:
        try:
            return items if {*zip(map(type, items), items, strict=True)} <= self.choices.keys() else None
        except TypeError:  # what has no hash is no choice
            return None

    @override
    def all_unstructured(self, items: list[object], native: NativeTypes) -> list[object] | None:
        return self.all_validated(items) if all(isinstance(each, Simple) for each in self.choices.values()) else None

    @override
    def all_structured(self, items: list[object], reading: Reading) -> list[object] | None:
        return self.all_unstructured(items, reading.native)

    @override
    def matches(self, value: object) -> bool:
        return bool(attempt(self._writer, value))

    @override
    def plain_types(self, native: NativeTypes) -> frozenset[type]:
        return frozenset[type]().union(*(writer.plain_types(native) for writer in self.choices.values()))

    @override
    def parts(self) -> Iterable[FieldType]:
        return dict.fromkeys(self.choices.values())

    def _writer(self, value: object) -> FieldType:
        try:
            return self.choices[type(value), value]
        except (KeyError, TypeError):
            raise Mismatch.of(self, value) from None


class Scalar(FieldType):
    """One value that JSON lacks: kept as it is where that is native, written as text elsewhere."""

    def __init__(
        self,
        cls: type[Any],
        *,
        exact: Callable[[Any], object],
        to_text: Callable[[Any], object] = msgspec.to_builtins,
        from_text: Callable[[str], object] | None = None,
    ) -> None:
        self.cls: type[Any] = cls
        self.text: str = cls.__name__
        self._exact = exact
        self._to_text = to_text
        self._from_text: Callable[[str], object] = from_text or partial(msgspec.convert, type=cls)
        self._is_msgspecs = from_text is None or cls in (dt.datetime, dt.time)
        """True if what msgspec takes for text of the type is what is read of it."""
        self._list: Any = list[cls]  # type: ignore[valid-type]  # made at run time

    @override
    def validate(self, value: object) -> object:
        if type(value) is self.cls:
            return value
        if isinstance(value, self.cls) and not (self.cls is dt.date and isinstance(value, dt.datetime)):
            return self._exact(value)
        raise Mismatch.of(self, value)

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        value = self.validate(value)
        if self.cls not in native:
            return self._to_text(value)
        if NaiveDatetime not in native and _is_naive(value):
            raise Mismatch("an aware datetime, such as datetime.now(UTC)", "a naive one, which comes back as another")
        return value

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        if self.cls in reading.native:
            return self.validate(plain)
        if type(plain) is self.cls:
            return plain  # from an undeclared key, or a migration
        if type(plain) is not str:
            raise Mismatch.of(self, plain)
        try:
            return self._from_text(plain)
        except (ValueError, TypeError, binascii.Error) as error:
            raise Mismatch.of(self, plain) from error

    @override
    def all_validated(self, items: list[object]) -> list[object] | None:
        return items if _are_all(items, self.cls) else None

    @override
    def all_unstructured(self, items: list[object], native: NativeTypes) -> list[object] | None:
        if not _are_all(items, self.cls):
            return None
        if self.cls in native:
            takes_all = self.cls is not dt.datetime or NaiveDatetime in native
            return items if takes_all or not any(map(_is_naive, items)) else None
        if self._to_text is msgspec.to_builtins:
            texts: list[object] = msgspec.to_builtins(items)
            return texts
        return [self._to_text(item) for item in items]

    @override
    def all_structured(self, items: list[object], reading: Reading) -> list[object] | None:
        if self.cls in reading.native:
            return self.all_validated(items)
        if not self._is_msgspecs or not _are_all(items, str):
            return None
        with suppress(msgspec.ValidationError):
            lifted: list[object] = msgspec.convert(items, self._list)
            return lifted
        return None

    @override
    def matches(self, value: object) -> bool:
        return type(value) is self.cls

    @override
    def plain_types(self, native: NativeTypes) -> frozenset[type]:
        return frozenset({self.cls if self.cls in native else str})


def _are_all(items: list[object], cls: type) -> bool:
    """Return True if each of these is of exactly one type."""
    return {*map(type, items)} <= {cls}


def _is_naive(value: object) -> bool:
    return isinstance(value, dt.datetime) and value.utcoffset() is None


def _is_subclass_instance(value: object) -> bool:
    cls: type[object] = type(value)
    return issubclass(cls, _JSON_TYPES) and cls not in (*_JSON_TYPES, *_NATIVE_TYPES)


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        raise Mismatch("a finite number", "NaN or infinity")
    return value


def _iso_text(moment: dt.datetime | dt.time) -> str:
    """Return the text of a moment. Raises Mismatch for one that is not told by it."""
    if not is_told_by_text(moment):
        raise Mismatch(f"a {type(moment).__name__} with an offset, or without fold", "one of an hour that comes twice")
    return moment.isoformat()


def _moment(cls: type[dt.datetime | dt.time], text: str) -> object:
    """Return the moment that a text says. msgspec reads no seconds of an offset; `isoformat` writes them."""
    try:
        return msgspec.convert(text, cls)
    except msgspec.ValidationError:
        moment = cls.fromisoformat(text)
        if moment.isoformat() == text and moment.tzinfo is not None:
            return moment
        raise


def _as_float(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


_SIMPLE: Final[Mapping[type, FieldType]] = {
    types.NoneType: Simple(types.NoneType, lambda value: value),
    bool: Simple(bool, bool),
    int: Simple(int, int.__int__),
    float: Simple(float, _as_float, widened=int),
    str: Simple(str, str.__str__),
}


_SCALARS: Final[Mapping[type, FieldType]] = {
    scalar.cls: scalar
    for scalar in (
        Scalar(
            bytes,
            exact=bytes,
            to_text=lambda value: b64encode(value).decode("ascii"),
            from_text=lambda text: b64decode(text, validate=True),
        ),
        Scalar(Markup, exact=Markup, to_text=str.__str__, from_text=Markup),
        Scalar(UUID, exact=lambda value: UUID(int=value.int)),
        Scalar(Decimal, exact=Decimal),
        Scalar(
            dt.datetime,
            exact=lambda value: dt.datetime.combine(dt.date(value.year, value.month, value.day), value.timetz()),
            to_text=_iso_text,  # msgspec drops the seconds of an offset
            from_text=partial(_moment, dt.datetime),
        ),
        Scalar(dt.date, exact=lambda value: dt.date(value.year, value.month, value.day)),
        Scalar(
            dt.time,
            exact=lambda value: dt.time(
                value.hour, value.minute, value.second, value.microsecond, value.tzinfo, fold=value.fold
            ),
            to_text=_iso_text,
            from_text=partial(_moment, dt.time),
        ),
        Scalar(
            dt.timedelta,
            exact=lambda value: dt.timedelta(value.days, value.seconds, value.microseconds),
        ),
    )
}


KNOWN: Final[Mapping[type, FieldType]] = {object: Anything(), **_SIMPLE, **_SCALARS}
"""The types that need no arguments."""

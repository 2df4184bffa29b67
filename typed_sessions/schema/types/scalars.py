"""Types of single values: JSON's, those written as text or as the serializer has them, enumerations and literals."""

from __future__ import annotations

import datetime as dt
import math
import types
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from enum import Enum, Flag
from functools import partial
from typing import Any, Final, Union, cast
from uuid import UUID

import msgspec
from markupsafe import Markup
from typing_extensions import override

from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.narrowing import PLAIN, is_dict
from typed_sessions.schema.places import SOME_KEY
from typed_sessions.schema.sameness import is_told_by_text, same
from typed_sessions.schema.types.base import (
    NATIVE_CANDIDATES,
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
from typed_sessions.schema.types.emitter import IS, Emitted, Emitter, by_content
from typed_sessions.schema.types.notation import Spelling

__all__ = ["KNOWN", "Anything", "Choice", "Enumeration", "Scalar", "Simple", "emit_simple_union"]

_TEXT: Final = frozenset({str})
_JSON_TYPES: Final = (bool, int, float, str, list, tuple, dict)
_NATIVE_TYPES: Final = frozenset(type(value) for value in NATIVE_CANDIDATES)


class Anything(FieldType):
    """`object` and `Any`: whatever the serializer brings back as it was."""

    text = "object"
    json_types: frozenset[type] = frozenset({object})

    @override
    def validate(self, value: object) -> object:
        return value

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        if type(value) in PLAIN:
            return value
        if type(value) in _NATIVE_TYPES and type(value) not in native:
            raise Mismatch("a value that the serializer brings back", type(value).__name__)
        if type(value) in (dict, list, tuple):
            plain = self._each(value, partial(self.unstructure, native=native))
            return plain if name_of(value, native) is None else named(self.text, plain, native)
        cls: type[object] = type(value)
        if issubclass(cls, _JSON_TYPES) and cls not in (*_JSON_TYPES, *_NATIVE_TYPES):
            raise Mismatch("a plain value", f"{cls.__name__}, which would come back as another type")
        return _finite(value)

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        if type(plain) in PLAIN:
            return plain
        plain = self.content_of(plain, reading.native)
        if type(plain) in (dict, list, tuple):
            return self._each(plain, partial(self.structure, reading=reading))
        return self.unstructure(plain, reading.native)

    @override
    def are_plain(self, items: Collection[object]) -> bool:
        return PLAIN.issuperset(map(type, items))

    @override
    def matches(self, value: object) -> bool:
        return True

    def _each(self, value: object, convert: Callable[[object], object]) -> object:
        """Convert each item of a container, unless all are plain."""
        if not is_dict(value):
            sequence = cast("list[object] | tuple[object, ...]", value)
            items = [*sequence] if self.are_plain(sequence) else indexed(sequence, convert)
            return items if isinstance(value, list) else tuple(items)
        if not _TEXT.issuperset(map(type, value)):
            raise Mismatch("str", "another type", " (a key)")
        try:
            return {**value} if self.are_plain(value.values()) else {key: convert(value[key]) for key in value}
        except Mismatch as mismatch:
            raise mismatch.within(SOME_KEY) from mismatch


class Single(FieldType):
    """One value of a built-in class.

    Args:
        cls: the class.
        exact: makes the same value of exactly this class of one of a class below; None of one that is none.
        widened: a class whose values are taken as well.
    """

    def __init__(self, cls: type[Any], exact: Callable[[Any], object], widened: type | None = None) -> None:
        self.cls: type[Any] = cls
        self.classes: frozenset[type] | None = frozenset({cls})
        self.text: str = "None" if cls is types.NoneType else cls.__name__
        self._exact = exact
        self._accepted = (cls, widened or cls)

    @override
    def validate(self, value: object) -> object:
        if type(value) is self.cls:
            return value
        exact = self._exact(value) if isinstance(value, self._accepted) else None
        if exact is None:
            raise Mismatch.of(self, value)
        return exact


class Simple(Single):
    """A type that JSON has: its values are their own plain form."""

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        return _finite(self.validate(value))

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        return _finite(self.validate(plain))

    @override
    def plain_types(self, native: NativeTypes) -> frozenset[type]:
        return frozenset({self.cls})

    @override
    def are_plain(self, items: Collection[object]) -> bool:
        if not {*map(type, items)} <= {self.cls}:
            return False
        return self.cls is not float or all(map(math.isfinite, cast("Any", items)))

    @override
    def emit(self, emitter: Emitter) -> Emitted:
        if self.cls is not float:
            return Emitted(self.cls, unchanged=IS)
        exact = emitter.call(emitter.notation.exact_float, "exact_float")
        return Emitted(float | int, exact, exact, IS)  # msgspec would round an int that no float is equal to

    @override
    def affinity(self, plain: object, native: NativeTypes) -> Affinity:
        return super().affinity(plain, native) if isinstance(plain, self._accepted) else Affinity.NONE


def emit_simple_union(members: Collection[FieldType], emitter: Emitter) -> Emitted | None:
    """Return the generated code of a union of types that JSON has; None if any other is among them."""
    types = {member.cls for member in members if isinstance(member, Simple)}
    if len(types) < len(members):
        return None
    if float not in types:
        return Emitted(Union[tuple(types)], unchanged=IS)  # noqa: UP007 -- of values
    exact = emitter.notation.exact_float

    def check(value: object) -> object:
        if type(value) is int and int not in types:
            raise Unusual
        return exact(value) if isinstance(value, float) else value

    checked = emitter.call(check, "exact")
    return Emitted(Union[(int, *types)], checked, checked, IS)


class Scalar(Single):
    """One value that JSON lacks: kept as it is where that is native, written as text elsewhere."""

    json_types: frozenset[type] = frozenset({str})

    def __init__(
        self,
        cls: type[Any],
        exact: Callable[[Any], object],
        to_text: Callable[[Any], object] = msgspec.to_builtins,
        from_text: Callable[[str], object] | None = None,
    ) -> None:
        super().__init__(cls, exact)
        self.native_type: type | None = cls
        self.spelling: Spelling = Spelling("", to_text, from_text or partial(msgspec.convert, type=cls))
        """As text, without a tag."""

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        value = self.validate(value)
        if self.cls not in native:
            return self.spelling.write(value)
        if isinstance(value, dt.datetime) and value.utcoffset() is None and NaiveDatetime not in native:
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
            return self.spelling.read(plain)
        except (ValueError, TypeError) as error:
            raise Mismatch.of(self, plain) from error

    @override
    def emit(self, emitter: Emitter) -> Emitted:
        """Return the code of a value that has a tag, or is text. What is written in another way is left alone."""
        cls, tagged = self.cls, emitter.notation.spellings.get(self.cls) if self.cls in emitter.native else None
        if tagged is None and cls in (dt.date, dt.timedelta):
            return Emitted(cls, unchanged=IS)  # msgspec reads and writes it as we do
        if tagged is not None and tagged.native is not None:
            return emitter.tagged(tagged.tag, Emitted(tagged.native, unchanged=IS))
        spelling = tagged or self.spelling
        to_text, read_exactly = spelling.write, spelling.read_exactly
        takes_naive = tagged is None or cls is not dt.datetime or NaiveDatetime in emitter.native

        def write(value: Any) -> object:
            if type(value) is not cls or not (takes_naive or value.utcoffset() is not None):
                raise Unusual
            return to_text(value)

        def read(text: str) -> object:
            try:
                return read_exactly(text)
            except ValueError:
                raise Unusual from None

        encode, decode = emitter.call(write, f"write_{self.text}"), emitter.call(read, f"read_{self.text}")
        if tagged is not None:
            return emitter.tagged(tagged.tag, by_content(str, encode, decode))
        cls_name, text_of = emitter.module.name(cls, cls.__name__), emitter.call(to_text, "text_of")
        is_same = f"(type({{0}}) is {cls_name} and {text_of('{0}')} == {{1}})".format
        return Emitted(str, encode, decode, is_same)


class Enumeration(FieldType):
    """A member of an `Enum` or `Flag` whose values are text or integers, written by that value."""

    def __init__(self, cls: type[Enum]) -> None:
        self.cls = cls
        self.classes: frozenset[type] | None = frozenset({cls})
        self.json_types: frozenset[type] = frozenset(type(cast("object", member.value)) for member in cls)
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
        member: Any = self.validate(value)
        return member.value

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        return self._member(plain)

    @override
    def emit(self, emitter: Emitter) -> Emitted:
        def encode(member: Any) -> object:
            if type(member) is not self.cls or self._member(member.value) is not member:
                raise Unusual
            return member.value

        types: set[type] = {type(cast("object", member.value)) for member in self.members}
        hint = f"of_{self.text}"
        return by_content(Union[tuple(types)], emitter.call(encode, hint), emitter.call(self._member, hint))  # noqa: UP007

    def _member(self, plain: object) -> Any:
        try:
            member = self.cls(plain)
        except Exception as error:  # a user's `_missing_` may raise anything
            raise Mismatch.of(self, plain) from error
        if type(member.value) is not type(plain):
            raise Mismatch.of(self, plain)
        return member


class Choice(FieldType):
    """A `Literal`: one of a fixed set of values."""

    matches_by_class = False

    def __init__(self, text: str, choices: Mapping[tuple[type, object], FieldType]) -> None:
        self.text: str = text
        self.choices = choices
        """Pairs of a value's type and the value, so that `1` is not `True`; each with the type that writes it."""
        self.parts: Iterable[FieldType] = dict.fromkeys(choices.values())
        self.classes: frozenset[type] | None = frozenset(cls for cls, _ in choices)

    @property
    def values(self) -> list[object]:
        """The values, in the order of their declaration."""
        return [value for _, value in self.choices]

    @override
    def validate(self, value: object) -> object:
        cls: type[object] = type(value)
        # Only of the classes of its values is it known what a hash takes.
        if self.classes is None or cls not in self.classes or (cls, value) not in self.choices:
            raise Mismatch.of(self, value)
        return value

    @override
    def unstructure(self, value: object, native: NativeTypes) -> object:
        self.validate(value)
        return self.choices[type(value), value].unstructure(value, native)

    @override
    def structure(self, plain: object, reading: Reading) -> object:
        for writer in self.parts:
            for value in attempt(writer.structure, plain, reading):
                if same(writer.unstructure(value, reading.native), plain) and (type(value), value) in self.choices:
                    return value
        raise Mismatch.of(self, plain)

    @override
    def emit(self, emitter: Emitter) -> Emitted | None:
        writers = [*self.parts]
        inner = emitter.emitted(writers[0]) if len(writers) == 1 else emit_simple_union(writers, emitter)
        return None if inner is None else inner.checked(emitter.call(self.validate, "choice"))

    @override
    def matches(self, value: object) -> bool:
        return bool(attempt(self.validate, value))


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


def _decimal(text: str) -> object:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("no decimal number") from None


def _as_float(value: float) -> float | None:
    """Return the float that equals a number, if there is one."""
    try:
        return exact if (exact := float(value)) == value else None
    except OverflowError:
        return None


def _as_date(value: dt.date) -> dt.date | None:
    return None if isinstance(value, dt.datetime) else dt.date(value.year, value.month, value.day)


def _as_datetime(value: dt.datetime) -> dt.datetime:
    return dt.datetime.combine(dt.date(value.year, value.month, value.day), value.timetz())


def _as_time(value: dt.time) -> dt.time:
    return dt.time(value.hour, value.minute, value.second, value.microsecond, value.tzinfo, fold=value.fold)


_SINGLE: Final = (
    Simple(types.NoneType, bool),
    Simple(bool, bool),
    Simple(int, int.__int__),
    Simple(float, _as_float, widened=int),
    Simple(str, str.__str__),
    Scalar(bytes, bytes, lambda value: b64encode(value).decode("ascii"), partial(b64decode, validate=True)),
    Scalar(Markup, Markup, str.__str__, Markup),
    Scalar(UUID, lambda value: UUID(int=value.int)),
    Scalar(Decimal, Decimal, str, _decimal),
    Scalar(dt.datetime, _as_datetime, _iso_text, partial(_moment, dt.datetime)),  # msgspec drops an offset's seconds
    Scalar(dt.date, _as_date),
    Scalar(dt.time, _as_time, _iso_text, partial(_moment, dt.time)),
    Scalar(dt.timedelta, lambda value: dt.timedelta(value.days, value.seconds, value.microseconds)),
)

KNOWN: Final[Mapping[type, FieldType]] = {object: Anything(), **{single.cls: single for single in _SINGLE}}
"""The types that need no arguments."""

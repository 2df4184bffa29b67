"""What a field may hold: one object for each type that a session can keep.

A field type knows three things of its values: whether a value that a program sets is allowed (`admit`), how a value is
written as a plain one (`lower`), and how a plain one becomes a value again (`lift`). A plain value is made of what JSON
has, and of those further types that the serializer at hand brings back by itself: its `Wire`.
"""

from __future__ import annotations

import binascii
import datetime as dt
import math
import types
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any, Final, Literal, TypeAlias, TypeVar, Union, get_args, get_origin
from uuid import UUID

import msgspec
from cattrs import Converter
from cattrs.errors import StructureHandlerNotFoundError
from markupsafe import Markup
from typing_extensions import override

from typed_sessions.annotations import described, plain_form
from typed_sessions.errors import SchemaError
from typed_sessions.kinds import Kind, kind_of
from typed_sessions.narrowing import is_dict, is_sequence
from typed_sessions.sameness import same

__all__ = ["NATIVE_CANDIDATES", "Compiler", "FieldType", "Mismatch", "Wire"]

Wire: TypeAlias = frozenset[type]
"""The types beyond JSON's that a serializer brings back as they were."""

NATIVE_CANDIDATES: Final[tuple[object, ...]] = (
    (1,),
    b"\xff",
    UUID(int=1),
    dt.datetime(2000, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    Markup("<b>"),
)
"""A value of each type that may be in a `Wire`, to find out with."""


class Mismatch(Exception):  # noqa: N818 -- never leaves the library
    """A value does not fit a type. Says where and what was expected and found, never the value."""

    def __init__(self, expected: str, found: str, path: str = "") -> None:
        super().__init__(expected, found, path)
        self.expected = expected
        self.found = found
        self.path = path

    @classmethod
    def of(cls, expected: FieldType, value: object) -> Mismatch:
        """Return the mismatch of a value that is of another type altogether."""
        return cls(expected.text, type(value).__name__)

    def within(self, step: str) -> Mismatch:
        """Return the same mismatch as seen from the container that holds the value."""
        return Mismatch(self.expected, self.found, step + self.path)

    @override
    def __str__(self) -> str:
        return f"must be {self.expected}, not {self.found}"


class FieldType(ABC):
    """A type that a field may have."""

    text: str
    """The type as its author would write it."""

    @abstractmethod
    def admit(self, value: object) -> object:
        """Return the value as this type holds it: itself wherever it fits.

        What a type checker accepts is accepted: a `bool` for `int`, an `int` for `float`, a subclass of `str`.

        Raises:
            Mismatch: the type does not allow the value.
        """

    @abstractmethod
    def lower(self, value: object, wire: Wire) -> object:
        """Return the plain form of a value.

        Raises:
            Mismatch: the type does not allow the value, or it has no plain form that comes back.
        """

    @abstractmethod
    def lift(self, plain: object, wire: Wire) -> object:
        """Return the value that a plain form stands for. The plain form may come from any program that had the key.

        Raises:
            Mismatch: the plain form is of no such value.
        """


class Anything(FieldType):
    """`object` and `Any`: whatever the serializer brings back as it was."""

    text = "object"

    @override
    def admit(self, value: object) -> object:
        return value

    @override
    def lower(self, value: object, wire: Wire) -> object:
        if type(value) in _NATIVE_TYPES and type(value) not in wire:
            raise Mismatch("a value that the serializer brings back", type(value).__name__)
        if is_dict(value) and type(value) is dict:
            if not all(type(key) is str for key in value):
                raise Mismatch("str", "another type", " (a key)")
            return {key: _within(_SOME_KEY, partial(self.lower, wire=wire), item) for key, item in value.items()}
        if is_sequence(value) and type(value) in (list, tuple):
            items = _indexed(value, partial(self.lower, wire=wire))
            return items if isinstance(value, list) else tuple(items)
        return _finite(value)

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        return plain


class Simple(FieldType):
    """A type that JSON has: its values are their own plain form."""

    def __init__(self, cls: type, exact: Callable[[Any], object], widened: type | None = None) -> None:
        self.cls = cls
        self.text = "None" if cls is types.NoneType else cls.__name__
        self._exact = exact
        self._accepted = (cls,) if widened is None else (cls, widened)

    @override
    def admit(self, value: object) -> object:
        if type(value) is self.cls:
            return value
        if isinstance(value, self._accepted):
            exact = self._exact(value)
            if exact == value:
                return exact
        raise Mismatch.of(self, value)

    @override
    def lower(self, value: object, wire: Wire) -> object:
        return _finite(self.admit(value))

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        return self.admit(plain)


def _as_float(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


SIMPLE: Final[Mapping[type, FieldType]] = {
    types.NoneType: Simple(types.NoneType, lambda value: value),
    bool: Simple(bool, bool),
    int: Simple(int, int.__int__),
    float: Simple(float, _as_float, widened=int),
    str: Simple(str, str.__str__),
}


class Scalar(FieldType):
    """One value that JSON lacks: kept as it is where the wire has the type, written as text elsewhere."""

    def __init__(
        self,
        cls: type,
        *,
        exact: Callable[[Any], object],
        to_text: Callable[[Any], object] = msgspec.to_builtins,
        from_text: Callable[[str], object] | None = None,
    ) -> None:
        self.cls = cls
        self.text = cls.__name__
        self._exact = exact
        self._to_text = to_text
        self._from_text: Callable[[str], object] = from_text or partial(msgspec.convert, type=cls)

    @override
    def admit(self, value: object) -> object:
        if type(value) is self.cls:
            return value
        if isinstance(value, self.cls) and not (self.cls is dt.date and isinstance(value, dt.datetime)):
            return self._exact(value)
        raise Mismatch.of(self, value)

    @override
    def lower(self, value: object, wire: Wire) -> object:
        value = self.admit(value)
        return value if self.cls in wire else self._to_text(value)

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        if self.cls in wire:
            return self.admit(plain)
        if type(plain) is not str:
            raise Mismatch.of(self, plain)
        try:
            return self._from_text(plain)
        except (ValueError, TypeError, binascii.Error) as error:
            raise Mismatch.of(self, plain) from error


SCALARS: Final[Mapping[type, FieldType]] = {
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
        ),
        Scalar(dt.date, exact=lambda value: dt.date(value.year, value.month, value.day)),
        Scalar(
            dt.time,
            exact=lambda value: dt.time(
                value.hour, value.minute, value.second, value.microsecond, value.tzinfo, fold=value.fold
            ),
        ),
        Scalar(
            dt.timedelta,
            exact=lambda value: dt.timedelta(value.days, value.seconds, value.microseconds),
        ),
    )
}


class Enumeration(FieldType):
    """A member of an `Enum` or `Flag` whose values are text or integers, written by that value."""

    def __init__(self, cls: type[Enum]) -> None:
        self.cls = cls
        self.text = cls.__name__

    @override
    def admit(self, value: object) -> object:
        if isinstance(value, self.cls):
            return value
        raise Mismatch.of(self, value)

    @override
    def lower(self, value: object, wire: Wire) -> object:
        if not isinstance(value, self.cls):
            raise Mismatch.of(self, value)
        plain: object = value.value
        return plain

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        try:
            member = self.cls(plain)
        except (ValueError, TypeError) as error:
            raise Mismatch.of(self, plain) from error
        if type(member.value) is not type(plain):
            raise Mismatch.of(self, plain)
        return member


class Choice(FieldType):
    """A `Literal`: one of a fixed set of values."""

    def __init__(self, text: str, choices: Mapping[object, FieldType]) -> None:
        self.text = text
        self._choices = choices
        """Pairs of a value's type and the value, so that `1` is not `True`; each with the type that writes it."""

    @override
    def admit(self, value: object) -> object:
        self._writer(value)
        return value

    @override
    def lower(self, value: object, wire: Wire) -> object:
        return self._writer(value).lower(value, wire)

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        for writer in dict.fromkeys(self._choices.values()):
            for value in _attempt(writer.lift, plain, wire):
                if same(writer.lower(value, wire), plain) and (type(value), value) in self._choices:
                    return value
        raise Mismatch.of(self, plain)

    def _writer(self, value: object) -> FieldType:
        try:
            return self._choices[type(value), value]
        except (KeyError, TypeError):
            raise Mismatch.of(self, value) from None


class Items(FieldType):
    """A container of any length whose items have one type: list, set, frozenset, `tuple[T, ...]`."""

    def __init__(self, cls: type, item: FieldType) -> None:
        self.cls: Callable[[list[object]], object] = cls
        self.text = f"{cls.__name__}[{item.text}{', ...' if cls is tuple else ''}]"
        self._container = cls
        self._item = item
        self._ordered = cls in (list, tuple)

    @override
    def admit(self, value: object) -> object:
        items = self._each(value, self._item.admit)
        return value if _holds(value, self._container, items) else self.cls(items)

    @override
    def lower(self, value: object, wire: Wire) -> object:
        items = self._each(value, lambda item: self._item.lower(item, wire))
        if not self._ordered:
            items.sort(key=repr)
        return tuple(items) if self._container is tuple and tuple in wire else items

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        if not is_sequence(plain):
            raise Mismatch.of(self, plain)
        items = _indexed(plain, lambda item: self._item.lift(item, wire))
        try:
            return self.cls(items)
        except TypeError as error:  # an unhashable item of a set
            raise Mismatch.of(self, plain) from error

    def _each(self, value: object, convert: Callable[[object], object]) -> list[object]:
        if not isinstance(value, self._container):
            raise Mismatch.of(self, value)
        return _indexed(_iterated(value), convert)


class Positions(FieldType):
    """A tuple of fixed length, each position with a type of its own."""

    def __init__(self, items: tuple[FieldType, ...]) -> None:
        self.text = f"tuple[{', '.join(item.text for item in items) or '()'}]"
        self._items = items

    @override
    def admit(self, value: object) -> object:
        items = self._each(value, (tuple,), lambda item_type, item: item_type.admit(item))
        return value if _holds(value, tuple, items) else tuple(items)

    @override
    def lower(self, value: object, wire: Wire) -> object:
        items = self._each(value, (tuple,), lambda item_type, item: item_type.lower(item, wire))
        return tuple(items) if tuple in wire else items

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        return tuple(self._each(plain, (tuple, list), lambda item_type, item: item_type.lift(item, wire)))

    def _each(
        self, value: object, accepted: tuple[type, ...], convert: Callable[[FieldType, object], object]
    ) -> list[object]:
        if not isinstance(value, accepted):
            raise Mismatch.of(self, value)
        items = list(_iterated(value))
        if len(items) != len(self._items):
            raise Mismatch(self.text, f"{type(value).__name__} of length {len(items)}")
        position = iter(self._items)
        return _indexed(items, lambda item: convert(next(position), item))


class Table(FieldType):
    """A dict whose keys have one type and whose values have one type; keys are written as text."""

    def __init__(self, key: FieldType, value: FieldType) -> None:
        self.text = f"dict[{key.text}, {value.text}]"
        self._key = key
        self._value = value

    @override
    def admit(self, value: object) -> object:
        if not is_dict(value):
            raise Mismatch.of(self, value)
        items = {self._admitted_key(key): _within(_SOME_KEY, self._value.admit, item) for key, item in value.items()}
        if type(value) is dict and all(map(_is, items, value)) and all(map(_is, items.values(), value.values())):
            return value
        return items

    @override
    def lower(self, value: object, wire: Wire) -> object:
        if not is_dict(value):
            raise Mismatch.of(self, value)
        return {
            str(self._key.lower(self._admitted_key(key), _JSON)): _within(
                _SOME_KEY, lambda item: self._value.lower(item, wire), item
            )
            for key, item in value.items()
        }

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        if not is_dict(plain):
            raise Mismatch.of(self, plain)
        return {
            self._lifted_key(key): _within(_SOME_KEY, lambda item: self._value.lift(item, wire), item)
            for key, item in plain.items()
        }

    def _admitted_key(self, key: object) -> object:
        try:
            return self._key.admit(key)
        except Mismatch as mismatch:
            raise mismatch.within(" (a key)") from mismatch

    def _lifted_key(self, text: object) -> object:
        try:
            return self._key.lift(text, _JSON)
        except Mismatch as mismatch:
            if isinstance(text, str) and _is_canonical_integer(text):
                return self._key.lift(int(text), _JSON)
            raise mismatch.within(" (a key)") from mismatch


class Declared(FieldType):
    """An instance of a declared class: a dict of its attributes, by attribute name."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.text = kind.cls.__name__
        self.types: dict[str, FieldType] = {}
        """Filled by the compiler once it has seen the class, which may contain itself."""

    @override
    def admit(self, value: object) -> object:
        self._each(value, lambda name, attribute: self.types[name].admit(attribute))
        return value

    @override
    def lower(self, value: object, wire: Wire) -> object:
        return self._each(value, lambda name, attribute: self.types[name].lower(attribute, wire))

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        if not is_dict(plain):
            raise Mismatch.of(self, plain)
        values = {
            name: _within(f".{name}", partial(item_type.lift, wire=wire), plain[name])
            for name, item_type in self.types.items()
            if name in plain
        }
        for name, member in self.kind.members.items():
            if member.required and name not in values:
                raise Mismatch(self.types[name].text, "missing", f".{name}")
        try:
            return self.kind.construct(values)
        except Exception as error:  # a converter or validator of the user's may raise anything
            raise Mismatch(f"{self.text} that its own checks allow", "another") from error

    def _each(self, value: object, convert: Callable[[str, object], object]) -> dict[str, object]:
        if type(value) is not self.kind.cls:
            subclass = f", which would come back as {self.text}" if isinstance(value, self.kind.cls) else ""
            raise Mismatch(self.text, type(value).__name__ + subclass)
        return {name: _within(f".{name}", partial(convert, name), getattr(value, name, None)) for name in self.types}


class Foreign(FieldType):
    """A type that only the converter's hooks know."""

    def __init__(self, annotation: Any, converter: Converter) -> None:
        self.text = described(annotation)
        self._annotation = annotation
        self._converter = converter
        self._cls: object = get_origin(annotation) or annotation

    @override
    def admit(self, value: object) -> object:
        if isinstance(self._cls, type) and not isinstance(value, self._cls):
            raise Mismatch.of(self, value)
        return value

    @override
    def lower(self, value: object, wire: Wire) -> object:
        self.admit(value)
        try:
            plain: object = self._converter.unstructure(value, unstructure_as=self._annotation)
        except Exception as error:  # a user's hook may raise anything
            raise Mismatch(f"{self.text} that its unstructure hook takes", "another") from error
        if not _is_plain(plain, wire):
            raise Mismatch("a plain value, from an unstructure hook on the converter", type(plain).__name__)
        return plain

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        try:
            value: object = self._converter.structure(plain, self._annotation)
        except Exception as error:  # a user's hook may raise anything
            raise Mismatch.of(self, plain) from error
        return self.admit(value)


class OneOf(FieldType):
    """A union. A value whose plain form another member would claim is written with the name of its type."""

    _TYPE: Final = "__type__"
    _VALUE: Final = "__value__"

    def __init__(self, members: tuple[FieldType, ...]) -> None:
        self.text = " | ".join(member.text for member in members)
        self._members = members

    @override
    def admit(self, value: object) -> object:
        return self._claimed(value)[1]

    @override
    def lower(self, value: object, wire: Wire) -> object:
        member, admitted = self._claimed(value)
        plain = member.lower(admitted, wire)
        try:
            if same(self.lift(plain, wire), member.lift(plain, wire)):
                return plain
        except Mismatch:
            pass
        return {self._TYPE: member.text, self._VALUE: plain}

    @override
    def lift(self, plain: object, wire: Wire) -> object:
        if is_dict(plain) and plain.keys() == {self._TYPE, self._VALUE}:
            for member in self._members:
                if member.text == plain[self._TYPE]:
                    return member.lift(plain[self._VALUE], wire)
        lifted = [(member, value) for member in self._members for value in _attempt(member.lift, plain, wire)]
        for member, value in lifted:
            if member.admit(value) is value and type(value) is type(plain):
                return value
        for _, value in lifted:
            return value
        raise Mismatch.of(self, plain)

    def _claimed(self, value: object) -> tuple[FieldType, object]:
        """Return the member whose value this is, and the value as that member holds it."""
        claims = [(member, admitted) for member in self._members for admitted in _attempt(member.admit, value)]
        for member, admitted in claims:
            if admitted is value:
                return member, admitted
        for claim in claims:
            return claim
        raise Mismatch.of(self, value)


class Compiler:
    """Turns annotations into field types. One class is compiled once, so a class may contain itself."""

    def __init__(self, converter: Converter) -> None:
        self._converter = converter
        self._declared: dict[object, Declared] = {}

    def compile(self, annotation: Any, place: str) -> FieldType:
        """Return the field type of an annotation.

        Raises:
            SchemaError: no session can hold such a type; the message begins with `place`.
        """
        annotation, _ = plain_form(annotation)
        if annotation is None or annotation is Any:
            annotation = types.NoneType if annotation is None else object
        if isinstance(annotation, type) and annotation in _KNOWN:
            return _KNOWN[annotation]
        if isinstance(annotation, TypeVar):
            raise SchemaError(f"{place}: {annotation.__name__} has no argument; declare the schema as Class[argument]")
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            return self._enumeration(annotation, place)
        origin = _unsubscripted(annotation)
        arguments: tuple[Any, ...] = get_args(annotation)
        if origin is Literal:
            return Choice(
                described(annotation), {(type(value), value): self._writer(value, place) for value in arguments}
            )
        if origin is Union or origin is types.UnionType:
            return OneOf(tuple(self.compile(argument, place) for argument in arguments))
        container = _CONTAINERS.get(origin)
        if annotation in _CONTAINERS:
            raise SchemaError(f"{place}: a bare {annotation.__name__} does not say what it holds; write its arguments")
        if container is not None:
            return self._container(container, arguments, place)
        return self._of_class(annotation, place)

    def declared(self, annotation: Any, kind: Kind, place: str) -> Declared:
        """Return the field type of a declared class, its attributes compiled."""
        if annotation not in self._declared:
            declared = self._declared[annotation] = Declared(kind)
            for name, member in kind.members.items():
                if member.annotation is None:
                    raise SchemaError(f"{place}: {kind.cls.__qualname__}.{name} has no type annotation")
                declared.types[name] = self.compile(member.annotation, f"{kind.cls.__qualname__}.{name}")
        return self._declared[annotation]

    def _of_class(self, annotation: Any, place: str) -> FieldType:
        kind = kind_of(annotation)
        return self._foreign(annotation, place) if kind is None else self.declared(annotation, kind, place)

    def _enumeration(self, cls: type[Enum], place: str) -> FieldType:
        if any(type(member.value) not in (str, int) for member in cls):
            raise SchemaError(f"{place}: {cls.__qualname__} has values that are neither text nor integers")
        return Enumeration(cls)

    def _writer(self, value: object, place: str) -> FieldType:
        return self.compile(type(value), place)

    def _container(self, origin: type, arguments: tuple[Any, ...], place: str) -> FieldType:
        if origin is tuple and arguments[-1:] != (...,):
            return Positions(tuple(self.compile(argument, place) for argument in arguments))
        if origin is dict:
            key = self.compile(arguments[0], place)
            if not isinstance(key, (Scalar, Enumeration, Choice)) and key not in (SIMPLE[str], SIMPLE[int]):
                raise SchemaError(f"{place}: keys of type {key.text} cannot be written as text")
            return Table(key, self.compile(arguments[1], place))
        return Items(origin, self.compile(arguments[0], place))

    def _foreign(self, annotation: Any, place: str) -> FieldType:
        try:
            self._converter.get_structure_hook(annotation)
        except StructureHandlerNotFoundError:
            raise SchemaError(
                f"{place}: a session cannot hold {described(annotation)}; declare an attrs class, or pass a cattrs "
                f"converter with hooks for it: Sessions(..., converter=...)"
            ) from None
        return Foreign(annotation, self._converter)


_SOME_KEY: Final = "[...]"
"""Stands for a key in a path: a key may be a visitor's data."""

_CONTAINERS: Final[Mapping[object, type]] = {cls: cls for cls in (list, set, frozenset, tuple, dict)}


_KNOWN: Final[Mapping[type, FieldType]] = {object: Anything(), **SIMPLE, **SCALARS}

_NATIVE_TYPES: Final = frozenset(type(value) for value in NATIVE_CANDIDATES)


def _unsubscripted(annotation: Any) -> object:
    return get_origin(annotation) or annotation


_JSON: Final[Wire] = frozenset()


def _is(one: object, other: object) -> bool:
    return one is other


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        raise Mismatch("a finite number", "NaN or infinity")
    return value


def _holds(value: object, cls: type, items: list[object]) -> bool:
    """Return True if a container is of exactly this class and holds these very items."""
    return type(value) is cls and all(map(_is, items, _iterated(value)))


def _iterated(value: Any) -> list[object]:
    return list(value)


def _indexed(items: list[object] | tuple[object, ...], convert: Callable[[object], object]) -> list[object]:
    return [_within(f"[{index}]", convert, item) for index, item in enumerate(items)]


def _within(step: str, convert: Callable[[object], object], value: object) -> object:
    try:
        return convert(value)
    except Mismatch as mismatch:
        raise mismatch.within(step) from mismatch


def _attempt(convert: Callable[..., object], *arguments: object) -> list[object]:
    """Return what a conversion gives, or nothing if the value does not fit."""
    try:
        return [convert(*arguments)]
    except Mismatch:
        return []


def _is_canonical_integer(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdigit() and str(int(text)) == text


def _is_plain(value: object, wire: Wire) -> bool:
    if is_dict(value):
        return all(type(key) is str and _is_plain(item, wire) for key, item in value.items())
    if is_sequence(value) and (type(value) is list or tuple in wire):
        return all(_is_plain(item, wire) for item in value)
    return value is None or type(value) in (bool, int, float, str) or type(value) in wire

"""How large the cookie of a session can grow, from the bounds that a schema sets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import FlagBoundary
from types import NoneType
from typing import Any, Final, TypeVar
from uuid import UUID

from attrs import frozen

from typed_sessions.codec.codec import MAX_PAYLOAD, native_types, payload_of
from typed_sessions.schema.migrations import VERSION_KEY
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.types import FieldType, NativeTypes
from typed_sessions.schema.types.base import SOME_KEY
from typed_sessions.schema.types.bounded import Bounded
from typed_sessions.schema.types.choices import Choice, Enumeration
from typed_sessions.schema.types.classes import Declared, WithNames
from typed_sessions.schema.types.containers import Items, Positions, Table
from typed_sessions.schema.types.scalars import Scalar, Simple
from typed_sessions.schema.types.union import OneOf
from typed_sessions.sealing.set_cookie import CookieAttributes, SessionCookie
from typed_sessions.sealing.signed import sealed_size
from typed_sessions.serializers.base import AnySerializer

__all__ = ["Extent", "extent_of"]

R = TypeVar("R", str, bytes, list[object])

_FILLERS: Final = ("\U0001f600", "\x01", "é")
"""Characters that take most room: in ASCII JSON, in JSON as UTF-8, and in MessagePack, whichever it is."""

_WIDEST_INTEGERS: Final = (-(2**63), 2**64 - 1)
_OFFSET: Final = dt.timezone(-dt.timedelta(hours=23, minutes=59, seconds=59, microseconds=999999))
_WIDEST: Final[Mapping[type, object]] = {
    NoneType: None,
    bool: False,
    int: _WIDEST_INTEGERS[0],
    float: -2.2250738585072014e-308,
    UUID: UUID(int=1),
    dt.date: dt.date.max,
    dt.datetime: dt.datetime(2000, 12, 31, 23, 59, 59, 999999, _OFFSET),
    dt.time: dt.time(23, 59, 59, 999999, _OFFSET),
    dt.timedelta: dt.timedelta(days=-999999999, hours=23, minutes=59, seconds=59, microseconds=999999),
}
"""The longest value of each type that has one."""

_LATEST: Final = dt.datetime(2000, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


@frozen
class Extent:
    """The size that the cookie of a session can grow to."""

    bytes: int | None
    """Of the whole `Set-Cookie` text, uncompressed, without a domain and undeclared keys; None if there is no bound."""
    unbounded: tuple[str, ...]
    """The places that have no bound, or one past what a session may hold."""


def extent_of(schema: Schema[Any], serializer: AnySerializer) -> Extent:
    """Return how large the cookie of a session can grow.

    Text, bytes and containers are as long as `msgspec.Meta(max_length=...)` and, in attrs classes,
    `validators.max_len` say; integers have 64 bits where no bound says otherwise.
    """
    wire = native_types(serializer)
    unbounded: list[str] = []
    largest: list[int] = []
    for filler in _FILLERS:
        plain: dict[str, object] = {"_permanent": True}
        if schema.migrations.version:
            plain[VERSION_KEY] = schema.migrations.version
        for name, field in schema.fields.items():
            try:
                plain[name] = _Largest(serializer, wire, filler).of(field.type, field.max_length)
            except _NoBoundError as error:
                place = f"{name}{error.path}"
                if place not in unbounded:
                    unbounded.append(place)
        largest.append(len(payload_of(serializer, plain)))
    if unbounded or schema.open:
        return Extent(None, tuple(unbounded))
    return Extent(_cookie_size(max(largest)), ())


def _cookie_size(payload_size: int) -> int:
    attributes = CookieAttributes(name="session", path="/", secure=True, httponly=True, samesite="Strict")
    return len(SessionCookie(attributes).expiring("", _LATEST)) + sealed_size(payload_size)


class _NoBoundError(Exception):
    """A value may be of any size. Says where."""

    def __init__(self, path: str = "") -> None:
        super().__init__(path)
        self.path = path


class _Largest:
    """Makes the largest plain form of a type."""

    def __init__(self, serializer: AnySerializer, wire: NativeTypes, filler: str) -> None:
        self._serializer = serializer
        self._wire = wire
        self._filler = filler
        self._classes: list[FieldType] = []
        """The declared classes around the value: one that holds itself has no bound."""

    def of(self, field_type: FieldType, length: int | None = None) -> object:
        """Return the largest plain form, of a text or container that is no longer than `length`.

        Raises:
            _NoBoundError: there is none.
        """
        match field_type:
            case Bounded(inner=Simple(cls=cls), bounds=bounds) if cls is int:
                return _widest_integer(bounds)
            case Bounded(inner=inner, bounds=bounds):
                return self.of(inner, _shorter(length, bounds.get("max_length")))
            case Simple() | Scalar():
                return self._of_one(field_type, length)
            case Enumeration(cls=cls) if getattr(cls, "_boundary_", None) is FlagBoundary.KEEP:
                return _widest_integer({})  # which may have bits that no member names
            case Enumeration():
                return self._longest([field_type.unstructure(member, self._wire) for member in field_type.members])
            case Choice():
                return self._longest([field_type.unstructure(value, self._wire) for value in field_type.values])
            case WithNames():
                return self._of_class(field_type)
            case OneOf(members=members):
                plain = [field_type.written(member, self.of(member, length), self._wire) for member in members]
                return self._longest(plain)
            case _:
                return self._of_container(field_type, length)

    def _of_one(self, field_type: Simple | Scalar, length: int | None) -> object:
        if field_type.cls in _WIDEST:
            return field_type.unstructure(_WIDEST[field_type.cls], self._wire)
        if field_type.cls is bytes:
            return field_type.unstructure(self._repeated(b"\xff", length), self._wire)
        if issubclass(field_type.cls, str):
            return field_type.unstructure(field_type.cls(self._repeated(self._filler, length)), self._wire)
        raise _NoBoundError  # a Decimal has as many digits as it likes

    def _of_container(self, field_type: FieldType, length: int | None) -> object:
        match field_type:
            case Items(item=item):
                return self._repeated([self._at(SOME_KEY, item)], length)
            case Positions(items=items):
                return [self._at(f"[{index}]", item) for index, item in enumerate(items)]
            case Table(key=key, value=value):  # pairs take no less room than an object
                written = self._at(" (a key)", key)
                pair = [written if isinstance(written, str) else str(written), self._at(SOME_KEY, value)]
                return self._repeated(list[object]([pair]), length)
            case _:
                raise _NoBoundError

    def _of_class(self, declared: WithNames) -> object:
        if declared in self._classes:
            raise _NoBoundError
        self._classes.append(declared)
        try:
            return {
                name: self._at(f".{name}", item, _own_bound(declared, name)) for name, item in declared.types.items()
            }
        finally:
            self._classes.pop()

    def _at(self, step: str, field_type: FieldType, length: int | None = None) -> object:
        try:
            return self.of(field_type, length)
        except _NoBoundError as error:
            raise _NoBoundError(step + error.path) from None

    def _repeated(self, part: R, length: int | None) -> R:
        if length is None or self._size(part) * length > MAX_PAYLOAD:
            raise _NoBoundError
        return part * length

    def _longest(self, plain: list[object]) -> object:
        return max(plain, key=self._size)

    def _size(self, plain: object) -> int:
        return len(payload_of(self._serializer, {"": plain}))


def _shorter(one: int | None, other: object) -> int | None:
    bounds = [bound for bound in (one, other) if isinstance(bound, int)]
    return min(bounds, default=None)


def _widest_integer(bounds: Mapping[str, object]) -> int:
    ends = [bound for name in ("gt", "ge", "lt", "le") if isinstance(bound := bounds.get(name), int)]
    if not bounds.keys() & {"gt", "ge"}:
        ends.append(_WIDEST_INTEGERS[0])
    if not bounds.keys() & {"lt", "le"}:
        ends.append(_WIDEST_INTEGERS[1])
    return max(ends, key=lambda end: len(str(end)))


def _own_bound(declared: WithNames, name: str) -> int | None:
    return declared.kind.members[name].max_length if isinstance(declared, Declared) else None

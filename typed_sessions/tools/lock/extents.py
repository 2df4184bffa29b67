"""How large the cookie of a session can grow, from the bounds that a schema sets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from enum import FlagBoundary
from typing import Any, Final, TypeVar

from attrs import frozen
from typing_extensions import override

from typed_sessions.codec.codec import MAX_PAYLOAD, native_types, payload_of
from typed_sessions.schema.migrations import VERSION_KEY
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.types.base import FieldType, NativeTypes
from typed_sessions.schema.types.scalars import Enumeration, Scalar, Simple
from typed_sessions.schema.types.wrappers import Bounded
from typed_sessions.sealing.set_cookie import CookieAttributes, SessionCookie
from typed_sessions.sealing.signed import sealed_size
from typed_sessions.serializers.base import AnySerializer
from typed_sessions.tools.lock.samples import Samples

__all__ = ["Extent", "extent_of"]

R = TypeVar("R", str, bytes, list[object])

_FILLERS: Final = ("\U0001f600", "\x01", "é")
"""Characters that take most room: in ASCII JSON, in JSON as UTF-8, and in MessagePack, whichever it is."""

_WIDEST_INTEGERS: Final = (-(2**63), 2**64 - 1)
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
    native = native_types(serializer)
    unbounded: list[str] = []
    largest: list[int] = []
    for filler in _FILLERS:
        plain: dict[str, object] = {"_permanent": True}
        if schema.migrations.version:
            plain[VERSION_KEY] = schema.migrations.version
        for name, field in schema.fields.items():
            try:
                (plain[name],) = Largest(serializer, native, filler).of(field.type, field.member.max_length)
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


class Largest(Samples):
    """Makes the largest plain value of a type.

    Raises:
        _NoBoundError: there is none.
    """

    def __init__(self, serializer: AnySerializer, native: NativeTypes, filler: str) -> None:
        super().__init__(native)
        self._serializer = serializer
        self._filler = filler

    @override
    def of(self, field_type: FieldType, length: int | None = None) -> list[object]:
        match field_type:
            case Bounded(inner=Simple(cls=cls), bounds=bounds) if cls is int:
                return [_widest_integer(bounds)]
            case Bounded(inner=inner, bounds=bounds):
                return self.of(inner, _shorter(length, bounds.get("max_length")))
            case Enumeration(cls=cls) if getattr(cls, "_boundary_", None) is FlagBoundary.KEEP:
                return [_widest_integer({})]  # which may have bits that no member names
            case _:
                return [max(super().of(field_type, length), key=self._size)]

    @override
    def _scalars(self, field_type: Simple | Scalar, length: int | None) -> list[object]:
        if field_type.cls is Decimal:  # which has as many digits as it likes
            raise _NoBoundError
        if field_type.cls is bytes:
            return [field_type.unstructure(self._repeated(b"\xff", length), self._native)]
        if issubclass(field_type.cls, str):
            return [field_type.unstructure(field_type.cls(self._repeated(self._filler, length)), self._native)]
        return super()._scalars(field_type, length)

    @override
    def _lists(self, items: list[object], length: int | None) -> list[list[object]]:
        return [self._repeated(items, length)]

    @override
    def _dict(self, pairs: list[object]) -> object:
        return pairs  # which take no less room, and need no keys of their own

    @override
    def _within_itself(self) -> list[object]:
        raise _NoBoundError

    @override
    def _unknown(self, field_type: FieldType) -> list[object]:
        raise _NoBoundError

    @override
    def _at(self, step: str, field_type: FieldType, length: int | None = None) -> list[object]:
        try:
            return self.of(field_type, length)
        except _NoBoundError as error:
            raise _NoBoundError(step + error.path) from None

    def _repeated(self, part: R, length: int | None) -> R:
        if length is None or self._size(part) * length > MAX_PAYLOAD:
            raise _NoBoundError
        return part * length

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

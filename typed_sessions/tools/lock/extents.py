"""How large the cookie of a session can grow, from the bounds that a schema sets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from enum import FlagBoundary
from typing import Any, Final, TypeVar, cast

from attrs import evolve, frozen, validators

from typed_sessions.codec.codec import MAX_PAYLOAD, native_types, payload_of
from typed_sessions.schema.kinds.base import Member
from typed_sessions.schema.migrations import VERSION_KEY
from typed_sessions.schema.places import SOME_KEY
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.types.base import JSON, FieldType, NativeTypes
from typed_sessions.schema.types.classes import Declared, WithNames
from typed_sessions.schema.types.containers import Items, Positions, Table
from typed_sessions.schema.types.scalars import Choice, Enumeration, Scalar, Simple
from typed_sessions.schema.types.union import OneOf
from typed_sessions.schema.types.wrappers import Alias, Bounded
from typed_sessions.sealing.parts import encrypted_size
from typed_sessions.sealing.set_cookie import CookieAttributes, SessionCookie
from typed_sessions.sealing.signed import sealed_size
from typed_sessions.serializers.base import AnySerializer
from typed_sessions.tools.lock.samples import VALUES

__all__ = ["Extent", "extent_of", "max_length"]

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


def extent_of(schema: Schema[Any], serializer: AnySerializer, *, encrypted: bool = False) -> Extent:
    """Return how large the cookie of a session can grow.

    Text, bytes and containers are as long as `msgspec.Meta(max_length=...)`, `validators.max_len` in attrs classes, and
    `Field(max_length=...)` in pydantic models say; integers have 64 bits where no bound says otherwise.

    Args:
        schema: what the session holds.
        serializer: writes it.
        encrypted: whether the cookie is encrypted, which makes it longer.
    """
    native = native_types(serializer)
    unbounded: dict[str, None] = {}
    largest: list[int] = []
    for filler in _FILLERS:
        plain: dict[str, object] = {"_permanent": True}
        if schema.migrations.version:
            plain[VERSION_KEY] = schema.migrations.version
        for name, field in schema.fields.items():
            try:
                plain[name] = Largest(serializer, native, filler).of(field.type, name, max_length(field.member))
            except _NoBoundError as error:
                unbounded[str(error)] = None
        largest.append(len(payload_of(serializer, plain)))
    if unbounded or schema.open:
        return Extent(None, tuple(unbounded))
    attributes = CookieAttributes(name="session", path="/", secure=True, httponly=True, samesite="Strict")
    size = encrypted_size(max(largest)) if encrypted else sealed_size(max(largest))
    return Extent(len(SessionCookie(attributes).expiring("", _LATEST)) + size, ())


class _NoBoundError(Exception):
    """A value may be of any size. Says where."""


@frozen
class Largest:
    """Makes the largest plain value of a type, as a serializer is given it."""

    serializer: AnySerializer
    native: NativeTypes
    filler: str
    """What texts are made of."""
    around: tuple[FieldType, ...] = ()
    """The classes and aliases around a value, which may hold themselves."""

    def of(self, held: FieldType, place: str, length: int | None = None) -> object:
        """Return the largest plain value of a type.

        Args:
            held: the type.
            place: where it is, for messages.
            length: a bound of texts and containers that is not part of the type.

        Raises:
            _NoBoundError: there is none.
        """
        match held:
            case Bounded(inner=Simple(cls=cls), bounds=bounds) if cls is int:
                return _widest_integer(bounds)
            case Bounded(inner=inner, bounds=bounds):
                lengths = [bound for bound in (length, bounds.get("max_length")) if isinstance(bound, int)]
                return self.of(inner, place, min(lengths, default=None))
            case Enumeration(cls=cls) if getattr(cls, "_boundary_", None) is FlagBoundary.KEEP:
                return _widest_integer({})  # which may have bits that no member names
            case Simple() | Scalar():
                return self._scalar(held, place, length)
            case Enumeration(members=values) | Choice(values=values):
                return max((held.unstructure(value, self.native) for value in values), key=self._size)
            case OneOf(members=members):
                made = [(member, self.of(member, place, length)) for member in members]
                return max((held.written(member, plain, self.native) for member, plain in made), key=self._size)
            case Items() | Positions() | Table():
                return self._container(held, place, length)
            case Alias(inner=inner) if held not in self.around:
                return self._within(held).of(inner, place, length)
            case WithNames() if held not in self.around:
                return self._instance(held, place)
            case _:
                raise _NoBoundError(place)

    def _scalar(self, held: Simple | Scalar, place: str, length: int | None) -> object:
        if held.cls is Decimal:  # which has as many digits as it likes
            raise _NoBoundError(place)
        if held.cls is bytes:
            return held.unstructure(self._repeated(b"\xff", place, length), self.native)
        if issubclass(held.cls, str):
            return held.unstructure(held.cls(self._repeated(self.filler, place, length)), self.native)
        return max((held.unstructure(value, self.native) for value in VALUES[held.cls]), key=self._size)

    def _container(self, held: Items | Positions | Table, place: str, length: int | None) -> object:
        if isinstance(held, Table):
            key = str(evolve(self, native=JSON).of(held.key, f"{place} (a key)"))
            pairs: list[object] = [[key, self.of(held.value, place + SOME_KEY)]]
            return self._repeated(pairs, place, length)  # which take no less room, and need no keys of their own
        if isinstance(held, Items):
            made = self._repeated([self.of(held.item, place + SOME_KEY)], place, length)
            is_tuple = held.cls is tuple
        else:
            made = [self.of(item, f"{place}[{index}]") for index, item in enumerate(held.items)]
            is_tuple = True
        return tuple(made) if is_tuple and tuple in self.native else made

    def _instance(self, cls: WithNames, place: str) -> object:
        bounds = {} if not isinstance(cls, Declared) else {n: max_length(each) for n, each in cls.kind.members.items()}
        inside = self._within(cls)
        return {name: inside.of(held, f"{place}.{name}", bounds.get(name)) for name, held in cls.types.items()}

    def _within(self, held: FieldType) -> Largest:
        return evolve(self, around=(*self.around, held))

    def _repeated(self, part: R, place: str, length: int | None) -> R:
        if length is None or self._size(part) * length > MAX_PAYLOAD:
            raise _NoBoundError(place)
        return part * length

    def _size(self, plain: object) -> int:
        return len(payload_of(self.serializer, {"": plain}))


def _widest_integer(bounds: Mapping[str, object]) -> int:
    ends = [bound for name in ("gt", "ge", "lt", "le") if isinstance(bound := bounds.get(name), int)]
    if not bounds.keys() & {"gt", "ge"}:
        ends.append(_WIDEST_INTEGERS[0])
    if not bounds.keys() & {"lt", "le"}:
        ends.append(_WIDEST_INTEGERS[1])
    return max(ends, key=lambda end: len(str(end)))


def max_length(member: Member) -> int | None:
    """Return how long a value may be, as far as its class itself sees to that."""
    if hasattr(member.source, "validator"):  # of attrs'
        return _longest(member.source.validator)
    marks = getattr(member.source, "metadata", ())  # of pydantic's, which keeps the last of several bounds
    lengths = (getattr(mark, "max_length", None) for mark in reversed(marks))
    return next((length for length in lengths if isinstance(length, int)), None)


def _longest(validator: Any) -> int | None:
    """Return the bound that `attrs.validators.max_len` sets, alone, in a list or as `optional`."""
    if isinstance(validator, _LONGEST):
        return cast("int", validator.max_length)
    if isinstance(validator, _OPTIONAL):
        return _longest(validator.validator)
    if isinstance(validator, _ALL):
        bounds = [_longest(part) for part in validator._validators]  # noqa: SLF001 -- attrs offers no other way
        return min((bound for bound in bounds if bound is not None), default=None)
    return None


_LONGEST: Final[type[Any]] = type(validators.max_len(1))
_OPTIONAL: Final[type[Any]] = type(validators.optional(validators.max_len(1)))
_ALL: Final[type[Any]] = type(validators.and_(validators.max_len(1)))
"""The classes of validators, which attrs keeps private."""

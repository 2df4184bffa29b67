"""The explaining path between contents and payload: it asks each field's type about each value.

It takes whatever can be taken, and says what cannot: resets, custom serializers, migrations, and what is rare.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import Enum
from functools import cached_property
from typing import Any, Final, Generic, TypeAlias, cast

from attrs import field, frozen
from msgspec import Struct
from typing_extensions import TypeVar, override

from typed_sessions.codec.contents import Contents, contents_of
from typed_sessions.errors import ConfigurationError, SerializationError
from typed_sessions.reports import FieldReset, Reason, Refused, UndeclaredNestedKeys
from typed_sessions.schema.migrations import VERSION_KEY, MigrationFailure
from typed_sessions.schema.narrowing import is_dict, is_sequence
from typed_sessions.schema.places import MAX_DEPTH, TYPE_KEY, VALUE_KEY, Comparison, is_deeper, unwritable_at
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.types.base import (
    NAIVE_CANDIDATE,
    NATIVE_CANDIDATES,
    Mismatch,
    NaiveDatetime,
    NativeTypes,
    Reading,
    attempt,
    holds_name,
)
from typed_sessions.schema.types.classes import declared_keys
from typed_sessions.serializers.base import AnySerializer, Serializer, serializer_name
from typed_sessions.serializers.tagged_json import TaggedJSONSerializer

__all__ = ["Encoded", "Explained", "ExplainingPath", "OnBadField", "native_types", "payload_of"]

_BUILT_IN_TAGS: Final = frozenset(tag.key for tag in TaggedJSONSerializer.default_tags if tag.key)

_EXACT_MOMENT: Final = dt.datetime(2000, 1, 2, 3, 4, 5, 678, dt.UTC)

S = TypeVar("S", default=dict[str, object])


class OnBadField(Enum):
    """What a stored value that no longer fits its field does to its session."""

    RESET = "field"
    """The field alone reads as its default, unless it is marked `Essential`."""
    REFUSE = "session"
    """The whole session is refused."""


class Encoded(Struct, frozen=True):
    """A payload whose declared fields are proven to read back."""

    payload: bytes
    holds_anything: bool = True
    """False if nothing is stored."""
    lossy_keys: tuple[str, ...] = ()
    """The undeclared keys whose values will read back as others: a serializer may write what it does not bring back."""

    @override
    def __repr__(self) -> str:
        return f"Encoded(lossy_keys={self.lossy_keys})"  # a debugger's page shows what is in a repr


@frozen
class Explained(Generic[S]):
    """What a payload held, and what could not be taken as it was."""

    contents: Contents[S] = field(repr=False)
    source: bytes = field(repr=False)
    """The payload: after migration, where there was one."""
    version: int
    reports: tuple[FieldReset | UndeclaredNestedKeys, ...]
    is_generated: bool
    """True if a nested class made a default for what was missing: reading again may make another one."""


Outcome: TypeAlias = Explained[S] | Refused


class ExplainingPath(Generic[S]):
    """The explaining path of one schema in the format of any serializer.

    Args:
        schema: what a session holds.
        serializer: what writes it.
        max_payload: how long a payload may be, in bytes.
    """

    def __init__(self, schema: Schema[S], serializer: AnySerializer, max_payload: int) -> None:
        self._schema: Final = schema
        self._serializer: Final = serializer
        self._max_payload: Final = max_payload
        self._is_text: Final = _writes_text(serializer)
        self.native: Final = native_types(serializer)
        """The types beyond JSON's that the serializer brings back as they were."""
        self.whole_seconds: Final = dt.datetime in self.native and not _brings_back(serializer, _EXACT_MOMENT)
        """True if the serializer keeps no more of a datetime."""

    def decode(self, payload: bytes, on_bad_field: OnBadField) -> Outcome[S]:
        """Return what a payload holds, or why it cannot be read. Raises nothing for what a payload may hold."""
        try:
            plain = self._loaded(payload)
        except RecursionError:
            return Refused(Reason.TOO_DEEP)
        except Exception:  # noqa: BLE001 -- a serializer may raise anything for a payload of another's
            return Refused(Reason.UNREADABLE)
        if not is_dict(plain):
            return Refused(Reason.SHAPE)
        keyed = {key: value for key, value in plain.items() if isinstance(key, str)}
        if len(keyed) != len(plain):
            return Refused(Reason.SHAPE)
        if is_deeper(keyed, MAX_DEPTH):
            return Refused(Reason.TOO_DEEP)
        if tuple not in self.native and serializer_name(self._serializer) is None and _has_tags(keyed):
            return Refused(Reason.UNREADABLE)  # tagged JSON, which is signed with the same salt
        try:
            return self._versioned(keyed, payload, on_bad_field)
        except RecursionError:
            return Refused(Reason.TOO_DEEP)

    def payload(self, stored: Mapping[str, object], version: int = 0) -> bytes:
        """Return what is stored as a payload, of which nothing is proven.

        Args:
            stored: declared fields with values of their types, and undeclared keys.
            version: of the payload that it was loaded from. A later one than this release's is kept, so that no step
                runs twice.

        Raises:
            SerializationError: the serializer cannot write it; the message names the field.
        """
        plain = {key: self._unstructured(key, value) for key, value in stored.items()}
        version = max(version, self._schema.migrations.version)
        if version:
            if VERSION_KEY in plain:
                raise SerializationError(f"session key {VERSION_KEY} belongs to the migrations; use another one")
            plain[VERSION_KEY] = version
        return self._written(plain, stored)

    def encode(self, stored: Mapping[str, object], version: int = 0) -> Encoded:
        """Return the same, proven to read back: of what is stored, which the class itself may refuse.

        Raises:
            SerializationError: it cannot be written so that it reads back; the message names the field.
        """
        payload = self.payload(stored, version)
        outcome = self.decode(payload, OnBadField.RESET)
        if isinstance(outcome, Refused):
            raise SerializationError(f"session contents would not read back: {outcome.reason.value}")
        for reset in (report for report in outcome.reports if isinstance(report, FieldReset)):
            raise SerializationError(
                f"session field {reset.field}{reset.path} would not read back as {reset.expected}; what is written is "
                f"not what its type, its converter or its validator takes"
            )
        again = outcome.contents.stored()
        lossy: list[str] = []
        for key, value in stored.items():
            place = self._lost_at(key, value, again)
            if place is None:
                continue
            if key in self._schema.fields:
                raise SerializationError(f"session field {key}{place} would read back as another value")
            lossy.append(key)
        return Encoded(payload, len(stored) > 0, tuple(lossy))

    def check(self, values: Mapping[str, object]) -> None:
        """Prove of each of these values that it reads back, whatever their class says of all of them together.

        Raises:
            SerializationError: one does not; the message names the field.
        """
        plain = self._loaded(self.payload(values))
        again = plain if is_dict(plain) else {}
        for key, value in values.items():
            field_of_it = self._schema.fields.get(key)
            if field_of_it is None:
                continue
            structured = attempt(field_of_it.type.structure, again.get(key), Reading(self.native))
            place = self._lost_at(key, value, dict.fromkeys([key], *structured) if structured else {})
            if place is not None:
                raise SerializationError(f"session field {key}{place} would read back as another value")

    def canonical(self, stored: Mapping[str, object]) -> bytes:
        """Return bytes that are the same for what means the same, whatever the order of its keys. Nothing reads them.

        Raises:
            SerializationError: the serializer cannot write it.
        """
        plain = {key: self._unstructured(key, stored[key]) for key in sorted(stored, key=str)}
        try:
            return self._written({key: _key_sorted(value) for key, value in plain.items()}, stored)
        except RecursionError:
            raise SerializationError(f"session contents are nested more than {MAX_DEPTH} deep") from None

    def _lost_at(self, key: str, value: object, again: Mapping[str, object]) -> str | None:
        """Return where a value came back as another one; one of a class without `==` is compared by its plain form."""
        if key not in again:
            return ""
        if key not in self._schema.fields:
            return Comparison(self.whole_seconds, exact_types=True).lost_at(value, again[key])
        place = Comparison(self.whole_seconds, self._declared_keys).lost_at(value, again[key])
        return (
            None
            if place is None or same(self._unstructured(key, value), self._unstructured(key, again[key]))
            else place
        )

    def _written(self, plain: dict[str, object], stored: Mapping[str, object]) -> bytes:
        """Return the payload of plain values, which were made of stored ones."""
        if is_deeper(plain, MAX_DEPTH):
            key = next(key for key, value in plain.items() if is_deeper({key: value}, MAX_DEPTH))
            raise SerializationError(f"{self._called(key)} is nested more than {MAX_DEPTH} deep")
        for key, value in plain.items():
            if tuple not in self.native and key not in self._schema.fields and holds_name(value, self.native):
                keys = f"{TYPE_KEY} and {VALUE_KEY}"
                raise SerializationError(f"{self._called(key)} holds a dict with the keys of a union's member, {keys}")
        try:
            payload = payload_of(self._serializer, plain)
        except UnicodeError:  # it holds the text that cannot be written
            raise self._unwritable(plain, stored) from None
        except Exception as error:  # a serializer may raise anything
            raise self._unwritable(plain, stored) from error
        if plain and len(payload) > self._max_payload:
            key = max(plain, key=lambda key: len(payload_of(self._serializer, {key: plain[key]})))
            raise SerializationError(
                f"session contents pass SESSION_MAX_PAYLOAD: they take {len(payload)} bytes, more than "
                f"{self._max_payload}, most of them {self._called(key)}"
            )
        return payload

    @cached_property
    def _declared_keys(self) -> frozenset[str]:
        """The keys of TypedDicts in the fields, which an error may name."""
        return declared_keys(field.type for field in self._schema.fields.values())

    def _unwritable(self, plain: dict[str, object], stored: Mapping[str, object]) -> SerializationError:
        places = [
            self._called(key) + unwritable_at(stored.get(key), value, self._writes, self._declared_keys)
            for key, value in plain.items()
            if not self._writes(value, key)
        ]
        place = places[0] if places else "session contents"
        return SerializationError(f"{place} cannot be written by {type(self._serializer).__name__}")

    def _writes(self, plain: object, key: str = "") -> bool:
        try:
            payload_of(self._serializer, {key: plain})
        except Exception:  # noqa: BLE001 -- a serializer may raise anything
            return False
        return True

    def _called(self, key: str) -> str:
        return f"session {'field' if key in self._schema.fields else 'key'} {key}"

    def _versioned(self, plain: dict[str, object], payload: bytes, on_bad_field: OnBadField) -> Outcome[S]:
        """Return what plain values hold, brought to this release's version before if they are of an earlier one."""
        migrations = self._schema.migrations
        version: object = plain.pop(VERSION_KEY, 0) if migrations.version else 0
        if type(version) is not int or version < 0:
            return Refused(Reason.MIGRATION, step="the version is no number")
        if version >= migrations.version:
            return self._structured(plain, payload, version, on_bad_field)
        try:
            values = {key: self._plain_again(key, value) for key, value in migrations.migrated(plain, version).items()}
            migrated = self._written({**values, VERSION_KEY: migrations.version}, {})
        except MigrationFailure as failure:
            return Refused(Reason.MIGRATION, step=str(failure))
        except SerializationError:
            return Refused(Reason.MIGRATION, step="what the steps return cannot be written")
        return self.decode(migrated, on_bad_field)

    def _plain_again(self, key: str, value: object) -> object:
        """Return what a step gave a field as the field writes it: not every serializer brings back a `date`, or a set.

        What would lose something by that, such as keys that a nested class does not declare, stays as it is.
        """
        field = self._schema.fields.get(self._schema.renamed.get(key, key))
        if field is None:
            return value
        reading = Reading(self.native)
        structured = attempt(field.type.structure, value, reading)
        if not structured or reading.unknown:
            return value
        return next(iter(attempt(field.type.unstructure, *structured, self.native)), value)

    def _structured(
        self, plain: dict[str, object], payload: bytes, version: int, on_bad_field: OnBadField
    ) -> Outcome[S]:
        stored: dict[str, object] = {}
        resets: list[FieldReset] = []
        reading = Reading(self.native)
        for stored_as, value in plain.items():
            key = self._present_name(stored_as, plain)
            field = self._schema.fields.get(key)
            try:
                stored[key] = value if field is None else field.type.structure(value, reading)
            except Mismatch as mismatch:
                resets.append(FieldReset(key, mismatch.expected, mismatch.path))
        try:
            contents = contents_of(self._schema, stored)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 -- a converter or validator of the user's may raise anything
            refused = self._refused_by_class(stored)
            resets += [FieldReset(name, "what its own converter and validator take") for name in refused]
            try:
                contents = contents_of(self._schema, {k: v for k, v in stored.items() if k not in refused})
            except RecursionError:
                raise
            except Exception:  # noqa: BLE001 -- fields that the class refuses only together
                return Refused(Reason.FIELD, self._schema.name)
        for reset in resets:
            if on_bad_field is OnBadField.REFUSE or self._schema.fields[reset.field].essential:
                return Refused(Reason.FIELD, reset.field)
        undeclared = (UndeclaredNestedKeys(owner, count) for owner, count in reading.unknown.items())
        return Explained(contents, payload, version, (*resets, *undeclared), reading.generated)

    def _present_name(self, stored_as: str, plain: Mapping[str, object]) -> str:
        """Return the name of the field that a key stands for: its own, unless it is an earlier one of a field's.

        Where a payload has several of a field's names, the first one counts; the others stay undeclared keys.
        """
        name = self._schema.renamed.get(stored_as, stored_as)
        field = self._schema.fields.get(name)
        names = (name, *(field.former_names if field is not None else ()))
        return name if next(known for known in names if known in plain) == stored_as else stored_as

    def _refused_by_class(self, stored: Mapping[str, object]) -> list[str]:
        """Return the fields whose values the class's own converters and validators refuse."""
        refused: list[str] = []
        for name in (key for key in stored if key in self._schema.fields):
            try:
                self._schema.construct({name: stored[name]})
            except RecursionError:
                raise
            except Exception:  # noqa: BLE001 -- a converter or validator of the user's may raise anything
                refused.append(name)
        return refused

    def _unstructured(self, key: str, value: object) -> object:
        field = self._schema.fields.get(key)
        if field is None:
            return value
        try:
            return field.type.unstructure(value, self.native)
        except Mismatch as mismatch:
            fault = f"{key}{mismatch.path} {mismatch}"
            raise SerializationError(
                f"session field {fault}; it was set in .data, which is checked only when the session is saved. A value "
                f"that is set by key is refused at that line: {self._schema.name}.{fault}"
            ) from None
        except RecursionError:
            raise SerializationError(f"session field {key} is nested more than {MAX_DEPTH} deep") from None

    def _loaded(self, payload: bytes) -> object:
        return _read_back(self._serializer, payload.decode() if self._is_text else payload)


def _writes_text(serializer: AnySerializer) -> bool:
    name = serializer_name(serializer) or type(serializer).__name__
    try:
        payload = cast("object", serializer.dumps({}))  # whatever its type says
    except Exception as error:  # a serializer may raise anything
        raise ConfigurationError(f"{name} cannot write an empty session (SESSION_SERIALIZER)") from error
    if not isinstance(payload, (str, bytes)):
        raise ConfigurationError(f"{name}.dumps returns neither text nor bytes (SESSION_SERIALIZER)")
    return isinstance(payload, str)


def payload_of(serializer: AnySerializer, plain: dict[str, object]) -> bytes:
    """Return what a serializer writes of a plain value, in bytes.

    Raises:
        Exception: what the serializer raises.
    """
    payload = cast("object", serializer.dumps(plain))  # as above
    if isinstance(payload, (str, bytes)):
        return payload.encode() if isinstance(payload, str) else payload
    raise TypeError(f"dumps returned {type(payload).__name__}, neither text nor bytes")


def _read_back(serializer: AnySerializer, payload: str | bytes) -> object:
    """Return what a payload holds: text or bytes, whichever the serializer writes itself, as in itsdangerous."""
    loaded: object = cast("Serializer[Any]", serializer).loads(payload)
    return loaded


def native_types(serializer: AnySerializer) -> NativeTypes:
    """Return the types beyond JSON's that a serializer brings back as they were, found by trying."""
    native = {type(value) for value in NATIVE_CANDIDATES if _brings_back(serializer, value)}
    return frozenset({*native, NaiveDatetime} if _brings_back(serializer, NAIVE_CANDIDATE) else native)


def _brings_back(serializer: AnySerializer, value: object) -> bool:
    try:
        return same(_read_back(serializer, serializer.dumps({"value": value})), {"value": value})
    except Exception:  # noqa: BLE001 -- a serializer may raise anything for what it cannot write
        return False


def _has_tags(value: object) -> bool:
    """Return True if a plain value holds a tagged one that its serializer took for a dict."""
    if is_dict(value):
        return (len(value) == 1 and not _BUILT_IN_TAGS.isdisjoint(value)) or any(map(_has_tags, value.values()))
    return is_sequence(value) and any(map(_has_tags, value))


def _key_sorted(value: object) -> object:
    """Return a plain value whose dicts have their keys in order, at every depth."""
    if is_dict(value) and type(value) is dict:
        return {key: _key_sorted(value[key]) for key in sorted(value, key=str)}
    if is_sequence(value) and type(value) in (list, tuple):
        items = [_key_sorted(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value

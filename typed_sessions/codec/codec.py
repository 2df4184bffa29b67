"""`Codec[S]`: a schema and a serializer together, from a payload to contents, to what has changed, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from functools import cached_property
from typing import Any, Final, Generic

from msgspec import Raw
from typing_extensions import TypeVar

from typed_sessions.codec.contents import Contents
from typed_sessions.codec.declared_contents import DeclaredContents
from typed_sessions.codec.explaining import Encoded, Explained, ExplainingPath, OnBadField, native_types, payload_of
from typed_sessions.codec.generated import UNUSUAL, Changes, Generated, GeneratedOpen
from typed_sessions.codec.generated_class import GeneratedClass
from typed_sessions.codec.generated_fields import GeneratedKeys
from typed_sessions.codec.loaded_data import LoadedData, LoadedKeys
from typed_sessions.codec.notations import notation_of
from typed_sessions.errors import SerializationError
from typed_sessions.reports import FieldReset, Reason, Refused, UndeclaredNestedKeys
from typed_sessions.schema.generated import are_names
from typed_sessions.schema.migrations import VERSION_KEY
from typed_sessions.schema.places import MAX_DEPTH
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.types.base import NativeTypes
from typed_sessions.schema.types.emitter import Emitter
from typed_sessions.schema.values import Value
from typed_sessions.serializers.base import AnySerializer, serializer_name

__all__ = [
    "MAX_COOKIE_PAYLOAD",
    "MAX_DEPTH",
    "MAX_PAYLOAD",
    "Changes",
    "Codec",
    "Encoded",
    "Loaded",
    "OnBadField",
    "Snapshot",
    "native_types",
    "payload_of",
]

MAX_PAYLOAD: Final = 1024 * 1024
"""How long a payload may be, in bytes before compression, when it is read and when it is written; in a store."""

MAX_COOKIE_PAYLOAD: Final = 64 * 1024
"""The same in a cookie, which a visitor sends as often as they like: to read and to change it costs in proportion."""

S = TypeVar("S", default=dict[str, object])


class Snapshot(Value, Generic[S]):
    """What a session was loaded from. Changes are found by comparing with it. Nobody changes what is in it."""

    codec: Codec[S]
    """What read the payload, or wrote it."""
    payload: bytes
    """The payload as it came."""
    source: bytes
    """The payload after migration, where there was one."""
    version: int = 0
    """Of the source."""
    decoded: Any = None
    """What msgspec read of it; None on the explaining path."""
    made: tuple[object, ...] = ()
    """The values that were made of that, and are told by being the same."""
    raws: Mapping[str, Raw] | None = None
    """The undeclared keys as they came, but for `_permanent`; None if there are none."""
    rewritten: bytes | None = None
    """What the explaining path has loaded, as this release writes it; None where that is not known."""
    known: Mapping[str, object] | None = None
    """What is stored; None while nobody has asked."""

    @property
    def stored(self) -> Mapping[str, object]:
        """What was loaded, made anew: empty if it cannot be read again, which only a fault explains."""
        if self.known is None:
            outcome = self.codec.decode(self.rewritten or self.source)
            self.known = outcome.contents.stored() if isinstance(outcome, Loaded) else {}
        return self.known

    def keys(self) -> Iterable[str]:
        """Return the keys of the payload, in order."""
        path = self.codec.generated
        return () if path is None else path.keys(self.source)


class Loaded(Value, Generic[S]):
    """What a payload held, and what could not be taken as it was."""

    contents: Contents[S]
    snapshot: Snapshot[S]
    reports: tuple[FieldReset | UndeclaredNestedKeys, ...] = ()


class Codec(Generic[S]):
    """Reads contents from payloads and writes them; made once for a schema and a serializer.

    There are two paths to the same. The generated one (`generated`) is for what sessions nearly always are, in a
    built-in format. The explaining one (`explaining`) asks each field's type about each value.

    Args:
        schema: what a session holds.
        serializer: what writes it.
        generates: False leaves out the generated path.
        max_payload: how long a payload may be, in bytes.
    """

    def __init__(
        self, schema: Schema[S], serializer: AnySerializer, *, generates: bool = True, max_payload: int = MAX_PAYLOAD
    ) -> None:
        self.schema = schema
        self.serializer = serializer
        self._max_payload: Final = max_payload
        self._explaining: Final = ExplainingPath(schema, serializer, max_payload)
        self._generates: Final = generates
        self.check: Final = self._explaining.check
        self.canonical: Final = self._explaining.canonical
        self.payload: Final = self._explaining.payload
        self.write_stored: Final = self._explaining.encode

    @cached_property
    def generated(self) -> Generated | None:
        """The generated path; made when it is first met: many formats are only read, most of them never."""
        if not self._generates:
            return None
        path = self._explaining
        return generated_for(self.schema, self.serializer, path.native, whole_seconds=path.whole_seconds)

    def reads_as(self, other: Codec[S]) -> bool:
        """Return True if another codec, perhaps of settings that have changed since, reads the same payloads."""
        if self.serializer is other.serializer:
            return True
        name = serializer_name(self.serializer)
        return name is not None and name == serializer_name(other.serializer)

    def decode(self, payload: bytes, on_bad_field: OnBadField = OnBadField.RESET) -> Loaded[S] | Refused:
        """Return what a payload holds, or why it cannot be read. Raises nothing for what a payload may hold."""
        if len(payload) > self._max_payload:
            return Refused(Reason.TOO_LARGE)
        generated = self.generated
        if generated is not None and not generated.is_outdated:
            try:
                contents, decoded, made, raws = generated.load(payload)
            except UNUSUAL:
                pass
            else:
                snapshot: Snapshot[S] = Snapshot(self, payload, payload, generated.version, decoded, made, raws)
                contents.loaded_from = snapshot
                return Loaded(contents, snapshot)
        outcome = self._explaining.decode(payload, on_bad_field)
        return outcome if isinstance(outcome, Refused) else self._explained(outcome, payload)

    @property
    def data_path(self) -> Generated | None:
        """What reads and writes the data of a payload that holds nothing else; None if there is no such data."""
        generated = self.generated
        return generated if generated is not None and generated.may_read_data else None

    def with_contents(self, loaded: LoadedData[S] | LoadedKeys[S]) -> Loaded[S]:
        """Return the same as `decode` would have, with the data as it is now."""
        source = loaded.source
        snapshot: Snapshot[S] = Snapshot(self, source, source, 0, loaded.decoded, loaded.made, loaded.raws)
        if isinstance(loaded, LoadedKeys):
            loaded.contents.loaded_from = snapshot
            return Loaded(loaded.contents, snapshot)
        contents = DeclaredContents(self.schema, loaded.data, loaded.extras, loaded_from=snapshot)
        path = self.generated
        if isinstance(path, GeneratedClass):
            contents.extras = {**path.flag_in(loaded.decoded), **loaded.extras}
            try:
                contents.explicit = path.explicit_defaults(loaded.decoded)
            except UNUSUAL:
                return Loaded(contents, snapshot)
            if contents.explicit:
                contents.note_not_default(loaded.seen or ())
                contents.note_not_default(path.non_defaults_in(loaded.written) if loaded.written else ())
        return Loaded(contents, snapshot)

    def _explained(self, outcome: Explained[S], payload: bytes) -> Loaded[S]:
        snapshot = Snapshot(self, payload, outcome.source, outcome.version)
        with suppress(Exception):  # code of the user's may raise anything; the save meets it again
            # While nobody has changed it: a default that was generated is another one when it is read again.
            stored = outcome.contents.stored()
            try:
                snapshot.rewritten = self._explaining.payload(stored, outcome.version)
            except SerializationError:
                snapshot.known = deepcopy(stored) if outcome.is_generated else None
        return Loaded(outcome.contents, snapshot, outcome.reports)

    def diff(self, contents: Contents[S], snapshot: Snapshot[S]) -> Changes | None:
        """Return what contents hold that their snapshot does not; None if they mean the same.

        Another order of keys, or another way to write the same, is no change.
        """
        generated = self.generated
        if generated is not None and contents.loaded_from is snapshot and not generated.is_outdated:
            try:
                return generated.changes(contents, snapshot)
            except UNUSUAL:
                pass
        return Changes(contents, is_generated=False) if self._differ(contents, snapshot) else None

    def _differ(self, contents: Contents[S], snapshot: Snapshot[S]) -> bool:
        stored, path = contents.stored(), self._explaining
        try:
            payload = path.payload(stored, snapshot.version)
            if payload in (snapshot.source, snapshot.rewritten):
                return False
            return path.canonical(stored) != path.canonical(snapshot.stored)
        except SerializationError:  # what cannot be written, and yet was loaded, is compared by value
            return not same(stored, snapshot.stored)

    def encode(self, snapshot: Snapshot[S], changes: Changes) -> Encoded:
        """Return the payload of a snapshot with changes in it, as `diff` has found them, proven to read back.

        Raises:
            SerializationError: they cannot be written so that they read back; the message names the field.
        """
        generated = self.generated
        if changes.is_generated and generated is not None:
            try:
                payload = generated.written(snapshot.source, snapshot.decoded, changes)
                if len(payload) <= self._max_payload:
                    return Encoded(payload, payload != generated.nothing)
            except UNUSUAL:
                pass
        return self._explaining.encode(changes.contents.stored(), snapshot.version)

    def write(self, contents: Contents[S], version: int = 0) -> Encoded:
        """Return the payload of all that is stored, proven to read back.

        Args:
            contents: what is stored.
            version: of the payload that it was loaded from. A later one than this release's is kept, so that no step
                runs twice.

        Raises:
            SerializationError: it cannot be written so that it reads back; the message names the field.
        """
        generated = self.generated
        if generated is not None and version <= generated.version and not generated.is_outdated:
            with suppress(*UNUSUAL):
                payload = generated.written(generated.nothing, generated.decoded_nothing, generated.all_of(contents))
                if len(payload) <= self._max_payload:
                    return Encoded(payload, payload != generated.nothing)
        return self._explaining.encode(contents.stored(), version)


def generated_for(
    schema: Schema[Any], serializer: AnySerializer, native: NativeTypes, *, whole_seconds: bool
) -> Generated | None:
    """Return the generated path of a schema in the format of a built-in serializer; None where there is none.

    Args:
        schema: what a session holds.
        serializer: what writes it.
        native: the types that the serializer brings back by itself.
        whole_seconds: whether it keeps no more of a datetime.
    """
    notation = notation_of(serializer)
    if notation is None or not are_names(schema.fields) or VERSION_KEY in schema.fields:
        return None
    tags_in_order: Sequence[object] = getattr(serializer, "order", ())
    if schema.open:
        return GeneratedOpen(schema, notation, tags_in_order)
    emitter = Emitter(notation, native, whole_seconds=whole_seconds)
    return (GeneratedKeys if schema.keyed else GeneratedClass)(schema, notation, tags_in_order, emitter)

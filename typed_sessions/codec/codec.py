"""`Codec[S]`: a schema and a serializer together, from a payload to contents, to what has changed, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from functools import cached_property
from typing import Any, Final, Generic

from msgspec import UNSET, Raw
from typing_extensions import TypeVar

from typed_sessions.codec.contents import Contents, DeclaredContents
from typed_sessions.codec.explaining import (
    Encoded,
    Explained,
    ExplainingPath,
    OnBadField,
    native_types,
    payload_of,
)
from typed_sessions.codec.generated import UNUSUAL, Changes, Generated
from typed_sessions.codec.generated_fields import GeneratedClass, GeneratedKeys
from typed_sessions.codec.generated_open import GeneratedOpen
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
    "LoadedData",
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
    """What was loaded, as this release writes it; None while nobody has asked."""
    known: Mapping[str, object] | None = None
    """What is stored; None while nobody has asked."""

    @property
    def stored(self) -> Mapping[str, object]:
        """What was loaded, made anew: empty if it cannot be read again, which only a fault explains."""
        if self.known is None:
            outcome = self.codec.decode(self.source if self.decoded is not None else self.rewritten or self.source)
            self.known = outcome.contents.stored() if isinstance(outcome, Loaded) else {}
        return self.known

    def keys(self) -> Iterable[str]:
        """Return the keys of the payload, in order."""
        return self.codec.generated.keys(self.source)

    def explicit_defaults(self) -> frozenset[str]:
        """Return the fields of which the payload holds the default itself."""
        return self.codec.generated.explicit_defaults(self.decoded)


class Loaded(Value, Generic[S]):
    """What a payload held, and what could not be taken as it was."""

    contents: Contents[S]
    snapshot: Snapshot[S]
    reports: tuple[FieldReset | UndeclaredNestedKeys, ...] = ()


class LoadedData(Value, Generic[S]):
    """The data of a payload that holds nothing else, while nobody has asked more of it: no `Contents` are made yet."""

    codec: Codec[S]
    data: S
    payload: bytes
    decoded: Any
    made: tuple[object, ...]
    sealed: str = ""
    """The sealed text that was opened."""
    seen_not_default: set[str] = set()  # noqa: RUF012 -- each instance has its own
    """The fields that were seen by key, and hold another value than their default."""
    states: list[Any] = []  # noqa: RUF012 -- each instance has its own
    """What is made of it once somebody asks more: threads append theirs, and the first counts."""

    def read(self, key: str) -> object:
        """Return the value of a field that is stored for certain; UNSET where that takes more to tell."""
        field = self.codec.schema.fields.get(key)
        value: object = UNSET if field is None else getattr(self.data, key, UNSET)
        if field is None or value is UNSET or field.is_default(value):
            return UNSET
        self.seen_not_default.add(key)
        return value

    def store(self, key: str, value: object) -> bool:
        """Set a field that is stored, and stays stored, in its place. False, with nothing done, where it takes more.

        Raises:
            FieldTypeError: the field's declared type does not allow the value.
        """
        schema = self.codec.schema
        if not schema.assigns_plainly or self.read(key) is UNSET or getattr(self.decoded, key) is UNSET:
            return False
        validated = schema.validate(key, value)
        if schema.fields[key].is_default(validated):
            return False
        schema.put(self.data, {key: validated})
        return True

    def shown(self) -> dict[str, object] | None:
        """Return the fields that are stored, for who changes nothing that they hold; None where that takes more to tell.

        They come in the order of their declaration, and not in that in which they were stored.
        """
        schema = self.codec.schema
        if schema.varying or schema.renamed or self.codec.has_explicit_defaults(self):
            return None
        try:
            return schema.non_defaults(self.data)
        except AttributeError:
            return None

    @property
    def is_permanent(self) -> bool:
        """True if the payload says `_permanent`, which is no field."""
        return self.decoded._permanent is True  # noqa: SLF001 -- a key


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
        self,
        schema: Schema[S],
        serializer: AnySerializer,
        *,
        generates: bool = True,
        max_payload: int = MAX_PAYLOAD,
    ) -> None:
        self.schema = schema
        self.serializer = serializer
        self._max_payload: Final = max_payload
        self._explaining: Final = ExplainingPath(schema, serializer, max_payload)
        self._generates: Final = generates
        self._tags_in_order: Sequence[object] = getattr(serializer, "order", ())
        self._tag_count = len(self._tags_in_order)
        """How many tags the generated path knows. One may be registered at any time, and then there is none."""

    @cached_property
    def _generated(self) -> Generated | None:
        """The generated path, made when it is first met: many formats are only read, and most of them never."""
        if not self._generates:
            return None
        path = self._explaining
        return generated_for(self.schema, self.serializer, path.native, whole_seconds=path.whole_seconds)

    @property
    def generated(self) -> Generated:
        """The generated path.

        Raises:
            TypeError: there is none.
        """
        if self._generated is None:
            raise TypeError("nothing was generated for this schema in this format")
        return self._generated

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
        generated = self._generated
        if generated is not None and len(self._tags_in_order) == self._tag_count:
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

    @cached_property
    def _of_data(self) -> GeneratedClass | None:
        return self._generated if isinstance(self._generated, GeneratedClass) else None

    @property
    def reads_data(self) -> bool:
        """True if `data_of` is worth a try."""
        return self._of_data is not None and self._of_data.reads_data

    def data_of(self, payload: bytes) -> LoadedData[S] | None:
        """Return the data of a payload that holds nothing else; None where that is for `decode` to tell."""
        generated = self._of_data
        if generated is None or len(payload) > self._max_payload or len(self._tags_in_order) != self._tag_count:
            return None
        try:
            data, decoded, made = generated.data_in(payload)
        except UNUSUAL:
            return None
        return LoadedData(self, data, payload, decoded, made)

    def with_contents(self, loaded: LoadedData[S]) -> Loaded[S]:
        """Return the same as `decode` would have, with the data as it is now."""
        generated = self._of_data
        extras = {} if generated is None else generated.flag_in(loaded.decoded)
        snapshot: Snapshot[S] = Snapshot(self, loaded.payload, loaded.payload, 0, loaded.decoded, loaded.made)
        contents = DeclaredContents(self.schema, loaded.data, extras, loaded_from=snapshot)
        contents.seen_not_default = frozenset(loaded.seen_not_default)
        return Loaded(contents, snapshot)

    def has_explicit_defaults(self, loaded: LoadedData[S]) -> bool:
        """Return True if the payload holds the default itself of a field."""
        generated = self._of_data
        return generated is None or bool(generated.explicit_defaults(loaded.decoded))

    def payload_with_changes(self, loaded: LoadedData[S]) -> bytes | None:
        """Return the payload of data as it is now, proven to read back: the very one that came if nothing has changed.

        None where that is for `diff` and `encode` to tell.
        """
        generated = self._of_data
        if generated is None or len(self._tags_in_order) != self._tag_count:
            return None
        if loaded.seen_not_default and any(loaded.read(name) is UNSET for name in (*loaded.seen_not_default,)):
            return None
        try:
            payload = generated.payload_of(loaded.data, loaded.payload, loaded.decoded, loaded.made)
        except UNUSUAL:
            return None
        return payload if len(payload) <= self._max_payload and payload != generated.nothing else None

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
        generated = self._generated
        if generated is not None and contents.loaded_from is snapshot and len(self._tags_in_order) == self._tag_count:
            try:
                return generated.changes(contents, snapshot)
            except UNUSUAL:
                pass
        return Changes(contents, is_generated=False) if self._differ(contents, snapshot) else None

    def _differ(self, contents: Contents[S], snapshot: Snapshot[S]) -> bool:
        stored, path = contents.stored(), self._explaining
        try:
            payload = path.payload(stored, self._version(snapshot))
            if payload == snapshot.source or payload == self._rewritten(snapshot):
                return False
            return path.canonical(stored) != path.canonical(snapshot.stored)
        except SerializationError:  # what cannot be written, and yet was loaded, is compared by value
            return not same(stored, snapshot.stored)

    def _rewritten(self, snapshot: Snapshot[S]) -> bytes:
        if snapshot.rewritten is None:
            snapshot.rewritten = self._explaining.payload(snapshot.stored, self._version(snapshot))
        return snapshot.rewritten

    def _version(self, snapshot: Snapshot[S]) -> int:
        """Return the version to write: a later one than this release's is kept, so that no step runs twice."""
        return max(snapshot.version, self.schema.migrations.version)

    def encode(self, snapshot: Snapshot[S], changes: Changes) -> Encoded:
        """Return the payload of a snapshot with changes in it, as `diff` has found them, proven to read back.

        Raises:
            SerializationError: they cannot be written so that they read back; the message names the field.
        """
        generated = self._generated
        if changes.is_generated and generated is not None:
            try:
                payload = generated.written(snapshot.source, snapshot.decoded, changes)
                if len(payload) <= self._max_payload:
                    return Encoded(payload, payload != generated.nothing)
            except UNUSUAL:
                pass
        return self._explaining.encode(changes.contents.stored(), self._version(snapshot))

    def write(self, contents: Contents[S], version: int = 0) -> Encoded:
        """Return the payload of all that is stored, proven to read back.

        Args:
            contents: what is stored.
            version: of the payload that it was loaded from. A later one than this release's is kept, so that no step
                runs twice.

        Raises:
            SerializationError: it cannot be written so that it reads back; the message names the field.
        """
        generated = self._generated
        if generated is not None and version <= generated.version and len(self._tags_in_order) == self._tag_count:
            with suppress(*UNUSUAL):
                payload = generated.written(generated.nothing, generated.decoded_nothing, generated.all_of(contents))
                if len(payload) <= self._max_payload:
                    return Encoded(payload, payload != generated.nothing)
        return self.write_stored(contents.stored(), version)

    def write_stored(self, stored: Mapping[str, object], version: int = 0) -> Encoded:
        """Return the same of what is stored, which the class itself may refuse.

        Args:
            stored: declared fields with values of their types, and undeclared keys.
            version: as in `write`.

        Raises:
            SerializationError: it cannot be written so that it reads back; the message names the field.
        """
        return self._explaining.encode(stored, max(version, self.schema.migrations.version))

    def payload(self, stored: Mapping[str, object], version: int = 0) -> bytes:
        """Return the same without proof.

        Raises:
            SerializationError: the serializer cannot write it; the message names the field.
        """
        return self._explaining.payload(stored, max(version, self.schema.migrations.version))

    def check(self, values: Mapping[str, object]) -> None:
        """Prove of each of these values that it reads back, whatever their class says of all of them together.

        Raises:
            SerializationError: one does not; the message names the field.
        """
        self._explaining.check(values)

    def canonical(self, stored: Mapping[str, object]) -> bytes:
        """Return bytes that are the same for what means the same, whatever the order of its keys. Nothing reads them.

        Raises:
            SerializationError: the serializer cannot write it.
        """
        return self._explaining.canonical(stored)


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
    if schema.open:
        return None if schema.migrations.steps else GeneratedOpen(schema, notation)
    emitter = Emitter(notation, native, whole_seconds=whole_seconds)
    return (GeneratedKeys if schema.keyed else GeneratedClass)(schema, notation, emitter)

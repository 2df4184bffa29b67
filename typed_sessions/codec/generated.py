"""The generated path between contents and payload: one object for a schema in a built-in format.

msgspec reads the fields of a payload as the types that the schema declares, and what is left to do is done by functions
made for the schema. What has changed is written into what came. Whatever is unusual, `Unusual` hands over to the
explaining path, which gives the same, or says what is wrong.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET
from typing_extensions import override

from typed_sessions.codec.keyed_contents import KeyedContents
from typed_sessions.codec.loaded_data import LoadedData, LoadedKeys
from typed_sessions.codec.loaded_from import ReadFrom
from typed_sessions.codec.notations import Notation
from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.migrations import VERSION_KEY
from typed_sessions.schema.narrowing import IMMUTABLE, PLAIN
from typed_sessions.schema.places import MAX_DEPTH, is_deeper
from typed_sessions.schema.sameness import same
from typed_sessions.schema.schema import Schema
from typed_sessions.schema.values import Value

__all__ = [
    "NO_NAMES",
    "PERMANENT_KEY",
    "UNUSUAL",
    "Changes",
    "Generated",
    "GeneratedOpen",
    "Plain",
    "Raws",
    "Read",
    "are_text",
]

PERMANENT_KEY: Final = "_permanent"
"""Quart's key, which says that a session is permanent."""

are_text: Final = frozenset({str}).issuperset
_are_plain: Final = PLAIN.issuperset
NO_NAMES: Final[frozenset[str]] = frozenset()

Plain: TypeAlias = dict[str, Any]
"""What msgspec writes and reads, by key."""

Raws: TypeAlias = Mapping[str, msgspec.Raw]
"""Parts of a payload, by key."""

Read: TypeAlias = tuple[Any, Any, tuple[object, ...], Raws | None]
"""The contents; what msgspec read, which has nothing in common with their data that could be changed (without a schema
the values, of which those that nobody can change are told by being the same); the values that were made of it, and are
told by being the same; and the undeclared keys as they came, but for `_permanent`, None if
there are none."""

UNUSUAL: Final = (Unusual, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What is raised where something is not as it nearly always is. The explaining path finds out what, and says it."""


class Changes(Value):
    """What contents hold that their snapshot does not, or no longer: as msgspec is to write it, where that is known."""

    contents: Any
    new: Any = None
    """All fields, or without a schema all keys: what has not changed is as it was read."""
    changed: Any = None
    """The fields that have changed; all others are unset."""
    adds: bool = False
    """True if a field is there that was not."""
    differs: bool = False
    """True if another one means something else than before."""
    gone: Sequence[str] = ()
    """The fields that are stored no longer."""
    unproven: Sequence[tuple[str, object, object]] = ()
    """What is still to be proven to read back: names, values, and what is written of them."""
    undeclared: Plain = {}  # noqa: RUF012 -- each instance has its own
    """The undeclared keys that have changed, unset where they are gone."""
    order: Mapping[str, None] | None = None
    """The keys stored by key, in order; None if those of the payload are."""
    is_generated: bool = True
    """False on the explaining path, which writes everything anew."""


class Generated(ABC):
    """The generated path of one schema in one format. Everything raises one of `UNUSUAL` for what is unusual."""

    def __init__(self, schema: Schema[Any], notation: Notation, tags_in_order: Sequence[object]) -> None:
        self._schema: Final = schema
        self._tags_in_order: Final = tags_in_order
        """The serializer's tags. One may be registered at any time."""
        self._tag_count: Final = len(tags_in_order)
        self._encode: Final = notation.encode
        self._encode_unescaped: Final = notation.encode_unescaped
        self._tagged: Final = notation.tagged
        self._untagged: Final = notation.untagged
        self._last_tag: Final = notation.last_tag
        self._tags: Final = notation.tags
        self._marks: Final = notation.container_marks
        self._any: Final = notation.decoder(Any)
        self._split: Final[Callable[[bytes], dict[str, Any]]] = notation.decoder(dict[str, msgspec.Raw])
        self._keeps_order: Final = notation.keeps_order
        self.version: Final = schema.migrations.version if schema.migrations.steps else 0
        """Of the payloads that are read and written."""
        version = {VERSION_KEY: self.version} if self.version else {}
        self.nothing: bytes = self._encode(version)
        """The payload of a session that holds nothing."""
        permanent = (version | {PERMANENT_KEY: True}, {PERMANENT_KEY: True} | version)
        self.without_content: tuple[bytes, ...] = (self.nothing, *map(self._encode, permanent))
        """That one, and those that say no more than that the session is permanent."""
        self.decoded_nothing: Any = None
        """What msgspec reads of that."""

    @property
    def is_outdated(self) -> bool:
        """True if a tag was registered that is not known here."""
        return len(self._tags_in_order) != self._tag_count

    @abstractmethod
    def load(self, payload: bytes) -> Read:
        """Return what a payload holds."""

    may_read_data: bool = True
    """True if the data of a payload, and what is undeclared, may be all there is to know of it."""

    def data_in(self, payload: bytes, sealed: str) -> LoadedData[Any] | LoadedKeys[Any] | None:
        """Return the data of a payload, if that is all there is to know; None where that is for `load` to tell.

        Args:
            payload: one that may hold it.
            sealed: the sealed text that it came in.
        """
        if self.is_outdated:
            return None
        try:
            contents, decoded, made, raws = self.load(payload)
        except UNUSUAL:
            return None
        return LoadedKeys(payload, decoded, made, raws, sealed, contents=contents)

    def payload_of(self, loaded: Any) -> bytes | None:
        """Return the payload of data as it is now, proven to read back: the very one that came if nothing has changed.

        None where that is for `changes` and `written` to tell.
        """
        if self.is_outdated:
            return None
        payload: bytes = loaded.source
        try:
            changes = self.changes(loaded.contents, loaded)
            if changes is None:
                return payload
            payload = self.written(payload, loaded.decoded, changes)
        except UNUSUAL:
            return None
        return None if payload in self.without_content else payload

    @abstractmethod
    def changes(self, contents: Any, loaded_from: ReadFrom) -> Changes | None:
        """Return what has changed in contents since they were loaded; None if nothing has."""

    @abstractmethod
    def all_of(self, contents: Any) -> Changes:
        """Return all that is stored as what has changed since nothing was."""

    @abstractmethod
    def written(self, payload: bytes, decoded: Any, changes: Changes) -> bytes:
        """Return a payload with what has changed in it, proven to read back."""

    def keys(self, payload: bytes) -> Iterable[str]:
        """Return the keys of a payload, in order."""
        keys = self._split(payload)
        if self.version:
            del keys[VERSION_KEY]
        return keys

    def _refuse_tag(self, keyed: Mapping[str, object]) -> None:
        """Leave alone a dict whose only key is a tag: it means something else, or is written with another key."""
        if len(keyed) == 1 and not self._tags.isdisjoint(keyed):
            raise Unusual

    def _refuse_depth(self, payload: bytes) -> None:
        """Leave alone what may nest too deep. Most payloads have too few containers for that."""
        if len(payload) < MAX_DEPTH:
            return
        containers = len(payload) - len(payload.translate(None, self._marks))
        if containers >= MAX_DEPTH and is_deeper({"": self._any(payload)}, MAX_DEPTH):
            raise Unusual

    def _changed(self, value: object, raw: msgspec.Raw | None) -> Any:
        """Return what msgspec writes of a key that holds anything, proven to read back; unset if that is what came.

        What means the same and is spelled otherwise, such as a dict in another order, is left alone: that is no change,
        and yet to be written where anything else changes.
        """
        plain = self._tagged(value)
        part = self._encode(plain)
        if raw is not None:
            if part == bytes(raw):
                return UNSET
            before = self._any(raw)
            if before == plain if type(value) in PLAIN else same(self._untagged(before), value):
                raise Unusual
        self._refuse_depth(part)
        if self._any(part) != plain:
            raise Unusual
        return plain


class GeneratedOpen(Generated):
    """The path without a schema: every key holds anything."""

    def __init__(self, schema: Schema[Any], notation: Notation, tags_in_order: Sequence[object]) -> None:
        super().__init__(schema, notation, tags_in_order)
        self._decode: Final[Callable[[bytes], Plain]] = notation.decoder(dict[str, Any])

    @override
    def load(self, payload: bytes) -> Read:
        values = self._decode(payload)
        if len(values) == 1:
            self._refuse_tag(values)
        if not _are_plain(map(type, values.values())):
            self._refuse_depth(payload)
            untagged, last_tag = self._untagged, self._last_tag(payload)
            for key, item in values.items():
                if type(item) not in PLAIN:
                    if type(item) is list and payload.find(b'"%s":' % key.encode()) > last_tag:
                        break  # nor does any that follows hold one
                    values[key] = untagged(item)
        return KeyedContents(self._schema, values), {**values}, (), None

    @override
    def changes(self, contents: KeyedContents[Any], loaded_from: ReadFrom) -> Changes | None:
        touched = contents.touched
        if touched is not None and not touched:
            return None
        values, before = {**contents.values}, loaded_from.decoded  # threads may store more
        asked = values if touched is None else touched.intersection(values)
        undecided = [
            key for key in asked if values[key] is not before.get(key, UNSET) or type(values[key]) not in IMMUTABLE
        ]
        if not undecided and len(values) == len(before):
            return None
        known, changes = self._split(loaded_from.source), dict[str, Any]()
        for key in undecided:
            part = self._changed(values[key], known.get(key))
            if part is not UNSET:
                changes[key] = part
        if not changes and len(values) == len(before):
            return None
        return self._in_order(contents, values, known | changes)

    def _in_order(self, contents: KeyedContents[Any], values: Plain, plain: Plain) -> Changes:
        """Return what is to be written of values in their order."""
        if not self._keeps_order or not are_text(map(type, values)):
            raise Unusual
        return Changes(contents, plain if [*plain] == [*values] else {key: plain[key] for key in values})

    @override
    def all_of(self, contents: KeyedContents[Any]) -> Changes:
        values = {**contents.values}
        return self._in_order(contents, values, {key: self._changed(value, None) for key, value in values.items()})

    @override
    def written(self, payload: bytes, decoded: Any, changes: Changes) -> bytes:
        if len(changes.new) == 1:
            self._refuse_tag(changes.new)
        return self._encode(changes.new)

"""The generated path without a schema: `GeneratedOpen`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import UNSET
from typing_extensions import override

from typed_sessions.codec.generated import Changes, Generated, Plain, Read
from typed_sessions.codec.keyed_contents import KeyedContents
from typed_sessions.codec.loaded_from import ReadFrom
from typed_sessions.codec.notations import Notation
from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.narrowing import IMMUTABLE, PLAIN
from typed_sessions.schema.schema import Schema

__all__ = ["GeneratedOpen"]

_are_plain: Final = PLAIN.issuperset
_are_text: Final = frozenset({str}).issuperset


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
        if not self._keeps_order or not _are_text(map(type, values)):
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

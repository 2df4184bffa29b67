"""The generated path without a schema: `GeneratedOpen`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import UNSET
from typing_extensions import override

from typed_sessions.codec.generated import TEXT, Changes, Generated, Plain, Read
from typed_sessions.codec.keyed_contents import KeyedContents
from typed_sessions.codec.loaded_from import ReadFrom
from typed_sessions.codec.notations import Notation
from typed_sessions.schema.generated import Unusual
from typed_sessions.schema.narrowing import IMMUTABLE, PLAIN
from typed_sessions.schema.schema import Schema

__all__ = ["GeneratedOpen"]


class GeneratedOpen(Generated):
    """The path without a schema: every key holds anything."""

    def __init__(self, schema: Schema[Any], notation: Notation, tags_in_order: Sequence[object]) -> None:
        super().__init__(schema, notation, tags_in_order)
        self._decode: Final[Callable[[bytes], Plain]] = notation.decoder(dict[str, Any])

    @override
    def load(self, payload: bytes) -> Read:
        plain = self._decode(payload)
        self._refuse_depth(payload)
        self._refuse_tag(plain)
        values = self._all_untagged(payload, plain) if self._may_hold_tag(payload) else plain
        return KeyedContents(self._schema, values), {**values}, (), None

    def _all_untagged(self, payload: bytes, plain: Plain) -> Plain:
        """Return plain values without their tags: only of a part that may hold one is each value looked at."""
        untagged, may_hold_tag, parts = self._untagged, self._may_hold_tag, self._split(payload)
        return {
            key: untagged(item) if type(item) not in PLAIN and may_hold_tag(bytes(parts[key])) else item
            for key, item in plain.items()
        }

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
        changes: Plain = {}
        if undecided:
            known = self._split(loaded_from.source)
            for key in undecided:
                part = self._changed(values[key], known.get(key))
                if part is not UNSET:
                    changes[key] = part
        if not changes and len(values) == len(before):
            return None
        return self._written_changes(contents, values, changes)

    def _written_changes(self, contents: KeyedContents[Any], values: Plain, changes: Plain) -> Changes:
        if not self._keeps_order or not TEXT.issuperset(map(type, values)):
            raise Unusual
        return Changes(contents, undeclared=changes, order=dict.fromkeys(values))

    @override
    def all_of(self, contents: KeyedContents[Any]) -> Changes:
        values = {**contents.values}
        changes = {key: self._changed(value, None) for key, value in values.items()}
        return self._written_changes(contents, values, changes)

    @override
    def written(self, payload: bytes, decoded: Any, changes: Changes) -> bytes:
        known: Plain = {**self._split(payload), **changes.undeclared}
        plain = {key: known[key] for key in changes.order or ()}
        self._refuse_tag(plain)
        return self._encode(plain)
